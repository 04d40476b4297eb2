//! What the server asks PostgreSQL to answer requests: the same statements are the limit when pgbench sends them.

use std::{collections::BTreeMap, time::Duration};

use diesel::{Connection, PgConnection, connection::SimpleConnection};

use super::banks::{self, Bank};
use crate::support::process::{Caller, Server, free_address};

/// The statements of each path's answer, their parameters written in, in the order of the paths. Each path has to name its
/// customer by `ids`, and only statements of transactions that name this customer count.
pub fn of(bank: &Bank, paths: &[String], ids: &[String]) -> Vec<String> {
    let mut conn = PgConnection::establish(&bank.url).unwrap();
    let log = |what: &str| format!("ALTER DATABASE bank_{} SET log_statement = {what}", bank.customers);
    conn.batch_execute(&log("'all'")).unwrap();
    let start = std::fs::metadata(banks::log_of_postgres()).unwrap().len();
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let caller = Caller::administrator(&format!("http://{}", server.address));
    for path in paths {
        let (status, answer) = caller.get(path).unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    std::thread::sleep(Duration::from_millis(200));
    conn.batch_execute(&log("DEFAULT")).unwrap();
    let text = std::fs::read(banks::log_of_postgres()).unwrap();
    let text = String::from_utf8_lossy(&text[usize::try_from(start).unwrap()..]).into_owned();
    let found = transactions(&text);
    ids.iter()
        .map(|id| found.iter().find(|script| script.contains(id)).unwrap_or_else(|| panic!("{id}: {text}")).clone())
        .collect()
}

/// The transactions of a log, each with its statements one a line; what stands outside of one is one by itself.
fn transactions(log: &str) -> Vec<String> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    let mut all = Vec::new();
    for (process, statement) in statements(log) {
        let begins = statement.starts_with("BEGIN") || statement.starts_with("START TRANSACTION");
        let ends = statement.starts_with("COMMIT") || statement.starts_with("ROLLBACK");
        match open.get_mut(process) {
            None if begins => drop(open.insert(process, format!("{statement};\n"))),
            None => all.push(format!("{statement};\n")),
            Some(script) => {
                script.push_str(&statement);
                script.push_str(";\n");
                if ends {
                    all.extend(open.remove(process));
                }
            }
        }
    }
    all
}

/// Process and statement, parameters written in.
fn statements(log: &str) -> Vec<(&str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    let mut whole: Vec<(&str, String)> = Vec::new();
    for line in log.lines() {
        // A statement of several lines goes on behind a tab.
        if let Some(rest) = line.strip_prefix('\t') {
            if let Some((_, text)) = whole.last_mut() {
                text.push(' ');
                text.push_str(rest);
            }
        } else if let Some((process, text)) = line.split_once(':') {
            whole.push((process, text.to_owned()));
        }
    }
    for (process, text) in whole {
        if let Some(text) = text.strip_prefix("LOG:  statement: ") {
            all.push((process, text.trim_end_matches(';').to_owned()));
        } else if let Some(text) = text.strip_prefix("LOG:  execute ") {
            all.push((process, text.split_once(": ").unwrap().1.to_owned()));
        } else if let Some(text) = text.strip_prefix("DETAIL:  parameters: ")
            && let Some((_, statement)) = all.iter_mut().rev().find(|(other, _)| *other == process)
        {
            *statement = filled(statement, &parameters(text));
        }
    }
    all
}

/// `$1 = 'it''s', $2 = NULL` as its literals.
fn parameters(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((_, value)) = rest.split_once(" = ") {
        let mut end = 0;
        if value.starts_with('\'') {
            let mut inside = false;
            for (place, c) in value.char_indices() {
                inside ^= c == '\'';
                if !inside && value[place + 1..].starts_with([',']) || place + 1 == value.len() {
                    end = place + 1;
                    break;
                }
            }
        } else {
            end = value.find(',').unwrap_or(value.len());
        }
        all.push(value[..end].to_owned());
        rest = &value[end..];
    }
    all
}

/// The highest numbers first: `$1` begins `$12`.
fn filled(statement: &str, parameters: &[String]) -> String {
    let numbered = parameters.iter().enumerate().rev();
    numbered.fold(statement.to_owned(), |text, (place, value)| text.replace(&format!("${}", place + 1), value))
}
