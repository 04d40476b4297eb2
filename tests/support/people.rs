//! Made-up people with known duplicates, for the matching engine: the same seed makes the same people.

use kehu_customer::matching::{Field, Kind, Model, Record};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const FAMILY: &[&str] = &[
    "Smith",
    "Novak",
    "Müller",
    "García",
    "Rossi",
    "Kowalski",
    "Ivanov",
    "Nguyen",
    "Schmidt",
    "Dubois",
    "Johnson",
    "Silva",
    "Hansen",
    "Horvat",
    "Papadopoulos",
    "Yilmaz",
    "Jensen",
    "Kim",
    "O'Brien",
    "van Dijk",
    "Fernández",
    "Bianchi",
    "Svoboda",
    "Weber",
    "Moreau",
];
const GIVEN: &[&str] = &[
    "Robert",
    "Elizabeth",
    "William",
    "Katherine",
    "Johannes",
    "Margaret",
    "Michael",
    "Jennifer",
    "Thomas",
    "Susanna",
    "Alexander",
    "Christina",
    "Joseph",
    "Anna",
    "Richard",
    "Barbara",
    "Edward",
    "Rebecca",
    "Daniel",
    "Victoria",
    "Nicholas",
    "Theresa",
    "Samuel",
    "Patricia",
    "Benjamin",
    "Amelia",
    "Gustav",
    "Ingrid",
    "Rafael",
    "Noor",
    "Yusuf",
    "Leila",
    "Hugo",
    "Zora",
    "Milan",
    "Petra",
];
const SHORT: &[(&str, &str)] = &[
    ("Robert", "Bob"),
    ("Elizabeth", "Liz"),
    ("William", "Bill"),
    ("Katherine", "Kate"),
    ("Margaret", "Peggy"),
    ("Michael", "Mike"),
    ("Thomas", "Tom"),
    ("Richard", "Dick"),
    ("Edward", "Ted"),
    ("Rebecca", "Becky"),
    ("Daniel", "Dan"),
    ("Patricia", "Pat"),
];
const SYLLABLES: &[&str] = &[
    "ba", "ler", "mon", "ti", "ker", "sta", "vi", "no", "hal", "den", "ros", "lin", "gar", "mi", "tov", "bren", "sel", "ka",
    "dor", "wen", "fi", "lam", "ris", "tho", "ven", "zan", "pe", "gol", "stein", "berg",
];
const STREETS: &[&str] = &["street", "road", "lane", "avenue", "close", "square"];

/// How people are made.
pub struct Recipe {
    /// How many records.
    pub records: usize,
    /// How many of 100 people have more than one record.
    pub doubled: u32,
    /// How many of 100 values of a copy are changed.
    pub changed: u32,
    /// How many of 100 values are left out.
    pub missing: u32,
    /// What everything random starts from.
    pub seed: u64,
}

/// A person as one row of a file: the names of [`COLUMNS`] in order.
pub type Row = [String; 9];

/// What a row holds.
pub const COLUMNS: [&str; 9] =
    ["given_name", "family_name", "birth_date", "identity_number", "phone", "email", "street", "postcode", "city"];

/// The model of rows.
pub fn model() -> Model {
    let kinds = [
        Kind::GivenName,
        Kind::FamilyName,
        Kind::Date,
        Kind::IdentityNumber,
        Kind::Phone,
        Kind::Email,
        Kind::Street,
        Kind::Postcode,
        Kind::Locality,
    ];
    Model::new(COLUMNS.iter().zip(kinds).map(|(name, kind)| Field { name: (*name).to_owned(), kind }).collect()).unwrap()
}

/// A row as a record.
pub fn record(model: &Model, row: &Row) -> Record {
    Record::prepare(model, &row.each_ref().map(|text| vec![text]))
}

/// Rows with the number of the person that each is of, one after the other.
pub fn people(recipe: &Recipe, mut each: impl FnMut(u32, Row)) {
    let mut maker = Maker { random: StdRng::seed_from_u64(recipe.seed) };
    let (mut made, mut person) = (0, 0);
    while made < recipe.records {
        let original = maker.person();
        let copies = if maker.of_100(recipe.doubled) { maker.random.random_range(1..=3) } else { 0 };
        for copy in 0..=copies {
            if made == recipe.records {
                break;
            }
            let row = if copy == 0 { original.clone() } else { maker.copy(&original, recipe.changed) };
            each(person, maker.gaps(row, recipe.missing));
            made += 1;
        }
        person += 1;
    }
}

struct Maker {
    random: StdRng,
}

impl Maker {
    fn of_100(&mut self, share: u32) -> bool {
        self.random.random_range(0..100) < share
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.random_range(0..of.len())]
    }

    /// Few words often, many rarely.
    fn word(&mut self, known: &[&str]) -> String {
        if self.of_100(35) {
            let at = self.random.random_range(0..known.len()) * self.random.random_range(0..known.len()) / known.len();
            return known[at].to_owned();
        }
        let syllables = self.random.random_range(2..=4);
        let word: String = (0..syllables).map(|_| self.one(SYLLABLES)).collect();
        word[..1].to_uppercase() + &word[1..]
    }

    fn person(&mut self) -> Row {
        let (given, family) = (self.word(GIVEN), self.word(FAMILY));
        let (year, month, day) =
            (self.random.random_range(1930..2008), self.random.random_range(1..=12), self.random.random_range(1..=28));
        let place = self.random.random_range(0..20_000_u32);
        let city = ["Ash", "Nor", "Lower ", "Upper ", "Saint "][(place % 5) as usize].to_owned() + &place_name(place / 50);
        let handle: u32 = self.random.random_range(1..999);
        let domain = format!("{}.{}", self.one(SYLLABLES), self.one(&["com", "net", "org"]));
        [
            given.clone(),
            family.clone(),
            format!("{year}-{month:02}-{day:02}"),
            format!("{:09}", self.random.random_range(1..999_999_999_u64)),
            format!("+44 7{:09}", self.random.random_range(0..999_999_999_u64)),
            format!("{}{}{handle}@mail{domain}", family.to_lowercase(), &given[..1].to_lowercase()),
            format!("{} {} {}", self.random.random_range(1..300), self.word(FAMILY), self.one(STREETS)),
            format!("{:05}", 10_000 + place),
            city,
        ]
    }

    fn copy(&mut self, original: &Row, changed: u32) -> Row {
        let mut row = original.clone();
        for (at, value) in row.iter_mut().enumerate() {
            if self.of_100(changed) {
                *value = self.changed(at, value);
            }
        }
        if self.of_100(4) {
            row.swap(0, 1);
        }
        if self.of_100(15) {
            // Moved house.
            let other = self.person();
            row[6..].clone_from_slice(&other[6..]);
        }
        row
    }

    fn changed(&mut self, at: usize, value: &str) -> String {
        match at {
            0 if self.of_100(20) => value.chars().take(1).collect::<String>() + ".",
            0 => {
                SHORT.iter().find(|(long, _)| *long == value).map_or_else(|| self.typed(value), |(_, short)| (*short).to_owned())
            }
            2 if self.of_100(40) => {
                let parts: Vec<&str> = value.split('-').collect();
                format!("{}-{}-{}", parts[0], parts[2], parts[1])
            }
            4 | 5 if self.of_100(60) => self.person()[at].clone(),
            _ => self.typed(value),
        }
    }

    /// With one or two typing errors.
    fn typed(&mut self, value: &str) -> String {
        let mut letters: Vec<char> = value.chars().collect();
        for _ in 0..if self.of_100(25) { 2 } else { 1 } {
            if letters.len() < 3 {
                break;
            }
            let at = self.random.random_range(0..letters.len() - 1);
            match self.random.random_range(0..4) {
                0 => letters.swap(at, at + 1),
                1 => drop(letters.remove(at)),
                2 => letters.insert(at, letters[at]),
                _ if letters[at].is_ascii_digit() => letters[at] = char::from(b'0' + self.random.random_range(0..10_u8)),
                _ => letters[at] = char::from(b'a' + self.random.random_range(0..26_u8)),
            }
        }
        letters.into_iter().collect()
    }

    fn gaps(&mut self, mut row: Row, missing: u32) -> Row {
        for value in &mut row {
            if self.of_100(missing) {
                value.clear();
            }
        }
        row
    }
}

fn place_name(number: u32) -> String {
    let syllable = |number: u32| SYLLABLES[(number as usize) % SYLLABLES.len()];
    syllable(number).to_owned() + syllable(number / 30 + 7)
}
