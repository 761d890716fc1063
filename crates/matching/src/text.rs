//! Folds titles, so that searches ignore case, accents and punctuation.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

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
pub(super) fn fold_letters(letters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
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
