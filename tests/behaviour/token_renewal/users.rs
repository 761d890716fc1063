//! One user never sees the data of another user.

use super::renewal::renewing;
use super::*;

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
        let mine = index.movies();
        for _ in 0..3 {
            let error = mine.query().matched(&path).expect_err("refused");
            assert_eq!(error.status, Status::Unauthorized);
            assert_eq!(at_hand(&mine, &path), None);
            assert_eq!(at_hand(&mine, "/host/a.mkv"), None);
            at.clock.advance_ms(HOUR_MS);
        }
    }
    // Her own opens hers again, with what was recorded.
    set(&index, &anns(0));
    assert!(at_hand(&library, "/host/a.mkv").is_some());
    // That hers was renewed and accepted says nothing of another one.
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    library.query().checked().expect("accepted");
    set(&index, &(anns(1) + "forged"));
    library.query().checked().expect_err("refused");
    assert_eq!(at_hand(&library, "/host/a.mkv"), None);
}

#[test]
fn a_user_whom_the_host_names_is_not_who_the_token_claims_to_be() {
    let at = scene(&anns(0));
    used(&at);
    let named = at.with(|options| options.user = Some("ann".to_owned()));
    let (_index, library) = named.opened();
    library.query().checked().expect("asked");
    assert_eq!(at_hand(&library, "/host/a.mkv"), None, "another view");
    library.record("/host/named.mkv", "1001");
    // Nor does the token open what is the named user's.
    let by_token = named.with(|options| options.user = None);
    let (_index, library) = by_token.opened();
    assert_eq!(at_hand(&library, "/host/named.mkv"), None);
    assert!(at_hand(&library, "/host/a.mkv").is_some());
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
        library.query().checked().expect("asked");
        assert!(requests(&at.server)[2] > 0, "listed anew");
    }
    // Of one who is not named the same token is the same view, and another token is another one.
    for (week, is_new) in [(1, false), (2, true)] {
        let token = jwt("ann's key pair", None, week);
        admit(&at.server, &[&token]);
        at.server.reset();
        set(&index, &token);
        library.query().checked().expect("asked");
        assert_eq!(requests(&at.server)[2] > 0, is_new);
    }
}

/// A token of these claims that Plex never signed.
fn forged() -> String {
    anns(0) + "forged"
}

/// Options for a server at another URL, in the same folder.
fn at_url(at: &Scene, url: String, token: Option<&str>) -> Options {
    at.options_with(|options| {
        options.server_url = Some(url);
        options.token = token.and_then(Token::new);
    })
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
        at.server.fault(Fault::status(500).on(Kind::Identity).times(0));
        set(&index, &forged());
        let query = library.query();
        let query = if quick {
            query.timeout(Duration::from_secs(20))
        } else {
            query.no_timeout()
        };
        query.matched(&path).expect_err("no answer");
        let nothing = |index: &Index| {
            let library = index.movies();
            assert_eq!(at_hand(&library, &path), None, "quick: {quick}");
            assert_eq!(at_hand(&library, "/host/a.mkv"), None, "quick: {quick}");
        };
        nothing(&index);
        nothing(&at.with_token(&forged()));
        // Nor when it does say so.
        at.server.clear_faults();
        at.clock.advance_ms(HOUR_MS);
        index.query().checked().expect("asked");
        nothing(&index);
        set(&index, &anns(0));
        assert!(at_hand(&library, "/host/a.mkv").is_some(), "hers is as it was");
    }
}

#[test]
fn a_server_at_another_url_that_says_it_is_hers_opens_and_changes_nothing() {
    for libraries in [None, Some(Vec::new())] {
        let at = scene(&anns(0));
        let (index, library, _) = used(&at);
        let (path, key) = path_of(&at.server, 1, 5);
        let other = impostor(&at, &forged(), libraries.clone());
        let theirs = open(at_url(&at, other.url(), Some(&forged())), &at.clock);
        let mine = theirs.movies();
        theirs.query().checked().expect("asked");
        if libraries.is_some() {
            assert_eq!(at_hand(&mine, &path), None);
        } else {
            // It lists the same items, and is told nothing of what was recorded for hers.
            mine.query().refreshed(true).expect("listed");
        }
        assert_eq!(at_hand(&mine, "/host/a.mkv"), None, "{libraries:?}");
        // The token that it accepted is worth nothing at her server's URL.
        let here = at.with_token(&forged());
        assert_eq!(at_hand(&here.movies(), &path), None);
        assert_eq!(at_hand(&library, &path), Some(key), "{libraries:?}");
        // Hers is renewed as ever.
        admit(&at.server, &[&anns(1)]);
        set(&index, &anns(1));
        let answer = library.query().answer("/host/a.mkv");
        assert_eq!(answer.match_kind, MatchKind::Confirmed);
    }
}

#[test]
fn what_one_users_listing_tells_of_mappings_no_other_token_hears() {
    let at = scene(&anns(0));
    let (index, library, _) = used(&at);
    for nth in [3, 5, 7, 9] {
        let (path, _) = path_of(&at.server, 1, nth);
        let asked = path.replace("/data/movies", "/mnt/elsewhere/films");
        library.query().size(library.size_of(&path)).answer(&asked);
    }
    let anns_own = index.proposals();
    assert!(!anns_own.is_empty());
    let explained = || {
        let answer = offline(&library).matched("/mnt/elsewhere/other.mkv");
        answer.is_ok_and(|answer| answer.message.contains("/mnt/elsewhere/films"))
    };
    assert!(explained());
    let bob = jwt("bob's key pair", Some("bob"), 0);
    admit(&at.server, &[&anns(0), &bob]);
    set(&index, &forged());
    assert!(index.proposals().is_empty() && !explained());
    set(&index, &bob);
    library.query().refreshed(true).expect("listed");
    assert!(index.proposals().is_empty() && !explained(), "nor who is accepted");
    // A renewed token is the same user, who has told nothing else meanwhile.
    set(&index, &anns(0));
    assert_eq!(index.proposals().len(), anns_own.len());
}

#[test]
fn a_call_goes_on_with_a_token_of_its_user_that_is_set_meanwhile() {
    let at = scene(&anns(0));
    let (index, library, key) = used(&at);
    let listed = path_of(&at.server, 1, 3).0;
    at.clock.advance_ms(2 * HOUR_MS);
    admit(&at.server, &[&anns(0), &anns(1)]);
    at.server.fault(Fault::delay(300).on(Kind::Sections).times(1));
    let answer = std::thread::scope(|scope| {
        let asks = scope.spawn(|| library.query().matched(&listed));
        until("asked", || at.server.stats().of(Kind::Sections) > 0);
        set(&index, &anns(1));
        asks.join().expect("no panic")
    });
    assert_eq!(answer.expect("hers").key(), Some(key));
}

fn bobs(week: i64) -> String {
    jwt("bob's key pair", Some("bob"), week)
}

/// What Ann and Bob were listed, and what Bob recorded; the index has Ann's token again.
fn two_users(at: &Scene) -> (Index, Library, String) {
    admit(&at.server, &[&anns(0), &bobs(0)]);
    let (index, library, key) = used(at);
    set(&index, &bobs(0));
    library.query().refreshed(true).expect("listed for Bob");
    library.record("/host/bobs.mkv", &key);
    set(&index, &anns(0));
    (index, library, key)
}

/// Makes a call with Ann's token, which ends when Bob's is set while the server is asked, and gives the text of its error.
fn ends_with<T: Send + std::fmt::Debug>(
    at: &Scene,
    index: &Index,
    call: impl Fn() -> plexindex::error::Result<T> + Send,
) -> String {
    at.clock.advance_ms(2 * HOUR_MS);
    at.server.reset();
    at.server.fault(Fault::delay(300).on(Kind::Sections).times(1));
    let done = std::thread::scope(|scope| {
        let asks = scope.spawn(call);
        until("asked", || at.server.stats().of(Kind::Sections) > 0);
        set(index, &bobs(0));
        asks.join().expect("no panic")
    });
    let error = done.expect_err("not hers");
    assert_eq!(error.status, Status::Unauthorized, "{error}");
    error.message
}

#[test]
fn a_call_is_not_made_again_as_another_user_whatever_was_known_when_it_began() {
    for case in [
        "both are known",
        "her token was not accepted",
        "the host has a function",
        "opened early",
    ] {
        let at = scene(&anns(0));
        let early = at.opened();
        let known = two_users(&at);
        let (index, library) = match case {
            "opened early" => early,
            "the host has a function" => {
                let (index, library, _) = renewing(&at);
                at_hand(&library, "/host/a.mkv").expect("hers");
                (index, library)
            }
            "her token was not accepted" => {
                admit(&at.server, &[&anns(1), &bobs(0)]);
                set(&known.0, &anns(1));
                (known.0, known.1)
            }
            _ => (known.0, known.1),
        };
        let text = ends_with(&at, &index, || library.query().matched("/host/bobs.mkv"));
        let replaced = text.contains("the token was replaced");
        assert!(replaced || case != "both are known", "{text}");
    }
    // Of a token that no server ever accepted it is not known whose it is.
    let at = scene(&anns(0));
    two_users(&at);
    let index = at.with_token("nobody's");
    let library = index.movies();
    ends_with(&at, &index, || library.query().matched("/host/bobs.mkv"));
    assert_eq!(at.server.stats().of(Kind::Sections), 1, "it is not made again");
}

#[test]
fn what_one_user_records_first_is_not_recorded_for_another() {
    let at = scene(&anns(0));
    admit(&at.server, &[&anns(0), &bobs(0)]);
    let bobs_own = at.with_token(&bobs(0));
    let his = bobs_own.movies();
    his.query().refreshed(true).expect("listed for Bob");
    let (_, key) = path_of(&at.server, 1, 3);
    let (index, library) = at.opened();
    ends_with(&at, &index, || library.record_match("/host/anns.mkv", &key));
    assert_eq!(at_hand(&his, "/host/anns.mkv"), None);
}
