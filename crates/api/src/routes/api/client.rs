//! `/v1/clients`

use actix_web::{get, post, web::Data};
use kehu_kernel::{Error, Page, PageParams, Result, Store};

use crate::{
    client::{self, Client, ClientId, IssuedClient, NewClient, SecretRotation, secret},
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Nothing, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_clients).service(create_client).service(get_client).service(rotate_client_secret).service(revoke_client);
}

/// Hashing takes tens of milliseconds: it must neither hold a worker nor the database's writer.
async fn fresh_secret() -> Result<(String, String)> {
    tokio::task::spawn_blocking(secret::fresh).await.map_err(Error::internal)?
}

/// List machine clients
///
/// Programs that may get tokens by their own secret, in the order of their creation, the revoked ones included.
#[utoipa::path(tag = "clients", params(PageParams), responses((status = 200, description = "A page of clients", body = Page<Client>)),
    security(("bearer" = ["client.manage"])))]
#[get("")]
async fn list_clients(caller: Caller, store: Data<Store>, query: ListQuery<Nothing>) -> Answer<Page<Client>> {
    let page = store.read(move |conn| client::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a machine client
///
/// Makes a client and shows its secret, this once. Nobody can give a client rights that they lack themselves.
#[utoipa::path(tag = "clients", request_body = NewClient, responses((status = 201, description = "The new client with its secret", body = IssuedClient)),
    security(("bearer" = ["client.manage"])))]
#[post("")]
async fn create_client(caller: Caller, store: Data<Store>, body: Json<NewClient>) -> Answer<IssuedClient> {
    let (client_secret, hash) = fresh_secret().await?;
    let made = store.write(move |tx| client::create(tx, &caller, body.0.clone(), hash.clone())).await?;
    Ok(Reply::created(format!("/v1/clients/{}", made.id), made.version, IssuedClient { client: made, client_secret }))
}

/// Get a machine client
///
/// One client, revoked or not, without its secret.
#[utoipa::path(tag = "clients", params(("id" = ClientId, Path, description = "Id of the client")),
    responses((status = 200, description = "The client", body = Client)), security(("bearer" = ["client.manage"])))]
#[get("/{id}")]
async fn get_client(caller: Caller, store: Data<Store>, id: Path<Client>) -> Answer<Client> {
    let found = store.glance(move |conn| client::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Rotate the secret of a machine client
///
/// Gives the client a fresh secret and shows it, this once. The old one is accepted until its grace period ends,
/// so that the program can be reconfigured without an interruption.
#[utoipa::path(tag = "clients", params(("id" = ClientId, Path, description = "Id of the client"), IfMatchHeader), request_body = SecretRotation,
    responses((status = 200, description = "The client with its new secret", body = IssuedClient)), security(("bearer" = ["client.manage"])))]
#[post("/{id}/rotate-secret")]
async fn rotate_client_secret(
    caller: Caller,
    store: Data<Store>,
    id: Path<Client>,
    version: IfMatch,
    body: Json<SecretRotation>,
) -> Answer<IssuedClient> {
    let (client_secret, hash) = fresh_secret().await?;
    let client = store.write(move |tx| client::rotate(tx, &caller, id.0, version.0, &body.0, &hash)).await?;
    Ok(Reply::versioned(client.version, IssuedClient { client, client_secret }))
}

/// Revoke a machine client
///
/// Ends the client for ever. It gets no more tokens, and those it has stop working within seconds.
#[utoipa::path(tag = "clients", params(("id" = ClientId, Path, description = "Id of the client"), IfMatchHeader),
    responses((status = 200, description = "The revoked client", body = Client)), security(("bearer" = ["client.manage"])))]
#[post("/{id}/revoke")]
async fn revoke_client(caller: Caller, store: Data<Store>, id: Path<Client>, version: IfMatch) -> Answer<Client> {
    let client = store.write(move |tx| client::revoke(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::versioned(client.version, client))
}
