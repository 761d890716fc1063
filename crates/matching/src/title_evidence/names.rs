//! The names in a path, and the parts of a single name: its title, and tags in braces.

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

use crate::form::{Component, Form};
use crate::model::ItemType;
use crate::normal::Normal;
use crate::resolution::{GuidRef, ItemRef};
use crate::words::Words;

/// Number of names examined: the file's and those of three folders above it.
pub const NAMES: usize = 4;

/// The last names of a path: the file's first, without its extension.
pub struct PathNames<'p> {
    pub names: [&'p str; NAMES],
    pub count: usize,
}

impl<'p> PathNames<'p> {
    /// Takes the names of a path, starting `skip` components from its end.
    pub fn of(path: &Normal<'p>, skip: usize) -> Self {
        let mut names = [""; NAMES];
        let mut count = 0;
        for (at, component) in Form::from_folded(path.form())
            .rev_components()
            .enumerate()
            .skip(skip)
            .take(NAMES)
        {
            let name = std::str::from_utf8(component.bytes()).unwrap_or_default();
            names[count] = if at == 0 { stem(name) } else { name };
            count += 1;
        }
        Self { names, count }
    }

    /// Iterates over the names with their index; 0 is the file's.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'p str)> {
        self.names[..self.count].iter().copied().enumerate()
    }

    /// Calls `each` with the index and words of each name in this range, until it breaks. Skips names too long to
    /// compare.
    pub fn each<B>(&self, places: Range<usize>, each: impl FnMut(usize, &Words) -> ControlFlow<B>) -> Option<B> {
        each_of(self.iter().take(places.end).skip(places.start), each)
    }
}

/// Calls `each` with the index and words of each name, until it breaks. Skips names too long to compare.
pub fn each_of<'p, B>(
    names: impl Iterator<Item = (usize, &'p str)>,
    mut each: impl FnMut(usize, &Words) -> ControlFlow<B>,
) -> Option<B> {
    let mut words = Words::new();
    for (at, name) in names {
        if words.fold(name)
            && let Break(end) = each(at, &words)
        {
            return Some(end);
        }
    }
    None
}

/// Returns whether `test` holds for the words of any name.
pub fn any<'p>(names: impl Iterator<Item = &'p str>, mut test: impl FnMut(&Words) -> bool) -> bool {
    let ends = |_, words: &Words| if test(words) { Break(()) } else { Continue(()) };
    each_of(names.enumerate(), ends).is_some()
}

/// Returns a file name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() && end.len() <= 5 && end.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            stem
        }
        _ => name,
    }
}

/// Returns the title that paths use for the item: a film's own, an episode's show, a track's artist.
pub fn naming_title<'i>(item: &ItemRef<'i>) -> Option<&'i str> {
    let title = match item.kind {
        ItemType::Movie => item.title,
        ItemType::Episode | ItemType::Track => item.show_title,
        _ => "",
    };
    (!title.is_empty()).then_some(title)
}

/// Returns whether Plex has not matched the item: then a film's title is its file name.
pub fn is_unmatched(guid: GuidRef<'_>) -> bool {
    matches!(guid, GuidRef::Text(text) if text.starts_with("local://") || text.contains("agents.none://"))
}

/// Iterates over all names of a path, the file's first.
pub fn named<'p>(path: &Normal<'p>) -> impl Iterator<Item = &'p str> {
    let name = |component: Component<'p>| std::str::from_utf8(component.bytes()).unwrap_or_default();
    Form::from_folded(path.form()).rev_components().map(name)
}

/// Returns whether a name has an external id.
pub fn has_external_id(name: &str) -> bool {
    has_braces(name) && tags(name).any(|(key, _)| key != "edition")
}

/// Returns whether a name has braces or brackets, and so may have [`tags`].
pub fn has_braces(name: &str) -> bool {
    name.bytes().any(|byte| matches!(byte, b'{' | b'['))
}

/// Returns the tags in braces or brackets, such as `{imdb-tt0078748}`: external ids and editions.
pub fn tags(name: &str) -> impl Iterator<Item = (&str, &str)> {
    const KEYS: [&str; 7] = ["imdb", "imdbid", "tmdb", "tmdbid", "tvdb", "tvdbid", "edition"];
    name.split(['{', '[']).skip(1).filter_map(|rest| {
        let tag = rest.split(['}', ']']).next()?;
        tag.split_once(['-', '=']).filter(|(key, _)| KEYS.contains(key))
    })
}
