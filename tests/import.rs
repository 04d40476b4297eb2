//! `/v1/source-systems`, `/v1/mappings`, `/v1/imports`

use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{App, Client},
};

both_databases!(
    source_systems_are_defined_and_changed,
    a_mapping_says_where_it_is_wrong,
    files_come_in_whatever_their_order,
    the_same_files_again_change_nothing,
    broken_rows_are_named_corrected_and_replayed,
    a_rejected_row_shows_its_numbers_to_few,
    encodings_quotes_and_line_breaks,
    a_preview_writes_nothing,
    parked_rows_attach_when_their_parent_comes,
    an_import_is_taken_back_unless_it_is_in_use,
    uploads_that_are_no_uploads,
    a_file_without_the_columns_fails_before_anything_is_written
);

const BOUNDARY: &str = "----kehu-test";

/// A form of texts and files.
fn form(texts: &[(&str, &str)], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in texts {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    for (name, content) in files {
        let head = format!("Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"");
        let head = format!("--{BOUNDARY}\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// A mapping of branches and customers, with whatever the test adds.
pub(crate) fn mapping() -> Value {
    json!({
        "code": "small", "name": "A small bank",
        "document": {
            "version": 1,
            "null_tokens": ["", "?"],
            "code_tables": { "sex": { "entries": { "M": "male", "F": "female" } } },
            "records": [{ "feed": "branches", "record": { "code": "HO", "name": "Head office", "level": "head_office" } }],
            "files": [
                { "pattern": "branches*.csv", "feeds": [{ "feed": "branches", "fields": {
                    "code": "code", "name": "name", "level": { "constant": "outlet" },
                    "parent_code": { "column": "parent", "default": "HO" },
                } }] },
                { "pattern": "clients*.csv", "feeds": [{ "feed": "customers", "only": [{ "column": "status", "none_of": ["X"] }],
                    "fields": {
                        "source_id": "id", "kind": { "constant": "personal" }, "full_name": "name",
                        "gender": { "column": "sex", "transforms": ["upper", { "code": "sex" }] },
                        "birth_date": { "column": "born", "transforms": [{ "date": { "pattern": "DD.MM.YYYY" } }] },
                        "branch_code": "branch",
                    } }] },
                { "pattern": "gb*.csv", "format": { "encoding": "gb18030" }, "feeds": [{ "feed": "customers", "fields": {
                    "source_id": "编号", "full_name": "姓名" } }] },
                { "pattern": "utf16*.csv", "format": { "encoding": "utf-16le", "separator": "\t" }, "feeds": [{ "feed": "customers",
                    "fields": { "source_id": "编号", "full_name": "姓名" } }] },
            ],
        },
    })
}

const CLIENTS: &str =
    "id,name,sex,born,branch,status\n1,Jan Novák,m,02.01.1970,B1,A\n2,Eva Malá,F,29.02.1980,B1,A\n3,Gone,M,01.01.1950,B1,X\n";
const BRANCHES: &str = "code,name,parent\nB1,First,\n";

/// A source system and the mapping: the id of the mapping.
pub(crate) async fn prepare(admin: &Client<'_>, mapping: Value) -> String {
    admin.post("/v1/source-systems", json!({ "code": "core", "name": "Core" })).await.expect(201);
    admin.post("/v1/mappings", mapping).await.expect(201)["id"].as_str().unwrap().to_owned()
}

/// Uploads files and works on them.
pub(crate) async fn import(app: &App, mapping_id: &str, files: &[(&str, &str)]) -> Value {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    upload(app, mapping_id, &files, &[]).await
}

/// Uploads files of bytes, with further texts.
pub(crate) async fn upload(app: &App, mapping_id: &str, files: &[(&str, &[u8])], texts: &[(&str, &str)]) -> Value {
    let admin = app.role("administrator");
    let texts = [&[("source_system", "core"), ("mapping_id", mapping_id)], texts].concat();
    let media = format!("multipart/form-data; boundary={BOUNDARY}");
    let made = admin.send(Method::POST, "/v1/imports", Some((&media, form(&texts, files)))).await.expect(201);
    app.run_jobs();
    admin.get(&path(&made)).await.expect(200)
}

pub(crate) fn path(import: &Value) -> String {
    format!("/v1/imports/{}", import["id"].as_str().unwrap())
}

/// Read, created, updated, unchanged, rejected, parked.
pub(crate) fn counts(import: &Value) -> [i64; 6] {
    assert!(import["state"] == "done", "{import:#}");
    ["read", "created", "updated", "unchanged", "rejected", "parked"].map(|name| import["counts"][name].as_i64().unwrap())
}

pub(crate) async fn errors(app: &App, import: &Value) -> Vec<Value> {
    let page = app.role("administrator").get(&format!("{}/errors", path(import))).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

/// An import with one rejected row, which holds numbers: the row as an administrator is shown it.
pub async fn one_rejected_row(app: &App) -> Value {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping()).await;
    let clients = "id,name,sex,born,branch,status\n11010519491231002X,Card 6222 0212 3456 3456,Z,02.01.1970,,A\n";
    let done = import(app, &id, &[("clients.csv", clients)]).await;
    errors(app, &done).await[0].clone()
}

async fn a_rejected_row_shows_its_numbers_to_few(app: App) {
    use diesel::{QueryDsl, RunQueryDsl};
    use kehu_kernel::schema::source_records;
    let admin = app.role("administrator");
    let row = one_rejected_row(&app).await;
    let record = &row["record"];
    assert_eq!(
        (&record["id"], &record["name"], &record["born"]),
        (&json!("****1002X"), &json!("Card ****3456"), &json!("02.01.1970"))
    );
    let grant = |action: &str| json!({ "action": action, "depth": "all" });
    let grants: Vec<Value> = ["import.read", "import.manage", "customer.reveal"].map(grant).into();
    let role = json!({ "code": "repairer", "name": "Repairer", "field_classes": ["public", "internal"], "grants": grants });
    admin.post("/v1/roles", role).await.expect(201);
    let imports = admin.get("/v1/imports").await.expect(200)["items"][0].clone();
    let seen = app.role("repairer").get(&format!("{}/errors", path(&imports))).await.expect(200);
    assert_eq!(seen["items"][0]["record"]["id"], "11010519491231002X");
    // What was shown masked and comes back so is what was kept.
    let mut corrected = record.clone();
    corrected["sex"] = json!("F");
    let body = json!({ "rows": [{ "id": row["id"], "record": corrected }] });
    let version = imports["version"].as_i64().unwrap();
    admin.command(&format!("{}/replay", path(&imports)), version, body).await.expect(200);
    let kept = app.store.read(|conn| Ok(source_records::table.select(source_records::source_id).load(&mut conn.db)?));
    let kept: Vec<String> = kept.await.unwrap();
    assert_eq!(kept, ["11010519491231002X".to_owned()]);
}

async fn customers(app: &App) -> i64 {
    use diesel::{QueryDsl, RunQueryDsl};
    use kehu_kernel::schema::customers;
    app.store.read(|conn| Ok(customers::table.count().get_result(&mut conn.db)?)).await.unwrap()
}

async fn source_systems_are_defined_and_changed(app: App) {
    let admin = app.role("administrator");
    let new = json!({ "code": "core", "name": "Core", "precedence": { "contact": 5 } });
    let made = admin.post("/v1/source-systems", new.clone()).await.expect(201);
    assert_eq!(admin.post("/v1/source-systems", new).await.problem(409), "source_system_code_taken");
    let at = format!("/v1/source-systems/{}", made["id"].as_str().unwrap());
    let changed = admin.patch(&at, 1, json!({ "active": false })).await.expect(200);
    assert_eq!((&changed["active"], &changed["precedence"]["contact"]), (&json!(false), &json!(5)));
    assert_eq!(admin.patch(&at, 1, json!({ "name": "x" })).await.problem(412), "precondition_failed");
    let wrong = json!({ "code": "a b", "name": "", "precedence": { "contact": 5000 } });
    assert_eq!(admin.post("/v1/source-systems", wrong).await.pointers(422), ["/code", "/name", "/precedence"]);
    assert_eq!(admin.get("/v1/source-systems").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let mapping = admin.post("/v1/mappings", mapping()).await.expect(201);
    let texts = [("source_system", "core"), ("mapping_id", mapping["id"].as_str().unwrap())];
    let media = format!("multipart/form-data; boundary={BOUNDARY}");
    let body = form(&texts, &[("clients.csv", b"id\n")]);
    assert_eq!(admin.send(Method::POST, "/v1/imports", Some((&media, body))).await.pointers(422), ["/source_system"]);
}

async fn a_mapping_says_where_it_is_wrong(app: App) {
    let admin = app.role("administrator");
    let mut wrong = mapping();
    wrong["document"]["files"][1]["feeds"][0]["fields"]["shoe_size"] = json!("id");
    wrong["document"]["files"][1]["feeds"][0]["fields"]["gender"]["transforms"][1] = json!({ "code": "none" });
    let at = "/document/files/1/feeds/0/fields";
    assert_eq!(
        admin.post("/v1/mappings", wrong).await.pointers(422),
        [format!("{at}/gender/transforms/1/code"), format!("{at}/shoe_size")]
    );
    let mut unknown = mapping();
    unknown["document"]["files"][0]["delimiter"] = json!(";");
    assert_eq!(admin.post("/v1/mappings", unknown).await.pointers(422), ["/document/files/0/delimiter"]);
    let first = admin.post("/v1/mappings", mapping()).await.expect(201);
    let second = admin.post("/v1/mappings", mapping()).await.expect(201);
    assert_eq!((&first["revision"], &second["revision"]), (&json!(1), &json!(2)));
    let listed = admin.get("/v1/mappings?code=small&include_total=true").await.expect(200);
    assert_eq!(listed["total"], 2);
    let at = format!("/v1/mappings/{}", second["id"].as_str().unwrap());
    assert_eq!(admin.get(&at).await.expect(200)["document"], mapping()["document"]);
}

async fn files_come_in_whatever_their_order(app: App) {
    let id = prepare(&app.role("administrator"), mapping()).await;
    let done = import(&app, &id, &[("clients.csv", CLIENTS), ("branches.csv", BRANCHES)]).await;
    // Four rows of files and one record of the mapping; the customer with status X is not meant.
    assert_eq!(counts(&done), [5, 4, 0, 0, 0, 0]);
    let names: Vec<&str> = done["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names[1..], ["branches.csv", "clients.csv"]);
    assert!(done["files"].as_array().unwrap().iter().all(|file| file["done"] == true && file["rows_done"] == file["rows_total"]));
    assert_eq!(customers(&app).await, 2);
    // Each file in an import of its own, the wrong way round.
    let mut reversed = mapping();
    reversed["document"]["files"].as_array_mut().unwrap().swap(0, 1);
    reversed["document"]["records"] = json!([]);
    let other = app.role("administrator").post("/v1/mappings", reversed).await.expect(201);
    let other = other["id"].as_str().unwrap();
    let more = "id,name,sex,born,branch,status\n9,Late Branch,M,01.01.1990,B9,A\n";
    let done = import(&app, other, &[("clients.csv", more), ("branches.csv", "code,name,parent\nB9,Ninth,\n")]).await;
    assert_eq!(counts(&done), [2, 2, 0, 0, 0, 0]);
}

async fn the_same_files_again_change_nothing(app: App) {
    let id = prepare(&app.role("administrator"), mapping()).await;
    let files = [("branches.csv", BRANCHES), ("clients.csv", CLIENTS)];
    assert_eq!(counts(&import(&app, &id, &files).await), [5, 4, 0, 0, 0, 0]);
    assert_eq!(counts(&import(&app, &id, &files).await), [5, 0, 0, 4, 0, 0]);
    let moved = CLIENTS.replace("Jan Novák", "Jan Nový");
    assert_eq!(counts(&import(&app, &id, &[("clients.csv", &moved)]).await), [4, 0, 1, 2, 0, 0]);
    assert_eq!(customers(&app).await, 2);
}

async fn broken_rows_are_named_corrected_and_replayed(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping()).await;
    let clients = "id,name,sex,born,branch,status\n\
        1,Good One,M,02.01.1970,,A\n\
        2,\"Two\nLines\",Z,31.02.1980,,A\n\
        3,Too Few,M\n\
        ,No Id,F,01.01.1990,,A\n";
    let done = import(&app, &id, &[("clients.csv", clients)]).await;
    assert_eq!(counts(&done), [5, 2, 0, 0, 3, 0]);
    let rows = errors(&app, &done).await;
    let shape: Vec<(i64, i64, &str)> = rows
        .iter()
        .map(|row| (row["row"].as_i64().unwrap(), row["line"].as_i64().unwrap(), row["feed"].as_str().unwrap()))
        .collect();
    assert!(
        shape.contains(&(2, 3, "customers")) && shape.contains(&(3, 5, "*")) && shape.contains(&(4, 6, "customers")),
        "{shape:?}"
    );
    let of = |number: i64| rows.iter().find(|row| row["row"] == number).unwrap().clone();
    let mut told: Vec<(String, String)> = of(2)["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["column"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned()))
        .collect();
    told.sort();
    assert_eq!(told, [("born".to_owned(), "impossible_date".to_owned()), ("sex".into(), "unknown_code".into())]);
    assert_eq!(of(3)["errors"][0]["code"], "wrong_column_count");
    assert_eq!((&of(2)["record"]["name"], &of(4)["errors"][0]["column"]), (&json!("Two\nLines"), &json!("id")));
    // As they are, they stay rejected.
    let version = done["version"].as_i64().unwrap();
    let again = admin.command(&format!("{}/replay", path(&done)), version, json!({})).await.expect(200);
    assert_eq!(counts(&again), [5, 2, 0, 0, 3, 0]);
    let mut second = of(2)["record"].clone();
    second["sex"] = json!("F");
    second["born"] = json!("28.02.1980");
    let third = json!({ "id": "3", "name": "Enough Now", "sex": "M", "born": "01.01.1960", "branch": "", "status": "A" });
    let corrections = json!({ "rows": [{ "id": of(2)["id"], "record": second }, { "id": of(3)["id"], "record": third }] });
    let version = again["version"].as_i64().unwrap();
    let stale = admin.command(&format!("{}/replay", path(&done)), version - 1, corrections.clone()).await;
    assert_eq!(stale.problem(412), "precondition_failed");
    let replayed = admin.command(&format!("{}/replay", path(&done)), version, corrections).await.expect(200);
    assert_eq!(counts(&replayed), [5, 4, 0, 0, 1, 0]);
    assert_eq!(customers(&app).await, 3);
    assert_eq!(errors(&app, &done).await.len(), 1);
    let strange = json!({ "rows": [{ "id": of(2)["id"] }] });
    let version = replayed["version"].as_i64().unwrap();
    assert_eq!(admin.command(&format!("{}/replay", path(&done)), version, strange).await.pointers(422), ["/rows/0/id"]);
}

async fn encodings_quotes_and_line_breaks(app: App) {
    let id = prepare(&app.role("administrator"), mapping()).await;
    let gb: &[u8] = b"\xb1\xe0\xba\xc5,\xd0\xd5\xc3\xfb\r\nG1,\xd5\xc5\xc8\xfd\r\nG2,\"\xc0\xee, \"\"\xcb\xc4\"\"\"\r\n";
    let utf16: Vec<u8> = "\u{feff}编号\t姓名\nU1\t王五\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{CLIENTS}");
    let files: [(&str, &[u8]); 4] =
        [("gb.csv", gb), ("utf16.csv", &utf16), ("branches.csv", BRANCHES.as_bytes()), ("clients.csv", marked.as_bytes())];
    let done = upload(&app, &id, &files, &[]).await;
    assert_eq!(counts(&done), [8, 7, 0, 0, 0, 0]);
    use diesel::{QueryDsl, RunQueryDsl};
    use kehu_kernel::schema::personal_profiles as profiles;
    let names: Vec<String> =
        app.store.read(|conn| Ok(profiles::table.select(profiles::full_name).load(&mut conn.db)?)).await.unwrap();
    for name in ["张三", "李, \"四\"", "王五", "Jan Novák"] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    let wrong: (&str, &[u8]) = ("clients2.csv", b"id,name,sex,born,branch,status\n7,\xd5\xc5\xc8\xfd,M,01.01.1990,,A\n");
    let done = upload(&app, &id, &[wrong], &[]).await;
    assert_eq!(counts(&done)[4], 1);
    let row = &errors(&app, &done).await[0];
    assert_eq!((&row["errors"][0]["code"], &row["errors"][0]["column"]), (&json!("invalid_encoding"), &json!("name")));
}

async fn a_preview_writes_nothing(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping()).await;
    let files: [(&str, &[u8]); 2] = [
        ("clients.csv", b"id,name,sex,born,branch,status\n1,A B,M,02.01.1970,,A\n2,C D,Z,,,A\n3\n"),
        ("branches.csv", BRANCHES.as_bytes()),
    ];
    let seen = upload(&app, &id, &files, &[("preview_only", "true")]).await;
    assert_eq!((&seen["state"], &seen["counts"]["created"]), (&json!("previewed"), &json!(0)));
    let clients = &seen["preview"]["files"][2];
    assert_eq!((&clients["name"], &clients["rows"], &clients["broken"]), (&json!("clients.csv"), &json!(3), &json!(1)));
    assert_eq!(clients["feeds"], json!([{ "feed": "customers", "records": 1, "rejected": 1, "matches": [] }]));
    let codes: Vec<&str> =
        clients["errors"].as_array().unwrap().iter().map(|error| error["error"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unknown_code", "wrong_column_count"]);
    let samples = seen["preview"]["samples"].as_array().unwrap();
    assert!(samples.iter().any(|sample| sample["record"]["full_name"] == "A B"), "{samples:?}");
    assert_eq!(customers(&app).await, 0);
    let version = seen["version"].as_i64().unwrap();
    let revert = admin.command(&format!("{}/revert", path(&seen)), version, json!({})).await;
    assert_eq!(revert.problem(409), "import_state");
    admin.command(&format!("{}/run", path(&seen)), version, json!({})).await.expect(202);
    app.run_jobs();
    let done = admin.get(&path(&seen)).await.expect(200);
    assert_eq!(counts(&done), [5, 3, 0, 0, 2, 0]);
    let stream = admin.send_for(Duration::from_secs(5), Method::GET, &format!("{}/progress", path(&seen)), None).await;
    let text = String::from_utf8(stream.bytes).unwrap();
    assert!(text.starts_with("event: progress\ndata: {\"state\":\"done\",\"rows_done\":5,\"rows_total\":5"), "{text}");
}

async fn parked_rows_attach_when_their_parent_comes(app: App) {
    let id = prepare(&app.role("administrator"), mapping()).await;
    let parked = import(&app, &id, &[("branches.csv", "code,name,parent\nB2,Second,P1\n")]).await;
    assert_eq!(counts(&parked), [2, 1, 0, 0, 0, 1]);
    let waiting = &errors(&app, &parked).await[0];
    assert_eq!((&waiting["state"], &waiting["errors"][0]["code"]), (&json!("parked"), &json!("waiting")));
    let mut other = mapping();
    other["document"]["files"][0]["feeds"][0]["fields"]["level"] = json!({ "constant": "province_branch" });
    let other = app.role("administrator").post("/v1/mappings", other).await.expect(201);
    let done = import(&app, other["id"].as_str().unwrap(), &[("branches.csv", "code,name,parent\nP1,Province,\n")]).await;
    assert_eq!(counts(&done), [2, 1, 0, 1, 0, 0]);
    let attached = app.role("administrator").get(&path(&parked)).await.expect(200);
    assert_eq!(counts(&attached), [2, 2, 0, 0, 0, 0]);
    assert!(errors(&app, &parked).await.is_empty());
}

async fn an_import_is_taken_back_unless_it_is_in_use(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping()).await;
    let branches = import(&app, &id, &[("branches.csv", BRANCHES)]).await;
    let clients = import(&app, &id, &[("clients.csv", CLIENTS)]).await;
    let revert = async |import: &Value| {
        let now = admin.get(&path(import)).await.expect(200);
        admin.command(&format!("{}/revert", path(import)), now["version"].as_i64().unwrap(), json!({})).await
    };
    let refused = revert(&branches).await;
    let detail = serde_json::from_slice::<Value>(&refused.bytes).unwrap()["detail"].to_string();
    assert!(detail.contains("by customers"), "{detail}");
    assert_eq!(refused.problem(409), "import_in_use");
    assert_eq!(admin.get(&path(&branches)).await.expect(200)["state"], "done");
    assert_eq!(revert(&clients).await.expect(200)["state"], "reverted");
    assert_eq!(customers(&app).await, 0);
    assert_eq!(revert(&branches).await.expect(200)["state"], "reverted");
    assert!(admin.get("/v1/branches").await.expect(200)["items"].as_array().unwrap().is_empty());
    assert_eq!(revert(&branches).await.problem(409), "import_state");
    // What was taken back can come again.
    assert_eq!(counts(&import(&app, &id, &[("branches.csv", BRANCHES), ("clients.csv", CLIENTS)]).await), [5, 4, 0, 0, 0, 0]);
}

async fn uploads_that_are_no_uploads(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping()).await;
    let media = format!("multipart/form-data; boundary={BOUNDARY}");
    let send = async |texts: &[(&str, &str)], files: &[(&str, &[u8])]| {
        admin.send(Method::POST, "/v1/imports", Some((&media, form(texts, files)))).await
    };
    assert_eq!(send(&[], &[]).await.pointers(422), ["/files", "/mapping_id", "/source_system"]);
    let both = [("source_system", "core"), ("mapping_id", id.as_str())];
    assert_eq!(send(&both, &[("photo.jpg", b"x")]).await.pointers(422), ["/files"]);
    assert_eq!(send(&[both[0], both[1], ("colour", "red")], &[("clients.csv", b"x")]).await.pointers(422), ["/colour"]);
    assert_eq!(send(&[both[0], ("mapping_id", "7")], &[("clients.csv", b"x")]).await.pointers(422), ["/mapping_id"]);
    assert_eq!(
        send(&[both[0], both[1], ("preview_only", "yes")], &[("clients.csv", b"x")]).await.pointers(422),
        ["/preview_only"]
    );
    let json = ("application/json", b"{}".to_vec());
    assert_eq!(admin.send(Method::POST, "/v1/imports", Some(json)).await.problem(415), "unsupported_media_type");
    let mut cut = form(&both, &[("clients.csv", CLIENTS.as_bytes())]);
    cut.truncate(cut.len() - 40);
    assert_eq!(admin.send(Method::POST, "/v1/imports", Some((&media, cut))).await.problem(400), "malformed_request");
    assert!(admin.get("/v1/imports").await.expect(200)["items"].as_array().unwrap().is_empty());
}

async fn a_file_without_the_columns_fails_before_anything_is_written(app: App) {
    let id = prepare(&app.role("administrator"), mapping()).await;
    let failed = import(&app, &id, &[("branches.csv", BRANCHES), ("clients.csv", "id,name\n1,x\n")]).await;
    assert_eq!((&failed["state"], &failed["counts"]["created"]), (&json!("failed"), &json!(0)));
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("clients.csv") && error.contains("\"born\"") && error.contains("\"sex\""), "{error}");
    assert!(app.role("administrator").get("/v1/branches").await.expect(200)["items"].as_array().unwrap().is_empty());
    let endless = format!("{}4,\"never closed{}", CLIENTS, "x".repeat(5 << 20));
    let failed = import(&app, &id, &[("clients.csv", &endless)]).await;
    assert!(failed["error"].as_str().unwrap().contains("quotation mark"), "{}", failed["error"]);
    assert_eq!(customers(&app).await, 0);
}
