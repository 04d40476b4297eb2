//! The `kehu` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kehu_api::cli::run()
}
