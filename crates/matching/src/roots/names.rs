//! The names in a path, the titles of items, and external IDs in names, such as `{imdb-tt0078748}`.

use crate::form::{Component, Form};
use crate::model::ItemType;
use crate::normal::NormalPath;
use crate::resolution::{GuidRef, ItemRef};
use crate::words::Words;

/// Returns whether `test` is true for the words of any name. Skips names that are too long to compare.
pub fn any_name_matches<'p>(names: impl Iterator<Item = &'p str>, mut test: impl FnMut(&Words) -> bool) -> bool {
    let mut words = Words::new();
    names.into_iter().any(|name| words.set_text(name) && test(&words))
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

/// Returns whether a name has an external ID in braces or brackets, such as `{imdb-tt0078748}`.
pub fn has_external_id(name: &str) -> bool {
    const KEYS: [&str; 6] = ["imdb", "imdbid", "tmdb", "tmdbid", "tvdb", "tvdbid"];
    name.split(['{', '[']).skip(1).any(|after_bracket| {
        let tag = after_bracket.split(['}', ']']).next().unwrap_or_default();
        tag.split_once(['-', '=']).is_some_and(|(key, _)| KEYS.contains(&key))
    })
}
