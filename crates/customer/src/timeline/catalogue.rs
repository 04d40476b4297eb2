//! Every event that can stand in a timeline: under which kind, with which words, who is shown it, and which of its facts.

use kehu_kernel::{Action, text_enum};

text_enum! {
    /// What an entry of a timeline has to do with.
    pub enum TimelineKind {
        /// The customer itself: its profile, its status, its stage.
        Profile = "profile",
        /// Identity documents.
        Identity = "identity",
        /// Ways to reach the customer.
        ContactPoint = "contact_point",
        /// Relations to other customers.
        Relation = "relation",
        /// Accounts, standing orders, and what the customer is to them.
        Account = "account",
        /// Who looks after the customer.
        Assignment = "assignment",
        /// People whom the bank knows in the customer's company, and the customer as such a person.
        ContactPerson = "contact_person",
        /// Tags.
        Tag = "tag",
        /// Fields that the bank has added.
        Attribute = "attribute",
        /// What the customer consents to.
        Consent = "consent",
        /// Records that were merged, and merges taken back.
        Merge = "merge",
        /// Groups to which the customer belongs.
        Group = "group",
        /// Legal holds, exports and erasure of what is held.
        Privacy = "privacy",
    }
}

/// How one kind of event is told.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// The event, as in the change feed.
    pub event: &'static str,
    /// What it has to do with.
    pub kind: TimelineKind,
    /// What happened, in words.
    pub title: &'static str,
    /// The right without which it is not shown, besides that to read the customer.
    pub needs: Action,
    /// Whether customers are shown it of themselves.
    pub for_customer: bool,
    /// Whether the event names an account and no customer: it is told to the customers whose account that was then.
    pub of_account: bool,
    /// The facts of the event that are shown; all others stay in the event.
    pub facts: &'static [&'static str],
}

/// Shown to everybody who reads the customer, and to the customer.
const fn open(event: &'static str, kind: TimelineKind, title: &'static str, facts: &'static [&'static str]) -> Telling {
    Telling { event, kind, title, needs: CustomerRead, for_customer: true, of_account: false, facts }
}

/// Shown inside the bank only.
const fn inside(
    event: &'static str,
    kind: TimelineKind,
    title: &'static str,
    needs: Action,
    facts: &'static [&'static str],
) -> Telling {
    Telling { event, kind, title, needs, for_customer: false, of_account: false, facts }
}

/// Of an account: shown to everybody who reads the accounts of the customer, and to the customer.
const fn account(event: &'static str, title: &'static str, facts: &'static [&'static str]) -> Telling {
    Telling { needs: Action::AccountRead, of_account: true, ..open(event, TimelineKind::Account, title, facts) }
}

/// Of a customer's link to an account: as [`account`], but told to that customer alone.
const fn link(event: &'static str, title: &'static str, facts: &'static [&'static str]) -> Telling {
    Telling { of_account: false, ..account(event, title, facts) }
}

use Action::{AssignmentRead, CustomerRead, GroupRead, PrivacyManage};
use TimelineKind::{
    Assignment, Attribute, Consent, ContactPerson, ContactPoint, Group, Identity, Merge, Privacy, Profile, Relation, Tag,
};

/// What is told. A change of the profile may be one of the bank's own ratings, so customers are not shown that there was
/// one; an event that stands neither here nor in [`UNTOLD`] fails a test.
pub const TOLD: &[Telling] = &[
    open("customer.created", Profile, "Customer recorded", &["kind", "home_branch_id"]),
    inside("customer.updated", Profile, "Profile changed", CustomerRead, &["fields", "source"]),
    inside("customer.transitioned", Profile, "Status or stage changed", CustomerRead, &["status", "life_cycle_stage"]),
    inside("customer.reviewed", Profile, "Record checked with the customer", CustomerRead, &["review_due_on"]),
    inside("customer.owner_changed", Assignment, "Relationship manager changed", AssignmentRead, &["owner_id"]),
    open("identity.created", Identity, "Identity document recorded", &["type", "verification", "source"]),
    open("identity.updated", Identity, "Identity document changed", &["verification"]),
    open("identity.ended", Identity, "Identity document ended", &[]),
    open("contact_point.created", ContactPoint, "Contact point recorded", &["kind", "source"]),
    open("contact_point.updated", ContactPoint, "Contact point changed", &["kind"]),
    open("contact_point.ended", ContactPoint, "Contact point ended", &["kind"]),
    inside("relation.created", Relation, "Relation recorded", CustomerRead, &["type", "related_customer_id", "source"]),
    inside("relation.updated", Relation, "Relation changed", CustomerRead, &["type", "related_customer_id"]),
    inside("relation.ended", Relation, "Relation ended", CustomerRead, &["valid_to", "source"]),
    inside("assignment.created", Assignment, "Somebody looks after the customer", AssignmentRead, &["staff_id", "role"]),
    inside("assignment.ended", Assignment, "Somebody looks after the customer no more", AssignmentRead, &["staff_id", "role"]),
    link("account_link.created", "Linked to an account", &["account_id", "role", "primary", "valid_from", "valid_to"]),
    link("account_link.updated", "Link to an account changed", &["account_id", "role", "primary", "valid_from", "valid_to"]),
    link("account_link.ended", "Link to an account ended", &["account_id", "role", "valid_to"]),
    account("account.created", "Account recorded", &["product_id", "status"]),
    account("account.updated", "Account changed", &["status"]),
    account("account.opened", "Account opened", &["status"]),
    account("account.dormant", "Account dormant", &["status"]),
    account("account.moved", "Account moved to another branch", &["from_branch_id", "branch_id"]),
    account("account.closed", "Account closed", &["status"]),
    account("standing_order.created", "Standing order recorded", &["account_id", "status"]),
    account("standing_order.updated", "Standing order changed", &["account_id", "status"]),
    open("consent.granted", Consent, "Consent granted", &["purpose", "channel", "source"]),
    open("consent.refused", Consent, "Consent refused", &["purpose", "channel", "source"]),
    open("consent.withdrawn", Consent, "Consent withdrawn", &["purpose", "channel", "source"]),
    inside("contact_person.created", ContactPerson, "Contact person recorded", CustomerRead, &[]),
    inside("contact_person.updated", ContactPerson, "Contact person changed", CustomerRead, &[]),
    inside("contact_person.ended", ContactPerson, "Contact person ended", CustomerRead, &[]),
    inside("employment.created", ContactPerson, "Contact person works here", CustomerRead, &[]),
    inside("employment.updated", ContactPerson, "Employment of a contact person changed", CustomerRead, &[]),
    inside("employment.ended", ContactPerson, "Contact person works here no more", CustomerRead, &[]),
    inside("customer_tag.created", Tag, "Tag set", CustomerRead, &["code", "source"]),
    inside("customer_tag.updated", Tag, "Tag changed", CustomerRead, &["code", "source"]),
    inside("customer_tag.ended", Tag, "Tag ended", CustomerRead, &["code", "source"]),
    inside("customer.attributes_changed", Attribute, "Attributes changed", CustomerRead, &["fields"]),
    inside(
        "group_member.added",
        Group,
        "Became part of a group",
        GroupRead,
        &["group_id", "role", "source", "valid_from", "valid_to"],
    ),
    inside("group_member.removed", Group, "Left a group", GroupRead, &["group_id", "role", "valid_to"]),
    inside("customer.merged", Merge, "Records merged", CustomerRead, &["merge_id", "survivor_id", "absorbed_ids", "fields"]),
    inside("customer.merge_reverted", Merge, "Merge taken back", CustomerRead, &["merge_id", "survivor_id", "absorbed_ids"]),
    inside("customer.erased", Privacy, "What was held was erased", CustomerRead, &[]),
    inside("legal_hold.placed", Privacy, "Legal hold placed", PrivacyManage, &[]),
    inside("legal_hold.released", Privacy, "Legal hold released", PrivacyManage, &[]),
    inside("privacy_export.requested", Privacy, "Export of what is held requested", PrivacyManage, &[]),
    inside("privacy_export.finished", Privacy, "Export of what is held finished", PrivacyManage, &[]),
];

/// Events that no timeline tells: they belong to the bank, to many customers at once, or to records that are gone.
pub const UNTOLD: &[&str] = &[
    "account_balances.recorded",
    "transactions.ingested",
    "customer.retracted",
    "relation.retracted",
    "account.retracted",
    "account_link.retracted",
    "standing_order.retracted",
    "branch.created",
    "branch.moved",
    "branch.relink_started",
    "branch.relinked",
    "branch.retracted",
    "branch.updated",
    "client.created",
    "client.revoked",
    "client.secret_rotated",
    "export.cancelled",
    "export.finished",
    "export.requested",
    "export.withdrawn",
    "group.closed",
    "group.created",
    "group.merged",
    "group.split",
    "group.updated",
    "import.created",
    "import.done",
    "import.failed",
    "import.replayed",
    "import.reverted",
    "job.cancelled",
    "mapping.created",
    "match_candidate.closed",
    "match_candidate.created",
    "match_candidate.decided",
    "match_candidate.reopened",
    "match_parameters.estimated",
    "match_run.finished",
    "match_run.started",
    "product.created",
    "product.rate_set",
    "product.retracted",
    "product.updated",
    "role.created",
    "role.updated",
    "segmentation_evaluation.created",
    "source_system.created",
    "source_system.updated",
    "staff.created",
    "staff.deactivated",
    "staff.reactivated",
    "staff.retracted",
    "staff.updated",
    "contact_person_relation.created",
    "contact_person_relation.updated",
    "contact_person_relation.ended",
    "tag.created",
    "tag.updated",
    "tag_domain.created",
    "tag_domain.updated",
    "attribute_definition.created",
    "attribute_definition.updated",
    "team.created",
    "team.updated",
    "webhook_endpoint.created",
    "webhook_endpoint.disabled",
    "webhook_endpoint.enabled",
    "webhook_endpoint.ended",
    "webhook_endpoint.replayed",
    "webhook_endpoint.secret_rotated",
    "webhook_endpoint.tested",
    "webhook_endpoint.updated",
];

/// How an event is told.
#[must_use]
pub fn telling(event: &str) -> Option<&'static Telling> {
    TOLD.iter().find(|telling| telling.event == event)
}
