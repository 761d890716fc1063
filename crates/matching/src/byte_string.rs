//! The JSON encoding of paths and names: a string for UTF-8, and otherwise an object with the Base64 encoding.

use std::borrow::Cow;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a path or name. The JSON encoding is a string, or `{"bytes": "<Base64>"}` for bytes that are not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteString(pub Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, out)
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
        match JsonForm::deserialize(from)? {
            JsonForm::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            JsonForm::Bytes(Base64Object { bytes }) => STANDARD
                .decode(bytes.as_bytes())
                .map(Self)
                .map_err(|error| D::Error::custom(format_args!("the value of `bytes` is not Base64: {error}"))),
        }
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
