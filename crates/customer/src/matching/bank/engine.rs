//! The engine, set up for the bank: its models, its secret, the parameters in use.

use std::sync::{Arc, LazyLock};

use kehu_kernel::{BasisPoints, Conn, Result, crypto::Keyring};

use super::{
    band::MatchReason,
    facts::{Address, Facts, MatchSubject},
    parameters,
};
use crate::matching::{
    Model, Parameters, Record, Salt, Score, Scorer, Step,
    blocking::{self, CAP},
};

static PERSON: LazyLock<Model> = LazyLock::new(Model::bank_person);
static ORGANISATION: LazyLock<Model> = LazyLock::new(Model::bank_organisation);

/// The model of a subject.
pub(super) fn model(subject: MatchSubject) -> &'static Model {
    match subject {
        MatchSubject::Person => &PERSON,
        MatchSubject::Organisation => &ORGANISATION,
    }
}

/// What comparisons weigh before anything was estimated.
pub(super) fn default_for(subject: MatchSubject) -> Arc<Parameters> {
    static DEFAULTS: LazyLock<[Arc<Parameters>; 2]> =
        LazyLock::new(|| [&*PERSON, &*ORGANISATION].map(|model| Arc::new(Parameters::default_for(model))));
    let [person, organisation] = &*DEFAULTS;
    Arc::clone(if subject == MatchSubject::Person { person } else { organisation })
}

/// The secret of keys. It is derived from the index secret, which stays, so that keys stay too.
pub(super) fn salt(keys: &Keyring) -> Salt {
    let secret = keys.blind_index("match_keys", "salt");
    Salt::new(*secret.first_chunk().unwrap_or(&[0; 16]))
}

/// A record of a customer's facts.
pub(super) fn prepare(facts: &Facts) -> Record {
    let model = model(facts.subject);
    let values: Vec<Vec<String>> = model.fields().iter().map(|field| values_of(facts, &field.name)).collect();
    Record::prepare(model, &values)
}

/// The keys of a record; none where nothing tells its customer from thousands of others, as where a source knows
/// people by birth date and gender only.
pub(super) fn keys(facts: &Facts, record: &Record, salt: &Salt) -> Vec<i64> {
    if facts.tells_who() { blocking::keys(model(facts.subject), record, salt) } else { Vec::new() }
}

/// The values of a field of a model.
pub(super) fn values_of(facts: &Facts, field: &str) -> Vec<String> {
    let places = |part: fn(&Address) -> [Option<&String>; 2]| {
        let mut found: Vec<String> = facts.addresses.iter().flat_map(part).flatten().cloned().collect();
        found.dedup();
        found
    };
    match field {
        "identity_number" => facts.numbers.iter().map(|number| number.number.clone()).collect(),
        "name" => facts.names.clone(),
        "birth_date" | "founded_on" => facts.began_on.iter().map(ToString::to_string).collect(),
        "gender" => facts.gender.iter().map(ToString::to_string).collect(),
        "nationality" => facts.nationality.iter().cloned().collect(),
        "phone" => facts.phones.clone(),
        "email" => facts.emails.clone(),
        "street" => places(|address| [address.street.as_ref(), None]),
        "postcode" => places(|address| [address.postcode.as_ref(), None]),
        // The four municipalities are province and city in one.
        "city" => places(|address| [address.city.as_ref().or(address.province.as_ref()), address.district.as_ref()]),
        _ => Vec::new(),
    }
}

/// The parameters in use of a subject.
pub(super) struct Scale {
    pub subject: MatchSubject,
    pub version: i64,
    pub parameters: Arc<Parameters>,
}

/// How two records were judged.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub score: BasisPoints,
    pub reasons: Vec<MatchReason>,
}

/// A key that more customers share leads to none of them.
pub(super) const MOST_IN_BLOCK: usize = CAP;

impl Scale {
    pub fn in_use(conn: &mut Conn, subject: MatchSubject) -> Result<Self> {
        let (version, parameters) = parameters::in_use(conn, subject)?;
        Ok(Self { subject, version, parameters })
    }

    /// Ready to compare many pairs.
    pub fn scorer(&self) -> Scorer<'_> {
        Scorer::new(model(self.subject), &self.parameters)
    }
}

/// How probable it is that two records, the older one first, are of one customer; the same verified document decides alone.
pub(super) fn judge(scorer: &Scorer<'_>, older: &Record, newer: &Record, same_document: bool) -> Judged {
    let score = scorer.explain(older, newer);
    let mut reasons = reasons(&score);
    if same_document {
        reasons.insert(0, MatchReason { field: "identity_number".into(), level: SAME_DOCUMENT.into(), weight: CERTAIN });
        return Judged { score: BasisPoints::WHOLE, reasons };
    }
    Judged { score: in_basis_points(score.probability), reasons }
}

/// The level of two customers who have the same verified document.
pub(super) const SAME_DOCUMENT: &str = "same verified document";
/// Evidence that outweighs any other, in bits.
const CERTAIN: f64 = 1_000.0;

/// What was comparable, the strongest evidence first.
fn reasons(score: &Score) -> Vec<MatchReason> {
    let reason = |step: &Step| MatchReason {
        field: step.field.clone(),
        level: step.level.to_owned(),
        weight: rounded(step.weight + step.term_adjustment),
    };
    let mut reasons: Vec<MatchReason> = score.waterfall.iter().filter(|step| step.comparable).map(reason).collect();
    reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.field.cmp(&b.field)));
    reasons
}

/// Bits are shown to the hundredth.
pub(super) fn rounded(weight: f64) -> f64 {
    // Minus zero would be shown as such.
    (weight * 100.0).round() / 100.0 + 0.0
}

/// A probability as whole basis points: rounded down, so that nothing becomes certain by rounding.
pub(super) fn in_basis_points(probability: f64) -> BasisPoints {
    #[expect(clippy::as_conversions, reason = "a probability in basis points is a whole number from 0 to 10,000")]
    BasisPoints((probability.clamp(0.0, 1.0) * 10_000.0).floor() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_round_down() {
        let of = |probability| in_basis_points(probability).0;
        assert_eq!((of(0.0), of(0.5), of(0.999_99), of(1.0), of(f64::NAN)), (0, 5_000, 9_999, 10_000, 0));
    }

    /// Every field of the models has values, so that none is forgotten when a model grows.
    #[test]
    fn every_field_is_filled() {
        let mut facts = Facts::nothing(MatchSubject::Person);
        facts.names = vec!["李娜".into()];
        facts.gender = Some(crate::profile::Gender::Female);
        facts.nationality = Some("CN".into());
        facts.began_on = kehu_kernel::Date::new(1990, 1, 31);
        facts.phones = vec!["+8613800138000".into()];
        facts.emails = vec!["li.na@example.com".into()];
        let part = |text: &str| Some(text.to_owned());
        let (street, postcode) = (part("世纪大道100号"), part("200120"));
        facts.addresses =
            vec![Address { street, district: part("浦东新区"), city: None, province: part("上海市"), postcode }];
        facts.numbers = vec![super::super::facts::Number {
            kind: crate::identity::IdentityType::Passport,
            number: "E12345678".into(),
            verified: true,
        }];
        for model in [&*PERSON, &*ORGANISATION] {
            for field in model.fields() {
                assert!(!values_of(&facts, &field.name).is_empty(), "{}", field.name);
            }
        }
        assert_eq!(values_of(&facts, "city"), ["上海市", "浦东新区"]);
    }
}
