//! Bytes in larger steps than Rust's own library takes.

/// Whether two texts are the same, of which most are empty. An empty one has no memory, and its address is none: where glibc
/// compares with masks (`memcmp` for AVX-512, as of 2.36) the processor takes 160 ns to find that nothing was to be read there.
#[inline]
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
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

/// The bytes of so many pairs of lower-case hexadecimal digits; `None` for anything else.
#[must_use]
pub fn from_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    /// The value of each digit; all bits set for any other byte.
    const VALUES: [u8; 256] = {
        let (mut values, mut value) = ([0xFF; 256], 0);
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    // Without a branch: most are right.
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| VALUES[usize::from(digit)]);
        wrong |= high | low;
        *byte = high << 4 | low & 15;
    }
    (wrong < 16).then_some(bytes)
}

#[cfg(test)]
#[path = "bytes_tests.rs"]
mod tests;
