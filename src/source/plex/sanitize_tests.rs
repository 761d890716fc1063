use proptest::prelude::*;

use super::*;

fn sanitized(text: &[u8]) -> String {
    let mut bytes = text.to_vec();
    sanitize(&mut bytes);
    String::from_utf8(bytes).unwrap()
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

/// Reads a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(self.1);
        self.0.read(&mut buf[..most])
    }
}

proptest! {
    #[test]
    fn sanitizes_the_same_in_a_stream_as_at_once(pieces in proptest::collection::vec("[a-z\"é😀]{0,40}(\\\\\\\\|\\\\ud83d|\\\\ude00|)", 0..40), repeat in 1_usize..300, step in 1_usize..100_000) {
        let mut text = pieces.concat().repeat(repeat);
        text.push('"');
        let text = text.replace("\\\"", "\"");
        let mut streamed = String::new();
        Sanitized::new(Slow(text.as_bytes(), step)).read_to_string(&mut streamed).unwrap();
        prop_assert_eq!(streamed, sanitized(text.as_bytes()));
    }

    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let mut streamed = Vec::new();
        Sanitized::new(&bytes[..]).read_to_end(&mut streamed).unwrap();
        prop_assert_eq!(streamed, sanitized(&bytes).into_bytes());
    }
}
