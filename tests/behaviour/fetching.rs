//! Fetching over real HTTP: cut off and taken up again, shifted, shrunk, late, refused; with exact request counts.

use std::sync::OnceLock;
use std::time::Duration;

use crate::support::index::{Deadline, QueryOptions};
use crate::support::worker::until;
use crate::support::{HOUR_MS, Scene, clock, movies, open, options, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibraryKind, LibrarySpec, Standin, Token};

#[test]
fn a_fetch_that_was_cut_off_goes_on_in_the_next_process() {
    let at = Scene::movies(5_000).with(|options| options.retry_for = Duration::ZERO);
    at.server
        .fault(Fault::new(Action::Drop).on(Kind::Listing).after(3).times(1));
    let (path, _) = path_of(&at.server, 1, 4_900);
    {
        let index = at.open();
        let library = index.library("Movies").expect("a handle");
        let error = library.match_path(path.as_bytes()).expect_err("cut off");
        assert!(matches!(error.status, Status::Connect | Status::BadAnswer), "{error:?}");
    }
    at.server.reset();
    let (index, library) = at.opened();
    let found = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(
        (found.status, found.match_kind),
        (Status::Ok, MatchKind::Exact),
        "{}",
        found.message
    );
    // Rows 2,950 to 5,000 are left, 50 of them again: three pages of at most 1,000.
    assert_eq!(requests(&at.server), [0, 2, 3, 0, 0, 5]);
    assert_eq!(index.stats().expect("statistics").items, 5_000);
}

#[test]
fn a_page_that_was_cut_off_keeps_its_rows() {
    let at = Scene::movies(3_000).with(|options| options.retry_for = Duration::ZERO);
    at.server.config(|config| config.gzip = false);
    at.server.fault(
        Fault::new(Action::Cut { after: Some(600_000) })
            .on(Kind::Listing)
            .after(1)
            .times(1),
    );
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 2_999);
    let error = library.match_path(path.as_bytes()).expect_err("cut off");
    assert_eq!(error.status, Status::BadAnswer, "{error:?}");
    let seen = OnceLock::new();
    let watch = |progress: &crate::support::index::Progress<'_>| {
        seen.get_or_init(|| progress.items);
        true
    };
    let found = index
        .match_path(
            &QueryOptions {
                progress: Some(&watch),
                ..library.query()
            },
            path.as_bytes(),
        )
        .expect("an answer");
    assert_eq!(found.status, Status::Ok);
    assert_eq!(index.stats().expect("statistics").items, 3_000);
}

#[test]
fn rows_that_shift_while_paging_lose_nothing() {
    let at = Scene::movies(4_000);
    let (_index, library) = at.opened();
    let (first, key) = path_of(&at.server, 1, 0);
    let (last, _) = path_of(&at.server, 1, 3_999);
    // Before the third page the first row goes: what was row 2,000 is now row 1,999.
    at.server
        .change(|state| state.shift_before_page(1, 3, vec![key.parse().expect("a number")], Vec::new()))
        .expect("planned");
    assert_eq!(
        library.match_path(last.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    let gone = library.match_path(first.as_bytes()).expect("an answer");
    assert_eq!((gone.status, gone.reason), (Status::NotFound, Reason::NotListed));
    for (key, path) in at.server.paths(1) {
        let path = path.expect("all have files");
        let seen = library.lookup_key(path.as_bytes(), str::to_owned);
        assert_eq!(seen, Some(key.to_string()), "{path}");
    }
}

#[test]
fn a_library_that_shrank_much_is_believed_the_second_time() {
    let at = Scene::movies(100);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 99);
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    at.server.change(|state| state.empty_library(1)).expect("emptied");
    at.clock.advance_ms(HOUR_MS);
    let held = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(held.status, Status::Ok, "a disk may be missing");
    // The server was just asked, and the answer is old all the same.
    assert!(
        held.stale && held.age_ms.is_some_and(|age| age < 1_000),
        "{:?}",
        held.age_ms
    );
    let libraries = index.libraries_json(&QueryOptions::default()).expect("libraries");
    assert!(libraries.contains("\"fresh\":false"), "{libraries}");
    at.clock.advance_ms(61_000);
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::NotFound
    );
}

/// Removes so many of the first movies.
fn lose(server: &Standin, count: usize) {
    let keys: Vec<u64> = server.paths(1).iter().take(count).map(|(key, _)| *key).collect();
    remove(server, &keys);
}

#[test]
fn a_library_that_goes_on_shrinking_is_believed_the_second_time_too() {
    let at = Scene::movies(100);
    let (_index, library) = at.listed();
    let (gone, _) = path_of(&at.server, 1, 3);
    lose(&at.server, 40);
    at.clock.advance_ms(HOUR_MS);
    let status = || {
        let answer = library.match_path(gone.as_bytes()).expect("an answer");
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
    assert_eq!(library.lookup_key(gone.as_bytes(), str::to_owned), None);
}

#[test]
fn a_listing_that_is_asked_for_in_full_is_believed_at_once() {
    let at = Scene::movies(100);
    let (index, library) = at.listed();
    let (gone, _) = path_of(&at.server, 1, 3);
    lose(&at.server, 60);
    at.clock.advance_ms(HOUR_MS);
    assert_eq!(index.refresh(&library.query(), false).expect("listed"), Status::Ok);
    assert!(
        library.lookup_key(gone.as_bytes(), |_| ()).is_some(),
        "a disk may be missing"
    );
    assert_eq!(index.refresh(&library.query(), true).expect("listed"), Status::Ok);
    assert_eq!(library.lookup_key(gone.as_bytes(), str::to_owned), None);
    let answer = library.match_path(gone.as_bytes()).expect("an answer");
    assert_eq!((answer.status, answer.stale), (Status::NotFound, false));
}

#[test]
fn a_listing_that_was_held_back_while_the_clock_was_ahead_is_followed_by_another() {
    let at = Scene::movies(100);
    let (_index, library) = at.listed();
    let (gone, _) = path_of(&at.server, 1, 3);
    lose(&at.server, 40);
    at.clock.advance_ms(24 * HOUR_MS);
    let status = || library.match_path(gone.as_bytes()).expect("an answer").status;
    assert_eq!(status(), Status::Ok, "a disk may be missing");
    at.clock.advance_ms(-23 * HOUR_MS);
    assert_eq!(status(), Status::NotFound);
}

#[test]
fn a_listing_that_shows_no_change_keeps_its_generation() {
    let at = Scene::movies(300);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 5);
    library.match_path(path.as_bytes()).expect("an answer");
    let generation = |text: String| text[text.find("generation").expect("there")..].to_owned();
    let before = generation(index.libraries_json(&QueryOptions::default()).expect("libraries"));
    at.server.scan(1);
    at.clock.advance_ms(HOUR_MS);
    library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(
        generation(index.libraries_json(&QueryOptions::default()).expect("libraries")),
        before
    );
    assert_eq!(index.stats().expect("statistics").listings, 2);
}

#[test]
fn a_renamed_an_added_and_a_removed_file_are_seen_after_the_next_listing() {
    let at = Scene::movies(300);
    let (_index, library) = at.opened();
    let (renamed, renamed_key) = path_of(&at.server, 1, 5);
    let (removed, removed_key) = path_of(&at.server, 1, 6);
    library.match_path(renamed.as_bytes()).expect("an answer");
    at.server
        .change(|state| {
            state.rename_file(renamed_key.parse().expect("a number"), &renamed, "/data/movies/x.mkv")?;
            state.remove_items(&[removed_key.parse().expect("a number")], true)?;
            state.add_items(1, vec![ItemSpec::file("New", "/data/movies/new.mkv")], true)
        })
        .expect("changed");
    at.clock.advance_ms(HOUR_MS);
    let status = |path: &str| library.match_path(path.as_bytes()).expect("an answer").status;
    assert_eq!(status(&renamed), Status::NotFound);
    assert_eq!(status(&removed), Status::NotFound);
    assert_eq!(status("/data/movies/x.mkv"), Status::Ok);
    assert_eq!(status("/data/movies/new.mkv"), Status::Ok);
}

#[test]
fn old_answers_stand_in_while_the_server_is_down() {
    let at = Scene::movies(100).with(|options| options.retry_for = Duration::ZERO);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 5);
    library.match_path(path.as_bytes()).expect("an answer");
    at.clock.advance_ms(HOUR_MS);
    at.server.reset();
    at.server.fault(Fault::new(Action::Status {
        status: 500,
        retry_after: None,
    }));
    for _ in 0..5 {
        let old = library.match_path(path.as_bytes()).expect("an answer");
        assert_eq!((old.status, old.stale), (Status::Ok, true));
    }
    assert_eq!(
        requests(&at.server)[5],
        1,
        "a server that failed is left alone for a while"
    );
    let missing = library.match_path(b"/data/movies/unknown.mkv").expect("an answer");
    assert_eq!(missing.status, Status::NotFound);
    assert!(missing.message.contains("cannot reach"), "{}", missing.message);
    let stats = index.stats().expect("statistics");
    assert_eq!(stats.failures, 1, "told once");
    assert!(stats.last_failure.is_some_and(|failure| failure.contains("500")));
    at.server.clear_faults();
    at.clock.advance_ms(16_000);
    let fresh = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!((fresh.status, fresh.stale), (Status::Ok, false));
    assert_eq!(index.stats().expect("statistics").last_failure, None);
}

#[test]
fn a_deadline_gives_not_yet_and_the_next_call_goes_on() {
    // A busy machine may take longer for the first page, which the server sends at once.
    let deadlines = (0..6).map(|doubled| Duration::from_millis(400) * 2_u32.pow(doubled));
    let ended = deadlines.map(fetch_by).find(|status| *status != Status::NeedsWarm);
    assert_eq!(ended, Some(Status::NotYet));
}

/// The answer of a call during which the first page comes, and no other. The next call fetches all.
fn fetch_by(deadline: Duration) -> Status {
    let at = Scene::movies(4_000);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 3_999);
    // The second page never ends.
    at.server.fault(
        Fault::new(Action::Stall {
            after: Some(0),
            ms: 60_000,
        })
        .on(Kind::Listing)
        .after(1)
        .times(1),
    );
    let hurried = QueryOptions {
        deadline: Deadline::In(deadline),
        ..library.query()
    };
    // The server does not have it, so no question about it gives an answer.
    let late = index
        .match_path(&hurried, b"/data/movies/unknown.mkv")
        .expect("an answer");
    if late.status == Status::NotYet {
        let found = library.match_path(path.as_bytes()).expect("an answer");
        assert_eq!(found.status, Status::Ok);
    }
    late.status
}

#[test]
fn a_server_that_is_too_slow_for_any_deadline_needs_warm() {
    let at = Scene::movies(1_000);
    let (index, library) = at.opened();
    at.server
        .fault(Fault::new(Action::Delay { ms: 60_000 }).on(Kind::Listing));
    let hurried = QueryOptions {
        deadline: Deadline::In(Duration::from_millis(200)),
        ..library.query()
    };
    let late = index
        .match_path(&hurried, b"/data/movies/unknown.mkv")
        .expect("an answer");
    assert_eq!(late.status, Status::NeedsWarm, "{}", late.message);
}

#[test]
fn rows_of_an_earlier_call_are_none_that_came_in_this_one() {
    let at = Scene::movies(6_000);
    let (index, library) = at.opened();
    let ask = |ms| {
        let hurried = QueryOptions {
            deadline: Deadline::In(Duration::from_millis(ms)),
            ..library.query()
        };
        let asked = index.match_path(&hurried, b"/data/movies/unknown.mkv");
        asked.expect("an answer").status
    };
    // The first page comes, and no other.
    at.server.fault(
        Fault::new(Action::Delay { ms: 60_000 })
            .on(Kind::Listing)
            .after(1)
            .times(0),
    );
    assert_eq!(ask(1_000), Status::NotYet);
    assert_eq!(ask(200), Status::NeedsWarm);
}

#[test]
fn the_host_can_stop_a_fetch_and_what_came_is_kept() {
    let at = Scene::movies(6_000);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 3);
    at.server.fault(
        Fault::new(Action::Delay { ms: 60_000 })
            .on(Kind::Listing)
            .after(2)
            .times(1),
    );
    let stop = |progress: &crate::support::index::Progress<'_>| progress.items < 2_000;
    let question = QueryOptions {
        progress: Some(&stop),
        ..library.query()
    };
    let error = index.match_path(&question, path.as_bytes()).expect_err("stopped");
    assert_eq!(error.status, Status::Aborted, "{error:?}");
    at.server.reset();
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    assert!(
        requests(&at.server)[2] <= 5,
        "it began anew: {:?}",
        requests(&at.server)
    );
}

#[test]
fn users_of_one_server_do_not_see_each_other() {
    let server = Standin::builder()
        .library(LibrarySpec::movies(20))
        .library(LibrarySpec::shows(20))
        .tokens([Token::owner("owner"), Token::shared("guest", [2])])
        .start()
        .expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let mut choice = options(&server, folder.path());
    choice.token = plexindex::model::Token::new("owner");
    let (path, _) = path_of(&server, 1, 3);
    let owner = open(choice.clone(), &clock);
    let library = owner.library("Movies").expect("a handle");
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    choice.token = plexindex::model::Token::new("guest");
    let guest = open(choice, &clock);
    assert!(
        guest
            .library("Movies")
            .expect("a handle")
            .lookup_key(path.as_bytes(), |_| ())
            .is_none()
    );
    let error = guest
        .library("Movies")
        .expect("a handle")
        .match_path(path.as_bytes())
        .expect_err("not shared");
    assert_eq!(error.status, Status::LibraryNotFound);
    assert!(
        error.message.contains("TV"),
        "names those that exist: {}",
        error.message
    );
}

#[test]
fn a_silent_server_keeps_no_call_to_another_one_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let (silent, other) = (movies(20), movies(20));
    let minutes = Fault::new(Action::Delay { ms: 600_000 });
    silent.fault(minutes.times(0));
    let index_of = |server| open(options(server, folder.path()), &clock());
    let (waiting, index) = (index_of(&silent), index_of(&other));
    let ended = OnceLock::new();
    let goes_on = |_: &crate::support::index::Progress<'_>| ended.get().is_none();
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| {
            let query = QueryOptions {
                progress: Some(&goes_on),
                ..QueryOptions::default()
            };
            waiting.refresh(&query, false)
        });
        until("the silent server was asked", || silent.stats().total > 0);
        let deadline = QueryOptions {
            deadline: Deadline::In(Duration::from_secs(20)),
            ..QueryOptions::default()
        };
        let refreshed = index.refresh(&deadline, false);
        let still_waits = !waits.is_finished();
        ended.get_or_init(|| ());
        assert_eq!(refreshed.expect("the other server answers"), Status::Ok);
        assert!(still_waits, "it says nothing about a server that answered");
        let error = waits.join().expect("no panic").expect_err("it was ended");
        assert_eq!(error.status, Status::Aborted);
    });
}

#[test]
fn another_server_behind_the_same_url_answers_nothing_of_the_old() {
    let at = Scene::movies(50);
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 3);
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    at.server.change(|state| {
        state.identity.machine_identifier = "f".repeat(40);
        state.remove_library(1).expect("removed");
        let mut spec = LibrarySpec::new(LibraryKind::Movie, 10);
        spec.uuid = Some("another".into());
        spec.seed = 99;
        spec.plain = true;
        state.add_library(spec).expect("added");
    });
    at.clock.advance_ms(HOUR_MS);
    let other = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(other.status, Status::NotFound, "{other:?}");
    assert_eq!(index.stats().expect("statistics").items, 10);
}

#[test]
fn photos_and_their_clips_are_one_library() {
    let at = Scene::of(
        Standin::builder()
            .library(LibrarySpec::photos(2_500))
            .start()
            .expect("starts"),
    );
    let index = at.open();
    let library = index.library("1").expect("by section id");
    let paths = at.server.paths(1);
    for (key, path) in paths
        .iter()
        .filter_map(|(key, path)| path.as_ref().map(|path| (key, path)))
        .step_by(97)
    {
        let found = library.match_path(path.as_bytes()).expect("an answer");
        assert!(
            found
                .candidates
                .iter()
                .any(|one| one.item.rating_key == key.to_string()),
            "{path}: {found:?}"
        );
    }
    assert!(
        !index
            .libraries_json(&QueryOptions::default())
            .expect("libraries")
            .contains("\"fresh\":false")
    );
}

#[test]
fn stopping_a_call_cuts_no_page_of_another() {
    let server = movies(3_000);
    server.config(|config| config.gzip = false);
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    // The second page comes to its half, and then not for as long as any test takes.
    server.fault(
        Fault::new(Action::Stall {
            after: None,
            ms: 600_000,
        })
        .on(Kind::Listing)
        .after(1)
        .times(1),
    );
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| index.refresh(&QueryOptions::default(), true));
        until("the second page is asked for", || server.stats().of(Kind::Listing) == 2);
        // Stopped while it waits for the other one's fetch; the page may not have begun to come at the first times. One that
        // comes after the fetch has nothing to wait for.
        let mut stops = 0;
        until("the page is cut", || {
            let stopped = QueryOptions {
                progress: Some(&|_| false),
                ..QueryOptions::default()
            };
            match index.refresh(&stopped, true) {
                Err(error) => {
                    assert_eq!(error.status, Status::Aborted, "{error}");
                    stops += 1;
                }
                Ok(done) => assert_eq!(done, Status::Ok),
            }
            server.stats().of(Kind::Listing) > 2
        });
        assert!(stops > 0);
        assert_eq!(fetching.join().expect("no panic").expect("listed"), Status::Ok);
    });
    assert_eq!(index.stats().expect("statistics").items, 3_000);
}

#[test]
fn what_is_no_plex_server_gets_no_token() {
    for deadline in [Deadline::None, Deadline::In(Duration::from_secs(20))] {
        let at = Scene::movies(30);
        let index = at.open();
        let question = QueryOptions {
            deadline,
            ..QueryOptions::default()
        };
        index.libraries_json(&question).expect("libraries");
        let first = &at.server.log()[0];
        assert!(!first.token_in_header, "{}", first.target);
        assert!(first.target.starts_with("/identity"));
    }
}
/// A photo library of 1,500 items on a server that refuses some arguments, and pages of 200.
fn refusing(arguments: &[&str]) -> (Standin, tempfile::TempDir, plexindex::options::Options) {
    let server = Standin::builder()
        .library(LibrarySpec::photos(1_500))
        .config(|config| config.refuse_arguments = arguments.iter().map(|one| (*one).to_owned()).collect())
        .start()
        .expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let choice = plexindex::options::Options {
        page_size: 200,
        ..options(&server, folder.path())
    };
    (server, folder, choice)
}

/// How many requests were refused since the last reset.
fn refused(server: &Standin) -> u64 {
    server.stats().statuses.get(&400).copied().unwrap_or(0)
}

/// All items of the first library that have a file are found, exactly.
fn finds_all(server: &Standin, library: &crate::support::index::Library) {
    for (key, path) in server.paths(1) {
        let Some(path) = path else { continue };
        let found = library.match_path(path.as_bytes()).expect("an answer");
        assert!(
            found
                .candidates
                .iter()
                .any(|one| one.item.rating_key == key.to_string()),
            "{path}: {found:?}"
        );
        assert_eq!(found.match_kind, MatchKind::Exact, "{path}");
    }
}

#[test]
fn a_library_is_complete_where_arguments_are_refused() {
    let (server, _folder, choice) = refusing(&["sort=id", "excludeFields"]);
    let clock = clock();
    let index = open(choice, &clock);
    let library = index.library("1").expect("by section id");
    finds_all(&server, &library);
    assert_eq!(refused(&server), 1);
    // It is as final as any other: half an hour later nothing is listed.
    clock.advance_ms(HOUR_MS / 2);
    server.reset();
    finds_all(&server, &library);
    assert_eq!((refused(&server), requests(&server)[5]), (0, 0));
}

#[test]
fn two_libraries_without_a_uuid_are_two() {
    let server = movies(20);
    let mut spec = LibrarySpec::new(LibraryKind::Movie, 30);
    spec.seed = 7;
    spec.locations = vec!["/data/others".to_owned()];
    server.change(|state| state.add_library(spec)).expect("added");
    server.fault(
        Fault::new(Action::Distort {
            numbers_as_strings: false,
            booleans_as_numbers: false,
            extra_fields: false,
            drop_fields: vec!["uuid".to_owned()],
        })
        .on(Kind::Sections)
        .times(0),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let index = open(options(&server, folder.path()), &clock);
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    for library in [1, 2] {
        let (path, key) = path_of(&server, library, 5);
        let found = all.match_path(path.as_bytes()).expect("an answer");
        assert!(
            found.candidates.iter().any(|one| one.item.rating_key == key),
            "{library}: {found:?}"
        );
    }
    assert_eq!(index.stats().expect("statistics").items, 50);

    // Another server's first library is not taken for this one's.
    server.change(|state| {
        state.identity.machine_identifier = "e".repeat(40);
        state.remove_library(2).expect("removed");
    });
    clock.advance_ms(HOUR_MS);
    let (path, _) = path_of(&server, 1, 5);
    all.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(index.stats().expect("statistics").items, 20);
}

#[test]
fn an_answer_that_does_not_end_leaves_nothing_in_the_store() {
    let server = movies(300);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let index = open(options(&server, folder.path()), &clock);
    let rows: Vec<String> = (0..20_000)
        .map(|number| format!("{{\"ratingKey\":\"9{number}\"}}"))
        .collect();
    server.fault(
        Fault::new(Action::Body {
            status: 200,
            content_type: "application/json".to_owned(),
            body: format!("{{\"MediaContainer\":{{\"Metadata\":[{}]}}}}", rows.join(",")),
        })
        .on(Kind::Listing),
    );
    let error = index
        .refresh(&QueryOptions::default(), false)
        .expect_err("more than a page");
    assert_eq!(error.status, Status::BadAnswer, "{error:?}");
    let database = rusqlite::Connection::open_with_flags(
        folder.path().join("plexindex-1.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .expect("opened");
    let items = || -> i64 {
        database
            .query_row("SELECT count(*) FROM items", [], |row| row.get(0))
            .expect("a count")
    };
    assert_eq!(items(), 0);
    index.refresh(&QueryOptions::default(), false).expect("listed");
    assert_eq!((items(), index.stats().expect("statistics").items), (300, 300_u64));
}

/// Films in A, episodes in B.
fn two_libraries(items: u32) -> Standin {
    let spec = |kind, title: &str, folder: &str| {
        let mut spec = LibrarySpec::new(kind, items).title(title).locations([folder]);
        spec.plain = true;
        spec
    };
    Standin::builder()
        .library(spec(LibraryKind::Movie, "A", "/data/a"))
        .library(spec(LibraryKind::Show, "B", "/data/b"))
        .start()
        .expect("the stand-in starts")
}

/// The path of an item of B, below another root.
fn elsewhere(server: &Standin) -> (String, String) {
    let (path, key) = path_of(server, 2, 42);
    (path.replace("/data/b/", "/mnt/other/"), key)
}

#[test]
fn a_path_below_another_root_fetches_what_may_have_it() {
    for warmed in [false, true] {
        let at = Scene::of(two_libraries(300));
        let index = at.open();
        if warmed {
            let (path, _) = path_of(&at.server, 1, 7);
            let found = index
                .match_path(&QueryOptions::default(), path.as_bytes())
                .expect("an answer");
            assert_eq!(found.match_kind, MatchKind::Exact, "{}", found.message);
            assert_eq!(index.stats().expect("statistics").items, 300, "of A alone");
        }
        let (path, key) = elsewhere(&at.server);
        let found = index
            .match_path(&QueryOptions::default(), path.as_bytes())
            .expect("an answer");
        assert_eq!(found.status, Status::Ok, "{}", found.message);
        assert_eq!(
            (found.match_kind, found.reason),
            (MatchKind::Suffix, Reason::OnlyRootDiffers)
        );
        assert_eq!(found.item.map(|item| item.item.rating_key), Some(key));
        assert_eq!(index.stats().expect("statistics").items, 600);
        // From then on it is known that there is none.
        at.server.reset();
        let none = index
            .match_path(&QueryOptions::default(), b"/mnt/other/x.mkv")
            .expect("an answer");
        assert_eq!(
            (none.status, none.reason),
            (Status::NotFound, Reason::NoLocation),
            "{}",
            none.message
        );
        assert_eq!(requests(&at.server)[5], 0);
    }
}

#[test]
fn what_is_found_at_once_fetches_no_other_library() {
    let at = Scene::of(two_libraries(300));
    let index = at.open();
    let (path, key) = elsewhere(&at.server);
    index
        .refresh(&index.library("B").expect("a handle").query(), false)
        .expect("listed");
    let found = index
        .match_path(&QueryOptions::default(), path.as_bytes())
        .expect("an answer");
    assert_eq!(found.item.map(|item| item.item.rating_key), Some(key));
    // Nor does a folder of a library, or a path that another library should have.
    for path in ["/data/a", "/data", "/data/b/none.mkv"] {
        let none = index
            .match_path(&QueryOptions::default(), path.as_bytes())
            .expect("an answer");
        assert_eq!(none.status, Status::NotFound, "{path}");
        assert!(!none.message.contains("never fetched"), "{}", none.message);
    }
    assert_eq!(index.stats().expect("statistics").items, 300, "of B alone");
}

#[test]
fn what_a_search_found_is_not_as_young_as_the_listing_of_another_library() {
    let at = Scene::of(two_libraries(3_000));
    let index = at.open();
    let [listed, searched] = ["A", "B"].map(|title| index.library(title).expect("a handle"));
    let (path, key) = path_of(&at.server, 2, 42);
    let hurried = QueryOptions {
        deadline: Deadline::In(Duration::from_millis(500)),
        ..searched.query()
    };
    index.match_path(&hurried, path.as_bytes()).expect("an answer");
    index.refresh(&listed.query(), false).expect("listed");
    let offline = QueryOptions {
        offline: true,
        ..QueryOptions::default()
    };
    let found = index.match_path(&offline, path.as_bytes()).expect("an answer");
    assert_eq!(found.item.map(|item| item.item.rating_key), Some(key));
    assert_eq!(found.age_ms, None);
}

#[test]
fn a_path_below_another_root_is_late_where_time_is_short() {
    let at = Scene::of(two_libraries(3_000));
    at.server
        .fault(Fault::new(Action::Delay { ms: 20_000 }).on(Kind::Listing));
    let index = at.open();
    let (path, _) = elsewhere(&at.server);
    let hurried = QueryOptions {
        deadline: Deadline::In(Duration::from_millis(200)),
        ..QueryOptions::default()
    };
    let found = index.match_path(&hurried, path.as_bytes()).expect("an answer");
    assert!(
        matches!(found.status, Status::NotYet | Status::NeedsWarm),
        "{:?}",
        found.status
    );
    assert!(found.message.contains("'A', 'B'"), "{}", found.message);
}

#[test]
fn a_library_that_cannot_be_listed_is_not_asked_for_with_each_path_below_another_root() {
    let at = Scene::of(two_libraries(300)).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    index
        .refresh(&index.library("A").expect("a handle").query(), false)
        .expect("listed");
    at.server.fault(
        Fault::new(Action::Status {
            status: 403,
            retry_after: None,
        })
        .on(Kind::Listing),
    );
    let paths: Vec<String> = (0..50).map(|number| format!("/mnt/other/{number}.mkv")).collect();
    at.server.reset();
    for path in &paths {
        let none = index
            .match_path(&QueryOptions::default(), path.as_bytes())
            .expect("an answer");
        assert_eq!((none.status, none.reason), (Status::NotFound, Reason::NotFetched));
        assert!(none.message.contains("'B' was never fetched"), "{}", none.message);
    }
    assert!(requests(&at.server)[5] < 10, "{:?}", requests(&at.server));
}

#[test]
fn what_went_for_the_limit_is_not_fetched_for_any_path() {
    let at = Scene::of(two_libraries(1_000)).with(|options| options.size_limit = Some(1));
    let index = at.open();
    for library in [1, 2] {
        let (path, _) = path_of(&at.server, library, 7);
        index
            .match_path(&QueryOptions::default(), path.as_bytes())
            .expect("an answer");
        at.clock.advance_ms(1_000);
    }
    assert_eq!(index.stats().expect("statistics").items, 1_000, "one of them went");
    at.server.reset();
    for number in 0..20 {
        let none = index
            .match_path(&QueryOptions::default(), format!("/mnt/other/{number}.mkv").as_bytes())
            .expect("an answer");
        assert_eq!(none.status, Status::NotFound, "{}", none.message);
    }
    assert_eq!(requests(&at.server)[2], 0, "nothing was listed");
}

#[test]
fn a_path_that_leads_up_is_taken_as_it_stands_and_the_answer_says_so() {
    let at = Scene::movies(300);
    let (_index, library) = at.listed();
    let (path, _) = path_of(&at.server, 1, 7);
    for up in [
        path.replacen("/data/movies/", "/data/movies/x/../", 1),
        "/data/movies/../x.mkv".to_owned(),
    ] {
        let found = library.match_path(up.as_bytes()).expect("an answer");
        assert_ne!(found.confidence, plexindex::model::Confidence::High, "{up}");
        assert!(
            found.message.contains("plexindex does not resolve '..'"),
            "{}",
            found.message
        );
    }
    let found = library.match_path(b"/data/movies/a..b.mkv").expect("an answer");
    assert!(!found.message.contains("'..'"), "{}", found.message);
}

#[test]
fn what_a_fetch_brought_is_found_by_the_first_lookup_of_every_thread() {
    const THREADS: usize = 4;
    let mut missed = Vec::new();
    for _ in 0..30 {
        let at = Scene::movies(100);
        let index = at.open();
        let library = index.library("Movies").expect("a handle");
        let paths = at.server.paths(1);
        let paths: Vec<&[u8]> = paths
            .iter()
            .map(|(_, path)| path.as_deref().expect("all have files").as_bytes())
            .collect();
        let together = std::sync::Barrier::new(THREADS);
        missed.push(std::thread::scope(|scope| {
            let look = || {
                together.wait();
                // One of them fetches, and the others go on with what is left of their calls while it looks up.
                let found = library.match_path(paths[0]).expect("an answer");
                assert_eq!(found.status, Status::Ok);
                let unknown = paths.iter().filter(|path| library.lookup_key(path, |_| ()).is_none());
                unknown.count()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(look)).collect();
            let counts = threads.into_iter().map(|one| one.join().expect("no panic"));
            counts.sum::<usize>()
        }));
    }
    assert!(missed.iter().all(|missed| *missed == 0), "{missed:?}");
}

/// The numbers of README.md, docs/answers.md and docs/design/freshness.md.
#[test]
fn the_first_question_costs_three_requests_if_the_server_lists_the_file_there() {
    const PAGES: u64 = 3;
    let first = |deadline: Deadline, path: &str| {
        let at = Scene::movies(30).with(|options| options.page_size = 10);
        let (index, library) = at.opened();
        let query = QueryOptions {
            deadline,
            ..library.query()
        };
        index.match_path(&query, path.as_bytes()).expect("an answer");
        requests(&at.server)[5]
    };
    let (listed, _) = path_of(&Scene::movies(30).server, 1, 7);
    let unlisted = format!("{listed}.mkv");
    let elsewhere = "/elsewhere/other.mkv";
    let in_time = Deadline::In(Duration::from_secs(60));
    assert_eq!(
        [&listed, &unlisted, elsewhere].map(|path| first(Deadline::None, path)),
        [PAGES + 3, PAGES + 5, PAGES + 3]
    );
    assert_eq!(
        [&listed, &unlisted, elsewhere].map(|path| first(in_time, path)),
        [3, PAGES + 5, PAGES + 5]
    );
}
