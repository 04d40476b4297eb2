//! `/v1/customers/match`, `/v1/customers/{id}/match`, `/v1/match-candidates`, `/v1/match-runs` and `/v1/match-parameters`

use actix_web::{get, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    matching::bank::{
        self as matching, CustomerMatches, MatchExplanation, MatchFacts, MatchPartner,
        candidate::{self, MatchCandidate, MatchCandidateFilter, MatchCandidateId},
        decision::{self, MatchDecision, Merging},
        group::{self, MatchGroup},
        parameters::{self, MatchParameters, MatchParametersFilter},
        run::{self, NewMatchRun},
    },
};
use kehu_kernel::{Page, PageParams, Store, job::Job};

use crate::{
    belonging::REGISTRY,
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
    settings::Settings,
};

/// The operations below `/customers`.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(match_customer).service(match_existing_customer).service(explain_match);
}

/// The operations below `/match-candidates`.
pub fn configure_candidates(config: &mut ServiceConfig<'_>) {
    config.service(list_match_candidates).service(get_match_candidate).service(get_match_group).service(decide_match_candidate);
}

/// The operations below `/match-runs`.
pub fn configure_runs(config: &mut ServiceConfig<'_>) {
    config.service(start_match_run);
}

/// The operations below `/match-parameters`.
pub fn configure_parameters(config: &mut ServiceConfig<'_>) {
    config.service(list_match_parameters);
}

/// Match a customer
///
/// Which customers may the given facts belong to? Names in any script and order, dates with slips, phone and document
/// numbers however they are written: whatever is known helps, nothing is needed. The best match comes first; customers
/// beyond the caller's reach are left out. Nothing is written.
#[utoipa::path(tag = "matching", request_body = MatchFacts,
    responses((status = 200, description = "The customers that may be meant, best first", body = CustomerMatches)),
    security(("bearer" = ["customer.match"])))]
#[post("/match")]
async fn match_customer(caller: Caller, store: Data<Store>, body: Json<MatchFacts>) -> Answer<CustomerMatches> {
    let found = store.read(move |conn| matching::find(conn, &caller, &body.0)).await?;
    Ok(Reply::ok(found))
}

/// Match a customer that is there
///
/// Which other records may tell of the same customer? Plausible pairs enter the work queue, those whose other customer
/// lies beyond the caller's reach too; these are not shown.
#[utoipa::path(tag = "matching", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The customers that may be the same, best first", body = CustomerMatches)),
    security(("bearer" = ["customer.match"])))]
#[post("/{customer_id}/match")]
async fn match_existing_customer(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CustomerMatches> {
    let found = store.write(move |tx| matching::find_for(tx, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// Explain a match
///
/// What speaks for and against two customers being one: each comparison with its values, its level and its weight in
/// bits, from the prior down to the probability. Numbers of documents are masked, and contact data is shown to those
/// whose role shows it.
#[utoipa::path(tag = "matching", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    request_body = MatchPartner, responses((status = 200, description = "The waterfall", body = MatchExplanation)),
    security(("bearer" = ["customer.match"])))]
#[post("/{customer_id}/explain-match")]
async fn explain_match(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<MatchPartner>,
) -> Answer<MatchExplanation> {
    let found = store.read(move |conn| matching::explain(conn, &caller, id.0, body.0.customer_id)).await?;
    Ok(Reply::ok(found))
}

/// List match candidates
///
/// The work queue: pairs of customers that may be one and the same, the best score first. Only pairs of which both
/// customers lie within the caller's reach.
#[utoipa::path(tag = "matching", params(MatchCandidateFilter, PageParams),
    responses((status = 200, description = "A page of pairs", body = Page<MatchCandidate>)), security(("bearer" = ["customer.match"])))]
#[get("")]
async fn list_match_candidates(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<MatchCandidateFilter>,
) -> Answer<Page<MatchCandidate>> {
    let page = store.read(move |conn| candidate::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get a match candidate
///
/// One pair with both customers, its reasons, and what was decided.
#[utoipa::path(tag = "matching", params(("match_candidate_id" = MatchCandidateId, Path, description = "Id of the pair")),
    responses((status = 200, description = "The pair", body = MatchCandidate)), security(("bearer" = ["customer.match"])))]
#[get("/{match_candidate_id}")]
async fn get_match_candidate(caller: Caller, store: Data<Store>, id: Path<MatchCandidate>) -> Answer<MatchCandidate> {
    let found = store.glance(move |conn| candidate::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Get the group of a match candidate
///
/// All customers within the caller's reach that open pairs connect with the two of this one, and those pairs: of three
/// records of one customer, two can be merged into the third by one merge. At most 20 customers.
#[utoipa::path(tag = "matching", params(("match_candidate_id" = MatchCandidateId, Path, description = "Id of the pair")),
    responses((status = 200, description = "The group", body = MatchGroup)), security(("bearer" = ["customer.match"])))]
#[get("/{match_candidate_id}/group")]
async fn get_match_group(caller: Caller, store: Data<Store>, id: Path<MatchCandidate>) -> Answer<MatchGroup> {
    let found = store.read(move |conn| group::get(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// Decide about a match candidate
///
/// Merges the two (which needs `customer.merge` too), rejects the pair, or puts the decision off until a day. A rejected
/// pair is not proposed again unless what was compared of one of the two changes. A merge takes the values that `choices`
/// name, and is refused when a customer has no longer the version that was seen; its plan is shown by `merge_customers`
/// with `dry_run`.
#[utoipa::path(tag = "matching",
    params(("match_candidate_id" = MatchCandidateId, Path, description = "Id of the pair"), IfMatchHeader),
    request_body = MatchDecision, responses((status = 200, description = "The pair as it is now", body = MatchCandidate)),
    security(("bearer" = ["customer.match"])))]
#[post("/{match_candidate_id}/decide")]
async fn decide_match_candidate(
    caller: Caller,
    store: Data<Store>,
    settings: Data<Settings>,
    id: Path<MatchCandidate>,
    version: IfMatch,
    body: Json<MatchDecision>,
) -> Answer<MatchCandidate> {
    let merging = Merging { registry: REGISTRY, reversible_days: settings.merge_revert_days };
    let decided = store.write(move |tx| decision::decide(tx, &caller, id.0, version.0, &body.0, merging)).await?;
    Ok(Reply::versioned(decided.version, decided))
}

/// Start a match run
///
/// Compares the whole base in the background and puts plausible pairs into the work queue; with `estimate`, it first
/// estimates anew from the bank's own data what comparisons weigh. A run changes no customer. Its result counts
/// records, comparisons, pairs and groups. One run at a time.
#[utoipa::path(tag = "matching", request_body = NewMatchRun,
    responses((status = 202, description = "The job", body = Job)), security(("bearer" = ["match.manage"])))]
#[post("")]
async fn start_match_run(caller: Caller, store: Data<Store>, body: Json<NewMatchRun>) -> Answer<Job> {
    let job = store.write(move |tx| run::start(tx, &caller, &body.0)).await?;
    Ok(Reply::accepted(format!("/v1/jobs/{}", job.id), job))
}

/// List match parameters
///
/// The versions of what comparisons weigh, the newest first. One version of each subject is in use; version 0, which
/// Kehu brings along, is used until the first is estimated and is not listed.
#[utoipa::path(tag = "matching", params(MatchParametersFilter, PageParams),
    responses((status = 200, description = "A page of versions", body = Page<MatchParameters>)), security(("bearer" = ["match.manage"])))]
#[get("")]
async fn list_match_parameters(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<MatchParametersFilter>,
) -> Answer<Page<MatchParameters>> {
    let page = store.read(move |conn| parameters::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}
