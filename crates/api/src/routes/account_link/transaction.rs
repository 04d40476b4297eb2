//! `/v1/transactions`

use actix_web::{post, web::Data};
use kehu_account_link::transaction::{self, IngestReport, TransactionBatch};
use kehu_kernel::Store;

use crate::{
    extract::{Caller, Json},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(ingest_transactions);
}

/// Ingest transactions
///
/// Books up to 1,000 transactions of a source system. The same id again changes nothing; a transaction whose account is
/// not known waits for it; one that breaks rules is reported, and the others are booked all the same.
#[utoipa::path(tag = "transactions", request_body = TransactionBatch,
    responses((status = 200, description = "What became of the transactions", body = IngestReport)),
    security(("bearer" = ["transaction.ingest"])))]
#[post("")]
async fn ingest_transactions(caller: Caller, store: Data<Store>, body: Json<TransactionBatch>) -> Answer<IngestReport> {
    let report = store.write(move |tx| transaction::ingest(tx, &caller, &body.0)).await?;
    Ok(Reply::ok(report))
}
