//! What rules may ask of those who look after customers.

use kehu_kernel::{
    Action,
    rule::{Collection, FieldType},
    rule_fields,
};

use crate::assignment::AssignmentRole;

rule_fields! {
    /// An assignment.
    const ASSIGNMENT: Public, None;
    "staff", FieldType::Id, "assignments.staff_id", "Who it is, by the id of the staff record";
    "role", FieldType::Word(AssignmentRole::WORDS), "assignments.role", "In which role";
    "valid_from", FieldType::Date, "assignments.valid_from", "First day";
}

/// What belongs to a customer.
pub const COLLECTIONS: &[Collection] = &[Collection {
    name: "assignments",
    from: "assignments",
    key: "assignments.customer_id",
    of: "assignments.valid_from <= {} AND (assignments.valid_to IS NULL OR assignments.valid_to > {})",
    once: None,
    fields: ASSIGNMENT,
    action: Some(Action::AssignmentRead),
    beyond: false,
    shared: &[],
    meaning: "People who are assigned to the customer today",
}];
