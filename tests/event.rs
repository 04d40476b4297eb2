//! Events: positions without gaps, and a chain that shows every change.

use diesel::{RunQueryDsl, sql_query};
use kehu_kernel::{Actor, AnyId, Error, event, event::NewEvent};
use serde_json::json;

use crate::{both_databases, support::App};

both_databases!(
    every_event_gets_one_position,
    the_chain_shows_a_changed_event,
    the_chain_shows_a_missing_event,
    a_failed_write_leaves_no_event
);

/// Writes so many events, each in a transaction of its own, from several threads.
fn happen(app: &App, threads: usize, each: usize) {
    let store = &app.store;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for number in 0..each {
                    let data = json!({ "number": number, "b": { "z": 1, "a": [true, null] } });
                    store
                        .write_blocking(move |tx| {
                            tx.emit(&Actor::system(), NewEvent::new("test.happened", AnyId::new(), data.clone()));
                            Ok(())
                        })
                        .unwrap();
                    if number % 5 == 0 {
                        event::sequence(store).unwrap();
                    }
                }
            });
        }
    });
    while event::sequence(store).unwrap() > 0 {}
}

fn alter(app: &App, sql: &'static str) {
    app.store.write_blocking(move |tx| Ok(sql_query(sql).execute(&mut tx.db)?)).unwrap();
}

async fn every_event_gets_one_position(app: App) {
    happen(&app, 4, 40);
    let found = event::verify(&app.store).unwrap();
    assert_eq!((found.checked, found.fault), (160, None));
}

async fn the_chain_shows_a_changed_event(app: App) {
    happen(&app, 1, 10);
    alter(&app, "UPDATE events SET actor = 'somebody else' WHERE position = 4");
    let found = event::verify(&app.store).unwrap();
    assert_eq!(found.checked, 3);
    assert!(found.fault.unwrap().contains("position 4"));
}

async fn the_chain_shows_a_missing_event(app: App) {
    happen(&app, 1, 10);
    alter(&app, "DELETE FROM events WHERE position = 7");
    assert!(event::verify(&app.store).unwrap().fault.unwrap().contains("position 7 is missing"));
    alter(&app, "DELETE FROM events WHERE position > 6");
    let found = event::verify(&app.store).unwrap();
    assert!(found.fault.unwrap().contains("head says 10"), "a cut end is found");
}

async fn a_failed_write_leaves_no_event(app: App) {
    let refused = app.store.write_blocking(|tx| {
        tx.emit(&Actor::system(), NewEvent::new("test.happened", AnyId::new(), json!({})));
        let kept = tx.savepoint(|tx| {
            tx.emit(&Actor::system(), NewEvent::new("test.undone", AnyId::new(), json!({})));
            Err::<(), _>(Error::Busy)
        });
        assert!(kept.is_err());
        Ok(())
    });
    refused.unwrap();
    let failed = app.store.write_blocking(|tx| {
        tx.emit(&Actor::system(), NewEvent::new("test.happened", AnyId::new(), json!({})));
        Err::<(), _>(Error::NotFound)
    });
    assert!(matches!(failed, Err(Error::NotFound)));
    let panicked = app.store.write_blocking(|_| -> kehu_kernel::Result<()> { panic!("a use case that panics") });
    assert!(matches!(panicked, Err(Error::Internal(_))));
    while event::sequence(&app.store).unwrap() > 0 {}
    assert_eq!(event::verify(&app.store).unwrap().checked, 1);
}
