//! Reads other hosts' entries from the log, and applies them to the store in the log's order. Applying an entry twice
//! has the same effect as applying it once, since a killed process or a restored log can repeat entries.

use std::collections::HashMap;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64;

use super::applied::Applied;
use super::core::{Exchange, LogView, waits_for_slow_log, without_entries};
use crate::contract::{Entry, EntryKind, EntryName, NewEntry, Position, SharedLog};
use crate::engine::{
    Invalidated, LibraryRow, LibraryRows, LocalWrite, Outbox, RecordRows, SharedLogPosition, UNDELIVERED,
};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::model::{LibraryId, ViewId};
use crate::platform::Deadline;
use crate::platform::FileLock;
use crate::platform::lock;
use crate::stats::Activity;
use crate::sync::{Selection, Selector};

const ENTRIES_PER_REQUEST: usize = 1_000;
/// Maximum number of names in one request. The log may return an entry of maximum size for each name.
const NAMES_PER_REQUEST: usize = 100;

/// How far this folder has read the log for one library.
struct LibraryPosition {
    row: LibraryRow,
    /// Hash of what determines which of the library's entries this host can use: the mappings, and the library's
    /// folders. If it changes, the host reads the log again for this library.
    digest: u64,
    read: SharedLogPosition,
    /// Whether the host still has to add the library's matches to the log, after reading the log to its end. Until then,
    /// the stored `last_read_ms` is 0.
    is_joining: bool,
}

impl Exchange {
    /// Returns how far this folder has read the log for each library that the server shows. Each library has its own
    /// position, since another host may see a new library first, and write entries about it.
    fn positions(&self, view_id: ViewId) -> Result<Vec<LibraryPosition>> {
        let rows = LibraryRows(&self.store).libraries(view_id)?;
        let positions = rows.into_iter().map(|row| {
            let (uuid, locations) = (&row.library.uuid, &row.library.locations);
            let digest = xxh3_64(format!("{} {uuid:?} {locations:?}", self.mappings).as_bytes());
            let read = Outbox(&self.store).log_position(view_id, self.log.name(), digest)?;
            let is_joining = if read.position == Position::default() {
                row.matches.is_some()
            } else {
                read.last_read_ms == 0
            };
            Ok(LibraryPosition {
                row,
                digest,
                read,
                is_joining,
            })
        });
        positions.collect()
    }

    /// Returns how far this folder has read the log for every library, and when it last did; `None` without a library.
    pub fn read_position(&self, view_id: ViewId) -> Result<Option<SharedLogPosition>> {
        let positions = self.positions(view_id)?.into_iter().map(|library| library.read);
        Ok(positions.min_by_key(|read| read.position.number))
    }

    /// Exchanges entries by the deadline, before a library is refreshed. Does nothing before the server has accepted the
    /// token, and while the log is unavailable.
    pub fn exchange_by(&self, deadline: Deadline) -> Result<()> {
        match self.view()? {
            Some(view) => self.exchange_exclusively(&view, deadline, deadline).map(drop),
            None => Ok(()),
        }
    }

    /// Exchanges entries under the folder's exchange lock as [`Self::exchange`] does, and adds the duration to the
    /// statistics. Returns `false` without the lock. `lock_deadline` limits the wait for the lock, `until` the
    /// exchange.
    pub fn exchange_exclusively(&self, view: &LogView, lock_deadline: Deadline, until: Deadline) -> Result<bool> {
        self.with_exchange_lock(lock_deadline, || {
            let begun = Instant::now();
            let result = self.exchange(view, until);
            self.counters.add_time(Activity::Exchange, begun.elapsed());
            result
        })
    }

    /// Runs `work` under the folder's exchange lock. Returns `R::default()` if another process keeps the lock too long.
    pub fn with_exchange_lock<R: Default>(&self, until: Deadline, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let path = self.store.folder().lock_path("exchange");
        // Stop waiting if the log is unavailable, since the lock's holder may be waiting for the log.
        match FileLock::acquire(&path, until, &|| self.must_skip_log() && !waits_for_slow_log()) {
            Ok(None) => Ok(R::default()),
            // On a file system without locks, concurrent exchanges are harmless.
            lock => {
                let outcome = work();
                drop(lock);
                outcome
            }
        }
    }

    /// Delivers the outbox, then applies all new entries: this host's entries must precede those that it has not read
    /// yet, so that the later of two matches wins on every host. Returns whether both are complete. If the deadline
    /// passes, the next exchange continues from the same position.
    fn exchange(&self, view: &LogView, until: Deadline) -> Result<bool> {
        let mut view = *view;
        let mut is_complete = self.deliver(&view, until)?;
        let mut positions = self.positions(view.view_id)?;
        // Usually, all libraries have the same position.
        positions.sort_by_key(|library| library.read.position.number);
        for libraries in positions.chunk_by_mut(|one, other| one.read.position == other.read.position) {
            is_complete = is_complete && self.receive(&mut view, libraries, until)?;
        }
        Ok(is_complete)
    }

    /// Applies the new entries about these libraries, which all have the same position. Delivers the outbox before each
    /// request. Returns whether nothing is left to exchange.
    fn receive(&self, view: &mut LogView, libraries: &mut [LibraryPosition], until: Deadline) -> Result<bool> {
        let mut position = libraries
            .first()
            .map_or(Position::default(), |library| library.read.position);
        loop {
            if !self.deliver(view, until)? || until.has_passed() || lock(&self.state).is_stopping {
                return Ok(false);
            }
            let last_delivered = Outbox(&self.store).last_delivered(view.view_id)?;
            let host = last_delivered.map_or(view.host, |(host, _)| host);
            let read = |log: &dyn SharedLog, limit| log.read(view.number, host, position, ENTRIES_PER_REQUEST, limit);
            let Ok(mut page) = self.send_request_by(until, read) else {
                return Ok(false);
            };
            // The log was restored, or a replica replaced it. Its older state must not replace newer writes.
            if last_delivered.is_some_and(|(_, number)| page.delivered < number) {
                self.resend_matches(view)?;
                view.host = Outbox(&self.store).host()?;
                continue;
            }
            if page.starts_over && position != Position::default() {
                log::warn!(
                    "the shared log {} was restored or cleared, or this host was away for too long; reading the \
                     log from the beginning",
                    self.log.name()
                );
                position = Position::default();
                self.store_position(view, libraries, position)?;
                self.forget_view();
                let Some(reopened) = self.view()? else {
                    return Ok(false);
                };
                *view = reopened;
                continue;
            }
            let is_known = |entry: &Entry| {
                libraries
                    .iter()
                    .any(|known| known.row.library.uuid == entry.name.library)
            };
            page.entries.retain(is_known);
            without_entries(|| self.apply(view, libraries, &page.entries))?;
            position = page.position;
            self.store_position(view, libraries, position)?; // last, so that a crash repeats the page
            if !page.entries.is_empty() {
                self.reading.catch_up(Deadline::NONE)?;
                let received = page.entries.iter().filter(|entry| entry.host != view.host).count();
                self.counters.count_received_entries(received as u64);
                let entries = if received == 1 { "entry" } else { "entries" };
                if received > 0 {
                    log::info!(
                        "received {received} {entries} from other hosts through the shared log {}",
                        self.log.name()
                    );
                }
            }
            if !page.has_more {
                let joining = libraries.iter_mut().filter(|library| library.is_joining);
                let joining: Vec<_> = joining.collect();
                if joining.is_empty() {
                    return Ok(true);
                }
                if self.enqueue_missing_matches(view, joining.iter().map(|library| &library.row), until)? {
                    for library in joining {
                        library.is_joining = false;
                    }
                    self.store_position(view, libraries, position)?;
                }
                return self.deliver(view, until);
            }
        }
    }

    /// Stores that this folder has read the log up to `position` for these libraries.
    fn store_position(&self, view: &LogView, libraries: &[LibraryPosition], position: Position) -> Result<()> {
        let now_ms = self.clock.now_ms();
        let read = libraries.iter().map(|library| {
            let last_read_ms = if library.is_joining { 0 } else { now_ms };
            (library.digest, SharedLogPosition { position, last_read_ms })
        });
        Outbox(&self.store).store_log_positions(
            view.view_id,
            self.log.name(),
            &read.collect::<Vec<_>>(),
            Deadline::NONE,
        )
    }

    /// Adds to the outbox the matches in these libraries that a newly joined log lacks. Returns whether all matches were
    /// compared with the log: `false` if the log is unavailable, the deadline passes, or the index closes.
    fn enqueue_missing_matches<'r>(
        &self,
        view: &LogView,
        rows: impl Iterator<Item = &'r LibraryRow>,
        until: Deadline,
    ) -> Result<bool> {
        self.enqueue_matches(view, rows, |entries| {
            let names: Vec<EntryName> = entries.iter().map(|entry| entry.name.clone()).collect();
            let Ok(found) = self.send_request_by(until, |log, limit| log.find(view.number, &names, limit)) else {
                return Ok(false);
            };
            entries.retain(|entry| !found.iter().any(|found| found.name == entry.name));
            Ok(!lock(&self.state).is_stopping)
        })
    }

    /// Adds to the outbox, in groups, all confirmed matches in these libraries that are not already awaiting delivery.
    /// `filter` can remove entries from a group. If `filter` returns `false`, stops and returns `false`; otherwise
    /// returns `true`.
    pub fn enqueue_matches<'r>(
        &self,
        view: &LogView,
        rows: impl Iterator<Item = &'r LibraryRow>,
        filter: impl Fn(&mut Vec<NewEntry>) -> Result<bool>,
    ) -> Result<bool> {
        self.reading.catch_up(Deadline::NONE)?;
        for row in rows {
            let matches = RecordRows(&self.store).confirmed_matches(row.id)?;
            let last_entry_numbers = Outbox(&self.store).outbox_matches(view.view_id, &row.library.uuid)?;
            for group in matches.chunks(NAMES_PER_REQUEST) {
                let pairs: Vec<(&[u8], &str)> = group
                    .iter()
                    .map(|(path, key)| (path.as_slice(), key.as_str()))
                    .collect();
                let mut entries = SharedEntries(&self.reading).match_entries(&row.library, &pairs);
                entries.retain(|entry| last_entry_numbers.get(&entry.name.key) != Some(&UNDELIVERED));
                if !filter(&mut entries)? {
                    return Ok(false);
                }
                Outbox(&self.store).enqueue(view.view_id, &entries, Deadline::NONE)?;
            }
        }
        Ok(true)
    }

    /// Applies entries about these libraries in order, and combines consecutive entries with the same kind and library.
    fn apply(&self, view: &LogView, libraries: &[LibraryPosition], entries: &[Entry]) -> Result<()> {
        let same =
            |one: &Entry, other: &Entry| one.name.kind == other.name.kind && one.name.library == other.name.library;
        for group in entries.chunk_by(same) {
            let name = &group[0].name;
            let Some(library) = libraries.iter().find(|known| known.row.library.uuid == name.library) else {
                continue;
            };
            let row = &library.row;
            match name.kind {
                EntryKind::Match => self.apply_matches(view, row, group)?,
                EntryKind::InvalidItem | EntryKind::InvalidPath | EntryKind::InvalidLibrary => {
                    self.apply_invalidations(view, row, group)?;
                }
            }
        }
        Ok(())
    }

    /// Records other hosts' matches for paths that this host can have. An empty body removes this host's match.
    fn apply_matches(&self, view: &LogView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        // Earlier entries may have removed matches that the snapshot still contains.
        self.reading.catch_up(Deadline::NONE)?;
        // A match that this host has recorded since the delivery will be the later one in the log.
        let mut own_numbers = HashMap::new();
        if self.undelivered()? > 0 {
            own_numbers = Outbox(&self.store).outbox_matches(view.view_id, &row.library.uuid)?;
        }
        let is_replaced = |entry: &&Entry| own_numbers.get(&entry.name.key) == Some(&UNDELIVERED);
        let mut pairs: Vec<(Vec<u8>, String)> = Vec::new();
        let mut removed: Vec<(LibraryId, Vec<u8>)> = Vec::new();
        for entry in entries.iter().filter(|entry| !is_replaced(entry)) {
            let host_path = SharedEntries(&self.reading).to_host_path(&row.library, &entry.name.key);
            let (Some(host_path), Ok(key)) = (host_path, std::str::from_utf8(&entry.body)) else {
                continue;
            };
            let old_key = RecordRows(&self.store).confirmed_key(row.id, &host_path)?;
            if key.is_empty() {
                removed.extend(old_key.map(|_| (row.id, host_path.into_owned())));
            } else {
                if old_key.as_deref() == Some(key) {
                    continue;
                }
                if let Some(old_key) = old_key {
                    log::info!(
                        "'{}': another host confirmed item {key} for a path that this host confirmed as item {old_key}",
                        row.library.title
                    );
                }
                pairs.push((host_path.into_owned(), key.to_owned()));
            }
        }
        if !removed.is_empty() {
            LibraryRows(&self.store).remove_matches(&removed, Deadline::NONE)?;
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&[u8], &str)> = pairs
            .iter()
            .map(|(path, key)| (path.as_slice(), key.as_str()))
            .collect();
        self.store_writer.record_matches(
            row,
            &LocalWrite::NONE,
            &pairs,
            &self.reading.unlisted(row, &pairs),
            Deadline::NONE,
        )?;
        Ok(())
    }

    /// Applies invalidations of the same kind. An item's invalidation with a body also removes the item's matches.
    /// Other hosts' invalidations of paths can be repeated, since the log still has every later match for the path.
    fn apply_invalidations(&self, view: &LogView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        let (libraries, view_id) = (LibraryRows(&self.store), view.view_id);
        let selection = Selection::new(Selector::Uuid(row.library.uuid.clone()))?;
        let mut applied_before = Vec::new();
        for entry in entries {
            let (kind, key) = (entry.name.kind, String::from_utf8_lossy(&entry.name.key));
            match (self.applied_before(entry)?, kind) {
                (Applied::Never | Applied::Before, EntryKind::InvalidPath) => {
                    if let Some(host_path) = SharedEntries(&self.reading).to_host_path(&row.library, &entry.name.key) {
                        self.reading.invalidate_file(&selection, &host_path, &entry.name.key)?;
                    }
                }
                (Applied::Never, EntryKind::InvalidItem) if entry.body.is_empty() => {
                    if entry.host != view.host {
                        libraries.invalidate_items(view_id, row.id, &[&key], Deadline::NONE)?;
                    }
                }
                (Applied::Never, _) => {
                    if kind == EntryKind::InvalidItem {
                        let item = Invalidated {
                            library: row.id,
                            path: b"",
                            rating_key: &key,
                            removes_matches: true,
                            is_doubted: true,
                        };
                        libraries.invalidate(view_id, &LocalWrite::NONE, &[item], Deadline::NONE)?;
                    } else {
                        libraries.invalidate_libraries(view_id, Some(row.id), Deadline::NONE)?;
                    }
                    self.note_applied(entry)?;
                }
                (applied, _) => applied_before.push((entry, applied)),
            }
        }
        self.remove_invalidated_matches(view, row, &applied_before)
    }
}
