//! Checks whether two paths differ only in the root, as files under different mount points do.
//!
//! A file with the same name, or below a folder with the same title, may be a file of another work: a remake, another
//! country's show, a trailer. So titles, years and words never give a suffix match high confidence; here they only
//! refuse it.

mod extras;
mod names;

use crate::lower_name::LowerName;
use crate::model::ItemType;
use crate::normal::NormalPath;
use crate::numbers::{is_disc, is_number, season_in};
use crate::resolution::ItemRef;
use crate::vocabulary::{ends_title, is_general_word, is_quality_word};
use crate::words::{Words, year};
use extras::is_sample_or_extra;
pub use names::{any_name_matches, naming_title, rev_components_of};
use names::{has_external_id, is_unidentified};

/// Number of folders above a library location that may have the title.
const FOLDERS_ABOVE: usize = 4;

/// Returns whether the queried path and the listed path differ only in the root. `common` is the number of trailing
/// components that both paths have in common. `below` is the number of components that the listed path has below its
/// location.
///
/// One of the common folders must have a specific name: the item's title, or a name that a person chose. Generic names
/// do not count: every memory card has `DCIM/100CANON`, every show `Season 01`, and every photo collection `2019`. If
/// the library location or a folder above has the item's title, the queried path must have the same folder there. A
/// film's title needs the year, because remakes share titles. A file below a hidden or system folder is a copy, such
/// as a deleted file or a snapshot, and a sample or extra is a different file ([`is_sample_or_extra`]).
pub fn only_root_differs(
    item: &ItemRef<'_>,
    queried: &NormalPath<'_>,
    listed: &NormalPath<'_>,
    common: usize,
    below: usize,
) -> bool {
    // The paths must be equal below the location, in at least two components.
    let is_equal_below = below >= 2 && common >= below;
    if !is_equal_below || has_hidden_root(queried, common) || is_sample_or_extra(item, queried, listed, common) {
        return false;
    }
    let title = naming_title(item).and_then(Words::of);
    let title = title.as_ref();
    // Includes the location's own name, if it is equal too. A name that is too long to compare is specific.
    let compared = common.min(below + 1);
    let mut words = Words::new();
    let is_specific = |(index, name): (usize, &str)| {
        !words.set_text(name)
            || is_specific_title(item, &words, title)
            || index < below && !is_generic_folder(name.as_bytes(), &words)
    };
    let mut common_folders = rev_components_of(listed).enumerate().take(compared).skip(1);
    if !common_folders.any(is_specific) {
        return false;
    }
    let Some(title) = title else {
        return true;
    };
    if is_identified_film(item) {
        let mut has_title = false;
        let has_year = any_name_matches(rev_components_of(listed).take(compared), |words| {
            has_title |= title.is_contained_in(words);
            has_year_of_film(words, title, item.year)
        });
        if has_title && !has_year && !rev_components_of(listed).take(compared).any(has_external_id) {
            return false;
        }
    }
    // A folder above that has the title is the work's own: another year, country or id there is another work.
    let mut names_above = rev_components_of(listed).skip(below).take(FOLDERS_ABOVE);
    names_above.all(|name| {
        let has_title = words.set_text(name) && title.is_contained_in(&words);
        let mut queried_names = rev_components_of(queried).skip(below);
        !has_title || queried_names.any(|queried_name| queried_name == name)
    })
}

/// Returns whether a mapping from the folder `from` to the folder `to` may lead to files of another work, although the
/// files' names are equal: `from` is for samples or extras, or its name and that of `to` or of the file `name` begin
/// with the same word, as in `Charmed (1998)` and `Charmed (2018)`.
pub fn may_map_another_work(from: &[u8], to: &[u8], name: &[u8]) -> bool {
    let is_extras = NormalPath::with(from, |path| {
        let mut names = rev_components_of(path).map(|name| LowerName(name.as_bytes()));
        names.any(|name| name.is_extras_folder() || name.is_sample_folder())
    });
    let last_name = |path: &[u8]| NormalPath::with(path, |path| rev_components_of(path).next().map(str::to_owned));
    let first_word = |text: &str| Words::of(text)?.iter().next().map(<[u8]>::to_vec);
    let from_name = last_name(from).unwrap_or_default();
    let word = first_word(&from_name);
    let begins_like = |other: &str| word.is_some() && from_name != other && word == first_word(other);
    is_extras || last_name(to).is_some_and(|to| begins_like(&to)) || std::str::from_utf8(name).is_ok_and(begins_like)
}

/// Returns whether a path's root has the name of a hidden or system folder. The root is everything before the last
/// `common` components.
pub fn has_hidden_root(path: &NormalPath<'_>, common: usize) -> bool {
    rev_components_of(path)
        .skip(common)
        .any(|name| LowerName(name.as_bytes()).is_hidden_or_system_folder())
}

/// Returns whether a queried folder and a listed folder differ only in the root. Both folders are in normal form.
/// `common` is the number of trailing components in common, and `below` the number of components that the listed folder
/// has below its location.
///
/// Compares the paths of an imaginary file, `-`, in each folder ([`only_root_differs`]). As for a file, one name below
/// the location is too little: any folder can be called `Vacation`, whatever the title of a show.
pub fn folder_root_differs(item: &ItemRef<'_>, queried: &[u8], listed: &[u8], common: usize, below: usize) -> bool {
    let file_in = |folder: &[u8]| [folder, b"/-"].concat();
    let file_root_differs = || {
        NormalPath::with(&file_in(queried), |queried| {
            NormalPath::with(&file_in(listed), |listed| {
                only_root_differs(item, queried, listed, common + 1, below + 1)
            })
        })
    };
    below > 1 && common >= below && file_root_differs()
}

/// Returns whether a folder's name is the item's title, and the title identifies the item. A title of general words,
/// such as `Various Artists`, does not identify an item, unless the folder also has the year of an identified film, as
/// `Old (2021)` has.
fn is_specific_title(item: &ItemRef<'_>, words: &Words, title: Option<&Words>) -> bool {
    let Some((title, end)) = title.and_then(|title| Some((title, words.title_at(0, title)?))) else {
        return false;
    };
    let has_year = || is_identified_film(item) && item.year > 0 && has_year_of_film(words, title, item.year);
    ends_title(words, end) && (!title.iter().all(is_general_word) || has_year())
}

/// Returns whether a film was identified by a metadata agent: its title and year are not from the file's name.
fn is_identified_film(item: &ItemRef<'_>) -> bool {
    item.kind == ItemType::Movie && !is_unidentified(item.guid)
}

/// Returns whether a name has the film's year, and no other year, outside the title. Both paths contain the name, so
/// the year may differ from the film's year by one. `film_year` is 0 if unknown, which matches any year.
fn has_year_of_film(words: &Words, title: &Words, film_year: i32) -> bool {
    let mut numbered = (0..words.len())
        .filter_map(|index| Some((index, year(words.word(index))?)))
        .peekable();
    if numbered.peek().is_none() {
        return false;
    }
    let title_words = words.find_title(title);
    let is_title = |index: &usize| title_words.as_ref().is_some_and(|title| title.contains(index));
    let mut years = numbered
        .filter(|(index, _)| !is_title(index))
        .map(|(_, year)| year)
        .peekable();
    let Some(first_year) = years.peek().copied() else {
        return false;
    };
    let expected = if film_year == 0 { first_year } else { film_year };
    years.all(|year| (year - expected).abs() <= 1)
}

/// Returns whether a file's name identifies the file, as `movie.mkv` and `01.mkv` do not.
pub fn is_specific_file_name(name: &[u8]) -> bool {
    let stem = name.rsplitn(2, |byte| *byte == b'.').last().unwrap_or_default();
    let words = std::str::from_utf8(stem).ok().and_then(Words::of);
    words.is_some_and(|words| !is_generic_folder(stem, &words))
}

/// Returns whether a folder's name does not identify its contents, because the name has only general words, numbers and
/// words about the quality, or is a camera, season or disc folder.
fn is_generic_folder(name: &[u8], words: &Words) -> bool {
    // Cameras create folders with three digits and five letters on memory cards, such as `100CANON`.
    let is_camera_folder = name.len() == 8
        && name[..3].iter().all(u8::is_ascii_digit)
        && name[3..]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let is_short = words.len() <= 2;
    let is_generic_word = |word: &[u8]| is_number(word) || is_general_word(word);
    let is_generic =
        || words.iter().any(is_generic_word) && words.iter().all(|word| is_generic_word(word) || is_quality_word(word));
    is_camera_folder
        || is_short && (season_in(words).is_some() || is_disc(words))
        || words.len() == 0
        || LowerName(name).is_extras_folder()
        || is_generic()
}
