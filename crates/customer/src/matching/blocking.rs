//! Keys that two records of one customer are likely to share, so that not every pair must be compared.
//!
//! A key is a keyed hash: it can be kept in a table without giving away the names and dates it was made of. A key
//! that more than [`CAP`] records share is left out: every common key (a name, a birth date) also exists together
//! with a second field, so that frequent values are still compared where something else agrees.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::{Kind, Model, Record, nickname, record::Values};

/// A key that more records share gives no candidates.
pub const CAP: usize = 20;
/// The most keys of one record.
pub const MAX_KEYS: usize = 48;

/// The secret of keys: 128 bits.
#[derive(Clone, Copy)]
pub struct Salt([u8; 16]);

impl Salt {
    /// The secret.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }
}

/// What keys are made of.
#[derive(Clone, Copy)]
enum Slot {
    Identity,
    IdentityEnd,
    Phone,
    Email,
    EmailName,
    Date,
    DatePlace,
    Names,
    NamesYear,
    NamesPlace,
    NameMonth,
    NameDay,
    NamePlace,
    NamePostcode,
    NameStreet,
    StreetPlace,
    MonthPlace,
    Company,
    CompanyWords,
    CompanyPlace,
    CompanyDate,
    Text,
    StreetDate,
    NameDate,
}

/// The keys of a record: the same values under the same secret give the same keys for ever.
#[must_use]
pub fn keys(model: &Model, record: &Record, salt: &Salt) -> Vec<i64> {
    let parts = Parts::of(model, record);
    let mut keys = Keys { salt, found: Vec::with_capacity(24) };
    numbers(&parts, &mut keys);
    names(&parts, &mut keys);
    companies(&parts, &mut keys);
    places(&parts, &mut keys);
    keys.found.truncate(MAX_KEYS);
    keys.found.sort_unstable();
    keys.found.dedup();
    keys.found
}

struct Keys<'a> {
    salt: &'a Salt,
    found: Vec<i64>,
}

impl Keys<'_> {
    fn add(&mut self, slot: Slot, parts: &[&[u8]]) {
        if parts.iter().any(|part| part.is_empty()) {
            return;
        }
        let mut hasher = SipHasher24::new_with_key(&self.salt.0);
        hasher.write_u8(slot.number());
        for part in parts {
            hasher.write(part);
            hasher.write_u8(0xff);
        }
        self.found.push(hasher.finish().cast_signed());
    }
}

impl Slot {
    /// Part of the hash: it never changes its meaning.
    const fn number(self) -> u8 {
        match self {
            Self::Identity => 1,
            Self::IdentityEnd => 2,
            Self::Phone => 3,
            Self::Email => 4,
            Self::EmailName => 5,
            Self::Date => 6,
            Self::DatePlace => 7,
            Self::Names => 8,
            Self::NamesYear => 9,
            Self::NamesPlace => 10,
            Self::NameMonth => 11,
            Self::NameDay => 12,
            Self::NamePlace => 13,
            Self::NamePostcode => 14,
            Self::NameStreet => 15,
            Self::StreetPlace => 16,
            Self::MonthPlace => 17,
            Self::Company => 18,
            Self::CompanyWords => 19,
            Self::CompanyPlace => 20,
            Self::CompanyDate => 21,
            Self::Text => 22,
            Self::StreetDate => 23,
            Self::NameDate => 24,
        }
    }
}

/// The values of a record by kind.
#[derive(Default)]
struct Parts<'a> {
    identities: Vec<&'a [u8]>,
    phones: Vec<&'a [u8]>,
    emails: Vec<&'a [u8]>,
    dates: Vec<&'a [u8]>,
    /// Codes of the words of names, most telling first.
    names: Vec<Vec<u8>>,
    companies: Vec<&'a [u8]>,
    places: Vec<Vec<u8>>,
    postcodes: Vec<&'a [u8]>,
    streets: Vec<Vec<u8>>,
    texts: Vec<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(model: &Model, record: &'a Record) -> Self {
        let mut parts = Self::default();
        for (field, values) in model.fields().iter().zip(record.fields()) {
            parts.take(field.kind, values);
        }
        parts
    }

    fn take(&mut self, kind: Kind, values: Values<'a>) {
        let latin = values.map(|value| value.latin);
        match kind {
            Kind::IdentityNumber => self.identities.extend(latin.take(4)),
            Kind::Phone => self.phones.extend(latin.take(4)),
            Kind::Email => self.emails.extend(latin.take(3)),
            Kind::Date => self.dates.extend(latin.take(2)),
            Kind::FullName | Kind::GivenName | Kind::FamilyName => latin.take(3).for_each(|name| self.name(name)),
            Kind::CompanyName => self.companies.extend(latin.take(3)),
            Kind::Locality => self.places.extend(latin.take(2).map(code)),
            Kind::Postcode => self.postcodes.extend(latin.take(2)),
            Kind::Street => self.streets.extend(latin.take(2).map(street)),
            Kind::Text => self.texts.extend(latin.take(1)),
            Kind::HouseNumber | Kind::Region | Kind::Category => {}
        }
    }

    fn name(&mut self, name: &[u8]) {
        for word in name.split(|byte| *byte == b' ').filter(|word| word.len() > 1) {
            let word = nickname::root(word).map_or(word, str::as_bytes);
            let code = code(word);
            if !self.names.contains(&code) && self.names.len() < 4 {
                self.names.push(code);
            }
        }
    }
}

/// Two elements in every combination.
fn pairs(words: &[Vec<u8>]) -> impl Iterator<Item = (&[u8], &[u8])> {
    words
        .iter()
        .enumerate()
        .flat_map(|(at, one)| words.iter().skip(at + 1).map(move |other| if one < other { (one, other) } else { (other, one) }))
        .map(|(one, other)| (one.as_slice(), other.as_slice()))
}

fn numbers(parts: &Parts<'_>, keys: &mut Keys<'_>) {
    for number in &parts.identities {
        keys.add(Slot::Identity, &[number]);
        if number.len() >= 6 {
            let (begin, end) = number.split_at(number.len() / 2);
            keys.add(Slot::IdentityEnd, &[b"<", begin]);
            keys.add(Slot::IdentityEnd, &[b">", end]);
        }
    }
    for phone in &parts.phones {
        let end = phone.get(phone.len().saturating_sub(8)..).unwrap_or_default();
        keys.add(Slot::Phone, &[end]);
    }
    for email in &parts.emails {
        keys.add(Slot::Email, &[email]);
        let name = email.split(|byte| *byte == b'@').next().unwrap_or_default();
        if name.len() >= 4 {
            keys.add(Slot::EmailName, &[name]);
        }
    }
}

fn names(parts: &Parts<'_>, keys: &mut Keys<'_>) {
    for (one, other) in pairs(&parts.names) {
        keys.add(Slot::Names, &[one, other]);
    }
    for date in &parts.dates {
        let (Some(year), Some(month), Some(day)) = (date.get(..4), date.get(4..6), date.get(6..8)) else { continue };
        keys.add(Slot::Date, &[date]);
        for name in &parts.names {
            keys.add(Slot::NameMonth, &[name, year, month]);
            keys.add(Slot::NameDay, &[name, month, day]);
            keys.add(Slot::NameDate, &[name, year, day]);
        }
        for (one, other) in pairs(&parts.names).take(1) {
            keys.add(Slot::NamesYear, &[one, other, year]);
        }
    }
}

fn companies(parts: &Parts<'_>, keys: &mut Keys<'_>) {
    for company in &parts.companies {
        let words: Vec<Vec<u8>> = company.split(|byte| *byte == b' ').filter(|word| word.len() > 1).take(4).map(code).collect();
        let dense: Vec<u8> = company.iter().copied().filter(|byte| *byte != b' ').take(8).collect();
        keys.add(Slot::Company, &[&dense]);
        for (one, other) in pairs(&words) {
            keys.add(Slot::CompanyWords, &[one, other]);
        }
        if let [only] = words.as_slice() {
            keys.add(Slot::CompanyWords, &[only]);
        }
        for word in words.iter().take(2) {
            parts.places.iter().for_each(|place| keys.add(Slot::CompanyPlace, &[word, place]));
            parts.postcodes.iter().for_each(|postcode| keys.add(Slot::CompanyPlace, &[word, postcode]));
            parts.dates.iter().for_each(|date| keys.add(Slot::CompanyDate, &[word, date]));
        }
    }
}

fn places(parts: &Parts<'_>, keys: &mut Keys<'_>) {
    for place in &parts.places {
        for (one, other) in pairs(&parts.names).take(1) {
            keys.add(Slot::NamesPlace, &[one, other, place]);
        }
        parts.names.iter().take(2).for_each(|name| keys.add(Slot::NamePlace, &[name, place]));
        parts.streets.iter().for_each(|street| keys.add(Slot::StreetPlace, &[street, place]));
        for date in &parts.dates {
            keys.add(Slot::MonthPlace, &[date.get(..6).unwrap_or_default(), place]);
            keys.add(Slot::DatePlace, &[date.get(4..).unwrap_or_default(), place]);
        }
    }
    for name in parts.names.iter().take(2) {
        parts.postcodes.iter().for_each(|postcode| keys.add(Slot::NamePostcode, &[name, postcode]));
        parts.streets.iter().for_each(|street| keys.add(Slot::NameStreet, &[name, street]));
    }
    for street in &parts.streets {
        parts.postcodes.iter().for_each(|postcode| keys.add(Slot::StreetPlace, &[street, postcode]));
        parts.dates.iter().for_each(|date| keys.add(Slot::StreetDate, &[street, date.get(..4).unwrap_or_default()]));
    }
    for text in &parts.texts {
        keys.add(Slot::Text, &[text]);
    }
}

/// How a word sounds: its first letter and the consonants after it, alike ones as one, at most five.
fn code(word: &[u8]) -> Vec<u8> {
    let mut code: Vec<u8> = Vec::with_capacity(5);
    let mut last = 0;
    for byte in word.iter().filter(|byte| **byte != b' ') {
        let sound = match byte {
            b'c' | b'q' | b'g' | b'j' | b'x' => b'k',
            b'z' => b's',
            b'v' | b'w' => b'f',
            b'b' => b'p',
            b'd' => b't',
            b'm' => b'n',
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y' | b'h' => b'a',
            other => *other,
        };
        if code.is_empty() || sound != b'a' && sound != last {
            code.push(sound);
        }
        last = sound;
        if code.len() == 5 {
            break;
        }
    }
    // Short sounds alone would put too many names together.
    if code.len() < 3 {
        code.extend(word.iter().rev().take(2))
    }
    code
}

/// The number and the longest word of a street.
fn street(text: &[u8]) -> Vec<u8> {
    let words = || text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let number = words().find(|word| word.iter().any(u8::is_ascii_digit)).unwrap_or_default();
    let longest =
        words().filter(|word| !word.iter().any(u8::is_ascii_digit)).max_by_key(|word| word.len()).map(code).unwrap_or_default();
    [number, b" ", &longest].concat()
}
