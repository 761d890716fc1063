//! Media paths in texts for people: as they are, or, where the host wishes that, as names that say nothing.

use std::borrow::Cow;

use super::Shared;

/// Bytes of the hash that are shown: enough to tell the paths of a log apart.
const SHOWN: usize = 5;
/// Longer ends of a name are no extension, and may say something.
const EXTENSION: usize = 5;

impl Shared {
    /// A path for an error or a log line. Obfuscated it is `path-` and a hash, and the extension: the same for the same
    /// path in the same store, and nobody without the store can try what it may be.
    pub(super) fn shown<'p>(&self, path: &'p [u8]) -> Cow<'p, str> {
        if !self.options.obfuscate_paths {
            return String::from_utf8_lossy(path);
        }
        let hash = self.store.keyed(&[b"path ", path].concat());
        let hash = hash[..SHOWN]
            .iter()
            .fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        Cow::Owned(format!("path-{hash:010x}{}", extension(path)))
    }
}

/// The extension with its dot; empty when there is none.
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
