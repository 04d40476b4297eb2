//! `kehu match`: the matching engine on files of records, without a database.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

use kehu_customer::matching::{Accuracy, Loaded, Mapping, NAME_THRESHOLD, NamePair, NamePairs, Record, resolve};
use kehu_kernel::{Error, Result};

use super::print;

#[derive(clap::Args)]
pub(crate) struct MatchOptions {
    /// What the columns mean: a JSON file.
    #[arg(long, env = "KEHU_MATCH_MAPPING")]
    mapping: PathBuf,
    /// A CSV file with a header; several are put together.
    #[arg(long, env = "KEHU_MATCH_INPUT", required = true)]
    input: Vec<PathBuf>,
    /// Where the pairs go: CSV with both ids and the probability that they are one.
    #[arg(long, env = "KEHU_MATCH_OUT")]
    out: PathBuf,
    /// The column that is the same for records that truly are one, to tell how right the pairs are.
    #[arg(long, env = "KEHU_MATCH_TRUTH")]
    truth: Option<String>,
    /// Seed of everything random: the same files and seed give the same pairs.
    #[arg(long, env = "KEHU_MATCH_SEED", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(options: &MatchOptions) -> Result<()> {
    let started = Instant::now();
    let text = fs::read(&options.mapping).map_err(|error| unreadable(&options.mapping, &error))?;
    let mapping: Mapping = serde_json::from_slice(&text).map_err(|error| unreadable(&options.mapping, &error))?;
    let mut report = match &mapping.pairs {
        Some(pairs) => names(&mapping, pairs, options)?,
        None => records(&mapping, options)?,
    };
    report.push_str(&format!("time {:.3} s\n", started.elapsed().as_secs_f64()));
    report.push_str(&format!("peak memory {}\n", peak_memory()));
    print(&report)
}

fn records(mapping: &Mapping, options: &MatchOptions) -> Result<String> {
    let model = mapping.model().map_err(|error| unreadable(&options.mapping, &error))?;
    let mut loaded = Loaded::default();
    for input in &options.input {
        mapping.load(&model, open(input)?, options.truth.as_deref(), &mut loaded).map_err(|error| unreadable(input, &error))?;
    }
    let files = mapping.across_files_only.then_some(loaded.files.as_slice());
    let found = resolve(&model, &loaded.records, files, options.seed);
    let id = |record: u32| usize::try_from(record).ok().and_then(|record| loaded.ids.get(record)).map_or("", String::as_str);
    let rows =
        found.pairs.iter().map(|pair| [id(pair.left).to_owned(), id(pair.right).to_owned(), format!("{:.6}", pair.probability)]);
    write(&options.out, ["left", "right", "probability"], rows)?;
    let accuracy = loaded.truth.as_ref().map(|truth| Accuracy::of_pairs(&found.pairs, truth, files));
    let bytes: usize = loaded.records.iter().map(Record::size).sum();
    Ok(format!(
        "{}records {}\nbytes per record {}\ncandidates {}\npairs {}\ngroups {}\n",
        shares(accuracy),
        loaded.records.len(),
        bytes / loaded.records.len().max(1),
        found.candidates,
        found.pairs.len(),
        found.groups.len()
    ))
}

fn names(mapping: &Mapping, pairs: &NamePairs, options: &MatchOptions) -> Result<String> {
    let mut pairs = pairs.clone();
    pairs.truth = options.truth.clone().or(pairs.truth);
    let mut found: Vec<NamePair> = Vec::new();
    for input in &options.input {
        found.extend(mapping.name_pairs(&pairs, open(input)?).map_err(|error| unreadable(input, &error))?);
    }
    let rows = found.iter().map(|pair| [pair.left.clone(), pair.right.clone(), format!("{:.6}", pair.likeness)]);
    write(&options.out, ["left", "right", "likeness"], rows)?;
    let accuracy = pairs.truth.is_some().then(|| Accuracy::of_names(&found));
    let one = found.iter().filter(|pair| pair.likeness >= NAME_THRESHOLD).count();
    Ok(format!("{}candidates {}\npairs {one}\n", shares(accuracy), found.len()))
}

fn shares(accuracy: Option<Accuracy>) -> String {
    let line = |of: Accuracy| format!("precision {:.6}\nrecall {:.6}\nf1 {:.6}\n", of.precision, of.recall, of.f1);
    accuracy.map(line).unwrap_or_default()
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

fn write(path: &Path, header: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> Result<()> {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    };
    let mut text = header.join(",") + "\n";
    for row in rows {
        text.push_str(&(row.map(|cell| quoted(&cell)).join(",") + "\n"));
    }
    fs::write(path, text).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid("/input", "unreadable_file", format!("{}: {error}.", path.display()))
}

/// The most memory that the process ever held, where the system tells.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim);
    peak.unwrap_or("unknown").to_owned()
}
