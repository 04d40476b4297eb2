//! Branches: a tree of five levels. A branch's path lists the codes from the root down, so that a
//! subtree is one range of an index.

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx,
    access::Reach,
    error::{FieldError, taken},
    event::NewEvent,
    patch,
    schema::{branch_moves, branches},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

/// Identifier of a branch.
pub type BranchId = Id<Branch>;

text_enum! {
    /// Level of a branch, from the root of the tree down.
    pub enum BranchLevel {
        /// The bank as a whole.
        HeadOffice = "head_office",
        /// Responsible for a province.
        ProvinceBranch = "province_branch",
        /// Responsible for a prefecture or city.
        PrefectureBranch = "prefecture_branch",
        /// Responsible for a county or district.
        CountyBranch = "county_branch",
        /// A place with counters.
        Outlet = "outlet",
    }
}

text_enum! {
    /// Whether a branch is in business.
    pub enum BranchStatus {
        /// In business.
        Active = "active",
        /// Closed; its customers and accounts have moved or are to be moved.
        Closed = "closed",
    }
}

/// A branch of the bank.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = branches)]
pub struct Branch {
    /// Identifier of the branch.
    pub id: BranchId,
    /// The bank's own code of the branch; unique, and never changed.
    #[schema(example = "SH-PD-01", max_length = 32)]
    pub code: String,
    /// Name of the branch.
    #[schema(example = "Lujiazui Outlet", max_length = 200)]
    pub name: String,
    /// Level in the tree.
    pub level: BranchLevel,
    /// The branch above; null for the root.
    pub parent_id: Option<BranchId>,
    /// Codes from the root down to this branch, each ended by a full stop.
    #[schema(example = "HO.SH.SH-PD.", max_length = 200)]
    pub path: String,
    /// Region that it serves.
    #[schema(max_length = 200)]
    pub region: Option<String>,
    /// Its time zone, an IANA name.
    #[schema(example = "Asia/Shanghai", max_length = 64)]
    pub time_zone: String,
    /// Where it is.
    #[schema(max_length = 500)]
    pub address: Option<String>,
    /// Whether it is in business.
    pub status: BranchStatus,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A branch to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewBranch {
    /// The bank's own code of the branch: letters, digits, `-` and `_`; unique.
    #[schema(example = "SH-PD-01", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the branch.
    #[schema(example = "Lujiazui Outlet", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// Level in the tree; below the parent's.
    pub level: BranchLevel,
    /// The branch above; absent only for the head office.
    pub parent_id: Option<BranchId>,
    /// Region that it serves.
    #[schema(max_length = 200)]
    #[validate(length(max = 200))]
    pub region: Option<String>,
    /// Its time zone, an IANA name; the parent's unless given.
    #[schema(example = "Asia/Shanghai", max_length = 64)]
    #[validate(length(max = 64), custom(function = "kehu_kernel::check::time_zone"))]
    pub time_zone: Option<String>,
    /// Where it is.
    #[schema(max_length = 500)]
    #[validate(length(max = 500))]
    pub address: Option<String>,
}

/// Changes to a branch; what is absent stays. A branch is moved by `move_branch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = branches)]
pub struct BranchPatch {
    /// Name of the branch.
    #[schema(nullable = false, value_type = String, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Region that it serves.
    #[schema(value_type = Option<String>, max_length = 200)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 200))]
    pub region: Option<Option<String>>,
    /// Its time zone, an IANA name.
    #[schema(nullable = false, max_length = 64)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 64), custom(function = "kehu_kernel::check::time_zone"))]
    pub time_zone: Option<String>,
    /// Where it is.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 500))]
    pub address: Option<Option<String>>,
    /// Whether it is in business.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub status: Option<BranchStatus>,
}

/// Where a branch goes.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BranchMove {
    /// The new branch above; it may not lie below the branch that moves.
    pub parent_id: BranchId,
    /// Why; kept in the history.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Filters of the list of branches.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BranchFilter {
    /// Only branches directly below this one.
    pub parent_id: Option<BranchId>,
    /// Only this level.
    #[param(example = "outlet")]
    pub level: Option<BranchLevel>,
    /// Only this status.
    #[param(example = "active")]
    pub status: Option<BranchStatus>,
    /// Only branches at or below the one with this code.
    #[param(max_length = 32, example = "SH")]
    pub below: Option<String>,
}

/// Branches in the order of the tree: each one before what lies below it.
///
/// # Errors
/// [`Error::Forbidden`] without `branch.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &BranchFilter, params: &PageParams) -> Result<Page<Branch>> {
    // Where the bank has branches is no secret among its staff: any depth of branch.read shows all.
    actor.allow(Action::BranchRead)?;
    let window = params.window::<String>(&conn.keys, &format!("branches?{filter:?}"))?;
    let subtree = match &filter.below {
        Some(code) => Some(Reach::path_range(&by_code(conn, code)?.path)),
        None => None,
    };
    let matching = || {
        let mut query = branches::table.into_boxed();
        if let Some(parent) = filter.parent_id {
            query = query.filter(branches::parent_id.eq(parent));
        }
        if let Some(level) = filter.level {
            query = query.filter(branches::level.eq(level));
        }
        if let Some(status) = filter.status {
            query = query.filter(branches::status.eq(status));
        }
        if let Some((from, to)) = subtree.clone() {
            query = query.filter(branches::path.ge(from)).filter(branches::path.lt(to));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(branches::path).limit(window.fetch()).select(Branch::as_select());
    if let Some(after) = &window.after {
        query = query.filter(branches::path.gt(after.clone()));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |branch: &Branch| branch.path.clone())
}

/// One branch.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `branch.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: BranchId) -> Result<Branch> {
    actor.allow(Action::BranchRead)?;
    find(conn, id)
}

/// Opens a branch.
///
/// # Errors
/// [`Error::Invalid`] when its level does not fit its parent's; [`Error::Conflict`] `branch_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewBranch) -> Result<Branch> {
    actor.allow_everywhere(Action::BranchManage)?;
    open(tx, actor, new)
}

pub(crate) fn open(tx: &mut Tx<'_>, actor: &Actor, new: NewBranch) -> Result<Branch> {
    hold_tree(tx)?;
    let parent = match new.parent_id {
        Some(id) => Some(parent_for(tx, id, new.level)?),
        None if new.level == BranchLevel::HeadOffice => None,
        None => return Err(Error::invalid("/parent_id", "required", "Only the head office has no branch above it.")),
    };
    let branch = Branch {
        id: BranchId::new(),
        path: format!("{}{}.", parent.as_ref().map_or("", |parent| parent.path.as_str()), new.code),
        time_zone: new.time_zone.or_else(|| parent.map(|parent| parent.time_zone)).unwrap_or_else(|| "Asia/Shanghai".into()),
        code: new.code,
        name: new.name,
        level: new.level,
        parent_id: new.parent_id,
        region: new.region,
        address: new.address,
        status: BranchStatus::Active,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(branches::table)
        .values(&branch)
        .execute(&mut tx.db)
        .map_err(taken("branch_code_taken", "Another branch has this code."))?;
    tx.emit(actor, NewEvent::new("branch.created", branch.id, json!({ "code": branch.code, "level": branch.level })));
    Ok(branch)
}

/// Changes a branch that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: BranchId, version: i64, change: &BranchPatch) -> Result<Branch> {
    actor.allow_everywhere(Action::BranchManage)?;
    amend(tx, actor, id, version, change)
}

pub(crate) fn amend(tx: &mut Tx<'_>, actor: &Actor, id: BranchId, version: i64, change: &BranchPatch) -> Result<Branch> {
    let updated = diesel::update(branches::table.find(id).filter(branches::version.eq(version)))
        .set((change, branches::updated_at.eq(tx.now), branches::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let branch = find(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: branch.version });
    }
    tx.emit(actor, NewEvent::new("branch.updated", id, json!({ "code": branch.code })));
    Ok(branch)
}

/// Hangs a branch, with all below it, under another one. The old place stays in the history.
///
/// # Errors
/// [`Error::Invalid`] when the tree would get a cycle or the levels do not fit; [`Error::PreconditionFailed`].
pub fn relocate(tx: &mut Tx<'_>, actor: &Actor, id: BranchId, version: i64, to: BranchMove) -> Result<Branch> {
    actor.allow_everywhere(Action::BranchManage)?;
    hang(tx, actor, id, version, to)
}

pub(crate) fn hang(tx: &mut Tx<'_>, actor: &Actor, id: BranchId, version: i64, to: BranchMove) -> Result<Branch> {
    hold_tree(tx)?;
    let moved = diesel::update(branches::table.find(id).filter(branches::version.eq(version)))
        .set((branches::updated_at.eq(tx.now), branches::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let branch = find(tx, id)?;
    if moved == 0 {
        return Err(Error::PreconditionFailed { current: branch.version });
    }
    let parent = parent_for(tx, to.parent_id, branch.level)?;
    if parent.path.starts_with(&branch.path) {
        return Err(Error::invalid("/parent_id", "cycle", "A branch cannot hang below itself."));
    }
    move_paths(tx, &branch.path, &format!("{}{}.", parent.path, branch.code))?;
    diesel::update(branches::table.find(id)).set(branches::parent_id.eq(parent.id)).execute(&mut tx.db)?;
    diesel::insert_into(branch_moves::table)
        .values((
            branch_moves::id.eq(Id::<BranchMove>::new()),
            branch_moves::branch_id.eq(id),
            branch_moves::from_parent_id.eq(branch.parent_id),
            branch_moves::to_parent_id.eq(parent.id),
            branch_moves::reason.eq(&to.reason),
            branch_moves::moved_by.eq(&actor.subject),
            branch_moves::moved_at.eq(tx.now),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "code": branch.code, "from": branch.parent_id, "to": parent.id });
    tx.emit(actor, NewEvent::new("branch.moved", id, data));
    find(tx, id)
}

/// The branch with this code, for filters.
///
/// # Errors
/// [`Error::Invalid`] on `?below` when there is none.
pub fn by_code(conn: &mut Conn, code: &str) -> Result<Branch> {
    known(conn, code)?.ok_or_else(|| Error::invalid("?below", "unknown_branch", "There is no branch with this code."))
}

pub(crate) fn known(conn: &mut Conn, code: &str) -> Result<Option<Branch>> {
    let branch = branches::table.filter(branches::code.eq(code)).select(Branch::as_select()).first(&mut conn.db);
    Ok(branch.optional()?)
}

fn find(conn: &mut Conn, id: BranchId) -> Result<Branch> {
    Ok(branches::table.find(id).select(Branch::as_select()).first(&mut conn.db)?)
}

/// Changes of the tree queue up at its root: whoever rewrites the paths of a subtree must know all that is in it.
fn hold_tree(tx: &mut Tx<'_>) -> Result<()> {
    let roots = branches::table.filter(branches::parent_id.is_null());
    diesel::update(roots).set(branches::version.eq(branches::version)).execute(&mut tx.db)?;
    Ok(())
}

/// The parent, if a branch of this level may hang under it.
fn parent_for(tx: &mut Tx<'_>, id: BranchId, level: BranchLevel) -> Result<Branch> {
    let parent = branches::table.find(id).select(Branch::as_select()).first::<Branch>(&mut tx.db).optional()?;
    let parent = parent.ok_or_else(|| Error::invalid("/parent_id", "unknown_branch", "There is no branch with this id."))?;
    if parent.level >= level {
        let message = format!("A {level} cannot hang under a {}.", parent.level);
        return Err(Error::Invalid(vec![FieldError::new("/level", "level_mismatch", message)]));
    }
    Ok(parent)
}

/// Rewrites the paths of a whole subtree.
fn move_paths(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<()> {
    let (first, end) = Reach::path_range(from);
    let subtree: Vec<(BranchId, String)> = branches::table
        .filter(branches::path.ge(first))
        .filter(branches::path.lt(end))
        .select((branches::id, branches::path))
        .load(&mut tx.db)?;
    for (id, path) in subtree {
        let rest = path.strip_prefix(from).unwrap_or(&path);
        diesel::update(branches::table.find(id)).set(branches::path.eq(format!("{to}{rest}"))).execute(&mut tx.db)?;
    }
    Ok(())
}
