//! Formats media paths for messages, either in full or obfuscated.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::Store;
use crate::error::{Result, invalid_argument_error, truncate_for_message};
use crate::matching::MAX_PATH;

/// Number of hash bytes in an obfuscated path, enough to distinguish the paths in a log.
const HASH_BYTES: usize = 5;
/// Maximum length in bytes of a path that is shown in full; a longer path is cut.
const MAX_SHOWN_PATH: usize = 4_096;
/// Maximum length of an extension shown in an obfuscated path. A longer extension may be part of a title.
const MAX_EXTENSION: usize = 5;

/// Formats and validates media paths.
pub struct PathDisplay {
    store: Arc<Store>,
    is_obfuscated: bool,
}

impl PathDisplay {
    /// Creates a formatter. `is_obfuscated` is the value of
    /// [`Options::obfuscate_paths`](crate::Options::obfuscate_paths).
    pub fn new(store: Arc<Store>, is_obfuscated: bool) -> Self {
        Self { store, is_obfuscated }
    }

    /// Formats a path for an error or a log line. An obfuscated path consists of `path-`, a keyed hash and the
    /// extension, and is always the same within one store. Without the store's key, an attacker cannot test a guess.
    pub fn path<'p>(&self, path: &'p [u8]) -> Cow<'p, str> {
        if !self.is_obfuscated {
            return if path.len() > MAX_SHOWN_PATH {
                truncate_for_message(path)
            } else {
                String::from_utf8_lossy(path)
            };
        }
        // The prefix `path ` separates these hashes from other uses of the key. Five bytes are ten hexadecimal digits.
        let hash = self.store.key().keyed(&[b"path ", path].concat());
        let hash = hash[..HASH_BYTES]
            .iter()
            .fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        Cow::Owned(format!("path-{hash:010x}{}", extension(path)))
    }

    /// Validates a path, which must not be empty, contain a NUL byte, or exceed [`MAX_PATH`].
    ///
    /// # Errors
    /// Returns [`Status::InvalidArgument`](crate::error::Status::InvalidArgument) if the path is invalid.
    pub fn check_path(&self, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            return invalid_argument_error("the path is empty: specify the path of a file or folder");
        }
        if path.len() > MAX_PATH {
            return invalid_argument_error(format!(
                "the path that starts with '{}' is {} bytes long; the limit is {MAX_PATH} bytes",
                self.path(&path[..32]),
                path.len(),
            ));
        }
        if memchr::memchr(0, path).is_some() {
            return invalid_argument_error(format!(
                "the path '{}' contains a NUL byte, which file names cannot contain",
                self.path(path)
            ));
        }
        Ok(())
    }
}

/// Returns a path's extension, including the dot; an empty string if the path has no extension.
fn extension(path: &[u8]) -> &str {
    let name = path
        .rsplit(|byte| matches!(byte, b'/' | b'\\'))
        .next()
        .unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return "";
    };
    let letters = &name[dot + 1..];
    let is_extension =
        !letters.is_empty() && letters.len() <= MAX_EXTENSION && letters.iter().all(u8::is_ascii_alphanumeric);
    std::str::from_utf8(&name[dot..])
        .ok()
        .filter(|_| is_extension)
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::extension;

    #[test]
    fn an_extension_is_short_and_plain() {
        assert_eq!(extension(b"/media/A Film (1999).mkv"), ".mkv");
        assert_eq!(extension(b"D:\\Films\\x.M2TS"), ".M2TS");
        for none in [
            &b"/media/film"[..],
            b"/media.d/film",
            b"/media/.hidden",
            b"/a/b.a secret",
            b"/a/b.",
            b"/a/b.\xff",
        ] {
            assert_eq!(extension(none), "");
        }
    }
}
