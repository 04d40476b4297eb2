//! Which records share a key.

use rayon::prelude::*;

use super::{
    Model, Record,
    blocking::{CAP, Salt, keys},
};

/// The blocks of many records: keys that two to [`CAP`] of them share.
pub struct Index {
    /// Where the members of each block start; one more than there are blocks.
    starts: Vec<u32>,
    members: Vec<u32>,
    /// Where the blocks of each record start; one more than there are records.
    offsets: Vec<u32>,
    blocks: Vec<u32>,
}

impl Index {
    /// The blocks of these records.
    #[must_use]
    pub fn build(model: &Model, records: &[Record], salt: &Salt) -> Self {
        let mut entries: Vec<(i64, u32)> = (0_u32..)
            .zip(records)
            .collect::<Vec<_>>()
            .into_par_iter()
            .flat_map_iter(|(number, record)| keys(model, record, salt).into_iter().map(move |key| (key, number)))
            .collect();
        entries.par_sort_unstable();
        let mut index = Self { starts: vec![0], members: Vec::new(), offsets: vec![0; records.len() + 1], blocks: Vec::new() };
        for block in entries.chunk_by(|one, other| one.0 == other.0).filter(|block| (2..=CAP).contains(&block.len())) {
            index.members.extend(block.iter().map(|(_, number)| *number));
            index.starts.push(small(index.members.len()));
        }
        drop(entries);
        index.members.shrink_to_fit();
        index.by_record();
        index
    }

    fn by_record(&mut self) {
        for member in &self.members {
            if let Some(count) = self.offsets.get_mut(large(*member) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for offset in &mut self.offsets {
            sum += *offset;
            *offset = sum;
        }
        let mut next = self.offsets.clone();
        self.blocks = vec![0; self.members.len()];
        for (block, range) in (0_u32..).zip(self.starts.windows(2)) {
            let [from, to] = range else { continue };
            for member in self.members.get(large(*from)..large(*to)).unwrap_or_default() {
                if let Some(at) = next.get_mut(large(*member)) {
                    if let Some(slot) = self.blocks.get_mut(large(*at)) {
                        *slot = block;
                    }
                    *at += 1;
                }
            }
        }
    }

    /// The records that share a key with one, in order, each once.
    pub fn candidates(&self, record: u32, found: &mut Vec<u32>) {
        found.clear();
        let range = |starts: &[u32], at: usize| starts.get(at).zip(starts.get(at + 1)).map(|(from, to)| large(*from)..large(*to));
        let blocks = range(&self.offsets, large(record)).and_then(|range| self.blocks.get(range)).unwrap_or_default();
        for block in blocks {
            let members = range(&self.starts, large(*block)).and_then(|range| self.members.get(range)).unwrap_or_default();
            found.extend(members.iter().copied().filter(|member| *member != record));
        }
        found.sort_unstable();
        found.dedup();
    }
}

/// A position as kept; there are never more than 2³² keys.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A kept position.
pub(super) fn large(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
