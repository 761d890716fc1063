//! The image of a host's table: names that are bytes, each with a short value. Head, check sums and hash table are those of
//! every image; its normal form is none.
//!
//! An entry begins at a multiple of four bytes: the length of its name (varint), the name, what is kept of it (varint: 0 for
//! a value that only the database has, else the value's length plus one), Unix ms after which it has expired plus one
//! (varint; 0: never), the value.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::body::{self, Body, Out, too_large};
use super::bytes::{Checked, Read};
use super::layout::{BLOCK, Head, LONGEST_VARINT, put_varint, varint};
use super::read::refuse;
use super::table::{self, Slots, Table};
use crate::error::Result;
use crate::platform::map::{FileBytes, MapMode};

/// In the place of the normal form's version, which is never 0.
const BYTES: u32 = 0;

/// What is kept of an entry's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'i> {
    /// The value; `None` for a long one, which only the database has.
    pub value: Option<&'i [u8]>,
    /// From then on it is not given any more, Unix ms.
    pub expires_ms: Option<i64>,
}

/// Collects entries and writes them as one image.
#[derive(Default)]
pub struct EntriesBuilder {
    records: Vec<u8>,
    /// Hashes of names, and entries.
    names: Vec<(u64, u32)>,
    full: bool,
}

impl EntriesBuilder {
    /// Adds an entry. Names must differ.
    pub fn push(&mut self, name: &[u8], kept: Kept<'_>) {
        self.records.resize(self.records.len().next_multiple_of(4), 0);
        let number = u32::try_from((BLOCK + self.records.len()) / 4);
        self.full |= number.is_err();
        self.names.push((xxh3_64(name), number.unwrap_or(u32::MAX)));
        put_varint(&mut self.records, name.len() as u64);
        self.records.extend_from_slice(name);
        put_varint(&mut self.records, kept.value.map_or(0, |value| value.len() as u64 + 1));
        let expires = kept.expires_ms.map_or(0, |ms| ms.max(0).cast_unsigned() + 1);
        put_varint(&mut self.records, expires);
        self.records.extend_from_slice(kept.value.unwrap_or_default());
    }

    /// Writes the image, as [`super::ImageBuilder::finish`] does.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`] or [`crate::error::Status::StoreFull`]; `path` is as it was.
    pub fn finish(self, path: &Path, seal: u64) -> Result<()> {
        let written = self
            .write(Body::new(Out::Beside(path.to_path_buf())), seal)
            .and_then(|out| body::keep(out, path));
        body::cannot_write(written, path)
    }

    fn write(mut self, mut body: Body, seal: u64) -> io::Result<Out> {
        if self.full {
            return Err(too_large());
        }
        self.names.sort_unstable();
        let mut head = Head {
            form: BYTES,
            items: self.names.len() as u64,
            path_homes: table::homes(self.names.len()) as u64,
            seal,
            ..Head::default()
        };
        let begin = body.at();
        body.put(&self.records)?;
        head.records = body.end_part(begin, 1)?;
        let (begin, mut slots) = (body.at(), Slots::new(self.names.len()));
        for (hash, entry) in &self.names {
            slots.put(*hash, *entry, &mut body)?;
        }
        slots.end(&mut body)?;
        head.paths = body.end_part(begin, 8)?;
        body.finish(&mut head)
    }
}

/// Where an image has the first entry of a hash, or none; or that this cannot be told.
#[derive(Clone, Copy)]
pub struct FirstEntry(Read<Option<u32>>);

impl FirstEntry {
    /// There is none.
    pub const NONE: Self = Self(Ok(None));
}

/// An open image of a table.
pub struct Entries {
    file: Checked,
    names: Table,
}

impl Entries {
    /// Opens the image at `path`, as [`super::Image::open`] does.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`]: make it anew.
    pub fn open(path: &Path, mode: MapMode, seal: u64) -> Result<Self> {
        let bytes = FileBytes::open(path, mode).map_err(|error| refuse(path, &error.to_string()))?;
        let head = Head::decode(&bytes).map_err(|why| refuse(path, why))?;
        if head.form != BYTES || head.seal != seal {
            return Err(refuse(path, "it was made for another name, or for another store"));
        }
        Ok(Self {
            names: Table::new(head.paths, head.path_homes),
            file: Checked::new(bytes, &head).map_err(|why| refuse(path, why))?,
        })
    }

    /// A check failed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.file.is_broken()
    }

    /// The first entry of this hash. Loads the entry.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstEntry {
        let first = self.names.first(&self.file, hash);
        if let Ok(Some(number)) = first {
            // A name and its value rarely take more.
            for line in 0..3 {
                self.file.prefetch(number as usize * 4 + line * 64);
            }
        }
        FirstEntry(first)
    }

    /// What is kept under this name. `first`: what [`Entries::first`] gave.
    ///
    /// # Errors
    /// A check failed, and nothing it says counts.
    #[inline]
    pub fn find(&self, name: &[u8], hash: u64, first: FirstEntry) -> Read<Option<Kept<'_>>> {
        let Some(number) = first.0? else {
            return Ok(None);
        };
        match self.entry(number, name)? {
            Some(kept) => Ok(Some(kept)),
            None => self.further(name, hash),
        }
    }

    /// The same where the first entry of the hash has another name.
    #[cold]
    #[inline(never)]
    fn further(&self, name: &[u8], hash: u64) -> Read<Option<Kept<'_>>> {
        let mut found = None;
        self.names.find(&self.file, hash, |number| {
            found = self.entry(number, name)?;
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// The entry, if it has this name.
    #[inline]
    fn entry(&self, number: u32, name: &[u8]) -> Read<Option<Kept<'_>>> {
        const NUMBERS: usize = 3 * LONGEST_VARINT;
        let at = number as usize * 4;
        let bytes = self.file.up_to(at, name.len() + NUMBERS)?;
        let broken = || self.file.fail();
        let (length, begin) = varint(bytes).ok_or_else(broken)?;
        if length != name.len() as u64 || bytes.get(begin..begin + name.len()) != Some(name) {
            return Ok(None);
        }
        let mut used = begin + name.len();
        let mut number = || {
            let (number, bytes) = varint(bytes.get(used..)?)?;
            used += bytes;
            Some(number)
        };
        let (Some(length), Some(expires)) = (number(), number()) else {
            return Err(broken());
        };
        let value = match usize::try_from(length) {
            Ok(0) => None,
            Ok(length) => Some(self.file.slice(at + used, length - 1)?),
            Err(_) => return Err(broken()),
        };
        Ok(Some(Kept {
            value,
            expires_ms: expires.checked_sub(1).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        }))
    }
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
