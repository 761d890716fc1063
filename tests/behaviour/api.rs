//! The crate as Rust users see it: what its root exports, over a stand-in server, and called as no one should.

use crate::support;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use crate::support::{index, movies, path_of};
use plexindex::{
    Change, ChangeKind, Changes, Confidence, EditError, Edited, Error, ErrorKind, FieldChange, Folder, Index, Item,
    ItemType, Items, Library, LibraryInfo, Lock, Mapping, Match, MatchKind, MatchStatus, Names, Notified, Options,
    Query, Reason, Refreshed, RequestKind, Selector, ServerInfo, Stats, Table, TableChange, Terms, Token, Ttl, Waited,
    Watch, WeakIndex,
};
use plexindex_standin::{Action, Event, Fault, Kind, Standin};

const fn any_thread<T: Send + Sync>() {}
const fn goes_to_a_thread<T: Send>() {}
const fn handle<T: Send + Sync + Clone + 'static>() {}
const fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
const _: () = {
    unwinds::<Index>();
    unwinds::<WeakIndex>();
    unwinds::<Library>();
    unwinds::<Table>();
    unwinds::<Watch>();
    unwinds::<Items>();
    unwinds::<Changes>();
    handle::<Index>();
    handle::<WeakIndex>();
    handle::<Library>();
    handle::<Table>();
    handle::<Options>();
    handle::<Error>();
    handle::<EditError>();
    handle::<Match>();
    handle::<Item>();
    handle::<Items>();
    handle::<Change>();
    handle::<Changes>();
    handle::<Names>();
    handle::<Stats>();
    any_thread::<Watch>();
    any_thread::<Folder>();
    any_thread::<Mapping>();
    any_thread::<Token>();
    any_thread::<Selector>();
    any_thread::<LibraryInfo>();
    any_thread::<ServerInfo>();
    any_thread::<FieldChange>();
    any_thread::<TableChange<'_>>();
    any_thread::<plexindex::EditReport>();
    any_thread::<plexindex::ItemsBelow>();
    any_thread::<plexindex::Proposal>();
    any_thread::<plexindex::Renewal>();
    any_thread::<plexindex::StoreInfo>();
    goes_to_a_thread::<Query<'_>>();
};

type Anything = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct Scene {
    server: Standin,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(items: u32) -> Self {
        Self {
            server: movies(items),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn options(&self) -> Options {
        support::options(&self.server, self.folder.path())
    }

    fn open(&self) -> Index {
        Index::open(self.options()).expect("the index opens")
    }

    fn open_listed(&self) -> plexindex::Result<Index> {
        let index = self.open();
        let _ = index.refresh()?;
        Ok(index)
    }

    fn path(&self, nth: usize) -> (String, String) {
        let (path, key) = path_of(&self.server, 1, nth);
        (path, format!("/library/metadata/{key}"))
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A path that is no text.
fn no_text() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        #[cfg(unix)]
        return index::path(b"/host/\xff\xfe.mkv").to_owned();
        #[cfg(windows)]
        return <std::ffi::OsString as std::os::windows::ffi::OsStringExt>::from_wide(&[0x2f, 0xd800]).into();
    });
    &PATH
}

#[test]
fn a_path_becomes_an_item() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    assert_eq!(movies.lookup_key(&path), None, "nothing is fetched by a fast lookup");

    let found = movies.match_path(&path)?;
    assert_eq!(
        (found.status, found.match_kind),
        (MatchStatus::Found, Some(MatchKind::Exact))
    );
    assert_eq!((found.confidence, found.reason), (Some(Confidence::High), None));
    assert_eq!((found.total, found.stale, found.message.as_deref()), (1, false, None));
    assert!(found.age.is_some());
    let item = found.item().expect("an item");
    assert_eq!((item.key.as_str(), item.kind), (key.as_str(), ItemType::Movie));
    assert_eq!(item.path.as_deref(), Some(Path::new(&path)));
    assert_eq!(item.library_title.as_deref(), Some("Movies"));
    assert_eq!(item.section.as_deref(), Some("1"));
    // What a film has not is not an empty text, nor a number below zero.
    assert_eq!(
        (&item.show_title, &item.show_rating_key, &item.show_guid),
        (&None, &None, &None)
    );
    assert_eq!((item.season, item.episode), (None, None));
    assert_eq!((&item.guids, &item.paths), (&None, &None), "an answer leaves them out");
    assert_eq!(
        item.to_string(),
        format!(
            "{} ({})",
            item.title.as_deref().ok_or("no title")?,
            item.year.ok_or("no year")?
        )
    );
    assert_eq!(found.clone().into_item().as_ref(), found.item());

    // Any kind of path.
    for again in [
        index.match_path(PathBuf::from(&path))?,
        index.match_path(Path::new(&path))?,
        index.match_path(OsStr::new(&path))?,
        index.library(Selector::All)?.match_path(index::path(path.as_bytes()))?,
        index.library(Selector::Section("1".into()))?.match_path(&*path)?,
    ] {
        assert_eq!(again.item().map(|item| &item.key), Some(&key));
    }
    Ok(())
}

/// It gave `1002` where C and Python give `/library/metadata/1002`.
#[test]
fn a_fast_lookup_gives_the_key_that_answers_give() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let movies = at.open().library("Movies")?;
    let _ = movies.refresh()?;
    assert_eq!(movies.lookup_key(&path).as_deref(), Some(&*key));
    assert_eq!(
        movies.lookup_keys([&*path, "/nowhere/x.mkv"]),
        [Some(key.clone()), None]
    );
    let rating_key = movies.lookup_rating_key(&path, str::to_owned);
    assert_eq!(rating_key.as_deref(), key.strip_prefix("/library/metadata/"));
    assert_eq!(movies.match_path(&path)?.item().map(|item| &item.key), Some(&key));
    Ok(())
}

#[test]
fn a_batch_answers_each_path_in_its_place() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let movies = at.open().library("Movies")?;
    let answers = movies.match_paths(["/nowhere/x.mkv", "", &path])?;
    assert_eq!(answers.len(), 3);
    let missing = answers[0].as_ref().expect("an answer");
    assert_eq!(
        (missing.status, missing.reason),
        (MatchStatus::NotFound, Some(Reason::NoLocation))
    );
    assert_eq!(
        (missing.match_kind, missing.confidence, missing.item()),
        (None, None, None)
    );
    assert!(
        missing
            .message
            .as_deref()
            .is_some_and(|text| text.contains("/nowhere/x.mkv"))
    );
    assert_eq!(
        answers[1].as_ref().err().map(Error::kind),
        Some(ErrorKind::InvalidArgument)
    );
    assert_eq!(
        answers[2].as_ref().expect("an answer").item().map(|item| &item.key),
        Some(&key)
    );
    assert!(movies.match_paths(std::iter::empty::<&str>())?.is_empty());
    Ok(())
}

#[test]
fn a_recorded_match_is_the_answer_until_it_is_invalidated() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let (_, other) = at.path(4);
    let index = at.open();
    let movies = index.library("Movies")?;
    movies.record_match("/host/a.mkv", &key)?;
    movies.record_matches([("/host/b.mkv", &key), ("/host/c.mkv", &other)])?;
    let found = movies.match_path("/host/c.mkv")?;
    assert_eq!(
        (found.match_kind, found.item().map(|item| &item.key)),
        (Some(MatchKind::Confirmed), Some(&other))
    );
    assert_eq!(movies.lookup_key("/host/b.mkv"), Some(key.clone()));
    movies.invalidate_item(&key)?;
    assert_eq!(movies.lookup_key("/host/b.mkv"), None);
    movies.invalidate_path("/host/c.mkv")?;
    assert_eq!(movies.lookup_key("/host/c.mkv"), None);
    movies.invalidate()?;
    assert_eq!(movies.match_path(&path)?.item().map(|item| &item.key), Some(&key));
    index.invalidate_all()?;
    index.clear()?;
    assert_eq!(index.stats()?.items, 0);
    assert_eq!(
        movies.record_match("/a.mkv", "").map_err(|error| error.kind()),
        Err(ErrorKind::InvalidArgument)
    );
    let all = index.library(Selector::All)?;
    assert_eq!(
        all.record_match("/a.mkv", &key).map_err(|error| error.kind()),
        Err(ErrorKind::InvalidArgument)
    );
    Ok(())
}

/// Only the key is known of an item that no listing holds: no empty title stands for that.
#[test]
fn a_recorded_item_that_is_not_listed_has_only_its_key() -> Anything {
    let at = Scene::new(20);
    let movies = at.open().library("Movies")?;
    movies.record_match("/host/a.mkv", "99999")?;
    let found = movies.query().offline().match_path("/host/a.mkv")?;
    let item = found.item().expect("an item");
    assert_eq!(
        (item.key.as_str(), item.title.as_deref(), item.year),
        ("/library/metadata/99999", None, None)
    );
    assert_eq!(item.to_string(), "/library/metadata/99999");
    Ok(())
}

#[test]
fn items_libraries_and_counts_are_told() -> Anything {
    let at = Scene::new(1_200);
    let (path, key) = at.path(3);
    let index = at.open();
    let before = index.libraries()?;
    assert_eq!(
        (before[0].items, before[0].checked, before[0].generation),
        (None, None, None)
    );
    let movies = index.library(&before[0].uuid)?;
    assert!(movies.is_known());
    let unfetched: Vec<_> = movies.items().collect();
    let [Err(error)] = unfetched.as_slice() else {
        panic!("no end of no items: {unfetched:?}");
    };
    assert_eq!(error.kind(), ErrorKind::NotFetched);
    assert!(!error.kind().is_transient(), "somebody has to fetch it");
    assert!(error.to_string().contains("was never fetched"), "{error}");
    let all = index.library(Selector::All)?;
    for (asked, kind) in [
        (&movies, ErrorKind::NotFetched),
        (&all, ErrorKind::NotFetched),
        (&index.library("Nope")?, ErrorKind::LibraryNotFound),
    ] {
        let failed = asked.item(&key).err();
        assert_eq!(failed.map(|error| error.kind()), Some(kind));
    }
    let now = SystemTime::now();
    let _ = movies.query().refresh_fully()?;
    let listed = &index.libraries()?[0];
    assert_eq!(
        (listed.items, listed.generation, listed.fresh),
        (Some(1_200), Some(1), true)
    );
    assert!(
        listed
            .checked
            .is_some_and(|at| at + Duration::from_millis(1) >= now && at <= SystemTime::now())
    );

    let items = movies.items().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(items.len(), 1_200, "over several pages, each once");
    let item = movies.item(&key)?.expect("listed");
    assert!(items.contains(&item));
    assert_eq!(item.paths.as_deref(), Some(&[PathBuf::from(&path)][..]));
    assert!(item.guids.is_some());
    assert_eq!((movies.item("99999")?, all.item("99999")?), (None, None));
    let guid = item.guid.as_deref().expect("a GUID");
    assert_eq!(movies.match_guid(guid)?.item().map(|item| &item.key), Some(&key));
    let title = index.search_title(item.title.as_deref().expect("a title"))?;
    assert!(title.candidates.iter().any(|one| one.key == key));
    let refused: Vec<_> = all.items().collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        refused[0].as_ref().map_err(Error::kind),
        Err(ErrorKind::InvalidArgument)
    );

    let server = index.query().server()?;
    assert_eq!(server.libraries, 1);
    assert!(server.version.is_some());
    let stats = index.stats()?;
    assert_eq!((stats.items, stats.libraries, stats.size_limit), (1_200, 1, None));
    assert_eq!(stats.requests(RequestKind::Page), 2);
    assert!(stats.all_requests() >= 4 && stats.network > Duration::ZERO);
    assert_eq!(stats.answers(Some(MatchKind::Exact)), 2);
    assert!(index.store()?.disk_bytes > 0);
    assert_eq!(index.folder(), at.folder.path());
    Ok(())
}

#[test]
fn what_changed_is_told_in_pages_and_goes_on_from_a_token() -> Anything {
    let at = Scene::new(1_200);
    let index = at.open();
    let movies = index.library("Movies")?;
    assert_eq!(
        index.changes(None).map(|_| ()).map_err(|error| error.kind()),
        Err(ErrorKind::NotFetched),
        "nothing was fetched"
    );
    let _ = index.refresh()?;

    let mut all = movies.listing_and_changes()?;
    assert_eq!(
        all.cursor(),
        None,
        "within the first page there is nothing to go on from"
    );
    let mut items = Vec::new();
    let mut tokens = Vec::new();
    while let Some(change) = all.next() {
        let change = change?;
        assert_eq!(
            (change.kind, &change.from, &change.from_key),
            (ChangeKind::Added, &None, &None)
        );
        items.push(change.item.expect("an item"));
        tokens.extend(all.cursor().map(str::to_owned));
    }
    assert_eq!(items.len(), 1_200);
    let listed = movies.item(&items[7].key)?.expect("listed");
    assert_eq!((&items[7].paths, &items[7].guid), (&listed.paths, &listed.guid));
    assert_eq!(items[7].library_title.as_deref(), Some("Movies"));
    let token = all.cursor().expect("a cursor").to_owned();
    tokens.dedup();
    // Who stops within a listing goes on behind the page that was read to its end.
    let rest = movies.changes(Some(&tokens[0]))?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(rest.len(), 700);
    assert_eq!(rest[0].item.as_ref(), Some(&items[500]));

    // A film goes, one moves, one comes; each once, and in any process with this token.
    let ((gone, gone_key), (moved, moved_key)) = (at.path(3), at.path(4));
    let number = |key: &str| {
        key.trim_start_matches("/library/metadata/")
            .parse::<u64>()
            .expect("a number")
    };
    at.server
        .change(|state| state.remove_items(&[number(&gone_key)], true))?;
    at.server
        .change(|state| state.rename_file(number(&moved_key), &moved, "/data/elsewhere.mkv"))?;
    let new = support::movie("New", "/data/movies/New.mkv");
    at.server.change(|state| state.add_items(1, vec![new], true))?;
    let _ = index.query().refresh_fully()?;
    let again = at.open();
    let mut changes = again.library("Movies")?.changes(Some(&token))?;
    assert_eq!(changes.cursor(), Some(token.as_str()));
    let mut told = changes.by_ref().collect::<Result<Vec<_>, _>>()?;
    told.sort_by_key(|change| change.kind.name());
    let kinds: Vec<_> = told
        .iter()
        .map(|change| (change.kind, change.path.as_deref(), change.from.as_deref()))
        .collect();
    assert_eq!(
        kinds,
        [
            (ChangeKind::Added, Some(Path::new("/data/movies/New.mkv")), None),
            (
                ChangeKind::Moved,
                Some(Path::new("/data/elsewhere.mkv")),
                Some(Path::new(&moved))
            ),
            (ChangeKind::Removed, Some(Path::new(&gone)), None),
        ]
    );
    assert_eq!(told[0].to_string(), "added: New");
    assert_eq!(told[2].item.as_ref().map(|item| &item.key), Some(&gone_key));
    assert!(changes.next().is_none());
    assert_ne!(changes.cursor(), Some(token.as_str()));
    assert_eq!(movies.changes(changes.cursor())?.count(), 0);

    // Of one library: it says nothing of all. Of another store: list again.
    let refused = [
        (index.changes(Some(&token)).map(|_| ()), ErrorKind::InvalidArgument),
        (index.changes(Some("banana")).map(|_| ()), ErrorKind::InvalidArgument),
        (
            Scene::new(2).open_listed()?.changes(Some(&token)).map(|_| ()),
            ErrorKind::ListAgain,
        ),
    ];
    for (refused, kind) in refused {
        assert_eq!(refused.map_err(|error| error.kind()), Err(kind));
    }
    Ok(())
}

/// The table of `Query::deadline`.
#[test]
fn a_deadline_that_has_passed_is_a_status_or_a_timeout() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let late = || movies.query().deadline(Duration::ZERO);
    let title = [FieldChange::set("title", "A")];
    let kind = |failed: Option<Error>| failed.map(|error| error.kind());
    let needs_the_server = || {
        assert_eq!(kind(late().server().err()), Some(ErrorKind::Timeout));
        let failed = late().edit_items([&key], &title, Lock::Leave).err();
        assert_eq!(kind(failed.map(Error::from)), Some(ErrorKind::Timeout));
    };
    let answers = |wanted: MatchStatus| -> Anything {
        for found in [
            late().match_path(&path)?,
            late().match_folder("/data/movies")?.answer,
            late().match_guid("imdb://tt1254207")?,
            late().search_title("A film")?,
            late().match_paths([&path])?.remove(0)?,
        ] {
            assert_eq!(
                (found.status, found.reason),
                (wanted, Some(Reason::NotFetched)),
                "{found:?}"
            );
            let message = found.message.ok_or("a message")?;
            assert!(
                ["deadline", "fetch"].iter().any(|word| message.contains(word)),
                "{message}"
            );
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
    assert_eq!(
        (late().refresh()?, late().check()?),
        (Refreshed::Done, Refreshed::NeedsWarm)
    );
    let cursor = index.changes(None)?.cursor().ok_or("no cursor")?.to_owned();
    assert_eq!(late().wait_for_changes(&cursor)?, Waited::NotYet);
    needs_the_server();
    Ok(())
}

/// In C an empty cursor is none.
#[test]
fn an_empty_cursor_is_refused() -> Anything {
    let at = Scene::new(2);
    let index = at.open_listed()?;
    let failed = index.changes(Some("")).err().map(|error| error.kind());
    assert_eq!(failed, Some(ErrorKind::InvalidArgument));
    let failed = index
        .library("Movies")?
        .changes(Some(""))
        .err()
        .map(|error| error.kind());
    assert_eq!(failed, Some(ErrorKind::InvalidArgument));
    let failed = index.query().deadline(Duration::ZERO).wait_for_changes("").err();
    assert_eq!(failed.map(|error| error.kind()), Some(ErrorKind::InvalidArgument));
    Ok(())
}

#[test]
fn a_wait_for_changes_ends_by_a_commit_a_deadline_or_a_break() -> Anything {
    let at = Scene::new(20);
    let index = at.open_listed()?;
    let token = index.changes(None)?.cursor().expect("a cursor").to_owned();
    let (key, other) = (at.path(3).1, at.open());
    let waited = index
        .query()
        .deadline(Duration::from_millis(1))
        .wait_for_changes(&token)?;
    assert_eq!(waited, Waited::NotYet);

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
            index.query().progress(told).no_deadline().wait_for_changes(&token)
        });
        until("it waits", || calls.load(Ordering::Relaxed));
        let _ = other.query().refresh_fully()?;
        assert_eq!(waiting.join().expect("no panic")?, Waited::Something);
        Ok(())
    })?;
    let mut all = index.changes(Some(&token))?;
    assert_eq!(all.by_ref().count(), 1);
    let token = all.cursor().expect("a cursor").to_owned();

    let broken = index
        .query()
        .progress(|_| ControlFlow::Break(()))
        .wait_for_changes(&token);
    assert_eq!(broken.map_err(|error| error.kind()), Err(ErrorKind::Aborted));
    // While nothing happens it goes round five times a second: that is all that it costs.
    let rounds = AtomicUsize::new(0);
    let counted = |_: &plexindex::Progress<'_>| {
        rounds.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let idle = index
        .query()
        .offline()
        .progress(counted)
        .deadline(Duration::from_millis(500));
    assert_eq!(idle.wait_for_changes(&token)?, Waited::NotYet);
    // Systems other than Linux look every 50 ms for what other processes commit.
    let most = if cfg!(target_os = "linux") { 4 } else { 11 };
    assert!(
        (2..=most).contains(&rounds.load(Ordering::Relaxed)),
        "at 0, 200, 400 and 500 ms"
    );
    // The server has to be asked first; offline that is none of this wait's business.
    index.library("Movies")?.invalidate()?;
    let short = || index.query().deadline(Duration::from_millis(1));
    assert_eq!(short().wait_for_changes(&token)?, Waited::Something);
    // Not again at once: a server that does not answer is no reason to spin.
    assert_eq!(short().wait_for_changes(&token)?, Waited::NotYet);
    assert_eq!(short().offline().wait_for_changes(&token)?, Waited::NotYet);
    Ok(())
}

#[test]
fn an_error_names_its_kind_and_the_remedy() {
    let at = Scene::new(20);
    let index = at.open();
    let error = index
        .library("Nope")
        .expect("a handle")
        .match_path("/a.mkv")
        .expect_err("no such library");
    assert_eq!(error.kind(), ErrorKind::LibraryNotFound);
    assert!(
        error.to_string().contains("'Nope'") && error.to_string().contains("'Movies'"),
        "{error}"
    );
    assert!(error.source().is_none());
    assert_eq!(format!("{error:?}"), format!("LibraryNotFound: {error}"));
    let error = index.library("").expect_err("no name");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = Index::open(Options::new("/tmp/a\0b")).expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let error = Index::open(Options {
        size_limit: Some(0),
        ..at.options()
    })
    .expect_err("room for nothing");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.to_string().contains("size_limit is 0"), "{error}");
    let error = Index::open(Options {
        user: Some("x".repeat(4097)),
        ..at.options()
    })
    .expect_err("no user has such a name");
    assert_eq!(error.to_string(), "user is 4097 bytes long: give at most 4096 bytes");
    let none = Duration::ZERO;
    for (options, text) in [
        (
            Options {
                user: Some(String::new()),
                ..at.options()
            },
            "user is empty: ",
        ),
        (
            Options {
                connect_timeout: none,
                ..at.options()
            },
            "connect_timeout is 0: ",
        ),
        (
            Options {
                read_timeout: none,
                ..at.options()
            },
            "read_timeout is 0: ",
        ),
        (
            Options {
                mappings: vec![Mapping::host_to_server("media", "/data")],
                ..at.options()
            },
            "mapping 1 (host to server, ",
        ),
    ] {
        let error = Index::open(options).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    // Beginning and end of a text that quotes a long value stay, and no character is cut.
    let error = Index::open(Options::new("/é".repeat(10_000))).expect_err("no folder has such a name");
    let text = error.to_string();
    assert!(
        text.starts_with("cannot make cache_dir /é/é") && text.contains("/…"),
        "{text}"
    );
    assert!(text.contains(" (of 300") && text.len() < 8_192, "{text}");
    let offline = Index::open(Options::new(at.folder.path())).expect("opens");
    assert_eq!(offline.watch().expect_err("no server").kind(), ErrorKind::Offline);
    assert_eq!(offline.refresh().expect_err("no server").kind(), ErrorKind::Offline);
    assert_eq!(
        offline.notify("nonsense").expect_err("no JSON").kind(),
        ErrorKind::InvalidArgument
    );
    at.server.refuse();
    let other = tempfile::tempdir().expect("a folder");
    let index = Index::open(Options {
        cache_dir: other.path().into(),
        retry_for: Duration::ZERO,
        ..at.options()
    })
    .expect("opening asks no server");
    assert_eq!(
        index.match_path("/a.mkv").expect_err("no server").kind(),
        ErrorKind::Connect
    );
}

/// Where nothing is known, no miss is an answer, whether the call names a library or not.
#[test]
fn an_index_that_knows_nothing_and_may_not_ask_says_so() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let empty = tempfile::tempdir()?;
    let index = Index::open(Options::new(empty.path()))?;
    let movies = index.library("Movies")?;
    let all = index.library(Selector::All)?;
    let kind = |failed: Option<Error>| failed.map(|error| error.kind());
    let asked = [
        index.match_path(&path).err(),
        movies.match_path(&path).err(),
        all.match_path(&path).err(),
        index.match_folder("/data/movies").err(),
        index.match_guid("imdb://tt1254207").err(),
        index.search_title("A film").err(),
        index.match_paths([&path]).err(),
        movies.record_match(&path, &key).err(),
        movies.query().offline().record_match(&path, &key).err(),
        index.refresh().err(),
    ];
    for (nth, failed) in asked.into_iter().enumerate() {
        assert_eq!(kind(failed), Some(ErrorKind::Offline), "{nth}");
    }
    // Waiting for nothing is all that it promises: the whole call says why.
    assert_eq!(movies.match_path_at_once(&path)?.status, MatchStatus::NotYet);
    assert!(index.libraries()?.is_empty());

    // The same call, offline, of an index that has a server.
    let index = at.open();
    let failed = index.query().offline().match_path(&path).err();
    assert_eq!(kind(failed), Some(ErrorKind::Offline));

    // What is stored answers as ever.
    let _ = index.refresh()?;
    drop(index);
    let stored = Index::open(Options::new(at.folder.path()))?;
    assert_eq!(stored.match_path(&path)?.status, MatchStatus::Found);
    assert_eq!(stored.match_path("/elsewhere/b.mkv")?.reason, Some(Reason::NoLocation));
    let failed = stored.library("Nope")?.record_match(&path, &key).err();
    assert_eq!(kind(failed), Some(ErrorKind::LibraryNotFound));
    Ok(())
}

#[test]
fn an_error_of_the_system_is_the_source_of_ours() -> Anything {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "in the way")?;
    let error = Index::open(Options::new(folder.path().join("file/store"))).unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.map(std::io::Error::kind),
        Some(std::io::ErrorKind::AlreadyExists),
        "{error}"
    );

    let scene = Scene::new(3);
    let index = Index::open(Options {
        retry_for: Duration::ZERO,
        ..scene.options()
    })?;
    drop(scene.server);
    let error = index.refresh().expect_err("no server");
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.map(std::io::Error::kind),
        Some(std::io::ErrorKind::ConnectionRefused),
        "{error}"
    );

    // A label of more than 63 letters: a resolver sends no request for it.
    let unknown = Index::open(Options {
        server_url: Some(format!("http://{}.invalid:32400", "x".repeat(70))),
        retry_for: Duration::ZERO,
        ..Options::new(folder.path().join("store"))
    })?;
    let error = unknown.refresh().expect_err("no such name");
    let cause = error.source().ok_or("a cause")?;
    assert!(
        cause.is::<std::io::Error>() && error.to_string().contains(&cause.to_string()),
        "{error}"
    );

    let error = Index::open(Options {
        server_url: Some("https://127.0.0.1:1".to_owned()),
        ca_file: Some(folder.path().join("none.pem")),
        ..Options::new(folder.path().join("store"))
    })
    .expect_err("no such file");
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.map(std::io::Error::kind),
        Some(std::io::ErrorKind::NotFound),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_match_at_once_waits_for_nothing() -> Anything {
    let scene = Scene::new(3);
    let index = scene.open();
    let movies = index.library("Movies")?;
    let (path, _) = path_of(&scene.server, 1, 1);
    let waits = movies.match_path_at_once(&path)?;
    assert_eq!(waits.status, MatchStatus::NotYet);
    let message = waits.message.ok_or("a message")?;
    assert!(!message.to_lowercase().contains("plexindex_"), "{message}");
    assert_eq!(support::requests(&scene.server)[5], 0);
    let _ = index.refresh()?;
    assert_eq!(movies.match_path_at_once(&path)?.status, MatchStatus::Found);
    assert_eq!(
        movies.match_path_at_once("").unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    Ok(())
}

#[test]
fn a_named_user_is_answered_at_once_after_each_start() -> Anything {
    let scene = Scene::new(3);
    let (path, _) = scene.path(1);
    // The first processes open the database: a state file that was just written is not believed yet.
    for _ in 0..100 {
        let options = Options {
            user: Some("me".into()),
            ..scene.options()
        };
        let index = Index::open(options)?;
        let movies = index.library("Movies")?;
        // The first answer may store that the library is used.
        for _ in 0..2 {
            assert_eq!(movies.match_path(&path)?.status, MatchStatus::Found);
        }
        assert_eq!(movies.match_path_at_once(&path)?.status, MatchStatus::Found);
    }
    Ok(())
}

#[test]
fn a_match_in_all_libraries_at_once_is_what_a_waiting_one_gives() -> Anything {
    let scene = Scene::new(40);
    let index = scene.open();
    let (path, _) = scene.path(7);
    assert_eq!(index.query().match_path_at_once(&path)?.status, MatchStatus::NotYet);
    let _ = index.refresh()?;
    let movies = index.library("Movies")?;
    for nth in 0..40 {
        let (path, _) = scene.path(nth);
        let found = index.query().match_path_at_once(&path)?;
        assert_eq!(found.status, MatchStatus::Found);
        assert_eq!(found.item(), movies.match_path(&path)?.item());
        assert!(!found.stale);
    }
    let requests = support::requests(&scene.server)[5];
    let miss = index.query().match_path_at_once("/data/movies/none.mkv")?;
    assert_eq!(miss.status, MatchStatus::NotYet);
    assert_eq!(support::requests(&scene.server)[5], requests);
    drop((index, movies));
    let expired = Index::open(Options {
        library_ttl: Ttl::Zero,
        ..scene.options()
    })?;
    assert_eq!(expired.query().match_path_at_once(&path)?.status, MatchStatus::NotYet);
    Ok(())
}

#[test]
fn paths_that_none_can_be_are_refused_and_others_answered() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let _ = movies.refresh()?;
    let long = vec![b'a'; 40_000];
    for refused in [&b""[..], b"/a\0b.mkv", &long] {
        let refused = index::path(refused);
        let kinds = [
            movies.match_path(refused).map(|_| ()),
            movies.record_match(refused, &key),
            movies.invalidate_path(refused),
            movies.match_paths([refused])?.remove(0).map(|_| ()),
        ];
        for kind in kinds {
            assert_eq!(kind.map_err(|error| error.kind()), Err(ErrorKind::InvalidArgument));
        }
        assert_eq!(movies.lookup_key(refused), None);
    }
    let name = Path::new(&path).file_name().expect("a name");
    let above = format!("/data/movies/x/../{}", name.display());
    for answered in [&b"."[..], b"..", b"/", b"//", b"a", &long[..32_767], above.as_bytes()] {
        let found = movies.match_path(index::path(answered))?;
        assert_ne!(found.match_kind, Some(MatchKind::Exact), "{}", answered.escape_ascii());
    }
    // Relative: its end alone speaks for it.
    assert_eq!(movies.match_path(name)?.item().map(|item| &item.key), Some(&key));
    // Bytes that are no UTF-8 are a name like any other, and come back as they were.
    let odd = no_text();
    movies.record_match(odd, &key)?;
    assert_eq!(movies.lookup_key(odd), Some(key.clone()));
    let found = movies.match_path(odd)?;
    assert_eq!(found.item().map(|item| &item.key), Some(&key));
    assert_eq!(found.item().and_then(|item| item.path.as_deref()), Some(odd));
    Ok(())
}

#[test]
fn progress_is_told_and_ends_the_call() -> Anything {
    let at = Scene::new(5_000);
    let (path, _) = at.path(3);
    let slow = || {
        at.server
            .fault(Fault::new(Action::Delay { ms: 60 }).on(Kind::Listing).times(4));
    };
    slow();
    let index = at.open();
    let movies = index.library("Movies")?;
    let mut told = Vec::new();
    let found = movies
        .query()
        .progress(|so_far| {
            told.push((so_far.library.map(str::to_owned), so_far.items, so_far.total));
            ControlFlow::Continue(())
        })
        .match_path(&path)?;
    assert!(found.item().is_some());
    assert_eq!(told.last(), Some(&(Some("Movies".to_owned()), 5_000, Some(5_000))));
    movies.invalidate()?;
    slow();
    let stopped = movies.query().progress(|_| ControlFlow::Break(())).refresh();
    assert_eq!(stopped.map_err(|error| error.kind()), Err(ErrorKind::Aborted));
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
    assert_eq!(found.item().map(|item| &item.key), Some(&key));
    Ok(())
}

/// The fetch goes on meanwhile, so that a fetch within waits for it and does not wait for ever.
#[test]
fn a_progress_callback_may_fetch_what_is_being_fetched() -> Anything {
    let at = Scene::new(5_000);
    let (path, _) = at.path(3);
    at.server
        .fault(Fault::new(Action::Delay { ms: 60 }).on(Kind::Listing).times(4));
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
        assert!(found?.item().is_some());
    }
    Ok(())
}

/// The fetch ends with the call, the panic goes on, and other calls find nothing held.
#[test]
fn a_panic_in_a_progress_callback_goes_on_and_holds_nothing() -> Anything {
    let at = Scene::new(5_000);
    let (path, _) = at.path(3);
    at.server.fault(
        Fault::new(Action::Stall {
            after: Some(10),
            ms: 30_000,
        })
        .on(Kind::Listing)
        .times(1),
    );
    let index = at.open();
    let movies = index.library("Movies")?;
    let begun = Instant::now();
    let panicked = catch_unwind(|| movies.query().progress(|_| std::panic::panic_any(17)).match_path(&path));
    assert_eq!(panicked.expect_err("a panic").downcast_ref(), Some(&17));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the fetch was stopped, not waited for"
    );
    assert!(movies.match_path(&path)?.item().is_some());
    // Nor does a panic in what is handed a key.
    let panicked = catch_unwind(|| {
        movies.lookup_rating_key(&path, |_| std::panic::panic_any(18));
    });
    assert!(panicked.is_err());
    movies.invalidate()?;
    assert!(movies.match_path(&path)?.item().is_some());
    index.close()?;
    Ok(())
}

#[test]
fn the_last_handle_closes() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let table = index.table("kept")?;
    let weak = index.downgrade();
    assert!(!index.clone().close()?, "another handle lives");
    assert!(index.match_path(&path)?.item().is_some());
    assert!(!index.close()?);
    assert_eq!(movies.lookup_key(&path), Some(key), "a library keeps its index open");
    drop(movies);
    table.put("a", "b", Terms::default())?;
    assert_eq!(weak.upgrade().ok_or("it is open")?.folder(), at.folder.path());
    drop(table);
    assert!(weak.upgrade().is_none(), "it keeps nothing open");
    // The counters were written: it was closed.
    let again = at.open();
    assert!(again.stats()?.store_requests > 0);
    assert!(again.close()?);
    Ok(())
}

#[test]
fn handles_go_in_any_thread_while_others_ask() -> Anything {
    let at = Scene::new(200);
    let (path, key) = at.path(3);
    for _ in 0..5 {
        let index = at.open();
        let stop = Arc::new(AtomicBool::new(false));
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let (movies, path, key, stop) =
                    (index.library("Movies")?, path.clone(), key.clone(), Arc::clone(&stop));
                Ok(std::thread::spawn(move || {
                    loop {
                        let found = movies.match_path(&path).expect("an answer");
                        assert_eq!(found.item().map(|item| &item.key), Some(&key));
                        let _ = movies.lookup_key(&path);
                        if stop.load(Ordering::SeqCst) {
                            return; // and the library goes, the index perhaps with it
                        }
                    }
                }))
            })
            .collect::<Result<_, Error>>()?;
        let closing: Vec<_> = (0..2)
            .map(|_| {
                let index = index.clone();
                std::thread::spawn(move || {
                    index.close().expect("closed");
                })
            })
            .collect();
        drop(index);
        stop.store(true, Ordering::SeqCst);
        for thread in asking.into_iter().chain(closing) {
            thread.join().expect("no panic");
        }
    }
    Ok(())
}

/// The server hears that a connection has ended when it says something.
fn none_listens(server: &Standin) -> bool {
    server.push(&Event::new("status", serde_json::json!({})));
    server.listeners() == 0
}

#[test]
fn it_watches_until_the_last_watch_goes() -> Anything {
    let at = Scene::new(20);
    let index = at.open();
    let _ = index.refresh()?;
    let one = index.watch()?;
    let two = index.clone().watch()?;
    until("it listens", || at.server.listeners() == 1);
    drop(one);
    drop(index);
    let sent = at.server.stats().of(Kind::Events);
    assert_eq!((at.server.listeners(), sent), (1, 1), "the other one still wants it");
    drop(two);
    until("none listens", || none_listens(&at.server));
    let index = at.open();
    let again = index.watch()?;
    until("it listens again", || at.server.listeners() == 1);
    std::thread::spawn(move || drop(again)).join().expect("no panic");
    until("none listens", || none_listens(&at.server));
    assert_eq!(index.stats()?.failures, 0);
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
            deadline: Some(patient),
            connect_timeout: patient,
            read_timeout: patient,
            retry_for: time,
            slow: Some(time),
            ..at.options()
        })?;
        let movies = index.library("Movies")?;
        assert_eq!(
            movies.match_path(&path)?.item().map(|item| &item.key),
            Some(&key),
            "{time:?}"
        );
        let _ = movies.query().deadline(time).match_path(&path)?;
        let _ = movies.query().deadline(time).refresh_fully()?;
        let _ = movies
            .query()
            .no_deadline()
            .match_path("/data/movies/none (2031)/none (2031).mkv")?;
        movies.invalidate_path(&path)?;
        let _ = movies.query().deadline(time).match_path(&path)?;
        let terms = Terms::default().ttl(time).limit(1 << 20);
        index.table("kept")?.put("a", "b", terms)?;
        assert_eq!(index.table("kept")?.get("a")?.is_some(), !time.is_zero());
    }
    Ok(())
}

#[test]
fn tables_keep_what_the_host_puts_into_them() -> Anything {
    let folder = tempfile::tempdir()?;
    let index = Index::open(Options::new(folder.path()))?;
    let (kept, other_case) = (index.table("kept")?, index.table_ignoring_case("folded")?);
    index.write_tables(
        &[
            TableChange::put(&kept, "a", "1"),
            TableChange::put(&kept, b"b\xff", &[7; 5_000]),
            TableChange::put(&other_case, "Name", ""),
        ],
        Terms::default(),
    )?;
    assert_eq!(kept.get("a")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(kept.get(b"b\xff")?.map(|value| value.len()), Some(5_000));
    assert_eq!(kept.lookup("a", <[u8]>::to_vec).as_deref(), Some(&b"1"[..]));
    assert_eq!(other_case.get("nAME")?.as_deref(), Some(&b""[..]));
    assert_eq!(
        kept.names().collect::<Result<Vec<_>, _>>()?,
        [b"a".to_vec(), b"b\xff".to_vec()]
    );
    kept.remove("a")?;
    assert_eq!((kept.get("a")?, kept.count()?), (None, 1));
    kept.clear()?;
    assert_eq!(kept.names().next(), None);
    let other = Index::open(Options::new(folder.path()))?;
    let refused = other.write_tables(&[TableChange::clear(&other_case)], Terms::default());
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::InvalidArgument));
    assert_eq!(other_case.count()?, 1);
    Ok(())
}

#[test]
fn an_edit_that_fails_says_what_became_of_each_item() -> Anything {
    let at = Scene::new(20);
    let movies = at.open().library("Movies")?;
    let (_, key) = at.path(3);
    let title = [FieldChange::set("title", "Another")];
    let report = movies.edit_items([&key], &title, Lock::Lock)?;
    assert_eq!(report.states, [Edited::Done]);
    let failed = movies
        .edit_items([&key, "99999"], &title, Lock::Lock)
        .expect_err("no such item");
    assert_eq!(failed.report.states, [Edited::No, Edited::Missing]);
    assert_eq!(failed.error.kind(), ErrorKind::NotOnServer);
    assert_eq!(failed.to_string(), failed.error.to_string());
    let none: [&str; 0] = [];
    let plain = |keys: &[&str]| -> Result<(), Error> {
        movies.edit_items(keys, &title, Lock::Lock)?;
        Ok(())
    };
    assert_eq!(
        plain(&none).map_err(|error| error.kind()),
        Err(ErrorKind::InvalidArgument)
    );
    Ok(())
}

/// The rest are answers, or what only C can do wrong.
#[test]
fn each_failure_of_the_index_is_a_kind_of_the_same_name() {
    let of_c = ["NullPointer", "BufferTooSmall", "Panic"];
    for status in plexindex::error::Status::ALL {
        let name = format!("{status:?}");
        let kind = Error::new(status, "why").kind();
        let is_answer = (status as i32) < plexindex::error::Status::InvalidArgument as i32;
        if is_answer || of_c.contains(&&*name) {
            assert_eq!(kind, ErrorKind::Defect, "{name}");
        } else {
            assert_eq!(format!("{kind:?}"), name);
        }
    }
}

/// The sentences above each variant of an enum of crates/matching/src/error.rs.
fn documented(of: &str) -> BTreeMap<String, String> {
    let path = plexindex_tests::repository("crates/matching/src/error.rs");
    let file = syn::parse_file(&std::fs::read_to_string(path).expect("the errors")).expect("Rust");
    let declared = file.items.into_iter().find_map(|item| match item {
        syn::Item::Enum(one) if one.ident == of => Some(one),
        _ => None,
    });
    let text = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::NameValue(syn::MetaNameValue {
            value:
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }),
            ..
        }) => text.value(),
        _ => String::new(),
    };
    let variants = declared.expect("the enum").variants.into_iter();
    variants
        .map(|one| (one.ident.to_string(), one.attrs.iter().map(text).collect()))
        .collect()
}

/// Two lists of the same meanings: cbindgen reads one of them, and cannot share a macro.
#[test]
fn a_kind_and_the_status_of_its_name_have_the_same_text() {
    let (of_statuses, of_kinds) = (documented("Status"), documented("ErrorKind"));
    // In C also a struct of a later version.
    let own = ["Unsupported", "Defect"];
    for (name, text) in &of_kinds {
        if own.contains(&&**name) {
            assert!(!of_statuses.values().any(|other| other == text), "{name}: {text}");
        } else {
            assert_eq!(Some(text), of_statuses.get(name), "{name}");
        }
    }
    assert!(of_kinds.len() > own.len());
}

#[test]
fn json_has_the_names_of_c() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open_listed()?;
    let found = index.match_path(&path)?;
    let json = serde_json::to_value(&found)?;
    let words = ["status", "match_kind", "confidence", "reason"].map(|name| json[name].as_str());
    assert_eq!(words, [Some("found"), Some("exact"), Some("high"), None]);
    assert!(json["age_ms"].is_u64());
    let item = &json["candidates"][0];
    assert_eq!(
        (item["key"].as_str(), item["path"].as_str()),
        (Some(&*key), Some(&*path))
    );
    assert_eq!(
        (item["library"].as_str(), item["kind"].as_str()),
        (Some("Movies"), Some("movie"))
    );
    assert_eq!((item.get("season"), item.get("show_title")), (None, None));
    let listed = index.library("Movies")?.item(&key)?.ok_or("not listed")?;
    let listed = serde_json::to_value(&listed)?;
    assert_eq!((&listed["paths"][0], listed.get("path")), (&item["path"], None));

    let movies = index.library("Movies")?;
    movies.record_match(no_text(), &key)?;
    let recorded = serde_json::to_value(movies.match_path(no_text())?)?;
    assert_eq!(recorded["match_kind"], "confirmed");
    assert!(recorded["candidates"][0]["path"]["bytes"].is_string());
    let folder = serde_json::to_value(index.match_folder("/data/movies")?)?;
    assert_eq!(
        (&folder["items"], &folder["status"], folder.get("kind")),
        (&20.into(), &"ambiguous".into(), None)
    );
    let libraries = serde_json::to_value(index.libraries()?)?;
    assert_eq!(
        (&libraries[0]["items"], &libraries[0]["kind"]),
        (&20.into(), &"movie".into())
    );
    let change = index.listing_and_changes()?.next().ok_or("no change")??;
    let change = serde_json::to_value(change)?;
    assert_eq!(
        (&change["change"], &change["item"]["path"]),
        (&"added".into(), &change["path"])
    );
    let stats = serde_json::to_value(index.stats()?)?;
    assert_eq!(
        (&stats["answers"]["none"], &stats["answers"]["exact"]),
        (&1.into(), &1.into())
    );
    Ok(())
}

#[test]
fn plain_enums_have_names() {
    assert_eq!(MatchKind::ALL.len(), 5);
    assert!(MatchKind::ALL.iter().all(|kind| kind.name() != "none"));
    assert_eq!(RequestKind::ALL.len(), 8);
    assert_eq!(format!("{:>9}", MatchStatus::NotYet), "  not_yet");
    assert_eq!((Waited::Something.name(), Lock::Leave.name()), ("something", "leave"));
    assert_eq!(
        (Edited::Missing.to_string(), Notified::OtherServer.to_string()),
        ("missing".into(), "other_server".into())
    );
    for kind in [
        ErrorKind::Connect,
        ErrorKind::Timeout,
        ErrorKind::Starting,
        ErrorKind::ServerError,
    ] {
        assert!(kind.is_transient(), "{kind}");
    }
    for kind in [
        ErrorKind::Unauthorized,
        ErrorKind::InvalidArgument,
        ErrorKind::Aborted,
        ErrorKind::Store,
    ] {
        assert!(!kind.is_transient(), "{kind}");
    }
    assert_eq!(
        (Ttl::from(Duration::ZERO), Token::new("")),
        (Ttl::For(Duration::ZERO), None)
    );
}

#[test]
fn a_name_is_read_as_it_is_written() {
    for kind in MatchKind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    assert_eq!("not_yet".parse(), Ok(MatchStatus::NotYet));
    assert_eq!("store_full".parse(), Ok(ErrorKind::StoreFull));
    let refused = "none".parse::<Confidence>().expect_err("an option in Rust");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused.to_string(), "'none' is not a valid Confidence");
}

/// A host keeps them in sets, and compares what it has with what it had.
#[test]
fn values_are_compared_and_hashed() -> Anything {
    const fn compared<T: Eq>() {}
    const fn hashed<T: Eq + std::hash::Hash>() {}
    compared::<Match>();
    compared::<Folder>();
    compared::<LibraryInfo>();
    compared::<ServerInfo>();
    hashed::<Ttl>();
    hashed::<Lock>();
    hashed::<Edited>();
    hashed::<Selector>();
    hashed::<FieldChange>();
    hashed::<Mapping>();
    let at = Scene::new(2);
    let index = at.open_listed()?;
    assert_eq!(index.stats()?, index.stats()?);
    let store = index.store()?;
    assert_eq!(store.folder, at.folder.path());
    assert_eq!(
        serde_json::to_value(&store)?["folder"].as_str(),
        at.folder.path().to_str()
    );
    Ok(())
}

#[test]
fn a_library_is_named_by_what_is_known_of_it() -> Anything {
    let at = Scene::new(2);
    let index = at.open_listed()?;
    let known = index.libraries()?;
    assert_eq!(index.library(&known[0])?.items().count(), 2);
    Ok(())
}

#[test]
fn a_notification_says_what_became_of_it() -> Anything {
    let at = Scene::new(2);
    let told = r#"{"TimelineEntry":{"sectionID":1,"itemID":7,"state":5}}"#;
    assert_eq!(at.open().notify(told)?, Notified::NothingNew, "nothing was fetched");
    let index = at.open_listed()?;
    assert_eq!(index.notify(told)?, Notified::Noted);
    let of_no_library = told.replace(r#""sectionID""#, r#""identifier":"tv.plex.epg","sectionID""#);
    assert_eq!(index.notify(of_no_library)?, Notified::NothingNew);
    let other = r#"{"event":"library.new","Server":{"uuid":"another"},"Metadata":{"librarySectionID":1}}"#;
    assert_eq!(index.notify(other)?, Notified::OtherServer);
    Ok(())
}
