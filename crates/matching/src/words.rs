//! Splits names into words without case, accents and punctuation, to compare titles. Works on the stack.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::text::fold_letters;

/// Capacity for folded words in bytes: more than file systems allow for a name, except in scripts that grow when
/// folded.
const MAX_BYTES: usize = 512;
/// Maximum number of words in a name.
const MAX_WORDS: usize = 64;

/// The strongest separator between two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A space, a dot, an underscore, a hyphen inside of a word …
    #[default]
    Plain,
    /// A dash with spaces around it.
    Dash,
    /// `[` or `{`. Text in such brackets describes the file.
    Bracket,
    /// `(`. Text in round brackets is a year, or a part of the title.
    Round,
}

/// The position of a word in [`Words::bytes`], and what surrounded it in the text.
#[derive(Clone, Copy, Default)]
struct WordSpan {
    start: u16,
    end: u16,
    gap_before: Gap,
    in_brackets: bool,
}

/// The folded words of a name or title.
pub struct Words {
    bytes: [u8; MAX_BYTES],
    spans: [WordSpan; MAX_WORDS],
    used_bytes: usize,
    count: usize,
}

impl Words {
    /// Splits `text` into words. Returns `None` if the text is too long to compare. Allocates only for letters with
    /// more than four marks.
    pub fn of(text: &str) -> Option<Self> {
        let mut words = Self::new();
        words.fold(text).then_some(words)
    }

    /// Creates an empty list.
    pub fn new() -> Self {
        Self {
            bytes: [0; MAX_BYTES],
            spans: [WordSpan::default(); MAX_WORDS],
            used_bytes: 0,
            count: 0,
        }
    }

    /// Replaces these words by the words of `text`. Returns `false` if the text is too long to compare. Callers reuse
    /// the memory, since clearing it takes as long as folding a name.
    pub fn fold(&mut self, text: &str) -> bool {
        (self.used_bytes, self.count) = (0, 0);
        let splitter = WordSplitter {
            words: self,
            is_in_word: false,
            is_wide: false,
            gap: Gap::Plain,
            bracket_depth: 0,
        };
        splitter.split(text).is_some()
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the word at this index; an empty word behind the last one.
    pub fn word(&self, index: usize) -> &[u8] {
        match self.spans[..self.count].get(index) {
            Some(span) => &self.bytes[usize::from(span.start)..usize::from(span.end)],
            None => b"",
        }
    }

    /// Returns the strongest separator before the word at this index.
    pub fn gap_before(&self, index: usize) -> Gap {
        self.spans[..self.count]
            .get(index)
            .map_or(Gap::Plain, |span| span.gap_before)
    }

    /// Returns whether the word at this index is in brackets.
    pub fn is_in_brackets(&self, index: usize) -> bool {
        self.spans[..self.count].get(index).is_some_and(|span| span.in_brackets)
    }

    /// Iterates over all words.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|index| self.word(index))
    }

    /// Matches the words from index `start` on against the title's words from index `title_start` on. Returns the index
    /// behind the match; `None` if the title is not there. Ignores word boundaries between letters, as in
    /// `S.H.I.E.L.D.` and `Spider-Man`, but not between digits.
    fn match_title(&self, start: usize, title: &Words, title_start: usize) -> Option<usize> {
        let (mut index, mut title_index) = (start, title_start);
        let (mut name_rest, mut title_rest) = (self.word(index), title.word(title_index));
        loop {
            let compared = name_rest.len().min(title_rest.len());
            if compared == 0 || name_rest[0] != title_rest[0] || name_rest[..compared] != title_rest[..compared] {
                return None;
            }
            let (name_word_ends, title_word_ends) = (compared == name_rest.len(), compared == title_rest.len());
            if title_word_ends && title_index + 1 == title.len() {
                return name_word_ends.then_some(index + 1);
            }
            let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
            if name_word_ends != title_word_ends {
                let (before_boundary, behind_boundary) = if name_word_ends {
                    (name_rest.last(), self.word(index + 1).first())
                } else {
                    (title_rest.last(), title.word(title_index + 1).first())
                };
                if is_digit(before_boundary) && is_digit(behind_boundary) {
                    return None;
                }
            }
            (name_rest, title_rest) = (&name_rest[compared..], &title_rest[compared..]);
            if name_word_ends {
                index += 1;
                name_rest = self.word(index);
            }
            if title_word_ends {
                title_index += 1;
                title_rest = title.word(title_index);
            }
        }
    }

    /// Returns the index behind `title` if the title begins at index `start`. The title's article may have moved to the
    /// end, as in `Matrix, The`.
    pub fn title_at(&self, start: usize, title: &Words) -> Option<usize> {
        if title.len() == 0 {
            return None;
        }
        let with_moved_article = || {
            let end = (title.len() > 1).then(|| self.match_title(start, title, 1)).flatten()?;
            let article = title.word(0);
            (self.word(end) == article && ARTICLES.contains(&article)).then_some(end + 1)
        };
        self.match_title(start, title, 0).or_else(with_moved_article)
    }

    /// Returns the indexes of the words where `title` first occurs in this name; `None` if it does not occur.
    pub fn find_title(&self, title: &Words) -> Option<Range<usize>> {
        (0..self.len()).find_map(|start| Some(start..self.title_at(start, title)?))
    }

    /// Returns whether `name` contains this title.
    pub fn is_in(&self, name: &Self) -> bool {
        name.find_title(self).is_some()
    }

    /// Returns whether the title is so short that a path may contain it by chance: fewer than 6 letters in several
    /// words, or fewer than 9 in one word. Digits and a leading article do not count.
    pub fn is_short(&self) -> bool {
        let start = usize::from(self.len() > 1 && ARTICLES.contains(&self.word(0)));
        let letter_counts = (start..self.len()).map(|index| weighted_letters(self.word(index)));
        let (mut words, mut letters) = (0, 0);
        for count in letter_counts {
            words += usize::from(count > 0);
            letters += count;
        }
        letters < if words > 1 { 6 } else { 9 }
    }
}

/// Returns the number of letters in a word. A letter of a script without spaces counts as three.
fn weighted_letters(word: &[u8]) -> usize {
    if word.is_ascii() {
        return word.iter().filter(|byte| !byte.is_ascii_digit()).count();
    }
    let text = std::str::from_utf8(word).unwrap_or_default();
    let letters = text.chars().filter(|c| !c.is_numeric());
    letters.map(|c| if is_wide(c) { 3 } else { 1 }).sum()
}

/// Articles that names may have at the end of a title: `Matrix, The`.
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

/// Returns whether a letter is of a script without spaces. All letters of a word are wide, or none is.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Maps ASCII letters and digits to lower case, and other bytes to 0.
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

/// Splits a text into [`Words`]. The methods return `None` if the text does not fit into the words' fixed memory.
struct WordSplitter<'w> {
    words: &'w mut Words,
    /// Whether the last word may get more letters.
    is_in_word: bool,
    /// Whether the last letter is of a script without spaces.
    is_wide: bool,
    /// The strongest separator since the last word.
    gap: Gap,
    bracket_depth: u32,
}

impl WordSplitter<'_> {
    /// Splits the whole text; `None` if the text is too long.
    fn split(mut self, text: &str) -> Option<()> {
        let bytes = text.as_bytes();
        let mut previous = ' ';
        let mut offset = 0;
        while let Some(byte) = bytes.get(offset) {
            // Fast path: most names are words of ASCII letters with a space, dot or underscore between them.
            if LETTERS[usize::from(*byte)] != 0 {
                (previous, offset) = ('a', offset + self.append_ascii(&bytes[offset..])?);
                continue;
            }
            if matches!(byte, b' ' | b'.' | b'_') {
                self.end_word();
                (previous, offset) = (char::from(*byte), offset + 1);
                continue;
            }
            let Some(c) = text.get(offset..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            offset += c.len_utf8();
            let is_space_next = bytes.get(offset).is_none_or(|next| *next == b' ');
            let is_spaced_dash = matches!(c, '-' | '–' | '—') && previous.is_whitespace() && is_space_next;
            previous = c;
            if c.is_ascii() {
                self.put_char(c, is_spaced_dash)?;
                continue;
            }
            for c in fold_letters(std::iter::once(c).nfkd()) {
                self.put_char(c, is_spaced_dash)?;
            }
        }
        Some(())
    }

    /// Adds a letter or digit to the current word. `&` becomes the word "and", apostrophes are dropped, and other
    /// characters end the word. `is_spaced_dash`: the character is a dash with spaces around it.
    fn put_char(&mut self, c: char, is_spaced_dash: bool) -> Option<()> {
        if c.is_alphanumeric() {
            if self.is_in_word && is_wide(c) != self.is_wide {
                self.end_word();
            }
            self.is_wide = is_wide(c);
            return self.append_letter(c);
        }
        match c {
            '\'' | '\u{2019}' | '\u{2BC}' => return Some(()),
            '&' => {
                self.end_word();
                for c in "and".chars() {
                    self.append_letter(c)?;
                }
            }
            '(' => (self.gap, self.bracket_depth) = (self.gap.max(Gap::Round), self.bracket_depth + 1),
            '[' | '{' | '【' | '「' => {
                (self.gap, self.bracket_depth) = (self.gap.max(Gap::Bracket), self.bracket_depth + 1);
            }
            ')' | ']' | '}' | '】' | '」' => self.bracket_depth = self.bracket_depth.saturating_sub(1),
            _ if is_spaced_dash => self.gap = self.gap.max(Gap::Dash),
            _ => {}
        }
        self.end_word();
        Some(())
    }

    /// Appends the ASCII letters and digits at the start of `text`, in lower case, to the current word. Returns their
    /// number.
    fn append_ascii(&mut self, text: &[u8]) -> Option<usize> {
        if self.is_wide {
            self.end_word();
        }
        self.is_wide = false;
        self.begin_word()?;
        let mut length = 0;
        for (slot, byte) in self.words.bytes[self.words.used_bytes..].iter_mut().zip(text) {
            let letter = LETTERS[usize::from(*byte)];
            if letter == 0 {
                break;
            }
            *slot = letter;
            length += 1;
        }
        let has_fitted = text.get(length).is_none_or(|next| LETTERS[usize::from(*next)] == 0);
        has_fitted.then(|| self.extend_word(length)).flatten()?;
        Some(length)
    }

    /// Appends a letter to the current word, or begins a word with it.
    fn append_letter(&mut self, c: char) -> Option<()> {
        self.begin_word()?;
        let length = c.len_utf8();
        let used_bytes = self.words.used_bytes;
        c.encode_utf8(self.words.bytes.get_mut(used_bytes..used_bytes + length)?);
        self.extend_word(length)
    }

    /// Begins a new word, unless the current one has not ended.
    fn begin_word(&mut self) -> Option<()> {
        if self.is_in_word {
            return Some(());
        }
        let words = &mut *self.words;
        let start = u16::try_from(words.used_bytes).ok()?;
        *words.spans.get_mut(words.count)? = WordSpan {
            start,
            end: start,
            gap_before: std::mem::take(&mut self.gap),
            in_brackets: self.bracket_depth > 0,
        };
        words.count += 1;
        self.is_in_word = true;
        Some(())
    }

    /// Extends the current word by `length` bytes that were just written.
    fn extend_word(&mut self, length: usize) -> Option<()> {
        let words = &mut *self.words;
        words.used_bytes += length;
        words.spans[words.count - 1].end = u16::try_from(words.used_bytes).ok()?;
        Some(())
    }

    /// Makes the next letter begin a new word.
    fn end_word(&mut self) {
        self.is_in_word = false;
    }
}
