//! The store under contention, and when its connections die.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use diesel::{
    Connection, ExpressionMethods, PgConnection, QueryDsl, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    dsl::count_star, sql_query,
};
use kehu_kernel::{
    AnyId, Error, Result, Store,
    crypto::Keyring,
    schema::branches,
    store::{Backend, Kind, StoreOptions, given, listed, up_to},
    time::Clock,
};

use crate::{both_databases, support::App};

both_databases!(
    optimistic_increments_lose_nothing,
    a_row_that_is_held_is_changed_by_nobody_else,
    a_glance_finds_what_a_read_finds,
    writers_of_two_processes_wait_for_each_other,
    readers_do_not_wait_for_a_writer,
    a_read_ends_when_nobody_waits_for_it,
    several_queries_are_counted_up_to_a_limit,
    changes_given_as_text_are_carried_out
);

/// Makes a row with a version; its name is the counter.
fn add(store: &Store, code: &str) -> Result<AnyId> {
    let code = code.to_owned();
    store.write_blocking(move |tx| {
        let id = AnyId::new();
        diesel::insert_into(branches::table)
            .values((
                branches::id.eq(id),
                branches::code.eq(&code),
                branches::name.eq("0"),
                branches::level.eq("outlet"),
                branches::path.eq(format!("{code}.")),
                branches::time_zone.eq("Asia/Shanghai"),
                branches::status.eq("active"),
                branches::created_at.eq(tx.now),
                branches::updated_at.eq(tx.now),
                branches::version.eq(1),
            ))
            .execute(&mut tx.db)?;
        Ok(id)
    })
}

fn count(store: &Store) -> Result<i64> {
    store.read_blocking(|conn| Ok(branches::table.select(count_star()).first(&mut conn.db)?))
}

/// The counter and its version.
fn counter(store: &Store, id: AnyId) -> (u32, i64) {
    let read = store.read_blocking(|conn| {
        Ok(branches::table.find(id).select((branches::name, branches::version)).first::<(String, i64)>(&mut conn.db)?)
    });
    let (name, version) = read.unwrap();
    (name.parse().unwrap(), version)
}

/// Adds one to what was read; somebody else may have been faster.
fn increment(store: &Store, id: AnyId) -> Result<()> {
    let (value, version) = counter(store, id);
    store.write_blocking(move |tx| {
        let changed = diesel::update(branches::table.find(id).filter(branches::version.eq(version)))
            .set((branches::name.eq((value + 1).to_string()), branches::version.eq(version + 1)))
            .execute(&mut tx.db)?;
        if changed == 1 { Ok(()) } else { Err(Error::PreconditionFailed { current: version }) }
    })
}

async fn optimistic_increments_lose_nothing(app: App) {
    let id = add(&app.store, "COUNTER").unwrap();
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..4 {
                    while let Err(error) = increment(&app.store, id) {
                        assert!(matches!(error, Error::PreconditionFailed { .. }), "{error}");
                    }
                }
            });
        }
    });
    assert_eq!(counter(&app.store, id), (256, 257));
}

async fn a_row_that_is_held_is_changed_by_nobody_else(app: App) {
    let id = add(&app.store, "HELD").unwrap();
    at_once(8, |_| {
        for _ in 0..25 {
            let counted = app.store.write_blocking(move |tx| {
                tx.hold_row("branches", id)?;
                let row = branches::table.find(id);
                let count: String = row.select(branches::name).first(&mut tx.db)?;
                let next = (count.parse::<u32>().unwrap() + 1).to_string();
                Ok(diesel::update(row).set(branches::name.eq(next)).execute(&mut tx.db)?)
            });
            counted.unwrap();
        }
    });
    assert_eq!(counter(&app.store, id).0, 200);
}

/// Where it runs depends on the database, and on whether a connection is at hand; what it finds does not.
async fn a_glance_finds_what_a_read_finds(app: App) {
    let id = add(&app.store, "GLANCE").unwrap();
    let asking = thread::current().id();
    let look = move |conn: &mut kehu_kernel::Conn| {
        let code: String = branches::table.find(id).select(branches::code).first(&mut conn.db)?;
        Ok((code, thread::current().id() == asking))
    };
    let embedded = app.store.backend() == Backend::Sqlite;
    assert_eq!(app.store.glance(look).await.unwrap(), ("GLANCE".to_owned(), embedded));
    let absent: Result<String> =
        app.store.glance(|conn| Ok(branches::table.find(AnyId::new()).select(branches::code).first(&mut conn.db)?)).await;
    assert!(matches!(absent, Err(Error::NotFound)));
    let panicked: Result<()> = app.store.glance(|_| panic!("a look that fails")).await;
    assert!(matches!(panicked, Err(Error::Internal(_))));
    assert_eq!(app.store.glance(look).await.unwrap().0, "GLANCE");
    // While others have all connections that are open.
    let open = usize::try_from(app.store.connections()[0].2).unwrap();
    let (taken, is_taken) = mpsc::channel();
    let end = Arc::new(Barrier::new(open + 1));
    for _ in 0..open {
        let (store, taken, end) = (app.store.clone(), taken.clone(), Arc::clone(&end));
        thread::spawn(move || {
            store.read_blocking(|_| {
                taken.send(()).unwrap();
                end.wait();
                Ok(())
            })
        });
    }
    assert_eq!(is_taken.iter().take(open).count(), open);
    assert_eq!(app.store.glance(look).await.unwrap().0, "GLANCE");
    end.wait();
}

async fn writers_of_two_processes_wait_for_each_other(app: App) {
    let before = count(&app.store).unwrap();
    let other = Store::open(&StoreOptions::new(&app.url), Keyring::development().unwrap(), Clock::system()).unwrap();
    thread::scope(|scope| {
        for (name, store) in [("A", &app.store), ("B", &other)] {
            for writer in 0..8 {
                scope.spawn(move || {
                    for number in 0..20 {
                        add(store, &format!("{name}-{writer}-{number}")).unwrap();
                    }
                });
            }
        }
    });
    assert_eq!(count(&other).unwrap() - before, 320);
}

async fn readers_do_not_wait_for_a_writer(app: App) {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let store = app.store.clone();
    let writer = thread::spawn(move || {
        store.write_blocking(move |tx| {
            diesel::update(branches::table).set(branches::name.eq("changed")).execute(&mut tx.db)?;
            begun.send(()).unwrap();
            may_end.recv().unwrap();
            Ok(())
        })
    });
    has_begun.recv().unwrap();
    count(&app.store).unwrap();
    end.send(()).unwrap();
    writer.join().unwrap().unwrap();
}

#[actix_web::test]
async fn a_read_sees_one_snapshot_on_sqlite() {
    let app = App::sqlite().await;
    let store = app.store.clone();
    let look = |conn: &mut kehu_kernel::Conn| branches::table.select(count_star()).first::<i64>(&mut conn.db);
    let (first, second) = app
        .store
        .read_blocking(|conn| {
            let first = look(conn)?;
            add(&store, "MEANWHILE")?;
            Ok((first, look(conn)?))
        })
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(count(&app.store).unwrap(), first + 1);
}

/// Ends every connection to the database but this one.
fn cut_all(url: &str) {
    let mut conn = PgConnection::establish(url).unwrap();
    sql_query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut conn)
    .unwrap();
    thread::sleep(Duration::from_millis(100));
}

/// Runs a piece of work on so many threads at once.
fn at_once(threads: usize, work: impl Fn(usize) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for number in 0..threads {
            scope.spawn(move || work(number));
        }
    });
}

#[actix_web::test]
async fn cut_connections_are_replaced_unnoticed() {
    let app = App::on(Backend::Postgres, Clock::system(), App::settings()).await;
    let read = |_| {
        app.store.read_blocking(|conn| Ok(sql_query("SELECT pg_sleep(0.05)").execute(&mut conn.db)?)).unwrap();
    };
    for round in 0..2 {
        // All connections are in use once, so all of them are dead afterwards.
        at_once(8, read);
        at_once(16, |number| {
            add(&app.store, &format!("R{round}-{number}")).unwrap();
        });
        cut_all(&app.url);
        count(&app.store).unwrap();
        cut_all(&app.url);
        add(&app.store, &format!("AFTER-{round}")).unwrap();
    }
    assert_eq!(count(&app.store).unwrap(), 34);
}

#[actix_web::test]
async fn a_write_whose_connection_is_cut_leaves_nothing() {
    let app = App::postgres().await;
    let url = app.url.clone();
    let cut = app.store.write_blocking(move |tx| {
        diesel::update(branches::table).set(branches::name.eq("half")).execute(&mut tx.db)?;
        cut_all(&url);
        Ok(branches::table.select(count_star()).first::<i64>(&mut tx.db)?)
    });
    assert!(matches!(cut, Err(Error::Unavailable(_))), "{cut:?}");
    add(&app.store, "NEXT").unwrap();
    assert_eq!(count(&app.store).unwrap(), 1);
}

/// Somebody always reads, so that SQLite by itself would never start its log anew.
#[test]
fn the_log_of_sqlite_stays_small_under_endless_reading() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    let url = format!("sqlite://{}", file.display());
    kehu_kernel::store::migrate::up(&url).unwrap();
    let options = StoreOptions { log_limit: 1 << 20, ..StoreOptions::new(&url) };
    let store = Store::open(&options, Keyring::development().unwrap(), Clock::system()).unwrap();
    let id = add(&store, "LOG").unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let reading = thread::spawn(move || {
        let mut readers: [SqliteConnection; 2] =
            std::array::from_fn(|_| SqliteConnection::establish(file.to_str().unwrap()).unwrap());
        readers[0].batch_execute("BEGIN; SELECT count(*) FROM branches").unwrap();
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            for turn in [1, 0] {
                readers[turn].batch_execute("BEGIN; SELECT count(*) FROM branches").unwrap();
                thread::sleep(Duration::from_millis(3));
                readers[1 - turn].batch_execute("COMMIT").unwrap();
            }
        }
    });
    let mut longest = 0;
    for turn in 0..300 {
        let name = format!("{turn}{}", "x".repeat(100_000));
        store
            .write_blocking(move |tx| {
                Ok(diesel::update(branches::table.find(id)).set(branches::name.eq(&name)).execute(&mut tx.db)?)
            })
            .unwrap();
        longest = longest.max(std::fs::metadata(folder.path().join("log.db-wal")).map_or(0, |log| log.len()));
    }
    stop.send(()).unwrap();
    reading.join().unwrap();
    assert!(longest < 4 << 20, "the log grew to {longest} bytes");
}

async fn several_queries_are_counted_up_to_a_limit(app: App) {
    for code in ["A", "B", "C", "D", "E"] {
        add(&app.store, code).unwrap();
    }
    let count = |most: i64| {
        let counted = app.store.read_blocking(|conn| {
            let arm =
                |codes: &[&'static str]| branches::table.filter(listed(branches::code, codes.to_vec())).select(branches::id);
            let arms = vec![arm(&["A", "B", "C"]), arm(&["X"]), arm(&["C", "D"])];
            Ok(up_to(arms, most).get_result::<i64>(&mut conn.db)?)
        });
        counted.unwrap()
    };
    assert_eq!((count(2), count(5), count(9)), (2, 5, 5));
}

/// What PostgreSQL keeps prepared on this connection of such statements.
fn kept_prepared(conn: &mut kehu_kernel::Conn, like: &str) -> i64 {
    let Kind::Postgres(conn) = &mut conn.db.kind else { return 1 };
    let count =
        diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE ");
    count.bind::<diesel::sql_types::Text, _>(like).get_result(conn).unwrap()
}

async fn changes_given_as_text_are_carried_out(app: App) {
    let (one, other) = (add(&app.store, "A").unwrap(), add(&app.store, "B").unwrap());
    let changed = app.store.write_blocking(move |tx| {
        let text = "UPDATE branches SET version = {}, status = {} WHERE id = {} AND version = {}";
        let change = |id: AnyId, version: i64| given::<()>(text, vec![9.into(), "closed".into(), id.into(), version.into()]);
        let counts = [(one, 1), (one, 1), (other, 1)].map(|(id, version)| change(id, version).execute(&mut tx.db).unwrap());
        assert_eq!(kept_prepared(tx, "UPDATE branches SET version%"), 1);
        Ok(counts)
    });
    assert_eq!(changed.unwrap(), [1, 0, 1]);
    let closed = branches::table.filter(branches::status.eq("closed")).filter(branches::version.eq(9));
    assert_eq!(app.store.read_blocking(|conn| Ok(closed.count().get_result::<i64>(&mut conn.db)?)).unwrap(), 2);
}

/// Waits until no read connection is in use any more.
fn comes_to_rest(store: &Store) {
    let until = Instant::now() + Duration::from_secs(5);
    while store.connections()[0].1 > 0 {
        assert!(Instant::now() < until, "a read goes on");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A read of many statements ends before its next one.
async fn a_read_ends_when_nobody_waits_for_it(app: App) {
    let endless = app.store.read(|conn| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            branches::table.select(count_star()).first::<i64>(&mut conn.db)?;
        }
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), endless).await.is_err());
    comes_to_rest(&app.store);
    assert_eq!(app.store.read(|conn| Ok(branches::table.select(count_star()).first::<i64>(&mut conn.db)?)).await.unwrap(), 0);
}

/// PostgreSQL ends the statement itself, in a snapshot, too; the readers can be used again.
#[actix_web::test]
async fn a_statement_ends_when_nobody_waits_for_it() {
    let app = App::postgres().await;
    for _ in 0..4 {
        let sleep = |conn: &mut kehu_kernel::Conn| Ok(sql_query("SELECT pg_sleep(30)").execute(&mut conn.db)?);
        assert!(tokio::time::timeout(Duration::from_millis(100), app.store.read(sleep)).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(100), app.store.snapshot(sleep)).await.is_err());
    }
    comes_to_rest(&app.store);
    for _ in 0..8 {
        assert_eq!(count(&app.store).unwrap(), 0);
    }
}
