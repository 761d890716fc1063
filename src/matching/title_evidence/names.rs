//! The names of a path, and what one by itself says: the title it may have, and tags in braces.

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

use crate::matching::form::{Component, Form};
use crate::matching::normal::Normal;
use crate::matching::resolution::{GuidRef, ItemRef};
use crate::matching::words::Words;
use crate::model::ItemType;

/// The file name and the three folders above it: where titles stand.
pub const NAMES: usize = 4;

/// The names of a path, the file's first and without its extension.
pub struct PathNames<'p> {
    pub names: [&'p str; NAMES],
    pub count: usize,
}

impl<'p> PathNames<'p> {
    /// Those of a path in normal form, beginning `skip` components from its end.
    pub fn of(path: &Normal<'p>, skip: usize) -> Self {
        let mut names = [""; NAMES];
        let mut count = 0;
        for (at, component) in Form::done(path.form()).back().enumerate().skip(skip).take(NAMES) {
            let name = std::str::from_utf8(component.bytes()).unwrap_or_default();
            names[count] = if at == 0 { stem(name) } else { name };
            count += 1;
        }
        Self { names, count }
    }

    /// Each with its place, 0 for the file's.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'p str)> {
        self.names[..self.count].iter().copied().enumerate()
    }

    /// Gives `each` those of these names that can be compared, with their words, until it ends that.
    pub fn each<B>(&self, places: Range<usize>, each: impl FnMut(usize, &Words) -> ControlFlow<B>) -> Option<B> {
        each_of(self.iter().take(places.end).skip(places.start), each)
    }
}

/// Gives `each` those names that can be compared, with their words, until it ends that.
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

/// Whether `test` holds of the words of any of these names.
pub fn any<'p>(names: impl Iterator<Item = &'p str>, mut test: impl FnMut(&Words) -> bool) -> bool {
    let ends = |_, words: &Words| if test(words) { Break(()) } else { Continue(()) };
    each_of(names.enumerate(), ends).is_some()
}

/// A file name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() && end.len() <= 5 && end.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            stem
        }
        _ => name,
    }
}

/// The title by which paths name the item: a film's own, an episode's show, a track's artist.
pub fn naming<'i>(item: &ItemRef<'i>) -> Option<&'i str> {
    let title = match item.kind {
        ItemType::Movie => item.title,
        ItemType::Episode | ItemType::Track => item.show_title,
        _ => "",
    };
    (!title.is_empty()).then_some(title)
}

/// Whether Plex found nothing about the item: then it made a film's title of its file's name.
pub fn is_unmatched(guid: GuidRef<'_>) -> bool {
    matches!(guid, GuidRef::Text(text) if text.starts_with("local://") || text.contains("agents.none://"))
}

/// The names of a path, the file's first.
pub fn named<'p>(path: &Normal<'p>) -> impl Iterator<Item = &'p str> {
    let name = |component: Component<'p>| std::str::from_utf8(component.bytes()).unwrap_or_default();
    Form::done(path.form()).back().map(name)
}

/// Whether a name has the item's number at a database.
pub fn has_number(name: &str) -> bool {
    has_braces(name) && tags(name).any(|(key, _)| key != "edition")
}

/// Whether a name has braces or brackets, where [`tags`] may be.
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
