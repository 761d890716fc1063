//! The kind of a path: Windows or POSIX.

/// The kind of path (Windows or POSIX) and the prefix that the normal form replaces. Both depend on the path's first
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathShape {
    /// Whether `\` is a separator, like `/`.
    pub windows: bool,
    /// Number of leading bytes that the normal form drops.
    pub(super) dropped_bytes: usize,
    /// The string that replaces the dropped bytes.
    pub(super) replacement: &'static str,
}

impl PathShape {
    /// Determines the shape of a path from its first bytes.
    #[inline]
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        // Fast path: nearly all paths start with `/`.
        if path.first() == Some(&b'/') {
            return Self::POSIX;
        }
        Self::of_windows(path)
    }

    const POSIX: Self = Self {
        windows: false,
        dropped_bytes: 0,
        replacement: "",
    };

    /// Determines the shape of a path that does not start with `/`. `\\?\UNC\server` becomes `//server`, and `\\?\C:\`
    /// becomes `c:/`.
    fn of_windows(path: &[u8]) -> Self {
        let windows = |dropped_bytes, replacement| Self {
            windows: true,
            dropped_bytes,
            replacement,
        };
        match path {
            // The dropped prefixes are `\\?\UNC\` (8 bytes) and `\\?\` (4 bytes).
            [b'\\', b'\\', b'?', b'\\', after_prefix @ ..] => match after_prefix {
                [b'u' | b'U', b'n' | b'N', b'c' | b'C', b'\\', ..] => windows(8, "//"),
                [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => windows(4, ""),
                _ => windows(0, ""),
            },
            [b'\\', b'\\', ..] => windows(0, ""),
            [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => windows(0, ""),
            _ => Self::POSIX,
        }
    }

    /// Returns whether an ASCII path is as long as its normal form, so that segments need not store the normal form.
    #[must_use]
    pub fn keeps_length(self) -> bool {
        self.dropped_bytes == 0
    }
}
