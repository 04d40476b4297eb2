//! One record of every kind that belongs to customers, at every place where a caller can stand to a customer; and what no mask
//! may let through.

use std::collections::BTreeMap;

use actix_web::http::Method;
use kehu_kernel::access::FieldClass;
use kehu_organization::role::CUSTOMER_SELF;
use serde_json::{Value, json};

use crate::support::{
    App, Client, bank,
    customers::{branches, path, resident_id},
    ledger, sign,
};

/// Where a customer stands to the caller, who works at the branch SH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Assigned to the caller; kept elsewhere.
    Own,
    /// Assigned to somebody of the caller's team; kept elsewhere.
    Team,
    /// Kept by the caller's branch.
    SameBranch,
    /// Kept by a branch below the caller's.
    Below,
    /// Kept elsewhere.
    OtherBranch,
    /// The customer itself, where a customer calls.
    Itself,
}

use Position::{Below, Itself, OtherBranch, Own, SameBranch, Team};

/// All of them.
pub const POSITIONS: [Position; 6] = [Own, Team, SameBranch, Below, OtherBranch, Itself];

const NAMES: [&str; 6] = ["欧阳思远", "慕容秋月", "司徒建国", "上官文静", "诸葛明亮", "夏侯丽华"];

/// Ids by the path of what they name, each placeholder written `{}`: `/v1/customers/{}/tags/{}`.
pub type Records = BTreeMap<String, String>;

/// A bank in which every kind of record stands at every place.
pub struct World {
    /// What belongs to customers.
    pub places: BTreeMap<Position, Records>,
    /// What belongs to the bank as a whole.
    pub bank: Records,
    /// Values that only callers who are shown the class may read.
    pub planted: Vec<(FieldClass, String)>,
}

/// A caller who works at SH, with one role; or the customer itself.
pub fn caller<'a>(app: &'a App, world: &World, role: &str) -> Client<'a> {
    let claims = if role == CUSTOMER_SELF {
        let customer = &world.places[&Itself]["/v1/customers/{}"];
        json!({ "sub": customer, "roles": [role], "customer_id": customer })
    } else {
        json!({ "sub": "E-me", "roles": [role], "branch": "SH" })
    };
    app.token(sign(claims)).with("X-Purpose", "a test of rights")
}

/// `/v1/customers/{customer_id}` as `/v1/customers/{}`.
pub fn nameless(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// What makes the records.
struct Maker<'a> {
    app: &'a App,
    admin: Client<'a>,
    steward: Client<'a>,
    officer: Client<'a>,
    branches: Value,
    staff: BTreeMap<Position, Value>,
    planted: Vec<(FieldClass, String)>,
}

impl World {
    /// Makes it, through the API.
    pub async fn new(app: &App) -> Self {
        let purpose = |role| app.role(role).with("X-Purpose", "a test of rights");
        let (admin, steward, officer) = (purpose("administrator"), purpose("data_steward"), purpose("privacy_officer"));
        let branches = branches(&admin).await;
        let me = bank::person(&admin, "E-me", &branches["SH"], &["teller"]).await;
        let mate = bank::person(&admin, "E-mate", &branches["BJ"], &["teller"]).await;
        let far = bank::person(&admin, "E-far", &branches["BJ"], &["teller"]).await;
        let staff = POSITIONS.map(|position| match position {
            Own => (position, me["id"].clone()),
            Team => (position, mate["id"].clone()),
            _ => (position, far["id"].clone()),
        });
        let mut maker = Maker { app, admin, steward, officer, branches, staff: BTreeMap::from(staff), planted: Vec::new() };
        let bank = maker.bank(&me, &mate, &far).await;
        let mut places = BTreeMap::new();
        for position in POSITIONS {
            let records = maker.records(position).await;
            places.insert(position, records);
        }
        app.run_jobs();
        for records in places.values_mut() {
            maker.finish(records).await;
        }
        Self { places, bank, planted: maker.planted }
    }

    /// The ids of a path at a position, if it leads to something that belongs to customers.
    pub fn customer_bound(&self, path: &str) -> bool {
        keys(path).iter().any(|key| self.places[&Own].contains_key(key))
    }

    /// A path with the ids of a position; some operations want another record than the one that others want at its place.
    ///
    /// # Errors
    /// The placeholders for which there is no record.
    pub fn concrete(&self, method: &str, path: &str, position: Position) -> Result<String, String> {
        let special = self.places[&position].get(&format!("{method} {}", nameless(path)));
        let mut done = String::new();
        let mut key = String::new();
        for part in path.split('/').skip(1) {
            let placeholder = part.starts_with('{');
            key = format!("{key}/{}", if placeholder { "{}" } else { part });
            let id = special.or_else(|| self.places[&position].get(&key)).or_else(|| self.bank.get(&key));
            match (placeholder, id) {
                (false, _) => done = format!("{done}/{part}"),
                (true, Some(id)) => done = format!("{done}/{id}"),
                (true, None) => return Err(format!("no record for {key}: give one in tests/rules/positions.rs")),
            }
        }
        Ok(done)
    }
}

/// The names of a path's placeholders with what `concrete` has put in their places.
pub fn given(path: &str, concrete: &str) -> Value {
    let names = path.split('/').zip(concrete.split('/')).filter(|(part, _)| part.starts_with('{'));
    names.map(|(name, id)| (name.trim_matches(['{', '}']).to_owned(), json!(id))).collect()
}

/// The prefixes of a path that end at a placeholder.
fn keys(path: &str) -> Vec<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let ends = parts.iter().enumerate().filter(|(_, part)| part.starts_with('{')).map(|(at, _)| at);
    ends.map(|at| nameless(&parts[..=at].join("/"))).collect()
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap_or_else(|| panic!("no id: {record}")).to_owned()
}

async fn first(client: &Client<'_>, list: &str) -> String {
    id(&client.get(list).await.expect(200)["items"][0])
}

impl Maker<'_> {
    /// What belongs to the bank as a whole.
    async fn bank(&self, me: &Value, mate: &Value, far: &Value) -> Records {
        let (admin, steward) = (&self.admin, &self.steward);
        let members = json!([{ "staff_id": me["id"], "role": "lead" }, { "staff_id": mate["id"], "role": "member" }]);
        let team = admin.post("/v1/teams", json!({ "code": "T1", "name": "Team", "members": members })).await.expect(201);
        let product = json!({ "code": "SAV", "name": "Savings", "category": "deposit", "currency": "CNY" });
        let product = admin.post("/v1/products", product).await.expect(201);
        let domain = first(steward, "/v1/tag-domains").await;
        let tag = json!({ "tag_domain_id": domain, "code": "coupon_use", "name": "Coupons", "value_type": "text" });
        let tag = steward.post("/v1/tags", tag).await.expect(201);
        let attribute = json!({ "code": "motto", "name": "Motto", "value_type": "text", "customer_kinds": ["personal"] });
        let attribute = steward.post("/v1/attribute-definitions", attribute).await.expect(201);
        let program = json!({ "name": "A program", "prefix": "p", "roles": ["analyst"], "scopes": ["branch.read"] });
        let program = admin.post("/v1/clients", program).await.expect(201);
        let group = json!({ "name": "A group", "kind": "static" });
        let group = admin.post("/v1/groups", group).await.expect(201);
        let evaluation = crate::segmentation::split_of(&group, crate::segmentation::paying());
        let evaluation = admin.post("/v1/segmentation-evaluations", evaluation).await.expect(201);
        let mapping = crate::import::prepare(admin, crate::import::mapping()).await;
        let import = crate::import::import(self.app, &mapping, &[("branches.csv", "code,name,parent\nB1,First,\n")]).await;
        let export = self.export().await;
        let (endpoint, delivery) = self.webhook().await;
        let pairs = [
            ("exports", export),
            ("webhook-endpoints", endpoint),
            ("webhook-deliveries", delivery),
            ("branches", id(&json!({ "id": self.branches["SH"] }))),
            ("staff", id(far)),
            ("teams", id(&team)),
            ("products", id(&product)),
            ("tag-domains", domain),
            ("tags", id(&tag)),
            ("attribute-definitions", id(&attribute)),
            ("groups", id(&group)),
            ("segmentation-evaluations", id(&evaluation)),
            ("clients", id(&program["client"])),
            ("mappings", mapping),
            ("imports", id(&import)),
            ("source-systems", first(admin, "/v1/source-systems").await),
            ("roles", first(admin, "/v1/roles").await),
            ("jobs", first(admin, "/v1/jobs").await),
        ];
        pairs.into_iter().map(|(name, id)| (format!("/v1/{name}/{{}}"), id)).collect()
    }

    /// A file that the caller has asked for, once the document has exports: nobody else is told of it.
    async fn export(&self) -> String {
        if kehu_api::openapi::document()["paths"].get("/v1/exports").is_none() {
            return String::new();
        }
        let me = self.app.token(sign(json!({ "sub": "E-me", "roles": ["administrator"], "branch": "SH" })));
        let wish = json!({ "list": "list_branches", "format": "csv", "purpose": "a test of rights" });
        id(&me.post("/v1/exports", wish).await.expect(202))
    }

    /// An endpoint that the caller has set up, with a delivery to it: nobody else may change it.
    async fn webhook(&self) -> (String, String) {
        let me = self.app.token(sign(json!({ "sub": "E-me", "roles": ["administrator"], "branch": "SH" })));
        let wish = json!({ "name": "A receiver", "url": "https://hooks.bank.example/", "types": ["tag.*"] });
        let made = me.post("/v1/webhook-endpoints", wish).await.expect(201);
        let endpoint = id(&made["endpoint"]);
        let delivery = me.command(&format!("/v1/webhook-endpoints/{endpoint}/test"), 1, json!({})).await.expect(202);
        (endpoint, id(&delivery))
    }

    /// A new customer of the position, assigned as it says.
    async fn customer(&self, position: Position, mut body: Value) -> Value {
        let branch = match position {
            SameBranch => "SH",
            Below => "SH-1",
            Own | Team | OtherBranch | Itself => "BJ",
        };
        body["home_branch_id"] = self.branches[branch].clone();
        body["allow_duplicate"] = json!({ "reason": "people of tests are much alike" });
        let made = self.admin.post("/v1/customers", body).await.expect(201);
        let assignment = json!({ "customer_id": made["id"], "staff_id": self.staff[&position], "role": "primary" });
        self.admin.post("/v1/assignments", assignment).await.expect(201);
        self.admin.get(&path(&made, "")).await.expect(200)
    }

    fn plant(&mut self, class: FieldClass, text: &str) -> String {
        self.planted.push((class, text.to_owned()));
        text.to_owned()
    }

    /// The principal customer of a position, with everything that is sensitive about a person.
    async fn principal(&mut self, position: Position) -> Value {
        let n = position as usize;
        let number = self.plant(FieldClass::Secret, &resident_id(&format!("11010519{}03070{n}1", 60 + n)));
        let phone = self.plant(FieldClass::Internal, &format!("1391234567{n}"));
        let email = self.plant(FieldClass::Internal, &format!("mailbox-{n}@planted.example"));
        let street = self.plant(FieldClass::Internal, &format!("Planted Street {n}"));
        let mut personal = json!({ "full_name": NAMES[n], "birth_date": format!("19{}-03-07", 60 + n) });
        for field in
            ["income_band", "assets_band", "hobbies", "habits", "financial_need", "investment_preference", "financial_situation"]
        {
            personal[field] = json!(self.plant(FieldClass::Sensitive, &format!("planted {field} {n}")));
        }
        let body = json!({ "kind": "personal", "personal": personal, "identities": [{ "type": "resident_id", "number": number }],
            "contact_points": [{ "kind": "phone", "value": phone }, { "kind": "email", "value": email },
                { "kind": "postal_address", "street": street, "city": "Beijing", "country": "CN" }] });
        self.customer(position, body).await
    }

    async fn records(&mut self, position: Position) -> Records {
        let n = position as usize;
        let principal = self.principal(position).await;
        let kin = json!({ "kind": "personal", "personal": { "full_name": NAMES[n], "birth_date": format!("19{}-03-07", 60 + n) },
            "contact_points": [{ "kind": "phone", "value": format!("1391234567{n}") }] });
        let kin = self.customer(position, kin).await;
        let company = json!({ "kind": "corporate", "organisation": { "legal_name": format!("Planted Company {n} Ltd") } });
        let company = self.customer(position, company).await;
        let mut records = Records::new();
        records.insert("get /v1/customers/{}/corporate-tree".into(), id(&company));
        records.insert("get /v1/customers/{}/privacy/erasure".into(), self.erased(position).await);
        let mut add = |key: &str, id: String| assert!(records.insert(format!("/v1/{key}"), id).is_none(), "{key} twice");
        add("customers/{}", id(&principal));
        add("company", id(&company));
        add("kin", id(&kin));
        for (name, key) in [("identities", "identities"), ("contact-points", "contact-points")] {
            let found = first(&self.steward, &path(&principal, &format!("/{name}"))).await;
            add(&format!("customers/{{}}/{key}/{{}}"), found);
        }
        for (name, client, body) in [
            ("relations", &self.steward, json!({ "related_customer_id": kin["id"], "type": "spouse" })),
            ("tags", &self.steward, json!({ "tag": "coupon_use", "value": "often" })),
            ("consents", &self.steward, json!({ "purpose": "marketing", "channel": "sms", "state": "granted" })),
            ("legal-holds", &self.officer, json!({ "reason": "civil proceedings" })),
        ] {
            let made = client.post(&path(&principal, &format!("/{name}")), body).await.expect(201);
            add(&format!("customers/{{}}/{name}/{{}}"), id(&made));
        }
        self.steward.post(&path(&principal, "/match"), json!({})).await.expect(200);
        add("match-candidates/{}", first(&self.steward, &format!("/v1/match-candidates?customer_id={}", id(&principal))).await);
        add("merges/{}", id(&self.merge(position).await));
        let assigned = format!("/v1/assignments?customer_id={}", id(&principal));
        add("assignments/{}", first(&self.admin, &assigned).await);
        for (key, id) in self.account(position, &principal).await.into_iter().chain(self.people(position, &company).await) {
            add(&key, id);
        }
        self.ask_for_export(position, &principal).await;
        records
    }

    /// Two records of one customer, made one.
    async fn merge(&self, position: Position) -> Value {
        let person = |name: &str| json!({ "kind": "personal", "personal": { "full_name": format!("{name} {position:?}") } });
        let (one, other) = (self.customer(position, person("Survivor")).await, self.customer(position, person("Absorbed")).await);
        let absorbed = json!([{ "customer_id": other["id"], "version": other["version"] }]);
        let body = json!({ "absorbed": absorbed, "reason": "the same person" });
        self.steward.command(&path(&one, "/merge"), one["version"].as_i64().unwrap(), body).await.expect(200)
    }

    /// A customer who was erased; its id.
    async fn erased(&self, position: Position) -> String {
        let body = json!({ "kind": "personal", "personal": { "full_name": format!("Gone {position:?}") } });
        let gone = self.customer(position, body).await;
        let reason = json!({ "reason": "request of the customer" });
        let version = gone["version"].as_i64().unwrap();
        self.officer.command(&path(&gone, "/privacy/erasure"), version, reason).await.expect(200);
        id(&gone)
    }

    /// An account with its link, kept where the customer is.
    async fn account(&mut self, position: Position, holder: &Value) -> Vec<(String, String)> {
        let n = position as usize;
        let number = self.plant(FieldClass::Secret, &format!("622202123456341{n}"));
        let branch = holder["home_branch"]["label"].as_str().unwrap().trim_start_matches("Branch ").to_owned();
        let account = ledger::account(&self.admin, &number, &branch, "1234.00").await;
        let link = ledger::owner(&account, &id(holder), true, None);
        let link = self.admin.post("/v1/account-links", link).await.expect(201);
        vec![("accounts/{}".into(), account), ("account-links/{}".into(), id(&link))]
    }

    /// Two people of a company, who know each other.
    async fn people(&mut self, position: Position, company: &Value) -> Vec<(String, String)> {
        let n = position as usize;
        let mut made = Vec::new();
        for who in ["first", "second"] {
            let phone = self.plant(FieldClass::Internal, &format!("13{}7654321{n}", if who == "first" { 7 } else { 8 }));
            let email = self.plant(FieldClass::Internal, &format!("{who}-{n}@company.example"));
            let mut body = json!({ "name": format!("Contact {who} {n}"), "phone": phone, "email": email,
                "employment": { "customer_id": company["id"] } });
            for field in ["hobbies", "family", "personality", "taboos", "concerns", "coping_strategy"] {
                body[field] = json!(self.plant(FieldClass::Sensitive, &format!("planted {field} of {who} {n}")));
            }
            made.push(id(&self.steward.post("/v1/contact-persons", body).await.expect(201)));
        }
        let at = format!("/v1/contact-persons/{}", made[0]);
        let employment = first(&self.steward, &format!("{at}/employments")).await;
        let relation = json!({ "related_contact_person_id": made[1], "type": "relative" });
        let relation = self.steward.post(&format!("{at}/relations"), relation).await.expect(201);
        vec![
            ("contact-persons/{}".into(), made.remove(0)),
            ("contact-persons/{}/employments/{}".into(), employment),
            ("contact-persons/{}/relations/{}".into(), id(&relation)),
        ]
    }

    /// Customers are told of the exports that they asked for themselves.
    async fn ask_for_export(&self, position: Position, of: &Value) {
        let itself = sign(json!({ "sub": id(of), "roles": [CUSTOMER_SELF], "customer_id": id(of) }));
        let itself = self.app.token(itself);
        let who = if position == Itself { &itself } else { &self.officer };
        who.send(Method::POST, &path(of, "/privacy/export"), None).await.expect(202);
    }

    /// What jobs have made meanwhile.
    async fn finish(&self, records: &mut Records) {
        let list = format!("/v1/customers/{}/privacy-exports", records["/v1/customers/{}"]);
        records.insert("/v1/privacy-exports/{}".into(), first(&self.officer, &list).await);
    }
}
