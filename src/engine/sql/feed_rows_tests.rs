//! Regression tests of the feed: each reproduces a former defect.

use std::fs;

use super::for_tests::{Films, NOW_MS, film, items_after, library, movie, reached};
use super::{FeedCursor, FeedPage, FeedPosition, FeedRows, ItemRows, LibraryRows, Store, publishing};
use crate::error::{Result, Status};
use crate::model::{Item, Library};
use crate::platform::deadline::Deadline;

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Item> {
    numbers.map(film).collect()
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
    let films = Films::with(&[film(1)]);
    let begun = films.cursor(false);
    films.list(&numbered(1..6));
    let listing = films.sequence();
    let page = page(&films.store, &begun, 2).expect("a page");
    assert_eq!((page.changes.len(), page.has_more), (2, true));
    films
        .store
        .write(Deadline::NONE, |tx| publishing::remove_history_upto(tx, listing))
        .expect("forgotten");
    for limit in 1..4 {
        assert_eq!(changes_from(&films.store, page.next, limit), ["!"], "{limit}");
    }
    // A reader that had read everything misses nothing.
    let end = films.cursor(false);
    films.list(&numbered(1..7));
    assert_eq!(changes_from(&films.store, end, 1), ["6"]);
}

#[test]
fn a_renamed_library_must_be_listed_again() {
    let films = Films::with(&[film(1)]);
    let changes_after = |library: &Library| {
        let at = films.cursor(false);
        let (rows, libraries) = (LibraryRows(&films.store), std::slice::from_ref(library));
        rows.store_probe(
            films.view_id,
            libraries,
            films.sequence(),
            NOW_MS,
            Deadline::NONE,
            &|_, _| false,
        )
        .expect("probed");
        changes_from(&films.store, at, 5)
    };
    let mut shown = library("films");
    assert_eq!(changes_after(&shown), [""; 0], "it is as it was");
    // Each row of the feed names title and section.
    shown.title = "Cinema".to_owned();
    assert_eq!(changes_after(&shown), ["!"]);
    shown.section = "7".to_owned();
    assert_eq!(changes_after(&shown), ["!"]);
    // No other change is reported for the library.
    shown.locations = vec!["/elsewhere".to_owned()];
    assert_eq!(changes_after(&shown), [""; 0]);
}

#[test]
fn a_listing_gives_the_same_changes_with_any_page_size() {
    let films = Films::with(&numbered(0..300));
    let begun = films.cursor(false);
    films.list(&numbered(10..330));
    films.list(&numbered(20..331));
    let all = changes_from(&films.store, begun, 1_000);
    assert_eq!(all.len(), 10 + 30 + 10 + 1, "less than a fifth");
    for limit in [1, 2, 7, 41] {
        assert_eq!(changes_from(&films.store, begun, limit), all, "{limit}");
    }
}

#[test]
fn a_cursor_of_lost_commits_is_invalid_for_later_ones() {
    let mut films = Films::with(&[film(1)]);
    let before = films.cursor(false);
    films.store.close();
    let copy = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(films.folder.path()).expect("the folder").flatten() {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    // A film is added here and read. The restored copy lacks it, and uses its change sequences for other films.
    films.store = Store::open(films.folder.path(), true).expect("opens").into();
    films.merge(&[film(2)]);
    assert_eq!(changes_from(&films.store, before, 10), ["2"]);
    let (read, full) = (films.cursor(false), films.cursor(true));
    let mut listed = changes_from(&films.store, full, 10);
    listed.sort();
    assert_eq!(listed, ["1", "2"]);

    let put_back = Store::open(copy.path(), true).expect("opens");
    let again = |position| page(&put_back, &position, 10).map(|_| ()).map_err(|error| error.status);
    assert_eq!(again(read), Err(Status::ListAgain), "of what is to come");
    for number in [3, 4] {
        ItemRows(&put_back)
            .merge_items(
                &films.row(),
                &[film(number)],
                put_back.sequence().expect("read"),
                Deadline::NONE,
            )
            .expect("merged");
    }
    assert_eq!(again(read), Err(Status::ListAgain));
    assert_eq!(again(full), Err(Status::ListAgain));
    assert!(FeedRows(&put_back).has(&read).expect("looked"));
    // Both have the same commits up to there, so the changes since are known.
    assert_eq!(changes_from(&put_back, before, 10), ["3", "4"]);
}

/// The feed cannot report which file the item lost.
#[test]
fn an_item_that_changes_while_its_segment_is_lost_means_a_new_listing() {
    let films = Films::with(&[film(1)]);
    let before = films.cursor(false);
    for file in fs::read_dir(films.folder.path()).expect("the folder").flatten() {
        if file.path().extension().is_some_and(|extension| extension == "segment") {
            fs::remove_file(file.path()).expect("removed");
        }
    }
    films.merge(&[movie("1", "/data/new.mkv")]);
    assert!(changes_from(&films.store, before, 10).contains(&"!".to_owned()));
}

#[test]
fn a_position_in_another_users_listing_gives_nothing() {
    let films = Films::with(&[film(1), film(2)]);
    let other = reached(&films.store, "http://b", "two");
    let position = FeedPosition::Full {
        log_start: films.sequence(),
        library: films.id,
        after: 0,
    };
    let mine = FeedCursor {
        position,
        ..films.cursor(true)
    };
    let foreign = FeedCursor { view_id: other, ..mine };
    assert_eq!(changes_from(&films.store, mine, 10).len(), 2);
    assert!(changes_from(&films.store, foreign, 10).is_empty());
}
