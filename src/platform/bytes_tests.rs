use super::{ascii_fast_str, from_hex, str_eq};

#[test]
fn texts_are_the_same_or_not() {
    assert!(str_eq("", "") && str_eq("a", "a"));
    assert!(!str_eq("", "a") && !str_eq("a", "") && !str_eq("a", "b") && !str_eq("ab", "a"));
}

#[test]
fn hexadecimal_digits_are_pairs_in_lower_case() {
    assert_eq!(from_hex(b""), Some([]));
    assert_eq!(from_hex(b"00ff1a"), Some([0, 255, 0x1a]));
    for other in [
        "0", "00f", "00ff1", "00ff1aa", "00FF1A", "00ff1g", "00ff1:", "00ff/a", "00ff1\0",
    ] {
        assert_eq!(from_hex::<3>(other.as_bytes()), None, "{other}");
    }
    // Each byte that is not a digit, at each position.
    for byte in (0..=255).filter(|byte: &u8| !b"0123456789abcdef".contains(byte)) {
        assert_eq!(
            (from_hex::<1>(&[byte, b'0']), from_hex::<1>(&[b'0', byte])),
            (None, None),
            "{byte}"
        );
    }
}

#[test]
fn text_is_utf8() {
    for whole in [
        "",
        "a",
        "/data/Movies/A (1999)/A (1999).mkv",
        "Amélie",
        "\u{1F3AC} film",
    ] {
        assert_eq!(ascii_fast_str(whole.as_bytes()), Some(whole));
    }
    for broken in [&b"\xFF"[..], b"Am\xE9lie", b"0123456789abcdef\x80", b"\xC3"] {
        assert_eq!(ascii_fast_str(broken), None);
    }
}
