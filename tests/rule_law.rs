//! Rules: what the database answers is what is true of the record in memory, for random rules and records.

use diesel::{QueryDsl, RunQueryDsl, connection::SimpleConnection};
use kehu_kernel::{
    AnyId, Date, Instant, Kind, Money, Rule, Tx,
    access::FieldClass,
    each,
    rule::{Catalogue, Collection, Extent, Field, FieldType, Operand, Record, RuleOperator, Tree},
    store::{Value, given, places},
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::{BoxedStrategy, ValueTree},
    test_runner::{Config, TestRunner},
};

use crate::{both_databases, support::App};

both_databases!(the_database_and_memory_agree);

const WORDS: &[&str] = &["red", "green", "blue"];
const CODES: &[&str] = &["HO", "A", "B", "A1"];

diesel::table! {
    things (id) { id -> BigInt, }
}

kehu_kernel::rule_fields! {
    const THING: Public, None;
    "word", FieldType::Word(WORDS), "things.word", "A word.";
    "text", FieldType::Text, "things.text", "A text.";
    "number", FieldType::Number, "things.number", "A number.";
    "amount", FieldType::Money("things.currency"), "things.amount", "An amount.";
    "day", FieldType::Date, "things.day", "A day.";
    "moment", FieldType::Instant, "things.moment", "A moment.";
    "flag", FieldType::Flag, "things.flag", "A flag.";
    "reference", FieldType::Id, "things.reference", "An id.";
    "node", FieldType::Tree(Tree { table: "nodes", events: "node." }), "things.node", "A node.";
}

kehu_kernel::rule_fields! {
    const SIDE: Public, Some("sides WHERE sides.thing_id = things.id");
    "label", FieldType::Text, "sides.label", "A text beside.";
}

kehu_kernel::rule_fields! {
    const PART: Public, None;
    "word", FieldType::Word(WORDS), "parts.word", "A word.";
    "number", FieldType::Number, "parts.number", "A number.";
    "amount", FieldType::Money("parts.currency"), "parts.amount", "An amount.";
    "day", FieldType::Date, "parts.day", "A day.";
}

const PARTS: &[Collection] = &[Collection {
    name: "parts",
    from: "parts",
    key: "parts.thing_id",
    of: "parts.day_from <= {} AND (parts.day_to IS NULL OR parts.day_to > {})",
    once: None,
    fields: PART,
    action: None,
    beyond: false,
    shared: &[],
    meaning: "Its parts.",
}];

fn catalogue() -> Catalogue {
    Catalogue::of("things").with(THING, PARTS).with(SIDE, &[])
}

fn now() -> Instant {
    "2024-02-29T12:00:00Z".parse().unwrap()
}

/// A value of a field: few different ones, so that comparisons meet.
fn operand(kind: FieldType) -> BoxedStrategy<Operand> {
    match kind {
        FieldType::Word(words) => select(words).prop_map(|word| Operand::Text(word.to_owned())).boxed(),
        FieldType::Text => select(vec!["a", "A", "ab", "ä", "王", "王芳", "a%", "a_", "%", "'", "𠀀"])
            .prop_map(|text| Operand::Text(text.to_owned()))
            .boxed(),
        FieldType::Number => prop_oneof![-2_i64..3, Just(i64::from(i32::MAX))].prop_map(Operand::Number).boxed(),
        FieldType::Money(_) => (-2_i64..3, select(vec!["CNY", "JPY"]))
            .prop_map(|(minor, currency)| Operand::Money(Money::new(minor * 50, currency.parse().unwrap())))
            .boxed(),
        FieldType::Date => (-3_i64..4).prop_map(|days| Operand::Date(now().date().plus_days(days))).boxed(),
        FieldType::Instant => {
            (-2_i64..3).prop_map(|hours| Operand::Instant(Instant::from_seconds(now().seconds() + hours * 43_200))).boxed()
        }
        FieldType::Flag => any::<bool>().prop_map(Operand::Flag).boxed(),
        FieldType::Id => (1_u128..4).prop_map(|id| Operand::Id(reference(id))).boxed(),
        FieldType::Tree(_) => select(CODES).prop_map(|code| Operand::Text(code.to_owned())).boxed(),
    }
}

fn reference(number: u128) -> AnyId {
    format!("00000000-0000-7000-8000-{number:012}").parse().unwrap()
}

/// As callers write it.
fn written(operand: &Operand) -> String {
    match operand {
        Operand::Text(text) => text.clone(),
        Operand::Number(number) => number.to_string(),
        Operand::Money(money) => format!("{} {}", money.amount(), money.currency),
        Operand::Date(date) => date.to_string(),
        Operand::Instant(moment) => moment.to_string(),
        Operand::Flag(flag) => flag.to_string(),
        Operand::Id(id) => id.to_string(),
        Operand::Path(_) => unreachable!(),
    }
}

/// A comparison: of values that the field's type and the operator take.
fn comparison(kind: FieldType, of_sum: bool) -> BoxedStrategy<(RuleOperator, Vec<String>)> {
    let without = [RuleOperator::Present, RuleOperator::Absent];
    let operators: Vec<RuleOperator> =
        kind.operators().iter().copied().filter(|operator| !of_sum || !without.contains(operator)).collect();
    (select(operators), vec(operand(kind), 3))
        .prop_map(move |(operator, mut values)| {
            values.truncate(match operator {
                RuleOperator::Present | RuleOperator::Absent => 0,
                RuleOperator::Between => 2,
                RuleOperator::OneOf => 3,
                _ => 1,
            });
            if operator == RuleOperator::Between {
                values.sort_by_key(sorted);
                if let [Operand::Money(from), Operand::Money(to)] = values.as_mut_slice() {
                    to.currency = from.currency;
                    if from.amount_minor > to.amount_minor {
                        std::mem::swap(from, to);
                    }
                }
            }
            (operator, values.iter().map(written).collect())
        })
        .boxed()
}

fn sorted(operand: &Operand) -> i64 {
    match operand {
        Operand::Number(number) => *number,
        Operand::Money(money) => money.amount_minor,
        Operand::Date(date) => date.start().seconds(),
        Operand::Instant(moment) => moment.seconds(),
        _ => 0,
    }
}

fn field(fields: Vec<&'static Field>) -> BoxedStrategy<Rule> {
    select(fields)
        .prop_flat_map(|field| comparison(field.kind, false).prop_map(move |compared| (field, compared)))
        .prop_map(|(field, (operator, values))| Rule {
            field: Some(field.name.to_owned()),
            operator: Some(operator),
            values: (!values.is_empty()).then_some(values),
            ..Rule::default()
        })
        .boxed()
}

fn nested(leaf: impl Strategy<Value = Rule> + 'static, depth: u32) -> BoxedStrategy<Rule> {
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(|rules| Rule { all: Some(rules), ..Rule::default() }),
            vec(inner.clone(), 1..4).prop_map(|rules| Rule { any: Some(rules), ..Rule::default() }),
            inner.prop_map(|rule| Rule { not: Some(Box::new(rule)), ..Rule::default() }),
        ]
    })
    .boxed()
}

fn some() -> BoxedStrategy<Rule> {
    let matching = option::of(nested(field(PART.iter().collect()), 2).prop_map(Box::new)).boxed();
    let base = |matching| Rule { some: Some("parts".to_owned()), matching, ..Rule::default() };
    let sums: Vec<&Field> = PART.iter().filter(|field| field.kind.sums()).collect();
    let summed = select(sums).prop_flat_map(|field| comparison(field.kind, true).prop_map(move |compared| (field, compared)));
    prop_oneof![
        (matching.clone(), option::of(1_i64..4)).prop_map(move |(matching, at_least)| Rule { at_least, ..base(matching) }),
        (matching, summed).prop_map(move |(matching, (field, (operator, values)))| Rule {
            sum: Some(field.name.to_owned()),
            operator: Some(operator),
            values: Some(values),
            ..base(matching)
        }),
    ]
    .boxed()
}

fn rule() -> BoxedStrategy<Rule> {
    let fields: Vec<&'static Field> = THING.iter().chain(SIDE).collect();
    nested(prop_oneof![3 => field(fields), 1 => some()], 3)
}

/// A record with some of these fields.
fn record(fields: &'static [&'static Field]) -> BoxedStrategy<Record> {
    let values: Vec<_> = fields.iter().map(|field| option::weighted(0.7, operand(field.kind))).collect();
    values
        .prop_map(|values| {
            let known = fields.iter().zip(values).filter_map(|(field, value)| Some((field.name, value?)));
            Record { facts: known.collect(), ..Record::default() }
        })
        .boxed()
}

/// A record with its parts, and parts that are not its own yet or any more.
fn thing() -> BoxedStrategy<(Record, Vec<Record>)> {
    let fields: &'static [&'static Field] = Vec::leak(THING.iter().chain(SIDE).collect());
    let parts: &'static [&'static Field] = Vec::leak(PART.iter().collect());
    (record(fields), vec(record(parts), 0..4), vec(record(parts), 0..2))
        .prop_map(|(thing, own, others)| {
            let items = [("parts", own)].into_iter().collect();
            (Record { items, ..thing }, others)
        })
        .boxed()
}

const TABLES: &str = "
    CREATE TABLE nodes (id UUID PRIMARY KEY, code TEXT, path TEXT);
    CREATE TABLE things (id BIGINT PRIMARY KEY, word TEXT, text TEXT, number INTEGER, amount BIGINT, currency TEXT, day DATE,
        moment MOMENT, flag FLAG, reference UUID, node UUID);
    CREATE TABLE sides (thing_id BIGINT, label TEXT);
    CREATE TABLE parts (thing_id BIGINT, word TEXT, number INTEGER, amount BIGINT, currency TEXT, day DATE,
        day_from DATE, day_to DATE);";

fn create(tx: &mut Tx<'_>) {
    let tables = match tx.db.kind {
        Kind::Sqlite(_) => TABLES.replace("UUID", "BLOB").replace("MOMENT", "INTEGER").replace("FLAG", "INTEGER"),
        Kind::Postgres(_) => {
            TABLES.replace("MOMENT", "TIMESTAMPTZ").replace("FLAG", "BOOLEAN").replace("path TEXT", "path TEXT COLLATE \"C\"")
        }
    };
    each!(&mut tx.db, c => c.batch_execute(&tables)).unwrap();
    for (number, code) in CODES.iter().enumerate() {
        let path = match *code {
            "HO" => "0.".to_owned(),
            "A1" => "0.1.1.".to_owned(),
            _ => format!("0.{number}."),
        };
        insert(
            tx,
            "nodes",
            vec![("id", reference(number as u128).into()), ("code", (*code).into()), ("path", Value::Text(path))],
        );
    }
}

/// The codes of a node and of those above it.
fn above(code: &str) -> Vec<String> {
    let codes: &[&str] = match code {
        "HO" => &["HO"],
        "A1" => &["A1", "A", "HO"],
        other => &[other, "HO"],
    };
    codes.iter().map(|code| (*code).to_owned()).collect()
}

fn insert(tx: &mut Tx<'_>, table: &str, columns: Vec<(&str, Value)>) {
    let (names, values): (Vec<&str>, Vec<Value>) = columns.into_iter().unzip();
    let text = format!("INSERT INTO {table} ({}) VALUES {}", names.join(", "), places(1, names.len()));
    given::<()>(text, values).execute(&mut tx.db).unwrap();
}

fn columns<'a>(name: &'a str, value: &Operand) -> Vec<(&'a str, Value)> {
    let value = match value {
        Operand::Money(Money { amount_minor, currency }) => {
            return vec![(name, (*amount_minor).into()), ("currency", currency.code().into())];
        }
        Operand::Text(code) if name == "node" => {
            let number = CODES.iter().position(|known| known == code).unwrap();
            Value::Id(reference(number as u128))
        }
        Operand::Text(text) => Value::Text(text.clone()),
        Operand::Number(number) => Value::Ratio(i32::try_from(*number).unwrap()),
        Operand::Date(date) => Value::Date(*date),
        Operand::Instant(moment) => Value::Instant(*moment),
        Operand::Flag(flag) => Value::Flag(*flag),
        Operand::Id(id) => Value::Id(*id),
        Operand::Path(_) => unreachable!(),
    };
    vec![(name, value)]
}

fn keep(tx: &mut Tx<'_>, id: i64, (thing, others): &(Record, Vec<Record>)) {
    let today = now().date();
    let mut row = vec![("id", id.into())];
    for (name, value) in &thing.facts {
        if *name == "label" {
            insert(tx, "sides", [vec![("thing_id", id.into())], columns(name, value)].concat());
        } else {
            row.extend(columns(name, value));
        }
    }
    insert(tx, "things", row);
    let own = |part: &Record, from: Date, to: Option<Date>| {
        let mut row: Vec<(&str, Value)> = vec![("thing_id", id.into()), ("day_from", from.into())];
        row.extend(to.map(|to| ("day_to", to.into())));
        row.extend(part.facts.iter().flat_map(|(name, value)| columns(name, value)));
        row
    };
    for (nth, part) in thing.items["parts"].iter().enumerate() {
        let to = (nth % 2 == 0).then(|| today.next());
        insert(tx, "parts", own(part, today, to));
    }
    for (nth, part) in others.iter().enumerate() {
        let (from, to) = if nth == 0 { (today.plus_days(-9), Some(today)) } else { (today.next(), None) };
        insert(tx, "parts", own(part, from, to));
    }
}

async fn the_database_and_memory_agree(app: App) {
    let mut runner = TestRunner::deterministic();
    let things: Vec<(Record, Vec<Record>)> = (0..120).map(|_| thing().new_tree(&mut runner).unwrap().current()).collect();
    app.store
        .write_blocking({
            let things = things.clone();
            move |tx| {
                create(tx);
                for (id, thing) in (0..).zip(&things) {
                    keep(tx, id, thing);
                }
                Ok(())
            }
        })
        .unwrap();
    let things: Vec<Record> = things.into_iter().map(|(thing, _)| in_memory(thing)).collect();
    let (catalogue, rules) = (catalogue(), rule());
    let mut numbers = [0; 3];
    for _ in 0..Config::default().cases.max(400) {
        let rule = rules.new_tree(&mut runner).unwrap().current();
        let checked = catalogue.check(&rule, "/rule", now(), |class| class == FieldClass::Public).unwrap();
        let wanted: Vec<i64> = (0..).zip(&things).filter(|(_, thing)| checked.holds(thing)).map(|(id, _)| id).collect();
        let found: [Vec<i64>; 2] = [Extent::Some, Extent::All].map(|extent| {
            let found = app.store.read_blocking(|conn| {
                let condition = checked.condition(conn, extent);
                Ok(things::table.filter(condition).order(things::id).select(things::id).load(&mut conn.db)?)
            });
            found.unwrap()
        });
        assert_eq!(found[0], found[1], "{}", serde_json::to_string(&rule).unwrap());
        let found = &found[0];
        assert_eq!(found, &wanted, "{}", serde_json::to_string(&rule).unwrap());
        numbers[if found.is_empty() { 0 } else { 1 + usize::from(found.len() == things.len()) }] += 1;
        // A rule comes back from JSON as it was.
        assert_eq!(serde_json::from_value::<Rule>(serde_json::to_value(&rule).unwrap()).unwrap(), rule);
    }
    // Most rules divide the records; else they would prove little.
    assert!(numbers[1] > 200, "{numbers:?}");
}

/// A node is known in memory with all above it.
fn in_memory(mut thing: Record) -> Record {
    if let Some(Operand::Text(code)) = thing.facts.get("node").cloned() {
        thing.facts.insert("node", Operand::Path(above(&code)));
    }
    thing
}
