//! How customers that an import brought are taken back.

use kehu_kernel::retraction::{Dependant, Retraction};

/// Customers, with their profiles, identities, contact points and history. What another source or a person
/// has tied to them stands in the way.
pub const CUSTOMERS: Retraction = Retraction {
    table: "customers",
    event: Some("customer.retracted"),
    dependants: &[
        Dependant::all("account_links", "customer_id"),
        Dependant::all("assignments", "customer_id"),
        Dependant::all("relations", "customer_id"),
        Dependant::all("relations", "related_customer_id"),
        // What took part in a merge cannot be taken apart from it, not even when the merge was taken back.
        Dependant::all("merges", "survivor_id"),
        Dependant::all("merge_members", "customer_id"),
        Dependant::all("merge_rows", "customer_id"),
        Dependant { table: "customers", column: "merged_into", only: Some("id NOT IN {chosen}") },
        // A tombstone stays.
        Dependant { table: "customers", column: "id", only: Some("erased_at IS NOT NULL") },
        Dependant::all("legal_holds", "customer_id"),
        Dependant::all("privacy_exports", "customer_id"),
        // What people have recorded of the customer.
        Dependant::all("customer_tags", "customer_id"),
        Dependant::all("consents", "customer_id"),
        Dependant::all("custom_attributes", "customer_id"),
        Dependant::all("employments", "customer_id"),
        Dependant::all("contact_persons", "person_customer_id"),
        Dependant { table: "source_records", column: "customer_id", only: Some(OF_ANOTHER_SOURCE) },
    ],
    before: &[],
    parts: &[
        ("customer_tokens", "customer_id"),
        ("match_keys", "customer_id"),
        ("match_changes", "customer_id"),
        ("match_candidates", "left_id"),
        ("match_candidates", "right_id"),
        ("personal_profiles", "customer_id"),
        ("organisation_profiles", "customer_id"),
        ("identities", "customer_id"),
        ("contact_points", "customer_id"),
        ("customer_transitions", "customer_id"),
        ("attribute_history", "customer_id"),
        ("source_records", "customer_id"),
    ],
};

const OF_ANOTHER_SOURCE: &str = "source_system <> (SELECT s.code FROM source_systems s JOIN imports i ON i.source_system_id = s.id \
    WHERE i.id = $1)";

/// Relations between customers.
pub const RELATIONS: Retraction =
    Retraction { table: "relations", event: Some("relation.retracted"), dependants: &[], before: &[], parts: &[] };
