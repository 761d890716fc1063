//! Removes redundant parts from a path.

use super::normal::PathShape;

/// Removes empty components and `.` from a path. Returns `None` if there is nothing to remove. Keeps `..`, because its
/// target depends on symbolic links, and keeps two leading separators, which may precede the name of a network server.
#[must_use]
pub fn remove_redundant_components(path: &[u8]) -> Option<Vec<u8>> {
    // A path such as `\films\a.mkv` is relative to the current Windows drive.
    let is_drive_relative = matches!(path, [b'\\', next, rest @ ..] if *next != b'\\' && rest.contains(&b'\\'));
    if is_drive_relative || PathShape::of(path).windows {
        return tidy_windows(path, is_drive_relative);
    }
    // POSIX treats three or more leading slashes as one, but allows a special meaning for two.
    let root_length = match path {
        [b'/', b'/', b'/', ..] => 1,
        [b'/', b'/', ..] => 2,
        [b'/', ..] => 1,
        _ => 0,
    };
    let below_root = &path[root_length..];
    // Fast path: a check without branches, which the compiler vectorizes, is enough for most paths.
    let may_be_untidy = |(byte, next): (&u8, &u8)| *byte == b'/' && matches!(*next, b'/' | b'.');
    let pairs = below_root.iter().zip(below_root.get(1..).unwrap_or_default());
    if !pairs.fold(path.starts_with(b"///"), |any, pair| any | may_be_untidy(pair)) {
        return None;
    }
    // The fast path also stops at hidden files such as `/.nfo`, so this check is exact.
    if !path.starts_with(b"///")
        && !below_root.windows(2).any(|window| window == b"//")
        && !below_root.windows(3).any(|window| window == b"/./")
    {
        return None;
    }
    let components: Vec<&[u8]> = below_root
        .split(|byte| *byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .collect();
    Some([&path[..root_length], &components.join(&b'/')].concat())
}

/// Removes empty components and `.` from a Windows path; `None` if there is nothing to remove. Also removes trailing
/// dots and spaces that Windows ignores: see 'Trim characters' in Microsoft's 'File path formats on Windows systems'.
///
/// `is_drive_relative`: the path starts with a single `\`, the root of the current drive. The result for such a path
/// has slashes, because plexindex treats paths that start with a single `\` as relative.
fn tidy_windows(path: &[u8], is_drive_relative: bool) -> Option<Vec<u8>> {
    // Windows does not change paths that start with `\\?\`.
    let root_length = match path {
        [b'\\', b'\\', b'?', ..] => return None,
        [b'\\', b'\\', ..] => 2,
        [b'\\', ..] => 1,
        _ => 3, // `C:\`
    };
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let (root, below_root) = path.split_at(root_length.min(path.len()));
    let separator = if is_drive_relative || !path.contains(&b'\\') {
        b'/'
    } else {
        b'\\'
    };
    let mut tidied = if is_drive_relative {
        b"/".to_vec()
    } else {
        root.to_vec()
    };
    // Windows removes all trailing dots and spaces from the last component, but only a single dot from the others.
    let last_index = below_root.split(is_separator).count() - 1;
    for (index, name) in below_root.split(is_separator).enumerate() {
        let name = match name {
            b".." => name,
            _ if index == last_index => trim_end(name),
            b"." => b"",
            [stem @ .., b'.'] if !stem.ends_with(b".") => stem,
            _ => name,
        };
        if !name.is_empty() {
            tidied.extend_from_slice(name);
            tidied.push(separator);
        }
    }
    if !below_root.last().is_some_and(is_separator) && tidied.len() > root_length {
        tidied.pop();
    }
    // A result of equal length can differ from the path only in the separators.
    (is_drive_relative || tidied.len() < path.len()).then_some(tidied)
}

/// Removes dots and spaces from the end of a name.
fn trim_end(name: &[u8]) -> &[u8] {
    let last = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    last.map_or(b"", |last| &name[..=last])
}

#[cfg(test)]
#[path = "redundant_components_tests.rs"]
mod tests;
