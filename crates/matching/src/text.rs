//! Folds titles for indexing and searching.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Folds a title to words in lower case without accents and punctuation, separated by single spaces. Apostrophes are
/// dropped (`Ocean's` is `oceans`). A title of punctuation only is just lower-cased.
#[must_use]
pub fn fold_title(title: &str) -> String {
    let mut folded = String::with_capacity(title.len());
    let mut gap = false;
    // Marks are also dropped after lower-casing, which can add one (`İ`).
    let letters = title.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(lower);
    for c in letters {
        if c.is_alphanumeric() {
            if gap && !folded.is_empty() {
                folded.push(' ');
            }
            gap = false;
            folded.push(c);
        } else if !matches!(c, '\'' | '\u{2019}' | '\u{02BC}') {
            gap = true;
        }
    }
    if folded.is_empty() {
        return title.trim().to_lowercase();
    }
    folded
}

/// Lower-cases a letter, and replaces the few letters that decomposition keeps but people type without strokes.
pub(super) fn lower(c: char) -> impl Iterator<Item = char> {
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
    let other = if plain[0] == '\0' { Some(c.to_lowercase()) } else { None };
    let plain = plain.into_iter().filter(|c| *c != '\0');
    other
        .into_iter()
        .flatten()
        .chain(plain)
        .filter(|c| !is_combining_mark(*c))
}

/// Returns whether `title` has every word of `wanted`, both folded.
#[must_use]
pub fn has_all_words(title: &str, wanted: &str) -> bool {
    wanted
        .split(' ')
        .all(|word| title.split(' ').any(|known| known == word))
}

/// Levenshtein distance in characters.
#[must_use]
pub fn distance(one: &str, other: &str) -> usize {
    let mut before: Vec<usize> = (0..=other.chars().count()).collect();
    for (row, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut before[0], row + 1);
        for (column, b) in other.chars().enumerate() {
            let cheapest = (diagonal + usize::from(a != b)).min(before[column].min(before[column + 1]) + 1);
            diagonal = std::mem::replace(&mut before[column + 1], cheapest);
        }
    }
    before.last().copied().unwrap_or_default()
}
