//! What a mapping makes of a path: prefixes replaced by component, and templates with captures filled in.

use regex::bytes::{Captures, Regex};

use super::normal::{Normal, Shape, normal_form};

/// Rewritten paths up to this length cost next to nothing …
const SMALL: usize = 256;
/// … those up to this length need no heap.
const LARGE: usize = 4096 + 256;

/// A folder to be replaced by another. Compared by component in the normal form, so `C:\Media` also fits `c:/media/…`.
#[derive(Debug)]
pub struct Prefix {
    raw: Vec<u8>,
    form: Vec<u8>,
    to: Vec<u8>,
    to_windows: bool,
}

impl Prefix {
    pub fn new(from: &[u8], to: &[u8]) -> Self {
        // `/` alone stays: it is the root, with no component at all.
        let trim = |folder: &[u8]| {
            let windows = Shape::of(folder).windows;
            let end = folder
                .iter()
                .rposition(|byte| *byte != b'/' && !(windows && *byte == b'\\'))
                .map_or(0, |at| at + 1);
            folder[..end].to_vec()
        };
        let raw = trim(from);
        Self {
            form: normal_form(&raw),
            raw,
            to: trim(to),
            to_windows: Shape::of(to).windows,
        }
    }

    /// Hands the path with its folder replaced to `then`, if it lies under the folder.
    pub fn rewrite<R>(&self, path: &Normal<'_>, then: &mut dyn FnMut(&[u8]) -> R) -> Option<R> {
        let windows = Shape::of(path.raw()).windows;
        let rest = self.rest(path, windows)?;
        let length = self.to.len() + rest.len();
        let mut join = |out: &mut [u8]| {
            let (head, tail) = out.split_at_mut(self.to.len());
            head.copy_from_slice(&self.to);
            tail.copy_from_slice(rest);
            if windows && !self.to_windows {
                for byte in tail {
                    if *byte == b'\\' {
                        *byte = b'/';
                    }
                }
            }
            then(out)
        };
        Some(if length <= SMALL {
            join(&mut [0; SMALL][..length])
        } else if length <= LARGE {
            join(&mut [0; LARGE][..length])
        } else {
            join(&mut vec![0; length])
        })
    }

    /// What follows the folder in the path's own bytes, the separator first.
    fn rest<'p>(&self, path: &Normal<'p>, windows: bool) -> Option<&'p [u8]> {
        let raw = path.raw();
        let separates = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
        if let Some(rest) = raw.strip_prefix(self.raw.as_slice())
            && rest.first().is_some_and(separates)
        {
            return Some(rest);
        }
        // The forms agree, but the bytes do not, and may differ in length: walk the path's own components.
        let folder = self.form.as_slice();
        let rest_of_form = path.form().strip_prefix(folder)?;
        if rest_of_form.first() != Some(&b'/') {
            return None;
        }
        let wanted = rest_of_form.split(|byte| *byte == b'/').count() - 1;
        let (at, _) = raw
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| separates(byte))
            .nth(wanted - 1)?;
        Some(&raw[at..])
    }
}

/// A replacement: text, and references to groups (`\1` to `\99`, `\g<1>`, `\g<name>`); `\\` is a backslash, and so is a
/// backslash before anything else, for the sake of Windows paths.
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

impl Template {
    pub fn new(text: &[u8], regex: &Regex) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            if *first != b'\\' {
                literal.push(*first);
                continue;
            }
            if let Some((group, length)) = reference(tail, regex)? {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
                pieces.push(Piece::Group(group));
                rest = &tail[length..];
            } else {
                literal.push(b'\\');
                rest = tail.strip_prefix(b"\\").unwrap_or(tail);
            }
        }
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }

    /// The path with what the pattern matched replaced. What stands before and after the match stays.
    pub fn expand(&self, path: &[u8], captures: &Captures<'_>) -> Vec<u8> {
        let whole = captures.get(0).map_or(0..0, |whole| whole.range());
        let mut out = path[..whole.start].to_vec();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                // A group that took no part in the match is empty, as in Python.
                Piece::Group(group) => {
                    let group = captures.get(*group).map_or(&b""[..], |group| group.as_bytes());
                    out.extend_from_slice(group);
                }
            }
        }
        out.extend_from_slice(&path[whole.end..]);
        out
    }
}

/// The group that follows a backslash, and how many bytes name it.
fn reference(text: &[u8], regex: &Regex) -> Result<Option<(usize, usize)>, String> {
    let (name, length) = match text {
        [b'g', b'<', tail @ ..] => {
            let end = tail
                .iter()
                .position(|byte| *byte == b'>')
                .ok_or("the replacement has a \\g< without its >")?;
            (&tail[..end], end + 3)
        }
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => (&text[..2], 2),
        [a, ..] if a.is_ascii_digit() => (&text[..1], 1),
        _ => return Ok(None),
    };
    let name = String::from_utf8_lossy(name);
    let group = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|known| known == Some(&*name)),
    };
    match group {
        Some(group) => Ok(Some((group, length))),
        None => Err(format!(
            "the replacement refers to group {name}, which the pattern does not have"
        )),
    }
}
