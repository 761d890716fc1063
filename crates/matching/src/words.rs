//! Splits names into folded words for comparing titles: without case, accents and punctuation, on the stack.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::text::lower;

/// Capacity for folded words in bytes: more than file systems allow for a name, except in scripts that grow when
/// folded.
const BYTES: usize = 512;
/// Maximum number of words in a name.
const WORDS: usize = 64;

/// The separator between two words; the strongest if there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A space, a dot, an underscore, a hyphen inside of a word …
    #[default]
    Plain,
    /// A dash with spaces around it.
    Dash,
    /// `[` or `{`: what follows describes the file.
    Bracket,
    /// `(`: a year, or a part of the title.
    Round,
}

#[derive(Clone, Copy, Default)]
struct WordSpan {
    start: u16,
    end: u16,
    before: Gap,
    in_brackets: bool,
}

/// The folded words of a name or title.
pub struct Words {
    bytes: [u8; BYTES],
    spans: [WordSpan; WORDS],
    used: usize,
    count: usize,
}

impl Words {
    /// Splits `text` into words; `None` if it is too long to compare. Allocates only for letters with more than four
    /// marks.
    pub fn of(text: &str) -> Option<Self> {
        let mut words = Self::new();
        words.fold(text).then_some(words)
    }

    /// Creates an empty list.
    pub fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            spans: [WordSpan::default(); WORDS],
            used: 0,
            count: 0,
        }
    }

    /// Replaces these words by those of `text`; `false` if it is too long. Reusing the memory matters: clearing it
    /// takes as long as folding a name.
    pub fn fold(&mut self, text: &str) -> bool {
        (self.used, self.count) = (0, 0);
        let folder = WordSplitter {
            words: self,
            open: false,
            wide: false,
            gap: Gap::Plain,
            depth: 0,
        };
        folder.fold(text).is_some()
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the word at this index; empty behind the last.
    pub fn word(&self, at: usize) -> &[u8] {
        match self.spans[..self.count].get(at) {
            Some(word) => &self.bytes[usize::from(word.start)..usize::from(word.end)],
            None => b"",
        }
    }

    /// Returns the separator before the word at this index.
    pub fn before(&self, at: usize) -> Gap {
        self.spans[..self.count].get(at).map_or(Gap::Plain, |word| word.before)
    }

    /// Returns whether the word stands in brackets.
    pub fn is_inside(&self, at: usize) -> bool {
        self.spans[..self.count].get(at).is_some_and(|word| word.in_brackets)
    }

    /// Iterates over all words.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|at| self.word(at))
    }

    /// Matches the words from index `from` against the title's words from `first` to `last` (excluded). Returns the
    /// index behind the match. Word boundaries between letters are ignored (`S.H.I.E.L.D.`, `Spider-Man`), those
    /// between digits are not.
    fn match_title(&self, from: usize, title: &Words, first: usize, last: usize) -> Option<usize> {
        let (mut at, mut title_at) = (from, first);
        let (mut name_rest, mut title_rest) = (self.word(at), title.word(title_at));
        loop {
            let same = name_rest.len().min(title_rest.len());
            if same == 0 || name_rest[0] != title_rest[0] || name_rest[..same] != title_rest[..same] {
                return None;
            }
            let (name_word_ends, title_word_ends) = (same == name_rest.len(), same == title_rest.len());
            if title_word_ends && title_at + 1 == last {
                return name_word_ends.then_some(at + 1);
            }
            let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
            if name_word_ends != title_word_ends {
                let (last, next) = if name_word_ends {
                    (name_rest.last(), self.word(at + 1).first())
                } else {
                    (title_rest.last(), title.word(title_at + 1).first())
                };
                if digit(last) && digit(next) {
                    return None;
                }
            }
            (name_rest, title_rest) = (&name_rest[same..], &title_rest[same..]);
            if name_word_ends {
                at += 1;
                name_rest = self.word(at);
            }
            if title_word_ends {
                title_at += 1;
                title_rest = title.word(title_at);
            }
        }
    }

    /// Matches `title` at index `from`; its article may have moved to the end. Returns the index behind it.
    pub fn title_at(&self, from: usize, title: &Words) -> Option<usize> {
        let last = title.len();
        if last == 0 {
            return None;
        }
        let moved = || {
            let end = (last > 1).then(|| self.match_title(from, title, 1, last)).flatten()?;
            let article = title.word(0);
            (self.word(end) == article && ARTICLES.contains(&article)).then_some(end + 1)
        };
        self.match_title(from, title, 0, last).or_else(moved)
    }

    /// Returns whether `name` contains this title.
    pub fn is_in(&self, name: &Self) -> bool {
        (0..name.len()).any(|at| name.title_at(at, self).is_some())
    }

    /// Returns whether the title is so short that a path may contain it by chance. Digits and a leading article do not
    /// count; letters of scripts without spaces count three times.
    pub fn is_short(&self) -> bool {
        let begin = usize::from(self.len() > 1 && ARTICLES.contains(&self.word(0)));
        let (mut words, mut letters) = (0, 0);
        for at in begin..self.len() {
            let own = own_letters(self.word(at));
            words += usize::from(own > 0);
            letters += own;
        }
        letters < if words > 1 { 6 } else { 9 }
    }
}

/// Number of letters in a word; those of scripts without spaces count three times.
fn own_letters(word: &[u8]) -> usize {
    if word.is_ascii() {
        return word.iter().filter(|byte| !byte.is_ascii_digit()).count();
    }
    let text = std::str::from_utf8(word).unwrap_or_default();
    let letters = text.chars().filter(|c| !c.is_numeric());
    letters.map(|c| if is_wide(c) { 3 } else { 1 }).sum()
}

/// Articles that are moved to the end of a title.
const ARTICLES: [&[u8]; 22] = [
    b"the", b"a", b"an", b"der", b"die", b"das", b"ein", b"eine", b"le", b"la", b"les", b"l", b"un", b"une", b"el",
    b"los", b"las", b"il", b"lo", b"gli", b"de", b"het",
];

/// Parses a word as a year from 1900 to 2099.
pub fn year(word: &[u8]) -> Option<i32> {
    let value = number(word).filter(|_| word.len() == 4)?;
    (1900..2100).contains(&value).then_some(value)
}

/// Parses a word of one to four digits.
pub fn number(word: &[u8]) -> Option<i32> {
    let digits = (1..=4).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    digits.then(|| word.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')))
}

/// Returns whether a letter is of a script without spaces. A change of script there starts a new word.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Maps ASCII letters and digits to lower case; other bytes to 0.
const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        if byte.is_ascii_alphanumeric() {
            letters[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
};

struct WordSplitter<'w> {
    words: &'w mut Words,
    /// A word is being read.
    open: bool,
    wide: bool,
    gap: Gap,
    depth: u32,
}

impl WordSplitter<'_> {
    fn fold(mut self, text: &str) -> Option<()> {
        let bytes = text.as_bytes();
        let mut before = ' ';
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            // Fast path: most names are words of ASCII letters separated by single plain bytes.
            if LETTERS[usize::from(*byte)] != 0 {
                (before, at) = ('a', at + self.append_ascii(&bytes[at..])?);
                continue;
            }
            if matches!(byte, b' ' | b'.' | b'_') {
                self.close();
                (before, at) = (char::from(*byte), at + 1);
                continue;
            }
            let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            at += c.len_utf8();
            let ends = bytes.get(at).is_none_or(|next| *next == b' ');
            let is_spaced_dash = matches!(c, '-' | '–' | '—') && before.is_whitespace() && ends;
            before = c;
            if c.is_ascii() {
                self.put_char(c, is_spaced_dash)?;
                continue;
            }
            for c in std::iter::once(c)
                .nfkd()
                .filter(|c| !is_combining_mark(*c))
                .flat_map(lower)
            {
                self.put_char(c, is_spaced_dash)?;
            }
        }
        Some(())
    }

    /// Adds a letter or digit to the current word; other characters but apostrophes end it, and `&` is the word "and".
    /// Returns `None` if there is no room left.
    fn put_char(&mut self, c: char, is_spaced_dash: bool) -> Option<()> {
        if c.is_alphanumeric() {
            if self.open && is_wide(c) != self.wide {
                self.close();
            }
            self.wide = is_wide(c);
            return self.letter(c);
        }
        match c {
            '\'' | '\u{2019}' | '\u{2BC}' => return Some(()),
            '&' => {
                self.close();
                for c in "and".chars() {
                    self.letter(c)?;
                }
            }
            '(' => (self.gap, self.depth) = (self.gap.max(Gap::Round), self.depth + 1),
            '[' | '{' | '【' | '「' => (self.gap, self.depth) = (self.gap.max(Gap::Bracket), self.depth + 1),
            ')' | ']' | '}' | '】' | '」' => {
                self.close();
                self.depth = self.depth.saturating_sub(1);
            }
            _ if is_spaced_dash => self.gap = self.gap.max(Gap::Dash),
            _ => {}
        }
        self.close();
        Some(())
    }

    /// Appends the ASCII letters and digits at the start of `text`, lower-cased, to the current word. Returns their
    /// count.
    fn append_ascii(&mut self, text: &[u8]) -> Option<usize> {
        if self.wide {
            self.close();
        }
        self.wide = false;
        self.open()?;
        let mut length = 0;
        for (room, byte) in self.words.bytes[self.words.used..].iter_mut().zip(text) {
            let letter = LETTERS[usize::from(*byte)];
            if letter == 0 {
                break;
            }
            *room = letter;
            length += 1;
        }
        let fits = text.get(length).is_none_or(|next| LETTERS[usize::from(*next)] == 0);
        fits.then(|| self.extend(length)).flatten()?;
        Some(length)
    }

    fn letter(&mut self, c: char) -> Option<()> {
        self.open()?;
        let length = c.len_utf8();
        let room = self.words.bytes.get_mut(self.words.used..self.words.used + length)?;
        c.encode_utf8(room);
        self.extend(length)
    }

    /// Begins a word, unless one is being read.
    fn open(&mut self) -> Option<()> {
        if self.open {
            return Some(());
        }
        let words = &mut *self.words;
        let at = u16::try_from(words.used).ok()?;
        *words.spans.get_mut(words.count)? = WordSpan {
            start: at,
            end: at,
            before: std::mem::take(&mut self.gap),
            in_brackets: self.depth > 0,
        };
        words.count += 1;
        self.open = true;
        Some(())
    }

    /// Extends the current word by `length` bytes.
    fn extend(&mut self, length: usize) -> Option<()> {
        let words = &mut *self.words;
        words.used += length;
        words.spans[words.count - 1].end = u16::try_from(words.used).ok()?;
        Some(())
    }

    fn close(&mut self) {
        self.open = false;
    }
}
