//! What a path tells of an item: the evidence for, and against, an answer by the end of a path or by its file name.
//!
//! That one listed file has the same name says nothing of the files that are not listed. So a path must either be the
//! listed one below another root ([`only_root_differs`]), or carry the item's title where names of media carry it
//! ([`tells`]). `docs/design.md`, 'The matching ladder', argues each rule.

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

use super::beside::{EXTRAS, edition, ends_title, is_about, is_general, is_sequel};
use super::form::{Component, Form};
use super::normal::Normal;
use super::numbered::{Marker, is_disc, is_disc_word, season_at, season_in};
use super::outcome::{GuidRef, ItemRef};
use super::words::{Gap, Words, number, year};
use crate::model::ItemType;

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

/// The file name and the three folders above it: where titles stand.
const NAMES: usize = 4;

/// The names of a path, the file's first and without its extension.
struct Names<'p> {
    names: [&'p str; NAMES],
    count: usize,
}

impl<'p> Names<'p> {
    /// Those of a path in normal form, beginning `skip` components from its end.
    fn of(path: &Normal<'p>, skip: usize) -> Self {
        let mut names = [""; NAMES];
        let mut count = 0;
        for (at, component) in Form::done(path.form()).back().enumerate().skip(skip).take(NAMES) {
            let name = std::str::from_utf8(component.bytes()).unwrap_or_default();
            names[count] = if at == 0 { stem(name) } else { name };
            count += 1;
        }
        Self { names, count }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &'p str)> {
        self.names[..self.count].iter().copied().enumerate()
    }

    /// Gives `each` those of these names that can be compared, with their words, until it ends that.
    fn each<B>(&self, places: Range<usize>, each: impl FnMut(usize, &Words) -> ControlFlow<B>) -> Option<B> {
        each_of(self.iter().take(places.end).skip(places.start), each)
    }
}

/// Gives `each` those names that can be compared, with their words, until it ends that.
fn each_of<'p, B>(
    names: impl Iterator<Item = (usize, &'p str)>,
    mut each: impl FnMut(usize, &Words) -> ControlFlow<B>,
) -> Option<B> {
    let mut words = Words::new();
    for (at, name) in names {
        if words.fold(name)
            && let Break(end) = each(at, &words)
        {
            return Some(end);
        }
    }
    None
}

/// Whether `test` holds of the words of any of these names.
fn any<'p>(names: impl Iterator<Item = &'p str>, mut test: impl FnMut(&Words) -> bool) -> bool {
    let ends = |_, words: &Words| if test(words) { Break(()) } else { Continue(()) };
    each_of(names.enumerate(), ends).is_some()
}

/// A file name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() && end.len() <= 5 && end.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            stem
        }
        _ => name,
    }
}

/// The title by which paths name the item: a film's own, an episode's show, a track's artist.
fn naming<'i>(item: &ItemRef<'i>) -> Option<&'i str> {
    let title = match item.kind {
        ItemType::Movie => item.title,
        ItemType::Episode | ItemType::Track => item.show_title,
        _ => "",
    };
    (!title.is_empty()).then_some(title)
}

/// Whether the listed path is the one asked for, but for the root: `common` components agree from the end, and `below` of
/// the listed one lie below its library's folder.
///
/// One of the folders must be a name of a person's choice, or the item's: `DCIM/100CANON` is on every card, `Season 01` in
/// every show, `2019` in every collection of photos. The library's own folder counts when it is the item's, as a folder
/// for one show; then its name must be in the path asked for too. A film that is called by its title must be dated:
/// remakes have the same one.
pub fn only_root_differs(
    item: &ItemRef<'_>,
    asked: &Normal<'_>,
    listed: &Normal<'_>,
    common: usize,
    below: usize,
) -> bool {
    if below < 2 || common < below {
        return false;
    }
    let title = naming(item).and_then(Words::of);
    let title = title.as_ref();
    let same = common.min(below + 1);
    let mut words = Words::new();
    let of_choice = |(at, name): (usize, &str)| {
        !words.fold(name) || is_named(&words, title) || at < below && !is_structure(name.as_bytes(), &words)
    };
    if !named(listed).enumerate().take(same).skip(1).any(of_choice) {
        return false;
    }
    let Some(title) = title else {
        return true;
    };
    if item.kind == ItemType::Movie && !is_unmatched(item.guid) {
        let mut called = false;
        let dated = any(named(listed).take(same), |words| {
            called |= title.is_in(words);
            is_dated(words, title, item.year)
        });
        if called && !dated && !named(listed).take(same).any(has_number) {
            return false;
        }
    }
    let above = |path| any(named(path).skip(below).take(NAMES), |words| title.is_in(words));
    !above(listed) || above(asked)
}

/// Whether a listed folder is the one asked for, but for the root: `common` components agree from the end, and `below` of the
/// listed one lie below its library's folder. Both are in normal form.
///
/// It is if a file in both would be, by [`only_root_differs`]. Where no other folder agrees its name must be the title of what
/// is in it: two folders called `Documentaries` are two folders.
pub fn folder_root_differs(item: &ItemRef<'_>, asked: &[u8], listed: &[u8], common: usize, below: usize) -> bool {
    let file = |folder: &[u8]| [folder, b"/-"].concat();
    let differs = || {
        Normal::with(&file(asked), |asked| {
            Normal::with(&file(listed), |listed| {
                only_root_differs(item, asked, listed, common + 1, below + 1)
            })
        })
    };
    let title = naming(item).and_then(Words::of);
    let called = || {
        let name = Form::done(listed)
            .back()
            .next()
            .map(|name| std::str::from_utf8(name.bytes()));
        name.is_some_and(|name| Words::of(name.unwrap_or_default()).is_some_and(|name| is_named(&name, title.as_ref())))
    };
    below > 0 && common >= below && (below > 1 || called()) && differs()
}

/// Whether a folder in normal form has the title of what is in it for its name; where discs, cards and seasons are called as it is,
/// or it has the album's title, the folder above it. The second says which of the two.
pub fn folder_is_called(item: &ItemRef<'_>, album: &str, folder: &[u8]) -> Option<IsPart> {
    let (title, album) = (naming(item).and_then(Words::of), Words::of(album));
    for (at, component) in Form::done(folder).back().enumerate().take(NAMES) {
        let words = Words::of(std::str::from_utf8(component.bytes()).ok()?)?;
        // An album may be called as its artist is.
        let is_album = at == 0 && is_named(&words, album.as_ref());
        if !is_album && is_named(&words, title.as_ref()) {
            return Some(IsPart(at > 0));
        }
        if !is_album && !is_structure(component.bytes(), &words) {
            return None;
        }
    }
    None
}

/// Whether a folder is a part of the one that has the title.
pub struct IsPart(pub bool);

/// The names of a path, the file's first.
fn named<'p>(path: &Normal<'p>) -> impl Iterator<Item = &'p str> {
    let name = |component: Component<'p>| std::str::from_utf8(component.bytes()).unwrap_or_default();
    Form::done(path.form()).back().map(name)
}

/// Whether a folder has the title for its name, and the title says something: `Various Artists` does not.
fn is_named(words: &Words, title: Option<&Words>) -> bool {
    let title = title.filter(|title| !title.iter().all(is_general));
    let end = title.and_then(|title| words.title_at(0, title));
    end.is_some_and(|end| ends_title(words, end))
}

/// Whether a name has the film's year beside its title; the year of a name that both paths have may be one apart.
fn is_dated(words: &Words, title: &Words, own: i32) -> bool {
    let is_own = |at: &usize| year(words.word(*at)).is_some_and(|year| own == 0 || (year - own).abs() <= 1);
    let mut years = (0..words.len()).filter(is_own).peekable();
    if years.peek().is_none() {
        return false;
    }
    let place = (0..words.len()).find_map(|from| Some(from..words.title_at(from, title)?));
    years.any(|at| place.as_ref().is_none_or(|place| !place.contains(&at)))
}

/// Whether a name has the item's number at a database.
fn has_number(name: &str) -> bool {
    has_braces(name) && tags(name).any(|(key, _)| key != "edition")
}

/// A folder that discs, cards, shows and collections have, whatever is in them: of such words and numbers only.
fn is_structure(name: &[u8], words: &Words) -> bool {
    // Cards: three digits and five letters, such as `100CANON`.
    let of_card = name.len() == 8
        && name[..3].iter().all(u8::is_ascii_digit)
        && name[3..]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let short = words.len() <= 2;
    let plain = |word: &[u8]| word.iter().all(u8::is_ascii_digit) || is_general(word);
    of_card || short && (season_in(words).is_some() || is_disc(words)) || words.iter().all(plain)
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
    if paths.differ_by_tag() {
        return Verdict::Against;
    }
    match item.kind {
        ItemType::Movie => paths.film(),
        ItemType::Episode => paths.episode(),
        ItemType::Track => paths.track(),
        _ => Verdict::Nothing,
    }
}

/// Whether Plex found nothing about the item: then it made a film's title of its file's name.
fn is_unmatched(guid: GuidRef<'_>) -> bool {
    matches!(guid, GuidRef::Text(text) if text.starts_with("local://") || text.contains("agents.none://"))
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
        if self.is_extra() {
            return Verdict::Against;
        }
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
        if self.is_extra() {
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

    /// Whether the path lies in a folder for what belongs to the film or show and is not it, in a folder that has the
    /// title, and the listed one does not.
    fn is_extra(&self) -> bool {
        let has_title = |at: usize| Words::of(self.asked.names[at]).is_some_and(|words| self.title.is_in(&words));
        let mut folders = self.common.max(1)..self.asked.count.saturating_sub(1);
        folders.any(|at| EXTRAS.contains(&self.asked.names[at]) && has_title(at + 1))
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

fn has_braces(name: &str) -> bool {
    name.bytes().any(|byte| matches!(byte, b'{' | b'['))
}

/// What a name says in braces of the item: its number at a database, or its edition.
fn tags(name: &str) -> impl Iterator<Item = (&str, &str)> {
    const KEYS: [&str; 7] = ["imdb", "imdbid", "tmdb", "tmdbid", "tvdb", "tvdbid", "edition"];
    name.split(['{', '[']).skip(1).filter_map(|rest| {
        let tag = rest.split(['}', ']']).next()?;
        tag.split_once(['-', '=']).filter(|(key, _)| KEYS.contains(key))
    })
}
