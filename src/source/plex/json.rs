//! Parses JSON from a server, leniently.
//!
//! The types of Plex's fields differ between versions and endpoints: keys are strings or numbers, flags are `1`, `"1"`
//! or `true`, and any field may be missing or `null`. So the parser treats a scalar that it cannot convert as absent,
//! and skips a list or object where a scalar is expected. The parser skips unknown fields without building values.
//!
//! Titles and file names come from disks and web sites, and may contain what JSON forbids: bytes that are not UTF-8,
//! raw control characters, or half a surrogate pair. Tools truncate titles, and Python writes a byte that is not UTF-8
//! as such a half. So strings are bytes here, and the parser restores the bytes that Python wrote.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;

use crate::model::{ByteString, ItemType};

/// A scalar in JSON from a server, or what stands in its place.
pub(super) enum Scalar<'de> {
    /// A string, borrowed from the text if it contains no escapes.
    Text(Cow<'de, [u8]>),
    Integer(i128),
    Bool(bool),
    /// `null`, a fraction, a list or an object.
    Absent,
}

impl<'de> Scalar<'de> {
    /// Converts a string or an integer to a string, with U+FFFD for bytes that are not UTF-8. Returns `None` for other
    /// types, and for a string with a NUL: Plex never sends a NUL, and C code would read a shorter string, such as the
    /// key of a different item.
    pub fn text(self) -> Option<String> {
        let text = String::from_utf8(self.raw_text()?.into_owned());
        Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Converts like [`Scalar::text`], and keeps bytes that are not UTF-8, as in names of files.
    pub fn bytes(self) -> Option<ByteString> {
        self.raw_text().map(|text| ByteString(text.into_owned()))
    }

    fn raw_text(self) -> Option<Cow<'de, [u8]>> {
        match self {
            Self::Text(text) => (!text.contains(&0)).then_some(text),
            Self::Integer(number) => Some(number.to_string().into_bytes().into()),
            Self::Bool(_) | Self::Absent => None,
        }
    }

    /// Converts to an integer, also from a string; `None` for other values, or if the integer is out of range.
    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => str::from_utf8(&text).ok()?.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent => return None,
        };
        number.try_into().ok()
    }

    /// Returns whether the value is a set flag or a time, such as that in `deletedAt`: `false` for 0, `"0"`, `"false"`
    /// and an empty string.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Text(text) => !matches!(text.trim_ascii(), b"" | b"0" | b"false"),
            Self::Integer(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::Absent => false,
        }
    }

    /// Converts the name or number of an item type; `None` for other values.
    pub fn item_type(self) -> Option<ItemType> {
        match self {
            Self::Text(name) => Some(ItemType::from_name(str::from_utf8(&name).unwrap_or_default())),
            other => other.number().map(ItemType::from_number),
        }
    }
}

/// Why the parser stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The function that reads the objects wants no more.
    Told,
    /// The text is not JSON at this offset.
    Malformed { at: usize, length: usize },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("stopped"),
            Self::Malformed { at, length } => write!(f, "at byte {at} of {length}"),
        }
    }
}

/// Parses a JSON text, and passes it to `read` if it is an object. `read` must read all fields, or stop.
pub(super) fn parse<'de>(
    text: &'de [u8],
    read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut json = Json { text, position: 0 };
    json.object(read)?;
    json.peek().map_or(Ok(()), |_| json.malformed())
}

/// The fields of a JSON object that are left. The same field may come twice. After each name, the caller must read or
/// skip the value.
pub(super) struct Fields<'p, 'de> {
    json: &'p mut Json<'de>,
    has_begun: bool,
    has_ended: bool,
}

impl<'de> Fields<'_, 'de> {
    /// Reads the next field's name.
    pub fn next(&mut self) -> Result<Option<Cow<'de, [u8]>>, Stop> {
        self.has_ended = self.has_ended || !self.json.has_next(b'}', &mut self.has_begun)?;
        if self.has_ended {
            return Ok(None);
        }
        let name = self.json.string()?;
        self.json.expect(b':')?;
        Ok(Some(name))
    }

    /// Skips the field's value.
    pub fn skip(&mut self) -> Result<(), Stop> {
        self.json.skip()
    }

    /// Reads the field's value, of whatever type, as a scalar.
    pub fn scalar(&mut self) -> Result<Scalar<'de>, Stop> {
        self.json.scalar()
    }

    /// Passes the object in the field's value to `read`. Skips other values.
    pub fn object(&mut self, read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<(), Stop> {
        self.json.object(read).map(drop)
    }

    /// Passes the object in the field's value to `read`, or each element of the list there, one by one. An element that
    /// is no object counts as one without fields. Skips other values.
    pub fn objects(&mut self, mut read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<(), Stop> {
        if !self.json.eat(b'[') {
            return self.object(read);
        }
        let mut has_begun = false;
        while self.json.has_next(b']', &mut has_begun)? {
            if !self.json.object(&mut read)? {
                read(&mut Fields {
                    json: &mut *self.json,
                    has_begun: false,
                    has_ended: true,
                })?;
            }
        }
        Ok(())
    }

    /// Reads the field's value as a string, which may be a number. Returns an empty string for other types.
    pub fn text(&mut self) -> Result<String, Stop> {
        Ok(self.scalar()?.text().unwrap_or_default())
    }
}

/// Length of an escape such as `\ud83d`.
const ESCAPE_LENGTH: usize = 6;

/// A JSON text, of which the bytes before `position` are parsed.
struct Json<'de> {
    text: &'de [u8],
    position: usize,
}

impl<'de> Json<'de> {
    fn malformed<T>(&self) -> Result<T, Stop> {
        let (at, length) = (self.position, self.text.len());
        Err(Stop::Malformed { at, length })
    }

    /// Returns the bytes that are not parsed yet.
    fn rest(&self) -> &'de [u8] {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// Returns the next byte that is neither white space nor a control character; `None` at the end of the text.
    fn peek(&mut self) -> Option<u8> {
        while let Some(..=b' ') = self.text.get(self.position) {
            self.position += 1;
        }
        self.text.get(self.position).copied()
    }

    /// Parses this byte, if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.position += usize::from(is_next);
        is_next
    }

    /// Parses this byte. Fails if another one is next.
    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.eat(byte) { Ok(()) } else { self.malformed() }
    }

    /// Parses the comma before the next element, if there is one; otherwise the list's or object's end `close`. Returns
    /// whether there is one. `has_begun`: whether it had elements so far.
    fn has_next(&mut self, close: u8, has_begun: &mut bool) -> Result<bool, Stop> {
        if self.eat(close) {
            return Ok(false);
        }
        if std::mem::replace(has_begun, true) {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Passes an object to `read`. Skips another value, and returns `false`.
    fn object(&mut self, mut read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<bool, Stop> {
        let is_object = self.eat(b'{');
        if is_object {
            read(&mut Fields {
                json: self,
                has_begun: false,
                has_ended: false,
            })?;
        } else {
            self.skip()?;
        }
        Ok(is_object)
    }

    /// Skips a value. Checks only its strings and brackets.
    fn skip(&mut self) -> Result<(), Stop> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.position += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.position += 1;
                }
                Some(b',' | b':') if depth > 0 => self.position += 1,
                _ if self.word().is_empty() => return self.malformed(),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Returns the number or literal at the position; empty if there is none.
    fn word(&mut self) -> &'de [u8] {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Reads a value of any type. Converts a whole number below 2^53, such as `1.0`, to an integer. Treats other
    /// fractions as absent.
    fn scalar(&mut self) -> Result<Scalar<'de>, Stop> {
        // 2^53; a larger float may represent several integers.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        match self.peek() {
            Some(b'"') => return self.string().map(Scalar::Text),
            Some(b'{' | b'[') => return self.skip().map(|()| Scalar::Absent),
            _ => {}
        }
        let word = match self.word() {
            b"true" => return Ok(Scalar::Bool(true)),
            b"false" => return Ok(Scalar::Bool(false)),
            b"null" => return Ok(Scalar::Absent),
            word => str::from_utf8(word).unwrap_or_default(),
        };
        // Nearly all are short, which is parsed twice as fast.
        if let Ok(integer) = word.parse::<i64>().map(i128::from).or_else(|_| word.parse()) {
            return Ok(Scalar::Integer(integer));
        }
        match word.parse::<f64>() {
            // The cast is exact, because the value is an integer in range.
            #[allow(clippy::cast_possible_truncation)]
            Ok(number) if number.fract() == 0.0 && number.abs() < MAX_EXACT => Ok(Scalar::Integer(number as i128)),
            Ok(_) => Ok(Scalar::Absent),
            Err(_) => self.malformed(),
        }
    }

    /// Reads a string, and replaces its escapes.
    fn string(&mut self) -> Result<Cow<'de, [u8]>, Stop> {
        self.expect(b'"')?;
        let piece = self.piece()?;
        if self.text.get(self.position) == Some(&b'"') {
            self.position += 1;
            return Ok(piece.into());
        }
        let mut unescaped = piece.to_vec();
        while self.text.get(self.position) != Some(&b'"') {
            self.unescape(&mut unescaped)?;
            unescaped.extend_from_slice(self.piece()?);
        }
        self.position += 1;
        Ok(unescaped.into())
    }

    /// Returns the string's bytes up to its end or its next escape.
    fn piece(&mut self) -> Result<&'de [u8], Stop> {
        let rest = self.rest();
        let length = memchr2(b'"', b'\\', rest);
        self.position += length.unwrap_or(rest.len());
        length.map_or_else(|| self.malformed(), |length| Ok(rest.get(..length).unwrap_or_default()))
    }

    /// Appends what the escape at the position stands for: a character, or a byte as Python writes it. A half of a
    /// surrogate pair becomes U+FFFD.
    fn unescape(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let Some(unit) = self.code_unit() else {
            out.push(match self.rest().get(1) {
                Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                _ => return self.malformed(),
            });
            self.position += 2;
            return Ok(());
        };
        self.position += ESCAPE_LENGTH;
        if let Some(byte @ 0x80..) = unit.checked_sub(0xDC00).and_then(|half| u8::try_from(half).ok()) {
            out.push(byte);
            return Ok(());
        }
        let is_first_half = matches!(unit, 0xD800..=0xDBFF);
        let second_half = self
            .code_unit()
            .filter(|next| is_first_half && matches!(next, 0xDC00..=0xDFFF));
        self.position += second_half.map_or(0, |_| ESCAPE_LENGTH);
        for c in char::decode_utf16([unit].into_iter().chain(second_half)) {
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    /// Returns the UTF-16 code unit of the escape `\uXXXX` at the position; `None` if there is no such escape.
    fn code_unit(&self) -> Option<u16> {
        let digits = self.rest().get(..ESCAPE_LENGTH)?.strip_prefix(b"\\u")?;
        // Rejects a sign, which the integer parser accepts.
        let are_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(str::from_utf8(digits).ok().filter(|_| are_hex)?, 16).ok()
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
