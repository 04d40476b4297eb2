//! One server at a time posts to an endpoint: a lease that is renewed with every result, and runs out when the server dies.

use std::time::Duration;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{AnyId, Instant, Result, Store, Tx, schema::webhook_endpoints as endpoints};

use super::endpoint::{EndpointStatus, WebhookEndpointId};

/// A server's hold on an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub endpoint: WebhookEndpointId,
    owner: AnyId,
    term: Duration,
}

/// What the holder of a lease learns when it renews it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renewed {
    /// The version of the endpoint: another one when somebody changed it.
    pub version: i64,
    pub failing_since: Option<Instant>,
}

impl Lease {
    /// Takes the lease of an active endpoint, unless another server has it.
    pub fn take(store: &Store, endpoint: WebhookEndpointId, owner: AnyId, term: Duration) -> Result<Option<Self>> {
        store.write_blocking(move |tx| {
            let free = endpoints::lease_until.is_null().or(endpoints::lease_until.lt(tx.now));
            let active = endpoints::table.find(endpoint).filter(endpoints::status.eq(EndpointStatus::Active)).filter(free);
            let taken = diesel::update(active)
                .set((endpoints::lease_owner.eq(owner), endpoints::lease_until.eq(tx.now.plus(term))))
                .execute(&mut tx.db)?;
            Ok((taken == 1).then_some(Self { endpoint, owner, term }))
        })
    }

    /// Renews the lease, in the transaction that saves what was done under it; nothing when another server has it.
    pub fn renew(&self, tx: &mut Tx<'_>) -> Result<Option<Renewed>> {
        let mine = endpoints::table.find(self.endpoint).filter(endpoints::lease_owner.eq(self.owner));
        let found: Option<(i64, Option<Instant>)> = diesel::update(mine)
            .set(endpoints::lease_until.eq(tx.now.plus(self.term)))
            .returning((endpoints::version, endpoints::failing_since))
            .get_result(&mut tx.db)
            .optional()?;
        Ok(found.map(|(version, failing_since)| Renewed { version, failing_since }))
    }

    /// Gives the lease back.
    pub fn release(self, store: &Store) -> Result<()> {
        store.write_blocking(move |tx| {
            diesel::update(endpoints::table.find(self.endpoint).filter(endpoints::lease_owner.eq(self.owner)))
                .set((endpoints::lease_owner.eq(None::<AnyId>), endpoints::lease_until.eq(None::<Instant>)))
                .execute(&mut tx.db)?;
            Ok(())
        })
    }
}
