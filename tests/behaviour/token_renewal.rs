//! A token that is renewed is the same user, and no other token opens what that user was shown.

use crate::support;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::support::index::{Deadline, DebounceIntervals, Index, Library, QueryOptions};
use crate::support::{HOUR_MS, NOW_MS, Scene, add, offline, open, path_of, requests};
use plexindex::Renewal;
use plexindex::error::{Error, Status};
use plexindex::model::{MatchKind, Reason, Token};
use plexindex::options::{Options, Ttl};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibraryKind, LibrarySpec, Standin, Token as Admitted};

/// A full path.
const ROOT: &[u8] = if cfg!(windows) { b"C:/" } else { b"/" };

const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for nth in 0..=chunk.len() {
            text.push(LETTERS[(bits >> (18 - 6 * nth) & 63) as usize] as char);
        }
    }
    text
}

/// A token as plexapi gets it, of a week, which only its number and its signature tell from others of the user.
fn jwt(thumbprint: &str, username: Option<&str>, week: i64) -> String {
    let issued = (NOW_MS + week * WEEK_MS) / 1_000;
    let mut payload = serde_json::json!({
        "aud": ["plex.tv", "a-client"], "iss": "plex.tv", "iat": issued, "exp": issued + WEEK_MS / 1_000,
        "thumbprint": thumbprint,
    });
    if let Some(username) = username {
        payload["username"] = username.into();
    }
    let signature = format!("signature {week} of Plex, which nobody here can verify");
    [
        r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
        payload.to_string(),
        signature,
    ]
    .map(|part| base64url(part.as_bytes()))
    .join(".")
}

fn anns(week: i64) -> String {
    jwt("ann's key pair", Some("ann"), week)
}

/// From now on the server admits these alone.
fn admit(server: &Standin, tokens: &[&str]) {
    let tokens: Vec<Admitted> = tokens.iter().map(|token| Admitted::owner(token)).collect();
    server.change(|state| state.tokens = tokens);
}

/// The server's tokens have expired.
fn expire(server: &Standin) {
    server.change(|state| state.tokens.iter_mut().for_each(|token| token.expired = true));
}

fn set(index: &Index, token: &str) {
    index.set_token(Token::new(token)).expect("set");
}

/// A server with a library of 60 films that admits one token, which the options have.
fn scene(token: &str) -> Scene {
    let at = Scene::movies(60).with(|options| {
        options.token = Token::new(token);
        options.retry_for = Duration::ZERO;
    });
    admit(&at.server, &[token]);
    at
}

/// The same with films that were listed, and a match that was recorded.
fn used(at: &Scene) -> (Index, Library, String) {
    let (index, library) = at.listed();
    let (_, key) = path_of(&at.server, 1, 3);
    library.record_matches(&[(b"/host/a.mkv", &key)]).expect("recorded");
    at.server.reset();
    (index, library, key)
}

/// As fast as a test wants it.
fn quick() -> DebounceIntervals {
    DebounceIntervals {
        quiet_ms: 20,
        apart_ms: 0,
        settle_ms: 100,
        ..DebounceIntervals::default()
    }
}

/// Waits for something that other threads do.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < late, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a path is without a request.
fn at_hand(index: &Index, library: &Library, path: &str) -> Option<String> {
    let found = index.match_path(&offline(library), path.as_bytes()).ok()?;
    found.item.map(|item| item.item.rating_key)
}

/// What ten weeks cost, with the token of each: requests by kind, and what the feed told.
fn ten_weeks(at: &Scene, token: impl Fn(i64) -> String, anew: bool) -> ([u64; 6], usize) {
    let (mut index, mut library, key) = used(at);
    let mut cursor = index
        .changes(&library.query(), "", false, 100)
        .expect("a cursor")
        .cursor;
    let mut told = 0;
    for week in 1..=10 {
        at.clock.advance_ms(WEEK_MS);
        admit(&at.server, &[&token(week)]);
        add(&at.server, &[format!("/data/movies/new {week}.mkv")]);
        if anew {
            index.close().expect("closes");
            let options = Options {
                token: Token::new(&token(week)),
                ..at.options.clone()
            };
            index = open(options, &at.clock);
            library = index.library("Movies").expect("a handle");
        } else {
            set(&index, &token(week));
        }
        index.check(&library.query()).expect("checked");
        let answer = index.match_path(&library.query(), b"/host/a.mkv").expect("an answer");
        assert_eq!(
            answer.item.map(|item| item.item.rating_key).as_ref(),
            Some(&key),
            "week {week}"
        );
        // A cursor that does not hold is an error.
        match index.changes(&library.query(), &cursor, false, 100) {
            Ok(page) => {
                told += page.changes.len();
                cursor = page.cursor;
            }
            Err(error) => {
                assert_eq!(error.status, Status::ListAgain);
                cursor = index
                    .changes(&library.query(), "", false, 100)
                    .expect("a cursor")
                    .cursor;
            }
        }
    }
    (requests(&at.server), told)
}

#[test]
fn ten_renewals_cost_no_request_and_every_cursor_holds() {
    // No full listing is due by age.
    let scene = |token: &str| scene(token).with(|options| options.max_age = Duration::from_secs(1_000 * 24 * 3_600));
    let without = ten_weeks(&scene("the-same-all-along"), |_| "the-same-all-along".to_owned(), false);
    assert_eq!(without.1, 10, "a film a week");
    for anew in [false, true] {
        assert_eq!(ten_weeks(&scene(&anns(0)), anns, anew), without, "opened anew: {anew}");
    }
    // A user whom the host names is the same whatever the token says.
    let named = scene("token-0").with(|options| options.user = Some("ann".to_owned()));
    assert_eq!(
        ten_weeks(&named, |week| format!("token {week}").replace(' ', "-"), false).1,
        10
    );
    // As for each other token: the library is listed anew each week, and no cursor holds.
    let plain = ten_weeks(&scene("token-0"), |week| format!("token-{week}"), false);
    assert!(
        plain.1 == 0 && plain.0[5] > without.0[5],
        "{plain:?} against {without:?}"
    );
}

#[test]
fn nothing_is_answered_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, key) = used(&at);
    let (path, listed) = path_of(&at.server, 1, 5);
    assert_eq!(at_hand(&index, &library, &path), Some(listed.clone()));
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    let nothing = |index: &Index, library: &Library| {
        assert_eq!(at_hand(index, library, &path), None);
        assert_eq!(at_hand(index, library, "/host/a.mkv"), None);
        assert_eq!(library.lookup_key(path.as_bytes(), str::to_owned), None);
        assert!(index.changes(&library.query(), "", true, 10).is_err());
        assert_eq!(index.stats().expect("statistics").items, 0);
    };
    nothing(&index, &library);
    // Nor is it in another process that opens the folder with that token.
    let other = at.with_token(&anns(1));
    let theirs = other.library("Movies").expect("a handle");
    nothing(&other, &theirs);
    assert_eq!(requests(&at.server)[5], 0);
    // The first question asks the server. It costs the probe.
    let answer = index.match_path(&library.query(), b"/host/a.mkv").expect("an answer");
    assert_eq!(answer.item.map(|item| item.item.rating_key), Some(key.clone()));
    assert_eq!(answer.match_kind, MatchKind::Confirmed);
    assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    // From now on the token alone opens it, until it expires: also elsewhere, and without a server.
    assert_eq!(at_hand(&other, &theirs, "/host/a.mkv"), Some(key));
    assert_eq!(at_hand(&at.with_token(&anns(1)), &theirs, &path), Some(listed));
    assert_eq!(requests(&at.server)[5], 1);
}

#[test]
fn a_forged_token_opens_nothing() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    let (path, _) = path_of(&at.server, 1, 5);
    // It says what Ann's says. The server refuses it, whenever it is asked.
    let mut forged = anns(0);
    forged.push_str("forged");
    for opened in [None, Some(at.with_token(&forged))] {
        let index = opened.as_ref().unwrap_or(&index);
        if opened.is_none() {
            set(index, &forged);
        }
        let mine = index.library("Movies").expect("a handle");
        for _ in 0..3 {
            let error = index.match_path(&mine.query(), path.as_bytes()).expect_err("refused");
            assert_eq!(error.status, Status::Unauthorized);
            assert_eq!(at_hand(index, &mine, &path), None);
            assert_eq!(at_hand(index, &mine, "/host/a.mkv"), None);
            at.clock.advance_ms(HOUR_MS);
        }
    }
    // Her own opens hers again, with what was recorded.
    set(&index, &anns(0));
    assert!(at_hand(&index, &library, "/host/a.mkv").is_some());
    // That hers was renewed and accepted says nothing of another one.
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    index.check(&library.query()).expect("accepted");
    set(&index, &(anns(1) + "forged"));
    index.check(&library.query()).expect_err("refused");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), None);
}

#[test]
fn a_user_whom_the_host_names_is_not_who_the_token_claims_to_be() {
    let at = scene(&anns(0));
    used(&at);
    let named = at.with(|options| options.user = Some("ann".to_owned()));
    let (index, library) = named.opened();
    index.check(&library.query()).expect("asked");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), None, "another view");
    library
        .record_matches(&[(b"/host/named.mkv", "1001")])
        .expect("recorded");
    // Nor does the token open what is the named user's.
    let by_token = named.with(|options| options.user = None);
    let (index, library) = by_token.opened();
    assert_eq!(at_hand(&index, &library, "/host/named.mkv"), None);
    assert!(at_hand(&index, &library, "/host/a.mkv").is_some());
}

#[test]
fn two_users_of_one_key_pair_are_two() {
    let (ann, bob) = (anns(0), jwt("ann's key pair", Some("bob"), 0));
    let at = scene(&ann);
    let (index, library, _) = used(&at);
    admit(&at.server, &[&ann, &bob]);
    set(&index, &bob);
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), None);
    index.check(&library.query()).expect("asked");
    assert!(requests(&at.server)[2] > 0, "it is listed for Bob");
    library.record_matches(&[(b"/host/b.mkv", "1001")]).expect("recorded");
    set(&index, &ann);
    assert!(at_hand(&index, &library, "/host/a.mkv").is_some());
    assert_eq!(at_hand(&index, &library, "/host/b.mkv"), None, "Bob recorded that");
    // Each is renewed as who he is.
    let (ann, bob) = (anns(1), jwt("ann's key pair", Some("bob"), 1));
    admit(&at.server, &[&ann, &bob]);
    for (token, path) in [(&bob, "/host/b.mkv"), (&ann, "/host/a.mkv")] {
        at.server.reset();
        set(&index, token);
        let answer = index.match_path(&library.query(), path.as_bytes()).expect("an answer");
        assert_eq!(answer.match_kind, MatchKind::Confirmed, "{path}");
        assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    }
}

#[test]
fn a_user_whose_name_changed_or_is_not_told_is_another() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    for other in [
        jwt("ann's key pair", Some("ann-marie"), 1),
        jwt("ann's key pair", None, 1),
        jwt("another key pair", Some("ann"), 1),
        jwt("", Some("ann"), 1),
        jwt("ann's key pair", Some(""), 1),
        "no-json-web-token".to_owned(),
        anns(1).replace('.', "!"),
    ] {
        admit(&at.server, &[&other]);
        at.server.reset();
        set(&index, &other);
        index.check(&library.query()).expect("asked");
        assert!(requests(&at.server)[2] > 0, "listed anew");
    }
    // Of one who is not named the same token is the same view, and another token is another one.
    for (token, is_new) in [
        (jwt("ann's key pair", None, 1), false),
        (jwt("ann's key pair", None, 2), true),
    ] {
        admit(&at.server, &[&token]);
        at.server.reset();
        set(&index, &token);
        index.check(&library.query()).expect("asked");
        assert_eq!(requests(&at.server)[2] > 0, is_new);
    }
}

#[test]
fn the_same_token_is_known_at_another_url_and_a_new_one_where_that_user_was_known() {
    let at = scene(&anns(0));
    used(&at);
    admit(&at.server, &[&anns(0), &anns(1), &anns(2)]);
    let there = at.server.url().replace("127.0.0.1", "localhost");
    let confirmed = |url: &str, token: &str| {
        at.server.reset();
        let index = open(at_url(&at, url.to_owned(), token), &at.clock);
        let library = index.library("Movies").expect("a handle");
        let answer = index.match_path(&library.query(), b"/host/a.mkv").expect("an answer");
        let is_confirmed = answer.match_kind == MatchKind::Confirmed;
        assert_eq!(
            requests(&at.server)[2] == 0,
            is_confirmed,
            "listed anew if it is another user"
        );
        is_confirmed
    };
    // Her server under another name: the very token that it accepted is worth the same there.
    assert!(confirmed(&there, &anns(0)));
    assert!(confirmed(&there, &anns(1)), "from now on she is known at both");
    assert!(confirmed(&at.server.url(), &anns(2)));
    // A URL that never led to hers. Her name in a token is not enough.
    let moved = at.server.url().replace("127.0.0.1", "127.1");
    admit(&at.server, &[&anns(3)]);
    assert!(!confirmed(&moved, &anns(3)));
    // At another server no token is.
    let other = support::movies(20);
    other.change(|state| state.identity.machine_identifier = "another server".to_owned());
    admit(&other, &[&anns(2)]);
    let theirs = open(at_url(&at, other.url(), &anns(2)), &at.clock);
    let library = theirs.library("Movies").expect("a handle");
    let answer = theirs.match_path(&library.query(), b"/host/a.mkv").expect("an answer");
    assert_ne!(answer.match_kind, MatchKind::Confirmed);
}

#[test]
fn a_call_goes_on_with_the_token_that_it_began_with() {
    let (ann, bob) = (anns(0), jwt("bob's key pair", Some("bob"), 0));
    let server = Standin::builder()
        .library(LibrarySpec::new(LibraryKind::Movie, 5_000))
        .start()
        .expect("starts");
    let at = Scene::of(server).with(|options| options.token = Token::new(&ann));
    admit(&at.server, &[&ann]);
    let (index, library) = at.opened();
    // Each page takes longer than the host waits for its progress.
    at.server.fault(Fault::new(Action::Delay { ms: 150 }).on(Kind::Listing));
    let replaced = AtomicU32::new(0);
    let progress = |_: &crate::support::index::Progress<'_>| {
        if requests(&at.server)[2] > 0 && replaced.fetch_add(1, Ordering::SeqCst) == 0 {
            set(&index, &bob);
        }
        true
    };
    let query = QueryOptions {
        progress: Some(&progress),
        ..library.query()
    };
    // The server admits Ann alone: with Bob's token the listing would fail.
    index.refresh(&query, true).expect("listed");
    assert!(replaced.load(Ordering::SeqCst) > 0, "replaced during the listing");
    let (path, key) = path_of(&at.server, 1, 4_000);
    assert_eq!(at_hand(&index, &library, &path), None, "Bob was shown nothing");
    set(&index, &ann);
    assert_eq!(at_hand(&index, &library, &path), Some(key));
}

/// An index whose host renews the token of Ann each time that it is asked; and how often it was.
fn renewing(at: &Scene) -> (Index, Library, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let options = Options {
        renewal: Some(Renewal::new(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            Token::new(&anns(number.into()))
        })),
        ..at.options.clone()
    };
    let index = open(options, &at.clock);
    let library = index.library("Movies").expect("a handle");
    (index, library, asked)
}

#[test]
fn a_token_that_is_refused_or_expired_is_renewed_and_the_call_made_again() {
    let at = scene(&anns(0));
    let (_, _, key) = used(&at);
    let (index, library, asked) = renewing(&at);
    for (week, expired) in [(1, false), (2, true)] {
        at.clock.advance_ms(2 * HOUR_MS);
        if expired {
            expire(&at.server);
            at.server
                .change(|state| state.tokens.push(Admitted::owner(&anns(week))));
        } else {
            admit(&at.server, &[&anns(week)]);
        }
        at.server.reset();
        let answer = index
            .match_path(&library.query(), b"/not/there.mkv")
            .expect("an answer");
        assert_ne!(answer.status, Status::Ok);
        assert_eq!(i64::from(asked.load(Ordering::SeqCst)), week);
        assert_eq!(at_hand(&index, &library, "/host/a.mkv").as_ref(), Some(&key));
        assert_eq!(requests(&at.server)[2], 0, "nothing is listed anew");
    }
    // Each kind of call that asks the server.
    let calls: [&dyn Fn() -> plexindex::error::Result<()>; 7] = [
        &|| index.refresh(&library.query(), true).map(|_| ()),
        &|| index.check(&library.query()).map(|_| ()),
        &|| index.ask_server(&QueryOptions::default()).map(|_| ()),
        &|| index.match_paths_with(&library.query(), &[b"/a.mkv", b"/b.mkv"], |_| ()),
        &|| index.match_guid(&library.query(), "plex://movie/none").map(|_| ()),
        &|| index.search_title(&library.query(), "No such title").map(|_| ()),
        &|| index.ask_folder(&library.query(), b"/nowhere").map(|_| ()),
    ];
    for (nth, call) in calls.iter().enumerate() {
        let week = i64::from(asked.load(Ordering::SeqCst)) + 1;
        at.clock.advance_ms(25 * HOUR_MS);
        admit(&at.server, &[&anns(week)]);
        call().unwrap_or_else(|error| panic!("call {nth}: {error}"));
        assert_eq!(i64::from(asked.load(Ordering::SeqCst)), week, "call {nth}");
    }
}

#[test]
fn many_threads_renew_once_and_each_on_no_thread_of_the_library() {
    const THREADS: usize = 16;
    let at = scene(&anns(0));
    used(&at);
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let renewal = Renewal::new(move || {
        seen.lock().expect("a lock").push(std::thread::current().id());
        Token::new(&anns(1))
    });
    let options = Options {
        renewal: Some(renewal),
        ..at.options.clone()
    };
    let index = open(options, &at.clock);
    at.clock.advance_ms(2 * HOUR_MS);
    admit(&at.server, &[&anns(1)]);
    let begin = Barrier::new(THREADS);
    let callers: Vec<_> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..THREADS)
            .map(|nth| {
                let (index, begin) = (&index, &begin);
                scope.spawn(move || {
                    let library = index.library("Movies").expect("a handle");
                    begin.wait();
                    for path in 0..20 {
                        let path = format!("/new/{nth}/{path}.mkv");
                        index.match_path(&library.query(), path.as_bytes()).expect("an answer");
                    }
                    std::thread::current().id()
                })
            })
            .collect();
        each.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let renewed = threads.lock().expect("a lock").clone();
    assert_eq!(renewed.len(), 1, "once for all threads");
    assert!(callers.contains(&renewed[0]), "on a thread of the host's");
}

#[test]
fn without_a_new_token_old_answers_stand_in_and_the_host_is_not_asked_all_the_time() {
    let at = scene(&anns(0));
    used(&at);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let (path, key) = path_of(&at.server, 1, 5);
    let options = Options {
        renewal: Some(Renewal::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            None
        })),
        library_ttl: Ttl::Zero,
        ..at.options.clone()
    };
    let index = open(options, &at.clock);
    let library = index.library("Movies").expect("a handle");
    expire(&at.server);
    for round in 1..=3 {
        at.server.reset();
        for _ in 0..10 {
            let answer = index
                .match_path(&library.query(), path.as_bytes())
                .expect("an old answer");
            assert_eq!(answer.item.map(|item| item.item.rating_key).as_ref(), Some(&key));
        }
        assert_eq!(asked.load(Ordering::SeqCst), round);
        assert_eq!(requests(&at.server)[5], 1, "as without a function");
        at.clock.advance_ms(16_000);
    }
    let error = index.refresh(&library.query(), true).expect_err("refused");
    assert_eq!(error.status, Status::Unauthorized);
    assert!(error.message.contains("the token expired (498): renew it"), "{error}");
    let failure = index.stats().expect("statistics").last_failure.expect("a failure");
    assert!(failure.contains("the token expired (498)"), "{failure}");
}

#[test]
fn new_tokens_that_are_all_refused_are_asked_for_once_in_a_while() {
    let at = scene(&anns(0));
    used(&at);
    expire(&at.server);
    let (index, library, asked) = renewing(&at);
    let (path, key) = path_of(&at.server, 1, 5);
    for round in 1..=3 {
        for _ in 0..5 {
            let error = index.refresh(&library.query(), true).expect_err("refused");
            assert_eq!(error.status, Status::Unauthorized, "{error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), round);
        at.clock.advance_ms(16_000);
    }
    // The brake is off once the server admits one.
    let week = i64::from(asked.load(Ordering::SeqCst)) + 1;
    admit(&at.server, &[&anns(week)]);
    index.refresh(&library.query(), true).expect("admitted");
    assert_eq!(at_hand(&index, &library, &path), Some(key));
}

#[test]
fn the_feed_and_a_walk_say_that_the_token_was_refused() {
    let at = scene(&anns(0));
    let index = open(at.options.clone(), &at.clock);
    let library = index.library("Movies").expect("a handle");
    let all = QueryOptions::default();
    let rules = support::index::Rules::named::<&str>(&[]).expect("none");
    let starts = support::index::WalkStarts {
        folders: vec![(true, ROOT)],
        ..Default::default()
    };
    let told = |status: Status, words: &str| {
        let calls = [
            ("all changes", index.changes(&all, "", true, 10).map(drop)),
            ("changes", index.changes(&library.query(), "", false, 10).map(drop)),
            ("a walk", library.walk(None, &starts, (rules, 100)).map(drop)),
        ];
        for (call, done) in calls {
            let error = done.expect_err(call);
            assert_eq!(error.status, status, "{call}: {error}");
            assert!(error.message.contains(words), "{call}: {error}");
        }
    };
    told(Status::NotFetched, "refresh");
    expire(&at.server);
    index.refresh(&all, false).expect_err("expired");
    told(Status::Unauthorized, "rejected the token");
    // The server has not said anything of this one.
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    told(Status::NotFetched, "refresh");
    index.refresh(&all, false).expect("admitted");
    index.changes(&all, "", true, 10).expect("listed");
    library.walk(None, &starts, (rules, 100)).expect("walked");
}

#[test]
fn without_a_new_token_and_with_nothing_stored_a_call_says_that_it_was_refused() {
    let at = scene(&anns(0));
    let options = Options {
        renewal: Some(Renewal::new(|| None)),
        ..at.options.clone()
    };
    let index = open(options, &at.clock);
    let all = QueryOptions::default();
    let (path, _) = path_of(&at.server, 1, 5);
    expire(&at.server);
    let told = [
        index.libraries(&all).map(drop),
        index.match_path(&all, path.as_bytes()).map(drop),
        index.refresh(&all, true).map(drop),
    ];
    for (number, result) in told.into_iter().enumerate() {
        let error = result.expect_err(&format!("call {number}"));
        assert_eq!(error.status, Status::Unauthorized, "{error}");
    }
}

/// A file in the library's folder that it does not list: the server is asked about it.
fn unlisted(nth: u32) -> String {
    format!("/data/movies/New {nth} (2001)/New {nth} (2001).mkv")
}

/// Why a path is not found, and whether that may be old.
fn missed(index: &Index, library: &Library, path: &str) -> (Reason, bool) {
    let answer = index.match_path(&library.query(), path.as_bytes()).expect("an answer");
    assert_eq!(answer.status, Status::NotFound, "{}", answer.message);
    (answer.reason, answer.stale)
}

#[test]
fn a_refused_token_of_one_index_is_no_failure_of_the_server_for_another_token() {
    let at = scene("old").with(|options| options.user = Some("ann".to_owned()));
    let (first, films) = at.listed();
    admit(&at.server, &["new"]);
    assert_eq!(missed(&first, &films, &unlisted(1)), (Reason::Unavailable, true));
    // As another process of the same user, whose token was renewed before.
    let second = at.with_token("new");
    let theirs = second.library("Movies").expect("a handle");
    at.server.reset();
    assert_eq!(missed(&second, &theirs, &unlisted(2)), (Reason::NotListed, false));
    assert_eq!(requests(&at.server)[1], 1, "one probe");
    // The same one, as soon as it has a new token.
    at.clock.advance_ms(60_000);
    admit(&at.server, &["newer"]);
    assert_eq!(missed(&first, &films, &unlisted(3)), (Reason::Unavailable, true));
    set(&first, "newer");
    at.server.reset();
    assert_eq!(missed(&first, &films, &unlisted(3)), (Reason::NotListed, false));
    assert_eq!(requests(&at.server)[1], 1, "one probe");
}

#[test]
fn a_path_whose_search_was_refused_is_searched_with_a_new_token_at_once() {
    let at = scene("old").with(|options| options.user = Some("ann".to_owned()));
    let (index, films) = at.listed();
    // The probe is answered; the token expires before the search.
    let refused = Action::Status {
        status: 401,
        retry_after: None,
    };
    at.server.fault(Fault::new(refused).after(1).times(1));
    assert_eq!(missed(&index, &films, &unlisted(1)), (Reason::Unavailable, true));
    admit(&at.server, &["new"]);
    at.server.reset();
    set(&index, "new");
    assert_eq!(missed(&index, &films, &unlisted(1)), (Reason::NotListed, false));
    assert!(requests(&at.server)[3] > 0, "it is searched");
}

#[test]
fn a_call_that_is_made_again_with_a_new_token_is_no_old_answer() {
    let at = scene(&anns(0));
    used(&at);
    let (index, films, asked) = renewing(&at);
    at.clock.advance_ms(60_000);
    admit(&at.server, &[&anns(1)]);
    assert_eq!(missed(&index, &films, &unlisted(1)), (Reason::NotListed, false));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn without_a_new_token_a_miss_that_the_server_could_not_confirm_is_stale() {
    let at = scene(&anns(0)).with(|options| options.renewal = Some(Renewal::new(|| None)));
    let (index, films, _) = used(&at);
    let (listed, _) = path_of(&at.server, 1, 5);
    expire(&at.server);
    let ask = |path: &str| index.match_path(&films.query(), path.as_bytes()).expect("an answer");
    // The host is asked for a token; in the pause after that it is not.
    for nth in 1..4 {
        let answer = ask(&unlisted(nth));
        assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
        assert!(answer.stale, "{}", answer.message);
        assert!(answer.message.contains("(498)"), "{}", answer.message);
        at.clock.advance_ms(14_000);
    }
    assert!(!ask(&listed).stale, "no request is needed for it");
    at.clock.advance_ms(60_000);
    let mut answers = Vec::new();
    let paths = [unlisted(5), listed, unlisted(6)];
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    index
        .match_paths_with(&films.query(), &paths, |answer| {
            answers.push((answer.reason, answer.stale));
        })
        .expect("answers");
    let missed = (Reason::Unavailable, true);
    assert_eq!(answers, [missed, (Reason::None, false), missed]);
    at.clock.advance_ms(60_000);
    let folder = index.ask_folder(&films.query(), b"/data/movies/New 7 (2001)");
    let folder = folder.expect("an answer").answer;
    assert_eq!((folder.reason, folder.stale), (Some(Reason::Unavailable), true));
    // A listing that has expired is old for titles and GUIDs, too.
    at.clock.advance_ms(2 * HOUR_MS);
    for found in [
        index.match_guid(&films.query(), "plex://movie/none"),
        index.search_title(&films.query(), "No such title"),
    ] {
        let found = found.expect("an answer");
        assert_eq!((found.reason, found.stale), missed, "{}", found.message);
    }
}

#[test]
fn without_a_new_token_an_error_of_the_caller_is_not_reported_as_the_refusal() {
    let at = scene(&anns(0)).with(|options| options.renewal = Some(Renewal::new(|| None)));
    let (index, films, _) = used(&at);
    expire(&at.server);
    // As a buffer that is too small for the answer.
    let too_small = || Error::new(Status::BufferTooSmall, "too small");
    let path = unlisted(1);
    let result: plexindex::error::Result<()> =
        index.match_path_with(&films.query(), path.as_bytes(), |_| Err(too_small()));
    let error = result.expect_err("an error");
    assert_eq!(error.status, Status::BufferTooSmall, "{error}");
}

/// What a host's function asks.
type Inside = (Arc<Index>, Library);

#[test]
fn a_function_that_asks_the_index_itself_does_not_wait_for_itself() {
    let at = scene(&anns(0));
    used(&at);
    let slot: Arc<Mutex<Option<Inside>>> = Arc::default();
    let inside = Arc::clone(&slot);
    let options = Options {
        renewal: Some(Renewal::new(move || {
            let held = inside.lock().expect("a lock");
            let (index, library) = held.as_ref().expect("an index");
            let error = index.refresh(&library.query(), true).expect_err("refused");
            assert_eq!(error.status, Status::Unauthorized);
            Token::new(&anns(1))
        })),
        ..at.options.clone()
    };
    let index = Arc::new(open(options, &at.clock));
    let library = index.library("Movies").expect("a handle");
    *slot.lock().expect("a lock") = Some((Arc::clone(&index), index.library("Movies").expect("a handle")));
    admit(&at.server, &[&anns(1)]);
    index.check(&library.query()).expect("renewed");
    slot.lock().expect("a lock").take();
}

type Slot = Arc<Mutex<Option<Arc<Inside>>>>;

/// An index whose host renews its token so; and what its function may ask by then.
fn renewed_by(
    options: Options,
    at: &Scene,
    renew: impl Fn(&Inside) -> Option<Token> + Send + Sync + 'static,
) -> (Arc<Index>, Slot) {
    let slot = Slot::default();
    let inside = Arc::clone(&slot);
    let options = Options {
        renewal: Some(Renewal::new(move || {
            let asked = Arc::clone(inside.lock().expect("a lock").as_ref().expect("an index"));
            renew(&asked)
        })),
        ..options
    };
    (Arc::new(open(options, &at.clock)), slot)
}

fn inside(index: &Arc<Index>) -> Arc<Inside> {
    Arc::new((Arc::clone(index), index.library("Movies").expect("a handle")))
}

#[test]
fn a_token_that_the_function_sets_itself_is_the_new_token_of_its_call() {
    let sets = |index: &Index| index.set_token(Token::new("new")).expect("set");
    for returned in ["new", "", "newer"] {
        let at = scene("old");
        let (path, key) = path_of(&at.server, 1, 5);
        let (index, slot) = renewed_by(at.options.clone(), &at, move |(index, _)| {
            sets(index);
            Token::new(returned)
        });
        *slot.lock().expect("a lock") = Some(inside(&index));
        admit(&at.server, &[if returned.is_empty() { "new" } else { returned }]);
        let library = index.library("Movies").expect("a handle");
        let found = index.match_path(&library.query(), path.as_bytes()).expect(returned);
        assert_eq!(found.item.map(|item| item.item.rating_key).as_ref(), Some(&key));
        slot.lock().expect("a lock").take();
    }
}

#[test]
fn a_panic_of_the_function_ends_its_call_and_holds_nothing() {
    let at = scene("old");
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let options = Options {
        renewal: Some(Renewal::new(move || {
            assert!(counted.fetch_add(1, Ordering::Relaxed) > 0, "the host's");
            Token::new("new")
        })),
        ..at.options.clone()
    };
    let index = open(options, &at.clock);
    admit(&at.server, &["new"]);
    let library = index.library("Movies").expect("a handle");
    let asks = std::panic::AssertUnwindSafe(|| index.check(&library.query()));
    std::panic::catch_unwind(asks).expect_err("the host's panic goes on");
    index.check(&library.query()).expect("renewed");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_function_that_waits_for_another_threads_call_does_not_wait_for_ever() {
    let at = scene(&anns(0));
    used(&at);
    let (path, key) = path_of(&at.server, 1, 5);
    let options = Options {
        read_timeout: Duration::from_millis(200),
        library_ttl: Ttl::Zero,
        ..at.options.clone()
    };
    let (index, slot) = renewed_by(options, &at, move |(index, library)| {
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| index.refresh(&library.query(), true).expect_err("refused"));
            let stale = scope.spawn(|| {
                index
                    .match_path(&library.query(), path.as_bytes())
                    .expect("an old answer")
            });
            let error = refused.join().expect("no panic");
            assert_eq!(error.status, Status::Unauthorized);
            assert!(error.message.contains("the token expired (498)"), "{error}");
            let answer = stale.join().expect("no panic");
            assert_eq!(answer.item.map(|item| item.item.rating_key).as_ref(), Some(&key));
        });
        Token::new(&anns(1))
    });
    *slot.lock().expect("a lock") = Some(inside(&index));
    admit(&at.server, &[&anns(0)]);
    expire(&at.server);
    at.server.change(|state| state.tokens.push(Admitted::owner(&anns(1))));
    let library = index.library("Movies").expect("a handle");
    index.refresh(&library.query(), true).expect("renewed");
    slot.lock().expect("a lock").take();
}

#[test]
fn a_function_may_ask_another_index_which_renews_its_own_token() {
    let at = scene(&anns(0));
    used(&at);
    let elsewhere = Options {
        cache_dir: at.options.cache_dir.join("elsewhere"),
        ..at.options.clone()
    };
    let renewals = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&renewals);
    // The second one's function asks the first one, whose function is under way on this thread.
    let (second, second_asks) = renewed_by(elsewhere, &at, move |(first, library)| {
        let error = first.refresh(&library.query(), true).expect_err("refused");
        assert_eq!(error.status, Status::Unauthorized);
        count.fetch_add(1, Ordering::SeqCst);
        Token::new(&anns(1))
    });
    let (first, first_asks) = renewed_by(at.options.clone(), &at, |(second, library)| {
        second.refresh(&library.query(), true).expect("renewed");
        Token::new(&anns(1))
    });
    *first_asks.lock().expect("a lock") = Some(inside(&second));
    *second_asks.lock().expect("a lock") = Some(inside(&first));
    admit(&at.server, &[&anns(1)]);
    let library = first.library("Movies").expect("a handle");
    first.check(&library.query()).expect("renewed");
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    first_asks.lock().expect("a lock").take();
    second_asks.lock().expect("a lock").take();
}

#[test]
fn a_token_that_cannot_be_one_is_refused_and_not_shown() {
    let at = scene("the-first-token");
    let (index, library, _) = used(&at);
    let long = "a".repeat(65_537);
    for bad in ["with a space", "two\nlines", "für", &long] {
        let error = index.set_token(Token::new(bad)).expect_err(bad);
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(!error.message.contains(bad), "{error}");
    }
    assert!(
        at_hand(&index, &library, "/host/a.mkv").is_some(),
        "the first one is still there"
    );
    // Without any the server wants one.
    index.set_token(None).expect("set");
    let error = index.check(&library.query()).expect_err("refused");
    assert!(error.message.contains("none was given"), "{error}");
    // A failure that was remembered is no failure of the next one.
    set(&index, "the-first-token");
    index.check(&library.query()).expect("admitted");
}

#[test]
fn who_waits_for_changes_hears_that_the_server_has_to_be_asked() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    let cursor = index.changes(&library.query(), "", false, 10).expect("a cursor").cursor;
    admit(&at.server, &[&anns(1)]);
    let waited = std::thread::scope(|scope| {
        let waits = scope.spawn(|| index.wait_for_changes(&library.query(), &cursor));
        set(&index, &anns(1));
        waits.join().expect("no panic")
    });
    assert_eq!(waited, Ok(Status::Ok));
    let error = index
        .changes(&library.query(), &cursor, false, 10)
        .expect_err("not yet");
    assert!(error.message.contains("has not accepted the token yet"), "{error}");
    index.check(&library.query()).expect("accepted");
    index
        .changes(&library.query(), &cursor, false, 10)
        .expect("the cursor holds");
}

#[test]
fn an_event_is_not_lost_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    let told = br#"{"TimelineEntry":{"sectionID":1,"state":5}}"#;
    index.watch_start_at(quick()).expect("watches");
    let hints = || index.stats().expect("statistics").hints;
    until("what may have been missed is noted", || hints() > 0);
    at.server.change(|state| state.tokens.push(Admitted::owner(&anns(1))));
    set(&index, &anns(1));
    // Nothing can be stored yet: the host hears of it, and the watch keeps what it hears.
    let error = index.notify(told).expect_err("whose view it is is not known");
    assert_eq!(error.status, Status::NotFetched);
    assert!(error.message.contains("has not accepted the token yet"), "{error}");
    // The server has not noticed yet that the first connection ended.
    until("the server is listened to with the new token", || {
        at.server.listeners() == 2
    });
    let (events, before) = (index.stats().expect("statistics").events, hints());
    add(&at.server, &["/data/movies/new.mkv".to_owned()]);
    until("the event came", || index.stats().expect("statistics").events > events);
    assert_eq!(hints(), before);
    index.check(&library.query()).expect("accepted");
    until("it is noted", || hints() > before);
    index.notify(told).expect("noted");
    index.watch_stop();
}

#[test]
fn what_a_host_says_is_wrong_is_not_lost_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, key) = used(&at);
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    let calls: [(&str, &dyn Fn() -> plexindex::error::Result<()>); 5] = [
        ("path", &|| library.invalidate_path(b"/host/a.mkv")),
        ("item", &|| library.invalidate_item(&key)),
        ("library", &|| library.invalidate()),
        ("all", &|| index.invalidate_all()),
        ("clear", &|| index.clear()),
    ];
    for (what, call) in calls {
        let error = call().expect_err(what);
        assert_eq!(error.status, Status::NotFetched, "{what}");
        assert!(error.message.contains("has not accepted the token yet"), "{error}");
    }
    index.check(&library.query()).expect("accepted");
    for (what, call) in calls {
        call().unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // Nothing is left that could be wrong.
    for (what, call) in calls {
        call().unwrap_or_else(|error| panic!("{what}, cleared: {error}"));
    }
}

#[test]
fn a_watch_goes_on_with_the_new_token() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    index.watch_start().expect("watches");
    let listening = |token: &str, more: u64| {
        until(&format!("the server is listened to with {token}"), || {
            at.server.stats().of(Kind::Events) >= more
        });
    };
    listening("the first", 1);
    let before = at.server.stats().of(Kind::Events);
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    index.check(&library.query()).expect("accepted");
    listening("the second", before + 1);
    index.watch_stop();
}

/// A token of these claims that Plex never signed.
fn forged() -> String {
    anns(0) + "forged"
}

/// Options for a server at another URL, in the same folder.
fn at_url(at: &Scene, url: String, token: &str) -> Options {
    Options {
        server_url: Some(url),
        token: Token::new(token),
        ..at.options.clone()
    }
}

/// A server at another URL with the same machine identifier and the same films, that admits this token and shows these libraries.
fn impostor(at: &Scene, token: &str, libraries: Option<Vec<u32>>) -> Standin {
    let server = support::movies(60);
    server.change(|state| {
        state.tokens = vec![Admitted {
            libraries,
            ..Admitted::owner(token)
        }];
    });
    let name = |server: &Standin| server.read().identity.machine_identifier.clone();
    assert_eq!(name(&server), name(&at.server));
    server
}

#[test]
fn another_server_at_the_url_opens_nothing_also_when_it_does_not_say_who_it_is() {
    for quick in [false, true] {
        let at = scene(&anns(0));
        let (index, library, _) = used(&at);
        let (path, _) = path_of(&at.server, 1, 5);
        at.server.change(|state| {
            state.identity.machine_identifier = "another".to_owned();
            state.tokens = vec![Admitted {
                libraries: Some(Vec::new()),
                ..Admitted::owner(&forged())
            }];
        });
        at.server.fault(
            Fault::new(Action::Status {
                status: 500,
                retry_after: None,
            })
            .on(Kind::Identity)
            .times(0),
        );
        set(&index, &forged());
        let query = QueryOptions {
            deadline: if quick {
                Deadline::In(Duration::from_secs(20))
            } else {
                Deadline::None
            },
            ..library.query()
        };
        index.match_path(&query, path.as_bytes()).expect_err("no answer");
        let nothing = |index: &Index| {
            let library = index.library("Movies").expect("a handle");
            assert_eq!(at_hand(index, &library, &path), None, "quick: {quick}");
            assert_eq!(at_hand(index, &library, "/host/a.mkv"), None, "quick: {quick}");
        };
        nothing(&index);
        nothing(&at.with_token(&forged()));
        // Nor when it does say so.
        at.server.clear_faults();
        at.clock.advance_ms(HOUR_MS);
        index.check(&QueryOptions::default()).expect("asked");
        nothing(&index);
        set(&index, &anns(0));
        assert!(at_hand(&index, &library, "/host/a.mkv").is_some(), "hers is as it was");
    }
}

#[test]
fn a_server_at_another_url_that_says_it_is_hers_opens_and_changes_nothing() {
    for libraries in [None, Some(Vec::new())] {
        let at = scene(&anns(0));
        let (index, library, _) = used(&at);
        let (path, key) = path_of(&at.server, 1, 5);
        let other = impostor(&at, &forged(), libraries.clone());
        let theirs = open(at_url(&at, other.url(), &forged()), &at.clock);
        let mine = theirs.library("Movies").expect("a handle");
        theirs.check(&QueryOptions::default()).expect("asked");
        if libraries.is_some() {
            assert_eq!(at_hand(&theirs, &mine, &path), None);
        } else {
            // It lists the same items, and is told nothing of what was recorded for hers.
            theirs.refresh(&mine.query(), true).expect("listed");
        }
        assert_eq!(at_hand(&theirs, &mine, "/host/a.mkv"), None, "{libraries:?}");
        // The token that it accepted is worth nothing at her server's URL.
        let here = at.with_token(&forged());
        assert_eq!(at_hand(&here, &here.library("Movies").expect("a handle"), &path), None);
        assert_eq!(at_hand(&index, &library, &path), Some(key), "{libraries:?}");
        // Hers is renewed as ever.
        admit(&at.server, &[&anns(1)]);
        set(&index, &anns(1));
        let answer = index.match_path(&library.query(), b"/host/a.mkv").expect("an answer");
        assert_eq!(answer.match_kind, MatchKind::Confirmed);
    }
}

#[test]
fn a_token_that_has_expired_opens_nothing_before_the_server_accepted_it_again() {
    let at = scene(&anns(0)).with(|options| options.max_age = Duration::from_secs(1_000 * 24 * 3_600));
    let (index, _, key) = used(&at);
    index.close().expect("closes");
    let reopened = || {
        let (index, library) = at.opened();
        let found = at_hand(&index, &library, "/host/a.mkv");
        (index, library, found)
    };
    let (index, library, found) = reopened();
    assert_eq!(found.as_ref(), Some(&key));
    at.clock.advance_ms(WEEK_MS + HOUR_MS);
    // What was open goes on: the server accepted it.
    assert_eq!(at_hand(&index, &library, "/host/a.mkv").as_ref(), Some(&key));
    let pairs: Vec<(String, &str)> = (0..2_000).map(|nth| (format!("/host/{nth}.mkv"), &*key)).collect();
    let pairs: Vec<(&[u8], &str)> = pairs.iter().map(|(path, key)| (path.as_bytes(), *key)).collect();
    library.record_matches(&pairs).expect("recorded"); // so many that all is read anew
    assert_eq!(at_hand(&index, &library, "/host/1999.mkv").as_ref(), Some(&key));
    index.close().expect("closes");
    let (index, library, found) = reopened();
    assert_eq!(found, None, "nothing is opened by an expired token");
    // A server that has another idea of the time accepts it: it is remembered for a day.
    index.check(&library.query()).expect("accepted");
    assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    assert_eq!(at_hand(&index, &library, "/host/a.mkv").as_ref(), Some(&key));
    index.close().expect("closes");
    at.clock.advance_ms(23 * HOUR_MS);
    let (index, _, found) = reopened();
    assert_eq!(found.as_ref(), Some(&key));
    index.close().expect("closes");
    at.clock.advance_ms(2 * HOUR_MS);
    assert_eq!(reopened().2, None);
}

#[test]
fn what_a_token_was_asked_for_and_shown_is_never_stored_for_another_user() {
    let (ann, bob) = (anns(0), jwt("bob's key pair", Some("bob"), 0));
    let spec = |title: &str| {
        LibrarySpec::movies(0)
            .plain()
            .title(title)
            .locations([format!("/data/{title}")])
    };
    let server = Standin::builder()
        .library(spec("Films"))
        .library(spec("Classics"))
        .items(
            1,
            [1, 2].map(|n| ItemSpec::file(&format!("Film {n}"), &format!("/data/Films/{n}.mkv")).key(9000 + n)),
        )
        .items(2, [ItemSpec::file("Film 3", "/data/Classics/3.mkv").key(9003)])
        .start()
        .expect("starts");
    let at = Scene::of(server).with(|options| options.token = Token::new(&ann));
    admit(&at.server, &[&ann, &bob]);
    let index = at.open();
    set(&index, &bob);
    index.refresh(&QueryOptions::default(), true).expect("listed for Bob");
    set(&index, &ann);
    index.refresh(&QueryOptions::default(), true).expect("listed for Ann");
    let [films, classics] = ["Films", "Classics"].map(|title| index.library(title).expect("a handle"));
    at.server
        .change(|state| {
            state.remove_items(&[9001], false)?;
            state.add_items(
                2,
                vec![ItemSpec::file("Film 1", "/data/Classics/1.mkv").key(9001)],
                false,
            )
        })
        .expect("moved");
    films.invalidate_item("9001").expect("invalidated");
    at.server.reset();
    at.server
        .fault(Fault::new(Action::Delay { ms: 300 }).on(Kind::Metadata));
    let at_bobs = || {
        let question = QueryOptions {
            offline: true,
            ..classics.query()
        };
        index.search_title(&question, "film 1").expect("an answer").status
    };
    std::thread::scope(|scope| {
        let anns = scope.spawn(|| films.match_path(b"/data/Films/1.mkv"));
        until("asked", || at.server.stats().of(Kind::Metadata) > 0);
        set(&index, &bob);
        assert_eq!(at_bobs(), Status::NotFound);
        let _ = anns.join().expect("no panic");
    });
    assert_eq!(at_bobs(), Status::NotFound, "his token asked nothing");
}

#[test]
fn a_server_at_another_url_opens_nothing_that_was_listed_without_a_token() {
    let at = Scene::movies(60).with(|options| options.retry_for = Duration::ZERO);
    at.server.change(|state| state.tokens = Vec::new());
    let without = |options: &Options| Options {
        token: None,
        ..options.clone()
    };
    let index = open(without(&at.options), &at.clock);
    let library = index.library("Movies").expect("a handle");
    index.refresh(&library.query(), true).expect("listed");
    let (_, key) = path_of(&at.server, 1, 3);
    library.record_matches(&[(b"/host/a.mkv", &key)]).expect("recorded");
    let other = support::movies(60);
    other.change(|state| state.tokens = Vec::new());
    let theirs = open(
        Options {
            server_url: Some(other.url()),
            ..without(&at.options)
        },
        &at.clock,
    );
    theirs.check(&QueryOptions::default()).expect("asked");
    let mine = theirs.library("Movies").expect("a handle");
    assert_eq!(at_hand(&theirs, &mine, "/host/a.mkv"), None);
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), Some(key));
}

#[test]
fn an_open_index_goes_on_when_another_one_renewed_the_token() {
    let at = scene(&anns(0)).with(|options| options.max_age = Duration::from_secs(1_000 * 24 * 3_600));
    let (index, library, key) = used(&at);
    at.clock.advance_ms(WEEK_MS + HOUR_MS);
    assert_eq!(at_hand(&index, &library, "/host/a.mkv").as_ref(), Some(&key));
    admit(&at.server, &[&anns(1)]);
    let other = at.with_token(&anns(1));
    other.check(&QueryOptions::default()).expect("accepted");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv").as_ref(), Some(&key));
    index.invalidate_all().expect("it is Ann's");
    let theirs = other.library("Movies").expect("a handle");
    assert_eq!(at_hand(&other, &theirs, "/host/a.mkv"), None, "for both");
}

#[test]
fn what_is_invalidated_before_the_first_token_is_accepted_is_refused() {
    let at = scene(&anns(0));
    let (index, _, key) = used(&at);
    index.close().expect("closed");
    admit(&at.server, &[&anns(1)]);
    let index = at.with_token(&anns(1));
    let library = index.library("Movies").expect("a handle");
    for done in [
        library.invalidate_path(b"/host/a.mkv"),
        library.invalidate_item(&key),
        library.invalidate(),
        index.invalidate_all(),
        index
            .notify(br#"{"TimelineEntry":{"sectionID":1,"state":5}}"#)
            .map(drop),
        index.clear(),
    ] {
        let error = done.expect_err("whose is not known");
        assert!(error.message.contains("has not accepted the token yet"), "{error}");
    }
    index.check(&library.query()).expect("accepted");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), Some(key));
    library.invalidate().expect("it is Ann's");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), None);
}

#[test]
fn a_store_without_an_identity_and_a_named_user_wait_for_no_acceptance() {
    for user in [None, Some("ann".to_owned())] {
        let at = scene("token-0").with(|options| options.user.clone_from(&user));
        let index = at.open();
        let library = index.library("Movies").expect("a handle");
        for token in ["token-0", "token-1"] {
            set(&index, token);
            library.invalidate().expect("nothing is known");
            index.clear().expect("nothing is known");
        }
    }
}

#[test]
fn what_one_users_listing_tells_of_mappings_no_other_token_hears() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    for nth in [3, 5, 7, 9] {
        let (path, _) = path_of(&at.server, 1, nth);
        let asked = path.replace("/data/movies", "/mnt/elsewhere/films");
        index.match_path(&library.query(), asked.as_bytes()).expect("an answer");
    }
    let anns_own = index.proposals();
    assert!(!anns_own.is_empty());
    let explained = || {
        let answer = index.match_path(&offline(&library), b"/mnt/elsewhere/other.mkv");
        answer.is_ok_and(|answer| answer.message.contains("/mnt/elsewhere/films"))
    };
    assert!(explained());
    let bob = jwt("bob's key pair", Some("bob"), 0);
    admit(&at.server, &[&anns(0), &bob]);
    set(&index, &forged());
    assert!(index.proposals().is_empty() && !explained());
    set(&index, &bob);
    index.refresh(&library.query(), true).expect("listed");
    assert!(index.proposals().is_empty() && !explained(), "nor who is accepted");
    // A renewed token is the same user, who has told nothing else meanwhile.
    set(&index, &anns(0));
    assert_eq!(index.proposals().len(), anns_own.len());
}

#[test]
fn a_call_that_began_with_one_users_token_is_not_answered_from_anothers_view() {
    let (ann, bob) = (anns(0), jwt("bob's key pair", Some("bob"), 0));
    let at = scene(&ann);
    admit(&at.server, &[&ann, &bob]);
    let (index, library, key) = used(&at);
    set(&index, &bob);
    index.refresh(&library.query(), true).expect("listed for Bob");
    library.record_matches(&[(b"/host/bobs.mkv", &key)]).expect("recorded");
    // While the server is asked: a token of hers that is new goes on as hers, and Bob's ends the call.
    let listed = path_of(&at.server, 1, 3).0;
    for (path, next) in [(listed.as_str(), anns(1)), ("/host/bobs.mkv", bob)] {
        set(&index, &ann);
        at.clock.advance_ms(2 * HOUR_MS);
        admit(&at.server, &[&ann, &next]);
        at.server.reset();
        at.server
            .fault(Fault::new(Action::Delay { ms: 300 }).on(Kind::Sections).times(1));
        let answer = std::thread::scope(|scope| {
            let anns = scope.spawn(|| index.match_path(&library.query(), path.as_bytes()));
            until("asked", || at.server.stats().of(Kind::Sections) > 0);
            set(&index, &next);
            anns.join().expect("no panic")
        });
        if path == listed {
            let item = answer.expect("hers").item.map(|item| item.item.rating_key);
            assert_eq!(item.as_ref(), Some(&key));
        } else {
            let error = answer.expect_err("not hers");
            assert!(error.message.contains("the token was replaced"), "{error}");
            assert_eq!(
                at_hand(&index, &library, path).as_ref(),
                Some(&key),
                "to Bob it is known"
            );
        }
    }
}

#[test]
fn before_a_token_is_accepted_each_error_says_so() {
    let at = scene(&anns(0));
    let (index, library, key) = used(&at);
    set(&index, &anns(1));
    let walk = |library: &Library| {
        let rules = crate::support::index::Rules::named::<&str>(&[]).expect("none");
        let starts = crate::support::index::WalkStarts {
            folders: vec![(true, ROOT)],
            ..Default::default()
        };
        library.walk(None, &starts, (rules, 100)).map(drop)
    };
    let all = index.select(crate::support::index::Selector::All).expect("all");
    for (what, status, done) in [
        (
            "a question",
            Status::Offline,
            index.match_path(&offline(&library), b"/host/a.mkv").map(drop),
        ),
        ("a walk", Status::NotFetched, walk(&library)),
        ("a walk of all", Status::NotFetched, walk(&all)),
        ("items", Status::NotFetched, index.items(&library, 0, 10).map(drop)),
        ("files", Status::NotFetched, {
            let which = crate::support::index::FileFilter::All;
            library.items_below_with(b"/data", None, 10, which, |_, _| Ok(()))
        }),
    ] {
        let error = done.expect_err(what);
        assert_eq!(error.status, status, "{what}: {error}");
        assert!(
            error.message.contains("has not accepted the token yet"),
            "{what}: {error}"
        );
    }
    admit(&at.server, &[&anns(1)]);
    index.check(&library.query()).expect("accepted");
    assert_eq!(at_hand(&index, &library, "/host/a.mkv"), Some(key));
}

fn bobs(week: i64) -> String {
    jwt("bob's key pair", Some("bob"), week)
}

/// What Ann and Bob were listed, and what Bob recorded; the index has Ann's token again.
fn two_users(at: &Scene) -> (Index, Library, String) {
    admit(&at.server, &[&anns(0), &bobs(0)]);
    let (index, library, key) = used(at);
    set(&index, &bobs(0));
    index.refresh(&library.query(), true).expect("listed for Bob");
    library.record_matches(&[(b"/host/bobs.mkv", &key)]).expect("recorded");
    set(&index, &anns(0));
    (index, library, key)
}

/// Makes a call with Ann's token, while the server is asked sets Bob's, and gives what the call ends with.
fn ends_with<T: Send + std::fmt::Debug>(
    at: &Scene,
    index: &Index,
    call: impl Fn() -> plexindex::error::Result<T> + Send,
) -> plexindex::error::Error {
    at.clock.advance_ms(2 * HOUR_MS);
    at.server.reset();
    at.server
        .fault(Fault::new(Action::Delay { ms: 300 }).on(Kind::Sections).times(1));
    let done = std::thread::scope(|scope| {
        let asks = scope.spawn(call);
        until("asked", || at.server.stats().of(Kind::Sections) > 0);
        set(index, &bobs(0));
        asks.join().expect("no panic")
    });
    let error = done.expect_err("not hers");
    assert_eq!(error.status, Status::Unauthorized, "{error}");
    error
}

#[test]
fn a_call_is_not_made_again_as_another_user_whatever_was_known_when_it_began() {
    for case in ["her token was not accepted", "the host has a function", "opened early"] {
        let at = scene(&anns(0));
        let early = at.opened();
        let known = two_users(&at);
        let (index, library) = match case {
            "opened early" => early,
            "the host has a function" => {
                let (index, library, _) = renewing(&at);
                at_hand(&index, &library, "/host/a.mkv").expect("hers");
                (index, library)
            }
            _ => {
                admit(&at.server, &[&anns(1), &bobs(0)]);
                set(&known.0, &anns(1));
                (known.0, known.1)
            }
        };
        ends_with(&at, &index, || index.match_path(&library.query(), b"/host/bobs.mkv"));
    }
    // Of a token that no server ever accepted it is not known whose it is.
    let at = scene(&anns(0));
    two_users(&at);
    let index = at.with_token("nobody's");
    let library = index.library("Movies").expect("a handle");
    ends_with(&at, &index, || index.match_path(&library.query(), b"/host/bobs.mkv"));
    assert_eq!(at.server.stats().of(Kind::Sections), 1, "it is not made again");
}

#[test]
fn what_one_user_records_first_is_not_recorded_for_another() {
    let at = scene(&anns(0));
    admit(&at.server, &[&anns(0), &bobs(0)]);
    let bobs_own = at.with_token(&bobs(0));
    let his = bobs_own.library("Movies").expect("a handle");
    bobs_own.refresh(&his.query(), true).expect("listed for Bob");
    let (_, key) = path_of(&at.server, 1, 3);
    let (index, library) = at.opened();
    ends_with(&at, &index, || library.record_matches(&[(b"/host/anns.mkv", &key)]));
    assert_eq!(at_hand(&bobs_own, &his, "/host/anns.mkv"), None);
}

#[test]
fn without_a_token_a_second_url_of_the_server_is_asked_for_its_name_once() {
    let at = Scene::movies(60).with(|options| options.token = None);
    at.server.change(|state| state.tokens = Vec::new());
    let second = at.server.url().replace("127.0.0.1", "localhost");
    for url in [at.server.url(), second] {
        let options = Options {
            server_url: Some(url.clone()),
            ..at.options.clone()
        };
        let index = open(options, &at.clock);
        let library = index.library("Movies").expect("a handle");
        index.refresh(&library.query(), true).expect("listed");
        at.server.reset();
        for _ in 0..10 {
            at.clock.advance_ms(2 * HOUR_MS);
            index.refresh(&library.query(), false).expect("checked");
        }
        let asked = at.server.stats();
        assert_eq!([asked.of(Kind::Identity), asked.of(Kind::Sections)], [0, 10], "{url}");
    }
}

/// What calls give that need to know whose view it is.
fn needing(index: &Index) -> Vec<(&'static str, plexindex::error::Result<()>)> {
    let library = index.library("Movies").expect("a handle");
    vec![
        ("path", library.invalidate_path(b"/host/a.mkv")),
        ("item", library.invalidate_item("1001")),
        ("library", library.invalidate()),
        ("all", index.invalidate_all()),
        (
            "notify",
            index
                .notify(br#"{"TimelineEntry":{"sectionID":1,"state":5}}"#)
                .map(drop),
        ),
        ("clear", index.clear()),
    ]
}

#[test]
fn where_nothing_can_be_the_tokens_nothing_waits_for_acceptance() {
    let at = scene("token-of-ann-0");
    let (first, _, _) = used(&at);
    let bobs = Options {
        token: Token::new("token-of-bob-0"),
        ..at.options.clone()
    };
    let waits = needing(&open(bobs.clone(), &at.clock));
    assert!(waits.iter().all(|(_, done)| done.is_err()), "{waits:?}");
    let passes = |options: &Options, what: &str| {
        for (call, done) in needing(&open(options.clone(), &at.clock)) {
            assert_eq!(done, Ok(()), "{what}: {call}");
        }
    };
    let nobodys = Options {
        token: None,
        ..at.options.clone()
    };
    passes(&nobodys, "no token, where one was used");
    first.clear().expect("it is Ann's");
    passes(&bobs, "a store that was cleared");

    let at = scene("token-0").with(|options| options.user = Some("ann".to_owned()));
    used(&at);
    let by_token = Options {
        user: None,
        ..at.options.clone()
    };
    passes(&by_token, "only a named user was here");
}

#[test]
fn offline_the_error_before_acceptance_says_to_open_it_without_the_flag() {
    let at = scene(&anns(0));
    used(&at);
    let offline = Options {
        offline: true,
        token: Token::new(&anns(1)),
        ..at.options.clone()
    };
    for (call, done) in needing(&open(offline, &at.clock)) {
        let error = done.expect_err(call);
        assert_eq!(error.status, Status::NotFetched, "{call}");
        assert!(
            error
                .message
                .ends_with("has not accepted the token yet: open the index once without the offline flag"),
            "{call}: {error}"
        );
    }
}
