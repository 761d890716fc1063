//! Compares names in which people, shells or other systems have changed characters: quotes and dashes that look alike,
//! what Windows forbids and SMB, rclone and Windows replace, and bytes that are not UTF-8, which Plex replaces.

use std::cell::OnceCell;
use std::ops::Deref;

use xxhash_rust::xxh3::xxh3_64;

use super::candidates::{Candidates, RankedHit};
use super::form::Form;
use super::library_index::LibraryIndex;
use super::likeness::likeness;
use super::normal::{NormalPath, normal_form};
use super::resolution::Resolution;
use super::resolver::{HitOf, LibraryGroup, MAX_COMPARED, PathResolver, SimilarityOf};
use crate::model::{Confidence, MatchKind, Reason};

/// Maximum number of a path's components to compare.
const MAX_COMPONENTS: usize = 16;

impl<'v, V: Deref<Target: LibraryIndex + 'v>> PathResolver<'v, '_, V> {
    /// Adds the items of listed files with alike names, if nothing matches the path. The candidates have low confidence,
    /// and the reason remains that of the miss.
    ///
    /// Adds the files with the most last components alike: the name, at least. `\` separates components in any path, since
    /// a host may have put a Windows path behind a folder of its own, but first is a part of a name.
    pub(super) fn add_lookalikes(&self, resolution: &mut Resolution<'v>) {
        if resolution.total > 0 || !matches!(resolution.reason, Reason::NotListed | Reason::NoLocation) {
            return;
        }
        let replaced = (!self.path.is_utf8()).then(|| normal_form(String::from_utf8_lossy(self.path.raw()).as_bytes()));
        let form = replaced.as_deref().unwrap_or(self.path.form());
        let words = OnceCell::new();
        let similarity = |hit: &RankedHit<'v, HitOf<'v, V>>, common: usize| self.similarity(&words, hit, common);
        let separators = [&b"/"[..], br"/\"];
        for separators in &separators[..=usize::from(form.contains(&b'\\'))] {
            let names = form.rsplit(|byte| separators.contains(byte));
            let names = names.filter(|name| !name.is_empty()).take(MAX_COMPONENTS);
            let names: Vec<&[u8]> = names.collect();
            // Without the bytes that are not UTF-8, the end of the path proves nothing, as in a suffix match.
            let is_replaced = |name: &&[u8]| name.windows(3).any(|bytes| bytes == "\u{FFFD}".as_bytes());
            let first_replaced = replaced.as_ref().and_then(|_| names.iter().position(is_replaced));
            let min_components = first_replaced.unwrap_or(0) + 1;
            let is_own_name = replaced.is_none() && separators.len() == 1;
            let hash_of = |name: &&[u8]| xxh3_64(&likeness(name));
            let hash = if is_own_name {
                self.name_hash()
            } else {
                names.first().map(hash_of)
            };
            let Some(hash) = hash else { continue };
            for group in self.groups() {
                let mut candidates = Candidates::new();
                self.add_alike(*group, (hash, &names, min_components), &mut candidates, &similarity);
                if candidates.total > 0 {
                    (resolution.match_kind, resolution.confidence) = (MatchKind::FileName, Confidence::Low);
                    return self.fill(&candidates, &similarity, resolution);
                }
            }
        }
    }

    /// Adds the listed files with the most last components alike, at least `min_components`. `names` contains the queried
    /// path's components, last first; `hash`: of the first one's likeness.
    fn add_alike(
        &self,
        group: LibraryGroup,
        (hash, names, min_components): (u64, &[&[u8]], usize),
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: SimilarityOf<'_, 'v, HitOf<'v, V>>,
    ) {
        for (library, view) in self.libraries_of(group).filter(|(_, view)| view.is_fetched()) {
            view.each_alike(hash, MAX_COMPARED, |hit| {
                let Some(candidate) = Self::candidate(library, view, hit) else {
                    return;
                };
                let alike = NormalPath::with(candidate.path, |listed| {
                    let components = Form::from_folded(listed.form()).rev_components();
                    let alike = components
                        .zip(names)
                        .take_while(|(one, name)| likeness(one.bytes()) == likeness(name));
                    alike.count()
                });
                if alike >= min_components
                    && let Some(left_over) = candidates.add_candidate(alike, Some(candidate))
                {
                    candidates.replace_least_similar(left_over, |hit| similarity(hit, alike));
                }
            });
        }
    }
}

/// Characters that replace those that Windows forbids in names: the private characters of Macs, Samba, Cygwin and WSL,
/// then those that rclone and people use because they look alike.
const REPLACEMENTS: &str = "\u{F020}\u{F021}\u{F022}\u{F023}\u{F024}\u{F025}\u{F026}\u{F027}\u{F028}\u{F029}\
    \u{F02A}\u{F03A}\u{F03C}\u{F03E}\u{F03F}\u{F05C}\u{F07C}\
    ＂＊：＜＞？＼｜／\u{A789}\u{2236}\u{29F8}\u{2044}";

/// Returns whether a path contains characters that nearly always replace others.
#[must_use]
pub fn has_replaced_characters(path: &[u8]) -> bool {
    !path.is_ascii() && std::str::from_utf8(path).is_ok_and(|path| path.chars().any(|c| REPLACEMENTS.contains(c)))
}

#[cfg(test)]
mod tests {
    use super::likeness;

    #[test]
    fn alike_names_have_the_same_letters_and_numbers() {
        for (name, other, expected) in [
            ("it's a – b.mkv", "it’s a - b.mkv", true),
            ("it's.mkv", "itʼs.mkv", true),
            ("“hi”: 2.mkv", "\"hi\" - 2.mkv\r\n", true),
            ("mr. x .mkv", "mr x.mkv.", true),
            ("caf\u{FFFD}\u{FFFD}.mkv", "caf\u{FFFD}.mkv", true),
            ("s01e02-03.mkv", "s01e02 03.mkv", true),
            ("s01e02-03.mkv", "s01e0203.mkv", false),
            ("2 1.mkv", "21.mkv", false),
            ("it's.mkv", "it is.mkv", false),
            ("caf\u{FFFD}.mkv", "caf.mkv", false),
            ("夜の海!.mkv", "夜の海.mkv", true),
            ("?.mkv", "!.mkv", false),
            ("\u{FFFD}.mkv", "\u{FFFD}!.mkv", false),
            (".mkv", "mkv", false),
            ("", "-", false),
        ] {
            let are_alike = likeness(name.as_bytes()) == likeness(other.as_bytes());
            assert_eq!(are_alike, expected, "{name} {other}");
        }
    }
}
