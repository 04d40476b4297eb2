//! Roles as data: what each grants, how far it reaches and which classes of fields it shows.

mod built_in;

use diesel::{AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    access::{Depth, FieldClass, Grants, Reach},
    error::taken,
    event::NewEvent,
    json::Json,
    patch,
    schema::roles,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

pub use built_in::{ADMINISTRATOR, BUILT_IN, BuiltIn, CUSTOMER_SELF, seed};

/// Identifier of a role.
pub type RoleId = Id<Role>;

/// One action that a role grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleGrant {
    /// What may be done.
    pub action: Action,
    /// How far it reaches.
    pub depth: Depth,
}

/// A role: a name for what somebody may do. Who holds several roles may do what any of them grants.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = roles, treat_none_as_default_value = false)]
pub struct Role {
    /// Identifier of the role.
    pub id: RoleId,
    /// Code by which tokens and staff records name it; unique, and never changed.
    #[schema(example = "relationship_manager", max_length = 32)]
    pub code: String,
    /// Name of the role.
    #[schema(example = "Relationship manager", max_length = 200)]
    pub name: String,
    /// What it is for.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// What it grants; an action stands here once.
    #[schema(value_type = Vec<RoleGrant>, max_items = 100)]
    pub grants: Json<Vec<RoleGrant>>,
    /// The classes of fields that it shows.
    #[schema(value_type = Vec<FieldClass>, max_items = 4)]
    pub field_classes: Json<Vec<FieldClass>>,
    /// Whether Kehu brought it along; such a role keeps its code and its name.
    pub built_in: bool,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A role to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Code by which tokens and staff records name it: letters, digits, `-` and `_`; unique.
    #[schema(example = "private_banker", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the role.
    #[schema(example = "Private banker", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// What it is for.
    #[schema(max_length = 500)]
    #[validate(length(max = 500))]
    pub description: Option<String>,
    /// What it grants; an action may stand here once.
    #[schema(value_type = Vec<RoleGrant>, max_items = 100)]
    #[validate(custom(function = "each_action_once"))]
    pub grants: Json<Vec<RoleGrant>>,
    /// The classes of fields that it shows; each once.
    #[schema(value_type = Vec<FieldClass>, max_items = 4)]
    #[validate(custom(function = "each_class_once"))]
    pub field_classes: Json<Vec<FieldClass>>,
}

/// Changes to a role; what is absent stays. Of a built-in role only the description, the grants and
/// the field classes can be changed.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = roles)]
pub struct RolePatch {
    /// Name of the role.
    #[schema(nullable = false, value_type = String, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// What it is for.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 500))]
    pub description: Option<Option<String>>,
    /// What it grants, as a whole list; an action may stand here once.
    #[schema(nullable = false, value_type = Vec<RoleGrant>, max_items = 100)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "each_action_once"))]
    pub grants: Option<Json<Vec<RoleGrant>>>,
    /// The classes of fields that it shows, as a whole list; each once.
    #[schema(nullable = false, value_type = Vec<FieldClass>, max_items = 4)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "each_class_once"))]
    pub field_classes: Option<Json<Vec<FieldClass>>>,
}

fn each_action_once(grants: &Json<Vec<RoleGrant>>) -> Result<(), ValidationError> {
    let mut actions: Vec<Action> = grants.0.iter().map(|grant| grant.action).collect();
    actions.sort_unstable();
    actions.dedup();
    once(actions.len() == grants.0.len())
}

fn each_class_once(classes: &Json<Vec<FieldClass>>) -> Result<(), ValidationError> {
    let mut once_each = classes.0.clone();
    once_each.sort_unstable();
    once_each.dedup();
    once(once_each.len() == classes.0.len())
}

fn once(holds: bool) -> Result<(), ValidationError> {
    if holds { Ok(()) } else { Err(ValidationError::new("duplicate").with_message("Each may stand here once.".into())) }
}

/// Filters of the list of roles.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RoleFilter {
    /// Only those that Kehu brought along, or only those of the bank's own.
    #[param(example = true)]
    pub built_in: Option<bool>,
}

/// Roles in the order of their codes.
///
/// # Errors
/// [`Error::Forbidden`] without `role.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &RoleFilter, params: &PageParams) -> Result<Page<Role>> {
    actor.allow(Action::RoleRead)?;
    let window = params.window::<String>(&conn.keys, &format!("roles?{filter:?}"))?;
    let matching = || {
        let query = roles::table.into_boxed();
        match filter.built_in {
            Some(built_in) => query.filter(roles::built_in.eq(built_in)),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(roles::code).limit(window.fetch()).select(Role::as_select());
    if let Some(after) = &window.after {
        query = query.filter(roles::code.gt(after.clone()));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |role: &Role| role.code.clone())
}

/// Makes a role of the bank's own.
///
/// # Errors
/// [`Error::Conflict`] `role_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewRole) -> Result<Role> {
    actor.allow_everywhere(Action::RoleManage)?;
    let role = Role {
        id: RoleId::new(),
        code: new.code,
        name: new.name,
        description: new.description,
        grants: new.grants,
        field_classes: new.field_classes,
        built_in: false,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    let inserted = diesel::insert_into(roles::table).values(&role).execute(&mut tx.db);
    inserted.map_err(taken("role_code_taken", "Another role has this code."))?;
    tx.emit(actor, NewEvent::new("role.created", role.id, granted(&role)));
    Ok(role)
}

/// One role.
///
/// # Errors
/// [`Error::Forbidden`] without `role.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: RoleId) -> Result<Role> {
    actor.allow(Action::RoleRead)?;
    Ok(roles::table.find(id).select(Role::as_select()).first(&mut conn.db)?)
}

/// Changes a role that still has the version the caller saw. Who holds it has the new grants within seconds.
///
/// # Errors
/// [`Error::Invalid`] when a built-in role would be renamed, or nobody could manage roles any more;
/// [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: RoleId, version: i64, change: &RolePatch) -> Result<Role> {
    actor.allow_everywhere(Action::RoleManage)?;
    let changed = diesel::update(roles::table.find(id).filter(roles::version.eq(version)))
        .set((change, roles::updated_at.eq(tx.now), roles::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let role: Role = roles::table.find(id).select(Role::as_select()).first(&mut tx.db)?;
    if changed == 0 {
        return Err(Error::PreconditionFailed { current: role.version });
    }
    keep_built_in(&role, change)?;
    tx.emit(actor, NewEvent::new("role.updated", id, granted(&role)));
    Ok(role)
}

/// What stands in the events of a role: the change of rights itself is what an auditor looks for.
fn granted(role: &Role) -> serde_json::Value {
    json!({ "code": role.code, "grants": role.grants, "field_classes": role.field_classes })
}

fn keep_built_in(role: &Role, change: &RolePatch) -> Result<()> {
    let mut broken = Vec::new();
    if role.built_in && change.name.is_some() {
        broken.push(FieldError::new("/name", "built_in", "A built-in role keeps its name."));
    }
    let manages_roles = |grant: &RoleGrant| grant.action == Action::RoleManage && grant.depth == Depth::All;
    if role.code == ADMINISTRATOR && !role.grants.0.iter().any(manages_roles) {
        let message = "The administrator keeps role.manage with depth all; nobody could repair the roles without it.";
        broken.push(FieldError::new("/grants", "lockout", message));
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// What these roles grant together. Codes without a role grant nothing.
///
/// # Errors
/// The database's.
pub fn grants_of(conn: &mut Conn, codes: &[String]) -> Result<Grants> {
    let held: Vec<Role> = roles::table.filter(roles::code.eq_any(codes)).select(Role::as_select()).load(&mut conn.db)?;
    Ok(together(&held))
}

/// What roles grant together.
pub(crate) fn together(roles: &[Role]) -> Grants {
    let mut grants = Grants::default();
    for role in roles {
        role.grants.0.iter().for_each(|grant| grants.add(grant.action, grant.depth));
        role.field_classes.0.iter().for_each(|class| grants.add_class(*class));
    }
    grants
}

/// Checks that these roles exist and that the actor may give them to somebody: whoever manages the staff of
/// the whole bank may give any, everybody else only roles that grant no more than the own ones.
pub(crate) fn check_given(conn: &mut Conn, actor: &Actor, codes: &[String]) -> Result<()> {
    let known: Vec<Role> = roles::table.filter(roles::code.eq_any(codes)).select(Role::as_select()).load(&mut conn.db)?;
    let anything = actor.reach(Action::StaffManage) == Some(Reach::All);
    let broken = codes.iter().enumerate().filter_map(|(index, code)| {
        let pointer = format!("/roles/{index}");
        match known.iter().find(|role| role.code == *code) {
            None => Some(FieldError::new(pointer, "unknown_role", format!("There is no role {code}."))),
            Some(_) if anything => None,
            Some(role) => exceeds(&actor.grants, role).map(|what| {
                FieldError::new(pointer, "role_exceeds_own", format!("The role {code} grants {what}, your own roles do not."))
            }),
        }
    });
    let broken: Vec<FieldError> = broken.collect();
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// The first thing that a role grants beyond these grants.
fn exceeds(own: &Grants, role: &Role) -> Option<String> {
    let wider = role.grants.0.iter().find(|grant| own.depth(grant.action).is_none_or(|depth| depth < grant.depth));
    let class = role.field_classes.0.iter().find(|class| !own.sees(**class));
    wider
        .map(|grant| format!("{} with depth {}", grant.action, grant.depth))
        .or_else(|| class.map(|class| format!("{class} fields")))
}
