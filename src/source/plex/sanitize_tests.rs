use proptest::prelude::*;

use super::*;

fn sanitized(text: &[u8]) -> String {
    sanitize(&mut text.to_vec()).to_owned()
}

/// Parses a string, and decodes it.
fn parsed(json: &[u8]) -> Vec<u8> {
    let text: String = serde_json::from_str(&sanitized(json)).expect("valid JSON");
    decode(text)
}

#[test]
fn what_json_forbids_becomes_the_bytes_of_a_name() {
    for (json, bytes) in [
        (&b"\"b\xffc\""[..], &b"b\xffc"[..]),
        (b"\"\xe2\x82\"", b"\xe2\x82"),
        (b"\n\t\"b\x01\tc\"", b"b\x01\tc"),
        (b"\"a\0b\"", b"a b"),
        // Half of a pair, and bytes as Python writes them.
        (br#""\ud83d""#, "\u{fffd}".as_bytes()),
        (br#""\udE00x""#, "\u{fffd}x".as_bytes()),
        (br#""\udce9\udcC3\udca9""#, b"\xe9\xc3\xa9"),
        (br#""\ud83d\ud83d\ude00""#, "\u{fffd}😀".as_bytes()),
        (
            b"\"\xef\xb7\x90\xff\\ufdd0\\uFDD0\"",
            b"\xef\xb7\x90\xff\xef\xb7\x90\xef\xb7\x90",
        ),
        (b"\"\x01\\\"\\\\\x01\"", b"\x01\"\\\x01"),
    ] {
        assert_eq!(parsed(json), bytes, "{}", json.escape_ascii());
    }
}

#[test]
fn leaves_valid_json_unchanged() {
    for text in [
        r#"{"file":"M:\\TV\\ud83d\\x.mkv"}"#,
        r#""\ud83d\ude00 \u00e9 \\ \" \/ \n é 😀""#,
        r#""\u+123 \u12"#,
        "\"\\é\"",
        "\\",
        "",
    ] {
        assert_eq!(sanitized(text.as_bytes()), text);
    }
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        sanitized(&bytes);
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
        prop_assert_eq!(&parsed(&raw), &name);
        let mut python = String::from("\"");
        for chunk in name.utf8_chunks() {
            let json = serde_json::to_string(chunk.valid()).expect("JSON");
            python.push_str(&json[1..json.len() - 1]);
            chunk.invalid().iter().for_each(|byte| python.push_str(&json_escape(0xDC00 + u32::from(*byte))));
        }
        python.push('"');
        prop_assert_eq!(&parsed(python.as_bytes()), &name);
    }
}
