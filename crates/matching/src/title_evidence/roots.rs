//! Checks whether two paths differ in their roots only, so that another mount point would make them equal.

use super::extras::is_copy_or_extra;
use super::names::{NAMES, any, has_external_id, is_unmatched, named, naming_title};
use crate::form::Form;
use crate::model::ItemType;
use crate::normal::Normal;
use crate::numbered::{is_disc, season_in};
use crate::resolution::ItemRef;
use crate::vocabulary::{ends_title, is_general};
use crate::words::{Words, year};

/// Returns whether the listed path equals the requested one except for its root: `common` components agree at the end,
/// and `below` of the listed ones lie below the library's location.
///
/// One of the folders must have a specific name: the item's, or one that a person chose. `DCIM/100CANON` is on every
/// card, `Season 01` in every show, `2019` in every collection of photos. The library's own folder counts if it has the
/// item's title; then its name must be in the requested path too. A film's title needs its year, since remakes share
/// titles. Paths among copies, samples or extras are other files ([`is_copy_or_extra`]).
pub fn only_root_differs(
    item: &ItemRef<'_>,
    queried: &Normal<'_>,
    listed: &Normal<'_>,
    common: usize,
    below: usize,
) -> bool {
    if below < 2 || common < below || is_copy_or_extra(item, queried, listed, common) {
        return false;
    }
    let title = naming_title(item).and_then(Words::of);
    let title = title.as_ref();
    let compared = common.min(below + 1);
    let mut words = Words::new();
    let is_specific = |(at, name): (usize, &str)| {
        !words.fold(name) || is_named(&words, title) || at < below && !is_generic_folder(name.as_bytes(), &words)
    };
    if !named(listed).enumerate().take(compared).skip(1).any(is_specific) {
        return false;
    }
    let Some(title) = title else {
        return true;
    };
    if item.kind == ItemType::Movie && !is_unmatched(item.guid) {
        let mut has_title = false;
        let dated = any(named(listed).take(compared), |words| {
            has_title |= title.is_in(words);
            is_dated(words, title, item.year)
        });
        if has_title && !dated && !named(listed).take(compared).any(has_external_id) {
            return false;
        }
    }
    let above = |path| any(named(path).skip(below).take(NAMES), |words| title.is_in(words));
    !above(listed) || above(queried)
}

/// Returns whether a listed folder equals the requested one except for its root: `common` components agree at the end,
/// and `below` of the listed ones lie below the library's location. Both are in normal form.
///
/// The rule is that of [`only_root_differs`] for a file in the folder. If no other folder agrees, its name must be the
/// title of its content: two folders called `Documentaries` are two folders.
pub fn folder_root_differs(item: &ItemRef<'_>, queried: &[u8], listed: &[u8], common: usize, below: usize) -> bool {
    let as_file = |folder: &[u8]| [folder, b"/-"].concat();
    let differs = || {
        Normal::with(&as_file(queried), |queried| {
            Normal::with(&as_file(listed), |listed| {
                only_root_differs(item, queried, listed, common + 1, below + 1)
            })
        })
    };
    let title = naming_title(item).and_then(Words::of);
    let has_title_name = || {
        let name = Form::from_folded(listed)
            .rev_components()
            .next()
            .map(|name| std::str::from_utf8(name.bytes()));
        name.is_some_and(|name| Words::of(name.unwrap_or_default()).is_some_and(|name| is_named(&name, title.as_ref())))
    };
    below > 0 && common >= below && (below > 1 || has_title_name()) && differs()
}

/// Returns whether a folder's name is the title, and the title is specific: `Various Artists` is not.
fn is_named(words: &Words, title: Option<&Words>) -> bool {
    let title = title.filter(|title| !title.iter().all(is_general));
    let end = title.and_then(|title| words.title_at(0, title));
    end.is_some_and(|end| ends_title(words, end))
}

/// Returns whether a name has the film's year outside of the title. Both paths share the name, so the year may be one
/// off.
fn is_dated(words: &Words, title: &Words, own: i32) -> bool {
    let is_own = |at: &usize| year(words.word(*at)).is_some_and(|year| own == 0 || (year - own).abs() <= 1);
    let mut years = (0..words.len()).filter(is_own).peekable();
    if years.peek().is_none() {
        return false;
    }
    let place = (0..words.len()).find_map(|from| Some(from..words.title_at(from, title)?));
    years.any(|at| place.as_ref().is_none_or(|place| !place.contains(&at)))
}

/// Returns whether a folder has only general words and numbers, as on discs, cards, in shows and collections.
fn is_generic_folder(name: &[u8], words: &Words) -> bool {
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
