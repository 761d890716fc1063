//! Compares names in which other systems have replaced characters: SMB, rclone and Windows those that Windows forbids,
//! and Plex bytes that are not UTF-8.

use std::ops::Deref;

use super::folder::{FolderIndex, FolderResolver};
use super::library_index::Scope;
use super::mappings::Mappings;
use super::normal::{NormalPath, normal_form};
use super::resolution::Resolution;
use crate::model::{Confidence, MatchKind, Reason};

/// Maximum number of a path's components that may differ.
const MAX_COMPONENTS: usize = 3;
/// Maximum number of files that a search reads. With more files, a single match may not be the only one.
const MAX_FILES: usize = 2_000;

/// Characters that Windows forbids in names, and the characters that replace them: the private characters of Macs,
/// Samba, Cygwin and WSL, then those that rclone and people use because they look alike.
const LOOKALIKES: &str = "\"*:<>?\\|\
    \u{F020}\u{F021}\u{F022}\u{F023}\u{F024}\u{F025}\u{F026}\u{F027}\u{F028}\u{F029}\
    \u{F02A}\u{F03A}\u{F03C}\u{F03E}\u{F03F}\u{F05C}\u{F07C}\
    ＂＊：＜＞？＼｜／\u{A789}\u{2236}\u{29F8}\u{2044}";

/// Returns the character that stands for a character and its replacements. Some programs replace all forbidden
/// characters with `_`, so all are alike.
fn fold(c: char) -> char {
    if LOOKALIKES.contains(c) { '_' } else { c }
}

/// Returns whether a path contains characters that another system may show as different characters.
fn has_lookalikes(path: &[u8]) -> bool {
    std::str::from_utf8(path).is_ok_and(|path| {
        path.chars()
            .any(|c| matches!(fold(c), '_' | char::REPLACEMENT_CHARACTER))
    })
}

/// Returns whether a path contains characters that nearly always replace others.
#[must_use]
pub fn has_replaced_characters(path: &[u8]) -> bool {
    !path.is_ascii()
        && std::str::from_utf8(path).is_ok_and(|path| path.chars().any(|c| !c.is_ascii() && fold(c) == '_'))
}

/// Returns whether two normal forms have file names that are equal apart from such characters, but not identical.
#[must_use]
pub fn have_lookalike_names(form: &[u8], other: &[u8]) -> bool {
    are_lookalikes(form, other, 1) && !form.ends_with(other.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
}

/// Returns whether the normal forms of two full paths are equal apart from such characters, and from bytes of `path`
/// that are not UTF-8.
#[must_use]
pub fn are_lookalike_paths(path: &[u8], other: &[u8]) -> bool {
    let form = normal_form(String::from_utf8_lossy(path).as_bytes());
    let other = normal_form(other);
    form == other || are_lookalikes(&form, &other, usize::MAX)
}

/// Adds the only listed file that differs from an unlisted path only in such characters, if the path, perhaps
/// translated by a mapping, lies in a listed folder. The candidate has low confidence.
pub fn add_lookalike<'v, V: Deref<Target: FolderIndex + 'v>>(
    (libraries, scope, mappings): (&'v [V], Scope, &Mappings),
    path: &NormalPath<'_>,
    resolution: &mut Resolution<'v>,
) {
    if resolution.reason != Reason::NotListed || resolution.total > 0 {
        return;
    }
    // Plex lists a byte that is not UTF-8 as U+FFFD.
    let replaced = (!path.is_utf8()).then(|| normal_form(String::from_utf8_lossy(path.raw()).as_bytes()));
    let form = replaced.as_deref().unwrap_or(path.form());
    if !has_lookalikes(form) {
        return;
    }
    let mut folder = path.form();
    for components in 1..=MAX_COMPONENTS {
        let Some(end) = folder.iter().rposition(|byte| *byte == b'/').filter(|end| *end > 0) else {
            return;
        };
        folder = &folder[..end];
        let files = NormalPath::with(folder, |folder| {
            FolderResolver::new(libraries, scope, mappings, folder).files_at_depth(components, MAX_FILES)
        });
        let Some(mut files) = files else {
            continue; // the folder's own name may differ
        };
        files.retain(|file| replaced.is_some() && file.form == form || are_lookalikes(&file.form, form, components));
        let first = files.first().map(|file| file.found.path);
        if first.is_some() && files.iter().all(|file| Some(file.found.path) == first) {
            resolution.match_kind = MatchKind::FileName;
            resolution.confidence = Confidence::Low;
            resolution.total = files.len();
            for file in files {
                resolution.push(Some(file.found));
            }
            resolution.sort_episodes();
        }
        return;
    }
}

/// Returns whether two normal forms are equal apart from such characters. Compares only their last `components`.
fn are_lookalikes(form: &[u8], other: &[u8], components: usize) -> bool {
    let names = |form| {
        std::str::from_utf8(form)
            .unwrap_or_default()
            .rsplit('/')
            .take(components)
    };
    // Programs replace a sequence of bytes that are not UTF-8 by different numbers of U+FFFD.
    let folded = |name: &str| {
        let mut folded: Vec<char> = name.chars().map(fold).collect();
        folded.dedup_by(|c, previous| c == previous && *c == char::REPLACEMENT_CHARACTER);
        folded
    };
    let are_alike = |(name, other): (&str, &str)| folded(name) == folded(other);
    let have_same_count = names(form).count() == names(other).count();
    form != other && have_same_count && names(form).zip(names(other)).all(are_alike)
}

#[cfg(test)]
#[path = "lookalikes_tests.rs"]
mod tests;
