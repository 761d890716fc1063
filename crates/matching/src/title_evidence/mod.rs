//! Title evidence: checks whether the names in a path confirm or contradict a suffix match or file name match.
//!
//! A listed file with the same name proves little, because other files may have the same name. So the queried path must
//! either differ from the listed path only in the root ([`only_root_differs`]), or have the item's title in a usual
//! position ([`title_evidence`]). 'Evidence' in `docs/design/matching.md` describes the rules.

mod extras;
mod names;
mod roots;

use std::ops::ControlFlow::{Break, Continue};

use super::episode_numbers::{EpisodeRange, is_disc, is_disc_word, season_at, season_in};
use super::normal::NormalPath;
use super::resolution::ItemRef;
use super::vocabulary::{edition_bit, ends_title, is_general_word, is_quality_word, is_sequel_word};
use super::words::{Gap, Words, number, year};
use crate::model::ItemType;
use extras::{has_extras_suffix, is_copy_or_extra};
use names::{NAMES, PathNames, any_name_matches, has_braces, has_external_id, is_unidentified, naming_title, tags};

pub use roots::{folder_root_differs, only_root_differs};

/// The result of comparing a path with the title of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TitleEvidence {
    /// The path is a file of the item.
    Confirms,
    /// The path neither confirms nor contradicts the item.
    Neutral,
    /// The path has a different year, number or edition.
    Contradicts,
}

/// Returns whether the names in the queried path confirm or contradict that the path is a file of the item. `listed` is
/// one of the item's listed paths, and `common` the number of trailing components that both paths have in common.
pub fn title_evidence(
    item: &ItemRef<'_>,
    queried: &NormalPath<'_>,
    listed: &NormalPath<'_>,
    common: usize,
) -> TitleEvidence {
    let Some(title) = naming_title(item).and_then(Words::of) else {
        return TitleEvidence::Neutral;
    };
    let paths = PathPair {
        item,
        title: &title,
        queried: PathNames::of(queried),
        listed: PathNames::of(listed),
        common,
    };
    if paths.differ_by_tag() || is_copy_or_extra(item, queried, listed, common) || has_extras_suffix(item, queried) {
        return TitleEvidence::Contradicts;
    }
    match item.kind {
        ItemType::Movie => paths.film_evidence(),
        ItemType::Episode => paths.episode_evidence(),
        ItemType::Track => paths.track_evidence(),
        _ => TitleEvidence::Neutral,
    }
}

/// The position of a title's words in a name.
#[derive(Clone, Copy)]
struct TitleSpan {
    start: usize,
    /// Index of the first word after the title.
    end: usize,
}

/// The kind of prefix before a title in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TitlePrefix {
    /// The prefix is empty, or has only numbers and text in brackets.
    Start,
    /// The prefix has other text, and ends with a dash.
    Dash,
}

/// Returns the kind of prefix before the word at index `start`; `None` if no title can start after such a prefix.
fn prefix_before(words: &Words, start: usize) -> Option<TitlePrefix> {
    // A number belongs to the title, as in `12 Monkeys`, unless a dash follows or the number starts with 0.
    let is_track_number = |index: usize| {
        let word = words.word(index);
        let is_separated = words.gap_before(start) == Gap::Dash || word.first() == Some(&b'0');
        number(word).is_some() && is_separated
    };
    if (0..start).all(|index| words.is_in_brackets(index) || is_track_number(index)) {
        Some(TitlePrefix::Start)
    } else {
        (words.gap_before(start) == Gap::Dash).then_some(TitlePrefix::Dash)
    }
}

/// The queried path and the listed path, with the listed path's item.
struct PathPair<'a, 'i> {
    item: &'a ItemRef<'i>,
    /// The words of the item's [`naming_title`].
    title: &'a Words,
    queried: PathNames<'a>,
    listed: PathNames<'a>,
    /// Number of trailing components that both paths have in common.
    common: usize,
}

/// Title evidence for a film in one component of a path.
#[allow(clippy::struct_excessive_bools)] // independent facts
struct FilmName {
    /// The name contains the title as a separate part.
    has_title: bool,
    /// Both paths share the name, and the name contains an external ID, or a year outside the title that differs from
    /// the film's year by at most one. If the film's year is unknown, any year counts.
    has_likely_year_or_id: bool,
    /// The name contains a year that cannot be the film's year, and does not contain the film's exact year.
    has_other_year: bool,
    /// The name certainly states the film's year or ID: outside the title, the name contains the film's exact year; or
    /// Plex has identified the film, and `has_likely_year_or_id` is true.
    has_certain_year_or_id: bool,
}

impl PathPair<'_, '_> {
    /// Finds the item's title in a name. Returns the first position that `is_whole_title` accepts after checking the
    /// text before and after the title; `None` if there is no such position.
    fn title_span(&self, words: &Words, is_whole_title: impl Fn(TitlePrefix, TitleSpan) -> bool) -> Option<TitleSpan> {
        (0..words.len()).find_map(|start| {
            let prefix = prefix_before(words, start)?;
            let end = words.title_at(start, self.title)?;
            let span = TitleSpan { start, end };
            is_whole_title(prefix, span).then_some(span)
        })
    }

    /// Returns the evidence for a film. The evidence confirms the film if one name in the path is the title, one name
    /// has the year, and no name has a different year. All folders below the title must equal the listed folders.
    fn film_evidence(&self) -> TitleEvidence {
        let (mut has_title, mut has_year_with_title, mut has_common_year, mut has_other_year) =
            (false, false, false, false);
        let (mut common_editions, mut queried_editions, mut listed_editions) = (0, 0, 0);
        // The names with an index below `common` are in both paths. A different year contradicts the film if it is in
        // the file's name, or in a name with the title.
        let contradiction = self.queried.for_each_in(0..NAMES, |index, words| {
            let is_common = index < self.common;
            *(if is_common {
                &mut common_editions
            } else {
                &mut queried_editions
            }) |= self.editions(words);
            let name = self.film_name(index, words);
            if name.has_other_year && (name.has_title || index == 0) {
                return Break(());
            }
            has_title |= name.has_title && index <= self.common;
            has_year_with_title |= name.has_title && name.has_certain_year_or_id;
            has_common_year |= name.has_likely_year_or_id && is_common;
            has_other_year |= name.has_other_year && !is_common;
            Continue(())
        });
        // An edition that only one of the paths names is a different file.
        self.listed.for_each_in(self.common..NAMES, |_, words| {
            listed_editions |= self.editions(words);
            Continue::<()>(())
        });
        if contradiction.is_some() || common_editions | queried_editions != common_editions | listed_editions {
            return TitleEvidence::Contradicts;
        }
        // Remakes share a title, so the year must match. A short title, or a year in a different name, may be a
        // coincidence.
        let is_identified = !is_unidentified(self.item.guid);
        let is_long = !self.title.is_short();
        let is_sure_by_name = has_year_with_title && (is_identified || is_long);
        let is_sure_by_common_year = has_common_year && !has_other_year && is_identified && is_long;
        if has_title && (is_sure_by_name || is_sure_by_common_year) {
            TitleEvidence::Confirms
        } else {
            TitleEvidence::Neutral
        }
    }

    /// Returns what one component of the queried path says about the film: whether the component contains the film's
    /// title, year or ID, or a different year. `index` counts from the end of the path; 0 is the file's name.
    fn film_name(&self, index: usize, words: &Words) -> FilmName {
        let is_common = index < self.common;
        let is_identified = !is_unidentified(self.item.guid);
        let film_year = self.item.year;
        let is_film_year = |word: &[u8]| year(word) == Some(film_year);
        // After a dash, only the film's year may follow the title. In a name that both paths share, other words may
        // stand between the title and the year, except a sequel's number.
        let title = self.title_span(words, |prefix, span| {
            let next_word = words.word(span.end);
            let is_year_behind = || (span.end..words.len()).any(|index| is_film_year(words.word(index)));
            match prefix {
                TitlePrefix::Dash => is_film_year(next_word),
                TitlePrefix::Start => {
                    ends_title(words, span.end) || is_common && !is_sequel_word(next_word) && is_year_behind()
                }
            }
        });
        let is_outside_title = |index: &usize| title.is_none_or(|title| !(title.start..title.end).contains(index));
        let years = || {
            let indexes = (0..words.len()).filter(is_outside_title);
            indexes.filter_map(|index| Some((index, year(words.word(index))?)))
        };
        let has_exact_year = years().any(|(_, year)| year == film_year);
        // In a name that both paths share, the year may differ by one, because films have several premieres.
        let is_near = |year: i32| is_common && (film_year == 0 || (year - film_year).abs() <= 1);
        let has_common_id = is_common && has_external_id(self.queried.names[index]);
        let has_likely_year_or_id = has_common_id || years().any(|(_, year)| is_near(year));
        // If Plex did not identify a film, its title is its file name. A number in such a title is a year only in
        // brackets or before a quality word, unlike the number in `Recording 2019.mp4`.
        let is_marked = |index: usize| words.is_in_brackets(index) || is_quality_word(words.word(index + 1));
        let is_certain_year = is_identified || years().any(|(index, _)| is_marked(index));
        FilmName {
            has_title: title.is_some(),
            has_likely_year_or_id,
            has_other_year: film_year != 0 && !has_exact_year && years().any(|(_, year)| !is_near(year)),
            has_certain_year_or_id: (has_exact_year || is_identified && has_likely_year_or_id) && is_certain_year,
        }
    }

    /// Returns the evidence for an episode, which must match by season, number and show title.
    fn episode_evidence(&self) -> TitleEvidence {
        let Some(range) = Words::of(self.queried.names[0]).and_then(|name| EpisodeRange::find(&name)) else {
            return TitleEvidence::Neutral;
        };
        let mut season = range.season;
        // A folder that the listed path lacks must not have a different season.
        let contradiction = self.queried.for_each_in(1..NAMES, |index, words| {
            if let Some(folder_season) = season_in(words) {
                if index >= self.common && folder_season != self.item.season {
                    return Break(());
                }
                season = season.or(Some(folder_season));
            }
            Continue(())
        });
        if contradiction.is_some() {
            return TitleEvidence::Contradicts;
        }
        let Some(season) = season else {
            return TitleEvidence::Neutral;
        };
        if season != self.item.season || !(range.first_episode..=range.last_episode).contains(&self.item.episode) {
            return TitleEvidence::Contradicts;
        }
        self.show_evidence()
    }

    /// Returns the evidence for an episode's show. The evidence confirms the show if one name in the path has the
    /// show's title as a separate part, not followed by the year of a different show.
    fn show_evidence(&self) -> TitleEvidence {
        let is_year_of_show = |year: i32| {
            let has_year = |words: &Words| words.iter().any(|word| self::year(word) == Some(year));
            year == self.item.year || any_name_matches(self.listed.iter().map(|(_, name)| name), has_year)
        };
        let mut is_confirmed = false;
        let contradiction = self.queried.for_each_in(0..NAMES, |index, words| {
            let has_episode_at = |index: usize| EpisodeRange::parse_at(words, index).is_some();
            // The title must be a separate part: a season or episode number, or the end of the title, must follow.
            let title = self.title_span(words, |prefix, title| match prefix {
                TitlePrefix::Dash => has_episode_at(title.end),
                TitlePrefix::Start => {
                    has_episode_at(title.end) || season_at(words, title.end).is_some() || ends_title(words, title.end)
                }
            });
            let Some(title) = title else {
                return Continue(());
            };
            // A year after the title must be the show's year, or also appear in the listed path.
            let mut years = (title.end..words.len()).filter_map(|index| year(words.word(index)));
            let has_year = match years.next() {
                None => false,
                Some(first_year) if is_year_of_show(first_year) || years.any(is_year_of_show) => true,
                Some(_) => return Break(()),
            };
            // A title directly before an episode number is not a coincidence.
            let is_followed_by_number = index == 0 && title.start == 0 && has_episode_at(title.end);
            let is_long = !self.title.is_short();
            // Plex names an unidentified show after its folder, such as `Home Videos`, so only the file's name is
            // evidence.
            is_confirmed |= is_followed_by_number
                || index == 0 && is_long
                || !is_unidentified(self.item.guid) && (has_year || is_long);
            Continue(())
        });
        if contradiction.is_some() {
            return TitleEvidence::Contradicts;
        }
        if is_confirmed {
            TitleEvidence::Confirms
        } else {
            TitleEvidence::Neutral
        }
    }

    /// Returns the evidence for a track. The file's name must have the track's title and number, and the file's name or
    /// a folder must have the artist. The item lacks the album's title, so both paths must have the same album folder.
    fn track_evidence(&self) -> TitleEvidence {
        let (Some(file_words), Some(title)) = (Words::of(self.queried.names[0]), Words::of(self.item.title)) else {
            return TitleEvidence::Neutral;
        };
        // Track numbers have at most three digits; a longer number is a year.
        let may_start_at = |start: usize| {
            let follows_numbers = (0..start).all(|index| number(file_words.word(index)).is_some_and(|n| n < 1000));
            follows_numbers || prefix_before(&file_words, start).is_some()
        };
        // The title must end the file's name, or a bracket must follow.
        let title_span = (0..file_words.len()).find_map(|start| {
            let end = may_start_at(start)
                .then(|| file_words.title_at(start, &title))
                .flatten()?;
            (end == file_words.len() || file_words.gap_before(end) == Gap::Bracket).then_some(TitleSpan { start, end })
        });
        let Some(title_span) = title_span else {
            return TitleEvidence::Neutral;
        };
        let track_number = title_span
            .start
            .checked_sub(1)
            .and_then(|index| number(file_words.word(index)));
        // Track 2 on disc 1 can have the number 2 or 102.
        let number_with_disc = self.item.season * 100 + self.item.episode;
        if track_number.is_some_and(|number| number != self.item.episode && number != number_with_disc) {
            return TitleEvidence::Contradicts;
        }
        // The album's folder is above the file, or above the disc's folder.
        let has_disc_folder = Words::of(self.queried.names[1]).is_some_and(|words| is_disc(&words));
        let components_with_album = if has_disc_folder { 3 } else { 2 };
        // The artist is in the file's name before the title, or at the beginning of a folder's name.
        let artist = self.queried.for_each_in(0..NAMES, |index, words| {
            let artist_span = self.title_span(words, |_, artist| match index {
                0 => artist.end <= title_span.start && words.gap_before(artist.end) == Gap::Dash,
                _ => artist.start == 0 && ends_title(words, artist.end),
            });
            artist_span.map_or(Continue(()), |artist| Break((index, artist)))
        });
        // General names prove nothing, as in `Unknown Artist/Unknown Album/01 Track 01.mp3`.
        if self.title.iter().all(is_general_word) {
            return TitleEvidence::Neutral;
        }
        match artist {
            Some((0, artist)) if has_album_between(&file_words, artist.end, title_span.start) => {
                TitleEvidence::Confirms
            }
            Some((index, _)) if self.common >= components_with_album.max(index) => TitleEvidence::Confirms,
            _ => TitleEvidence::Neutral,
        }
    }

    /// Returns whether both paths have a tag of the same kind, such as `{imdb-tt0078748}`, but with different values.
    fn differ_by_tag(&self) -> bool {
        let listed_tags = || self.listed.iter().flat_map(|(_, name)| tags(name));
        let differs = |(key, value): (&str, &str)| {
            let mut listed_values = listed_tags().filter(|(listed_key, _)| *listed_key == key).peekable();
            listed_values.peek().is_some() && listed_values.all(|(_, listed_value)| listed_value != value)
        };
        let tagged_names = self.queried.iter().filter(|(_, name)| has_braces(name));
        tagged_names.flat_map(|(_, name)| tags(name)).any(differs)
    }

    /// Returns the edition words in a name, such as `extended`, as a bit set, so that the caller can compare the paths'
    /// editions. Excludes the title's words.
    fn editions(&self, words: &Words) -> u32 {
        let mut edition_bits = words
            .iter()
            .enumerate()
            .filter_map(|(index, word)| Some((index, edition_bit(word)?)))
            .peekable();
        if edition_bits.peek().is_none() {
            return 0;
        }
        let title_words = words.find_title(self.title);
        edition_bits
            .filter(|(index, _)| {
                title_words
                    .as_ref()
                    .is_none_or(|title_words| !title_words.contains(index))
            })
            .fold(0, |set, (_, bit)| set | 1 << bit)
    }
}

/// Returns whether a track's file name has an album between the artist and the title: text between dashes with at least
/// one word that is not a number, a disc name such as `cd1`, or a general word such as `music`. The queried and the
/// listed file have the same name, hence the same album, so they are the same recording.
fn has_album_between(file_words: &Words, artist_end: usize, title_start: usize) -> bool {
    let has_track_number = title_start > artist_end
        && number(file_words.word(title_start - 1)).is_some()
        && file_words.gap_before(title_start - 1) == Gap::Dash;
    let album_end = title_start - usize::from(has_track_number);
    let is_specific = |word: &[u8]| !is_disc_word(word) && number(word).is_none() && !is_general_word(word);
    file_words.gap_before(album_end) == Gap::Dash
        && (artist_end..album_end).any(|index| is_specific(file_words.word(index)))
}
