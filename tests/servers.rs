//! Several servers on one database let in the same callers, as often as one would: rights, limits, guesses and keys.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use kehu_api::{login::Logins, settings::Rate};
use kehu_kernel::{Store, crypto::Keyring, store::StoreOptions, time::Clock};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        process::{Caller, Server, free_address},
    },
};

/// Makes two tests of each `fn name(url: &str)`, on a migrated database: one SQLite file, one PostgreSQL server.
macro_rules! several_servers {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn sqlite() {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}/kehu.db", directory.path().display());
                crate::support::process::text(&url, &["migrate"]);
                super::$name(&url);
            }

            #[test]
            fn postgres() {
                super::$name(&crate::support::postgres::fresh_database());
            }
        })+
    };
}

several_servers!(
    a_change_of_rights_counts_on_all_servers_within_a_second,
    a_limit_is_kept_by_all_servers_together,
    guesses_are_counted_by_all_servers_together_and_after_a_restart,
    a_key_sent_to_two_servers_at_once_is_carried_out_once,
);

both_databases!(a_stranger_locks_nobody_out);

fn pair(url: &str, options: &[&str]) -> [Server; 2] {
    [(); 2].map(|()| Server::start(url, free_address(), options))
}

fn login(server: &Server, id: &str, secret: &str) -> (u16, Value) {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let asked = agent.post(format!("{}/v1/oauth/token", server.base())).content_type("application/x-www-form-urlencoded");
    let mut answer = asked.send(form).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

/// A program that may read branches: its record, its `client_id` and its secret.
fn program(caller: &Caller, key: &str) -> (String, String, String) {
    let body = json!({ "name": key, "prefix": "ivr", "roles": ["administrator"], "scopes": ["branch.read"] });
    let (status, made) = caller.post("/v1/clients", key, &body).unwrap();
    assert_eq!(status, 201, "{made}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["client"]["id"]), text(&made["client"]["client_id"]), text(&made["client_secret"]))
}

/// Callers are remembered for five seconds otherwise; so a second is far from what would happen by itself.
fn a_change_of_rights_counts_on_all_servers_within_a_second(url: &str) {
    let servers = pair(url, &[]);
    let admin = Caller::administrator(&servers[0].base());
    for round in 0..3 {
        let (id, client_id, secret) = program(&admin, &format!("program-{round}"));
        let (status, token) = login(&servers[0], &client_id, &secret);
        assert_eq!(status, 200, "{token}");
        let there = Caller::bearing(&servers[1].base(), token["access_token"].as_str().unwrap());
        // The other server is let remember it anew.
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(there.get("/v1/branches").unwrap().0, 200);
        let headers = [("content-type", "application/json"), ("if-match", "\"1\"")];
        let (status, _, body) = admin.send(&format!("/v1/clients/{id}/revoke"), &headers, "{}").unwrap();
        assert_eq!(status, 200, "{body}");
        let revoked = Instant::now();
        while there.get("/v1/branches").unwrap().0 != 401 {
            assert!(revoked.elapsed() < Duration::from_secs(2), "a revoked token is trusted elsewhere");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // What a role grants is changed at one server for those who call another.
    let grants = |action: &str| json!([{ "action": action, "depth": "all" }]);
    let role = json!({ "code": "greeter", "name": "Greeter", "grants": grants("branch.read"), "field_classes": ["public"] });
    let (status, made) = admin.post("/v1/roles", "role", &role).unwrap();
    assert_eq!(status, 201, "{made}");
    let token = crate::support::sign(json!({ "sub": "greeter-1", "roles": ["greeter"] }));
    let greeter = Caller::bearing(&servers[1].base(), &token);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(greeter.get("/v1/me").unwrap().1["grants"], grants("branch.read"));
    let path = format!("/v1/roles/{}", made["id"].as_str().unwrap());
    let (status, body) = admin.patch(&path, 1, &json!({ "grants": grants("role.read") })).unwrap();
    assert_eq!(status, 200, "{body}");
    let changed = Instant::now();
    while greeter.get("/v1/me").unwrap().1["grants"] != grants("role.read") {
        assert!(changed.elapsed() < Duration::from_secs(2), "a role that was changed counts as before elsewhere");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many of so many requests are let in when they go to the servers in turn.
fn let_in(servers: &[Server], name: &str, requests: usize) -> usize {
    let callers: Vec<_> = servers.iter().map(|server| Caller::named(&server.base(), name)).collect();
    let answers = callers.iter().cycle().take(requests).map(|caller| caller.get("/v1/branches").unwrap().0);
    answers.filter(|status| *status == 200).count()
}

fn a_limit_is_kept_by_all_servers_together(url: &str) {
    // Two of them are each server's own to give, and are drawn at once from those that are left.
    let servers = pair(url, &["--rate-limit", "64/6400"]);
    let found = let_in(&servers, "alternating", 160);
    assert!((62..=67).contains(&found), "{found} of 64");
    // Who calls one server only has the whole limit.
    let found = let_in(&servers[..1], "faithful", 80);
    assert!((64..=65).contains(&found), "{found} of 64");
    // Many at once at both.
    let barrier = Arc::new(Barrier::new(8));
    let found: usize = std::thread::scope(|scope| {
        let turns: Vec<_> = (0..8)
            .map(|turn| {
                let (barrier, server) = (Arc::clone(&barrier), &servers[turn % 2]);
                scope.spawn(move || {
                    barrier.wait();
                    let_in(std::slice::from_ref(server), "crowd", 25)
                })
            })
            .collect();
        turns.into_iter().map(|turn| turn.join().unwrap()).sum()
    });
    assert!((62..=67).contains(&found), "{found} of 64 at once");
}

fn guesses_are_counted_by_all_servers_together_and_after_a_restart(url: &str) {
    let options = ["--login-limit", "6/6000"];
    let mut servers = pair(url, &options);
    let (_, id, secret) = program(&Caller::administrator(&servers[0].base()), "program");
    let guess = |server: &Server, number: usize| login(server, &format!("ivr-{number}"), "x").0;
    assert_eq!(login(&servers[0], &id, &secret).0, 200, "this is the first attempt of the address");
    let found: Vec<u16> = (0..8).map(|number| guess(&servers[number % 2], number)).collect();
    assert_eq!(found, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert_eq!(login(&servers[1], &id, &secret).0, 200, "where a client came in is known to all");
    for server in &mut servers {
        server.kill();
    }
    let again = Server::start(url, free_address(), &options);
    assert_eq!(guess(&again, 9), 429, "a restart forgives nothing");
    assert_eq!(login(&again, &id, &secret).0, 200);
}

fn a_key_sent_to_two_servers_at_once_is_carried_out_once(url: &str) {
    const ROUNDS: usize = 15;
    let servers = pair(url, &[]);
    let callers = servers.each_ref().map(|server| Caller::administrator(&server.base()));
    let body = json!({ "kind": "personal", "personal": { "full_name": "李娜" } });
    let (status, customer) = callers[0].post("/v1/customers", "the-customer", &body).unwrap();
    assert_eq!(status, 201, "{customer}");
    let path = format!("/v1/customers/{}/contact-points", customer["id"].as_str().unwrap());
    for round in 0..ROUNDS {
        let (key, barrier) = (format!("key-{round}"), Barrier::new(2));
        let point = json!({ "kind": "email", "value": format!("p{round}@example.com") });
        std::thread::scope(|scope| {
            for caller in &callers {
                let (path, key, point, barrier) = (&path, &key, &point, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    caller.insist(path, key, point);
                });
            }
        });
        // Each of the servers gives the answer of the one that did it.
        let headers = [("idempotency-key", key.as_str()), ("content-type", "application/json")];
        let answers = callers.each_ref().map(|caller| caller.send(&path, &headers, &point.to_string()).unwrap());
        for (status, headers, _) in &answers {
            assert_eq!((*status, headers["idempotency-replayed"].to_str().unwrap()), (201, "true"));
        }
        assert_eq!(answers[0].2, answers[1].2);
    }
    let (_, found) = callers[1].get(&format!("{path}?limit=100&include_total=true")).unwrap();
    assert_eq!(found["total"], json!(ROUNDS));
}

/// Nothing is remembered by what counts: each attempt is made with a counter of its own, as by another server.
async fn a_stranger_locks_nobody_out(app: App) {
    let clock = Clock::fixed(Clock::system().now());
    let store = Store::open(&StoreOptions::new(&app.url), Keyring::development().unwrap(), clock.clone()).unwrap();
    let server = || Arc::new(Logins::new(Rate { requests: 3, seconds: 600 }));
    let attempt = async |client: &str, address: &str| server().attempt(&store, client, address).await.unwrap();
    assert_eq!(attempt("bank", "10.0.0.1").await, Ok(()));
    server().succeeded(&store, "bank", "10.0.0.1").await.unwrap();
    // From many addresses, and from the client's own.
    let mut guesses = 0;
    for n in 0..20 {
        guesses += u32::from(attempt("bank", &format!("192.0.2.{n}")).await.is_ok());
        assert_eq!(attempt("bank", "10.0.0.1").await, Ok(()));
    }
    assert_eq!(guesses, 2, "of three for the client, one was its own");
    // One address that tries many clients, existing or not.
    let mut guesses = 0;
    for n in 0..20 {
        guesses += u32::from(attempt(&format!("c{n}"), "198.51.100.1").await.is_ok());
    }
    assert_eq!((guesses, attempt("c", "198.51.100.1").await), (3, Err(200)));
    clock.advance(Duration::from_secs(200));
    assert_eq!((attempt("c", "198.51.100.1").await, attempt("c", "198.51.100.1").await), (Ok(()), Err(200)));
    // Forgotten after a day: then the client's attempts count again.
    clock.advance(Duration::from_secs(24 * 3600));
    kehu_api::login::sweep(&store).unwrap();
    let mut allowed = 0;
    for _ in 0..20 {
        allowed += u32::from(attempt("bank", "10.0.0.1").await.is_ok());
    }
    assert_eq!(allowed, 3);
}
