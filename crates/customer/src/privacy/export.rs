//! Exports of all that is held about a customer: asked for, made by a job, kept sealed for a while.

use std::{collections::HashMap, time::Duration};

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Store, Tx,
    access::{ActorKind, FieldClass},
    audit::{self, Access},
    event::NewEvent,
    job::{self, Handler, JobId, JobState, Lease},
    schema::{jobs, privacy_exports},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{EXPORT, PrivacyExportContent, document};
use crate::{CustomerId, CustomerRow, belonging::Registry, scope};

/// Kind of the jobs that make exports.
pub const JOB_KIND: &str = "privacy_export";
/// How long an export can be fetched.
pub const EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Whoever asks again within this time gets the export that they have.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// The classes of fields that an export holds.
const CLASSES: [FieldClass; 2] = [FieldClass::Sensitive, FieldClass::Secret];

/// Identifier of an export.
pub type PrivacyExportId = Id<PrivacyExport>;

text_enum! {
    /// Where an export stands.
    pub enum PrivacyExportState {
        /// It is being made.
        Preparing = "preparing",
        /// It can be fetched.
        Ready = "ready",
        /// Its time is over, its content is gone.
        Expired = "expired",
        /// It could not be made; its job says why.
        Failed = "failed",
    }
}

/// An export of all that is held about a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PrivacyExport {
    /// Identifier of the export.
    pub id: PrivacyExportId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The job that makes it.
    pub job_id: JobId,
    /// Where it stands.
    pub state: PrivacyExportState,
    /// Why it was asked for.
    #[schema(example = "request of the customer by letter", max_length = 200)]
    pub purpose: String,
    /// Who asked for it.
    #[schema(max_length = 128)]
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When it was ready; null before.
    pub finished_at: Option<Instant>,
    /// Until when its content can be fetched; null before it is ready.
    pub expires_at: Option<Instant>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = privacy_exports, treat_none_as_default_value = false)]
struct Head {
    id: PrivacyExportId,
    customer_id: CustomerId,
    job_id: JobId,
    purpose: String,
    requested_by: String,
    requested_at: Instant,
    finished_at: Option<Instant>,
    expires_at: Option<Instant>,
    version: i64,
}

/// An export with what its state follows from; its content, which may be large, is not read for that.
struct Found {
    head: Head,
    held: bool,
    job: Option<JobState>,
}

impl Found {
    fn state(&self, now: Instant) -> PrivacyExportState {
        match (self.held, self.head.finished_at, self.job) {
            (true, ..) if self.head.expires_at.is_some_and(|at| now < at) => PrivacyExportState::Ready,
            (_, Some(_), _) => PrivacyExportState::Expired,
            (_, None, Some(JobState::Queued | JobState::Running)) => PrivacyExportState::Preparing,
            _ => PrivacyExportState::Failed,
        }
    }

    fn shown(self, now: Instant) -> PrivacyExport {
        let state = self.state(now);
        let head = self.head;
        PrivacyExport {
            id: head.id,
            customer_id: head.customer_id,
            job_id: head.job_id,
            state,
            purpose: head.purpose,
            requested_by: head.requested_by,
            requested_at: head.requested_at,
            finished_at: head.finished_at,
            expires_at: head.expires_at,
            version: head.version,
        }
    }
}

/// Refuses whoever is not shown what an export holds in the open. Its document is the customer's: with it in hand, no mask
/// would be left. Customers are given their own.
fn require_classes(actor: &Actor) -> Result<()> {
    if actor.kind == ActorKind::Customer || CLASSES.iter().all(|class| actor.sees(*class)) {
        return Ok(());
    }
    let classes = CLASSES.map(FieldClass::as_str).join(" and ");
    Err(Error::Forbidden(format!("An export holds {classes} fields; this is for a role that shows these classes.")))
}

/// The exports of these customers that an actor is told of. Customers are told of those that they asked for: who in the
/// bank asked for another one, and why, may be an inquiry that must not be given away.
fn told<'a>(actor: &Actor) -> privacy_exports::BoxedQuery<'a, MultiBackend> {
    let all = privacy_exports::table.into_boxed();
    if actor.kind == ActorKind::Customer { all.filter(privacy_exports::requested_by.eq(actor.subject.clone())) } else { all }
}

/// The customer, for whoever may have its data exported: with `privacy.manage`, and the customer itself.
fn require(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CustomerRow> {
    let action = if actor.kind == ActorKind::Customer { Action::CustomerRead } else { Action::PrivacyManage };
    scope::require(conn, actor, action, customer)
}

/// Asks for an export. Who asks again while one is being made, or within a day, gets the one that they have asked for.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`, or when the actor is not shown sensitive fields and
/// numbers in full; [`Error::Invalid`] without a purpose.
pub fn export(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId) -> Result<PrivacyExport> {
    require_classes(actor)?;
    require(tx, actor, customer)?;
    scope::hold(tx, customer)?;
    require(tx, actor, customer)?;
    let itself = (actor.kind == ActorKind::Customer).then_some("the customer's own request");
    let purpose = actor.purpose.as_deref().map(str::trim).filter(|purpose| !purpose.is_empty()).or(itself);
    let Some(purpose) = purpose else {
        return Err(Error::invalid("?X-Purpose", "required", "Say in X-Purpose why the data is exported."));
    };
    if let Some(known) = fresh(tx, actor, customer)? {
        return Ok(known);
    }
    let id = PrivacyExportId::new();
    let head = Head {
        id,
        customer_id: customer,
        job_id: job::enqueue(tx, actor, JOB_KIND, json!({ "export_id": id, "customer_id": customer }))?,
        purpose: purpose.to_owned(),
        requested_by: actor.subject.clone(),
        requested_at: tx.now,
        finished_at: None,
        expires_at: None,
        version: 1,
    };
    diesel::insert_into(privacy_exports::table).values(&head).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("privacy_export.requested", id, json!({})).of_customer(customer));
    Ok(Found { head, held: false, job: Some(JobState::Queued) }.shown(tx.now))
}

/// The last export that the actor asked for, while it is being made or still new.
fn fresh(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<Option<PrivacyExport>> {
    let last = privacy_exports::table
        .filter(privacy_exports::customer_id.eq(customer))
        .filter(privacy_exports::requested_by.eq(&actor.subject))
        .order(privacy_exports::id.desc())
        .select(privacy_exports::id)
        .first::<PrivacyExportId>(&mut conn.db)
        .optional()?;
    let Some(last) = last else { return Ok(None) };
    let (known, now) = (find(conn, actor, last)?, conn.now);
    Ok(match known.state(now) {
        PrivacyExportState::Preparing => Some(known.shown(now)),
        PrivacyExportState::Ready if now < known.head.requested_at.plus(FRESH) => Some(known.shown(now)),
        _ => None,
    })
}

/// Exports of a customer, the newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<PrivacyExport>> {
    require(conn, actor, customer)?;
    let window = params.window::<PrivacyExportId>(&conn.keys, &format!("privacy-exports/{customer}"))?;
    let of = || told(actor).filter(privacy_exports::customer_id.eq(customer));
    let total = if window.include_total { Some(of().count().get_result(&mut conn.db)?) } else { None };
    let mut query = of()
        .order(privacy_exports::id.desc())
        .limit(window.fetch())
        .select((Head::as_select(), privacy_exports::content_sealed.is_not_null()));
    if let Some(before) = window.after {
        query = query.filter(privacy_exports::id.lt(before));
    }
    let rows: Vec<(Head, bool)> = query.load(&mut conn.db)?;
    let ids: Vec<JobId> = rows.iter().map(|(head, _)| head.job_id).collect();
    let states: Vec<(JobId, JobState)> =
        jobs::table.filter(jobs::id.eq_any(ids)).select((jobs::id, jobs::state)).load(&mut conn.db)?;
    let states: HashMap<JobId, JobState> = states.into_iter().collect();
    let found = |(head, held): (Head, bool)| Found { held, job: states.get(&head.job_id).copied(), head };
    let rows: Vec<Found> = rows.into_iter().map(found).collect();
    let now = conn.now;
    Ok(window.page(&conn.keys, rows, total, |found: &Found| found.head.id)?.map(|found| found.shown(now)))
}

/// One export.
///
/// # Errors
/// [`Error::NotFound`], also when its customer is out of sight; [`Error::Forbidden`].
pub fn get(conn: &mut Conn, actor: &Actor, id: PrivacyExportId) -> Result<PrivacyExport> {
    Ok(find(conn, actor, id)?.shown(conn.now))
}

fn find(conn: &mut Conn, actor: &Actor, id: PrivacyExportId) -> Result<Found> {
    actor.allow(if actor.kind == ActorKind::Customer { Action::CustomerRead } else { Action::PrivacyManage })?;
    let (head, held): (Head, bool) = told(actor)
        .filter(privacy_exports::id.eq(id))
        .select((Head::as_select(), privacy_exports::content_sealed.is_not_null()))
        .first(&mut conn.db)?;
    require(conn, actor, head.customer_id)?;
    let job = jobs::table.find(head.job_id).select(jobs::state).first(&mut conn.db).optional()?;
    Ok(Found { head, held, job })
}

/// What an export holds. Who fetches it, and when, is recorded.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`], also when the actor is not shown sensitive fields and numbers in full;
/// [`Error::Conflict`] `export_not_ready` or `export_expired`.
pub fn content(tx: &mut Tx<'_>, actor: &Actor, id: PrivacyExportId) -> Result<PrivacyExportContent> {
    require_classes(actor)?;
    let found = find(tx, actor, id)?;
    let customer = found.head.customer_id;
    let sealed: Option<Vec<u8>> = match found.state(tx.now) {
        PrivacyExportState::Ready => privacy_exports::table.find(id).select(privacy_exports::content_sealed).first(&mut tx.db)?,
        PrivacyExportState::Expired => None,
        state => return Err(Error::conflict("export_not_ready", format!("The export is {state}."))),
    };
    let Some(sealed) = sealed else {
        return Err(Error::conflict("export_expired", "The content is gone; ask for another export."));
    };
    let access = Access {
        customer_id: Some(customer.cast()),
        resource: "privacy_export",
        resource_id: id.cast(),
        action: "privacy.export",
        fields: &["content"],
    };
    audit::record(tx, actor, access)?;
    let text = tx.keys.open(EXPORT, id, &sealed)?;
    serde_json::from_str(&text).map_err(Error::internal)
}

#[derive(Deserialize)]
struct Payload {
    export_id: PrivacyExportId,
    customer_id: CustomerId,
}

/// What runs jobs of [`JOB_KIND`], over the tables of all crates.
#[must_use]
pub fn handler(registry: Registry) -> Handler {
    Box::new(move |store: &Store, lease: &Lease| -> Result<Value> {
        let payload: Payload = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        make(store, registry, lease, &payload)?;
        Ok(json!({ "export_id": payload.export_id }))
    })
}

/// Makes the content, and keeps it with the last sign of life of the job: a worker that was taken for dead cannot
/// write, and one that takes over begins anew, for nothing is written before.
fn make(store: &Store, registry: Registry, lease: &Lease, payload: &Payload) -> Result<()> {
    let (id, customer) = (payload.export_id, payload.customer_id);
    let (sections, text) = lease.during(store, job::BEAT, || -> Result<(Vec<String>, String)> {
        // Of one moment: sections refer to each other.
        let content = store.snapshot_blocking(|conn| document::gather(conn, registry, customer))?;
        let text = serde_json::to_string(&content).map_err(Error::internal)?;
        Ok((content.sections.keys().cloned().collect(), text))
    })?;
    // The right was checked when the export was asked for; its deeds stay the asker's.
    let actor = Actor { subject: lease.job.created_by.clone(), ..Actor::system() };
    let lease = lease.clone();
    store.write_blocking(move |tx| {
        let made = i64::try_from(sections.len()).map_err(Error::internal)?;
        lease.progress(tx, made, Some(made))?;
        let sealed = tx.keys.seal(EXPORT, id, &text)?;
        // A job that was begun again after it had written finds its work done.
        let written = diesel::update(privacy_exports::table.find(id).filter(privacy_exports::finished_at.is_null()))
            .set((
                privacy_exports::content_sealed.eq(sealed),
                privacy_exports::finished_at.eq(tx.now),
                privacy_exports::expires_at.eq(tx.now.plus(EXPIRY)),
                privacy_exports::version.eq(privacy_exports::version + 1),
            ))
            .execute(&mut tx.db)?;
        if written == 1 {
            tx.emit(&actor, NewEvent::new("privacy_export.finished", id, json!({ "sections": sections })).of_customer(customer));
        }
        Ok(())
    })
}

/// Deletes the content of exports whose time is over; returns how many. The records stay.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store) -> Result<usize> {
    let over = |now: Instant| {
        privacy_exports::table.filter(privacy_exports::content_sealed.is_not_null()).filter(privacy_exports::expires_at.le(now))
    };
    // A look without a lock first: an idle server does not write.
    let any: i64 = store.read_blocking(|conn| Ok(over(conn.now).count().get_result(&mut conn.db)?))?;
    if any == 0 {
        return Ok(0);
    }
    store.write_blocking(move |tx| {
        Ok(diesel::update(over(tx.now)).set(privacy_exports::content_sealed.eq(None::<Vec<u8>>)).execute(&mut tx.db)?)
    })
}
