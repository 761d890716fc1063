//! How long the feed keeps changes, and what a reader gets afterwards. Also who may search next.

use std::sync::Arc;

use super::change_log::Sweeper;
use super::feed_rows::FeedRows;
use super::for_tests::{NOW_MS, count, endpoint, listed, movie, opened, probed, server};
use super::library_rows::LibraryRows;
use super::publishing::trim_history;
use super::{FeedCursor, FeedPage as Page, LibraryRow, PathRequests, SearchRows, Store};
use crate::freshness::PATH_REQUEST_INTERVAL_MS;
use crate::model::{Item, ViewId};
use crate::platform::deadline::Deadline;

/// A store with one library of `films` films.
fn with_films(store: &Arc<Store>, films: usize) -> (ViewId, LibraryRow, Vec<Item>) {
    let view_id = LibraryRows(store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(store, view_id, &["films"], NOW_MS).remove(0);
    let items: Vec<Item> = (0..films)
        .map(|n| movie(&format!("{n}"), &format!("/data/{n}.mkv")))
        .collect();
    let row = listed(store, view_id, &row, &items);
    (view_id, row, items)
}

/// The keys before and after each change of a page.
fn changed_keys(page: &Page) -> Vec<(Option<&str>, Option<&str>)> {
    fn key(item: Option<&Item>) -> Option<&str> {
        item.map(|item| item.rating_key.as_str())
    }
    page.changes
        .iter()
        .map(|one| (key(one.was.as_ref()), key(one.now.as_ref())))
        .collect()
}

fn now(store: &Store, view_id: ViewId) -> FeedCursor {
    FeedRows(store).start(view_id, None, false).expect("begun")
}

/// The next page of a reader who reads no full listing.
fn read_page(store: &Store, at: &FeedCursor, limit: usize) -> Page {
    let page = FeedRows(store).page(at, limit, &|_, _, _| unreachable!("no full listing was begun"));
    page.expect("told")
}

#[test]
fn the_oldest_history_is_removed_first_above_the_limit() {
    let (_folder, store) = opened();
    let (view_id, mut row, mut items) = with_films(&store, 30);
    let begun = now(&store, view_id);
    let mut middle = begun;
    for round in 0..6 {
        if round == 5 {
            middle = now(&store, view_id);
        }
        for item in &mut items[round * 5..round * 5 + 5] {
            item.title += " anew";
        }
        row = listed(&store, view_id, &row, &items);
    }
    store
        .write(Deadline::NONE, |tx| trim_history(tx, 20))
        .expect("forgotten");
    let page = read_page(&store, &middle, 100);
    assert_eq!(page.changes.len(), 5);
    let page = read_page(&store, &begun, 100);
    assert!(page.changes[0].is_relist_marker());
    while Sweeper(&store).sweep(10, Deadline::NONE).expect("swept") {}
    let kept = count(&store, "SELECT count(*) FROM feed");
    assert!((5..=20).contains(&kept), "{kept}");
}

#[test]
fn a_listing_that_changes_more_than_a_fifth_is_one_change() {
    let (_folder, store) = opened();
    let (view_id, row, mut items) = with_films(&store, 5_100);
    let token = now(&store, view_id);
    for item in &mut items[..1_010] {
        item.title += " anew";
    }
    let row = listed(&store, view_id, &row, &items);
    let page = read_page(&store, &token, 10_000);
    assert_eq!(page.changes.len(), 1_010, "less than a fifth");
    for item in &mut items[..1_030] {
        item.title += " once more";
    }
    listed(&store, view_id, &row, &items);
    let page = read_page(&store, &token, 10_000);
    assert_eq!(changed_keys(&page), [(None, None)]);
    // The rows of the removed history can be swept.
    while Sweeper(&store).sweep(1_000, Deadline::NONE).expect("swept") {}
    assert_eq!(count(&store, "SELECT count(*) FROM feed"), 0);
}

/// Two calls that a refresh has told the same have both seen that a search is allowed.
#[test]
fn one_of_two_calls_begins_a_search_in_unchanged_libraries() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let record = PathRequests {
        begins_unchanged_search: true,
        ..PathRequests::default()
    };
    let begins = |at_ms| SearchRows(&store).note_path_requests(view_id, at_ms, &record);
    let later_ms = NOW_MS + PATH_REQUEST_INTERVAL_MS;
    assert_eq!([NOW_MS, NOW_MS, later_ms].map(begins), [true, false, true]);
}
