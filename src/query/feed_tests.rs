use std::collections::BTreeMap;

use super::*;
use crate::source::plex::KIND;

fn item(rating_key: &str, parts: &[&str]) -> model::Item {
    model::Item {
        rating_key: rating_key.to_owned(),
        parts: parts.iter().map(|part| (*part).into()).collect(),
        ..model::Item::default()
    }
}

fn told(was: Option<model::Item>, now: Option<model::Item>) -> Vec<Change> {
    let library = LibraryRow::default();
    changes_per_file(ItemChange { library, was, now }, &KIND)
}

fn text(path: Option<&PathBuf>) -> Option<&str> {
    path.and_then(|path| path.to_str())
}

/// Kind, path and `from` of each change.
fn summary<'c>(changes: &'c [Change]) -> Vec<(ChangeKind, &'c str, Option<&'c str>)> {
    let show = |change: &'c Change| {
        (
            change.kind,
            text(change.path.as_ref()).unwrap_or_default(),
            text(change.from.as_ref()),
        )
    };
    changes.iter().map(show).collect()
}

/// The items of each file, as a host keeps them: by path and rating key, the item's files.
type Files = BTreeMap<(String, String), Vec<String>>;

fn listed(items: &[model::Item]) -> Files {
    let files = items.iter().flat_map(|item| {
        let parts = item.parts.iter().map(|part| String::from_utf8_lossy(part).into_owned());
        let parts: Vec<String> = parts.collect();
        let key = |part: &String| (part.clone(), item.rating_key.clone());
        let keys: Vec<_> = parts.iter().map(key).collect();
        keys.into_iter().map(move |key| (key, parts.clone()))
    });
    files.collect()
}

/// Applies changes as the feed's documentation says: removes what a change takes away, then adds what it names.
fn replay(files: &mut Files, changes: Vec<Change>) {
    for change in changes {
        let item = change.item.expect("of an item");
        let before = change.from_key.unwrap_or_else(|| item.rating_key.clone());
        let (path, from) = (
            text(change.path.as_ref()).unwrap_or_default(),
            text(change.from.as_ref()).unwrap_or_default(),
        );
        files.remove(&(from.to_owned(), before.clone()));
        files.remove(&(path.to_owned(), before));
        if change.kind != ChangeKind::Removed && !path.is_empty() {
            let paths = item
                .paths
                .iter()
                .flatten()
                .map(|path| path.to_string_lossy().into_owned());
            files.insert((path.to_owned(), item.rating_key.clone()), paths.collect());
        }
    }
}

#[test]
fn each_file_of_an_item_is_reported() {
    use ChangeKind::{Added, Changed, Moved, Removed};
    let some = |parts: &[&str]| Some(item("1", parts));
    for (was, now, expected) in [
        (None, some(&["a", "b"]), vec![(Added, "a", None), (Added, "b", None)]),
        (None, some(&[]), vec![(Added, "", None)]),
        (
            some(&["a", "b"]),
            None,
            vec![(Removed, "a", None), (Removed, "b", None)],
        ),
        (
            some(&["a", "b"]),
            some(&["x"]),
            vec![(Moved, "x", Some("a")), (Changed, "x", Some("b"))],
        ),
        (
            some(&["x", "y"]),
            some(&["y"]),
            vec![(Changed, "y", None), (Changed, "y", Some("x"))],
        ),
        (
            some(&["a"]),
            some(&["a", "b"]),
            vec![(Changed, "a", None), (Changed, "b", None)],
        ),
        (some(&["a"]), some(&[]), vec![(Changed, "", Some("a"))]),
        (some(&["a"]), some(&["a"]), vec![(Changed, "a", None)]),
    ] {
        assert_eq!(summary(&told(was, now)), expected);
    }
}

#[test]
fn files_derived_from_the_feed_equal_the_listing() {
    let mut lists: Vec<Vec<&str>> = vec![Vec::new()];
    for length in 0..3 {
        let of_length: Vec<Vec<&str>> = lists.iter().filter(|list| list.len() == length).cloned().collect();
        let longer = of_length
            .iter()
            .flat_map(|list| ["a", "b", "c"].map(|file| [list.as_slice(), &[file]].concat()));
        lists.extend(longer);
    }
    // Another item has some of the files too.
    let other = item("2", &["a", "c"]);
    for was in &lists {
        for now in &lists {
            for key in ["1", "9"] {
                let (was, now) = (item("1", was), item(key, now));
                let mut files = listed(&[was.clone(), other.clone()]);
                replay(&mut files, told(Some(was.clone()), Some(now.clone())));
                assert_eq!(files, listed(&[now.clone(), other.clone()]), "{was:?} became {now:?}");
                replay(&mut files, told(Some(now.clone()), None));
                assert_eq!(files, listed(std::slice::from_ref(&other)), "{now:?} went");
                replay(&mut files, told(None, Some(was.clone())));
                assert_eq!(files, listed(&[was.clone(), other.clone()]), "{was:?} came");
            }
        }
    }
}
