//! Callers that record contact points and merge customers, each under a key, until they are told that it is done.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::world::all;
use crate::support::process::Caller;

const CALLERS: usize = 8;
/// How long a caller tries before this is a fault of Kehu.
const PATIENCE: Duration = Duration::from_secs(120);

/// The threads, and what they have done so far.
pub struct Work {
    /// How many writes were acknowledged.
    pub acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    customers: Vec<String>,
    recorders: Vec<JoinHandle<(Vec<String>, Duration)>>,
    merger: JoinHandle<Vec<(String, String)>>,
}

/// What was acknowledged.
pub struct Done {
    /// The keys of the contact points.
    pub keys: Vec<String>,
    /// Survivors and those that were merged into them.
    pub merges: Vec<(String, String)>,
    /// The longest that a caller waited for one write.
    pub longest: Duration,
    customers: Vec<String>,
}

impl Work {
    /// Lets the callers begin; each goes from server to server.
    pub fn start(bases: Vec<String>, customers: Vec<String>) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let recorder = |number: usize| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            let (bases, customers) = (bases.clone(), customers.clone());
            std::thread::spawn(move || record(number, &callers(&bases), &customers, &stop, &count))
        };
        let recorders = (0..CALLERS).map(recorder).collect();
        let merger = {
            let (stop, bases) = (Arc::clone(&stop), bases.clone());
            std::thread::spawn(move || merge(&callers(&bases), &stop))
        };
        Self { acknowledged, stop, customers, recorders, merger }
    }

    /// Tells the callers to stop, and waits for the answers that are due to them.
    pub fn finish(self) -> Done {
        self.stop.store(true, Ordering::SeqCst);
        let (mut keys, mut longest) = (Vec::new(), Duration::ZERO);
        for recorder in self.recorders {
            let (mut done, wait) = recorder.join().unwrap();
            keys.append(&mut done);
            longest = longest.max(wait);
        }
        Done { keys, merges: self.merger.join().unwrap(), longest, customers: self.customers }
    }
}

impl Done {
    /// How often each address stands there, over all customers.
    pub fn recorded(&self, caller: &Caller) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for customer in &self.customers {
            for point in all(caller, &format!("{customer}/contact-points")) {
                *found.entry(point["value"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        found
    }
}

fn callers(bases: &[String]) -> Vec<Caller> {
    bases.iter().map(|base| Caller::administrator(base)).collect()
}

fn record(
    number: usize,
    callers: &[Caller],
    customers: &[String],
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> (Vec<String>, Duration) {
    let (mut keys, mut longest) = (Vec::new(), Duration::ZERO);
    for turn in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let key = format!("c{number}-{turn}");
        let path = format!("{}/contact-points", customers[(number + turn) % customers.len()]);
        let body = json!({ "kind": "email", "value": format!("{key}@example.com") });
        let started = Instant::now();
        insist(callers, turn, |caller| caller.post(&path, &key, &body));
        longest = longest.max(started.elapsed());
        count.fetch_add(1, Ordering::SeqCst);
        keys.push(key);
    }
    (keys, longest)
}

/// Makes two customers and merges them, again and again.
fn merge(callers: &[Caller], stop: &AtomicBool) -> Vec<(String, String)> {
    let mut merges = Vec::new();
    for turn in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let made = |side: &str| {
            let name = format!("Merged {turn} {side}");
            let body = json!({ "kind": "personal", "personal": { "full_name": name } });
            insist(callers, turn, |caller| caller.post("/v1/customers", &name.replace(' ', "-"), &body));
            found(callers, turn, &name)
        };
        let (survivor, absorbed) = (made("survivor"), made("absorbed"));
        let body = json!({ "absorbed": [{ "customer_id": absorbed, "version": 1 }], "reason": "the same" });
        let path = format!("/v1/customers/{survivor}/merge");
        let headers =
            [("idempotency-key", &*format!("merge-{turn}")), ("if-match", "\"1\""), ("content-type", "application/json")];
        insist(callers, turn, |caller| caller.send(&path, &headers, &body.to_string()).map(|(status, _, body)| (status, body)));
        merges.push((survivor, absorbed));
    }
    merges
}

/// The id of the customer with this name.
fn found(callers: &[Caller], turn: usize, name: &str) -> String {
    let mut id = None;
    insist(callers, turn, |caller| {
        let (status, page) = caller.post("/v1/customers/search", "search", &json!({ "q": name }))?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let one = items.iter().find(|item| item["customer"]["display_name"] == name || item["display_name"] == name);
        id = one.map(|item| item["customer"]["id"].as_str().or_else(|| item["id"].as_str()).unwrap().to_owned());
        Ok((if status == 200 && id.is_none() { 503 } else { status }, page))
    });
    id.unwrap()
}

/// Calls again and again, by each server in turn, until the answer says that it is done.
fn insist(callers: &[Caller], turn: usize, call: impl FnMut(&Caller) -> Result<(u16, Value), ureq::Error>) {
    let (mut call, started) = (call, Instant::now());
    for attempt in turn.. {
        let outcome = call(&callers[attempt % callers.len()]);
        match &outcome {
            Ok((200 | 201, _)) => return,
            Ok((409, problem)) if problem["code"] == "idempotency_answer_lost" => return,
            Ok((409, problem)) if problem["code"] == "idempotency_key_running" => {}
            Ok((500 | 503 | 507, _)) | Err(_) => {}
            Ok((status, problem)) => panic!("{status}: {problem}"),
        }
        assert!(started.elapsed() < PATIENCE, "{outcome:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
