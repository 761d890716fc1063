//! Reading foreign JSON without ever losing a row to one odd field.
//!
//! Plex changes the types of its fields between versions and places: keys are text or numbers, flags are `1`, `"1"`
//! or `true`, and anything may be missing or `null`. Two rules follow. A scalar that cannot become what is wanted is
//! absent, and a list or an object in its place is passed over. And an object is filled field by field while it is
//! parsed, so that unknown fields cost no more than skipping them, and nothing is built that is not kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::{ItemType, LONGEST_KEY, LibraryKind};

/// What a scalar of foreign JSON may become.
pub(super) trait FromScalar: Sized {
    /// From text; `None` leaves the field out.
    fn from_text(text: &str) -> Option<Self>;

    /// From a whole number; `None` leaves the field out.
    fn from_integer(value: i128) -> Option<Self>;

    /// From a truth value; most fields have none.
    fn from_bool(_value: bool) -> Option<Self> {
        None
    }
}

/// A text with a NUL is absent: nothing that Plex names has one, and behind it C would not read on, so that a key would become
/// another item's.
fn is_text(text: &str) -> bool {
    // All of it at once: most are so short that looking for the first one takes longer.
    text.bytes().fold(u8::MAX, u8::min) > 0
}

impl FromScalar for String {
    fn from_text(text: &str) -> Option<Self> {
        is_text(text).then(|| text.to_owned())
    }

    fn from_integer(value: i128) -> Option<Self> {
        Some(value.to_string())
    }
}

impl FromScalar for i64 {
    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn from_integer(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FromScalar for i32 {
    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn from_integer(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FromScalar for u64 {
    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn from_integer(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FromScalar for bool {
    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    fn from_integer(value: i128) -> Option<Self> {
        Some(value != 0)
    }

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl FromScalar for ItemType {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self::from_name(text))
    }

    fn from_integer(value: i128) -> Option<Self> {
        u8::try_from(value).ok().map(Self::from_number)
    }
}

impl FromScalar for LibraryKind {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self::from_name(text))
    }

    fn from_integer(_value: i128) -> Option<Self> {
        None
    }
}

/// A field of whatever JSON type, as a `T` where that is possible.
pub(super) struct Lenient<T>(pub Option<T>);

impl<'de, T: FromScalar> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor(PhantomData)).map(Self)
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: FromScalar> Visitor<'de> for LenientVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(text))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::from_integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(T::from_integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        // 2^53: beyond it a float names no whole number.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        // The cast is exact: the value is whole and in range.
        #[allow(clippy::cast_possible_truncation)]
        Ok(if value.fract() == 0.0 && value.abs() < WHOLE {
            T::from_integer(value as i128)
        } else {
            None
        })
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::from_bool(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The next value of a map as a `T`, where that is possible.
pub(super) fn scalar<'de, T: FromScalar, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    Ok(map.next_value::<Lenient<T>>()?.0)
}

/// Empties a key that is longer than any: what has none is left out. Gives whether it was.
pub(super) fn refuse_long(key: &mut String) -> bool {
    let is_long = key.len() > LONGEST_KEY;
    if is_long {
        key.clear();
    }
    is_long
}

/// The next value of a map as a text, into memory that is there; empty where that is not possible.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A, to: &mut String) -> Result<(), A::Error> {
    map.next_value_seed(TextInto(to))
}

struct TextInto<'t>(&'t mut String);

impl TextInto<'_> {
    fn put<E>(self, text: Result<Option<String>, E>) -> Result<(), E> {
        *self.0 = text?.unwrap_or_default();
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for TextInto<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextInto<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.clear();
        if is_text(text) {
            self.0.push_str(text);
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(LenientVisitor(PhantomData).visit_i64(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(LenientVisitor(PhantomData).visit_u64(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put(LenientVisitor(PhantomData).visit_f64(value))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(LenientVisitor(PhantomData).visit_bool(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(Ok(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.put(LenientVisitor(PhantomData).visit_seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.put(LenientVisitor(PhantomData).visit_map(map))
    }
}

/// Something that is filled from a JSON object, or in turn from the objects of an array.
pub(super) trait Object {
    /// The fields that are read.
    type Field;

    /// Which field this name means; `None` passes over it.
    fn field_of(name: &str) -> Option<Self::Field>;

    /// Takes the value of a field from `map`: exactly one value must be taken.
    fn fill<'de, A: MapAccess<'de>>(&mut self, field: Self::Field, map: &mut A) -> Result<(), A::Error>;

    /// Called after each element of an array, objects or not; `false` stops the parsing with an error.
    fn after_element(&mut self) -> bool {
        true
    }
}

/// Fills an object from the fields of one JSON object; anything but an object is passed over.
pub(super) struct Fields<'a, T>(pub &'a mut T);

/// Fills an object from each object of an array. A lone object counts as an array of one.
pub(super) struct Elements<'a, T>(pub &'a mut T);

impl<'de, T: Object> DeserializeSeed<'de> for Fields<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for Elements<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The scalars that stand where an object or a list was expected, and are passed over.
macro_rules! pass_over_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

impl<'de, T: Object> Visitor<'de> for Fields<'_, T> {
    type Value = ();

    pass_over_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName::<T>(PhantomData))? {
            match field {
                Some(field) => self.0.fill(field, &mut map)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de, T: Object> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    pass_over_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Fields(&mut *self.0))?.is_some() {
            if !self.0.after_element() {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Fields(&mut *self.0).visit_map(map)?;
        if self.0.after_element() {
            Ok(())
        } else {
            Err(A::Error::custom("stopped"))
        }
    }
}

/// Turns a field's name into a field while it is read, so that no name is ever copied.
struct FieldName<T>(PhantomData<T>);

impl<'de, T: Object> DeserializeSeed<'de> for FieldName<T> {
    type Value = Option<T::Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T: Object> Visitor<'_> for FieldName<T> {
    type Value = Option<T::Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(T::field_of(name))
    }
}

/// How many files, external ids or folders are kept of one row, and how many libraries: far more than there ever are,
/// and few enough that looking for repeats stays cheap whatever a server sends.
pub(super) const LIST_LIMIT: usize = 1024;

/// Keeps a text unless it is absent, empty or already there. Remote trailers have empty files; two versions of an
/// item may name the same one.
pub(in crate::source) fn push_new(list: &mut Vec<String>, text: Option<String>) {
    if let Some(text) = text
        && !text.is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}
