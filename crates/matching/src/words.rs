//! Folds case, accents and punctuation, so that searches and comparisons of titles and names ignore them.

use smallvec::SmallVec;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use xxhash_rust::xxh3::xxh3_64;

use super::form::Form;
use super::resolution::ItemRef;
use crate::model::ItemType;

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

/// Returns the words of a name, lower-cased and without accents and punctuation, each between spaces. Drops apostrophes,
/// and replaces `&` with `and`.
pub fn words_of(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 2);
    words.push(' ');
    let mut add = |c: char| match c {
        '\'' | '\u{2019}' | '\u{2BC}' => {}
        '&' => words.push_str("and"),
        _ if c.is_alphanumeric() => words.push(c),
        _ if !words.ends_with(' ') => words.push(' '),
        _ => {}
    };
    if name.is_ascii() {
        name.chars().for_each(|c| add(c.to_ascii_lowercase())); // most names
    } else {
        fold_letters(name.nfkd()).for_each(&mut add);
    }
    add(' ');
    words
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
    Some(xxh3_64(&likeness(name.stored())))
}
