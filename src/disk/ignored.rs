//! Parses `.plexignore` files, which differ from `.gitignore`.
//!
//! A pattern without a slash matches file names and ignores case. It applies in the folder of its `.plexignore` file;
//! in the file of a location it also applies in all folders below. A pattern with a slash matches the paths of files
//! and folders relative to that folder. It also matches the folder before its last slash. A pattern that begins with a
//! slash matches nothing. There is no negation, and `*` does not match a slash.

use std::collections::HashMap;
use std::fs;
use std::io::Read;

use crate::platform::files::named;
use crate::platform::local_path::shown;

/// Maximum number of bytes read of a `.plexignore` file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The patterns in the file of one folder.
#[derive(Debug)]
pub struct Ignored {
    folder: Vec<u8>,
    name_patterns: Patterns,
    path_patterns: Patterns,
}

impl Ignored {
    /// Reads the `.plexignore` file of this folder; `None` if there is none or it is unreadable. Opens only a regular
    /// file, because opening a pipe may block for ever.
    pub fn of(folder: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        let path = named([folder, b"/.plexignore"].concat());
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let file = fs::File::open(path).ok()?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut text).ok()?;
        Some(Self::new(folder, &text))
    }

    pub fn new(folder: &[u8], text: &[u8]) -> Self {
        let mut ignored = Self {
            folder: without_slashes(folder).to_vec(),
            name_patterns: Patterns::new(true),
            path_patterns: Patterns::new(false),
        };
        for line in text.split(|byte| *byte == b'\n') {
            let trimmed = std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes());
            // No file name contains a NUL, and a NUL would end the text of a finding.
            if trimmed.first().is_none_or(|first| *first == b'#') || trimmed.contains(&0) {
                continue;
            }
            let pattern = if trimmed.starts_with(b"\\#") {
                &trimmed[1..]
            } else {
                trimmed
            };
            match pattern.iter().rposition(|byte| *byte == b'/') {
                None => ignored.name_patterns.add(trimmed, &[pattern]),
                Some(_) if pattern[0] == b'/' => {}
                Some(last) => ignored
                    .path_patterns
                    .add(trimmed, &[without_slashes(pattern), &pattern[..last]]),
            }
        }
        ignored
    }

    /// Returns the line that matches a file in or below this folder, with the file that has the line.
    pub fn match_file(&self, path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let inside = self.inside(path)?;
        // Patterns of file names come first.
        let line = self
            .name_patterns
            .first_match(name)
            .or_else(|| self.path_patterns.first_match(inside));
        line.map(|line| self.describe(line))
    }

    /// Returns the line that matches a folder.
    pub fn match_folder(&self, path: &[u8]) -> Option<Vec<u8>> {
        let line = self.path_patterns.first_match(self.inside(path)?);
        line.map(|line| self.describe(line))
    }

    /// Returns the path relative to the file's folder.
    fn inside<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(&*self.folder)?.strip_prefix(b"/")
    }

    fn describe(&self, line: &[u8]) -> Vec<u8> {
        let file = [&*self.folder, b"/.plexignore"].concat();
        [b"'", line, b"' in ", &*shown(&file)].concat()
    }
}

fn without_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

/// The patterns of one kind. Plain names are in a hash table; globs are tried one by one.
#[derive(Debug)]
struct Patterns {
    ignores_case: bool,
    lines: Vec<Vec<u8>>,
    /// The first line with each plain name.
    plain: HashMap<Vec<char>, usize>,
    /// Globs, with their lines.
    globs: Vec<(usize, Vec<char>)>,
}

impl Patterns {
    fn new(ignores_case: bool) -> Self {
        Self {
            ignores_case,
            lines: Vec::new(),
            plain: HashMap::new(),
            globs: Vec::new(),
        }
    }

    /// Adds a line with its patterns.
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

    /// Returns the first line that matches.
    fn first_match(&self, name: &[u8]) -> Option<&[u8]> {
        let name = chars_of(name, self.ignores_case);
        let plain_line = self.plain.get(&name).copied();
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

/// Decodes a name, in lower case if `ignores_case`. A character stays as it is if its lower case has several
/// characters. An invalid byte becomes a character that no name contains.
fn chars_of(name: &[u8], ignores_case: bool) -> Vec<char> {
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
        chars.extend(invalid.filter_map(|byte| char::from_u32(0x10_FF00 + u32::from(*byte))));
    }
    chars
}

/// Returns whether a glob of `*`, `?` and `[…]` matches a whole name. Only the last star is extended when the rest does
/// not match. Earlier stars need not be: a star never extends over a slash, and only a slash matches a slash.
fn glob_matches(glob: &[char], name: &[char]) -> bool {
    let (mut pattern, mut rest) = (glob, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', behind @ ..] = pattern {
            star = Some((behind, rest));
            pattern = behind;
        } else if let Some((c, behind)) = rest.split_first()
            && let Some(length) = match_first(pattern, *c)
        {
            (pattern, rest) = (&pattern[length..], behind);
        } else if pattern.is_empty() && rest.is_empty() {
            return true;
        } else {
            let Some((behind, [_, taken @ ..])) = star.filter(|(_, taken)| taken.first() != Some(&'/')) else {
                return false;
            };
            star = Some((behind, taken));
            (pattern, rest) = (behind, taken);
        }
    }
}

/// Returns the length of the glob's first part if it matches this character. An unclosed bracket is an ordinary
/// character.
fn match_first(pattern: &[char], c: char) -> Option<usize> {
    let (first, rest) = pattern.split_first()?;
    if *first == '['
        && let Some((set, negated)) = parse_set(rest)
    {
        let matches = c != '/' && set_contains(c, set) != negated;
        return matches.then_some(set.len() + 2 + usize::from(negated));
    }
    (*first == c || *first == '?' && c != '/').then_some(1)
}

/// Parses a set after its opening bracket. Returns its content, and whether it is negated. A closing bracket in first
/// place belongs to the set.
fn parse_set(inside: &[char]) -> Option<(&[char], bool)> {
    let (negated, inside) = match inside {
        ['!', rest @ ..] => (true, rest),
        inside => (false, inside),
    };
    let end = 1 + inside.iter().skip(1).position(|c| *c == ']')?;
    Some((&inside[..end], negated))
}

/// Returns whether a character is in a set or one of its ranges.
fn set_contains(c: char, set: &[char]) -> bool {
    let mut rest = set;
    while let [from, behind @ ..] = rest {
        let (to, behind) = match behind {
            ['-', to, behind @ ..] => (to, behind),
            _ => (from, behind),
        };
        if (*from..=*to).contains(&c) {
            return true;
        }
        rest = behind;
    }
    false
}
