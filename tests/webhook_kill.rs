//! Servers that are killed while they post, and others that go on.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    postgres,
    process::{Caller, Server, free_address, text},
    receiver::{Receiver, status},
};

const BRANCHES: usize = 40;

#[test]
fn sqlite() {
    let directory = tempfile::tempdir().unwrap();
    what_a_killed_server_has_not_posted_is_posted(&format!("sqlite://{}/kehu.db", directory.path().display()), false);
}

#[test]
fn postgres() {
    what_a_killed_server_has_not_posted_is_posted(&postgres::empty_database(), true);
}

fn start(url: &str) -> (Server, Caller) {
    let options = ["--webhook-networks", "127.0.0.0/8", "--webhook-plain-http", "--webhook-timeout", "1"];
    let server = Server::start(url, free_address(), &options);
    let caller = Caller::administrator(&format!("http://{}", server.address));
    (server, caller)
}

fn what_a_killed_server_has_not_posted_is_posted(url: &str, several: bool) {
    text(url, &["migrate"]);
    let receiver = Receiver::start();
    // Slow enough to be killed in the middle.
    receiver.answer(|_| {
        std::thread::sleep(Duration::from_millis(100));
        status(200)
    });
    let (mut first, caller) = start(url);
    let second = several.then(|| start(url));
    let body = json!({ "name": "x", "url": receiver.url(), "types": ["branch.*"] });
    let (made, answer) = caller.post("/v1/webhook-endpoints", "endpoint", &body).unwrap();
    assert_eq!(made, 201, "{answer}");
    for n in 0..BRANCHES {
        let level = if n == 0 { "head_office" } else { "outlet" };
        let mut branch = json!({ "code": format!("B{n}"), "name": format!("Branch {n}"), "level": level });
        if n > 0 {
            let (_, list) = caller.get("/v1/branches?limit=1").unwrap();
            branch["parent_id"] = list["items"][0]["id"].clone();
        }
        caller.insist("/v1/branches", &format!("branch-{n}"), &branch);
    }
    receiver.wait(3);
    first.kill();
    let (third, _) = start(url);
    let deadline = Instant::now() + Duration::from_secs(90);
    let ids = || -> BTreeSet<String> { receiver.received().iter().map(|one| one.headers["webhook-id"].clone()).collect() };
    while ids().len() < BRANCHES {
        assert!(Instant::now() < deadline, "{} of {BRANCHES} have come", ids().len());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Twice at most what was on its way when the server was killed.
    let doubled = receiver.received().len() - ids().len();
    assert!(doubled <= 4, "{doubled} came twice");
    let secret: &Value = &answer["secret"];
    let now = Caller::administrator(&format!("http://{}", third.address));
    assert_eq!(now.get("/v1/webhook-endpoints").unwrap().0, 200);
    let at = |one: &crate::support::receiver::Received| one.headers["webhook-timestamp"].parse::<i64>().unwrap();
    assert!(receiver.received().iter().all(|one| one.verifies(secret.as_str().unwrap(), at(one))));
    drop(second);
}
