//! Receivers that fail: what is tried again and when, in which order, what becomes of the others, and what is posted again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kehu_api::webhook::{Couriers, Outbound, Post};
use kehu_kernel::event;
use serde_json::{Value, json};

use crate::{
    posting,
    support::{
        App, Client,
        ledger::{bank, customer, text},
        receiver::{Received, Receiver, status},
    },
    webhook::{endpoint, lasting, log, path, settings, version},
};

posting!(
    what_fails_is_tried_again_in_the_order_of_each_customer,
    a_receiver_that_was_down_for_an_hour_misses_nothing,
    what_nobody_takes_is_a_dead_letter_and_can_be_replayed,
    a_receiver_that_is_gone_is_left_alone,
    a_receiver_that_asks_for_a_rest_gets_it,
    a_receiver_that_fails_for_days_is_disabled,
    a_part_of_the_feed_is_replayed,
    more_than_may_be_open_at_once_comes_all_the_same,
    a_slow_receiver_slows_nobody_else,
    two_servers_post_each_event_once
);

/// A change of the customer that leaves one event; its place among those.
async fn change(admin: &Client<'_>, id: &str, n: usize) {
    let path = format!("/v1/customers/{id}");
    let found = admin.get(&path).await.expect(200);
    let channel = ["phone", "email"][n % 2];
    admin.patch(&path, version(&found), json!({ "preferred_channel": channel })).await.expect(200);
}

/// Sequences of the events that came, by customer.
fn by_customer(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for one in receiver.received() {
        let event = one.event();
        found.entry(text(&event["customerid"])).or_default().push(text(&event["sequence"]));
    }
    found
}

/// All events of customers in the feed.
async fn feed(admin: &Client<'_>) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = admin.get(&format!("/v1/events?type=customer.*&limit=200&after={after}")).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().map(|event| text(&event["sequence"])));
        after = text(&page["next_cursor"]);
        if page["has_more"] == false {
            return all;
        }
    }
}

fn pass(app: &App, seconds: u64) {
    app.store.clock().advance(Duration::from_secs(seconds));
    app.deliver();
}

async fn what_fails_is_tried_again_in_the_order_of_each_customer(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    let (anna, bert) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Bert", &ids["A"]).await);
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, secret) = endpoint(&admin, &receiver, &["customer.*"]).await;
    let broken = anna.clone();
    receiver.answer(move |one| status(if one.event()["customerid"] == broken.as_str() { 500 } else { 200 }));
    for n in 0..2 {
        change(&admin, &anna, n).await;
        change(&admin, &bert, n).await;
    }
    app.deliver();
    // Bert's events have come; of Anna's the second waits for the first.
    let found = by_customer(&receiver);
    assert_eq!((found[&anna].len(), found[&bert].len()), (1, 2));
    let waiting: Vec<Value> = log(&admin, &endpoint).await.into_iter().filter(|one| one["state"] == "pending").collect();
    assert_eq!((waiting.len(), &waiting[0]["attempts"], &waiting[1]["attempts"]), (2, &json!(1), &json!(0)));
    assert_eq!((&waiting[0]["last_status"], &waiting[0]["last_error"]), (&json!(500), &json!("status")));
    // Not before the pause is over; then with the same id and a fresh signature.
    pass(&app, 4);
    assert_eq!(by_customer(&receiver)[&anna].len(), 1);
    receiver.answer(|_| status(200));
    pass(&app, 3);
    let (received, found) = (receiver.received(), by_customer(&receiver));
    let tries: Vec<_> = received.iter().filter(|one| one.event()["customerid"] == anna.as_str()).collect();
    assert_eq!((tries.len(), &found[&anna][0]), (3, &found[&anna][1]));
    assert!(found[&anna][1] < found[&anna][2]);
    let header = |n: usize, name: &str| tries[n].headers[name].clone();
    assert_eq!(header(0, "webhook-id"), header(1, "webhook-id"));
    assert_ne!(header(0, "webhook-timestamp"), header(1, "webhook-timestamp"));
    assert_ne!(header(0, "webhook-signature"), header(1, "webhook-signature"));
    assert!(tries[1].verifies(&secret, app.store.now().seconds()));
}

async fn a_receiver_that_was_down_for_an_hour_misses_nothing(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    endpoint(&admin, &receiver, &["customer.*"]).await;
    let ids = bank(&admin).await;
    receiver.answer(|_| status(503).replace("\r\n\r\n", "\r\nretry-after: 1\r\n\r\n"));
    let mut people = Vec::new();
    for n in 0..6 {
        let id = customer(&admin, &format!("Person {n}"), &ids["A"]).await;
        change(&admin, &id, n).await;
        people.push(id);
        pass(&app, 600);
    }
    receiver.take();
    receiver.answer(|_| status(200));
    // The next thing that happens brings along all that waited.
    change(&admin, &people[0], 1).await;
    pass(&app, 2);
    pass(&app, 2);
    let came: Vec<String> = by_customer(&receiver).into_values().flatten().collect();
    let (mut sorted, all) = (came.clone(), feed(&admin).await);
    sorted.sort();
    assert_eq!(sorted, all);
    for sequences in by_customer(&receiver).values() {
        assert!(sequences.is_sorted(), "{sequences:?}");
    }
}

async fn what_nobody_takes_is_a_dead_letter_and_can_be_replayed(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    let (anna, bert) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Bert", &ids["A"]).await);
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.updated"]).await;
    // One customer's events are refused, so the endpoint as a whole does not fail.
    let broken = anna.clone();
    receiver.answer(move |one| status(if one.event()["customerid"] == broken.as_str() { 400 } else { 200 }));
    change(&admin, &anna, 0).await;
    for n in 0..10 {
        change(&admin, &bert, n).await;
        pass(&app, 0);
        pass(&app, 30 * 3600);
    }
    let tries = by_customer(&receiver)[&anna].len();
    assert!((8..=10).contains(&tries), "{tries}");
    while log(&admin, &endpoint).await[0]["state"] == "pending" {
        pass(&app, 30 * 3600);
    }
    assert_eq!(by_customer(&receiver)[&anna].len(), 10);
    let dead = admin.get("/v1/webhook-deliveries?state=dead").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(10)));
    // What comes later of that customer is posted all the same.
    receiver.answer(|_| status(200));
    change(&admin, &anna, 1).await;
    pass(&app, 0);
    assert_eq!(by_customer(&receiver)[&anna].len(), 11);
    // The dead letters of a range, and of all.
    let delivery = format!("/v1/webhook-deliveries/{}", text(&dead[0]["id"]));
    let place = receiver.received().iter().map(Received::event).find(|event| event["id"] == dead[0]["event_id"]);
    let after = place.unwrap()["sequence"].clone();
    for (n, (after, state)) in [(after, "dead"), (json!("0"), "delivered")].into_iter().enumerate() {
        let wish = json!({ "after": after, "dead_only": true });
        let version = i64::try_from(n).unwrap() + 1;
        admin.command(&format!("{}/replay", path(&endpoint)), version, wish).await.expect(202);
        pass(&app, 0);
        assert_eq!(admin.get(&delivery).await.expect(200)["state"], state);
    }
    assert_eq!(by_customer(&receiver)[&anna].len(), 12);
    // One delivery, whatever became of it.
    let taken = admin.get(&delivery).await.expect(200);
    let replay = format!("{delivery}/replay");
    assert_eq!(admin.command(&replay, 1, json!({})).await.problem(412), "precondition_failed");
    let again = admin.command(&replay, version(&taken), json!({})).await.expect(200);
    assert_eq!((&again["state"], &again["attempts"]), (&json!("pending"), &json!(0)));
    assert_eq!(admin.command(&replay, version(&again), json!({})).await.problem(409), "webhook_delivery_pending");
    pass(&app, 0);
    assert_eq!(admin.get(&delivery).await.expect(200)["state"], "delivered");
    assert_eq!(by_customer(&receiver)[&anna].len(), 13);
}

async fn a_receiver_that_is_gone_is_left_alone(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.*"]).await;
    receiver.answer(|_| status(410));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    app.deliver();
    let now = admin.get(&path(&endpoint)).await.expect(200);
    assert_eq!((&now["status"], &now["status_reason"], receiver.take().len()), (&json!("disabled"), &json!("gone"), 1));
    change(&admin, &anna, 0).await;
    pass(&app, 86_400);
    assert!(receiver.received().is_empty());
    let told = admin.get("/v1/events?type=webhook_endpoint.disabled").await.expect(200);
    assert_eq!(told["items"][0]["data"], json!({ "reason": "gone" }));
    receiver.answer(|_| status(200));
    admin.command(&format!("{}/enable", path(&endpoint)), version(&now), json!({})).await.expect(200);
    app.deliver();
    assert_eq!(receiver.types(), ["customer.created", "customer.updated"]);
}

async fn a_receiver_that_asks_for_a_rest_gets_it(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.*"]).await;
    receiver.answer(|_| status(429).replace("\r\n\r\n", "\r\nretry-after: 120\r\n\r\n"));
    for n in 0..20 {
        customer(&admin, &format!("Person {n}"), &ids["A"]).await;
    }
    app.deliver();
    let first = receiver.take().len();
    assert!((1..=4).contains(&first), "{first}");
    assert!(admin.get(&path(&endpoint)).await.expect(200)["resume_at"].is_string());
    receiver.answer(|_| status(200));
    pass(&app, 100);
    assert!(receiver.received().is_empty());
    pass(&app, 30);
    assert_eq!(receiver.received().len(), 20);
}

async fn a_receiver_that_fails_for_days_is_disabled(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.*"]).await;
    receiver.answer(|_| status(404));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    for n in 0..6 {
        pass(&app, 0);
        assert_eq!(admin.get(&path(&endpoint)).await.expect(200)["status"], "active", "day {n}");
        pass(&app, 86_400 - 600);
        change(&admin, &anna, n).await;
    }
    pass(&app, 86_400);
    pass(&app, 86_400);
    let now = admin.get(&path(&endpoint)).await.expect(200);
    assert_eq!((&now["status"], &now["status_reason"]), (&json!("disabled"), &json!("failing")));
}

async fn a_part_of_the_feed_is_replayed(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.*"]).await;
    for n in 0..5 {
        customer(&admin, &format!("Person {n}"), &ids["A"]).await;
    }
    app.deliver();
    let all: Vec<String> = receiver.take().iter().map(|one| text(&one.event()["sequence"])).collect();
    assert_eq!(all.len(), 5);
    let mut order = all.clone();
    order.sort();
    let wish = json!({ "after": order[0], "until": order[3] });
    let running = admin.command(&format!("{}/replay", path(&endpoint)), 1, wish.clone()).await.expect(202);
    assert!(running["replay_until"].is_i64(), "{running}");
    assert_eq!(admin.command(&format!("{}/replay", path(&endpoint)), 2, wish).await.problem(409), "webhook_replay_running");
    app.deliver();
    let mut again: Vec<String> = receiver.take().iter().map(|one| text(&one.event()["sequence"])).collect();
    again.sort();
    assert_eq!(again, order[1..=3]);
    assert_eq!(admin.get(&path(&endpoint)).await.expect(200)["replay_until"], Value::Null);
    // What was removed from the log, and what was before the endpoint's time, is posted as well.
    app.store.clock().advance(Duration::from_secs(40 * 86_400));
    kehu_api::webhook::sweep(&app.store).unwrap();
    admin.command(&format!("{}/replay", path(&endpoint)), 2, json!({ "after": "0" })).await.expect(202);
    app.deliver();
    assert_eq!(receiver.take().len(), 5);
    // Dead letters alone: there are none.
    admin.command(&format!("{}/replay", path(&endpoint)), 3, json!({ "after": "0", "dead_only": true })).await.expect(202);
    app.deliver();
    assert!(receiver.received().is_empty());
    assert_eq!(admin.command(&format!("{}/replay", path(&endpoint)), 4, json!({ "after": "x" })).await.pointers(422), ["/after"]);
}

/// Events of a record that nobody else tells of.
fn emit(app: &App, count: usize) {
    app.store
        .write_blocking(move |tx| {
            for n in 0..count {
                let about: kehu_kernel::AnyId = kehu_kernel::AnyId::new();
                tx.emit(&kehu_kernel::Actor::system(), event::NewEvent::new("tag.updated", about, json!({ "n": n })));
            }
            Ok(())
        })
        .unwrap();
    while event::sequence(&app.store).unwrap() > 0 {}
}

async fn more_than_may_be_open_at_once_comes_all_the_same(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    endpoint(&admin, &receiver, &["tag.*"]).await;
    emit(&app, 1_300);
    app.deliver();
    let ids: std::collections::BTreeSet<String> =
        receiver.received().iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!((ids.len(), receiver.received().len()), (1_300, 1_300));
}

/// The server's own threads, on the database of a test.
fn couriers(app: &App) -> Couriers {
    Couriers::start(Post::new(app.store.clone(), Outbound::new(&settings()).unwrap())).unwrap()
}

async fn a_slow_receiver_slows_nobody_else(app: App) {
    let admin = lasting(&app);
    let (slow, quick) = (Receiver::start(), Receiver::start());
    endpoint(&admin, &slow, &["tag.*"]).await;
    endpoint(&admin, &quick, &["tag.*"]).await;
    let patient = Arc::new(AtomicBool::new(true));
    let waits = Arc::clone(&patient);
    slow.answer(move |_| {
        while waits.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
        status(200)
    });
    emit(&app, 60);
    let couriers = couriers(&app);
    let begun = Instant::now();
    quick.wait(60);
    let took = begun.elapsed();
    assert!(slow.received().len() <= 8, "{} at once", slow.received().len());
    patient.store(false, Ordering::SeqCst);
    assert!(took < Duration::from_secs(10), "{took:?}");
    couriers.stop();
}

async fn two_servers_post_each_event_once(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    endpoint(&admin, &receiver, &["tag.*"]).await;
    let servers = [couriers(&app), couriers(&app), couriers(&app)];
    for _ in 0..4 {
        emit(&app, 50);
        std::thread::sleep(Duration::from_millis(300));
    }
    receiver.wait(200);
    std::thread::sleep(Duration::from_secs(1));
    servers.into_iter().for_each(Couriers::stop);
    let ids: std::collections::BTreeSet<String> =
        receiver.received().iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!((ids.len(), receiver.received().len()), (200, 200));
}
