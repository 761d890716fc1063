//! Whether a path lies where copies, samples and extras do: it ends as the listed one, and is another file.

use super::names::{has_number, named, naming};
use crate::matching::lower_name::LowerName;
use crate::matching::normal::Normal;
use crate::matching::numbered::season_in;
use crate::matching::resolution::ItemRef;
use crate::matching::words::{Gap, Words, year};
use crate::model::ItemType;

/// Returns whether a folder of the path that the listed path lacks is one for copies, samples or extras. The last
/// `common` components, which both paths have, are skipped.
///
/// A folder for copies counts anywhere, unless the listed path has a folder of that name. One for samples or extras
/// counts only below a folder with the item's title or season: higher up it may be anyone's choice, as in
/// `Other/Lost/Season 01`.
pub fn is_apart(item: &ItemRef<'_>, asked: &Normal<'_>, listed: &Normal<'_>, common: usize) -> bool {
    let mut around = None;
    let mut folders = named(asked).enumerate().skip(common.max(1));
    folders.any(|(at, text)| {
        let name = LowerName(text.as_bytes());
        let is_elsewhere = || !named(listed).any(|other| other == text);
        if name.is_of_copies() {
            return is_elsewhere();
        }
        if !is_video(item) || !is_beside(name) {
            return false;
        }
        let around = around.get_or_insert_with(|| EnclosingFolders::of(item, asked));
        let is_sample = name.is(b"sample") || name.is(b"samples");
        around.is_below_title(at, name) || is_sample && around.title != Some(at) && is_elsewhere()
    })
}

/// Whether the file's name ends as those of samples and extras do, and the item's own title does not.
pub fn has_end_of_extras(item: &ItemRef<'_>, asked: &Normal<'_>) -> bool {
    let text = named(asked).next().unwrap_or_default();
    let (stem, _) = text.rsplit_once('.').unwrap_or((text, ""));
    let ends = LowerName(text.as_bytes()).is_an_extra() || LowerName(stem.as_bytes()).ends_as_a_sample();
    let is_title = || {
        let end = stem.rsplit(['-', '.', '_']).next().unwrap_or_default();
        Words::of(item.title).is_some_and(|title| title.iter().last() == Some(end.as_bytes()))
    };
    is_video(item) && ends && !is_title()
}

/// Plex knows samples and extras of videos only.
fn is_video(item: &ItemRef<'_>) -> bool {
    matches!(item.kind, ItemType::Movie | ItemType::Episode)
}

/// Whether a folder of this name has samples, extras, or what is hidden beside an item.
fn is_beside(name: LowerName<'_>) -> bool {
    name.is_of_samples() || name.ends_as_a_sample() || name.is_of_extras() || name.begins(b".")
}

/// Whether a folder has the item's title by itself, and its year or number behind that: extras have neither. So `Extras (2010)` is
/// the film's, and `Bonus Disc (2010)` is not that of the film `Bonus`.
fn is_identified(text: &str, words: &Words, title: &Words) -> bool {
    let Some(end) = words.title_at(0, title) else {
        return false;
    };
    let is_year = |at: usize| year(words.word(at)).is_some();
    (is_year(end) || matches!(words.before(end), Gap::Bracket | Gap::Round))
        && ((end..words.len()).any(is_year) || has_number(text))
        && !LowerName(text.as_bytes()).ends_as_a_sample()
}

/// The folders that say whose files lie below them.
struct EnclosingFolders {
    /// The folder with the item's title that is next to the file: one that may be such a folder itself if there is no other.
    title: Option<usize>,
    /// The outermost one of a season.
    season: usize,
}

impl EnclosingFolders {
    fn of(item: &ItemRef<'_>, asked: &Normal<'_>) -> Self {
        let title = naming(item).and_then(Words::of);
        let (mut called, mut by_chance, mut season) = (None, None, 0);
        let mut words = Words::new();
        for (place, text) in named(asked).enumerate().skip(1) {
            if !words.fold(text) {
                continue;
            }
            if let Some(title) = title.as_ref().filter(|title| title.is_in(&words)) {
                let may_be = is_beside(LowerName(text.as_bytes())) && !is_identified(text, &words, title);
                let found = if may_be { &mut by_chance } else { &mut called };
                found.get_or_insert(place);
            }
            if season_in(&words).is_some() {
                season = place;
            }
        }
        Self {
            title: called.or(by_chance),
            season,
        }
    }

    /// Whether the folder at this place is kept apart from an item, which lies above it.
    fn is_below_title(&self, at: usize, name: LowerName<'_>) -> bool {
        match self.title {
            Some(title) if title != at => title > at,
            Some(_) => self.season > at,
            None => self.season > at || at == 1 && !name.may_be_of_choice() && !name.begins(b"."),
        }
    }
}
