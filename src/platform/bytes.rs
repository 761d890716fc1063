//! What the C library does with bytes in larger steps than Rust's own.

/// Where the first NUL is.
#[must_use]
pub fn nul_in(bytes: &[u8]) -> Option<usize> {
    // SAFETY: so many bytes are there.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), 0, bytes.len()) };
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

/// The bytes as text; `None` where they are no UTF-8. Most texts are ASCII, which is told in larger steps.
#[inline]
#[must_use]
pub fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{nul_in, text};

    #[test]
    fn text_is_utf8() {
        for whole in [
            "",
            "a",
            "/data/Movies/A (1999)/A (1999).mkv",
            "Amélie",
            "\u{1F3AC} film",
        ] {
            assert_eq!(text(whole.as_bytes()), Some(whole));
        }
        for broken in [&b"\xFF"[..], b"Am\xE9lie", b"0123456789abcdef\x80", b"\xC3"] {
            assert_eq!(text(broken), None);
        }
    }

    #[test]
    fn the_first_nul_is_found() {
        assert_eq!(nul_in(b""), None);
        assert_eq!(nul_in(b"abc"), None);
        assert_eq!(nul_in(b"\0"), Some(0));
        assert_eq!(nul_in(b"abc\0d\0"), Some(3));
        let long = [vec![1; 5000], vec![0]].concat();
        assert_eq!((nul_in(&long), nul_in(&long[..5000])), (Some(5000), None));
    }
}
