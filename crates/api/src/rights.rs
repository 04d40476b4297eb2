//! What the document says of rights beyond the action that an operation needs: what customers are refused whatever they hold,
//! what they need instead of staff, and which classes of fields a role must show. The tests try every operation against it.

use serde_json::{Map, Value, json};

/// The bank's own records of its customers: customers are refused, though they may read or change other things about
/// themselves.
const REFUSED_TO_CUSTOMERS: &[&str] = &[
    "explain_data_quality",
    "get_attribute_definition",
    "get_contact_person",
    "get_contact_person_relation",
    "get_corporate_tree",
    "get_customer_history",
    "get_customer_relation",
    "get_customer_tag",
    "get_employment",
    "get_relation_graph",
    "get_tag",
    "get_tag_domain",
    "list_attribute_definitions",
    "list_contact_person_relations",
    "list_contact_persons",
    "list_customer_contact_persons",
    "list_customer_relations",
    "list_customer_source_records",
    "list_customer_tags",
    "list_doubtful_profiles",
    "list_employments",
    "list_tag_domains",
    "list_tags",
];

/// Customers have these by a right on themselves, where staff need another one.
const CUSTOMERS_NEED: &[(&str, &str)] = &[
    ("export_customer_data", "customer.read"),
    ("get_privacy_export", "customer.read"),
    ("get_privacy_export_content", "customer.read"),
    ("list_privacy_exports", "customer.read"),
];

/// What is handed out holds fields of these classes in the open, so a role must show them.
const NEEDED_CLASSES: &[(&str, &[&str])] =
    &[("export_customer_data", &["sensitive", "secret"]), ("get_privacy_export_content", &["sensitive", "secret"])];

/// Adds to an operation what holds for it.
pub fn declare(operation: &mut Map<String, Value>) {
    let Some(name) = operation.get("operationId").and_then(Value::as_str).map(ToOwned::to_owned) else { return };
    let mut said = String::new();
    if REFUSED_TO_CUSTOMERS.contains(&name.as_str()) {
        operation.insert("x-refuses-customers".into(), json!(true));
        said.push_str(" Customers are refused.");
    }
    if let Some((_, action)) = CUSTOMERS_NEED.iter().find(|(known, _)| *known == name) {
        operation.insert("x-customers-need".into(), json!([action]));
        said.push_str(&format!(" Customers need `{action}` on themselves instead."));
    }
    if let Some((_, classes)) = NEEDED_CLASSES.iter().find(|(known, _)| *known == name) {
        operation.insert("x-required-field-classes".into(), json!(classes));
        said.push_str(&format!(" The role must show {} fields, unless the caller is the customer.", classes.join(" and ")));
    }
    if let Some(Value::String(description)) = operation.get_mut("description") {
        description.push_str(&said);
    }
}
