//! Detects copies, samples and extras: files whose path ends like the path of a listed file, but that are not the
//! listed file.

use super::names::{components_of, has_external_id, naming_title};
use crate::lower_name::LowerName;
use crate::model::ItemType;
use crate::normal::Normal;
use crate::numbered::season_in;
use crate::resolution::ItemRef;
use crate::words::{Gap, Words, year};

/// Returns whether the requested path, but not the listed one, is in a folder for copies, samples or extras. Skips the
/// last `common` components, which both paths have.
///
/// A folder for copies counts anywhere, unless the listed path has a folder of that name. A folder for samples or
/// extras counts only below a folder with the item's title or season. Higher up it is a folder for media, as in
/// `Other/Lost/Season 01`.
pub fn is_copy_or_extra(item: &ItemRef<'_>, queried: &Normal<'_>, listed: &Normal<'_>, common: usize) -> bool {
    let mut item_folders = None;
    let mut queried_folders = components_of(queried).enumerate().skip(common.max(1));
    queried_folders.any(|(index, text)| {
        let name = LowerName(text.as_bytes());
        let listed_lacks_name = || !components_of(listed).any(|component| component == text);
        if name.is_copies_folder() {
            return listed_lacks_name();
        }
        if !is_video(item) || !holds_extras(name) {
            return false;
        }
        let item_folders = item_folders.get_or_insert_with(|| ItemFolders::find(item, queried));
        let is_samples = name.is(b"sample") || name.is(b"samples");
        item_folders.is_above(index, name)
            || is_samples && item_folders.title_index != Some(index) && listed_lacks_name()
    })
}

/// Returns whether the requested file's name ends like the names of samples and extras, while the item's own title does
/// not end so.
pub fn has_extras_suffix(item: &ItemRef<'_>, queried: &Normal<'_>) -> bool {
    let text = components_of(queried).next().unwrap_or_default();
    let (stem, _) = text.rsplit_once('.').unwrap_or((text, ""));
    let has_suffix = LowerName(text.as_bytes()).is_extra() || LowerName(stem.as_bytes()).has_sample_suffix();
    let is_end_of_title = || {
        let suffix = stem.rsplit(['-', '.', '_']).next().unwrap_or_default();
        Words::of(item.title).is_some_and(|title| title.iter().last() == Some(suffix.as_bytes()))
    };
    is_video(item) && has_suffix && !is_end_of_title()
}

/// Returns whether the item is a film or episode. Only videos have samples and extras in Plex.
fn is_video(item: &ItemRef<'_>) -> bool {
    matches!(item.kind, ItemType::Movie | ItemType::Episode)
}

/// Returns whether a folder of this name holds samples, extras or hidden files next to an item.
fn holds_extras(name: LowerName<'_>) -> bool {
    name.is_samples_folder() || name.has_sample_suffix() || name.is_extras_folder() || name.starts_with(b".")
}

/// Returns whether a folder's name is the item's title followed by a year or external id, which folders for extras do
/// not have. So `Extras (2010)` is the folder of the film `Extras`, but `Bonus Disc (2010)` is not the folder of the
/// film `Bonus`.
fn is_title_with_year_or_id(text: &str, words: &Words, title: &Words) -> bool {
    let Some(end) = words.title_at(0, title) else {
        return false;
    };
    let is_year = |index: usize| year(words.word(index)).is_some();
    (is_year(end) || matches!(words.gap_before(end), Gap::Bracket | Gap::Round))
        && ((end..words.len()).any(is_year) || has_external_id(text))
        && !LowerName(text.as_bytes()).has_sample_suffix()
}

/// The folders of a path that have the item's title or season. Indexes count from the end of the path; 0 is the file.
struct ItemFolders {
    /// The folder with the item's title that is nearest to the file. A folder that may hold extras counts only if no
    /// other folder has the title.
    title_index: Option<usize>,
    /// The outermost season folder; 0 without a season folder.
    season_index: usize,
}

impl ItemFolders {
    /// Finds the folders with the item's title or season in the requested path.
    fn find(item: &ItemRef<'_>, queried: &Normal<'_>) -> Self {
        let title = naming_title(item).and_then(Words::of);
        let (mut certain_index, mut ambiguous_index, mut season_index) = (None, None, 0);
        let mut words = Words::new();
        for (index, text) in components_of(queried).enumerate().skip(1) {
            if !words.fold(text) {
                continue;
            }
            if let Some(title) = title.as_ref().filter(|title| title.is_in(&words)) {
                let may_be_extras =
                    holds_extras(LowerName(text.as_bytes())) && !is_title_with_year_or_id(text, &words, title);
                let title_index = if may_be_extras {
                    &mut ambiguous_index
                } else {
                    &mut certain_index
                };
                title_index.get_or_insert(index);
            }
            if season_in(&words).is_some() {
                season_index = index;
            }
        }
        Self {
            title_index: certain_index.or(ambiguous_index),
            season_index,
        }
    }

    /// Returns whether a folder with the item's title or season lies above the folder with this index and name, so that
    /// the latter belongs to the item.
    fn is_above(&self, index: usize, name: LowerName<'_>) -> bool {
        match self.title_index {
            Some(title_index) if title_index != index => title_index > index,
            Some(_) => self.season_index > index,
            // Without a folder that has the title, the folder right above the file counts if people use its name for
            // extras only.
            None => self.season_index > index || index == 1 && !name.is_common_folder_name() && !name.starts_with(b"."),
        }
    }
}
