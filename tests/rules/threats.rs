//! The list of threats names tests that exist.

use std::path::Path;

#[test]
fn every_named_test_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(tests.join("THREATS.md")).unwrap();
    let mut named = 0;
    for row in list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        let answers = cells[2].split('`').filter(|part| part.contains("::"));
        for answer in answers {
            named += 1;
            let (module, test) = answer.rsplit_once("::").unwrap();
            let file = match module.strip_prefix("kehu_api::") {
                Some(module) => tests.join(format!("../crates/api/src/{}.rs", module.replace("::", "/"))),
                None => tests.join(format!("{}.rs", module.replace("::", "/"))),
            };
            let source = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{answer}: no {}", file.display()));
            assert!(source.contains(&format!("fn {test}(")), "{answer} does not exist");
        }
    }
    assert!(named > 30, "{named}");
}
