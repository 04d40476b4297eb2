//! Files of other people's records: which column holds what.

use std::{collections::HashMap, io::Read};

use serde::{Deserialize, Serialize};

use super::{Field, Kind, Model, Record};

/// What the columns of a file mean.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What stands between columns.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// The column that names a record; the number of the row without.
    #[serde(default)]
    pub id: Option<String>,
    /// The fields of a record.
    #[serde(default)]
    pub fields: Vec<MappedField>,
    /// The column that tells which records truly are one.
    #[serde(default)]
    pub truth: Option<Truth>,
    /// Only records of different files can be one.
    #[serde(default)]
    pub across_files_only: bool,
    /// The file does not hold records but pairs of names.
    #[serde(default)]
    pub pairs: Option<NamePairs>,
}

/// A field and the columns of its values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedField {
    /// Its name, for people.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Each one value.
    pub columns: Vec<Columns>,
}

/// Where a value stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// In one column.
    One(String),
    /// In several, such as year, month and day, or a street and its number.
    Joined(Vec<String>),
}

/// Which records truly are one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The column that is the same for them.
    pub column: String,
    /// Only so many parts of its text count …
    #[serde(default)]
    pub parts: Option<usize>,
    /// … that this stands between.
    #[serde(default)]
    pub separator: Option<char>,
}

/// Pairs of names that are to be told apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamePairs {
    /// The column of the one name.
    pub left: String,
    /// The column of the other name.
    pub right: String,
    /// The column that tells what kind of thing has the name.
    pub schema: String,
    /// What that column says of persons; everything else is an organisation.
    pub persons: Vec<String>,
    /// The column that is `true` for names of one thing.
    pub truth: Option<String>,
}

const fn comma() -> char {
    ','
}

/// Records of files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The records.
    pub records: Vec<Record>,
    /// What each is called.
    pub ids: Vec<String>,
    /// What is the same for records that truly are one.
    pub truth: Option<Vec<u32>>,
    /// Which file each is from.
    pub files: Vec<u8>,
    clusters: HashMap<String, u32>,
}

impl Mapping {
    /// The model of the fields.
    ///
    /// # Errors
    /// No fields or too many.
    pub fn model(&self) -> Result<Model, String> {
        Model::new(self.fields.iter().map(|field| Field { name: field.name.clone(), kind: field.kind }).collect())
    }

    /// Adds the records of a file. `truth` is the column that tells which are one, if that is to be read.
    ///
    /// # Errors
    /// A file that is no CSV, or a column that it does not have.
    pub fn load(&self, model: &Model, file: impl Read, truth: Option<&str>, loaded: &mut Loaded) -> Result<(), String> {
        let mut reader = self.reader(file)?;
        let headers = reader.headers().map_err(|error| error.to_string())?.clone();
        let position = |name: &str| position(&headers, name);
        let id = self.id.as_deref().map(position).transpose()?;
        let truth_at = truth.map(position).transpose()?;
        let columns: Vec<Vec<Vec<usize>>> =
            self.fields.iter().map(|field| field.positions(&headers)).collect::<Result<_, _>>()?;
        let number = loaded.files.last().map_or(0, |last| last.saturating_add(1));
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row).map_err(|error| error.to_string())? {
            let values: Vec<Vec<String>> =
                columns.iter().map(|values| values.iter().map(|at| join(&row, at)).collect()).collect();
            loaded.records.push(Record::prepare(model, &values));
            loaded
                .ids
                .push(id.and_then(|at| row.get(at)).map_or_else(|| loaded.ids.len().to_string(), |id| id.trim().to_owned()));
            loaded.files.push(number);
            if let (Some(at), Some(name)) = (truth_at, truth) {
                let cluster = self.cluster(name, row.get(at).unwrap_or_default());
                let next = u32::try_from(loaded.clusters.len()).unwrap_or(u32::MAX);
                let cluster = *loaded.clusters.entry(cluster).or_insert(next);
                loaded.truth.get_or_insert_default().push(cluster);
            }
        }
        Ok(())
    }

    pub(super) fn reader<R: Read>(&self, file: R) -> Result<csv::Reader<R>, String> {
        let delimiter = u8::try_from(self.delimiter).map_err(|error| error.to_string())?;
        Ok(csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(file))
    }

    fn cluster(&self, column: &str, text: &str) -> String {
        let cut = self.truth.as_ref().filter(|truth| truth.column == column).and_then(|truth| truth.parts.zip(truth.separator));
        cut.map_or_else(
            || text.to_owned(),
            |(parts, separator)| text.split(separator).take(parts).collect::<Vec<_>>().join("\u{1f}"),
        )
    }
}

impl MappedField {
    fn positions(&self, headers: &csv::StringRecord) -> Result<Vec<Vec<usize>>, String> {
        let of = |columns: &Columns| match columns {
            Columns::One(name) => Ok(vec![position(headers, name)?]),
            Columns::Joined(names) => names.iter().map(|name| position(headers, name)).collect(),
        };
        self.columns.iter().map(of).collect()
    }
}

/// Where a column stands.
pub(super) fn position(headers: &csv::StringRecord, name: &str) -> Result<usize, String> {
    headers
        .iter()
        .position(|header| header.trim_start_matches('\u{feff}').trim() == name)
        .ok_or_else(|| format!("there is no column {name}"))
}

fn join(row: &csv::StringRecord, columns: &[usize]) -> String {
    let texts = columns.iter().filter_map(|at| row.get(*at)).map(str::trim).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(" ")
}
