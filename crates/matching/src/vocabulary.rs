//! Words in file and folder names that are not part of a title.

use super::numbers::is_disc_word;
use super::words::{Words, number, year};

/// Words in folder names that do not identify the contents, sorted for binary search.
pub static GENERAL: [&[u8]; 169] = split_at_spaces(
    "album albums android apr april arc archive archives artist artists audio aug august avchd backup backups bdmv \
     bilder bluray bonus book camera cameras canon cd clip clips complete completed cour data dcim dec december \
     disc disk disks dji download downloads drive dvd eight extras feature features feb february file files film \
     filme films first five folder fotos four galaxy gopro home huawei image images img ipad iphone jan january \
     jul july jun june libraries library main mar march may media misc mnt mobile movie movies music musik nas \
     neuer new nikon nine nov november oct october old one ordner other part parts phone photo photos pics picture \
     pictures pixel playlist plex private pt recording recordings roll saison sample samsung saved scan scans \
     screenshots season seasons second seizoen sep sept september serien series seven share shared shows six sony \
     sorted specials staffel stagione stream teil television temp temporada ten third three title tmp track tracks \
     ts tv two unknown unsorted untitled upload uploads usb various video videos vol volume whatsapp",
);

/// Splits a string at single spaces, at compile time.
const fn split_at_spaces<const N: usize>(text: &'static str) -> [&'static [u8]; N] {
    let mut words: [&[u8]; N] = [b""; N];
    let (mut remaining, mut count) = (text.as_bytes(), 0);
    while count < N {
        let mut end = 0;
        while end < remaining.len() && remaining[end] != b' ' {
            end += 1;
        }
        let (word, tail) = remaining.split_at(end);
        words[count] = word;
        remaining = if let [_, after_space @ ..] = tail {
            after_space
        } else {
            tail
        };
        count += 1;
    }
    assert!(remaining.is_empty(), "the text has more than N words");
    words
}

/// Returns whether a word in a folder's name does not identify the contents, such as `media`, `april` or `gopro`.
pub fn is_general_word(word: &[u8]) -> bool {
    GENERAL.binary_search(&word).is_ok()
}

/// Words that describe a file's quality or origin, and are never part of a title.
pub const QUALITY_WORDS: [&[u8]; 20] = [
    b"4k", b"uhd", b"hdr", b"bluray", b"bdrip", b"brrip", b"bdremux", b"remux", b"webrip", b"webdl", b"web", b"hdtv",
    b"hdrip", b"dvdrip", b"dvd", b"x264", b"x265", b"h264", b"h265", b"hevc",
];

/// Returns whether a title can end before the word at this index: at the end of the name, or before a bracket, a year,
/// a disc or a quality word.
pub fn ends_title(words: &Words, index: usize) -> bool {
    let word = words.word(index);
    index >= words.len()
        || year(word).is_some()
        || words.follows_bracket(index)
        || is_quality_word(word)
        || is_disc_word(word)
}

/// Returns whether a word describes a file's quality or origin, such as `x264` or `1080p`.
pub fn is_quality_word(word: &[u8]) -> bool {
    let scan_lines = word.strip_suffix(b"p").or(word.strip_suffix(b"i"));
    QUALITY_WORDS.contains(&word) || scan_lines.is_some_and(|lines| lines.len() >= 3 && number(lines).is_some())
}
