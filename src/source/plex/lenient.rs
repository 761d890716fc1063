//! Parses JSON from a server leniently, so that one odd field does not make a whole row unusable.
//!
//! The types of Plex's fields differ between versions and endpoints: keys are strings or numbers, flags are `1`, `"1"`
//! or `true`, and any field may be missing or `null`. So the parser treats a scalar that it cannot convert as absent,
//! and skips a list or object where a scalar is expected. The parser skips unknown fields without building values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::sanitize::{decode, decode_lossy};
use crate::model::{ByteString, ItemType};

/// A scalar in JSON from a server.
pub(super) enum Scalar {
    Text(String),
    Integer(i128),
    Bool(bool),
    /// `null`, a fraction, a list or an object.
    Absent,
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
            Self::Bool(_) | Self::Absent => None,
        }
    }

    /// Converts to an integer, also from a string; `None` for other values, or if the integer is out of range.
    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent => return None,
        };
        number.try_into().ok()
    }

    /// Converts to a flag. `true`, `"true"`, `"1"` and all numbers except 0 are true; other values are false.
    pub fn flag(self) -> bool {
        match self {
            Self::Text(text) => matches!(text.trim(), "1" | "true"),
            Self::Integer(number) => number != 0,
            Self::Bool(flag) => flag,
            Self::Absent => false,
        }
    }

    /// Returns whether the field has a value, such as the time in `deletedAt`; `false` for 0 and an empty string.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Text(text) => !matches!(text.trim(), "" | "0"),
            Self::Integer(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::Absent => false,
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

impl<'de> Deserialize<'de> for Scalar {
    /// Reads any value as a scalar. Never fails for valid JSON.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// Converts any JSON value to a [`Scalar`].
struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
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

    /// Skips a list, so that a list where a scalar is expected counts as absent.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Scalar::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Scalar::Absent)
    }
}

/// Reads the next value of a map as a scalar.
pub(super) fn scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Scalar, A::Error> {
    map.next_value()
}

/// Reads the next value of a map as a string, which may be a number. Returns an empty string for other types.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(scalar(map)?.text().unwrap_or_default())
}

/// Skips the next value of a map.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A type that the parser fills from a JSON object, or from each object in an array.
pub(super) trait Object {
    /// Reads the field `name`, whose value is next in `map`. An implementation must consume exactly one value.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Called after each element of an array, even if the element is not an object. Returns whether to continue: after
    /// `false`, the parser stops with an error.
    fn after_element(&mut self) -> bool {
        true
    }
}

/// Passes the fields of the map's next value to `object`, or skips the value if it is not a JSON object. Returns
/// whether it is a JSON object.
pub(super) fn fill<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<bool, A::Error> {
    map.next_value_seed(ObjectFiller { object, is_list: false })
}

/// Passes the fields of each JSON object in the map's next value, an array or a single object, to `object`, which
/// collects them: the parser builds no list.
pub(super) fn collect_from_each<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<(), A::Error> {
    map.next_value_seed(ObjectFiller { object, is_list: true }).map(drop)
}

/// Passes the fields of a JSON object or, if `is_list` is true, of each object in an array to `object`. Skips other
/// values. Deserializing returns whether the value is a JSON object.
pub(super) struct ObjectFiller<'a, T> {
    pub object: &'a mut T,
    pub is_list: bool,
}

impl<T: Object> ObjectFiller<'_, T> {
    /// Tells `object` that an array element has ended. Fails, to stop the parser, if `object` accepts no more elements.
    fn end_element<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.is_list && !self.object.after_element() {
            return Err(E::custom("stopped"));
        }
        Ok(())
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for ObjectFiller<'_, T> {
    type Value = bool;

    /// Passes the next value's fields to the object. Skips other values. Returns whether the value is a JSON object.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A field name, borrowed from the body if it contains no escapes.
#[derive(serde::Deserialize)]
struct FieldName<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de, T: Object> Visitor<'de> for ObjectFiller<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    /// Returns `false`: a string is not an object.
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    /// Returns `false`: an integer is not an object.
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    /// Returns `false`: an integer is not an object.
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    /// Returns `false`: a fraction is not an object.
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    /// Returns `false`: a flag is not an object.
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    /// Returns `false`: `null` is not an object.
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    /// Passes each element's fields to the object if `is_list` is true. Returns `false`: a list is not an object.
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<bool, A::Error> {
        if !self.is_list {
            return IgnoredAny.visit_seq(seq).map(|_| false);
        }
        loop {
            let element = ObjectFiller {
                object: &mut *self.object,
                is_list: false,
            };
            if seq.next_element_seed(element)?.is_none() {
                return Ok(false);
            }
            self.end_element()?;
        }
    }

    /// Passes the fields of a JSON object to the object. Returns `true`: the value is an object.
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        while let Some(FieldName(name)) = map.next_key::<FieldName<'de>>()? {
            self.object.fill(&name, &mut map)?;
        }
        self.end_element().map(|()| true)
    }
}

/// Collects one string field, such as a file's path, from each object in an array.
pub(super) struct TextFields<'a> {
    pub name: &'static str,
    pub list: &'a mut Vec<String>,
}

impl Object for TextFields<'_> {
    /// Adds the wanted field's value to the list. Skips other fields.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != self.name {
            return skip(map);
        }
        push_unique(self.list, scalar(map)?.text());
        Ok(())
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
