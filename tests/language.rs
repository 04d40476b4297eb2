//! Problems in the language that the caller asks for, and that nothing is missing in Chinese.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use actix_web::http::Method;
use kehu_api::{language::chinese, problem};
use serde_json::json;

use crate::{both_databases, support::App};

both_databases!(problems_are_told_in_the_wanted_language);

async fn problems_are_told_in_the_wanted_language(app: App) {
    let admin = app.role("administrator");
    let chinese = admin.with("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.5");
    let english = admin.with("Accept-Language", "en,zh;q=0.9");
    let branch = json!({ "code": "HO", "name": "", "level": "head_office", "colour": "red" });
    let refused = chinese.post("/v1/branches", branch.clone()).await;
    assert_eq!(refused.header("content-language").as_deref(), Some("zh-CN"));
    assert!(refused.header("vary").unwrap().to_lowercase().contains("accept-language"));
    let problem = refused.expect(422);
    assert_eq!((&problem["title"], &problem["code"]), (&json!("输入不符合规则"), &json!("invalid_input")));
    assert!(problem["detail"].as_str().unwrap().starts_with("未知字段“colour”，应为下列之一："), "{problem}");
    assert_eq!(problem["errors"][0]["message"], problem["detail"]);
    let told = english.post("/v1/branches", branch).await;
    assert_eq!(told.header("content-language").as_deref(), Some("en"));
    assert_eq!(told.expect(422)["title"], "The input breaks a rule");
    // Rules of fields, of the domain, and of the layers around them.
    let nameless = json!({ "code": "H O", "name": "", "level": "head_office" });
    let problem = chinese.post("/v1/branches", nameless).await.expect(422);
    let messages: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["仅限字母、数字、- 和 _。", "长度须为 1 至 200。"]);
    let head = json!({ "code": "HO", "name": "总行", "level": "head_office" });
    let made = chinese.post("/v1/branches", head.clone()).await.expect(201);
    assert_eq!(chinese.post("/v1/branches", head).await.expect(409)["detail"], "该机构代码已被使用。");
    let path = format!("/v1/branches/{}", made["id"].as_str().unwrap());
    let change = || Some(("application/json", br#"{"name":"x"}"#.to_vec()));
    let stale = chinese.with("If-Match", "\"7\"").send(Method::PATCH, &path, change()).await.expect(412);
    assert_eq!(
        (&stale["title"], &stale["detail"]),
        (&json!("记录已被修改"), &json!("请重新读取记录，并在最新版本上再次提交修改。"))
    );
    let unguarded = chinese.send(Method::PATCH, &path, change()).await.expect(428);
    assert_eq!(unguarded["detail"], "请将记录的 ETag 作为 If-Match 发送。");
    let teller = app.role("teller").with("Accept-Language", "zh");
    assert_eq!(teller.get("/v1/clients").await.expect(403)["detail"], "此操作需要具有 client.manage 权限的角色。");
    let stranger = app.stranger().with("Accept-Language", "zh");
    let unknown = stranger.get("/v1/branches").await;
    assert!(unknown.header("www-authenticate").is_some());
    assert_eq!(unknown.expect(401)["detail"], "请发送 Bearer 令牌。");
    assert_eq!(stranger.get("/nothing").await.expect(404)["title"], "未找到");
    let broken = chinese.send(Method::POST, "/v1/branches", Some(("application/json", b"{".to_vec()))).await.expect(400);
    assert!(broken["detail"].as_str().unwrap().contains("第 1 行"), "{broken}");
}

#[test]
fn every_title_has_both_languages() {
    for (code, status, title) in problem::TABLE {
        assert!(title.is_ascii() && chinese(title).is_some(), "{status} {code}: {title}");
    }
}

/// Files whose sentences are not told by problems: what is documented, logged, kept, or shown on the command line.
const NOT_TOLD: &[&str] = &[
    "api/src/openapi",
    "api/src/rights.rs",
    "api/src/hardening.rs",
    "api/src/webhook/document.rs",
    "api/src/metrics.rs",
    "api/src/cli/",
    "api/src/demo/",
    "api/src/auth/jwks.rs",
    "api/src/language.rs",
    "/belonging",
    "role/built_in.rs",
    "privacy/elsewhere.rs",
    "privacy/document.rs",
    "privacy/reader.rs",
    "matching/laws.rs",
    "matching/legal_form.rs",
    "kernel/src/crypto.rs",
    "kernel/src/store/",
];

/// Sentences that are no problem's though they stand among problems: of settings, of documentation, and ours to ourselves.
const OTHERS: &[&str] = &[
    "Tokens are issued by whoever owns the key set; there is no shared secret.",
    "A shared secret of HS256 has at least 32 bytes.",
    "expected a number of connections",
    "expected a number of seconds",
    "expected requests/seconds, such as 2000/10",
    "Not looked at.",
    "The value, written as the definition's type says; null clears it.",
    "New values of custom attributes by their codes, as a JSON Merge Patch: null clears, what is absent stays.",
    "Identifier of a record: a UUIDv7, so that ids sort by the time of creation.",
    "Currency code of ISO 4217.",
    "A ratio in basis points: 10000 is 100 %.",
    "A point in time, RFC 3339; answers are always in UTC with `Z`.",
    "A calendar date, `YYYY-MM-DD`.",
    "Age, gender, region, marriage, income, occupation.",
    "Which products and channels, how long, how often changed.",
    "How coupons and other benefits are used, and what they bring.",
];

/// Every sentence of the sources that may be told is in the catalogue, so that nobody forgets the next one.
#[test]
fn every_sentence_that_is_told_has_a_translation() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let (mut told, mut missing) = (0, BTreeSet::new());
    for path in sources(&crates) {
        let name = path.display().to_string();
        if NOT_TOLD.iter().any(|part| name.contains(part)) || !name.contains("/src/") {
            continue;
        }
        for literal in literals(&std::fs::read_to_string(&path).unwrap()) {
            if !is_sentence(&literal) || OTHERS.contains(&literal.as_str()) {
                continue;
            }
            told += 1;
            let id = numbered(&literal);
            // As it would be told, with something filled in.
            let filled = (1..20).fold(id.clone(), |text, n| text.replace(&format!("{{{n}}}"), &format!("X{n}")));
            if chinese(&filled).is_none() {
                missing.insert(format!("msgid \"{}\"", id.replace('"', "\\\"")));
            }
        }
    }
    assert!(told > 300, "{told}");
    let list: Vec<&str> = missing.iter().map(String::as_str).collect();
    assert!(missing.is_empty(), "crates/api/locales/zh_CN.po lacks:\n{}", list.join("\n"));
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}

/// What reads like something said to somebody.
fn is_sentence(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_uppercase() || first == '{') && text.ends_with('.');
    text.contains(' ') && (begins || text.starts_with("expected ")) && !text.contains("= ")
}

/// `{name}` and `{}` as `{1}`, `{2}` … in their order.
fn numbered(text: &str) -> String {
    let (mut done, mut rest, mut number) = (String::new(), text, 0);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, tail)) = after.split_once('}') else { break };
        number += 1;
        done.push_str(&format!("{before}{{{number}}}"));
        rest = tail;
    }
    done + rest
}

/// The texts in double quotes of a file: without comments, attributes, lines for the log, and tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let (mut found, mut attribute, mut log) = (Vec::new(), 0_i32, 0_i32);
    let mut rest = source.chars().peekable();
    let mut word = String::new();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => while rest.next().is_some_and(|c| c != '\n') {},
            '\'' => {
                // A character, or the name of a lifetime.
                let next: String = rest.clone().take(3).collect();
                let length =
                    if next.starts_with('\\') { rest.clone().skip(2).position(|c| c == '\'').map(|at| at + 3) } else { None };
                let length = length.or_else(|| (next.chars().nth(1) == Some('\'')).then_some(2));
                for _ in 0..length.unwrap_or(0) {
                    rest.next();
                }
            }
            '"' => {
                let text = quoted(&mut rest);
                if attribute == 0 && log == 0 {
                    found.push(text);
                }
            }
            '#' if matches!(rest.peek(), Some('[' | '!')) => attribute = attribute.max(1),
            '[' if attribute > 0 => attribute += 1,
            ']' if attribute > 0 => {
                attribute -= 1;
                attribute = if attribute == 1 { 0 } else { attribute };
            }
            '(' if log > 0 || word.starts_with("log::") => log += 1,
            ')' if log > 0 => log -= 1,
            _ => {}
        }
        if c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '!') { word.push(c) } else { word.clear() }
    }
    found
}

/// The rest of a text in double quotes.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => match rest.next() {
                Some('\n') => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}

#[test]
fn sentences_are_found_in_sources() {
    let source = "// \"A comment is not.\"\n#[schema(example = \"An attribute is not.\")]\nfn f<'a>() { log::warn!(\"A log is not.\"); \
                  let c = ('\"', '\\'', \"The one {x} of \\\n     {}.\"); }";
    assert_eq!(literals(source), ["The one {x} of {}."]);
    assert_eq!(numbered("The one {x:?} of {}."), "The one {1} of {2}.");
}
