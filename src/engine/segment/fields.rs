//! Reads the fields of records, and packs GUIDs.

use super::checked_bytes::{CheckedBytes, ReadResult};
use super::layout::{BLOCK, LONGEST_VARINT, put_varint, read_varint};
use crate::matching::GuidRef;
use crate::platform::bytes;

/// Prefixes of packed GUIDs. Their order is part of the file format.
const PREFIXES: [&str; 8] = [
    "plex://movie/",
    "plex://episode/",
    "plex://track/",
    "plex://show/",
    "plex://artist/",
    "plex://clip/",
    "plex://season/",
    "plex://album/",
];

/// Mask for the flag bits that contain a GUID's tag: 0 for no GUID, 1 for a string, otherwise the index in [`PREFIXES`]
/// plus 2.
pub const GUID: u8 = 7;

/// Appends the length of `bytes` as a varint, and then `bytes`.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Converts a segment's bytes to a string. If they are not UTF-8, marks the segment as broken and fails.
#[inline]
pub fn text<'i>(file: &'i CheckedBytes, bytes: &'i [u8]) -> ReadResult<&'i str> {
    bytes::ascii_fast_str(bytes).ok_or_else(|| file.mark_damaged())
}

/// Reads the fields of a record in order.
pub struct RecordReader<'i> {
    pub file: &'i CheckedBytes,
    pub at: usize,
    /// The verified rest of the block. Most fields can be read from it without a further bounds check.
    here: &'i [u8],
}

impl<'i> RecordReader<'i> {
    /// Creates a reader for the fields at the file offset `at`.
    #[inline]
    pub fn new(file: &'i CheckedBytes, at: usize) -> Self {
        // If the block is damaged, the first read fails.
        let here = file.up_to(at, BLOCK - at % BLOCK).unwrap_or_default();
        Self { file, at, here }
    }

    /// Returns the next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: usize) -> ReadResult<&'i [u8]> {
        let Some((bytes, remaining)) = self.here.split_at_checked(length) else {
            return self.take_beyond(length);
        };
        (self.at, self.here) = (self.at + length, remaining);
        Ok(bytes)
    }

    /// Returns the next `length` bytes if they extend beyond the block, which is rare.
    #[cold]
    #[inline(never)]
    fn take_beyond(&mut self, length: usize) -> ReadResult<&'i [u8]> {
        let bytes = self.file.slice(self.at, length)?;
        *self = Self::new(self.file, self.at + length);
        Ok(bytes)
    }

    #[inline]
    pub fn byte(&mut self) -> ReadResult<u8> {
        Ok(self.take(1)?[0])
    }

    #[inline]
    pub fn varint(&mut self) -> ReadResult<u64> {
        // Most varints have one byte; a year has two.
        match self.here {
            [value @ ..0x80, remaining @ ..] => {
                (self.at, self.here) = (self.at + 1, remaining);
                Ok(u64::from(*value))
            }
            [low, high @ ..0x80, remaining @ ..] => {
                (self.at, self.here) = (self.at + 2, remaining);
                Ok(u64::from(*low & 0x7F) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// Reads a varint that has three or more bytes or extends beyond the block, which is rare.
    #[cold]
    #[inline(never)]
    fn long_varint(&mut self) -> ReadResult<u64> {
        let (value, used) =
            read_varint(self.file.up_to(self.at, LONGEST_VARINT)?).ok_or_else(|| self.file.mark_damaged())?;
        self.take(used)?;
        Ok(value)
    }

    #[inline]
    pub fn length(&mut self) -> ReadResult<usize> {
        usize::try_from(self.varint()?).map_err(|_| self.file.mark_damaged())
    }

    /// Reads a length, and then this number of bytes.
    #[inline]
    pub fn bytes(&mut self) -> ReadResult<&'i [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Reads a length, and then a string of this length.
    #[inline]
    pub fn text(&mut self) -> ReadResult<&'i str> {
        let bytes = self.bytes()?;
        text(self.file, bytes)
    }

    /// Reads a GUID. `tag` says what the record contains: 0 for no GUID, 1 for a string, otherwise 12 bytes with the 24
    /// hexadecimal digits after the prefix with the index `tag - 2`.
    #[inline]
    pub fn guid(&mut self, tag: u8) -> ReadResult<GuidRef<'i>> {
        match tag {
            0 => Ok(GuidRef::NONE),
            1 => Ok(GuidRef::Text(self.text()?)),
            tag => {
                let prefix = PREFIXES
                    .get(usize::from(tag) - 2)
                    .ok_or_else(|| self.file.mark_damaged())?;
                let mut id = [0; 12];
                id.copy_from_slice(self.take(12)?);
                Ok(GuidRef::Plex { prefix, id })
            }
        }
    }
}

/// A GUID in the form in which a record stores it. The record's flags contain the tag.
pub enum PackedGuid<'g> {
    None,
    Text(&'g str),
    /// The tag for the prefix, and the 24 hexadecimal digits after it.
    Prefixed(u8, [u8; 12]),
}

impl<'g> PackedGuid<'g> {
    /// Packs a GUID in the shortest form that unpacks to the same string.
    pub fn of(guid: &'g str) -> Self {
        if guid.is_empty() {
            return Self::None;
        }
        Self::plex(guid).unwrap_or(Self::Text(guid))
    }

    /// Packs an item's GUID. An item has only three bits for the tag ([`GUID`]), so GUIDs with the last two prefixes
    /// remain strings.
    pub fn of_item(guid: &'g str) -> Self {
        match Self::of(guid) {
            Self::Prefixed(tag, _) if tag > GUID => Self::Text(guid),
            packed => packed,
        }
    }

    /// Packs a GUID that has a known prefix and 24 hexadecimal digits in lower case; `None` for other GUIDs.
    fn plex(guid: &str) -> Option<Self> {
        let id = bytes::from_hex(guid.as_bytes().last_chunk::<24>()?)?;
        let text_prefix = &guid[..guid.len() - 24];
        let prefix = PREFIXES.iter().position(|known| *known == text_prefix)?;
        Some(Self::Prefixed(u8::try_from(prefix + 2).ok()?, id))
    }

    /// Returns the GUID's tag: 0 for no GUID, 1 for a string, otherwise the index in [`PREFIXES`] plus 2.
    pub fn tag(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Text(_) => 1,
            Self::Prefixed(tag, _) => *tag,
        }
    }

    /// Appends the GUID without its tag.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Text(text) => put_bytes(out, text.as_bytes()),
            Self::Prefixed(_, id) => out.extend_from_slice(id),
        }
    }
}
