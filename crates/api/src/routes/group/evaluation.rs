//! `/v1/segmentation-evaluations`

use actix_web::{get, post, web::Data};
use kehu_group::evaluation::{
    self, EvaluationFilter, EvaluationId, EvaluationPrefill, NewSegmentationEvaluation, PrefillRequest, SegmentationEvaluation,
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_segmentation_evaluations)
        .service(create_segmentation_evaluation)
        .service(prefill_segmentation_evaluation)
        .service(get_segmentation_evaluation);
}

/// List segmentation evaluations
///
/// What splits and merges of groups were expected to bring and what they brought, the newest first.
#[utoipa::path(tag = "segmentation-evaluations", params(EvaluationFilter, PageParams),
    responses((status = 200, description = "A page of evaluations", body = Page<SegmentationEvaluation>)), security(("bearer" = ["group.read"])))]
#[get("")]
async fn list_segmentation_evaluations(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<EvaluationFilter>,
) -> Answer<Page<SegmentationEvaluation>> {
    let page = store.read(move |conn| evaluation::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Evaluate a split or a merge
///
/// A split pays if it brings more than it costs; a merge pays if it saves more than is lost. Three rules are reported: 1 compares
/// income with cost, 2 the composite benefit with cost, 3 says when to leave it. Rules 2 and 3 decide when a benefit beside income is
/// given, else rule 1 alone, marked `income_only`; equal sides are `indifferent`. Amounts are exact: the worth of each line is
/// rounded to the minor unit once. An actual evaluation is compared line by line with its forecast and says what follows:
/// `correct_estimate` while the figures still carry the step, else `re_merge` (or `re_split` after a merge).
#[utoipa::path(tag = "segmentation-evaluations", request_body = NewSegmentationEvaluation,
    responses((status = 201, description = "The evaluation", body = SegmentationEvaluation)), security(("bearer" = ["group.manage"])))]
#[post("")]
async fn create_segmentation_evaluation(
    caller: Caller,
    store: Data<Store>,
    body: Json<NewSegmentationEvaluation>,
) -> Answer<SegmentationEvaluation> {
    let made = store.write(move |tx| evaluation::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/segmentation-evaluations/{}", made.id), made.version, made))
}

/// Fill in what is held for an evaluation
///
/// The lines of an evaluation as Kehu knows them today: what the accounts of the groups' members earn and cost by the products' unit
/// revenue and unit cost, over the horizon. Lines that are not held are named with the reason. Nothing is kept. Needs `account.read`
/// besides.
#[utoipa::path(tag = "segmentation-evaluations", request_body = PrefillRequest,
    responses((status = 200, description = "What is held", body = EvaluationPrefill)), security(("bearer" = ["group.read"])))]
#[post("/prefill")]
async fn prefill_segmentation_evaluation(
    caller: Caller,
    store: Data<Store>,
    body: Json<PrefillRequest>,
) -> Answer<EvaluationPrefill> {
    let found = store.read(move |conn| evaluation::prefill(conn, &caller, &body.0)).await?;
    Ok(Reply::ok(found))
}

/// Get a segmentation evaluation
///
/// One evaluation with its lines and how its decision came about.
#[utoipa::path(tag = "segmentation-evaluations", params(("evaluation_id" = EvaluationId, Path, description = "Id of the evaluation")),
    responses((status = 200, description = "The evaluation", body = SegmentationEvaluation)), security(("bearer" = ["group.read"])))]
#[get("/{evaluation_id}")]
async fn get_segmentation_evaluation(
    caller: Caller,
    store: Data<Store>,
    id: Path<SegmentationEvaluation>,
) -> Answer<SegmentationEvaluation> {
    let found = store.glance(move |conn| evaluation::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}
