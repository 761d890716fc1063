//! Parses foreign JSON leniently, so that one odd field does not make a whole row unusable.
//!
//! The types of Plex's fields differ between versions and endpoints: keys are text or numbers, flags are `1`, `"1"` or
//! `true`, and any field may be missing or `null`. So the parser treats a scalar that it cannot convert as absent, and
//! skips a list or object in place of a scalar. It fills objects field by field, and skips unknown fields without
//! building values.

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
    /// Converts to text. Returns `None` for a text with a NUL: Plex's texts have no NUL, and C code would read a
    /// shorter text, such as the key of a different item.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => (!text.contains('\0')).then_some(text),
            Self::Integer(number) => Some(number.to_string()),
            Self::Bool(_) | Self::Absent => None,
        }
    }

    /// Converts to an integer, including an integer in a text; `None` for other values, or if the integer is out of
    /// range.
    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent => return None,
        };
        number.try_into().ok()
    }

    /// Converts to a flag: `1`, `"1"`, `true`, `"true"` and all other numbers except 0 are true.
    pub fn flag(self) -> bool {
        match self {
            Self::Text(text) => matches!(text.trim(), "1" | "true"),
            Self::Integer(number) => number != 0,
            Self::Bool(flag) => flag,
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

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    /// Keeps a text.
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    /// Keeps an integer.
    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    /// Keeps an integer.
    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    /// Converts a whole number, such as `1.0`, to an integer. Other numbers are absent.
    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        // 2^53: a larger float may represent several integers.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        // The cast is exact, since the value is an integer in range.
        #[allow(clippy::cast_possible_truncation)]
        Ok(if value.fract() == 0.0 && value.abs() < MAX_EXACT {
            Scalar::Integer(value as i128)
        } else {
            Scalar::Absent
        })
    }

    /// Keeps a flag.
    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    /// Treats `null` as absent.
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    /// Skips a list, and treats it as absent.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Scalar::Absent)
    }

    /// Skips an object, and treats it as absent.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Scalar::Absent)
    }
}

/// Reads the next value of a map as a scalar.
pub(super) fn scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Scalar, A::Error> {
    map.next_value()
}

/// Reads the next value of a map as text. Returns an empty text for other values.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(scalar(map)?.text().unwrap_or_default())
}

/// Skips the next value of a map.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A type that can be filled from a JSON object, or from the objects of an array one after the other.
pub(super) trait Object {
    /// Reads the value of the field `name` from `map`. An implementation must consume exactly one value.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Ends an element of an array, even an element that is not an object. If an implementation returns `false`, the
    /// parser stops with an error.
    fn after_element(&mut self) -> bool {
        true
    }
}

/// Fills an object from the next value of a map. Returns whether the value is an object.
pub(super) fn fill<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<bool, A::Error> {
    map.next_value_seed(Fields { object, is_list: false })
}

/// Fills an object from each object of an array that is the next value of a map. A lone object counts as an array with
/// one element.
pub(super) fn fill_each<'de, A: MapAccess<'de>>(map: &mut A, object: &mut impl Object) -> Result<(), A::Error> {
    map.next_value_seed(Fields { object, is_list: true }).map(drop)
}

/// Fills an object from an object or, with `is_list`, from each object of an array. Skips other values. Returns whether
/// the value is an object.
pub(super) struct Fields<'a, T> {
    pub object: &'a mut T,
    pub is_list: bool,
}

impl<T: Object> Fields<'_, T> {
    /// Notifies the object of the end of an element. Fails if the object accepts no more elements.
    fn end_element<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.is_list && !self.object.after_element() {
            return Err(E::custom("stopped"));
        }
        Ok(())
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for Fields<'_, T> {
    type Value = bool;

    /// Fills the object from the next value, of any type.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A field's name, borrowed from the body if it has no escapes.
#[derive(serde::Deserialize)]
struct FieldName<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de, T: Object> Visitor<'de> for Fields<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    /// Skips a text, which is not an object.
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    /// Skips an integer where an object is expected.
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    /// Skips an integer, which is not an object.
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    /// Skips a fraction, which is not an object.
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    /// Skips a flag, which is not an object.
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    /// Skips `null`, which is not an object.
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    /// Fills the object from each element of a list, if lists are allowed.
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

    /// Fills the object from the fields of a JSON object.
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
    /// Adds the value of the wanted field to the list, and skips other fields.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != self.name {
            return skip(map);
        }
        push_unique(self.list, scalar(map)?.text());
        Ok(())
    }
}

/// Maximum number of files, external ids or folders per row, and of libraries. Real lists are far shorter, and the
/// search for duplicates in longer lists would be slow.
pub(super) const LIST_LIMIT: usize = 1024;

/// Adds a text unless it is absent, empty or a duplicate. Remote trailers have files with empty names, and two versions
/// of an item may have the same file.
pub(in crate::source) fn push_unique(list: &mut Vec<String>, text: Option<String>) {
    if let Some(text) = text
        && !text.is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}
