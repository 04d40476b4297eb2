//! Relations among contact persons. Each is stored once; the inverse is derived.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Reference, Result, Tx,
    access::Reach,
    event::NewEvent,
    patch,
    schema::{contact_person_relations, contact_persons},
    store::found_in,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{person::ContactPersonId, sight};
use crate::scope;

/// Identifier of a relation among contact persons.
pub type ContactPersonRelationId = Id<ContactPersonRelation>;

text_enum! {
    /// What the first contact person is to the second.
    pub enum ContactPersonRelationType {
        /// Is above the other at work.
        Superior = "superior",
        /// Is below the other at work; the inverse of `superior`.
        Subordinate = "subordinate",
        /// Is of the other's family.
        Relative = "relative",
        /// Sways the other's decisions.
        KeyInfluencer = "key_influencer",
        /// Is swayed by the other; the inverse of `key_influencer`.
        Influenced = "influenced",
    }
}

use ContactPersonRelationType::{Influenced, KeyInfluencer, Relative, Subordinate, Superior};

impl ContactPersonRelationType {
    /// How the other side reads the relation.
    #[must_use]
    pub const fn inverse(self) -> Self {
        match self {
            Superior => Subordinate,
            Subordinate => Superior,
            Relative => Relative,
            KeyInfluencer => Influenced,
            Influenced => KeyInfluencer,
        }
    }

    /// Whether relations are stored with this type.
    const fn is_canonical(self) -> bool {
        matches!(self, Superior | Relative | KeyInfluencer)
    }
}

/// A relation, as one of its contact persons reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ContactPersonRelation {
    /// Identifier of the relation; the same on both sides.
    pub id: ContactPersonRelationId,
    /// The contact person that reads it.
    pub contact_person_id: ContactPersonId,
    /// The other one.
    pub related: Reference,
    /// What this person is to the other.
    #[serde(rename = "type")]
    pub relation_type: ContactPersonRelationType,
    /// What else is known of it.
    #[schema(example = "cousin", max_length = 500)]
    pub note: Option<String>,
    /// When it was ended; null while it holds.
    pub ended_at: Option<Instant>,
    /// Why it was ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// Who made the record.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A relation to be recorded: this contact person is the `type` of the other.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewContactPersonRelation {
    /// The other contact person.
    pub related_contact_person_id: ContactPersonId,
    /// What this person is to the other.
    #[serde(rename = "type")]
    pub relation_type: ContactPersonRelationType,
    /// What else is known of it.
    #[schema(example = "cousin", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub note: Option<String>,
}

/// Changes to a relation among contact persons; what is absent stays, null clears. Another type or another person is another
/// relation.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ContactPersonRelationPatch {
    /// What else is known of it.
    #[schema(value_type = Option<String>, example = "cousin", min_length = 1, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub note: Option<Option<String>>,
}

/// Why a relation ends.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ContactPersonRelationEnd {
    /// Why; kept with the record.
    #[schema(example = "retired", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// A relation as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = contact_person_relations, treat_none_as_default_value = false)]
struct Row {
    id: ContactPersonRelationId,
    contact_person_id: ContactPersonId,
    related_contact_person_id: ContactPersonId,
    relation_type: ContactPersonRelationType,
    note: Option<String>,
    ended_at: Option<Instant>,
    end_reason: Option<String>,
    created_by: String,
    created_at: Instant,
    updated_at: Instant,
    version: i64,
}

impl Row {
    fn other_than(&self, reader: ContactPersonId) -> ContactPersonId {
        if self.contact_person_id == reader { self.related_contact_person_id } else { self.contact_person_id }
    }

    fn read_by(self, reader: ContactPersonId, names: &HashMap<ContactPersonId, String>) -> ContactPersonRelation {
        let other = self.other_than(reader);
        let forward = self.contact_person_id == reader;
        ContactPersonRelation {
            id: self.id,
            contact_person_id: reader,
            related: Reference::new(other, names.get(&other).cloned().unwrap_or_default()),
            relation_type: if forward { self.relation_type } else { self.relation_type.inverse() },
            note: self.note,
            ended_at: self.ended_at,
            end_reason: self.end_reason,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

/// Relations of a contact person with others within sight, from both directions, ended ones included, oldest record first.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`] when the person is out of sight; [`Error::Invalid`] for a bad page
/// request.
pub fn list(conn: &mut Conn, actor: &Actor, person: ContactPersonId, params: &PageParams) -> Result<Page<ContactPersonRelation>> {
    sight::require(conn, actor, Action::CustomerRead, person)?;
    let window = params.window::<ContactPersonRelationId>(&conn.keys, &format!("contact-person-relations/{person}"))?;
    let reach = scope::allow_inside(actor, Action::CustomerRead)?;
    let seen = |conn: &Conn| seen_of(conn, person, actor, &reach);
    let total = if window.include_total { Some(seen(conn).count().get_result(&mut conn.db)?) } else { None };
    let mut query = seen(conn).order(contact_person_relations::id).limit(window.fetch()).select(Row::as_select());
    if let Some(after) = window.after {
        query = query.filter(contact_person_relations::id.gt(after));
    }
    let rows: Vec<Row> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Row| row.id)?;
    let names = names(conn, actor, page.items.iter().map(|row| row.other_than(person)).collect())?;
    Ok(page.map(|row| row.read_by(person, &names)))
}

fn of<'a>(person: ContactPersonId) -> contact_person_relations::BoxedQuery<'a, kehu_kernel::store::MultiBackend> {
    let either = contact_person_relations::contact_person_id.eq(person);
    let either = either.or(contact_person_relations::related_contact_person_id.eq(person));
    contact_person_relations::table.filter(either).into_boxed()
}

/// Those with others within sight.
fn seen_of<'a>(
    conn: &Conn,
    person: ContactPersonId,
    actor: &Actor,
    reach: &Reach,
) -> contact_person_relations::BoxedQuery<'a, kehu_kernel::store::MultiBackend> {
    let visible =
        || contact_persons::table.filter(sight::visible_to(conn, actor, reach)).select(contact_persons::id).into_boxed();
    let forward = contact_person_relations::contact_person_id.eq(person);
    let forward = forward.and(found_in(contact_person_relations::related_contact_person_id, "id", visible()));
    let backward = contact_person_relations::related_contact_person_id.eq(person);
    let backward = backward.and(found_in(contact_person_relations::contact_person_id, "id", visible()));
    contact_person_relations::table.filter(forward.or(backward)).into_boxed()
}

fn find(conn: &mut Conn, actor: &Actor, person: ContactPersonId, id: ContactPersonRelationId) -> Result<Row> {
    let reach = scope::allow_inside(actor, Action::CustomerRead)?;
    let row = seen_of(conn, person, actor, &reach).filter(contact_person_relations::id.eq(id)).select(Row::as_select());
    Ok(row.first(&mut conn.db)?)
}

/// Records a relation.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `relation_exists` or `already_ended`.
pub fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    new: NewContactPersonRelation,
) -> Result<ContactPersonRelation> {
    scope::allow_inside(actor, Action::CustomerWrite)?;
    // Both rows are locked in the order of their ids, so that two writers cannot wait for each other.
    let mut both = [person, new.related_contact_person_id];
    both.sort_unstable();
    for id in both {
        sight::hold(tx, id)?;
    }
    let own = sight::require(tx, actor, Action::CustomerWrite, person)?;
    const POINTER: &str = "/related_contact_person_id";
    if person == new.related_contact_person_id {
        return Err(Error::invalid(POINTER, "itself", "A person has no relation to themselves."));
    }
    let unknown = |_| Error::invalid(POINTER, "unknown_contact_person", "There is no such contact person within your reach.");
    let other = sight::require(tx, actor, Action::CustomerWrite, new.related_contact_person_id).map_err(unknown)?;
    sight::check_open(&own)?;
    sight::check_open(&other)?;
    let forward = new.relation_type.is_canonical();
    let (from, to) = if forward { (person, other.id) } else { (other.id, person) };
    let row = Row {
        id: ContactPersonRelationId::new(),
        contact_person_id: from,
        related_contact_person_id: to,
        relation_type: if forward { new.relation_type } else { new.relation_type.inverse() },
        note: new.note,
        ended_at: None,
        end_reason: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    check_alone(tx, &row)?;
    diesel::insert_into(contact_person_relations::table).values(&row).execute(&mut tx.db)?;
    tell(tx, actor, "contact_person_relation.created", &row);
    Ok(row.read_by(person, &HashMap::from([(other.id, other.name)])))
}

/// Refuses a relation of the same type between the same two, whichever way: nobody is above somebody who is above them.
fn check_alone(conn: &mut Conn, row: &Row) -> Result<()> {
    let (one, other) = (row.contact_person_id, row.related_contact_person_id);
    let same: i64 = of(one)
        .filter(contact_person_relations::contact_person_id.eq_any([one, other]))
        .filter(contact_person_relations::related_contact_person_id.eq_any([one, other]))
        .filter(contact_person_relations::relation_type.eq(row.relation_type))
        .filter(contact_person_relations::ended_at.is_null())
        .count()
        .get_result(&mut conn.db)?;
    if same > 0 {
        return Err(Error::conflict("relation_exists", "These two have such a relation already; end it first."));
    }
    Ok(())
}

/// One relation of a contact person.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`], also when the other person is out of sight.
pub fn get(
    conn: &mut Conn,
    actor: &Actor,
    person: ContactPersonId,
    id: ContactPersonRelationId,
) -> Result<ContactPersonRelation> {
    sight::require(conn, actor, Action::CustomerRead, person)?;
    let row = find(conn, actor, person, id)?;
    let names = names(conn, actor, vec![row.other_than(person)])?;
    Ok(row.read_by(person, &names))
}

/// Changes a relation that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    id: ContactPersonRelationId,
    version: i64,
    patch: ContactPersonRelationPatch,
) -> Result<ContactPersonRelation> {
    let mut row = find_open(tx, actor, person, id, version)?;
    row.note = patch.note.unwrap_or(row.note);
    save(tx, actor, "contact_person_relation.updated", row, person)
}

/// Ends a relation: it stays on record.
///
/// # Errors
/// As [`update`].
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    id: ContactPersonRelationId,
    version: i64,
    end: ContactPersonRelationEnd,
) -> Result<ContactPersonRelation> {
    let mut row = find_open(tx, actor, person, id, version)?;
    row.ended_at = Some(tx.now);
    row.end_reason = Some(end.reason);
    save(tx, actor, "contact_person_relation.ended", row, person)
}

/// Ends all relations of a contact person that is locked, from both directions.
pub(super) fn end_all(tx: &mut Tx<'_>, actor: &Actor, person: ContactPersonId, reason: &str) -> Result<()> {
    let either = contact_person_relations::contact_person_id.eq(person);
    let either = either.or(contact_person_relations::related_contact_person_id.eq(person));
    let rows: Vec<Row> = contact_person_relations::table
        .filter(either)
        .filter(contact_person_relations::ended_at.is_null())
        .order(contact_person_relations::id)
        .select(Row::as_select())
        .load(&mut tx.db)?;
    for mut row in rows {
        row.ended_at = Some(tx.now);
        row.end_reason = Some(reason.to_owned());
        save(tx, actor, "contact_person_relation.ended", row, person)?;
    }
    Ok(())
}

fn find_open(tx: &mut Tx<'_>, actor: &Actor, person: ContactPersonId, id: ContactPersonRelationId, version: i64) -> Result<Row> {
    sight::lock(tx, actor, Action::CustomerWrite, person)?;
    let row = find(tx, actor, person, id)?;
    if row.ended_at.is_some() {
        return Err(Error::conflict("already_ended", "This relation was ended; record another one."));
    }
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    Ok(row)
}

fn save(
    tx: &mut Tx<'_>,
    actor: &Actor,
    event: &'static str,
    mut row: Row,
    person: ContactPersonId,
) -> Result<ContactPersonRelation> {
    let seen = row.version;
    row.updated_at = tx.now;
    row.version += 1;
    let saved = diesel::update(contact_person_relations::table.find(row.id).filter(contact_person_relations::version.eq(seen)))
        .set((
            contact_person_relations::note.eq(&row.note),
            contact_person_relations::ended_at.eq(row.ended_at),
            contact_person_relations::end_reason.eq(&row.end_reason),
            contact_person_relations::updated_at.eq(row.updated_at),
            contact_person_relations::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    if saved == 0 {
        return Err(Error::PreconditionFailed { current: seen + 1 });
    }
    tell(tx, actor, event, &row);
    let names = names(tx, actor, vec![row.other_than(person)])?;
    Ok(row.read_by(person, &names))
}

fn tell(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, row: &Row) {
    let (one, other) = (row.contact_person_id, row.related_contact_person_id);
    let data = json!({ "type": row.relation_type, "contact_person_id": one, "related_contact_person_id": other });
    tx.emit(actor, NewEvent::new(kind, row.id, data));
}

/// Names of those contact persons that the actor sees.
fn names(conn: &mut Conn, actor: &Actor, ids: Vec<ContactPersonId>) -> Result<HashMap<ContactPersonId, String>> {
    let reach = scope::allow_inside(actor, Action::CustomerRead)?;
    let named: Vec<(ContactPersonId, String)> = contact_persons::table
        .filter(contact_persons::id.eq_any(ids))
        .filter(sight::visible_to(conn, actor, &reach))
        .select((contact_persons::id, contact_persons::name))
        .load(&mut conn.db)?;
    Ok(named.into_iter().collect())
}
