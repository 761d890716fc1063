//! What is known about a library, and what a request observes; the times of freshness; and the three rules of the
//! module's documentation. The tests replace each of the rules, to see the explorer fail.

use serde::{Deserialize, Serialize};

use crate::model::{MAY_MISS_NEXT_WRITE, SourceState, TokenReliability};
use crate::options::{Options, Ttl};

/// The number of a commit. A request takes a ticket with a commit of its own before plexindex sends it, so that tickets
/// are unique, and the order of tickets, commits and doubts is one order.
pub use crate::model::Sequence as Ticket;

/// When the server can have sent a reply: after the request's ticket, and before the commit that stored the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// The request's ticket, or an earlier one.
    pub asked: Ticket,
    /// The commit that stored the reply, or a later one.
    pub came: Ticket,
}

/// The tickets of the requests that first showed the files of an item: one for each file, one for all, or none if all are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTickets(Vec<Ticket>);

impl From<Ticket> for FileTickets {
    /// Creates the tickets of files that the same request first showed.
    fn from(ticket: Ticket) -> Self {
        Self(vec![ticket])
    }
}

impl FileTickets {
    /// Creates the tickets of an item's files. `each`: one for each file.
    #[must_use]
    pub fn new(mut each: Vec<Ticket>) -> Self {
        if each.windows(2).all(|pair| pair[0] == pair[1]) {
            each.truncate(1);
            each.retain(|ticket| *ticket != Ticket::default());
        }
        Self(each)
    }

    /// Returns the ticket of the file with this index.
    #[must_use]
    pub fn of(&self, file: usize) -> Ticket {
        self.0.get(file).or(self.0.last()).copied().unwrap_or_default()
    }

    /// Returns the latest of the tickets.
    #[must_use]
    pub fn latest(&self) -> Ticket {
        self.0.iter().max().copied().unwrap_or_default()
    }

    /// Returns whether all files have this ticket.
    #[must_use]
    pub fn are_all(&self, ticket: Ticket) -> bool {
        self.of(0) == ticket && self.0.iter().all(|one| *one == ticket)
    }

    /// Returns these tickets, but none that is later than `last`.
    #[must_use]
    pub fn until(self, last: Ticket) -> Self {
        Self(self.0.into_iter().map(|ticket| ticket.min(last)).collect())
    }
}

/// A kind of request, in the order of urgency: a probe comes before a delta, because a delta does not show the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Single items, by rating key.
    Item,
    /// The items that changed since the last delta or listing.
    Changes,
    /// The library's change token.
    Probe,
    /// All items, which also show what the others would.
    Listing,
}

/// What a doubt is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DoubtScope {
    Library,
    /// The item with this rating key.
    Item(String),
    /// The path with this normal form. Only a listing shows that no other item has the path; until then, the path leads
    /// only to items that were observed after the doubt was raised.
    Path(Vec<u8>),
}

/// Why something is doubted, which determines what ends the doubt and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i64)]
pub enum Cause {
    /// The host invalidated the library, item or path, an event reported that the item was deleted, or a match was
    /// recorded for an item that is not listed.
    Invalidated = 0,
    /// Two replies overlap and differ.
    Overlap = 1,
    /// Another item now has one of the item's files.
    Rival = 2,
    /// An event reported that the library may have changed.
    Event = 3,
    /// An event reported that items changed, even if the token has not changed yet.
    Changed = 4,
    /// Events about the library arrived, and an [`Cause::Event`] or [`Cause::Changed`] follows.
    News = 5,
    /// Plex was scanning the library, so that items may have changed after the reply.
    Scan = 6,
    /// The content changed during a scan, and the delta has not shown what changed.
    Unsettled = 7,
    /// The content changed, but no delta shows what changed.
    Unexplained = 8,
    /// A reply about this item differed from the store, though nobody doubted the item.
    Differs = 9,
    /// The listing's item counts disagree, so that rows may be missing.
    Partial = 10,
    /// A newer listing lost too many items, so that a second listing must confirm the loss.
    HeldBack = 11,
    /// The server listed no libraries, which a second probe must confirm.
    EmptyList = 12,
}

impl Cause {
    /// Decodes the stored number; [`Cause::Invalidated`] for unknown numbers, because it is the strongest.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Overlap,
            2 => Self::Rival,
            3 => Self::Event,
            4 => Self::Changed,
            5 => Self::News,
            6 => Self::Scan,
            7 => Self::Unsettled,
            8 => Self::Unexplained,
            9 => Self::Differs,
            10 => Self::Partial,
            11 => Self::HeldBack,
            12 => Self::EmptyList,
            _ => Self::Invalidated,
        }
    }
}

/// Something that may be wrong, until an observation ends the doubt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Doubt {
    pub scope: DoubtScope,
    pub cause: Cause,
    /// The commit that raised the doubt, or the last of several that raised it.
    pub raised: Ticket,
    /// When the doubt was first raised, in Unix ms.
    pub raised_ms: i64,
}

impl Doubt {
    /// Returns the request that can end the doubt; for a path, the one that lets it lead to an item again. A listing ends
    /// every doubt.
    #[must_use]
    pub fn needs(&self) -> Need {
        let is_library = self.scope == DoubtScope::Library;
        match self.cause {
            Cause::Invalidated if is_library => Need::Listing,
            Cause::Overlap if is_library => Need::Probe,
            Cause::Invalidated | Cause::Overlap | Cause::Rival => Need::Item,
            Cause::Event | Cause::News | Cause::EmptyList => Need::Probe,
            Cause::Changed | Cause::Differs | Cause::Scan | Cause::Unsettled => Need::Changes,
            Cause::Unexplained | Cause::Partial | Cause::HeldBack => Need::Listing,
        }
    }

    /// Returns whether answers are stale before the request for the doubt is due.
    #[must_use]
    pub fn marks_at_once(&self) -> bool {
        !matches!(self.cause, Cause::News | Cause::Scan)
    }

    /// Returns whether the doubt tells of a change, so that a missed path may be new. What requests say again and again
    /// does not.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !matches!(
            self.cause,
            Cause::Scan | Cause::Unsettled | Cause::HeldBack | Cause::EmptyList | Cause::Partial | Cause::Overlap
        )
    }

    /// Returns whether all answers from the library are doubtful.
    #[must_use]
    pub fn is_about_library(&self) -> bool {
        self.scope == DoubtScope::Library || self.cause == Cause::Differs
    }

    /// Returns whether a request, which shows the same loss as the one that raised this doubt, confirms the loss: it began
    /// later, and at least a minute has passed.
    #[must_use]
    pub fn is_confirmed_by(&self, asked: Ticket, now_ms: i64) -> bool {
        asked > self.raised && is_pause_over(Some(self.raised_ms), PROVISIONAL_MS, now_ms)
    }

    /// Merges a doubt with the same scope and cause that was raised later. The request stays due at the time of the
    /// first, so that repeated scans do not postpone it forever.
    pub fn merge(&mut self, later: &Self) {
        self.raised = self.raised.max(later.raised);
        self.raised_ms = self.raised_ms.min(later.raised_ms);
    }
}

/// The library's state in a probe's reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbedState {
    pub state: SourceState,
    pub interval: Interval,
}

/// A library's complete listing, with all changes since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ListingState {
    /// Time when the listing was completed, in Unix ms.
    pub listed_ms: i64,
    /// Time when the store was last known to have all changes, in Unix ms.
    pub checked_ms: i64,
    /// The change token up to which the store has all changes.
    pub token: String,
    /// The ticket of the delta or listing that stored these changes.
    pub synced: Ticket,
    /// Where the source's next delta begins; only the source understands it.
    pub cursor: String,
    /// Number of items now.
    pub items: u64,
    /// The commits that stored the last deltas and listings, oldest first, with their times in Unix ms.
    pub syncs: Vec<(Ticket, i64)>,
}

/// What is known about a library, apart from its doubts and items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Knowledge {
    /// The newest reply to a probe; `None` before the first.
    pub probed: Option<ProbedState>,
    /// When the server sent the items without a single row. From the listing's first request to its publication, which
    /// `begin` identifies; after an eviction, from 0 to the eviction.
    pub base: Interval,
    /// The listing; `None` if the library was never fetched, or its listing was evicted or lost.
    pub listing: Option<ListingState>,
}

/// A delta or listing that has begun, and what was known before its first request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncRequest {
    pub asked: Ticket,
    pub begun_ms: i64,
    /// The library's state, from a probe that had come before. The reply includes all changes up to this state's token.
    pub state: SourceState,
    /// The listing that the delta extends, by its first ticket.
    pub extends: Ticket,
}

impl Knowledge {
    /// Begins a delta or listing with a new ticket. Returns `None` before the first probe.
    #[must_use]
    pub fn begin(&self, ticket: Ticket, now_ms: i64) -> Option<SyncRequest> {
        Some(SyncRequest {
            asked: ticket,
            begun_ms: now_ms,
            state: self.probed.as_ref()?.state.clone(),
            extends: self.base.asked,
        })
    }

    /// Returns the latest time, in Unix ms, at which the reply to a request can have come: that of the next delta or listing
    /// that is known, otherwise of the last check; `None` without a listing.
    #[must_use]
    pub fn came_by_ms(&self, asked: Ticket) -> Option<i64> {
        let listing = self.listing.as_ref()?;
        // An earlier version has stored only the time of the listing.
        let mut syncs = listing
            .syncs
            .iter()
            .copied()
            .chain([(self.base.asked, listing.listed_ms)]);
        let next = syncs.find(|(came, _)| asked <= *came);
        Some(next.map_or(listing.checked_ms, |(_, came_ms)| came_ms))
    }

    /// Discards the listing and all single rows in the commit `at`, because it was evicted or lost. A reply to an
    /// earlier request then overlaps, because the listing may have been newer.
    pub fn discard_listing(&mut self, at: Ticket) {
        self.base = Interval {
            asked: Ticket::default(),
            came: at,
        };
        self.listing = None;
    }

    /// Moves single rows into the listing's segment. `came`: the latest of their `came`, which must be before the first
    /// request of an unfinished listing. The rows must be known to deltas ([`Self::had_at_last_sync`]).
    pub fn compact(&mut self, came: Ticket) {
        self.base.came = self.base.came.max(came);
    }

    /// Returns whether the last delta or listing already knew an item as it is stored, so that a delta can end there and
    /// an equal row shows no change. A search or check since then may have found what the token does not tell yet.
    #[must_use]
    pub fn had_at_last_sync<V>(&self, stored: &StoredItem<V>) -> bool {
        let is_synced = |synced| stored.interval.came < synced || stored.interval.asked == synced;
        !stored.is_single || self.listing.as_ref().is_some_and(|listing| is_synced(listing.synced))
    }
}

/// A stored item, or that the library has no such item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoredItem<V> {
    /// The item; `None` if the server has no such item.
    pub value: Option<V>,
    pub interval: Interval,
    /// Whether the item has a row of its own, which counts instead of the listing.
    pub is_single: bool,
}

/// The items of a library, as the transaction that folds a reply reads them.
pub trait ItemStore<V> {
    /// Returns an item, listed or single.
    fn get(&self, rating_key: &str) -> StoredItem<V>;

    /// Returns all single rows.
    fn singles(&self) -> Vec<(String, StoredItem<V>)>;

    /// Returns the rating keys of the other items that have a file which this item gains with `value`.
    fn rivals(&self, rating_key: &str, value: &V) -> Vec<String>;
}

/// What a reply says about a library.
pub enum Observation<'o, V> {
    /// A probe.
    State(&'o SourceState),
    /// Single items, from a request by key or a search.
    Items {
        /// Rating keys with the items; `None` for an item that the server does not have.
        items: &'o [(String, Option<V>)],
        /// Whether the items were doubted, so that a difference is no surprise.
        are_doubted: bool,
    },
    /// A delta.
    Changes {
        request: &'o SyncRequest,
        /// As in `Items`: added, updated and removed items.
        items: &'o [(String, Option<V>)],
        /// Whether the number of items differs from that after the last delta or listing.
        is_resized: bool,
        /// See [`ListingState::cursor`].
        cursor: &'o str,
    },
    /// A complete listing.
    Listing {
        request: &'o SyncRequest,
        /// Returns an item with the interval of its page; `None` with the whole listing's interval for an item on no
        /// page.
        listed: &'o dyn Fn(&str) -> (Option<V>, Interval),
        /// Number of items in the library afterwards.
        count: u64,
        /// Whether the item counts agree.
        is_whole: bool,
        /// Whether the library may lose any number of items at once.
        may_shrink: bool,
        /// See [`ListingState::cursor`].
        cursor: &'o str,
    },
}

/// What to write in the transaction that folds a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects<V> {
    pub knowledge: Knowledge,
    /// Single rows to write. If the value is the stored one, only the interval changes.
    pub put: Vec<(String, StoredItem<V>)>,
    /// Whether the observed listing replaces the listing and all single rows except those in `put`.
    pub publishes: bool,
    /// Doubts that end, before those in `raise` are added.
    pub end: Vec<Doubt>,
    pub raise: Vec<Doubt>,
}

/// Time after which plexindex asks again about a library that Plex was scanning, or whose item counts disagreed.
pub const PROVISIONAL_MS: i64 = 60_000;
/// Time after a scan during which items can still change.
pub const SETTLING_MS: i64 = 60_000;
/// Assumed number of rows per page of a full listing.
pub const PAGE_ROWS: u64 = 1_000;
/// Maximum clock correction, in either direction, that does not expire listings. Small clock corrections are frequent.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// Time after a listing, per page of the listing, during which deltas can replace a new listing. Large listings are
/// expensive, so they are less frequent.
const LISTING_INTERVAL_PER_PAGE_MS: i64 = 15 * 60_000;

/// Time after the last page during which plexindex can resume an interrupted listing.
const RESUME_MS: i64 = 600_000;

/// How long answers from a listing are not stale, from the host's options.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub(crate) ttl: Ttl,
    pub(crate) max_age_ms: i64,
}

impl Policy {
    /// Creates the policy from the host's options: the TTL and the maximum age.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            ttl: options.library_ttl,
            max_age_ms: i64::try_from(options.max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Returns the TTL in milliseconds. The caller chooses the result for [`Ttl::Zero`] (`zero_ms`) and
    /// [`Ttl::Forever`] (`forever_ms`).
    pub(crate) fn ttl_ms(&self, zero_ms: i64, forever_ms: i64) -> i64 {
        match self.ttl {
            Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            Ttl::Zero => zero_ms,
            Ttl::Forever => forever_ms,
        }
    }
}

/// Returns whether a pause of `pause_ms` that started at `start_ms` is over. Also returns `true` if no pause has
/// started (`None`), or if it started in the future, because the clock was set back.
#[must_use]
pub fn is_pause_over(start_ms: Option<i64>, pause_ms: i64, now_ms: i64) -> bool {
    start_ms.is_none_or(|start_ms| !(0..pause_ms).contains(&now_ms.saturating_sub(start_ms)))
}

/// Returns whether a listing is older than the option `max_age`. Also returns `true` for a listing from the future,
/// because the clock was set back and the age is unknown.
pub fn is_aged(listed_ms: i64, policy: &Policy, now_ms: i64) -> bool {
    !(-CLOCK_TOLERANCE_MS..policy.max_age_ms).contains(&now_ms.saturating_sub(listed_ms))
}

/// Returns the milliseconds since a listing was last known to be current (`checked_ms`), for answers; `None` if that
/// time is in the future, because the clock was set back.
#[must_use]
pub fn age_ms(checked_ms: i64, now_ms: i64) -> Option<i64> {
    let age = now_ms.saturating_sub(checked_ms);
    (age > -CLOCK_TOLERANCE_MS).then(|| age.max(0)) // small clock corrections count as age 0
}

/// Returns whether plexindex can resume an interrupted listing: its last page is recent, and the change token is still
/// the token from the start of the listing. `begun_at`: the library's state then. `probed`: its state now.
#[must_use]
pub fn may_resume(last_page_ms: i64, begun_at: &SourceState, probed: &SourceState, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(last_page_ms)) && begun_at.token == probed.token
}

/// Returns for how many milliseconds after a listing of this many items deltas can replace a new listing.
pub fn listing_interval_ms(items: u64, policy: &Policy) -> i64 {
    let pages = i64::try_from(items / PAGE_ROWS).unwrap_or(i64::MAX).saturating_add(1); // the last may be empty
    pages
        .saturating_mul(LISTING_INTERVAL_PER_PAGE_MS)
        .min(policy.max_age_ms)
}

/// Returns the first word of a change token, which changes only if the library's content changes. The rest of the token
/// can change although nothing has changed, for example after each scan.
fn content_of(token: &str) -> &str {
    token.split_once(' ').map_or(token, |(content, _)| content)
}

/// Returns whether the change token shows changes of the content at all; in some libraries, the value is always 0.
pub fn tells_content(token: &str) -> bool {
    content_of(token) != "0"
}

/// Returns whether a token that is a hint is of an earlier content than another one. The content's number only grows.
pub fn is_older_content(token: &str, than: &str) -> bool {
    let number = |token| content_of(token).parse::<u64>().ok().filter(|number| *number > 0);
    number(token)
        .zip(number(than))
        .is_some_and(|(number, than)| number < than)
}

/// Returns whether a token that is a hint says that the library's content has changed since the listing.
#[must_use]
pub fn has_changed_content(listed_token: &str, probed: &SourceState) -> bool {
    probed.trust == TokenReliability::Hint && content_of(listed_token) != content_of(&probed.token)
}

/// Returns whether items can still change after a request in this state: a scan is running or ended less than a minute
/// ago. Always returns `false` for an exact token, which shows every later change.
#[must_use]
pub fn is_unsettled(state: &SourceState, now_ms: i64) -> bool {
    let since_scan_ms = now_ms.saturating_sub(state.scanned_ms);
    state.trust != TokenReliability::Exact && (state.busy || (0..SETTLING_MS).contains(&since_scan_ms))
}

/// Returns whether items can still change after a sync in this state. `last_token`: the change token of the last sync.
///
/// Where a token tells only the second of a scan, another scan may end in a second that is new. The server's clock does not
/// say how long ago that was, because it can differ from this host's.
#[must_use]
pub fn is_unsettled_since(last_token: Option<&str>, state: &SourceState, now_ms: i64) -> bool {
    let tells_only_scans = state.trust == TokenReliability::Hint && !tells_content(&state.token);
    is_unsettled(state, now_ms) || tells_only_scans && last_token != Some(state.token.as_str())
}

/// Returns whether a listing has lost more than one item and more than 30 % of its items. A second listing must then
/// confirm the loss, because an unmounted disk can empty a listing.
#[must_use]
pub fn shrank_too_much(items_before: u64, items_now: u64) -> bool {
    items_now.saturating_add(1) < items_before && items_now.saturating_mul(10) < items_before.saturating_mul(7)
}

/// Which of two replies the server sent later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Earlier,
    Later,
    /// Unknown, because their intervals overlap.
    Overlap,
}

/// The three rules.
pub trait FreshnessRules {
    /// Rule 1: returns when the server sent `reply`, compared with the `stored` one.
    #[must_use]
    fn order(stored: Interval, reply: Interval) -> Order {
        if reply.asked > stored.came {
            Order::Later
        } else if stored.asked > reply.came {
            Order::Earlier
        } else {
            Order::Overlap
        }
    }

    /// Rule 2: returns whether an observation of the doubt's scope ends the doubt. `shown`: what the observation shows.
    #[must_use]
    fn ends(doubt: &Doubt, shown: &[Need], asked: Ticket) -> bool {
        shown.contains(&doubt.needs()) && asked > doubt.raised
    }

    /// Rule 3: returns whether the token that the server last showed says nothing against the token up to which the
    /// store has all changes. Only the first word of a hint tells of changes.
    #[must_use]
    fn is_equivalent(probed: &SourceState, token: &str) -> bool {
        probed.token == token
            || match probed.trust {
                TokenReliability::Exact => content(&probed.token) == content(token),
                TokenReliability::Hint => !has_changed_content(token, probed),
            }
    }
}

/// Returns a token without [`MAY_MISS_NEXT_WRITE`]: being more certain of the next write changes nothing that was read.
fn content(token: &str) -> &str {
    token.trim_end_matches(MAY_MISS_NEXT_WRITE)
}

/// What rule 1 says about a stored value and a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the reply counts.
    pub is_newer: bool,
    /// Whether neither is known to be newer, and they differ.
    pub is_disputed: bool,
    /// The interval of the value that counts. An equal reply, and one that loses, extend the interval of the stored value:
    /// otherwise, a reply that came before them could replace it.
    pub interval: Interval,
}

impl Verdict {
    /// Compares a stored value with a reply. `is_equal`: whether the values are equal.
    pub fn of<R: FreshnessRules>(stored: Interval, reply: Interval, is_equal: bool) -> Self {
        let order = R::order(stored, reply);
        Self {
            is_newer: order == Order::Later || order == Order::Overlap && reply.asked > stored.asked,
            is_disputed: order == Order::Overlap && !is_equal,
            interval: Interval {
                asked: stored.asked.max(reply.asked),
                came: stored.came.max(reply.came),
            },
        }
    }
}

/// The rules as they are.
pub struct StandardRules;

impl FreshnessRules for StandardRules {}
