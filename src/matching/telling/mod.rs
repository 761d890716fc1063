//! What a path tells of an item: the evidence for, and against, an answer by the end of a path or by its file name.
//!
//! That one listed file has the same name says nothing of the files that are not listed. So a path must either be the
//! listed one below another root ([`only_root_differs`]), or carry the item's title where names of media carry it
//! ([`tells`]). `docs/design/matching.md`, 'Evidence', has the rules.

mod apart;
mod names;
mod roots;

use std::ops::ControlFlow::{Break, Continue};

use super::beside::{edition, ends_title, is_about, is_general, is_sequel};
use super::normal::Normal;
use super::numbered::{Marker, is_disc, is_disc_word, season_at, season_in};
use super::outcome::ItemRef;
use super::words::{Gap, Words, number, year};
use crate::model::ItemType;
use apart::{has_end_of_extras, is_apart};
use names::{NAMES, Names, any, has_braces, has_number, is_unmatched, naming, tags};

pub use roots::{IsPart, folder_is_called, folder_root_differs, only_root_differs};

/// What a path says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this item's.
    Tells,
    /// Neither that it is, nor that it is not.
    Nothing,
    /// It names another year, another number, another edition.
    Against,
}

/// What the path asked for tells of the item, whose listed path has `common` components in common with it, from the end.
pub fn tells(item: &ItemRef<'_>, asked: &Normal<'_>, listed: &Normal<'_>, common: usize) -> Verdict {
    let Some(title) = naming(item).and_then(Words::of) else {
        return Verdict::Nothing;
    };
    let paths = Paths {
        item,
        title: &title,
        asked: Names::of(asked, 0),
        listed: Names::of(listed, 0),
        common,
    };
    if paths.differ_by_tag() || is_apart(item, asked, listed, common) || has_end_of_extras(item, asked) {
        return Verdict::Against;
    }
    match item.kind {
        ItemType::Movie => paths.film(),
        ItemType::Episode => paths.episode(),
        ItemType::Track => paths.track(),
        _ => Verdict::Nothing,
    }
}

/// Where a title stands in a name.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    end: usize,
}

/// How a name begins before a title.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// With nothing, or with what is in brackets, or with a number.
    Nothing,
    /// With something else and a dash.
    Dash,
}

fn lead(words: &Words, from: usize) -> Option<Lead> {
    let is_count = |at: usize| {
        let word = words.word(at);
        let dashed = words.before(from) == Gap::Dash || word.first() == Some(&b'0');
        number(word).is_some() && dashed
    };
    if (0..from).all(|at| words.is_inside(at) || is_count(at)) {
        Some(Lead::Nothing)
    } else {
        (words.before(from) == Gap::Dash).then_some(Lead::Dash)
    }
}

/// The two paths, and the item that the listed one is of.
struct Paths<'a, 'i> {
    item: &'a ItemRef<'i>,
    title: &'a Words,
    asked: Names<'a>,
    listed: Names<'a>,
    common: usize,
}

impl Paths<'_, '_> {
    /// Where the title stands in a name, by itself: what follows it must end it.
    fn place(&self, words: &Words, ends: impl Fn(Lead, Place) -> bool) -> Option<Place> {
        (0..words.len()).find_map(|from| {
            let lead = lead(words, from)?;
            let end = words.title_at(from, self.title)?;
            let place = Place { from, end };
            ends(lead, place).then_some(place)
        })
    }

    /// A film: its title, by itself, its year, and no other one. The folders below the one that tells are the listed ones.
    fn film(&self) -> Verdict {
        let found = !is_unmatched(self.item.guid);
        let strict = self.title.is_short() || !found;
        let (mut told, mut dated, mut beside, mut elsewhere) = (false, false, false, false);
        // Names that both paths have are folded once.
        let (mut both, mut ours) = (0, 0);
        let against = self.asked.each(0..NAMES, |at, words| {
            *(if at < self.common { &mut both } else { &mut ours }) |= self.editions(words);
            let own = |word: &[u8]| year(word).is_some_and(|year| year == self.item.year);
            let place = self.place(words, |lead, place| {
                let next = words.word(place.end);
                let dated = || (place.end..words.len()).any(|at| own(words.word(at)));
                match lead {
                    Lead::Dash => own(next),
                    Lead::Nothing => ends_title(words, place.end) || at < self.common && !is_sequel(next) && dated(),
                }
            });
            let outside = |word: &usize| place.is_none_or(|place| !(place.from..place.end).contains(word));
            let years = || {
                (0..words.len())
                    .filter(outside)
                    .filter_map(|word| Some((word, year(words.word(word))?)))
            };
            let is_own = years().any(|(_, year)| year == self.item.year);
            // Plex and a name that both paths have may be a year apart: films have several premieres.
            let near = |year: i32| at < self.common && (self.item.year == 0 || (year - self.item.year).abs() <= 1);
            let is_other = self.item.year != 0 && !is_own && years().any(|(_, year)| !near(year));
            if is_other && (place.is_some() || at == 0) {
                return Break(());
            }
            let numbered = at < self.common && has_number(self.asked.names[at]);
            let is_near = || numbered || years().any(|(_, year)| near(year));
            dated |= at < self.common && is_near();
            // Of a title that was made of the file's name a year is part that was meant as one: no `Recording 2019.mp4`.
            let meant = |word: usize| words.is_inside(word) || is_about(words.word(word + 1));
            let meant = || found || years().any(|(word, _)| meant(word));
            beside |= place.is_some() && (is_own || found && is_near()) && meant();
            elsewhere |= is_other && at >= self.common;
            told |= place.is_some() && at <= self.common;
            Continue(())
        });
        let mut theirs = 0;
        self.listed.each(self.common..NAMES, |_, words| {
            theirs |= self.editions(words);
            Continue::<()>(())
        });
        if against.is_some() || both | ours != both | theirs {
            return Verdict::Against;
        }
        // Remakes have the same title. A title of one short word may be there by chance, and its year elsewhere too.
        if told && (beside && (found || !self.title.is_short()) || dated && !strict && !elsewhere) {
            Verdict::Tells
        } else {
            Verdict::Nothing
        }
    }

    /// An episode: its show's title by itself, its season, and its number.
    fn episode(&self) -> Verdict {
        let Some(file) = Words::of(self.asked.names[0]) else {
            return Verdict::Nothing;
        };
        let marker = (0..file.len())
            .find_map(|at| Marker::at(&file, at).filter(|marker| marker.season.is_some()))
            .or_else(|| (0..file.len()).find_map(|at| Marker::at(&file, at)));
        let Some(marker) = marker else {
            return Verdict::Nothing;
        };
        let mut season = marker.season;
        let against = self.asked.each(1..NAMES, |at, words| {
            if let Some(told) = season_in(words) {
                if at >= self.common && told != self.item.season {
                    return Break(());
                }
                season = season.or(Some(told));
            }
            Continue(())
        });
        if against.is_some() {
            return Verdict::Against;
        }
        let Some(season) = season else {
            return Verdict::Nothing;
        };
        if season != self.item.season || !(marker.first..=marker.last).contains(&self.item.episode) {
            return Verdict::Against;
        }
        let known = |year: i32| {
            let listed = |words: &Words| words.iter().any(|word| self::year(word) == Some(year));
            year == self.item.year || any(self.listed.iter().map(|(_, name)| name), listed)
        };
        let mut told = false;
        let against = self.asked.each(0..NAMES, |at, words| {
            let numbered = |end: usize| Marker::at(words, end).is_some();
            let place = self.place(words, |lead, place| match lead {
                Lead::Dash => numbered(place.end),
                Lead::Nothing => {
                    numbered(place.end) || season_at(words, place.end).is_some() || ends_title(words, place.end)
                }
            });
            let Some(place) = place else {
                return Continue(());
            };
            let mut years = (place.end..words.len()).filter_map(|at| year(words.word(at)));
            let dated = match years.next() {
                None => false,
                Some(first) if known(first) || years.any(known) => true,
                Some(_) => return Break(()),
            };
            // Its own number right behind it: no word of chance.
            let numbered = at == 0 && place.from == 0 && numbered(place.end);
            // A show that Plex did not find is called as its folder is: `Home Videos`.
            told |= numbered
                || at == 0 && !self.title.is_short()
                || !is_unmatched(self.item.guid) && (dated || !self.title.is_short());
            Continue(())
        });
        if against.is_some() {
            return Verdict::Against;
        }
        if told { Verdict::Tells } else { Verdict::Nothing }
    }

    /// A track: its title and number in the file's name, its artist there or in a folder, and no other album between: the
    /// album's title is not known, so its folder must be the listed one.
    fn track(&self) -> Verdict {
        let (Some(file), Some(title)) = (Words::of(self.asked.names[0]), Words::of(self.item.title)) else {
            return Verdict::Nothing;
        };
        let begins = |from: usize| {
            let counted = (0..from).all(|at| number(file.word(at)).is_some_and(|number| number < 1000));
            counted || lead(&file, from).is_some()
        };
        let place = (0..file.len()).find_map(|from| {
            let end = begins(from).then(|| file.title_at(from, &title)).flatten()?;
            (end == file.len() || file.before(end) == Gap::Bracket).then_some(Place { from, end })
        });
        let Some(place) = place else {
            return Verdict::Nothing;
        };
        let counted = place.from.checked_sub(1).and_then(|at| number(file.word(at)));
        let own = |number: i32| number == self.item.episode || number == self.item.season * 100 + self.item.episode;
        if counted.is_some_and(|number| !own(number)) {
            return Verdict::Against;
        }
        let disc = Words::of(self.asked.names[1]).is_some_and(|words| is_disc(&words));
        let album = if disc { 3 } else { 2 };
        let artist = self.asked.each(0..NAMES, |at, words| {
            let place = self.place(words, |_, artist| match at {
                0 => artist.end <= place.from && words.before(artist.end) == Gap::Dash,
                _ => artist.from == 0 && ends_title(words, artist.end),
            });
            place.map_or(Continue(()), |place| Break((at, place)))
        });
        // `Unknown Artist/Unknown Album/01 Track 01.mp3` is on every computer.
        let is_name = !self.title.iter().all(is_general);
        match artist {
            Some((0, artist)) if is_name && names_album(&file, artist.end, place.from) => Verdict::Tells,
            Some((at, _)) if is_name && self.common >= album.max(at) => Verdict::Tells,
            _ => Verdict::Nothing,
        }
    }

    /// Whether both paths name the item's number at a database, or its edition, and differ: `{imdb-tt0078748}`.
    fn differ_by_tag(&self) -> bool {
        let listed = || self.listed.iter().flat_map(|(_, name)| tags(name));
        let differs = |(key, value): (&str, &str)| {
            let mut same = listed().filter(|(other, _)| *other == key).peekable();
            same.peek().is_some() && same.all(|(_, other)| other != value)
        };
        let tagged = self.asked.iter().filter(|(_, name)| has_braces(name));
        tagged.flat_map(|(_, name)| tags(name)).any(differs)
    }

    /// The words of editions that a name has outside of the title, as a set.
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

/// Whether a track's file name has an album between its artist and its title: a part of its own, of more than a number or
/// a disc. Both paths have that name, so it is the same album.
fn names_album(file: &Words, artist: usize, title: usize) -> bool {
    let counted = title > artist && number(file.word(title - 1)).is_some() && file.before(title - 1) == Gap::Dash;
    let end = title - usize::from(counted);
    let of_choice = |word: &[u8]| !is_disc_word(word) && number(word).is_none() && !is_general(word);
    file.before(end) == Gap::Dash && (artist..end).any(|at| of_choice(file.word(at)))
}
