//! What every log does: in memory, and in `PostgreSQL`.

use std::thread;
use std::time::{Duration, Instant};

use plexindex_sharing::{EntryKind, EntryPage, NewEntry, Position};

use crate::fixture::{A, B, Fixture, NONE, append, entry, facts, matched, memory, name, postgres};
use crate::sizes::{a_page_has_few_bytes, too_large_entries_are_passed_over};

/// Makes a test of each function for each log.
macro_rules! tests {
    ($($name:ident)* => $($notified:ident)*) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name(&super::memory()); })*
            $(#[test] fn $notified() { super::$notified(&super::memory()); })*
        }
        mod in_postgres {
            $(#[test] fn $name() {
                if let Some(fixture) = super::postgres() {
                    super::$name(&fixture);
                }
            })*
            $(#[test] fn $notified() {
                if let Some(fixture) = super::postgres() {
                    super::$notified(&fixture);
                }
            })*
        }

        /// Runs the tests that need no notification, each with a log of this function.
        pub fn each_that_needs_no_notification(fixture: impl Fn() -> Fixture) {
            $($name(&fixture());)*
        }
    };
}

tests! {
    numbers_ascend
    the_last_of_a_name_wins
    entries_are_found_by_name
    a_long_reading_goes_on
    an_unknown_position_starts_over
    a_cleared_log_starts_over
    views_are_apart
    entries_are_delivered_once
    nothing_is_delivered_after_a_backup_was_restored
    an_invalid_library_voids_what_was_before
    invalid_items_and_paths_void_their_matches
    threads_write_without_gaps
    a_summary_counts
    the_secret_stays
    =>
    waiting_ends_with_an_entry
    waiting_ends_when_interrupted
    too_large_entries_are_passed_over
    a_page_has_few_bytes
}

fn numbers_ascend(fixture: &Fixture) {
    assert_eq!(fixture.read(Position::default(), 10), EntryPage::default());
    fixture.append(&[matched("1", "a"), matched("2", "b")]);
    fixture.append(&[matched("3", "c")]);
    let news = fixture.read(Position::default(), 10);
    assert_eq!(facts(&news.entries), "1 1 a, 2 2 b, 3 3 c");
    assert_eq!(
        (news.position.number, news.has_more, news.starts_over),
        (3, false, false)
    );
    let first = &news.entries[0];
    assert_eq!((&*first.name.library, first.name.kind), ("movies", EntryKind::Match));
}

fn the_last_of_a_name_wins(fixture: &Fixture) {
    fixture.append(&[matched("1", "old"), matched("2", "b")]);
    let before = fixture.read(Position::default(), 10).position;
    fixture.append(&[matched("1", "middle"), matched("1", "new")]);
    assert_eq!(facts(&fixture.all()), "2 2 b, 4 1 new");
    let news = fixture.read(before, 10);
    assert_eq!(facts(&news.entries), "4 1 new");
    assert!(!news.starts_over);
    // A name is kind, library and key.
    let others = [
        entry(EntryKind::InvalidItem, "movies", "1", ""),
        entry(EntryKind::Match, "shows", "1", "y"),
    ];
    fixture.append(&others);
    assert_eq!(fixture.all().len(), 4);
}

fn entries_are_found_by_name(fixture: &Fixture) {
    let long = "k".repeat(8192);
    fixture.append(&[matched("1", "a"), matched(&long, "b"), matched("3", "c")]);
    let names = [
        name(EntryKind::Match, "movies", &long),
        name(EntryKind::Match, "shows", "1"),
        matched("1", "").name,
    ];
    let mut found = fixture.log.find(fixture.view, &names, NONE).expect("found");
    found.sort_by_key(|entry| entry.number);
    assert_eq!(facts(&found), format!("1 1 a, 2 {long} b"));
    assert_eq!(fixture.log.find(fixture.view, &[], NONE), Ok(Vec::new()));
}

fn a_long_reading_goes_on(fixture: &Fixture) {
    let entries: Vec<_> = (0..10).map(|n| matched(&n.to_string(), "")).collect();
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
    fixture.append(&[matched("1", "a"), matched("2", "b")]);
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
    fixture.append(&[matched("1", "a"), matched("2", "b")]);
    let position = fixture.read(Position::default(), 10).position;
    let secret = fixture.log.secret(NONE);
    fixture.log.clear(NONE).expect("cleared");
    let news = fixture.read(position, 10);
    assert_eq!(
        (news.entries.len(), news.position, news.starts_over),
        (0, Position::default(), true)
    );
    // Hosts go on, with the view that they have.
    fixture.append(&[matched("3", "c"), matched("4", "d")]);
    let news = fixture.read(position, 10);
    assert_eq!(facts(&news.entries), "1 3 c, 2 4 d");
    assert!(news.starts_over);
    assert_eq!(fixture.log.view("server", b"viewer", NONE), Ok(fixture.view));
    assert_eq!(fixture.log.secret(NONE), secret);
}

fn views_are_apart(fixture: &Fixture) {
    let others = [("server", &b"other"[..]), ("other", b"viewer")];
    fixture.append(&[matched("1", "a")]);
    for (server, viewer) in others {
        let view = fixture.log.view(server, viewer, NONE).expect("a view");
        assert_ne!(view, fixture.view);
        assert_eq!(fixture.log.view(server, viewer, NONE), Ok(view));
        assert_eq!(
            fixture.log.read(view, A, Position::default(), 10, NONE),
            Ok(EntryPage::default())
        );
        append(&*fixture.log, view, &[matched("1", "b")]).expect("written");
    }
    assert_eq!(facts(&fixture.all()), "1 1 a");
}

fn numbered(numbers: &[u64], body: &str) -> Vec<(u64, NewEntry)> {
    let entry = |number: &u64| (*number, matched(&number.to_string(), body));
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
    use EntryKind::{InvalidItem, InvalidLibrary, Match};
    let of_movies = |kind| entry(kind, "movies", "1", "");
    fixture.append(&EntryKind::ALL.map(of_movies));
    fixture.append(&[
        entry(Match, "shows", "/b", "stays"),
        of_movies(InvalidItem),
        of_movies(InvalidLibrary),
        of_movies(Match),
    ]);
    let kinds: Vec<_> = fixture.all().iter().map(|entry| entry.name.kind).collect();
    assert_eq!(kinds, [Match, InvalidLibrary, Match]);
    let position = fixture.read(Position::default(), 1).position;
    fixture.append(&[of_movies(InvalidLibrary)]);
    let news = fixture.read(position, 10);
    assert_eq!((news.entries.len(), news.starts_over), (1, false), "{news:?}");
}

fn waiting_ends_with_an_entry(fixture: &Fixture) {
    let (log, view) = (&fixture.log, fixture.view);
    let minute = Duration::from_secs(60);
    fixture.append(&[matched("1", "a")]);
    assert_eq!(log.wait(view, 0, minute), Ok(true), "there is one");
    let mut last = 1;
    for round in 0..3 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wait(view, last, minute));
            // The wait may begin before the entry or after it.
            thread::sleep(Duration::from_millis(20 * (round % 2)));
            fixture.append(&[matched("1", "b")]);
            let begin = Instant::now();
            assert_eq!(waiting.join().expect("no panic"), Ok(true));
            assert!(begin.elapsed() < Duration::from_secs(20));
        });
        last += 1;
    }
    // The entries of others are no news.
    let other = log.view("other", b"viewer", NONE).expect("a view");
    append(&**log, other, &[matched("1", "a")]).expect("written");
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
                    fixture.append(&[matched(&key, ""), matched(&format!("{key} too"), "")]);
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
    let (first, second) = (matched("1", "a"), entry(EntryKind::InvalidItem, "movies", "1", ""));
    let of_a = [(1, first), (2, matched("2", "b")), (3, matched("2", "c")), (4, second)];
    for (host, entries) in [(A, &of_a[..]), (B, &[(4, matched("3", "d"))])] {
        assert_eq!(fixture.log.deliver(fixture.view, host, 0, entries, NONE), Ok(4));
    }
    let behind = |host, number| fixture.log.count_others(fixture.view, host, number, NONE);
    assert_eq!([behind(B, 0), behind(A, 2), behind(A, 9)], [Ok(3), Ok(1), Ok(0)]);
    let full = fixture.log.summary(NONE).expect("read");
    let [view] = full.as_slice() else { panic!("{full:?}") };
    assert_eq!((view.view, &*view.server), (fixture.view, "server"));
    assert_eq!((view.last, view.hosts), (5, 2));
    assert_eq!(view.entries, [(EntryKind::Match, 3), (EntryKind::InvalidItem, 1)]);
    assert!(view.bytes > 0 && view.age.is_some());
}

fn the_secret_stays(fixture: &Fixture) {
    let secret = fixture.log.secret(NONE).expect("there");
    assert_ne!(secret, [0; 32]);
    assert_eq!(fixture.log.secret(NONE), Ok(secret));
}
