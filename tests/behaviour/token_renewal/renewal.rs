//! The function of a host that renews its token.

use std::ops::ControlFlow;
use std::time::Instant;

use super::*;
use plexindex::Progress;

/// A function that is given how often it was asked, and that number.
fn counted(renew: impl Fn(u32) -> Option<Token> + Send + Sync + 'static) -> (Renewal, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let renewal = Renewal::new(move || renew(count.fetch_add(1, Ordering::SeqCst) + 1));
    (renewal, asked)
}

/// An index whose host renews the token of Ann each time that it is asked; and how often it was.
pub fn renewing(at: &Scene) -> (Index, Library, Arc<AtomicU32>) {
    let (renewal, asked) = counted(|number| Token::new(&anns(number.into())));
    let index = at.open_with(|options| options.renewal = Some(renewal));
    let library = index.movies();
    (index, library, asked)
}

#[test]
fn a_token_that_is_refused_or_expired_is_renewed_and_the_call_made_again() {
    let at = scene(&anns(0));
    let (_, _, key) = used(&at);
    let (index, library, asked) = renewing(&at);
    // The listing has expired, or only the path is asked about.
    for week in 1..=4_u32 {
        at.clock.advance_ms(if week > 2 { 2 * HOUR_MS } else { 60_000 });
        let token = anns(week.into());
        if week.is_multiple_of(2) {
            expire(&at.server);
            at.server.change(|state| state.tokens.push(Admitted::owner(&token)));
        } else {
            admit(&at.server, &[&token]);
        }
        at.server.reset();
        assert_eq!(
            missed(&library, &unlisted(week)),
            (Reason::NotListed, false),
            "no old answer"
        );
        assert_eq!(asked.load(Ordering::SeqCst), week);
        assert_eq!(at_hand(&library, "/host/a.mkv").as_ref(), Some(&key));
        assert_eq!(requests(&at.server)[2], 0, "nothing is listed anew");
    }
    // Each kind of call that asks the server.
    let calls: [&dyn Fn() -> plexindex::error::Result<()>; 7] = [
        &|| library.query().refreshed(true).map(|_| ()),
        &|| library.query().checked().map(|_| ()),
        &|| index.query().server().map(|_| ()),
        &|| library.query().match_paths_with(&[b"/a.mkv", b"/b.mkv"], |_, _| ()),
        &|| library.query().match_guid("plex://movie/none").map(|_| ()),
        &|| library.query().search_title("No such title").map(|_| ()),
        &|| library.query().match_folder("/nowhere").map(|_| ()),
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
    let index = at.open_with(|options| options.renewal = Some(renewal));
    at.clock.advance_ms(2 * HOUR_MS);
    admit(&at.server, &[&anns(1)]);
    let begin = Barrier::new(THREADS);
    let callers: Vec<_> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..THREADS)
            .map(|nth| {
                let (index, begin) = (&index, &begin);
                scope.spawn(move || {
                    let library = index.movies();
                    begin.wait();
                    for path in 0..20 {
                        let path = format!("/new/{nth}/{path}.mkv");
                        library.query().answer(path);
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
    let (path, key) = path_of(&at.server, 1, 5);
    let (renewal, asked) = counted(|_| None);
    let index = at.open_with(|options| {
        (options.renewal, options.library_ttl) = (Some(renewal), Ttl::Zero);
    });
    let library = index.movies();
    expire(&at.server);
    for round in 1..=3 {
        at.server.reset();
        for _ in 0..10 {
            let answer = library.query().answer(&path);
            assert_eq!(answer.key().as_ref(), Some(&key));
        }
        assert_eq!(asked.load(Ordering::SeqCst), round);
        assert_eq!(requests(&at.server)[5], 1, "as without a function");
        at.clock.advance_ms(16_000);
    }
    let error = library.query().refreshed(true).expect_err("refused");
    assert_eq!(error.status, Status::Unauthorized);
    assert!(error.message.contains("498"), "{error}");
    let failure = index.counts().last_failure.expect("a failure");
    assert!(failure.contains("498"), "{failure}");
}

#[test]
fn new_tokens_that_are_all_refused_are_asked_for_once_in_a_while() {
    let at = scene(&anns(0));
    used(&at);
    expire(&at.server);
    let (_index, library, asked) = renewing(&at);
    let (path, key) = path_of(&at.server, 1, 5);
    for round in 1..=3 {
        for _ in 0..5 {
            let error = library.query().refreshed(true).expect_err("refused");
            assert_eq!(error.status, Status::Unauthorized, "{error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), round);
        at.clock.advance_ms(16_000);
    }
    // The brake is off once the server admits one.
    let week = i64::from(asked.load(Ordering::SeqCst)) + 1;
    admit(&at.server, &[&anns(week)]);
    library.query().refreshed(true).expect("admitted");
    assert_eq!(at_hand(&library, &path), Some(key));
}

#[test]
fn the_feed_says_that_the_token_was_refused() {
    let at = scene(&anns(0));
    let index = open(at.options.clone(), &at.clock);
    let library = index.movies();
    let all = index.query();
    let told = |status: Status, words: &str| {
        let calls = [
            ("all changes", all.changes_page("", true, 10).map(drop)),
            ("changes", library.query().changes_page("", false, 10).map(drop)),
        ];
        for (call, done) in calls {
            let error = done.expect_err(call);
            assert_eq!(error.status, status, "{call}: {error}");
            assert!(error.message.contains(words), "{call}: {error}");
        }
    };
    told(Status::NotFetched, "refresh");
    expire(&at.server);
    all.refreshed(false).expect_err("expired");
    told(Status::Unauthorized, "rejected the token");
    // The server has not said anything of this one.
    admit(&at.server, &[&anns(1)]);
    set(&index, &anns(1));
    told(Status::NotFetched, "refresh");
    all.refreshed(false).expect("admitted");
    all.changes_page("", true, 10).expect("listed");
}

/// A file in the library's folder that it does not list: the server is asked about it.
fn unlisted(nth: u32) -> String {
    format!("/data/movies/New {nth} (2001)/New {nth} (2001).mkv")
}

/// Why a path is not found, and whether that may be old.
fn missed(library: &Library, path: &str) -> (Reason, bool) {
    let answer = library.query().answer(path);
    assert_eq!(answer.status, Status::NotFound, "{}", answer.message);
    (answer.reason, answer.stale)
}

#[test]
fn a_refused_token_of_one_index_is_no_failure_of_the_server_for_another_token() {
    let (at, first, films) = scene("old")
        .with(|options| options.user = Some("ann".to_owned()))
        .and_listed();
    admit(&at.server, &["new"]);
    assert_eq!(missed(&films, &unlisted(1)), (Reason::Unavailable, true));
    // As another process of the same user, whose token was renewed before.
    let second = at.with_token("new");
    let theirs = second.movies();
    at.server.reset();
    assert_eq!(missed(&theirs, &unlisted(2)), (Reason::NotListed, false));
    assert_eq!(requests(&at.server)[1], 1, "one probe");
    // The same one, as soon as it has a new token.
    at.clock.advance_ms(60_000);
    admit(&at.server, &["newer"]);
    assert_eq!(missed(&films, &unlisted(3)), (Reason::Unavailable, true));
    set(&first, "newer");
    at.server.reset();
    assert_eq!(missed(&films, &unlisted(3)), (Reason::NotListed, false));
    assert_eq!(requests(&at.server)[1], 1, "one probe");
}

#[test]
fn without_a_new_token_a_miss_that_the_server_could_not_confirm_is_stale() {
    let at = scene(&anns(0)).with(|options| options.renewal = Some(Renewal::new(|| None)));
    let (_index, films, _) = used(&at);
    let (listed, _) = path_of(&at.server, 1, 5);
    expire(&at.server);
    let ask = |path: &str| films.query().answer(path);
    // The host is asked for a token; in the pause after that it is not.
    for nth in 1..4 {
        let answer = ask(&unlisted(nth));
        assert_eq!((answer.status, answer.reason), (Status::NotFound, Reason::Unavailable));
        assert!(answer.stale, "{}", answer.message);
        assert!(answer.message.contains("498"), "{}", answer.message);
        at.clock.advance_ms(14_000);
    }
    assert!(!ask(&listed).stale, "no request is needed for it");
    at.clock.advance_ms(60_000);
    let answers = films.query().ask_batch(&[unlisted(5), listed, unlisted(6)]);
    let answers: Vec<_> = answers.iter().map(|answer| (answer.reason, answer.stale)).collect();
    let missed = (Reason::Unavailable, true);
    assert_eq!(answers, [missed, (Reason::None, false), missed]);
    at.clock.advance_ms(60_000);
    let folder = films.query().match_folder("/data/movies/New 7 (2001)");
    let folder = folder.expect("an answer").answer;
    assert_eq!((folder.reason, folder.stale), (Some(Reason::Unavailable), true));
    // A listing that has expired is old for titles and GUIDs, too.
    at.clock.advance_ms(2 * HOUR_MS);
    let by_guid = films.query().guid("plex://movie/none");
    for found in [by_guid, films.query().title("No such title")] {
        assert_eq!((found.reason, found.stale), missed, "{}", found.message);
    }
}

#[test]
fn without_a_new_token_an_error_of_the_caller_is_not_reported_as_the_refusal() {
    let at = scene(&anns(0)).with(|options| options.renewal = Some(Renewal::new(|| None)));
    let (_index, films, _) = used(&at);
    expire(&at.server);
    // As a buffer that is too small for the answer.
    let too_small = || Error::new(Status::BufferTooSmall, "too small");
    let path = unlisted(1);
    let result: plexindex::error::Result<()> = films.query().match_path_with(path.as_bytes(), |_| Err(too_small()));
    let error = result.expect_err("an error");
    assert_eq!(error.status, Status::BufferTooSmall, "{error}");
}

/// What a host's function asks.
type Inside = (Arc<Index>, Library);

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
    Arc::new((Arc::clone(index), index.movies()))
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
        let library = index.movies();
        let found = library.query().matched(&path).expect(returned);
        assert_eq!(found.key().as_ref(), Some(&key));
        slot.lock().expect("a lock").take();
    }
}

#[test]
fn a_panic_of_the_function_ends_its_call_and_holds_nothing() {
    let at = scene("old");
    let (renewal, calls) = counted(|number| {
        assert!(number > 1, "the host's");
        Token::new("new")
    });
    let index = at.open_with(|options| options.renewal = Some(renewal));
    admit(&at.server, &["new"]);
    let library = index.movies();
    let asks = std::panic::AssertUnwindSafe(|| library.query().checked());
    std::panic::catch_unwind(asks).expect_err("the host's panic goes on");
    library.query().checked().expect("renewed");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_function_that_waits_for_another_threads_call_does_not_wait_for_ever() {
    let at = scene(&anns(0));
    used(&at);
    let (path, key) = path_of(&at.server, 1, 5);
    let options = at.options_with(|options| {
        options.read_timeout = Duration::from_millis(200);
        options.library_ttl = Ttl::Zero;
    });
    let (index, slot) = renewed_by(options, &at, move |(_, library)| {
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| library.query().refreshed(true).expect_err("refused"));
            let stale = scope.spawn(|| library.query().answer(&path));
            let error = refused.join().expect("no panic");
            assert_eq!(error.status, Status::Unauthorized);
            assert!(error.message.contains("498"), "{error}");
            let answer = stale.join().expect("no panic");
            assert_eq!(answer.key().as_ref(), Some(&key));
        });
        Token::new(&anns(1))
    });
    *slot.lock().expect("a lock") = Some(inside(&index));
    admit(&at.server, &[&anns(0)]);
    expire(&at.server);
    at.server.change(|state| state.tokens.push(Admitted::owner(&anns(1))));
    let library = index.movies();
    library.query().refreshed(true).expect("renewed");
    slot.lock().expect("a lock").take();
}

#[test]
fn the_host_ends_a_call_that_waits_for_another_threads_token() {
    let at = scene("old");
    let begun = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let inside = Arc::clone(&begun);
    let renewal = Renewal::new(move || {
        inside.0.store(1, Ordering::SeqCst);
        until("the other call ended", || inside.1.load(Ordering::SeqCst) == 1);
        Token::new("new")
    });
    let index = at.open_with(|options| options.renewal = Some(renewal));
    admit(&at.server, &["new"]);
    let library = index.movies();
    std::thread::scope(|scope| {
        let renewed = scope.spawn(|| library.query().checked().expect("renewed"));
        until("the host renews", || begun.0.load(Ordering::SeqCst) == 1);
        let started = Instant::now();
        let stop = |_: &Progress<'_>| {
            if started.elapsed() < Duration::from_millis(300) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let error = library.query().progress(stop).checked().expect_err("stopped");
        assert_eq!(error.status, Status::Aborted, "{error}");
        begun.1.store(1, Ordering::SeqCst);
        renewed.join().expect("no panic");
    });
}

#[test]
fn a_function_may_ask_another_index_which_renews_its_own_token() {
    let at = scene(&anns(0));
    used(&at);
    let elsewhere = at.options_with(|options| options.cache_dir = options.cache_dir.join("elsewhere"));
    let renewals = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&renewals);
    // The second one's function asks the first one, whose function is under way on this thread.
    let (second, second_asks) = renewed_by(elsewhere, &at, move |(_, library)| {
        let error = library.query().refreshed(true).expect_err("refused");
        assert_eq!(error.status, Status::Unauthorized);
        count.fetch_add(1, Ordering::SeqCst);
        Token::new(&anns(1))
    });
    let (first, first_asks) = renewed_by(at.options.clone(), &at, |(_, library)| {
        library.query().refreshed(true).expect("renewed");
        Token::new(&anns(1))
    });
    *first_asks.lock().expect("a lock") = Some(inside(&second));
    *second_asks.lock().expect("a lock") = Some(inside(&first));
    admit(&at.server, &[&anns(1)]);
    let library = first.movies();
    library.query().checked().expect("renewed");
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    first_asks.lock().expect("a lock").take();
    second_asks.lock().expect("a lock").take();
}
