//! Whatever `serde_json` reads is read alike, and nothing that it refuses is read.

use proptest::prelude::*;
use serde::de::{Deserialize, IgnoredAny};
use serde_json::{Map, Value, json};

use super::*;

/// A value whose fields are read, but for those that are called `no`: these are passed over.
#[derive(Debug, PartialEq)]
struct Kept(Value);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(json!(["float", value]))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Kept(value)) = seq.next_element()? {
                    list.push(value);
                }
                Ok(list.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut object = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "no" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        object.insert(name, map.next_value::<Kept>()?.0);
                    }
                }
                Ok(object.into())
            }
        }
        deserializer.deserialize_any(Reads).map(Kept)
    }
}

/// What both say of a text: nothing, where it is no JSON.
fn both(text: &str) -> (Option<Value>, Option<Value>) {
    let mut json = Json::new(text);
    let own = Kept::deserialize(&mut json).and_then(|value| json.end().map(|()| value.0));
    (own.ok(), serde_json::from_str::<Kept>(text).ok().map(|value| value.0))
}

fn agree(text: &str) {
    let (own, other) = both(text);
    assert_eq!(own, other, "{text:?}");
}

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "7",
    "-7",
    "01",
    "-",
    "-01",
    "1.",
    "1.5",
    ".5",
    "1e5",
    "1E+5",
    "1e-5",
    "1e",
    "1e+",
    "0.0e0",
    "1.e5",
    "999999999999999999",
    "9999999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "-1.5e3x",
    "1 2",
    "0x1",
    "+1",
    "1_000",
    "١",
];

const STRINGS: &[&str] = &[
    r#""""#,
    r#""a""#,
    r#"""#,
    r#""seven77""#,
    r#""eight888""#,
    r#""nine99999""#,
    r#""a\"b""#,
    r#""\\""#,
    r#""\""#,
    r#""\/\b\f\n\r\t""#,
    r#""\u00e9""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""\u00g9""#,
    r#""\u00""#,
    r#""\x""#,
    "\"a\u{1}b\"",
    "\"a\nb\"",
    "\"a\u{7f}b\"",
    "\"été — 日本\"",
    "\"12345678\u{1f}\"",
    "\"é\u{0}\"",
    "'a'",
];

const WORDS: &[&str] = &[
    "true",
    "false",
    "null",
    "tru",
    "True",
    "nul",
    "nulll",
    "truefalse",
    "",
    " ",
    "nan",
];

const NESTED: &[&str] = &[
    "{}",
    "[]",
    "{ }",
    "[ ]",
    "[1,2]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\":1}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{\"a\" : [ { \"b\" : null } ] , \"c\" : \"d\" }\n",
    "[}",
    "{]",
    "[[]",
    "[]]",
    "{\"a\":1}}",
    "[{}]",
    "{\"a\":1 \"b\":2}",
    "{1:2}",
    "{\"\\u0061\":1}",
    "{\"a\":1,\"a\":2}",
    "\t[\r\n1 ]\n",
];

#[test]
fn plain_values_and_those_that_are_none() {
    for text in [NUMBERS, STRINGS, WORDS, NESTED].concat() {
        agree(text);
        // Passed over, and beside what is read.
        agree(&format!("{{\"no\":{text},\"a\":1}}"));
        agree(&format!("{{\"no\":[{text},{{\"b\":{text}}}]}}"));
        agree(&format!("[{text}]"));
    }
}

#[test]
fn what_is_nested_too_deep_is_left_to_others() {
    for depth in [50, 99] {
        let text = format!("{{\"no\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        agree(&text);
    }
    let text = format!("{{\"no\":{}{}}}", "[".repeat(101), "]".repeat(101));
    assert_eq!(both(&text).0, None);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[ -~]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("no|[a-z]{0,12}|.{0,3}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_alike(value in value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let (own, other) = both(&text);
        prop_assert!(own.is_some());
        prop_assert_eq!(own, other);
    }

    #[test]
    fn json_with_a_byte_changed_is_read_alike(value in value(), at in any::<prop::sample::Index>(), byte in 0..0x80_u8, cut in any::<bool>()) {
        let text = serde_json::to_string(&value).unwrap();
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        if let Ok(text) = String::from_utf8(bytes) {
            let (own, other) = both(&text);
            prop_assert_eq!(own, other, "{:?}", text);
        }
    }
}
