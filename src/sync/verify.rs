//! What was invalidated is asked for before it is answered again.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::call::Call;
use super::job::Syncing;
use super::refresh::Why;
use crate::error::{Meaning, Result, Status};
use crate::matching::Scope;
use crate::reading::{Resolved, Snapshot, places};
use crate::source::Bounds;
use crate::store::LibraryRow;

/// An item that was invalidated, or the path that it is found by.
pub struct Unverified {
    pub row: LibraryRow,
    pub rating_key: String,
    /// How it is found.
    pub paths: Vec<Vec<u8>>,
}

/// So many items are asked for at once, and so many by one refresh: of more, each is asked for when it is looked up.
const AT_ONCE: usize = 64;
const MOST: usize = 4 * AT_ONCE;
/// For so long a refresh asks for none after the server gave no answer.
const IN_VAIN_MS: i64 = 30_000;

impl Syncing {
    /// Whether a call's libraries have items that a refresh asks for.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.asks_for_invalidated()
            && places(scope, snapshot.rows.len()).any(|at| !snapshot.invalidated(at, 1).is_empty())
    }

    /// Asks for the items of a call's libraries that were invalidated: who follows the feed looks none of them up. What the
    /// server does not answer stays invalidated, and is no error of a refresh: the listings are right.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.asks_for_invalidated() {
            return Ok(Status::Ok);
        }
        // A call that asks for them does so for all: the others wake at the same commit, and do not wait for it.
        let at_once = Bounds {
            deadline: Some(Instant::now()),
            aborted: &|| false,
        };
        let now_ms = || self.clock.now_ms();
        let done = self
            .flights
            .single_flight(&self.store, &now_ms, "verify", at_once, || self.verify_all(call))?;
        Ok(done.unwrap_or(Status::Ok))
    }

    fn verify_all(&self, call: &Call<'_>) -> Result<Status> {
        self.reading.catch_up()?;
        let mut unverified = Vec::new();
        {
            let snapshot = self.reading.snapshot();
            let scope = match call.library.map(|library| library.resolve(&snapshot)).transpose()? {
                None => Scope::All,
                Some(Resolved::Scope(scope)) => scope,
                Some(Resolved::Unknown) => return Ok(Status::Ok),
            };
            for at in places(scope, snapshot.rows.len()) {
                let items = snapshot.invalidated(at, MOST - unverified.len());
                unverified.extend(items.into_iter().map(|(rating_key, path)| Unverified {
                    row: snapshot.rows[at].clone(),
                    rating_key,
                    paths: vec![path],
                }));
            }
        }
        for unverified in unverified.chunks(AT_ONCE) {
            match self.verify(call, unverified) {
                Err(error) if error.status == Status::Timeout && call.until.is_some() => return Ok(Status::NotYet),
                Err(error) if !matches!(error.status, Status::Aborted | Status::Store) => {
                    log::warn!("items that were invalidated are asked for when they are looked up, or later: {error}");
                    self.in_vain_ms.store(self.clock.now_ms(), Ordering::Relaxed);
                    if error.status.meaning() == Meaning::NotNow {
                        break;
                    }
                }
                done => done?,
            }
        }
        if !unverified.is_empty() {
            self.reading.catch_up()?;
        }
        Ok(Status::Ok)
    }

    /// Whether a refresh asks for what was invalidated: not soon after a server gave no answer.
    fn asks_for_invalidated(&self) -> bool {
        let since = self.clock.now_ms() - self.in_vain_ms.load(Ordering::Relaxed);
        self.asks_for_items() && !(0..IN_VAIN_MS).contains(&since)
    }

    /// Whether the source answers for single items; else a listing tells.
    fn asks_for_items(&self) -> bool {
        self.abilities().is_some_and(|can| can.items)
    }

    /// Asks for invalidated items, all in one request; stores what they are now.
    pub fn verify(&self, call: &Call<'_>, unverified: &[Unverified]) -> Result<()> {
        if !self.asks_for_items() {
            // Then a listing tells, and ends all that was invalidated before it.
            let rows: Vec<LibraryRow> = unverified.iter().map(|one| one.row.clone()).collect();
            return self
                .bring_up_to_date(call, &rows, self.reading.snapshot().sequence(), Why::Full)
                .map(|_| ());
        }
        let keys: Vec<&str> = unverified.iter().map(|one| one.rating_key.as_str()).collect();
        let items = self.items(call, &keys)?;
        let Some(identity) = self.reading.identity() else {
            return Ok(());
        };
        for Unverified { row, rating_key, paths } in unverified {
            if let Some(item) = items.iter().find(|item| item.rating_key == *rating_key) {
                // Rows that the server gives are true whatever became of the path: a changed item is merged as it is now.
                self.store.merge_items(row, std::slice::from_ref(item), None)?;
            } else {
                self.store.invalidate_item(identity, &[row.id], rating_key)?;
                self.store.remove_item(row, rating_key)?;
                log::info!("item {rating_key} is gone from the server; it is answered no more");
            }
            // The index says what is true now: nothing is left to invalidation.
            let paths = paths.iter().map(Vec::as_slice);
            self.maintenance
                .verified(identity, row, paths, |key| key == rating_key)?;
        }
        Ok(())
    }
}
