//! Paths without the parts that change nothing.

use super::normal::Shape;

/// Removes empty components and `.` from a path; `None` if it has none of them. `..` stays, as its target depends on
/// links. So do two separators at the beginning, which may name a network server.
#[must_use]
pub fn tidy(path: &[u8]) -> Option<Vec<u8>> {
    let is_rooted = matches!(path, [b'\\', next, rest @ ..] if *next != b'\\' && rest.contains(&b'\\'));
    if is_rooted || Shape::of(path).windows {
        return tidy_windows(path, is_rooted);
    }
    let lead = match path {
        [b'/', b'/', b'/', ..] => 1,
        [b'/', b'/', ..] => 2,
        [b'/', ..] => 1,
        _ => 0,
    };
    let body = &path[lead..];
    // A quick check without branches, which the compiler vectorizes. It is enough for most paths.
    let follows = |(one, next): (&u8, &u8)| *one == b'/' && matches!(*next, b'/' | b'.');
    let pairs = body.iter().zip(body.get(1..).unwrap_or_default());
    if !pairs.fold(path.starts_with(b"///"), |any, pair| any | follows(pair)) {
        return None;
    }
    if !path.starts_with(b"///")
        && !body.windows(2).any(|pair| pair == b"//")
        && !body.windows(3).any(|some| some == b"/./")
    {
        return None;
    }
    let kept: Vec<&[u8]> = body
        .split(|byte| *byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .collect();
    Some([&path[..lead], &kept.join(&b'/')].concat())
}

/// As [`tidy`], and without the dots and spaces at the end of a name that Windows takes off. Source: Microsoft's 'File path
/// formats on Windows systems', trimming of characters.
///
/// `is_rooted`: it begins with a single `\`, at the root of some drive. A slash begins it then, as it does elsewhere.
fn tidy_windows(path: &[u8], is_rooted: bool) -> Option<Vec<u8>> {
    // The drive or the beginning of a network path stays. What follows `\\?\` is taken as it is.
    let lead = match path {
        [b'\\', b'\\', b'?', ..] => return None,
        [b'\\', b'\\', ..] => 2,
        [b'\\', ..] => 1,
        _ => 3,
    };
    let separates = |byte: &u8| matches!(byte, b'/' | b'\\');
    let (begin, body) = path.split_at(lead.min(path.len()));
    let separator = if is_rooted || !path.contains(&b'\\') {
        b'/'
    } else {
        b'\\'
    };
    let mut kept = if is_rooted { b"/".to_vec() } else { begin.to_vec() };
    let last = body.split(separates).count() - 1;
    for (place, name) in body.split(separates).enumerate() {
        let name = match name {
            b".." => name,
            _ if place == last => without_end(name),
            b"." => b"",
            [before @ .., b'.'] if !before.ends_with(b".") => before,
            _ => name,
        };
        if !name.is_empty() {
            kept.extend_from_slice(name);
            kept.push(separator);
        }
    }
    if !body.last().is_some_and(separates) && kept.len() > lead {
        kept.pop();
    }
    // Nothing is added, so what is as long as before is the same but for its separators.
    (is_rooted || kept.len() < path.len()).then_some(kept)
}

/// A last name without the dots and spaces at its end.
fn without_end(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    end.map_or(b"", |end| &name[..=end])
}

#[cfg(test)]
#[path = "tidy_tests.rs"]
mod tests;
