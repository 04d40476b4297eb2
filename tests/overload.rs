//! More work than the server can do: it says so at once, and what takes long holds up nobody who waits for a short answer.

use std::{
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, QueryDsl, RunQueryDsl, SqliteConnection, connection::SimpleConnection, dsl::count_star};
use kehu_kernel::{
    Error, Result, Store,
    crypto::Keyring,
    schema::branches,
    store::{Backend, StoreOptions},
    time::Clock,
};
use serde_json::json;

use crate::{
    both_databases,
    support::{
        App,
        process::{Caller, Server, free_address, text},
    },
};

both_databases!(reports_hold_up_nobody, who_comes_when_too_many_wait_is_told_so, writes_that_cannot_be_done_are_refused_at_once);

/// The application's database, narrow.
fn narrow(app: &App) -> Store {
    let options = StoreOptions { readers: 1, batch_readers: 1, waiting: 2, ..StoreOptions::new(&app.url) };
    Store::open(&options, Keyring::development().unwrap(), Clock::system()).unwrap()
}

async fn short(store: &Store) -> Result<i64> {
    store.read(|conn| Ok(branches::table.select(count_star()).first(&mut conn.db)?)).await
}

/// A read that takes this long.
async fn long(store: Store, time: Duration) -> Result<()> {
    let work = move |_: &mut kehu_kernel::Conn| {
        thread::sleep(time);
        Ok(())
    };
    store.read(work).await
}

async fn reports_hold_up_nobody(app: App) {
    const REPORT: Duration = Duration::from_secs(2);
    let store = narrow(&app);
    // More reports than there are connections for them.
    let reports: Vec<_> = (0..3).map(|_| actix_web::rt::spawn(long(store.batch(), REPORT))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    for _ in 0..20 {
        short(&store).await.unwrap();
    }
    assert!(started.elapsed() < REPORT / 2, "a report held up others for {:?}", started.elapsed());
    let fourth = short(&store.batch()).await;
    assert!(matches!(fourth, Err(Error::Busy)), "one report runs and two wait: {fourth:?}");
    for report in reports {
        report.await.unwrap().unwrap();
    }
    assert_eq!(short(&store.batch()).await.unwrap(), 0);
}

async fn who_comes_when_too_many_wait_is_told_so(app: App) {
    let store = narrow(&app);
    let inside: Vec<_> = (0..3).map(|_| actix_web::rt::spawn(long(store.clone(), Duration::from_millis(700)))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let refused = short(&store).await;
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    assert!(started.elapsed() < Duration::from_millis(100), "it took {:?}", started.elapsed());
    for read in inside {
        read.await.unwrap().unwrap();
    }
    assert_eq!(short(&store).await.unwrap(), 0);
}

/// Somebody who keeps all others from writing contact points.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    fn hold(app: &App) -> Self {
        match app.store.backend() {
            Backend::Sqlite => {
                let mut conn = SqliteConnection::establish(app.url.strip_prefix("sqlite://").unwrap()).unwrap();
                // The server may be writing something of its own just then.
                conn.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
                Self::Sqlite(conn)
            }
            Backend::Postgres => {
                let mut conn = PgConnection::establish(&app.url).unwrap();
                conn.batch_execute("BEGIN; LOCK TABLE contact_points IN SHARE MODE").unwrap();
                Self::Postgres(conn)
            }
        }
    }

    fn release(self) {
        match self {
            Self::Sqlite(mut conn) => conn.batch_execute("ROLLBACK").unwrap(),
            Self::Postgres(mut conn) => conn.batch_execute("ROLLBACK").unwrap(),
        }
    }
}

async fn writes_that_cannot_be_done_are_refused_at_once(app: App) {
    const CALLERS: usize = 30;
    const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
    text(&app.url, &["migrate"]);
    let options = ["--request-timeout", "30", "--writers", "1", "--waiting", "2"];
    let server = Server::start(&app.url, free_address(), &options);
    let base = format!("http://{}", server.address);
    let caller = Caller::administrator(&base);
    let body = json!({ "kind": "personal", "personal": { "full_name": "李娜" } });
    let (status, customer) = caller.post("/v1/customers", "the-customer", &body).unwrap();
    assert_eq!(status, 201, "{customer}");
    let customer = format!("/v1/customers/{}", customer["id"].as_str().unwrap());
    let path = format!("{customer}/contact-points");
    let lock = Lock::hold(&app);
    let answers: Vec<(u16, bool, Duration)> = thread::scope(|scope| {
        let post = |number: usize| {
            let (base, path) = (&base, &path);
            scope.spawn(move || {
                let started = Instant::now();
                let body = json!({ "kind": "email", "value": format!("c{number}@example.com") });
                let (status, headers, _) = Caller::administrator(base).send(path, &JSON, &body.to_string()).unwrap();
                (status, headers.contains_key("retry-after"), started.elapsed())
            })
        };
        let posts: Vec<_> = (0..CALLERS).map(post).collect();
        thread::sleep(Duration::from_secs(2));
        let started = Instant::now();
        assert_eq!(caller.get(&customer).unwrap().0, 200);
        assert!(started.elapsed() < Duration::from_secs(1), "a read waited for the writers: {:?}", started.elapsed());
        lock.release();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, ..)| *status == 201);
    assert_eq!((done.len(), refused.len()), (3, CALLERS - 3), "one writes and two wait: {answers:?}");
    for (status, retry_after, took) in refused {
        assert_eq!((status, retry_after), (503, true));
        assert!(took < Duration::from_millis(1500), "refused after {took:?}");
    }
    let (_, page) = caller.get(&path).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 3, "what was refused was not done");
}
