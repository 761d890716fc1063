//! Media paths in texts for users: as they are, or obfuscated if the host wishes.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::Store;
use crate::error::{Result, abridged, refuse};
use crate::matching::MAX_PATH;

/// Bytes of the hash in an obfuscated path: enough to tell the paths of a log apart.
const HASH_BYTES: usize = 5;
/// Longest path that is shown in full.
const MAX_SHOWN: usize = 4_096;
/// Longest extension that is shown. A longer one may be part of a title.
const EXTENSION: usize = 5;

/// How media paths are shown.
pub struct PathDisplay {
    store: Arc<Store>,
    obfuscate: bool,
}

impl PathDisplay {
    pub fn new(store: Arc<Store>, obfuscate: bool) -> Self {
        Self { store, obfuscate }
    }

    /// Formats a path for an error or a log line. With `obfuscate` it becomes `path-`, a keyed hash and the extension:
    /// the same for the same path in one store. Without the store's key nobody can test a guess.
    pub fn path<'p>(&self, path: &'p [u8]) -> Cow<'p, str> {
        if !self.obfuscate {
            return if path.len() > MAX_SHOWN {
                abridged(path)
            } else {
                String::from_utf8_lossy(path)
            };
        }
        let hash = self.store.key().keyed(&[b"path ", path].concat());
        let hash = hash[..HASH_BYTES]
            .iter()
            .fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        Cow::Owned(format!("path-{hash:010x}{}", extension(path)))
    }

    /// Validates a path.
    pub fn check_path(&self, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            return refuse("the path is empty: give the path of a file or folder");
        }
        if path.len() > MAX_PATH {
            return refuse(format!(
                "the path is {} bytes long and begins with '{}': paths have at most {MAX_PATH}",
                path.len(),
                self.path(&path[..32]),
            ));
        }
        if memchr::memchr(0, path).is_some() {
            return refuse(format!(
                "the path '{}' contains a NUL byte, which no file name has",
                self.path(path)
            ));
        }
        Ok(())
    }
}

/// The extension with its dot, or an empty text.
fn extension(path: &[u8]) -> &str {
    let name = path
        .rsplit(|byte| matches!(byte, b'/' | b'\\'))
        .next()
        .unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return "";
    };
    let end = &name[dot + 1..];
    let plain = !end.is_empty() && end.len() <= EXTENSION && end.iter().all(u8::is_ascii_alphanumeric);
    std::str::from_utf8(&name[dot..]).ok().filter(|_| plain).unwrap_or("")
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
