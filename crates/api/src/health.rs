//! `/healthz`: the process is alive. `/readyz`: it can serve; a load balancer asks.

use actix_web::{HttpResponse, get, http::StatusCode, web::Data};
use diesel::{QueryableByName, RunQueryDsl, sql_types};
use kehu_kernel::{Conn, Result, Store, store::migrate};
use serde_json::json;

use crate::problem::Problem;

#[get("/healthz")]
pub(crate) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

#[get("/readyz")]
pub(crate) async fn readyz(store: Data<Store>) -> Result<HttpResponse, Problem> {
    let newest = migrate::newest(store.backend()).map(|name| version_of(&name));
    let applied = store.read(newest_applied).await?;
    if newest.as_deref() <= Some(applied.as_str()) {
        return Ok(HttpResponse::Ok().json(json!({ "status": "ready" })));
    }
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE).code("migrations_pending").detail("Run `kehu migrate`.").retry_after(5))
}

/// diesel keeps the digits before the first underscore.
fn version_of(name: &str) -> String {
    name.split('_').next().unwrap_or("").chars().filter(char::is_ascii_digit).collect()
}

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = sql_types::Text)]
    version: String,
}

fn newest_applied(conn: &mut Conn) -> Result<String> {
    let query = diesel::sql_query("SELECT COALESCE(MAX(version), '') AS version FROM __diesel_schema_migrations");
    Ok(query.get_result::<Newest>(&mut conn.db)?.version)
}
