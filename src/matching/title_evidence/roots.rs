//! Whether two paths differ in their roots only, so that one mount or another would make them the same.

use super::extras::is_apart;
use super::names::{NAMES, any, has_number, is_unmatched, named, naming};
use crate::matching::form::Form;
use crate::matching::normal::Normal;
use crate::matching::numbered::{is_disc, season_in};
use crate::matching::resolution::ItemRef;
use crate::matching::vocabulary::{ends_title, is_general};
use crate::matching::words::{Words, year};
use crate::model::ItemType;

/// Whether the listed path is the one asked for, but for the root: `common` components agree from the end, and `below` of
/// the listed one lie below its library's folder.
///
/// One of the folders must be a name of a person's choice, or the item's: `DCIM/100CANON` is on every card, `Season 01` in
/// every show, `2019` in every collection of photos. The library's own folder counts when it is the item's, as a folder
/// for one show; then its name must be in the path asked for too. A film that is called by its title must be dated:
/// remakes have the same one. What lies among copies, samples or extras is not the listed file ([`is_apart`]).
pub fn only_root_differs(
    item: &ItemRef<'_>,
    asked: &Normal<'_>,
    listed: &Normal<'_>,
    common: usize,
    below: usize,
) -> bool {
    if below < 2 || common < below || is_apart(item, asked, listed, common) {
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

/// How many folders above this one the name stands that says whose it is: 0 if a folder in normal form has the title of what is in
/// it, or the album's. Folders that are called as discs, cards and seasons are passed over; any other name is `None`.
pub fn title_depth(item: &ItemRef<'_>, album: &str, folder: &[u8]) -> Option<usize> {
    let (title, album) = (naming(item).and_then(Words::of), Words::of(album));
    for (at, component) in Form::done(folder).back().enumerate().take(NAMES) {
        let words = Words::of(std::str::from_utf8(component.bytes()).ok()?)?;
        // An album may be called as its artist is.
        let is_album = at == 0 && is_named(&words, album.as_ref());
        if !is_album && is_named(&words, title.as_ref()) {
            return Some(at);
        }
        if !is_album && !is_structure(component.bytes(), &words) {
            return None;
        }
    }
    None
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
