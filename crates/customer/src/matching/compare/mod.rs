//! At which level two values agree, by kind.

mod address;
mod company;
mod date;
mod likeness;
mod number;
mod person;
mod text;

use super::{
    Kind, Model, Record,
    kind::{MISSING, part},
    model::MAX_FIELDS,
    record::{Fields, Value, Values},
};

/// The level of each field, in the model's order.
pub(super) type Levels = [u8; MAX_FIELDS];

pub(super) use likeness::names as name_likeness;

/// At which level two values of a kind agree.
pub(super) fn level(kind: Kind, left: Value<'_>, right: Value<'_>) -> u8 {
    // Words find each other one after the other: in one order, so that both ways give the same.
    let (left, right) = if (left.latin, left.native) <= (right.latin, right.native) { (left, right) } else { (right, left) };
    match kind {
        Kind::FullName => person::whole(left, right),
        Kind::GivenName | Kind::FamilyName => person::part(left, right),
        Kind::CompanyName => company::level(left, right),
        Kind::Date => date::level(left.latin, right.latin),
        Kind::Email => number::email(left.latin, right.latin),
        Kind::IdentityNumber => number::identity(left.latin, right.latin),
        Kind::Phone => number::phone(left.latin, right.latin),
        Kind::HouseNumber | Kind::Postcode => number::code(left.latin, right.latin),
        Kind::Street => address::street(left.latin, right.latin),
        Kind::Locality | Kind::Text => address::place(left.latin, right.latin),
        Kind::Region | Kind::Category => address::category(left.latin, right.latin),
    }
}

/// The best level of any two values, and those values.
pub(super) fn best<'a>(kind: Kind, left: Values<'a>, right: Values<'a>) -> (u8, Value<'a>, Value<'a>) {
    let mut found = (MISSING, Value::default(), Value::default());
    for one in left {
        for other in right {
            let level = level(kind, one, other);
            let first = || one.latin.min(other.latin) < found.1.latin.min(found.2.latin);
            if found.0 == MISSING || level < found.0 || level == found.0 && first() {
                found = (level, one, other);
            }
        }
    }
    found
}

/// The level of every field in the order of the model's efforts, and for each the values that agreed best, until
/// enough was seen.
pub(super) fn compare<'a>(
    model: &Model,
    left: &Fields<'a>,
    right: &Fields<'a>,
    mut seen: impl FnMut(usize, u8, Value<'a>, Value<'a>) -> bool,
) {
    let mut parts = None;
    for index in model.order() {
        let Some(((field, one), other)) = model.fields().get(*index).zip(left.get(*index)).zip(right.get(*index)) else { return };
        let (level, one, other) = match model.name_parts().filter(|(given, family)| [given, family].contains(&index)) {
            Some(names @ (given, _)) => {
                let (found_given, found_family) = *parts.get_or_insert_with(|| self::names(names, left, right));
                if given == *index { found_given } else { found_family }
            }
            None => best(field.kind, *one, *other),
        };
        if !seen(*index, level, one, other) {
            return;
        }
    }
}

type Found<'a> = (u8, Value<'a>, Value<'a>);

/// Given and family name, straight or across, whichever agrees better.
fn names<'a>((given, family): (usize, usize), left: &Fields<'a>, right: &Fields<'a>) -> (Found<'a>, Found<'a>) {
    let of =
        |fields: &Fields<'a>| (fields.get(given).copied().unwrap_or_default(), fields.get(family).copied().unwrap_or_default());
    let (one, other) = (of(left), of(right));
    // What agrees across counts for one of the two fields: for the same one both ways.
    let ((left_given, left_family), (right_given, right_family)) = if one <= other { (one, other) } else { (other, one) };
    let straight = (best(Kind::GivenName, left_given, right_given), best(Kind::FamilyName, left_family, right_family));
    let disagree = |level: u8| level == MISSING || level >= part::ALIKE;
    if !(disagree(straight.0.0) && disagree(straight.1.0)) {
        return straight;
    }
    let across = (best(Kind::GivenName, left_given, right_family), best(Kind::FamilyName, left_family, right_given));
    let level = |found: Found<'a>, straight: Found<'a>| match person::across(found.0) {
        Some(level) => (level, found.1, found.2),
        // A name that the other record does not have on the other side says nothing.
        None if found.0 == MISSING => (MISSING, found.1, found.2),
        None => straight,
    };
    if person::across(across.0.0).is_none() && person::across(across.1.0).is_none() {
        return straight;
    }
    if disagree(across.0.0) && across.0.0 != MISSING || disagree(across.1.0) && across.1.0 != MISSING {
        return straight;
    }
    (level(across.0, straight.0), level(across.1, straight.1))
}

/// The level of every field.
pub(super) fn levels(model: &Model, left: &Record, right: &Record) -> Levels {
    let mut levels = [MISSING; MAX_FIELDS];
    compare(model, &left.unpacked(), &right.unpacked(), |index, level, _, _| {
        if let Some(slot) = levels.get_mut(index) {
            *slot = level;
        }
        true
    });
    levels
}
