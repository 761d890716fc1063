//! The state that a closing process caches for the next one.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::changes::{LoggedChange, LoggedKind};
use super::columns::list;
use super::endpoints::{Endpoint, TOKEN, identity_of, one_of_several};
use super::identities::NEVER_FORGOTTEN;
use super::libraries::LibraryRow;
use super::open::Store;
use super::opened::is_fresh;
use super::state::{StoreState, state_of};
use super::state_file::{CachedEndpoint, CachedState, CachedView, StoreFiles, keep};
use crate::engine::version_page::PageState;
use crate::model::{IdentityId, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::mutex::lock;

/// A state with more changes than this is not kept: they are soon compacted.
const CHANGES: usize = 1_024;

/// The columns of the cached rows: builds with others ignore the state.
fn columns() -> String {
    format!("{}; {}", list::<LibraryRow>(), list::<LoggedChange>())
}

fn of(endpoint: Option<&Endpoint>) -> CachedEndpoint {
    endpoint.map(|endpoint| (endpoint.url.clone(), endpoint.who.clone()))
}

/// When an identity was last noted to be used.
fn used_ms(connection: &Connection, identity: IdentityId) -> rusqlite::Result<i64> {
    let used: Option<i64> = connection.find_value(
        "SELECT used_ms FROM identities WHERE id = ?1 AND length(who) = ?2",
        params![identity, TOKEN],
    )?;
    Ok(used.unwrap_or(NEVER_FORGOTTEN))
}

impl Store {
    /// The cached state of this endpoint, if the store was opened from the state file. Given once: it is of that moment.
    pub(super) fn kept_state(&self, endpoint: Option<&Endpoint>) -> Option<(Option<IdentityId>, StoreState)> {
        // Whether a server accepted an expired token, the database says.
        let is_expired = endpoint.is_some_and(Endpoint::is_expired);
        let kept = lock(&self.kept).take().filter(|_| !is_expired)?;
        let asked = of(endpoint);
        let view = kept.views.into_iter().find(|view| view.endpoint == asked)?;
        let (form, state): (String, StoreState) = postcard::from_bytes(&view.state).ok()?;
        if form != columns() {
            return None;
        }
        *lock(&self.kept_at) = Some((kept.sequence, asked));
        let incarnation = self.incarnation();
        Some((Some(view.identity), StoreState { incarnation, ..state }))
    }

    /// Closes the connections, and writes the state file if this process had to open the database.
    pub fn close_and_keep(&self, endpoint: Option<&Endpoint>) {
        let kept = self.worth_keeping(endpoint);
        self.close();
        let Some(kept) = kept else { return };
        let opened = self.opened.newest();
        // Taken when this process has put its log into the database.
        let Some(files) = StoreFiles::of(&self.folder).filter(|files| opened.is_of_files(files)) else {
            return;
        };
        let sequence = kept.sequence.0;
        let is_still = || opened.state(coarse_ms()) == PageState::Equal(sequence) && opened.has_page();
        if let Err(error) = keep(&self.folder, kept, &files, is_still) {
            log::debug!("the next process opens the database itself: {error}");
        }
    }

    /// What this endpoint leads to, as it is now, unless that is kept already; nothing where the database would have to be
    /// opened, or waited for.
    fn worth_keeping(&self, endpoint: Option<&Endpoint>) -> Option<CachedState> {
        let opened = self.opened.newest();
        let PageState::Equal(now) = opened.state(coarse_ms()) else {
            return None;
        };
        let now = Sequence(now);
        let known = lock(&self.kept_at)
            .as_ref()
            .is_some_and(|(at, asked)| *at == now && *asked == of(endpoint));
        if !self.believes || is_fresh(now) || known || !StoreFiles::of(&self.folder)?.are_settled() {
            return None;
        }
        let incarnation = self.incarnation();
        let view = self.try_read(|connection| {
            let Some(identity) = identity_of(connection, endpoint)? else {
                return Ok(None);
            };
            // The next process is to tell which of several answers.
            if endpoint.is_none() && one_of_several(connection, identity)?.is_some() {
                return Ok(None);
            }
            let state = state_of(connection, incarnation, Some(identity))?;
            // A single item that was added is read from its row.
            let is_needed = |change: &LoggedChange| change.kind == LoggedKind::Added;
            if state.sequence != now || state.changes.len() > CHANGES || state.changes.iter().any(is_needed) {
                return Ok(None);
            }
            let state = StoreState {
                used_ms: used_ms(connection, identity)?,
                ..state
            };
            let state = postcard::to_stdvec(&(columns(), state)).ok();
            Ok(state.map(|state| CachedView {
                endpoint: of(endpoint),
                identity,
                state,
            }))
        });
        let view = view?.ok()??;
        Some(CachedState {
            id: opened.id,
            secret: opened.secret,
            sequence: now,
            views: vec![view],
        })
    }
}
