//! `kehu token`

use std::time::Duration;

use kehu_kernel::{Result, time::Clock};

use super::print;
use crate::auth::{
    AuthConfig,
    token::{self, TokenRequest},
};

/// A token for trying, signed with the shared secret that the server has too.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// Code of the role.
    #[arg(long, env = "KEHU_TOKEN_ROLE")]
    role: String,
    /// Employee number of the person.
    #[arg(long, env = "KEHU_TOKEN_STAFF", conflicts_with = "customer")]
    staff: Option<String>,
    /// Id of the customer, for the role customer_self.
    #[arg(long, env = "KEHU_TOKEN_CUSTOMER")]
    customer: Option<String>,
    /// Code of the branch.
    #[arg(long, env = "KEHU_TOKEN_BRANCH")]
    branch: Option<String>,
    /// Hours until it expires.
    #[arg(long, env = "KEHU_TOKEN_HOURS", default_value_t = 12)]
    hours: u32,
    /// Shared secret of HS256 tokens; the development secret unless given.
    #[arg(long, env = "KEHU_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<String>,
    /// The issuer that the server wants.
    #[arg(long, env = "KEHU_JWT_ISSUER", default_value = "kehu")]
    jwt_issuer: String,
    /// The audience that the server wants.
    #[arg(long, env = "KEHU_JWT_AUDIENCE", default_value = "kehu")]
    jwt_audience: String,
}

pub(crate) fn run(options: TokenOptions) -> Result<()> {
    let config =
        AuthConfig { issuer: options.jwt_issuer, audience: options.jwt_audience, ..AuthConfig::new(options.jwt_secret, None) };
    let request = TokenRequest {
        role: options.role,
        staff: options.staff,
        customer: options.customer,
        branch: options.branch,
        life: Duration::from_secs(u64::from(options.hours) * 3_600),
    };
    print(&format!("{}\n", token::issue(&config, &request, Clock::system().now())?))
}
