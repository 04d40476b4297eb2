//! Machine clients: programs that call for the bank, with a secret of their own.

pub mod secret;

use std::time::Duration;

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    access::Grants,
    event::NewEvent,
    json::Json,
    schema::{branches, clients, roles},
    text_enum,
};
use kehu_organization::{branch::BranchId, role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// Identifier of a machine client.
pub type ClientId = Id<Client>;

/// The scope that lets a client act for the person whom `X-On-Behalf-Of` names.
pub const ON_BEHALF_OF: &str = "on_behalf_of";

text_enum! {
    /// Whether a machine client may call.
    pub enum ClientStatus {
        /// It may.
        Active = "active",
        /// It may not, for ever.
        Revoked = "revoked",
    }
}

/// A machine client.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = clients)]
#[schema(as = MachineClient)]
pub struct Client {
    /// Identifier of the record.
    pub id: ClientId,
    /// The name by which the program identifies itself, its `client_id`; unique, made by the server.
    #[schema(example = "ivr-3f9a2c41", max_length = 64)]
    pub client_id: String,
    /// What the program is, for people.
    #[schema(example = "Interactive voice response", max_length = 200)]
    pub name: String,
    /// Hash of its secret.
    #[serde(skip)]
    pub secret_hash: String,
    /// Hash of the secret before the last rotation.
    #[serde(skip)]
    pub previous_secret_hash: Option<String>,
    /// Until when the secret before the last rotation is still accepted; null when there is none.
    pub previous_valid_until: Option<Instant>,
    /// Codes of its roles.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    pub roles: Json<Vec<String>>,
    /// The actions that it may use of those that its roles grant, and `on_behalf_of`.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 100)]
    pub scopes: Json<Vec<String>>,
    /// The branch from which its rights reach.
    pub branch_id: Option<BranchId>,
    /// Whether it may call.
    pub status: ClientStatus,
    /// Who made it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A machine client to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// What the program is, for people.
    #[schema(example = "Interactive voice response", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// A word that its `client_id` begins with: letters, digits, `-` and `_`.
    #[schema(example = "ivr", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub prefix: String,
    /// Codes of its roles.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, example = json!(["integration"]), min_items = 1, max_items = 20)]
    #[validate(length(min = 1, max = 20), custom(function = "kehu_kernel::limits::words"))]
    pub roles: Vec<String>,
    /// The actions that it may use of those that its roles grant, and `on_behalf_of`.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, example = json!(["customer.read", "account.read"]), min_items = 1, max_items = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "known_scopes"))]
    pub scopes: Vec<String>,
    /// The branch from which its rights reach; needed by roles that reach by branch.
    pub branch_id: Option<BranchId>,
}

/// How a secret is replaced.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SecretRotation {
    /// For how many seconds the old secret is still accepted; a day unless given, 0 for a secret that leaked.
    #[schema(minimum = 0, maximum = 604_800, example = 86_400)]
    #[validate(range(min = 0, max = 604_800))]
    pub grace_seconds: Option<i64>,
}

/// A machine client with its secret, which is shown this once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IssuedClient {
    /// The client.
    pub client: Client,
    /// Its secret. Keep it now: Kehu keeps only a hash.
    #[schema(max_length = 64)]
    pub client_secret: String,
}

fn known_scopes(scopes: &[String]) -> Result<(), ValidationError> {
    let known = |scope: &String| scope == ON_BEHALF_OF || scope.parse::<Action>().is_ok();
    match scopes.iter().find(|scope| !known(scope)) {
        None => Ok(()),
        Some(_) => {
            Err(ValidationError::new("unknown_scope").with_message("A scope is the name of an action, or on_behalf_of.".into()))
        }
    }
}

/// Machine clients in the order of their creation.
///
/// # Errors
/// [`Error::Forbidden`] without `client.manage`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<Client>> {
    actor.allow_everywhere(Action::ClientManage)?;
    let window = params.window::<ClientId>(&conn.keys, "clients")?;
    let total = if window.include_total { Some(clients::table.count().get_result(&mut conn.db)?) } else { None };
    let mut query = clients::table.into_boxed().order(clients::id).limit(window.fetch()).select(Client::as_select());
    if let Some(after) = window.after {
        query = query.filter(clients::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |client: &Client| client.id)
}

/// One machine client, revoked or not.
///
/// # Errors
/// [`Error::Forbidden`] without `client.manage`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: ClientId) -> Result<Client> {
    actor.allow_everywhere(Action::ClientManage)?;
    Ok(clients::table.find(id).select(Client::as_select()).first(&mut conn.db)?)
}

/// Makes a machine client with a fresh secret, whose hash is `secret_hash`.
///
/// # Errors
/// [`Error::Invalid`] for an unknown role or branch; [`Error::Forbidden`] when it could do more than its maker.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewClient, secret_hash: String) -> Result<Client> {
    actor.allow_everywhere(Action::ClientManage)?;
    check(tx, actor, &new)?;
    let id = ClientId::new();
    let random = id.uuid().simple().to_string();
    let client = Client {
        id,
        client_id: format!("{}-{}", new.prefix, random.get(20..).unwrap_or(&random)),
        name: new.name,
        secret_hash,
        previous_secret_hash: None,
        previous_valid_until: None,
        roles: Json(new.roles),
        scopes: Json(new.scopes),
        branch_id: new.branch_id,
        status: ClientStatus::Active,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        revoked_at: None,
        version: 1,
    };
    diesel::insert_into(clients::table).values(&client).execute(&mut tx.db)?;
    let data = json!({ "client_id": client.client_id, "roles": client.roles, "scopes": client.scopes });
    tx.emit(actor, NewEvent::new("client.created", id, data));
    Ok(client)
}

fn check(conn: &mut Conn, actor: &Actor, new: &NewClient) -> Result<()> {
    let mut broken = Vec::new();
    let known: Vec<String> = roles::table.filter(roles::code.eq_any(&new.roles)).select(roles::code).load(&mut conn.db)?;
    for (position, code) in new.roles.iter().enumerate() {
        if code == role::CUSTOMER_SELF || !known.contains(code) {
            broken.push(FieldError::new(format!("/roles/{position}"), "unknown_role", "There is no such role for programs."));
        }
    }
    if let Some(branch) = new.branch_id {
        let exists: bool = diesel::select(diesel::dsl::exists(branches::table.find(branch))).get_result(&mut conn.db)?;
        if !exists {
            broken.push(FieldError::new("/branch_id", "unknown_branch", "There is no branch with this id."));
        }
    }
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    check_held(conn, actor, &new.roles, &new.scopes)
}

/// Checks that the actor holds everything that these roles grant within these scopes, the classes of fields too.
fn check_held(conn: &mut Conn, actor: &Actor, roles: &[String], scopes: &[String]) -> Result<()> {
    let wanted = limited(&role::grants_of(conn, roles)?, scopes);
    let action = wanted.actions().find(|(action, depth)| actor.grants.depth(*action).is_none_or(|own| own < *depth));
    let class = wanted.classes().find(|class| !actor.sees(*class));
    let beyond = action
        .map(|(action, depth)| format!("{action} with depth {depth}"))
        .or_else(|| class.map(|class| format!("{class} fields")));
    match beyond {
        None => Ok(()),
        Some(beyond) => Err(Error::Forbidden(format!("Nobody gives away more than they have: {beyond}."))),
    }
}

/// What a client may do: what its roles grant, within its scopes.
#[must_use]
pub fn limited(grants: &Grants, scopes: &[String]) -> Grants {
    let mut limited = grants.clone();
    limited.restrict(|action| scopes.iter().any(|scope| scope == action.as_str()));
    limited
}

/// Gives a client a fresh secret; the old one holds on for the grace period.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `client_revoked`; [`Error::Forbidden`] for
/// a client that may do more than the caller.
pub fn rotate(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: ClientId,
    version: i64,
    change: &SecretRotation,
    secret_hash: &str,
) -> Result<Client> {
    let client = changeable(tx, actor, id, version)?;
    // Who has the secret has the client's rights.
    check_held(tx, actor, &client.roles.0, &client.scopes.0)?;
    let grace = Duration::from_secs(u64::try_from(change.grace_seconds.unwrap_or(86_400)).unwrap_or(0));
    diesel::update(clients::table.find(id))
        .set((
            clients::secret_hash.eq(secret_hash),
            clients::previous_secret_hash.eq(&client.secret_hash),
            clients::previous_valid_until.eq(tx.now.plus(grace)),
            clients::updated_at.eq(tx.now),
            clients::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("client.secret_rotated", id, json!({ "client_id": client.client_id })));
    find(tx, id)
}

/// Ends a client for ever; its tokens stop working within seconds.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `client_revoked`.
pub fn revoke(tx: &mut Tx<'_>, actor: &Actor, id: ClientId, version: i64) -> Result<Client> {
    let client = changeable(tx, actor, id, version)?;
    diesel::update(clients::table.find(id))
        .set((
            clients::status.eq(ClientStatus::Revoked),
            clients::revoked_at.eq(tx.now),
            clients::updated_at.eq(tx.now),
            clients::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("client.revoked", id, json!({ "client_id": client.client_id })));
    find(tx, id)
}

/// The client, locked, if it still has this version and may be changed.
fn changeable(tx: &mut Tx<'_>, actor: &Actor, id: ClientId, version: i64) -> Result<Client> {
    actor.allow_everywhere(Action::ClientManage)?;
    tx.hold_row("clients", id)?;
    let client = find(tx, id)?;
    if client.version != version {
        return Err(Error::PreconditionFailed { current: client.version });
    }
    match client.status {
        ClientStatus::Active => Ok(client),
        ClientStatus::Revoked => Err(Error::conflict("client_revoked", "The client is revoked; make another one.")),
    }
}

fn find(conn: &mut Conn, id: ClientId) -> Result<Client> {
    Ok(clients::table.find(id).select(Client::as_select()).first(&mut conn.db)?)
}

/// The client that calls itself so, if it may call.
///
/// # Errors
/// The database's.
pub fn active(conn: &mut Conn, client_id: &str) -> Result<Option<Client>> {
    let found = clients::table
        .filter(clients::client_id.eq(client_id))
        .filter(clients::status.eq(ClientStatus::Active))
        .select(Client::as_select())
        .first(&mut conn.db)
        .optional()?;
    Ok(found)
}
