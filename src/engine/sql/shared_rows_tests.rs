use std::collections::BTreeMap;

use super::*;
use crate::engine::sql::for_tests::{Films, Random, film, written};
use crate::engine::sql::record_encoding::encode_match;
use crate::engine::sql::{Invalidated, LibraryRows, RecordRows};

const DIGEST: u64 = 7;

fn shared() -> Films {
    let films = Films::with(&[film(1), film(2), film(3)]);
    SharedRows(&films.store)
        .begin(films.view_id, DIGEST, Deadline::NONE)
        .expect("begun");
    films
}

fn row(films: &Films, path: &str, key: Option<&str>, at: i64) -> SharedRow {
    SharedRow {
        library: films.row().library.uuid,
        path: path.as_bytes().to_vec(),
        rating_key: key.map(str::to_owned),
        at: RecordTime(at),
    }
}

fn add(films: &Films, rows: &[SharedRow]) {
    let added = SharedRows(&films.store).add(films.view_id, rows, u64::MAX, Deadline::NONE);
    added.expect("added");
}

fn state(films: &Films) -> SharedState {
    let state = SharedRows(&films.store).state(films.view_id, DIGEST).expect("read");
    state.expect("it is shared")
}

/// What waits for delivery: paths, and rating keys.
fn waiting(films: &Films) -> Vec<(String, Option<String>)> {
    let found = SharedRows(&films.store).undelivered(films.view_id, state(films).delivered, 100);
    let named = |row: SharedRow| (String::from_utf8(row.path).expect("text"), row.rating_key);
    found.expect("read").rows.into_iter().map(named).collect()
}

fn recorded(films: &Films) -> BTreeMap<Vec<u8>, String> {
    RecordRows(&films.store).all_matches(films.id).expect("read")
}

fn set_delivered(films: &Films, upto: i64) {
    let read = state(films).read;
    let step = SharedStep {
        from: read,
        to: Some(read),
        delivered: upto,
    };
    let applied = SharedRows(&films.store).apply((films.view_id, DIGEST), &[], &[], step, u64::MAX);
    assert!(applied.expect("applied").is_some());
}

fn invalidate(films: &Films, path: &str) {
    let gone = Invalidated {
        library: films.id,
        path: path.as_bytes(),
        rating_key: "",
    };
    LibraryRows(&films.store)
        .invalidate(&[gone], Deadline::NONE)
        .expect("invalidated");
}

#[test]
fn a_spelling_that_a_later_one_replaces_goes_on_every_host() {
    let [films, other] = [shared(), shared()];
    films.record(&[(b"D:/x.mkv", "1")]);
    let share = || {
        let found = SharedRows(&films.store).undelivered(films.view_id, 0, 100);
        add(&other, &found.expect("read").rows);
    };
    share();
    films.record(&[(b"D:\\x.mkv", "2")]);
    share();
    for host in [&films, &other] {
        assert_eq!(
            recorded(host),
            BTreeMap::from([(b"D:\\x.mkv".to_vec(), "2".to_owned())])
        );
    }
    // What another host takes back in its spelling is this file's.
    add(&films, &[row(&films, "D:/x.mkv", None, i64::MAX / 2)]);
    assert_eq!(recorded(&films), BTreeMap::new());
}

/// An earlier version recorded a file once in each spelling.
#[test]
fn a_removal_leaves_no_other_spelling() {
    let films = shared();
    films.record(&[(b"D:/x.mkv", "1")]);
    let table = films.row().matches.expect("a table");
    written(&films.store, |tx| {
        let (id, form) = (tx.next_row_id(), normal_form(b"D:/x.mkv"));
        let (spelling, sum) = encode_match(id, table, (&form, br"D:\x.mkv"), "2");
        tx.run(
            "INSERT INTO matches (id, in_table, form, spelling, item, at, total, sum) VALUES (?1, ?2, ?3, ?4, '2', 5, 0, ?5)",
            params![id, table, form, spelling, sum ^ 5],
        )
    });
    assert_eq!(recorded(&films).len(), 2);
    add(&films, &[row(&films, "d:/x.mkv", None, i64::MAX / 2)]);
    assert_eq!(recorded(&films), BTreeMap::new());
}

/// In whatever order rows arrive, twice or late, the map is the same.
#[test]
fn rows_in_any_order_make_the_same_map() {
    let rows = |films: &Films| {
        vec![
            row(films, "/h/1.mkv", Some("1"), 10),
            row(films, "/h/1.mkv", Some("2"), 30),
            row(films, "/h/1.mkv", None, 20),
            row(films, "/h/2.mkv", Some("1"), 10),
            row(films, "/h/2.mkv", None, 10),
            row(films, "/h/3.mkv", Some("1"), 40),
            row(films, "/h/3.mkv", Some("3"), 40),
            row(films, "", None, 15),
            row(films, "/h/4.mkv", Some("1"), 14),
            // What was recorded before the item was taken back is gone, and brings nothing earlier of its path back.
            row(films, "\0item\x009", None, 50),
            row(films, "/h/5.mkv", Some("9"), 49),
            row(films, "/h/6.mkv", Some("9"), 51),
            row(films, "/h/7.mkv", Some("8"), 44),
            row(films, "/h/7.mkv", Some("9"), 45),
            SharedRow {
                library: String::new(),
                ..row(films, "", None, 12)
            },
            // Another spelling of a file takes back an earlier match, also one that arrives later.
            row(films, r"\\?\D:\10.mkv", Some("1"), 48),
            row(films, "d:/./10.mkv", None, 49),
            row(films, "/h//11.mkv/", Some("1"), 48),
            row(films, "/h/11.mkv", None, 49),
            row(films, "/h/12.mkv", Some("1"), 48),
            row(films, "/h/12.MKV", None, 49),
        ]
    };
    let mut random = Random(1);
    let expected = BTreeMap::from([
        (b"/h/1.mkv".to_vec(), "2".to_owned()),
        (b"/h/3.mkv".to_vec(), "3".to_owned()),
        (b"/h/6.mkv".to_vec(), "9".to_owned()),
        (b"/h/12.mkv".to_vec(), "1".to_owned()),
    ]);
    for round in 0..40 {
        let films = shared();
        let mut rows = rows(&films);
        for place in (1..rows.len()).rev() {
            rows.swap(place, random.place(place + 1));
        }
        rows.push(rows[random.place(rows.len())].clone());
        for part in rows.chunks(1 + random.place(rows.len())) {
            add(&films, part);
        }
        assert_eq!(recorded(&films), expected, "round {round}");
    }
}

#[test]
fn what_a_host_records_and_takes_back_waits_in_its_order() {
    let films = shared();
    films.record(&[(b"/h/1.mkv", "1"), (b"/h/2.mkv", "2")]);
    invalidate(&films, "/h/1.mkv");
    invalidate(&films, "/h/unknown.mkv");
    let [two, one, unknown] = ["/h/2.mkv", "/h/1.mkv", "/h/unknown.mkv"].map(str::to_owned);
    let expected = [(two, Some("2".to_owned())), (one, None), (unknown, None)];
    assert_eq!(waiting(&films), expected);
    let rows = SharedRows(&films.store);
    let upto = rows.undelivered(films.view_id, 0, 2).expect("read").upto;
    set_delivered(&films, upto);
    assert_eq!(waiting(&films), expected[2..]);
    set_delivered(&films, rows.undelivered(films.view_id, upto, 100).expect("read").upto);
    assert_eq!(waiting(&films), []);
    // Whoever begins anew offers everything.
    rows.begin(films.view_id, DIGEST + 1, Deadline::NONE).expect("begun");
    assert_eq!(waiting(&films), [], "another process");
    let all = rows.undelivered(films.view_id, 0, 100).expect("read");
    assert_eq!(all.rows.len(), 3);
}

/// Another host may know more of its paths.
#[test]
fn an_item_is_taken_back_with_a_row_of_its_own() {
    let films = shared();
    films.record(&[(b"/h/1.mkv", "1")]);
    let rows = RecordRows(&films.store);
    rows.invalidate_item(films.id, "1");
    rows.invalidate_item(films.id, "2");
    let [one, two] = ["1", "2"].map(|key| String::from_utf8(path_of_item(key)).expect("text"));
    let expected = ["/h/1.mkv".to_owned(), one, two].map(|path| (path, None));
    assert_eq!(waiting(&films), expected);
    films.record(&[(b"/h/1.mkv", "1")]);
    let all = SharedRows(&films.store)
        .undelivered(films.view_id, 0, 100)
        .expect("read")
        .rows;
    let [.., ended, again] = &all[..] else {
        panic!("{all:?}")
    };
    assert!(again.rating_key.is_some() && again.at > ended.at, "{all:?}");
}

#[test]
fn a_host_that_does_not_share_keeps_nothing_of_what_it_takes_back() {
    let films = Films::with(&[film(1)]);
    films.record(&[(b"/h/1.mkv", "1")]);
    invalidate(&films, "/h/1.mkv");
    RecordRows(&films.store).invalidate_item(films.id, "1");
    films.invalidate_libraries(None);
    assert_eq!(films.count("SELECT count(*) FROM taken_back"), 0);
}

/// Also if this host's clock is behind.
#[test]
fn a_record_is_later_than_all_that_is_known() {
    let films = shared();
    let far = RecordTime::at_us(3_000_000_000_000_000).0; // the year 2065
    add(
        &films,
        &[
            row(&films, "/h/1.mkv", Some("1"), far),
            row(&films, "/h/2.mkv", None, far),
        ],
    );
    films.record(&[(b"/h/1.mkv", "2"), (b"/h/2.mkv", "2"), (b"/h/3.mkv", "3")]);
    let all = SharedRows(&films.store)
        .undelivered(films.view_id, 0, 100)
        .expect("read");
    let later: Vec<bool> = all.rows.iter().map(|row| row.at.0 > far).collect();
    // The row that was taken back stays, and is earlier than the new match. So is what an evicted match was, of any path.
    assert_eq!(later, [false, true, true, true]);
    invalidate(&films, "/h/1.mkv");
    films.invalidate_libraries(Some(films.id));
    let all = SharedRows(&films.store)
        .undelivered(films.view_id, 0, 100)
        .expect("read");
    let [.., path, library] = &all.rows[..] else {
        panic!("{all:?}")
    };
    assert!(library.path.is_empty() && library.at > path.at && path.at.0 > far);
}

#[test]
fn the_clock_is_that_of_the_shared_database() {
    let films = shared();
    let hour_us = 3_600_000_000;
    for difference_us in [hour_us, -hour_us, 0] {
        SharedRows(&films.store).set_clock(difference_us).expect("set");
        films.record(&[(b"/h/1.mkv", "1")]);
        films.record(&[(b"/h/2.mkv", "1")]);
    }
    let all = SharedRows(&films.store)
        .undelivered(films.view_id, 0, 100)
        .expect("read");
    // A path gets later each time; its first time was an hour ahead.
    assert!(all.rows[1].at > all.rows[0].at && all.rows.len() == 2);
    // What takes back all of a library is later than a match that was made when the clock was ahead.
    SharedRows(&films.store).set_clock(2 * hour_us).expect("set");
    films.record(&[(b"/h/3.mkv", "1")]);
    let match_row = SharedRows(&films.store)
        .undelivered(films.view_id, all.upto, 1)
        .expect("read");
    SharedRows(&films.store).set_clock(0).expect("set");
    films.invalidate_libraries(Some(films.id));
    let library_row = SharedRows(&films.store)
        .undelivered(films.view_id, 0, 100)
        .expect("read");
    assert!(library_row.rows.len() == 1 && library_row.rows[0].at > match_row.rows[0].at);
}

#[test]
fn what_another_process_has_read_is_not_read_again() {
    let films = shared();
    let [zero, one, two] = [(0, 0), (5, 6), (9, 8)].map(|(seq, mark)| SharedPosition { seq, mark });
    let rows = SharedRows(&films.store);
    let apply = |path: &str, from, to: Option<SharedPosition>, delivered| {
        let step = SharedStep { from, to, delivered };
        let read = [row(&films, path, Some("1"), 10)];
        let applied = rows.apply((films.view_id, DIGEST), &read, &[], step, u64::MAX);
        applied.expect("applied")
    };
    let delivered = apply("/h/1.mkv", zero, None, 0).expect("ours");
    assert_eq!(state(&films).delivered, 0, "not before everything is read");
    let delivered = apply("/h/2.mkv", zero, Some(one), delivered).expect("ours");
    assert_eq!(apply("/h/3.mkv", zero, Some(two), delivered), None);
    assert_eq!(state(&films).read, one);
    assert_eq!(recorded(&films).len(), 2);
    assert_eq!(waiting(&films), [], "what was read need not be delivered");
    // Unless something waits, which the number of the last delivered row cannot tell apart.
    films.record(&[(b"/h/own.mkv", "1")]);
    assert_eq!(apply("/h/4.mkv", one, Some(two), delivered), Some(delivered));
    assert_eq!(waiting(&films).len(), 2);
}

/// A page is merged in several transactions. A process that is killed between two of them reads all of the page again.
#[test]
fn a_page_that_was_merged_in_part_is_read_again() {
    let films = shared();
    films.record(&[(b"/h/own.mkv", "1")]);
    let page = [("/h/1.mkv", Some("2")), ("/h/2.mkv", None)].map(|(path, key)| row(&films, path, key, 10));
    let apply = |part: &[SharedRow], to| {
        let SharedState { read, delivered, .. } = state(&films);
        let step = SharedStep {
            from: read,
            to,
            delivered,
        };
        let applied = SharedRows(&films.store).apply((films.view_id, DIGEST), part, &[], step, u64::MAX);
        assert!(applied.expect("applied").is_some());
    };
    apply(&page[..1], None);
    assert_eq!(state(&films), SharedState::default());
    apply(&page[..1], None);
    apply(&page[1..], Some(SharedPosition { seq: 5, mark: 6 }));
    let expected = [("/h/1.mkv", "2"), ("/h/own.mkv", "1")].map(|(path, key)| (path.into(), key.to_owned()));
    assert_eq!(recorded(&films), BTreeMap::from(expected));
    let own = ("/h/own.mkv".to_owned(), Some("1".to_owned()));
    assert!(waiting(&films).contains(&own), "no other host has it");
}

#[test]
fn what_differs_is_doubted() {
    let films = shared();
    let doubts = || films.count("SELECT count(*) FROM doubts");
    films.record(&[(b"/h/1.mkv", "1"), (b"/h/2.mkv", "1")]);
    add(&films, &[row(&films, "/h/3.mkv", Some("2"), 10)]);
    assert_eq!(doubts(), 0, "nothing is known of the path");
    let later = RecordTime::at_us(3_000_000_000_000_000).0;
    add(&films, &[row(&films, "/h/1.mkv", Some("1"), later)]);
    assert_eq!(doubts(), 0, "the same item");
    add(&films, &[row(&films, "/h/1.mkv", Some("2"), later + 1)]);
    assert_eq!(doubts(), 1);
    add(&films, &[row(&films, "/h/2.mkv", None, later)]);
    assert_eq!(doubts(), 2);
    let rows = SharedRows(&films.store);
    let unlisted = [(films.id, "77".to_owned())];
    let step = SharedStep {
        from: state(&films).read,
        ..SharedStep::default()
    };
    // A row that was known raises no doubt.
    for (path, at, count) in [("/h/3.mkv", 9, 2), ("/h/4.mkv", 10, 3)] {
        let row = row(&films, path, Some("77"), at);
        let applied = rows.apply((films.view_id, DIGEST), &[row], &unlisted, step, u64::MAX);
        assert!(applied.expect("applied").is_some());
        assert_eq!(doubts(), count, "an item that the library does not list");
    }
}

/// A match that goes to keep the size limit is not taken back, and is counted if nobody else has it.
#[test]
fn an_eviction_is_no_removal() {
    let films = shared();
    let rows = SharedRows(&films.store);
    films.record(&[(b"/h/1.mkv", "1")]);
    let upto = rows.undelivered(films.view_id, 0, 100).expect("read").upto;
    set_delivered(&films, upto);
    films.record(&[(b"/h/2.mkv", "1")]);
    let evicted =
        RecordRows(&films.store).record_matches(&films.row(), (&[(b"/h/3.mkv", "1")], false), &[], 80, Deadline::NONE);
    evicted.expect("recorded").expect("a library");
    assert_eq!(recorded(&films).len(), 1);
    assert_eq!(films.count("SELECT count(*) FROM taken_back"), 0);
    assert_eq!(state(&films).lost, 1);
}

#[test]
fn what_was_taken_back_is_forgotten_after_a_year() {
    let films = shared();
    let [old, now] = [1_700_000_000_000_000, 1_800_000_000_000_000].map(|us| RecordTime::at_us(us).0);
    // The first one is of an earlier version's log.
    let times = [("/h/0.mkv", 1), ("/h/1.mkv", old)];
    add(&films, &times.map(|(path, at)| row(&films, path, None, at)));
    let rows = SharedRows(&films.store);
    rows.forget_old(films.view_id, 1_800_000_000_000_000)
        .expect("the clock may be wrong");
    assert_eq!(films.count("SELECT count(*) FROM taken_back"), 2);
    add(&films, &[row(&films, "/h/2.mkv", None, now)]);
    rows.forget_old(films.view_id, 1_800_000_000_000_000)
        .expect("forgotten");
    rows.forget_old(films.view_id, 1_800_000_000_000_000)
        .expect("forgotten");
    assert_eq!(films.count("SELECT count(*) FROM taken_back"), 2);
}

/// A library, a path, a match and an item.
#[test]
fn what_waited_for_a_log_is_read_once() {
    let films = shared();
    let own = [("/h/gone.mkv", "2"), ("/h/kept.mkv", "3")];
    add(&films, &own.map(|(path, key)| row(&films, path, Some(key), 9)));
    let library = films.row().library.uuid;
    for (kind, key, body) in [
        (7, "", ""),
        (6, "/h/3.mkv", ""),
        (4, "/h/1.mkv", "1"),
        (5, "2", "1"),
        (5, "1", ""),
    ] {
        let entry = "INSERT INTO outbox (view_id, kind, library, key, body) \
                     VALUES (?1, ?2, ?3, CAST(?4 AS BLOB), CAST(?5 AS BLOB))";
        let values = params![films.view_id, kind, library, key, body];
        written(&films.store, |tx| tx.run(entry, values));
    }
    let rows = SharedRows(&films.store);
    let found = rows.waiting(films.view_id).expect("read");
    let expected = [
        ("", None, 1),
        ("/h/3.mkv", None, 2),
        ("/h/1.mkv", Some("1"), 3),
        ("\0item\x002", None, 4),
    ];
    assert_eq!(
        found,
        expected.map(|(path, key, id)| row(&films, path, key, WAITING + id))
    );
    rows.adopt(films.view_id, &found).expect("adopted");
    assert_eq!(rows.waiting(films.view_id).expect("read"), []);
    let kept = [("/h/1.mkv", "1"), ("/h/kept.mkv", "3")].map(|(path, key)| (path.into(), key.to_owned()));
    assert_eq!(recorded(&films), BTreeMap::from(kept), "what it has stays");
    assert_eq!(films.count("SELECT count(*) FROM outbox"), 0);
}
