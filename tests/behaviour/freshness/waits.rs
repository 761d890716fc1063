//! Slow servers, and calls with little time.

use std::time::Instant;

use super::*;

/// A library whose listing expired long ago, and has changed since.
fn expired(items: u32) -> Scene {
    let at = Scene::movies(items);
    at.open().list();
    at.clock.advance_ms(12 * HOUR_MS);
    add(&at.server, &["/data/movies/New (2020)/New (2020).mkv"]);
    at
}

#[test]
fn a_dripping_server_delays_a_listed_file_by_two_seconds() {
    let at = expired(300);
    let (known, _) = path_of(&at.server, 1, 7);
    at.server
        .fault(Fault::new(Action::Trickle { chunk: 1, ms: 300 }).times(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let index = at.open();
                let library = index.movies();
                let begun = Instant::now();
                let answer = library.ask(&known);
                assert_eq!((answer.status, answer.stale), (Status::Ok, true));
                assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
            });
        }
    });
}

#[test]
fn a_query_waits_for_the_server_as_long_as_its_option_says() {
    for (limit, is_stale) in [(Duration::ZERO, true), (Duration::from_secs(60), false)] {
        let mut at = expired(300);
        at.options.stale_answer_timeout = limit;
        let (known, _) = path_of(&at.server, 1, 7);
        at.server.fault(Fault::delay(200).times(0));
        let index = at.open();
        let library = index.movies();
        let answer = library.ask(known);
        assert_eq!((answer.status, answer.stale), (Status::Ok, is_stale), "{limit:?}");
    }
}

#[test]
fn a_refresh_ends_if_no_row_arrives() {
    let at = Scene::movies(300).with(|options| {
        options.retry_for = Duration::ZERO;
        options.read_timeout = Duration::from_secs(1);
    });
    let (_index, library) = at.listed();
    at.server
        .fault(Fault::new(Action::Trickle { chunk: 1, ms: 100 }).times(0));
    for full in [false, true] {
        let begun = Instant::now();
        let result = if full {
            library.query().refreshed(true)
        } else {
            library.query().checked()
        };
        let error = result.expect_err("no row arrives");
        assert_eq!(error.status, Status::Timeout, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn processes_with_a_timeout_find_a_new_file_without_a_listing() {
    let at = expired(20_000);
    at.server.fault(Fault::delay(60_000).on(Kind::Listing).times(0));
    at.server.reset();
    for round in 0..3 {
        let index = at.open();
        let library = index.movies();
        let path = b"/data/movies/New (2020)/New (2020).mkv";
        let answer = library.query().timeout(Duration::from_secs(30)).answer(path);
        assert_eq!(answer.status, Status::Ok, "round {round}: {}", answer.message);
        assert!(index.counts().failures == 0, "round {round}: no outage");
    }
    assert!(requests(&at.server)[5] <= 10, "{:?}", requests(&at.server));
}

/// The answers to every kind of question about a listed film, each with the path, or what takes its place.
fn answers(query: &Query<'_>, library: &Library, paths: [&str; 2]) -> Vec<(Status, bool)> {
    let key = library.fast(paths[0]).expect("listed");
    let item = library.item(&key).expect("an answer").expect("an item");
    let (guid, title) = (item.guid.expect("a GUID"), item.title.expect("a title"));
    let folder = paths[0].rsplit_once('/').expect("a folder").0;
    let mut answers = vec![query.answer(paths[0]), query.guid(&guid), query.title(&title)];
    let of_folder = query.match_folder(folder).expect("an answer");
    answers.push(crate::support::index::Match::from(of_folder.answer));
    answers.extend(query.ask_batch(&paths));
    answers
        .into_iter()
        .map(|answer| (answer.status, answer.stale))
        .collect()
}

/// No request shows the items of a batch: its time for the server is over, it must send none, or a rename that no token
/// tells of was found.
#[test]
fn each_old_answer_of_a_batch_is_stale() {
    let mut at = expired(300);
    at.options.stale_answer_timeout = Duration::ZERO;
    let index = at.open();
    let library = index.movies();
    let paths: Vec<String> = (5..9).map(|nth| path_of(&at.server, 1, nth).0).collect();
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let batch = |query: &Query<'_>| -> Vec<(Status, bool)> {
        let mut answers: Vec<crate::support::index::Match> = Vec::new();
        let answered = query.match_paths_with(&paths, |_, answer| answers.push(answer.into()));
        answered.expect("answers");
        answers.iter().map(|answer| (answer.status, answer.stale)).collect()
    };
    for query in [library.query(), library.query().offline()] {
        assert_eq!(batch(&query), [(Status::Ok, true); 4]);
    }
    library.query().refreshed(false).expect("refreshed");
    assert_eq!(batch(&library.query()), [(Status::Ok, false); 4]);
    let (path, key) = path_of(&at.server, 1, 9);
    at.server
        .alter(|state| state.rename_file(key.parse().expect("a number"), &path, "/data/movies/Renamed.mkv"));
    let patient = at.open_with(|options| options.stale_answer_timeout = Duration::from_secs(60));
    assert_eq!(patient.movies().ask("/data/movies/Renamed.mkv").status, Status::Ok);
    assert_eq!(
        batch(&library.query()),
        [(Status::Ok, true); 4],
        "others may be renamed, too"
    );
}

/// The library that may have the file was never fetched, and the server does not answer.
#[test]
fn each_miss_in_the_pause_after_a_failure_is_stale() {
    let server = Standin::builder().library(LibrarySpec::movies(20));
    let server = server.library(LibrarySpec::shows(20)).serve();
    let at = Scene::of(server).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    index.movies().query().refreshed(true).expect("listed");
    at.server.fault(Fault::status(500).times(0));
    for nth in 0..3 {
        let answer = index.query().answer("/mnt/other/Other.mkv");
        assert_eq!(
            (answer.status, answer.stale),
            (Status::NotFound, true),
            "question {nth}"
        );
    }
}

#[test]
fn a_check_that_the_server_does_not_complete_makes_every_answer_stale() {
    let (at, _index, library) = Scene::movies(300)
        .with(|options| options.retry_for = Duration::ZERO)
        .and_listed();
    let (known, _) = path_of(&at.server, 1, 7);
    let (other, _) = path_of(&at.server, 1, 8);
    let paths = [&*known, &other];
    let check = || library.query().always_ask();
    // The server says that the library has changed, but not how.
    add(&at.server, &["/data/movies/New (2020)/New (2020).mkv"]);
    at.server.fault(Fault::delay(60_000).on(Kind::Listing).times(0));
    let hurried = check().timeout(Duration::from_millis(300));
    let late = answers(&hurried, &library, paths);
    assert_eq!(late[..5], [(Status::Ok, true); 5]);
    assert_eq!(late[5].0, Status::NotYet, "no time is left for the second path");
    at.server.clear_faults();
    at.server.fault(Fault::status(500).on(Kind::Listing).times(0));
    assert_eq!(answers(&check(), &library, paths), [(Status::Ok, true); 6]);
    // A failure is soon over.
    at.server.clear_faults();
    at.clock.advance_ms(30_000);
    assert_eq!(answers(&check(), &library, paths), [(Status::Ok, false); 6]);
}
