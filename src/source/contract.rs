//! The contract of a source: its operations and capabilities, the types that they use, and the properties of a kind of
//! source that are known without a request.
//!
//! The host may replace an open index's token. A running call keeps the token with which it started, so that plexindex
//! never stores one user's content for another user.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::{Claims, Item, LONGEST_KEY, Library, Server, Token};
use crate::platform::clock::Deadline;
use crate::platform::fork::{ForkLock, lock};
pub use crate::stats::{Counters, RequestKind};
pub use TokenState as TokensState;

/// The capabilities of a source. Callers use only operations that the source supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether [`Source::events`] is supported.
    pub events: bool,
    /// Whether [`Source::scan`] and [`Source::refresh_item`] are supported.
    pub scans: bool,
    /// Whether reads send no network request. Callers then need neither polling intervals nor back-off, and
    /// [`Source::may_have_changed`] detects changes cheaply.
    pub local: bool,
}

/// Maximum number of rows in a page. Servers may reject a higher number.
pub const MAX_PAGE_ROWS: u32 = 1_000;

/// A request for a page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The library to list.
    pub library: &'a Library,
    /// Index of the partition (a part of the listing, such as one item type), less than [`Source::partitions`].
    pub partition: usize,
    /// Start position: 0, or [`PageEnd::next`] of an earlier page. Positions that may move are row numbers, so a page then
    /// begins one row earlier, with the last row of the page before.
    pub position: u64,
    /// Maximum number of rows, from 1 to [`MAX_PAGE_ROWS`].
    pub size: u32,
}

/// The metadata of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Number of rows that the server returned, including unusable rows.
    pub rows: u64,
    /// Number of rows in the whole partition; `None` if the server does not report the number.
    pub total: Option<u64>,
    /// Position of the next page; `None` after the last page. A listing fails if this position is not greater than the
    /// page's own position, because the server then announced more rows but returned none.
    pub next: Option<u64>,
    /// Whether the server returned different rows than requested. The listing must then start again from the beginning.
    pub has_shifted: bool,
}

/// The indexed items of a library. A source compares its own items with the indexed items to find changes.
pub trait IndexedItems {
    /// Returns the library's change token at the last listing or delta, the starting point of the next delta.
    fn base_token(&self) -> &str;

    /// Adds all of these items to the index, replacing items with the same rating keys; adds none if the call fails.
    ///
    /// # Errors
    /// Those of the store.
    fn add(&self, items: &[Item]) -> Result<()>;

    /// Returns whether the index contains exactly this item, with equal fields, since the last delta or listing.
    /// Returns `false` for an item that plexindex fetched as a single item since then: the items before it may have
    /// changed too.
    ///
    /// # Errors
    /// Those of the store.
    fn has(&self, item: &Item) -> Result<bool>;

    /// Returns whether the index contains an item with one of these rating keys.
    ///
    /// # Errors
    /// Those of the store.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool>;

    /// Returns the number of indexed items.
    ///
    /// # Errors
    /// Those of the store.
    fn count(&self) -> Result<u64>;

    /// Returns where the last delta or listing ended.
    fn cursor(&self) -> DeltaCursor {
        DeltaCursor::default()
    }

    /// Calls `each` with every indexed rating key, in any order.
    ///
    /// # Errors
    /// Those of the store.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()>;

    /// Returns whether the index would accept that the library has shrunk to `items` items. If the result is `false`, a
    /// second listing must confirm the loss, so the source need not determine which items were removed.
    ///
    /// # Errors
    /// Those of the store.
    fn accepts_shrinking_to(&self, items: u64) -> Result<bool>;
}

/// What a source needs to know of the last delta or listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaCursor {
    /// Number of items in the index afterwards; `None` if unknown. If single items were added or removed later, the number
    /// differs from [`IndexedItems::count`].
    pub items: Option<u64>,
    /// Number of rows that the server counts but plexindex leaves out, such as the trash.
    pub left_out: u64,
    /// The server's latest update time, by the server's clock; `None` if unknown.
    pub newest_update: Option<i64>,
}

impl DeltaCursor {
    /// Encodes the cursor for the store.
    #[must_use]
    pub fn to_text(&self) -> String {
        let newest_update = self.newest_update.map(|time| format!(" {time}"));
        let items = self.items.map_or_else(|| "-".to_owned(), |items| items.to_string());
        format!("{items} {}{}", self.left_out, newest_update.unwrap_or_default())
    }

    /// Decodes a cursor; the parts that are missing are unknown.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut parts = text.split(' ');
        let mut number = || parts.next()?.parse().ok();
        Self {
            items: number().map(i64::cast_unsigned),
            left_out: number().map_or(0, i64::cast_unsigned),
            newest_update: number(),
        }
    }
}

/// The changes that a source found in a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChanges {
    /// The source found all changes, and has already passed new and updated items to [`IndexedItems::add`].
    Known {
        /// Rating keys of items that the server no longer has.
        removed_keys: Vec<String>,
        /// Where this delta ended. The caller counts the items.
        cursor: DeltaCursor,
    },
    /// The source cannot determine the changes: a listing is needed.
    Unknown,
}

/// A path to search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedPath<'a> {
    /// The path as the host specified it, followed by the result of each mapping that applies.
    pub candidate_paths: &'a [Vec<u8>],
    /// The file name: the last component of the path.
    pub name: &'a str,
    /// The title that plexindex extracted from the file name.
    pub title: Option<&'a str>,
}

/// An item fetched by its rating key, with its current library.
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedItem {
    /// The item.
    pub item: Item,
    /// Section id of the item's library; empty if unknown.
    pub section: String,
}

impl LocatedItem {
    /// Returns whether the item is in this library. Also returns `true` if the item's library is unknown.
    #[must_use]
    pub fn is_in(&self, section: &str) -> bool {
        self.section.is_empty() || self.section == section
    }
}

/// A source of items. Many threads may use an implementation at once.
pub trait Source: Send + Sync {
    /// Returns the constants of this kind of source, such as its name and key prefix. Needs no request.
    fn kind(&self) -> &'static SourceKind;

    /// Returns the source's capabilities.
    fn abilities(&self) -> Abilities;

    /// Returns the condition under which plexindex may use this source, such as that a database belongs to a server;
    /// `None` if there is no condition. The text contains everything on which the condition depends, so a new text
    /// requires a new check.
    ///
    /// Each sync job checks the condition, but the store remembers for a day that a condition was met.
    fn precondition(&self) -> Option<String> {
        None
    }

    /// Fails if the precondition is not met; the error message contains a remedy.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn check_precondition(&self, _bounds: Bounds<'_>) -> Result<()> {
        Ok(())
    }

    /// Returns the server's machine identifier and version. The request contains no token, because the server is not
    /// identified yet.
    ///
    /// # Errors
    /// Server errors (300 to 399), and [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    fn server(&self, bounds: Bounds<'_>) -> Result<Server>;

    /// Tests whether the server is reachable: always sends a request, unlike [`Source::server`]. Returns the server's
    /// machine identifier and version.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server(bounds)
    }

    /// Sends the probe. Returns the libraries that the user is allowed to see, each with its current change token.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>>;

    /// Returns whether the source may have changed since this change token, without reading its content. Must be fast:
    /// plexindex calls it before each answer if the source is [`Abilities::local`]. Other sources return `false`.
    fn may_have_changed(&self, _token: &str) -> bool {
        false
    }

    /// Returns the number of partitions into which the source divides a library's listing, such as one for each item
    /// type. plexindex fetches the partitions one by one. A library's partition count never changes.
    fn partitions(&self, _library: &Library) -> usize {
        1
    }

    /// Adds one page's rows to `items`, and returns the page's metadata.
    ///
    /// Counts items without a rating key but leaves them out; includes items without files, and items in the trash,
    /// which the caller leaves out. If the call fails midway,
    /// the items added so far are valid. Following [`PageEnd::next`] from position 0 in all partitions returns each
    /// item once.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`; [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) if the
    /// server lacks this library.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd>;

    /// Adds the items of one page that are in the trash to `items`, like [`Source::page`]. The positions are those of
    /// the rows in the trash. May add other items, which the caller leaves out.
    ///
    /// # Errors
    /// As [`Source::page`]; `Unsupported`.
    fn trash(&self, _request: &PageRequest<'_>, _bounds: Bounds<'_>, _items: &mut Vec<Item>) -> Result<PageEnd> {
        Err(self.kind().unsupported("cannot list the trash", "it has none"))
    }

    /// Returns the shows of a library of episodes, which are no items, with their GUIDs and external IDs; `None` if the
    /// source cannot tell them.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn shows(&self, _library: &Library, _bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        Ok(None)
    }

    /// Finds a library's changes since [`IndexedItems::base_token`]: all if the change token is exact, otherwise most
    /// additions and removals. Adds new and updated items to `index`, and returns the rating keys of removed items.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`; those of `index`.
    fn changes(&self, _library: &Library, _index: &dyn IndexedItems, _bounds: Bounds<'_>) -> Result<SourceChanges> {
        Ok(SourceChanges::Unknown)
    }

    /// Passes items that may have this path to `accept`, in batches, until `accept` returns `true`. Returns whether
    /// `accept` returned `true`. The search is incomplete: it may miss an item that the server has.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`; those of `accept`.
    fn find_path(
        &self,
        _library: &Library,
        _wanted: &WantedPath<'_>,
        _bounds: Bounds<'_>,
        _accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Returns the items with these rating keys, from all libraries and in any order. Ignores keys without an item.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>>;

    /// Tells the server to scan a folder of a library; returns when the server has accepted the request. `folder` is
    /// the server's path. A source with [`Abilities::scans`] supports this.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn scan(&self, _section: &str, _folder: &[u8], _bounds: Bounds<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source scans no folders"))
    }

    /// Tells the server to refresh the metadata of an item or, if `analyzes` is true, to analyze its files; returns when
    /// the server has accepted the request. A source with [`Abilities::scans`] supports this.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    fn refresh_item(&self, _rating_key: &str, _analyzes: bool, _bounds: Bounds<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source refreshes no items"))
    }

    /// Receives events, starting with [`Event::Connected`], until the server ends the stream,
    /// [`Source::interrupt_events`] is called, or `sink` returns `false`. Never retries.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`. The end of the stream is not an error.
    fn events(&self, _bounds: Bounds<'_>, _sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        Err(Error::new(Status::Unsupported, "this source sends no events"))
    }

    /// Makes [`Source::events`] return at once. Does not affect other calls. The caller must first make `aborted`
    /// return `true` in the bounds of the [`Source::events`] call.
    fn interrupt_events(&self) {}

    /// Returns the server's tokens, which the host may replace; `None` if the source uses no tokens.
    fn tokens(&self) -> Option<Arc<Tokens>> {
        None
    }

    /// Takes all locks before a fork, because a lock that another thread held would stay locked in the child. Dropping
    /// the returned values releases the locks.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        Vec::new()
    }

    /// Drops open connections in a forked child without using them, because the parent still uses them. The default
    /// implementation does nothing, because not every source has connections.
    fn after_fork(&self) {}

    /// Interrupts operations that exceed their time limits, such as a long SQLite instruction, which cannot check a
    /// limit itself. A thread that waits for a call of this source calls this function repeatedly.
    fn interrupt_overrun(&self) {}

    /// Interrupts every wait inside this source, so that a call that the host stops does not wait for time-outs.
    ///
    /// Aborted calls fail with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted). All other calls lose their
    /// connections too: they repeat a request without a reply, and fail if they had received a part of a page. Name
    /// resolution and connecting cannot be interrupted.
    fn interrupt(&self) {}
}

/// Limits of one call: its time limits, and cancellation by the host.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Time when the call must end, including retries. Without a deadline, only the source's own time-outs apply.
    pub deadline: Deadline,
    /// Maximum time without any data from the server, if shorter than the source's own time-out.
    pub max_silence: Option<Duration>,
    /// Maximum time for retries, if shorter than the source's own limit.
    pub retry_for: Option<Duration>,
    /// Returns whether the host has aborted the call. The source calls this function between pieces of work and during
    /// pauses. If this function returns `true`, the call fails with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted).
    pub aborted: &'a (dyn Fn() -> bool + Sync),
    /// [`Session::number`](crate::source::Session::number) of the token to use; 0 for the current token.
    pub token_number: u64,
}

impl Bounds<'_> {
    /// No limits except the source's own time-outs.
    pub const NONE: Bounds<'static> = Bounds {
        deadline: Deadline::NONE,
        max_silence: None,
        retry_for: None,
        aborted: &|| false,
        token_number: 0,
    };
}

/// A notification or webhook that a host received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Machine identifier of the server that sent the notification; `None` if the notification does not contain one.
    pub server: Option<String>,
    /// The events in the notification; may be empty.
    pub events: Vec<Event>,
}

/// An event from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The event stream has started. The server does not send earlier events.
    Connected,
    /// An item was added or changed.
    Changed {
        /// Section id of the item's library; `None` if the event does not contain one.
        section: Option<String>,
        /// Rating key of the item; empty if the event does not contain one.
        rating_key: String,
        /// Time of the change, set only for events that servers repeat. Events with the same item and stamp are
        /// repetitions.
        stamp: Option<i64>,
    },
    /// An item was deleted.
    Deleted {
        /// Section id of the item's library; `None` if the event does not contain one.
        section: Option<String>,
        /// Rating key of the item.
        rating_key: String,
    },
    /// The server is processing items, and will send another event.
    Working {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// A scan is running.
    Scanning {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// A scan has ended.
    Scanned {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// Something has changed, but the event does not say what.
    Unspecific {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
}

/// The constants of a kind of source: its names, the form of its keys, and the parser for its notifications.
#[derive(Debug)]
pub struct SourceKind {
    /// Display name.
    pub name: &'static str,
    /// Noun for the source in a sentence, such as `the server`.
    pub noun: &'static str,
    /// Advice for users whose source has no libraries.
    pub empty_hint: &'static str,
    /// Prefix of the keys that hosts see; the item's rating key follows.
    pub key_prefix: &'static str,
    /// Returns whether a string can be a rating key. The caller has checked that the string has 1 to 255 bytes and no
    /// control characters. A comma is invalid, because it separates rating keys in a URL.
    pub is_rating_key: fn(&str) -> bool,
    /// Parses the JSON of a notification or webhook. Fails with [`Status::InvalidArgument`] if the JSON is invalid.
    pub parse_notification: fn(&[u8]) -> Result<Notification>,
    /// Advice to set the option that adds scans and events, for error messages; `None` if no option adds them.
    pub enabling_option_advice: Option<&'static str>,
}

/// A server as one user sees it. plexindex must never show the content of one view to the user of a different view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The server's location, such as its URL; constant for a server.
    pub location: String,
    /// The user whose content the view shows.
    pub viewer: Viewer,
}

/// The user whose permissions apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A user whom the host specified by name; the user's token may change.
    Named(String),
    /// The user of the current token. If no token is set, everyone has the same view.
    TokenHolder,
    /// A user who reads the server's own files, and thus sees everything, regardless of the token.
    DatabaseReader,
}

impl SourceKind {
    /// Creates the error for an operation that this kind of source does not support. `problem` continues a sentence
    /// that starts with the kind's name. The message ends with advice to set the option that adds the operation, or
    /// with `remedy` if there is no such option.
    #[must_use]
    pub fn unsupported(&self, problem: &str, remedy: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!(
                "{} {problem}: {}",
                self.name,
                self.enabling_option_advice.unwrap_or(remedy)
            ),
        )
    }

    /// Returns the key that hosts see for an item: the prefix and the rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        [self.key_prefix, rating_key].concat()
    }

    /// Extracts the rating key from a key that a host passes, with or without the prefix.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the key is invalid or longer than [`LONGEST_KEY`] bytes.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
        let is_allowed = (1..=LONGEST_KEY).contains(&rating_key.len()) && !rating_key.contains(char::is_control);
        if is_allowed && (self.is_rating_key)(rating_key) {
            return Ok(rating_key);
        }
        // The message quotes at most 32 characters of the key, and then an ellipsis.
        let mut shown: String = key.chars().take(32).collect();
        if shown.len() < key.len() {
            shown.push('\u{2026}');
        }
        invalid_argument_error(format!(
            "'{}' is not the key of an item: specify one rating key of at most {LONGEST_KEY} bytes, with or \
                 without the prefix '{}'",
            shown.escape_debug(),
            self.key_prefix
        ))
    }
}

/// The period in which an index uses one token: from when the host sets the token until the host has replaced it and no
/// call uses it.
pub struct Session {
    number: u64,
    pub token: Option<Token>,
    /// The token's claims about its user and expiry; `None` if the token is not a JSON Web Token.
    pub(crate) claims: Option<Claims>,
    /// Time of the first use in Unix ms; not set before.
    first_used_ms: OnceLock<i64>,
    /// Whether the server rejected the token in the last request that used it.
    is_rejected: AtomicBool,
}

/// The token of an open index, which the host can replace, and the replaced tokens that calls still use.
pub struct Tokens(pub Mutex<TokenState>);

/// The current token, and the replaced tokens that calls still use.
pub struct TokenState {
    current: Arc<Session>,
    /// Replaced tokens that calls may still use.
    replaced: Vec<Weak<Session>>,
    /// Number of the first token with the current view. All later tokens have the same view.
    view_since: u64,
    /// Number of the first token of the current user. The host declared that all later tokens belong to the same user.
    user_since: u64,
}

/// The owner of a new token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// Unknown: the host does not say who owns the token.
    Unknown,
    /// The user who owns the token with this number.
    SameAs(u64),
}

impl Session {
    /// Creates a session for a token that the host sets. If `token` is `None`, requests contain no token.
    fn new(number: u64, token: Option<Token>) -> Arc<Self> {
        let claims = token.as_ref().and_then(Token::claims);
        Arc::new(Self {
            number,
            token,
            claims,
            first_used_ms: OnceLock::new(),
            is_rejected: AtomicBool::new(false),
        })
    }

    /// Returns the token's number. An index numbers its tokens from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the time of the token's first use, in Unix ms. The first call stores the result of `now` as this time.
    #[must_use]
    pub fn first_used_ms(&self, now: impl FnOnce() -> i64) -> i64 {
        *self.first_used_ms.get_or_init(now)
    }

    /// Returns whether the server rejected the token in the last request that used it.
    pub(crate) fn is_rejected(&self) -> bool {
        self.is_rejected.load(Ordering::Relaxed)
    }

    /// Records whether the server rejected the token in the latest request.
    pub(crate) fn set_rejected(&self, is_refused: bool) {
        self.is_rejected.store(is_refused, Ordering::Relaxed);
    }
}

impl Tokens {
    /// Creates an index's tokens, with this current token; `None` means that requests contain no token.
    #[must_use]
    pub fn new(token: Option<Token>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(TokenState {
            current: Session::new(1, token),
            replaced: Vec::new(),
            view_since: 1,
            user_since: 1,
        })))
    }

    /// Returns the current token.
    #[must_use]
    pub fn current(&self) -> Arc<Session> {
        Arc::clone(&lock(&self.0).current)
    }

    /// Returns the token with this number, or the current token for 0; `None` if the token is no longer in use.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        if number == 0 || number == state.current.number {
            return Some(Arc::clone(&state.current));
        }
        let mut replaced = state.replaced.iter().filter_map(Weak::upgrade);
        replaced.find(|session| session.number == number)
    }

    /// Returns `text` with `***` in place of every token that is in use.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let state = lock(&self.0);
        let replaced = state.replaced.iter().filter_map(Weak::upgrade);
        let sessions: Vec<_> = replaced.chain([Arc::clone(&state.current)]).collect();
        drop(state); // scrubbing is slow, and every call needs this lock
        // Replaces all tokens in one pass, because one token may be the beginning of another.
        let tokens: Vec<&Token> = sessions.iter().filter_map(|session| session.token.as_ref()).collect();
        Token::scrub(&tokens, text)
    }

    /// Returns the current token if it has the same view as the token with this number; otherwise `None`, and a call
    /// that started with that token must not continue.
    #[must_use]
    pub fn current_if_same_view(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        (number >= state.view_since).then(|| Arc::clone(&state.current))
    }

    /// Returns the current token's number, and whether a call that started with the token `earlier` may continue with
    /// the current token. A call may continue if both tokens have the same view or, as the host declared, the same
    /// user.
    #[must_use]
    pub fn compare_current(&self, earlier: u64) -> (u64, bool) {
        let state = lock(&self.0);
        (state.current.number, earlier >= state.user_since.min(state.view_since))
    }

    /// Replaces the current token. `owner` is the new token's owner. If `same_view` is true, both tokens have the same
    /// view, so running calls may continue.
    pub fn replace(&self, token: Option<Token>, owner: TokenOwner, same_view: bool) {
        let mut state = lock(&self.0);
        let next = Session::new(state.current.number + 1, token);
        if !same_view {
            state.view_since = next.number;
        }
        // If `SameAs` refers to an earlier token, another thread has replaced that token while the host's callback
        // fetched this one. Then `SameAs` says nothing about the current user.
        if owner != TokenOwner::SameAs(state.current.number) {
            state.user_since = next.number;
        }
        let previous = std::mem::replace(&mut state.current, next);
        state.replaced.retain(|session| session.strong_count() > 0);
        state.replaced.push(Arc::downgrade(&previous));
    }
}

impl fmt::Debug for Tokens {
    /// Hides the tokens, so that no log contains one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;
    use crate::model::LONGEST_KEY;
    use crate::source::plex::KIND;

    #[test]
    fn a_key_ends_in_a_rating_key() {
        let longest = "7".repeat(LONGEST_KEY);
        assert_eq!(KIND.rating_key(&longest), Ok(longest.as_str()));
        assert_eq!(KIND.rating_key(&KIND.key(&longest)), Ok(longest.as_str()));
        for longer in [format!("{longest}7"), KIND.key(&"\u{e4}".repeat(20_000))] {
            let error = KIND.rating_key(&longer).expect_err("refused");
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains("\u{2026}' is not the key"), "{error}");
            assert!(error.message.len() < 200, "{error}");
        }
    }

    /// A key becomes a part of a URL, and of a list of keys. Only numbers are keys of a server's items.
    #[test]
    fn a_text_that_is_no_number_is_no_key() {
        for key in ["7", "007", "18446744073709551616"] {
            assert_eq!(KIND.rating_key(key), Ok(key));
            assert_eq!(KIND.rating_key(&KIND.key(key)), Ok(key));
        }
        for no_key in [
            "",
            "-1",
            "a b",
            "a b\n",
            "7\n",
            "7\0",
            "\u{85}",
            "1?x=1",
            "1#x",
            "1&x=1",
            "1%2f",
            "1,2",
            "7/",
            "/7",
            "../7",
            "banana",
            "00ff",
            "5d776830880197001ec90e3a",
            "\u{e4}",
            "\u{664}",
        ] {
            for given in [no_key.to_owned(), KIND.key(no_key)] {
                let error = KIND.rating_key(&given).expect_err(&given);
                assert_eq!(error.status, Status::InvalidArgument);
                assert!(error.message.contains("is not the key"), "{error}");
                assert!(!error.message.contains(char::is_control), "{error}");
            }
        }
    }

    #[test]
    fn a_replaced_token_lives_while_it_is_used() {
        let text = |session: Option<Arc<Session>>| session?.token.as_ref().map(|token| token.reveal().to_owned());
        let tokens = Tokens::new(Token::new("the-first-one"));
        let first = tokens.current();
        tokens.replace(Token::new("the-second-one"), TokenOwner::Unknown, false);
        assert_eq!(text(tokens.get(first.number())).as_deref(), Some("the-first-one"));
        assert_eq!(text(tokens.get(0)).as_deref(), Some("the-second-one"));
        let echo = "the-first-one or the-second-one".to_owned();
        assert_eq!(tokens.scrub(&echo), "*** or ***");
        assert!(tokens.current_if_same_view(first.number()).is_none(), "of another view");
        let number = first.number();
        drop(first);
        assert!(tokens.get(number).is_none());
        assert_eq!(
            tokens.scrub(&echo),
            "the-first-one or ***",
            "nothing can echo it any more"
        );
        let second = tokens.current();
        tokens.replace(None, TokenOwner::Unknown, true);
        let third = tokens.current_if_same_view(second.number()).expect("of the same view");
        assert!(third.token.is_none());
    }

    #[test]
    fn a_renewed_token_belongs_to_the_user_of_the_earlier_one() {
        let tokens = Tokens::new(Token::new("one"));
        let set = |text: &str, owner| {
            tokens.replace(Token::new(text), owner, false);
            tokens.current().number()
        };
        assert_eq!(tokens.compare_current(1), (1, true));
        assert_eq!(set("two", TokenOwner::SameAs(1)), 2);
        assert_eq!(set("three", TokenOwner::SameAs(2)), 3);
        assert_eq!([1, 2, 3].map(|number| tokens.compare_current(number).1), [true; 3]);
        assert_eq!(set("another thread's", TokenOwner::Unknown), 4);
        assert_eq!(set("renewed in the meantime", TokenOwner::SameAs(3)), 5);
        assert_eq!(
            [3, 4, 5].map(|number| tokens.compare_current(number).1),
            [false, false, true]
        );
        assert_eq!(set("renewed", TokenOwner::SameAs(5)), 6);
        assert_eq!([4, 5].map(|number| tokens.compare_current(number).1), [false, true]);
        tokens.replace(None, TokenOwner::Unknown, true);
        assert_eq!(
            [5, 6].map(|number| tokens.compare_current(number)),
            [(7, false), (7, true)]
        );
    }
}
