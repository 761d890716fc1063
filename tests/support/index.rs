//! The index as tests of behaviour ask it: paths are bytes, and an answer has the status of C. All of it goes through the
//! crate's own types.
#![allow(clippy::unused_self)] // the items are a library's

use std::ops::Deref;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use plexindex::error::{Result, Status};
pub use plexindex::inside::{Answer, ChangePage as Changes, Clock, DebounceIntervals, SystemClock};
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex::options::Options;
use plexindex::source::{Counters, Source};
use plexindex::stats::Stats;
pub use plexindex::testing::{failpoint, freeze_coarse_clock};
pub use plexindex::{ChangeKind, Progress, Proposal, Query, Selector};
use plexindex::{Item, Refreshed};

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
pub struct Library(plexindex::Library);

/// An answer.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // the field is called as in the API
pub struct Match {
    pub status: Status,
    pub match_kind: MatchKind,
    pub confidence: Confidence,
    pub reason: Reason,
    pub message: String,
    pub item: Option<Item>,
    pub candidates: Vec<Item>,
    pub total: usize,
    pub stale: bool,
    pub age_ms: Option<i64>,
}

impl Match {
    /// The rating key of the item, or the reason that there is none.
    pub fn key_or_reason(&self) -> String {
        self.key().unwrap_or_else(|| format!("{:?}", self.reason))
    }

    /// The rating key of the item.
    pub fn key(&self) -> Option<String> {
        self.item.as_ref().map(|item| item.rating_key.clone())
    }
}

/// A path of these bytes.
pub fn path(bytes: &[u8]) -> &Path {
    #[cfg(unix)]
    return Path::new(std::ffi::OsStr::from_bytes(bytes));
    #[cfg(windows)]
    return Path::new(std::str::from_utf8(bytes).expect("these tests have no other paths on Windows"));
}

impl From<plexindex::Match> for Match {
    fn from(found: plexindex::Match) -> Self {
        let candidates = found.candidates;
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

fn status(refreshed: Refreshed) -> Status {
    match refreshed {
        Refreshed::NotYet => Status::NotYet,
        Refreshed::NeedsWarm => Status::NeedsWarm,
        _ => Status::Ok,
    }
}

/// What tests ask of a query.
pub trait Ask {
    /// An answer about a path.
    fn matched(&self, of: impl AsRef<[u8]>) -> Result<Match>;

    /// The same, which no fault may keep away.
    fn answer(&self, of: impl AsRef<[u8]>) -> Match {
        self.matched(of).expect("an answer")
    }

    /// The last answers about these paths: after a change, all answers come twice.
    fn ask_batch(&self, paths: &[impl AsRef<[u8]>]) -> Vec<Match>;

    fn guid(&self, guid: &str) -> Match;

    fn title(&self, title: &str) -> Match;

    fn refreshed(&self, full: bool) -> Result<Status>;

    fn checked(&self) -> Result<Status>;

    /// A cursor after all that there is.
    fn cursor(&self) -> String;
}

impl Ask for Query<'_> {
    fn matched(&self, of: impl AsRef<[u8]>) -> Result<Match> {
        self.match_path(path(of.as_ref())).map(Match::from)
    }

    fn ask_batch(&self, paths: &[impl AsRef<[u8]>]) -> Vec<Match> {
        let raw: Vec<&[u8]> = paths.iter().map(AsRef::as_ref).collect();
        let mut answers = Vec::new();
        let asked = self.match_paths_with(&raw, |_, answer| answers.push(answer.into()));
        asked.expect("answers");
        answers.split_off(answers.len() - paths.len())
    }

    fn guid(&self, guid: &str) -> Match {
        self.match_guid(guid).expect("an answer").into()
    }

    fn title(&self, title: &str) -> Match {
        self.search_title(title).expect("an answer").into()
    }

    fn refreshed(&self, full: bool) -> Result<Status> {
        (if full { self.refresh_fully() } else { self.refresh() }).map(status)
    }

    fn checked(&self) -> Result<Status> {
        self.check().map(status)
    }

    fn cursor(&self) -> String {
        self.changes_page("", false, 100).expect("a cursor").cursor
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
        self.0.library(selector).map(Library)
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
        self.query().refreshed(true).expect("listed");
    }
}

impl Deref for Library {
    type Target = plexindex::Library;

    fn deref(&self) -> &plexindex::Library {
        &self.0
    }
}

impl Library {
    /// An answer, which no fault may keep away.
    pub fn ask(&self, of: impl AsRef<[u8]>) -> Match {
        self.query().answer(of)
    }

    /// Returns the size of a listed file.
    pub fn size_of(&self, listed: &str) -> u64 {
        let items = self.0.items().map(|item| item.expect("an item"));
        let mut parts = items
            .flat_map(|item| item.media.expect("media"))
            .flat_map(|media| media.parts);
        let part = parts
            .find(|part| part.path == Path::new(listed))
            .expect("a listed file");
        part.size.expect("a size")
    }

    /// Records a match, which no fault may keep away.
    pub fn record(&self, of: impl AsRef<[u8]>, key: &str) {
        self.record_match(path(of.as_ref()), key).expect("recorded");
    }

    /// The rating key that a fast lookup gives.
    pub fn fast(&self, path: &(impl AsRef<[u8]> + ?Sized)) -> Option<String> {
        self.lookup_key(path.as_ref(), str::to_owned)
    }

    pub fn lookup_key<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.0.lookup_rating_key_of(path, then)
    }

    /// Records that all these paths are one item.
    pub fn record_all(&self, paths: &[impl AsRef<[u8]>], key: &str) {
        let recorded = self.record_matches(paths.iter().map(|of| (path(of.as_ref()), key)));
        recorded.expect("recorded");
    }
}
