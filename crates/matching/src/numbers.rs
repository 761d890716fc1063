//! Parses disc, season and episode numbers in the names of files and folders.

use super::words::{Words, number};

/// Returns whether a word is a disc name with a number, such as `cd1`, which is not part of a title.
pub fn is_disc_word(word: &[u8]) -> bool {
    DISCS
        .iter()
        .any(|name| word.strip_prefix(*name).and_then(number).is_some())
}

/// Returns whether a folder's name is a disc name with a number, such as `CD1` or `Disc 2`.
pub fn is_disc(words: &Words) -> bool {
    words.len() == 1 && is_disc_word(words.word(0))
        || words.len() == 2 && DISCS.contains(&words.word(0)) && number(words.word(1)).is_some()
}

const DISCS: [&[u8]; 5] = [b"cd", b"disc", b"disk", b"dvd", b"disque"];

/// Returns the season number in a folder's name; 0 for 'Specials', and `None` if the name has no season number.
pub fn season_in(words: &Words) -> Option<i32> {
    (0..words.len()).find_map(|index| season_at(words, index))
}

/// Parses a season number, such as `Season 2`, `S02` or `Specials`, that starts at the word with this index. `None` if
/// no season number starts there.
fn season_at(words: &Words, index: usize) -> Option<i32> {
    // 'Season' in several languages.
    const SEASONS: [&[u8]; 7] = [
        b"season",
        b"series",
        b"staffel",
        b"saison",
        b"temporada",
        b"stagione",
        b"seizoen",
    ];
    let word = words.word(index);
    if SEASONS.contains(&word) {
        return number(words.word(index + 1));
    }
    if word == b"specials" && words.len() == 1 {
        return Some(0);
    }
    number(word.strip_prefix(b"s")?)
}

/// Returns whether a word is a number, or the number of a season or episode, such as `12`, `s01e02` or `1x02`.
pub fn is_number(word: &[u8]) -> bool {
    let is_letter = |byte: &u8| b"sex".contains(byte);
    word.iter().any(u8::is_ascii_digit) && word.iter().all(|byte| byte.is_ascii_digit() || is_letter(byte))
}
