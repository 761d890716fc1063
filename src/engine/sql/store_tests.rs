//! Regression tests of the store: each reproduces a former defect.

use std::sync::Arc;

use super::change_log::Sweeper;
use super::change_log::Totals;
use super::confirmed_matches::all_matches_of;
use super::feed_rows::FeedRows;
use super::for_tests::{
    DAY_MS, NOW_MS, count, endpoint, listed, matches, movie, opened, paths, probed, record_pairs, server,
};
use super::item_rows::ItemRows;
use super::library_rows::LibraryRows;
use super::library_rows::ShowRows;
use super::listings::ListingRows;
use super::record_log::RecordRows;
use super::store_state::StoreStates;
use super::{Endpoint, LocalWrite, Store};
use crate::engine::memtable::MemtableChange;
use crate::engine::version_page::PageState;
use crate::model::Sequence;
use crate::platform::clock::coarse_ms;
use crate::platform::deadline::Deadline;

const SINGLE_ITEMS: &str = "SELECT count(*) FROM changes WHERE item IS NOT NULL";

/// Rows of all kinds belong to it: they are swept, and other users' rows stay.
#[test]
fn a_cleared_library_leaves_no_row_and_does_not_stop_the_listings_of_others() {
    let (_folder, store) = opened();
    let mine = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let other = LibraryRows(&store)
        .reached(&endpoint("http://b"), &server("two"))
        .expect("reached");
    let row = probed(&store, mine, &["films"], NOW_MS).remove(0);
    let row = listed(
        &store,
        mine,
        &row,
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    ItemRows(&store)
        .merge_items(&row, &[movie("1", "/data/new.mkv")], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_items(&row, &["2"], Deadline::NONE)
        .expect("removed");
    record_pairs(&store, &row, &[(b"/h/1.mkv", "1")]);
    let invalid: [(_, &[u8], _); 1] = [(row.id, b"/h/2.mkv", "")];
    LibraryRows(&store)
        .invalidate(mine, &LocalWrite::NONE, &invalid, &[], Deadline::NONE)
        .expect("invalidated");
    let shows = ShowRows(&store);
    shows.store_shows(row.id, Some(&[]), Deadline::NONE).expect("stored");
    ListingRows(&store)
        .begin_listing(&row, NOW_MS, Deadline::NONE)
        .expect("begun");
    let left = || {
        let tables = ["changes", "feed", "shows", "unverified", "listings", "tables"];
        tables.map(|table| {
            let id = row.id.0;
            let kind = if table == "changes" { "kind IN (8, 9)" } else { "true" };
            count(
                &store,
                &format!("SELECT count(*) FROM {table} WHERE library = {id} AND {kind}"),
            )
        })
    };
    assert!(!left().contains(&0), "{:?}", left());
    LibraryRows(&store).clear(mine, Deadline::NONE).expect("cleared");
    for view_id in [other, mine] {
        let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
        listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    }
    while Sweeper(&store).sweep(1, Deadline::NONE).expect("swept") {}
    assert_eq!(left(), [0; 6]);
    assert_eq!(count(&store, "SELECT count(*) FROM libraries"), 2);
    assert_eq!(count(&store, "SELECT count(*) FROM records"), 0);
    assert_eq!(count(&store, SINGLE_ITEMS), 0);
    assert_eq!(count(&store, "SELECT sum(listed_items) FROM libraries"), 2);
}

/// A recorded match ends the invalidation that the host knew of, but not a later one.
#[test]
fn a_second_invalidation_outlives_the_first_verification() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let row = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    let invalidate = || {
        RecordRows(&store).invalidate_item(view_id, row.id, "1");
        store.sequence().expect("read")
    };
    let (before, since) = (invalidate(), invalidate());
    let left_after = |since| {
        let ended = LibraryRows(&store).end_invalidations(view_id, row.id, &[], &["1"], since, Deadline::NONE);
        ended.expect("noted");
        count(&store, "SELECT count(*) FROM unverified")
    };
    assert_eq!(left_after(before), 1);
    assert_eq!(left_after(since), 0);
}

#[test]
fn a_store_without_change_sequences_left_is_recreated() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let rows = probed(&store, view_id, &["films"], NOW_MS);
    let first = store.sequence().expect("read");
    rusqlite::Connection::open(store.folder().database())
        .and_then(|other| other.execute("UPDATE meta SET sequence = sequence | 0xFFFFFFFFE", []))
        .expect("written");
    record_pairs(&store, &rows[0], &[(b"/h/1.mkv", "1")]);
    assert_eq!(matches(&store, rows[0].id).len(), 1);
    let recorded = record_pairs(&store, &rows[0], &[(b"/h/2.mkv", "1")]);
    assert!(recorded.is_none(), "the library is not in the new one");
    let now = store.sequence().expect("read");
    assert_ne!(now.0 >> 36, first.0 >> 36);
    assert_ne!(now.0 >> 36, (first.0 >> 36) + 1);
}

#[test]
fn writes_between_two_matches_are_read() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let rows = probed(&store, view_id, &["films", "shows"], NOW_MS);
    let unverified_after = |path: &[u8]| {
        record_pairs(&store, &rows[0], &[(path, "1")]).expect("recorded");
        count(&store, "SELECT count(*) FROM unverified")
    };
    assert_eq!(unverified_after(b"/h/1.mkv"), 0);
    assert_eq!(unverified_after(b"/h/2.mkv"), 0, "as the first one left it");
    record_pairs(&store, &rows[1], &[(b"/h/3.mkv", "1")]);
    assert_eq!(unverified_after(b"/h/4.mkv"), 0);
    let invalid = [
        (rows[0].id, &b"/h/5.mkv"[..], ""),
        (rows[0].id, b"", "1"),
        (rows[0].id, b"", "2"),
    ];
    LibraryRows(&store)
        .invalidate(view_id, &LocalWrite::NONE, &invalid, &[], Deadline::NONE)
        .expect("invalidated");
    assert_eq!(unverified_after(b"/h/6.mkv"), 2, "its item is confirmed");
    assert_eq!(unverified_after(b"/H/5.MKV"), 1, "and a path in another spelling");
    LibraryRows(&store)
        .invalidate_libraries(view_id, Some(rows[0].id), Deadline::NONE)
        .expect("invalidated");
    let many: Vec<Vec<u8>> = (0..100).map(|n| format!("/h/many {n}.mkv").into_bytes()).collect();
    let many: Vec<(&[u8], &str)> = many.iter().map(|path| (&path[..], "1")).collect();
    record_pairs(&store, &rows[0], &many);
    assert_eq!(matches(&store, rows[0].id).len(), 100, "of the epoch that is now");
    LibraryRows(&store).clear(view_id, Deadline::NONE).expect("cleared");
    assert!(record_pairs(&store, &rows[0], &[(b"/h/8.mkv", "1")]).is_none());
}

#[test]
fn a_vanished_library_leaves_only_its_matches() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let rows = probed(&store, view_id, &["films", "shows", "empty"], NOW_MS);
    listed(
        &store,
        view_id,
        &rows[1],
        &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
    );
    record_pairs(&store, &rows[1], &[(b"/h/1.mkv", "1")]);
    let sweep = || while Sweeper(&store).sweep(100, Deadline::NONE).expect("swept") {};
    for days in 0..60 {
        probed(&store, view_id, &["films"], NOW_MS + days * DAY_MS);
        sweep();
        if days == 29 {
            assert_eq!(
                count(&store, "SELECT sum(listed_items) FROM libraries"),
                2,
                "it may be a disk that is away"
            );
        }
    }
    assert_eq!(count(&store, "SELECT sum(listed_items) FROM libraries"), 0);
    assert_eq!(count(&store, "SELECT count(*) FROM libraries"), 2);
    // The library comes back: it has no listing, but its matches are there for every new process.
    let row = probed(&store, view_id, &["films", "shows"], NOW_MS + 61 * DAY_MS).remove(1);
    assert!(!row.generation.is_fetched());
    assert_eq!(matches(&store, row.id).len(), 1);
    let changes = StoreStates(&store).state(Some(view_id)).expect("state").changes;
    assert_eq!(changes.iter().map(|one| one.library).collect::<Vec<_>>(), [row.id]);
}

#[test]
fn the_change_log_is_trimmed_without_recorded_matches() {
    let (folder, mut store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let row = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    ItemRows(&store)
        .merge_items(&row, &[movie("2", "/data/2.mkv")], None, Deadline::NONE)
        .expect("merged");
    let since = store.sequence().expect("read");
    for number in 1..=9_000 {
        if number % 1_000 == 0 {
            // Wine keeps each file that was looked at open until nobody has a lock on it: two a write.
            drop(store);
            store = Arc::new(Store::open(folder.path(), true).expect("the store opens"));
        }
        LibraryRows(&store)
            .invalidate(
                view_id,
                &LocalWrite::NONE,
                &[(row.id, b"/h/1.mkv", "")],
                &[],
                Deadline::NONE,
            )
            .expect("invalidated");
    }
    let kept = count(&store, "SELECT count(*) FROM changes");
    assert!((1_000..6_000).contains(&kept), "{kept}");
    // Readers of an earlier state reload everything; changes that no segment has are kept.
    let changes = |since| {
        StoreStates(&store)
            .changes(Some(view_id), since, store.incarnation(), true)
            .expect("read")
    };
    let (now, of_earlier) = changes(since);
    assert!(of_earlier.is_none());
    assert_eq!(changes(Sequence(now.0 - 1)).1.map(|changes| changes.len()), Some(1));
    let state = StoreStates(&store).state(Some(view_id)).expect("state");
    let kept: Vec<_> = state.changes.into_iter().filter_map(|logged| logged.change).collect();
    assert!(
        matches!(
            kept[..],
            [MemtableChange::Added { .. }, MemtableChange::UnverifiedPath { .. }]
        ),
        "{kept:?}"
    );
}

#[test]
fn a_segment_that_no_row_names_counts_for_no_limit() {
    let (folder, store) = opened();
    let before = Sweeper(&store).bytes_after_vacuum().expect("counted");
    let bytes = vec![0; 1 << 20];
    std::fs::write(folder.path().join("plexindex-1-l99-1-1-1-ab.segment"), &bytes).expect("written");
    assert_eq!(Sweeper(&store).bytes_after_vacuum().expect("counted"), before);
}

#[test]
fn a_match_has_the_sequence_of_its_write() {
    let (_folder, store) = opened();
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let before = listed(&store, view_id, &row, &[movie("1", "/data/1.mkv")]);
    // The listing finishes between the caller's read and its write.
    let now = listed(&store, view_id, &before, &[movie("2", "/data/1.mkv")]);
    assert!(now.generation > before.generation);
    record_pairs(&store, &before, &[(b"/data/1.mkv", "3")]);
    let all = store
        .read(|connection| all_matches_of(connection, row.id))
        .expect("read");
    let (_, recorded) = all[b"/data/1.mkv".as_slice()];
    let now = LibraryRows(&store).library_row(row.id).expect("a row");
    assert!(recorded > now.listed_sequence, "the listing that is older overrules it");
    let told = StoreStates(&store).state(Some(view_id)).expect("state").changes;
    assert!(
        matches!(&told[0].change, Some(MemtableChange::Matched { sequence, .. }) if *sequence == recorded.0),
        "{told:?}"
    );
    // A later listing with another item is newer than the match; one with the same item changes nothing.
    let same = listed(&store, view_id, &now, &[movie("2", "/data/1.mkv")]);
    assert!(same.listed_sequence < recorded);
    let other = listed(&store, view_id, &same, &[movie("4", "/data/1.mkv")]);
    assert!(other.listed_sequence > recorded);
}

#[cfg(unix)]
#[test]
fn a_folder_whose_path_is_too_long_for_sqlite_is_refused_before_it_is_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a path");
    let name = "n".repeat(200);
    let parent = root.join(&name);
    let used = parent.as_os_str().len() + 1;
    let [longest, longer] = [477, 478].map(|length| {
        let rest = length - used;
        parent.join("m".repeat(rest - 101)).join("l".repeat(100))
    });
    let error = Store::open(&longer, true).err().expect("refused");
    assert!(error.to_string().contains("at most 477"), "{error}");
    assert!(!parent.exists(), "nothing is created");
    drop(Store::open(&longest, true).expect("opens"));
}

#[test]
fn a_database_of_another_program_is_renamed() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite::Connection::open(folder.path().join("plexindex-1.db")).expect("connects");
    connection
        .execute_batch("CREATE TABLE films (title TEXT)")
        .expect("written");
    drop(connection);
    let store = Store::open(folder.path(), true).expect("opens");
    Totals::add(&store, 1, 0, Deadline::NONE).expect("written");
    assert!(folder.path().join("plexindex-1.db.broken").exists());
}

/// A token by number, which expires after `weeks` weeks and was given on `day`.
fn token(number: u8, weeks: i64, day: i64) -> Endpoint {
    Endpoint {
        user_hash: vec![number; 32],
        until_ms: NOW_MS + weeks * 7 * DAY_MS,
        first_used_ms: NOW_MS + day * DAY_MS,
        ..endpoint("http://a")
    }
}

#[test]
fn an_accepted_token_is_remembered_until_it_expires() {
    let (_folder, store) = opened();
    let (first, user) = (server("one"), Some([1; 32]));
    let known = |endpoint: &Endpoint| LibraryRows(&store).view_id(endpoint).expect("read");
    let ann = LibraryRows(&store)
        .store_accepted_token(&token(1, 1, 0), &first, user, Deadline::NONE)
        .expect("noted");
    let claimed = LibraryRows(&store)
        .find_claimed_view(&token(2, 2, 1), [1; 32])
        .expect("read");
    assert_eq!(claimed, Some(ann), "the same user");
    LibraryRows(&store)
        .store_accepted_claim(&token(2, 2, 1), ann, Deadline::NONE)
        .expect("noted");
    assert_eq!(
        LibraryRows(&store)
            .store_accepted_token(&token(3, 2, 1), &first, user, Deadline::NONE)
            .expect("noted"),
        ann
    );
    for day in 0..7 {
        let both = [1, 2].map(|number| known(&token(number, number.into(), day)));
        assert_eq!(both, [Some(ann); 2], "both are good");
    }
    assert_eq!(known(&token(1, 1, 7)), None, "the first one has expired");
    // The server's clock may differ: an expired token that it accepts is remembered for a day.
    for day in [8, 10] {
        assert_eq!(known(&token(1, 1, day)), None);
        assert_eq!(
            LibraryRows(&store)
                .store_accepted_token(&token(1, 1, day), &first, user, Deadline::NONE)
                .expect("noted"),
            ann
        );
        assert_eq!(known(&token(1, 1, day)), Some(ann));
    }
    // It is known that a URL led to Ann's identity as long as that identity has libraries.
    let rows = "SELECT count(*) FROM endpoints";
    assert_eq!(count(&store, rows), 3);
    assert_eq!(
        LibraryRows(&store)
            .store_accepted_token(&token(4, 9, 40), &first, user, Deadline::NONE)
            .expect("noted"),
        ann
    );
    assert_eq!(
        count(&store, rows),
        4,
        "an index that is open goes on by an expired one"
    );
    assert_eq!(
        LibraryRows(&store)
            .store_accepted_token(&token(4, 9, 44), &first, user, Deadline::NONE)
            .expect("noted"),
        ann
    );
    assert_eq!(count(&store, rows), 1);
    // A user without a name is known by the token only.
    let one = LibraryRows(&store)
        .store_accepted_token(&token(5, 9, 30), &first, None, Deadline::NONE)
        .expect("noted");
    let two = LibraryRows(&store)
        .store_accepted_token(&token(6, 9, 30), &first, None, Deadline::NONE)
        .expect("noted");
    assert!(one != two && one != ann && two != ann);
}

#[test]
fn another_url_opens_an_identity_by_the_same_token_only() {
    let (_folder, store) = opened();
    let (first, user) = (server("one"), Some([1; 32]));
    let elsewhere = |number, weeks, day| Endpoint {
        url: "http://b".to_owned(),
        ..token(number, weeks, day)
    };
    let accepted = |endpoint: &Endpoint, user| {
        LibraryRows(&store)
            .store_accepted_token(endpoint, &first, user, Deadline::NONE)
            .expect("noted")
    };
    let ann = accepted(&token(1, 1, 0), user);
    accepted(&token(2, 2, 7), user);
    // Another URL of the server: a token accepted at the first URL opens the identity, and later tokens of the user do
    // too.
    assert_eq!(accepted(&elsewhere(2, 2, 8), user), ann);
    assert_eq!(accepted(&elsewhere(3, 3, 15), user), ann);
    assert_eq!(accepted(&token(3, 3, 15), user), ann);
    // At a third URL neither a token's claims nor an expired token open the identity.
    let third = |number, weeks, day| Endpoint {
        url: "http://c".to_owned(),
        ..token(number, weeks, day)
    };
    assert_eq!(
        LibraryRows(&store)
            .find_claimed_view(&third(4, 3, 15), [1; 32])
            .expect("read"),
        None
    );
    let forged = accepted(&third(4, 3, 15), user);
    assert_ne!(forged, ann);
    for expired in [1, 2] {
        let other = accepted(&third(expired, expired.into(), 15), None);
        assert!(other != ann && other != forged, "{expired}");
    }
    // Neither does a request without a token.
    let nobody = |url: &str| Endpoint {
        user_hash: [url.as_bytes(), &[0; 3]].concat(),
        until_ms: 0,
        ..endpoint(url)
    };
    let here = accepted(&nobody("http://a"), None);
    assert_ne!(accepted(&nobody("http://c"), None), here);
    assert_eq!(accepted(&nobody("http://a"), None), here);
    // A token accepted at the third URL opens nothing at Ann's, where the same user continues.
    assert_eq!(LibraryRows(&store).view_id(&token(4, 3, 15)).expect("read"), None);
    assert_eq!(accepted(&token(5, 4, 16), user), ann);
}

#[test]
fn items_added_singly_between_two_evictions_are_swept() {
    let (_folder, store) = opened();
    let mine = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let mut row = probed(&store, mine, &["films"], NOW_MS).remove(0);
    for round in 0..3 {
        row = listed(
            &store,
            mine,
            &row,
            &[movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")],
        );
        assert_eq!(paths(&store, &row).len(), 2);
        assert!(
            LibraryRows(&store)
                .evict(row.id, NOW_MS + DAY_MS, Deadline::NONE)
                .expect("evicted"),
            "{round}"
        );
        while Sweeper(&store).sweep(1, Deadline::NONE).expect("swept") {}
        assert_eq!(count(&store, SINGLE_ITEMS), 0, "{round}");
        row = probed(&store, mine, &["films"], NOW_MS).remove(0);
        ItemRows(&store)
            .merge_items(&row, &[movie("2", "/data/2.mkv")], None, Deadline::NONE)
            .expect("merged");
        while Sweeper(&store).sweep(1, Deadline::NONE).expect("swept") {}
        assert_eq!(count(&store, SINGLE_ITEMS), 1, "{round}");
    }
}

/// The folder's limit removes history until there is none; if it never ended, a call would never return.
#[test]
fn the_history_of_an_evicted_library_is_removed_once() {
    let (_folder, store) = opened();
    let mine = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, mine, &["films"], NOW_MS).remove(0);
    let items = [movie("1", "/data/1.mkv"), movie("2", "/data/2.mkv")];
    let row = listed(&store, mine, &row, &items);
    assert!(
        LibraryRows(&store)
            .evict(row.id, NOW_MS + DAY_MS, Deadline::NONE)
            .expect("evicted")
    );
    let row = probed(&store, mine, &["films"], NOW_MS).remove(0);
    ItemRows(&store)
        .merge_items(&row, &items[1..], None, Deadline::NONE)
        .expect("merged");
    ItemRows(&store)
        .remove_items(&row, &["2"], Deadline::NONE)
        .expect("removed");
    FeedRows(&store).remove_all_history(Deadline::NONE).expect("forgotten");
    assert!(!FeedRows(&store).remove_all_history(Deadline::NONE).expect("forgotten"));
}

/// A process that dies between the commit and the page's update leaves a page that no reader trusts.
#[test]
#[cfg_attr(windows, ignore = "there is no page")]
fn a_transaction_is_announced_before_its_commit() {
    let (_folder, store) = opened();
    let state = || store.opened.newest().state(coarse_ms());
    let before = store.write(Deadline::NONE, |tx| Ok(tx.sequence)).expect("written");
    assert_eq!(state(), PageState::Equal(before.0));
    let amid = store.write(Deadline::NONE, |_| Ok(state())).expect("written");
    assert_eq!(amid, PageState::Pending);
    assert_eq!(state(), PageState::Equal(before.next().0));
}
