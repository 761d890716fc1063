//! One handle's access to its user's data: its snapshot, token and size limit, the server and user whose data it reads,
//! fast lookups, and reads of stored items. Invalidates paths, items and libraries, without a deadline, because a wrong answer
//! is worse than a delay. Sends no request.

use std::ops::Deref;
use std::panic::RefUnwindSafe;
use std::sync::{Arc, Mutex};

use crate::engine::{
    ClaimedUserHash, Endpoint, FolderLimit, Invalidated, LibraryRow, LibraryRows, ListedItems, ListingSegments,
    LiveSnapshot, MAX_QUESTIONS, Selection, Selector, Snapshot, Store,
};
use crate::error::{Error, Result, Status, invalid_argument_error, truncate_for_message};
use crate::knowledge::Cause;
use crate::matching::{FoldBuffers, LibraryIndex, MAX_BATCH, MAX_PATH, Mappings, Resolver, Scope};
use crate::model::{Item, LibraryId, MatchKind, Token, ViewId};
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, SingleThreadProof, lock, lock_for_fork, try_lock};
use crate::source::{self, Session, SourceKind, TokenOwner, Tokens, View, Viewer};
use crate::stats::Counters;

/// The state from which one handle reads: the snapshot, the user, and the folder's size limit.
pub struct IndexReader {
    /// The constants of the kind of source (HTTP or a database), such as which strings are valid rating keys.
    pub kind: &'static SourceKind,
    live: LiveSnapshot,
    pub limit: FolderLimit,
    pub clock: Arc<dyn Clock>,
    pub viewpoint: Arc<EndpointResolver>,
    pub tokens: Arc<Tokens>,
    /// What the host must change before this handle can send requests. `None` if the handle can.
    pub offline_remedy: Option<&'static str>,
    /// Libraries that running calls use, and that this process therefore does not evict. A library occurs once per
    /// [`EvictionPin`].
    pinned: Mutex<Vec<LibraryId>>,
}

// After a panic, the last snapshot is still complete, because snapshots are replaced only as a whole.
impl RefUnwindSafe for IndexReader {}

impl Deref for IndexReader {
    type Target = LiveSnapshot;

    /// Returns the snapshot, so that callers can use its methods directly.
    #[inline]
    fn deref(&self) -> &LiveSnapshot {
        &self.live
    }
}

impl IndexReader {
    /// Creates the component from its dependencies. Call [`LiveSnapshot::reload`] before the first read.
    #[allow(clippy::too_many_arguments)] // one argument per component
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        mappings: Mappings,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        kind: &'static SourceKind,
        tokens: Arc<Tokens>,
        options: &Options,
    ) -> Self {
        let limit = FolderLimit::new(Arc::clone(&store), Arc::clone(&clock), options.size_limit);
        let viewpoint = Arc::new(EndpointResolver::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&tokens),
            options,
        ));
        let endpoint = {
            let viewpoint = Arc::clone(&viewpoint);
            Box::new(move || viewpoint.endpoint())
        };
        let live = LiveSnapshot::new(store, listings, mappings, counters, endpoint);
        Self {
            kind,
            live,
            limit,
            clock,
            viewpoint,
            tokens,
            offline_remedy: match (
                options.offline,
                options.server_url.is_none() && options.database.is_none(),
            ) {
                (false, false) => None,
                (true, false) => Some("open the index without the offline flag"),
                (false, true) => Some("set server_url and token, or database"),
                (true, true) => Some("set server_url and token, or database, and remove the offline flag"),
            },
            pinned: Mutex::default(),
        }
    }

    /// Takes all locks for a fork, in the order in which calls take them. Dropping the returned values releases the
    /// locks.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn ForkLock>; 4] {
        [
            Box::new(lock_for_fork(self, |reading| &reading.live.rebuilding)),
            Box::new(lock_for_fork(self, |reading| &reading.live.snapshot.catching_up)),
            Box::new(lock_for_fork(self, |reading| &reading.pinned)),
            Box::new(lock_for_fork(self, |reading| &reading.tokens.0)),
        ]
    }

    /// In the child after a fork, discards the state of the parent's other threads.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.live.snapshot.after_fork(alone);
        self.limit.after_fork();
        // In the child, no other calls are running.
        if let Some(mut pinned) = try_lock(&self.pinned) {
            pinned.clear();
        }
    }

    /// Returns whether the store may contain data for this token's user, but the server has not accepted the token yet.
    /// Returns `false` if the view does not depend on the token, or if there is no token.
    pub fn awaits_acceptance(&self) -> Result<bool> {
        if self.view_id().is_some() {
            return Ok(false); // the token already has a view
        }
        let session = self.tokens.current();
        let is_by_token = self.viewpoint.depends_on_token() && session.token.is_some();
        match self.viewpoint.endpoint_of(&session).filter(|_| is_by_token) {
            Some(endpoint) => LibraryRows(&self.store).has_led_to_libraries(&endpoint),
            None => Ok(false),
        }
    }

    /// Fails if the server has not accepted the token yet, because the stored data may belong to a different user.
    /// Until then, plexindex must not return the data.
    pub fn check_accepted(&self) -> Result<()> {
        if self.awaits_acceptance()? {
            let remedy = self.offline_remedy.unwrap_or("ask the server first (refresh)");
            let text = format!("the server has not accepted the token yet: {remedy}");
            return Err(Error::new(Status::NotFetched, text));
        }
        Ok(())
    }

    /// If `error` asks the caller for a refresh, but the server has rejected the token, replaces the error, because the
    /// refresh would fail. Returns all other errors unchanged.
    pub fn explain_rejected_token(&self, error: Error) -> Error {
        if error.status == Status::NotFetched && self.tokens.current().is_rejected() {
            let text = "the store is empty, and the server rejected the token as invalid or expired: set a new token";
            return Error::new(Status::Unauthorized, text);
        }
        error
    }

    /// Replaces the token. If the view depends on the token, later lookups no longer use the old view. Returns whether
    /// the token has changed. `owner`: whether the host knows that the token belongs to the same user.
    pub fn set_token(&self, token: Option<Token>, owner: TokenOwner) -> Result<bool> {
        let _catching_up = self.live.snapshot.lock();
        if self.tokens.current().token == token {
            return Ok(false);
        }
        let same_view = !self.viewpoint.depends_on_token();
        let replace = || self.tokens.replace(token, owner, same_view);
        if same_view {
            replace();
        } else {
            self.live.change_endpoint(replace)?;
        }
        Ok(true)
    }
}

/// The libraries that a call uses (pinned libraries). This process does not evict them until the call returns.
pub struct EvictionPin<'r> {
    reading: &'r IndexReader,
    libraries: Vec<LibraryId>,
}

impl EvictionPin<'_> {
    /// Pins a library, so that this process does not evict it.
    pub fn pin(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.pinned).push(library);
        }
    }
}

impl Drop for EvictionPin<'_> {
    /// Unpins the libraries. This process can then evict them, unless other calls use them.
    fn drop(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut pinned = lock(&self.reading.pinned);
        for library in &self.libraries {
            if let Some(index) = pinned.iter().position(|id| id == library) {
                pinned.swap_remove(index);
            }
        }
    }
}

impl IndexReader {
    /// Creates a pin without libraries, for a call that starts.
    pub fn eviction_pin(&self) -> EvictionPin<'_> {
        EvictionPin {
            reading: self,
            libraries: Vec::new(),
        }
    }

    /// Evicts libraries that no running call uses, until the folder is within its size limit, or until the deadline.
    pub fn keep_within_limit(&self, deadline: Deadline) {
        self.limit
            .enforce(deadline, &|library| lock(&self.pinned).contains(&library));
    }

    /// Returns whether plexindex evicted the library because of the size limit. Evicted libraries have a negative
    /// generation.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        // A listing whose segment was lost also has a negative generation, but is due.
        self.limit.bytes.is_some() && row.generation.is_lost() && !row.has_doubt(Cause::Invalidated)
    }
}

/// Determines the server, and the user whose data a handle reads.
pub struct EndpointResolver {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    tokens: Arc<Tokens>,
    /// The server and the kind of user; `None` without a source.
    view: Option<View>,
}

impl EndpointResolver {
    /// Creates the resolver. The options contain the source and, if the host specifies the user, the user's name.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, tokens: Arc<Tokens>, options: &Options) -> Self {
        Self {
            store,
            clock,
            tokens,
            view: source::view(options),
        }
    }

    /// Returns the endpoint for the current token: the URL, the hash of the user, and the times of the token's expiry
    /// (`until_ms`) and first use (`first_used_ms`); `None` without a source. The database contains the key for the
    /// hash.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint_of(&self.tokens.current())
    }

    /// Returns the URL and the user's hash for the token of any session, current or not; `None` without a source.
    pub fn endpoint_of(&self, session: &Session) -> Option<Endpoint> {
        self.view.as_ref().map(
            |View {
                 location: place,
                 viewer,
             }| Endpoint {
                url: place.clone(),
                until_ms: match (viewer, &session.claims) {
                    // The endpoint expires with the token only if the token determines the user.
                    (Viewer::TokenHolder, Some(claims)) => claims.expires_ms,
                    _ => 0,
                },
                first_used_ms: session.first_used_ms(|| self.clock.now_ms()),
                // The hash has 32 bytes. Append one zero byte for a named user, two for a reader of the server's files,
                // and three for a user without a token, so that users of different kinds never share matches.
                user_hash: match (viewer, &session.token) {
                    (Viewer::Named(user), _) => {
                        [self.store.key().fingerprint(&format!("user {user}")), vec![0]].concat()
                    }
                    (Viewer::TokenHolder, Some(token)) => self.store.key().fingerprint(token.reveal()),
                    // Without a token, each URL has a separate user.
                    (Viewer::TokenHolder, None) => {
                        [self.store.key().fingerprint(&format!("nobody at {place}")), vec![0; 3]].concat()
                    }
                    (Viewer::DatabaseReader, _) => {
                        [self.store.key().fingerprint("the server's own files"), vec![0, 0]].concat()
                    }
                },
            },
        )
    }

    /// Returns a hash of the user that the token names in its claims; `None` if the token names no user, or if the view
    /// does not depend on the token. With the hash, a new token for the same user finds the stored view. The claim
    /// grants no access until the server has accepted the token.
    pub fn claimed_user_hash(&self, session: &Session) -> Option<ClaimedUserHash> {
        let claims = session.claims.as_ref().filter(|_| self.depends_on_token())?;
        let user = claims.user.as_ref()?;
        Some(self.store.key().keyed(format!("same {user}").as_bytes()))
    }

    /// Returns the id of the view for a session's token, which may no longer be the current token; `None` if no server
    /// has accepted the token yet.
    pub fn view_of(&self, session: &Session) -> Result<Option<ViewId>> {
        match self.endpoint_of(session) {
            Some(endpoint) => LibraryRows(&self.store).view_id(&endpoint),
            None => Ok(None),
        }
    }

    /// Returns an identifier of the user that is the same on all hosts, because hosts share entries only within one
    /// user's view; `None` without a server. `hash`: hashes a string with the key that all hosts share, so that the
    /// shared database does not contain the token or the user in its claims.
    pub fn shared_user_id(&self, session: &Session, hash: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
        Some(match &self.view.as_ref()?.viewer {
            Viewer::Named(user) => [b"user ", user.as_bytes()].concat(),
            Viewer::TokenHolder => match (
                session.claims.as_ref().and_then(|claims| claims.user.as_ref()),
                &session.token,
            ) {
                // The claim can be trusted, because the server has accepted the token. The prefix keeps users apart
                // from tokens.
                (Some(user), _) => hash(&format!("same {user}")),
                (None, Some(token)) => hash(token.reveal()),
                (None, None) => b"nobody".to_vec(),
            },
            Viewer::DatabaseReader => return None,
        })
    }

    /// Returns the server's URL, or the path of its database; empty without a source.
    pub fn source_address(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.location)
    }

    /// Returns whether the view depends on the token, because the token determines the user.
    pub fn depends_on_token(&self) -> bool {
        self.view
            .as_ref()
            .is_some_and(|view| view.viewer == Viewer::TokenHolder)
    }
}

impl IndexReader {
    /// Returns the error for a library that the snapshot does not have; `None`: for an index without libraries. `is_asked`:
    /// whether the call was allowed to ask the server. Otherwise, if the store has no library at all, the message asks for
    /// a fetch. If not, the message names the existing libraries.
    pub fn missing_library_error(&self, library: Option<&Selection>, snapshot: &Snapshot, is_asked: bool) -> Error {
        let Some(library) = library.filter(|_| is_asked || !snapshot.rows.is_empty()) else {
            return self.never_fetched_error(library);
        };
        if let Err(not_accepted) = self.check_accepted() {
            return not_accepted;
        }
        let names: Vec<String> = snapshot
            .rows
            .iter()
            .map(|row| format!("'{}' (section {})", row.library.title, row.library.section))
            .collect();
        let existing = if names.is_empty() {
            format!("it has no libraries; {}", self.kind.empty_hint)
        } else {
            format!("it has {}", names.join(", "))
        };
        Error::new(
            Status::LibraryNotFound,
            format!(
                "{} has no library '{}': {existing}",
                self.kind.noun,
                truncate_for_message(library.selector().name().as_bytes())
            ),
        )
    }

    /// Returns the error for a library that was never fetched, in a call that must not send requests. `library`: the
    /// library that the call selects.
    pub fn never_fetched_error(&self, library: Option<&Selection>) -> Error {
        if let Err(not_accepted) = self.check_accepted() {
            return not_accepted;
        }
        let problem = match library.map(Selection::selector) {
            None | Some(Selector::All) => "no library was fetched yet".to_owned(),
            Some(selector) => format!(
                "library '{}' was never fetched",
                truncate_for_message(selector.name().as_bytes())
            ),
        };
        let remedy = self.offline_remedy.unwrap_or("fetch it first (refresh)");
        Error::new(Status::NotFetched, format!("{problem}: {remedy}"))
    }

    /// Returns the selected libraries. Fails if plexindex has fetched none of them, because an item that is not stored
    /// may exist on the server.
    pub fn fetched_scope(&self, library: &Selection, snapshot: &Snapshot) -> Result<Scope> {
        let is_fetched = |row: &LibraryRow| row.generation.is_fetched();
        match library.resolve(snapshot)? {
            Some(scope) if snapshot.rows_in(scope).iter().any(is_fetched) => Ok(scope),
            Some(_) => Err(self.never_fetched_error(Some(library))),
            None => Err(self.missing_library_error(Some(library), snapshot, false)),
        }
    }
}

impl IndexReader {
    /// Finds the item with this path, and returns the result of `use_key` for its rating key; `None` if the snapshot
    /// has no item for the path with high confidence.
    ///
    /// Two memory loads show whether the snapshot is current. If it is not, this call first reads the new changes. Asks the
    /// database what hosts recorded for the path, unless the process knows.
    pub fn lookup_key<R>(&self, library: &Selection, path: &[u8], use_key: impl FnOnce(&str) -> R) -> Option<R> {
        if path.is_empty() || path.len() > MAX_PATH {
            return None;
        }
        let mut use_key = Some(use_key);
        for _ in 0..MAX_QUESTIONS {
            let Some(snapshot) = self.try_current() else { break };
            let Ok(Some(scope)) = library.resolve(&snapshot) else {
                break;
            };
            let sequence = snapshot.sequence();
            match self.ask_matches(&snapshot, scope, path, None) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => break,
            }
            let hit = Resolver::new(&snapshot.libraries, scope, &self.mappings).fast_lookup(path);
            if snapshot.has_matches_after(sequence, scope) {
                continue;
            }
            let Some((rating_key, match_kind)) = hit else { break };
            self.counters.count_lookups(match_kind, 1);
            return use_key.take().map(|use_key| use_key(rating_key));
        }
        self.counters.lookup_misses.add(1);
        None
    }

    /// Looks up many paths in memory. Calls `each` once per path, in order, with the rating key, or with `None` for a
    /// miss. This method is faster than single calls, because the processor loads memory for a group of paths in
    /// parallel.
    pub fn lookup_keys<'p>(
        &self,
        library: &Selection,
        paths: impl Iterator<Item = &'p [u8]>,
        mut each: impl FnMut(Option<&str>),
    ) {
        let mut paths = paths.peekable();
        let mut buffers = FoldBuffers::default();
        while paths.peek().is_some() {
            let mut group: [&[u8]; MAX_BATCH] = [b""; MAX_BATCH];
            let mut count = 0;
            for (slot, path) in group.iter_mut().zip(&mut paths) {
                // An empty path is always a miss.
                *slot = if path.len() > MAX_PATH { b"" } else { path };
                count += 1;
            }
            let group = &group[..count];
            // Load the snapshot again for each group, so that later groups see newer commits.
            let scope_and_snapshot = self
                .try_current()
                .and_then(|snapshot| Some((library.resolve(&snapshot).ok()??, snapshot)));
            let Some((scope, snapshot)) = scope_and_snapshot else {
                self.counters.lookup_misses.add(count as u64);
                for _ in group {
                    each(None);
                }
                continue;
            };
            // Without all matches in memory, the paths of the group are looked up one by one; also those for which this
            // lookup may have seen a newer match, but not what changed with it.
            let sequence = snapshot.sequence();
            if !snapshot.knows_all_matches(scope) {
                drop(snapshot);
                for path in group {
                    let key = self.lookup_key(library, path, str::to_owned);
                    each(key.as_deref());
                }
                continue;
            }
            // Count the hits once per group, because counting is slow compared with a lookup.
            let mut hits = [0; MatchKind::COUNT];
            let mut misses = 0;
            let mut group_paths = group.iter();
            Resolver::new(&snapshot.libraries, scope, &self.mappings).fast_lookup_batch(group, &mut buffers, |hit| {
                let path = group_paths.next().copied().unwrap_or_default();
                if snapshot.has_matches_after(sequence, scope) {
                    let key = self.lookup_key(library, path, str::to_owned);
                    return each(key.as_deref());
                }
                match &hit {
                    Some((_, match_kind)) => hits[*match_kind as usize] += 1,
                    None => misses += 1,
                }
                each(hit.map(|(rating_key, _)| rating_key));
            });
            for match_kind in MatchKind::ALL {
                match hits[*match_kind as usize] {
                    0 => {}
                    count => self.counters.count_lookups(*match_kind, count),
                }
            }
            if misses > 0 {
                self.counters.lookup_misses.add(misses);
            }
        }
    }
}

impl IndexReader {
    /// Returns about `limit` items in a library after `cursor`, each with the cursor from which the next call
    /// continues: a few more if several items have the last cursor. Fails if the library was never fetched.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.read_undamaged(|snapshot| {
            // Without a listing, an empty page would look like the end of the items.
            let Scope::One(index) = self.fetched_scope(library, snapshot)? else {
                return invalid_argument_error("cannot list the items of all libraries at once: specify one library");
            };
            Ok(snapshot.libraries[index].items_after(cursor, limit))
        })
    }

    /// Returns the item with this rating key; `None` if no selected library contains the item. Fails if plexindex has
    /// fetched none of the selected libraries, because the item may exist on the server.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        self.read_undamaged(|snapshot| {
            let scope = library.resolve(snapshot)?;
            let libraries = scope.map_or(&[][..], |scope| snapshot.libraries_in(scope));
            match libraries.iter().find_map(|view| view.stored_item(rating_key)) {
                None => self.fetched_scope(library, snapshot).map(|_| None),
                found => Ok(found),
            }
        })
    }
}

impl ListedItems for IndexReader {
    /// Returns a few more items than `limit` if several items have the last cursor.
    fn items_after(&self, library: LibraryId, after: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.read_undamaged(|snapshot| {
            let index = listed_index(snapshot, library)?;
            Ok(snapshot.libraries[index].items_after(after, limit))
        })
    }

    /// Reads all items from one snapshot.
    fn items(&self, wanted: &[(LibraryId, &str)]) -> Result<Vec<Option<Item>>> {
        self.read_undamaged(|snapshot| {
            let item = |(library, rating_key): &(LibraryId, &str)| {
                let index = listed_index(snapshot, *library)?;
                Ok(snapshot.libraries[index].stored_item(rating_key))
            };
            wanted.iter().map(item).collect()
        })
    }
}

/// Returns the index of a library that had a listing when the feed chose it. Fails if it has none now.
fn listed_index(snapshot: &Snapshot, library: LibraryId) -> Result<usize> {
    let is_listed = |row: &LibraryRow| row.id == library && row.generation.is_fetched();
    let text = "a library was removed, or its listing was damaged or evicted: list again in full";
    let index = snapshot.rows.iter().position(is_listed);
    index.ok_or_else(|| Error::new(Status::ListAgain, text))
}

/// Maximum number of attempts for a write while other threads clear the same library.
pub const MAX_RETRIES: u32 = 100;

/// Returns the error for a library that other calls cleared during all [`MAX_RETRIES`] attempts.
pub fn cleared_repeatedly_error(library: &str) -> Error {
    Error::new(
        Status::Store,
        format!("cannot use library '{library}': other calls cleared it during each attempt; try again later"),
    )
}

/// The view's id, and the ids of the libraries that a write changed.
type WriteTarget = (ViewId, Vec<LibraryId>);

impl IndexReader {
    /// Repeats `write` until no other call has cleared the changed libraries during the write, because a cleared
    /// library gets a new id. `write` returns the view and the libraries that it changed, or `None` if there was
    /// nothing to change.
    ///
    /// Stops without an error if another thread sets a token with a different view, which the write must not change.
    pub fn retry_until_current(&self, mut write: impl FnMut() -> Result<Option<WriteTarget>>) -> Result<()> {
        let token_number = self.tokens.current().number();
        for attempt in 0..MAX_RETRIES {
            self.catch_up(Deadline::NONE)?;
            if attempt > 0 && self.tokens.current_if_same_view(token_number).is_none() {
                return Ok(());
            }
            let Some((view_id, libraries)) = write()? else {
                // If a retry has nothing to change, an earlier attempt has already succeeded.
                return if attempt == 0 { self.check_accepted() } else { Ok(()) };
            };
            self.catch_up(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let is_current = |id: &LibraryId| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.view_id == Some(view_id) && libraries.iter().all(is_current) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "cannot write: other calls cleared the libraries during each attempt; try again later",
        ))
    }

    /// Returns the result of `read` for the current snapshot without damaged segments. Repairs damaged segments first.
    pub(super) fn read_undamaged<T>(&self, read: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        self.catch_up(Deadline::NONE)?;
        for _ in 0..2 {
            self.rebuild_broken(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let result = read(&snapshot)?;
            if !snapshot.libraries.iter().any(|view| view.is_broken()) {
                return Ok(result);
            }
        }
        Err(segments_lost_error())
    }

    /// Invalidates a path or an item in the selected libraries, and removes its confirmed matches. `path` or `rating_key` is
    /// empty.
    pub fn invalidate_one(&self, library: &Selection, path: &[u8], rating_key: &str) -> Result<()> {
        self.retry_until_current(|| {
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            // Also in libraries that the server does not list now: they may come back.
            let gone = LibraryRows(&self.store).gone_libraries(view_id)?;
            let in_library = |library: &LibraryId| Invalidated {
                library: *library,
                path,
                rating_key,
            };
            let invalidated: Vec<_> = ids.iter().chain(&gone).map(in_library).collect();
            LibraryRows(&self.store).invalidate(&invalidated, Deadline::NONE)?;
            Ok(Some((view_id, ids)))
        })
    }

    /// Invalidates the selected libraries (`None`: all libraries in the view), so that each needs a full listing.
    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        let selected = library.filter(|library| *library.selector() != Selector::All);
        self.retry_until_current(|| {
            let Some(library) = selected else {
                let Some(view_id) = self.view_id() else {
                    return Ok(None);
                };
                LibraryRows(&self.store).invalidate_libraries(view_id, None, Deadline::NONE)?;
                // No library id to check: the write covers all libraries that exist now.
                return Ok(Some((view_id, Vec::new())));
            };
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            for id in &ids {
                LibraryRows(&self.store).invalidate_libraries(view_id, Some(*id), Deadline::NONE)?;
            }
            Ok(Some((view_id, ids)))
        })?;
        match selected {
            Some(library) => log::info!("invalidated library '{}'", library.selector().name()),
            None => log::info!("invalidated all libraries"),
        }
        Ok(())
    }

    /// Returns the view's id and the ids of the selected libraries; `None` if nothing is stored. Fails if the server lists no
    /// such library, unless it is one that the server does not list now. Repairs damaged segments first, because a fast
    /// lookup after the write cannot.
    fn resolve_selection(&self, library: &Selection) -> Result<Option<WriteTarget>> {
        self.rebuild_broken(Deadline::NONE)?;
        let snapshot = self.snapshot();
        let Some(view_id) = snapshot.view_id else {
            return Ok(None);
        };
        let scope = library.resolve(&snapshot)?;
        let rows = scope.map_or(&[][..], |scope| snapshot.rows_in(scope));
        let ids: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        let is_unknown = ids.is_empty() && !snapshot.rows.is_empty();
        if is_unknown && LibraryRows(&self.store).gone_libraries(view_id)?.is_empty() {
            return Err(self.missing_library_error(Some(library), &snapshot, false));
        }
        Ok(Some((view_id, ids)))
    }
}

/// Returns the error for segments that are missing or damaged again after a repair.
pub fn segments_lost_error() -> Error {
    Error::new(
        Status::Store,
        "a segment is missing or damaged again after its repair: see the log, and find the program that removes or \
         overwrites files in cache_dir",
    )
}
