//! Where items come from: the trait [`Source`], and the Plex HTTP API that implements it.
//!
//! The only place with network. Nothing here knows of SQL, of the index or of freshness: a source answers what it
//! is asked, once, and says exactly what went wrong.

mod edit;
mod event;
pub mod plex;
mod refused;

pub use edit::{EditRequest, FieldChange, Lock};
pub use event::Event;
pub use refused::Refused;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::fork::Release;

/// What bounds one call: a deadline, and the host's wish to stop.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// When the call must have ended, retries and pauses included; `None` leaves the source's own time-outs.
    pub deadline: Option<Instant>,
    /// Asked between pieces of work and during pauses; `true` ends the call with [`crate::error::Status::Aborted`].
    pub aborted: &'a (dyn Fn() -> bool + Sync),
}

impl Bounds<'_> {
    /// No bounds but the source's own time-outs.
    pub const NONE: Bounds<'static> = Bounds {
        deadline: None,
        aborted: &|| false,
    };

    /// The time left until the deadline; `None` without one, zero when it has passed.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Which rows of a library to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// The leaf type; [`ItemType::Other`] asks without a type.
    pub kind: ItemType,
    /// Which rows.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// How many rows at most, 1 to 1,000.
    pub size: u32,
}

/// The order and the filter of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows, by id: the order that is stable between pages.
    All,
    /// All rows, newest added first.
    NewestAdded,
    /// All rows, newest updated first.
    NewestUpdated,
    /// Rows whose title holds this text (the server's own idea of it; candidates only).
    Title(&'a str),
    /// Rows with a file whose name holds this text (undocumented, disputed; candidates only).
    FileName(&'a str),
}

/// What is known of a page once its rows were handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Rows that the server returned, those without a rating key or a usable shape included.
    pub rows: u64,
    /// `totalSize`; `None` when the server did not name it.
    pub total: Option<u64>,
    /// `offset`; `None` when the server did not name it, so that the reply may be the whole library.
    pub offset: Option<u64>,
    /// The rows show that they are not in the order of newest first that was asked for. Rows that do not say when they were
    /// added or updated show nothing: tracks have no `updatedAt`.
    pub disordered: bool,
}

/// The kinds of requests, as statistics count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum RequestKind {
    /// `/identity`: which server is this.
    Identity = 0,
    /// `/library/sections`: the probe.
    Probe = 1,
    /// A page of a full listing.
    Page = 2,
    /// A page of a positive delta.
    Delta = 3,
    /// A path search: one path, one title.
    FindPath = 4,
    /// `/library/metadata/…`: do these items still exist, with these files.
    Confirm = 5,
    /// A batch edit.
    Edit = 6,
    /// An event stream's connection.
    Events = 7,
}

impl RequestKind {
    /// How many kinds there are.
    pub const COUNT: usize = 8;

    /// Every kind, in the order of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Identity,
        Self::Probe,
        Self::Page,
        Self::Delta,
        Self::FindPath,
        Self::Confirm,
        Self::Edit,
        Self::Events,
    ];

    /// The word for statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Probe => "probe",
            Self::Page => "page",
            Self::Delta => "delta",
            Self::FindPath => "find_path",
            Self::Confirm => "confirm",
            Self::Edit => "edit",
            Self::Events => "events",
        }
    }
}

/// Told of every request that was sent, retries included, when it ended.
pub trait Meter: Send + Sync {
    /// One request of this kind was sent; `bytes` of its answer's body came over the wire (compressed as they
    /// came), and it was waited for `took` long, for its head and for each piece of its body.
    fn request(&self, kind: RequestKind, bytes: u64, took: Duration);

    /// So many more bytes came of an answer that was told before its end: an event stream's.
    fn received(&self, _bytes: u64) {}

    /// Reading an answer took so long, waiting for it not included: decompressing and parsing.
    fn parsed(&self, _took: Duration) {}

    /// So long nothing was done before a request was tried again.
    fn paused(&self, _took: Duration) {}
}

/// Where items come from. Implementations are used from many threads at once.
pub trait Source: Send + Sync {
    /// Which server this is. Needs no token.
    ///
    /// # Errors
    /// Every status of the 300 block, and [`crate::error::Status::Aborted`].
    fn server(&self, bounds: Bounds<'_>) -> Result<Server>;

    /// The libraries that the token's user may see, with their clocks: the probe.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>>;

    /// Hands the rows of one page to `sink`, as they are parsed.
    ///
    /// Items without a rating key are counted and not handed over; items without files are handed over. When the
    /// call fails midway, the rows handed over before are true.
    ///
    /// # Errors
    /// As [`Source::server`]; [`crate::error::Status::NotOnServer`] when the server has no such library.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<PageEnd>;

    /// The items with these rating keys that still exist, in any order; missing ones are left out.
    ///
    /// # Errors
    /// As [`Source::server`]; that none exists is no error.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Item>>;

    /// Gives many items the same values, in one request.
    ///
    /// # Errors
    /// As [`Source::server`]. After one that came later than the connection it is not known what was done.
    fn edit(&self, request: &EditRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        let _ = (request, bounds);
        Err(Error::new(Status::Unsupported, "this source cannot be edited"))
    }

    /// Listens to what the server tells, until one side ends it: [`Event::Connected`] comes first, and `false` of `sink`
    /// ends it. Not tried again.
    ///
    /// # Errors
    /// As [`Source::server`]; that the server ended it, or [`Source::interrupt_events`], is none.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        let _ = (bounds, sink);
        Err(Error::new(Status::Unsupported, "this source tells no events"))
    }

    /// Ends [`Source::events`], now, and nothing else. Bounds that are aborted must say so already.
    fn interrupt_events(&self) {}

    /// What this server is known to refuse: it is asked without that from now on. Takes the place of what was said before,
    /// but for what was found out since and not asked for by [`Source::found_refused`].
    fn assume_refused(&self, known: Refused) {
        let _ = known;
    }

    /// What the server was found to refuse since this was asked last: worth remembering, with the server's version.
    fn found_refused(&self) -> Refused {
        Refused::NONE
    }

    /// All that the server is asked without.
    fn refused(&self) -> Refused {
        Refused::NONE
    }

    /// Called before a fork: takes the locks that another thread may hold at that moment, for a child would find them locked
    /// for ever.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        Vec::new()
    }

    /// Forgets open connections without using them: after a fork, the child must not share them.
    fn after_fork(&self);

    /// Ends what other threads wait for inside this source, now: for a caller that must not wait out their time-outs.
    ///
    /// Calls whose bounds are aborted end with [`crate::error::Status::Aborted`]. Others lose their connection: what
    /// had not begun to come is asked for again, a page that had fails as one that was cut off. Only the resolving of
    /// a name and the making of a connection are not cut short.
    fn interrupt(&self) {}
}
