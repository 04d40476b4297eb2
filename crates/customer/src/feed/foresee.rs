//! What will become of customers' records, before anything is written.

use kehu_kernel::{Conn, Result, feed::Source, text_enum};

use super::{
    CustomerRecord,
    customer::{Known, verified_numbers},
};

text_enum! {
    /// How a record will find its customer.
    pub enum RecordMatch {
        /// The source told of the customer before, under the same id.
        SourceId = "source_id",
        /// A customer has the same verified identity number.
        VerifiedIdentity = "verified_identity",
    }
}

/// How each record will find its customer among those that are known now; `None` where it will make one.
///
/// # Errors
/// The database's.
pub fn foresee(conn: &mut Conn, source: &Source, records: &[CustomerRecord]) -> Result<Vec<Option<RecordMatch>>> {
    let numbered: Vec<(usize, &CustomerRecord)> = records.iter().enumerate().collect();
    let known = Known::load(conn, source, &numbered)?;
    let find = |record: &CustomerRecord| {
        if known.by_source.contains_key(&record.source_id) {
            return Some(RecordMatch::SourceId);
        }
        let held = verified_numbers(conn, record).iter().any(|number| known.by_number.contains_key(number));
        held.then_some(RecordMatch::VerifiedIdentity)
    };
    Ok(records.iter().map(find).collect())
}
