//! Replaces folders by prefix rules, and parses the replacement templates of regular expressions.

use regex::bytes::Regex;
use smallvec::SmallVec;

use super::normal::{NormalPath, normal_form, unify_separators};
use super::path_shape::PathShape;

/// Maximum length in bytes of a rewritten path that needs no heap memory.
const ON_STACK: usize = 8192;

/// Returns whether a folder is an absolute path, as all listed paths are. A trailing separator is optional, as in `C:`.
pub fn is_absolute(folder: &[u8]) -> bool {
    let is_drive = matches!(folder, [drive, b':'] if drive.is_ascii_alphabetic());
    folder.starts_with(b"/") || PathShape::of(folder).windows || is_drive
}

/// A rule that replaces one folder with another. The rule compares normal forms, so `C:\Media` also matches
/// `c:/media/…`.
#[derive(Debug)]
pub struct PrefixRule {
    /// The folder to replace, without trailing separators.
    from: Vec<u8>,
    from_form: Vec<u8>,
    /// The replacement, without trailing separators.
    to: Vec<u8>,
    /// Whether the replacement is a Windows path.
    to_windows: bool,
}

impl PrefixRule {
    /// Creates a rule that replaces `from` with `to`. The folders may have trailing separators.
    pub fn new(from: &[u8], to: &[u8]) -> Self {
        // The root `/` becomes empty, because the root has no components.
        let trim = |folder: &[u8]| {
            let windows = PathShape::of(folder).windows;
            let end = folder
                .iter()
                .rposition(|byte| *byte != b'/' && !(windows && *byte == b'\\'))
                .map_or(0, |last| last + 1);
            folder[..end].to_vec()
        };
        let from = trim(from);
        Self {
            from_form: normal_form(&from),
            from,
            to: trim(to),
            to_windows: PathShape::of(to).windows,
        }
    }

    /// Passes the rewritten path to `then` and returns the result of `then`; `None` if the path is not under the rule's
    /// folder.
    pub fn rewrite<R>(&self, path: &NormalPath<'_>, then: &mut dyn FnMut(&[u8]) -> R) -> Option<R> {
        let windows = PathShape::of(path.raw()).windows;
        let below_folder = self.strip_folder(path, windows)?;
        let mut rewritten = SmallVec::<[u8; ON_STACK]>::new();
        rewritten.extend_from_slice(&self.to);
        rewritten.extend_from_slice(below_folder);
        // In a path that is not a Windows path, `\` is not a separator.
        if windows && !self.to_windows {
            unify_separators(&mut rewritten[self.to.len()..]);
        }
        Some(then(&rewritten))
    }

    /// Returns the exact bytes of the path after the rule's folder, including the leading separator.
    /// `None` if the path does not lie under the folder. `windows`: `\` is a separator in the path, like `/`.
    fn strip_folder<'p>(&self, path: &NormalPath<'p>, windows: bool) -> Option<&'p [u8]> {
        let raw = path.raw();
        let is_separator = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
        if let Some(below_folder) = raw.strip_prefix(self.from.as_slice())
            && below_folder.first().is_some_and(is_separator)
        {
            return Some(below_folder);
        }
        // The raw path may be spelled differently, and its length may differ from the normal form's. So this code
        // counts the separators after the folder in the normal form, and counts as many separators back from the end of
        // the raw path.
        let form_below_folder = path.form().strip_prefix(self.from_form.as_slice())?;
        if form_below_folder.first().is_some_and(|byte| *byte != b'/') {
            return None;
        }
        // Only the raw path can end in a separator.
        let trailing_separator = usize::from(raw.last().is_some_and(is_separator));
        let separators = form_below_folder.split(|byte| *byte == b'/').count() - 1 + trailing_separator;
        let (offset, _) = raw
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| is_separator(byte))
            .nth(separators.checked_sub(1)?)?;
        Some(&raw[offset..])
    }
}

/// Translates a replacement template to the syntax of the crate [`regex`].
///
/// `\1` to `\99`, `\g<1>` and `\g<name>` refer to groups, and `\\` is a backslash. A backslash before any other
/// character is a literal backslash, so that Windows paths need no escaping. The error is a message for the user.
pub fn parse_template(text: &[u8], regex: &Regex) -> Result<Vec<u8>, String> {
    let mut template = Vec::new();
    let mut remaining = text;
    while let Some((byte, tail)) = remaining.split_first() {
        remaining = tail;
        if *byte == b'$' {
            template.extend_from_slice(b"$$");
        } else if *byte != b'\\' {
            template.push(*byte);
        } else if let Some((group, length)) = parse_group(tail, regex)? {
            template.extend_from_slice(format!("${{{group}}}").as_bytes());
            remaining = &tail[length..];
        } else {
            template.push(b'\\');
            remaining = tail.strip_prefix(b"\\").unwrap_or(tail);
        }
    }
    Ok(template)
}

/// Parses the group reference after a backslash. Returns the group's number, and the length of the reference without
/// the backslash; `None` if `text` does not start with a reference. The error is a message for the user: the pattern
/// lacks the group.
fn parse_group(text: &[u8], regex: &Regex) -> Result<Option<(usize, usize)>, String> {
    let (name, length) = match text {
        [b'g', b'<', tail @ ..] => {
            let end = tail
                .iter()
                .position(|byte| *byte == b'>')
                .ok_or("the replacement contains \\g< without a closing >")?;
            (&tail[..end], end + 3) // with `g<` and `>`
        }
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => (&text[..2], 2),
        [a, ..] if a.is_ascii_digit() => (&text[..1], 1),
        _ => return Ok(None),
    };
    let name = String::from_utf8_lossy(name);
    let group = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|group_name| group_name == Some(&*name)),
    };
    match group {
        Some(group) => Ok(Some((group, length))),
        None => Err(format!(
            "the replacement refers to group {name}, which the pattern does not have"
        )),
    }
}
