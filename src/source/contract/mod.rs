//! The contract of a source: its operations, its capabilities, and the types of both.

mod bounds;
mod edit_request;
mod event;
mod kind;
mod tokens;

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::Release;

pub use crate::meter::{Meter, RequestKind};
pub use bounds::Bounds;
pub use edit_request::{EditRequest, FieldChange, Lock};
pub use event::{Event, Notification};
pub use kind::{Kind, View, Viewer};
pub use tokens::{Session, TokenOwner, TokenState as TokensState, Tokens};

/// The capabilities of a source. Callers use only the operations whose field is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Abilities {
    /// Whether an interrupted listing can be resumed.
    pub resume: Resume,
    /// How completely [`Source::changes`] reports changes.
    pub changes: Delta,
    /// [`Source::find_path`] is supported.
    pub find: bool,
    /// [`Source::below`] is supported.
    pub folders: bool,
    /// [`Source::items`] is supported, so that single items can be verified. Without this ability, plexindex lists the
    /// whole library.
    pub items: bool,
    /// [`Source::events`] is supported.
    pub events: bool,
    /// [`Source::edit`] is supported.
    pub edits: bool,
    /// Reads send no network request, so callers need neither polling intervals nor back-off, and [`Source::has_moved`]
    /// detects changes cheaply.
    pub local: bool,
}

/// Whether an interrupted listing can be resumed, perhaps in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// No: each listing starts from the beginning.
    Never,
    /// Positions are row numbers, which shift when items are added or removed. A resumed listing reads some rows again
    /// and compares them.
    ByRow,
    /// Positions are stable when items are added or removed.
    ByPosition,
}

/// How completely a source reports changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// The source reports no changes: each changed library needs a full listing.
    None,
    /// The source reports most additions and removals: a full listing is due from time to time.
    Mostly,
    /// The source reports all changes: an old listing needs no replacement.
    Complete,
}

/// The requested page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The library.
    pub library: &'a Library,
    /// Number of the partition, below [`Source::partitions`].
    pub partition: usize,
    /// Start position: 0, or [`PageEnd::next`] of an earlier page.
    pub position: u64,
    /// Maximum number of rows, 1 to 1,000.
    pub size: u32,
}

/// The metadata of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Number of rows that the server returned, including unusable rows.
    pub rows: u64,
    /// Number of rows in the whole partition; `None` if the server does not report it.
    pub total: Option<u64>,
    /// Position of the next page; `None` after the last page. Positions must increase: a page that returns its own
    /// position makes the listing fail. It means that the server announced more rows and returned none.
    pub next: Option<u64>,
    /// The server returned other rows than requested: the listing must start from the beginning.
    pub moved: bool,
}

/// The indexed items of a library. A source compares them with its own items to find changes.
pub trait KnownItems {
    /// Returns the change token of the library at the last listing or delta.
    fn since(&self) -> &str;

    /// Adds items to the index, either all or none of them.
    ///
    /// # Errors
    /// Those of the store.
    fn add(&self, items: &[Item]) -> Result<()>;

    /// Returns whether the index has an identical item.
    ///
    /// # Errors
    /// Those of the store.
    fn has(&self, item: &Item) -> Result<bool>;

    /// Returns whether the index has an item with one of these rating keys.
    ///
    /// # Errors
    /// Those of the store.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool>;

    /// Returns the number of indexed items.
    ///
    /// # Errors
    /// Those of the store.
    fn count(&self) -> Result<u64>;

    /// Returns the number of indexed items at [`KnownItems::since`]. The number differs from [`KnownItems::count`] if
    /// single items were added or removed since. `None` if unknown.
    ///
    /// # Errors
    /// Those of the store.
    fn count_at_since(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Calls `each` for all indexed rating keys, in any order.
    ///
    /// # Errors
    /// Those of the store.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()>;

    /// Returns whether the index would accept that the library has only `items` items left, without a second listing.
    /// If not, the source need not find out which items are gone.
    ///
    /// # Errors
    /// Those of the store.
    fn may_shrink_to(&self, items: u64) -> Result<bool>;
}

/// The changes that a source found in a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChanges {
    /// The changes are known: the source passed the additions to [`KnownItems::add`], and these items are gone.
    Known {
        /// Rating keys of items that the server no longer has.
        gone: Vec<String>,
    },
    /// Unknown: a listing is needed.
    Unknown,
}

/// The path to search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedPath<'a> {
    /// The path in the host's spelling, then the path after each mapping that matches.
    pub spellings: &'a [Vec<u8>],
    /// The file name: the last component of the path.
    pub name: &'a str,
    /// The title that the file name seems to contain.
    pub title: Option<&'a str>,
}

/// An item fetched by its rating key, with its current library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedItem {
    /// The item.
    pub item: Item,
    /// Section id of its library; empty if unknown.
    pub section: String,
}

impl LocatedItem {
    /// Returns whether the item is in this library, or may be, since its library is unknown.
    #[must_use]
    pub fn is_in(&self, section: &str) -> bool {
        self.section.is_empty() || self.section == section
    }
}

/// A source of items. Implementations are used from many threads at once.
pub trait Source: Send + Sync {
    /// Returns the kind of the source.
    fn kind(&self) -> &'static Kind;

    /// Returns the capabilities.
    fn abilities(&self) -> Abilities;

    /// Returns the condition under which plexindex may use this source, such as that a database and a server belong
    /// together. The text names everything on which the condition depends. `None` means that there is no condition.
    ///
    /// Each sync job reads the condition. The store remembers for a day that a condition was met.
    fn precondition(&self) -> Option<String> {
        None
    }

    /// Checks the precondition. Returns an error with a remedy if it is not met.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn check_precondition(&self, _bounds: Bounds<'_>) -> Result<()> {
        Ok(())
    }

    /// Returns the identity of the server. This request needs no token.
    ///
    /// # Errors
    /// Every status of the 300 block, and [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    fn server(&self, bounds: Bounds<'_>) -> Result<Server>;

    /// Returns the identity of the server, as [`Source::server`] does, but always sends a request, to test whether the
    /// server is reachable.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server(bounds)
    }

    /// Announces that the caller, which knows no library yet, will search for this path. The next [`Source::libraries`]
    /// may already search for it, and [`Source::find_path`] then returns the result.
    fn prefetch_path(&self, _spellings: &[Vec<u8>]) {}

    /// Sends the probe: returns the libraries that the user is allowed to see, each with its current change token.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>>;

    /// Returns whether the source may have changed since this change token, without reading its content. plexindex
    /// calls this function before each answer if the source is [`Abilities::local`], so it must be fast.
    fn has_moved(&self, _token: &str) -> bool {
        false
    }

    /// Returns the number of partitions of a library's listing. plexindex fetches one partition after the other. The
    /// number must be constant for a library.
    fn partitions(&self, _library: &Library) -> usize {
        1
    }

    /// Adds the rows of one page to `items`.
    ///
    /// Items without a rating key are counted but left out; items without files are included. If the call fails midway,
    /// the items added so far are valid. Following [`PageEnd::next`] from position 0 through all partitions returns
    /// each item once.
    ///
    /// # Errors
    /// As [`Source::server`]; [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) if the server has no such
    /// library.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd>;

    /// Finds the changes of a library since [`KnownItems::since`], as completely as [`Abilities::changes`] says: adds
    /// new items to `index` and returns the keys of removed items.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `index`.
    fn changes(&self, _library: &Library, _index: &dyn KnownItems, _bounds: Bounds<'_>) -> Result<SourceChanges> {
        Ok(SourceChanges::Unknown)
    }

    /// Passes items that may have this path to `accept`, in batches, until `accept` returns `true`. Returns whether
    /// `accept` did so. The search is incomplete: the server may have an item that this function does not find.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `accept`.
    fn find_path(
        &self,
        _library: &Library,
        _wanted: &WantedPath<'_>,
        _bounds: Bounds<'_>,
        _accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Returns all items with a file below one of these folders, which end in a separator. Returns `None` if the source
    /// does not support this or there are more than `max_files` files.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn below(
        &self,
        _library: &Library,
        _folders: &[Vec<u8>],
        _max_files: usize,
        _bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        Ok(None)
    }

    /// Returns the items with these rating keys, from all libraries and in any order. Leaves out keys without an item.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>>;

    /// Edits many items in one request.
    ///
    /// # Errors
    /// As [`Source::server`]. If the connection failed after the request was sent, the server may have applied the
    /// edit.
    fn edit(&self, _request: &EditRequest<'_>, _bounds: Bounds<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source cannot be edited"))
    }

    /// Receives events, [`Event::Connected`] first, until the server ends the stream or `sink` returns `false`. Never
    /// retries.
    ///
    /// # Errors
    /// As [`Source::server`]. Succeeds when the server or [`Source::interrupt_events`] ends the stream.
    fn events(&self, _bounds: Bounds<'_>, _sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source sends no events"))
    }

    /// Makes [`Source::events`] return at once, and affects no other call. The caller must first set the `aborted` of
    /// that call's bounds.
    fn interrupt_events(&self) {}

    /// Returns the tokens for the server, which the host may replace. Returns `None` if the source uses no tokens.
    fn tokens(&self) -> Option<Arc<Tokens>> {
        None
    }

    /// Takes all locks before a fork. A lock that another thread held during the fork would stay locked in the child
    /// for ever.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        Vec::new()
    }

    /// Drops open connections in the child after a fork, without using them, since the parent still uses them. The
    /// default is for a source without connections.
    fn after_fork(&self) {}

    /// Interrupts operations that exceed their bounds because they cannot check the bounds themselves. A thread that
    /// waits for a call calls this function repeatedly.
    fn interrupt_overrun(&self) {}

    /// Interrupts every wait inside this source, so that a call that the host stops does not wait for time-outs.
    ///
    /// Calls whose bounds are aborted end with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted). Other calls lose
    /// their connection: they repeat requests without a reply, and fail if they had received a part of a page. Only
    /// name resolution and connecting continue.
    fn interrupt(&self) {}
}
