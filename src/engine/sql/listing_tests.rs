//! Regression tests of listings and of items merged meanwhile, each of which reproduces a former defect; and the file
//! with a listing's pages.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io, slice};

use super::for_tests::{FINISHED, Films, NOW_MS, film, merge, movie, segments};
use super::listings::{FileEnd, append_page, read_pages};
use super::store_folder::new_listing_name;
use super::{LibraryRows, ListingRows, RecordRows, SharedRow, SharedRows, ShowRows, Store, StoreStates};
use crate::engine::memtable::MemtableChange;
use crate::engine::record_rows::RecordTime;
use crate::error::{Result, Status};
use crate::knowledge::FileTickets;
use crate::model::{Item, Sequence};
use crate::platform::clock::Deadline;

#[test]
fn a_page_without_rows_does_not_end_the_sweeping_of_dead_matches() {
    let films = Films::new();
    films.record(&[(b"/h/1.mkv", "1")]);
    films.invalidate_libraries(None);
    films.list(&[]);
    films.sweep();
    assert_eq!(films.count("SELECT count(*) FROM matches"), 0);
}

#[test]
fn a_page_requested_earlier_does_not_undo_single_changes() {
    let old = [1, 2, 3].map(film);
    let films = Films::with(&old);
    let changed = ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"];
    let mut listing = films.begin();
    let asked = films.ticket();
    let page: Vec<Item> = old.iter().cloned().chain([film(4)]).collect();
    films.page(&mut listing, &page, asked);
    let asked = films.ticket(); // of a page without rows: the first one had come
    films.merge(&[movie("1", "/data/new.mkv")]);
    films.remove(&["2"]);
    films.page(&mut listing, &[], asked);
    films.finish(&listing);
    assert_eq!(films.paths(), changed);
    assert_eq!(films.count("SELECT count(*) FROM doubts"), 0);
    // A later request has newer items.
    let mut listing = films.begin();
    films.page(&mut listing, &old, films.ticket());
    films.finish(&listing);
    assert_eq!(films.paths(), ["/data/1.mkv", "/data/2.mkv", "/data/3.mkv"]);
}

/// Nobody knows whether the server sent the page or the item first, so that the later request counts, and the server
/// decides again.
#[test]
fn a_page_that_overlaps_with_a_reply_and_differs_leaves_a_doubt() {
    let films = Films::with(&[1, 2].map(film));
    let mut listing = films.begin();
    let page = films.ticket();
    films.merge(&[movie("1", "/data/new.mkv")]);
    films.page(&mut listing, &[1, 2].map(film), page);
    films.finish(&listing);
    assert_eq!(films.paths(), ["/data/2.mkv", "/data/new.mkv"]);
    assert_eq!(
        films.count("SELECT count(*) FROM doubts WHERE scope = CAST('i1' AS BLOB)"),
        1
    );
    films.merge(&[film(1)]);
    assert_eq!(films.paths(), ["/data/1.mkv", "/data/2.mkv"]);
    assert_eq!(films.count("SELECT count(*) FROM doubts"), 0);
}

#[test]
fn a_reply_to_an_earlier_request_that_came_before_the_stored_one_counts_for_nothing() {
    let films = Films::with(&[film(1)]);
    let earlier = films.ticket();
    films.merge(&[movie("1", "/data/new.mkv")]);
    assert!(!films.merge_asked(&[film(1)], earlier), "it overlaps");
    assert!(!films.remove_asked(&["1"], earlier));
    assert!(films.merge_asked(&[movie("1", "/data/new.mkv")], earlier));
    assert_eq!(films.paths(), ["/data/new.mkv"]);
    assert_eq!(films.count("SELECT count(*) FROM overlay"), 1, "one row an item");
}

#[test]
fn two_writers_of_one_listing_do_not_remove_each_others_rows() {
    let films = Films::with(&[film(1), film(2)]);
    let rows = ListingRows(&films.store);
    for anew in [false, true] {
        let mut held_up = films.begin();
        let mut other = if anew {
            films.begin()
        } else {
            rows.listing(films.id).expect("read").expect("a listing")
        };
        films.page(&mut other, &[film(1)], films.ticket());
        let late = |done: Result<()>| assert_eq!(done.expect_err("another one has it").status, Status::Timeout);
        late(films.store_page(&mut held_up, &[], films.sequence()));
        let finished = rows.finish_listing(&held_up, &FINISHED, None, Deadline::NONE);
        late(finished.map(drop));
        films.page(&mut other, &[film(2)], films.ticket());
        films.finish(&other);
        assert_eq!(films.paths(), ["/data/1.mkv", "/data/2.mkv"]);
    }
}

#[test]
fn a_listing_keeps_single_items_that_another_segment_has() {
    let films = Films::with(&[film(1)]);
    let mut listing = films.begin();
    films.merge(&[film(2)]);
    films.compact();
    let now = films.sequence();
    films.page(&mut listing, &[movie("1", "/data/3.mkv")], now);
    films.finish(&listing);
    assert_eq!(films.paths(), ["/data/2.mkv", "/data/3.mkv"]);
}

#[test]
fn a_listing_of_unchanged_items_keeps_generation_and_segment() {
    let mut items = [1, 2, 3].map(film);
    let films = Films::with(&items);
    let row = films.row();
    items.reverse();
    let again = films.list(&items);
    assert_eq!((again.generation, again.segment), (row.generation, row.segment));
    // A single change between them has the same content as the page.
    films.merge(&[movie("1", "/data/new.mkv")]);
    items[2] = movie("1", "/data/new.mkv");
    assert_eq!(films.list(&items).generation, row.generation);
    let changed = films.list(&items[1..]);
    assert!(changed.generation > row.generation);
    assert_eq!(films.paths(), ["/data/2.mkv", "/data/new.mkv"]);
}

/// As after a restored backup of the server, which gives the keys of what came later to other items.
#[test]
fn a_listing_of_an_earlier_history_ends_the_matches_of_other_items() {
    let films = Films::new();
    let list = |token: &str, items: &[Item]| {
        let mut listing = films.begin();
        listing.change.token = token.to_owned();
        films.page(&mut listing, items, films.ticket());
        films.finish(&listing);
        RecordRows(&films.store).all_matches(films.id).expect("the matches")
    };
    let known = |key: &str, path: &str| Item {
        guid: format!("plex://movie/{path}"),
        ..movie(key, path)
    };
    let keys = ["1", "2", "3", "4", "5"];
    list("9 x", &[film(1), known("2", "/a"), film(3), film(4)]);
    // The listing was last seen then, by the clock of this host, which is an hour late.
    let hour_us = 3_600_000_000;
    SharedRows(&films.store).set_clock(hour_us).expect("set");
    let recorded = keys.map(|key| SharedRow {
        library: "films".to_owned(),
        path: format!("/h/{key}.mkv").into_bytes(),
        rating_key: Some(key.to_owned()),
        at: RecordTime::at_us(NOW_MS * 1_000 + hour_us - 1),
    });
    let added = SharedRows(&films.store).add(films.view_id, &recorded, u64::MAX, Deadline::NONE);
    added.expect("recorded");
    films.record(&[(b"/h/since.mkv", "4")]);
    let moved = Item {
        guid: "plex://movie//a".to_owned(),
        ..movie("2", "/b")
    };
    let same = film(1);
    let other = movie("3", "/data/other.mkv");
    let left: Vec<_> = list("5 x", &[same, moved.clone(), other]).into_values().collect();
    assert_eq!(left, ["1", "2", "4"]);
    // A later listing tells of changes, not of another history.
    let left: Vec<_> = list("6 x", &[movie("1", "/data/new.mkv")]).into_values().collect();
    assert_eq!(left, ["1", "2", "4"]);
}

#[test]
fn the_last_of_two_items_with_a_key_counts() {
    let films = Films::new();
    let mut listing = films.begin();
    for keys in [["1", "2"], ["2", "3"], ["3", "3"]] {
        let page = keys.map(|key| movie(key, &format!("/data/{}-{key}.mkv", listing.pages)));
        films.page(&mut listing, &page, films.ticket());
    }
    assert_eq!(films.finish(&listing).items, 3);
    assert_eq!(films.paths(), ["/data/0-1.mkv", "/data/1-2.mkv", "/data/2-3.mkv"]);
}

#[test]
fn an_item_merged_with_an_older_generation_counts_once() {
    let films = Films::with(&[film(1)]);
    let old = films.row();
    films.list(&[film(1), film(2)]);
    let asked = films.ticket();
    assert!(merge(&films.store, old.id, &[movie("2", "/data/new.mkv")], asked));
    assert_eq!(films.paths(), ["/data/1.mkv", "/data/new.mkv"]);
    assert_eq!(films.row().items, 2);
}

#[test]
fn an_item_that_a_later_page_lists_again_is_not_hidden_by_its_removal() {
    let items = [1, 2].map(film);
    let films = Films::with(&items);
    let mut listing = films.begin();
    films.remove(&["1"]);
    films.remove(&["2"]);
    films.page(&mut listing, &items[..1], films.ticket());
    let removed = || {
        let changes = films.changes().into_iter();
        let removed = changes.filter_map(|logged| match logged.change {
            MemtableChange::Removed { rating_key, .. } => Some(rating_key),
            _ => None,
        });
        removed.collect::<Vec<String>>()
    };
    assert_eq!(removed(), ["1", "2"], "the listing is not published yet");
    films.finish(&listing);
    assert_eq!(removed(), ["2"]);
}

#[test]
fn a_thousand_items_go_in_one_transaction() {
    let films = Films::with(&(0..1_500).map(film).collect::<Vec<Item>>());
    let keys: Vec<String> = (0..1_200).map(|key| key.to_string()).collect();
    let listed_items = || films.count("SELECT listed_items FROM libraries");
    let (before, feed) = (films.sequence(), films.count("SELECT count(*) FROM feed"));
    films.remove(&keys);
    assert_eq!(films.sequence().0 - before.0, 2, "a ticket and a write");
    assert_eq!(films.count("SELECT count(*) FROM feed") - feed, 1_200);
    assert_eq!(listed_items(), 300);
    assert_eq!(films.paths().len(), 300);
    // Removed again, and items that never were: nothing changes.
    films.remove(&["7", "none"]);
    assert_eq!(listed_items(), 300);
}

#[test]
fn a_show_is_known_by_each_of_its_guids_until_the_listing_goes() {
    let films = Films::with(&[film(1)]);
    let rows = ShowRows(&films.store);
    let known = |guid: &str| rows.shows_with(films.id, guid).expect("read");
    let has = |guids: &[&str]| {
        let guids = guids.iter().map(ToString::to_string).collect();
        rows.has_shows(films.id, &guids).expect("read")
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
    let store_shows = |shows: Option<&[Item]>| rows.store_shows(films.id, shows, Deadline::NONE).expect("stored");
    store_shows(Some(&shows));
    assert_eq!(known("tvdb://81189"), Some(vec![first.to_owned(), second.to_owned()]));
    assert_eq!(known("imdb://tt0903747"), Some(vec![first.to_owned()]));
    assert_eq!(known(second), Some(vec![second.to_owned()]));
    assert_eq!(known("tvdb://5"), Some(Vec::new()), "a show without an own GUID");
    assert!(has(&[first, second, ""]));
    assert!(!has(&[first, "plex://show/3"]));
    store_shows(Some(&shows[1..]));
    assert_eq!(known("tvdb://81189"), Some(vec![second.to_owned()]));
    assert_eq!(known(first), Some(Vec::new()));
    store_shows(None);
    assert_eq!(known(second), None);
    store_shows(Some(&shows));
    assert!(films.evict());
    assert_eq!(known(first), None);
}

/// Another process can list the library between the transaction that reads a segment's name and the opening of the file.
#[test]
fn a_process_that_has_read_the_name_of_a_segment_copes_with_its_removal() {
    let films = Films::with(&[film(1)]);
    let before = films.row().segment.expect("a segment");
    let reader = Arc::new(Store::open_elsewhere(films.folder.path()));
    let live = super::for_tests::live(&reader);
    std::thread::scope(|scope| {
        let listing = scope.spawn(|| (2..100).for_each(|number| drop(films.list(&[film(number)]))));
        while !listing.is_finished() {
            live.reload(Deadline::NONE).expect("loaded");
            assert!(!live.snapshot().is_incomplete);
        }
    });
    assert!(
        films.store.listing_segment(&before).is_err(),
        "the file went with its listing"
    );
}

/// The item as a search has it, which nobody doubted.
fn search(films: &Films, item: &Item, asked: crate::model::Sequence) {
    let reply = [(item.rating_key.clone(), Some(item.clone()))];
    super::KnowledgeRows(&films.store)
        .fold_items(
            films.id,
            &reply,
            (asked, false),
            &|_, _| Vec::new(),
            super::for_tests::NOW_MS,
            Deadline::NONE,
        )
        .expect("stored");
}

#[test]
fn a_reader_learns_that_an_item_is_as_listed_again() {
    let films = Films::with(&[film(1)]);
    films.merge(&[movie("1", "/data/new.mkv")]);
    let (seen, database_number) = (films.sequence(), films.store.database_number());
    let asked = films.ticket(); // of a search that is served late
    films.merge(&[film(1)]);
    search(&films, &film(1), asked);
    assert_eq!(films.paths(), ["/data/1.mkv"]);
    let read = StoreStates(&films.store).changes(Some(films.view_id), seen, database_number, None);
    let (_, changes) = read.expect("read");
    let tells = changes.as_ref().is_none_or(|changes| {
        let mut changes = changes.0.iter();
        changes
            .any(|logged| matches!(&logged.change, MemtableChange::Added { item, .. } if item.parts == film(1).parts))
    });
    assert!(tells, "a reader still has /data/new.mkv");
}

#[test]
fn an_item_that_became_as_listed_during_a_compaction_keeps_its_value() {
    let films = Films::with(&[film(1), film(2)]);
    films.merge(&[movie("1", "/data/new.mkv")]);
    // A compaction reads the item, as `ListingSegments::compact` does, and writes its segment.
    let (upto, row) = (films.sequence(), films.row());
    let segments = segments(&films.store);
    let name = new_listing_name(films.id, row.generation, upto);
    let mut builder = segments.builder(&name, &row, upto);
    for item in [movie("1", "/data/new.mkv"), film(2)] {
        builder.push_item(&item, Sequence(0), &FileTickets::default());
    }
    segments.write_segment(builder, &name, &row).expect("written");
    // Meanwhile the server has the old file again, and says so twice.
    films.merge(&[film(1)]);
    search(&films, &film(1), films.ticket());
    assert_eq!(films.paths(), ["/data/1.mkv", "/data/2.mkv"]);
    LibraryRows(&films.store)
        .set_segment(
            (films.view_id, films.id),
            [&row.segment.expect("listed"), &name],
            (upto, false),
            Deadline::NONE,
        )
        .expect("stored");
    assert_eq!(films.paths(), ["/data/1.mkv", "/data/2.mkv"]);
}

#[test]
fn an_older_list_of_libraries_does_not_undo_an_empty_one() {
    use super::for_tests::{NOW_MS, library};
    let films = Films::with(&[film(1)]);
    let rows = LibraryRows(&films.store);
    let probe = |shown: &[crate::model::Library], asked, now_ms| {
        let rows = rows
            .store_probe(films.view_id, shown, asked, now_ms, Deadline::NONE)
            .expect("probed");
        rows.len()
    };
    assert_eq!(probe(&[], films.ticket(), NOW_MS), 1);
    let late = films.ticket();
    assert_eq!(probe(&[], films.ticket(), NOW_MS + 61_000), 0, "confirmed");
    assert_eq!(
        probe(&[library("films")], late, NOW_MS + 61_000),
        0,
        "the later request counts"
    );
}

fn page_of(keys: Range<usize>) -> Vec<Item> {
    keys.map(|key| Item {
        rating_key: key.to_string(),
        parts: vec![format!("/data/{key}.mkv").into()],
        ..Item::default()
    })
    .collect()
}

fn read(path: &Path, end: FileEnd) -> io::Result<Vec<(Sequence, Vec<Item>)>> {
    let mut pages = Vec::new();
    read_pages(path, end, |requested_at, items| pages.push((requested_at, items)))?;
    Ok(pages)
}

#[test]
fn pages_are_read_as_they_were_appended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("items");
    assert_eq!(read(&path, FileEnd::default()).expect("no page"), []);
    let (first, second) = ((Sequence(3), page_of(0..5)), (Sequence(9), page_of(5..7)));
    let one = append_page(&path, FileEnd::default(), first.0, &first.1).expect("appended");
    let lost = append_page(&path, one, Sequence(4), &page_of(90..99)).expect("appended");
    // A kill before the database named the page: the next process overwrites it.
    let both = append_page(&path, one, second.0, &second.1).expect("appended");
    assert_eq!(read(&path, one).expect("a page"), slice::from_ref(&first));
    assert_eq!(read(&path, both).expect("two pages"), [first, second]);
    assert!(read(&path, lost).is_err());
}

#[test]
fn a_damaged_page_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("items");
    let one = append_page(&path, FileEnd::default(), Sequence(1), &page_of(0..3)).expect("appended");
    let end = append_page(&path, one, Sequence(2), &page_of(3..6)).expect("appended");
    let good = fs::read(&path).expect("read");
    for offset in 0..good.len() {
        let mut bytes = good.clone();
        bytes[offset] ^= 1;
        fs::write(&path, bytes).expect("written");
        assert!(read(&path, end).is_err(), "{offset}");
    }
    fs::write(&path, &good[..good.len() - 1]).expect("written");
    assert!(read(&path, end).is_err());
}
