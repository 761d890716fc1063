//! Parses JSON from a server leniently, so that one odd field does not make a whole row unusable.
//!
//! The types of Plex's fields differ between versions and endpoints: keys are strings or numbers, flags are `1`, `"1"`
//! or `true`, and any field may be missing or `null`. So the parser treats a scalar that it cannot convert as absent,
//! and skips a list or object where a scalar is expected. The parser skips unknown fields without building values.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::sanitize::{decode, decode_lossy};
use crate::model::{ByteString, ItemType};

/// A scalar in JSON from a server, or what stands in its place.
pub(super) enum Scalar {
    Text(String),
    Integer(i128),
    Bool(bool),
    /// `null`, a fraction or a list.
    Absent,
    Object,
}

impl Scalar {
    /// Converts a string or an integer to a string. Returns `None` for other types, and for a string with a NUL: Plex
    /// never sends a NUL, and C code would read a shorter string, such as the key of a different item.
    pub fn text(self) -> Option<String> {
        self.raw_text().map(decode_lossy)
    }

    /// Converts like [`Scalar::text`], and keeps bytes that are not UTF-8, as in names of files.
    pub fn bytes(self) -> Option<ByteString> {
        self.raw_text().map(|text| ByteString(decode(text)))
    }

    /// Returns a string as [`sanitize`](super::sanitize::sanitize) encoded it.
    fn raw_text(self) -> Option<String> {
        match self {
            Self::Text(text) => (!text.contains('\0')).then_some(text),
            Self::Integer(number) => Some(number.to_string()),
            Self::Bool(_) | Self::Absent | Self::Object => None,
        }
    }

    /// Converts to an integer, also from a string; `None` for other values, or if the integer is out of range.
    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent | Self::Object => return None,
        };
        number.try_into().ok()
    }

    /// Returns whether the value is a set flag or a time, such as that in `deletedAt`: `false` for 0, `"0"`, `"false"`
    /// and an empty string.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Text(text) => !matches!(text.trim(), "" | "0" | "false"),
            Self::Integer(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::Absent | Self::Object => false,
        }
    }

    /// Converts the name or number of an item type; `None` for other values.
    pub fn item_type(self) -> Option<ItemType> {
        match self {
            Self::Text(name) => Some(ItemType::from_name(&name)),
            other => other.number().map(ItemType::from_number),
        }
    }
}

/// Says that the parser stops: an error of the JSON parser, which the caller of [`parse`] gets, or a limit.
pub(super) struct Stop;

/// A function that reads an object. `'de` is the lifetime of the parsed text.
pub(super) type ReadObject<'r, 'de> = &'r mut dyn FnMut(&mut dyn Fields<'de>) -> Result<(), Stop>;

/// The fields of a JSON object. The same field may come twice. After each name, the caller must read or skip the value.
pub(super) trait Fields<'de> {
    /// Reads the next field's name, borrowed from the text if it contains no escapes.
    fn next(&mut self) -> Result<Option<Cow<'de, str>>, Stop>;

    /// Skips the field's value, and builds nothing.
    fn skip(&mut self) -> Result<(), Stop>;

    /// Reads the field's value, of whatever type.
    fn value(&mut self, value: Value<'_, 'de>) -> Result<Scalar, Stop>;

    /// Reads the field's value, of whatever type, as a scalar.
    fn scalar(&mut self) -> Result<Scalar, Stop> {
        let (read, is_list) = (None, false);
        self.value(Value { read, is_list })
    }

    /// Passes the object in the field's value to `read`. Skips other values.
    fn object(&mut self, read: ReadObject<'_, 'de>) -> Result<(), Stop> {
        let (read, is_list) = (Some(read), false);
        self.value(Value { read, is_list }).map(drop)
    }

    /// Passes the object in the field's value to `read`, or each element of the list there, one by one. An element that
    /// is no object counts as one without fields. Skips other values.
    fn objects(&mut self, read: ReadObject<'_, 'de>) -> Result<(), Stop> {
        let (read, is_list) = (Some(read), true);
        self.value(Value { read, is_list }).map(drop)
    }

    /// Reads the field's value as a string, which may be a number. Returns an empty string for other types.
    fn text(&mut self) -> Result<String, Stop> {
        Ok(self.scalar()?.text().unwrap_or_default())
    }

    /// Adds the strings in the field `wanted` of each object in the field's value to `list`.
    fn texts(&mut self, wanted: &str, list: &mut Vec<String>) -> Result<(), Stop> {
        self.objects(&mut |object| {
            while let Some(name) = object.next()? {
                if name == wanted {
                    push_unique(list, object.scalar()?.text());
                } else {
                    object.skip()?;
                }
            }
            Ok(())
        })
    }
}

/// Parses a JSON text, and passes it to `read` if it is an object.
pub(super) fn parse<'de>(text: &'de str, read: ReadObject<'_, 'de>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Value {
        read: Some(read),
        is_list: false,
    };
    value.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A field name, borrowed from the text if it contains no escapes.
#[derive(Deserialize)]
struct FieldName<'n>(#[serde(borrow)] Cow<'n, str>);

/// The fields that `map` has left, and the error that made it stop.
struct MapFields<A, E> {
    map: A,
    error: Option<E>,
}

impl<'de, A: MapAccess<'de>> MapFields<A, A::Error> {
    /// Keeps an error for the caller of [`Fields`]' user.
    fn keep<T>(&mut self, result: Result<T, A::Error>) -> Result<T, Stop> {
        result.map_err(|error| {
            self.error = Some(error);
            Stop
        })
    }
}

impl<'de, A: MapAccess<'de>> Fields<'de> for MapFields<A, A::Error> {
    fn next(&mut self) -> Result<Option<Cow<'de, str>>, Stop> {
        let name = self.map.next_key::<FieldName<'de>>();
        Ok(self.keep(name)?.map(|FieldName(name)| name))
    }

    fn skip(&mut self) -> Result<(), Stop> {
        let skipped = self.map.next_value::<IgnoredAny>();
        self.keep(skipped).map(drop)
    }

    fn value(&mut self, value: Value<'_, 'de>) -> Result<Scalar, Stop> {
        let value = self.map.next_value_seed(value);
        self.keep(value)
    }
}

/// What stands in place of an object.
struct NoFields;

impl<'de> Fields<'de> for NoFields {
    fn next(&mut self) -> Result<Option<Cow<'de, str>>, Stop> {
        Ok(None)
    }

    fn skip(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    fn value(&mut self, _: Value<'_, 'de>) -> Result<Scalar, Stop> {
        Ok(Scalar::Absent)
    }
}

/// Reads any JSON value as a [`Scalar`]. Never fails for valid JSON.
pub(super) struct Value<'r, 'de> {
    /// Receives the object; `None` skips it.
    read: Option<ReadObject<'r, 'de>>,
    /// Whether `read` receives the elements of a list, too.
    is_list: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_, 'de> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, 'de> {
    type Value = Scalar;

    /// Describes the expected value in `serde`'s error messages.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    /// Converts a whole number below 2^53, such as `1.0`, to an integer. Treats other numbers as absent.
    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        // 2^53; a larger float may represent several integers.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        // The cast is exact, because the value is an integer in range.
        #[allow(clippy::cast_possible_truncation)]
        Ok(if value.fract() == 0.0 && value.abs() < MAX_EXACT {
            Scalar::Integer(value as i128)
        } else {
            Scalar::Absent
        })
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    /// Reads each element of a list, even one that is no object.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let Some(read) = self.read.filter(|_| self.is_list) else {
            return IgnoredAny.visit_seq(seq).map(|_| Scalar::Absent);
        };
        loop {
            let element = Value {
                read: Some(&mut *read),
                is_list: false,
            };
            match seq.next_element_seed(element)? {
                None => return Ok(Scalar::Absent),
                Some(Scalar::Object) => {}
                Some(_) => read(&mut NoFields).map_err(|Stop| A::Error::custom("stopped"))?,
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        let Some(read) = self.read else {
            return IgnoredAny.visit_map(map).map(|_| Scalar::Object);
        };
        let mut fields = MapFields { map, error: None };
        match read(&mut fields) {
            Ok(()) => Ok(Scalar::Object),
            Err(Stop) => Err(fields.error.unwrap_or_else(|| A::Error::custom("stopped"))),
        }
    }
}

/// Maximum number of files, external ids or folders in a row; also the maximum number of libraries. Real lists are much
/// shorter, and the search for duplicates in longer lists would be slow.
pub(super) const LIST_LIMIT: usize = 1024;

/// Adds a string to the list. Ignores an absent, empty or duplicate string, and any string if the list is full. Remote
/// trailers have files with empty names, and two versions of an item may have the same file.
pub(in crate::source) fn push_unique<T: AsRef<[u8]> + PartialEq>(list: &mut Vec<T>, text: Option<T>) {
    if let Some(text) = text
        && !text.as_ref().is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}
