//! Searches for a path on the server: derives the search term, and checks whether a result is the queried file.

use unicode_normalization::UnicodeNormalization;

use super::mappings::{Mappings, split_last};
use super::normal::{NormalPath, PathShape, normal_form};

/// Returns the last component of a path unchanged, not in normal form, as the term for a server search; `None` if the
/// path has no components, or the component is not UTF-8. Ignores trailing separators.
#[must_use]
pub fn file_name(path: &[u8]) -> Option<&str> {
    let (_, name) = split_last(path, PathShape::of(path).windows);
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// Returns the path with its letters composed, or decomposed if they already are composed; `None` if that changes
/// nothing. The server searches for bytes, and macOS decomposes the names that other systems compose.
#[must_use]
pub fn other_unicode_spelling(path: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(path).ok().filter(|text| !text.is_ascii())?;
    let spellings: [String; 2] = [text.nfc().collect(), text.nfd().collect()];
    let other = spellings.into_iter().find(|spelling| spelling != text)?;
    Some(other.into_bytes())
}

/// Guesses the title in a file name, for a server search, such as 'Big Buck Bunny' in `Big Buck Bunny (2008).mkv`,
/// 'Winter' in `Show - S01E02 - Winter.mkv`, or 'Intro' in `01 - Intro.flac`. `None` if the name has no title of at
/// least two characters.
#[must_use]
pub fn title_in(name: &str) -> Option<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Dots or underscores separate the words in names without spaces.
    let text: String = if stem.contains(' ') {
        stem.to_owned()
    } else {
        stem.replace(['.', '_'], " ")
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let episode_number = words.iter().position(|word| is_episode_number(word));
    let title_start = match episode_number {
        Some(index) => index + 1,
        None if words.len() > 1 && is_track_number(words[0]) => 1,
        None => 0,
    };
    let title_words: Vec<&str> = words[title_start..]
        .iter()
        .copied()
        .skip_while(|word| matches!(*word, "-" | "–" | "—"))
        .enumerate()
        .take_while(|(index, word)| *index == 0 || !is_title_end(word))
        .map(|(_, word)| word)
        .collect();
    let title = title_words.join(" ");
    let title = title.trim_end_matches([' ', '-', '(', '[']).to_owned();
    // A single letter would match nearly every title.
    (title.chars().count() > 1).then_some(title)
}

/// Returns whether a word is a number of up to three digits, as in `01 - Intro.flac` and `01. Intro.flac`.
fn is_track_number(word: &str) -> bool {
    let digits = word.trim_end_matches(['.', '-']);
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a word starts with an episode number, such as `S01E02` or `S03E04-E06`.
fn is_episode_number(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digit_count = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(bytes.first(), Some(b's' | b'S')) {
        return false;
    }
    let season_length = digit_count(1);
    season_length > 0 && matches!(bytes.get(1 + season_length), Some(b'e' | b'E')) && digit_count(2 + season_length) > 0
}

/// Returns whether a title ends before this word: a year, perhaps in brackets, or a word that starts with `[` or `{`.
fn is_title_end(word: &str) -> bool {
    let year = word.trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let is_year = year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && (year.starts_with("19") || year.starts_with("20"));
    is_year || word.starts_with(['[', '{'])
}

/// Returns whether a listed path and the queried path refer to the same file: the normal forms are equal, or a mapping
/// in either direction makes the normal forms equal.
#[must_use]
pub fn is_same_file(mappings: &Mappings, queried: &[u8], listed: &[u8]) -> bool {
    NormalPath::with(queried, |queried| {
        let listed_form = normal_form(listed);
        let is_queried = |form: &[u8]| queried.form() == form;
        is_queried(&listed_form)
            || mappings
                .to_host(listed)
                .is_some_and(|host_path| is_queried(&normal_form(&host_path)))
            || mappings
                .to_server(queried, |server_path| {
                    (normal_form(server_path) == listed_form).then_some(())
                })
                .is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mapping, MappingKind, Pattern};

    #[test]
    fn titles_in_file_names() {
        for (name, title) in [
            ("Big Buck Bunny (2008).mkv", Some("Big Buck Bunny")),
            ("Big.Buck.Bunny.2008.1080p.mkv", Some("Big Buck Bunny")),
            ("Adventure.mkv", Some("Adventure")),
            ("2012 (2009).mkv", Some("2012")),
            ("Elephants Dream (2006) - part1.mkv", Some("Elephants Dream")),
            ("Show - S01E02 - Winter is here.mkv", Some("Winter is here")),
            ("Show.S01E02.Winter.mkv", Some("Winter")),
            ("Show S03E04-E06.mkv", None),
            ("01 - Intro.flac", Some("Intro")),
            ("01.flac", Some("01")),
            ("A.mkv", None),
            ("Tears of Steel [4K] {imdb-tt2285752}.mkv", Some("Tears of Steel")),
            ("noextension", Some("noextension")),
            (".mkv", None),
            ("", None),
        ] {
            assert_eq!(title_in(name).as_deref(), title, "{name}");
        }
    }

    #[test]
    fn file_names_are_what_follows_the_last_separator() {
        assert_eq!(file_name(b"/a/b.mkv"), Some("b.mkv"));
        assert_eq!(file_name(b"C:\\a\\b.mkv"), Some("b.mkv"));
        assert_eq!(file_name(b"/AC\\DC.mkv"), Some("AC\\DC.mkv"));
        assert_eq!(file_name(b"b.mkv"), Some("b.mkv"));
        assert_eq!(file_name(b"/a/"), Some("a"));
        assert_eq!(file_name(b"/"), None);
        assert_eq!(file_name(b"/a/\xff.mkv"), None);
    }

    #[test]
    fn the_same_file_by_spelling_or_mapping() {
        let rules = [Mapping {
            kind: MappingKind::HostToServer,
            from: Pattern::Prefix(b"/mnt/media".to_vec()),
            to: b"/data".to_vec(),
        }];
        let mappings = Mappings::new(&rules).expect("is a rule");
        assert!(is_same_file(&mappings, b"/data/A.mkv", b"/data/a.mkv"));
        assert!(is_same_file(&mappings, b"/mnt/media/a.mkv", b"/data/a.mkv"));
        assert!(!is_same_file(&mappings, b"/mnt/other/a.mkv", b"/data/a.mkv"));
        assert!(!is_same_file(&mappings, b"/x/data/a.mkv", b"/data/a.mkv"));
    }
}
