use proptest::prelude::*;

use super::*;

fn sanitized(text: &[u8]) -> String {
    sanitize(&mut text.to_vec()).to_owned()
}

#[test]
fn replaces_bytes_that_json_forbids() {
    assert_eq!(sanitized(b"{\"a\":\"b\xffc\"}"), "{\"a\":\"b\u{fffd}c\"}");
    assert_eq!(sanitized(b"{\n\t\"a\":\"b\x01\tc\"}"), "{  \"a\":\"b  c\"}");
    assert_eq!(sanitized(br#""\ud83d""#), r#""\ufffd""#);
    assert_eq!(sanitized(br#""\udE00x""#), r#""\ufffdx""#);
    assert_eq!(sanitized(br#""\ud83d\ud83d\ude00""#), r#""\ufffd\ud83d\ude00""#);
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
}
