use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Parses `{"a":…}`, and returns the field's value.
fn parsed(value: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
    let mut found = None;
    let text = [b"{\"a\":", value, b"}"].concat();
    parse(&text, |object| {
        while let Some(name) = object.next()? {
            assert_eq!(*name, *b"a");
            found = object.scalar()?.bytes();
        }
        Ok(())
    })?;
    Ok(found.map(|bytes| bytes.as_bytes().to_vec()))
}

#[test]
fn what_json_forbids_becomes_the_bytes_of_a_name() {
    for (json, bytes) in [
        (&b"\"b\xffc\""[..], &b"b\xffc"[..]),
        (b"\"\xe2\x82\"", b"\xe2\x82"),
        (b"\x01\n\t\"b\x01\tc\"", b"b\x01\tc"),
        // Half of a pair, and bytes as Python writes them.
        (br#""\ud83d""#, "\u{fffd}".as_bytes()),
        (br#""\udE00x""#, "\u{fffd}x".as_bytes()),
        (br#""\udce9\udcC3\udca9""#, b"\xe9\xc3\xa9"),
        (br#""\ud83d\ud83d\ude00""#, "\u{fffd}😀".as_bytes()),
        (b"\"\x01\\\"\\\\\x01\"", b"\x01\"\\\x01"),
    ] {
        assert_eq!(parsed(json), Ok(Some(bytes.to_vec())), "{}", json.escape_ascii());
    }
}

#[test]
fn damaged_json_is_malformed() {
    for json in [
        &br#""\x""#[..],
        br#""\u+123""#,
        br#""\u12"#,
        br#""\""#,
        b"\"a",
        b"a",
        b"1-2",
        b"",
        b",",
        b"1,",
        b"1 2",
        b"[1",
        b"]",
        b"1}1",
        b"1,\"a\" 1",
        b"1,a:1",
    ] {
        let result = parsed(json);
        assert!(
            matches!(result, Err(Stop::Malformed { .. })),
            "{}: {result:?}",
            json.escape_ascii()
        );
    }
}

#[test]
fn deep_nesting_is_skipped() {
    let deep = [b"[{\"b\":".repeat(100_000), b"7".to_vec(), b"}]".repeat(100_000)].concat();
    assert_eq!(parsed(&deep), Ok(None));
}

proptest! {
    /// A string of any characters comes back, however it is escaped; so does a number.
    #[test]
    fn reads_what_another_writer_wrote(text: String, number: i64) {
        let text = text.replace('\0', "");
        let mut escaped = String::new();
        for unit in text.encode_utf16() {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
        for json in [Value::from(&*text).to_string(), format!("\"{escaped}\"")] {
            prop_assert_eq!(parsed(json.as_bytes()), Ok(Some(text.clone().into_bytes())));
        }
        prop_assert_eq!(parsed(number.to_string().as_bytes()), Ok(Some(number.to_string().into_bytes())));
    }

    /// A name of any bytes, sent raw or as Python writes it, comes out as it was.
    #[test]
    fn every_name_comes_back(name in proptest::collection::vec(prop_oneof![
        any::<u8>(), Just(0xEF), Just(0xB7), Just(0x90), Just(0xC2), Just(b'\\')
    ], 0..12)) {
        let name: Vec<u8> = name.into_iter().filter(|byte| *byte != 0).collect();
        let mut raw = vec![b'"'];
        for byte in &name {
            if matches!(byte, b'"' | b'\\') {
                raw.push(b'\\');
            }
            raw.push(*byte);
        }
        raw.push(b'"');
        prop_assert_eq!(parsed(&raw), Ok(Some(name.clone())));
        let mut python = String::from("\"");
        for chunk in name.utf8_chunks() {
            let json = serde_json::to_string(chunk.valid()).expect("JSON");
            python.push_str(&json[1..json.len() - 1]);
            for byte in chunk.invalid() {
                let _ = write!(python, "\\udc{byte:02x}");
            }
        }
        python.push('"');
        prop_assert_eq!(parsed(python.as_bytes()), Ok(Some(name)));
    }
}
