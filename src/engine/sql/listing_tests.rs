//! Regression tests of listings and of items merged meanwhile: each reproduces a former defect.

use super::ListingResult;
use super::change_log::Sweeper;
use super::change_log::trim;
use super::for_tests::{
    NOW_MS, compact, count, endpoint, finish, listed, movie, opened, paths, probed, record_pairs, sequence, server,
};
use super::item_rows::ItemRows;
use super::library_rows::LibraryRows;
use super::library_rows::ShowRows;
use super::listings::ListingRows;
use super::store_state::StoreStates;
use crate::engine::memtable::MemtableChange;
use crate::error::{Result, Status};
use crate::model::Item;
use crate::platform::deadline::Deadline;

#[test]
fn a_page_without_rows_does_not_end_the_sweeping_of_dead_matches() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    record_pairs(&store, &row, &[(b"/h/1.mkv", "1")]);
    LibraryRows(&store)
        .invalidate_libraries(view_id, None, Deadline::NONE)
        .expect("invalidated");
    listed(
        &store,
        view_id,
        &LibraryRows(&store).library_row(row.id).expect("a row"),
        &[],
    );
    while Sweeper(&store).sweep(1, Deadline::NONE).expect("swept") {}
    assert_eq!(count(&store, "SELECT count(*) FROM records"), 0);
}

#[test]
fn a_page_requested_earlier_does_not_undo_single_changes() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let old = [
        movie("1", "/data/1.mkv"),
        movie("2", "/data/2.mkv"),
        movie("3", "/data/3.mkv"),
    ];
    let row = listed(&store, view_id, &row, &old);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    let asked = sequence(&store);
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_items(&row, &["2"], Deadline::NONE)
        .expect("removed");
    let page: Vec<Item> = old.iter().cloned().chain([movie("4", "/data/4.mkv")]).collect();
    ListingRows(&store)
        .store_page(&mut listing, &page, asked, Deadline::NONE)
        .expect("stored");
    let row = finish(&store, view_id, &listing);
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
    // A later request has newer items.
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ListingRows(&store)
        .store_page(&mut listing, &old, sequence(&store), Deadline::NONE)
        .expect("stored");
    let row = finish(&store, view_id, &listing);
    assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv", "/data/3.mkv"]);
    // Rows gathered over several requests are merged at once.
    let asked = sequence(&store);
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_items(&row, &["2"], Deadline::NONE)
        .expect("removed");
    ItemRows(&store)
        .merge_items(&row, &page, Some(asked), Deadline::NONE)
        .expect("merged");
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
}

#[test]
fn two_writers_of_one_listing_do_not_remove_each_others_rows() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let row = listed(
        &store,
        view_id,
        &row,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    for anew in [false, true] {
        let mut held_up = ListingRows(&store)
            .begin_listing(&row, NOW_MS, Deadline::NONE)
            .expect("begun");
        let mut other = if anew {
            ListingRows(&store)
                .begin_listing(&row, NOW_MS, Deadline::NONE)
                .expect("begun")
        } else {
            ListingRows(&store).listing(row.id).expect("read").expect("a listing")
        };
        ListingRows(&store)
            .store_page(
                &mut other,
                &[movie("1", "/data/1.mkv")],
                sequence(&store),
                Deadline::NONE,
            )
            .expect("stored");
        let late = |done: Result<()>| assert_eq!(done.expect_err("another one has it").status, Status::Timeout);
        late(ListingRows(&store).store_page(&mut held_up, &[], sequence(&store), Deadline::NONE));
        let finished = ListingResult {
            provisional: false,
            partial: false,
            listed_ms: NOW_MS,
            is_copied: false,
        };
        let rows = ListingRows(&store);
        late(
            rows.finish_listing(view_id, &held_up, &finished, None, Deadline::NONE)
                .map(drop),
        );
        ListingRows(&store)
            .store_page(
                &mut other,
                &[movie("2", "/data/2.mkv")],
                sequence(&store),
                Deadline::NONE,
            )
            .expect("stored");
        let row = finish(&store, view_id, &other);
        assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv"]);
    }
}

#[test]
fn a_listing_keeps_single_items_that_another_segment_has() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let row = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ItemRows(&store)
        .merge_items(&row, &[movie("2", "/data/2.mkv")], None, Deadline::NONE)
        .expect("merged");
    compact(&store, view_id, &row);
    let now = sequence(&store);
    store.write(Deadline::NONE, |tx| trim(tx, now)).expect("trimmed");
    ListingRows(&store)
        .store_page(&mut listing, &[movie("1", "/data/3.mkv")], now, Deadline::NONE)
        .expect("stored");
    let row = finish(&store, view_id, &listing);
    assert_eq!(paths(&store, &row), ["/data/2.mkv", "/data/3.mkv"]);
}

#[test]
fn a_listing_of_unchanged_items_keeps_generation_and_segment() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let mut items = ["1", "2", "3"].map(|key| movie(key, &format!("/data/{key}.mkv")));
    let row = listed(&store, view_id, &row, &items);
    items.reverse();
    let again = listed(&store, view_id, &row, &items);
    assert_eq!((again.generation, again.segment), (row.generation, row.segment));
    // A single change between them has the same content as the page.
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    items[2] = movie("1", "/data/new.mkv");
    let again = listed(&store, view_id, &row, &items);
    assert_eq!((again.generation, again.segment), (row.generation, row.segment));
    let changed = listed(&store, view_id, &row, &items[1..]);
    assert_eq!(changed.generation, row.generation.next());
    assert_eq!(paths(&store, &changed), ["/data/2.mkv", "/data/new.mkv"]);
}

#[test]
fn the_last_of_two_items_with_a_key_counts() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    for keys in [["1", "2"], ["2", "3"], ["3", "3"]] {
        let page = keys.map(|key| movie(key, &format!("/data/{}-{key}.mkv", listing.pages)));
        ListingRows(&store)
            .store_page(&mut listing, &page, sequence(&store), Deadline::NONE)
            .expect("stored");
    }
    let row = finish(&store, view_id, &listing);
    assert_eq!(row.items, 3);
    assert_eq!(paths(&store, &row), ["/data/0-1.mkv", "/data/1-2.mkv", "/data/2-3.mkv"]);
}

#[test]
fn an_item_merged_with_an_older_generation_counts_once() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let old = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    listed(
        &store,
        view_id,
        &old,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    ItemRows(&store)
        .merge_items(&old, &[movie("2", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    let row = LibraryRows(&store).library_row(row.id).expect("a row");
    assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/new.mkv"]);
    assert_eq!(row.items, 2);
}

#[test]
fn an_item_that_a_later_page_lists_again_is_not_hidden_by_its_removal() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let items = ["1", "2"].map(|key| movie(key, &format!("/data/{key}.mkv")));
    let row = listed(&store, view_id, &row, &items);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    for item in &items {
        ItemRows(&store)
            .remove_items(&row, &[&item.rating_key], Deadline::NONE)
            .expect("removed");
    }
    let asked = sequence(&store);
    ListingRows(&store)
        .store_page(&mut listing, &items[..1], asked, Deadline::NONE)
        .expect("stored");
    let removed = || {
        let changes = StoreStates(&store).state(Some(view_id)).expect("read").changes;
        let removed = changes.into_iter().filter_map(|logged| match logged.change {
            Some(MemtableChange::Removed { rating_key }) => Some(rating_key),
            _ => None,
        });
        removed.collect::<Vec<String>>()
    };
    assert_eq!(removed(), ["1", "2"], "the listing is not published yet");
    finish(&store, view_id, &listing);
    assert_eq!(removed(), ["2"]);
}

#[test]
fn a_thousand_items_go_in_one_transaction() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let keys: Vec<String> = (0..1_500).map(|key| key.to_string()).collect();
    let items: Vec<Item> = keys.iter().map(|key| movie(key, &format!("/data/{key}.mkv"))).collect();
    let row = listed(&store, view_id, &row, &items);
    let (before, feed) = (sequence(&store), count(&store, "SELECT count(*) FROM feed"));
    ItemRows(&store)
        .remove_items(&row, &keys[..1_200], Deadline::NONE)
        .expect("removed");
    assert_eq!(sequence(&store).0 - before.0, 2);
    assert_eq!(count(&store, "SELECT count(*) FROM feed") - feed, 1_200);
    assert_eq!(count(&store, "SELECT listed_items FROM libraries"), 300);
    assert_eq!(paths(&store, &row).len(), 300);
    // Removed again, and items that never were: nothing changes.
    ItemRows(&store)
        .remove_items(&row, &["7", "none"], Deadline::NONE)
        .expect("removed");
    assert_eq!(count(&store, "SELECT listed_items FROM libraries"), 300);
}

#[test]
fn a_show_is_known_by_each_of_its_guids_until_the_listing_goes() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["shows"], NOW_MS).remove(0);
    let row = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    let rows = ShowRows(&store);
    let known = |guid: &str| rows.shows_with(row.id, guid).expect("read");
    let has = |guids: &[&str]| {
        let guids = guids.iter().map(ToString::to_string).collect();
        rows.has_shows(row.id, &guids).expect("read")
    };
    assert_eq!((known("tvdb://81189"), has(&[])), (None, false));
    let show = |guid: &str, guids: &[&str]| Item {
        guid: guid.to_owned(),
        guids: guids.iter().map(ToString::to_string).collect(),
        ..Item::default()
    };
    let [first, second] = ["plex://show/1", "plex://show/2"];
    let shows = [
        show(first, &["tvdb://81189", "imdb://tt0903747"]),
        show(second, &["tvdb://81189", ""]),
        show("", &["tvdb://5"]),
    ];
    let store_shows = |shows: Option<&[Item]>| rows.store_shows(row.id, shows, Deadline::NONE).expect("stored");
    store_shows(Some(&shows));
    assert_eq!(known("tvdb://81189"), Some(vec![first.to_owned(), second.to_owned()]));
    assert_eq!(known("imdb://tt0903747"), Some(vec![first.to_owned()]));
    assert_eq!(known(second), Some(vec![second.to_owned()]));
    assert_eq!(
        known("tvdb://5"),
        Some(Vec::new()),
        "a show without an own GUID has no items"
    );
    assert!(has(&[first, second, ""]));
    assert!(!has(&[first, "plex://show/3"]));
    let stored = rows.shows(row.id).expect("read");
    store_shows(stored.as_deref());
    assert_eq!(
        rows.shows(row.id).expect("read"),
        stored,
        "another host stores the same"
    );
    store_shows(Some(&shows[1..]));
    assert_eq!(known("tvdb://81189"), Some(vec![second.to_owned()]));
    assert_eq!(known(first), Some(Vec::new()));
    store_shows(None);
    assert_eq!(known(second), None);
    store_shows(Some(&shows));
    let is_evicted = LibraryRows(&store).evict(row.id, NOW_MS, Deadline::NONE);
    assert_eq!((is_evicted, known(first)), (Ok(true), None));
}
