//! Requests that were missing or too many, and answers that were out of date.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::hooked;
use crate::support::index::{Deadline, Index, Library, QueryOptions};
use crate::support::{HOUR_MS, Scene, add, clock, movie, movies, offline, open, options, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason, Token};
use plexindex::options::{Options, Ttl};
use plexindex_standin::{Action, Fault, Kind, LibraryKind, LibrarySpec, MediaSpec, Standin};

/// A file takes the place of another: `updatedAt` and the library's counter move.
fn replace(server: &Standin, key: u64, path: &str) {
    let files = vec![MediaSpec::File(path.to_owned())];
    server
        .change(|state| state.set_files(key, files, true, true))
        .expect("replaced");
}

fn within(library: &Library, ms: u64) -> QueryOptions<'_> {
    QueryOptions {
        deadline: Deadline::In(Duration::from_millis(ms)),
        ..library.query()
    }
}

fn listed(server: &Standin, index: &Index) {
    index.refresh(&QueryOptions::default(), true).expect("listed");
    server.reset();
}

#[test]
fn a_delta_sees_what_changed_before_many_came() {
    let at = Scene::movies(6_000);
    let (index, library) = at.listed();
    let (old, key) = path_of(&at.server, 1, 17);
    replace(&at.server, key.parse().expect("a number"), "/data/movies/better.mkv");
    let many: Vec<String> = (0..150).map(|n| format!("/data/movies/n{n}.mkv")).collect();
    add(&at.server, &many);
    at.clock.advance_ms(HOUR_MS);
    index.refresh(&library.query(), false).expect("fresh");
    let new = index
        .match_path(&offline(&library), b"/data/movies/better.mkv")
        .expect("an answer");
    assert_eq!((new.status, new.match_kind), (Status::Ok, MatchKind::Exact));
    let was = index.match_path(&offline(&library), old.as_bytes()).expect("an answer");
    assert_eq!(was.status, Status::NotFound, "fresh: {}", !was.stale);
}

#[test]
fn a_delta_that_was_cut_off_is_not_taken_for_a_whole_one() {
    let at = Scene::movies(6_000).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    at.list(&index);
    for nth in 0..300 {
        let (_, key) = path_of(&at.server, 1, nth);
        replace(
            &at.server,
            key.parse().expect("a number"),
            &format!("/data/movies/better{nth}.mkv"),
        );
    }
    at.clock.advance_ms(HOUR_MS);
    // Both first pages come, the next one does not.
    at.server
        .fault(Fault::new(Action::Drop).on(Kind::Listing).after(2).times(1));
    index.refresh(&QueryOptions::default(), false).expect_err("cut off");
    let later = at.open();
    let library = later.library("Movies").expect("a handle");
    assert_eq!(later.refresh(&library.query(), false).expect("fresh"), Status::Ok);
    for nth in [0, 150, 299] {
        let path = format!("/data/movies/better{nth}.mkv");
        let new = later
            .match_path(&offline(&library), path.as_bytes())
            .expect("an answer");
        assert_eq!((new.status, new.stale), (Status::Ok, false), "{path}");
    }
}

#[test]
fn a_server_that_does_not_count_still_tells_what_went() {
    let mut spec = LibrarySpec::new(LibraryKind::Movie, 80);
    spec.plain = true;
    let at = Scene::of(
        Standin::builder()
            .library(spec)
            .config(|config| config.omit_total_size_when_covered = true)
            .start()
            .expect("the stand-in starts"),
    )
    .with(|options| options.library_ttl = Ttl::Zero);
    let (_index, library) = at.listed();
    let (path, key) = path_of(&at.server, 1, 3);
    remove(&at.server, &[key.parse().expect("a number")]);
    at.clock.advance_ms(120_000);
    let answer = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(answer.status, Status::NotFound, "{:?}", requests(&at.server));
}

#[test]
fn a_disk_that_vanished_under_a_small_library_is_noticed_too() {
    let at = Scene::movies(40).with(|options| options.library_ttl = Ttl::Zero);
    let (_index, library) = at.listed();
    let (path, _) = path_of(&at.server, 1, 3);
    let keys: Vec<u64> = at.server.paths(1).iter().take(15).map(|(key, _)| *key).collect();
    remove(&at.server, &keys);
    at.clock.advance_ms(120_000);
    let answer = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(
        (answer.status, answer.stale),
        (Status::Ok, true),
        "15 of 40 went at once"
    );
}

#[test]
fn questions_that_fail_are_as_rare_as_others() {
    let at = Scene::movies(300);
    let (index, library) = at.listed();
    at.server
        .fault(Fault::new(Action::Delay { ms: 2_000 }).on(Kind::Search).times(0));
    let begun = Instant::now();
    for number in 0..8 {
        let path = format!("/data/movies/nowhere{number}.mkv");
        let answer = index
            .match_path(&within(&library, 400), path.as_bytes())
            .expect("an answer");
        assert_eq!((answer.status, answer.reason), (Status::NotYet, Reason::Unavailable));
    }
    let asked = requests(&at.server);
    assert!(
        asked[3] <= 1,
        "{asked:?} in {:?}: one question in half a minute",
        begun.elapsed()
    );
}

#[test]
fn a_miss_in_a_fresh_library_waits_for_no_server_that_is_gone() {
    let at = Scene::movies(300).with(|options| options.retry_for = Duration::from_secs(3));
    let index = at.open();
    at.list(&index);
    at.server.refuse();
    let mut took = Vec::new();
    // A new process for each file, as the first consumer has them.
    for number in 0..4 {
        let index = at.open();
        let library = index.library("Movies").expect("a handle");
        let begun = Instant::now();
        let path = format!("/data/movies/nowhere{number}.mkv");
        let answer = library.match_path(path.as_bytes()).expect("an answer");
        assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
        assert!(
            answer.stale && answer.message.contains("cannot reach"),
            "{}",
            answer.message
        );
        took.push(begun.elapsed());
    }
    assert!(
        took.iter().filter(|took| **took > Duration::from_secs(1)).count() <= 2,
        "{took:?}: one probe, one search"
    );
}

#[test]
fn many_threads_that_miss_do_not_wait_in_turn_for_a_server_that_hangs() {
    let at = Scene::movies(300).with(|options| {
        options.retry_for = Duration::ZERO;
        options.read_timeout = Duration::from_secs(1);
    });
    let index = at.open();
    at.list(&index);
    at.server
        .fault(Fault::new(Action::Delay { ms: 30_000 }).on(Kind::Search).times(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let index = &index;
            scope.spawn(move || {
                let library = index.library("Movies").expect("a handle");
                let path = format!("/data/movies/nowhere{number}.mkv");
                let answer = library.match_path(path.as_bytes()).expect("an answer");
                assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
            });
        }
    });
    let asked = requests(&at.server);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}, {asked:?}: one second each is what one question takes",
        begun.elapsed()
    );
}

#[test]
fn a_miss_that_a_silent_server_did_not_answer_says_so() {
    let at = Scene::movies(300);
    let (index, library) = at.listed();
    let (known, _) = path_of(&at.server, 1, 7);
    at.server.fault(Fault::new(Action::Delay { ms: 600_000 }).times(0));
    let missed = |index: &Index, library: &Library, number: u32, hurried: bool| {
        let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
        let query = if hurried { within(library, 300) } else { library.query() };
        let answer = index.match_path(&query, path.as_bytes()).expect("an answer");
        assert_eq!(answer.reason, Reason::Unavailable, "{}", answer.message);
        assert!(answer.stale, "{}", answer.message);
        assert!(answer.message.contains("cannot reach"), "{}", answer.message);
        answer.status
    };
    assert_eq!(missed(&index, &library, 0, true), Status::NotYet);
    let asked = requests(&at.server)[5];
    // At once, whoever asks: the server is left alone.
    assert_eq!(missed(&index, &library, 1, true), Status::NotYet);
    assert_eq!(
        missed(&index, &library, 0, false),
        Status::NotFound,
        "no deadline ran out"
    );
    let folder = b"/data/movies/Nowhere (2020)";
    let told = index.ask_folder(&library.query(), folder).expect("an answer").answer;
    assert_eq!((told.reason, told.stale), (Some(Reason::Unavailable), true));
    let other = at.open();
    let same = other.library("Movies").expect("a handle");
    assert_eq!(missed(&other, &same, 2, true), Status::NotYet);
    assert_eq!(missed(&other, &same, 3, false), Status::NotFound);
    assert_eq!(requests(&at.server)[5], asked);
    let found = library.match_path(known.as_bytes()).expect("an answer");
    assert_eq!(
        (found.status, found.stale),
        (Status::Ok, false),
        "this one needs no server"
    );
    // It answers again, and a listing says what there is.
    at.server.clear_faults();
    at.clock.advance_ms(1_000);
    other.refresh(&same.query(), true).expect("listed");
    let path = b"/data/movies/New3 (2020)/New3.mkv";
    let answer = same.match_path(path).expect("an answer");
    assert_eq!(
        (answer.reason, answer.stale),
        (Reason::NotListed, false),
        "{}",
        answer.message
    );
    at.clock.advance_ms(31_000);
    let answer = library.match_path(path).expect("an answer");
    assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::NotListed));
    assert!(!answer.stale);
}

#[test]
fn a_miss_is_asked_for_again_soon_after_the_server_is_back() {
    let at = Scene::movies(300).with(|options| options.retry_for = Duration::ZERO);
    let (index, library) = at.listed();
    let other = at.open();
    let same = other.library("Movies").expect("a handle");
    at.server.refuse();
    at.server.close_connections();
    let path = |number: u32| format!("/data/movies/New{number} (2020)/New{number}.mkv");
    let reason = |library: &Library, number: u32| {
        let answer = library.match_path(path(number).as_bytes()).expect("an answer");
        (answer.reason, answer.stale)
    };
    let sent = || -> u64 {
        let of = |index: &Index| index.stats().expect("statistics").all_requests();
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
    let at = Scene::movies(300);
    let (index, library) = at.listed();
    let (known, _) = path_of(&at.server, 1, 7);
    let other = at.open();
    let same = other.library("Movies").expect("a handle");
    // A path that is not listed, and then a listing that expired.
    for (number, path) in ["/data/movies/Never (2020)/Never.mkv", known.as_str()]
        .into_iter()
        .enumerate()
    {
        if number == 1 {
            at.clock.advance_ms(HOUR_MS);
        }
        let before = requests(&at.server);
        let hurried = index
            .match_path(&within(&library, 0), path.as_bytes())
            .expect("an answer");
        assert!(hurried.stale, "{}", hurried.message);
        assert_eq!(requests(&at.server), before, "no request fits into no time");
        let title = format!("New {number}");
        let new = format!("/data/movies/{title} (2020)/{title} (2020).mkv");
        at.server
            .change(|state| state.add_items(1, vec![crate::support::movie(&title, &new)], true))
            .expect("added");
        for asked in [&library, &same] {
            let answer = asked.match_path(new.as_bytes()).expect("an answer");
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
    let library = index.library("Movies").expect("a handle");
    let asked = || std::mem::take(&mut *asked.lock().expect("no panic"));
    let (path, _) = path_of(&at.server, 1, 3);
    library.match_path(path.as_bytes()).expect("an answer");
    let listed = asked();
    assert!(listed.contains(&("libraries", BRIEF)), "{listed:?}");
    assert!(listed.contains(&("page", LONG)), "{listed:?}");
    library.match_path(b"/data/movies/new.mkv").expect("an answer");
    assert_eq!(asked(), [("libraries", BRIEF), ("path", BRIEF)]);
    library.invalidate_path(path.as_bytes()).expect("invalidated");
    library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(asked(), [("items", BRIEF)]);
    at.clock.advance_ms(HOUR_MS);
    library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(asked(), [("libraries", BRIEF)]);
    // A refresh retries for longer, and waits longer for its pages only.
    index.refresh(&library.query(), true).expect("listed");
    let listed = asked();
    let expected = |what: &str| if what == "page" { LONG } else { [SILENCE, None] };
    assert!(
        listed.iter().all(|(what, patience)| *patience == expected(what)),
        "{listed:?}"
    );
    at.clock.advance_ms(HOUR_MS);
    index.refresh(&library.query(), false).expect("fresh");
    assert_eq!(asked(), [("libraries", [SILENCE, None])]);
}

#[test]
fn what_needs_a_server_that_is_gone_says_so_while_it_is_left_alone() {
    let at = Scene::movies(300).with(|options| options.retry_for = Duration::ZERO);
    let (index, library) = at.listed();
    at.server.refuse();
    at.server.close_connections();
    let missed = |number: u32| {
        let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
        let answer = index
            .match_path(&within(&library, 60_000), path.as_bytes())
            .expect("an answer");
        assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
        assert!(
            answer.stale && answer.message.contains("cannot reach"),
            "{}",
            answer.message
        );
    };
    missed(1);
    missed(2);
    at.clock.advance_ms(HOUR_MS);
    missed(3);
    missed(4);
    let guid = index
        .match_guid(&library.query(), "plex://movie/none")
        .expect("an answer");
    assert_eq!((guid.reason, guid.stale), (Reason::Unavailable, true));
    assert!(guid.message.contains("cannot reach"), "{}", guid.message);
    let outside = library.match_path(b"/elsewhere/New (2020)/New.mkv").expect("an answer");
    assert_eq!((outside.reason, outside.stale), (Reason::Unavailable, true));
    assert!(outside.message.contains("mapping"), "{}", outside.message);
}

#[test]
fn what_a_server_is_not_asked_after_it_failed_is_no_miss() {
    for hangs in [false, true] {
        let at = Scene::movies(300).with(|options| options.retry_for = Duration::ZERO);
        let (index, library) = at.listed();
        let ask = |index: &Index, number: u32| {
            let library = index.library("Movies").expect("a handle");
            let path = format!("/data/movies/New{number} (2020)/New{number}.mkv");
            let answer = index
                .match_path(&within(&library, 60_000), path.as_bytes())
                .expect("an answer");
            let late = hangs && answer.stale;
            let expected = if late { Status::NotYet } else { Status::NotFound };
            assert_eq!(answer.status, expected, "{}", answer.message);
            (answer.reason, answer.stale)
        };
        assert_eq!(ask(&index, 1), (Reason::NotListed, false), "it was searched");
        at.clock.advance_ms(5_000);
        at.server.reset();
        assert_eq!(
            ask(&at.open(), 2),
            (Reason::NotListed, false),
            "the server has not failed"
        );
        assert_eq!(requests(&at.server)[5], 0, "nor is it asked so soon");
        // Another process finds that it fails.
        let other = at.open();
        let movies = other.library("Movies").expect("a handle");
        if hangs {
            at.server.fault(Fault::new(Action::Delay { ms: 60_000 }));
            let late = other.refresh(&within(&movies, 300), true).expect("late");
            assert_eq!(late, Status::NeedsWarm);
        } else {
            at.server.refuse();
            at.server.close_connections();
            other.refresh(&movies.query(), true).expect_err("refused");
        }
        at.server.reset();
        for pause_ms in [0, 16_000, 13_000] {
            at.clock.advance_ms(pause_ms);
            for index in [&index, &other, &at.open()] {
                assert_eq!(
                    ask(index, 3),
                    (Reason::Unavailable, true),
                    "hangs: {hangs}, after {pause_ms} ms"
                );
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
        other.refresh(&library.query(), true).expect("listed");
        assert_eq!(ask(&at.open(), 4), (Reason::NotListed, false), "hangs: {hangs}");
    }
}

#[test]
fn what_was_confirmed_for_a_named_user_has_no_expiry() {
    let mut spec = LibrarySpec::new(LibraryKind::Movie, 100);
    spec.plain = true;
    let at = Scene::of(
        Standin::builder()
            .library(spec)
            .tokens(["the-first-token", "the-other-token"].map(plexindex_standin::Token::owner))
            .start()
            .expect("the stand-in starts"),
    );
    let (_, key) = path_of(&at.server, 1, 3);
    let bob = Options {
        token: Token::new("the-first-token"),
        user: Some("bob".to_owned()),
        library_ttl: Ttl::Forever,
        ..at.options.clone()
    };
    let bob = open(bob, &at.clock);
    let library = bob.library("Movies").expect("a handle");
    bob.refresh(&library.query(), true).expect("listed");
    library
        .record_matches(&[(b"/host/a.mkv", key.as_str())])
        .expect("recorded");
    for _ in 0..31 {
        at.clock.advance_ms(24 * HOUR_MS);
        let answer = library.match_path(b"/host/a.mkv").expect("an answer");
        assert_eq!(answer.match_kind, MatchKind::Confirmed, "used every day");
    }
    let other = Options {
        token: Token::new("the-other-token"),
        ..at.options.clone()
    };
    let other = open(other, &at.clock);
    other.refresh(&QueryOptions::default(), true).expect("listed");
    let answer = library.match_path(b"/host/a.mkv").expect("an answer");
    assert_eq!(answer.match_kind, MatchKind::Confirmed, "another token was used once");
}

#[test]
fn a_path_of_an_unfetched_library_can_be_invalidated() {
    let at = Scene::movies(3_000);
    let (index, library) = at.opened();
    let (path, key) = path_of(&at.server, 1, 1_234);
    let found = index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    assert_eq!(found.status, Status::Ok);
    remove(&at.server, &[key.parse().expect("a number")]);
    // The host met a 404.
    library.invalidate_path(path.as_bytes()).expect("invalidated");
    assert!(library.lookup_key(path.as_bytes(), |_| ()).is_none());
    let again = index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    assert_ne!(again.status, Status::Ok, "it was invalidated");
}

#[test]
fn an_item_of_an_unfetched_library_that_is_confirmed_is_merged() {
    let at = Scene::movies(3_000);
    let (index, library) = at.opened();
    let (path, key) = path_of(&at.server, 1, 1_234);
    let number: u64 = key.parse().expect("a number");
    index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    at.server
        .change(|state| state.rename_file(number, &path, "/data/movies/renamed.mkv"))
        .expect("renamed");
    library.invalidate_item(&key).expect("invalidated");
    index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    let again = index
        .match_path(&offline(&library), path.as_bytes())
        .expect("an answer");
    assert_ne!(again.status, Status::Ok, "the server said that it has another path now");
}

#[test]
fn what_an_unfetched_library_answers_long_after_is_stale() {
    let at = Scene::movies(3_000).with(|options| options.retry_for = Duration::ZERO);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 1_234);
    let found = index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    assert_eq!((found.status, found.stale), (Status::Ok, false));
    at.server.refuse();
    at.server.close_connections();
    at.clock.advance_ms(72 * HOUR_MS);
    let later = index
        .match_path(&within(&library, 2_000), path.as_bytes())
        .expect("an answer");
    assert_eq!(
        (later.status, later.stale),
        (Status::Ok, true),
        "three days old, and no server can be asked"
    );
}

#[test]
fn a_file_of_two_unfetched_libraries_is_ambiguous() {
    let path = "/data/shared/One (2020).mkv";
    let spec = |title: &str| {
        let mut spec = LibrarySpec::new(LibraryKind::Movie, 1_500)
            .title(title)
            .locations(["/data/shared"]);
        spec.plain = true;
        spec
    };
    let at = Scene::of(
        Standin::builder()
            .library(spec("A"))
            .library(spec("B"))
            .items(1, [movie("One", path)])
            .items(2, [movie("One", path)])
            .start()
            .expect("the stand-in starts"),
    );
    let index = at.open();
    let all = QueryOptions {
        deadline: Deadline::In(Duration::from_secs(20)),
        ..QueryOptions::default()
    };
    let first = index.match_path(&all, path.as_bytes()).expect("an answer");
    index.refresh(&QueryOptions::default(), true).expect("listed");
    let later = index.match_path(&all, path.as_bytes()).expect("an answer");
    assert_eq!(
        (later.status, later.reason),
        (Status::Ambiguous, Reason::SeveralLibraries)
    );
    assert_eq!(first.status, later.status, "the first answer was one of two");
}

#[test]
fn a_clock_that_was_set_back_does_not_end_the_limit_of_questions() {
    let at = Scene::movies(300);
    let (index, library) = at.listed();
    at.clock.advance_ms(50 * HOUR_MS);
    library.match_path(b"/data/movies/nowhere.mkv").expect("an answer");
    at.clock.advance_ms(-49 * HOUR_MS);
    index.refresh(&library.query(), true).expect("listed");
    at.server.reset();
    for number in 0..20 {
        let path = format!("/data/movies/nowhere{number}.mkv");
        library.match_path(path.as_bytes()).expect("an answer");
    }
    let asked = requests(&at.server);
    assert!(asked[3] <= 2, "{asked:?}: one question in two shapes");
}

#[test]
fn the_end_of_a_path_is_not_compared_with_the_little_that_an_unfetched_library_has() {
    let at = Scene::of(
        Standin::builder()
            .library(LibrarySpec::new(LibraryKind::Movie, 3_000).plain())
            .items(
                1,
                [movie("A", "/data/movies/A/01.mkv"), movie("B", "/data/movies/B/01.mkv")],
            )
            .start()
            .expect("the stand-in starts"),
    );
    let (index, library) = at.opened();
    let first = index
        .match_path(&within(&library, 20_000), b"/data/movies/A/01.mkv")
        .expect("an answer");
    assert_eq!(first.status, Status::Ok);
    assert_eq!(requests(&at.server)[2], 0, "nothing was listed");
    // The host sees the folder elsewhere, and no mapping was given.
    assert_eq!(library.lookup_key(b"/mnt/B/01.mkv", str::to_owned), None);
    let other = index
        .match_path(&offline(&library), b"/mnt/B/01.mkv")
        .expect("an answer");
    assert_ne!(other.status, Status::Ok, "{:?}", other.item.map(|item| item.item.title));
}

#[test]
fn each_library_that_may_have_a_new_file_is_asked() {
    let spec = |title: &str| {
        let mut spec = LibrarySpec::new(LibraryKind::Movie, 300)
            .title(title)
            .locations(["/data/shared"]);
        spec.plain = true;
        spec
    };
    let at = Scene::of(
        Standin::builder()
            .library(spec("A"))
            .library(spec("B"))
            .start()
            .expect("the stand-in starts"),
    );
    let index = at.open();
    at.list(&index);
    let (old, key) = path_of(&at.server, 2, 42);
    let number: u64 = key.parse().expect("a number");
    at.server
        .change(|state| state.rename_file(number, &old, "/data/shared/renamed.mkv"))
        .expect("renamed");
    let found = index
        .match_path(&QueryOptions::default(), b"/data/shared/renamed.mkv")
        .expect("an answer");
    assert_eq!(found.status, Status::Ok, "{:?} {}", requests(&at.server), found.message);
}

#[test]
fn an_unfetched_library_that_was_invalidated_remembers_nothing() {
    let at = Scene::movies(3_000);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 1_234);
    index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    library.invalidate().expect("invalidated");
    let old = index
        .match_path(&offline(&library), path.as_bytes())
        .expect("an answer");
    assert!(old.stale, "the library was invalidated");
    at.server.reset();
    index
        .match_path(&within(&library, 20_000), path.as_bytes())
        .expect("an answer");
    assert!(requests(&at.server)[5] > 0, "a listing is due");
}

#[test]
fn an_expired_library_is_probed_once_for_a_path_that_is_nowhere() {
    let at = Scene::movies(6_000);
    let (_index, library) = at.listed();
    at.clock.advance_ms(HOUR_MS);
    library.match_path(b"/data/movies/nowhere.mkv").expect("an answer");
    assert_eq!(requests(&at.server)[1], 1, "{:?}", requests(&at.server));
}

#[test]
fn a_delta_may_be_larger_than_an_overlay() {
    let at = Scene::movies(20_000);
    let index = at.open();
    let other = at.open();
    at.list(&index);
    let there = other.library("Movies").expect("a handle");
    let many: Vec<String> = (0..4_099).map(|n| format!("/data/movies/n{n}.mkv")).collect();
    add(&at.server, &many);
    at.clock.advance_ms(HOUR_MS);
    let library = index.library("Movies").expect("a handle");
    index.refresh(&library.query(), false).expect("fresh");
    let asked = requests(&at.server);
    for path in many.iter().step_by(41) {
        for (index, library) in [(&index, &library), (&other, &there)] {
            let found = index.match_path(&offline(library), path.as_bytes()).expect("an answer");
            assert_eq!(found.status, Status::Ok, "{path} {asked:?}");
        }
    }
    assert_eq!(index.stats().expect("statistics").items, 24_099);
}

#[test]
fn what_was_cleared_is_not_inherited_again() {
    let at = Scene::of(
        Standin::builder()
            .library(LibrarySpec::new(LibraryKind::Movie, 100).plain())
            .tokens(["the-old-token", "the-new-token"].map(plexindex_standin::Token::owner))
            .start()
            .expect("the stand-in starts"),
    );
    let (_, key) = path_of(&at.server, 1, 3);
    let by = |token: &str| {
        open(
            Options {
                token: Token::new(token),
                ..at.options.clone()
            },
            &at.clock,
        )
    };
    let old = by("the-old-token");
    let library = old.library("Movies").expect("a handle");
    library
        .record_matches(&[(b"/host/a.mkv", key.as_str())])
        .expect("recorded");
    let new = by("the-new-token");
    at.list(&new);
    new.clear().expect("cleared");
    at.list(&new);
    let library = new.library("Movies").expect("a handle");
    assert_eq!(
        library.lookup_key(b"/host/a.mkv", str::to_owned),
        None,
        "it was cleared"
    );
}

/// Without a server one of several views answers, and no other one goes with it.
#[test]
fn without_a_server_one_view_is_cleared() {
    let tokens = ["one", "two", "three"];
    let at = Scene::of(
        Standin::builder()
            .library(LibrarySpec::new(LibraryKind::Movie, 100).plain())
            .tokens(tokens.map(plexindex_standin::Token::owner))
            .start()
            .expect("the stand-in starts"),
    );
    let by = |token: Option<&str>| {
        let server_url = at.options.server_url.clone().filter(|_| token.is_some());
        let options = Options {
            server_url,
            token: token.and_then(Token::new),
            ..at.options.clone()
        };
        Index::open_with_clock(options, Arc::clone(&at.clock) as _).expect("opened")
    };
    for token in tokens {
        at.list(&by(Some(token)));
    }
    by(None).clear().expect("cleared");
    let items = |token| by(Some(token)).stats().expect("statistics").items;
    assert_eq!(tokens.map(items), [100, 100, 0]);
}

#[test]
fn a_probe_for_a_missing_path_does_not_wait_for_a_listing() {
    let at = Scene::movies(300);
    let index = at.open();
    at.list(&index);
    add(&at.server, &["/data/movies/n1.mkv".to_owned()]);
    // So long after the last one that clocks that moved lead to a listing.
    at.clock.advance_ms(20 * 60_000);
    at.server
        .fault(Fault::new(Action::Delay { ms: 3_000 }).on(Kind::Listing).times(0));
    let barrier = std::sync::Barrier::new(6);
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (index, barrier) = (&index, &barrier);
                scope.spawn(move || {
                    let library = index.library("Movies").expect("a handle");
                    barrier.wait();
                    let begun = Instant::now();
                    let path = format!("/data/movies/nowhere{number}.mkv");
                    library.match_path(path.as_bytes()).expect("an answer");
                    begun.elapsed()
                })
            })
            .collect();
        threads.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    took.sort();
    assert!(
        took[4] < Duration::from_secs(2),
        "{took:?}: one lists, the others only probe"
    );
}

#[test]
fn a_miss_needs_no_write() {
    let server = movies(300);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let index = open(options(&server, folder.path()), &clock);
    listed(&server, &index);
    let library = index.library("Movies").expect("a handle");
    let other = rusqlite::Connection::open(folder.path().join("plexindex-1.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let begun = Instant::now();
    let answer = index.match_path(&within(&library, 400), b"/data/movies/nowhere.mkv");
    let took = begun.elapsed();
    other.execute_batch("ROLLBACK").expect("unlocked");
    let answer = answer.unwrap_or_else(|error| panic!("{error}, after {took:?}"));
    assert_eq!(answer.reason, Reason::NotListed);
}

#[test]
fn a_server_that_refuses_file_names_is_not_asked_again_and_again() {
    for status in [400, 500] {
        let at = Scene::movies(300).with(|options| options.retry_for = Duration::from_secs(6));
        let index = at.open();
        at.list(&index);
        let (_, key) = path_of(&at.server, 1, 42);
        let number: u64 = key.parse().expect("a number");
        let path = "/data/movies/Winter Is Here (2020).mkv";
        let files = vec![MediaSpec::File(path.to_owned())];
        at.server
            .change(|state| state.set_files(number, files, false, false))
            .expect("renamed");
        at.server
            .change(|state| state.change_item(number, |item| item.title = "Winter Is Here".to_owned()))
            .expect("renamed");
        at.server.fault(
            Fault::new(Action::Status {
                status,
                retry_after: None,
            })
            .on(Kind::Search)
            .containing("file=")
            .times(0),
        );
        let library = index.library("Movies").expect("a handle");
        let begun = Instant::now();
        let found = library.match_path(path.as_bytes()).expect("an answer");
        let asked = requests(&at.server);
        assert_eq!(found.status, Status::Ok, "{status}: {asked:?} {}", found.message);
        assert!(asked[3] <= 3, "{status}: {asked:?} in {:?}", begun.elapsed());
    }
}

#[test]
fn a_store_is_made_beside_one_of_another_format_by_many_at_once() {
    let server = movies(300);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let index = open(options(&server, folder.path()), &clock);
    listed(&server, &index);
    index.close().expect("closed");
    let old = folder.path().join("plexindex-2.db");
    std::fs::rename(folder.path().join("plexindex-1.db"), &old).expect("a store of another format");
    let before = std::fs::read(&old).expect("read");
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (barrier, clock, options) = (&barrier, &clock, options(&server, folder.path()));
            scope.spawn(move || {
                barrier.wait();
                let index = open(options, clock);
                let library = index.library("Movies").expect("a handle");
                let path = format!("/data/movies/nowhere{number}.mkv");
                let answer = library.match_path(path.as_bytes()).expect("an answer");
                assert_eq!(answer.reason, Reason::NotListed, "{}", answer.message);
                assert!(!answer.message.contains("cannot reach"), "{}", answer.message);
            });
        }
    });
    assert!(folder.path().join("plexindex-1.db").exists());
    assert_eq!(std::fs::read(&old).expect("read"), before);
}

#[test]
fn a_server_that_refuses_an_order_is_listed_instead() {
    let at = Scene::movies(6_000).with(|options| options.retry_for = Duration::ZERO);
    let (_index, library) = at.listed();
    let (path, key) = path_of(&at.server, 1, 17);
    remove(&at.server, &[key.parse().expect("a number")]);
    let refusal = Action::Status {
        status: 400,
        retry_after: None,
    };
    at.server
        .fault(Fault::new(refusal).containing("sort=updatedAt").times(0));
    at.clock.advance_ms(HOUR_MS);
    let answer = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(
        (answer.status, answer.stale),
        (Status::NotFound, false),
        "{}",
        answer.message
    );
}

#[test]
fn what_was_just_asked_at_once_is_not_stale() {
    let at = Scene::movies(300).with(|options| options.library_ttl = Ttl::Zero);
    let (_index, library) = at.listed();
    let (path, _) = path_of(&at.server, 1, 17);
    let answer = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(requests(&at.server)[1], 1);
    assert!(!answer.stale, "it was seen to be current by this very call");
}

#[test]
fn libraries_without_a_uuid_are_told_apart_by_their_section() {
    let nameless = |title: &str, items| {
        let mut spec = LibrarySpec::movies(items).plain().title(title);
        spec.uuid = Some(String::new());
        spec
    };
    let at = Scene::of(
        Standin::builder()
            .library(nameless("Movies", 20))
            .library(nameless("More movies", 30))
            .start()
            .expect("the stand-in starts"),
    );
    let index = at.open();
    index.refresh(&QueryOptions::default(), true).expect("listed");
    let stats = index.stats().expect("statistics");
    assert_eq!((stats.libraries, stats.items), (2, 50));
    for (library, title) in [(1, "Movies"), (2, "More movies")] {
        let (path, key) = path_of(&at.server, library, 3);
        let found = index.library(title).expect("a handle").match_path(path.as_bytes());
        assert_eq!(
            found.expect("an answer").item.map(|item| item.item.rating_key),
            Some(key)
        );
    }
    // Sections have the same numbers everywhere: they are no sign that the same server answers.
    at.server
        .change(|state| state.identity.machine_identifier = "f".repeat(40));
    at.clock.advance_ms(2 * HOUR_MS);
    at.server.reset();
    index.refresh(&QueryOptions::default(), false).expect("probed");
    assert_eq!(
        requests(&at.server)[2],
        2,
        "nothing that the old one listed is taken for the new one's"
    );
}

#[test]
fn a_view_is_never_emptied_by_age() {
    let mut spec = LibrarySpec::new(LibraryKind::Movie, 100);
    spec.plain = true;
    let at = Scene::of(
        Standin::builder()
            .library(spec)
            .tokens(["the-first-token", "the-other-token"].map(plexindex_standin::Token::owner))
            .start()
            .expect("the stand-in starts"),
    );
    let (_, key) = path_of(&at.server, 1, 3);
    let first = || {
        let options = Options {
            token: Token::new("the-first-token"),
            library_ttl: Ttl::Forever,
            ..at.options.clone()
        };
        open(options, &at.clock)
    };
    let index = first();
    let library = index.library("Movies").expect("a handle");
    index.refresh(&library.query(), true).expect("listed");
    library
        .record_matches(&[(b"/host/a.mkv", key.as_str())])
        .expect("recorded");
    drop(index);
    at.clock.advance_ms(45 * 24 * HOUR_MS);
    let other = Options {
        token: Token::new("the-other-token"),
        ..at.options.clone()
    };
    let list_as_another = || {
        let other = open(other.clone(), &at.clock);
        other.refresh(&QueryOptions::default(), true).expect("listed");
        other.clear().expect("cleared");
    };
    list_as_another();
    let index = first();
    let library = index.library("Movies").expect("a handle");
    let answer = library.match_path(b"/host/a.mkv").expect("an answer");
    assert_eq!(answer.match_kind, MatchKind::Confirmed, "another token was used once");
    assert_eq!(answer.item.map(|item| item.item.rating_key), Some(key));
}

#[test]
fn the_newer_of_a_record_and_a_single_item_counts_whatever_is_folded() {
    let at = Scene::movies(4_500);
    let (index, library) = at.listed();
    let (_, key) = path_of(&at.server, 1, 3);
    let record = |path: &str| {
        library
            .record_matches(&[(path.as_bytes(), key.as_str())])
            .expect("recorded");
    };
    let match_kinds = |path: &str| {
        [&index, &at.open()].map(|index| {
            let library = index.library("Movies").expect("a handle");
            index
                .match_path(&offline(&library), path.as_bytes())
                .expect("an answer")
                .match_kind
        })
    };
    let (early, late) = ("/data/movies/early.mkv", "/data/movies/late.mkv");
    record(early);
    assert_eq!(match_kinds(early), [MatchKind::Confirmed; 2]);
    // An item comes that has the path, with so many others that all are put into a new segment.
    let others = (0..4_098).map(|n| format!("/data/movies/n{n}.mkv"));
    let many: Vec<String> = others.chain([early.to_owned()]).collect();
    add(&at.server, &many);
    at.clock.advance_ms(HOUR_MS);
    index.refresh(&library.query(), false).expect("fresh");
    assert_eq!(
        match_kinds(early),
        [MatchKind::Exact; 2],
        "the item is newer than the record"
    );
    // The host knows better of one that came before: also once the matches are in a new segment.
    add(&at.server, &[late.to_owned()]);
    at.clock.advance_ms(HOUR_MS);
    index.refresh(&library.query(), false).expect("fresh");
    assert_eq!(match_kinds(late), [MatchKind::Exact; 2]);
    record(late);
    assert_eq!(match_kinds(late), [MatchKind::Confirmed; 2]);
    let paths: Vec<String> = (0..1_100).map(|n| format!("/host/{n}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), key.as_str())).collect();
    library.record_matches(&pairs).expect("recorded");
    assert_eq!(
        (match_kinds(late), match_kinds(early)),
        ([MatchKind::Confirmed; 2], [MatchKind::Exact; 2])
    );
    record(early);
    assert_eq!(match_kinds(early), [MatchKind::Confirmed; 2]);
}

/// Options that the source refuses are refused before a folder is made.
#[test]
fn wrong_options_leave_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    let wrong: [fn(&mut Options); 3] = [
        |options| options.server_url = Some("no url".into()),
        |options| options.token = Token::new("two words"),
        |options| options.ca_file = Some("/does/not/exist.pem".into()),
    ];
    for spoil in wrong {
        let mut options = Options {
            server_url: Some("https://127.0.0.1:1".into()),
            ..Options::new(&folder)
        };
        spoil(&mut options);
        let error = Index::open(options).expect_err("it is refused");
        assert_eq!(error.status, Status::InvalidArgument, "{error}");
        assert!(!folder.exists(), "{error}");
    }
}
