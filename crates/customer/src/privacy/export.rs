//! Exports of all that is held about a customer: asked for, made by a job, kept sealed for a while.

use std::time::Duration;

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Store, Tx,
    access::ActorKind,
    audit::{self, Access},
    event::NewEvent,
    job::{self, Handler, JobId, JobState, Lease},
    schema::{jobs, privacy_exports},
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
struct Row {
    id: PrivacyExportId,
    customer_id: CustomerId,
    job_id: JobId,
    purpose: String,
    requested_by: String,
    requested_at: Instant,
    content_sealed: Option<Vec<u8>>,
    finished_at: Option<Instant>,
    expires_at: Option<Instant>,
    version: i64,
}

impl Row {
    fn shown(self, job: Option<JobState>, now: Instant) -> PrivacyExport {
        let state = match (&self.content_sealed, self.finished_at, job) {
            (Some(_), ..) if self.expires_at.is_some_and(|at| now < at) => PrivacyExportState::Ready,
            (_, Some(_), _) => PrivacyExportState::Expired,
            (_, None, Some(JobState::Queued | JobState::Running)) => PrivacyExportState::Preparing,
            _ => PrivacyExportState::Failed,
        };
        PrivacyExport {
            id: self.id,
            customer_id: self.customer_id,
            job_id: self.job_id,
            state,
            purpose: self.purpose,
            requested_by: self.requested_by,
            requested_at: self.requested_at,
            finished_at: self.finished_at,
            expires_at: self.expires_at,
            version: self.version,
        }
    }
}

/// The customer, for whoever may have its data exported: with `privacy.manage`, and the customer itself.
fn require(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CustomerRow> {
    let action = if actor.kind == ActorKind::Customer { Action::CustomerRead } else { Action::PrivacyManage };
    scope::require(conn, actor, action, customer)
}

/// Asks for an export.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`; [`Error::Invalid`] without a purpose.
pub fn export(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId) -> Result<PrivacyExport> {
    require(tx, actor, customer)?;
    scope::hold(tx, customer)?;
    require(tx, actor, customer)?;
    let itself = (actor.kind == ActorKind::Customer).then_some("the customer's own request");
    let purpose = actor.purpose.as_deref().map(str::trim).filter(|purpose| !purpose.is_empty()).or(itself);
    let Some(purpose) = purpose else {
        return Err(Error::invalid("?X-Purpose", "required", "Say in X-Purpose why the data is exported."));
    };
    let id = PrivacyExportId::new();
    let row = Row {
        id,
        customer_id: customer,
        job_id: job::enqueue(tx, actor, JOB_KIND, json!({ "export_id": id, "customer_id": customer }))?,
        purpose: purpose.to_owned(),
        requested_by: actor.subject.clone(),
        requested_at: tx.now,
        content_sealed: None,
        finished_at: None,
        expires_at: None,
        version: 1,
    };
    diesel::insert_into(privacy_exports::table).values(&row).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("privacy_export.requested", id, json!({})).of_customer(customer));
    Ok(row.shown(Some(JobState::Queued), tx.now))
}

/// Exports of a customer, the newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<PrivacyExport>> {
    require(conn, actor, customer)?;
    let window = params.window::<PrivacyExportId>(&conn.keys, &format!("privacy-exports/{customer}"))?;
    let of = || privacy_exports::table.filter(privacy_exports::customer_id.eq(customer));
    let total = if window.include_total { Some(of().count().get_result(&mut conn.db)?) } else { None };
    let mut query = of()
        .left_join(jobs::table.on(jobs::id.eq(privacy_exports::job_id)))
        .order(privacy_exports::id.desc())
        .limit(window.fetch())
        .select((Row::as_select(), diesel::NullableExpressionMethods::nullable(jobs::state)))
        .into_boxed();
    if let Some(before) = window.after {
        query = query.filter(privacy_exports::id.lt(before));
    }
    let rows: Vec<(Row, Option<JobState>)> = query.load(&mut conn.db)?;
    let now = conn.now;
    Ok(window.page(&conn.keys, rows, total, |(row, _): &(Row, Option<JobState>)| row.id)?.map(|(row, job)| row.shown(job, now)))
}

/// One export.
///
/// # Errors
/// [`Error::NotFound`], also when its customer is out of sight; [`Error::Forbidden`].
pub fn get(conn: &mut Conn, actor: &Actor, id: PrivacyExportId) -> Result<PrivacyExport> {
    let (row, job) = find(conn, actor, id)?;
    Ok(row.shown(job, conn.now))
}

fn find(conn: &mut Conn, actor: &Actor, id: PrivacyExportId) -> Result<(Row, Option<JobState>)> {
    actor.allow(if actor.kind == ActorKind::Customer { Action::CustomerRead } else { Action::PrivacyManage })?;
    let row: Row = privacy_exports::table.find(id).select(Row::as_select()).first(&mut conn.db)?;
    require(conn, actor, row.customer_id)?;
    let job = jobs::table.find(row.job_id).select(jobs::state).first(&mut conn.db).optional()?;
    Ok((row, job))
}

/// What an export holds. Who fetches it, and when, is recorded.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Conflict`] `export_not_ready` or `export_expired`.
pub fn content(tx: &mut Tx<'_>, actor: &Actor, id: PrivacyExportId) -> Result<PrivacyExportContent> {
    let (row, job) = find(tx, actor, id)?;
    let (customer, sealed) = (row.customer_id, row.content_sealed.clone());
    let sealed = match (row.shown(job, tx.now).state, sealed) {
        (PrivacyExportState::Ready, Some(sealed)) => sealed,
        (PrivacyExportState::Expired, _) => {
            return Err(Error::conflict("export_expired", "The content is gone; ask for another export."));
        }
        (state, _) => return Err(Error::conflict("export_not_ready", format!("The export is {state}."))),
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
    let content = store.read_blocking(|conn| document::gather(conn, registry, customer))?;
    let text = serde_json::to_string(&content).map_err(Error::internal)?;
    let sections: Vec<String> = content.sections.keys().cloned().collect();
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
