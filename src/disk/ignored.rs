//! What a file `.plexignore` names: no gitignore.
//!
//! A pattern without a slash is of file names, whatever their case: in the folder of the file, and in all below that of a
//! library's own folder. One with a slash is of files and folders, from the file's folder on, and leaves out the folder before
//! its last slash, too. One that begins with a slash names nothing. Nothing negates, and `*` matches no slash.

use std::collections::HashMap;
use std::fs;
use std::io::Read;

use crate::platform::files::named;

/// No more of such a file is read.
const MOST: u64 = 1 << 20;

/// The lines of one folder's file.
#[derive(Debug)]
pub struct Ignored {
    folder: Vec<u8>,
    of_names: Patterns,
    of_paths: Patterns,
}

impl Ignored {
    /// Reads that of this folder; `None` if it cannot be read. A pipe of this name is not opened: that may wait for ever.
    pub fn of(folder: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        let path = named([folder, b"/.plexignore"].concat());
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let file = fs::File::open(path).ok()?;
        file.take(MOST).read_to_end(&mut text).ok()?;
        Some(Self::new(folder, &text))
    }

    pub fn new(folder: &[u8], text: &[u8]) -> Self {
        let mut ignored = Self {
            folder: without_slashes(folder).to_vec(),
            of_names: Patterns::new(true),
            of_paths: Patterns::new(false),
        };
        for line in text.split(|byte| *byte == b'\n') {
            let given = std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes());
            // No name has a NUL, and it would end the text of a finding.
            if given.first().is_none_or(|first| *first == b'#') || given.contains(&0) {
                continue;
            }
            let pattern = if given.starts_with(b"\\#") { &given[1..] } else { given };
            match pattern.iter().rposition(|byte| *byte == b'/') {
                None => ignored.of_names.add(given, &[pattern]),
                Some(_) if pattern[0] == b'/' => {}
                Some(last) => ignored
                    .of_paths
                    .add(given, &[without_slashes(pattern), &pattern[..last]]),
            }
        }
        ignored
    }

    /// The line that names a file, with where it stands; the file lies in this folder or below it.
    pub fn names_file(&self, path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let inside = self.inside(path)?;
        // File names come first.
        let line = self.of_names.first(name).or_else(|| self.of_paths.first(inside));
        line.map(|line| self.describe(line))
    }

    /// The same of a folder.
    pub fn names_folder(&self, path: &[u8]) -> Option<Vec<u8>> {
        let line = self.of_paths.first(self.inside(path)?);
        line.map(|line| self.describe(line))
    }

    /// The path from the file's folder on.
    fn inside<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(&*self.folder)?.strip_prefix(b"/")
    }

    fn describe(&self, line: &[u8]) -> Vec<u8> {
        [b"'", line, b"' in ", &*self.folder, b"/.plexignore"].concat()
    }
}

fn without_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

/// The lines of one kind. Plain names are looked up, however many they are; patterns are tried one by one.
#[derive(Debug)]
struct Patterns {
    /// Case does not matter.
    folds: bool,
    lines: Vec<Vec<u8>>,
    /// The first line with this plain name.
    plain: HashMap<Vec<char>, usize>,
    /// The other patterns, with their lines.
    globs: Vec<(usize, Vec<char>)>,
}

impl Patterns {
    fn new(folds: bool) -> Self {
        Self {
            folds,
            lines: Vec::new(),
            plain: HashMap::new(),
            globs: Vec::new(),
        }
    }

    fn add(&mut self, line: &[u8], patterns: &[&[u8]]) {
        for pattern in patterns {
            let pattern = chars_of(pattern, self.folds);
            if pattern.iter().any(|c| matches!(c, '*' | '?' | '[')) {
                self.globs.push((self.lines.len(), pattern));
            } else {
                self.plain.entry(pattern).or_insert(self.lines.len());
            }
        }
        self.lines.push(line.to_vec());
    }

    /// The first line that fits.
    fn first(&self, name: &[u8]) -> Option<&[u8]> {
        let name = chars_of(name, self.folds);
        let plain = self.plain.get(&name).copied();
        let mut before = self
            .globs
            .iter()
            .take_while(|(at, _)| plain.is_none_or(|plain| *at < plain));
        let glob = before.find(|(_, glob)| fits(glob, &name)).map(|(at, _)| *at);
        glob.or(plain).map(|at| &*self.lines[at])
    }
}

/// The characters of a name. A byte of no character becomes one that no name has; one that is longer in lower case stays.
fn chars_of(name: &[u8], folds: bool) -> Vec<char> {
    let mut chars = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        let lower = |c: char| Some(c.to_lowercase()).filter(|lower| folds && lower.len() == 1);
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

/// Whether a pattern of `*`, `?` and `[…]` is all of a name. A star that matched too little is tried again from where it stands:
/// one behind a slash needs none before it, for only a slash fits a slash.
fn fits(glob: &[char], name: &[char]) -> bool {
    let (mut pattern, mut rest) = (glob, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', behind @ ..] = pattern {
            star = Some((behind, rest));
            pattern = behind;
        } else if let Some((c, behind)) = rest.split_first()
            && let Some(length) = first_fits(pattern, *c)
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

/// How many characters of a pattern stand for this one, if its first part fits. A bracket that is never closed is a character.
fn first_fits(pattern: &[char], c: char) -> Option<usize> {
    let (own, behind) = pattern.split_first()?;
    if *own == '['
        && let Some((set, negated)) = set_of(behind)
    {
        let fits = c != '/' && is_within(c, set) != negated;
        return fits.then_some(set.len() + 2 + usize::from(negated));
    }
    (*own == c || *own == '?' && c != '/').then_some(1)
}

/// What stands between brackets, of which the first one is open, and whether it is negated. A bracket that closes at once is one of
/// the characters.
fn set_of(inside: &[char]) -> Option<(&[char], bool)> {
    let (negated, inside) = match inside {
        ['!', rest @ ..] => (true, rest),
        inside => (false, inside),
    };
    let end = 1 + inside.iter().skip(1).position(|c| *c == ']')?;
    Some((&inside[..end], negated))
}

/// Whether a character is one of a set, or lies in one of its ranges.
fn is_within(c: char, set: &[char]) -> bool {
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
