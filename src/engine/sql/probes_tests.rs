//! What a probe and a listing change for readers. Also who may search next.

use super::for_tests::{Films, NOW_MS, film, library, opened, reached};
use super::{FeedCursor, FeedPage, FeedRows, LibraryRows, PathRequests, SearchRows};
use crate::knowledge::{Cause, PATH_REQUEST_INTERVAL_MS};
use crate::model::{Item, Sequence, TokenReliability};
use crate::platform::clock::Deadline;

/// The next page of a reader who reads no full listing.
fn read_page(films: &Films, at: &FeedCursor) -> FeedPage {
    FeedRows(&films.store).page(at, 10_000, &*films.store).expect("told")
}

#[test]
fn a_listing_that_changes_more_than_a_fifth_is_one_change() {
    let mut items: Vec<Item> = (0..5_100).map(film).collect();
    let films = Films::with(&items);
    let begun = films.cursor(false);
    let mut changes_after = |count: usize| {
        for item in &mut items[..count] {
            item.title += " anew";
        }
        films.list(&items);
        read_page(&films, &begun).changes
    };
    assert_eq!(changes_after(1_010).len(), 1_010, "less than a fifth");
    let changes = changes_after(1_030);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].is_relist_marker());
}

#[test]
fn a_probe_changes_nothing_once_a_later_one_is_stored() {
    let films = Films::with(&[film(1)]);
    let probe = |token: &str, begun: Sequence, at_ms: i64| {
        let mut shown = library("films");
        shown.change.token = token.to_owned();
        shown.change.trust = TokenReliability::Hint;
        shown.title = token.to_owned();
        let rows = LibraryRows(&films.store);
        let stored = rows.store_probe(films.view_id, &[shown], begun, at_ms, Deadline::NONE);
        let library = &stored.expect("stored")[0].library;
        (library.change.token.clone(), library.title.clone())
    };
    let (older, later) = (films.ticket(), films.ticket());
    let told = probe("new", later, NOW_MS + 1);
    assert_eq!(told, ("new".to_owned(), "new".to_owned()));
    assert_eq!(probe("old", older, NOW_MS + 2), told);
    assert!(films.row().has_doubt(Cause::Overlap), "the server decides");
}

/// Two calls that a refresh has told the same have both seen that a search is allowed.
#[test]
fn one_of_two_calls_begins_a_search_in_unchanged_libraries() {
    let (_folder, store) = opened();
    let view_id = reached(&store, "http://a", "one");
    let record = PathRequests {
        begins_unchanged_search: true,
        ..PathRequests::default()
    };
    let begins = |at_ms| SearchRows(&store).note_path_requests(view_id, at_ms, &record);
    let later_ms = NOW_MS + PATH_REQUEST_INTERVAL_MS;
    assert_eq!([NOW_MS, NOW_MS, later_ms].map(begins), [true, false, true]);
}
