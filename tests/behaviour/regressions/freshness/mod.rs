//! Requests that were missing or too many, and answers that were out of date.

mod misses;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::hooked;
use crate::support::index::{Ask as _, Index, Library, Query};
use crate::support::{HOUR_MS, Scene, add, movie, offline, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{Reason, Token};
use plexindex::options::{Options, Ttl};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, MediaSpec, Standin};

/// A file takes the place of another: `updatedAt` and the library's counter move.
fn replace(server: &Standin, key: u64, path: &str) {
    let files = vec![MediaSpec::File(path.to_owned())];
    server.alter(|state| state.set_files(key, files, true, true));
}

/// A changed library in which only a search finds the file: its item's times stay, and a new item explains the change.
fn hide_in_change(at: &Scene, path: &str) {
    let key = at.server.paths(1)[7].0;
    let files = vec![MediaSpec::File(path.to_owned())];
    at.server.alter(|state| state.set_files(key, files, false, true));
    add(&at.server, &["/data/movies/another.mkv"]);
}

const HIDDEN: &str = "/data/movies/Hidden (2020)/Hidden (2020).mkv";

fn within(library: &Library, ms: u64) -> Query<'_> {
    library.query().timeout(Duration::from_millis(ms))
}

#[test]
fn a_server_that_does_not_count_still_tells_what_went() {
    let at = Scene::movies(80).with(|options| options.library_ttl = Ttl::Zero);
    let total = Action::omit(&["totalSize", "X-Plex-Container-Total-Size"]);
    at.server.fault(Fault::new(total).times(0));
    let (_index, library) = at.listed();
    let (path, key) = path_of(&at.server, 1, 3);
    remove(&at.server, &[key.parse().expect("a number")]);
    at.clock.advance_ms(120_000);
    let answer = library.ask(path);
    assert_eq!(answer.status, Status::NotFound, "{:?}", requests(&at.server));
}

/// A server whose libraries A and B share a folder.
fn shared_folder(items: u32) -> plexindex_standin::Builder {
    let spec = |title: &str| {
        LibrarySpec::movies(items)
            .plain()
            .title(title)
            .locations(["/data/shared"])
    };
    Standin::builder().library(spec("A")).library(spec("B"))
}

#[test]
fn a_file_of_two_unfetched_libraries_is_ambiguous() {
    let path = "/data/shared/One (2020).mkv";
    let at = Scene::of(
        shared_folder(1_500)
            .items(1, [movie("One", path)])
            .items(2, [movie("One", path)])
            .serve(),
    );
    let index = at.open();
    let all = index.query().timeout(Duration::from_secs(20));
    let first = all.answer(path);
    index.list();
    let later = all.answer(path);
    assert_eq!(later.status, Status::Ambiguous);
    assert_eq!(later.reason, Reason::SeveralLibraries);
    assert_eq!(first.status, later.status, "the first answer was one of two");
}

#[test]
fn the_end_of_a_path_is_not_compared_with_the_little_that_an_unfetched_library_has() {
    let at = Scene::movies(3_000);
    add(&at.server, &["/data/movies/A/01.mkv", "/data/movies/B/01.mkv"]);
    let (_index, library) = at.opened();
    let first = within(&library, 20_000).answer("/data/movies/A/01.mkv");
    assert_eq!(first.status, Status::Ok);
    assert_eq!(requests(&at.server)[2], 0, "nothing was listed");
    // The host sees the folder elsewhere, and no mapping was given.
    assert_eq!(library.fast("/mnt/B/01.mkv"), None);
    let other = offline(&library).matched("/mnt/B/01.mkv").expect_err("no listing");
    assert_eq!(other.status, Status::NotFetched, "{other}");
}

#[test]
fn each_library_that_may_have_a_new_file_is_asked() {
    let (at, index, _) = Scene::of(shared_folder(300).serve()).and_listed();
    let (old, key) = path_of(&at.server, 2, 42);
    let number: u64 = key.parse().expect("a number");
    at.server
        .alter(|state| state.rename_file(number, &old, "/data/shared/renamed.mkv"));
    let found = index.query().answer("/data/shared/renamed.mkv");
    assert_eq!(found.status, Status::Ok, "{:?} {}", requests(&at.server), found.message);
}

/// A server with 100 films and these tokens.
fn with_tokens(tokens: &[&str]) -> Scene {
    let tokens = tokens.iter().map(|token| plexindex_standin::Token::owner(token));
    let films = LibrarySpec::movies(100).plain();
    Scene::of(Standin::builder().library(films).tokens(tokens).serve())
}

#[test]
fn what_was_cleared_is_not_inherited_again() {
    let tokens = ["the-old-token", "the-new-token"];
    let at = with_tokens(&tokens);
    let (_, key) = path_of(&at.server, 1, 3);

    let old = at.with_token("the-old-token");
    let library = old.movies();
    library.record("/host/a.mkv", &key);
    let new = at.with_token("the-new-token");
    at.list(&new);
    new.clear().expect("cleared");
    at.list(&new);
    let library = new.movies();
    assert_eq!(library.fast("/host/a.mkv"), None);
}

#[test]
fn what_one_token_took_back_does_not_return_with_the_next() {
    let at = with_tokens(&["one", "two", "three", "four"]);
    let (_, key) = path_of(&at.server, 1, 3);
    let one = at.with_token("one");
    for path in ["/host/a.mkv", "/host/b.mkv", "/host/c.mkv"] {
        one.movies().record(path, &key);
    }
    let two = at.with_token("two");
    at.list(&two);
    two.movies().invalidate_path("/host/a.mkv").expect("taken back");
    two.movies().invalidate_path("/host/b.mkv").expect("taken back");
    one.movies().record("/host/b.mkv", &key);
    let has = |token: &str| {
        let index = at.with_token(token);
        at.list(&index);
        ["/host/a.mkv", "/host/b.mkv", "/host/c.mkv"].map(|path| index.movies().fast(path).is_some())
    };
    assert_eq!(has("three"), [false, true, true], "the later counts");
    two.movies().invalidate().expect("taken back");
    assert_eq!(has("four"), [false, false, false]);
}

/// Without a server one of several views answers, and no other one goes with it.
#[test]
fn without_a_server_one_view_is_cleared() {
    let tokens = ["one", "two", "three"];
    let at = with_tokens(&tokens);
    let by = |token: Option<&str>| {
        let server_url = at.options.server_url.clone().filter(|_| token.is_some());
        let options = at.options_with(|options| {
            (options.server_url, options.token) = (server_url, token.and_then(Token::new));
        });
        Index::open_with_clock(options, Arc::clone(&at.clock) as _).expect("opened")
    };
    for token in tokens {
        at.list(&by(Some(token)));
    }
    by(None).clear().expect("cleared");
    let items = |token| by(Some(token)).counts().items;
    assert_eq!(tokens.map(items), [100, 100, 0]);
}

/// An option with an invalid value is refused before the folder is made.
#[test]
fn wrong_options_leave_nothing_behind() {
    type Spoil = fn(&mut Options);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    let wrong: [(Spoil, &str); 8] = [
        (|options| options.server_url = Some("no url".into()), "no url"),
        (|options| options.token = Token::new("two words"), "token"),
        (
            |options| options.ca_file = Some("/does/not/exist.pem".into()),
            "exist.pem",
        ),
        (|options| options.size_limit = Some(0), "size_limit"),
        (|options| options.user = Some(String::new()), "user"),
        (|options| options.user = Some("x".repeat(4097)), "4096"),
        (|options| options.connect_timeout = Duration::ZERO, "connect_timeout"),
        (|options| options.read_timeout = Duration::ZERO, "read_timeout"),
    ];
    for (spoil, text) in wrong {
        let mut options = Options {
            server_url: Some("https://127.0.0.1:1".into()),
            ..Options::new(&folder)
        };
        spoil(&mut options);
        let error = Index::open(options).expect_err("it is refused");
        assert_eq!(error.status, Status::InvalidArgument, "{error}");
        assert!(error.message.contains(text), "{error}");
        assert!(!folder.exists(), "{error}");
    }
}

/// Another handle's probe begins before the file is added, and is stored after the call begins.
#[test]
fn a_probe_that_began_before_a_call_answers_no_question_of_the_call() {
    const NEW: &str = "/data/movies/New (2020)/New (2020).mkv";
    let at = Arc::new(Scene::movies(300));
    let index = at.listed().0;
    let absent = index.movies().ask("/data/movies/absent.mkv");
    assert_eq!(
        absent.reason,
        Reason::NotListed,
        "the next search in an unchanged library has a pause"
    );
    let (tell, told) = mpsc::channel();
    let ask = {
        let at = Arc::clone(&at);
        move || {
            add(&at.server, &[NEW]);
            std::thread::spawn(move || drop(tell.send(index.movies().ask(NEW))));
            std::thread::sleep(Duration::from_millis(100)); // the call has begun
        }
    };
    let other = hooked::interrupted(&at, "libraries", ask);
    other.movies().query().checked().expect("checked");
    let answer = told.recv().expect("asked");
    assert_eq!((answer.status, answer.stale), (Status::Ok, false), "{}", answer.message);
}

/// A check begins when another handle's listing has read the server, and waits until it is published.
#[test]
fn a_listing_that_began_before_a_check_does_not_replace_its_probe() {
    const NEW: &str = "/data/movies/New (2020)/New (2020).mkv";
    let at = Arc::new(Scene::movies(300));
    let index = Arc::new(at.listed().0);
    at.server.alter(|state| state.remove_items(&[1_009], true));
    let (probes, checking) = (Mutex::new(0), Arc::new(Mutex::new(None)));
    let hook: hooked::Hook = {
        let (at, index, checking) = (Arc::clone(&at), Arc::clone(&index), Arc::clone(&checking));
        Arc::new(move |called, _| {
            let mut probes = probes.lock().expect("unpoisoned");
            *probes += u32::from(called == "libraries");
            if called != "libraries" || *probes != 2 {
                return;
            }
            add(&at.server, &[NEW]);
            let (waiting, waits) = mpsc::channel();
            let index = Arc::clone(&index);
            let check = move || {
                let tell = |_: &plexindex::Progress<'_>| {
                    let _ = waiting.send(());
                    ControlFlow::Continue(())
                };
                index.movies().query().progress(tell).checked().expect("checked");
            };
            *checking.lock().expect("unpoisoned") = Some(std::thread::spawn(check));
            waits.recv().expect("the check has begun");
        })
    };
    let other = hooked::open(at.options.clone(), &at.clock, hook);
    other.movies().query().refreshed(true).expect("listed");
    let checking = checking.lock().expect("unpoisoned").take().expect("begun");
    checking.join().expect("no panic");
    let library = index.movies();
    assert_eq!(offline(&library).answer(NEW).status, Status::Ok);
}

/// A new library that a call's own probe finds belongs to the answer.
#[test]
fn a_probe_that_finds_a_new_library_leads_to_its_listing() {
    let new = "/data/new/New (2020)/New (2020).mkv";
    let with_new = || {
        let (at, index, _) = Scene::movies(30).and_listed();
        at.server.alter(|state| {
            let section = state.add_library(LibrarySpec::movies(0).plain().title("New").locations(["/data/new"]))?;
            state
                .add_items(section, vec![ItemSpec::file("New", new)], true)
                .map(drop)
        });
        at.clock.advance_ms(2 * 3_600_000);
        (at, index)
    };
    for asks in [false, true] {
        let (_at, index) = with_new();
        let query = index.query();
        let answer = if asks { query.always_ask() } else { query }.answer(new);
        assert_eq!((answer.status, answer.stale), (Status::Ok, false), "{}", answer.message);
    }
    let (_at, index) = with_new();
    assert_eq!(index.query().checked().expect("refreshed"), Status::Ok);
    assert_eq!(index.query().offline().answer(new).status, Status::Ok);
}

/// What a batch learns of one path counts for all its answers.
#[test]
fn the_answers_of_a_batch_do_not_contradict_each_other() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let (old, key) = path_of(&at.server, 1, 7);
    let new = "/data/movies/Renamed (2020)/Renamed (2020).mkv";
    let number: u64 = key.parse().expect("a number");
    at.server.alter(|state| state.rename_file(number, &old, new));
    let answers = library.query().ask_batch(&[&*old, new]);
    assert_eq!((answers[0].status, answers[1].status), (Status::NotFound, Status::Ok));
}

#[test]
fn a_server_that_is_down_is_asked_about_doubted_items_once() {
    let (at, _index, library) = Scene::movies(30)
        .with(|options| options.retry_for = Duration::ZERO)
        .and_listed();
    let films: Vec<(String, String)> = (0..5).map(|nth| path_of(&at.server, 1, nth)).collect();
    for (_, key) in &films {
        library.invalidate_item(key).expect("invalidated");
    }
    at.server.fault(Fault::status(503).times(0));
    at.server.reset();
    for (path, _) in films.iter().chain(&films) {
        let answer = library.query().answer(path.as_str());
        assert_eq!((answer.status, answer.stale), (Status::Ok, true), "{}", answer.message);
    }
    assert_eq!(requests(&at.server)[5], 1);
}
