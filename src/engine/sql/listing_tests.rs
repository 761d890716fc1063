//! Regression tests of listings and of items merged meanwhile: each reproduces a former defect.

use super::change_log::{LoggedKind, trim};
use super::connection::{CHECKPOINT, CHECKPOINT_OF_LISTING};
use super::for_tests::{
    NOW_MS, count, endpoint, finish, listed, movie, opened, paths, probed, record_pairs, sequence, server,
};
use super::items::ItemRows;
use super::libraries::LibraryRows;
use super::listings::ListingRows;
use super::state::StoreStates;
use super::sweeping::Sweeper;
use super::{ListingResult, StoreFolder};
use crate::error::{Result, Status};
use crate::model::Item;
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

#[test]
fn a_page_without_rows_does_not_end_the_sweeping_of_dead_matches() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    record_pairs(&store, &row, &[(b"/h/1.mkv", "1")]);
    LibraryRows(&store)
        .invalidate_libraries(identity, None, Deadline::NONE)
        .expect("invalidated");
    listed(
        &store,
        identity,
        &LibraryRows(&store).library_row(row.id).expect("a row"),
        &[],
    );
    while Sweeper(&store).sweep(1, Deadline::NONE).expect("swept") {}
    assert_eq!(count(&store, "SELECT count(*) FROM records"), 0);
}

#[test]
fn only_a_listing_checkpoints_in_larger_pieces() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    let (mut largest, frame) = (0, 4_096 + 24);
    for page in 0..20 {
        // Each item takes more than a page of the database.
        let items: Vec<Item> = (0..300)
            .map(|item| Item {
                title: format!("{page} {item} ").repeat(500),
                ..movie(
                    &format!("{}", page * 300 + item + 1),
                    &format!("/data/{page}/{item}.mkv"),
                )
            })
            .collect();
        let asked = sequence(&store);
        ListingRows(&store)
            .store_page(&mut listing, &items, asked, Deadline::NONE)
            .expect("stored");
        largest = largest.max(store.folder.log()[0].metadata().expect("a log").len());
    }
    assert!(largest > u64::from(2 * CHECKPOINT) * frame, "{largest}");
    assert!(
        largest < u64::from(CHECKPOINT_OF_LISTING + CHECKPOINT) * frame,
        "{largest}"
    );
    let mut writer = lock(&store.connections.writer);
    let (connection, _) = writer.connection().expect("open");
    let pages: u32 = connection
        .query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0))
        .expect("asked");
    assert_eq!(pages, CHECKPOINT);
}

#[test]
fn a_page_requested_earlier_does_not_undo_single_changes() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let old = [
        movie("1", "/data/1.mkv"),
        movie("2", "/data/2.mkv"),
        movie("3", "/data/3.mkv"),
    ];
    let row = listed(&store, identity, &row, &old);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    listing.keyed = 4;
    let asked = sequence(&store);
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_item(&row, "2", &[], Deadline::NONE)
        .expect("removed");
    let page: Vec<Item> = old.iter().cloned().chain([movie("4", "/data/4.mkv")]).collect();
    ListingRows(&store)
        .store_page(&mut listing, &page, asked, Deadline::NONE)
        .expect("stored");
    assert_eq!(
        (ListingRows(&store).distinct(&listing).expect("counted"), listing.keyed),
        (3, 3)
    );
    let row = finish(&store, identity, &mut listing);
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
    // A later request has newer items.
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ListingRows(&store)
        .store_page(&mut listing, &old, sequence(&store), Deadline::NONE)
        .expect("stored");
    let row = finish(&store, identity, &mut listing);
    assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv", "/data/3.mkv"]);
    // Rows gathered over several requests are merged at once.
    let asked = sequence(&store);
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_item(&row, "2", &[], Deadline::NONE)
        .expect("removed");
    ItemRows(&store)
        .merge_items(&row, &page, Some(asked), Deadline::NONE)
        .expect("merged");
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
}

#[test]
fn two_writers_of_one_listing_do_not_remove_each_others_rows() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let row = listed(
        &store,
        identity,
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
        late(ListingRows(&store).mark_gone(&mut held_up, Deadline::NONE));
        let finished = ListingResult {
            items: 0,
            provisional: false,
            partial: false,
            segment: None,
            now_ms: NOW_MS,
        };
        late(
            ListingRows(&store)
                .finish_listing(identity, &held_up, &finished, Deadline::NONE)
                .map(|_| ()),
        );
        ListingRows(&store)
            .store_page(
                &mut other,
                &[movie("2", "/data/2.mkv")],
                sequence(&store),
                Deadline::NONE,
            )
            .expect("stored");
        let row = finish(&store, identity, &mut other);
        assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv"]);
    }
}

#[test]
fn a_segment_without_trimmed_changes_is_not_published() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let row = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ItemRows(&store)
        .merge_items(&row, &[movie("2", "/data/2.mkv")], None, Deadline::NONE)
        .expect("merged");
    let now = sequence(&store);
    let name = |sequence| StoreFolder::new_listing_name(row.id, row.generation, sequence);
    LibraryRows(&store)
        .set_segment(identity, &name(now), Deadline::NONE)
        .expect("set");
    store.write(Deadline::NONE, |tx| trim(tx, now)).expect("trimmed");
    ListingRows(&store)
        .store_page(&mut listing, &[movie("1", "/data/3.mkv")], now, Deadline::NONE)
        .expect("stored");
    ListingRows(&store)
        .mark_gone(&mut listing, Deadline::NONE)
        .expect("marked");
    let finished = ListingResult {
        items: 2,
        provisional: false,
        partial: false,
        segment: Some(name(listing.begun_sequence)),
        now_ms: NOW_MS,
    };
    let row = ListingRows(&store)
        .finish_listing(identity, &listing, &finished, Deadline::NONE)
        .expect("finished");
    let known = StoreStates(&store).state(Some(identity)).expect("state").changes.len();
    assert!(
        row.segment.is_none() || known > 0,
        "item 2 is neither in {:?} nor among the changes",
        row.segment
    );
}

#[test]
fn an_item_merged_with_an_older_generation_counts_once() {
    let (_folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let old = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    listed(
        &store,
        identity,
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
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let items = ["1", "2"].map(|key| movie(key, &format!("/data/{key}.mkv")));
    let row = listed(&store, identity, &row, &items);
    let mut listing = ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    for item in &items {
        ItemRows(&store)
            .remove_item(&row, &item.rating_key, &[], Deadline::NONE)
            .expect("removed");
    }
    let asked = sequence(&store);
    ListingRows(&store)
        .store_page(&mut listing, &items[..1], asked, Deadline::NONE)
        .expect("stored");
    let removed = || {
        let changes = StoreStates(&store).state(Some(identity)).expect("read").changes;
        let removed = changes.into_iter().filter(|change| change.kind == LoggedKind::Removed);
        removed.map(|change| change.rating_key).collect::<Vec<String>>()
    };
    assert_eq!(removed(), ["1", "2"], "the listing is not published yet");
    finish(&store, identity, &mut listing);
    assert_eq!(removed(), ["2"]);
}
