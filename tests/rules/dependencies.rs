//! Which crate may use which, and what the sources may not contain.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Each crate with the crates of ours that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("kehu-kernel", &[]),
    ("kehu-customer", &["kehu-kernel"]),
    ("kehu-organization", &["kehu-kernel", "kehu-customer"]),
    ("kehu-account-link", &["kehu-kernel", "kehu-customer", "kehu-organization"]),
    ("kehu-group", &["kehu-kernel", "kehu-customer", "kehu-organization", "kehu-account-link"]),
    ("kehu-intake", &["kehu-kernel", "kehu-customer", "kehu-organization", "kehu-account-link"]),
    ("kehu-api", &["kehu-kernel", "kehu-customer", "kehu-organization", "kehu-account-link", "kehu-group", "kehu-intake"]),
];

/// Crates that only the api crate and the tests may use: a domain knows neither HTTP nor tokens.
const HTTP: &[&str] = &["actix-web", "actix-cors", "actix-multipart", "jsonwebtoken", "utoipa-actix-web", "utoipa-swagger-ui"];

/// The owner of each table; nobody else writes it.
const OWNERS: &[(&str, &[&str])] = &[
    ("kernel", &["events", "event_heads", "access_log", "access_versions", "jobs"]),
    ("organization", &["branches", "branch_moves", "staff", "teams", "team_members", "roles", "assignments"]),
    (
        "customer",
        &[
            "customers",
            "duplicate_allowances",
            "personal_profiles",
            "organisation_profiles",
            "identities",
            "contact_points",
            "customer_transitions",
            "attribute_history",
            "source_records",
            "relations",
            "customer_tokens",
            "match_keys",
            "match_changes",
            "match_parameters",
            "match_candidates",
            "merges",
            "merge_members",
            "merge_rows",
            "tag_domains",
            "tags",
            "customer_tags",
            "consents",
            "attribute_definitions",
            "custom_attributes",
            "contact_persons",
            "employments",
            "contact_person_relations",
            "legal_holds",
            "privacy_exports",
        ],
    ),
    (
        "account-link",
        &[
            "products",
            "product_rates",
            "accounts",
            "deposits",
            "loans",
            "cards",
            "holdings",
            "standing_orders",
            "account_balances",
            "account_links",
            "transactions",
            "account_daily_totals",
            "account_monthly_totals",
            "parked_transactions",
        ],
    ),
    (
        "group",
        &[
            "groups",
            "group_parents",
            "group_staff",
            "group_members",
            "segmentation_evaluations",
            "group_lineages",
            "group_lineage_groups",
        ],
    ),
    (
        "intake",
        &[
            "source_systems",
            "mappings",
            "imports",
            "import_files",
            "import_rows",
            "import_row_customers",
            "import_effects",
            "exports",
        ],
    ),
    ("api", &["clients", "idempotency_keys", "login_places", "rate_buckets", "webhook_endpoints", "webhook_deliveries"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_use_only_what_stands_below_them() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "kehu-tests" {
            continue;
        }
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the list of crates"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            assert!(!other.starts_with("kehu-") || may.contains(&other), "{name} may not use {other}");
            assert!(name == "kehu-api" || !HTTP.contains(&other), "{name} may not know {other}");
        }
    }
}

#[test]
fn every_table_has_one_owner_and_only_it_writes() {
    let schema = std::fs::read_to_string(root().join("crates/kernel/src/schema.rs")).unwrap();
    let known: BTreeSet<&str> = OWNERS.iter().flat_map(|(_, tables)| tables.iter().copied()).collect();
    let tables: Vec<&str> =
        schema.lines().filter_map(|line| line.trim().strip_suffix(") {")?.split_once(" (").map(|(table, _)| table)).collect();
    assert!(tables.len() > 20, "the schema file is read: {tables:?}");
    for table in &tables {
        assert!(known.contains(table), "the table {table} has no owner");
    }
    for (path, text) in sources() {
        for (owner, owned) in OWNERS {
            if path.starts_with(root().join("crates").join(owner)) {
                continue;
            }
            for table in *owned {
                for verb in [format!("insert_into({table}::"), format!("update({table}::"), format!("delete({table}::")] {
                    assert!(!text.contains(&verb), "{} writes {table}, which {owner} owns", path.display());
                }
            }
        }
    }
}

#[test]
fn the_top_level_stays_tidy() {
    const MAY: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "Makefile",
        "README.md",
        "contract",
        "crates",
        "migrations",
        "openapi",
        "sdk",
        "tests",
    ];
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let made = name == "target" || name.starts_with("kehu.db") || name == "kehu-data";
        assert!(made || name.starts_with('.') || MAY.contains(&name.as_str()), "{name} has no place at the top level");
    }
}

#[test]
fn sources_keep_the_house_rules() {
    for (path, text) in sources() {
        let shown = path.display();
        assert!(text.starts_with("//!"), "{shown} does not say what it is for");
        for word in ["todo!", "unimplemented!", "#[allow(", "#[ignore", "FIXME", "XXX"] {
            assert!(!text.contains(word), "{shown} contains {word}");
        }
        let lines = text.lines().count();
        let generated = path.ends_with("kernel/src/schema.rs");
        assert!(generated || lines <= 520, "{shown} has {lines} lines: split it by a noun or a verb");
    }
}

/// Every source file of the crates with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join("crates")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}
