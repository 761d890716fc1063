//! The crate as Rust users see it: what its root exports, over a stand-in server, and called as no one should.

mod calls;
mod errors;
mod handles;

use crate::support;
use crate::support::worker::until;
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
    Change, ChangeKind, Changes, Confidence, Error, ErrorKind, Folder, Index, Item, ItemType, Items, Library,
    LibraryInfo, Mapping, Match, MatchKind, MatchStatus, Names, Notified, Options, Query, Reason, Refreshed,
    RequestKind, Selector, ServerInfo, Stats, Table, TableChange, Terms, Token, Ttl, WaitOutcome, Watch, WeakIndex,
};
use plexindex_standin::{Action, Event, Fault, ItemSpec, Kind, Standin};

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
    any_thread::<TableChange<'_>>();
    any_thread::<plexindex::ItemsBelow>();
    any_thread::<plexindex::Proposal>();
    any_thread::<plexindex::Renewal>();
    any_thread::<plexindex::StoreInfo>();
    goes_to_a_thread::<Query<'_>>();
};

pub type Anything = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A server, and a folder for the store, with the clock of the machine.
pub struct Scene {
    pub server: Standin,
    folder: tempfile::TempDir,
}

impl Scene {
    pub fn of(server: Standin) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { server, folder }
    }

    fn new(items: u32) -> Self {
        Self::of(movies(items))
    }

    fn options(&self) -> Options {
        support::options(&self.server, self.folder.path())
    }

    pub fn open(&self) -> Index {
        self.open_with(|_| {})
    }

    pub fn open_with(&self, change: impl FnOnce(&mut Options)) -> Index {
        let mut options = self.options();
        change(&mut options);
        Index::open(options).expect("the index opens")
    }

    fn open_listed(&self) -> plexindex::Result<Index> {
        let index = self.open();
        let _ = index.refresh()?;
        Ok(index)
    }

    /// How many requests the server received.
    pub fn requests(&self) -> u64 {
        support::requests(&self.server)[5]
    }

    fn path(&self, nth: usize) -> (String, String) {
        let (path, key) = path_of(&self.server, 1, nth);
        (path, format!("/library/metadata/{key}"))
    }
}

fn kind(failed: Option<Error>) -> Option<ErrorKind> {
    failed.map(|error| error.kind())
}

fn key_of(found: &Match) -> Option<&str> {
    found.sure().map(|item| item.key.as_str())
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
    assert_eq!(found.status, MatchStatus::Found);
    assert_eq!(found.match_kind, Some(MatchKind::Exact));
    assert_eq!((found.confidence, found.reason), (Some(Confidence::High), None));
    assert_eq!((found.total, found.stale, found.message.as_deref()), (1, false, None));
    assert!(found.age.is_some());
    let item = found.sure().expect("an item");
    assert_eq!((item.key.as_str(), item.kind), (key.as_str(), ItemType::Movie));
    assert_eq!(item.path.as_deref(), Some(Path::new(&path)));
    assert_eq!(item.library_title.as_deref(), Some("Movies"));
    assert_eq!(item.section.as_deref(), Some("1"));
    // What a film has not is not an empty text, nor a number below zero.
    assert_eq!(item.show_title, None);
    assert_eq!(item.show_rating_key, None);
    assert_eq!(item.show_guid, None);
    assert_eq!((item.season, item.episode), (None, None));
    assert_eq!((&item.guids, &item.paths), (&None, &None), "an answer leaves them out");
    let (title, year) = (item.title.as_deref().ok_or("no title")?, item.year.ok_or("no year")?);
    assert_eq!(item.to_string(), format!("{title} ({year})"));
    assert_eq!(found.clone().into_sure().as_ref(), found.sure());

    // Any kind of path.
    for again in [
        index.match_path(PathBuf::from(&path))?,
        index.match_path(Path::new(&path))?,
        index.match_path(OsStr::new(&path))?,
        index.library(Selector::All)?.match_path(index::path(path.as_bytes()))?,
        index.library(Selector::Section("1".into()))?.match_path(&*path)?,
    ] {
        assert_eq!(again.sure().map(|item| &item.key), Some(&key));
    }
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
    assert_eq!(missing.status, MatchStatus::NotFound);
    assert_eq!(missing.reason, Some(Reason::NoLocation));
    assert_eq!(missing.match_kind, None);
    assert_eq!(missing.confidence, None);
    assert_eq!(missing.sure(), None);
    let message = missing.message.as_deref().ok_or("a message")?;
    assert!(message.contains("/nowhere/x.mkv"), "{message}");
    let refused = answers[1].as_ref().err().map(Error::kind);
    assert_eq!(refused, Some(ErrorKind::InvalidArgument));
    assert_eq!(key_of(answers[2].as_ref().expect("an answer")), Some(&*key));
    assert!(movies.match_paths(std::iter::empty::<&str>())?.is_empty());
    // A fast lookup gives the key that answers give: `/library/metadata/1002`, not `1002`.
    assert_eq!(movies.lookup_key(&path).as_deref(), Some(&*key));
    let both = movies.lookup_keys([&*path, "/nowhere/x.mkv"]);
    assert_eq!(both, [Some(key.clone()), None]);
    let rating_key = movies.lookup_rating_key(&path, str::to_owned);
    assert_eq!(rating_key.as_deref(), key.strip_prefix("/library/metadata/"));
    Ok(())
}

#[test]
fn items_libraries_and_counts_are_told() -> Anything {
    let at = Scene::new(1_200);
    let (path, key) = at.path(3);
    let index = at.open();
    let before = index.libraries()?;
    assert_eq!(before[0].items, None);
    assert_eq!(before[0].checked, None);
    assert_eq!(before[0].generation, None);
    let movies = index.library(&before[0].uuid)?;
    assert!(movies.is_known());
    let unfetched: Vec<_> = movies.items().collect();
    let [Err(error)] = unfetched.as_slice() else {
        panic!("no end of no items: {unfetched:?}");
    };
    assert_eq!(error.kind(), ErrorKind::NotFetched);
    assert!(!error.kind().is_transient(), "somebody has to fetch it");
    let all = index.library(Selector::All)?;
    let (none, unfetched) = (index.library("Nope")?, ErrorKind::NotFetched);
    for (asked, kind) in [
        (&movies, unfetched),
        (&all, unfetched),
        (&none, ErrorKind::LibraryNotFound),
    ] {
        let failed = asked.item(&key).err();
        assert_eq!(failed.map(|error| error.kind()), Some(kind));
    }
    let now = SystemTime::now();
    let _ = movies.query().refresh_fully()?;
    let listed = &index.libraries()?[0];
    assert_eq!(listed.items, Some(1_200));
    assert!(listed.generation.is_some());
    assert!(listed.fresh);
    let checked = listed.checked.ok_or("a time")?;
    assert!(checked + Duration::from_millis(1) >= now && checked <= SystemTime::now());

    let items = movies.items().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(items.len(), 1_200, "over several pages, each once");
    let item = movies.item(&key)?.expect("listed");
    assert!(items.contains(&item));
    assert_eq!(item.paths.as_deref(), Some(&[PathBuf::from(&path)][..]));
    assert!(item.guids.is_some());
    assert_eq!((movies.item("99999")?, all.item("99999")?), (None, None));
    let guid = item.guid.as_deref().expect("a GUID");
    assert_eq!(movies.match_guid(guid)?.sure().map(|item| &item.key), Some(&key));
    let title = index.search_title(item.title.as_deref().expect("a title"))?;
    assert!(title.candidates.iter().any(|one| one.key == key));
    let refused: Vec<_> = all.items().collect();
    assert_eq!(refused.len(), 1);
    let refused = refused[0].as_ref().err().map(Error::kind);
    assert_eq!(refused, Some(ErrorKind::InvalidArgument));

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
fn a_named_user_is_answered_at_once_after_each_start() -> Anything {
    let scene = Scene::new(3);
    let (path, _) = scene.path(1);
    for _ in 0..3 {
        let index = scene.open_with(|options| options.user = Some("me".into()));
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
        assert_eq!(found.sure(), movies.match_path(&path)?.sure());
        assert!(!found.stale);
    }
    let requests = scene.requests();
    let miss = index.query().match_path_at_once("/data/movies/none.mkv")?;
    assert_eq!(miss.status, MatchStatus::NotYet);
    assert_eq!(scene.requests(), requests);
    drop((index, movies));
    let expired = scene.open_with(|options| options.library_ttl = Ttl::Zero);
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
    let relative = movies.match_path(name)?;
    assert_eq!(relative.likely().map(|item| &item.key), Some(&key));
    assert_eq!((relative.sure(), relative.clone().into_sure()), (None, None));
    // Bytes that are no UTF-8 are a name like any other, and come back as they were.
    let odd = no_text();
    movies.record_match(odd, &key)?;
    assert_eq!(movies.lookup_key(odd), Some(key.clone()));
    let found = movies.match_path(odd)?;
    assert_eq!(found.sure().map(|item| &item.key), Some(&key));
    assert_eq!(found.sure().and_then(|item| item.path.as_deref()), Some(odd));
    Ok(())
}
