//! `/v1/customers?q=`, `/v1/customers/search`, and the spellings of `/v1/customers/lookup`

use std::collections::BTreeMap;

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use kehu_customer::{
    CustomerId,
    feed::{self, CustomerRecord},
    index,
};
use kehu_kernel::{
    Actor,
    feed::{Outcome, Source},
    store::sql,
};
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
    finds_names_in_every_spelling,
    ranks_the_better_fit_first,
    pages_neither_overlap_nor_miss,
    tokens_follow_every_write,
    a_database_without_tokens_is_reindexed,
    stays_within_reach,
    what_is_too_common_is_found_but_not_counted,
    narrows_by_the_other_filters,
    odd_questions_have_plain_answers,
    lookups_understand_every_spelling
);

/// The names that a search finds, in their order; by GET and by POST alike.
async fn names(client: &Client<'_>, q: &str) -> Vec<String> {
    let found = client.post("/v1/customers/search", json!({ "q": q, "limit": 200 })).await.expect(200);
    let listed = client.get(&format!("/v1/customers?limit=200&q={}", encoded(q))).await.expect(200);
    assert_eq!(found["items"], listed["items"], "{q}");
    labels(&found)
}

fn labels(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["display_name"].as_str().unwrap().to_owned()).collect()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Customers of a feed with these names, one after the other.
fn feed(app: &App, source_system: &str, records: Value) -> Vec<Outcome> {
    let records: Vec<CustomerRecord> = serde_json::from_value(records).unwrap();
    let source = Source::new(source_system);
    app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records)).unwrap()
}

fn people(names: &[&str]) -> Value {
    let record = |(number, name): (usize, &&str)| json!({ "source_id": number.to_string(), "full_name": name });
    names.iter().enumerate().map(record).collect()
}

async fn finds_names_in_every_spelling(app: App) {
    let admin = app.role("administrator");
    let known = [
        "张伟",
        "張偉明",
        "单雄信",
        "曾敏",
        "尉迟恭",
        "吕布",
        "欧阳娜娜",
        "Zhang Wei",
        "José García López",
        "Jürgen Müller",
        "Anna O'Brien",
        "Łukasz Dvořák",
        "Иван Ёлкин",
        "Ελένη Παπαδοπούλου",
        "김철수",
        "买买提·艾合买提",
    ];
    feed(&app, "core", people(&known));
    let firm = json!({ "kind": "corporate", "organisation": { "legal_name": "上海華興貿易有限公司", "short_name": "华兴贸易" } });
    admin.post("/v1/customers", firm).await.expect(201);
    company(&admin, "Acme Trading Ltd").await;
    for (q, expected) in [
        ("张伟", vec!["张伟", "張偉明"]),
        ("張偉", vec!["张伟", "張偉明"]),
        ("偉明", vec!["張偉明"]),
        ("伟", vec!["张伟", "張偉明"]),
        ("张 明", vec!["張偉明"]),
        ("zhangwei", vec!["张伟", "Zhang Wei", "張偉明"]),
        ("zhang wei", vec!["Zhang Wei", "张伟", "張偉明"]),
        ("wei zhang", vec!["Zhang Wei", "张伟", "張偉明"]),
        ("weiming", vec!["張偉明"]),
        ("ZWM", vec!["張偉明"]),
        ("ｚｈａｎｇｗｅｉｍ", vec!["張偉明"]),
        ("shanxiong", vec!["单雄信"]),
        ("zengmin", vec!["曾敏"]),
        ("yuchi", vec!["尉迟恭"]),
        ("lvbu", vec!["吕布"]),
        ("lubu", vec!["吕布"]),
        ("lübu", vec!["吕布"]),
        ("娜娜", vec!["欧阳娜娜"]),
        ("oynn", vec!["欧阳娜娜"]),
        ("garc", vec!["José García López"]),
        ("LOPEZ jose", vec!["José García López"]),
        ("muller", vec!["Jürgen Müller"]),
        ("obrien", vec!["Anna O'Brien"]),
        ("o’brien", vec!["Anna O'Brien"]),
        ("lukasz dvorak", vec!["Łukasz Dvořák"]),
        ("елкин", vec!["Иван Ёлкин"]),
        ("παπαδ", vec!["Ελένη Παπαδοπούλου"]),
        ("철수", vec!["김철수"]),
        ("艾合买提", vec!["买买提·艾合买提"]),
        ("华兴", vec!["上海華興貿易有限公司"]),
        ("上海华兴贸易有限公司", vec!["上海華興貿易有限公司"]),
        ("huaxing", vec!["上海華興貿易有限公司"]),
        ("hxmy", vec!["上海華興貿易有限公司"]),
        ("acme", vec!["Acme Trading Ltd"]),
        ("acme trading ltd", vec!["Acme Trading Ltd"]),
        ("trading acme", vec!["Acme Trading Ltd"]),
        ("ltd", vec![]),
        ("李", vec![]),
        ("伟张", vec![]),
    ] {
        assert_eq!(names(&admin, q).await, expected, "{q}");
    }
    let made = person(&admin, "Numbered", None).await;
    let number = made["number"].as_str().unwrap();
    for spelling in
        [number.to_owned(), number.to_lowercase(), number.replace('-', ""), number.replace('-', " "), number[..18].into()]
    {
        assert_eq!(names(&admin, &spelling).await.first().map(String::as_str), Some("Numbered"), "{spelling}");
    }
    assert_eq!(names(&admin, &number.replace('-', "")).await, ["Numbered"]);
}

async fn ranks_the_better_fit_first(app: App) {
    let admin = app.role("administrator");
    feed(&app, "core", people(&["林小伟", "王小林", "林小", "林", "Lin Xiao", "林小", "陈林小", "李念晓", "小林"]));
    // A whole name, names that begin so, names that hold it; pinyin; initials.
    assert_eq!(names(&admin, "林小").await, ["林小", "林小", "林小伟", "陈林小"]);
    assert_eq!(names(&admin, "林 小").await, ["林小", "林小", "林小伟", "陈林小", "王小林", "小林"]);
    // A word is a beginning: li-nian begins with lin.
    let expected = ["Lin Xiao", "林小", "林小", "林小伟", "陈林小", "小林", "李念晓", "王小林"];
    assert_eq!(names(&admin, "lin xiao").await, expected);
    assert_eq!(names(&admin, "lx").await, ["林小", "林小", "林小伟"]);
}

async fn pages_neither_overlap_nor_miss(app: App) {
    let admin = app.role("administrator");
    let made: Vec<Value> = (0..300)
        .map(|n| json!({ "source_id": n.to_string(), "full_name": format!("王{}", ["伟", "芳", "小王", "王"][n % 4]) }))
        .collect();
    feed(&app, "core", Value::Array(made));
    let first = admin.get("/v1/customers?q=%E7%8E%8B&limit=37&include_total=true").await.expect(200);
    assert_eq!(first["total"], 300);
    let mut seen: Vec<Value> = first["items"].as_array().unwrap().clone();
    let mut cursor = first["next_cursor"].clone();
    while let Some(text) = cursor.as_str() {
        // Others write meanwhile, before and after the place of the page.
        person(&admin, "王一", None).await;
        let page = admin.post("/v1/customers/search", json!({ "q": "王", "limit": 37, "cursor": text })).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        cursor = page["next_cursor"].clone();
    }
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for item in seen.iter().filter(|item| item["display_name"] != "王一") {
        *count.entry(item["id"].to_string()).or_default() += 1;
    }
    assert_eq!((count.len(), count.values().max()), (300, Some(&1)));
    let other = admin.post("/v1/customers/search", json!({ "q": "芳", "cursor": first["next_cursor"] })).await;
    assert_eq!(other.pointers(422), ["/cursor"]);
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn tokens(app: &App, id: CustomerId) -> i64 {
    let counted = app.store.read_blocking(|conn| {
        let query = sql_query("SELECT count(*) AS count FROM customer_tokens WHERE customer_id = $1").bind::<sql::Uuid, _>(id);
        Ok(query.get_result::<Count>(&mut conn.db)?)
    });
    counted.unwrap().count
}

fn absorb(app: &App, absorbed: CustomerId, into: Option<CustomerId>) {
    app.store
        .write_blocking(move |tx| {
            let query = sql_query("UPDATE customers SET merged_into = $1 WHERE id = $2");
            query.bind::<diesel::sql_types::Nullable<sql::Uuid>, _>(into).bind::<sql::Uuid, _>(absorbed).execute(&mut tx.db)?;
            index::refresh(tx, &[absorbed])
        })
        .unwrap();
}

async fn tokens_follow_every_write(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let made = person(&admin, "孙尚香", None).await;
    let id: CustomerId = made["id"].as_str().unwrap().parse().unwrap();
    let renamed = admin.patch(&path(&made, ""), 1, json!({ "personal": { "full_name": "刘尚香" } })).await.expect(200);
    assert_eq!((names(&admin, "孙").await.len(), names(&admin, "liushang").await.len()), (0, 1));
    // Moving to another branch moves the tokens into its tellers' reach.
    let teller = app.role_at("teller", "SH-1");
    assert_eq!(names(&teller, "刘").await, Vec::<String>::new());
    let version = renamed["version"].as_i64().unwrap();
    admin.patch(&path(&made, ""), version, json!({ "home_branch_id": ids["SH-1"] })).await.expect(200);
    assert_eq!(names(&teller, "刘").await, ["刘尚香"]);
    // A source that says another name.
    feed(&app, "core", json!([{ "source_id": "1", "full_name": "赵云" }]));
    feed(&app, "core", json!([{ "source_id": "1", "full_name": "赵子龙" }]));
    assert_eq!((names(&admin, "赵云").await.len(), names(&admin, "zhaozilong").await.len()), (0, 1));
    // Absorbed customers are not found, restored ones are.
    let survivor = person(&admin, "刘备", None).await["id"].as_str().unwrap().parse().unwrap();
    let before = tokens(&app, id);
    absorb(&app, id, Some(survivor));
    assert_eq!((tokens(&app, id), names(&admin, "尚香").await.len()), (0, 0));
    absorb(&app, id, None);
    assert_eq!((tokens(&app, id), names(&admin, "尚香").await.len()), (before, 1));
    // What is no name changes no token.
    admin.post(&path(&made, "/contact-points"), json!({ "kind": "phone", "value": "13800138000" })).await.expect(201);
    assert_eq!(tokens(&app, id), before);
}

async fn a_database_without_tokens_is_reindexed(app: App) {
    let admin = app.role("administrator");
    let many: Vec<Value> = (0..600).map(|n| json!({ "source_id": n.to_string(), "full_name": format!("钱{n}") })).collect();
    feed(&app, "core", Value::Array(many));
    let stale = || app.store.read_blocking(index::is_stale).unwrap();
    let total = async || admin.get("/v1/customers?q=%E9%92%B1&include_total=true&limit=1").await.expect(200)["total"].clone();
    assert_eq!((stale(), total().await), (false, json!(600)));
    app.store.write_blocking(|tx| Ok(sql_query("DELETE FROM customer_tokens").execute(&mut tx.db)?)).unwrap();
    assert_eq!((stale(), total().await), (true, json!(0)));
    let mut shown = Vec::new();
    assert_eq!(index::reindex(&app.store, &mut |done| shown.push(done)).unwrap(), 600);
    assert_eq!(shown, [250, 500, 600]);
    assert_eq!((stale(), total().await), (false, json!(600)));
}

async fn what_is_too_common_is_found_but_not_counted(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let many: Vec<Value> = (0..500).map(|n| json!({ "source_id": n.to_string(), "full_name": format!("陈{n}") })).collect();
    feed(&app, "core", Value::Array(many));
    person(&admin, "陈二娘", Some(&ids["SH"])).await;
    let total = async |client: &Client<'_>, q: &str| {
        let found = client.post("/v1/customers/search", json!({ "q": q, "limit": 1, "include_total": true })).await.expect(200);
        (found["total"].clone(), found["items"].as_array().unwrap().len())
    };
    assert_eq!(total(&admin, "陈").await, (json!(501), 1));
    let insert = "INSERT INTO customer_tokens (customer_id, token)
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100)
        SELECT c.id, '1陈' || (1000 + n) FROM numbers CROSS JOIN customers c WHERE c.home_branch_id IS NULL";
    let written = app.store.write_blocking(move |tx| Ok(sql_query(insert).execute(&mut tx.db)?)).unwrap();
    assert_eq!(written, 50_000);
    assert_eq!(total(&admin, "陈").await, (Value::Null, 1));
    assert_eq!(total(&admin, "陈二娘").await, (json!(1), 1));
    // Where few are within reach, all of them are counted.
    assert_eq!(total(&app.role_at("teller", "SH-1"), "陈").await, (json!(0), 0));
    assert_eq!(total(&app.role_at("teller", "SH"), "陈").await, (json!(1), 1));
}

async fn stays_within_reach(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    // More branches than are asked one by one.
    for number in 0..20 {
        let body = json!({ "code": format!("BJ-{number}"), "name": "Outlet", "level": "outlet", "parent_id": ids["BJ"] });
        let branch = admin.post("/v1/branches", body).await.expect(201)["id"].clone();
        person(&admin, &format!("周{number}"), Some(&branch)).await;
    }
    let here = person(&admin, "周瑜", Some(&ids["SH-1"])).await;
    person(&admin, "周泰", Some(&ids["SH"])).await;
    person(&admin, "周仓", None).await;
    let count = async |client: Client<'_>| {
        let page = client.get("/v1/customers?q=%E5%91%A8&include_total=true").await.expect(200);
        assert_eq!(page["total"], page["items"].as_array().unwrap().len());
        page["total"].as_i64().unwrap()
    };
    assert_eq!(count(admin.clone()).await, 23);
    assert_eq!(count(app.role_at("teller", "SH-1")).await, 1);
    assert_eq!(count(app.role_at("teller", "SH")).await, 2);
    assert_eq!(count(app.role_at("teller", "BJ")).await, 20);
    assert_eq!(count(app.role_at("teller", "HO")).await, 22);
    let within = |code: &str| format!("/v1/customers?q=zhou&branch={code}");
    assert_eq!(labels(&admin.get(&within("SH")).await.expect(200)).len(), 2);
    assert_eq!(labels(&app.role_at("teller", "SH-1").get(&within("SH")).await.expect(200)), ["周瑜"]);
    assert_eq!(labels(&app.role_at("teller", "SH-1").get(&within("BJ")).await.expect(200)), Vec::<String>::new());
    // A relationship manager finds those assigned to them, wherever they are kept.
    let body = json!({ "employee_no": "RM1", "name": "Manager", "branch_id": ids["SH-1"], "roles": ["relationship_manager"] });
    let manager = admin.post("/v1/staff", body).await.expect(201);
    let rm = app.token(sign(json!({ "sub": "RM1", "roles": ["relationship_manager"] })));
    assert_eq!(names(&rm, "周").await, Vec::<String>::new());
    let assignment = json!({ "customer_id": here["id"], "staff_id": manager["id"], "role": "primary" });
    admin.post("/v1/assignments", assignment).await.expect(201);
    assert_eq!(names(&rm, "周").await, ["周瑜"]);
    // A customer finds itself and nobody else.
    let claims = json!({ "sub": here["id"], "roles": ["customer_self"], "customer_id": here["id"] });
    let itself = app.token(sign(claims));
    assert_eq!(names(&itself, "周").await, ["周瑜"]);
    assert_eq!(app.role("no_such_role").post("/v1/customers/search", json!({ "q": "周" })).await.status, 403);
}

async fn narrows_by_the_other_filters(app: App) {
    let admin = app.role("administrator");
    let record = |n: usize| {
        let tier = if n % 100 == 99 { "gold" } else { "plain" };
        json!({ "source_id": n.to_string(), "full_name": format!("吴{n}"), "tier": tier, "status": if n.is_multiple_of(2) { "active" } else { "dormant" } })
    };
    for start in (0..6_000).step_by(1_000) {
        feed(&app, "core", (start..start + 1_000).map(record).collect());
    }
    let mut found = Vec::new();
    let mut body = json!({ "q": "吴", "tier": "gold", "limit": 50, "include_total": true });
    let mut pages = 0;
    loop {
        let page = admin.post("/v1/customers/search", body.clone()).await.expect(200);
        assert_eq!(page["total"], 60);
        found.extend(labels(&page));
        pages += 1;
        if page["next_cursor"].is_null() {
            break;
        }
        body["cursor"] = page["next_cursor"].clone();
    }
    assert!((2..=3).contains(&pages), "{pages}");
    let sorted = found.is_sorted();
    found.sort();
    found.dedup();
    assert!(sorted && found.len() == 60, "{found:?}");
    let active = admin.post("/v1/customers/search", json!({ "q": "吴", "tier": "gold", "status": "active" })).await.expect(200);
    assert_eq!(active["items"], json!([]));
    assert_eq!(admin.get("/v1/customers?q=a&sort=created_at").await.pointers(400), ["?sort"]);
    assert_eq!(admin.get("/v1/customers?q=a&branch=XX").await.pointers(400), ["?branch"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": "a", "branch": "XX" })).await.pointers(422), ["/branch"]);
}

async fn odd_questions_have_plain_answers(app: App) {
    let admin = app.role("administrator");
    feed(&app, "core", people(&["张伟", "100% Smith_Jones", "🙂", "International Business Machines of New York"]));
    for nothing in ["!?", "🙂", "%", "_", "' OR 1=1 --", "\u{202e}", "\\", "\"*\"", "NEAR(", "⁂ ※"] {
        assert_eq!(names(&admin, nothing).await, Vec::<String>::new(), "{nothing}");
    }
    assert_eq!(names(&admin, "z").await, ["张伟"]);
    assert_eq!(names(&admin, "100%").await, ["100% Smith_Jones"]);
    assert_eq!(names(&admin, "jones").await, ["100% Smith_Jones"]);
    assert_eq!(names(&admin, "international business machines of new york").await.len(), 1);
    assert_eq!(names(&admin, "international business machines of new jersey").await.len(), 0);
    assert_eq!(names(&admin, &"张".repeat(200)).await.len(), 0);
    assert_eq!(names(&admin, &"a b ".repeat(50)).await.len(), 0);
    // Words are asked for one by one, so they are bounded; the same one again is none more.
    let words = |count: usize| (0..count).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
    assert_eq!(names(&admin, &words(16)).await.len(), 0);
    let counted = json!({ "q": words(16), "include_total": true });
    assert_eq!(admin.post("/v1/customers/search", counted).await.expect(200)["total"], 0);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": words(17) })).await.pointers(422), ["/q"]);
    assert_eq!(admin.get(&format!("/v1/customers?q={}", words(17).replace(' ', "+"))).await.pointers(400), ["?q"]);
    assert_eq!(admin.get("/v1/customers?q=").await.pointers(400), ["?q"]);
    assert_eq!(admin.get(&format!("/v1/customers?q={}", "a".repeat(201))).await.pointers(400), ["?q"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": "" })).await.pointers(422), ["/q"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": "a".repeat(201) })).await.pointers(422), ["/q"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": "a", "limit": 0 })).await.pointers(422), ["/limit"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "q": "a", "cursor": "x" })).await.pointers(422), ["/cursor"]);
    assert_eq!(admin.post("/v1/customers/search", json!({ "name": "a" })).await.status, 422);
}

async fn found(client: &Client<'_>, what: Value) -> Vec<(String, String)> {
    let items = client.post("/v1/customers/lookup", what).await.expect(200)["items"].clone();
    let pair = |hit: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&hit["customer"]["display_name"]), text(&hit["match"]))
    };
    items.as_array().unwrap().iter().map(pair).collect()
}

async fn lookups_understand_every_spelling(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    let two = person(&admin, "Two", None).await;
    let was = |name: &str, fit: &str| (name.to_owned(), fit.to_owned());
    for (customer, value, country) in
        [(&one, "021-6888 1234 ext. 8", None), (&two, "+420 605 123 456", None), (&one, "07911 123456", Some("GB"))]
    {
        let body = json!({ "kind": "phone", "value": value, "country": country });
        admin.post(&path(customer, "/contact-points"), body).await.expect(201);
    }
    for phone in ["02168881234", "+86 21 6888 1234 转 12", "0086-21-68881234", "０２１－６８８８１２３４"] {
        assert_eq!(found(&admin, json!({ "phone": phone })).await, [was("One", "exact")], "{phone}");
    }
    assert_eq!(found(&admin, json!({ "phone": "605123456", "country": "CZ" })).await, [was("Two", "exact")]);
    assert_eq!(found(&admin, json!({ "phone": "00447911123456" })).await, [was("One", "exact")]);
    for short in ["95588", "110", "1 2 3 4"] {
        assert_eq!(found(&admin, json!({ "phone": short })).await, [], "{short}");
    }
    // Shared, then ended.
    for customer in [&one, &two] {
        admin.post(&path(customer, "/contact-points"), json!({ "kind": "phone", "value": "13800138000" })).await.expect(201);
    }
    assert_eq!(found(&admin, json!({ "phone": "13800138000" })).await, [was("One", "shared"), was("Two", "shared")]);
    let points = admin.get(&path(&one, "/contact-points")).await.expect(200)["items"].clone();
    let mobile = points.as_array().unwrap().iter().find(|point| point["normalised"] == "+8613800138000").unwrap().clone();
    admin
        .command(&path(&one, &format!("/contact-points/{}/end", mobile["id"].as_str().unwrap())), 1, json!({}))
        .await
        .expect(200);
    assert_eq!(found(&admin, json!({ "phone": "13800138000" })).await, [was("Two", "exact"), was("One", "maybe")]);
    // Documents in their old and new form, however written.
    let number = resident_id("11010519491231002");
    let document = json!({ "type": "resident_id", "number": "110105491231002", "verification": { "state": "verified" } });
    admin.post(&path(&two, "/identities"), document).await.expect(201);
    for spelling in [number.clone(), number.to_lowercase(), "110105491231002".into(), "１１０１０５ 19491231 002ｘ".into()]
    {
        assert_eq!(found(&admin, json!({ "identity_number": spelling })).await, [was("Two", "exact")], "{spelling}");
    }
    let firm = json!({ "kind": "corporate", "organisation": { "legal_name": "Firm", "unified_social_credit_code": "91110000600037341L" } });
    let firm = admin.post("/v1/customers", firm).await.expect(201);
    let code = json!({ "identity_number": "9111 0000 6000 3734 1l" });
    assert_eq!(found(&admin, code.clone()).await, [was("Firm", "maybe")]);
    let document =
        json!({ "type": "unified_social_credit_code", "number": "91110000600037341L", "verification": { "state": "verified" } });
    admin.post(&path(&firm, "/identities"), document).await.expect(201);
    assert_eq!(found(&admin, code).await, [was("Firm", "exact")]);
    // A customer looks nobody else up.
    let itself = app.token(sign(json!({ "sub": one["id"], "roles": ["customer_self"], "customer_id": one["id"] })));
    assert_eq!(found(&itself, json!({ "phone": "13800138000" })).await, [was("One", "maybe")]);
    assert_eq!(found(&itself, json!({ "identity_number": number })).await, []);
}

/// The n-th of the names that both databases are given.
fn generated(n: u64) -> String {
    let pick = |from: &str, salt: u64| {
        let letters: Vec<char> = from.chars().collect();
        let mixed = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xBF58_476D_1CE4_E5B9))
            .wrapping_mul(0x94D0_49BB_1331_11EB);
        letters[usize::try_from((mixed >> 40) % u64::try_from(letters.len()).unwrap()).unwrap()]
    };
    match n % 10 {
        0 => format!(
            "{} {}",
            ["José", "Ana", "Zoë", "Li", "Wei"][(n / 10 % 5) as usize],
            ["García", "Müller", "Zhang", "Wang"][(n / 50 % 4) as usize]
        ),
        1 => format!("上海{}{}貿易有限公司", pick("華興瑞豐泰", 1), pick("安恒信達通", 2)),
        2..5 => format!("{}{}", pick("王李张刘陈單曾林", 3), pick("伟敏小林芳明", 4)),
        _ => format!("{}{}{}", pick("王李张刘陈單曾林", 5), pick("伟敏小林芳明", 6), pick("伟敏小林芳明王", 7)),
    }
}

/// Every find of a search over all its pages, as the tier that tells customers apart.
async fn whole(client: &Client<'_>, q: &str) -> Vec<String> {
    let (mut finds, mut body) = (Vec::new(), json!({ "q": q, "limit": 90, "include_total": true }));
    loop {
        let page = client.post("/v1/customers/search", body.clone()).await.expect(200);
        finds.extend(page["items"].as_array().unwrap().iter().map(|item| item["tier"].as_str().unwrap().to_owned()));
        if page["next_cursor"].is_null() {
            assert_eq!(page["total"], finds.len(), "{q}");
            return finds;
        }
        body["cursor"] = page["next_cursor"].clone();
    }
}

#[actix_web::test]
async fn both_databases_find_the_same_in_the_same_order() {
    let (sqlite, postgres) = (App::sqlite().await, App::postgres().await);
    for app in [&sqlite, &postgres] {
        let record = |n: u64| {
            let name = generated(n);
            let company = n % 10 == 1;
            let field = if company { "legal_name" } else { "full_name" };
            json!({ "source_id": n.to_string(), "tier": format!("t{n}"), "kind": if company { "corporate" } else { "personal" }, field: name })
        };
        feed(app, "core", (0..800).map(record).collect());
    }
    let mut questions: Vec<String> = [
        "张",
        "王",
        "林",
        "伟",
        "小林",
        "z",
        "l",
        "zh",
        "wang",
        "li",
        "lin xiao",
        "wei zhang",
        "zw",
        "lxm",
        "m",
        "上海",
        "华",
        "有限公司",
        "garcia",
        "MUELLER",
        "müller",
        "jo",
        "wei wang",
        "shan",
        "zengmin",
        "林 王",
        "贸易 上海",
        "xiao",
        "张w",
        "é",
    ]
    .map(String::from)
    .to_vec();
    questions.extend((0..70).map(|n| generated(n * 11).chars().take(1 + (n % 3) as usize).collect()));
    let mut finds = 0;
    for q in &questions {
        let one = whole(&sqlite.role("administrator"), q).await;
        assert_eq!(one, whole(&postgres.role("administrator"), q).await, "{q}");
        finds += one.len();
    }
    assert!(questions.len() == 100 && finds > 2_000, "{} questions, {finds} finds", questions.len());
}
