//! Rewrites paths by a mapping: prefixes by component, patterns by their replacement text.

use regex::bytes::Regex;
use smallvec::SmallVec;

use super::normal::{Normal, Shape, normal_form, unify_separators};

/// Rewritten paths up to this length in bytes need no heap.
const ON_STACK: usize = 8192;

/// Returns whether a folder is named from a root on, as every listed path is.
pub fn is_full(folder: &[u8]) -> bool {
    let is_drive = matches!(folder, [drive, b':'] if drive.is_ascii_alphabetic());
    folder.starts_with(b"/") || Shape::of(folder).windows || is_drive
}

/// Replaces one folder by another. Compares components in normal form, so `C:\Media` also matches `c:/media/…`.
#[derive(Debug)]
pub struct PrefixRule {
    raw: Vec<u8>,
    form: Vec<u8>,
    to: Vec<u8>,
    to_windows: bool,
}

impl PrefixRule {
    pub fn new(from: &[u8], to: &[u8]) -> Self {
        // `/` alone becomes empty: the root has no component.
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

    /// Passes the rewritten path to `then`, if the path lies under the folder.
    pub fn rewrite<R>(&self, path: &Normal<'_>, then: &mut dyn FnMut(&[u8]) -> R) -> Option<R> {
        let windows = Shape::of(path.raw()).windows;
        let rest = self.strip_folder(path, windows)?;
        let mut rewritten = SmallVec::<[u8; ON_STACK]>::new();
        rewritten.extend_from_slice(&self.to);
        rewritten.extend_from_slice(rest);
        if windows && !self.to_windows {
            unify_separators(&mut rewritten[self.to.len()..]);
        }
        Some(then(&rewritten))
    }

    /// The rest of the path behind the folder, with the leading separator, in the path's own bytes.
    fn strip_folder<'p>(&self, path: &Normal<'p>, windows: bool) -> Option<&'p [u8]> {
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
        let folders = rest_of_form.split(|byte| *byte == b'/').count() - 1;
        let (at, _) = raw
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| separates(byte))
            .nth(folders - 1)?;
        Some(&raw[at..])
    }
}

/// Translates a replacement text to the syntax of [`regex`].
///
/// `\1` to `\99`, `\g<1>` and `\g<name>` stand for groups, and `\\` for a backslash. A backslash before any other
/// character stands for itself, so that Windows paths need no doubled ones.
pub fn template(text: &[u8], regex: &Regex) -> Result<Vec<u8>, String> {
    let mut template = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'$' {
            template.extend_from_slice(b"$$");
        } else if *first != b'\\' {
            template.push(*first);
        } else if let Some((group, length)) = reference(tail, regex)? {
            template.extend_from_slice(format!("${{{group}}}").as_bytes());
            rest = &tail[length..];
        } else {
            template.push(b'\\');
            rest = tail.strip_prefix(b"\\").unwrap_or(tail);
        }
    }
    Ok(template)
}

/// Parses the group reference after a backslash; returns the group and the length of its name.
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
