//! Data quality: the work list, explanations and reviews.

use diesel::{RunQueryDsl, sql_query};
use kehu_kernel::{AnyId, store::sql};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{branches, company, path, person, resident_id},
        sign,
    },
};

both_databases!(
    lists_stale_and_doubtful_profiles_worst_first,
    keeps_to_what_the_caller_sees,
    explains_a_score,
    a_review_makes_a_profile_fresh
);

/// A person about whom all is known and true.
async fn sound(admin: &Client<'_>, name: &str, branch: &Value) -> Value {
    let number = resident_id("11010519491231002");
    let body = json!({ "kind": "personal", "home_branch_id": branch,
        "personal": { "full_name": name, "gender": "female", "birth_date": "1949-12-31", "nationality": "CN", "education": "master",
            "occupation": "engineer", "residence_region": "Beijing" },
        "identities": [{ "type": "resident_id", "number": number, "verification": { "state": "verified", "method": "chip" } }],
        "contact_points": [{ "kind": "phone", "value": "13912345678", "verified": true },
            { "kind": "email", "value": "a@example.com", "verified": true },
            { "kind": "postal_address", "street": "Chang'an Jie 1", "city": "Beijing", "country": "CN", "verified": true }],
        "allow_duplicate": { "reason": "people of tests are much alike" } });
    admin.post("/v1/customers", body).await.expect(201)
}

fn set(app: &App, customer: &Value, change: &str) {
    let (id, update) =
        (customer["id"].as_str().unwrap().parse::<AnyId>().unwrap(), format!("UPDATE customers SET {change} WHERE id = $1"));
    let done = app.store.write_blocking(move |tx| Ok(sql_query(update.clone()).bind::<sql::Uuid, _>(id).execute(&mut tx.db)?));
    assert_eq!(done.unwrap(), 1);
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["customer"]["display_name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

fn codes(item: &Value) -> Vec<&str> {
    item["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

async fn lists_stale_and_doubtful_profiles_worst_first(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let fine = sound(&admin, "Fine", &ids["SH"]).await;
    assert_eq!(
        (
            &fine["data_quality"]["score_bp"],
            admin.get("/v1/data-quality/profiles").await.expect(200)["items"].as_array().unwrap().len()
        ),
        (&json!(10_000), 0)
    );
    let poor = person(&admin, "Poor", Some(&ids["BJ"])).await;
    let due = sound(&admin, "Due", &ids["SH"]).await;
    admin.patch(&path(&due, ""), 1, json!({ "review_due_on": "2020-01-31" })).await.expect(200);
    let contrary = sound(&admin, "Contrary", &ids["SH-1"]).await;
    admin.patch(&path(&contrary, ""), 1, json!({ "personal": { "birth_date": "1950-01-01" } })).await.expect(200);
    let expired = sound(&admin, "Expired", &ids["SH"]).await;
    let passport = json!({ "type": "passport", "number": "E12345678", "issuing_country": "CN", "expires_on": "2020-01-01",
        "verification": { "state": "failed", "method": "by sight" } });
    admin.post(&path(&expired, "/identities"), passport).await.expect(201);
    let old = sound(&admin, "Old", &ids["SH"]).await;
    let micros = kehu_kernel::time::Date::new(2020, 1, 1).unwrap().start().micros();
    let long_ago = match app.store.backend() {
        kehu_kernel::store::Backend::Sqlite => micros.to_string(),
        kehu_kernel::store::Backend::Postgres => "'2020-01-01T00:00:00Z'".into(),
    };
    set(&app, &old, &format!("updated_at = {long_ago}"));

    let list = admin.get("/v1/data-quality/profiles?include_total=true").await.expect(200);
    assert_eq!(list["total"], 5);
    let scores: Vec<i64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["customer"]["data_quality"]["score_bp"].as_i64().unwrap())
        .collect();
    assert!(scores.is_sorted() && names(&list)[0] == "Poor", "{scores:?} {:?}", names(&list));
    let of = |name: &str| {
        list["items"].as_array().unwrap().iter().find(|item| item["customer"]["display_name"] == name).unwrap().clone()
    };
    assert_eq!(codes(&of("Poor")), ["low_score"]);
    assert_eq!(codes(&of("Due")), ["review_due"]);
    assert_eq!(codes(&of("Old")), ["not_updated"]);
    assert_eq!(codes(&of("Expired")), ["failed_identity", "expired_identity"]);
    assert_eq!(codes(&of("Contrary")), ["contradiction"]);
    assert_eq!(of("Contrary")["reasons"][0]["field"], "personal.birth_date");
    // Page by page the same list.
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/data-quality/profiles?limit=2{next}")).await.expect(200);
        paged.extend(names(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, names(&list));
    for (filter, found) in [
        ("reason=review_due", vec!["Due"]),
        ("reason=not_updated", vec!["Old"]),
        ("reason=low_score", vec!["Poor"]),
        ("reason=failed_identity", vec!["Expired"]),
        ("reason=expired_identity", vec!["Expired"]),
        ("branch=BJ", vec!["Poor"]),
        ("branch=SH-1", vec!["Contrary"]),
        ("max_score_bp=5000", vec!["Poor"]),
        ("reason=not_updated&stale_after_days=3650", vec![]),
    ] {
        assert_eq!(names(&admin.get(&format!("/v1/data-quality/profiles?{filter}")).await.expect(200)), found, "{filter}");
    }
    let contrary = admin.get("/v1/data-quality/profiles?reason=contradiction").await.expect(200);
    assert!(names(&contrary).contains(&"Contrary".to_owned()) && !names(&contrary).contains(&"Due".to_owned()));
    for wrong in ["stale_after_days=0", "max_score_bp=10001", "reason=ugly", "branch=NO"] {
        let pointer = format!("?{}", wrong.split('=').next().unwrap());
        assert_eq!(admin.get(&format!("/v1/data-quality/profiles?{wrong}")).await.pointers(400), [pointer], "{wrong}");
    }
    drop(poor);
}

async fn keeps_to_what_the_caller_sees(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let here = person(&admin, "Here", Some(&ids["SH"])).await;
    let there = person(&admin, "There", Some(&ids["BJ"])).await;
    let teller = app.role_at("teller", "SH");
    assert_eq!(names(&teller.get("/v1/data-quality/profiles").await.expect(200)), ["Here"]);
    assert_eq!(teller.get(&path(&there, "/data-quality")).await.problem(404), "not_found");
    assert_eq!(teller.command(&path(&there, "/review"), 1, json!({})).await.problem(404), "not_found");
    let itself = app.token(sign(json!({ "sub": here["id"], "roles": ["customer_self"], "customer_id": here["id"] })));
    assert_eq!(itself.get("/v1/data-quality/profiles").await.problem(403), "forbidden");
    assert_eq!(itself.get(&path(&here, "/data-quality")).await.problem(403), "forbidden");
    assert_eq!(app.role("analyst").command(&path(&here, "/review"), 1, json!({})).await.problem(403), "forbidden");
}

async fn explains_a_score(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let fine = sound(&admin, "Fine", &ids["SH"]).await;
    admin.patch(&path(&fine, ""), 1, json!({ "personal": { "gender": "male", "education": null } })).await.expect(200);
    let told = admin.get(&path(&fine, "/data-quality")).await.expect(200);
    let kept = admin.get(&path(&fine, "")).await.expect(200)["data_quality"].clone();
    assert_eq!(told["data_quality"], kept);
    let steps = told["explanation"]["steps"].as_array().unwrap();
    let failed: Vec<&str> =
        steps.iter().filter(|step| step["passed"] == false).map(|step| step["check"].as_str().unwrap()).collect();
    assert_eq!(failed, ["completeness: personal.education filled", "consistency: personal.gender gender_of_resident_id"]);
    assert_eq!(told["explanation"]["inputs"]["ratios"]["score_bp"], kept["score_bp"]);
    assert_eq!((&told["reasons"][0]["code"], &told["reasons"][0]["field"]), (&json!("contradiction"), &json!("personal.gender")));
    let firm = company(&admin, "Firm").await;
    let told = admin.get(&path(&firm, "/data-quality")).await.expect(200);
    assert!(told["explanation"]["steps"].to_string().contains("organisation.industry"));
}

async fn a_review_makes_a_profile_fresh(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let one = sound(&admin, "One", &ids["SH"]).await;
    let due = admin.patch(&path(&one, ""), 1, json!({ "review_due_on": "2020-01-31" })).await.expect(200);
    let review = path(&one, "/review");
    assert_eq!(admin.post(&review, json!({})).await.problem(428), "precondition_required");
    assert_eq!(admin.command(&review, 1, json!({})).await.problem(412), "precondition_failed");
    assert_eq!(admin.command(&review, 2, json!({ "next_review_on": "2020-01-01" })).await.pointers(422), ["/next_review_on"]);
    let done = admin.command(&review, due["version"].as_i64().unwrap(), json!({})).await.expect(200);
    let today = app.store.now().date();
    assert_eq!((&done["review_due_on"], &done["version"]), (&json!(today.plus_days(730).to_string()), &json!(3)));
    assert_eq!(admin.get("/v1/data-quality/profiles").await.expect(200)["items"], json!([]));
    let firm = company(&admin, "Firm").await;
    let done = admin.command(&path(&firm, "/review"), 1, json!({})).await.expect(200);
    assert_eq!(done["review_due_on"], json!(today.plus_days(365).to_string()));
    let day = today.plus_days(10).to_string();
    let done = admin.command(&path(&firm, "/review"), 2, json!({ "next_review_on": day })).await.expect(200);
    assert_eq!(done["review_due_on"], json!(day));
}
