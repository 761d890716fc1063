//! Fetching over real HTTP: cut off and taken up again, shifted, shrunk, late, refused; with exact request counts.

mod other_roots;

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::index::{Ask as _, Library, Query};
use crate::support::worker::until;
use crate::support::{HOUR_MS, Scene, add, clock, movie, movies, open, options, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason};
use plexindex::options::Ttl;
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibraryKind, LibrarySpec, MediaSpec, Standin, State};

/// The same, with so much time, or as much as it takes.
fn in_time(query: Query<'_>, timeout: Option<Duration>) -> Query<'_> {
    match timeout {
        Some(timeout) => query.timeout(timeout),
        None => query.no_timeout(),
    }
}

fn go_on(goes_on: bool) -> ControlFlow<()> {
    if goes_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// Each file leads to its item, and none to what is gone.
fn assert_listed(at: &Scene, library: &Library, gone: &str) {
    let answer = library.ask(gone);
    assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::NotListed));
    for (key, path) in at.server.paths(1) {
        let path = path.expect("all have files");
        assert_eq!(library.fast(&path), Some(key.to_string()), "{path}");
    }
}

#[test]
fn rows_that_shift_while_paging_lose_nothing() {
    for is_replaced in [false, true] {
        let (at, _index, library) = Scene::movies(4_000).and_opened();
        let (first, key) = path_of(&at.server, 1, 0);
        let (last, _) = path_of(&at.server, 1, 3_999);
        // Before the third page the first row goes: what was row 2,000 is now row 1,999. With another one at the end,
        // there are as many as before.
        let key: u64 = key.parse().expect("a number");
        let shift = Action::change(move |state| {
            state.remove_items(&[key], false).expect("removed");
            let new = movie("New", "/data/movies/New (2020)/New (2020).mkv");
            let added = if is_replaced { vec![new] } else { Vec::new() };
            state.add_items(1, added, false).expect("added");
        });
        at.server.fault(Fault::new(shift).on(Kind::Listing).after(2));
        assert_eq!(library.ask(last).status, Status::Ok);
        assert_listed(&at, &library, &first);
    }
}

#[test]
fn rows_that_shift_during_a_delta_lose_nothing() {
    let (at, _index, library) = Scene::movies(12_000).and_listed();
    let better: Vec<(u64, String)> = at.server.paths(1)[1_000..1_200]
        .iter()
        .filter_map(|(key, path)| Some((*key, path.as_ref()?.replace(".mkv", " (2160p).mkv"))))
        .collect();
    let give = |state: &mut State, (key, path): &(u64, String)| {
        state
            .set_files(*key, vec![MediaSpec::File(path.clone())], true, true)
            .expect("changed");
    };
    for one in &better {
        at.server.alter(|state| {
            give(state, one);
            Ok(())
        });
    }
    // Between the two pages of the newest updates, one of the first page goes. Then others change, which the next delta
    // shows.
    let (gone, last) = (better[150].clone(), better[0].clone());
    let shift = Action::change(move |state| state.remove_items(&[gone.0], true).expect("removed"));
    at.server.fault(Fault::new(shift).on(Kind::Listing).after(1));
    let changes = Action::change(move |state| give(state, &(last.0, last.1.replace("2160p", "4320p"))));
    at.server.fault(Fault::new(changes).on(Kind::Listing).after(2));
    for _ in 0..2 {
        at.clock.advance_ms(120_000);
        library.query().checked().expect("checked");
    }
    assert_listed(&at, &library, &better[150].1);
}

/// A server that starts can answer so. A library that has no items any more is believed the second time.
#[test]
fn an_empty_first_listing_needs_a_second_one() {
    for is_empty in [false, true] {
        let (at, _index, library) = Scene::movies(3).and_opened();
        let (path, key) = path_of(&at.server, 1, 1);
        if is_empty {
            lose(&at.server, 3);
        }
        let nothing = Action::Body {
            status: 200,
            content_type: "application/json".to_owned(),
            body: r#"{"MediaContainer":{"size":0,"totalSize":0,"offset":0}}"#.to_owned(),
        };
        at.server.fault(Fault::new(nothing).on(Kind::Listing));
        let refresh = || library.query().refreshed(false).expect("an answer");
        assert_eq!(refresh(), Status::NotYet);
        at.clock.advance_ms(61_000);
        assert_eq!(refresh(), Status::Ok);
        assert_eq!(library.fast(&path), Some(key).filter(|_| !is_empty));
    }
}

/// Removes so many of the first movies.
fn lose(server: &Standin, count: usize) {
    let keys: Vec<u64> = server.paths(1).iter().take(count).map(|(key, _)| *key).collect();
    remove(server, &keys);
}

#[test]
fn a_library_that_goes_on_shrinking_is_believed_the_second_time_too() {
    let (at, _index, library) = Scene::movies(100).and_listed();
    let (gone, _) = path_of(&at.server, 1, 3);
    lose(&at.server, 40);
    at.clock.advance_ms(HOUR_MS);
    let status = || {
        let answer = library.ask(&gone);
        (answer.status, answer.stale)
    };
    assert_eq!(status(), (Status::Ok, true), "a disk may be missing");
    // It changes more often than it is listed.
    lose(&at.server, 1);
    at.clock.advance_ms(40_000);
    assert_eq!(status(), (Status::Ok, true), "that is too soon");
    lose(&at.server, 1);
    at.clock.advance_ms(40_000);
    assert_eq!(status(), (Status::NotFound, false));
    assert_eq!(library.fast(&gone), None);
}

#[test]
fn a_listing_that_is_asked_for_in_full_is_believed_at_once() {
    let (at, _index, library) = Scene::movies(100).and_listed();
    let (gone, _) = path_of(&at.server, 1, 3);
    lose(&at.server, 60);
    at.clock.advance_ms(HOUR_MS);
    let held_back = library.query().refreshed(false).expect("listed");
    assert_eq!(held_back, Status::NotYet, "a disk may be missing");
    assert!(library.fast(&gone).is_some());
    assert_eq!(library.query().refreshed(true).expect("listed"), Status::Ok);
    assert_eq!(library.fast(&gone), None);
    let answer = library.ask(gone);
    assert_eq!((answer.status, answer.stale), (Status::NotFound, false));
}

#[test]
fn rows_of_an_earlier_call_are_none_that_came_in_this_one() {
    let (at, _index, library) = Scene::movies(6_000).and_opened();
    let ask = |query: Query<'_>| query.matched("/data/movies/unknown.mkv");
    // Two pages come, and no other.
    at.server
        .fault(Fault::delay(60_000).on(Kind::Listing).after(2).times(0));
    let stop = |so_far: &plexindex::Progress<'_>| go_on(so_far.items < 1_999);
    let stopped = ask(library.query().progress(stop)).expect_err("it has two pages");
    assert_eq!(stopped.status, Status::Aborted);
    let found = ask(library.query().timeout(Duration::from_millis(200)));
    assert_eq!(found.expect("an answer").status, Status::NeedsWarm);
    // They are kept all the same.
    at.server.clear_faults();
    at.server.reset();
    library.query().refreshed(false).expect("listed");
    assert!(requests(&at.server)[2] <= 5);
}

#[test]
fn a_silent_server_keeps_no_call_to_another_one_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let (silent, other) = (movies(20), movies(20));
    let minutes = Fault::delay(600_000);
    silent.fault(minutes.times(0));
    let index_of = |server| open(options(server, folder.path()), &clock());
    let (waiting, index) = (index_of(&silent), index_of(&other));
    let ended = OnceLock::new();
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| {
            let waits = waiting.query().progress(|_| go_on(ended.get().is_none()));
            waits.refreshed(false)
        });
        until("the silent server was asked", || silent.stats().total > 0);
        let deadline = index.query().timeout(Duration::from_secs(20));
        let refreshed = deadline.refreshed(false);
        let still_waits = !waits.is_finished();
        ended.get_or_init(|| ());
        assert_eq!(refreshed.expect("the other server answers"), Status::Ok);
        assert!(still_waits, "it says nothing about a server that answered");
        let error = waits.join().expect("no panic").expect_err("it was ended");
        assert_eq!(error.status, Status::Aborted);
    });
}

#[test]
fn stopping_a_call_cuts_no_page_of_another() {
    let at = Scene::movies(3_000);
    let index = at.open();
    // The second page comes to its half, and then not for as long as any test takes.
    at.server
        .fault(Fault::new(Action::stall(None, 600_000)).on(Kind::Listing).after(1));
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| index.query().refreshed(true));
        until("the second page is asked for", || {
            at.server.stats().of(Kind::Listing) == 2
        });
        let stopped = index.query().progress(|_| ControlFlow::Break(()));
        // Stopped while it waits for the other one's fetch: it ends by itself, and closes no connection.
        let error = stopped.refreshed(true).expect_err("stopped");
        assert_eq!(error.status, Status::Aborted, "{error}");
        // Stopped while it waits for the server; the page may not have begun to come at the first times.
        until("the page is cut", || {
            at.server
                .fault(Fault::new(Action::stall(None, 600_000)).on(Kind::Sections));
            let error = stopped.server().expect_err("stopped");
            assert_eq!(error.status, Status::Aborted, "{error}");
            at.server.stats().of(Kind::Listing) > 2
        });
        assert_eq!(fetching.join().expect("no panic").expect("listed"), Status::Ok);
    });
    assert_eq!(index.counts().items, 3_000);
}

#[test]
fn what_is_no_plex_server_gets_no_token() {
    for timeout in [None, Some(Duration::from_secs(20))] {
        let at = Scene::movies(30);
        let index = at.open();
        in_time(index.query(), timeout).libraries().expect("libraries");
        let first = &at.server.log()[0];
        assert!(!first.token_in_header, "{}", first.target);
        assert!(first.target.starts_with("/identity"));
    }
}

#[test]
fn what_a_fetch_brought_is_found_by_the_first_lookup_of_every_thread() {
    const THREADS: usize = 4;
    for _ in 0..30 {
        let at = Scene::movies(100);
        let index = at.open();
        let library = index.movies();
        let paths = at.server.paths(1);
        let paths = paths.iter().map(|(_, path)| path.as_deref().expect("all have files"));
        let paths: Vec<&[u8]> = paths.map(str::as_bytes).collect();
        let together = std::sync::Barrier::new(THREADS);
        let look = || {
            together.wait();
            // One of them fetches, and the others go on with what is left of their calls while it looks up.
            assert_eq!(library.ask(paths[0]).status, Status::Ok);
            let unknown = paths.iter().filter(|path| library.lookup_key(path, |_| ()).is_none());
            assert_eq!(unknown.count(), 0);
        };
        std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(look))));
    }
}

/// The numbers of docs/design/freshness.md.
#[test]
fn the_shows_of_a_library_cost_one_request_with_each_listing_and_when_a_new_one_comes() {
    let shows = LibrarySpec::shows(30).plain().title("Movies");
    let (at, _index, library) = Scene::of(Standin::builder().library(shows).serve())
        .with(|options| options.library_ttl = Ttl::For(Duration::from_secs(60)))
        .and_opened();
    let refresh = |full| {
        at.server.reset();
        at.clock.advance_ms(61_000);
        library.query().refreshed(full).expect("refreshed");
        requests(&at.server)[5]
    };
    let add = |show: &str, number| {
        let path = format!("/data/tv/{show}/Season 01/{show} - S01E{number:02}.mkv");
        let episode = ItemSpec::episode(show, 1, number, "Part", &path);
        at.server.alter(|state| state.add_items(1, vec![episode], true));
    };
    refresh(true);
    let listed = refresh(true);
    assert_eq!(listed, 4, "two probes, a page of episodes and one of shows");
    add("Some Show", 1);
    let with_new = refresh(false);
    add("Some Show", 2);
    let with_known = refresh(false);
    assert_eq!(with_new, with_known + 1);
}

/// The numbers of README.md, docs/answers.md and docs/design/freshness.md.
#[test]
fn the_first_question_costs_three_requests_if_the_server_lists_the_file_there() {
    const PAGES: u64 = 3;
    let first = |timeout: Option<Duration>, path: &str| {
        let (at, _index, library) = Scene::movies(30).with(|options| options.page_size = 10).and_opened();
        assert_eq!(library.fast(path), None);
        assert_eq!(requests(&at.server)[5], 0, "to open and to look up sends no request");
        in_time(library.query(), timeout).answer(path);
        requests(&at.server)[5]
    };
    let (listed, _) = path_of(&Scene::movies(30).server, 1, 7);
    let unlisted = format!("{listed}.mkv");
    let elsewhere = "/elsewhere/other.mkv";
    let all = |timeout| [&listed, &unlisted, elsewhere].map(|path| first(timeout, path));
    assert_eq!(all(None), [PAGES + 3, PAGES + 5, PAGES + 3]);
    assert_eq!(all(Some(Duration::from_secs(60))), [3, PAGES + 5, PAGES + 3]);
}

/// Asks for a listed file each minute. Returns each answer's status, and whether the answer is stale.
fn each_minute(at: &Scene, library: &crate::support::index::Library, path: &str) -> Vec<(Status, bool)> {
    let ask = |_| {
        let answer = library.ask(path);
        at.clock.advance_ms(60_000);
        (answer.status, answer.stale)
    };
    (0..4).map(ask).collect()
}

#[test]
fn a_total_that_is_too_small_is_believed_the_second_time() {
    let at = Scene::movies(30).with(|options| options.page_size = 10);
    at.server.config(|config| config.unseen_rows = -5);
    let (_index, library) = at.opened();
    let (known, _) = path_of(&at.server, 1, 29);
    let (found, current) = ((Status::Ok, true), (Status::Ok, false));
    assert_eq!(each_minute(&at, &library, &known), [found, current, current, current]);
}

#[test]
fn a_total_that_is_too_large_is_believed_the_second_time() {
    let at = Scene::movies(30);
    at.server.config(|config| config.unseen_rows = 5);
    let (_index, library) = at.opened();
    let (known, _) = path_of(&at.server, 1, 7);
    // What came is answered, and marked until a second listing ends in the same way.
    let (found, current) = ((Status::Ok, true), (Status::Ok, false));
    assert_eq!(each_minute(&at, &library, &known), [found, current, current, current]);
    at.server.reset();
    let unlisted = library.ask("/data/movies/none.mkv");
    assert_eq!((unlisted.status, unlisted.stale), (Status::NotFound, false));
    // Now the rest is as in any library: a new film costs a probe and a delta, and a full listing is taken at once.
    add(&at.server, &["/data/movies/New (2020)/New (2020).mkv"]);
    at.server.reset();
    let new = library.ask("/data/movies/New (2020)/New (2020).mkv");
    assert_eq!((new.status, new.stale), (Status::Ok, false));
    assert_eq!(requests(&at.server), [0, 1, 2, 0, 0, 3]);
    library.query().refreshed(true).expect("listed");
    assert!(!library.ask(&known).stale);
}

#[test]
fn a_listing_that_ends_too_early_is_held_back_if_it_lacks_items() {
    let (at, _index, library) = Scene::movies(30).with(|options| options.page_size = 10).and_listed();
    let keys: Vec<u64> = at.server.paths(1).iter().map(|(key, _)| *key).collect();
    let (gone, _) = path_of(&at.server, 1, 29);
    // The server counts three rows that it no longer sends.
    remove(&at.server, &keys[27..]);
    at.server.config(|config| config.unseen_rows = 3);
    at.clock.advance_ms(24 * HOUR_MS);
    let (found, missing) = ((Status::Ok, true), (Status::NotFound, true));
    let known = each_minute(&at, &library, &gone);
    assert_eq!(
        known,
        [found, missing, (Status::NotFound, false), (Status::NotFound, false)]
    );
}

#[test]
fn shows_are_known_where_the_total_is_too_large() {
    let shows = LibrarySpec::shows(30).plain().title("Movies");
    let at = Scene::of(Standin::builder().library(shows).serve());
    at.server.config(|config| config.unseen_rows = 5);
    let (_index, library) = at.listed();
    let (path, _) = path_of(&at.server, 1, 7);
    let show = library.ask(&path).item.expect("an item").show_guid.expect("a show");
    let found = library.query().offline().guid(&show);
    assert_ne!(found.status, Status::NotFound, "{found:?}");
}

#[test]
fn calls_with_a_timeout_list_a_slow_server_in_the_end() {
    let at = Scene::movies(1_000);
    at.server.config(|config| config.row_us = 2_000);
    let (_index, library) = at.opened();
    let query = library.query().timeout(Duration::from_secs(1));
    until("the last rows came", || query.refreshed(false) == Ok(Status::Ok));
}
