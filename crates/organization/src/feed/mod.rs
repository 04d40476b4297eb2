//! What source systems say about the bank's own structure: idempotent batches in which a bad record stays alone.
//!
//! The right is that of the import: whoever may run imports may feed branches and staff. Roles are the exception,
//! they need the right to give them.

pub mod branch;
pub mod retraction;
pub mod staff;

use kehu_kernel::{Error, FieldError, Result, Tx, feed::Outcome};
use validator::ValidationErrors;

pub use branch::BranchRecord;
pub use staff::StaffRecord;

/// Takes one record in a savepoint of its own, so that its failure leaves the others alone.
fn apart(tx: &mut Tx<'_>, work: impl FnOnce(&mut Tx<'_>) -> Result<Outcome>) -> Result<Outcome> {
    match tx.savepoint(work) {
        Err(Error::Invalid(broken)) => Ok(Outcome::Rejected(broken)),
        Err(Error::Conflict { code, detail }) => Ok(Outcome::rejected("", code, detail)),
        Err(Error::Forbidden(detail)) => Ok(Outcome::rejected("", "forbidden", detail)),
        other => other,
    }
}

/// The broken rules of an input without nested parts.
fn broken(errors: &ValidationErrors) -> Error {
    let fields = errors.field_errors();
    let mut found: Vec<FieldError> = fields
        .iter()
        .flat_map(|(field, broken)| broken.iter().map(move |error| (field, error)))
        .map(|(field, error)| {
            let message =
                error.message.as_ref().map_or_else(|| format!("The value breaks the rule {}.", error.code), ToString::to_string);
            FieldError::new(format!("/{field}"), &error.code, message)
        })
        .collect();
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    Error::Invalid(found)
}

/// The new value, if the source names one and it is another.
fn changed<T: PartialEq + Clone>(told: Option<&T>, present: &T) -> Option<T> {
    told.filter(|told| *told != present).cloned()
}

/// As [`changed`], for a field that may be empty.
fn set<T: PartialEq + Clone>(told: Option<&T>, present: Option<&T>) -> Option<Option<T>> {
    told.filter(|told| present != Some(*told)).map(|told| Some(told.clone()))
}
