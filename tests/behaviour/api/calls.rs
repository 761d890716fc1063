//! Deadlines, progress, changes and waits of calls.

use super::*;

#[test]
fn what_changed_is_told_in_pages_and_goes_on_from_a_token() -> Anything {
    let at = Scene::new(1_200);
    let index = at.open();
    let movies = index.library("Movies")?;
    let unfetched = index.changes(None).map(drop);
    assert_eq!(kind(unfetched.err()), Some(ErrorKind::NotFetched));
    let _ = index.refresh()?;

    let mut all = movies.listing_and_changes()?;
    assert_eq!(all.cursor(), None);
    let mut items = Vec::new();
    let mut tokens = Vec::new();
    while let Some(change) = all.next() {
        let change = change?;
        assert_eq!(change.kind, ChangeKind::Added);
        assert_eq!(change.from, None);
        assert_eq!(change.from_key, None);
        items.push(change.item.expect("an item"));
        tokens.extend(all.cursor().map(str::to_owned));
    }
    assert_eq!(items.len(), 1_200);
    let listed = movies.item(&items[7].key)?.expect("listed");
    assert_eq!((&items[7].paths, &items[7].guid), (&listed.paths, &listed.guid));
    assert_eq!(items[7].library_title.as_deref(), Some("Movies"));
    tokens.dedup();
    // Who stops within a listing goes on behind the page that was read to its end.
    let rest = movies.changes(Some(&tokens[0]))?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(rest.len(), 700);
    assert_eq!(rest[0].item.as_ref(), Some(&items[500]));

    Ok(())
}

/// The table of `Query::timeout`.
#[test]
fn a_deadline_that_has_passed_is_a_status_or_a_timeout() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let late = || movies.query().timeout(Duration::ZERO);

    let needs_the_server = || {
        assert_eq!(kind(late().server().err()), Some(ErrorKind::Timeout));
    };
    let answers = |wanted: MatchStatus| -> Anything {
        for found in [
            late().match_path(&path)?,
            late().match_folder("/data/movies")?.answer,
            late().match_guid("imdb://tt1254207")?,
            late().search_title("A film")?,
            late().match_paths([&path])?.remove(0)?,
        ] {
            assert_eq!(found.status, wanted, "{found:?}");
            assert_eq!(found.reason, Some(Reason::NotFetched), "{found:?}");
            let message = found.message.ok_or("a message")?;
            assert!(message.contains("timeout") || message.contains("fetch"), "{message}");
        }
        Ok(())
    };
    // No library is known.
    answers(MatchStatus::NeedsWarm)?;
    needs_the_server();
    for failed in [
        late().refresh().err(),
        late().check().err(),
        late().refresh_fully().err(),
        late().libraries().err(),
        late().record_match("/mnt/a.mkv", &key).err(),
        late().record_matches([("/mnt/a.mkv", &key)]).err(),
    ] {
        assert_eq!(kind(failed), Some(ErrorKind::Timeout));
    }
    // It is known, and was never fetched.
    assert_eq!(index.libraries()?.len(), 1);
    answers(MatchStatus::NeedsWarm)?;
    needs_the_server();
    assert_eq!(late().refresh()?, Refreshed::NeedsWarm);
    assert_eq!(late().libraries()?.len(), 1);
    late().record_match("/mnt/a.mkv", &key)?;
    let all = index.query().record_match("/mnt/a.mkv", &key).err();
    assert_eq!(kind(all), Some(ErrorKind::InvalidArgument));
    // It was fetched: a miss would cost a request.
    let _ = index.refresh()?;
    assert_eq!(late().match_path(&path)?.status, MatchStatus::Found);
    let missing = late().match_path("/data/movies/New (2001)/New (2001).mkv")?;
    assert_eq!(missing.status, MatchStatus::NotYet);
    assert_eq!(late().refresh()?, Refreshed::Done);
    assert_eq!(late().check()?, Refreshed::NeedsWarm);
    let cursor = index.changes(None)?.cursor().ok_or("no cursor")?.to_owned();
    assert_eq!(late().wait_for_changes(&cursor)?, WaitOutcome::NotYet);
    needs_the_server();
    Ok(())
}

#[test]
fn a_wait_for_changes_ends_by_a_commit_a_deadline_or_a_break() -> Anything {
    let at = Scene::new(20);
    let index = at.open_listed()?;
    let token = index.changes(None)?.cursor().expect("a cursor").to_owned();
    let (key, other) = (at.path(3).1, at.open());
    let short = || index.query().timeout(Duration::from_millis(100));
    assert_eq!(short().wait_for_changes(&token)?, WaitOutcome::NotYet);

    let number: u64 = key.trim_start_matches("/library/metadata/").parse()?;
    at.server.change(|state| state.remove_items(&[number], true))?;
    let calls = AtomicBool::new(false);
    std::thread::scope(|threads| -> Anything {
        let waiting = threads.spawn(|| {
            let told = |so_far: &plexindex::Progress<'_>| {
                assert_eq!((so_far.library, so_far.items, so_far.total), (None, 0, None));
                calls.store(true, Ordering::Relaxed);
                ControlFlow::Continue(())
            };
            index.query().progress(told).no_timeout().wait_for_changes(&token)
        });
        until("it waits", || calls.load(Ordering::Relaxed));
        let _ = other.query().refresh_fully()?;
        assert_eq!(waiting.join().expect("no panic")?, WaitOutcome::Something);
        Ok(())
    })?;
    let mut all = index.changes(Some(&token))?;
    assert_eq!(all.by_ref().count(), 1);
    let token = all.cursor().expect("a cursor").to_owned();

    let broken = index.query().progress(|_| ControlFlow::Break(()));
    assert_eq!(kind(broken.wait_for_changes(&token).err()), Some(ErrorKind::Aborted));
    // While nothing happens it goes round five times a second: that is all that it costs.
    let rounds = AtomicUsize::new(0);
    let counted = |_: &plexindex::Progress<'_>| {
        rounds.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let idle = index.query().offline().timeout(Duration::from_millis(500));
    assert_eq!(idle.progress(counted).wait_for_changes(&token)?, WaitOutcome::NotYet);
    // Systems other than Linux look every 50 ms for what other processes commit.
    let most = if cfg!(target_os = "linux") { 4 } else { 11 };
    assert!((2..=most).contains(&rounds.load(Ordering::Relaxed)));
    // The server has to be asked first; offline that is none of this wait's business.
    index.library("Movies")?.invalidate()?;
    let patient = index.query().timeout(Duration::from_secs(60));
    assert_eq!(patient.wait_for_changes(&token)?, WaitOutcome::Something);
    // Not again at once: a server that does not answer is no reason to spin.
    assert_eq!(short().wait_for_changes(&token)?, WaitOutcome::NotYet);
    assert_eq!(short().offline().wait_for_changes(&token)?, WaitOutcome::NotYet);
    Ok(())
}

/// Waits for a file with high confidence, and meanwhile runs `then`, once the wait has begun.
fn waited(index: &Index, path: &str, every: Duration, then: impl FnOnce()) -> plexindex::Result<Match> {
    let begun = AtomicBool::new(false);
    let told = |_: &plexindex::Progress<'_>| {
        begun.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    std::thread::scope(|threads| {
        let query = index.query().timeout(Duration::from_secs(60)).progress(told);
        let waiting = threads.spawn(move || query.wait_for_path(path, every));
        until("it waits", || begun.load(Ordering::Relaxed));
        then();
        waiting.join().expect("no panic")
    })
}

const NEW: &str = "/data/movies/New (2024)/New (2024).mkv";
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(3_600);

fn add_new(at: &Scene) {
    let new = ItemSpec::file("New", NEW).year(2024);
    at.server
        .change(|state| state.add_items(1, vec![new], true))
        .expect("added");
}

/// By asking from time to time, by an event, and by what another handle fetched.
#[test]
fn a_wait_for_a_path_ends_when_plex_lists_the_file() -> Anything {
    for by in ["asking", "an event", "another handle"] {
        let at = Scene::new(20);
        let (index, other) = (at.open_listed()?, at.open());
        let _watch = (by == "an event").then(|| index.watch()).transpose()?;
        if by == "an event" {
            until("it listens", || at.server.listeners() == 1);
            assert!(index.match_path(NEW)?.sure().is_none());
        }
        let every = if by == "asking" { SOON } else { LATE };
        let listed = waited(&index, NEW, every, || {
            add_new(&at);
            if by == "another handle" {
                let _ = other.query().check().expect("refreshed");
            }
        })?;
        assert!(listed.sure().is_some(), "{by}");
    }
    Ok(())
}

#[test]
fn a_wait_for_a_path_outlasts_a_server_that_restarts() -> Anything {
    for is_listed in [true, false] {
        let at = Scene::new(20);
        let index = at.open_with(|options| options.retry_for = Duration::ZERO);
        if is_listed {
            let _ = index.refresh()?;
        }
        at.server.refuse();
        add_new(&at);
        let found = waited(&index, NEW, SOON, || at.server.reopen())?;
        assert!(found.sure().is_some(), "{is_listed}");
    }
    Ok(())
}

#[test]
fn a_wait_for_a_path_ends_by_its_timeout_or_a_break() -> Anything {
    let at = Scene::new(20);
    let index = at.open_listed()?;
    let late = index.query().timeout(SOON).wait_for_path(NEW, LATE)?;
    assert_eq!(
        (late.status, late.reason),
        (MatchStatus::NotFound, Some(Reason::NotListed))
    );
    let broken = index.query().progress(|_| ControlFlow::Break(()));
    assert_eq!(kind(broken.wait_for_path(NEW, LATE).err()), Some(ErrorKind::Aborted));
    let none = index.query().wait_for_path(NEW, Duration::ZERO);
    assert_eq!(kind(none.err()), Some(ErrorKind::InvalidArgument));
    let at = Scene::new(20);
    at.server.refuse();
    let cold = at.open_with(|options| options.retry_for = Duration::ZERO);
    let cold = cold.query().timeout(SOON).wait_for_path(NEW, LATE);
    assert_eq!(kind(cold.err()), Some(ErrorKind::Connect));
    Ok(())
}

#[test]
fn the_server_refreshes_and_analyzes_items() -> Anything {
    let at = Scene::new(20);
    let index = at.open_listed()?;
    let (_, key) = at.path(3);
    let sent = || at.server.stats().of(Kind::Refresh);
    index
        .query()
        .refresh_items([&key, key.trim_start_matches("/library/metadata/")])?;
    assert_eq!(sent(), 2);
    index.query().analyze_items([&key])?;
    assert_eq!(sent(), 3);
    let unknown = index.query().refresh_items(["999999", &key]).err();
    assert!(
        unknown
            .as_ref()
            .is_some_and(|error| error.to_string().contains("the server has no such item"))
    );
    assert_eq!((kind(unknown), sent()), (Some(ErrorKind::NotOnServer), 4));
    let invalid = index.query().refresh_items([&key, "x y"]).err();
    assert_eq!(kind(invalid), Some(ErrorKind::InvalidArgument));
    let offline = index.query().offline().refresh_items([&key]).err();
    assert_eq!((kind(offline), sent()), (Some(ErrorKind::Offline), 4));
    Ok(())
}

#[test]
fn a_scan_sends_one_request_for_the_paths_of_a_folder() -> Anything {
    let at = Scene::new(20);
    let index = at.open_listed()?;
    let paths: [&[u8]; 4] = [
        b"/data/movies/A/1.mkv",
        b"/data/movies/A/2.mkv",
        b"/data/movies/B/1.mkv",
        b"/data/movies/A/",
    ];
    let scans = index.query().scan(&paths)?;
    assert!(scans.iter().all(Option::is_some));
    assert_eq!(at.server.stats().of(Kind::Refresh), 2);
    Ok(())
}

/// All is fetched when a quick fetch tells of its progress for the only time. Its answer counts all the same.
#[test]
fn the_last_word_of_a_progress_callback_counts() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let stopped = movies.query().progress(|_| ControlFlow::Break(())).match_path(&path);
    assert_eq!(stopped.map_err(|error| error.kind()).err(), Some(ErrorKind::Aborted));
    let panicked = catch_unwind(|| movies.query().progress(|_| std::panic::panic_any(17)).refresh_fully());
    assert_eq!(panicked.expect_err("a panic").downcast_ref(), Some(&17));
    // What was fetched is kept.
    let found = movies.query().offline().match_path(&path)?;
    assert_eq!(found.sure().map(|item| &item.key), Some(&key));
    Ok(())
}

/// The fetch goes on meanwhile, so that a fetch within waits for it and does not wait for ever.
#[test]
fn a_progress_callback_may_fetch_what_is_being_fetched() -> Anything {
    let at = Scene::new(5_000);
    let (path, _) = at.path(3);
    at.server.fault(Fault::delay(60).on(Kind::Listing).times(4));
    let index = at.open();
    let movies = index.library("Movies")?;
    let mut within = Vec::new();
    let tell = |_: &plexindex::Progress<'_>| {
        within.push(movies.refresh().and_then(|_| movies.match_path(&path)));
        ControlFlow::Continue(())
    };
    assert_eq!(movies.query().progress(tell).refresh()?, plexindex::Refreshed::Done);
    assert!(!within.is_empty());
    for found in within {
        assert!(found?.sure().is_some());
    }
    Ok(())
}

/// The fetch ends with the call, the panic goes on, and other calls find nothing held.
#[test]
fn a_panic_in_a_progress_callback_goes_on_and_holds_nothing() -> Anything {
    let at = Scene::new(5_000);
    let (path, _) = at.path(3);
    at.server
        .fault(Fault::new(Action::stall(Some(10), 30_000)).on(Kind::Listing));
    let index = at.open();
    let movies = index.library("Movies")?;
    let begun = Instant::now();
    let panicked = catch_unwind(|| movies.query().progress(|_| std::panic::panic_any(17)).match_path(&path));
    assert_eq!(panicked.expect_err("a panic").downcast_ref(), Some(&17));
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(movies.match_path(&path)?.sure().is_some());
    // Nor does a panic in what is handed a key.
    let panicked = catch_unwind(|| {
        movies.lookup_rating_key(&path, |_| std::panic::panic_any(18));
    });
    assert!(panicked.is_err());
    movies.invalidate()?;
    assert!(movies.match_path(&path)?.sure().is_some());
    index.close()?;
    Ok(())
}

#[test]
fn times_beyond_all_bounds_are_times() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    for time in [Duration::MAX, Duration::from_millis(u64::MAX), Duration::ZERO] {
        let folder = tempfile::tempdir()?;
        let patient = if time.is_zero() { Duration::from_secs(5) } else { time };
        let index = Index::open(Options {
            cache_dir: folder.path().into(),
            library_ttl: Ttl::For(time),
            max_age: time,
            timeout: Some(patient),
            connect_timeout: patient,
            read_timeout: patient,
            retry_for: time,
            slow: Some(time),
            ..at.options()
        })?;
        let movies = index.library("Movies")?;
        assert_eq!(key_of(&movies.match_path(&path)?), Some(&*key), "{time:?}");
        let _ = movies.query().timeout(time).match_path(&path)?;
        let _ = movies.query().timeout(time).refresh_fully()?;
        let _ = movies.query().no_timeout().match_path("/data/movies/none.mkv")?;
        movies.invalidate_path(&path)?;
        let _ = movies.query().timeout(time).match_path(&path)?;
        let terms = Terms::default().ttl(time).limit(1 << 20);
        index.table("kept")?.put("a", "b", terms)?;
        assert_eq!(index.table("kept")?.get("a")?.is_some(), !time.is_zero());
    }
    Ok(())
}
