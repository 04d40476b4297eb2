//! What holds for every comparison, key, score and group.

use proptest::prelude::*;

use super::{
    EXACT, Field, Kind, Model, Pair, Parameters, Record, Salt, Scorer, blocking, compare, components, legal_form, name_likeness,
    nickname, normal, record, score,
};

const KINDS: [Kind; 15] = [
    Kind::FullName,
    Kind::GivenName,
    Kind::FamilyName,
    Kind::CompanyName,
    Kind::Date,
    Kind::HouseNumber,
    Kind::Street,
    Kind::Locality,
    Kind::Postcode,
    Kind::Region,
    Kind::Phone,
    Kind::Email,
    Kind::IdentityNumber,
    Kind::Category,
    Kind::Text,
];

fn model() -> Model {
    Model::new(KINDS.iter().map(|kind| Field { name: format!("{kind:?}"), kind: *kind }).collect()).unwrap()
}

/// The name of the level at which two values agree.
fn level(kind: Kind, left: &str, right: &str) -> &'static str {
    let (left, right) = (record::normalise(kind, left).unwrap(), record::normalise(kind, right).unwrap());
    let level = compare::level(kind, record::value(&left), record::value(&right));
    assert_eq!(level, compare::level(kind, record::value(&right), record::value(&left)), "both ways");
    kind.levels()[usize::from(level)].name
}

fn table(kind: Kind, cases: &[(&str, &str, &str)]) {
    for (left, right, expected) in cases {
        assert_eq!(level(kind, left, right), *expected, "{left} / {right}");
    }
}

#[test]
fn whole_names() {
    table(
        Kind::FullName,
        &[
            ("Anna Novak", "ANNA  NOVÁK", "same"),
            ("Dr. Anna Novak", "Anna Novak", "same"),
            ("Novak, Anna", "Anna Novak", "same parts in another order or spacing"),
            ("AnnaNovak", "Anna Novak", "same parts in another order or spacing"),
            ("Bob Novak", "Robert Novak", "nickname, other script or same sound"),
            ("Anna Novek", "Anna Novak", "typing errors"),
            ("Anna Maria Novak", "Anna Novak", "some parts left out"),
            ("A. Novak", "Anna Novak", "initials"),
            ("Peter Novak", "Anna Novak", "one part alike"),
            ("Peter Black", "Anna Novak", "different"),
            ("Сергей Лавров", "Sergey Lavrov", "same"),
            ("张伟", "張偉", "same"),
            ("欧阳娜娜", "歐陽娜娜", "same"),
            ("欧阳娜娜", "Ouyang Nana", "nickname, other script or same sound"),
            ("欧阳娜娜", "Nana OUYANG", "nickname, other script or same sound"),
            ("欧阳娜娜", "ou yang na na", "nickname, other script or same sound"),
            ("欧阳娜娜", "OYNN", "initials"),
            ("张伟", "Zhang Wei", "nickname, other script or same sound"),
            ("张伟", "章伟", "nickname, other script or same sound"),
            ("张小明", "张晓明", "nickname, other script or same sound"),
            ("张小明", "张大明", "typing errors"),
            ("张伟", "张强", "one part alike"),
            ("张伟", "李强", "different"),
        ],
    );
}

#[test]
fn parts_of_names() {
    table(
        Kind::GivenName,
        &[
            ("Anne-Marie", "anne marie", "same"),
            ("Liz", "Elizabeth", "nickname or same sound"),
            ("Sepp", "Josef", "nickname or same sound"),
            ("Elizabeht", "Elizabeth", "one typing error"),
            ("E.", "Elizabeth", "initial"),
            ("E.", "Anna", "different"),
            ("Anna Maria", "Anna", "one part of several"),
            ("Zora", "Milan", "different"),
            ("娜娜", "Nana", "nickname or same sound"),
        ],
    );
}

#[test]
fn names_of_companies() {
    table(
        Kind::CompanyName,
        &[
            ("Siemens Aktiengesellschaft", "Siemens AG", "same but for the legal form"),
            ("Müller & Söhne GmbH", "MULLER AND SOHNE", "same but for the legal form"),
            ("ООО \"Ромашка\"", "Общество с ограниченной ответственностью Ромашка", "same but for the legal form"),
            ("腾讯科技（深圳）有限公司", "騰訊科技深圳股份有限公司", "same but for the legal form"),
            ("A.B.C. Company", "ABC Co.", "same but for the legal form"),
            ("Good Will Ltd", "Goodwill Limited", "same but for the legal form"),
            ("Acme Trdaing LLC", "Acme Trading Inc.", "typing errors"),
            ("Acme Trading Europe", "Acme Trading", "some words left out"),
            ("International Business Machines", "IBM", "acronym or short name"),
            ("Blue Ocean Shipping", "Red Desert Mining", "different"),
        ],
    );
}

#[test]
fn dates() {
    table(
        Kind::Date,
        &[
            ("1980-04-05", "5.4.1980", "same"),
            ("19800405", "1980/4/5", "same"),
            ("1980-04-05", "1980-05-04", "day and month, digits or century exchanged"),
            ("1980-04-05", "1890-04-05", "day and month, digits or century exchanged"),
            ("1980-04-05", "1880-04-05", "day and month, digits or century exchanged"),
            ("1980-04-05", "1980-04-06", "one digit differs"),
            ("1980-04-05", "1980-04-26", "year, month or day differs"),
            ("1980-04-05", "1981-05-06", "every part close"),
            ("1980-04-05", "1980-11-27", "same year"),
            ("1980-04-05", "1955-11-27", "different"),
        ],
    );
}

#[test]
fn numbers() {
    table(
        Kind::IdentityNumber,
        &[
            ("310101-19800405-123X", "31010119800405123x", "same"),
            ("31010119800405123X", "31010119800450123X", "one typing error"),
            ("31010119800405123X", "3101011980045123Y", "two typing errors"),
            ("31010119800405123X", "44030519991111111X", "different"),
        ],
    );
    table(
        Kind::Phone,
        &[
            ("+86 138 0013 8000", "13800138000", "same"),
            ("021-6888 1234", "+86 21 6888 1234", "same"),
            ("13800138000", "13800138001", "one typing error"),
            ("13800138000", "13955557777", "different"),
        ],
    );
    table(
        Kind::Postcode,
        &[("SW1A 1AA", "sw1a1aa", "same"), ("0200", "2000", "one typing error"), ("20000", "20001", "one typing error")],
    );
}

#[test]
fn addresses() {
    table(
        Kind::Email,
        &[
            ("Anna.Novak@Example.com", "anna.novak@example.com", "same"),
            ("anna.novak@exmaple.com", "anna.novak@example.com", "typing errors"),
            ("anna.novak@mail.org", "anna.novak@example.com", "same name at another domain"),
            ("piotr@example.com", "anna.novak@example.com", "same domain"),
            ("piotr@mail.org", "anna.novak@example.com", "different"),
        ],
    );
    table(
        Kind::Street,
        &[
            ("12 Main Street", "12 main street", "same"),
            ("12 Mian Street", "12 Main Street", "typing errors"),
            ("14 Main Street", "12 Main Street", "some words alike"),
            ("Flat 3, 12 Main Street", "12 Main Street", "most words alike"),
            ("7 Hill Lane", "12 Main Street", "different"),
        ],
    );
    table(
        Kind::Locality,
        &[("Saint-Denis", "saint denis", "same"), ("Londn", "London", "one typing error"), ("Leeds", "Hull", "different")],
    );
}

#[test]
fn given_and_family_name_may_be_swapped() {
    let model = Model::new(vec![
        Field { name: "given".into(), kind: Kind::GivenName },
        Field { name: "family".into(), kind: Kind::FamilyName },
    ])
    .unwrap();
    let of = |given: &str, family: &str| Record::prepare(&model, &[vec![given], vec![family]]);
    let parameters = Parameters::default_for(&model);
    let levels = |one: &Record, other: &Record| {
        score(&model, &parameters, one, other).waterfall.iter().map(|step| step.level).collect::<Vec<_>>()
    };
    let swapped = "same, given and family name swapped";
    assert_eq!(levels(&of("Anna", "Novak"), &of("Novak", "Anna")), [swapped, swapped]);
    assert_eq!(levels(&of("Anna", "Novak"), &of("Novak", "")), ["missing", swapped]);
    assert_eq!(levels(&of("Anna", "Novak"), &of("Anna", "Novak")), ["same", "same"]);
    assert_eq!(levels(&of("Anna", "Novak"), &of("Peter", "Black")), ["different", "different"]);
}

#[test]
fn tables_of_words_are_in_plain_letters() {
    assert!(nickname::same(b"bob", b"robert") && nickname::same(b"bill", b"wilhelm") && !nickname::same(b"anna", b"robert"));
    assert_eq!(nickname::root(b"becky"), Some("rebecca"));
    for table in [include_str!("nicknames.txt"), include_str!("legal_forms.txt")] {
        let words = table.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        words.for_each(|word| assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{word}"));
    }
    assert_eq!(legal_form::without("the siemens ag"), "siemens");
    assert_eq!(legal_form::without("ag"), "ag");
    assert_eq!(normal::surname_length("欧阳娜娜"), 2);
}

#[test]
fn a_record_takes_little_memory() {
    let values: [&[&str]; 10] = [
        &["310101198004051234", "E12345678"],
        &["欧阳娜娜", "Ouyang Nana"],
        &["1980-04-05"],
        &["+8613800138000", "+862168881234"],
        &["nana.ouyang@example.com"],
        &["世纪大道100号环球金融中心"],
        &["200120"],
        &["上海市浦东新区"],
        &["female"],
        &["CN"],
    ];
    let values: Vec<Vec<&str>> = values.iter().map(|values| values.to_vec()).collect();
    let record = Record::prepare(&Model::bank_person(), &values);
    assert!(record.size() < 400, "{}", record.size());
}

/// Keys are kept in tables: their values under one secret may never change.
#[test]
fn keys_stay_what_they_are() {
    let model = Model::bank_person();
    let of = |name: &str| Record::prepare(&model, &[vec![], vec![name], vec!["1980-04-05"]]);
    let keys = |name: &str, secret| blocking::keys(&model, &of(name), &Salt::new([secret; 16]));
    assert_eq!(keys("Anna Novak", 7), STABLE_KEYS);
    assert_ne!(keys("Anna Novak", 8), STABLE_KEYS);
    let shared = |one: &str, other: &str| keys(one, 7).iter().any(|key| keys(other, 7).contains(key));
    assert!(shared("欧阳娜娜", "Nana Ouyang") && shared("Bob Smith", "Robert Smyth"));
}

const STABLE_KEYS: [i64; 9] = [
    -6755423855443763298,
    -5439157725724374468,
    -1321663120559331009,
    -225967803117208897,
    888490976106826084,
    1198826732519316501,
    1367395689619950014,
    1505048205098630231,
    4350719569795460115,
];

fn pair(left: u32, right: u32, probability: f64) -> Pair {
    Pair { left, right, probability }
}

/// Two firm groups that one doubtful record touches stay two, though each pair of neighbours looks like one.
#[test]
fn a_chain_is_no_group() {
    let model = Model::bank_person();
    let of = |name: &str, date: &str, phone: &str, identity: &str| {
        Record::prepare(&model, &[vec![identity], vec![name], vec![date], vec![phone], vec![]])
    };
    let records = [
        of("Anna Novak", "1980-04-05", "13800138000", "310101198004051234"),
        of("Anna Novak", "1980-04-05", "13800138000", "310101198004051234"),
        of("Anna Novak", "", "13800138000", ""),
        of("Anna Novak", "1955-11-27", "13800138000", "440305195511271111"),
        of("Anna Novak", "1955-11-27", "13800138000", "440305195511271111"),
    ];
    let parameters = Parameters::default_for(&model);
    let likely = [pair(0, 1, 0.9999), pair(3, 4, 0.9999), pair(0, 2, 0.9), pair(1, 2, 0.9), pair(2, 3, 0.8), pair(2, 4, 0.8)];
    assert_eq!(components(&model, &parameters, &records, &likely, 0.5), [vec![0, 1, 2], vec![3, 4]]);
}

#[test]
fn names_that_contradict_each_other_are_less_alike() {
    for (one, other, person, one_name) in [
        ("Sergej Lawrow", "Sergei Lavrov", true, true),
        ("Ibrahim Hasan al-Dulaimi", "Ibrahim Hasan al-Tikriti", true, false),
        ("习近平", "習近平", true, true),
        ("习近平", "习近朋", true, false),
        ("Deutsche Bank AG", "Deutsche Bank Aktiengesellschaft", false, true),
        ("Acme Shipping Ltd", "Acme Mining Ltd", false, false),
    ] {
        assert_eq!(name_likeness(one, other, person) >= super::NAME_THRESHOLD, one_name, "{one} / {other}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[a-zA-Zéü .'-]{0,16}",
        "[张伟欧阳娜李小明]{0,4}",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "[a-c.]{1,6}@[a-c]{1,4}\\.com"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn scores_are_the_same_both_ways(left in prop::collection::vec(text(), 15), right in prop::collection::vec(text(), 15)) {
        let model = model();
        let of = |texts: &[String]| Record::prepare(&model, &texts.iter().map(|text| vec![text]).collect::<Vec<_>>());
        let (left, right) = (of(&left), of(&right));
        let parameters = Parameters::default_for(&model);
        let (one, other) = (score(&model, &parameters, &left, &right), score(&model, &parameters, &right, &left));
        prop_assert!((one.weight - other.weight).abs() < 1e-9, "{one:?} {other:?}");
        let scorer = Scorer::new(&model, &parameters);
        prop_assert_eq!(scorer.weight(&left, &right), one.weight);
        prop_assert_eq!(scorer.probe(&left).weight(&right, one.weight - 1e-6), Some(one.weight));
        prop_assert_eq!(scorer.probe(&left).weight(&right, one.weight + 1e-6), None);
    }

    #[test]
    fn a_record_agrees_with_itself_and_shares_its_keys(texts in prop::collection::vec(text(), 15)) {
        let model = model();
        let of = || Record::prepare(&model, &texts.iter().map(|text| vec![text]).collect::<Vec<_>>());
        let (one, other) = (of(), of());
        let parameters = Parameters::default_for(&model);
        for step in score(&model, &parameters, &one, &other).waterfall.iter().filter(|step| step.comparable) {
            let kind = model.fields().iter().find(|field| field.name == step.field).unwrap().kind;
            prop_assert_eq!(step.level, kind.levels()[usize::from(EXACT)].name, "{}", step.field);
        }
        let salt = Salt::new([1; 16]);
        prop_assert_eq!(blocking::keys(&model, &one, &salt), blocking::keys(&model, &other, &salt));
    }
}
