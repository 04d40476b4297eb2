//! Dates as eight digits, year first.

use super::{
    super::kind::{EXACT, date::*},
    text::edits,
};

struct Parts {
    year: i32,
    month: i32,
    day: i32,
}

pub(super) fn level(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        return EXACT;
    }
    let (Some(one), Some(other)) = (parts(left), parts(right)) else { return DIFFERENT };
    let same = [one.year == other.year, one.month == other.month, one.day == other.day];
    let unlike = left.iter().zip(right).filter(|(one, other)| one != other).count();
    let day_for_month = same[0] && one.month == other.day && one.day == other.month;
    let century = same[1] && same[2] && one.year % 100 == other.year % 100;
    if day_for_month || century || unlike == 2 && edits(left, right, 1) == Some(1) {
        TRANSPOSED
    } else if unlike == 1 {
        ONE_DIGIT
    } else if same.iter().filter(|same| **same).count() == 2 {
        TWO_PARTS
    } else if one.year.abs_diff(other.year) <= 1 && one.month.abs_diff(other.month) <= 1 && one.day.abs_diff(other.day) <= 2 {
        CLOSE
    } else if unlike == 2 {
        TWO_DIGITS
    } else if same[0] {
        SAME_YEAR
    } else {
        DIFFERENT
    }
}

fn parts(digits: &[u8]) -> Option<Parts> {
    let number = |from: usize, to: usize| std::str::from_utf8(digits.get(from..to)?).ok()?.parse().ok();
    Some(Parts { year: number(0, 4)?, month: number(4, 6)?, day: number(6, 8)? })
}
