//! Files that Plex lists a moment after a lookup.

use super::*;
use crate::support::index::Match;

/// A query that asks the server in any case.
fn checked(library: &Library) -> Query<'_> {
    library.query().always_ask()
}

#[test]
fn a_checked_query_asks_however_fresh_the_listing_is() {
    let (at, _index, library) = Scene::movies(300).and_opened();
    let (known, _) = path_of(&at.server, 1, 7);
    library.ask(&known);
    at.server.reset();
    for round in 1..=3 {
        let answer = checked(&library).answer(&known);
        assert_eq!((answer.status, answer.stale), (Status::Ok, false));
        assert_eq!(requests(&at.server)[5], round, "one request each");
    }
    let new = "/data/movies/New (2020)/New (2020).mkv";
    checked(&library).answer(new);
    add(&at.server, &[new]);
    at.server.reset();
    let answer = checked(&library).answer(new);
    assert_eq!((answer.status, answer.match_kind), (Status::Ok, MatchKind::Exact));
    assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
    // A batch asks once, and a call that must not ask does not.
    at.server.reset();
    let paths: Vec<String> = (0..5).map(|nth| path_of(&at.server, 1, nth).0).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).chain([new]).collect();
    let answers = checked(&library).ask_batch(&paths);
    assert!(answers.iter().all(|answer| answer.status == Status::Ok));
    assert_eq!(requests(&at.server)[5], 1);
    let query = checked(&library).offline();
    assert_eq!(query.answer(new).status, Status::Ok);
    assert_eq!(requests(&at.server)[5], 1);
    // The server is down: the stored answer, marked.
    at.server.refuse();
    let answer = checked(&library).answer(known);
    assert_eq!((answer.status, answer.stale), (Status::Ok, true));
}

/// A new file's path.
fn new_path(number: usize) -> String {
    format!("/data/movies/New {number} (2020)/New {number} (2020).mkv")
}

fn told(answer: &Match) -> (Status, Reason, bool) {
    (answer.status, answer.reason, answer.stale)
}

/// The statuses, reasons and staleness of a batch's answers.
fn batch(library: &Library, paths: &[String]) -> Vec<(Status, Reason, bool)> {
    // However busy the machine is.
    let patient = library.query().no_timeout();
    patient.ask_batch(paths).iter().map(told).collect()
}

const FOUND: (Status, Reason, bool) = (Status::Ok, Reason::None, false);
const ABSENT: (Status, Reason, bool) = (Status::NotFound, Reason::NotListed, false);

#[test]
fn ten_imports_in_a_row_are_found_with_three_requests_each() {
    for items in [30, 6_000] {
        let at = Scene::movies(items);
        at.open().list();
        for number in 0..10 {
            // A new process each time, as a hook is.
            let index = at.open();
            let library = index.movies();
            add(&at.server, &[new_path(number)]);
            at.server.reset();
            let answer = library.ask(new_path(number));
            assert_eq!(told(&answer), FOUND, "{items}, {number}: {}", answer.message);
            assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
            at.clock.advance_ms(1_000);
        }
    }
}

#[test]
fn imports_that_plex_lists_later_are_found_when_they_are_asked_for_again() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    // The hook runs before Plex has scanned the file.
    for number in 0..10 {
        let answer = library.ask(new_path(number));
        assert_eq!(told(&answer), ABSENT, "{number}");
    }
    for number in 0..10 {
        add(&at.server, &[new_path(number)]);
        at.clock.advance_ms(31_000);
        at.server.reset();
        let answer = library.ask(new_path(number));
        assert_eq!(told(&answer), FOUND, "{number}");
        assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
    }
}

#[test]
fn twelve_imports_in_one_call_are_found_with_three_requests() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    for number in 100..103 {
        library.ask(new_path(number));
    }
    let paths: Vec<String> = (0..12).map(new_path).collect();
    add(&at.server, &paths);
    at.server.reset();
    assert_eq!(batch(&library, &paths), [FOUND; 12]);
    assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
    // Nothing is asked about a path that the same batch has asked about.
    at.server.reset();
    let absent: Vec<String> = (20..30).map(new_path).collect();
    for _ in 0..3 {
        assert_eq!(batch(&library, &absent), [ABSENT; 10]);
    }
    assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
}

#[test]
fn a_thousand_absent_files_cost_a_hundred_requests() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    // In one call, of an unchanged and of a changed library.
    for round in 0..2 {
        let path = |number| format!("/data/movies/Absent {round}/{number}.mkv");
        let paths: Vec<String> = (0..1_000).map(path).collect();
        at.server.reset();
        let answers = batch(&library, &paths);
        let other = answers.iter().enumerate().find(|(_, answer)| **answer != ABSENT);
        assert_eq!(other, None, "round {round}");
        assert!(requests(&at.server)[5] <= 10, "{:?}", requests(&at.server));
        add(&at.server, &[new_path(round)]);
        at.clock.advance_ms(31_000);
    }
    // In single calls, over 500 s.
    at.server.reset();
    let mut postponed = 0;
    for number in 0..1_000 {
        let path = format!("/data/movies/Alone {number} (2020).mkv");
        let answer = library.ask(path);
        let not_asked = (Status::NotFound, Reason::NotAsked, true);
        let told = told(&answer);
        assert!(told == ABSENT || told == not_asked, "{told:?}");
        postponed += usize::from(told == not_asked);
        at.clock.advance_ms(500);
    }
    assert!(requests(&at.server)[5] <= 100, "{:?}", requests(&at.server));
    assert!(postponed > 800, "what was not asked is marked");
    // What was not asked is asked about later.
    add(&at.server, &["/data/movies/Alone 999 (2020).mkv"]);
    at.clock.advance_ms(8_000);
    let answer = library.ask("/data/movies/Alone 999 (2020).mkv");
    assert_eq!(answer.status, Status::Ok);
}

#[test]
fn an_unknown_library_costs_one_request() {
    let (at, index, _) = Scene::movies(300).and_listed();
    at.server.reset();
    for _ in 0..1_200 {
        let library = index.library("Movie").expect("a handle");
        let error = library
            .query()
            .matched("/data/movies/a.mkv")
            .expect_err("no such library");
        assert!(error.message.contains("'Movie'"), "{error}");
        library
            .record_match(crate::support::index::path(b"/data/movies/a.mkv"), "1")
            .expect_err("no such library");
    }
    assert_eq!(requests(&at.server)[5], 1);
    let empty = Scene::of(Standin::builder().serve());
    let index = empty.open();
    for _ in 0..1_200 {
        index.query().answer("/data/movies/a.mkv");
    }
    assert!(requests(&empty.server)[5] <= 4, "{:?}", requests(&empty.server));
}

#[test]
fn a_folder_that_was_not_asked_for_is_marked() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let ask = |folder: &str| library.query().match_folder(folder).expect("an answer");
    for number in 0..60 {
        ask(&format!("/data/movies/Absent {number}"));
        at.clock.advance_ms(50);
    }
    add(&at.server, &[new_path(1)]);
    let answer = ask("/data/movies/New 1 (2020)");
    assert_eq!(answer.answer.reason, Some(Reason::NotAsked));
    assert!(answer.answer.stale);
}

/// The pause of a path doubles, and a miss from before the pause is no news.
#[test]
fn a_path_whose_pause_lasts_longer_is_marked() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let ask = || library.ask(new_path(1));
    let mut marked = 0;
    for _ in 0..30 {
        let answer = ask();
        marked += u32::from(answer.stale && answer.reason == Reason::NotAsked);
        at.clock.advance_ms(20_000);
    }
    assert!(marked > 5, "{marked}");
    add(&at.server, &[new_path(1)]);
    let answer = ask();
    assert!(answer.item.is_some() || answer.stale, "{}", answer.message);
}
