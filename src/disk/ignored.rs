//! Parses `.plexignore` files. The format differs from `.gitignore`.
//!
//! A pattern without a slash matches file names, and ignores case. The pattern applies in the folder of the
//! `.plexignore` file; if this folder is a library location, the pattern also applies in all subfolders. A pattern with
//! a slash matches the paths of files and folders relative to the folder of the `.plexignore` file. The part of the
//! pattern before its last slash also matches the path of a folder. A pattern that starts with a slash matches nothing.
//! The format has no negated patterns, and `*` does not match a slash.

use std::collections::HashMap;
use std::fs;
use std::io::Read;

use crate::platform::files::path_from_bytes;
use crate::platform::local_path::to_native;

const MAX_FILE_BYTES: u64 = 1 << 20; // to read from a `.plexignore` file

/// The patterns in one folder's `.plexignore` file.
#[derive(Debug)]
pub struct Ignored {
    folder: Vec<u8>,
    name_patterns: Patterns, // without a slash
    path_patterns: Patterns, // with a slash
}

impl Ignored {
    /// Reads the `.plexignore` file in `folder`; `None` if the file is missing or unreadable. Opens only a regular
    /// file, because opening a pipe could block forever.
    pub fn read(folder: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        let path = path_from_bytes([folder, b"/.plexignore"].concat());
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let file = fs::File::open(path).ok()?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut text).ok()?;
        Some(Self::new(folder, &text))
    }

    /// Parses the text of a `.plexignore` file in `folder`: one pattern per line; a line that starts with `#` is a
    /// comment.
    pub fn new(folder: &[u8], text: &[u8]) -> Self {
        let mut ignored = Self {
            folder: trim_slashes(folder).to_vec(),
            name_patterns: Patterns::new(true), // ignores case
            path_patterns: Patterns::new(false),
        };
        for line in text.split(|byte| *byte == b'\n') {
            let trimmed = std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes());
            // Skip a line with a NUL: no file name contains a NUL, and a NUL would end the finding's C string.
            if trimmed.first().is_none_or(|byte| *byte == b'#') || trimmed.contains(&0) {
                continue;
            }
            // In the file, a pattern that starts with `#` has a backslash before it, because `#` starts a comment.
            let pattern = if trimmed.starts_with(b"\\#") {
                &trimmed[1..]
            } else {
                trimmed
            };
            match pattern.iter().rposition(|byte| *byte == b'/') {
                None => ignored.name_patterns.add(trimmed, &[pattern]),
                Some(_) if pattern[0] == b'/' => {} // matches nothing
                // The part before the last slash also matches, so that `extras/*` ignores the folder `extras`.
                Some(last) => ignored
                    .path_patterns
                    .add(trimmed, &[trim_slashes(pattern), &pattern[..last]]),
            }
        }
        ignored
    }

    /// Returns the text for a finding if a line ignores this file in or below the folder: the first such line, with the
    /// path of the `.plexignore` file. `None` if no line matches. `name`: the last component of `path`.
    pub fn match_file(&self, path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let relative_path = self.relative_path(path)?;
        // File name patterns take precedence over path patterns.
        let line = self
            .name_patterns
            .first_match(name)
            .or_else(|| self.path_patterns.first_match(relative_path));
        line.map(|line| self.describe(line))
    }

    /// Returns the text for a finding if a line ignores this folder below the file's folder: the first such line, with
    /// the path of the `.plexignore` file. `None` if no line matches. Only patterns with a slash match folders.
    pub fn match_folder(&self, path: &[u8]) -> Option<Vec<u8>> {
        let line = self.path_patterns.first_match(self.relative_path(path)?);
        line.map(|line| self.describe(line))
    }

    /// Returns the path relative to this folder; `None` if the path is not below this folder.
    fn relative_path<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(&*self.folder)?.strip_prefix(b"/")
    }

    /// Formats a line and the path of its `.plexignore` file for a finding.
    fn describe(&self, line: &[u8]) -> Vec<u8> {
        let file = [&*self.folder, b"/.plexignore"].concat();
        [b"'", line, b"' in ", &*to_native(&file)].concat()
    }
}

/// Returns the path without the slashes at its end.
fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

/// Either the patterns with a slash or the patterns without: plain names in a hash table, and globs, which
/// [`Patterns::first_match`] tries in turn.
#[derive(Debug)]
struct Patterns {
    ignores_case: bool,
    lines: Vec<Vec<u8>>,
    plain: HashMap<Vec<char>, usize>, // each plain name, with the index of the first line that contains it
    globs: Vec<(usize, Vec<char>)>,   // each with the index of its line
}

impl Patterns {
    /// Creates an empty set of patterns. `ignores_case`: whether the patterns ignore the case of names.
    fn new(ignores_case: bool) -> Self {
        Self {
            ignores_case,
            lines: Vec::new(),
            plain: HashMap::new(),
            globs: Vec::new(),
        }
    }

    /// Adds the next line of the file, which matches a name if any of `patterns` matches it.
    fn add(&mut self, line: &[u8], patterns: &[&[u8]]) {
        for pattern in patterns {
            let pattern = chars_of(pattern, self.ignores_case);
            if pattern.iter().any(|c| matches!(c, '*' | '?' | '[')) {
                self.globs.push((self.lines.len(), pattern));
            } else {
                self.plain.entry(pattern).or_insert(self.lines.len());
            }
        }
        self.lines.push(line.to_vec());
    }

    /// Returns the first line with a pattern that matches the whole `name`, a file name or a relative path; `None` if
    /// no pattern matches.
    fn first_match(&self, name: &[u8]) -> Option<&[u8]> {
        let name = chars_of(name, self.ignores_case);
        let plain_line = self.plain.get(&name).copied();
        // A glob counts only if its line comes before the plain name's line.
        let mut globs_before = self
            .globs
            .iter()
            .take_while(|(line, _)| plain_line.is_none_or(|plain_line| *line < plain_line));
        let glob_line = globs_before
            .find(|(_, glob)| glob_matches(glob, &name))
            .map(|(line, _)| *line);
        glob_line.or(plain_line).map(|line| &*self.lines[line])
    }
}

/// Decodes a name, and converts it to lower case if `ignores_case` is `true`. A character whose lower case consists of
/// several characters stays unchanged. An invalid byte becomes a private-use character, which names rarely contain.
fn chars_of(name: &[u8], ignores_case: bool) -> Vec<char> {
    const INVALID_BYTE_BASE: u32 = 0x10_FF00; // added to an invalid byte to get its private-use character
    let mut chars = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let lower = |c: char| Some(c.to_lowercase()).filter(|lower| ignores_case && lower.len() == 1);
        chars.extend(
            chunk
                .valid()
                .chars()
                .map(|c| lower(c).and_then(|mut lower| lower.next()).unwrap_or(c)),
        );
        let invalid = chunk.invalid().iter();
        chars.extend(invalid.filter_map(|byte| char::from_u32(INVALID_BYTE_BASE + u32::from(*byte))));
    }
    chars
}

/// Returns whether a glob with `*`, `?` and `[…]` matches a whole name. After a mismatch, extends only the last star.
/// Extending an earlier star cannot help, because a slash in the name can match only a slash in the glob.
fn glob_matches(glob: &[char], name: &[char]) -> bool {
    let (mut glob_left, mut name_left) = (glob, name);
    // The part of the glob after the last star, and the part of the name after the characters that the star matches.
    let mut last_star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', after_star @ ..] = glob_left {
            last_star = Some((after_star, name_left));
            glob_left = after_star;
        } else if let Some((c, tail)) = name_left.split_first()
            && let Some(length) = match_first(glob_left, *c)
        {
            (glob_left, name_left) = (&glob_left[length..], tail);
        } else if glob_left.is_empty() && name_left.is_empty() {
            return true;
        } else {
            let can_extend = |(_, unmatched): &(&[char], &[char])| unmatched.first() != Some(&'/');
            let Some((after_star, [_, unmatched @ ..])) = last_star.filter(can_extend) else {
                return false;
            };
            last_star = Some((after_star, unmatched));
            (glob_left, name_left) = (after_star, unmatched);
        }
    }
}

/// Matches `c` with the first element of a glob, which is a character or a set. Returns the element's length; `None` if
/// the element does not match. An unclosed bracket is an ordinary character.
fn match_first(pattern: &[char], c: char) -> Option<usize> {
    let (first, after_first) = pattern.split_first()?;
    if *first == '['
        && let Some((set, negated)) = parse_set(after_first)
    {
        let matches = c != '/' && set_contains(c, set) != negated;
        return matches.then_some(set.len() + 2 + usize::from(negated)); // the brackets and `!`
    }
    (*first == c || *first == '?' && c != '/').then_some(1)
}

/// Parses a set, starting after the opening bracket. Returns the set's content, without `!` and the brackets, and
/// whether the set is negated; `None` without a closing bracket. A closing bracket at the start belongs to the set.
fn parse_set(text: &[char]) -> Option<(&[char], bool)> {
    let (negated, text) = match text {
        ['!', after_mark @ ..] => (true, after_mark),
        text => (false, text),
    };
    let end = 1 + text.iter().skip(1).position(|c| *c == ']')?;
    Some((&text[..end], negated))
}

/// Returns whether the content of a set, such as `a-fx`, contains a character, either directly or in a range.
fn set_contains(c: char, set: &[char]) -> bool {
    let mut unread = set;
    while let [from, tail @ ..] = unread {
        let (to, tail) = match tail {
            ['-', to, tail @ ..] => (to, tail),
            _ => (from, tail), // a single character
        };
        if (*from..=*to).contains(&c) {
            return true;
        }
        unread = tail;
    }
    false
}
