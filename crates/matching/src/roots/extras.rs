//! Detects samples and extras, whose paths share a suffix with a listed path although the files are different.

use super::names::{naming_title, rev_components_of};
use crate::lower_name::LowerName;
use crate::model::ItemType;
use crate::normal::NormalPath;
use crate::resolution::ItemRef;
use crate::words::Words;

/// Returns whether the root of the queried path has a folder for samples or extras that the listed path lacks. The root
/// is everything before the last `common` components, which are equal in both paths.
///
/// A folder whose name is also common for media, such as `Other` or `Shorts`, is evidence only below a folder with the
/// item's title, so not in `Other/Lost/Season 01`.
pub fn is_sample_or_extra(
    item: &ItemRef<'_>,
    queried: &NormalPath<'_>,
    listed: &NormalPath<'_>,
    common: usize,
) -> bool {
    if !matches!(item.kind, ItemType::Movie | ItemType::Episode) {
        return false; // in Plex, only videos have samples and extras
    }
    let listed_lacks = |text: &str| !rev_components_of(listed).any(|component| component == text);
    let mut has_ambiguous_name = false;
    let title = naming_title(item).and_then(Words::of);
    let mut words = Words::new();
    rev_components_of(queried).skip(common).any(|text| {
        let name = LowerName(text.as_bytes());
        let mut has_title =
            || words.set_text(text) && title.as_ref().is_some_and(|title| title.is_contained_in(&words));
        if has_ambiguous_name && has_title() {
            return true;
        }
        let is_sample = name.is_sample_folder() || name.has_sample_suffix();
        if !is_sample && !name.is_extras_folder() || !listed_lacks(text) {
            return false;
        }
        has_ambiguous_name |= name.is_common_folder_name();
        !name.is_common_folder_name()
    })
}
