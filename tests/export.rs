//! Lists as files: what they hold, for whom, and what becomes of them.

use std::collections::BTreeSet;

use kehu_api::openapi;
use kehu_intake::export::ExportList;
use kehu_kernel::AnyId;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{branches, company, path, person, resident_id},
        filler, ledger, sign,
    },
};

both_databases!(
    a_file_shows_each_role_what_the_list_shows,
    hostile_texts_come_back_from_every_format,
    a_wrong_wish_is_told_at_once,
    rights_are_asked_again_when_the_job_runs,
    who_took_what_out_is_recorded,
    an_erased_customer_is_in_no_file,
    chosen_columns_alone_are_in_the_file
);

/// Lists that are no exports, and why.
const NOT_EXPORTED: &[(&str, &str)] = &[
    ("list_exports", "its items hold links, which have no place in a file"),
    ("list_events", "the feed is read on from where the reader was, and has no end"),
    ("list_event_types", "a short list that only another version of Kehu changes"),
];

#[test]
fn every_list_can_be_exported() {
    let document = openapi::document();
    let mut pages = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
            let Some(pointer) = schema.as_str().and_then(|reference| reference.strip_prefix('#')) else { continue };
            let fields = &document.pointer(pointer).unwrap()["properties"];
            if fields.get("items").is_some() && fields.get("next_cursor").is_some() {
                pages.insert(operation["operationId"].as_str().unwrap());
            }
        }
    }
    let known: BTreeSet<&str> = ExportList::ALL.iter().map(|list| list.as_str()).collect();
    let excused: BTreeSet<&str> = NOT_EXPORTED.iter().map(|(list, _)| *list).collect();
    assert!(known.is_disjoint(&excused));
    assert_eq!(known.union(&excused).copied().collect::<BTreeSet<_>>(), pages, "ExportList and the pages of the document");
}

/// Every list can be opened, and every one has columns, of which none stands twice.
#[test]
fn every_list_has_columns() {
    for list in ExportList::ALL {
        let operation = openapi::operation(list.as_str()).unwrap();
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let parameters = operation.value["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").map(|parameter| &parameter["name"]);
        let mut filter: serde_json::Map<String, Value> =
            in_path.map(|name| (name.as_str().unwrap().to_owned(), json!(id))).collect();
        if *list == ExportList::SearchCustomers {
            filter.insert("q".into(), json!("x"));
        }
        let columns = (kehu_api::export::SOURCE.open)(*list, &filter).unwrap().columns;
        let names: BTreeSet<String> = columns.iter().map(kehu_intake::export::Column::name).collect();
        assert!(columns.len() > 1 && names.len() == columns.len(), "{list}: {names:?}");
    }
}

/// Asks for an export; its path.
pub async fn ask(client: &Client<'_>, wish: Value) -> String {
    let mut wish = wish;
    wish.as_object_mut().unwrap().entry("purpose").or_insert_with(|| json!("report"));
    let asked = client.post("/v1/exports", wish).await.expect(202);
    assert_eq!((&asked["state"], &asked["download_url"]), (&json!("queued"), &Value::Null));
    format!("/v1/exports/{}", asked["id"].as_str().unwrap())
}

/// Makes an export and fetches its file.
async fn file(app: &App, client: &Client<'_>, wish: Value) -> Vec<u8> {
    let path = ask(client, wish).await;
    app.run_jobs();
    let made = client.get(&path).await.expect(200);
    assert_eq!(made["state"], "ready", "{made}");
    let answer = app.stranger().get(made["download_url"].as_str().unwrap()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(made["size_bytes"], answer.bytes.len());
    answer.bytes
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All items of a list, page by page.
async fn items(client: &Client<'_>, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}{}limit=3{cursor}", if path.contains('?') { '&' } else { '?' })).await.expect(200);
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

async fn a_file_shows_each_role_what_the_list_shows(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (mut made, mut account) = (Vec::new(), String::new());
    let product = json!({ "code": "SAV", "name": "Savings", "category": "deposit", "currency": "CNY" });
    admin.post("/v1/products", product).await.expect(201);
    for (n, branch) in ["SH", "SH-1", "BJ", "HO", "SH-1", "BJ", "SH"].into_iter().enumerate() {
        let one = person(&admin, &format!("王{n}"), Some(&ids[branch])).await;
        account = ledger::account(&admin, &format!("622200000000000{n}"), branch, "-12.50").await;
        admin.post("/v1/account-links", ledger::owner(&account, one["id"].as_str().unwrap(), true, None)).await.expect(201);
        made.push(one);
    }
    let phone = json!({ "kind": "phone", "value": "13800138000" });
    admin.post(&path(&made[1], "/contact-points"), phone).await.expect(201);
    let document = json!({ "type": "resident_id", "number": resident_id("31010119900307123") });
    admin.post(&path(&made[1], "/identities"), document).await.expect(201);
    let customer = made[1]["id"].as_str().unwrap();
    let lists = [
        ("list_customers", json!({}), "/v1/customers".to_owned()),
        ("list_customers", json!({ "branch": "SH", "sort": "number" }), "/v1/customers?branch=SH&sort=number".to_owned()),
        ("list_customers", json!({ "q": "王" }), "/v1/customers?q=%E7%8E%8B".to_owned()),
        ("list_account_links", json!({}), "/v1/account-links".to_owned()),
        ("list_accounts", json!({ "category": "deposit" }), "/v1/accounts?category=deposit".to_owned()),
        ("list_account_customers", json!({ "account_id": account }), format!("/v1/accounts/{account}/customers")),
        ("list_customer_identities", json!({ "customer_id": customer }), path(&made[1], "/identities")),
        ("list_customer_contact_points", json!({ "customer_id": customer }), path(&made[1], "/contact-points")),
        ("list_customer_tags", json!({ "customer_id": customer }), path(&made[1], "/tags")),
        ("get_customer_history", json!({ "customer_id": customer }), path(&made[1], "/history")),
        ("get_customer_timeline", json!({ "customer_id": customer }), path(&made[1], "/timeline")),
        ("list_branches", json!({}), "/v1/branches".to_owned()),
    ];
    let callers = [
        app.role_at("branch_manager", "SH-1"),
        app.role_at("branch_manager", "BJ"),
        app.role_at("marketer", "SH"),
        app.role("analyst"),
        app.role("data_steward"),
        app.role("auditor"),
    ];
    let mut compared = 0;
    for caller in &callers {
        // The purpose of the export is the purpose of the reads.
        let caller = caller.with("X-Purpose", "report");
        for (list, filter, path) in &lists {
            let wish = json!({ "list": list, "filter": filter, "format": "ndjson" });
            if caller.get(path).await.status != 200 {
                let refused = caller.post("/v1/exports", wish).await.status;
                assert!(matches!(refused, 403 | 404 | 422), "{list}: {refused}");
                continue;
            }
            let expected = items(&caller, path).await;
            let found = lines(&file(&app, &caller, wish).await);
            assert_eq!(found, expected, "{list} {filter}");
            compared += found.len();
        }
    }
    assert!(compared > 150, "{compared}");
}

async fn hostile_texts_come_back_from_every_format(app: App) {
    let admin = app.role("administrator");
    let names =
        ["=HYPERLINK(\"http://x\",\"y\")", "+1 和", "a,b;\"c\"", "@SUM(1)", "𠮷野 🙂", "-5", "O'Brien\u{2028}x", "ＡＢＣ"];
    for name in names {
        company(&admin, name).await;
    }
    let wish = |format: &str| json!({ "list": "list_customers", "format": format, "byte_order_mark": true });
    let expected = items(&admin, "/v1/customers").await;
    let csv = file(&app, &admin, wish("csv")).await;
    assert!(csv.starts_with(b"\xef\xbb\xbfid,number,"));
    let mut reader = csv::Reader::from_reader(&csv[3..]);
    let headers = reader.headers().unwrap().clone();
    let place = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), names.len());
    for (row, customer) in rows.iter().zip(&expected) {
        let name = customer["organisation"]["legal_name"].as_str().unwrap();
        let risky = name.starts_with(['=', '+', '@']);
        assert_eq!(&row[place("organisation.legal_name")], if risky { format!("'{name}") } else { name.to_owned() });
        assert_eq!(row[place("id")], *customer["id"].as_str().unwrap());
        assert_eq!(row[place("version")], customer["version"].to_string());
        assert_eq!(&row[place("personal.full_name")], "");
    }
    assert_eq!(lines(&file(&app, &admin, wish("ndjson")).await), expected);
    let bytes = file(&app, &admin, wish("parquet")).await;
    let mut path = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut path, &bytes).unwrap();
    let reader = SerializedFileReader::new(path.reopen().unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns: Vec<String> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
    assert_eq!(columns, headers.iter().collect::<Vec<_>>());
    let rows: Vec<Vec<(String, Field)>> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().into_columns()).collect();
    assert_eq!(rows.len(), names.len());
    for (row, customer) in rows.iter().zip(&expected) {
        let field = |name: &str| row.iter().find(|(column, _)| column == name).unwrap().1.clone();
        assert_eq!(field("organisation.legal_name"), Field::Str(customer["organisation"]["legal_name"].as_str().unwrap().into()));
        assert_eq!(field("version"), Field::Long(customer["version"].as_i64().unwrap()));
        assert_eq!(field("personal.full_name"), Field::Null);
        let at: kehu_kernel::Instant = serde_json::from_value(customer["created_at"].clone()).unwrap();
        assert_eq!(field("created_at"), Field::TimestampMicros(at.micros()));
    }
}

async fn a_wrong_wish_is_told_at_once(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let elsewhere = person(&admin, "Elsewhere", Some(&ids["BJ"])).await;
    let wish = |list: &str, filter: Value| json!({ "list": list, "filter": filter, "format": "csv", "purpose": "report" });
    for (wish, pointers) in [
        (wish("list_nothing", json!({})), vec!["/list"]),
        (wish("list_customers", json!({ "colour": "red" })), vec!["/filter/colour"]),
        (wish("list_customers", json!({ "status": "asleep" })), vec!["/filter/status"]),
        (wish("list_customers", json!({ "limit": 5 })), vec!["/filter/limit"]),
        (wish("list_customers", json!({ "q": "x".repeat(300) })), vec!["/filter/q"]),
        (wish("list_customers", json!({ "q": { "a": 1 } })), vec!["/filter/q"]),
        (wish("list_customer_tags", json!({})), vec!["/filter/customer_id"]),
        (wish("list_customer_tags", json!({ "customer_id": "x" })), vec!["/filter/customer_id"]),
        (wish("search_customers", json!({ "q": "" })), vec!["/filter/q"]),
        (json!({ "list": "list_customers", "format": "csv" }), vec!["/purpose"]),
        (json!({ "list": "list_customers", "format": "xls", "purpose": "x" }), vec!["/format"]),
        (json!({ "list": "list_customers", "format": "csv", "purpose": "x", "columns": [] }), vec!["/columns"]),
        (json!({ "list": "list_customers", "format": "csv", "purpose": "x", "columns": ["id", "ids"] }), vec!["/columns/1"]),
    ] {
        assert_eq!(admin.post("/v1/exports", wish.clone()).await.pointers(422), pointers, "{wish}");
    }
    // Neither the right to export nor the right to read is enough alone.
    assert_eq!(app.role("teller").post("/v1/exports", wish("list_customers", json!({}))).await.problem(403), "forbidden");
    assert_eq!(app.role("marketer").post("/v1/exports", wish("list_imports", json!({}))).await.problem(403), "forbidden");
    let there = wish("list_customer_tags", json!({ "customer_id": elsewhere["id"] }));
    assert_eq!(app.role_at("marketer", "SH").post("/v1/exports", there.clone()).await.problem(404), "not_found");
    app.role_at("marketer", "BJ").post("/v1/exports", there).await.expect(202);
}

async fn rights_are_asked_again_when_the_job_runs(app: App) {
    let admin = app.role("administrator");
    let grant = |action: &str| json!({ "action": action, "depth": "all" });
    let role = json!({ "code": "exporter", "name": "Exporter", "field_classes": ["public"],
        "grants": [grant("customer.read"), grant("export.create")] });
    let role = admin.post("/v1/roles", role).await.expect(201);
    let ids = branches(&admin).await;
    company(&admin, "One").await;
    let staff = json!({ "employee_no": "E7", "name": "Seven", "branch_id": ids["HO"], "roles": ["exporter"] });
    admin.post("/v1/staff", staff).await.expect(201);
    let seven = app.token(sign(json!({ "sub": "E7" })));
    let wish = json!({ "list": "list_customers", "format": "csv" });
    let ready = ask(&seven, wish.clone()).await;
    app.run_jobs();
    let link = seven.get(&ready).await.expect(200)["download_url"].as_str().unwrap().to_owned();
    assert_eq!(app.stranger().get(&link).await.status, 200);
    let waiting = ask(&seven, wish.clone()).await;
    let less = json!({ "grants": [grant("export.create")] });
    let path = format!("/v1/roles/{}", role["id"].as_str().unwrap());
    let role = admin.patch(&path, role["version"].as_i64().unwrap(), less).await.expect(200);
    app.run_jobs();
    let failed = seven.get(&waiting).await.expect(200);
    assert_eq!((&failed["state"], &failed["rows_done"], &failed["download_url"]), (&json!("failed"), &json!(0), &Value::Null));
    assert!(failed["error"].as_str().unwrap().contains("customer.read"), "{failed}");
    // What is ready is handed out as long as its asker may export.
    assert_eq!(app.stranger().get(&link).await.status, 200);
    let none = json!({ "grants": [grant("customer.read")] });
    admin.patch(&path, role["version"].as_i64().unwrap(), none).await.expect(200);
    assert_eq!(app.stranger().get(&link).await.problem(403), "forbidden");
    // Whoever was deactivated takes nothing out.
    let gone = app.token(sign(json!({ "sub": "E7", "roles": ["administrator"] })));
    let waiting = ask(&gone, wish).await;
    let staff = admin.get("/v1/staff?employee_no=E7").await.expect(200)["items"][0].clone();
    let path = format!("/v1/staff/{}/deactivate", staff["id"].as_str().unwrap());
    admin.command(&path, staff["version"].as_i64().unwrap(), json!({ "reason": "left" })).await.expect(200);
    app.run_jobs();
    assert_eq!(admin.get(&waiting).await.expect(200)["state"], "failed");
}

async fn who_took_what_out_is_recorded(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (person(&admin, "One", None).await, person(&admin, "Other", None).await);
    let wish =
        json!({ "list": "list_customers", "filter": { "number": one["number"] }, "format": "csv", "purpose": "the regulator" });
    let made = file(&app, &app.role("analyst"), wish).await;
    assert!(!made.is_empty());
    let log = app.role("auditor").get(&path(&one, "/access-log")).await.expect(200);
    let entry = &log["items"][0];
    assert_eq!((&entry["resource"], &entry["action"]), (&json!("export"), &json!("export.create")));
    assert_eq!((&entry["actor"], &entry["purpose"]), (&json!("test-analyst"), &json!("the regulator")));
    assert!(entry["fields"].as_array().unwrap().contains(&json!("display_name")), "{entry}");
    let nothing = app.role("auditor").get(&path(&other, "/access-log")).await.expect(200);
    assert_eq!(nothing["items"], json!([]), "it was not in the file");
    let export: AnyId = entry["resource_id"].as_str().unwrap().parse().unwrap();
    let count = |table: &str, condition: &str| filler::count(&app.store, table, condition, export);
    assert_eq!(count("events", "r.kind = 'export.requested' AND r.subject_id = $1"), 1);
    assert_eq!(count("events", "r.kind = 'export.finished' AND r.subject_id = $1"), 1);
    assert_eq!(count("access_log", "r.action = 'export.download' AND r.resource_id = $1"), 1);
    assert_eq!(count("access_log", "r.customer_id IS NULL AND r.action = 'export.create' AND r.resource_id = $1"), 1);
}

async fn an_erased_customer_is_in_no_file(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    person(&admin, "Other", None).await;
    let all = ask(&admin, json!({ "list": "list_customers", "format": "ndjson" })).await;
    let other = ask(&admin, json!({ "list": "list_customers", "filter": { "q": "Other" }, "format": "ndjson" })).await;
    app.run_jobs();
    let link = admin.get(&all).await.expect(200)["download_url"].as_str().unwrap().to_owned();
    let officer = app.role("privacy_officer");
    let version = one["version"].as_i64().unwrap();
    officer.command(&path(&one, "/privacy/erasure"), version, json!({ "reason": "request" })).await.expect(200);
    assert_eq!(app.stranger().get(&link).await.problem(404), "not_found");
    assert_eq!(admin.get(&all).await.expect(200)["state"], "cancelled");
    assert_eq!(admin.get(&other).await.expect(200)["state"], "ready");
}

async fn chosen_columns_alone_are_in_the_file(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let one = person(&admin, "One", Some(&ids["SH"])).await;
    let wish = |format: &str| json!({ "list": "list_customers", "format": format, "columns": ["number", "home_branch", "owner.label", "number"] });
    let text = String::from_utf8(file(&app, &admin, wish("csv")).await).unwrap();
    let (number, branch) = (one["number"].as_str().unwrap(), ids["SH"].as_str().unwrap());
    let label = one["home_branch"]["label"].as_str().unwrap();
    assert_eq!(text, format!("number,home_branch.id,home_branch.label,owner.label\r\n{number},{branch},{label},\r\n"));
    let found = lines(&file(&app, &admin, wish("ndjson")).await);
    assert_eq!(found, [json!({ "number": number, "home_branch": one["home_branch"], "owner": null })]);
    // An empty list is a header.
    let none = json!({ "list": "list_customers", "filter": { "status": "lost" }, "format": "csv", "columns": ["id"] });
    assert_eq!(file(&app, &admin, none).await, b"id\r\n");
}
