//! Staff: the people of the bank, where they work and which roles they hold.

mod change;

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Id, Instant, Page, PageParams, Reference, Result,
    access::Reach,
    json::Json,
    patch,
    schema::{branches, staff},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{
    branch::{self, BranchId},
    check,
};

pub(crate) use change::{amend, check_place, hire, set_status};
pub use change::{count_at, create, deactivate, resettle, update};

/// Identifier of a staff member.
pub type StaffId = Id<Staff>;

text_enum! {
    /// Whether somebody works for the bank.
    pub enum StaffStatus {
        /// Works for the bank.
        Active = "active",
        /// Has left or is suspended: tokens of theirs are refused and no customer is assigned to them.
        Inactive = "inactive",
    }
}

/// Somebody who works for the bank.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Staff {
    /// Identifier of the staff member.
    pub id: StaffId,
    /// The bank's own number of the person, the subject of their tokens; unique, and never changed.
    #[schema(example = "E100482", max_length = 32)]
    pub employee_no: String,
    /// Name of the person.
    #[schema(example = "王芳", max_length = 200)]
    pub name: String,
    /// The branch at which they work.
    pub branch: Reference,
    /// What they are called at work.
    #[schema(example = "Senior relationship manager", max_length = 100)]
    pub title: Option<String>,
    /// Codes of the roles that count when a token names none.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    pub roles: Vec<String>,
    /// Languages that they speak, as BCP 47 tags.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    pub languages: Vec<String>,
    /// What they know best, codes of the bank's own.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    pub specialities: Vec<String>,
    /// Extension of their telephone.
    #[schema(example = "4821", max_length = 16)]
    pub phone_extension: Option<String>,
    /// For how many customers they can be primarily responsible; no limit unless given.
    #[schema(example = 150, minimum = 0, maximum = 100_000)]
    pub capacity: Option<i32>,
    /// Whether they work for the bank.
    pub status: StaffStatus,
    /// When they were deactivated.
    pub deactivated_at: Option<Instant>,
    /// Why they were deactivated.
    #[schema(max_length = 500)]
    pub deactivation_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A row of the table of staff.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = staff, treat_none_as_default_value = false)]
pub(crate) struct StaffRow {
    pub(crate) id: StaffId,
    pub(crate) employee_no: String,
    pub(crate) name: String,
    pub(crate) branch_id: BranchId,
    pub(crate) title: Option<String>,
    pub(crate) roles: Json<Vec<String>>,
    pub(crate) languages: Json<Vec<String>>,
    pub(crate) specialities: Json<Vec<String>>,
    pub(crate) phone_extension: Option<String>,
    pub(crate) capacity: Option<i32>,
    pub(crate) status: StaffStatus,
    pub(crate) deactivated_at: Option<Instant>,
    pub(crate) deactivation_reason: Option<String>,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
}

impl From<(StaffRow, String)> for Staff {
    fn from((row, branch): (StaffRow, String)) -> Self {
        Self {
            id: row.id,
            employee_no: row.employee_no,
            name: row.name,
            branch: Reference::new(row.branch_id, branch),
            title: row.title,
            roles: row.roles.0,
            languages: row.languages.0,
            specialities: row.specialities.0,
            phone_extension: row.phone_extension,
            capacity: row.capacity,
            status: row.status,
            deactivated_at: row.deactivated_at,
            deactivation_reason: row.deactivation_reason,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// A staff member to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewStaff {
    /// The bank's own number of the person: letters, digits, `-` and `_`; unique.
    #[schema(example = "E100482", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub employee_no: String,
    /// Name of the person.
    #[schema(example = "王芳", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// The branch at which they work.
    pub branch_id: BranchId,
    /// What they are called at work.
    #[schema(max_length = 100)]
    #[validate(length(max = 100))]
    pub title: Option<String>,
    /// Codes of the roles that count when a token names none; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default)]
    #[validate(custom(function = "check::words"))]
    pub roles: Json<Vec<String>>,
    /// Languages that they speak, as BCP 47 tags; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default)]
    #[validate(custom(function = "check::words"))]
    pub languages: Json<Vec<String>>,
    /// What they know best, codes of the bank's own; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default)]
    #[validate(custom(function = "check::words"))]
    pub specialities: Json<Vec<String>>,
    /// Extension of their telephone.
    #[schema(max_length = 16)]
    #[validate(length(max = 16))]
    pub phone_extension: Option<String>,
    /// For how many customers they can be primarily responsible; no limit unless given.
    #[schema(minimum = 0, maximum = 100_000)]
    #[validate(range(min = 0, max = 100_000))]
    pub capacity: Option<i32>,
}

/// Changes to a staff member; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = staff)]
pub struct StaffPatch {
    /// Name of the person.
    #[schema(nullable = false, value_type = String, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// The branch at which they work.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub branch_id: Option<BranchId>,
    /// What they are called at work.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100))]
    pub title: Option<Option<String>>,
    /// Codes of the roles that count when a token names none, as a whole list; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "check::words"))]
    pub roles: Option<Json<Vec<String>>>,
    /// Languages that they speak, as a whole list of BCP 47 tags; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "check::words"))]
    pub languages: Option<Json<Vec<String>>>,
    /// What they know best, as a whole list; each once.
    #[schema(nullable = false, value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "check::words"))]
    pub specialities: Option<Json<Vec<String>>>,
    /// Extension of their telephone.
    #[schema(value_type = Option<String>, max_length = 16)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 16))]
    pub phone_extension: Option<Option<String>>,
    /// For how many customers they can be primarily responsible; no limit unless given.
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 100_000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(range(min = 0, max = 100_000))]
    pub capacity: Option<Option<i32>>,
}

/// Why somebody no longer works for the bank.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct StaffDeactivation {
    /// Why; kept with the record.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Filters of the list of staff.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StaffFilter {
    /// Only those who work at exactly this branch.
    pub branch_id: Option<BranchId>,
    /// Only those who work at or below the branch with this code.
    #[param(max_length = 32, example = "SH")]
    pub below: Option<String>,
    /// Only this status.
    #[param(example = "active")]
    pub status: Option<StaffStatus>,
    /// Only the one with this number.
    #[param(max_length = 32, example = "E100482")]
    pub employee_no: Option<String>,
}

/// Staff in the order of their numbers.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `staff.read`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &StaffFilter, params: &PageParams) -> Result<Page<Staff>> {
    // Who works for the bank is no secret among its staff: any depth of staff.read shows all.
    actor.allow(Action::StaffRead)?;
    let window = params.window::<String>(&conn.keys, &format!("staff?{filter:?}"))?;
    let subtree = match &filter.below {
        Some(code) => Some(Reach::path_range(&branch::by_code(conn, code)?.path)),
        None => None,
    };
    let matching = || {
        let mut query = staff::table.inner_join(branches::table.on(staff::branch_id.eq(branches::id))).into_boxed();
        if let Some(branch) = filter.branch_id {
            query = query.filter(staff::branch_id.eq(branch));
        }
        if let Some(status) = filter.status {
            query = query.filter(staff::status.eq(status));
        }
        if let Some(number) = &filter.employee_no {
            query = query.filter(staff::employee_no.eq(number.clone()));
        }
        if let Some((from, to)) = subtree.clone() {
            query = query.filter(branches::path.ge(from)).filter(branches::path.lt(to));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(staff::employee_no).limit(window.fetch()).select((StaffRow::as_select(), branches::name));
    if let Some(after) = &window.after {
        query = query.filter(staff::employee_no.gt(after.clone()));
    }
    let rows: Vec<(StaffRow, String)> = query.load(&mut conn.db)?;
    let people = rows.into_iter().map(Staff::from).collect();
    window.page(&conn.keys, people, total, |person: &Staff| person.employee_no.clone())
}

/// One staff member.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`]; [`kehu_kernel::Error::Forbidden`] without `staff.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: StaffId) -> Result<Staff> {
    actor.allow(Action::StaffRead)?;
    find(conn, id)
}

pub(crate) fn find(conn: &mut Conn, id: StaffId) -> Result<Staff> {
    let found = staff::table
        .inner_join(branches::table.on(staff::branch_id.eq(branches::id)))
        .filter(staff::id.eq(id))
        .select((StaffRow::as_select(), branches::name))
        .first::<(StaffRow, String)>(&mut conn.db)?;
    Ok(found.into())
}

pub(crate) fn row(conn: &mut Conn, id: StaffId) -> Result<StaffRow> {
    Ok(staff::table.find(id).select(StaffRow::as_select()).first(&mut conn.db)?)
}
