//! The matching engine on whole sets: public ones with known answers, which lie beside the repository or are
//! skipped, and made-up ones.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, clippy::as_conversions, reason = "tests stop where something is wrong")]

#[path = "../../../tests/support/people.rs"]
mod people;

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    path::PathBuf,
};

use kehu_customer::matching::{Accuracy, Index, Loaded, Mapping, Parameters, Record, Salt, blocking, estimate, resolve};
use people::{Recipe, people, record};

/// The folder of public data, if it is there.
fn data() -> Option<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let found = [root.join("../shared/data"), root.join("../../shared/data")].into_iter().find(|path| path.is_dir());
    if found.is_none() {
        log::warn!("skipped: there is no ../shared/data");
    }
    found
}

fn mapping(name: &str) -> Mapping {
    let path = format!("{}/mappings/matching/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// How right the engine is on a public set.
fn accuracy(name: &str, files: &[&str]) -> Option<Accuracy> {
    let (data, mapping) = (data()?, mapping(name));
    let model = mapping.model().unwrap();
    let mut loaded = Loaded::default();
    let truth = mapping.truth.clone().unwrap().column;
    for file in files {
        mapping.load(&model, File::open(data.join(file)).unwrap(), Some(&truth), &mut loaded).unwrap();
    }
    let found = resolve(&model, &loaded.records, None, 1);
    Some(Accuracy::of_pairs(&found.pairs, &loaded.truth.unwrap(), None))
}

fn at_least(name: &str, files: &[&str], floor: f64) {
    if let Some(found) = accuracy(name, files) {
        assert!(found.f1 >= floor, "{files:?}: {found:?}");
    }
}

#[test]
fn febrl_1_is_solved() {
    at_least("febrl", &["febrl/dataset1.csv"], 0.999);
}

#[test]
fn febrl_3_is_solved() {
    at_least("febrl", &["febrl/dataset3.csv"], 0.999);
}

#[test]
fn febrl_4_is_solved() {
    at_least("febrl", &["febrl/dataset4a.csv", "febrl/dataset4b.csv"], 0.999);
}

#[test]
fn fake_1000_is_solved_better_than_asked() {
    at_least("fake_1000", &["splink/fake_1000.csv"], 0.95);
}

#[test]
fn german_names_and_birth_dates_are_enough() {
    at_least("rldata500", &["rldata/RLdata500_with_identity.csv"], 0.97);
}

#[test]
fn names_are_told_apart_by_themselves() {
    let Some(data) = data() else { return };
    let mapping = mapping("opensanctions_names");
    let file = File::open(data.join("opensanctions_names/cases.csv")).unwrap();
    let found = Accuracy::of_names(&mapping.name_pairs(mapping.pairs.as_ref().unwrap(), file).unwrap());
    assert!(found.f1 >= 0.85, "{found:?}");
}

fn made(recipe: &Recipe) -> (Vec<Record>, Vec<u32>) {
    let model = people::model();
    let (mut records, mut truth) = (Vec::new(), Vec::new());
    people(recipe, |person, row| {
        records.push(record(&model, &row));
        truth.push(person);
    });
    (records, truth)
}

/// Sets that nothing was tried on: few and many duplicates, light and heavy damage.
#[test]
fn made_up_people_are_found_whatever_the_damage() {
    for (doubled, changed, missing, floor) in [(0, 10, 5, 0.0), (3, 10, 5, 0.98), (30, 25, 10, 0.98), (60, 35, 25, 0.93)] {
        let (records, truth) = made(&Recipe { records: 3_000, doubled, changed, missing, seed: 77 });
        let found = resolve(&people::model(), &records, None, 1);
        if doubled == 0 {
            assert!(found.pairs.len() <= 3, "{} pairs among people without duplicates", found.pairs.len());
        } else {
            let right = Accuracy::of_pairs(&found.pairs, &truth, None);
            assert!(right.f1 >= floor, "{doubled} {changed} {missing}: {right:?}");
        }
    }
}

/// Where many happen to share a name, a town and a birth year, and few have two records, those many are not learned
/// from as if they were one.
#[test]
fn crowds_are_not_taken_for_duplicates() {
    let model = people::model();
    let (mut records, mut truth) = (Vec::new(), Vec::new());
    people(&Recipe { records: 20_000, doubled: 1, changed: 15, missing: 8, seed: 20 }, |person, mut row| {
        let place = row[7].bytes().fold(0, |sum, digit| (sum * 10 + u32::from(digit)) % 300);
        row[7] = if row[7].is_empty() { String::new() } else { format!("{}", 10_000 + place * 7) };
        row[8] = if row[8].is_empty() { String::new() } else { format!("Town{}", ["ash", "nor", "upper"][place as usize % 3]) };
        if let Some(rest) = row[2].get(3..10).map(ToOwned::to_owned) {
            row[2] = format!("196{rest}");
        }
        records.push(record(&model, &row));
        truth.push(person);
    });
    let right = Accuracy::of_pairs(&resolve(&model, &records, None, 1).pairs, &truth, None);
    assert!(right.f1 >= 0.99, "{right:?}");
}

#[test]
fn the_same_seed_gives_the_same_parameters_and_pairs() {
    let (records, _) = made(&Recipe { records: 1_000, doubled: 20, changed: 20, missing: 10, seed: 5 });
    let model = people::model();
    let (one, other) = (resolve(&model, &records, None, 9), resolve(&model, &records, None, 9));
    assert_eq!(one.pairs, other.pairs);
    assert_eq!(one.parameters, other.parameters);
    let text = serde_json::to_string(&one.parameters).unwrap();
    let back: Parameters = serde_json::from_str(&text).unwrap();
    assert!(back.fit(&model));
    assert_eq!(serde_json::to_string(&other.parameters).unwrap(), text);
}

/// Who looks one record up by its keys finds the same candidates as the batch.
#[test]
fn one_record_has_the_candidates_of_the_batch() {
    let (records, _) = made(&Recipe { records: 2_000, doubled: 20, changed: 20, missing: 10, seed: 6 });
    let (model, salt) = (people::model(), Salt::new([3; 16]));
    let index = Index::build(&model, &records, &salt);
    let mut table: HashMap<i64, Vec<u32>> = HashMap::new();
    for (number, record) in (0..).zip(&records) {
        blocking::keys(&model, record, &salt).into_iter().for_each(|key| table.entry(key).or_default().push(number));
    }
    let mut found = Vec::new();
    for (number, record) in (0..).zip(&records) {
        let blocks = blocking::keys(&model, record, &salt).into_iter().map(|key| &table[&key]);
        let expected: BTreeSet<u32> =
            blocks.filter(|block| block.len() <= blocking::CAP).flatten().copied().filter(|other| *other != number).collect();
        index.candidates(number, &mut found);
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn parameters_of_too_few_records_are_those_of_experience() {
    let model = people::model();
    let (records, _) = made(&Recipe { records: 5, doubled: 0, changed: 0, missing: 0, seed: 1 });
    let index = Index::build(&model, &records, &Salt::new([0; 16]));
    assert_eq!(estimate(&model, &records, &index, 1), Parameters::default_for(&model));
}
