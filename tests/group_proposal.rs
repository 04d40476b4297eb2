//! Groups that could be formed, and what groups have with the bank

use serde_json::{Value, json};

use crate::{
    both_databases,
    group::{group, join},
    support::{
        App, Client,
        bank::at,
        customers::{branches, company, path, person},
        ledger,
    },
};

both_databases!(
    proposes_households_with_their_reasons,
    walks_over_everybody_and_proposes_each_household_once,
    proposes_as_far_as_the_caller_sees,
    proposes_the_corporate_tree_as_a_group,
    sums_up_what_members_have
);

const PROPOSE: &str = "/v1/groups/propose-households";

async fn reach(client: &Client<'_>, customer: &Value, body: Value) {
    client.post(&path(customer, "/contact-points"), body).await.expect(201);
}

async fn address(client: &Client<'_>, customer: &Value, street: &str) {
    let body = json!({ "kind": "postal_address", "street": street, "city": "Shanghai", "country": "CN" });
    reach(client, customer, body).await;
}

async fn phone(client: &Client<'_>, customer: &Value, number: &str) {
    reach(client, customer, json!({ "kind": "phone", "value": number })).await;
}

async fn relate(client: &Client<'_>, one: &Value, kind: &str, other: &Value) {
    let body = json!({ "related_customer_id": other["id"], "type": kind });
    client.post(&path(one, "/relations"), body).await.expect(201);
}

fn shape(proposal: &Value) -> Vec<(String, String, bool)> {
    let member = |member: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&member["customer"]["label"]), text(&member["role"]), member["primary"].as_bool().unwrap())
    };
    proposal["members"].as_array().unwrap().iter().map(member).collect()
}

async fn proposes_households_with_their_reasons(app: App) {
    let admin = app.role("administrator");
    let (wife, husband, child, lodger, firm) = (
        person(&admin, "Wife", None).await,
        person(&admin, "Husband", None).await,
        person(&admin, "Child", None).await,
        person(&admin, "Lodger", None).await,
        company(&admin, "Firm").await,
    );
    relate(&admin, &husband, "spouse", &wife).await;
    relate(&admin, &wife, "parent", &child).await;
    for one in [&wife, &child, &lodger] {
        address(&admin, one, "Nanjing Road 1").await;
    }
    let of = |customer: &Value| json!({ "customer_id": customer["id"] });
    let found = admin.post(PROPOSE, of(&child)).await.expect(200);
    let proposal = &found["proposals"][0];
    let mut members = shape(proposal);
    assert_eq!(members[0], ("Wife".to_owned(), "head".to_owned(), true));
    members.sort();
    let expected = [("Child", "child", false), ("Husband", "spouse", false), ("Wife", "head", true)];
    assert_eq!(members, expected.map(|(name, role, primary)| (name.to_owned(), role.to_owned(), primary)));
    let ties = proposal["ties"].as_array().unwrap();
    let scores: Vec<(&Value, &Value)> = ties.iter().map(|tie| (&tie["evidence"], &tie["score_bp"])).collect();
    assert!(scores.contains(&(&json!(["spouse"]), &json!(8_000))), "{proposal}");
    assert!(scores.contains(&(&json!(["parent", "shared_address"]), &json!(10_000))), "{proposal}");
    assert_eq!(proposal["explanation"]["steps"].as_array().unwrap().len(), 2);
    // The lodger has the address alone, until there is a phone besides.
    assert_eq!(admin.post(PROPOSE, of(&lodger)).await.expect(200)["proposals"], json!([]));
    for one in [&wife, &lodger] {
        phone(&admin, one, "13812345678").await;
    }
    assert_eq!(admin.post(PROPOSE, of(&lodger)).await.expect(200)["proposals"][0]["members"].as_array().unwrap().len(), 4);
    assert_eq!(admin.post(PROPOSE, of(&firm)).await.problem(409), "not_a_person");
    // What was proposed can be formed, and is proposed no more.
    let home = group(&admin, "Home", "household").await;
    let members: Vec<Value> = proposal["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| json!({ "customer_id": member["customer"]["id"], "role": member["role"], "primary": member["primary"] }))
        .collect();
    admin.post(&format!("{}/members", at("groups", &home)), json!({ "members": members })).await.expect(200);
    assert_eq!(admin.post(PROPOSE, of(&wife)).await.problem(409), "in_a_household");
    assert_eq!(admin.post(PROPOSE, of(&lodger)).await.expect(200)["proposals"], json!([]));
}

async fn walks_over_everybody_and_proposes_each_household_once(app: App) {
    let admin = app.role("administrator");
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(person(&admin, &format!("P{n}"), None).await);
    }
    relate(&admin, &people[0], "spouse", &people[5]).await;
    relate(&admin, &people[3], "spouse", &people[1]).await;
    let (mut after, mut found, mut examined) = (Value::Null, Vec::new(), 0);
    loop {
        let page = admin.post(PROPOSE, json!({ "after": after, "limit": 2 })).await.expect(200);
        examined += page["examined_count"].as_i64().unwrap();
        for proposal in page["proposals"].as_array().unwrap() {
            let mut names: Vec<String> = shape(proposal).into_iter().map(|member| member.0).collect();
            names.sort();
            found.push(names);
        }
        after = page["next_after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!((examined, found), (6, vec![vec!["P0".to_owned(), "P5".to_owned()], vec!["P1".to_owned(), "P3".to_owned()]]));
    assert_eq!(admin.post(PROPOSE, json!({ "limit": 201 })).await.pointers(422), ["/limit"]);
    // A dormitory is no household.
    for n in 0..14 {
        let one = person(&admin, &format!("D{n}"), None).await;
        address(&admin, &one, "Dormitory 1").await;
        phone(&admin, &one, "13912345678").await;
    }
    let page = admin.post(PROPOSE, json!({ "limit": 200 })).await.expect(200);
    assert_eq!((page["proposals"].as_array().unwrap().len(), &page["examined_count"]), (2, &json!(20)));
}

async fn proposes_as_far_as_the_caller_sees(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (near, far) = (person(&admin, "Near", Some(&ids["SH"])).await, person(&admin, "Far", Some(&ids["BJ"])).await);
    relate(&admin, &near, "spouse", &far).await;
    let marketer = app.role_at("marketer", "SH");
    let found = marketer.post(PROPOSE, json!({ "customer_id": near["id"] })).await.expect(200);
    assert_eq!(found["proposals"], json!([]));
    let far = marketer.post(PROPOSE, json!({ "customer_id": far["id"] })).await;
    assert_eq!(far.pointers(422), ["/customer_id"]);
    let all = marketer.post(PROPOSE, json!({})).await.expect(200);
    assert_eq!((&all["proposals"], &all["examined_count"]), (&json!([]), &json!(1)));
    assert_eq!(app.role_at("teller", "SH").post(PROPOSE, json!({})).await.problem(403), "forbidden");
}

async fn proposes_the_corporate_tree_as_a_group(app: App) {
    let admin = app.role("administrator");
    let (top, low) = (company(&admin, "Top").await, company(&admin, "Low").await);
    let one = person(&admin, "One", None).await;
    relate(&admin, &top, "parent_company", &low).await;
    let stake = json!({ "related_customer_id": low["id"], "type": "shareholder", "share_bp": 7_000 });
    admin.post(&path(&top, "/relations"), stake).await.expect(201);
    let propose = "/v1/groups/propose-corporate-group";
    let found = admin.post(propose, json!({ "customer_id": low["id"] })).await.expect(200);
    let top_member = ("Top".to_owned(), "ultimate_parent".to_owned(), true);
    assert_eq!(shape(&found), [top_member, ("Low".to_owned(), "subsidiary".to_owned(), false)]);
    assert_eq!((&found["members"][1]["controlled_bp"], &found["members"][1]["parent_id"]), (&json!(7_000), &top["id"]));
    assert_eq!(found["truncated"], false);
    assert_eq!(admin.post(propose, json!({ "customer_id": one["id"] })).await.problem(409), "not_an_organisation");
    let nobody = json!({ "customer_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(admin.post(propose, nobody).await.pointers(422), ["/customer_id"]);
}

async fn sums_up_what_members_have(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let product = json!({ "code": "SAV", "name": "Savings", "category": "deposit", "currency": "CNY" });
    admin.post("/v1/products", product).await.expect(201);
    let (near, far) = (person(&admin, "Near", Some(&ids["SH"])).await, person(&admin, "Far", Some(&ids["BJ"])).await);
    for (number, branch, amount, who) in [("6222000000000001", "SH", "100.00", &near), ("6222000000000002", "BJ", "30.00", &far)]
    {
        let account = ledger::account(&admin, number, branch, amount).await;
        admin.post("/v1/account-links", ledger::owner(&account, who["id"].as_str().unwrap(), true, None)).await.expect(201);
    }
    let above = group(&admin, "Above", "static").await;
    let below = json!({ "name": "Below", "kind": "static", "parent_ids": [above["id"]] });
    let below = admin.post("/v1/groups", below).await.expect(201);
    join(&admin, &above, &[&near]).await;
    join(&admin, &below, &[&near, &far]).await;
    let totals = format!("{}/totals", at("groups", &above));
    let deposits = |found: &Value| found["totals"]["totals"][0]["deposits"]["amount"].clone();
    let own = admin.get(&totals).await.expect(200);
    assert_eq!((deposits(&own), &own["group_count"]), (json!("100.00"), &json!(1)));
    let all = admin.get(&format!("{totals}?below=true")).await.expect(200);
    assert_eq!((deposits(&all), &all["group_count"]), (json!("130.00"), &json!(2)));
    assert_eq!(all["totals"]["customer_count"], 2);
    let seen = app.role_at("marketer", "SH").get(&format!("{totals}?below=true")).await.expect(200);
    assert_eq!((deposits(&seen), &seen["totals"]["customer_count"]), (json!("100.00"), &json!(1)));
    let nobody = "/v1/groups/01890a5d-ac96-774b-bcce-b302099a8057/totals";
    assert_eq!(admin.get(nobody).await.problem(404), "not_found");
}
