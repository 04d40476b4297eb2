//! An import and an export that run while the faults happen.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{until, world::all};
use crate::support::process::Caller;

/// Rows of the import.
const ROWS: usize = 20_000;
const BOUNDARY: &str = "----kehu-faults";

/// What was asked for.
pub struct Jobs {
    import: String,
    export: String,
}

impl Jobs {
    /// Uploads a file of customers, and asks for a file of branches of them.
    pub fn start(caller: &Caller) -> Self {
        let source = json!({ "code": "faults", "name": "Faults" });
        made(caller.post("/v1/source-systems", "source", &source), 201);
        let fields = json!({ "source_id": "id", "kind": { "constant": "personal" }, "full_name": "name" });
        let file = json!({ "pattern": "*.csv", "feeds": [{ "feed": "customers", "fields": fields }] });
        let document = json!({ "version": 1, "files": [file] });
        let mapping = json!({ "code": "faults", "name": "Faults", "document": document });
        let mapping = made(caller.post("/v1/mappings", "mapping", &mapping), 201);
        let import = made(upload(caller, form(mapping["id"].as_str().unwrap())), 201);
        let export = json!({ "list": "list_customers", "format": "ndjson", "purpose": "a trial of faults" });
        let export = made(caller.post("/v1/exports", "export", &export), 202);
        let path = |list: &str, made: &Value| format!("/v1/{list}/{}", made["id"].as_str().unwrap());
        Self { import: path("imports", &import), export: path("exports", &export) }
    }

    /// What is wrong with them, once they ended.
    pub fn judge(&self, caller: &Caller, merges: &[(String, String)]) -> Vec<String> {
        let mut complaints = Vec::new();
        let import = ended(caller, &self.import, &["done", "failed"]);
        let count = |name: &str| import["counts"][name].as_u64();
        let rows = u64::try_from(ROWS).unwrap();
        if import["state"] != "done" || count("read") != Some(rows) || count("created") != Some(rows) {
            complaints.push(format!("the import: {import}"));
        }
        let export = ended(caller, &self.export, &["ready", "failed"]);
        if export["state"] != "ready" {
            complaints.push(format!("the export: {export}"));
        }
        let imported = all(caller, "/v1/customers").iter().filter(|customer| is_imported(customer)).count();
        if imported != ROWS {
            complaints.push(format!("{imported} imported customers instead of {ROWS}"));
        }
        for (survivor, absorbed) in merges {
            let (status, customer) = caller.get(&format!("/v1/customers/{absorbed}")).unwrap();
            if status != 200 || customer["id"] != **survivor {
                complaints.push(format!("{absorbed} does not lead to {survivor}: {status} {customer}"));
            }
        }
        complaints
    }
}

fn is_imported(customer: &Value) -> bool {
    customer["display_name"].as_str().is_some_and(|name| name.starts_with("Imported "))
}

fn ended(caller: &Caller, path: &str, states: &[&str]) -> Value {
    let mut last = Value::Null;
    until(Duration::from_secs(180), path, || {
        last = caller.get(path).map_or(Value::Null, |(_, body)| body);
        last["state"].as_str().is_some_and(|state| states.contains(&state))
    });
    last
}

fn made(answer: Result<(u16, Value), ureq::Error>, wanted: u16) -> Value {
    let (status, body) = answer.unwrap();
    assert_eq!(status, wanted, "{body}");
    body
}

fn upload(caller: &Caller, form: String) -> Result<(u16, Value), ureq::Error> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    caller.send("/v1/imports", &[("content-type", &kind)], &form).map(|(status, _, body)| (status, body))
}

fn form(mapping: &str) -> String {
    let mut body = String::new();
    for (name, value) in [("source_system", "faults"), ("mapping_id", mapping)] {
        write!(body, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    let head = "Content-Disposition: form-data; name=\"files\"; filename=\"customers.csv\"";
    write!(body, "--{BOUNDARY}\r\n{head}\r\nContent-Type: text/csv\r\n\r\nid,name\n").unwrap();
    for row in 0..ROWS {
        writeln!(body, "{row},Imported {row}").unwrap();
    }
    write!(body, "\r\n--{BOUNDARY}--\r\n").unwrap();
    body
}
