//! The file of an export: chunks of one size, each encrypted for its place, in one part for each worker that took a turn.
//!
//! Workers never write to the same part, so that one that was taken for dead and wakes up spoils nothing. What is counted in
//! the parts is on the disk; what does not fill a chunk yet is kept in the row.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use kehu_kernel::{Error, Result, crypto::FileKey};
use serde::{Deserialize, Serialize};

use super::ExportId;

/// How many bytes of content a chunk has; the last one may have fewer.
pub const CHUNK: usize = 65_536;
/// How many bytes such a chunk takes on the disk.
const SEALED: usize = CHUNK + FileKey::OVERHEAD;

/// Where the files of an export lie.
pub(super) fn directory(data_dir: &Path, id: ExportId) -> PathBuf {
    data_dir.join("exports").join(id.to_string())
}

/// Removes the files of an export.
pub(super) fn remove(data_dir: &Path, id: ExportId) {
    match fs::remove_dir_all(directory(data_dir, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!(export:% = id; "a file stays behind: {error}"),
        _ => {}
    }
}

/// What one worker wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub name: String,
    /// Whole chunks that are on the disk.
    pub chunks: u64,
}

/// Appends to a file, in a part of its own.
pub(super) struct Writer {
    key: FileKey,
    label: &'static str,
    part: Part,
    /// Number in the file of the part's first chunk.
    first: u64,
    file: File,
    buffer: Vec<u8>,
}

impl Writer {
    /// Begins a part after `first` chunks and `rest`, which is not written yet.
    pub fn create(directory: &Path, name: String, key: FileKey, label: &'static str, first: u64, rest: Vec<u8>) -> Result<Self> {
        fs::create_dir_all(directory).map_err(unwritable)?;
        let file = File::create(directory.join(&name)).map_err(unwritable)?;
        Ok(Self { key, label, part: Part { name, chunks: 0 }, first, file, buffer: rest })
    }

    /// What was written so far, on the disk after [`Writer::sync`].
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Brings whole chunks to the disk and seals what is left, to be kept elsewhere.
    pub fn sync(&mut self) -> Result<Vec<u8>> {
        self.file.sync_data().map_err(unwritable)?;
        self.key.seal("tail", 0, &self.buffer)
    }

    /// Writes what is left as the last chunk; returns the part and how many bytes the file has.
    pub fn finish(mut self) -> Result<(Part, u64)> {
        let rest = std::mem::take(&mut self.buffer);
        let whole = self.first.saturating_add(self.part.chunks);
        let bytes = |size: usize| u64::try_from(size).map_err(Error::internal);
        let size = whole.saturating_mul(bytes(CHUNK)?).saturating_add(bytes(rest.len())?);
        if !rest.is_empty() {
            self.seal(&rest).map_err(unwritable)?;
        }
        self.file.sync_all().map_err(unwritable)?;
        Ok((self.part, size))
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        let number = self.first.saturating_add(self.part.chunks);
        let sealed = self.key.seal(self.label, number, plain).map_err(io::Error::other)?;
        self.file.write_all(&sealed)?;
        self.part.chunks = self.part.chunks.saturating_add(1);
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        while let Some((chunk, rest)) = self.buffer.split_at_checked(CHUNK) {
            let (chunk, rest) = (chunk.to_vec(), rest.to_vec());
            self.seal(&chunk)?;
            self.buffer = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The rest that [`Writer::sync`] sealed.
pub(super) fn open_rest(key: &FileKey, sealed: Option<&[u8]>) -> Result<Vec<u8>> {
    sealed.map_or_else(|| Ok(Vec::new()), |sealed| key.open("tail", 0, sealed))
}

/// A full disk or a missing directory; another try may find it mended.
pub(super) fn unwritable(error: io::Error) -> Error {
    Error::Unavailable(format!("the file of an export cannot be written or read: {error}"))
}

/// A file that is read from anywhere.
#[derive(Debug)]
pub struct Content {
    key: FileKey,
    label: &'static str,
    directory: PathBuf,
    parts: Vec<Part>,
    size: u64,
}

impl Content {
    pub(super) fn new(directory: PathBuf, key: FileKey, label: &'static str, parts: Vec<Part>, size: u64) -> Self {
        Self { key, label, directory, parts, size }
    }

    /// How many bytes the file has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `position` on, to the end of their chunk or up to `end`; nothing at `end`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the file cannot be read; [`Error::Internal`] when it was tampered with.
    pub fn read_from(&self, position: u64, end: u64) -> Result<Vec<u8>> {
        let end = end.min(self.size);
        if position >= end {
            return Ok(Vec::new());
        }
        let chunk = u64::try_from(CHUNK).map_err(Error::internal)?;
        let number = position / chunk;
        let begin = number.saturating_mul(chunk);
        let plain = self.chunk(number)?;
        let offset = |at: u64| usize::try_from(at.saturating_sub(begin).min(chunk)).map_err(Error::internal);
        let wanted = plain.get(offset(position)?..offset(end)?.min(plain.len())).unwrap_or_default();
        if wanted.is_empty() {
            return Err(Error::internal(format!("chunk {number} of an export is too short")));
        }
        Ok(wanted.to_vec())
    }

    fn chunk(&self, number: u64) -> Result<Vec<u8>> {
        let mut within = number;
        for part in &self.parts {
            if within < part.chunks {
                let sealed = self.sealed(&part.name, within).map_err(unwritable)?;
                return self.key.open(self.label, number, &sealed);
            }
            within = within.saturating_sub(part.chunks);
        }
        Err(Error::internal(format!("an export has no chunk {number}")))
    }

    fn sealed(&self, part: &str, number: u64) -> io::Result<Vec<u8>> {
        let size = u64::try_from(SEALED).map_err(io::Error::other)?;
        let mut file = File::open(self.directory.join(part))?;
        file.seek(SeekFrom::Start(number.saturating_mul(size)))?;
        let mut sealed = Vec::with_capacity(SEALED);
        file.take(size).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Reads the whole file, from its beginning.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { content: self, position: 0, chunk: Vec::new(), taken: 0 }
    }
}

/// A [`Read`] over a file.
pub(super) struct Reader<'a> {
    content: &'a Content,
    position: u64,
    chunk: Vec<u8>,
    taken: usize,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken >= self.chunk.len() {
            self.chunk = self.content.read_from(self.position, self.content.size).map_err(io::Error::other)?;
            self.position = self.position.saturating_add(u64::try_from(self.chunk.len()).map_err(io::Error::other)?);
            self.taken = 0;
        }
        let mut rest = self.chunk.get(self.taken..).unwrap_or_default();
        let count = rest.read(into)?;
        self.taken = self.taken.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_several_workers_reads_as_one_from_anywhere() {
        let directory = tempfile::tempdir().unwrap();
        let text = FileKey::generate();
        let key = || FileKey::read(&text).unwrap();
        let bytes: Vec<u8> = (0..3 * CHUNK + 1000).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (mut parts, mut from, mut rest) = (Vec::new(), 0, Vec::new());
        // Three workers, the second of which is killed after writing what it never saved.
        for (name, until, saved) in [("1", CHUNK + 500, true), ("2", 3 * CHUNK, false), ("3", bytes.len(), true)] {
            let first = parts.iter().map(|part: &Part| part.chunks).sum();
            let mut writer = Writer::create(directory.path(), name.to_owned(), key(), "rows", first, rest.clone()).unwrap();
            for piece in bytes[from..until].chunks(777) {
                writer.write_all(piece).unwrap();
            }
            if name == "3" {
                let (part, size) = writer.finish().unwrap();
                parts.push(part);
                assert_eq!(size, u64::try_from(bytes.len()).unwrap());
            } else if saved {
                rest = open_rest(&key(), Some(&writer.sync().unwrap())).unwrap();
                parts.push(writer.part().clone());
                from = until;
            }
        }
        let size = u64::try_from(bytes.len()).unwrap();
        let content = Content::new(directory.path().to_owned(), key(), "rows", parts, size);
        let mut read = Vec::new();
        content.reader().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        for (from, to) in
            [(0, 1), (CHUNK - 1, CHUNK + 1), (CHUNK, CHUNK + 7), (2 * CHUNK + 3, bytes.len()), (bytes.len() - 1, bytes.len())]
        {
            let (mut position, end) = (u64::try_from(from).unwrap(), u64::try_from(to).unwrap());
            let mut read = Vec::new();
            while position < end {
                let piece = content.read_from(position, end).unwrap();
                position += u64::try_from(piece.len()).unwrap();
                read.extend(piece);
            }
            assert!(read == bytes[from..to], "{from}..{to}");
        }
        assert!(content.read_from(size, size + 10).unwrap().is_empty());
        fs::write(directory.path().join("1"), vec![0; SEALED]).unwrap();
        assert!(content.read_from(0, 10).is_err());
    }
}
