//! Who may come in: every operation against a stranger, and against each role that lacks the right.

use actix_web::http::Method;
use kehu_organization::role::{BUILT_IN, BuiltIn, CUSTOMER_SELF};
use serde_json::json;

use super::operations;
use crate::{
    both_databases,
    support::{App, Client, sign},
};

both_databases!(
    a_stranger_is_refused_everywhere,
    a_role_without_the_right_is_refused_everywhere,
    each_built_in_role_does_what_it_grants_and_nothing_else
);

/// Operations that answer without a token, by design.
const OPEN: &[&str] = &["create_token", "download_export"];

/// Operations that any verified caller may ask, by design: they show the caller's own things.
const FOR_ALL: &[&str] = &["get_me", "explain_access", "list_jobs", "get_job", "cancel_job"];

/// A path with ids that name nothing.
fn concrete(path: &str) -> String {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/")
}

async fn a_stranger_is_refused_everywhere(app: App) {
    let stranger = app.stranger();
    let mut tried = 0;
    for operation in operations() {
        let name = operation.value["operationId"].as_str().unwrap();
        if OPEN.contains(&name) || !operation.path.starts_with("/v1") {
            continue;
        }
        let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
        let body = operation.value.get("requestBody").map(|_| ("application/json", b"{}".to_vec()));
        let answer = stranger.with("If-Match", "\"1\"").send(method, &concrete(&operation.path), body).await;
        assert!(answer.header("www-authenticate").is_some(), "{name} answers {}", answer.status);
        answer.problem(401);
        tried += 1;
    }
    assert!(tried > 4);
}

/// `customer_self` at a branch has next to no rights, so it must be refused wherever a scope is declared
/// that it does not hold: by 403, or by 404 where even the existence is a secret, and never by a change.
async fn a_role_without_the_right_is_refused_everywhere(app: App) {
    let nobody = app.role("no_such_role");
    for operation in operations() {
        let name = operation.value["operationId"].as_str().unwrap();
        if OPEN.contains(&name) || FOR_ALL.contains(&name) || !operation.path.starts_with("/v1") {
            continue;
        }
        let scopes = operation.value["x-required-scopes"].as_array().map_or(0, Vec::len);
        assert!(scopes > 0, "{name} declares no scope");
        let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
        if operation.value.get("requestBody").is_some() {
            // A body that breaks rules is refused before the right is asked; each resource's own tests send good ones.
            continue;
        }
        let answer = nobody.with("If-Match", "\"1\"").send(method, &concrete(&operation.path), None).await;
        assert!(
            matches!(answer.status, 403 | 404),
            "{name} answers {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.bytes)
        );
    }
}

/// The actions that a built-in role grants.
fn granted(role: &BuiltIn) -> Vec<&'static str> {
    role.grants.iter().flat_map(|(_, actions)| actions.iter().map(|action| action.as_str())).collect()
}

/// A token of the role, at the head office or as a customer.
fn holder<'a>(app: &'a App, role: &BuiltIn) -> Client<'a> {
    if role.code == CUSTOMER_SELF {
        let customer = "01890a5d-ac96-774b-bcce-b302099a8058";
        return app.token(sign(json!({ "sub": customer, "roles": [role.code], "customer_id": customer })));
    }
    app.role(role.code)
}

/// Every operation without a body, by every role that Kehu brings along: without the scope it is refused, with it
/// the refusal is never that a grant is missing.
async fn each_built_in_role_does_what_it_grants_and_nothing_else(app: App) {
    let (mut refused, mut allowed) = (0, 0);
    for role in BUILT_IN {
        let (grants, caller) = (granted(role), holder(&app, role));
        for operation in operations() {
            let name = operation.value["operationId"].as_str().unwrap();
            let bodiless = operation.value.get("requestBody").is_none();
            if OPEN.contains(&name) || FOR_ALL.contains(&name) || !operation.path.starts_with("/v1") || !bodiless {
                continue;
            }
            let scopes: Vec<&str> =
                operation.value["x-required-scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
            let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
            let answer = caller.with("If-Match", "\"1\"").send(method, &concrete(&operation.path), None).await;
            let said = String::from_utf8_lossy(&answer.bytes).into_owned();
            if scopes.iter().all(|scope| grants.contains(scope)) {
                let missing = answer.status == 403 && said.contains("needs a role that grants");
                assert!(!missing && answer.status != 401 && answer.status < 500, "{}: {name} answers {said}", role.code);
                allowed += 1;
            } else {
                assert!(matches!(answer.status, 403 | 404), "{}: {name} answers {}: {said}", role.code, answer.status);
                refused += 1;
            }
        }
    }
    assert!(refused > 100 && allowed > 100, "{refused} refused, {allowed} allowed");
}
