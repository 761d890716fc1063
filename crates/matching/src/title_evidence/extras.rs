//! Detects copies, samples and extras: files whose path ends like a listed one but that are other files.

use super::names::{has_external_id, named, naming_title};
use crate::lower_name::LowerName;
use crate::model::ItemType;
use crate::normal::Normal;
use crate::numbered::season_in;
use crate::resolution::ItemRef;
use crate::words::{Gap, Words, year};

/// Returns whether a folder of the path that the listed path lacks is one for copies, samples or extras. The last
/// `common` components, which both paths have, are skipped.
///
/// A folder for copies counts anywhere, unless the listed path has a folder of that name. One for samples or extras
/// counts only below a folder with the item's title or season. Higher up it is a folder for media, as in
/// `Other/Lost/Season 01`.
pub fn is_copy_or_extra(item: &ItemRef<'_>, queried: &Normal<'_>, listed: &Normal<'_>, common: usize) -> bool {
    let mut around = None;
    let mut folders = named(queried).enumerate().skip(common.max(1));
    folders.any(|(at, text)| {
        let name = LowerName(text.as_bytes());
        let is_elsewhere = || !named(listed).any(|other| other == text);
        if name.is_copies_folder() {
            return is_elsewhere();
        }
        if !is_video(item) || !holds_extras(name) {
            return false;
        }
        let around = around.get_or_insert_with(|| EnclosingFolders::of(item, queried));
        let is_sample = name.is(b"sample") || name.is(b"samples");
        around.is_below_title(at, name) || is_sample && around.title != Some(at) && is_elsewhere()
    })
}

/// Returns whether the file's name ends like those of samples and extras, and the item's own title does not.
pub fn has_extras_suffix(item: &ItemRef<'_>, queried: &Normal<'_>) -> bool {
    let text = named(queried).next().unwrap_or_default();
    let (stem, _) = text.rsplit_once('.').unwrap_or((text, ""));
    let ends = LowerName(text.as_bytes()).is_extra() || LowerName(stem.as_bytes()).has_sample_suffix();
    let is_title = || {
        let end = stem.rsplit(['-', '.', '_']).next().unwrap_or_default();
        Words::of(item.title).is_some_and(|title| title.iter().last() == Some(end.as_bytes()))
    };
    is_video(item) && ends && !is_title()
}

/// Plex has samples and extras of videos only.
fn is_video(item: &ItemRef<'_>) -> bool {
    matches!(item.kind, ItemType::Movie | ItemType::Episode)
}

/// Returns whether a folder of this name holds samples, extras or hidden files next to an item.
fn holds_extras(name: LowerName<'_>) -> bool {
    name.is_samples_folder() || name.has_sample_suffix() || name.is_extras_folder() || name.begins(b".")
}

/// Returns whether a folder's name is the item's title followed by its year or external id: folders for extras have
/// neither. So `Extras (2010)` is the folder of the film `Extras`, but `Bonus Disc (2010)` is not that of the film
/// `Bonus`.
fn is_identified(text: &str, words: &Words, title: &Words) -> bool {
    let Some(end) = words.title_at(0, title) else {
        return false;
    };
    let is_year = |at: usize| year(words.word(at)).is_some();
    (is_year(end) || matches!(words.before(end), Gap::Bracket | Gap::Round))
        && ((end..words.len()).any(is_year) || has_external_id(text))
        && !LowerName(text.as_bytes()).has_sample_suffix()
}

/// The folders of a path that identify the item.
struct EnclosingFolders {
    /// Index of the folder with the item's title that is nearest to the file. One that may be a folder for extras
    /// counts only if there is no other.
    title: Option<usize>,
    /// Index of the outermost season folder; 0 without one.
    season: usize,
}

impl EnclosingFolders {
    fn of(item: &ItemRef<'_>, queried: &Normal<'_>) -> Self {
        let title = naming_title(item).and_then(Words::of);
        let (mut certain, mut ambiguous, mut season) = (None, None, 0);
        let mut words = Words::new();
        for (index, text) in named(queried).enumerate().skip(1) {
            if !words.fold(text) {
                continue;
            }
            if let Some(title) = title.as_ref().filter(|title| title.is_in(&words)) {
                let may_be_extras = holds_extras(LowerName(text.as_bytes())) && !is_identified(text, &words, title);
                let found = if may_be_extras { &mut ambiguous } else { &mut certain };
                found.get_or_insert(index);
            }
            if season_in(&words).is_some() {
                season = index;
            }
        }
        Self {
            title: certain.or(ambiguous),
            season,
        }
    }

    /// Returns whether the folder at this index lies below one that identifies the item.
    fn is_below_title(&self, index: usize, name: LowerName<'_>) -> bool {
        match self.title {
            Some(title) if title != index => title > index,
            Some(_) => self.season > index,
            None => self.season > index || index == 1 && !name.is_common_folder_name() && !name.begins(b"."),
        }
    }
}
