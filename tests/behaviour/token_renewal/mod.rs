//! A token that is renewed is the same user, and no other token opens what that user was shown.

mod renewal;
mod users;

use crate::support;
use crate::support::quick;
use crate::support::worker::until;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use crate::support::index::{Ask as _, Index, Library};
use crate::support::{HOUR_MS, NOW_MS, Scene, add, offline, open, path_of, requests};
use plexindex::error::{Error, Status};
use plexindex::model::{MatchKind, Reason, Token};
use plexindex::options::{Options, Ttl};
use plexindex::{Renewal, WaitOutcome};
use plexindex_standin::{Fault, Kind, Standin, Token as Admitted};

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
    library.record("/host/a.mkv", &key);
    at.server.reset();
    (index, library, key)
}

/// What a path is without a request.
fn at_hand(library: &Library, path: &str) -> Option<String> {
    let found = offline(library).matched(path).ok()?;
    found.key()
}

/// What ten weeks cost, with the token of each: requests by kind, and what the feed told.
fn ten_weeks(at: &Scene, token: impl Fn(i64) -> String, anew: bool) -> ([u64; 6], usize) {
    let (mut index, mut library, key) = used(at);
    let mut cursor = library.query().cursor();
    let mut told = 0;
    for week in 1..=10 {
        at.clock.advance_ms(WEEK_MS);
        admit(&at.server, &[&token(week)]);
        add(&at.server, &[format!("/data/movies/new {week}.mkv")]);
        if anew {
            index.close().expect("closes");
            index = at.with_token(&token(week));
            library = index.movies();
        } else {
            set(&index, &token(week));
        }
        library.query().checked().expect("checked");
        let answer = library.query().answer("/host/a.mkv");
        assert_eq!(answer.key().as_ref(), Some(&key), "week {week}");
        // A cursor that does not hold is an error.
        match library.query().changes_page(&cursor, false, 100) {
            Ok(page) => {
                told += page.changes.len();
                cursor = page.cursor;
            }
            Err(error) => {
                assert_eq!(error.status, Status::ListAgain);
                cursor = library.query().cursor();
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
    let plain_token = |week| format!("token-{week}");
    assert_eq!(ten_weeks(&named, plain_token, false).1, 10);
    // As for each other token: the library is listed anew each week, and no cursor holds.
    let plain = ten_weeks(&scene("token-0"), plain_token, false);
    assert!(plain.1 == 0 && plain.0[5] > without.0[5], "{plain:?}");
}

#[test]
fn nothing_is_answered_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, key) = used(&at);
    let (path, listed) = path_of(&at.server, 1, 5);
    assert_eq!(at_hand(&library, &path), Some(listed.clone()));
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    let nothing = |index: &Index, library: &Library| {
        assert_eq!(at_hand(library, &path), None);
        assert_eq!(at_hand(library, "/host/a.mkv"), None);
        assert_eq!(library.fast(&path), None);
        assert!(library.query().changes_page("", true, 10).is_err());
        assert_eq!(index.counts().items, 0);
    };
    nothing(&index, &library);
    // Nor is it in another process that opens the folder with that token.
    let other = at.with_token(&anns(1));
    let theirs = other.movies();
    nothing(&other, &theirs);
    assert_eq!(requests(&at.server)[5], 0);
    // The first question asks the server. It costs the probe.
    let answer = library.query().answer("/host/a.mkv");
    assert_eq!(answer.key(), Some(key.clone()));
    assert_eq!(answer.match_kind, MatchKind::Confirmed);
    assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    // From now on the token alone opens it, until it expires: also elsewhere, and without a server.
    assert_eq!(at_hand(&theirs, "/host/a.mkv"), Some(key));
    assert_eq!(at_hand(&at.with_token(&anns(1)).movies(), &path), Some(listed));
    assert_eq!(requests(&at.server)[5], 1);
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
    assert!(at_hand(&library, "/host/a.mkv").is_some());
    // Without any the server wants one.
    index.set_token(None).expect("set");
    let error = library.query().checked().expect_err("refused");
    assert!(error.message.contains("none was given"), "{error}");
    // A failure that was remembered is no failure of the next one.
    set(&index, "the-first-token");
    library.query().checked().expect("admitted");
}

#[test]
fn who_waits_for_changes_hears_that_the_server_has_to_be_asked() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    let cursor = library.query().cursor();
    admit(&at.server, &[&anns(1)]);
    let waited = std::thread::scope(|scope| {
        let waits = scope.spawn(|| library.query().wait_for_changes(&cursor));
        set(&index, &anns(1));
        waits.join().expect("no panic")
    });
    assert_eq!(waited, Ok(WaitOutcome::Something));
    let changes = || library.query().changes_page(&cursor, false, 10);
    let error = changes().expect_err("not yet");
    assert!(error.message.contains("has not accepted the token yet"), "{error}");
    library.query().checked().expect("accepted");
    changes().expect("the cursor holds");
}

#[test]
fn an_event_is_not_lost_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);

    index.watch_start(quick()).expect("watches");
    let hints = || index.counts().hints;
    until("what may have been missed is noted", || hints() > 0);
    at.server.change(|state| state.tokens.push(Admitted::owner(&anns(1))));
    set(&index, &anns(1));
    // Nothing can be stored yet: the host hears of it, and the watch keeps what it hears.
    let error = index.notify(TOLD).expect_err("whose view it is is not known");
    assert_eq!(error.status, Status::NotFetched);
    // The server has not noticed yet that the first connection ended.
    until("the server is listened to with the new token", || {
        at.server.listeners() == 2
    });
    let (events, before) = (index.counts().events, hints());
    add(&at.server, &["/data/movies/new.mkv".to_owned()]);
    until("the event came", || index.counts().events > events);
    assert_eq!(hints(), before);
    library.query().checked().expect("accepted");
    until("it is noted", || hints() > before);
    index.notify(TOLD).expect("noted");
    index.watch_stop();
}

#[test]
fn what_a_host_says_is_wrong_is_not_lost_before_the_server_accepted_the_token() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    for (what, done) in needing(&index) {
        assert_eq!(done.expect_err(what).status, Status::NotFetched, "{what}");
    }
    library.query().checked().expect("accepted");
    // The second time, nothing is left that could be wrong.
    for (what, done) in [needing(&index), needing(&index)].concat() {
        assert_eq!(done, Ok(()), "{what}");
    }
}

#[test]
fn an_open_index_goes_on_when_another_one_renewed_the_token() {
    let at = scene(&anns(0)).with(|options| options.max_age = Duration::from_secs(1_000 * 24 * 3_600));
    let (index, library, key) = used(&at);
    at.clock.advance_ms(WEEK_MS + HOUR_MS);
    assert_eq!(at_hand(&library, "/host/a.mkv").as_ref(), Some(&key));
    admit(&at.server, &[&anns(1)]);
    let other = at.with_token(&anns(1));
    other.query().checked().expect("accepted");
    assert_eq!(at_hand(&library, "/host/a.mkv").as_ref(), Some(&key));
    index.invalidate_all().expect("it is Ann's");
    let theirs = other.movies();
    assert_eq!(at_hand(&theirs, "/host/a.mkv"), None, "for both");
}

#[test]
fn without_a_token_a_second_url_of_the_server_is_asked_for_its_name_once() {
    let at = Scene::movies(60).with(|options| options.token = None);
    at.server.change(|state| state.tokens = Vec::new());
    let second = at.server.url().replace("127.0.0.1", "localhost");
    for url in [at.server.url(), second] {
        let index = at.open_with(|options| options.server_url = Some(url.clone()));
        let library = index.movies();
        library.query().refreshed(true).expect("listed");
        at.server.reset();
        for _ in 0..10 {
            at.clock.advance_ms(2 * HOUR_MS);
            library.query().refreshed(false).expect("checked");
        }
        let asked = at.server.stats();
        assert_eq!([asked.of(Kind::Identity), asked.of(Kind::Sections)], [0, 10], "{url}");
    }
}

/// What an item changed says.
const TOLD: &[u8] = br#"{"TimelineEntry":{"sectionID":1,"state":5}}"#;

/// What calls give that need to know whose view it is.
fn needing(index: &Index) -> Vec<(&'static str, plexindex::error::Result<()>)> {
    let library = index.movies();
    vec![
        ("path", library.invalidate_path("/host/a.mkv")),
        ("item", library.invalidate_item("1001")),
        ("library", library.invalidate()),
        ("all", index.invalidate_all()),
        ("notify", index.notify(TOLD).map(drop)),
        ("clear", index.clear()),
    ]
}

#[test]
fn where_nothing_can_be_the_tokens_nothing_waits_for_acceptance() {
    let at = scene("token-of-ann-0");
    let (first, _, _) = used(&at);
    let bobs = at.options_with(|options| options.token = Token::new("token-of-bob-0"));
    let waits = needing(&open(bobs.clone(), &at.clock));
    assert!(waits.iter().all(|(_, done)| done.is_err()), "{waits:?}");
    let passes = |options: &Options, what: &str| {
        for (call, done) in needing(&open(options.clone(), &at.clock)) {
            assert_eq!(done, Ok(()), "{what}: {call}");
        }
    };
    let nobodys = at.options_with(|options| options.token = None);
    passes(&nobodys, "no token, where one was used");
    first.clear().expect("it is Ann's");
    passes(&bobs, "a store that was cleared");

    let at = scene("token-0").with(|options| options.user = Some("ann".to_owned()));
    used(&at);
    let by_token = at.options_with(|options| options.user = None);
    passes(&by_token, "only a named user was here");
}
