//! Stops a row that never ends before it fills the memory.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    rc::Rc,
};

/// A reader that fails once it has handed out more than a number of bytes since the last row.
pub(super) struct Guard<R> {
    inner: R,
    since: Meter,
    most: u64,
}

/// How many bytes were handed out since the last row; shared with the one who counts rows.
#[derive(Clone, Default)]
pub(super) struct Meter(Rc<Cell<u64>>);

impl Meter {
    /// A row is complete.
    pub(super) fn reset(&self) {
        self.0.set(0);
    }
}

impl<R> Guard<R> {
    pub(super) fn new(inner: R, most: u64) -> Self {
        Self { inner, since: Meter::default(), most }
    }

    pub(super) fn meter(&self) -> Meter {
        self.since.clone()
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let sum = self.since.0.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.since.0.set(sum);
        if sum <= self.most {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a row does not end (is a quotation mark missing?)"))
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.count(bytes)?;
        Ok(bytes)
    }
}

impl<R: BufRead> BufRead for Guard<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.count(0)?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // The next `fill_buf` tells.
        drop(self.count(amount));
        self.inner.consume(amount);
    }
}
