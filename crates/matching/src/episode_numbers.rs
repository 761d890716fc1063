//! Parses disc, season and episode numbers in file and folder names.

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
pub fn season_at(words: &Words, index: usize) -> Option<i32> {
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

/// The episode numbers in a file name: one episode or a range.
pub struct EpisodeRange {
    /// The season number; `None` if the name has only an episode number, such as `E02`.
    pub season: Option<i32>,
    pub first_episode: i32,
    pub last_episode: i32,
}

impl EpisodeRange {
    /// Finds the first episode number that includes a season, such as `S01E02`, or, if there is none, the first episode
    /// number without a season, such as `E02`. `None` if the name has no episode number.
    pub fn find(words: &Words) -> Option<Self> {
        let ranges = || (0..words.len()).filter_map(|index| Self::parse_at(words, index));
        ranges()
            .find(|range| range.season.is_some())
            .or_else(|| ranges().next())
    }

    /// Parses an episode number that starts at the word with this index, such as `S01E02`, `s01e02e03`, `S01 E02`,
    /// `1x02`, `Season 1 Episode 2` or `E02`. `None` if no episode number starts there.
    pub fn parse_at(words: &Words, index: usize) -> Option<Self> {
        let word = words.word(index);
        let digit_count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let to_range = |season, (first_episode, last_episode)| Self {
            season,
            first_episode,
            last_episode,
        };
        // `S01E02` or `S01 E02`.
        if let Some(after_s) = word.strip_prefix(b"s")
            && let (season, tail) = after_s.split_at(digit_count(after_s))
            && let Some(season) = number(season)
        {
            let (first, last) = if tail.is_empty() {
                episodes_at(words, index + 1)?
            } else {
                parse_episodes(tail)?
            };
            let last = last.max(last_following_episode(words, index + 1 + usize::from(tail.is_empty())));
            return Some(to_range(Some(season), (first, last)));
        }
        // `1x02`. Larger numbers are a resolution, such as `1920x1080`.
        if let (season, tail) = word.split_at(digit_count(word))
            && (1..=2).contains(&season.len())
            && let Some(episode) = tail.strip_prefix(b"x")
            && (2..=3).contains(&episode.len())
        {
            let episode = number(episode)?;
            return Some(to_range(number(season), (episode, episode)));
        }
        // `Season 1 Episode 2`.
        if word == b"season" {
            let season = number(words.word(index + 1))?;
            return Some(to_range(Some(season), episodes_at(words, index + 2)?));
        }
        // `E02`, without a season.
        Some(to_range(None, episodes_at(words, index)?))
    }
}

/// Parses `E02`, `Ep02` or `Episode 2` at the word with this index. Returns the first and the last episode, which
/// differ for a range such as `E02E03`; `None` if no episode number starts there.
fn episodes_at(words: &Words, index: usize) -> Option<(i32, i32)> {
    let word = words.word(index);
    if [&b"episode"[..], b"ep", b"e"].contains(&word) {
        let episode = number(words.word(index + 1))?;
        return Some((episode, episode));
    }
    if let Some(digits) = word.strip_prefix(b"ep") {
        return number(digits).map(|episode| (episode, episode));
    }
    let (first, last) = parse_episodes(word)?;
    Some((first, last.max(last_following_episode(words, index + 1))))
}

/// Parses a word such as `e01` or `e01e02`. Returns the first and the highest episode; `None` for other words.
fn parse_episodes(word: &[u8]) -> Option<(i32, i32)> {
    let mut numbers = word.strip_prefix(b"e")?.split(|byte| *byte == b'e').map(number);
    let first = numbers.next()??;
    let last = numbers.try_fold(first, |last, episode| Some(last.max(episode?)))?;
    Some((first, last))
}

/// Returns the last episode number in a run of episode words that starts at index `from`, as in `S01E01-E03`; 0 if the
/// word at `from` is not an episode word.
fn last_following_episode(words: &Words, from: usize) -> i32 {
    (from..words.len())
        .map_while(|index| parse_episodes(words.word(index)))
        .map(|(_, last)| last)
        .last()
        .unwrap_or(0)
}
