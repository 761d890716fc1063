//! What the C library does with bytes in larger steps than Rust's own.

/// Where the first NUL is.
#[must_use]
pub fn nul_in(bytes: &[u8]) -> Option<usize> {
    // SAFETY: so many bytes are there.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), 0, bytes.len()) };
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::nul_in;

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
