//! The domains of the tag library: seventeen slots, of which Kehu fills three.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx, each,
    error::taken,
    event::NewEvent,
    patch,
    schema::{tag_domains, tags},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::scope;

/// Identifier of a tag domain.
pub type TagDomainId = Id<TagDomain>;

/// How many domains the library has room for.
pub const SLOTS: i32 = 17;

/// A domain of the tag library.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = tag_domains, treat_none_as_default_value = false)]
pub struct TagDomain {
    /// Identifier of the domain.
    pub id: TagDomainId,
    /// Code of the domain; unique.
    #[schema(example = "demographics", max_length = 48)]
    pub code: String,
    /// Name of the domain.
    #[schema(example = "Demographics", max_length = 200)]
    pub name: String,
    /// What belongs into it.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Its slot, 1 to 17; the first three are built in.
    #[schema(minimum = 1, maximum = 17)]
    pub place: i32,
    /// Whether Kehu brought it along; such a domain keeps its code.
    pub built_in: bool,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A domain to be added.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewTagDomain {
    /// Code of the domain: letters, digits, `-` and `_`; unique.
    #[schema(example = "channels", min_length = 1, max_length = 48, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 48), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the domain.
    #[schema(example = "Channels", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: String,
    /// What belongs into it.
    #[schema(max_length = 500)]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<String>,
}

/// Changes to a domain; what is absent stays. A slot that is no longer wanted is used again under another code.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TagDomainPatch {
    /// Another code; only of a domain of the bank's own that has no tags.
    #[schema(nullable = false, min_length = 1, max_length = 48, pattern = "^[A-Za-z0-9_-]+$")]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 48), custom(function = "kehu_kernel::check::code"))]
    pub code: Option<String>,
    /// Name of the domain.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: Option<String>,
    /// What belongs into it.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<Option<String>>,
}

/// The domains that Kehu brings along: code, name, description.
const BUILT_IN: [(&str, &str, &str); 3] = [
    ("demographics", "Demographics", "Age, gender, region, marriage, income, occupation."),
    ("product_preference", "Product preference", "Which products and channels, how long, how often changed."),
    ("benefits", "Benefits", "How coupons and other benefits are used, and what they bring."),
];

/// Brings the built-in domains in, after the migrations. Returns how many rows it wrote; a second run writes none.
///
/// # Errors
/// The database's.
pub fn seed(tx: &mut Tx<'_>) -> Result<usize> {
    let present: Vec<String> =
        tag_domains::table.filter(tag_domains::built_in.eq(true)).select(tag_domains::code).load(&mut tx.db)?;
    let mut written = 0;
    for (place, (code, name, description)) in (1..).zip(BUILT_IN) {
        if present.iter().any(|known| known == code) {
            continue;
        }
        let row = TagDomain {
            id: TagDomainId::new(),
            code: code.to_owned(),
            name: name.to_owned(),
            description: Some(description.to_owned()),
            place,
            built_in: true,
            created_at: tx.now,
            updated_at: tx.now,
            version: 1,
        };
        // Several servers may start at once on an empty database.
        let insert = diesel::insert_into(tag_domains::table).values(&row).on_conflict_do_nothing();
        written += each!(&mut tx.db, c => insert.execute(c))?;
    }
    Ok(written)
}

/// The domains in the order of their slots.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`, and for customers; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<TagDomain>> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    let window = params.window::<i32>(&conn.keys, "tag-domains")?;
    let total = if window.include_total { Some(tag_domains::table.count().get_result(&mut conn.db)?) } else { None };
    let rows = tag_domains::table
        .filter(tag_domains::place.gt(window.after.unwrap_or(0)))
        .order(tag_domains::place)
        .limit(window.fetch())
        .select(TagDomain::as_select())
        .load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &TagDomain| row.place)
}

/// One domain.
///
/// # Errors
/// [`Error::Forbidden`] as in [`list`]; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: TagDomainId) -> Result<TagDomain> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    find(conn, id)
}

/// Adds a domain in the first free slot.
///
/// # Errors
/// [`Error::Forbidden`] without `tag.manage` everywhere; [`Error::Conflict`] `tag_domains_full` or `tag_domain_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewTagDomain) -> Result<TagDomain> {
    actor.allow_everywhere(Action::TagManage)?;
    // The row of the first slot is the lock of the library: two writers never see the same free slot.
    diesel::update(tag_domains::table.filter(tag_domains::place.eq(1)))
        .set(tag_domains::version.eq(tag_domains::version))
        .execute(&mut tx.db)?;
    let used: Vec<i32> = tag_domains::table.select(tag_domains::place).load(&mut tx.db)?;
    // The slots of the built-in domains stay theirs.
    let first = i32::try_from(BUILT_IN.len()).map_err(Error::internal)? + 1;
    let Some(place) = (first..=SLOTS).find(|place| !used.contains(place)) else {
        let detail = "The library has its 17 domains; give one of the bank's own that has no tags another code and name.";
        return Err(Error::conflict("tag_domains_full", detail));
    };
    let row = TagDomain {
        id: TagDomainId::new(),
        code: new.code,
        name: new.name,
        description: new.description,
        place,
        built_in: false,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(tag_domains::table)
        .values(&row)
        .execute(&mut tx.db)
        .map_err(taken("tag_domain_code_taken", "Another domain has this code."))?;
    tx.emit(actor, NewEvent::new("tag_domain.created", row.id, json!({ "code": row.code, "place": row.place })));
    Ok(row)
}

/// Changes a domain that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Invalid`] when a built-in domain
/// would get another code; [`Error::Conflict`] `tag_domain_in_use` or `tag_domain_code_taken`.
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: TagDomainId, version: i64, patch: TagDomainPatch) -> Result<TagDomain> {
    actor.allow_everywhere(Action::TagManage)?;
    tx.hold_row("tag_domains", id)?;
    let before = find(tx, id)?;
    if before.version != version {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    let code = patch.code.unwrap_or_else(|| before.code.clone());
    if code != before.code {
        check_renamed(tx, &before)?;
    }
    diesel::update(tag_domains::table.find(id))
        .set((
            tag_domains::code.eq(&code),
            tag_domains::name.eq(patch.name.unwrap_or(before.name)),
            tag_domains::description.eq(patch.description.unwrap_or(before.description)),
            tag_domains::updated_at.eq(tx.now),
            tag_domains::version.eq(version + 1),
        ))
        .execute(&mut tx.db)
        .map_err(taken("tag_domain_code_taken", "Another domain has this code."))?;
    tx.emit(actor, NewEvent::new("tag_domain.updated", id, json!({ "code": code })));
    find(tx, id)
}

fn check_renamed(conn: &mut Conn, domain: &TagDomain) -> Result<()> {
    if domain.built_in {
        return Err(Error::invalid("/code", "built_in", "A built-in domain keeps its code."));
    }
    let inside: i64 = tags::table.filter(tags::tag_domain_id.eq(domain.id)).count().get_result(&mut conn.db)?;
    if inside > 0 {
        return Err(Error::conflict("tag_domain_in_use", "This domain has tags; move them to another one first."));
    }
    Ok(())
}

pub(crate) fn find(conn: &mut Conn, id: TagDomainId) -> Result<TagDomain> {
    Ok(tag_domains::table.find(id).select(TagDomain::as_select()).first(&mut conn.db)?)
}
