//! Every sealed column is known to key rotation, and rotation reaches every one of them.

use std::{collections::BTreeSet, path::Path};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Binary};
use kehu_kernel::{
    Store,
    crypto::Keyring,
    rotation::{self, SealedColumn},
    store::{StoreOptions, sql},
    time::Clock,
};
use serde_json::json;

use crate::{
    both_databases,
    support::{
        App,
        customers::{path, person},
        ledger,
    },
};

both_databases!(rotation_reaches_every_sealed_column);

#[test]
fn every_sealed_column_of_the_schema_is_rotated() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kernel/src/schema.rs");
    let (mut table, mut found) = (String::new(), BTreeSet::new());
    for line in std::fs::read_to_string(schema).unwrap().lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name.to_owned();
        } else if let Some((column, kind)) = line.split_once(" -> ").filter(|(column, _)| column.ends_with("_sealed")) {
            assert!(kind.contains("Binary"), "{table}.{column} is {kind}");
            found.insert((table.clone(), column.to_owned()));
        }
    }
    let known: BTreeSet<_> =
        kehu_api::sealed::columns().iter().map(|column| (column.table.to_owned(), column.column.to_owned())).collect();
    assert!(found.len() >= 5);
    assert_eq!(found, known);
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql::Uuid)]
    id: kehu_kernel::AnyId,
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
}

fn sealed(store: &Store, column: SealedColumn) -> Vec<Row> {
    let SealedColumn { table, id, column, .. } = column;
    let select = format!("SELECT {id} AS id, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL");
    store.read_blocking(move |conn| Ok(sql_query(select.as_str()).load(&mut conn.db)?)).unwrap()
}

/// The well-known key 1, and beside it a new one.
fn both_keys() -> Keyring {
    let old = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let new = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    Keyring::parse(&format!("1:{old},2:{new}"), old).unwrap()
}

async fn rotation_reaches_every_sealed_column(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let customer = person(&admin, "Li Na", Some(&ids["A"])).await;
    let document = json!({ "type": "resident_id", "number": "11010519491231002X" });
    let keyed = admin.with("Idempotency-Key", "rotation-1");
    keyed.post(&path(&customer, "/identities"), document.clone()).await.expect(201);
    let card = json!({ "source_system": "core", "number": "6222021234563456", "product_code": "CARD", "branch_code": "A",
        "opened_on": "2020-01-01", "currency": "CNY", "card": { "kind": "gold", "number": "4000123412341234" } });
    admin.post("/v1/accounts", card).await.expect(200);
    crate::import::one_rejected_row(&app).await;
    let officer = app.role("privacy_officer").with("X-Purpose", "request of the customer");
    officer.post(&path(&customer, "/privacy/export"), json!({})).await.expect(202);
    let wish = json!({ "list": "list_customers", "format": "csv", "purpose": "report" });
    admin.post("/v1/exports", wish).await.expect(202);
    let hook = json!({ "name": "x", "url": "https://hooks.bank.example/" });
    let hook = admin.post("/v1/webhook-endpoints", hook).await.expect(201);
    let hook = format!("/v1/webhook-endpoints/{}/rotate-secret", hook["endpoint"]["id"].as_str().unwrap());
    admin.command(&hook, 1, json!({})).await.expect(200);
    app.run_jobs();
    let before: Vec<Vec<(kehu_kernel::AnyId, String)>> = kehu_api::sealed::columns()
        .into_iter()
        .map(|column| {
            let open = |row: Row| (row.id, app.store.keys().open(column.label, row.id, &row.sealed).unwrap());
            sealed(&app.store, column).into_iter().map(open).collect()
        })
        .collect();
    let store = Store::open(&StoreOptions::new(&app.url), both_keys(), Clock::system()).unwrap();
    for (column, before) in kehu_api::sealed::columns().into_iter().zip(before) {
        let name = format!("{}.{}", column.table, column.column);
        assert!(!before.is_empty(), "{name} has no row to rotate");
        assert_eq!(rotation::rotate(&store, column).unwrap(), before.len(), "{name}");
        assert_eq!(rotation::rotate(&store, column).unwrap(), 0, "{name} again");
        for row in sealed(&store, column) {
            assert!(!store.keys().is_outdated(&row.sealed), "{name}");
            let plain = store.keys().open(column.label, row.id, &row.sealed).unwrap();
            assert!(before.contains(&(row.id, plain)), "{name} changed its value");
        }
    }
    // Blind indexes do not depend on the data keys.
    let repeated = json!({ "identity_number": "11010519491231002x" });
    assert_eq!(admin.post("/v1/customers/lookup", repeated).await.expect(200)["items"].as_array().unwrap().len(), 1);
}
