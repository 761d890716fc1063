use std::collections::BTreeMap;

use super::*;

fn item(rating_key: &str, parts: &[&str]) -> Item {
    Item {
        rating_key: rating_key.to_owned(),
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        ..Item::default()
    }
}

fn told(was: Option<Item>, now: Option<Item>) -> Vec<FeedChange> {
    let library = LibraryRow::default();
    changes_of(ItemChange { library, was, now })
}

/// Kind, path and `from` of each change.
fn shown<'c>(changes: &'c [FeedChange]) -> Vec<(ChangeKind, &'c str, Option<&'c str>)> {
    let show = |change: &'c FeedChange| (change.kind, change.path.as_str(), change.from.as_deref());
    changes.iter().map(show).collect()
}

/// What one who keeps the items of each file has: by path and rating key.
type Files = BTreeMap<(String, String), Item>;

fn listed(items: &[Item]) -> Files {
    let files = items.iter().flat_map(|item| {
        let key = |part: &String| (part.clone(), item.rating_key.clone());
        item.parts.iter().map(move |part| (key(part), item.clone()))
    });
    files.collect()
}

/// As the documentation of the feed says: what a change takes away goes, then what it names is put.
fn replay(files: &mut Files, changes: Vec<FeedChange>) {
    for change in changes {
        let item = change.item.expect("of an item");
        let before = change.from_key.unwrap_or_else(|| item.rating_key.clone());
        files.remove(&(change.from.unwrap_or_default(), before.clone()));
        files.remove(&(change.path.clone(), before));
        if change.kind != ChangeKind::Removed && !change.path.is_empty() {
            files.insert((change.path, item.rating_key.clone()), item);
        }
    }
}

#[test]
fn each_file_of_an_item_is_told() {
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
        assert_eq!(shown(&told(was, now)), expected);
    }
}

#[test]
fn files_that_follow_the_feed_are_what_is_listed() {
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
