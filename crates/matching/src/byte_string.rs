//! Paths and names as bytes, and their JSON encoding: a string for UTF-8, and otherwise an object with the Base64
//! encoding.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a path or name. The JSON encoding is a string, or `{"bytes": "<Base64>"}` for bytes that are not UTF-8.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteString(pub Vec<u8>);

impl ByteString {
    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for ByteString {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for ByteString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for ByteString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for ByteString {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl<T: AsRef<str> + ?Sized> PartialEq<T> for ByteString {
    fn eq(&self, text: &T) -> bool {
        self.0 == text.as_ref().as_bytes()
    }
}

impl fmt::Display for ByteString {
    /// Writes U+FFFD for bytes that are not UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ByteString {
    /// Writes other bytes than ASCII as escapes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Serialize for ByteString {
    /// Binary formats store the bytes as they store a string.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() {
            serialize_bytes(&self.0, out)
        } else {
            out.serialize_bytes(&self.0)
        }
    }
}

/// Serializes bytes as a JSON string if they are UTF-8; otherwise as an object with their Base64 encoding.
fn serialize_bytes<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return out.serialize_str(text);
    }
    let mut object = out.serialize_struct("ByteString", 1)?;
    object.serialize_field("bytes", &STANDARD.encode(bytes))?;
    object.end()
}

/// Serializes a path for serde's `serialize_with`: as a string, or as an object with Base64 if the path is not UTF-8.
///
/// # Errors
/// Returns the serializer's error.
pub fn path<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
    serialize_bytes(path.as_os_str().as_encoded_bytes(), out)
}

/// Serializes an optional path for serde's `serialize_with`: `None` becomes `null`, and a path that is not UTF-8
/// becomes an object with Base64.
///
/// # Errors
/// Returns the serializer's error.
#[allow(clippy::ref_option)] // serde requires this signature
pub fn path_or_null<S: Serializer, P: AsRef<Path>>(optional: &Option<P>, out: S) -> Result<S::Ok, S::Error> {
    match optional {
        Some(some_path) => path(some_path.as_ref(), out),
        None => out.serialize_none(),
    }
}

/// Serializes an optional list of paths for serde's `serialize_with`, each as [`path`] does.
///
/// # Errors
/// Returns the serializer's error.
#[allow(clippy::ref_option)] // serde requires this signature
pub fn paths<S: Serializer, P: AsRef<Path>>(list: &Option<Vec<P>>, out: S) -> Result<S::Ok, S::Error> {
    struct Serialized<'p>(&'p Path);
    impl Serialize for Serialized<'_> {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            path(self.0, out)
        }
    }
    match list {
        Some(list) => out.collect_seq(list.iter().map(|path| Serialized(path.as_ref()))),
        None => out.serialize_none(),
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string, or {\"bytes\": \"<Base64>\"}")]
enum JsonForm<'j> {
    Text(#[serde(borrow)] Cow<'j, str>),
    Bytes(#[serde(borrow)] Base64Object<'j>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64Object<'j> {
    #[serde(borrow)]
    bytes: Cow<'j, str>,
}

impl<'de> Deserialize<'de> for ByteString {
    /// Reads either encoding; fails for invalid Base64.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return from.deserialize_byte_buf(ByteVisitor);
        }
        match JsonForm::deserialize(from)? {
            JsonForm::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            JsonForm::Bytes(Base64Object { bytes }) => STANDARD
                .decode(bytes.as_bytes())
                .map(Self)
                .map_err(|error| D::Error::custom(format_args!("the value of `bytes` is not Base64: {error}"))),
        }
    }
}

/// Reads the bytes of a binary format.
struct ByteVisitor;

impl Visitor<'_> for ByteVisitor {
    type Value = ByteString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteString, E> {
        Ok(bytes.into())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ByteString {
    fn schema_name() -> Cow<'static, str> {
        "ByteString".into()
    }

    /// Describes both encodings. A derived schema would describe an array of numbers.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A path or name: a string, or `{\"bytes\": \"<Base64>\"}` if the bytes are not UTF-8.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "bytes": { "type": "string", "contentEncoding": "base64" } },
                    "required": ["bytes"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_string_and_other_bytes_are_base64() {
        for (name, json) in [
            (&b"/data/\xc3\xa9"[..], r#""/data/é""#),
            (b"/data/\xe9", r#"{"bytes":"L2RhdGEv6Q=="}"#),
        ] {
            let given = ByteString(name.to_vec());
            assert_eq!(serde_json::to_string(&given).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<ByteString>(json).expect("the same"), given);
        }
        for (json, error) in [
            ("1", "expected a string, or {\"bytes\": \"<Base64>\"}"),
            (r#"{"bytes":"?"}"#, "the value of `bytes` is not Base64"),
            (r#"{"bytes":"","more":1}"#, "expected a string"),
        ] {
            let refused = serde_json::from_str::<ByteString>(json).expect_err(json).to_string();
            assert!(refused.contains(error), "{refused}");
        }
    }
}
