//! Parses disc, season and episode numbers in names.

use super::words::{Words, number};

/// Returns whether a word is a disc with its number: `cd1`.
pub fn is_disc_word(word: &[u8]) -> bool {
    DISCS
        .iter()
        .any(|name| word.strip_prefix(*name).and_then(number).is_some())
}

/// Returns whether a folder's name is that of a disc: `CD1`, `Disc 2`.
pub fn is_disc(words: &Words) -> bool {
    words.len() == 1 && is_disc_word(words.word(0))
        || words.len() == 2 && DISCS.contains(&words.word(0)) && number(words.word(1)).is_some()
}

const DISCS: [&[u8]; 5] = [b"cd", b"disc", b"disk", b"dvd", b"disque"];

/// Returns the season in a folder's name; 0 is 'Specials'.
pub fn season_in(words: &Words) -> Option<i32> {
    (0..words.len()).find_map(|at| season_at(words, at))
}

/// Parses a season at this word.
pub fn season_at(words: &Words, at: usize) -> Option<i32> {
    const SEASONS: [&[u8]; 7] = [
        b"season",
        b"series",
        b"staffel",
        b"saison",
        b"temporada",
        b"stagione",
        b"seizoen",
    ];
    let word = words.word(at);
    if SEASONS.contains(&word) {
        return number(words.word(at + 1));
    }
    if word == b"specials" && words.len() == 1 {
        return Some(0);
    }
    number(word.strip_prefix(b"s")?)
}

/// The episode number in a file name, or the range of several episodes in one file.
pub struct EpisodeMarker {
    pub season: Option<i32>,
    pub first: i32,
    pub last: i32,
}

impl EpisodeMarker {
    /// Finds the first episode number that names its season, or else the first one.
    pub fn find(words: &Words) -> Option<Self> {
        let markers = || (0..words.len()).filter_map(|at| Self::at(words, at));
        markers()
            .find(|marker| marker.season.is_some())
            .or_else(|| markers().next())
    }

    /// Parses the episode number that begins at this word: `S01E02`, `s01e02e03`, `S01 E02`, `1x02`, `Season 1 Episode
    /// 2`, `E02`.
    pub fn at(words: &Words, at: usize) -> Option<Self> {
        let word = words.word(at);
        let digits = |from: &[u8]| from.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(rest) = word.strip_prefix(b"s")
            && let (season, rest) = rest.split_at(digits(rest))
            && let Some(season) = number(season)
        {
            let (first, last) = if rest.is_empty() {
                episode_at(words, at + 1)?
            } else {
                episodes(rest)?
            };
            let last = last.max(last_following_episode(words, at + 1 + usize::from(rest.is_empty())));
            return Some(Self {
                season: Some(season),
                first,
                last,
            });
        }
        if let (season, rest) = word.split_at(digits(word))
            && (1..=2).contains(&season.len())
            && let Some(episode) = rest.strip_prefix(b"x")
            && (2..=3).contains(&episode.len())
        {
            let episode = number(episode)?;
            return Some(Self {
                season: number(season),
                first: episode,
                last: episode,
            });
        }
        if word == b"season" {
            let season = number(words.word(at + 1))?;
            let (first, last) = episode_at(words, at + 2)?;
            return Some(Self {
                season: Some(season),
                first,
                last,
            });
        }
        let (first, last) = episode_at(words, at)?;
        Some(Self {
            season: None,
            first,
            last,
        })
    }
}

/// Parses `E02`, `Ep02`, `Episode 2`.
fn episode_at(words: &Words, at: usize) -> Option<(i32, i32)> {
    let word = words.word(at);
    if [&b"episode"[..], b"ep", b"e"].contains(&word) {
        let episode = number(words.word(at + 1))?;
        return Some((episode, episode));
    }
    if let Some(digits) = word.strip_prefix(b"ep") {
        return number(digits).map(|episode| (episode, episode));
    }
    let (first, last) = episodes(word)?;
    Some((first, last.max(last_following_episode(words, at + 1))))
}

/// Parses `e01`, `e01e02` into the first and last episode.
fn episodes(word: &[u8]) -> Option<(i32, i32)> {
    let mut all = word.strip_prefix(b"e")?.split(|byte| *byte == b'e').map(number);
    let first = all.next()??;
    let last = all.try_fold(first, |last, episode| Some(last.max(episode?)))?;
    Some((first, last))
}

/// Returns the last of the episodes that follow, as in `S01E01-E03`; 0 if none follows.
fn last_following_episode(words: &Words, from: usize) -> i32 {
    (from..words.len())
        .map_while(|at| episodes(words.word(at)))
        .map(|(_, last)| last)
        .last()
        .unwrap_or(0)
}
