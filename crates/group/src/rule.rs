//! What rules may ask of customers, put together from all who know something of them.

use std::sync::LazyLock;

use kehu_kernel::{
    Action, Actor, Result,
    access::ActorKind,
    rule::{Catalogue, Collection, Field, FieldType, RuleFieldType, RuleOperator},
    rule_fields,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    group::{GroupKind, GroupStatus},
    member::{GroupMemberRole, MembershipSource},
};

rule_fields! {
    /// A membership.
    const MEMBERSHIP: Internal, None;
    "group", FieldType::Id, "group_members.group_id", "The group, by its id";
    "group_number", FieldType::Text, "groups.number", "Number of the group";
    "group_kind", FieldType::Word(GroupKind::WORDS), "groups.kind", "What kind of group it is";
    "group_status", FieldType::Word(GroupStatus::WORDS), "groups.status", "Whether the group is in use";
    "role", FieldType::Word(GroupMemberRole::WORDS), "group_members.role", "Role in the group";
    "primary", FieldType::Flag, "group_members.is_primary", "Whether it is the primary member";
    "source", FieldType::Word(MembershipSource::WORDS), "group_members.source", "Where the membership comes from";
    "valid_from", FieldType::Date, "group_members.valid_from", "First day";
}

/// What belongs to a customer.
const COLLECTIONS: &[Collection] = &[Collection {
    name: "groups",
    from: "group_members JOIN groups ON groups.id = group_members.group_id",
    key: "group_members.customer_id",
    of: "group_members.valid_from <= {} AND (group_members.valid_to IS NULL OR group_members.valid_to > {})",
    once: None,
    fields: MEMBERSHIP,
    action: Some(Action::GroupRead),
    beyond: false,
    shared: &["group."],
    meaning: "Memberships in groups that hold today",
}];

static CUSTOMERS: LazyLock<Catalogue> = LazyLock::new(|| {
    let fields = kehu_customer::rule::FIELDS.iter().fold(Catalogue::of("customers"), |all, fields| all.with(fields, &[]));
    let with = fields.with(&[], kehu_customer::rule::COLLECTIONS).with(&[], kehu_account_link::rule::COLLECTIONS);
    with.with(&[], kehu_organization::rule::COLLECTIONS).with(&[], COLLECTIONS)
});

/// What rules may ask of customers.
#[must_use]
pub fn customers() -> &'static Catalogue {
    &CUSTOMERS
}

/// What rules may name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleFields {
    /// Fields of a customer.
    #[schema(max_items = 200)]
    pub fields: Vec<RuleField>,
    /// What belongs to a customer, for `some`.
    #[schema(max_items = 50)]
    pub collections: Vec<RuleCollection>,
}

/// A field that rules may name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleField {
    /// Its name in rules.
    #[schema(example = "birth_date", max_length = 64)]
    pub name: &'static str,
    /// What it says.
    #[schema(example = "Date of birth", max_length = 200)]
    pub meaning: &'static str,
    /// What it holds.
    #[serde(rename = "type")]
    pub field_type: RuleFieldType,
    /// How it is compared.
    #[schema(max_items = 20)]
    pub operators: Vec<RuleOperator>,
    /// The values of a field of the type `word`; empty for the others.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 100)]
    pub words: Vec<&'static str>,
    /// Whether the items of a collection can be summed by it.
    pub sums: bool,
}

/// What belongs to a record, many to one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleCollection {
    /// Its name in rules.
    #[schema(example = "accounts", max_length = 64)]
    pub name: &'static str,
    /// What its items are.
    #[schema(max_length = 200)]
    pub meaning: &'static str,
    /// The fields of an item.
    #[schema(max_items = 100)]
    pub fields: Vec<RuleField>,
}

/// The fields and collections that an actor's rules about customers may name; none for customers, whose rules are refused.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `customer.read`.
pub fn fields(actor: &Actor) -> Result<RuleFields> {
    actor.allow(Action::CustomerRead)?;
    if actor.kind == ActorKind::Customer {
        return Ok(RuleFields { fields: Vec::new(), collections: Vec::new() });
    }
    let shown = |field: &&Field| kehu_customer::rule::shown(actor, field.class);
    let usable = |collection: &&&Collection| collection.action.is_none_or(|action| actor.reach(action).is_some());
    let catalogue = customers();
    let collections = catalogue.collections.iter().filter(usable).map(|collection| RuleCollection {
        name: collection.name,
        meaning: collection.meaning,
        fields: collection.fields.iter().filter(shown).map(RuleField::of).collect(),
    });
    Ok(RuleFields {
        fields: catalogue.fields.iter().copied().filter(shown).map(RuleField::of).collect(),
        collections: collections.filter(|collection| !collection.fields.is_empty()).collect(),
    })
}

impl RuleField {
    fn of(field: &Field) -> Self {
        let words: &[&str] = if let FieldType::Word(words) = field.kind { words } else { &[] };
        Self {
            name: field.name,
            meaning: field.meaning,
            field_type: field.kind.name(),
            operators: field.kind.operators().to_vec(),
            words: words.to_vec(),
            sums: field.kind.sums(),
        }
    }
}
