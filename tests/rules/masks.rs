//! What masks hide is hidden on every path: all answers of the document are read by callers who reach everything and lack a
//! class of fields, and none may hold a planted value of that class. Operations that come later are read by themselves.

use actix_web::http::Method;
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_kernel::{
    Action, Actor,
    access::{Depth, FieldClass},
};
use kehu_organization::role::{self, CUSTOMER_SELF};
use serde_json::{Value, json};

use super::{
    Operation, operations,
    positions::{Position, World, caller, given},
    sample::{body_of, is, resolved, sample},
};
use crate::{
    both_databases,
    support::{App, Client, sign},
};

both_databases!(no_answer_shows_what_a_role_may_not_see, the_log_of_events_holds_no_numbers);

/// A role that may do everything everywhere and is shown these classes; a caller with it.
fn reader<'a>(app: &'a App, code: &str, classes: &[FieldClass]) -> Client<'a> {
    let grants: Vec<Value> =
        Action::ALL.iter().map(|action| json!({ "action": action.as_str(), "depth": Depth::All.as_str() })).collect();
    let new = json!({ "code": code, "name": code, "grants": grants, "field_classes": classes });
    let made = app
        .store
        .write_blocking(move |tx| role::create(tx, &Actor::system(), serde_json::from_value(new.clone()).unwrap()).map(drop));
    made.unwrap();
    app.token(sign(json!({ "sub": format!("reader-{code}"), "roles": [code] })))
}

/// Whether an operation only reads: what it answers is about what was there before.
fn reads(operation: &Operation) -> bool {
    let verbs = ["search", "lookup", "match", "explain-match", "query", "preview"];
    operation.method == "get" || verbs.iter().any(|verb| operation.path.rsplit('/').next() == Some(verb))
}

/// The queries to try: none, and every value of every parameter that has few.
fn queries(operation: &Operation) -> Vec<String> {
    let mut found = vec![String::new()];
    for parameter in operation.value["parameters"].as_array().into_iter().flatten() {
        let document = kehu_api::openapi::document();
        let reference = parameter.get("$ref").and_then(Value::as_str);
        let pointer = format!("/paths/{}/{}", operation.path.replace('~', "~0").replace('/', "~1"), operation.method);
        let own = || document.pointer(&pointer)?.get("parameters")?.as_array()?.iter().find(|one| *one == parameter);
        let parameter = reference.map_or_else(own, |reference| document.pointer(reference.trim_start_matches('#'))).unwrap();
        if parameter["in"] != "query" {
            continue;
        }
        let (name, schema) = (parameter["name"].as_str().unwrap(), resolved(&parameter["schema"]));
        let schema = if is(schema, "array") { resolved(&schema["items"]) } else { schema };
        let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(values.map(|value| format!("?{name}={value}")));
        if is(schema, "boolean") {
            found.push(format!("?{name}=true"));
        }
    }
    found
}

fn bodies(world: &World, operation: &Operation) -> Vec<Option<Vec<u8>>> {
    let Some(schema) = body_of(operation) else { return vec![None] };
    let texts = |text: &str| Some(json!({ "q": text }).to_string().into_bytes());
    if operation.path.ends_with("/search") && schema.to_string().contains("CustomerSearch") {
        return ["planted", "欧阳", "13912345670"].map(texts).to_vec();
    }
    if operation.path.ends_with("/lookup") {
        let phone = |(class, text): &(FieldClass, String)| (*class == FieldClass::Internal).then(|| json!({ "phone": text }));
        return world.planted.iter().filter_map(phone).take(3).map(|body| Some(body.to_string().into_bytes())).collect();
    }
    vec![Some(sample(schema).to_string().into_bytes())]
}

/// Reads everything once and hands each answer on.
async fn read_all(world: &World, caller: &Client<'_>, mut each: impl FnMut(&str, &str)) -> usize {
    let mut read = 0;
    for operation in operations().iter().filter(|operation| operation.path.starts_with("/v1") && reads(operation)) {
        let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
        for position in [Position::Own, Position::Itself] {
            let path = world
                .concrete(&operation.method, &operation.path, position)
                .unwrap_or_else(|missing| panic!("{}: {missing}", operation.path));
            for query in queries(operation) {
                for body in bodies(world, operation) {
                    let body = body.map(|body| ("application/json", body));
                    let patience = std::time::Duration::from_millis(300);
                    let answer = caller.send_for(patience, method.clone(), &format!("{path}{query}"), body).await;
                    let text = String::from_utf8_lossy(&answer.bytes);
                    assert!(answer.status < 500, "{method} {path}{query}: {text}");
                    read += usize::from(answer.status == 200);
                    each(&format!("{method} {}{query}", operation.path), &text);
                }
            }
        }
    }
    read
}

/// Every list as a file, once the document has exports: asked for, made by a job, fetched by its link.
async fn export_all(app: &App, world: &World, caller: &Client<'_>, mut each: impl FnMut(&str, &str)) -> usize {
    let all = operations();
    let called = |name: &str| all.iter().find(|operation| operation.value["operationId"] == name);
    let Some(schema) = called("create_export").and_then(body_of) else { return 0 };
    let fields = &resolved(schema)["properties"];
    let few = |name: &str| resolved(&fields[name])["enum"].as_array().cloned().unwrap_or_default();
    let format = few("format").into_iter().find(|format| format == "ndjson").expect("a format to be read as text");
    let mut read = 0;
    for list in few("list").iter().filter_map(Value::as_str) {
        let path = &called(list).unwrap_or_else(|| panic!("{list} is no operation")).path;
        let concrete = world.concrete("get", path, Position::Own).unwrap();
        let body = json!({ "list": list, "format": format, "purpose": "a test of masks", "filter": given(path, &concrete) });
        let made = caller.post("/v1/exports", body).await;
        if made.status != 202 {
            continue;
        }
        app.run_jobs();
        let id = made.expect(202)["id"].as_str().unwrap().to_owned();
        let done = caller.get(&format!("/v1/exports/{id}")).await.expect(200);
        let link = done["download_url"].as_str().unwrap_or_else(|| panic!("{list}: {done}"));
        let file = app.stranger().get(&link[link.find("/v1/").unwrap()..]).await;
        assert_eq!(file.status, 200, "{list}");
        read += 1;
        each(&format!("the export of {list}"), &String::from_utf8_lossy(&file.bytes));
    }
    read
}

async fn no_answer_shows_what_a_role_may_not_see(app: App) {
    use FieldClass::{Internal, Public, Secret, Sensitive};
    let world = World::new(&app).await;
    let with_purpose = |caller: Client<'static>| caller.with("X-Purpose", "a test of masks");
    // Tests live as long as their application.
    let app: &'static App = Box::leak(Box::new(app));
    let customer = caller(app, &world, CUSTOMER_SELF);
    let readers: Vec<(&str, Client<'static>, &[FieldClass])> = vec![
        ("public", with_purpose(reader(app, "public", &[Public])), &[Internal, Sensitive, Secret]),
        ("internal", with_purpose(reader(app, "internal", &[Public, Internal])), &[Sensitive, Secret]),
        ("sensitive", with_purpose(reader(app, "sensitive", &[Public, Internal, Sensitive])), &[Secret]),
        ("no purpose", reader(app, "hasty", &[Public, Internal, Sensitive]), &[Sensitive, Secret]),
        ("itself", customer, &[Sensitive, Secret]),
    ];
    let mut leaks = Vec::new();
    for (who, caller, hidden) in &readers {
        let mut look = |path: &str, text: &str| {
            let lacks = world.planted.iter().filter(|(class, _)| hidden.contains(class));
            // Privacy exports are given to customers in the open: all that is held about them is theirs.
            let own = *who == "itself" && path.contains("/privacy-exports/{export_id}/content");
            leaks.extend(
                lacks
                    .filter(|(_, value)| !own && text.contains(value))
                    .map(|(class, value)| format!("{who}: {path}: {class} {value}")),
            );
        };
        let read = read_all(&world, caller, &mut look).await;
        assert!(read > if *who == "itself" { 20 } else { 100 }, "{who} reads {read} answers only");
        // An export is not asked for without a purpose.
        if *who == "no purpose" {
            continue;
        }
        let exported = export_all(app, &world, caller, &mut look).await;
        let exports = operations().iter().any(|operation| operation.value["operationId"] == "create_export");
        assert!(!exports || *who == "itself" || exported > 20, "{who} reads {exported} files only");
    }
    // The walk sees what is not hidden.
    let mut seen = 0;
    let whole = with_purpose(reader(app, "whole", FieldClass::ALL));
    read_all(&world, &whole, |_, text| seen += world.planted.iter().filter(|(_, value)| text.contains(value)).count()).await;
    assert!(seen > 50, "{seen}");
    leaks.sort();
    leaks.dedup();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

/// What goes out by events, and what is kept about jobs and reads, has neither numbers nor contact data.
async fn the_log_of_events_holds_no_numbers(app: App) {
    let world = World::new(&app).await;
    for (table, column) in [("events", "data"), ("jobs", "payload"), ("access_log", "fields")] {
        let select = format!("SELECT CAST({column} AS text) AS text FROM {table} WHERE {column} IS NOT NULL");
        let rows: Vec<Row> = app.store.read_blocking(move |conn| Ok(sql_query(select.as_str()).load(&mut conn.db)?)).unwrap();
        assert!(rows.len() > 100 || table != "events", "{table} has {} rows", rows.len());
        for row in rows {
            let found = world.planted.iter().find(|(_, value)| row.text.contains(value.as_str()));
            assert!(found.is_none(), "{table} holds {found:?}: {}", row.text);
        }
    }
}
