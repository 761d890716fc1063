//! Single defects of the store, each as it once was, and how it has to be.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::{Result, Status};
use crate::model::{
    Clocks, Generation, IdentityId, ImageKind, Item, ItemType, Library, LibraryId, LibraryKind, Sequence, Server,
};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 20_000 * DAY_MS;

fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), true).expect("the store opens");
    (folder, store)
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        who: vec![7; 32],
    }
}

fn server(name: &str) -> Server {
    Server {
        machine_identifier: name.to_owned(),
        ..Server::default()
    }
}

fn library(uuid: &str) -> Library {
    Library {
        section: uuid.to_owned(),
        uuid: uuid.to_owned(),
        title: uuid.to_owned(),
        kind: LibraryKind::Movie,
        locations: vec!["/data".to_owned()],
        clocks: Clocks::default(),
    }
}

fn movie(key: &str, path: &str) -> Item {
    Item {
        rating_key: key.to_owned(),
        kind: ItemType::Movie,
        title: format!("Film {key}"),
        parts: vec![path.to_owned()],
        ..Item::default()
    }
}

/// The rows of an identity that a probe shows with these libraries.
fn probed(store: &Store, identity: IdentityId, uuids: &[&str], now_ms: i64) -> Vec<LibraryRow> {
    let shown: Vec<Library> = uuids.iter().map(|uuid| library(uuid)).collect();
    let begun = store.totals().expect("totals").sequence;
    store
        .probed(identity, &shown, begun, now_ms, &|_, _| false)
        .expect("probed")
}

fn finish(store: &Store, identity: IdentityId, listing: &mut Listing) -> LibraryRow {
    store.mark_gone(listing).expect("marked");
    let finished = Finished {
        items: store.distinct(listing).expect("counted"),
        provisional: false,
        partial: false,
        image: None,
        now_ms: NOW_MS,
    };
    store.finish_listing(identity, listing, &finished).expect("finished")
}

fn listed(store: &Store, identity: IdentityId, row: &LibraryRow, items: &[Item]) -> LibraryRow {
    let mut listing = store.begin_listing(row, NOW_MS).expect("begun");
    store
        .store_page(&mut listing, items, Sequence(u64::MAX >> 1))
        .expect("stored");
    finish(store, identity, &mut listing)
}

fn matches(store: &Store, library: LibraryId) -> BTreeSet<(Vec<u8>, String)> {
    let mut found = BTreeSet::new();
    store
        .for_each_match(library, &mut |path, key, _| {
            found.insert((path.to_vec(), key.to_owned()));
        })
        .expect("read");
    found
}

fn count(store: &Store, query: &str) -> i64 {
    store
        .read(|connection| connection.query_row(query, [], |row| row.get(0)))
        .expect("counted")
}

#[test]
fn a_library_that_is_cleared_does_not_stop_the_listings_of_others() {
    let (_folder, store) = opened();
    let mine = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let other = store.reached(&endpoint("http://b"), &server("two")).expect("reached");
    let row = probed(&store, mine, &["films"], NOW_MS).remove(0);
    let row = listed(
        &store,
        mine,
        &row,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    store
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None)
        .expect("merged");
    store.remove_item(&row, "2").expect("removed");
    store.clear(mine).expect("cleared");
    for identity in [other, mine] {
        let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
        listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    }
    while store.sweep(1).expect("swept") {}
    assert_eq!(count(&store, "SELECT count(*) FROM items"), 2);
}

#[test]
fn a_page_without_rows_does_not_end_the_sweeping_of_dead_matches() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    store.record_matches(&row, &[(b"/h/1.mkv", "1")]).expect("recorded");
    store.invalidate_libraries(identity, None).expect("invalidated");
    listed(&store, identity, &store.library_row(row.id).expect("a row"), &[]);
    while store.sweep(1).expect("swept") {}
    assert_eq!(count(&store, "SELECT count(*) FROM matches"), 0);
}

#[test]
fn a_match_that_was_recorded_while_a_server_gets_its_name_is_kept() {
    let (_folder, store) = opened();
    for round in 0..10 {
        let (first, second) = (
            endpoint(&format!("http://a{round}")),
            endpoint(&format!("http://b{round}")),
        );
        let known = store
            .reached(&first, &server(&format!("machine {round}")))
            .expect("reached");
        let unnamed = store.reached(&second, &Server::default()).expect("reached");
        // One library that both have, and one that only the unnamed has.
        probed(&store, known, &["films"], NOW_MS);
        let rows = probed(&store, unnamed, &["films", "shows"], NOW_MS);
        let begun = AtomicUsize::new(0);
        let record = |thread: usize| {
            let mut recorded = BTreeSet::new();
            for n in 0..2_000 {
                let path = format!("/h/{thread}/{n}.mkv").into_bytes();
                let row = &rows[(n + thread) % 2];
                match store.record_matches(row, &[(&path, "1")]).expect("recorded") {
                    Some(_) => recorded.insert((path, "1".to_owned())),
                    None => break, // the host records it again, under the name
                };
                begun.fetch_add(1, Ordering::Relaxed);
            }
            recorded
        };
        let (recorded, named) = std::thread::scope(|scope| {
            let record = &record;
            let recorders: Vec<_> = (0..4).map(|thread| scope.spawn(move || record(thread))).collect();
            while begun.load(Ordering::Relaxed) < 100 {
                std::thread::yield_now();
            }
            let named = store
                .name_server(unnamed, &second, &server(&format!("machine {round}")))
                .expect("named");
            let recorded: BTreeSet<_> = recorders
                .into_iter()
                .flat_map(|one| one.join().expect("recorded"))
                .collect();
            (recorded, named)
        });
        assert_eq!(named, known);
        let kept: BTreeSet<_> = store
            .state(Some(known))
            .expect("state")
            .libraries
            .iter()
            .flat_map(|row| matches(&store, row.id))
            .collect();
        let lost = recorded.difference(&kept).count();
        assert_eq!(lost, 0, "of {} in round {round}", recorded.len());
    }
}

#[test]
fn what_is_recorded_in_a_library_that_moved_is_told_to_those_who_see_it_now() {
    let (_folder, store) = opened();
    let known = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let unnamed = store
        .reached(&endpoint("http://b"), &Server::default())
        .expect("reached");
    let row = probed(&store, unnamed, &["films"], NOW_MS).remove(0);
    store
        .name_server(unnamed, &endpoint("http://b"), &server("one"))
        .expect("named");
    let before = store.totals().expect("totals").sequence;
    // By a process that has not heard of the name.
    store.record_matches(&row, &[(b"/h/1.mkv", "1")]).expect("recorded");
    let (_, changes) = store
        .changes(Some(known), before, true)
        .expect("patient")
        .expect("read");
    let told = changes.expect("told one by one");
    assert_eq!(
        told.iter().map(|one| one.kind).collect::<Vec<_>>(),
        [ChangeKind::Matched]
    );
}

#[test]
fn an_invalidation_and_the_newer_match_survive_the_naming_of_a_server() {
    let (_folder, store) = opened();
    let known = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let unnamed = store
        .reached(&endpoint("http://b"), &Server::default())
        .expect("reached");
    let old = probed(&store, known, &["films"], NOW_MS).remove(0);
    let row = probed(&store, unnamed, &["films"], NOW_MS).remove(0);
    store
        .record_matches(&row, &[(b"/h/1.mkv", "1"), (b"/h/2.mkv", "1")])
        .expect("recorded");
    store.record_matches(&old, &[(b"/h/1.mkv", "2")]).expect("recorded");
    store
        .invalidate_path(unnamed, &[row.id], b"/h/3.mkv", &[])
        .expect("invalidated");
    store
        .name_server(unnamed, &endpoint("http://b"), &server("one"))
        .expect("named");
    let kept = [
        (b"/h/1.mkv".to_vec(), "2".to_owned()),
        (b"/h/2.mkv".to_vec(), "1".to_owned()),
    ];
    assert_eq!(matches(&store, old.id), BTreeSet::from(kept));
    assert_eq!(
        store.unverified(old.id).expect("read"),
        [(b"/h/3.mkv".to_vec(), String::new())]
    );
}

#[test]
fn dead_matches_do_not_push_out_living_ones() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let rows = probed(&store, identity, &["films", "shows"], NOW_MS);
    let paths: Vec<Vec<u8>> = (0..500).map(|n| format!("/h/{n:04}.mkv").into_bytes()).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (&path[..], "1")).collect();
    store.record_matches(&rows[0], &pairs[..50]).expect("recorded");
    store.record_matches(&rows[1], &pairs).expect("recorded");
    store
        .invalidate_libraries(identity, Some(rows[1].id))
        .expect("invalidated");
    assert_eq!(
        store.evict_matches(10_000).expect("evicted"),
        0,
        "only the dead take more"
    );
    assert_eq!(matches(&store, rows[0].id).len(), 50);
    store.record_matches(&rows[1], &pairs[..100]).expect("recorded");
    assert!(store.evict_matches(10_000).expect("evicted") > 0);
    let left = matches(&store, rows[0].id).len() + matches(&store, rows[1].id).len();
    assert!((100..140).contains(&left), "{left} of 150, at some 80 bytes each");
    assert_eq!(matches(&store, rows[1].id).len(), 100, "the oldest go first");
}

#[test]
fn a_library_that_the_server_does_not_show_any_more_leaves_its_matches_only() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let rows = probed(&store, identity, &["films", "shows", "empty"], NOW_MS);
    listed(
        &store,
        identity,
        &rows[1],
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    store.record_matches(&rows[1], &[(b"/h/1.mkv", "1")]).expect("recorded");
    let sweep = || while store.sweep(100).expect("swept") {};
    for days in 0..60 {
        probed(&store, identity, &["films"], NOW_MS + days * DAY_MS);
        sweep();
        if days == 29 {
            assert_eq!(
                count(&store, "SELECT count(*) FROM items"),
                2,
                "it may be a disk that is away"
            );
        }
    }
    assert_eq!(count(&store, "SELECT count(*) FROM items"), 0);
    assert_eq!(count(&store, "SELECT count(*) FROM libraries"), 2);
    // It comes back: nothing is listed, and what was confirmed is there, in all that a new process reads.
    let row = probed(&store, identity, &["films", "shows"], NOW_MS + 61 * DAY_MS).remove(1);
    assert_eq!((row.generation, row.match_count), (Generation(0), 1));
    assert_eq!(matches(&store, row.id).len(), 1);
    let changes = store.state(Some(identity)).expect("state").changes;
    assert_eq!(changes.iter().map(|one| one.library).collect::<Vec<_>>(), [row.id]);
}

#[test]
fn changes_do_not_pile_up_where_no_match_is_ever_recorded() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let row = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    store
        .merge_items(&row, &[movie("2", "/data/2.mkv")], None)
        .expect("merged");
    let since = store.totals().expect("totals").sequence;
    for _ in 0..9_000 {
        store.verified(identity, row.id, b"/h/1.mkv", "").expect("noted");
    }
    let kept = count(&store, "SELECT count(*) FROM changes");
    assert!((1_000..6_000).contains(&kept), "{kept}");
    // Who read an earlier state reads all of it again; what no file has yet is kept.
    assert_eq!(
        store
            .changes(Some(identity), since, true)
            .expect("patient")
            .expect("read")
            .1,
        None
    );
    let state = store.state(Some(identity)).expect("state");
    assert_eq!(
        state.changes.iter().map(|one| one.kind).collect::<Vec<_>>(),
        [ChangeKind::Added]
    );
}

/// The paths of what a library lists.
fn paths(store: &Store, row: &LibraryRow) -> Vec<String> {
    let mut found = Vec::new();
    store
        .for_each_item(row.id, row.generation, &mut |item, _| {
            found.extend(item.parts);
            Ok(())
        })
        .expect("read");
    found.sort();
    found
}

fn sequence(store: &Store) -> Sequence {
    store.totals().expect("totals").sequence
}

#[test]
fn a_page_that_was_on_its_way_does_not_undo_what_was_learned_meanwhile() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let old = [
        movie("1", "/data/1.mkv"),
        movie("2", "/data/2.mkv"),
        movie("3", "/data/3.mkv"),
    ];
    let row = listed(&store, identity, &row, &old);
    let mut listing = store.begin_listing(&row, NOW_MS).expect("begun");
    listing.keyed = 4;
    let asked = sequence(&store);
    store
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None)
        .expect("merged");
    store.remove_item(&row, "2").expect("removed");
    let page: Vec<Item> = old.iter().cloned().chain([movie("4", "/data/4.mkv")]).collect();
    store.store_page(&mut listing, &page, asked).expect("stored");
    assert_eq!((store.distinct(&listing).expect("counted"), listing.keyed), (3, 3));
    let row = finish(&store, identity, &mut listing);
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
    // What was asked for later is newer.
    let mut listing = store.begin_listing(&row, NOW_MS).expect("begun");
    store.store_page(&mut listing, &old, sequence(&store)).expect("stored");
    let row = finish(&store, identity, &mut listing);
    assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv", "/data/3.mkv"]);
    // Rows gathered over several requests are merged at once.
    let asked = sequence(&store);
    store
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None)
        .expect("merged");
    store.remove_item(&row, "2").expect("removed");
    store.merge_items(&row, &page, Some(asked)).expect("merged");
    assert_eq!(paths(&store, &row), ["/data/3.mkv", "/data/4.mkv", "/data/new.mkv"]);
}

#[test]
fn two_that_store_into_one_listing_do_not_take_each_others_rows_for_gone() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let row = listed(
        &store,
        identity,
        &row,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    for anew in [false, true] {
        let mut held_up = store.begin_listing(&row, NOW_MS).expect("begun");
        let mut other = if anew {
            store.begin_listing(&row, NOW_MS).expect("begun")
        } else {
            store.listing(row.id).expect("read").expect("a listing")
        };
        store
            .store_page(&mut other, &[movie("1", "/data/1.mkv")], sequence(&store))
            .expect("stored");
        let late = |done: Result<()>| assert_eq!(done.expect_err("another one has it").status, Status::Timeout);
        late(store.store_page(&mut held_up, &[], sequence(&store)));
        late(store.mark_gone(&mut held_up));
        let finished = Finished {
            items: 0,
            provisional: false,
            partial: false,
            image: None,
            now_ms: NOW_MS,
        };
        late(store.finish_listing(identity, &held_up, &finished).map(|_| ()));
        store
            .store_page(&mut other, &[movie("2", "/data/2.mkv")], sequence(&store))
            .expect("stored");
        let row = finish(&store, identity, &mut other);
        assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/2.mkv"]);
    }
}

#[test]
fn a_file_that_lacks_changes_which_are_forgotten_is_not_the_listing_s() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let row = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    let mut listing = store.begin_listing(&row, NOW_MS).expect("begun");
    store
        .merge_items(&row, &[movie("2", "/data/2.mkv")], None)
        .expect("merged");
    let now = sequence(&store);
    let name = |kind, sequence| Folder::image_name(kind, row.id, row.generation, sequence);
    store.set_image(identity, &name(ImageKind::Listing, now)).expect("set");
    store
        .compacted(identity, row.epoch, &name(ImageKind::Matches, now))
        .expect("compacted");
    store
        .store_page(&mut listing, &[movie("1", "/data/3.mkv")], now)
        .expect("stored");
    store.mark_gone(&mut listing).expect("marked");
    let finished = Finished {
        items: 2,
        provisional: false,
        partial: false,
        image: Some(name(ImageKind::Listing, listing.begun_sequence)),
        now_ms: NOW_MS,
    };
    let row = store.finish_listing(identity, &listing, &finished).expect("finished");
    let known = store.state(Some(identity)).expect("state").changes.len();
    assert!(
        row.image.is_none() || known > 0,
        "item 2 is neither in {:?} nor among the changes",
        row.image
    );
}

#[test]
fn what_is_merged_by_one_who_knows_an_older_generation_is_counted_once() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let old = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    listed(
        &store,
        identity,
        &old,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    store
        .merge_items(&old, &[movie("2", "/data/new.mkv")], None)
        .expect("merged");
    let row = store.library_row(row.id).expect("a row");
    assert_eq!(paths(&store, &row), ["/data/1.mkv", "/data/new.mkv"]);
    assert_eq!(row.items, 2);
}

#[test]
fn a_match_is_as_new_as_its_write_whatever_listing_its_caller_knew() {
    let (_folder, store) = opened();
    let identity = store.reached(&endpoint("http://a"), &server("one")).expect("reached");
    let row = probed(&store, identity, &["films"], NOW_MS).remove(0);
    let before = listed(&store, identity, &row, &[movie("1", "/data/1.mkv")]);
    // The listing finishes between the caller's look and its write.
    let now = listed(&store, identity, &before, &[movie("2", "/data/1.mkv")]);
    assert!(now.generation > before.generation);
    store
        .record_matches(&before, &[(b"/data/1.mkv", "3")])
        .expect("recorded");
    let mut recorded = Sequence::default();
    store
        .for_each_match(row.id, &mut |_, _, sequence| recorded = sequence)
        .expect("read");
    let now = store.library_row(row.id).expect("a row");
    assert!(recorded > now.listed_sequence, "the listing that is older overrules it");
    let told = store.state(Some(identity)).expect("state").changes;
    assert_eq!(told.iter().map(|one| one.sequence).collect::<Vec<_>>(), [recorded]);
    // A later listing that says otherwise is newer, and one that says the same is no news.
    let same = listed(&store, identity, &now, &[movie("2", "/data/1.mkv")]);
    assert!(same.listed_sequence < recorded);
    let other = listed(&store, identity, &same, &[movie("4", "/data/1.mkv")]);
    assert!(other.listed_sequence > recorded);
}
