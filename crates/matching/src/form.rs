//! Compares paths by their normal forms, component by component, without allocating memory.

use std::cmp::Ordering;

use serde::Serialize;
use smallvec::SmallVec;

use super::normal::NormalPath;

/// The rule that computes the normal form of a path from the stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldRule {
    /// No change: the bytes are in normal form.
    None,
    /// ASCII lower-casing: the path is ASCII.
    Ascii,
    /// ASCII lower-casing, and `/` for `\`: the path is ASCII and starts like a Windows path.
    Windows,
}

/// The normal form of a path, computed on the fly from stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    bytes: &'a [u8],
    fold: FoldRule,
}

impl<'a> Form<'a> {
    /// Wraps stored bytes; `fold` is the rule that computes the normal form.
    #[must_use]
    pub fn new(bytes: &'a [u8], fold: FoldRule) -> Self {
        Self { bytes, fold }
    }

    /// Wraps bytes that are already in normal form.
    #[must_use]
    pub fn from_folded(bytes: &'a [u8]) -> Self {
        Self::new(bytes, FoldRule::None)
    }

    /// Returns whether this path's normal form equals `form`, which the caller has already computed.
    #[must_use]
    pub fn equals(self, form: &[u8]) -> bool {
        self.bytes.len() == form.len()
            && match self.fold {
                FoldRule::None => self.bytes == form,
                FoldRule::Ascii => self.bytes.iter().zip(form).all(|(a, b)| a.to_ascii_lowercase() == *b),
                FoldRule::Windows => self.bytes.iter().zip(form).all(|(a, b)| fold_windows(*a) == *b),
            }
    }

    /// Returns the stored bytes, which are in normal form only if [`Form::from_folded`] created the form.
    #[must_use]
    pub fn stored(self) -> &'a [u8] {
        self.bytes
    }

    /// Iterates over the bytes of the normal form.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let fold = self.fold;
        self.bytes.iter().map(move |byte| fold_byte(fold, *byte))
    }

    /// Compares two normal forms bytewise.
    #[must_use]
    pub fn compare(self, other: Form<'_>) -> Ordering {
        self.bytes().cmp(other.bytes())
    }

    /// Compares the path with the range of all paths below `folder`, in byte order, for a binary search: `Equal` means
    /// that the path is below the folder. `folder` is in normal form without a trailing separator.
    #[must_use]
    pub fn compare_to_folder(self, folder: &[u8]) -> Ordering {
        let start = self.bytes().take(folder.len() + 1);
        start.cmp(folder.iter().copied().chain([b'/']))
    }

    /// Returns the form's first `components` components, without a trailing separator.
    #[must_use]
    pub fn leading_components(self, components: usize) -> Self {
        let end = end_of_components(self.bytes, components, |byte| fold_byte(self.fold, byte) == b'/');
        Self::new(&self.bytes[..end], self.fold)
    }

    /// Iterates over the components, last first, to compare suffixes. Skips empty components, as between repeated
    /// separators.
    pub fn rev_components(self) -> impl Iterator<Item = Self> {
        let windows = self.fold == FoldRule::Windows;
        let components = self
            .bytes
            .rsplit(move |byte| *byte == b'/' || windows && *byte == b'\\');
        let components = components.filter(|component| !component.is_empty());
        components.map(move |bytes| Self::new(bytes, self.fold))
    }

    /// Returns the number of trailing components that two forms have in common.
    #[must_use]
    pub fn common_components(self, other: Form<'_>) -> usize {
        self.rev_components()
            .zip(other.rev_components())
            .take_while(|(a, b)| match b.fold {
                FoldRule::None => a.equals(b.bytes),
                _ if a.fold == FoldRule::None => b.equals(a.bytes),
                _ => a.bytes.eq_ignore_ascii_case(b.bytes),
            })
            .count()
    }
}

/// Returns the offset at which the first `components` components of a path end, or the path's length if the path has
/// fewer components. Does not count empty components.
fn end_of_components(path: &[u8], components: usize, is_separator: impl Fn(u8) -> bool) -> usize {
    let mut remaining = components;
    let mut in_component = false;
    for (offset, byte) in path.iter().enumerate() {
        if is_separator(*byte) {
            if in_component && remaining == 0 {
                return offset;
            }
            in_component = false;
        } else if !in_component {
            if remaining == 0 {
                return offset;
            }
            in_component = true;
            remaining -= 1;
        }
    }
    path.len()
}

/// Computes a byte of the normal form of a path that is ASCII or already in normal form.
#[inline]
fn fold_byte(fold: FoldRule, byte: u8) -> u8 {
    match fold {
        FoldRule::None => byte,
        FoldRule::Ascii => byte.to_ascii_lowercase(),
        FoldRule::Windows => fold_windows(byte),
    }
}

/// Folds a byte of a Windows path: lower-cases letters, and replaces `\` with `/`.
fn fold_windows(byte: u8) -> u8 {
    if byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() }
}

/// Returns whether a path lies under a folder: the path starts with the folder's components and has more components.
/// Path and folder are in normal form. An absolute path never lies under a relative folder, nor a relative path under
/// an absolute folder.
#[must_use]
pub fn lies_under(path: &[u8], folder: &[u8]) -> bool {
    // For nearly all paths, which have no empty components, comparing bytes is enough.
    if let Some([b'/', next, ..]) = path.strip_prefix(folder)
        && *next != b'/'
        && !folder.is_empty()
    {
        return true;
    }
    components_below(path, folder).is_some_and(|mut below| below.next().is_some())
}

/// Returns whether a path equals a folder or lies under the folder; path and folder are in normal form.
#[must_use]
pub fn lies_at_or_under(path: &[u8], folder: &[u8]) -> bool {
    components_below(path, folder).is_some()
}

/// Returns the path's components below the folder; `None` if the path neither equals the folder nor lies under it.
fn components_below<'p>(path: &'p [u8], folder: &[u8]) -> Option<impl Iterator<Item = &'p [u8]>> {
    let is_absolute = |form: &[u8]| form.first() == Some(&b'/');
    if folder.is_empty() || is_absolute(path) != is_absolute(folder) {
        return None;
    }
    let mut path_components = components(path);
    let starts_with_folder = components(folder).all(|component| path_components.next() == Some(component));
    starts_with_folder.then_some(path_components)
}

/// Iterates over the components of a normal form. Skips empty components.
fn components(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    form.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
}

/// Maximum number of components below a location that can be equal in a path with another root. A deeper path has low
/// confidence, so that no path takes long.
const MAX_DEPTH: usize = 64;

/// The last components of a path, last first.
pub type LastNames<'p> = SmallVec<[&'p [u8]; 16]>;
/// A path below a location.
pub type PathBuffer = SmallVec<[u8; 512]>;

/// Returns at most `count` last components of a path in normal form, and at most [`MAX_DEPTH`].
pub fn last_names(form: &[u8], count: usize) -> LastNames<'_> {
    let names = Form::from_folded(form).rev_components().map(Form::stored);
    names.take(count.min(MAX_DEPTH)).collect()
}

/// Writes the path that consists of a location and these components, last first, to `path`.
pub fn write_path_below(location: &[u8], names: &[&[u8]], path: &mut PathBuffer) {
    path.clear();
    path.extend_from_slice(location.strip_suffix(b"/").unwrap_or(location));
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
}

/// How `path` relates to another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PathRelation"))]
pub struct Relation {
    /// Whether both paths have the same components.
    #[serde(rename = "equal")]
    pub is_equal: bool,
    /// Whether `path` is below the other path.
    #[serde(rename = "under")]
    pub is_under: bool,
    /// Number of equal components at the end of the paths.
    #[serde(rename = "common")]
    pub common_components: usize,
}

impl Relation {
    /// Compares `path` with `other`, which need not be in normal form.
    #[must_use]
    pub fn of(path: &NormalPath<'_>, other: &[u8]) -> Self {
        NormalPath::with(other, |other| {
            let (path_form, other_form) = (Form::from_folded(path.form()), Form::from_folded(other.form()));
            let common_components = path_form.common_components(other_form);
            Self {
                is_equal: path_form.rev_components().count() == common_components
                    && other_form.rev_components().count() == common_components,
                is_under: lies_under(path.form(), other.form()),
                common_components,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(path: &str, other: &str) -> (bool, bool, usize) {
        let Relation {
            is_equal,
            is_under,
            common_components,
        } = NormalPath::with(path.as_bytes(), |path| Relation::of(path, other.as_bytes()));
        (is_equal, is_under, common_components)
    }

    #[test]
    fn paths_are_related_by_component_in_their_normal_form() {
        assert_eq!(relation("/data/A.mkv", "/DATA/a.mkv"), (true, false, 2));
        assert_eq!(relation("C:\\data\\a.mkv", "c:/data//a.mkv"), (true, false, 3));
        assert_eq!(relation("/data/a.mkv", "/mnt/data/a.mkv"), (false, false, 2));
        assert_eq!(relation("/data/film/a.mkv", "/data/film"), (false, true, 0));
        assert_eq!(relation("/data/film/a.mkv", "/data/fil"), (false, false, 0));
        assert_eq!(relation("/data", "/data"), (true, false, 1));
        assert_eq!(relation("/data/Cafe\u{301}.mkv", "/x/CAF\u{c9}.mkv"), (false, false, 1));
        assert_eq!(relation("", "/a"), (false, false, 0));
    }
}
