//! Log lines by env_logger, as text or as one JSON object each, with the id of the request.

use std::io::Write;

use env_logger::fmt::Formatter;
use log::{
    Level, Log, Metadata, Record,
    kv::{Key, Value, VisitSource},
};
use serde_json::{Map, json};

use crate::trace;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Starts logging to standard error; `RUST_LOG` chooses what is logged, `info` unless set.
pub fn start(format: LogFormat) {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    let logger = Careful(builder.format(if format == LogFormat::Json { json_line } else { text_line }).build());
    let level = logger.0.filter();
    // A second start, in tests, keeps the first.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// Whatever `RUST_LOG` asks for: libraries write whole requests, headers with tokens among them, at levels below `info`. Only
/// our own lines are written there, of which the tests show that they hold no secret.
struct Careful(env_logger::Logger);

impl Careful {
    fn tells(metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info || metadata.target().starts_with("kehu")
    }
}

impl Log for Careful {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::tells(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if Self::tells(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// The fields of a record, the request's id among them.
struct Fields(Map<String, serde_json::Value>);

impl Fields {
    fn of(record: &Record<'_>) -> Self {
        let mut fields = Self(Map::new());
        drop(record.key_values().visit(&mut fields));
        if let Some(id) = trace::current_id() {
            fields.0.entry("request_id").or_insert_with(|| id.into());
        }
        fields
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        let number = value.to_i64().map(|number| json!(number)).or_else(|| value.to_f64().map(|number| json!(number)));
        self.0.insert(key.as_str().to_owned(), number.unwrap_or_else(|| value.to_string().into()));
        Ok(())
    }
}

fn text_line(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    write!(out, "{} {:5} {}", out.timestamp_millis(), record.level(), one_line(&record.args().to_string()))?;
    for (name, value) in Fields::of(record).0 {
        match value.as_str() {
            Some("-") => {}
            Some(text) => write!(out, " {name}={}", one_line(text))?,
            None => write!(out, " {name}={value}")?,
        }
    }
    writeln!(out)
}

/// Nobody writes a second line into the log.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn json_line(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = Map::new();
    line.insert("time".into(), out.timestamp_micros().to_string().into());
    line.insert("level".into(), record.level().as_str().to_ascii_lowercase().into());
    line.insert("target".into(), record.target().into());
    line.insert("message".into(), record.args().to_string().into());
    line.extend(Fields::of(record).0.into_iter().filter(|(_, value)| value != "-"));
    writeln!(out, "{}", serde_json::Value::Object(line))
}
