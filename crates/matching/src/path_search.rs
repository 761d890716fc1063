//! Path searches: search terms for a path, and the check whether a result is that file.

use super::mappings::Mappings;
use super::normal::{Normal, Shape, normal_form};

/// Returns the last component of a path as it is spelled; `None` if it is empty or not UTF-8.
#[must_use]
pub fn file_name(path: &[u8]) -> Option<&str> {
    let windows = Shape::of(path).windows;
    let separates = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
    let name = match path.iter().rposition(separates) {
        Some(at) => &path[at + 1..],
        None => path,
    };
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// Guesses the title in a file name: 'Big Buck Bunny' in `Big Buck Bunny (2008).mkv`, 'Winter' in `Show - S01E02 -
/// Winter.mkv`, 'Intro' in `01 - Intro.flac`. `None` if nothing searchable is left.
#[must_use]
pub fn title_in(name: &str) -> Option<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Names without spaces separate words by dots or underscores.
    let text: String = if stem.contains(' ') {
        stem.to_owned()
    } else {
        stem.replace(['.', '_'], " ")
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let episode = words.iter().position(|word| is_episode_number(word));
    let from = match episode {
        Some(at) => at + 1,
        None if words.len() > 1 && is_track_number(words[0]) => 1,
        None => 0,
    };
    let title: Vec<&str> = words[from..]
        .iter()
        .copied()
        .skip_while(|word| is_dash(word))
        .enumerate()
        .take_while(|(at, word)| *at == 0 || !ends_title(word))
        .map(|(_, word)| word)
        .collect();
    let title = title.join(" ");
    let title = title.trim_end_matches([' ', '-', '(', '[']).to_owned();
    // A single letter would match nearly every title.
    (title.chars().count() > 1).then_some(title)
}

fn is_dash(word: &str) -> bool {
    matches!(word, "-" | "–" | "—")
}

fn is_track_number(word: &str) -> bool {
    let digits = word.trim_end_matches(['.', '-']);
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a word starts with an episode number: `S01E02`, `S03E04-E06`.
fn is_episode_number(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(bytes.first(), Some(b's' | b'S')) {
        return false;
    }
    let season = digits(1);
    season > 0 && matches!(bytes.get(1 + season), Some(b'e' | b'E')) && digits(2 + season) > 0
}

/// Returns whether a word ends a title: a year, or an opening bracket.
fn ends_title(word: &str) -> bool {
    let year = word.trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let is_year = year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && (year.starts_with("19") || year.starts_with("20"));
    is_year || word.starts_with(['[', '{'])
}

/// Returns whether a listed path is the requested file: equal in normal form, as given or mapped either way.
#[must_use]
pub fn is_same_file(mappings: &Mappings, queried: &[u8], listed: &[u8]) -> bool {
    Normal::with(queried, |queried| {
        let listed_form = normal_form(listed);
        let is = |form: &[u8]| queried.form() == form;
        is(&listed_form)
            || mappings.to_host(listed).is_some_and(|host| is(&normal_form(&host)))
            || mappings
                .to_server(queried, |server| (normal_form(server) == listed_form).then_some(()))
                .is_some()
    })
}

#[cfg(test)]
#[path = "path_search_tests.rs"]
mod tests;
