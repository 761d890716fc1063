//! The contract of a source: what it is asked, what it says of itself, and what follows from that.

mod bounds;
mod edit;
mod event;
mod kind;
mod meter;
mod tokens;

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::Release;

pub use bounds::Bounds;
pub use edit::{EditRequest, FieldChange, Lock};
pub use event::{Event, Notification};
pub use kind::{Kind, View, Viewer};
pub use meter::{Meter, RequestKind};
pub use tokens::{Next, Session, State as TokensState, Tokens};

/// Capabilities of a source. Callers use only those that are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Abilities {
    /// Whether a listing that was cut off may go on.
    pub resume: Resume,
    /// What [`Source::changes`] tells.
    pub changes: Delta,
    /// [`Source::find_path`] looks for what it is asked.
    pub find: bool,
    /// So does [`Source::find_title`].
    pub titles: bool,
    /// [`Source::below`] tells what lies below a folder.
    pub folders: bool,
    /// [`Source::items`] gives single items: one that was invalidated is verified so. Without it its library is listed.
    pub items: bool,
    /// [`Source::events`] tells something.
    pub events: bool,
    /// [`Source::edit`] edits.
    pub edits: bool,
    /// Asking costs no request: nothing is saved by waiting between questions, or after a failure. And
    /// [`Source::has_moved`] tells when there is something to ask.
    pub local: bool,
}

/// Whether a listing that was cut off may go on, perhaps in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It begins anew.
    Never,
    /// A position is a number of rows, so that all behind it moves when an item comes or goes: some rows are read again and
    /// compared.
    ByRow,
    /// A position stays where it is, whatever comes or goes.
    ByPosition,
}

/// How completely a source reports changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Nothing: a library that changed is listed.
    None,
    /// What came and what went, mostly: a full listing is due from time to time.
    Mostly,
    /// All of it: a library that was listed once is never listed again for its age.
    Complete,
}

/// The requested page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The library.
    pub library: &'a Library,
    /// Which of its partitions, below [`Source::partitions`].
    pub partition: usize,
    /// Where it begins: 0, or a position that an earlier page ended at.
    pub position: u64,
    /// How many rows at most, 1 to 1,000.
    pub size: u32,
}

/// What is known of a page once its rows are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Rows that the server returned, those without a rating key or a usable shape included.
    pub rows: u64,
    /// Rows of the whole partition; `None` when the server does not say.
    pub total: Option<u64>,
    /// Where the next page begins; `None` behind the last one. Positions go forward, and only the last page may be empty: else
    /// the listing fails, for it would not end. The page's own position: the server says that there is more, and gives nothing.
    pub next: Option<u64>,
    /// These are not the rows that were asked for: the listing has to begin anew.
    pub moved: bool,
}

/// What the index has of a library that a source is asked to tell the changes of.
pub trait KnownItems {
    /// The change token that it was listed at, or brought up to date with last.
    fn since(&self) -> &str;

    /// Takes items in, all or none: the index has them from now on.
    ///
    /// # Errors
    /// The store's.
    fn add(&self, items: &[Item]) -> Result<()>;

    /// Whether it has this item just so.
    ///
    /// # Errors
    /// The store's.
    fn has(&self, item: &Item) -> Result<bool>;

    /// Whether it has an item with one of these rating keys.
    ///
    /// # Errors
    /// The store's.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool>;

    /// How many items it has.
    ///
    /// # Errors
    /// The store's.
    fn count(&self) -> Result<u64>;

    /// How many it had at [`KnownItems::since`]: what came or went singly since is not told by the source. `None`: that is not
    /// known.
    ///
    /// # Errors
    /// The store's.
    fn told(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Hands over the rating keys of all that it has, in no order.
    ///
    /// # Errors
    /// The store's.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()>;

    /// Whether so many items would be believed to be left without a second listing that agrees: else there is no use in
    /// finding out which ones went.
    ///
    /// # Errors
    /// The store's.
    fn may_shrink_to(&self, items: u64) -> Result<bool>;
}

/// How far a source could tell the changes of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChanges {
    /// The index was given all that is new to it, and these are gone.
    Known {
        /// Rating keys of what the server does not have any more.
        gone: Vec<String>,
    },
    /// Only a listing tells.
    Unknown,
}

/// A path that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedPath<'a> {
    /// As the host spells it, then as each mapping does that fits.
    pub spellings: &'a [Vec<u8>],
    /// Its last component.
    pub name: &'a str,
    /// The title that the name most likely carries.
    pub title: Option<&'a str>,
}

/// An item that was asked for by its rating key, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The item.
    pub item: Item,
    /// Section id of its library; empty where that is not told.
    pub section: String,
}

impl Placed {
    /// Whether it is in the library with this section id, as far as is told.
    #[must_use]
    pub fn is_in(&self, section: &str) -> bool {
        self.section.is_empty() || self.section == section
    }
}

/// Where items come from. Implementations are used from many threads at once.
pub trait Source: Send + Sync {
    /// Returns the kind of the source.
    fn kind(&self) -> &'static Kind;

    /// Returns the capabilities, which may change while the source is open.
    fn abilities(&self) -> Abilities;

    /// Returns the condition under which this source may be used, as text that names everything it depends on; `None`
    /// without one. Read before each sync job. The result of checking it is kept in the store for a day.
    fn precondition(&self, _bounds: Bounds<'_>) -> Option<String> {
        None
    }

    /// Checks the precondition: returns whether it holds.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn check_precondition(&self, _bounds: Bounds<'_>) -> Result<bool> {
        Ok(true)
    }

    /// Tells the source whether the precondition holds.
    fn settle(&self, _holds: bool) {}

    /// Returns whether the precondition does not hold, so that only the fallback is used. The fallback belongs to
    /// another view.
    fn is_unavailable(&self) -> bool {
        false
    }

    /// Returns the source as it is now, unaffected by later results of the precondition; `None`: this source itself.
    fn settled(&self) -> Option<&dyn Source> {
        None
    }

    /// A sentence that says why [`Source::is_unavailable`] is `true`.
    fn why_unavailable(&self) -> Option<String> {
        None
    }

    /// Which server this is. Needs no token.
    ///
    /// # Errors
    /// Every status of the 300 block, and [`crate::error::Status::Aborted`].
    fn server(&self, bounds: Bounds<'_>) -> Result<Server>;

    /// As [`Source::server`], but always sends a request to the server, to test whether it is reachable.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn reach(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server(bounds)
    }

    /// Prefetch hint: the caller looks for this path next, and knows no library yet. [`Source::libraries`] may search
    /// for it at the same time, and [`Source::find_path`] then returns the result.
    fn expect(&self, _spellings: &[Vec<u8>]) {}

    /// The libraries that the user may see, each with its change token as of now: the probe.
    ///
    /// # Errors
    /// As [`Source::server`].
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>>;

    /// Returns whether the source may have changed since this change token, without reading its content. Called before
    /// each answer if the source is [`Abilities::local`], so it must be cheap.
    fn has_moved(&self, _token: &str) -> bool {
        false
    }

    /// Number of partitions of a library's listing, which are fetched one after the other. Constant for a library.
    fn partitions(&self, _library: &Library) -> usize {
        1
    }

    /// Adds the rows of one page to `items`.
    ///
    /// Items without a rating key are counted and left out; items without files are not. When the call fails midway, what it
    /// added is true. The pages of all partitions, from 0 on as each tells the next, have each item once.
    ///
    /// # Errors
    /// As [`Source::server`]; [`crate::error::Status::NotOnServer`] when the server has no such library.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd>;

    /// Tells what changed in a library since `known`, as far as [`Abilities::changes`] says: adds what is new to it, and
    /// gives what is gone.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `known`.
    fn changes(&self, _library: &Library, _known: &dyn KnownItems, _bounds: Bounds<'_>) -> Result<SourceChanges> {
        Ok(SourceChanges::Unknown)
    }

    /// Hands over items that may have this path, some at a time, until `is_it` finds it among them: gives whether it did.
    /// What comes is true; what does not come proves nothing.
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

    /// The items with a file below one of these folders, each written with a separator at its end: all of them, with all that is
    /// theirs. `None` where that is not told: the files may be more than `most`.
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

    /// Hands over items that may have this title, by the server's own idea of it, some at a time: gives whether these are
    /// all.
    ///
    /// # Errors
    /// As [`Source::server`]; those of `sink`.
    fn find_title(
        &self,
        _library: &Library,
        _title: &str,
        _bounds: Bounds<'_>,
        _sink: &mut dyn FnMut(Vec<Item>) -> Result<()>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// The items with these rating keys that still exist, in any order, whatever library they are in; missing ones are left out.
    ///
    /// # Errors
    /// As [`Source::server`]; that none exists is no error.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Placed>>;

    /// Gives many items the same values, in one request.
    ///
    /// # Errors
    /// As [`Source::server`]. After one that came later than the connection it is not known what was done.
    fn edit(&self, _request: &EditRequest<'_>, _bounds: Bounds<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source cannot be edited"))
    }

    /// Listens to what the server tells, until one side ends it: [`Event::Connected`] comes first, and `false` of `sink`
    /// ends it. Not tried again.
    ///
    /// # Errors
    /// As [`Source::server`]; that the server ended it, or [`Source::interrupt_events`], is none.
    fn events(&self, _bounds: Bounds<'_>, _sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source tells no events"))
    }

    /// Ends [`Source::events`], now, and nothing else. Bounds that are aborted must say so already.
    fn interrupt_events(&self) {}

    /// Restores stored words of [`Source::learned`]. They replace those of an earlier call, but not what was learned
    /// since and not yet returned by [`Source::learned`].
    fn recall(&self, _words: &str) {}

    /// Returns what the source learned about the server since the last call, as words separated by spaces; empty if
    /// nothing. The caller stores it until the server's version changes.
    fn learned(&self) -> String {
        String::new()
    }

    /// Whether the server is asked for less, because of what was learned, than another version might give.
    fn is_limited(&self) -> bool {
        false
    }

    /// The token that its server is asked with, where there is one: the host may replace it.
    fn tokens(&self) -> Option<Arc<Tokens>> {
        None
    }

    /// Called before a fork: takes the locks that another thread may hold at that moment, for a child would find them locked
    /// for ever.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        Vec::new()
    }

    /// Forgets open connections without using them: after a fork, the child must not share them.
    fn after_fork(&self);

    /// That the server is silent while it owes an answer, in a sentence, once that is long for a person who waits.
    fn overdue(&self) -> Option<String> {
        None
    }

    /// Ends what takes longer than its bounds allow and does not look at them itself: called all along by a thread that waits
    /// for a call.
    fn interrupt_overrun(&self) {}

    /// Ends what other threads wait for inside this source, now: for a caller that must not wait out their time-outs.
    ///
    /// Calls whose bounds are aborted end with [`crate::error::Status::Aborted`]. Others lose their connection: what
    /// had not begun to come is asked for again, a page that had fails as one that was cut off. Only the resolving of
    /// a name and the making of a connection are not cut short.
    fn interrupt(&self) {}
}
