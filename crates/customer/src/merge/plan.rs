//! Which value each field takes: by what was chosen, then by the precedence of its source, then by how fresh
//! it is, then the survivor's own. Nothing replaces something.

use std::collections::{BTreeMap, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{BasisPoints, Conn, Error, FieldError, Instant, Result, schema::source_records, text_enum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{CustomerId, CustomerRow, history, matching::bank::facts, update::Whole};

text_enum! {
    /// Why a value won.
    pub enum WinReason {
        /// The caller chose it.
        Choice = "choice",
        /// No other record has one.
        OnlyValue = "only_value",
        /// Its source takes precedence.
        Precedence = "precedence",
        /// It was observed last.
        Freshness = "freshness",
        /// It stands as well as the others, and is the survivor's or that of the record named first.
        Survivor = "survivor",
        /// It is the more careful one: suspected fraud, the earlier review.
        Caution = "caution",
        /// It goes with another field: parts of a name with the name, the day of a rating with the rating.
        Together = "together",
    }
}

/// The value that one record has.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Alternative {
    /// The record.
    pub customer_id: CustomerId,
    /// Its value; null when it has none, and for sensitive fields.
    #[schema(value_type = Option<Value>)]
    pub value: Value,
    /// Code of the source system that says so; null when a person does.
    #[schema(max_length = 32)]
    pub source_system: Option<String>,
    /// The precedence of that source for profiles; 0 for people.
    #[schema(minimum = 0)]
    pub precedence: i32,
    /// When it was observed.
    pub observed_at: Instant,
    /// How sure the source was.
    pub confidence_bp: BasisPoints,
}

/// A field about which the records do not agree, and the value that wins.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldChoice {
    /// Name of the field, as in the profile or in the customer.
    #[schema(example = "employer", max_length = 64)]
    pub field: String,
    /// The value that wins; null for sensitive fields.
    #[schema(value_type = Option<Value>)]
    pub value: Value,
    /// The value that the survivor had before; null for sensitive fields.
    #[schema(value_type = Option<Value>)]
    pub before: Value,
    /// The record from which the value comes.
    pub from: CustomerId,
    /// Why it won.
    pub reason: WinReason,
    /// Whether the values are not shown here because the field is sensitive; the records themselves show them to
    /// those who may see them.
    pub hidden: bool,
    /// What each record says, the survivor first.
    #[schema(max_items = 11)]
    pub alternatives: Vec<Alternative>,
}

impl FieldChoice {
    /// The same without its values.
    pub(super) fn hidden(mut self) -> Self {
        for alternative in &mut self.alternatives {
            alternative.value = Value::Null;
        }
        Self { value: Value::Null, before: Value::Null, hidden: true, ..self }
    }

    /// Whether it changes the survivor.
    pub(super) fn changes(&self) -> bool {
        self.value != self.before
    }

    /// The record that won.
    pub(super) fn winner(&self) -> Option<&Alternative> {
        self.alternatives.iter().find(|alternative| alternative.customer_id == self.from)
    }
}

/// Fields in which a source's code and the record's id may stand in for a name; they say nothing.
const NAMES: [&str; 3] = ["full_name", "legal_name", "display_name"];

/// A record with its values and where they are known from.
pub(super) struct Candidate {
    pub row: CustomerRow,
    values: Map<String, Value>,
    known: HashMap<String, history::Known>,
    first: history::Known,
    /// What stands in for a name where a source has none.
    stand_ins: Vec<String>,
}

impl Candidate {
    pub fn load(conn: &mut Conn, row: &CustomerRow) -> Result<Self> {
        let whole = Whole::load(conn, row.clone())?;
        let mut values = whole.values()?;
        // Days that no history keeps, but that go with what it keeps.
        values.insert("rated_on".into(), json!(row.rated_on));
        values.insert("review_due_on".into(), json!(row.review_due_on));
        let (known, first) = history::known(conn, row)?;
        let told: Vec<(String, String)> = source_records::table
            .filter(source_records::customer_id.eq(row.id))
            .select((source_records::source_system, source_records::source_id))
            .load(&mut conn.db)?;
        let stand_ins = told.iter().map(|(system, id)| facts::stand_in(system, id)).collect();
        Ok(Self { row: row.clone(), values, known, first, stand_ins })
    }

    fn value(&self, field: &str) -> Value {
        self.values.get(field).cloned().unwrap_or(Value::Null)
    }

    fn says(&self, field: &str) -> bool {
        let value = self.value(field);
        let stands_in = NAMES.contains(&field) && value.as_str().is_some_and(|name| self.stand_ins.iter().any(|own| own == name));
        !stands_in && !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
    }

    fn known(&self, field: &str) -> &history::Known {
        self.known.get(field).unwrap_or(&self.first)
    }
}

/// The plan of a merge of these records, the survivor first.
pub(super) fn plan(conn: &mut Conn, records: &[Candidate], choices: &BTreeMap<String, CustomerId>) -> Result<Vec<FieldChoice>> {
    let ranks = history::precedences(conn)?;
    let Some(survivor) = records.first() else { return Ok(Vec::new()) };
    check(records, survivor, choices)?;
    let deck = Deck { records, choices, ranks };
    let name = if survivor.values.contains_key("legal_name") { "legal_name" } else { "full_name" };
    let named = deck.winner(name);
    let rated = ["credit_rating", "market_rating", "operational_rating"]
        .iter()
        .find_map(|field| deck.winner(field).map(|(index, _)| index));
    let mut plan = Vec::new();
    for field in survivor.values.keys() {
        let won = match field.as_str() {
            _ if choices.contains_key(field) => deck.winner(field),
            "family_name" | "given_name" => deck.together(field, named.map(|(index, _)| index)),
            "display_name" if survivor.value("display_name") == survivor.value(name) => {
                deck.together(field, named.map(|(index, _)| index))
            }
            "rated_on" => deck.together(field, rated),
            "home_branch_id" if survivor.says(field) => Some((0, WinReason::Survivor)),
            "fraud_flag" => deck.flagged(field),
            "review_due_on" => deck.earliest(field),
            _ => deck.winner(field),
        };
        let Some((index, reason)) = won else { continue };
        if deck.disputed(field) || choices.contains_key(field) {
            plan.extend(deck.choice(field, index, reason));
        }
    }
    Ok(plan)
}

/// Choices name fields that there are and records that have them.
fn check(records: &[Candidate], survivor: &Candidate, choices: &BTreeMap<String, CustomerId>) -> Result<()> {
    let mut faults = Vec::new();
    for (field, id) in choices {
        let pointer = format!("/choices/{}", field.replace('~', "~0").replace('/', "~1"));
        if !survivor.values.contains_key(field) {
            faults.push(FieldError::new(pointer, "unknown_field", "Customers of this kind have no such field."));
            continue;
        }
        match records.iter().find(|record| record.row.id == *id) {
            None => faults.push(FieldError::new(pointer, "not_merged", "Choose one of the records that are merged.")),
            Some(record) if !record.says(field) => {
                faults.push(FieldError::new(pointer, "no_value", "This record has no value for the field."));
            }
            Some(_) => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

struct Deck<'a> {
    records: &'a [Candidate],
    choices: &'a BTreeMap<String, CustomerId>,
    ranks: HashMap<String, i32>,
}

impl Deck<'_> {
    fn rank(&self, record: &Candidate, field: &str) -> i32 {
        record.known(field).source.as_ref().and_then(|code| self.ranks.get(code)).copied().unwrap_or(0)
    }

    /// Whether the records say different things, silence included.
    fn disputed(&self, field: &str) -> bool {
        let first = self.records.first().map(|record| record.value(field));
        self.records.iter().any(|record| record.says(field) && Some(record.value(field)) != first)
    }

    /// The record that wins a field, and why; none when no record says anything.
    fn winner(&self, field: &str) -> Option<(usize, WinReason)> {
        if let Some(chosen) = self.choices.get(field) {
            let index = self.records.iter().position(|record| record.row.id == *chosen)?;
            return Some((index, WinReason::Choice));
        }
        let mut sayers: Vec<(usize, i32, Instant)> = Vec::new();
        for (index, record) in self.records.iter().enumerate().filter(|(_, record)| record.says(field)) {
            sayers.push((index, self.rank(record, field), record.known(field).observed_at));
        }
        // Stable: of equals the first one, which is the survivor if it says anything.
        sayers.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.cmp(&a.2)));
        let best = *sayers.first()?;
        let reason = match sayers.get(1) {
            None => WinReason::OnlyValue,
            Some(next) if best.1 > next.1 => WinReason::Precedence,
            Some(next) if best.2 > next.2 => WinReason::Freshness,
            Some(_) => WinReason::Survivor,
        };
        Some((best.0, reason))
    }

    /// The same record as another field's, if it says anything.
    fn together(&self, field: &str, with: Option<usize>) -> Option<(usize, WinReason)> {
        match with.filter(|index| self.records.get(*index).is_some_and(|record| record.says(field))) {
            Some(index) => Some((index, WinReason::Together)),
            None => self.winner(field),
        }
    }

    fn flagged(&self, field: &str) -> Option<(usize, WinReason)> {
        let flagged = self.records.iter().position(|record| record.value(field) == Value::Bool(true));
        Some(flagged.map_or((0, WinReason::Survivor), |index| (index, WinReason::Caution)))
    }

    fn earliest(&self, field: &str) -> Option<(usize, WinReason)> {
        // Dates as text sort as dates.
        let days =
            self.records.iter().enumerate().filter_map(|(index, record)| Some((record.value(field).as_str()?.to_owned(), index)));
        days.min().map(|(_, index)| (index, WinReason::Caution))
    }

    fn choice(&self, field: &str, index: usize, reason: WinReason) -> Option<FieldChoice> {
        let winner = self.records.get(index)?;
        let alternative = |record: &Candidate| {
            let known = record.known(field);
            Alternative {
                customer_id: record.row.id,
                value: record.value(field),
                source_system: known.source.clone(),
                precedence: self.rank(record, field),
                observed_at: known.observed_at,
                confidence_bp: known.confidence,
            }
        };
        Some(FieldChoice {
            field: field.to_owned(),
            value: winner.value(field),
            before: self.records.first()?.value(field),
            from: winner.row.id,
            reason,
            hidden: false,
            alternatives: self.records.iter().map(alternative).collect(),
        })
    }
}
