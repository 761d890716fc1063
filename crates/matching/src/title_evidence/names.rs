//! Splits a path into names, and parses the tags in a name, such as `{imdb-tt0078748}`.

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

use crate::form::{Component, Form};
use crate::model::ItemType;
use crate::normal::NormalPath;
use crate::resolution::{GuidRef, ItemRef};
use crate::words::Words;

/// Number of examined names: the file's name and the names of three folders above the file.
pub const NAMES: usize = 4;

/// The last [`NAMES`] names in a path, in reverse order. The first name is the file's name without its extension.
pub struct PathNames<'p> {
    pub names: [&'p str; NAMES],
    pub count: usize,
}

impl<'p> PathNames<'p> {
    /// Returns the last [`NAMES`] names in a path, first the file's name without its extension.
    pub fn of(path: &NormalPath<'p>) -> Self {
        let mut names = [""; NAMES];
        let mut count = 0;
        for (slot, name) in names.iter_mut().zip(rev_components_of(path)) {
            *slot = if count == 0 { stem(name) } else { name };
            count += 1;
        }
        Self { names, count }
    }

    /// Iterates over the names with their indexes; 0 is the file's name.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'p str)> {
        self.names[..self.count].iter().copied().enumerate()
    }

    /// Calls `each` with the index and words of each name in a range, until `each` returns `Break`. Returns the value
    /// in `Break`; `None` if `each` never breaks. Skips names that are too long to compare.
    pub fn for_each_in<B>(
        &self,
        indexes: Range<usize>,
        each: impl FnMut(usize, &Words) -> ControlFlow<B>,
    ) -> Option<B> {
        for_each_name(self.iter().take(indexes.end).skip(indexes.start), each)
    }
}

/// Calls `each` with the index and words of each name in `names`, until `each` returns `Break`. Returns the value in
/// `Break`; `None` if `each` never breaks. Skips names that are too long to compare.
pub fn for_each_name<'p, B>(
    names: impl Iterator<Item = (usize, &'p str)>,
    mut each: impl FnMut(usize, &Words) -> ControlFlow<B>,
) -> Option<B> {
    let mut words = Words::new();
    for (index, name) in names {
        if words.set_text(name)
            && let Break(result) = each(index, &words)
        {
            return Some(result);
        }
    }
    None
}

/// Returns whether `test` is true for the words of any name. Skips names that are too long to compare.
pub fn any_name_matches<'p>(names: impl Iterator<Item = &'p str>, mut test: impl FnMut(&Words) -> bool) -> bool {
    let break_on_match = |_, words: &Words| if test(words) { Break(()) } else { Continue(()) };
    for_each_name(names.enumerate(), break_on_match).is_some()
}

/// Returns a file name without its extension. An extension has at most five ASCII letters and digits; longer text after
/// a dot is part of the name.
fn stem(name: &str) -> &str {
    let is_extension = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => stem,
        _ => name,
    }
}

/// Returns the title that appears in the names of an item's files and folders: a film's title, the title of an
/// episode's show, or a track's artist. `None` for other types, or if the title is empty.
pub fn naming_title<'i>(item: &ItemRef<'i>) -> Option<&'i str> {
    let title = match item.kind {
        ItemType::Movie => item.title,
        ItemType::Episode | ItemType::Track => item.show_title,
        _ => "",
    };
    (!title.is_empty()).then_some(title)
}

/// Returns whether Plex did not identify the item with this GUID, which is then local or from the agent `none`. The
/// title of an unidentified film is its file name.
pub fn is_unidentified(guid: GuidRef<'_>) -> bool {
    matches!(guid, GuidRef::Text(text) if text.starts_with("local://") || text.contains("agents.none://"))
}

/// Iterates over a path's components as strings, last first. A component that is not UTF-8 becomes an empty string.
pub fn rev_components_of<'p>(path: &NormalPath<'p>) -> impl Iterator<Item = &'p str> {
    let text = |component: Component<'p>| std::str::from_utf8(component.bytes()).unwrap_or_default();
    Form::from_folded(path.form()).rev_components().map(text)
}

/// Returns whether a name has an external ID, such as `{imdb-tt0078748}`. An edition in braces is not an ID.
pub fn has_external_id(name: &str) -> bool {
    has_braces(name) && tags(name).any(|(key, _)| key != "edition")
}

/// Returns whether a name has an opening brace or bracket: a fast check before calling [`tags`].
pub fn has_braces(name: &str) -> bool {
    name.bytes().any(|byte| matches!(byte, b'{' | b'['))
}

/// Iterates over a name's tags as keys and values. A tag is an external ID or an edition in braces or brackets.
pub fn tags(name: &str) -> impl Iterator<Item = (&str, &str)> {
    const KEYS: [&str; 7] = ["imdb", "imdbid", "tmdb", "tmdbid", "tvdb", "tvdbid", "edition"];
    name.split(['{', '[']).skip(1).filter_map(|after_bracket| {
        let tag = after_bracket.split(['}', ']']).next()?;
        tag.split_once(['-', '=']).filter(|(key, _)| KEYS.contains(key))
    })
}
