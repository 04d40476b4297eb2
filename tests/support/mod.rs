//! The bench of all tests: an application on a fresh database of its own, and clients that call it.

pub mod bank;
pub mod client;
pub mod customers;
pub mod distributed;
pub mod filler;
pub mod ledger;
pub mod postgres;
pub mod process;
pub mod receiver;

use std::{path::PathBuf, pin::Pin, sync::OnceLock};

use actix_http::Request;
use actix_web::{
    dev::{Service, ServiceResponse},
    test,
};
use diesel::{Connection, ExpressionMethods, QueryDsl, RunQueryDsl, SqliteConnection, connection::SimpleConnection};
use kehu_api::{
    auth::AuthConfig,
    gate::Gate,
    server::{self, State},
    settings::{Rate, Settings},
    webhook::{Outbound, Post},
    worker,
};
use kehu_kernel::{
    Store,
    crypto::Keyring,
    event,
    job::Runner,
    store::{Backend, StoreOptions, migrate},
    time::Clock,
};

pub use client::{Answer, Client, sign, sign_with};

/// Shared secret of the tokens in tests.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// Makes two tests of each `async fn name(app: App)`: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[actix_web::test]
            async fn sqlite() {
                super::$name($crate::support::App::sqlite().await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                super::$name($crate::support::App::postgres().await).await;
            }
        })+
    };
}

type Call = Box<dyn Fn(Request) -> Pin<Box<dyn Future<Output = ServiceResponse>>>>;

/// An application on a fresh, migrated database.
pub struct App {
    /// Its database.
    pub store: Store,
    /// Where that is.
    pub url: String,
    call: Call,
    runner: Runner,
    post: Post,
    directory: tempfile::TempDir,
}

impl App {
    /// On a fresh SQLite file.
    pub async fn sqlite() -> Self {
        Self::on(Backend::Sqlite, Clock::system(), Self::settings()).await
    }

    /// On a fresh PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::on(Backend::Postgres, Clock::system(), Self::settings()).await
    }

    /// The settings of most tests: no limit to the number of requests.
    pub fn settings() -> Settings {
        let unlimited = Rate { requests: 0, seconds: 1 };
        Settings {
            jwt_secret: Some(SECRET.into()),
            rate_limit: unlimited,
            rate_limit_strangers: unlimited,
            login_limit: unlimited,
            ..Settings::default()
        }
    }

    /// On either, with a clock and settings of the test's own.
    pub async fn on(backend: Backend, clock: Clock, settings: Settings) -> Self {
        // A change of roles shows at once, so that no test has to wait for it.
        Self::remembering(std::time::Duration::ZERO, backend, clock, settings).await
    }

    /// As [`App::on`], with callers remembered for a while.
    pub async fn remembering(memory: std::time::Duration, backend: Backend, clock: Clock, settings: Settings) -> Self {
        drop(env_logger::builder().is_test(true).filter_level(log::LevelFilter::Warn).try_init());
        let directory = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::Sqlite => {
                let path = directory.path().join("kehu.db");
                std::fs::copy(sqlite_template(), &path).unwrap();
                format!("sqlite://{}", path.display())
            }
            Backend::Postgres => postgres::fresh_database(),
        };
        Self::at(url, directory, memory, clock, settings).await
    }

    /// On a fresh PostgreSQL database with the schema of a distributed one.
    pub async fn distributed() -> Self {
        let url = postgres::fresh_database();
        distributed::distribute(&url);
        let directory = tempfile::tempdir().unwrap();
        Self::at(url, directory, std::time::Duration::ZERO, Clock::system(), Self::settings()).await
    }

    async fn at(
        url: String,
        directory: tempfile::TempDir,
        memory: std::time::Duration,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let options = StoreOptions { readers: 3, writers: 8, ..StoreOptions::new(&url) };
        let store = Store::open(&options, Keyring::development().unwrap(), clock).unwrap();
        let settings = Settings { data_dir: directory.path().join("data"), ..settings };
        let runner = worker::runner(&settings);
        let post = Post::new(store.clone(), Outbound::new(&settings).unwrap());
        let gate = Gate::new(store.clone(), AuthConfig { memory, ..settings.auth() }).unwrap();
        let state = State::new(store.clone(), gate, settings).unwrap();
        let service = std::rc::Rc::new(test::init_service(server::app(&state)).await);
        let call: Call = Box::new(move |request| {
            let service = std::rc::Rc::clone(&service);
            Box::pin(async move {
                match service.call(request).await {
                    Ok(response) => response.map_into_boxed_body(),
                    // As the server does with what lost its request.
                    Err(error) => ServiceResponse::from_err(error, test::TestRequest::default().to_http_request()),
                }
            })
        });
        Self { store, url, call, runner, post, directory }
    }

    /// Where its files lie.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Runs all due jobs to their end, as the server's worker does beside the requests.
    pub fn run_jobs(&self) {
        while self.runner.run_one(&self.store).unwrap() {}
    }

    /// Takes the lease of the running job away once it has got on, as from a server that died.
    pub fn interrupt_job(&self) {
        use kehu_kernel::{job::JobState, schema::jobs};
        let got_on = |conn: &mut kehu_kernel::Conn| -> kehu_kernel::Result<bool> {
            let running = jobs::table.filter(jobs::state.eq(JobState::Running)).filter(jobs::progress_done.gt(0));
            Ok(running.count().get_result::<i64>(&mut conn.db)? > 0)
        };
        for _ in 0..2_000 {
            if self.store.read_blocking(got_on).unwrap() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let lost = "UPDATE jobs SET lease_owner = NULL, lease_until = created_at WHERE state = 'running'";
        self.store.write_blocking(move |tx| Ok(diesel::sql_query(lost).execute(&mut tx.db)?)).unwrap();
    }

    /// Gives what has happened its place in the feed and posts what is due to webhooks, as the server does beside the requests.
    pub fn deliver(&self) {
        while event::sequence(&self.store).unwrap() > 0 {}
        self.post.run_all().unwrap();
        // What posting itself has left.
        while event::sequence(&self.store).unwrap() > 0 {}
    }

    /// A caller with one role and the widest place: the head office.
    pub fn role(&self, role: &str) -> Client<'_> {
        Client::new(self, Some(client::token(role, None)))
    }

    /// A caller with one role at a branch.
    pub fn role_at(&self, role: &str, branch: &str) -> Client<'_> {
        Client::new(self, Some(client::token(role, Some(branch))))
    }

    /// A caller with this token.
    pub fn token(&self, token: String) -> Client<'_> {
        Client::new(self, Some(token))
    }

    /// A caller without a token.
    pub fn stranger(&self) -> Client<'_> {
        Client::new(self, None)
    }
}

/// A migrated SQLite file, made once a run and copied for each test.
fn sqlite_template() -> &'static PathBuf {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let path = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep().join("template.db");
        let url = format!("sqlite://{}", path.display());
        migrate::up(&url).unwrap();
        seed(&url);
        // What was seeded stands in the log beside the file; only the file is copied.
        SqliteConnection::establish(path.to_str().unwrap())
            .unwrap()
            .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        path
    })
}

/// Brings in what `kehu migrate` brings in besides tables.
fn seed(url: &str) {
    let store = Store::open(&StoreOptions::new(url), Keyring::development().unwrap(), Clock::system()).unwrap();
    store.write_blocking(|tx| Ok(kehu_organization::role::seed(tx)? + kehu_customer::tag::seed(tx)?)).unwrap();
}
