//! The state that a process caches for the next one when it closes the store.

use super::changes::{LoggedChange, LoggedKind};
use super::columns::list;
use super::endpoints::{Endpoint, identity_of, one_of_several};
use super::libraries::LibraryRow;
use super::open::Store;
use super::opened::is_fresh;
use super::state::{StoreState, state_of};
use super::state_file::{CachedEndpoint, CachedState, CachedView, StoreFiles, write_state_file};
use crate::engine::version_page::PageState;
use crate::model::{IdentityId, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::mutex::lock;

/// Maximum number of changes in a cached state. A state with more changes is not cached, as they are compacted soon.
const MAX_CHANGES: usize = 1_024;

/// The columns of the cached rows. A build with other columns ignores the cache.
fn columns() -> String {
    format!("{}; {}", list::<LibraryRow>(), list::<LoggedChange>())
}

fn cached_endpoint_of(endpoint: Option<&Endpoint>) -> CachedEndpoint {
    endpoint.map(|endpoint| (endpoint.url.clone(), endpoint.who.clone()))
}

impl Store {
    /// Takes the cached state of this endpoint, if the store was opened from the state file. Only the first call gets
    /// it, because it becomes outdated.
    pub(super) fn take_cached_state(&self, endpoint: Option<&Endpoint>) -> Option<(Option<IdentityId>, StoreState)> {
        // Only the database knows whether a server accepted an expired token.
        let is_expired = endpoint.is_some_and(Endpoint::is_expired);
        let cached = lock(&self.cached_state).take().filter(|_| !is_expired)?;
        let cached_endpoint = cached_endpoint_of(endpoint);
        let view = cached.views.into_iter().find(|view| view.endpoint == cached_endpoint)?;
        let (form, state): (String, StoreState) = postcard::from_bytes(&view.state).ok()?;
        if form != columns() {
            return None;
        }
        *lock(&self.cache_used) = Some((cached.sequence, cached_endpoint));
        let incarnation = self.incarnation();
        Some((Some(view.identity), StoreState { incarnation, ..state }))
    }

    /// Closes the connections, and writes the state file if this process had to open the database.
    pub fn close_and_keep(&self, endpoint: Option<&Endpoint>) {
        let cached = self.state_to_cache(endpoint);
        self.close();
        let Some(cached) = cached else { return };
        let opened = self.opened.newest();
        // Read after closing, because that copies the log into the database.
        let Some(files) = StoreFiles::of(&self.folder).filter(|files| opened.is_of_files(files)) else {
            return;
        };
        let sequence = cached.sequence.0;
        let is_unchanged = || opened.state(coarse_ms()) == PageState::Equal(sequence) && opened.is_page_valid();
        if let Err(error) = write_state_file(&self.folder, cached, &files, is_unchanged) {
            log::debug!("the next process opens the database itself: {error}");
        }
    }

    /// Returns the current state of this endpoint; `None` if the state file has it, or if this would need opening the
    /// database or waiting.
    fn state_to_cache(&self, endpoint: Option<&Endpoint>) -> Option<CachedState> {
        let opened = self.opened.newest();
        let PageState::Equal(now) = opened.state(coarse_ms()) else {
            return None;
        };
        let now = Sequence(now);
        let is_cached = lock(&self.cache_used)
            .as_ref()
            .is_some_and(|(at, cached_endpoint)| *at == now && *cached_endpoint == cached_endpoint_of(endpoint));
        if !self.believes || is_fresh(now) || is_cached || !StoreFiles::of(&self.folder)?.are_settled() {
            return None;
        }
        let incarnation = self.incarnation();
        let view = self.read_if(false, |connection| {
            let Some(identity) = identity_of(connection, endpoint)? else {
                return Ok(None);
            };
            // The next process must read the database to log which of several views answers.
            if endpoint.is_none() && one_of_several(connection, identity)?.is_some() {
                return Ok(None);
            }
            let state = state_of(connection, incarnation, Some(identity))?;
            // An added item is read from its row, so such a state needs the database.
            let needs_row = |change: &LoggedChange| change.kind == LoggedKind::Added;
            if state.sequence != now || state.changes.len() > MAX_CHANGES || state.changes.iter().any(needs_row) {
                return Ok(None);
            }
            let state = postcard::to_stdvec(&(columns(), state)).ok();
            Ok(state.map(|state| CachedView {
                endpoint: cached_endpoint_of(endpoint),
                identity,
                state,
            }))
        });
        let view = view.ok()??;
        Some(CachedState {
            id: opened.id,
            secret: opened.secret,
            sequence: now,
            views: vec![view],
        })
    }
}
