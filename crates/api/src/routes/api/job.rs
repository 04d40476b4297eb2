//! `/v1/jobs`

use actix_web::{get, post, web::Data};
use kehu_kernel::{
    Page, PageParams, Store,
    job::{self, Job, JobId},
};

use crate::{
    extract::{Caller, ListQuery, Nothing, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_jobs).service(get_job).service(cancel_job);
}

/// List jobs
///
/// Background jobs, newest first: all of them with `job.manage`, else those that the caller asked for.
#[utoipa::path(tag = "jobs", params(PageParams), responses((status = 200, description = "A page of jobs", body = Page<Job>)),
    security(("bearer" = [])))]
#[get("")]
async fn list_jobs(caller: Caller, store: Data<Store>, query: ListQuery<Nothing>) -> Answer<Page<Job>> {
    let page = store.read(move |conn| job::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get a job
///
/// One job with its progress and, when it is done, its result.
#[utoipa::path(tag = "jobs", params(("job_id" = JobId, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = Job)), security(("bearer" = [])))]
#[get("/{job_id}")]
async fn get_job(caller: Caller, store: Data<Store>, id: Path<Job>) -> Answer<Job> {
    let found = store.glance(move |conn| job::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Cancel a job
///
/// Asks a job to stop: one that waits stops at once, one that runs stops at its next step, keeping what it has
/// done. Takes no `If-Match`, because the version of a running job changes with its progress.
#[utoipa::path(tag = "jobs", params(("job_id" = JobId, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = Job)), security(("bearer" = [])))]
#[post("/{job_id}/cancel")]
async fn cancel_job(caller: Caller, store: Data<Store>, id: Path<Job>) -> Answer<Job> {
    let job = store.write(move |tx| job::cancel(tx, &caller, id.0)).await?;
    Ok(Reply::versioned(job.version, job))
}
