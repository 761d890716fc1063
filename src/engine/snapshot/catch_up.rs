//! Reading: one moment of the store in memory, and how it is kept up to date.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::data::{AddedItems, Snapshot};
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::compaction::{FolderLimit, ListingSegments};
use crate::engine::memtable::MemtableChange;
use crate::engine::records::{OpenSegments, Records};
use crate::engine::segment::{ListingSegment, SegmentsLost};
use crate::engine::sql::{
    Endpoint, Incarnation, LibraryRow, LoggedChange, LoggedKind, NEVER_FORGOTTEN, SameUser, Store, USE_NOTED_MS,
};
use crate::engine::view::LibraryView;
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::Token;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::fork::{Alone, Release, hold};
use crate::platform::mutex::{lock, try_lock};
use crate::platform::swap::{Guard, Swap};
use crate::source::{self, Kind, Next, Session, Tokens, View, Viewer};
use crate::stats::{Counters, Spent};

/// How many matches of one write are added to the snapshot as they are; more are compacted at once, and read anew.
const APPLIED: usize = 1024;

/// What one handle has read of a store. Fast lookups begin here: it is one pointer away from a library's handle.
pub struct Reading {
    kind: &'static Kind,
    pub(super) store: Arc<Store>,
    pub(super) images: Arc<ListingSegments>,
    pub(super) records: Arc<Records>,
    pub limit: FolderLimit,
    pub(super) mappings: Mappings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    /// Where this index asks, and as whom.
    view: Option<View>,
    /// The same while what is asked first is put aside.
    view_aside: Option<View>,
    pub tokens: Arc<Tokens>,
    /// Whether it was opened offline: then no call can have the token accepted.
    is_offline: bool,
    is_aside: AtomicBool,
    /// What it depends on whether it is, in words, by a look from outside.
    premise: Option<Box<dyn Fn() -> Option<String> + Send + Sync>>,
    /// What the store knows of that was asked for.
    is_premise_recalled: AtomicBool,
    /// It was put aside by that, and the source has not heard of it.
    is_aside_recalled: AtomicBool,
    pub(super) snapshot: Swap<Snapshot>,
    /// Held by the thread that makes images anew: the others find them made.
    rebuilding: Mutex<()>,
    /// Held by the thread that brings the snapshot up to date.
    catching_up: Mutex<()>,
    /// When it was last noted that the identity is used, Unix ms.
    pub(super) use_noted: AtomicI64,
    /// Libraries that calls under way ask for.
    pub(super) wanted: Mutex<Vec<LibraryId>>,
}

/// Segments of a snapshot that are missing or damaged.
struct LostSegments {
    identity: Option<IdentityId>,
    listings: Vec<LibraryRow>,
    /// The segments of what hosts recorded.
    segments: Option<Arc<OpenSegments>>,
}

impl Reading {
    #[allow(clippy::too_many_arguments)] // the rooms below it
    pub fn new(
        store: Arc<Store>,
        images: Arc<ListingSegments>,
        records: Arc<Records>,
        mappings: Mappings,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        kind: &'static Kind,
        tokens: Arc<Tokens>,
        options: &Options,
    ) -> Self {
        Self {
            kind,
            limit: FolderLimit::new(Arc::clone(&store), Arc::clone(&clock), options.size_limit),
            store,
            images,
            records,
            mappings,
            clock,
            counters,
            view: source::view(options),
            view_aside: source::view_aside(options),
            tokens,
            is_offline: options.offline,
            is_aside: AtomicBool::new(false),
            premise: source::premise(options),
            is_premise_recalled: AtomicBool::new(false),
            is_aside_recalled: AtomicBool::new(false),
            snapshot: Swap::new(Snapshot::default()),
            rebuilding: Mutex::new(()),
            catching_up: Mutex::new(()),
            use_noted: AtomicI64::new(0),
            wanted: Mutex::default(),
        }
    }

    /// What kind of source the items are of: how their keys look.
    #[inline]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its locks, held through a fork, in the order in which calls take them.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn Release>; 4] {
        [
            Box::new(hold(self, |all| &all.rebuilding)),
            Box::new(hold(self, |all| &all.catching_up)),
            Box::new(hold(self, |all| &all.wanted)),
            Box::new(hold(self, |all| &all.tokens.0)),
        ]
    }

    /// In the child of a fork.
    pub fn after_fork(&self, alone: &Alone) {
        self.snapshot.reset_after_fork(alone);
        self.limit.after_fork();
        // The calls of the parent's other threads go on there only.
        if let Some(mut wanted) = try_lock(&self.wanted) {
            wanted.clear();
        }
    }

    /// Whether images that could not be written are to be tried again.
    pub fn segments_are_due(&self) -> bool {
        self.images.are_due() || self.records.are_due()
    }

    /// What was read last.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// Whose view of which server that is.
    pub fn identity(&self) -> Option<IdentityId> {
        self.snapshot.read().identity
    }

    /// The rules between the host's paths and the server's.
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Where this index asks, and as whom. The store knows users by a secret of its database, which may be made anew.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint_of(&self.tokens.current(), self.is_aside.load(Ordering::Acquire))
    }

    /// The same with the token of one call, and whether it found that what is asked first is put aside.
    pub fn endpoint_of(&self, session: &Session, is_aside: bool) -> Option<Endpoint> {
        self.view_of(is_aside).map(|View { place, viewer }| Endpoint {
            url: place.clone(),
            until_ms: match (viewer, &session.claims) {
                (Viewer::Holder, Some(claims)) => claims.expires_ms,
                _ => 0,
            },
            given_ms: session.given_ms(|| self.clock.now_ms()),
            who: match (viewer, &session.token) {
                // One byte more than a token's: what was confirmed for a named user is never inherited.
                (Viewer::Named(user), _) => [self.store.fingerprint(&format!("user {user}")), vec![0]].concat(),
                (Viewer::Holder, Some(token)) => self.store.fingerprint(token.reveal()),
                // Three bytes more: it is nobody at this URL, where a server may be reached under several.
                (Viewer::Holder, None) => [self.store.fingerprint(&format!("nobody at {place}")), vec![0; 3]].concat(),
                // Two bytes more: no token inherits from it, nor does it from one.
                (Viewer::Reader, _) => [self.store.fingerprint("the server's own files"), vec![0, 0]].concat(),
            },
        })
    }

    /// Whose token that of a call claims to be: nothing is answered by it before the server accepted the token.
    pub fn same_user(&self, session: &Session, is_aside: bool) -> Option<SameUser> {
        let is_by_token = self.view_of(is_aside).is_some_and(|view| view.viewer == Viewer::Holder);
        let claims = session.claims.as_ref().filter(|_| is_by_token)?;
        let user = claims.user.as_ref()?;
        Some(self.store.keyed(format!("same {user}").as_bytes()))
    }

    /// Whether what the store holds may be this token's, and the server has not accepted it. A user who is named waits for
    /// nothing, nor does one without a token.
    pub fn awaits_acceptance(&self) -> Result<bool> {
        if self.identity().is_some() {
            return Ok(false);
        }
        let is_aside = self.is_aside.load(Ordering::Acquire);
        let is_shown = self.view_of(is_aside).is_some_and(|view| view.viewer == Viewer::Holder);
        let session = self.tokens.current();
        let is_by_token = is_shown && session.token.is_some();
        match self.endpoint_of(&session, is_aside).filter(|_| is_by_token) {
            Some(endpoint) => self.store.has_led(&endpoint),
            None => Ok(false),
        }
    }

    /// Refuses what needs to know whose view this is, while the server has not accepted the token.
    pub fn check_accepted(&self) -> Result<()> {
        if self.awaits_acceptance()? {
            let remedy = if self.is_offline {
                "open it once without the offline flag"
            } else {
                "ask it first (refresh)"
            };
            let why = format!("the server has not accepted the token yet: {remedy}");
            return Err(Error::new(Status::LibraryNotFound, why));
        }
        Ok(())
    }

    /// Whose view of the server this token opened, also when it was replaced since; `None` while no server accepted it.
    pub fn identity_of(&self, session: &Session) -> Result<Option<IdentityId>> {
        match self.endpoint_of(session, self.is_aside.load(Ordering::Acquire)) {
            Some(endpoint) => self.store.identity(&endpoint),
            None => Ok(None),
        }
    }

    fn view_of(&self, is_aside: bool) -> Option<&View> {
        let view = if is_aside { &self.view_aside } else { &self.view };
        view.as_ref()
    }

    /// Replaces the token. Where it says whose view this is, nothing of the earlier one is answered from now on. Gives whether
    /// it is another token.
    pub fn set_token(&self, token: Option<Token>, next_is: Next) -> Result<bool> {
        let _catching_up = lock(&self.catching_up);
        if self.tokens.current().token == token {
            return Ok(false);
        }
        let is_shown = |view: &Option<View>| view.as_ref().is_some_and(|view| view.viewer == Viewer::Holder);
        let same_view = !is_shown(&self.view) && !is_shown(&self.view_aside);
        if !same_view {
            // Before the token: a call that begins with the new one finds nothing that the old one was shown.
            let empty = Snapshot {
                number: self.snapshot.read().number + 1,
                ..Snapshot::default()
            };
            self.snapshot.replace(empty);
        }
        self.tokens.replace(token, next_is, same_view);
        if !same_view {
            self.use_noted.store(0, Ordering::Relaxed);
            self.reload_locked()?;
        }
        Ok(true)
    }

    /// Notes whether what is asked first is put aside: then it is another view.
    pub fn set_aside(&self, is_aside: bool) {
        self.is_premise_recalled.store(true, Ordering::Relaxed);
        self.is_aside_recalled.store(false, Ordering::Release);
        if self.view_aside.is_some() && self.is_aside.swap(is_aside, Ordering::AcqRel) != is_aside {
            self.snapshot.read().outdated.store(true, Ordering::Release);
        }
    }

    /// Where the store knows that what is asked first is put aside, it is from the beginning: without a trip, and offline.
    pub(super) fn recall_premise(&self) -> Result<()> {
        let Some(premise) = &self.premise else { return Ok(()) };
        if self.is_premise_recalled.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(words) = premise()
            && self.store.last_premise(xxh3_64(words.as_bytes()))? == Some(false)
        {
            self.is_aside.store(true, Ordering::Release);
            self.is_aside_recalled.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether what is asked first was put aside by what the store knew: told once.
    pub fn take_recalled(&self) -> bool {
        self.is_aside_recalled.load(Ordering::Acquire) && self.is_aside_recalled.swap(false, Ordering::AcqRel)
    }

    /// Brings the snapshot up to date, waiting for another thread that is at it.
    pub fn catch_up(&self) -> Result<()> {
        let now_ms = self.clock.now_ms();
        self.note_use(now_ms);
        self.note_asked(false, now_ms);
        self.read_on()
    }

    /// [`Reading::catch_up`] for what notes itself what is used and asked for.
    pub fn read_on(&self) -> Result<()> {
        if self.is_current() && !self.snapshot.read().outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let _catching_up = lock(&self.catching_up);
        self.catch_up_locked(true)?;
        self.store.find_page();
        Ok(())
    }

    /// Adds matches that this thread has just recorded to the snapshot, where nothing else was committed since: what is
    /// known need not be read from the database. Where anything differs it does nothing, and catching up does it.
    pub fn apply_recorded(
        &self,
        identity: IdentityId,
        library: LibraryId,
        (incarnation, sequence): (Incarnation, Sequence),
        pairs: &[(&[u8], &str)],
    ) -> Result<()> {
        let _catching_up = lock(&self.catching_up);
        let snapshot = self.snapshot.read();
        // Of another incarnation the same number says something else.
        let follows = snapshot.identity == Some(identity)
            && snapshot.open.incarnation == incarnation
            && self.store.incarnation() == incarnation
            && snapshot.sequence().next() == sequence
            && !snapshot.outdated.load(Ordering::Acquire);
        if !follows || pairs.len() > APPLIED {
            return Ok(());
        }
        for (path, rating_key) in pairs {
            let change = LoggedChange {
                library,
                kind: LoggedKind::Matched,
                path: path.to_vec(),
                rating_key: (*rating_key).to_owned(),
                sequence,
            };
            if !self.apply(&snapshot, &change)? {
                return Ok(()); // no room: what was added is added once more, which changes nothing
            }
        }
        snapshot.sequence.store(sequence.0, Ordering::Release);
        Ok(())
    }

    /// Notes that the identity is used: one that is not used for a month is forgotten, and with `library_ttl` 'never' the
    /// server is not asked either. A load; once a day for a store a write that waits for no other, and `true` then.
    pub fn note_use(&self, now: i64) -> bool {
        let last = self.use_noted.load(Ordering::Relaxed);
        if last == NEVER_FORGOTTEN || (0..USE_NOTED_MS).contains(&now.saturating_sub(last)) {
            return false;
        }
        let Some(identity) = self.snapshot.read().identity else {
            return false;
        };
        self.use_noted.store(now, Ordering::Relaxed);
        match self.store.note_use(identity, now) {
            Ok(true) => {}
            Ok(false) => self.use_noted.store(last, Ordering::Relaxed),
            // Tried again with the next call: an answer does not need it.
            Err(error) => log::debug!("that the store is used could not be noted: {error}"),
        }
        true
    }

    /// Reads what was committed since the snapshot. `patient` unset: gives up (`false`) where it would have to wait.
    /// The caller holds `catching_up`.
    fn catch_up_locked(&self, patient: bool) -> Result<bool> {
        let snapshot = self.snapshot.read();
        let (since, incarnation) = (snapshot.sequence(), snapshot.open.incarnation);
        let Some(changes) = self.store.changes(snapshot.identity, since, incarnation, patient) else {
            return Ok(false);
        };
        let (sequence, changes) = changes?;
        // Rows of libraries changed: who can wait reads all of it anew, single items too.
        let anew =
            |changes: &Vec<LoggedChange>| patient && changes.iter().any(|change| change.kind == LoggedKind::Freshness);
        if let Some(changes) = changes.filter(|changes| !anew(changes)) {
            let mut applied = true;
            let came = if patient {
                self.came(&snapshot, &changes, None)?
            } else {
                HashMap::new() // items are read from the store: a fast lookup does not wait for that
            };
            for change in &changes {
                if change.kind == LoggedKind::Freshness {
                    snapshot.outdated.store(true, Ordering::Release);
                    continue;
                }
                applied = applied
                    && (patient || change.kind != LoggedKind::Added)
                    && self.apply_with(&snapshot, change, &came)?;
            }
            applied = applied && !(patient && snapshot.outdated.load(Ordering::Acquire));
            if applied {
                snapshot.sequence.store(sequence.0, Ordering::Release);
                return Ok(true);
            }
        }
        drop(snapshot);
        if !patient {
            return Ok(false); // reading everything may take milliseconds
        }
        self.reload_locked()?;
        Ok(true)
    }

    /// Reads the whole state anew.
    pub fn reload(&self) -> Result<()> {
        let _catching_up = lock(&self.catching_up);
        self.reload_locked()
    }

    fn reload_locked(&self) -> Result<()> {
        for attempt in 0.. {
            let begun = Instant::now();
            let (snapshot, full) = self.load()?;
            self.counters.spent(Spent::ListingSegment, begun.elapsed());
            self.counters.spent(Spent::Away, begun.elapsed());
            let identity = snapshot.identity;
            self.snapshot.replace(snapshot);
            let (Some(identity), false, true) = (identity, full.is_empty(), attempt < 2) else {
                break;
            };
            // More changed than a memtable holds: put it into segments and images, then read again.
            let open = Arc::clone(&self.snapshot.read().open);
            self.records.rebuild(&open)?;
            for row in full {
                self.images.make_anew(identity, &row)?;
                if attempt > 0 {
                    self.store.invalidate_all_paths(identity, row.id)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the images anew that the snapshot could not open.
    pub fn rebuild_lost(&self) -> Result<()> {
        if self.snapshot.read().incomplete {
            self.rebuild_broken()
        } else {
            Ok(())
        }
    }

    /// How many matches are confirmed, in what was read last.
    pub fn count_matches(&self) -> Result<u64> {
        self.rebuild_lost()?;
        let counted = |snapshot: &Snapshot| -> std::result::Result<u64, SegmentsLost> {
            snapshot.views.iter().map(|view| view.recorded_count()).sum()
        };
        let count = counted(&self.snapshot.read());
        if let Ok(count) = count {
            return Ok(count);
        }
        self.rebuild_broken()?;
        Ok(counted(&self.snapshot.read()).unwrap_or(0))
    }

    /// Makes the images anew that are missing or damaged.
    pub fn rebuild_broken(&self) -> Result<()> {
        // What another thread has made meanwhile is not lost any more.
        let _making = lock(&self.rebuilding);
        self.images.prune(&self.snapshot.read().rows);
        let LostSegments {
            identity,
            listings,
            segments,
        } = self.lost();
        let Some(identity) = identity.filter(|_| !listings.is_empty() || segments.is_some()) else {
            if self.images.are_due() {
                self.images.tried();
            }
            return Ok(());
        };
        if let Some(open) = segments {
            self.records.rebuild(&open)?;
        }
        for row in &listings {
            self.images.remake(identity, row)?;
        }
        self.images.tried();
        self.reload()
    }

    /// What is missing or damaged in the snapshot, or may be tried again.
    fn lost(&self) -> LostSegments {
        let snapshot = self.snapshot.read();
        let again = self.images.are_due();
        let bad = |image: Option<&Arc<ListingSegment>>, wanted: bool| {
            image.map_or(wanted, |image| {
                image.is_broken() || again && self.images.stands_in(image)
            })
        };
        let views = snapshot.rows.iter().zip(&snapshot.views);
        let is_lost =
            |(row, view): &(&LibraryRow, &Arc<LibraryView>)| bad(view.image.as_ref(), row.generation.is_fetched());
        LostSegments {
            identity: snapshot.identity,
            listings: views.filter(is_lost).map(|(row, _)| row.clone()).collect(),
            segments: (snapshot.open.are_lost() || self.records.are_due()).then(|| Arc::clone(&snapshot.open)),
        }
    }

    /// Adds a change to the snapshot in place; `false` when the snapshot has to be made anew instead.
    fn apply(&self, snapshot: &Snapshot, change: &LoggedChange) -> Result<bool> {
        self.apply_with(snapshot, change, &HashMap::new())
    }

    /// The same with items that came.
    pub(super) fn apply_with(&self, snapshot: &Snapshot, change: &LoggedChange, came: &AddedItems<'_>) -> Result<bool> {
        let Some(place) = snapshot.rows.iter().position(|row| row.id == change.library) else {
            return Ok(!matches!(change.kind, LoggedKind::Library | LoggedKind::Freshness)); // of a library that is not in the snapshot
        };
        let (path, rating_key) = (change.path.clone(), change.rating_key.clone());
        let overlaid = match change.kind {
            LoggedKind::Library | LoggedKind::Freshness => return Ok(false),
            LoggedKind::Listed => return Ok(true), // told of as a change of libraries too
            LoggedKind::Matched => MemtableChange::Matched {
                path,
                rating_key,
                sequence: change.sequence.0,
            },
            LoggedKind::Forgotten => MemtableChange::Forgotten { path },
            LoggedKind::UnverifiedPath => MemtableChange::UnverifiedPath { path },
            LoggedKind::UnverifiedItem => MemtableChange::UnverifiedItem { rating_key },
            LoggedKind::VerifiedPath => MemtableChange::VerifiedPath { path },
            LoggedKind::VerifiedItem => MemtableChange::VerifiedItem { rating_key },
            LoggedKind::Removed => MemtableChange::Removed { rating_key },
            LoggedKind::Added => {
                let row = &snapshot.rows[place];
                let item = match came.get(&(row.id, rating_key.as_str())) {
                    Some(item) => item.clone(),
                    None => self.store.item(row.id, row.generation, &rating_key)?.map(Arc::new),
                };
                let sequence = change.sequence.0;
                item.map_or(MemtableChange::Removed { rating_key }, |item| MemtableChange::Added {
                    item,
                    sequence,
                })
            }
        };
        Ok(snapshot.views[place].memtable.push(overlaid, &self.mappings).is_ok())
    }

    /// Whether the snapshot shows all that was committed and nothing is due that a call does besides: noting that the store
    /// is used, keeping the folder within its limit.
    pub fn is_settled(&self, snapshot: &Snapshot, now_ms: i64) -> bool {
        let noted = self.use_noted.load(Ordering::Relaxed);
        (0..USE_NOTED_MS).contains(&now_ms.saturating_sub(noted))
            && !self.limit_is_due(now_ms)
            && self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence())
            && !snapshot.outdated.load(Ordering::Acquire)
    }

    /// Whether the snapshot shows all that was committed, for the price of some loads.
    fn is_current(&self) -> bool {
        let snapshot = self.snapshot.read();
        self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence())
    }

    /// A current snapshot that lacks no image: without that of the matches, the listing might say something else.
    #[inline]
    pub(super) fn whole(&self) -> Option<Guard<'_, Snapshot>> {
        self.current().filter(|snapshot| !snapshot.incomplete)
    }

    /// A snapshot that shows all that was committed; `None` when it would have to be waited for.
    #[inline]
    fn current(&self) -> Option<Guard<'_, Snapshot>> {
        let snapshot = self.snapshot.read();
        if self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence()) {
            return Some(snapshot);
        }
        drop(snapshot);
        self.try_catch_up().then(|| self.snapshot.read())
    }

    /// Brings the snapshot up to date. Waits for another thread that is at it, or is reading, but only for a moment.
    fn try_catch_up(&self) -> bool {
        let Some(_catching_up) = self.store.short.lock(&self.catching_up) else {
            return false;
        };
        self.is_current() || matches!(self.catch_up_locked(false), Ok(true))
    }
}
