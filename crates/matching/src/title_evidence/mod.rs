//! Title evidence: the parts of a path that confirm or contradict a suffix or file name match.
//!
//! One listed file with the same name proves nothing about files that are not listed. So a path must either be the
//! listed one below another root ([`only_root_differs`]), or carry the item's title where names of media carry it
//! ([`title_evidence`]). `docs/design/matching.md`, 'Evidence', has the rules.

mod extras;
mod names;
mod roots;

use std::ops::ControlFlow::{Break, Continue};

use super::normal::Normal;
use super::numbered::{EpisodeMarker, is_disc, is_disc_word, season_at, season_in};
use super::resolution::ItemRef;
use super::vocabulary::{edition, ends_title, is_about, is_general, is_sequel};
use super::words::{Gap, Words, number, year};
use crate::model::ItemType;
use extras::{has_extras_suffix, is_copy_or_extra};
use names::{NAMES, PathNames, any, has_braces, has_external_id, is_unmatched, naming_title, tags};

pub use roots::{folder_root_differs, only_root_differs};

/// The evidence of a path about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TitleEvidence {
    /// The path is a file of this item.
    Confirms,
    /// No evidence.
    Neutral,
    /// The path has another year, number or edition.
    Contradicts,
}

/// Compares the requested path with an item and its listed path. `common`: components that both paths share at the end.
pub fn title_evidence(item: &ItemRef<'_>, queried: &Normal<'_>, listed: &Normal<'_>, common: usize) -> TitleEvidence {
    let Some(title) = naming_title(item).and_then(Words::of) else {
        return TitleEvidence::Neutral;
    };
    let paths = PathPair {
        item,
        title: &title,
        queried: PathNames::of(queried, 0),
        listed: PathNames::of(listed, 0),
        common,
    };
    if paths.differ_by_tag() || is_copy_or_extra(item, queried, listed, common) || has_extras_suffix(item, queried) {
        return TitleEvidence::Contradicts;
    }
    match item.kind {
        ItemType::Movie => paths.film(),
        ItemType::Episode => paths.episode(),
        ItemType::Track => paths.track(),
        _ => TitleEvidence::Neutral,
    }
}

/// The words of a title within a name.
#[derive(Clone, Copy)]
struct TitleSpan {
    from: usize,
    end: usize,
}

/// The kind of text before a title in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TitleLead {
    /// Nothing, text in brackets, or a number.
    Start,
    /// Other text that ends in a dash.
    Dash,
}

fn lead_of(words: &Words, from: usize) -> Option<TitleLead> {
    let is_count = |at: usize| {
        let word = words.word(at);
        let dashed = words.before(from) == Gap::Dash || word.first() == Some(&b'0');
        number(word).is_some() && dashed
    };
    if (0..from).all(|at| words.is_inside(at) || is_count(at)) {
        Some(TitleLead::Start)
    } else {
        (words.before(from) == Gap::Dash).then_some(TitleLead::Dash)
    }
}

/// The requested and the listed path, with the item of the listed one.
struct PathPair<'a, 'i> {
    item: &'a ItemRef<'i>,
    title: &'a Words,
    queried: PathNames<'a>,
    listed: PathNames<'a>,
    common: usize,
}

/// Title evidence for a film in one component of the path.
#[allow(clippy::struct_excessive_bools)] // independent facts
struct FilmName {
    /// The title stands alone.
    has_title: bool,
    /// A year that is the film's or at most one off; or an external id.
    has_likely_year_or_id: bool,
    /// A year, but none that may be the film's.
    has_other_year: bool,
    /// The film's year, outside of the title.
    is_dated: bool,
}

impl PathPair<'_, '_> {
    /// Finds the title in a name where it stands alone; `ends` checks that the words behind it end the title.
    fn title_span(&self, words: &Words, ends: impl Fn(TitleLead, TitleSpan) -> bool) -> Option<TitleSpan> {
        (0..words.len()).find_map(|from| {
            let lead = lead_of(words, from)?;
            let end = words.title_at(from, self.title)?;
            let span = TitleSpan { from, end };
            ends(lead, span).then_some(span)
        })
    }

    /// Evidence for a film: a name of the path is its title, a name has its year, and none has another year. Folders
    /// below the one with the title must equal the listed ones.
    fn film(&self) -> TitleEvidence {
        let (mut has_title, mut dated_with_title, mut dated_in_common, mut other_year) = (false, false, false, false);
        let (mut common_editions, mut queried_editions, mut listed_editions) = (0, 0, 0);
        let contradiction = self.queried.each(0..NAMES, |at, words| {
            let is_common = at < self.common;
            *(if is_common {
                &mut common_editions
            } else {
                &mut queried_editions
            }) |= self.editions(words);
            let name = self.film_name(at, words);
            if name.has_other_year && (name.has_title || at == 0) {
                return Break(());
            }
            has_title |= name.has_title && at <= self.common;
            dated_with_title |= name.has_title && name.is_dated;
            dated_in_common |= name.has_likely_year_or_id && is_common;
            other_year |= name.has_other_year && !is_common;
            Continue(())
        });
        self.listed.each(self.common..NAMES, |_, words| {
            listed_editions |= self.editions(words);
            Continue::<()>(())
        });
        if contradiction.is_some() || common_editions | queried_editions != common_editions | listed_editions {
            return TitleEvidence::Contradicts;
        }
        // Remakes share a title. A short title may appear by chance, and so may its year elsewhere.
        let is_matched = !is_unmatched(self.item.guid);
        let by_name = dated_with_title && (is_matched || !self.title.is_short());
        let by_common_year = dated_in_common && !other_year && is_matched && !self.title.is_short();
        if has_title && (by_name || by_common_year) {
            TitleEvidence::Confirms
        } else {
            TitleEvidence::Neutral
        }
    }

    /// Title evidence for a film in one component of the requested path.
    fn film_name(&self, at: usize, words: &Words) -> FilmName {
        let (is_common, is_matched, released) = (at < self.common, !is_unmatched(self.item.guid), self.item.year);
        let is_own = |word: &[u8]| year(word) == Some(released);
        let title = self.title_span(words, |lead, span| {
            let next = words.word(span.end);
            let dated = || (span.end..words.len()).any(|at| is_own(words.word(at)));
            match lead {
                TitleLead::Dash => is_own(next),
                TitleLead::Start => ends_title(words, span.end) || is_common && !is_sequel(next) && dated(),
            }
        });
        let outside = |word: &usize| title.is_none_or(|title| !(title.from..title.end).contains(word));
        let years = || {
            let words_outside = (0..words.len()).filter(outside);
            words_outside.filter_map(|word| Some((word, year(words.word(word))?)))
        };
        let has_own_year = years().any(|(_, year)| year == released);
        // The year in a name that both paths share may be one off: films have several premieres.
        let is_near = |year: i32| is_common && (released == 0 || (year - released).abs() <= 1);
        let is_numbered = is_common && has_external_id(self.queried.names[at]);
        let has_likely_year_or_id = is_numbered || years().any(|(_, year)| is_near(year));
        // For an unmatched film, Plex uses the file name as title. A year there counts only if it is marked as one; in
        // `Recording 2019.mp4` it is not.
        let is_marked = |word: usize| words.is_inside(word) || is_about(words.word(word + 1));
        let is_meant = is_matched || years().any(|(word, _)| is_marked(word));
        FilmName {
            has_title: title.is_some(),
            has_likely_year_or_id,
            has_other_year: released != 0 && !has_own_year && years().any(|(_, year)| !is_near(year)),
            is_dated: (has_own_year || is_matched && has_likely_year_or_id) && is_meant,
        }
    }

    /// Evidence for an episode: its season, its number, and the title of its show.
    fn episode(&self) -> TitleEvidence {
        let Some(marker) = Words::of(self.queried.names[0]).and_then(|file| EpisodeMarker::find(&file)) else {
            return TitleEvidence::Neutral;
        };
        let mut season = marker.season;
        let contradiction = self.queried.each(1..NAMES, |at, words| {
            if let Some(folder_season) = season_in(words) {
                if at >= self.common && folder_season != self.item.season {
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
        if season != self.item.season || !(marker.first..=marker.last).contains(&self.item.episode) {
            return TitleEvidence::Contradicts;
        }
        self.show()
    }

    /// Evidence for the show of an episode: its title stands alone in a name, and no year of another show follows.
    fn show(&self) -> TitleEvidence {
        let is_known = |year: i32| {
            let listed = |words: &Words| words.iter().any(|word| self::year(word) == Some(year));
            year == self.item.year || any(self.listed.iter().map(|(_, name)| name), listed)
        };
        let mut confirmed = false;
        let contradiction = self.queried.each(0..NAMES, |at, words| {
            let has_episode = |end: usize| EpisodeMarker::at(words, end).is_some();
            let title = self.title_span(words, |lead, title| match lead {
                TitleLead::Dash => has_episode(title.end),
                TitleLead::Start => {
                    has_episode(title.end) || season_at(words, title.end).is_some() || ends_title(words, title.end)
                }
            });
            let Some(title) = title else {
                return Continue(());
            };
            let mut years = (title.end..words.len()).filter_map(|at| year(words.word(at)));
            let is_dated = match years.next() {
                None => false,
                Some(first) if is_known(first) || years.any(is_known) => true,
                Some(_) => return Break(()),
            };
            // The episode's own number right behind the title rules out chance.
            let is_followed_by_number = at == 0 && title.from == 0 && has_episode(title.end);
            // An unmatched show is named after its folder: `Home Videos`.
            confirmed |= is_followed_by_number
                || at == 0 && !self.title.is_short()
                || !is_unmatched(self.item.guid) && (is_dated || !self.title.is_short());
            Continue(())
        });
        if contradiction.is_some() {
            return TitleEvidence::Contradicts;
        }
        if confirmed {
            TitleEvidence::Confirms
        } else {
            TitleEvidence::Neutral
        }
    }

    /// Evidence for a track: its title and number in the file's name, its artist there or in a folder, and no other
    /// album between. The album's title is unknown here, so its folder must be the listed one.
    fn track(&self) -> TitleEvidence {
        let (Some(file), Some(title)) = (Words::of(self.queried.names[0]), Words::of(self.item.title)) else {
            return TitleEvidence::Neutral;
        };
        let begins = |from: usize| {
            let counted = (0..from).all(|at| number(file.word(at)).is_some_and(|number| number < 1000));
            counted || lead_of(&file, from).is_some()
        };
        let place = (0..file.len()).find_map(|from| {
            let end = begins(from).then(|| file.title_at(from, &title)).flatten()?;
            (end == file.len() || file.before(end) == Gap::Bracket).then_some(TitleSpan { from, end })
        });
        let Some(place) = place else {
            return TitleEvidence::Neutral;
        };
        let counted = place.from.checked_sub(1).and_then(|at| number(file.word(at)));
        let own = |number: i32| number == self.item.episode || number == self.item.season * 100 + self.item.episode;
        if counted.is_some_and(|number| !own(number)) {
            return TitleEvidence::Contradicts;
        }
        let disc = Words::of(self.queried.names[1]).is_some_and(|words| is_disc(&words));
        let album = if disc { 3 } else { 2 };
        let artist = self.queried.each(0..NAMES, |at, words| {
            let place = self.title_span(words, |_, artist| match at {
                0 => artist.end <= place.from && words.before(artist.end) == Gap::Dash,
                _ => artist.from == 0 && ends_title(words, artist.end),
            });
            place.map_or(Continue(()), |place| Break((at, place)))
        });
        // `Unknown Artist/Unknown Album/01 Track 01.mp3` is on every computer.
        let is_name = !self.title.iter().all(is_general);
        match artist {
            Some((0, artist)) if is_name && names_album(&file, artist.end, place.from) => TitleEvidence::Confirms,
            Some((at, _)) if is_name && self.common >= album.max(at) => TitleEvidence::Confirms,
            _ => TitleEvidence::Neutral,
        }
    }

    /// Returns whether both paths have an external id or edition of the same kind with different values:
    /// `{imdb-tt0078748}`.
    fn differ_by_tag(&self) -> bool {
        let listed = || self.listed.iter().flat_map(|(_, name)| tags(name));
        let differs = |(key, value): (&str, &str)| {
            let mut same = listed().filter(|(other, _)| *other == key).peekable();
            same.peek().is_some() && same.all(|(_, other)| other != value)
        };
        let tagged = self.queried.iter().filter(|(_, name)| has_braces(name));
        tagged.flat_map(|(_, name)| tags(name)).any(differs)
    }

    /// Returns the edition words in a name outside of the title, as a bit set.
    fn editions(&self, words: &Words) -> u32 {
        let mut found = words
            .iter()
            .enumerate()
            .filter_map(|(at, word)| Some((at, edition(word)?)))
            .peekable();
        if found.peek().is_none() {
            return 0;
        }
        let place = (0..words.len()).find_map(|from| Some(from..words.title_at(from, self.title)?));
        let outside = |at: usize| place.as_ref().is_none_or(|place| !place.contains(&at));
        found
            .filter(|(at, _)| outside(*at))
            .fold(0, |set, (_, bit)| set | 1 << bit)
    }
}

/// Returns whether a track's file name has an album between artist and title: a part of its own with more than a number
/// or a disc. Both paths share that name, so it is the same album.
fn names_album(file: &Words, artist: usize, title: usize) -> bool {
    let counted = title > artist && number(file.word(title - 1)).is_some() && file.before(title - 1) == Gap::Dash;
    let end = title - usize::from(counted);
    let of_choice = |word: &[u8]| !is_disc_word(word) && number(word).is_none() && !is_general(word);
    file.before(end) == Gap::Dash && (artist..end).any(|at| of_choice(file.word(at)))
}
