//! Regression tests of the feed: each reproduces a former defect.

use std::fs;
use std::sync::Arc;

use super::feed_rows::FeedRows;
use super::for_tests::{NOW_MS, endpoint, items_after, library, listed, movie, opened, probed, sequence, server};
use super::item_rows::ItemRows;
use super::library_rows::LibraryRows;
use super::{FeedCursor, FeedPage, FeedPosition, LibraryRow, Store, publishing};
use crate::error::{Result, Status};
use crate::model::{Item, Library, ViewId};
use crate::platform::deadline::Deadline;

/// A store with a listed library, and the identity.
fn films(items: &[Item]) -> (tempfile::TempDir, Arc<Store>, ViewId, LibraryRow) {
    let (folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let row = listed(&store, view_id, &row, items);
    (folder, store, view_id, row)
}

fn film(number: usize) -> Item {
    movie(&number.to_string(), &format!("/data/{number}.mkv"))
}

fn page(store: &Store, at: &FeedCursor, limit: usize) -> Result<FeedPage> {
    FeedRows(store).page(at, limit, &|row, after, limit| items_after(store, row, after, limit))
}

/// The changes that a reader gets from a position on, in pages of `limit`; `!` stands for 'list again'.
fn changes_from(store: &Store, mut at: FeedCursor, limit: usize) -> Vec<String> {
    let mut changes_from = Vec::new();
    for _ in 0..1_000 {
        let page = page(store, &at, limit).expect("a page");
        changes_from.extend(page.changes.into_iter().map(|told| match (told.was, told.now) {
            (None, None) => "!".to_owned(),
            (was, now) => now.or(was).expect("an item").rating_key,
        }));
        at = page.next;
        if !page.has_more {
            return changes_from;
        }
    }
    panic!("the feed does not end: {changes_from:?}");
}

#[test]
fn a_listing_trimmed_between_two_pages_must_be_listed_again() {
    let (_folder, store, view_id, row) = films(&[film(1)]);
    let begun = FeedRows(&store).start(view_id, None, false).expect("begun");
    listed(&store, view_id, &row, &(1..=5).map(film).collect::<Vec<_>>());
    let listing = sequence(&store);
    let page = page(&store, &begun, 2).expect("a page");
    assert_eq!((page.changes.len(), page.has_more), (2, true));
    store
        .write(Deadline::NONE, |tx| publishing::remove_history_upto(tx, listing))
        .expect("forgotten");
    for limit in 1..4 {
        assert_eq!(changes_from(&store, page.next, limit), ["!"], "{limit}");
    }
    // A reader that had read everything misses nothing.
    let row = LibraryRows(&store).library_row(row.id).expect("a row");
    let end = FeedRows(&store).start(view_id, None, false).expect("begun");
    listed(&store, view_id, &row, &(1..=6).map(film).collect::<Vec<_>>());
    assert_eq!(changes_from(&store, end, 1), ["6"]);
}

#[test]
fn a_renamed_library_must_be_listed_again() {
    let (_folder, store, view_id, _) = films(&[film(1)]);
    let shows = |library: Library| {
        LibraryRows(&store)
            .store_probe(
                view_id,
                &[library],
                sequence(&store),
                NOW_MS,
                Deadline::NONE,
                &|_, _| false,
            )
            .expect("probed");
    };
    let at = FeedRows(&store).start(view_id, None, false).expect("begun");
    shows(library("films"));
    assert_eq!(changes_from(&store, at, 5), [""; 0], "it is as it was");
    // Each row of the feed names title and section.
    let titled = Library {
        title: "Cinema".to_owned(),
        ..library("films")
    };
    shows(titled.clone());
    assert_eq!(changes_from(&store, at, 5), ["!"]);
    let at = FeedRows(&store).start(view_id, None, false).expect("begun");
    shows(Library {
        section: "7".to_owned(),
        ..titled.clone()
    });
    assert_eq!(changes_from(&store, at, 5), ["!"]);
    // No other change is reported for the library.
    let at = FeedRows(&store).start(view_id, None, false).expect("begun");
    shows(Library {
        section: "7".to_owned(),
        locations: vec!["/elsewhere".to_owned()],
        ..titled
    });
    assert_eq!(changes_from(&store, at, 5), [""; 0]);
}

#[test]
fn a_listing_gives_the_same_changes_with_any_page_size() {
    let (_folder, store, view_id, row) = films(&(0..300).map(film).collect::<Vec<_>>());
    let begun = FeedRows(&store).start(view_id, None, false).expect("begun");
    let row = listed(&store, view_id, &row, &(10..330).map(film).collect::<Vec<_>>());
    listed(&store, view_id, &row, &(20..331).map(film).collect::<Vec<_>>());
    let all = changes_from(&store, begun, 1_000);
    assert_eq!(all.len(), 10 + 30 + 10 + 1, "less than a fifth");
    for limit in [1, 2, 7, 41] {
        assert_eq!(changes_from(&store, begun, limit), all, "{limit}");
    }
}

#[test]
fn a_cursor_of_lost_commits_is_invalid_for_later_ones() {
    let (folder, store, view_id, row) = films(&[film(1)]);
    let before = FeedRows(&store).start(view_id, None, false).expect("begun");
    drop(store);
    let copy = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(folder.path()).expect("the folder").flatten() {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    // A film is added here and read. The restored copy lacks it, and uses its change sequences for other films.
    let store = Store::open(folder.path(), true).expect("opens");
    ItemRows(&store)
        .merge_items(&row, &[film(2)], None, Deadline::NONE)
        .expect("merged");
    assert_eq!(changes_from(&store, before, 10), ["2"]);
    let read = FeedRows(&store).start(view_id, None, false).expect("begun");
    let full = FeedRows(&store).start(view_id, None, true).expect("begun");
    let mut listed = changes_from(&store, full, 10);
    listed.sort();
    assert_eq!(listed, ["1", "2"]);

    let put_back = Store::open(copy.path(), true).expect("opens");
    let again = |position| page(&put_back, &position, 10).map(|_| ()).map_err(|error| error.status);
    assert_eq!(again(read), Err(Status::ListAgain), "of what is to come");
    ItemRows(&put_back)
        .merge_items(&row, &[film(3)], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&put_back)
        .merge_items(&row, &[film(4)], None, Deadline::NONE)
        .expect("merged");
    assert_eq!(again(read), Err(Status::ListAgain));
    assert_eq!(again(full), Err(Status::ListAgain));
    assert!(FeedRows(&put_back).has(&read).expect("looked"));
    // Both have the same commits up to there, so the changes since are known.
    assert_eq!(changes_from(&put_back, before, 10), ["3", "4"]);
}

#[test]
fn a_position_in_another_users_listing_gives_nothing() {
    let (_folder, store, view_id, row) = films(&[film(1), film(2)]);
    let other = LibraryRows(&store)
        .reached(&endpoint("http://b"), &server("two"))
        .expect("reached");
    let start = FeedRows(&store).start(view_id, None, true).expect("begun");
    let position = FeedPosition::Full {
        log_start: sequence(&store),
        library: row.id,
        after: 0,
    };
    let mine = FeedCursor { position, ..start };
    let foreign = FeedCursor { view_id: other, ..mine };
    assert_eq!(changes_from(&store, mine, 10).len(), 2);
    assert!(changes_from(&store, foreign, 10).is_empty());
}
