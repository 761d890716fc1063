//! Detects samples and extras, whose paths share a suffix with a listed path although the files are different.

use super::names::{has_external_id, naming_title, rev_components_of};
use crate::lower_name::LowerName;
use crate::model::ItemType;
use crate::normal::NormalPath;
use crate::numbers::season_in;
use crate::resolution::ItemRef;
use crate::words::{Gap, Words, year};

/// Returns whether the queried path, unlike the listed path, is in a folder for samples or extras. Skips the file's
/// name and the last `common` components, which are equal in both paths.
///
/// A folder called `Sample` or `Samples` is evidence anywhere in the path, unless the listed path has a folder with the
/// same name. Any other folder for samples or extras is evidence only below a folder with the item's title or season.
/// Higher up, the same name is a folder for media, as in `Other/Lost/Season 01`.
pub fn is_sample_or_extra(
    item: &ItemRef<'_>,
    queried: &NormalPath<'_>,
    listed: &NormalPath<'_>,
    common: usize,
) -> bool {
    if !is_video(item) {
        return false;
    }
    let mut item_folders = None;
    let mut queried_folders = rev_components_of(queried).enumerate().skip(common.max(1));
    queried_folders.any(|(index, text)| {
        let name = LowerName(text.as_bytes());
        if !is_extras_folder_name(name) {
            return false;
        }
        let listed_lacks_name = || !rev_components_of(listed).any(|component| component == text);
        let item_folders = item_folders.get_or_insert_with(|| ItemFolders::find(item, queried));
        let is_samples = name.equals(b"sample") || name.equals(b"samples");
        item_folders.is_in_item_folder(index, name)
            || is_samples && item_folders.title_index != Some(index) && listed_lacks_name()
    })
}

/// Returns whether the item is a film or episode: in Plex, only videos have samples and extras.
fn is_video(item: &ItemRef<'_>) -> bool {
    matches!(item.kind, ItemType::Movie | ItemType::Episode)
}

/// Returns whether folders with this name contain an item's samples or extras.
fn is_extras_folder_name(name: LowerName<'_>) -> bool {
    name.is_samples_folder() || name.has_sample_suffix() || name.is_extras_folder()
}

/// Returns whether a folder's name is the item's title followed by a year or external ID, which folders for extras
/// lack. For example, `Extras (2010)` is the folder of the film `Extras`, but `Bonus Disc (2010)` is not the folder of
/// the film `Bonus`.
fn is_title_with_year_or_id(text: &str, words: &Words, title: &Words) -> bool {
    let Some(end) = words.title_at(0, title) else {
        return false;
    };
    let is_year = |index: usize| year(words.word(index)).is_some();
    (is_year(end) || matches!(words.gap_before(end), Gap::Bracket | Gap::Round))
        && ((end..words.len()).any(is_year) || has_external_id(text))
        && !LowerName(text.as_bytes()).has_sample_suffix()
}

/// Indexes of the folders in a path whose names have the item's title or season. Indexes count from the end; 0 is the
/// file.
struct ItemFolders {
    /// Index of the folder with the item's title that is nearest to the file. A folder that may be for extras counts
    /// only if no other folder has the title.
    title_index: Option<usize>,
    /// Index of the outermost season folder; 0 if there is no season folder.
    season_index: usize,
}

impl ItemFolders {
    /// Finds the folders with the item's title or season in the queried path.
    fn find(item: &ItemRef<'_>, queried: &NormalPath<'_>) -> Self {
        let title = naming_title(item).and_then(Words::of);
        let (mut certain_index, mut ambiguous_index, mut season_index) = (None, None, 0);
        let mut words = Words::new();
        for (index, text) in rev_components_of(queried).enumerate().skip(1) {
            if !words.set_text(text) {
                continue;
            }
            if let Some(title) = title.as_ref().filter(|title| title.is_contained_in(&words)) {
                let may_be_extras =
                    is_extras_folder_name(LowerName(text.as_bytes())) && !is_title_with_year_or_id(text, &words, title);
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

    /// Returns whether the folder with this index, counted from the path's end, and this name is below a folder with
    /// the item's title or season.
    fn is_in_item_folder(&self, index: usize, name: LowerName<'_>) -> bool {
        match self.title_index {
            Some(title_index) if title_index != index => title_index > index,
            Some(_) => self.season_index > index,
            // If no folder has the title, the file's parent folder belongs to the item if its name is only for extras.
            None => self.season_index > index || index == 1 && !name.is_common_folder_name(),
        }
    }
}
