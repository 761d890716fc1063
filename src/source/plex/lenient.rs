//! Parses foreign JSON without losing a row to one odd field.
//!
//! Plex changes the types of its fields between versions and places: keys are text or numbers, flags are `1`, `"1"` or
//! `true`, and anything may be missing or `null`. Two rules follow. A scalar that cannot be converted is absent, and a
//! list or object in its place is skipped. And an object is filled field by field while it is parsed, so that unknown
//! fields only cost skipping, and nothing unused is built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::ItemType;

/// A scalar of foreign JSON.
pub(super) enum Scalar {
    Text(String),
    Integer(i128),
    Bool(bool),
    /// `null`, a fraction, a list or an object.
    Absent,
}

impl Scalar {
    /// Converts to text; `None` if it contains a NUL. Nothing that Plex names has one, and C would stop reading there,
    /// so that a key would become another item's.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => (!text.contains('\0')).then_some(text),
            Self::Integer(number) => Some(number.to_string()),
            Self::Bool(_) | Self::Absent => None,
        }
    }

    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent => return None,
        };
        number.try_into().ok()
    }

    pub fn flag(self) -> bool {
        match self {
            Self::Text(text) => matches!(text.trim(), "1" | "true"),
            Self::Integer(number) => number != 0,
            Self::Bool(flag) => flag,
            Self::Absent => false,
        }
    }

    pub fn item_type(self) -> Option<ItemType> {
        match self {
            Self::Text(name) => Some(ItemType::from_name(&name)),
            other => other.number().map(ItemType::from_number),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

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

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        // 2^53: beyond it floats are not exact integers.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        // The cast is exact: the value is whole and in range.
        #[allow(clippy::cast_possible_truncation)]
        Ok(if value.fract() == 0.0 && value.abs() < WHOLE {
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

/// Reads the next value of a map as text; empty if it is none.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(scalar(map)?.text().unwrap_or_default())
}

/// Skips the next value of a map.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A type that is filled from a JSON object, or in turn from each object of an array.
pub(super) trait Object {
    /// Reads the value of the field `name` from `map`; must consume exactly one value.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Called after each element of an array, objects or not; `false` stops the parsing with an error.
    fn after_element(&mut self) -> bool {
        true
    }
}

/// Fills an object from the next value of a map. Returns whether that value is an object.
pub(super) fn fill<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<bool, A::Error> {
    map.next_value_seed(Fields { object, is_list: false })
}

/// Fills an object from each object of an array that is the next value of a map. A lone object counts as an array of one.
pub(super) fn fill_each<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<(), A::Error> {
    map.next_value_seed(Fields { object, is_list: true }).map(drop)
}

/// Fills an object; skips values that are neither an object nor, with `is_list`, an array. Returns whether the value is an
/// object.
pub(super) struct Fields<'a, T> {
    pub object: &'a mut T,
    pub is_list: bool,
}

impl<T: Object> Fields<'_, T> {
    fn end_element<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.is_list && !self.object.after_element() {
            return Err(E::custom("stopped"));
        }
        Ok(())
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for Fields<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A field's name, borrowed if the whole body is in memory.
#[derive(serde::Deserialize)]
struct FieldName<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de, T: Object> Visitor<'de> for Fields<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<bool, A::Error> {
        if !self.is_list {
            return IgnoredAny.visit_seq(seq).map(|_| false);
        }
        loop {
            let element = Fields {
                object: &mut *self.object,
                is_list: false,
            };
            if seq.next_element_seed(element)?.is_none() {
                return Ok(false);
            }
            self.end_element()?;
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        while let Some(FieldName(name)) = map.next_key::<FieldName<'de>>()? {
            self.object.fill(&name, &mut map)?;
        }
        self.end_element().map(|()| true)
    }
}

/// Collects one text field of each object in an array.
pub(super) struct TextFields<'a> {
    pub name: &'static str,
    pub list: &'a mut Vec<String>,
}

impl Object for TextFields<'_> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != self.name {
            return skip(map);
        }
        push_unique(self.list, scalar(map)?.text());
        Ok(())
    }
}

/// Maximum number of files, external ids or folders kept per row, and of libraries: far more than exist, and few enough
/// that searching for duplicates stays cheap.
pub(super) const LIST_LIMIT: usize = 1024;

/// Adds a text unless it is absent, empty or a duplicate. Remote trailers have empty files; two versions of an item may
/// have the same file.
pub(in crate::source) fn push_unique(list: &mut Vec<String>, text: Option<String>) {
    if let Some(text) = text
        && !text.is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}
