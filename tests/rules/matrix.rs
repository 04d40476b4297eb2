//! Every operation of the document against every role and every place where a customer can stand to the caller: what is
//! answered must be what the document and the roles declare. Operations that come later are tried by themselves; one for whose
//! path there is no record fails here and says so.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use kehu_kernel::{
    Action,
    access::{Depth, FieldClass},
};
use kehu_organization::role::{BUILT_IN, BuiltIn, CUSTOMER_SELF};
use serde_json::{Value, json};

use super::{
    Operation, operations,
    positions::{POSITIONS, Position, World, caller},
    sample::{body_of, sample},
};
use crate::{
    both_databases,
    support::{Answer, App, Client},
};

both_databases!(rights_are_as_declared, what_is_out_of_reach_is_named_nowhere);

/// No record has this version, so that whoever may change it is told 412 and nothing changes.
const NO_VERSION: &str = "\"999999\"";

/// What a built-in role grants.
struct Rights {
    code: &'static str,
    depths: BTreeMap<&'static str, Depth>,
    classes: &'static [FieldClass],
}

impl Rights {
    fn of(role: &'static BuiltIn) -> Self {
        let grants = role.grants.iter().flat_map(|(depth, actions)| actions.iter().map(|action| (action.as_str(), *depth)));
        Self { code: role.code, depths: grants.collect(), classes: role.field_classes }
    }

    fn is_customer(&self) -> bool {
        self.code == CUSTOMER_SELF
    }

    /// The widest of what this operation needs; nothing when it is not granted.
    fn depth(&self, operation: &Operation) -> Option<Depth> {
        if self.is_customer() && operation.value["x-refuses-customers"] == true {
            return None;
        }
        let classes = texts(&operation.value["x-required-field-classes"]);
        let shown = classes.iter().all(|class| self.classes.iter().any(|known| known.as_str() == *class));
        if !shown && !self.is_customer() {
            return None;
        }
        let for_customers = texts(&operation.value["x-customers-need"]);
        let scopes = if self.is_customer() && !for_customers.is_empty() {
            for_customers
        } else {
            texts(&operation.value["x-required-scopes"])
        };
        scopes.iter().filter_map(|scope| self.depths.get(scope)).max().copied()
    }

    fn reaches(&self, depth: Depth, position: Position) -> bool {
        if self.is_customer() {
            return position == Position::Itself;
        }
        match depth {
            Depth::All => true,
            Depth::UnitAndBelow => matches!(position, Position::SameBranch | Position::Below),
            Depth::Unit => position == Position::SameBranch,
            Depth::Team => matches!(position, Position::Own | Position::Team),
            Depth::Own => position == Position::Own,
        }
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn name(operation: &Operation) -> &str {
    operation.value["operationId"].as_str().unwrap()
}

/// The operations that declare a right.
fn guarded() -> Vec<Operation> {
    let declares = |operation: &Operation| !texts(&operation.value["x-required-scopes"]).is_empty();
    operations().into_iter().filter(|operation| operation.path.starts_with("/v1") && declares(operation)).collect()
}

/// A body that is read without complaint; what it names need not be there.
fn body(world: &World, position: Position, operation: &Operation) -> Option<Vec<u8>> {
    let schema = body_of(operation)?;
    let of = |key: &str| json!(world.places[&position][key]);
    let body = match name(operation) {
        "create_employment" => json!({ "customer_id": of("/v1/company") }),
        "explain_match" => json!({ "customer_id": of("/v1/kin") }),
        "create_product" => json!({ "code": "P1", "name": "Product", "category": "deposit", "currency": "CNY" }),
        "transition_customer" => json!({ "status": "active", "reason": "a test" }),
        "create_customer_contact_point" => json!({ "kind": "email", "value": "new@planted.example" }),
        _ => sample(schema),
    };
    Some(body.to_string().into_bytes())
}

async fn ask(caller: &Client<'_>, operation: &Operation, path: &str, body: Option<Vec<u8>>) -> Answer {
    let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
    let body = body.map(|body| ("application/json", body));
    let patience = std::time::Duration::from_millis(300);
    caller.with("If-Match", NO_VERSION).send_for(patience, method, path, body).await
}

/// What is wrong with an answer.
fn judge(operation: &Operation, answer: &Answer, allowed: bool) -> Option<String> {
    let right = match (allowed, operation.method.as_str()) {
        (false, _) => matches!(answer.status, 403 | 404),
        (true, "get") => answer.status == 200,
        // What may be done and is not, because of the version or of what it names.
        (true, _) => matches!(answer.status, 200..=299 | 409 | 412 | 422),
    };
    let wanted = if allowed { "allowed" } else { "refused" };
    let said = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default();
    (!right).then(|| format!("{} should be {wanted}, answers {}: {}", name(operation), answer.status, said["detail"]))
}

async fn rights_are_as_declared(app: App) {
    let world = World::new(&app).await;
    let (mut wrong, mut allowed, mut refused) = (BTreeSet::new(), 0, 0);
    for rights in BUILT_IN.iter().map(Rights::of) {
        let caller = caller(&app, &world, rights.code);
        for operation in guarded() {
            let depth = rights.depth(&operation);
            let bound = world.customer_bound(&operation.path);
            let one = operation.path.contains('{');
            for position in POSITIONS.into_iter().take(if bound { POSITIONS.len() } else { 1 }) {
                let path = match world.concrete(&operation.method, &operation.path, position) {
                    Ok(path) => path,
                    Err(missing) => {
                        wrong.insert(format!("{}: {missing}", name(&operation)));
                        continue;
                    }
                };
                let expected = match depth {
                    None => Some(false),
                    Some(depth) if bound => Some(rights.reaches(depth, position)),
                    // How far a right on the bank's own records reaches is said by each resource's tests.
                    Some(depth) if one => (depth == Depth::All).then_some(true),
                    // A list shows less to those who reach less. What makes something new is tried by each resource's tests.
                    Some(_) => (operation.method == "get").then_some(true),
                };
                let Some(expected) = expected else { continue };
                *if expected { &mut allowed } else { &mut refused } += 1;
                let answer = ask(&caller, &operation, &path, body(&world, position, &operation)).await;
                let fault = judge(&operation, &answer, expected);
                wrong.extend(fault.map(|fault| format!("{} at {position:?}: {fault}", rights.code)));
            }
        }
    }
    let shown: Vec<&String> = wrong.iter().take(200).collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{shown:#?}", wrong.len(), allowed + refused);
    assert!(allowed > 1000 && refused > 2000, "{allowed} allowed, {refused} refused");
}

/// No list and no search names what its caller does not reach by any right.
async fn what_is_out_of_reach_is_named_nowhere(app: App) {
    let world = World::new(&app).await;
    let mut asked = 0;
    for rights in BUILT_IN.iter().map(Rights::of) {
        let caller = caller(&app, &world, rights.code);
        let bound = |scope: &&str| {
            let action: Action = scope.parse().unwrap();
            !matches!(action, Action::BranchRead | Action::StaffRead | Action::ProductRead | Action::RoleRead)
        };
        let reached = |position: Position| {
            rights.depths.iter().filter(|(scope, _)| bound(scope)).any(|(_, depth)| rights.reaches(*depth, position))
        };
        let hidden: Vec<&String> = POSITIONS
            .into_iter()
            .filter(|position| !reached(*position))
            .flat_map(|hidden| world.places[&hidden].values())
            .collect();
        for operation in operations().iter().filter(|operation| operation.path.starts_with("/v1")) {
            let reads =
                operation.method == "get" || ["search", "lookup", "match"].iter().any(|verb| operation.path.ends_with(verb));
            if !reads || operation.path.contains('{') {
                continue;
            }
            for body in bodies(&world, operation) {
                asked += 1;
                let answer = ask(&caller, operation, &operation.path, body).await;
                let text = String::from_utf8_lossy(&answer.bytes);
                let told: Vec<&&String> = hidden.iter().filter(|id| text.contains(id.as_str())).collect();
                assert!(told.is_empty(), "{}: {} tells {told:?}: {text}", rights.code, name(operation));
                assert!(answer.status < 500, "{}: {} answers {text}", rights.code, name(operation));
            }
        }
    }
    assert!(asked > 300, "{asked}");
}

/// Bodies that find something; no body for what is only asked.
fn bodies(world: &World, operation: &Operation) -> Vec<Option<Vec<u8>>> {
    let planted = |class| world.planted.iter().filter(move |(known, _)| *known == class).map(|(_, text)| text.clone());
    let found: Vec<Value> = match name(operation) {
        "lookup_customers" => {
            let phones = planted(FieldClass::Internal).filter(|text| text.starts_with('1')).map(|text| json!({ "phone": text }));
            let numbers = planted(FieldClass::Secret).map(|text| match text.len() {
                18 => json!({ "identity_number": text }),
                _ => json!({ "account_number": text }),
            });
            phones.chain(numbers).collect()
        }
        "search_customers" => vec![json!({ "q": "planted" }), json!({ "q": "诸葛" })],
        _ => match body_of(operation) {
            None => return vec![None],
            Some(schema) => vec![sample(schema)],
        },
    };
    found.into_iter().map(|body| Some(body.to_string().into_bytes())).collect()
}
