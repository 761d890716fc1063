//! Removes redundant parts from a path.

use super::path_shape::PathShape;

/// The separators and names of a path, by the rules of the operating system that the path belongs to.
struct PathRules {
    /// Number of leading bytes that are always kept.
    root_length: usize,
    /// Whether `\` is a separator, like `/`.
    windows: bool,
    /// Whether Windows ignores trailing dots and spaces, as in all its paths except those that start with `\\?\`.
    ignores_trailing_dots: bool,
}

/// Removes empty components and `.` from a path, and all but one trailing separator. Returns `None` if there is nothing
/// to remove. Keeps `..`, because its target depends on symbolic links, and keeps two leading separators, which may
/// precede the name of a network server. From a Windows path, also removes trailing dots and spaces that Windows
/// ignores: see 'Trim characters' in Microsoft's 'File path formats on Windows systems'.
#[must_use]
pub fn remove_redundant_components(path: &[u8]) -> Option<Vec<u8>> {
    if path.first() == Some(&b'/') && !may_be_untidy(path) {
        return None;
    }
    // A path such as `\films\a.mkv` is relative to the current Windows drive. The result has slashes, because plexindex
    // treats paths that start with a single `\` as relative.
    let is_drive_relative = matches!(path, [b'\\', next, rest @ ..] if *next != b'\\' && rest.contains(&b'\\'));
    let rules = PathRules::of(path, is_drive_relative);
    let (root, below_root) = path.split_at(rules.root_length.min(path.len()));
    if !is_drive_relative && rules.is_tidy(below_root) {
        return None;
    }
    let (root, separator) = match rules.windows {
        true if is_drive_relative => (&b"/"[..], b'/'),
        true if path.contains(&b'\\') => (root, b'\\'),
        _ => (root, b'/'),
    };
    let mut tidied = root.to_vec();
    for name in rules.names(below_root).filter(|name| !name.is_empty()) {
        tidied.extend_from_slice(name);
        tidied.push(separator);
    }
    if !below_root.last().is_some_and(|byte| rules.is_separator(*byte)) && tidied.len() > root.len() {
        tidied.pop();
    }
    // A path such as `.` has no names. Without a redundant part, the last name can be a different one.
    (!tidied.is_empty()).then(|| remove_redundant_components(&tidied).unwrap_or(tidied))
}

/// Returns `false` if a path certainly has no redundant parts.
#[inline]
pub fn may_have_redundant_components(path: &[u8]) -> bool {
    if path.first() == Some(&b'/') {
        may_be_untidy(path)
    } else {
        remove_redundant_components(path).is_some()
    }
}

/// Number of pairs compared at once, chosen so that the compiler uses vector instructions.
const VECTOR: usize = 32;

/// Returns whether a POSIX path may have redundant parts. This check without branches is enough for most paths; it also
/// finds hidden files such as `/.nfo`.
#[inline]
fn may_be_untidy(path: &[u8]) -> bool {
    let (bytes, next) = (&path[..path.len().saturating_sub(1)], path.get(1..).unwrap_or_default());
    let mut found = [0; VECTOR];
    let add = |found: &mut u8, byte: u8, next: u8| {
        // `.` and `/` differ only in the last bit.
        *found |= u8::from(byte == b'/') & u8::from(next | 1 == b'/');
    };
    // The first call compares the last pairs, which can overlap the previous ones.
    if let (Some(bytes_end), Some(next_end)) = (bytes.last_chunk(), next.last_chunk::<VECTOR>()) {
        let chunks = bytes.as_chunks::<VECTOR>().0.iter().zip(next.as_chunks::<VECTOR>().0);
        for (bytes, next) in std::iter::once((bytes_end, next_end)).chain(chunks) {
            for ((found, byte), next) in found.iter_mut().zip(bytes).zip(next) {
                add(found, *byte, *next);
            }
        }
    } else {
        for (byte, next) in bytes.iter().zip(next) {
            add(&mut found[0], *byte, *next);
        }
    }
    found != [0; VECTOR]
}

impl PathRules {
    fn of(path: &[u8], is_drive_relative: bool) -> Self {
        let windows = is_drive_relative || PathShape::of(path).windows;
        Self {
            windows,
            root_length: match path {
                [b'\\', b'\\', b'?', b'\\', ..] => 4,
                [b'\\', b'\\', ..] => 2,
                _ if is_drive_relative => 1,
                _ if windows => 3, // `C:\`
                // POSIX treats three or more leading slashes as one, but allows a special meaning for two.
                [b'/', b'/', b'/', ..] => 1,
                [b'/', b'/', ..] => 2,
                [b'/', ..] => 1,
                _ => 0,
            },
            ignores_trailing_dots: windows && !path.starts_with(br"\\?\"),
        }
    }

    fn is_separator(&self, byte: u8) -> bool {
        byte == b'/' || (self.windows && byte == b'\\')
    }

    /// Returns the names below the root without the parts that the operating system ignores; an empty name for a
    /// redundant component.
    fn names<'p>(&self, below_root: &'p [u8]) -> impl Iterator<Item = &'p [u8]> {
        let (windows, ignores_trailing_dots) = (self.windows, self.ignores_trailing_dots);
        let is_separator = move |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
        let last_name = below_root.iter().rposition(move |byte| !is_separator(byte));
        let mut end = 0;
        below_root.split(is_separator).map(move |name| {
            let is_last = last_name.is_none_or(|last| end + name.len() > last);
            end += name.len() + 1;
            match name {
                b"." => b"",
                b".." => name,
                _ if !ignores_trailing_dots => name,
                // Windows removes all trailing dots and spaces from the last component, but only a single dot from the
                // others.
                _ if is_last => trim_end(name),
                [stem @ .., b'.'] if !stem.ends_with(b".") => stem,
                _ => name,
            }
        })
    }

    /// Returns whether the part of a path below its root has nothing to remove.
    fn is_tidy(&self, below_root: &[u8]) -> bool {
        let without_separator = match below_root {
            [names @ .., last] if self.is_separator(*last) => names,
            _ => below_root,
        };
        below_root.is_empty()
            || self
                .names(without_separator)
                .zip(without_separator.split(|byte| self.is_separator(*byte)))
                .all(|(name, original)| !name.is_empty() && name.len() == original.len())
    }
}

/// Removes dots and spaces from the end of a name.
fn trim_end(name: &[u8]) -> &[u8] {
    let last = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    last.map_or(b"", |last| &name[..=last])
}

#[cfg(test)]
mod tests {
    use super::remove_redundant_components;

    #[test]
    fn what_changes_nothing_goes() {
        for (path, tidied) in [
            ("/a/b", None),
            ("/a//b", Some("/a/b")),
            ("/a/./b", Some("/a/b")),
            ("///a", Some("/a")),
            ("//a/b", None),
            ("/a/../b", None),
            (r"/a\\b", None),
            (r"D:\a\b", None),
            ("D:/a/b", None),
            (r"D:\", None),
            (r"D:\a\", None),
            (r"D:\a\\b", Some(r"D:\a\b")),
            (r"D:\a\.\b", Some(r"D:\a\b")),
            ("D:/a//./b", Some("D:/a/b")),
            (r"D:/a\.\b", Some(r"D:/a\b")),
            (r"D:\\a\\", Some(r"D:\a\")),
            (r"D:\a\..\b", None),
            (r"D:\a.\b", Some(r"D:\a\b")),
            (r"D:\a \b", None),
            (r"D:\a\b.", Some(r"D:\a\b")),
            (r"D:\a\b. .", Some(r"D:\a\b")),
            (r"D:\a...\b", None),
            (r"\\nas\\share\a", Some(r"\\nas\share\a")),
            (r"\\nas\share\.\a.", Some(r"\\nas\share\a")),
            (r"\\?\D:\a.\b.", None),
            (r"\\?\D:\a\.\b.", Some(r"\\?\D:\a\b.")),
            (r"D:\a. \.", Some(r"D:\a")),
            ("/./a", Some("/a")),
            ("/a/.", Some("/a")),
            ("/a/", None),
            ("/a//", Some("/a/")),
            ("/a/.nfo", None),
            ("./a", Some("a")),
            (".", None),
            ("/", None),
            (r"\a\\b.", Some("/a/b")),
            (r"\a", None),
            (r"\", None),
        ] {
            let found = remove_redundant_components(path.as_bytes()).map(|path| String::from_utf8(path).expect("text"));
            assert_eq!(found.as_deref(), tidied, "{path}");
        }
    }
}
