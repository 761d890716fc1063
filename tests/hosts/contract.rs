//! What every log does: in memory, and in `PostgreSQL`.

use std::thread;
use std::time::{Duration, Instant};

use plexindex_sharing::{EntryKind, EntryPage, LEASE, Lease, NewEntry, Position};

use crate::fixture::{A, B, Fixture, NONE, SHORT, entry, facts, item, memory, name, postgres};
use crate::sizes::{a_page_has_few_bytes, a_too_large_chunk_is_none, too_large_entries_are_passed_over};

/// Makes a test of each function for each log.
macro_rules! tests {
    ($($name:ident $lease:expr,)* => $($notified:ident)*) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name(&super::memory()); })*
            $(#[test] fn $notified() { super::$notified(&super::memory()); })*
        }
        mod in_postgres {
            use super::{LEASE, SHORT};

            $(#[test] fn $name() {
                if let Some(fixture) = super::postgres($lease) {
                    super::$name(&fixture);
                }
            })*
            $(#[test] fn $notified() {
                if let Some(fixture) = super::postgres(LEASE) {
                    super::$notified(&fixture);
                }
            })*
        }

        /// Runs the tests that need no notification, each with a log of this function.
        pub fn each_that_needs_no_notification(fixture: impl Fn(Duration) -> Fixture) {
            $($name(&fixture($lease));)*
        }
    };
}

tests! {
    numbers_ascend LEASE,
    the_last_of_a_name_wins LEASE,
    entries_are_found_by_name LEASE,
    a_long_reading_goes_on LEASE,
    an_unknown_position_starts_over LEASE,
    a_cleared_log_starts_over LEASE,
    views_are_apart LEASE,
    entries_are_delivered_once LEASE,
    nothing_is_delivered_after_a_backup_was_restored LEASE,
    one_holds_a_lease LEASE,
    a_lease_expires SHORT,
    an_old_fence_writes_nothing SHORT,
    chunks_are_read_when_they_are_published LEASE,
    publishing_removes_what_it_includes LEASE,
    an_invalid_library_voids_what_was_before LEASE,
    invalid_items_and_paths_void_their_matches LEASE,
    threads_write_without_gaps LEASE,
    a_summary_counts LEASE,
    the_secret_stays LEASE,
    =>
    waiting_ends_with_an_entry
    waiting_ends_when_interrupted
    too_large_entries_are_passed_over
    a_page_has_few_bytes
    a_too_large_chunk_is_none
}

fn numbers_ascend(fixture: &Fixture) {
    assert_eq!(fixture.read(Position::default(), 10), EntryPage::default());
    fixture.append(&[item("1", "a"), item("2", "b")]);
    fixture.append(&[]);
    fixture.append(&[item("3", "c")]);
    let news = fixture.read(Position::default(), 10);
    assert_eq!(facts(&news.entries), "1 1 a, 2 2 b, 3 3 c");
    assert_eq!(
        (news.position.number, news.has_more, news.starts_over),
        (3, false, false)
    );
    let first = &news.entries[0];
    assert_eq!(
        (first.host, &*first.name.library, first.name.kind),
        (A, "movies", EntryKind::Item)
    );
    assert!(first.age < Duration::from_secs(60), "{:?}", first.age);
}

fn the_last_of_a_name_wins(fixture: &Fixture) {
    fixture.append(&[item("1", "old"), item("2", "b")]);
    let before = fixture.read(Position::default(), 10).position;
    fixture.append(&[item("1", "middle"), item("1", "new")]);
    assert_eq!(facts(&fixture.all()), "2 2 b, 4 1 new");
    let news = fixture.read(before, 10);
    assert_eq!(facts(&news.entries), "4 1 new");
    assert!(!news.starts_over);
    // A name is kind, library and key.
    let others = [
        entry(EntryKind::Match, "movies", "1", "x"),
        entry(EntryKind::Item, "shows", "1", "y"),
    ];
    fixture.append(&others);
    assert_eq!(fixture.all().len(), 4);
}

fn entries_are_found_by_name(fixture: &Fixture) {
    let long = "k".repeat(8192);
    fixture.append(&[item("1", "a"), item(&long, "b"), item("3", "c")]);
    let names = [
        name(EntryKind::Item, "movies", &long),
        name(EntryKind::Item, "shows", "1"),
        item("1", "").name,
    ];
    let mut found = fixture.log.find(fixture.view, &names, NONE).expect("found");
    found.sort_by_key(|entry| entry.number);
    assert_eq!(facts(&found), format!("1 1 a, 2 {long} b"));
    assert_eq!(fixture.log.find(fixture.view, &[], NONE), Ok(Vec::new()));
}

fn a_long_reading_goes_on(fixture: &Fixture) {
    let entries: Vec<_> = (0..10).map(|n| item(&n.to_string(), "")).collect();
    fixture.append(&entries);
    fixture.append(&entries[..2]);
    let (mut position, mut numbers) = (Position::default(), Vec::new());
    loop {
        let news = fixture.read(position, 3);
        assert!(!news.starts_over, "every position of a page is known");
        numbers.extend(news.entries.iter().map(|entry| entry.number));
        position = news.position;
        if !news.has_more {
            break;
        }
        assert_eq!(news.entries.len(), 3);
        assert_eq!(numbers.last(), Some(&position.number));
    }
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    assert_eq!(fixture.read(position, 3).entries, []);
    // What was replaced at the end is no reason to read again.
    fixture.append(&entries[9..]);
    fixture.append(&entries[9..]);
    let news = fixture.read(position, 1);
    assert_eq!(
        (news.entries.len(), news.position.number, news.has_more),
        (1, 14, false)
    );
}

fn an_unknown_position_starts_over(fixture: &Fixture) {
    fixture.append(&[item("1", "a"), item("2", "b")]);
    let position = fixture.read(Position::default(), 10).position;
    assert!(!fixture.read(position, 10).starts_over);
    let wrong_mark = Position {
        mark: position.mark ^ 1,
        ..position
    };
    let too_far = Position { number: 3, ..position };
    for unknown in [wrong_mark, too_far] {
        let news = fixture.read(unknown, 1);
        assert!(news.starts_over && news.has_more);
        assert_eq!(facts(&news.entries), "1 1 a");
        let rest = fixture.read(news.position, 10);
        assert_eq!(facts(&rest.entries), "2 2 b");
        assert!(!rest.starts_over);
    }
}

fn a_cleared_log_starts_over(fixture: &Fixture) {
    fixture.append(&[item("1", "a"), item("2", "b")]);
    let position = fixture.read(Position::default(), 10).position;
    let secret = fixture.log.secret(NONE);
    fixture.log.clear(NONE).expect("cleared");
    let news = fixture.read(position, 10);
    assert_eq!(
        (news.entries.len(), news.position, news.starts_over),
        (0, Position::default(), true)
    );
    // Hosts go on, with the view that they have.
    fixture.append(&[item("3", "c"), item("4", "d")]);
    let news = fixture.read(position, 10);
    assert_eq!(facts(&news.entries), "1 3 c, 2 4 d");
    assert!(news.starts_over);
    assert_eq!(fixture.log.view("server", b"viewer", NONE), Ok(fixture.view));
    assert_eq!(fixture.log.secret(NONE), secret);
}

fn views_are_apart(fixture: &Fixture) {
    let others = [("server", &b"other"[..]), ("other", b"viewer")];
    fixture.append(&[item("1", "a")]);
    for (server, viewer) in others {
        let view = fixture.log.view(server, viewer, NONE).expect("a view");
        assert_ne!(view, fixture.view);
        assert_eq!(fixture.log.view(server, viewer, NONE), Ok(view));
        assert_eq!(
            fixture.log.read(view, A, Position::default(), 10, NONE),
            Ok(EntryPage::default())
        );
        assert_eq!(fixture.log.append(view, A, &[item("1", "b")], None, NONE), Ok(true));
    }
    assert_eq!(facts(&fixture.all()), "1 1 a");
}

fn numbered(numbers: &[u64], body: &str) -> Vec<(u64, NewEntry)> {
    let entry = |number: &u64| (*number, item(&number.to_string(), body));
    numbers.iter().map(entry).collect()
}

fn entries_are_delivered_once(fixture: &Fixture) {
    let deliver = |host, known, numbers: &[u64], body| {
        fixture
            .log
            .deliver(fixture.view, host, known, &numbered(numbers, body), NONE)
    };
    assert_eq!(fixture.read(Position::default(), 1).delivered, 0);
    assert_eq!(deliver(A, 0, &[5, 7], "a"), Ok(7));
    assert_eq!(deliver(A, 0, &[5, 7], "again"), Ok(7));
    assert_eq!(deliver(A, 5, &[7, 8], "b"), Ok(8));
    assert_eq!(deliver(B, 0, &[1], "of B"), Ok(1));
    assert_eq!(fixture.read(Position::default(), 1).delivered, 8);
    let expected = "1 5 a, 2 7 a, 3 8 b, 4 1 of B";
    assert_eq!(facts(&fixture.all()), expected);
    assert_eq!(fixture.all()[3].host, B);
    fixture.log.clear(NONE).expect("cleared");
    assert_eq!(fixture.read(Position::default(), 1).delivered, 0);
}

/// A log that was restored knows less than the host, and a folder that was restored in place gives numbers of its own behind
/// those that the log has of it.
fn nothing_is_delivered_after_a_backup_was_restored(fixture: &Fixture) {
    let deliver = |known, numbers: &[u64]| {
        fixture
            .log
            .deliver(fixture.view, A, known, &numbered(numbers, "a"), NONE)
    };
    assert_eq!(deliver(5, &[6]), Ok(0));
    assert!(fixture.all().is_empty());
    assert_eq!(deliver(0, &[10, 20, 30]), Ok(30));
    assert_eq!(deliver(40, &[50]), Ok(30));
    // It knows the first only.
    for numbers in [&[31][..], &[31, 41], &[29, 31]] {
        assert_eq!(deliver(10, numbers), Ok(30), "{numbers:?}");
    }
    assert_eq!(fixture.all().len(), 3);
    // It knows all: an answer was lost.
    assert_eq!(deliver(10, &[20, 30, 40]), Ok(40));
    assert_eq!(deliver(40, &[50, 60]), Ok(60));
    assert_eq!(fixture.all().len(), 6);
}

fn one_holds_a_lease(fixture: &Fixture) {
    let first = fixture.lease("listing").expect("free");
    assert_eq!((first.view, &*first.task), (fixture.view, "listing"));
    assert_eq!(fixture.lease("listing"), None);
    assert!(fixture.lease("probe").is_some(), "of another name");
    assert_eq!(fixture.log.renew(&first, NONE), Ok(true));
    fixture.log.release(&first, NONE).expect("released");
    let second = fixture.lease("listing").expect("free again");
    assert!(second.fence > first.fence);
    fixture.log.release(&first, NONE).expect("of no effect");
    assert_eq!(fixture.log.renew(&first, NONE), Ok(false));
    assert_eq!(fixture.lease("listing"), None);
}

fn a_lease_expires(fixture: &Fixture) {
    let first = fixture.lease("listing").expect("free");
    let second = fixture.lease_after_expiry("listing");
    assert!(second.fence > first.fence);
    assert_eq!(fixture.log.renew(&first, NONE), Ok(false));
    assert_eq!(fixture.log.renew(&second, NONE), Ok(true));
    let third = fixture.lease_after_expiry("listing");
    assert!(third.fence > second.fence);
}

fn an_old_fence_writes_nothing(fixture: &Fixture) {
    let old = fixture.lease("listing").expect("free");
    let (log, head) = (&fixture.log, entry(EntryKind::Listing, "movies", "", "head"));
    let new = fixture.lease_after_expiry("listing");
    assert_eq!(
        log.append(fixture.view, A, &[item("1", "a")], Some(&old), NONE),
        Ok(false)
    );
    assert_eq!(log.put_chunk(&old, "movies", 0, b"chunk", NONE), Ok(false));
    assert_eq!(log.publish_listing(&old, A, &head, 0, NONE), Ok(false));
    assert_eq!(fixture.all(), []);
    // The newest one writes nothing when it has ended, since its holder may have slept; and writes when it is renewed.
    log.release(&new, NONE).expect("released");
    assert_eq!(log.publish_listing(&new, A, &head, 0, NONE), Ok(false));
    assert_eq!(fixture.all(), []);
    let renewed = |write: &dyn Fn() -> bool| {
        let begin = Instant::now();
        loop {
            assert_eq!(log.renew(&new, NONE), Ok(true));
            if write() {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "it is refused");
        }
    };
    renewed(&|| log.append(fixture.view, A, &[item("1", "a")], Some(&new), NONE) == Ok(true));
    renewed(&|| log.put_chunk(&new, "movies", 0, b"chunk", NONE) == Ok(true));
    renewed(&|| log.publish_listing(&new, A, &head, 0, NONE) == Ok(true));
    assert_eq!(
        log.chunk(fixture.view, "movies", new.fence, 0, NONE),
        Ok(Some(b"chunk".to_vec()))
    );
}

fn chunks_are_read_when_they_are_published(fixture: &Fixture) {
    let (log, view) = (&fixture.log, fixture.view);
    let chunk = |listing, number| log.chunk(view, "movies", listing, number, NONE).expect("asked");
    let publish = |lease: &Lease, body| {
        let head = entry(EntryKind::Listing, "movies", "", body);
        assert_eq!(log.publish_listing(lease, A, &head, 0, NONE), Ok(true));
    };
    let first = fixture.lease("listing").expect("free");
    let large = vec![7; 1 << 20];
    for (number, body) in [(0, &b"old"[..]), (0, b"zero"), (1, &large)] {
        assert_eq!(log.put_chunk(&first, "movies", number, body, NONE), Ok(true));
    }
    assert_eq!(chunk(first.fence, 0), None);
    publish(&first, "first");
    assert_eq!(chunk(first.fence, 0).as_deref(), Some(&b"zero"[..]));
    assert_eq!(chunk(first.fence, 1), Some(large));
    assert_eq!(chunk(first.fence, 2), None);
    assert_eq!(log.chunk(view, "shows", first.fence, 0, NONE), Ok(None));
    log.release(&first, NONE).expect("released");
    let second = fixture.lease("listing").expect("free");
    assert_eq!(log.put_chunk(&second, "movies", 0, b"second", NONE), Ok(true));
    assert_eq!(chunk(first.fence, 0).as_deref(), Some(&b"zero"[..]));
    assert_eq!(chunk(second.fence, 0), None);
    publish(&second, "second");
    assert_eq!(chunk(first.fence, 0), None);
    assert_eq!(chunk(second.fence, 0).as_deref(), Some(&b"second"[..]));
    assert_eq!(facts(&fixture.all()), "2  second");
    let bytes = log.summary(NONE).expect("read")[0].bytes;
    assert!(bytes < 1 << 20, "the first one's chunks are gone: {bytes}");
}

fn publishing_removes_what_it_includes(fixture: &Fixture) {
    let lease = fixture.lease("listing").expect("free");
    fixture.append(&[
        item("1", "included"),
        entry(EntryKind::Match, "movies", "/a", "1"),
        entry(EntryKind::Item, "shows", "1", "of another library"),
        item("2", "later"),
    ]);
    let head = entry(EntryKind::Listing, "movies", "", "head");
    assert_eq!(fixture.log.publish_listing(&lease, B, &head, 3, NONE), Ok(true));
    let left = "2 /a 1, 3 1 of another library, 4 2 later, 5  head";
    assert_eq!(facts(&fixture.all()), left);
}

fn invalid_items_and_paths_void_their_matches(fixture: &Fixture) {
    use EntryKind::{InvalidItem, InvalidPath, Match};
    fixture.append(&[
        entry(Match, "movies", "/a", "1"),
        entry(Match, "movies", "/b", "1"),
        entry(Match, "movies", "/c", "2"),
        entry(Match, "shows", "/a", "1"),
        entry(InvalidItem, "movies", "2", ""),
        entry(InvalidItem, "movies", "1", "with its matches"),
        entry(InvalidPath, "movies", "/c", ""),
        entry(Match, "movies", "/b", "1"),
    ]);
    let mut matches = fixture.all();
    matches.retain(|entry| entry.name.kind == Match);
    // A match that is void keeps its number: a host may have an earlier one of its path.
    assert_eq!(facts(&matches), "1 /a , 4 /a 1, 8 /b 1");
    let libraries: Vec<_> = matches.iter().map(|entry| &*entry.name.library).collect();
    assert_eq!(libraries, ["movies", "shows", "movies"]);
}

fn an_invalid_library_voids_what_was_before(fixture: &Fixture) {
    use EntryKind::{InvalidItem, InvalidLibrary, Item, Listing, Match, Probe};
    let of_movies = |kind| entry(kind, "movies", "1", "");
    fixture.append(&EntryKind::ALL.map(of_movies));
    fixture.append(&[
        entry(Match, "shows", "/b", "stays"),
        of_movies(InvalidItem),
        of_movies(InvalidLibrary),
        of_movies(Match),
    ]);
    let kinds: Vec<_> = fixture.all().iter().map(|entry| entry.name.kind).collect();
    assert_eq!(kinds, [Probe, Listing, Item, Match, InvalidLibrary, Match]);
    let position = fixture.read(Position::default(), 3).position;
    fixture.append(&[of_movies(InvalidLibrary)]);
    let news = fixture.read(position, 10);
    assert_eq!((news.entries.len(), news.starts_over), (2, false), "{news:?}");
}

fn waiting_ends_with_an_entry(fixture: &Fixture) {
    let (log, view) = (&fixture.log, fixture.view);
    let minute = Duration::from_secs(60);
    fixture.append(&[item("1", "a")]);
    assert_eq!(log.wait(view, 0, minute), Ok(true), "there is one");
    let mut last = 1;
    for round in 0..3 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wait(view, last, minute));
            // The wait may begin before the entry or after it.
            thread::sleep(Duration::from_millis(20 * (round % 2)));
            fixture.append(&[item("1", "b")]);
            let begin = Instant::now();
            assert_eq!(waiting.join().expect("no panic"), Ok(true));
            assert!(begin.elapsed() < Duration::from_secs(20));
        });
        last += 1;
    }
    // The entries of others are no news.
    let other = log.view("other", b"viewer", NONE).expect("a view");
    assert_eq!(log.append(other, A, &[item("1", "a")], None, NONE), Ok(true));
    assert_eq!(log.wait(view, last, Duration::from_millis(50)), Ok(false));
}

fn waiting_ends_when_interrupted(fixture: &Fixture) {
    let (log, view) = (&fixture.log, fixture.view);
    let minute = Duration::from_secs(60);
    log.interrupt();
    assert_eq!(log.wait(view, 0, minute), Ok(false), "the next one ends");
    for _ in 0..3 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wait(view, 0, minute));
            thread::sleep(Duration::from_millis(20));
            log.interrupt();
            assert_eq!(waiting.join().expect("no panic"), Ok(false));
        });
    }
}

fn threads_write_without_gaps(fixture: &Fixture) {
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for n in 0..10 {
                    let key = format!("{thread} {n}");
                    fixture.append(&[item(&key, ""), item(&format!("{key} too"), "")]);
                }
            });
        }
    });
    let all = fixture.all();
    let numbers: Vec<_> = all.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<_>>());
    for pair in all.chunks(2) {
        assert_eq!(
            [&pair[0].name.key, &b" too"[..]].concat(),
            pair[1].name.key,
            "one write is not split"
        );
    }
}

fn a_summary_counts(fixture: &Fixture) {
    let empty = fixture.log.summary(NONE).expect("read");
    assert_eq!((empty.len(), empty[0].last, empty[0].age), (1, 0, None));
    fixture.append(&[
        item("1", "a"),
        item("2", "b"),
        item("2", "c"),
        entry(EntryKind::Match, "movies", "/a", "1"),
    ]);
    let delivered = fixture.log.deliver(fixture.view, B, 0, &[(1, item("3", "d"))], NONE);
    assert_eq!(delivered, Ok(1));
    let behind = |host, number| fixture.log.count_others(fixture.view, host, number, NONE);
    assert_eq!([behind(B, 0), behind(A, 2), behind(A, 9)], [Ok(3), Ok(1), Ok(0)]);
    let full = fixture.log.summary(NONE).expect("read");
    let [view] = full.as_slice() else { panic!("{full:?}") };
    assert_eq!((view.view, &*view.server), (fixture.view, "server"));
    assert_eq!((view.last, view.hosts), (5, 2));
    assert_eq!(view.entries, [(EntryKind::Item, 3), (EntryKind::Match, 1)]);
    assert!(view.bytes > 0 && view.age.is_some());
}

fn the_secret_stays(fixture: &Fixture) {
    let secret = fixture.log.secret(NONE).expect("there");
    assert_ne!(secret, [0; 32]);
    assert_eq!(fixture.log.secret(NONE), Ok(secret));
}
