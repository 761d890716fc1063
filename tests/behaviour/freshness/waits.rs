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

fn hurry(library: &Library, ms: u64) -> QueryOptions<'_> {
    library.query().within(Duration::from_millis(ms))
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
    let (index, library) = at.listed();
    at.server
        .fault(Fault::new(Action::Trickle { chunk: 1, ms: 100 }).times(0));
    for full in [false, true] {
        let begun = Instant::now();
        let result = if full {
            index.refresh(&library.query(), true)
        } else {
            index.check(&library.query())
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
        let answer = index.ask(&hurry(&library, 30_000), path);
        assert_eq!(answer.status, Status::Ok, "round {round}: {}", answer.message);
        assert!(index.counts().failures == 0, "round {round}: no outage");
    }
    assert!(requests(&at.server)[5] <= 10, "{:?}", requests(&at.server));
}
