//! The index as tests of behaviour ask it: paths are bytes, an answer has the status of C, and one struct says what a call may
//! cost. All of it goes through the crate's own types.
#![allow(clippy::unused_self)] // the items are a library's

use std::ops::{ControlFlow, Deref};
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use plexindex::error::{Result, Status};
pub use plexindex::inside::{Answer, ChangePage as Changes, Clock, DebounceIntervals, SystemClock};
use plexindex::model::{ByteString, Confidence, Item, MatchKind, Reason};
use plexindex::options::Options;
use plexindex::source::{Counters, Source};
use plexindex::stats::Stats;
pub use plexindex::testing::{failpoint, freeze_coarse_clock};
pub use plexindex::{ChangeKind, Progress, Proposal, Selector};
use plexindex::{Query, Refreshed};

/// A clock that only [`ManualClock::advance_ms`] moves, for tests of expiry.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An index that closes when this goes, whoever has libraries of it.
#[derive(Debug)]
pub struct Index(plexindex::Index);

/// A library of it, or all of them.
#[derive(Debug)]
pub struct Library {
    library: plexindex::Library,
    index: plexindex::Index,
}

/// What a call may cost, and whom it tells.
#[derive(Clone, Copy, Default)]
pub struct QueryOptions<'a> {
    pub library: Option<&'a Library>,
    pub deadline: Deadline,
    pub offline: bool,
    /// Size of the file; `None`: it is read.
    pub size: Option<u64>,
    pub check: bool,
    pub progress: Option<&'a (dyn Fn(&Progress<'_>) -> bool + Sync)>,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// As the options say.
    #[default]
    Default,
    None,
    In(Duration),
}

/// An item as an answer shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    pub key: String,
    pub item: Item,
    pub path: Vec<u8>,
    pub section: String,
    pub library: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // the field is called as in the API
pub struct Match {
    pub status: Status,
    pub match_kind: MatchKind,
    pub confidence: Confidence,
    pub reason: Reason,
    pub message: String,
    pub item: Option<Candidate>,
    pub candidates: Vec<Candidate>,
    pub total: usize,
    pub stale: bool,
    pub age_ms: Option<i64>,
}

impl Match {
    /// The rating key of the item.
    pub fn key(&self) -> Option<String> {
        self.item.as_ref().map(|item| item.item.rating_key.clone())
    }
}

/// A path of these bytes.
pub fn path(bytes: &[u8]) -> &Path {
    #[cfg(unix)]
    return Path::new(std::ffi::OsStr::from_bytes(bytes));
    #[cfg(windows)]
    return Path::new(std::str::from_utf8(bytes).expect("these tests have no other paths on Windows"));
}

fn bytes(path: PathBuf) -> Vec<u8> {
    path.into_os_string().into_encoded_bytes()
}

impl From<plexindex::Item> for Candidate {
    fn from(shown: plexindex::Item) -> Self {
        let parts = shown.paths.unwrap_or_default().into_iter();
        let number = |number: Option<u32>| number.map_or(-1, |number| i32::try_from(number).expect("a small number"));
        Self {
            key: shown.key,
            item: Item {
                rating_key: shown.rating_key,
                kind: shown.kind,
                title: shown.title.unwrap_or_default(),
                year: shown.year.unwrap_or_default(),
                show_title: shown.show_title.unwrap_or_default(),
                show_rating_key: shown.show_rating_key.unwrap_or_default(),
                show_guid: shown.show_guid.unwrap_or_default(),
                season: number(shown.season),
                episode: number(shown.episode),
                guid: shown.guid.unwrap_or_default(),
                guids: shown.guids.unwrap_or_default(),
                parts: parts.map(|path| ByteString(bytes(path))).collect(),
                ..Item::default()
            },
            path: shown.path.map(bytes).unwrap_or_default(),
            section: shown.section.unwrap_or_default(),
            library: shown.library_title.unwrap_or_default(),
        }
    }
}

/// An item as it is shown: what is said of its season is for folders only.
pub fn shown(mut item: Item) -> Item {
    item.season_title.clear();
    item.season_rating_key.clear();
    item.season_guid.clear();
    item
}

impl From<plexindex::Match> for Match {
    fn from(found: plexindex::Match) -> Self {
        let candidates: Vec<Candidate> = found.candidates.into_iter().map(Candidate::from).collect();
        let status = match found.status {
            plexindex::MatchStatus::Found => Status::Ok,
            plexindex::MatchStatus::Ambiguous => Status::Ambiguous,
            plexindex::MatchStatus::NotFound => Status::NotFound,
            plexindex::MatchStatus::NotYet => Status::NotYet,
            plexindex::MatchStatus::NeedsWarm => Status::NeedsWarm,
            other => panic!("{other:?}"),
        };
        Self {
            status,
            match_kind: found.match_kind.unwrap_or(MatchKind::None),
            confidence: found.confidence.unwrap_or(Confidence::None),
            reason: found.reason.unwrap_or(Reason::None),
            message: found.message.unwrap_or_default(),
            item: candidates.first().filter(|_| status == Status::Ok).cloned(),
            candidates,
            total: found.total,
            stale: found.stale,
            age_ms: found.age.map(|age| i64::try_from(age.as_millis()).expect("an age")),
        }
    }
}

/// An answer of a batch, which may be an error.
impl From<&Answer<'_>> for Match {
    fn from(answer: &Answer<'_>) -> Self {
        plexindex::Match::of(answer).map_or_else(
            |error| Self {
                status: error.status,
                match_kind: answer.match_kind,
                confidence: answer.confidence,
                reason: answer.reason,
                message: error.message,
                item: None,
                candidates: Vec::new(),
                total: 0,
                stale: answer.stale,
                age_ms: answer.age_ms,
            },
            Self::from,
        )
    }
}

impl<'a> QueryOptions<'a> {
    pub fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    pub fn always_ask(self) -> Self {
        Self { check: true, ..self }
    }

    pub fn size(self, bytes: u64) -> Self {
        Self {
            size: Some(bytes),
            ..self
        }
    }

    pub fn within(self, time: Duration) -> Self {
        Self {
            deadline: Deadline::In(time),
            ..self
        }
    }

    pub fn progress(self, tell: &'a (dyn Fn(&Progress<'_>) -> bool + Sync)) -> Self {
        Self {
            progress: Some(tell),
            ..self
        }
    }

    fn on<'q>(&'q self, index: &'q plexindex::Index) -> Query<'q> {
        let query = self
            .library
            .map_or_else(|| index.query(), |library| library.library.query());
        let query = match self.deadline {
            Deadline::Default => query,
            Deadline::None => query.no_timeout(),
            Deadline::In(time) => query.timeout(time),
        };
        let query = if self.offline { query.offline() } else { query };
        let query = if self.check { query.always_ask() } else { query };
        let query = match self.size {
            Some(size) => query.size(size),
            None => query,
        };
        match self.progress {
            None => query,
            Some(tell) => query.progress(move |so_far| {
                if tell(so_far) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            }),
        }
    }
}

fn status(refreshed: Refreshed) -> Status {
    match refreshed {
        Refreshed::NotYet => Status::NotYet,
        Refreshed::NeedsWarm => Status::NeedsWarm,
        _ => Status::Ok,
    }
}

impl Deref for Index {
    type Target = plexindex::Index;

    fn deref(&self) -> &plexindex::Index {
        &self.0
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.0.close_now();
    }
}

impl AsRef<Path> for Index {
    fn as_ref(&self) -> &Path {
        self.0.folder()
    }
}

impl Index {
    pub fn open(options: Options) -> Result<Self> {
        plexindex_sharing::open(options).map(Self)
    }

    pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        plexindex_sharing::open_with_clock(options, clock).map(Self)
    }

    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<Counters>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        plexindex::Index::open_with(options, clock, source).map(Self)
    }

    pub fn close(self) -> Result<()> {
        self.0.close_now()
    }

    pub fn library(&self, name: &str) -> Result<Library> {
        self.select(Selector::Any(name.to_owned()))
    }

    pub fn select(&self, selector: Selector) -> Result<Library> {
        Ok(Library {
            library: self.0.library(selector)?,
            index: self.0.clone(),
        })
    }

    pub fn match_path(&self, query: &QueryOptions<'_>, of: &[u8]) -> Result<Match> {
        query.on(&self.0).match_path(path(of)).map(Match::from)
    }

    /// An answer, which no fault may keep away.
    pub fn ask(&self, query: &QueryOptions<'_>, of: impl AsRef<[u8]>) -> Match {
        self.match_path(query, of.as_ref()).expect("an answer")
    }

    /// The library of movies.
    pub fn movies(&self) -> Library {
        self.library("Movies").expect("a handle")
    }

    /// The statistics, which no fault may keep away.
    pub fn counts(&self) -> Stats {
        self.stats().expect("statistics")
    }

    /// Lists all libraries.
    pub fn list(&self) {
        self.refresh(&QueryOptions::default(), true).expect("listed");
    }

    pub fn match_path_with<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        query.on(&self.0).match_path_with(path, then)
    }

    pub fn match_paths_with(
        &self,
        query: &QueryOptions<'_>,
        paths: &[&[u8]],
        mut each: impl FnMut(&Answer<'_>),
    ) -> Result<()> {
        query.on(&self.0).match_paths_with(paths, |_, answer| each(answer))
    }

    /// The last answers about these paths: after a change, all answers come twice.
    pub fn ask_batch(&self, query: &QueryOptions<'_>, paths: &[impl AsRef<[u8]>]) -> Vec<Match> {
        let raw: Vec<&[u8]> = paths.iter().map(AsRef::as_ref).collect();
        let mut answers = Vec::new();
        let asked = self.match_paths_with(query, &raw, |answer| answers.push(answer.into()));
        asked.expect("answers");
        answers.split_off(answers.len() - paths.len())
    }

    pub fn ask_folder(&self, query: &QueryOptions<'_>, of: &[u8]) -> Result<plexindex::Folder> {
        query.on(&self.0).match_folder(path(of))
    }

    pub fn match_guid(&self, query: &QueryOptions<'_>, guid: &str) -> Result<Match> {
        query.on(&self.0).match_guid(guid).map(Match::from)
    }

    pub fn search_title(&self, query: &QueryOptions<'_>, title: &str) -> Result<Match> {
        query.on(&self.0).search_title(title).map(Match::from)
    }

    pub fn items(&self, library: &Library, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        library.library.items_page(cursor, limit)
    }

    pub fn changes(&self, query: &QueryOptions<'_>, token: &str, full: bool, limit: usize) -> Result<Changes> {
        query.on(&self.0).changes_page(token, full, limit)
    }

    /// A cursor after all that there is.
    pub fn cursor(&self, query: &QueryOptions<'_>) -> String {
        self.changes(query, "", false, 100).expect("a cursor").cursor
    }

    pub fn wait_for_changes(&self, query: &QueryOptions<'_>, token: &str) -> Result<Status> {
        Ok(match query.on(&self.0).wait_for_changes(token)? {
            plexindex::WaitOutcome::NotYet => Status::NotYet,
            _ => Status::Ok,
        })
    }

    pub fn refresh(&self, query: &QueryOptions<'_>, full: bool) -> Result<Status> {
        let query = query.on(&self.0);
        (if full { query.refresh_fully() } else { query.refresh() }).map(status)
    }

    pub fn check(&self, query: &QueryOptions<'_>) -> Result<Status> {
        query.on(&self.0).check().map(status)
    }

    pub fn libraries(&self, query: &QueryOptions<'_>) -> Result<Vec<plexindex::LibraryInfo>> {
        query.on(&self.0).libraries()
    }

    pub fn watch_start(&self) -> Result<()> {
        self.watch_start_at(DebounceIntervals::default())
    }

    pub fn watch_start_at(&self, intervals: DebounceIntervals) -> Result<()> {
        self.0.watch_start(intervals)
    }

    pub fn scan(&self, path: &str) -> Result<()> {
        self.0.query().scan(&[path.as_bytes()]).map(drop)
    }

    pub fn ask_server(&self, query: &QueryOptions<'_>) -> Result<plexindex::ServerInfo> {
        query.on(&self.0).server()
    }
}

impl Deref for Library {
    type Target = plexindex::Library;

    fn deref(&self) -> &plexindex::Library {
        &self.library
    }
}

impl Library {
    pub fn query(&self) -> QueryOptions<'_> {
        QueryOptions {
            library: Some(self),
            ..QueryOptions::default()
        }
    }

    pub fn key(&self, item: &Item) -> String {
        self.index.key(&item.rating_key)
    }

    pub fn match_path(&self, of: &[u8]) -> Result<Match> {
        self.library.match_path(path(of)).map(Match::from)
    }

    /// An answer, which no fault may keep away.
    pub fn ask(&self, of: impl AsRef<[u8]>) -> Match {
        self.match_path(of.as_ref()).expect("an answer")
    }

    /// Returns the size of a listed file.
    pub fn size_of(&self, listed: &str) -> u64 {
        let items = self.library.items().map(|item| item.expect("an item"));
        let mut parts = items
            .flat_map(|item| item.media.expect("media"))
            .flat_map(|media| media.parts);
        let part = parts
            .find(|part| part.path == Path::new(listed))
            .expect("a listed file");
        part.size.expect("a size")
    }

    /// An answer about a file that has the size of a listed one.
    pub fn ask_sized(&self, of: &str, listed: &str) -> Match {
        let size = self.size_of(listed);
        let found = self.library.query().size(size).match_path(path(of.as_bytes()));
        found.map(Match::from).expect("an answer")
    }

    /// Records a match, which no fault may keep away.
    pub fn record(&self, of: impl AsRef<[u8]>, key: &str) {
        self.record_matches(&[(of.as_ref(), key)]).expect("recorded");
    }

    /// The rating key that a fast lookup gives.
    pub fn fast(&self, path: &(impl AsRef<[u8]> + ?Sized)) -> Option<String> {
        self.lookup_key(path.as_ref(), str::to_owned)
    }

    pub fn lookup_key<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.library.lookup_rating_key_of(path, then)
    }

    pub fn lookup_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.library.lookup_rating_keys(paths, each);
    }

    /// Records that all these paths are one item.
    pub fn record_all(&self, paths: &[impl AsRef<[u8]>], key: &str) {
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_ref(), key)).collect();
        self.record_matches(&pairs).expect("recorded");
    }

    pub fn record_matches(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        self.library
            .record_matches(pairs.iter().map(|(of, key)| (path(of), *key)))
    }

    /// Records a match, and returns once the shared database has it.
    pub fn record_through(&self, of: &[u8], key: &str) -> Result<()> {
        self.library.query().through().record_match(path(of), key)
    }

    pub fn invalidate_path(&self, of: &[u8]) -> Result<()> {
        self.library.invalidate_path(path(of))
    }

    pub fn item(&self, key: &str) -> Result<Option<Item>> {
        Ok(self.library.item(key)?.map(|item| Candidate::from(item).item))
    }
}
