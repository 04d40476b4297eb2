//! Takes an import back: what it created goes, the last first, unless something else depends on it.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Result, Tx,
    event::NewEvent,
    retraction::{self, Hindrance},
    schema::{import_effects, import_rows, imports},
};
use serde_json::json;

use super::{Import, ImportId, ImportState, entity, run::set_state};
use crate::dispatch::{self, Feed};

/// Takes back what an import created. What it changed or found unchanged stays.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `import_state` while it runs or
/// when there is nothing to revert, `import_in_use` when something else depends on what would go: then
/// nothing is taken back.
pub fn revert(tx: &mut Tx<'_>, actor: &Actor, id: ImportId, version: i64) -> Result<Import> {
    actor.allow_everywhere(Action::ImportManage)?;
    let record = entity::check_version(tx, id, version)?;
    if !matches!(record.state, ImportState::Done | ImportState::Failed) {
        return Err(Error::conflict(
            "import_state",
            format!("The import is {}; only one that has ended can be reverted.", record.state),
        ));
    }
    // The feeds are listed with what others refer to first.
    for feed in Feed::ALL.iter().rev().copied() {
        take_back(tx, actor, id, feed)?;
    }
    diesel::delete(import_effects::table.filter(import_effects::import_id.eq(id))).execute(&mut tx.db)?;
    diesel::delete(import_rows::table.filter(import_rows::import_id.eq(id))).execute(&mut tx.db)?;
    set_state(tx, id, ImportState::Reverted)?;
    diesel::update(imports::table.find(id)).set(imports::finished_at.eq(tx.now)).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("import.reverted", id, json!({ "records": record.created_count })));
    entity::get(tx, actor, id)
}

fn take_back(tx: &mut Tx<'_>, actor: &Actor, id: ImportId, feed: Feed) -> Result<()> {
    let Some(retraction) = dispatch::retraction(feed) else { return Ok(()) };
    let hindrances = retraction::retract(tx, id, feed.as_str(), &retraction)?;
    if !hindrances.is_empty() {
        return Err(in_use(feed, &hindrances));
    }
    if let Some(event) = retraction.event {
        for gone in created(tx, id, feed)? {
            tx.emit(actor, NewEvent::new(event, gone, json!({ "import_id": id })));
        }
    }
    Ok(())
}

fn created(conn: &mut Conn, id: ImportId, feed: Feed) -> Result<Vec<AnyId>> {
    let effects = import_effects::table
        .filter(import_effects::import_id.eq(id))
        .filter(import_effects::entity.eq(feed.as_str()))
        .order(import_effects::entity_id.desc());
    Ok(effects.select(import_effects::entity_id).load(&mut conn.db)?)
}

fn in_use(feed: Feed, hindrances: &[Hindrance]) -> Error {
    let named: Vec<String> = hindrances.iter().map(|hindrance| format!("{} (by {})", hindrance.id, hindrance.by)).collect();
    Error::conflict("import_in_use", format!("Nothing was taken back, because these {feed} are in use: {}.", named.join(", ")))
}
