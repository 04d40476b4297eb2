//! The laws of the calculation, and the cases in which its rules disagree.

use proptest::prelude::*;

use super::*;
use crate::evaluation::line::places;

use EvaluationCategory as C;
use EvaluationKind::{Merge, Split};
use EvaluationLine as L;
use EvaluationSide as S;

const INCOME: Place = (S::Benefit, C::Sales, L::NetIncome);
const LOYALTY: Place = (S::Benefit, C::Customer, L::Loyalty);
const STAFF: Place = (S::Cost, C::Marketing, L::Staff);

const fn line(place: Place, before: i64, after: i64) -> Amounts {
    Amounts { place, before, after, counts: true }
}

fn fired(outcome: &Outcome) -> Vec<i32> {
    outcome.rules.iter().filter(|rule| rule.fired).map(|rule| rule.id).collect()
}

#[test]
fn a_merge_that_rules_1_and_3_judge_differently_is_not_made() {
    // Loses 300 of income, saves 500 of cost, loses 400 of loyalty besides.
    let lines = [line(INCOME, 1_000, 700), line(LOYALTY, 900, 500), line(STAFF, 800, 300)];
    let outcome = evaluate(Merge, &lines);
    assert_eq!(fired(&outcome), [1, 3]);
    assert_eq!((outcome.decision, outcome.basis), (EvaluationDecision::DoNotMerge, EvaluationBasis::Composite));
    let [first, second, third] = outcome.rules;
    assert_eq!((first.left, first.right), (Some(300), Some(500)));
    assert_eq!((second.left, second.right), (Some(700), Some(500)));
    assert_eq!((third.left, third.right), (Some(500), Some(700)));
    assert_eq!(outcome.net, -200);
    // Without what loyalty is worth nobody knows of it, and income alone says merge.
    let blind = evaluate(Merge, &[lines[0], lines[2]]);
    assert_eq!((fired(&blind), blind.decision), (vec![1], EvaluationDecision::Merge));
    assert_eq!((blind.basis, blind.rules[1].left, blind.rules[2].right), (EvaluationBasis::IncomeOnly, None, None));
}

#[test]
fn rule_2_may_fire_without_rule_1() {
    // Costs more income than it saves, and customers like it nevertheless.
    let outcome = evaluate(Merge, &[line(INCOME, 1_000, 400), line(LOYALTY, 500, 900), line(STAFF, 800, 300)]);
    assert_eq!((fired(&outcome), outcome.decision), (vec![2], EvaluationDecision::Merge));
}

#[test]
fn equal_sides_are_indifferent_whatever_income_alone_says() {
    let outcome = evaluate(Merge, &[line(INCOME, 1_000, 700), line(LOYALTY, 900, 700), line(STAFF, 800, 300)]);
    assert_eq!((fired(&outcome), outcome.decision, outcome.net), (vec![1], EvaluationDecision::Indifferent, 0));
    let alone = evaluate(Merge, &[line(INCOME, 1_000, 500), line(STAFF, 800, 300)]);
    assert_eq!((fired(&alone), alone.decision), (Vec::new(), EvaluationDecision::Indifferent));
    let split = evaluate(Split, &[line(INCOME, 1_000, 1_500), line(STAFF, 300, 800)]);
    assert_eq!((fired(&split), split.decision), (Vec::new(), EvaluationDecision::Indifferent));
    // One unit turns it.
    let more = evaluate(Split, &[line(INCOME, 1_000, 1_501), line(STAFF, 300, 800)]);
    assert_eq!((fired(&more), more.decision), (vec![1], EvaluationDecision::Split));
    let less = evaluate(Split, &[line(INCOME, 1_000, 1_499), line(STAFF, 300, 800)]);
    assert_eq!(less.decision, EvaluationDecision::DoNotSplit);
}

#[test]
fn turnover_is_shown_and_does_not_count() {
    let turnover = Amounts { place: (S::Benefit, C::Sales, L::SalesAmount), before: 0, after: 1_000_000, counts: false };
    let outcome = evaluate(Split, &[turnover, line(INCOME, 100, 110), line(STAFF, 50, 70)]);
    assert_eq!((outcome.net, outcome.decision), (-10, EvaluationDecision::DoNotSplit));
    assert!(outcome.sensitivity.iter().all(|entry| entry.place != turnover.place));
}

#[test]
fn a_tenth_more_or_less_may_turn_the_decision() {
    let outcome = evaluate(Split, &[line(INCOME, 1_000, 1_300), line(STAFF, 300, 500)]);
    let found: Vec<_> = outcome.sensitivity.iter().map(|e| (e.place.2, e.rises, e.net, e.decision, e.break_even_after)).collect();
    assert_eq!(
        found,
        [
            (L::NetIncome, true, 230, EvaluationDecision::Split, 1_200),
            (L::NetIncome, false, -30, EvaluationDecision::DoNotSplit, 1_200),
            (L::Staff, true, 50, EvaluationDecision::Split, 600),
            (L::Staff, false, 150, EvaluationDecision::Split, 600),
        ]
    );
    assert_eq!((part_bp(100, 200), part_bp(-1, 3), part_bp(1, 0)), (Some(5_000), Some(-3_333), None));
}

fn lines() -> impl Strategy<Value = Vec<Amounts>> {
    let all: Vec<Place> = places().collect();
    let amounts = -1_000_000_000i64..1_000_000_000;
    let one = (0..all.len(), amounts.clone(), amounts, any::<bool>());
    prop::collection::vec(one, 1..20).prop_map(move |found| {
        found
            .into_iter()
            .map(|(at, before, after, valued)| Amounts { place: all[at], before, after, counts: valued || !is_turnover(all[at]) })
            .collect()
    })
}

fn mirrored(decision: EvaluationDecision) -> EvaluationDecision {
    match decision {
        EvaluationDecision::Split => EvaluationDecision::DoNotMerge,
        EvaluationDecision::DoNotSplit => EvaluationDecision::Merge,
        EvaluationDecision::Merge => EvaluationDecision::DoNotSplit,
        EvaluationDecision::DoNotMerge => EvaluationDecision::Split,
        EvaluationDecision::Indifferent => EvaluationDecision::Indifferent,
    }
}

proptest! {
    /// What decides is the difference of the sums, and the rules never say otherwise.
    #[test]
    fn the_rules_say_what_the_sums_say(lines in lines(), merge in any::<bool>()) {
        let kind = if merge { Merge } else { Split };
        let outcome = evaluate(kind, &lines);
        prop_assert_eq!(outcome.decision, by_net(kind, outcome.net));
        prop_assert!(!(outcome.rules[1].fired && outcome.rules[2].fired), "rules 2 and 3 exclude each other");
        let whole = outcome.basis == EvaluationBasis::Composite;
        prop_assert!(!whole || (outcome.rules[1].fired || outcome.rules[2].fired) == (outcome.net != 0));
        prop_assert!(whole || outcome.composite == outcome.income);
        prop_assert_eq!(outcome.net, outcome.deciding_change() - outcome.cost.change());
    }

    /// To merge is to take a split back: with before and after exchanged, the decision is the opposite one.
    #[test]
    fn a_merge_is_a_split_backwards(lines in lines()) {
        let back: Vec<Amounts> = lines.iter().map(|line| Amounts { before: line.after, after: line.before, ..*line }).collect();
        prop_assert_eq!(mirrored(evaluate(Split, &lines).decision), evaluate(Merge, &back).decision);
    }

    /// The order of the lines does not matter, and a line cut in two counts as before.
    #[test]
    fn sums_are_sums(lines in lines(), at in 0..20usize, cut in -1_000_000i64..1_000_000) {
        let outcome = evaluate(Split, &lines);
        let mut other: Vec<Amounts> = lines.iter().rev().copied().collect();
        let at = at % other.len();
        let whole = other[at];
        other[at] = Amounts { before: whole.before - cut, after: whole.after - 2 * cut, ..whole };
        other.push(Amounts { before: cut, after: 2 * cut, ..whole });
        let same = evaluate(Split, &other);
        prop_assert_eq!((outcome.net, outcome.decision, outcome.rules), (same.net, same.decision, same.rules));
    }

    /// At its break-even every line leaves both sides equal.
    #[test]
    fn a_line_at_its_break_even_is_indifferent(lines in lines()) {
        let outcome = evaluate(Merge, &lines);
        for entry in &outcome.sensitivity {
            let first = lines.iter().position(|line| line.place == entry.place && line.counts).unwrap();
            let twice = lines.iter().filter(|line| line.place == entry.place && line.counts).count() > 1;
            if twice {
                continue;
            }
            let mut changed = lines.clone();
            changed[first].after = entry.break_even_after;
            prop_assert_eq!(evaluate(Merge, &changed).decision, EvaluationDecision::Indifferent);
            changed[first].after = entry.after;
            prop_assert_eq!(evaluate(Merge, &changed).decision, entry.decision);
        }
    }
}
