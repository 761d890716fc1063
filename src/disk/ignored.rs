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

#[derive(Debug)]
struct Line {
    given: Vec<u8>,
    of_paths: bool,
    globs: Vec<Glob>,
}

/// The lines of one kind. Those that are plain names are looked up, however many they are: each file is compared with the
/// patterns alone.
#[derive(Debug)]
struct Patterns {
    folds: bool,
    lines: Vec<Line>,
    /// The first line with this plain name.
    plain: HashMap<Vec<u8>, usize>,
    /// The others, and the plain ones that a longer case form could hide: by their lines.
    globs: Vec<(usize, usize)>,
}

impl Patterns {
    fn new(lines: Vec<Line>, folds: bool) -> Self {
        let (mut plain, mut globs) = (HashMap::new(), Vec::new());
        for (at, line) in lines.iter().enumerate() {
            for (place, glob) in line.globs.iter().enumerate() {
                match glob.plain(folds) {
                    Some(name) => _ = plain.entry(name).or_insert(at),
                    None => globs.push((at, place)),
                }
            }
        }
        Self {
            folds,
            lines,
            plain,
            globs,
        }
    }

    /// The first line that fits.
    fn first(&self, name: &[u8]) -> Option<&Line> {
        let plain = form(units(name).into_iter(), self.folds).and_then(|name| self.plain.get(&name).copied());
        let before = |(at, _): &&(usize, usize)| plain.is_none_or(|plain| *at < plain);
        let mut globs = self.globs.iter().take_while(before);
        let glob = globs.find(|(at, place)| self.lines[*at].globs[*place].fits(name, self.folds));
        glob.map(|(at, _)| *at).or(plain).map(|at| &self.lines[at])
    }
}

/// What two plain names have in common that fit each other; `None` where their length does not stay what it is in lower case,
/// and they fit character by character only.
fn form(units: impl Iterator<Item = Unit>, folds: bool) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    for unit in units {
        match unit {
            Unit::Byte(byte) => form.push(byte),
            Unit::Char(char) => {
                let mut lower = char.to_lowercase();
                let one = if folds {
                    lower.next().filter(|_| lower.len() == 0)?
                } else {
                    char
                };
                form.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Some(form)
}

impl Ignored {
    /// That of this folder; `None` where there is none that can be read. A pipe of this name is not opened: that may wait for ever.
    pub fn of(folder: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        let path = named([folder, b"/.plexignore"].concat());
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let file = fs::File::open(path).ok()?;
        file.take(MOST).read_to_end(&mut text).ok()?;
        Some(Self::new(folder, &text))
    }

    pub fn new(folder: &[u8], text: &[u8]) -> Self {
        let end = folder.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
        let lines = text.split(|byte| *byte == b'\n').filter_map(Line::of);
        let (of_paths, of_names) = lines.partition(|line| line.of_paths);
        Self {
            folder: folder[..end].to_vec(),
            of_names: Patterns::new(of_names, true),
            of_paths: Patterns::new(of_paths, false),
        }
    }

    /// The line that names a file, with where it stands; the file lies in this folder or below it.
    pub fn names_file(&self, path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let inside = self.inside(path)?;
        // File names come first: which line is told.
        let line = self.of_names.first(name);
        line.map(|line| self.told(line)).or_else(|| self.names_path(inside))
    }

    /// The same of a folder.
    pub fn names_folder(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.names_path(self.inside(path)?)
    }

    /// The path from the file's folder on.
    fn inside<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(&*self.folder)?.strip_prefix(b"/")
    }

    fn names_path(&self, inside: &[u8]) -> Option<Vec<u8>> {
        self.of_paths.first(inside).map(|line| self.told(line))
    }

    fn told(&self, line: &Line) -> Vec<u8> {
        [b"'", &*line.given, b"' in ", &*self.folder, b"/.plexignore"].concat()
    }
}

impl Line {
    fn of(line: &[u8]) -> Option<Self> {
        let given = std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes());
        // No name has a NUL, and it would end the text of a finding.
        if given.first().is_none_or(|first| *first == b'#') || given.contains(&0) {
            return None;
        }
        let pattern = if given.starts_with(b"\\#") { &given[1..] } else { given };
        let globs = match pattern.iter().rposition(|byte| *byte == b'/') {
            None => vec![Glob::new(pattern)],
            Some(_) if pattern[0] == b'/' => return None,
            Some(last) => {
                let end = pattern.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
                vec![Glob::new(&pattern[..end]), Glob::new(&pattern[..last])]
            }
        };
        Some(Self {
            given: given.to_vec(),
            of_paths: pattern.contains(&b'/'),
            globs,
        })
    }
}

/// A pattern of names: `*`, `?` and `[…]`.
#[derive(Debug)]
struct Glob(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    One(Unit),
    /// Any but a slash.
    Any,
    /// As many of these as there are.
    Star,
    /// One of these ranges, or none of them.
    Set(bool, Vec<(Unit, Unit)>),
}

/// A character, or a byte that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Char(char),
    Byte(u8),
}

const SLASH: Unit = Unit::Char('/');

fn units(bytes: &[u8]) -> Vec<Unit> {
    let mut units = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        units.extend(chunk.valid().chars().map(Unit::Char));
        units.extend(chunk.invalid().iter().copied().map(Unit::Byte));
    }
    units
}

impl Unit {
    fn is(self, other: Self, folds: bool) -> bool {
        match (self, other) {
            (Self::Char(own), Self::Char(others)) if folds => own.to_lowercase().eq(others.to_lowercase()),
            _ => self == other,
        }
    }

    fn is_within(self, ranges: &[(Self, Self)], folds: bool) -> bool {
        let is_within = |unit: Self| ranges.iter().any(|(from, to)| (*from..=*to).contains(&unit));
        is_within(self)
            || matches!(self, Self::Char(char) if folds
                && char.to_lowercase().chain(char.to_uppercase()).any(|char| is_within(Self::Char(char))))
    }
}

impl Piece {
    fn fits(&self, unit: Unit, folds: bool) -> bool {
        match self {
            Self::One(one) => one.is(unit, folds),
            Self::Any => unit != SLASH,
            Self::Set(negated, ranges) => unit != SLASH && unit.is_within(ranges, folds) != *negated,
            Self::Star => false,
        }
    }
}

impl Glob {
    fn new(pattern: &[u8]) -> Self {
        let units = units(pattern);
        let mut pieces = Vec::with_capacity(units.len());
        let mut at = 0;
        while let Some(unit) = units.get(at) {
            at += 1;
            pieces.push(match unit {
                Unit::Char('*') => Piece::Star,
                Unit::Char('?') => Piece::Any,
                Unit::Char('[') => match set(&units[at..]) {
                    Some((set, length)) => {
                        at += length;
                        set
                    }
                    None => Piece::One(*unit),
                },
                _ => Piece::One(*unit),
            });
        }
        Self(pieces)
    }

    /// It as a plain name, if it is one.
    fn plain(&self, folds: bool) -> Option<Vec<u8>> {
        let units: Option<Vec<Unit>> = (self.0.iter())
            .map(|piece| {
                if let Piece::One(unit) = piece {
                    Some(*unit)
                } else {
                    None
                }
            })
            .collect();
        form(units?.into_iter(), folds)
    }

    /// Whether it is all of a name. A star that matched too little is tried again from where it stands: one in a folder's
    /// name behind the slash needs none before it, for a slash fits nothing else.
    fn fits(&self, name: &[u8], folds: bool) -> bool {
        let name = units(name);
        let (mut at, mut piece) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(piece), name.get(at)) {
                (None, None) => return true,
                (Some(Piece::Star), _) => {
                    star = Some((piece, at));
                    piece += 1;
                }
                (Some(own), Some(unit)) if own.fits(*unit, folds) => {
                    piece += 1;
                    at += 1;
                }
                _ => match star {
                    Some((from, taken)) if name.get(taken).is_some_and(|unit| *unit != SLASH) => {
                        star = Some((from, taken + 1));
                        (piece, at) = (from + 1, taken + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}

/// What stands between brackets, of which the first one is open, and how long it is. A bracket that closes at once is one of
/// the characters.
fn set(units: &[Unit]) -> Option<(Piece, usize)> {
    let skipped = if units.first() == Some(&Unit::Char('!')) { 2 } else { 1 };
    let behind = units.iter().skip(skipped);
    let end = skipped + behind.into_iter().position(|unit| *unit == Unit::Char(']'))?;
    let (negated, inside) = match &units[..end] {
        [Unit::Char('!'), rest @ ..] => (true, rest),
        inside => (false, inside),
    };
    let mut ranges = Vec::new();
    let mut rest = inside;
    loop {
        rest = match rest {
            [from, Unit::Char('-'), to, rest @ ..] => {
                ranges.push((*from, *to));
                rest
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                rest
            }
            [] => return Some((Piece::Set(negated, ranges), end + 1)),
        };
    }
}
