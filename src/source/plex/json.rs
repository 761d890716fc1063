//! JSON that is held in memory, read by the same visitors as by `serde_json`: what none of them wants is passed over sixteen
//! bytes at a time, with the same checks.
//!
//! It reads what is plain JSON and ends at all else, without saying what it was: the caller then reads it anew with
//! `serde_json`, whose verdict counts.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::platform::bytes::{AT_ONCE, plain};

/// Why reading ended. Without a text: it comes back from each step, and has to be small.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// This is no JSON, or none that is read here.
    NotPlain,
    /// A visitor wanted to stop.
    Stopped,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPlain => "no plain JSON",
            Self::Stopped => "stopped",
        })
    }
}

impl std::error::Error for Left {}

impl serde::de::Error for Left {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Stopped
    }
}

type Read<T> = Result<T, Left>;

/// Where reading has come to.
pub(super) struct Json<'de> {
    text: &'de str,
    at: usize,
}

/// A string as it is meant.
enum Text<'de> {
    Plain(&'de str),
    /// It had escapes.
    Made(String),
}

impl<'de> Json<'de> {
    pub fn new(text: &'de str) -> Self {
        Self { text, at: 0 }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Read<()> {
        match self.next() {
            Err(Left::NotPlain) if self.at == self.text.len() => Ok(()),
            _ => Err(Left::NotPlain),
        }
    }

    #[inline]
    fn byte(&self) -> Read<u8> {
        self.text.as_bytes().get(self.at).copied().ok_or(Left::NotPlain)
    }

    /// The next byte that is no white space, which stays.
    #[inline]
    fn next(&mut self) -> Read<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Ok(byte),
            }
        }
    }

    /// Takes this byte, if it comes next.
    #[inline]
    fn takes(&mut self, byte: u8) -> Read<bool> {
        let is_it = self.next()? == byte;
        self.at += usize::from(is_it);
        Ok(is_it)
    }

    #[inline]
    fn must_take(&mut self, byte: u8) -> Read<()> {
        if self.takes(byte)? { Ok(()) } else { Err(Left::NotPlain) }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Left::NotPlain);
        }
        self.at += word.len();
        Ok(())
    }

    /// The place of the next byte that ends what is plain in a string.
    #[inline]
    fn plain_end(&self, mut at: usize) -> Read<usize> {
        let bytes = self.text.as_bytes();
        while let Some(some) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let plain = plain(some);
            at += plain;
            if plain < AT_ONCE {
                return Ok(at);
            }
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
        end.map(|end| at + end).ok_or(Left::NotPlain)
    }

    /// The string behind a quotation mark.
    #[inline]
    fn string(&mut self) -> Read<Text<'de>> {
        let begin = self.at;
        let end = self.plain_end(begin)?;
        if self.text.as_bytes()[end] != b'"' {
            return self.escaped(begin);
        }
        self.at = end + 1;
        self.text.get(begin..end).map(Text::Plain).ok_or(Left::NotPlain)
    }

    #[cold]
    fn escaped(&mut self, begin: usize) -> Read<Text<'de>> {
        self.skip_string()?;
        let quoted = self.text.get(begin - 1..self.at).ok_or(Left::NotPlain)?;
        serde_json::from_str(quoted).map(Text::Made).map_err(|_| Left::NotPlain)
    }

    #[inline]
    fn skip_string(&mut self) -> Read<()> {
        loop {
            self.at = self.plain_end(self.at)?;
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.skip_escape()?,
                _ => return Err(Left::NotPlain),
            }
        }
    }

    #[cold]
    fn skip_escape(&mut self) -> Read<()> {
        self.at += 1;
        let is_code = match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => false,
            b'u' => true,
            _ => return Err(Left::NotPlain),
        };
        self.at += 1;
        if is_code {
            let code = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Left::NotPlain)?;
            if !code.iter().all(u8::is_ascii_hexdigit) {
                return Err(Left::NotPlain);
            }
            self.at += 4;
        }
        Ok(())
    }

    /// Passes over digits, and tells how many there were.
    #[inline]
    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.byte().is_ok_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    /// Passes over a number; gives whether it is a whole one, of few digits.
    #[inline]
    fn skip_number(&mut self) -> Read<bool> {
        self.at += usize::from(self.byte()? == b'-');
        let begins_with_zero = self.byte()? == b'0';
        let mut digits = self.digits();
        if digits == 0 || (begins_with_zero && digits > 1) {
            return Err(Left::NotPlain);
        }
        let mut whole = digits < 19;
        if self.byte().is_ok_and(|byte| byte == b'.') {
            self.at += 1;
            digits = self.digits();
            whole = false;
        }
        if self.byte().is_ok_and(|byte| matches!(byte, b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(self.byte().is_ok_and(|byte| matches!(byte, b'+' | b'-')));
            digits = digits.min(self.digits());
            whole = false;
        }
        if digits == 0 { Err(Left::NotPlain) } else { Ok(whole) }
    }

    #[inline]
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Read<V::Value> {
        let begin = self.at;
        let whole = self.skip_number()?;
        let number = self.text.get(begin..self.at).ok_or(Left::NotPlain)?;
        if whole && !number.starts_with('-') {
            let value = number
                .bytes()
                .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            return visitor.visit_u64(value);
        }
        let number: serde_json::Number = serde_json::from_str(number).map_err(|_| Left::NotPlain)?;
        number.deserialize_any(visitor).map_err(Left::custom)
    }

    /// Passes over the name of a field, and what stands behind it.
    #[inline]
    fn skip_name(&mut self) -> Read<()> {
        self.must_take(b'"')?;
        self.skip_string()?;
        self.must_take(b':')
    }

    /// Passes over a value, whatever is in it.
    #[inline]
    fn skip(&mut self) -> Read<()> {
        match self.next()? {
            b'"' => {
                self.at += 1;
                self.skip_string()
            }
            b'-' | b'0'..=b'9' => self.skip_number().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' | b'[' => self.skip_whole(),
            _ => Err(Left::NotPlain),
        }
    }

    /// Passes over an object or an array.
    fn skip_whole(&mut self) -> Read<()> {
        /// Few have objects within as many others.
        const DEEPEST: u32 = 100;
        // A bit for each that is open, the innermost lowest: whether it is an object.
        let (mut open, mut depth) = (0_u128, 0);
        loop {
            let kind = self.next()?;
            if matches!(kind, b'{' | b'[') && depth < DEEPEST {
                self.at += 1;
                let is_object = kind == b'{';
                (open, depth) = (open << 1 | u128::from(is_object), depth + 1);
                if !self.ends(is_object)? {
                    if is_object {
                        self.skip_name()?;
                    }
                    continue;
                }
                (open, depth) = (open >> 1, depth - 1);
            } else if matches!(kind, b'{' | b'[') {
                return Err(Left::NotPlain);
            } else {
                self.skip()?;
            }
            // A value has ended, and perhaps what it stands in.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = open & 1 == 1;
                if self.takes(b',')? {
                    if is_object {
                        self.skip_name()?;
                    }
                    break;
                }
                if !self.ends(is_object)? {
                    return Err(Left::NotPlain);
                }
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    /// Takes the end of an object or array, if it comes next.
    #[inline]
    fn ends(&mut self, is_object: bool) -> Read<bool> {
        self.takes(if is_object { b'}' } else { b']' })
    }
}

impl<'de> Deserializer<'de> for &mut Json<'de> {
    type Error = Left;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.next()? {
            b'"' => {
                self.at += 1;
                match self.string()? {
                    Text::Plain(text) => visitor.visit_borrowed_str(text),
                    Text::Made(text) => visitor.visit_str(&text),
                }
            }
            b'-' | b'0'..=b'9' => self.number(visitor),
            b'{' => {
                self.at += 1;
                visitor.visit_map(Inside {
                    json: self,
                    is_first: true,
                })
            }
            b'[' => {
                self.at += 1;
                visitor.visit_seq(Inside {
                    json: self,
                    is_first: true,
                })
            }
            b't' => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            b'n' => {
                self.word("null")?;
                visitor.visit_unit()
            }
            _ => Err(Left::NotPlain),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// An object or an array that is being read; visitors read all of it.
struct Inside<'j, 'de> {
    json: &'j mut Json<'de>,
    is_first: bool,
}

impl Inside<'_, '_> {
    /// Whether there is one more; what stands before it is taken.
    #[inline]
    fn goes_on(&mut self, is_object: bool) -> Read<bool> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.json.ends(is_object)? {
            return Ok(false);
        }
        if !is_first {
            self.json.must_take(b',')?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Inside<'_, 'de> {
    type Error = Left;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if !self.goes_on(true)? {
            return Ok(None);
        }
        self.json.must_take(b'"')?;
        let name = self.json.string()?;
        self.json.must_take(b':')?;
        match name {
            Text::Plain(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Text::Made(name) => seed.deserialize(serde::de::value::StringDeserializer::new(name)),
        }
        .map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(&mut *self.json)
    }
}

impl<'de> SeqAccess<'de> for Inside<'_, 'de> {
    type Error = Left;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if !self.goes_on(false)? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.json).map(Some)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
