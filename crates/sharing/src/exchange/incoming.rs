//! Reads other hosts' entries from the log, and applies them to the store in the log's order. Applying an entry twice
//! has the same effect as applying it once, since a killed process or a restored log can repeat entries.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::applied::Applied;
use super::core::{Exchange, LogView, Unavailable, waits_for_slow_log, without_entries};
use crate::bodies::{ItemBody, ListingBody, ProbeBody, decode, entry_name};
use crate::contract::{Entry, EntryKind, EntryName, EntryPage, HostId, NewEntry, Position, SharedLog};
use crate::engine::{
    ItemRows, LibraryRow, LibraryRows, LocalWrite, MergedChanges, Outbox, RecordRows, SharedLogPosition, UNDELIVERED,
    listing_age,
};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::freshness;
use crate::model::{Library, LibraryId, Sequence, ViewId};
use crate::platform::Deadline;
use crate::platform::FileLock;
use crate::platform::lock;
use crate::stats::Activity;
use crate::sync::{Selection, Selector};

const ENTRIES_PER_REQUEST: usize = 1_000;
/// Maximum number of names in one request. The log may return an entry of maximum size for each name.
const NAMES_PER_REQUEST: usize = 100;

impl Exchange {
    /// Returns how far this folder has read the shared log, and when it last read the log. `view_id`: the view ID.
    pub fn read_position(&self, view_id: ViewId) -> Result<SharedLogPosition> {
        Outbox(&self.store).log_position(view_id, self.log.name(), self.mappings)
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
        let start = self.read_position(view.view_id)?;
        // A folder with matches that joins a log delivers them after reading the whole log, and keeps `last_read_ms` 0.
        let is_joining = if start.position == Position::default() {
            let rows = LibraryRows(&self.store).libraries(view.view_id)?;
            rows.iter().any(|row| row.matches.is_some())
        } else {
            start.last_read_ms == 0
        };
        let read_time_ms = || if is_joining { 0 } else { self.clock.now_ms() };
        loop {
            if !self.deliver(&view, until)? || until.has_passed() || lock(&self.state).is_stopping {
                return Ok(false);
            }
            let log_position = self.read_position(view.view_id)?;
            let last_delivered = Outbox(&self.store).last_delivered(view.view_id)?;
            let host = last_delivered.map_or(view.host, |(host, _)| host);
            let Ok(page) = self.read_page(&view, host, log_position.position, until) else {
                return Ok(false);
            };
            // The log was restored, or a replica replaced it. Its older state must not replace newer writes.
            if last_delivered.is_some_and(|(_, number)| page.delivered < number) {
                self.resend_matches(&view)?;
                view.host = Outbox(&self.store).host()?;
                continue;
            }
            if page.starts_over && log_position.position != Position::default() {
                log::warn!(
                    "the shared log {} was restored or cleared, or this host was away for too long; reading the \
                     log from the beginning",
                    self.log.name()
                );
                let beginning = SharedLogPosition {
                    last_read_ms: read_time_ms(),
                    ..SharedLogPosition::default()
                };
                self.store_position(&view, &beginning)?;
                self.forget_view();
                let Some(reopened) = self.view()? else {
                    return Ok(false);
                };
                view = reopened;
                continue;
            }
            let mut log_position = SharedLogPosition {
                position: page.position,
                last_read_ms: read_time_ms(),
            };
            self.apply(&view, &page.entries)?;
            self.store_position(&view, &log_position)?; // last, so that a crash repeats the page instead of skipping it
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
                if is_joining && self.enqueue_missing_matches(&view, until)? {
                    log_position.last_read_ms = self.clock.now_ms();
                    self.store_position(&view, &log_position)?;
                }
                return Ok(!is_joining || self.deliver(&view, until)?);
            }
        }
    }

    /// Reads the entries that follow a position, until the deadline, and the last number that the host `host`
    /// delivered.
    pub fn read_page(
        &self,
        view: &LogView,
        host: HostId,
        after: Position,
        until: Deadline,
    ) -> std::result::Result<EntryPage, Unavailable> {
        let requested_ms = self.clock.now_ms();
        let read = |log: &dyn SharedLog, limit| log.read(view.number, host, after, ENTRIES_PER_REQUEST, limit);
        let mut page = self.send_request_by(until, read)?;
        self.note_times(&mut page.entries, requested_ms);
        Ok(page)
    }

    /// Sets the times of entries that have just arrived.
    pub fn note_times(&self, entries: &mut [Entry], requested_ms: i64) {
        let answered_ms = self.clock.now_ms();
        for entry in entries {
            (entry.requested_ms, entry.answered_ms) = (requested_ms, answered_ms);
        }
    }

    fn store_position(&self, view: &LogView, place: &SharedLogPosition) -> Result<()> {
        Outbox(&self.store).store_log_position(view.view_id, self.log.name(), self.mappings, place, Deadline::NONE)
    }

    /// Adds to the outbox the matches that a newly joined log lacks. Returns whether all matches were compared with the
    /// log: `false` if the log is unavailable, the deadline passes, or the index closes.
    fn enqueue_missing_matches(&self, view: &LogView, until: Deadline) -> Result<bool> {
        self.enqueue_matches(view, |entries| {
            let names: Vec<EntryName> = entries.iter().map(|entry| entry.name.clone()).collect();
            let Ok(found) = self.send_request_by(until, |log, limit| log.find(view.number, &names, limit)) else {
                return Ok(false);
            };
            entries.retain(|entry| !found.iter().any(|found| found.name == entry.name));
            Ok(!lock(&self.state).is_stopping)
        })
    }

    /// Adds to the outbox, in groups, all confirmed matches that are not already awaiting delivery. `filter` can remove
    /// entries from a group. If `filter` returns `false`, stops and returns `false`; otherwise returns `true`.
    pub fn enqueue_matches(&self, view: &LogView, filter: impl Fn(&mut Vec<NewEntry>) -> Result<bool>) -> Result<bool> {
        self.reading.catch_up(Deadline::NONE)?;
        for row in LibraryRows(&self.store).libraries(view.view_id)? {
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

    /// Applies entries in order, without creating entries for other hosts.
    pub fn apply(&self, view: &LogView, entries: &[Entry]) -> Result<()> {
        without_entries(|| self.apply_groups(view, entries))
    }

    /// Applies entries in order, and combines consecutive entries with the same kind and library.
    fn apply_groups(&self, view: &LogView, entries: &[Entry]) -> Result<()> {
        let (mut remaining, mut has_looked_for_probe) = (entries, false);
        while let Some(first) = remaining.first() {
            let same = |entry: &&Entry| entry.name.kind == first.name.kind && entry.name.library == first.name.library;
            let (group, others) = remaining.split_at(remaining.iter().take_while(same).count());
            remaining = others;
            if first.name.kind == EntryKind::Probe {
                self.apply_probe(view, first)?;
                continue;
            }
            let find_library = || -> Result<Option<LibraryRow>> {
                let rows = LibraryRows(&self.store).libraries(view.view_id)?;
                Ok(rows.into_iter().find(|row| row.library.uuid == first.name.library))
            };
            let mut library_row = find_library()?;
            if library_row.is_none() && !std::mem::replace(&mut has_looked_for_probe, true) {
                // The probe with this library may come later in the log, since each probe replaces the previous probe.
                for probe in self
                    .find(view, &[entry_name(EntryKind::Probe, "", b"")])
                    .unwrap_or_default()
                {
                    self.apply_probe(view, &probe)?;
                    library_row = find_library()?;
                }
            }
            let Some(row) = library_row else {
                continue; // this user cannot see the library
            };
            match first.name.kind {
                EntryKind::Listing => group
                    .iter()
                    .try_for_each(|entry| self.apply_listing_head(&row, entry))?,
                EntryKind::Item => self.apply_items(&row, group)?,
                EntryKind::Match => self.apply_matches(view, &row, group)?,
                EntryKind::InvalidItem | EntryKind::InvalidPath | EntryKind::InvalidLibrary => {
                    self.apply_invalidations(view, &row, group)?;
                }
                EntryKind::Probe => {} // applied above
            }
        }
        Ok(())
    }

    /// Stores another host's probe with its age, unless this folder has a newer probe.
    fn apply_probe(&self, view: &LogView, entry: &Entry) -> Result<()> {
        let Some(body) = decode::<ProbeBody>(&entry.body) else {
            return Ok(());
        };
        let observed_ms = entry.observed_ms(body.age_ms);
        let rows = LibraryRows(&self.store).libraries(view.view_id)?;
        if rows.iter().any(|row| row.checked_ms > observed_ms) {
            return Ok(());
        }
        let is_current = |row: &LibraryRow, library: &Library| {
            let (age, token) = (listing_age(row), &library.change);
            freshness::is_current(&age, &row.listed_token, token, &self.policy, observed_ms)
        };
        // The probe covers none of the events that this host has received.
        let begun = Sequence::default();
        LibraryRows(&self.store)
            .store_probe(
                view.view_id,
                &body.libraries,
                begun,
                observed_ms,
                Deadline::NONE,
                &is_current,
            )
            .map(drop)
    }

    /// If this folder has the listing that another host's entry describes, marks it as current as of the entry.
    fn apply_listing_head(&self, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let Some(head) = decode::<ListingBody>(&entry.body) else {
            return Ok(());
        };
        if !row.generation.is_fetched() || Outbox(&self.store).shared_listing(row.id)? != Some(head.listing) {
            return Ok(()); // a call that needs the listing copies it
        }
        self.mark_synced_to_head(row, &head, entry.observed_ms(head.age_ms))
    }

    /// Records that a library has the state in `head`, observed at `observed_ms`, unless plexindex checked it later.
    pub fn mark_synced_to_head(&self, row: &LibraryRow, head: &ListingBody, observed_ms: i64) -> Result<()> {
        if row.checked_ms > observed_ms {
            return Ok(());
        }
        let mut synced = row.clone();
        synced.library.change = head.change.clone();
        ItemRows(&self.store).store_merged_delta(
            &synced,
            None,
            &MergedChanges {
                items: head.items,
                keys: &HashSet::new(),
                newest_update: None,
                left_out: row.left_out,
                // The other host has compared the content with its items.
                changed_content: false,
                is_unexplained: head.unexplained,
                provisional: head.provisional,
            },
            observed_ms,
            Deadline::NONE,
        )
    }

    /// Merges items that other hosts fetched from the server, and removes items that they found missing. Does nothing
    /// if this folder has no listing of the library.
    fn apply_items(&self, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        if !row.generation.is_fetched() {
            return Ok(());
        }
        // A listing that this host fetched itself is newer than entries from before the fetch.
        let (begun_ms, now_ms) = (Outbox(&self.store).listing_begun_ms(row.id)?, self.clock.now_ms());
        let is_older = |entry: &&Entry| begun_ms <= now_ms && entry.latest_written_ms() < begun_ms;
        let newer = entries.iter().filter(|entry| !is_older(entry));
        let items = newer.filter_map(|entry| {
            let key = String::from_utf8_lossy(&entry.name.key).into_owned();
            let item = decode::<ItemBody>(&entry.body)?.item;
            // Skip an item that is not the one in the entry's name.
            let is_named = item.as_ref().is_none_or(|item| item.rating_key == key);
            is_named.then_some((key, item))
        });
        ItemRows(&self.store).merge_shared_items(row, &items.collect::<Vec<_>>(), Deadline::NONE)
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
            let old_key = SharedEntries(&self.reading).confirmed_key(row.id, &host_path);
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
            LibraryRows(&self.store).invalidate(view.view_id, &LocalWrite::NONE, &[], &removed, Deadline::NONE)?;
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&[u8], &str)> = pairs
            .iter()
            .map(|(path, key)| (path.as_slice(), key.as_str()))
            .collect();
        self.store_writer.record_matches(row, &pairs, Deadline::NONE)?;
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
                        let matches = self.reading.matches_of_item(&[row.id], &key)?;
                        let item = [(row.id, &b""[..], &*key)]; // the empty path stands for the whole item
                        libraries.invalidate(view_id, &LocalWrite::NONE, &item, &matches, Deadline::NONE)?;
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
