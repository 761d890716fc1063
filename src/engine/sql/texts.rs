//! The texts of an item in one cell: its title, its ids, its paths.
//!
//! What says the same twice is said once. An id of a known kind is its kind and its number. A path mostly repeats the title,
//! and its own folder in the file's name: such a piece is told by where it stood before. So a row takes half of what the
//! texts take, and a listing writes half as much.
//!
//! | field | encoded as |
//! |---|---|
//! | title | length (varint), bytes |
//! | GUID | an id |
//! | external ids | their number (varint), ids |
//! | paths | their number (varint), each: length (varint), pieces |
//!
//! An id: a byte, 0 for a text, else a prefix of [`PREFIXES`] and how the rest is written ([`Rest`]). A piece: a varint whose
//! lowest bit tells a copy from new bytes; new bytes follow their number; a copy of at least [`LEAST`] bytes is followed by
//! where they stand in the title and the paths so far, one behind the other.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use crate::engine::segment::{put_varint, varint};
use crate::model::Item;
use crate::platform::bytes::from_hex;

/// What known ids begin with. The order is part of the format: new ones come last.
const PREFIXES: [&str; 11] = [
    "",
    "plex://movie/",
    "plex://episode/",
    "plex://track/",
    "plex://show/",
    "plex://artist/",
    "plex://clip/",
    "imdb://tt",
    "tmdb://",
    "tvdb://",
    "mbid://",
];

/// How an id goes on behind its prefix: the number is part of the format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// As text.
    Text = 0,
    /// Decimal digits: how many, and the number (varint).
    Number = 1,
    /// 24 hexadecimal digits: 12 bytes.
    Plex = 2,
    /// A UUID: 16 bytes.
    Uuid = 3,
}

const RESTS: [Rest; 4] = [Rest::Text, Rest::Number, Rest::Plex, Rest::Uuid];
/// The most digits whose number fits.
const DIGITS: usize = 19;
/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// The shortest copy.
const LEAST: usize = 4;
/// The longest text that is read: longer than any reply's row may be. A damaged length asks for no more memory.
const LONGEST: usize = 32 << 20;

/// The texts of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub title: String,
    pub guid: String,
    pub guids: Vec<String>,
    pub parts: Vec<String>,
}

impl FromSql for Texts {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Reader(value.as_blob()?)
            .texts()
            .ok_or_else(|| FromSqlError::Other("the texts of an item are damaged".into()))
    }
}

/// Encodes the texts of items; its memory is used again.
pub struct Packer {
    out: Vec<u8>,
    /// Title and paths, one behind the other.
    said: Vec<u8>,
    /// By a hash of four bytes, where they stood last, and one more; 0: nowhere.
    places: [u16; PLACES],
}

const PLACES: usize = 256;

impl Default for Packer {
    fn default() -> Self {
        Self {
            out: Vec::new(),
            said: Vec::new(),
            places: [0; PLACES],
        }
    }
}

impl Packer {
    /// The cell of an item.
    pub fn pack(&mut self, item: &Item) -> &[u8] {
        self.out.clear();
        self.said.clear();
        put_text(&mut self.out, &item.title);
        put_id(&mut self.out, &item.guid);
        put_varint(&mut self.out, item.guids.len() as u64);
        for guid in &item.guids {
            put_id(&mut self.out, guid);
        }
        put_varint(&mut self.out, item.parts.len() as u64);
        if !item.parts.is_empty() {
            self.places = [0; PLACES];
            self.said.extend_from_slice(item.title.as_bytes());
            self.learn(0, self.said.len());
        }
        for part in &item.parts {
            put_varint(&mut self.out, part.len() as u64);
            self.put_path(part.as_bytes());
        }
        &self.out
    }

    fn put_path(&mut self, path: &[u8]) {
        let mut at = self.said.len();
        let mut new = at;
        self.said.extend_from_slice(path);
        let end = self.said.len();
        while let Some(four) = self.four(at) {
            let place = &mut self.places[Self::place(four)];
            let before = usize::from(*place);
            // Where a copy begins is enough: what follows it there, follows here too.
            if let Ok(here) = u16::try_from(at + 1) {
                *place = here;
            }
            let Some(from) = before.checked_sub(1).filter(|from| self.four(*from) == Some(four)) else {
                at += 1;
                continue;
            };
            let length = LEAST + common(&self.said[from + LEAST..], &self.said[at + LEAST..]);
            self.put_new(new, at);
            put_varint(&mut self.out, ((length - LEAST) as u64) << 1 | 1);
            put_varint(&mut self.out, from as u64);
            at += length;
            new = at;
        }
        self.put_new(new, end);
    }

    fn put_new(&mut self, from: usize, to: usize) {
        if from < to {
            put_varint(&mut self.out, ((to - from) as u64) << 1);
            self.out.extend_from_slice(&self.said[from..to]);
        }
    }

    fn four(&self, at: usize) -> Option<[u8; LEAST]> {
        self.said.get(at..at + LEAST)?.try_into().ok()
    }

    fn place(four: [u8; LEAST]) -> usize {
        (u32::from_le_bytes(four).wrapping_mul(0x9E37_79B1) >> 24) as usize % PLACES
    }

    /// Notes where the bytes stand that begin at `from`, and end by `to`.
    fn learn(&mut self, from: usize, to: usize) {
        for (four, at) in self.said[from..to].windows(LEAST).zip(from + 1..) {
            if let (Ok(four), Ok(at)) = (four.try_into(), u16::try_from(at)) {
                self.places[Self::place(four)] = at;
            }
        }
    }
}

/// How many bytes of both are the same, from their beginning.
fn common(one: &[u8], other: &[u8]) -> usize {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let words = ones.iter().zip(others).take_while(|(one, other)| one == other).count();
    let rest = one[words * 8..].iter().zip(&other[words * 8..]);
    words * 8 + rest.take_while(|(one, other)| one == other).count()
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_id(out: &mut Vec<u8>, id: &str) {
    let (prefix, rest) = prefix_of(id);
    let mut kind = |rest: Rest| out.push(u8::try_from(prefix * RESTS.len() + rest as usize).unwrap_or(0));
    if let Some(number) = number(rest) {
        kind(Rest::Number);
        out.push(u8::try_from(rest.len()).unwrap_or(0));
        put_varint(out, number);
    } else if let Some(bytes) = from_hex::<12>(rest.as_bytes()) {
        kind(Rest::Plex);
        out.extend_from_slice(&bytes);
    } else if let Some(bytes) = uuid(rest.as_bytes()) {
        kind(Rest::Uuid);
        out.extend_from_slice(&bytes);
    } else {
        kind(Rest::Text);
        put_text(out, rest);
    }
}

/// The prefix of [`PREFIXES`] that an id begins with, and what follows it. Only those of its first four bytes are compared.
fn prefix_of(id: &str) -> (usize, &str) {
    let alike = match id.as_bytes() {
        [b'p', b'l', b'e', b'x', ..] => 1..7,
        [b'i', b'm', b'd', b'b', ..] => 7..8,
        [b't', b'm', b'd', b'b', ..] => 8..9,
        [b't', b'v', b'd', b'b', ..] => 9..10,
        [b'm', b'b', b'i', b'd', ..] => 10..11,
        _ => 0..0,
    };
    let mut known = PREFIXES.iter().enumerate().take(alike.end).skip(alike.start);
    known
        .find_map(|(at, prefix)| Some((at, id.strip_prefix(prefix)?)))
        .unwrap_or((0, id))
}

/// The number of nothing but digits.
fn number(text: &str) -> Option<u64> {
    if !(1..=DIGITS).contains(&text.len()) {
        return None;
    }
    // So many digits fit.
    text.bytes().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || DASHES.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    let without = (0..36).filter(|at| !DASHES.contains(at)).map(|at| text[at]);
    digits.iter_mut().zip(without).for_each(|(to, from)| *to = from);
    from_hex(&digits)
}

fn put_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

/// What of a cell is not read yet.
struct Reader<'c>(&'c [u8]);

impl<'c> Reader<'c> {
    fn texts(mut self) -> Option<Texts> {
        let title = self.text()?;
        let guid = self.id()?;
        let count = self.length()?;
        let guids = (0..count).map(|_| self.id()).collect::<Option<_>>()?;
        let count = self.length()?;
        let mut said = title.clone().into_bytes();
        let parts = (0..count).map(|_| self.path(&mut said)).collect::<Option<_>>()?;
        self.0.is_empty().then_some(Texts {
            title,
            guid,
            guids,
            parts,
        })
    }

    fn varint(&mut self) -> Option<u64> {
        let (value, used) = varint(self.0)?;
        self.0 = &self.0[used..];
        Some(value)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|length| *length <= LONGEST)
    }

    fn take(&mut self, length: usize) -> Option<&'c [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn id(&mut self) -> Option<String> {
        let kind = usize::from(self.take(1)?[0]);
        let mut id = (*PREFIXES.get(kind / RESTS.len())?).to_owned();
        match RESTS[kind % RESTS.len()] {
            Rest::Text => id.push_str(&self.text()?),
            Rest::Number => {
                let digits = usize::from(self.take(1)?[0]);
                let number = self.varint()?.to_string();
                id.extend(std::iter::repeat_n('0', digits.checked_sub(number.len())?));
                id.push_str(&number);
            }
            Rest::Plex => put_hex(&mut id, self.take(12)?),
            Rest::Uuid => {
                let bytes = self.take(16)?;
                for (at, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                    if at > 0 {
                        id.push('-');
                    }
                    put_hex(&mut id, &bytes[part]);
                }
            }
        }
        Some(id)
    }

    fn path(&mut self, said: &mut Vec<u8>) -> Option<String> {
        let begin = said.len();
        let end = begin + self.length()?;
        while said.len() < end {
            let piece = self.varint()?;
            let length = usize::try_from(piece >> 1).ok()?;
            if piece & 1 == 0 {
                said.extend_from_slice(self.take(length).filter(|bytes| !bytes.is_empty())?);
            } else {
                let length = length.checked_add(LEAST).filter(|length| *length <= end - said.len())?;
                let from = self.length()?;
                // It may reach into what it makes.
                for at in from..from + length {
                    said.push(*said.get(at)?);
                }
            }
        }
        (said.len() == end)
            .then(|| String::from_utf8(said[begin..].to_vec()).ok())
            .flatten()
    }
}

#[cfg(test)]
#[path = "texts_tests.rs"]
mod tests;
