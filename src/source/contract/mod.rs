//! The contract of a source: its operations, its capabilities, and the types of both.

mod bounds;
mod edit;
mod event;
mod kind;
mod tokens;

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::Release;

pub use crate::meter::{Meter, RequestKind};
pub use bounds::Bounds;
pub use edit::{EditRequest, FieldChange, Lock};
pub use event::{Event, Notification};
pub use kind::{Kind, View, Viewer};
pub use tokens::{Session, State as TokensState, TokenOwner, Tokens};

/// Capabilities of a source. Callers use only those that are set.
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
    /// [`Source::items`] is supported, so that single items can be verified. Without it the whole library is listed.
    pub items: bool,
    /// [`Source::events`] is supported.
    pub events: bool,
    /// [`Source::edit`] is supported.
    pub edits: bool,
    /// Reads cause no network request, so polling intervals and back-off are unnecessary, and [`Source::has_moved`]
    /// detects changes cheaply.
    pub local: bool,
}

/// Whether an interrupted listing can be resumed, perhaps in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// No: it starts from the beginning.
    Never,
    /// Positions are row numbers, which shift when items are added or removed: on resuming, some rows are read again
    /// and compared.
    ByRow,
    /// Positions are stable, whatever items are added or removed.
    ByPosition,
}

/// How completely a source reports changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// No changes: a library that changed is listed.
    None,
    /// Most additions and removals: a full listing is due from time to time.
    Mostly,
    /// All changes: a library is never listed again for its age.
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
    /// Number of rows that the server returned, including unusable ones.
    pub rows: u64,
    /// Rows of the whole partition; `None` when the server does not say.
    pub total: Option<u64>,
    /// Position of the next page; `None` after the last. Positions must increase, and only the last page may be empty:
    /// otherwise the listing would not end, and fails. The page's own position means that the server announced more
    /// rows and returned none.
    pub next: Option<u64>,
    /// The rows are not those requested: the listing must start from the beginning.
    pub moved: bool,
}

/// The indexed items of a library, which a source compares with its own to find changes.
pub trait KnownItems {
    /// The library version of the last listing or delta.
    fn since(&self) -> &str;

    /// Adds items to the index, all or none.
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

    /// Number of indexed items.
    ///
    /// # Errors
    /// Those of the store.
    fn count(&self) -> Result<u64>;

    /// Number of indexed items at [`KnownItems::since`]. Differs from [`KnownItems::count`] if single items were added
    /// or removed since. `None` if unknown.
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

    /// Returns whether the index would accept a shrinkage to `items` items without a second listing. If not, finding
    /// out which ones are gone is useless.
    ///
    /// # Errors
    /// Those of the store.
    fn may_shrink_to(&self, items: u64) -> Result<bool>;
}

/// The changes that a source found in a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChanges {
    /// Additions were passed to [`KnownItems::add`]; these items are gone.
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
    /// The host's spelling, then that of each matching mapping.
    pub spellings: &'a [Vec<u8>],
    /// The last component.
    pub name: &'a str,
    /// The likely title in the file name.
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

    /// Returns the condition under which this source may be used, as text that names everything it depends on; `None`
    /// without one. Read before each sync job. That it holds is kept in the store for a day.
    fn precondition(&self) -> Option<String> {
        None
    }

    /// Checks the precondition. One that does not hold is an error with the remedy.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn check_precondition(&self, _bounds: Bounds<'_>) -> Result<()> {
        Ok(())
    }

    /// Returns the identity of the server. Needs no token.
    ///
    /// # Errors
    /// Every status of the 300 block, and [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    fn server(&self, bounds: Bounds<'_>) -> Result<Server>;

    /// As [`Source::server`], but always sends a request to the server, to test whether it is reachable.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server(bounds)
    }

    /// Prefetch hint: the caller looks for this path next, and knows no library yet. [`Source::libraries`] may search
    /// for it at the same time, and [`Source::find_path`] then returns the result.
    fn prefetch_path(&self, _spellings: &[Vec<u8>]) {}

    /// Returns the libraries that the user may see, each with its current version: the probe.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>>;

    /// Returns whether the source may have changed since this library version, without reading its content. Called
    /// before each answer if the source is [`Abilities::local`], so it must be cheap.
    fn has_moved(&self, _token: &str) -> bool {
        false
    }

    /// Number of partitions of a library's listing, which are fetched one after the other. Constant for a library.
    fn partitions(&self, _library: &Library) -> usize {
        1
    }

    /// Adds the rows of one page to `items`.
    ///
    /// Items without a rating key are counted but left out; items without files are included. If the call fails midway,
    /// the items added so far are valid. Following [`PageEnd::next`] from position 0 through all partitions gives each
    /// item once.
    ///
    /// # Errors
    /// As [`Source::server`]; [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) if the server has no such library.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd>;

    /// Finds the changes of a library since `known`, as completely as [`Abilities::changes`] says: adds new items to
    /// `known`, and returns those gone.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `known`.
    fn changes(&self, _library: &Library, _known: &dyn KnownItems, _bounds: Bounds<'_>) -> Result<SourceChanges> {
        Ok(SourceChanges::Unknown)
    }

    /// Passes items that may have this path to `is_it`, in batches, until it returns `true`. Returns whether it did.
    /// The items are valid, but finding none proves nothing.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `is_it`.
    fn find_path(
        &self,
        _library: &Library,
        _wanted: &WantedPath<'_>,
        _bounds: Bounds<'_>,
        _is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Returns all items with a file below one of these folders, which end in a separator. `None` if unsupported or if
    /// there are more than `most` files.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn below(
        &self,
        _library: &Library,
        _folders: &[Vec<u8>],
        _most: usize,
        _bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        Ok(None)
    }

    /// Returns the items with these rating keys, of any library and in any order; missing ones are left out.
    ///
    /// # Errors
    /// As [`Source::server`]; that no item exists is no error.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>>;

    /// Edits many items in one request.
    ///
    /// # Errors
    /// As [`Source::server`]. After an error behind the connection, the edit may have been applied.
    fn edit(&self, _request: &EditRequest<'_>, _bounds: Bounds<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source cannot be edited"))
    }

    /// Receives events until one side ends the stream: [`Event::Connected`] comes first, and `sink` ends it by
    /// returning `false`. Never retries.
    ///
    /// # Errors
    /// As [`Source::server`]; the end of the stream by the server or by [`Source::interrupt_events`] is no error.
    fn events(&self, _bounds: Bounds<'_>, _sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source sends no events"))
    }

    /// Ends [`Source::events`] at once, and nothing else. The caller must set `aborted` of its bounds first.
    fn interrupt_events(&self) {}

    /// The tokens of the server, which the host may replace; `None` if the source uses none.
    fn tokens(&self) -> Option<Arc<Tokens>> {
        None
    }

    /// Called before a fork: takes the locks that another thread may hold at that moment, since the child would find
    /// them locked for ever.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        Vec::new()
    }

    /// Forgets open connections without using them: after a fork, the child must not share them. The default is for a
    /// source without connections.
    fn after_fork(&self) {}

    /// Interrupts operations that overrun their bounds without checking them. Called repeatedly by a thread that waits
    /// for a call.
    fn interrupt_overrun(&self) {}

    /// Interrupts all waiting inside this source, for a caller that must not wait for time-outs.
    ///
    /// Calls whose bounds are aborted end with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted). Others lose their connection:
    /// requests without a reply are sent again, a partly received page fails as incomplete. Only name resolution and
    /// connecting are not interrupted.
    fn interrupt(&self) {}
}
