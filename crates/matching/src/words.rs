//! Splits names into words, and folds case, accents and punctuation, so that searches and comparisons of titles ignore
//! them.

use smallvec::SmallVec;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use xxhash_rust::xxh3::xxh3_64;

use super::form::{Component, Form};
use super::normal::NormalPath;
use super::resolution::ItemRef;
use crate::model::ItemType;

/// Capacity for folded words in bytes. This exceeds what file systems allow for a name, because folding lengthens names
/// in some scripts.
const MAX_BYTES: usize = 512;
const MAX_WORDS: usize = 64;

/// The position of a word in [`Words::bytes`].
#[derive(Clone, Copy, Default)]
struct WordSpan {
    start: u16,
    end: u16,
}

/// The folded words of a name or title.
pub struct Words {
    bytes: [u8; MAX_BYTES],
    spans: [WordSpan; MAX_WORDS],
    used_bytes: usize,
    count: usize,
}

impl Words {
    /// Splits `text` into words. Returns `None` if the text is too long to compare. Allocates memory only for letters
    /// with more than four combining marks.
    pub fn of(text: &str) -> Option<Self> {
        let mut words = Self::new();
        words.set_text(text).then_some(words)
    }

    pub fn new() -> Self {
        Self {
            bytes: [0; MAX_BYTES],
            spans: [WordSpan::default(); MAX_WORDS],
            used_bytes: 0,
            count: 0,
        }
    }

    /// Replaces all words with the words of `text`. Returns `false` if the text is too long to compare. Callers reuse a
    /// list, because zeroing a new list takes as long as folding a name.
    pub fn set_text(&mut self, text: &str) -> bool {
        (self.used_bytes, self.count) = (0, 0);
        let splitter = WordSplitter {
            words: self,
            is_in_word: false,
            is_wide: false,
        };
        splitter.split(text).is_some()
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the word at this index; an empty word if the index is out of range.
    pub fn word(&self, index: usize) -> &[u8] {
        match self.spans[..self.count].get(index) {
            Some(span) => &self.bytes[usize::from(span.start)..usize::from(span.end)],
            None => b"",
        }
    }

    /// Returns the number of letters and digits in all words, in bytes.
    pub fn letter_count(&self) -> usize {
        self.used_bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|index| self.word(index))
    }

    /// Compares the words from index `start` with the title's words from index `title_start` to the end of the title.
    /// Returns the index after the matching words; `None` if the words differ. Ignores word boundaries between letters,
    /// as in `S.H.I.E.L.D.` and `Spider-Man`, but not between digits.
    fn match_title(&self, start: usize, title: &Words, title_start: usize) -> Option<usize> {
        // Each pass compares the rest of a word in the name with the rest of a word in the title, up to the end of the
        // shorter rest, because words may be split differently.
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
            // A boundary between two digits must be in both: `2 1` is not `21`.
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

    /// Returns whether `name` contains this title, perhaps without the article at its start.
    pub fn is_mentioned_in(&self, name: &Self) -> bool {
        let first = usize::from(self.len() > 1 && ARTICLES.contains(&self.word(0)));
        self.len() > 0 && (0..name.len()).any(|start| name.match_title(start, self, first).is_some())
    }
}

/// Articles at the start of a title, which a name may lack.
const ARTICLES: [&[u8]; 22] = [
    b"the", b"a", b"an", b"der", b"die", b"das", b"ein", b"eine", b"le", b"la", b"les", b"l", b"un", b"une", b"el",
    b"los", b"las", b"il", b"lo", b"gli", b"de", b"het",
];

/// Returns the title that appears in the names of an item's files and folders: a film's title, the title of an
/// episode's show, or a track's artist. `None` for other types, or if the title is empty.
pub fn naming_title<'i>(item: &ItemRef<'i>) -> Option<&'i str> {
    let title = match item.kind {
        ItemType::Movie => item.title,
        ItemType::Episode | ItemType::Track => item.show_title,
        _ => "",
    };
    (!title.is_empty()).then_some(title)
}

/// Iterates over a path's components as strings, last first. A component that is not UTF-8 becomes an empty string.
pub fn rev_components_of<'p>(path: &NormalPath<'p>) -> impl Iterator<Item = &'p str> {
    let text = |component: Component<'p>| std::str::from_utf8(component.bytes()).unwrap_or_default();
    Form::from_folded(path.form()).rev_components().map(text)
}

/// Returns whether a letter is from a script without spaces, such as Chinese. A word never mixes wide and other
/// letters.
fn is_wide(c: char) -> bool {
    // Kana, and the blocks of Chinese characters.
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Table that maps ASCII letters and digits to lower case, and all other bytes to 0.
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

/// Splits a string into [`Words`]. The methods return `None` if the string exceeds the fixed capacity.
struct WordSplitter<'w> {
    words: &'w mut Words,
    /// Whether the next letter belongs to the last word.
    is_in_word: bool,
    /// Whether the last letter is from a script without spaces.
    is_wide: bool,
}

impl WordSplitter<'_> {
    /// Splits the whole string; `None` if the string is too long.
    fn split(mut self, text: &str) -> Option<()> {
        let bytes = text.as_bytes();
        let mut offset = 0;
        while let Some(byte) = bytes.get(offset) {
            // Fast path: most names consist of ASCII words, separated by spaces, dots or underscores.
            if LETTERS[usize::from(*byte)] != 0 {
                offset += self.append_ascii(&bytes[offset..])?;
                continue;
            }
            if matches!(byte, b' ' | b'.' | b'_') {
                self.end_word();
                offset += 1;
                continue;
            }
            let Some(c) = text.get(offset..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            offset += c.len_utf8();
            if c.is_ascii() {
                self.add_char(c)?;
                continue;
            }
            for c in fold_letters(std::iter::once(c).nfkd()) {
                self.add_char(c)?;
            }
        }
        Some(())
    }

    /// Adds a character: appends a letter or digit to the current word, converts `&` to the word "and", and drops an
    /// apostrophe. Any other character ends the word. Returns `None` if the capacity is exceeded.
    fn add_char(&mut self, c: char) -> Option<()> {
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
            _ => {}
        }
        self.end_word();
        Some(())
    }

    /// Appends the ASCII letters and digits at the start of `text` to the current word, in lower case. Returns the
    /// number of appended bytes; `None` if the capacity is exceeded.
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

    /// Appends a letter to the current word or to a new word. Returns `None` if the capacity is exceeded.
    fn append_letter(&mut self, c: char) -> Option<()> {
        self.begin_word()?;
        let length = c.len_utf8();
        let used_bytes = self.words.used_bytes;
        c.encode_utf8(self.words.bytes.get_mut(used_bytes..used_bytes + length)?);
        self.extend_word(length)
    }

    /// Starts a new word if the previous word has ended. Returns `None` if the capacity is exceeded.
    fn begin_word(&mut self) -> Option<()> {
        if self.is_in_word {
            return Some(());
        }
        let words = &mut *self.words;
        let start = u16::try_from(words.used_bytes).ok()?;
        *words.spans.get_mut(words.count)? = WordSpan { start, end: start };
        words.count += 1;
        self.is_in_word = true;
        Some(())
    }

    /// Extends the current word by the `length` bytes that the caller has just written. Returns `None` if the capacity
    /// is exceeded.
    fn extend_word(&mut self, length: usize) -> Option<()> {
        let words = &mut *self.words;
        words.used_bytes += length;
        words.spans[words.count - 1].end = u16::try_from(words.used_bytes).ok()?;
        Some(())
    }

    /// Ends the current word, so that the next letter starts a new word.
    fn end_word(&mut self) {
        self.is_in_word = false;
    }
}

/// Folds a title to lower-case words without accents or punctuation, separated by single spaces. Drops apostrophes:
/// `Ocean's` becomes `oceans`. Replaces `&` with `and`, joins initials (`S.W.A.T.` becomes `swat`), and separates
/// numbers from letters, so that `Alien³` is `Alien 3`. A title that consists only of punctuation is just trimmed and
/// lower-cased.
#[must_use]
pub fn fold_title(title: &str) -> String {
    // The words, and whether each is an initial that a full stop separates from the next word.
    let mut words: Vec<(String, bool)> = Vec::new();
    let mut previous = ' ';
    for c in fold_letters(title.nfkd()) {
        if c == '&' {
            words.push(("and".to_owned(), false));
        } else if c.is_alphanumeric() {
            let is_same_word = previous.is_alphanumeric() && previous.is_numeric() == c.is_numeric();
            match words.last_mut() {
                Some((word, _)) if is_same_word => word.push(c),
                _ => words.push((c.to_string(), false)),
            }
        } else if matches!(c, '\'' | '\u{2019}' | '\u{02BC}') {
            continue;
        } else if let Some((word, is_initial)) = words.last_mut() {
            *is_initial = matches!(c, '.' | '*') && is_letter(previous) && word.chars().count() == 1;
        }
        previous = c;
    }
    let mut folded = String::with_capacity(title.len());
    let mut joins = false;
    for (word, is_initial) in words {
        let is_one_letter = word.chars().count() == 1 && word.chars().all(is_letter);
        if !(folded.is_empty() || joins && is_one_letter) {
            folded.push(' ');
        }
        folded.push_str(&word);
        joins = is_initial;
    }
    if folded.is_empty() {
        return title.trim().to_lowercase();
    }
    folded
}

/// Returns whether a character is a letter and no number, as some Greek and Roman numerals are both.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}

/// Lower-cases decomposed letters, and removes the accents.
fn fold_letters(letters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    letters.filter(|c| !is_combining_mark(*c)).flat_map(lower_plain)
}

/// Lower-cases a letter. Replaces ligatures and stroked letters, which Unicode decomposition leaves intact, with plain
/// letters.
fn lower_plain(c: char) -> impl Iterator<Item = char> {
    // `\0` fills unused places.
    let plain = match c {
        'ø' | 'Ø' => ['o', '\0'],
        'đ' | 'Đ' | 'ð' | 'Ð' => ['d', '\0'],
        'ł' | 'Ł' => ['l', '\0'],
        'ı' => ['i', '\0'],
        'ß' | 'ẞ' => ['s', 's'],
        'æ' | 'Æ' => ['a', 'e'],
        'œ' | 'Œ' => ['o', 'e'],
        _ => ['\0', '\0'],
    };
    let lower_case = if plain[0] == '\0' { Some(c.to_lowercase()) } else { None };
    let plain = plain.into_iter().filter(|c| *c != '\0');
    lower_case
        .into_iter()
        .flatten()
        .chain(plain)
        // Lower-casing `İ` adds a combining dot.
        .filter(|c| !is_combining_mark(*c))
}

/// Returns whether `title` contains every word of `query`. Both strings are results of [`fold_title`].
#[must_use]
pub fn has_all_words(title: &str, query: &str) -> bool {
    query
        .split(' ')
        .all(|query_word| title.split(' ').any(|word| word == query_word))
}

/// Returns the Levenshtein distance between two strings, in characters, to suggest a similar library title.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    // `distances` is one row of the matrix that has the distance for each pair of prefixes.
    let mut distances: Vec<usize> = (0..=b.chars().count()).collect();
    for (row, a_char) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut distances[0], row + 1);
        for (column, b_char) in b.chars().enumerate() {
            let substitution = diagonal + usize::from(a_char != b_char);
            let insertion_or_deletion = distances[column].min(distances[column + 1]) + 1;
            diagonal = std::mem::replace(&mut distances[column + 1], substitution.min(insertion_or_deletion));
        }
    }
    distances.last().copied().unwrap_or_default()
}

/// The part of a name in which alike names are equal.
pub type Likeness = SmallVec<[u8; 512]>;

/// Returns the letters and digits of a name in normal form, with a space between two numbers, because `2 1` is not `21`.
/// Each run of bytes that are not UTF-8, or of the characters with which Plex replaces them, is a letter. Returns the
/// whole name if it has no other letters or digits before its extension.
#[must_use]
pub fn likeness(name: &[u8]) -> Likeness {
    let kept = if name.is_ascii() {
        letters(name.iter().map(|byte| char::from(*byte))) // most names
    } else {
        letters(name.utf8_chunks().flat_map(|chunk| {
            let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            chunk.valid().chars().chain(replaced)
        }))
    };
    kept.unwrap_or_else(|| Likeness::from_slice(name))
}

/// Returns the letters and digits; `None` if the name has none but replaced ones before its extension.
fn letters(name: impl Iterator<Item = char>) -> Option<Likeness> {
    // Some apostrophes count as letters in Unicode.
    let is_letter = |c: char| c.is_alphanumeric() && !matches!(c, '\u{2B9}'..='\u{2BF}');
    let mut kept = Likeness::new();
    let (mut last, mut has_gap) = (' ', false);
    // Whether there was a letter or digit, and whether there was one before the last dot.
    let (mut has_letter, mut has_stem) = (false, None);
    for c in name {
        if is_letter(c) {
            has_letter = true;
        } else if c != char::REPLACEMENT_CHARACTER || c == last {
            has_gap = true;
            if c == '.' {
                has_stem = Some(has_letter);
            }
            continue;
        }
        if has_gap && last.is_numeric() && c.is_numeric() {
            kept.push(b' ');
        }
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => kept.push(byte),
            _ => kept.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        (last, has_gap) = (c, false);
    }
    has_stem.unwrap_or(has_letter).then_some(kept)
}

/// Returns the hash of the likeness of a path's file name, the last component of its normal form. `None` if the path has
/// no components.
#[must_use]
pub fn name_hash(form: &[u8]) -> Option<u64> {
    let name = Form::from_folded(form).rev_components().next()?;
    Some(xxh3_64(&likeness(name.bytes())))
}
