//! Misses, and servers that do not answer.

use super::*;

#[test]
fn many_threads_that_miss_do_not_wait_in_turn_for_a_server_that_hangs() {
    let at = Scene::movies(300).with(|options| {
        options.retry_for = Duration::ZERO;
        options.read_timeout = Duration::from_secs(1);
    });
    let (index, _) = at.listed();
    at.server.fault(Fault::delay(30_000).times(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let index = &index;
            scope.spawn(move || {
                let library = index.movies();
                let path = format!("/data/movies/nowhere{number}.mkv");
                let answer = library.ask(path);
                assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
            });
        }
    });
    let asked = requests(&at.server);
    assert!(begun.elapsed() < Duration::from_secs(4), "{asked:?}");
}

#[test]
fn a_miss_that_a_silent_server_did_not_answer_says_so() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let (known, _) = path_of(&at.server, 1, 7);
    at.server.fault(Fault::delay(600_000).times(0));
    let missed = |library: &Library, number: u32, hurried: bool| {
        let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
        let query = if hurried { within(library, 300) } else { library.query() };
        let answer = query.answer(path);
        assert_eq!(answer.reason, Reason::Unavailable, "{}", answer.message);
        assert!(answer.stale, "{}", answer.message);
        answer.status
    };
    assert_eq!(missed(&library, 0, true), Status::NotYet);
    let asked = requests(&at.server)[5];
    // At once, whoever asks: the server is left alone.
    assert_eq!(missed(&library, 1, true), Status::NotYet);
    assert_eq!(missed(&library, 0, false), Status::NotFound);
    let folder = "/data/movies/Nowhere (2020)";
    let told = library.query().match_folder(folder).expect("an answer").answer;
    assert_eq!((told.reason, told.stale), (Some(Reason::Unavailable), true));
    let other = at.open();
    let same = other.movies();
    assert_eq!(missed(&same, 2, true), Status::NotYet);
    assert_eq!(missed(&same, 3, false), Status::NotFound);
    assert_eq!(requests(&at.server)[5], asked);
    let found = library.ask(known);
    assert_eq!(found.status, Status::Ok, "this one needs no server");
    assert!(!found.stale, "this one needs no server");
}

#[test]
fn a_miss_is_asked_for_again_soon_after_the_server_is_back() {
    let (at, index, library) = Scene::movies(300)
        .with(|options| options.retry_for = Duration::ZERO)
        .and_listed();
    let other = at.open();
    let same = other.movies();
    at.server.refuse();
    let path = |number: u32| format!("/data/movies/New{number} (2020)/New{number}.mkv");
    let reason = |library: &Library, number: u32| {
        let answer = library.ask(path(number));
        (answer.reason, answer.stale)
    };
    let sent = || -> u64 {
        let of = |index: &Index| index.counts().all_requests();
        of(&index) + of(&other)
    };
    let before = sent();
    for second in 0..20 {
        assert_eq!(reason(&library, second), (Reason::Unavailable, true));
        assert_eq!(reason(&same, 100 + second), (Reason::Unavailable, true));
        at.clock.advance_ms(1_000);
    }
    assert!(sent() - before <= 4, "{} requests in 20 s", sent() - before);
    at.server.reopen();
    at.clock.advance_ms(5_000);
    assert_eq!(reason(&same, 0), (Reason::NotListed, false));
    assert_eq!(reason(&library, 1), (Reason::NotListed, false));
}

#[test]
fn a_call_that_had_no_time_to_ask_says_nothing_of_the_server() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let (known, _) = path_of(&at.server, 1, 7);
    let other = at.open();
    let same = other.movies();
    // A path that is not listed, and then a listing that expired.
    for (number, path) in ["/data/movies/Never (2020)/Never.mkv", known.as_str()]
        .into_iter()
        .enumerate()
    {
        if number == 1 {
            at.clock.advance_ms(HOUR_MS);
        }
        let before = requests(&at.server);
        let hurried = within(&library, 0).answer(path);
        assert!(hurried.stale, "{}", hurried.message);
        assert_eq!(requests(&at.server), before, "no request fits into no time");
        let title = format!("New {number}");
        let new = format!("/data/movies/{title} (2020)/{title} (2020).mkv");
        at.server
            .alter(|state| state.add_items(1, vec![crate::support::movie(&title, &new)], true));
        for asked in [&library, &same] {
            let answer = asked.ask(&new);
            assert_eq!((answer.status, answer.stale), (Status::Ok, false), "{}", answer.message);
        }
    }
}

#[test]
fn a_question_waits_less_for_the_server_than_a_listing() {
    type Asked = Vec<(&'static str, hooked::Patience)>;
    const SILENCE: Option<Duration> = Some(Duration::from_secs(15));
    const LONG: hooked::Patience = [None, None];
    const BRIEF: hooked::Patience = [SILENCE, Some(Duration::from_secs(3))];
    let at = Scene::movies(30);
    let asked: Arc<Mutex<Asked>> = Arc::default();
    let hook: hooked::Hook = {
        let asked = Arc::clone(&asked);
        Arc::new(move |what, patience| asked.lock().expect("no panic").push((what, patience)))
    };
    let index = hooked::open(at.options.clone(), &at.clock, hook);
    let library = index.movies();
    let asked = || std::mem::take(&mut *asked.lock().expect("no panic"));
    let (path, _) = path_of(&at.server, 1, 3);
    library.ask(&path);
    let listed = asked();
    assert!(listed.contains(&("libraries", BRIEF)), "{listed:?}");
    assert!(listed.contains(&("page", LONG)), "{listed:?}");
    library.ask("/data/movies/new.mkv");
    let searched = ["libraries", "hit", "hit", "path"].map(|what| (what, BRIEF));
    assert_eq!(asked(), searched);
    library.invalidate_path(&path).expect("invalidated");
    library.ask(&path);
    assert_eq!(asked(), [("items", BRIEF)]);
    at.clock.advance_ms(HOUR_MS);
    library.ask(path);
    assert_eq!(asked(), [("libraries", BRIEF)]);
    // A refresh retries for longer, and waits longer for its pages only.
    library.query().refreshed(true).expect("listed");
    let listed = asked();
    let expected = |what: &str| if what == "page" { LONG } else { [SILENCE, None] };
    let is_expected = |(what, patience): &(&str, _)| *patience == expected(what);
    assert!(listed.iter().all(is_expected), "{listed:?}");
    at.clock.advance_ms(HOUR_MS);
    library.query().refreshed(false).expect("fresh");
    assert_eq!(asked(), [("libraries", [SILENCE, None])]);
}

#[test]
fn what_a_server_is_not_asked_after_it_failed_is_no_miss() {
    for hangs in [false, true] {
        let (at, index, _) = Scene::movies(300)
            .with(|options| options.retry_for = Duration::ZERO)
            .and_listed();
        let ask = |index: &Index, number: u32| {
            let library = index.movies();
            let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
            let answer = within(&library, 60_000).answer(path);
            let late = hangs && answer.stale;
            let expected = if late { Status::NotYet } else { Status::NotFound };
            assert_eq!(answer.status, expected, "{}", answer.message);
            (answer.reason, answer.stale)
        };
        assert_eq!(ask(&index, 1), (Reason::NotListed, false), "it was searched");
        at.clock.advance_ms(5_000);
        at.server.reset();
        assert_eq!(ask(&at.open(), 2), (Reason::NotListed, false));
        assert_eq!(requests(&at.server)[5], 1, "a path that was never asked about");
        // Another process finds that it fails.
        let other = at.open();
        let movies = other.movies();
        if hangs {
            at.server.fault(Fault::delay(60_000));
            let late = within(&movies, 300).refreshed(true).expect("late");
            assert_eq!(late, Status::NeedsWarm);
        } else {
            at.server.refuse();
            movies.query().refreshed(true).expect_err("refused");
        }
        at.server.reset();
        for pause_ms in [0, 16_000, 13_000] {
            at.clock.advance_ms(pause_ms);
            for index in [&index, &other, &at.open()] {
                let told = ask(index, 3);
                assert_eq!(told, (Reason::Unavailable, true), "{hangs}, {pause_ms} ms");
            }
        }
        assert_eq!(requests(&at.server)[5], 0, "it is not asked more often for that");
        // It is there again, and another process sees it.
        if hangs {
            at.server.clear_faults();
        } else {
            at.server.reopen();
        }
        at.clock.advance_ms(1); // the last failure was at this moment
        movies.query().refreshed(true).expect("listed");
        assert_eq!(ask(&at.open(), 4), (Reason::NotListed, false), "hangs: {hangs}");
    }
}

#[test]
fn a_question_about_a_missing_path_does_not_wait_for_a_listing() {
    let (at, index, _) = Scene::movies(300).and_listed();
    add(&at.server, &["/data/movies/n1.mkv".to_owned()]);
    // So long after the last one that clocks that moved lead to a listing.
    at.clock.advance_ms(20 * 60_000);
    at.server.fault(Fault::delay(3_000).on(Kind::Listing).times(0));
    let barrier = std::sync::Barrier::new(6);
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (index, barrier) = (&index, &barrier);
                scope.spawn(move || {
                    let library = index.movies();
                    barrier.wait();
                    let begun = Instant::now();
                    let path = format!("/data/movies/nowhere{number}.mkv");
                    library.ask(path);
                    begun.elapsed()
                })
            })
            .collect();
        threads.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    took.sort();
    assert!(took[4] < Duration::from_secs(2));
}

#[test]
fn a_miss_writes_few_transactions() {
    let (_at, index, library) = Scene::movies(300).and_listed();
    let sequence = || index.counts().sequence;
    let writes_for = |number: u32| {
        let before = sequence();
        let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
        assert_eq!(library.ask(path).reason, Reason::NotListed);
        sequence() - before - 1 // the counters
    };
    assert_eq!(
        writes_for(1),
        5,
        "tickets of a probe and a search, the probe, its answer, the search"
    );
    assert_eq!(writes_for(2), 3, "without a search");
    assert_eq!(writes_for(1), 0, "it was asked a moment ago");
}

#[test]
fn a_miss_needs_no_write() {
    let (at, index, library) = Scene::movies(300).and_listed();
    let other = rusqlite::Connection::open(at.folder().join("plexindex-1.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let requests = || index.counts().all_requests();
    let before = requests();
    let begun = Instant::now();
    let answer = within(&library, 400).matched("/data/movies/nowhere.mkv");
    let took = begun.elapsed();
    other.execute_batch("ROLLBACK").expect("unlocked");
    let answer = answer.unwrap_or_else(|error| panic!("{error}, after {took:?}"));
    assert_eq!(answer.reason, Reason::NotAsked);
    assert_eq!(requests(), before);
}

#[test]
fn a_question_whose_search_was_killed_is_asked_again() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    hide_in_change(&at, HIDDEN);
    // The process dies within the search.
    at.server.fault(Fault::status(404).on(Kind::Search).times(0));
    let killed = hooked::interrupted(&at, "path", || panic!("killed"));
    let ask = std::panic::AssertUnwindSafe(|| killed.movies().ask(HIDDEN));
    std::panic::catch_unwind(ask).expect_err("killed");
    at.server.clear_faults();
    at.clock.advance_ms(1_000);
    assert_eq!(library.ask(HIDDEN).status, Status::Ok);
}

#[test]
fn a_batch_that_takes_longer_than_the_pause_answers_no_later_query() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let paths = ["/data/movies/absent.mkv", HIDDEN].map(str::as_bytes);
    library
        .query()
        .match_paths_with(&paths, |_, _| at.clock.advance_ms(31_000))
        .expect("answers");
    add(&at.server, &[HIDDEN]);
    assert_eq!(library.ask(HIDDEN).status, Status::Ok);
}

/// Asks for so many paths that no search is left for a minute.
fn spend_searches(library: &Library) {
    for number in 0..17 {
        library.ask(format!("/data/movies/absent{number}.mkv"));
    }
}

#[test]
fn a_batch_closes_no_question_that_another_handle_opened_later() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let paths = ["/data/movies/absent.mkv", HIDDEN].map(str::as_bytes);
    let mut answered = 0;
    library
        .query()
        .match_paths_with(&paths, |_, _| {
            answered += 1;
            if answered < 2 {
                return;
            }
            at.clock.advance_ms(1_000);
            let other = at.open();
            let library = other.movies();
            spend_searches(&library);
            hide_in_change(&at, HIDDEN);
            assert_eq!(library.ask(HIDDEN).reason, Reason::NotAsked);
        })
        .expect("answers");
    at.clock.advance_ms(60_000);
    // Takes the one search that is allowed without a change.
    library.ask("/data/movies/other.mkv");
    assert_eq!(library.ask(HIDDEN).status, Status::Ok);
}

#[test]
fn a_question_whose_search_the_budget_refused_stays_open() {
    for is_in_batch in [false, true] {
        let (at, _index, library) = Scene::movies(300).and_listed();
        spend_searches(&library);
        hide_in_change(&at, HIDDEN);
        if is_in_batch {
            // The process dies before the batch ends.
            let paths = ["/data/movies/absent.mkv", HIDDEN].map(str::as_bytes);
            let (query, mut reasons) = (library.query(), Vec::new());
            let ask = || {
                query.match_paths_with(&paths, |_, answer| {
                    reasons.push(answer.reason);
                    assert_ne!(reasons, [Reason::NotAsked; 2]);
                })
            };
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).expect_err("killed");
        } else {
            for _ in 0..2 {
                let answer = library.ask(HIDDEN);
                assert_eq!((answer.reason, answer.stale), (Reason::NotAsked, true));
                at.clock.advance_ms(1_000);
            }
        }
        at.clock.advance_ms(60_000);
        // Takes the one search that is allowed without a change.
        library.ask("/data/movies/other.mkv");
        assert_eq!(library.ask(HIDDEN).status, Status::Ok, "{is_in_batch}");
    }
}

#[test]
fn a_question_whose_search_failed_stays_open() {
    for takes_turn in [false, true] {
        let (at, _index, library) = Scene::movies(300)
            .with(|options| options.retry_for = Duration::ZERO)
            .and_listed();
        hide_in_change(&at, HIDDEN);
        at.server.fault(Fault::status(503).on(Kind::Search).times(0));
        let failed = library.ask(HIDDEN);
        assert_eq!((failed.reason, failed.stale), (Reason::Unavailable, true));
        at.server.clear_faults();
        at.clock.advance_ms(6_000);
        if takes_turn {
            // Takes the one search that is allowed without a change.
            at.open().movies().ask("/data/movies/absent.mkv");
        }
        let answer = at.open().movies().ask(HIDDEN);
        assert_eq!((answer.status, answer.stale), (Status::Ok, false), "{}", answer.message);
    }
}

#[test]
fn a_search_of_one_library_does_not_answer_for_another() {
    let at = Scene::of(shared_folder(300).serve());
    at.open().list();
    let hidden = "/data/shared/Hidden (2020)/Hidden (2020).mkv";
    let key = at.server.paths(2)[7].0;
    let files = vec![MediaSpec::File(hidden.to_owned())];
    at.server.alter(|state| state.set_files(key, files, false, true));
    let another = movie("Another", "/data/shared/another.mkv");
    at.server.alter(|state| state.add_items(2, vec![another], true));
    at.server.fault(Fault::status(401).on(Kind::Search).after(2).times(0));
    let _ = at.open().query().matched(hidden);
    at.server.clear_faults();
    at.clock.advance_ms(1_000);
    let answer = at.open().query().answer(hidden);
    assert!(answer.status == Status::Ok || answer.stale, "{}", answer.message);
}

#[test]
fn a_search_before_a_change_is_no_answer() {
    let (at, index, library) = Scene::movies(300).and_listed();
    assert_eq!(library.ask(HIDDEN).reason, Reason::NotListed);
    at.clock.advance_ms(10_000);
    hide_in_change(&at, HIDDEN);
    let event = r#"{"TimelineEntry":{"sectionID":1,"itemID":1001,"state":5}}"#;
    index.notify(event).expect("an event");
    let answer = library.ask(HIDDEN);
    assert_eq!((answer.status, answer.stale), (Status::Ok, false), "{}", answer.message);
}

#[test]
fn a_batch_counts_only_searches_that_succeeded() {
    for is_refused in [false, true] {
        let (at, _index, library) = Scene::movies(300).and_listed();
        let mut paths = ["/data/movies/Hidden (2020)/absent.mkv", HIDDEN];
        if is_refused {
            spend_searches(&library);
        } else {
            // The second path has a pause.
            paths[0] = "/data/movies/Other (2020)/absent.mkv";
            library.ask(HIDDEN);
            at.clock.advance_ms(10_000);
        }
        hide_in_change(&at, HIDDEN);
        let last = library.query().ask_batch(&paths).remove(1);
        let expected = if is_refused { Status::NotFound } else { Status::Ok };
        assert_eq!((last.status, last.stale), (expected, is_refused));
    }
}

#[test]
fn a_batch_that_refreshes_searches_for_each_path_unless_it_lists() {
    for (after_ms, searches) in [(130_000, 5), (2 * HOUR_MS, 2)] {
        let (at, index, library) = Scene::movies(300).and_listed();
        hide_in_change(&at, HIDDEN);
        at.clock.advance_ms(after_ms - 10_000);
        let event = r#"{"TimelineEntry":{"sectionID":1,"itemID":1001,"state":5}}"#;
        index.notify(event).expect("an event");
        at.clock.advance_ms(10_000);
        at.server.reset();
        let (known, _) = path_of(&at.server, 1, 9);
        let [one, other] = [
            "/data/movies/One (2020)/absent.mkv",
            "/data/movies/Other (2020)/absent.mkv",
        ];
        let answers = library.query().ask_batch(&[&known, one, HIDDEN, other]);
        let statuses: Vec<Status> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [Status::Ok, Status::NotFound, Status::Ok, Status::NotFound]);
        assert_eq!(requests(&at.server)[3], searches, "{after_ms}");
    }
}

/// Between a reply and its use, another handle fetches what is newer.
#[test]
fn a_reply_about_an_item_that_was_overtaken_is_not_stored() {
    const NEW: &str = "/data/movies/Newer (2020)/Newer (2020).mkv";
    for (request, is_listing) in [("items", false), ("items", true), ("hit", false), ("hit", true)] {
        let at = Arc::new(Scene::movies(300));
        let other = at.listed().0;
        let ((known, key), number) = (path_of(&at.server, 1, 7), at.server.paths(1)[7].0);
        let newer = {
            let at = Arc::clone(&at);
            move || {
                replace(&at.server, number, NEW);
                let library = other.movies();
                let stored = if is_listing {
                    library.query().refreshed(true)
                } else {
                    library.query().checked()
                };
                stored.expect("stored");
            }
        };
        let index = hooked::interrupted(&at, request, newer);
        let library = index.movies();
        let asked = if request == "items" {
            library.invalidate_item(&key).expect("invalidated");
            known.as_str()
        } else {
            hide_in_change(&at, HIDDEN);
            HIDDEN
        };
        for _ in 0..2 {
            library.ask(asked);
        }
        assert_eq!(library.fast(asked), None, "{request}, {is_listing}");
        // If nobody knows which reply is newer, the server decides.
        library.ask(NEW);
        assert_eq!(library.fast(NEW), Some(key), "{request}, {is_listing}");
    }
}
