//! Takes what other hosts wrote from the log, and applies it to the store, in the log's order.
//!
//! Entries are applied again after a kill, and when the log was restored: each gives the same result twice.

use super::core::{Exchange, SharedView, deadline};
use crate::engine::{LibraryHint, LibraryRow, Selection, Selector, SharedPlace, age};
use crate::error::Result;
use crate::freshness;
use crate::model::{Hint, IdentityId, Library, LibraryId};
use crate::platform::deadline::Deadline;
use crate::platform::lock::FileLock;
use crate::shared::bodies::{ItemBody, ListingBody, ProbeBody, decode};
use crate::shared::{Entry, EntryKind, EntryName, Position};

/// Most entries of one request.
const BATCH: usize = 1_000;

impl Exchange {
    /// How far this folder has read the log.
    pub fn place(&self, identity: IdentityId) -> Result<SharedPlace> {
        self.store.shared_place(identity, self.log.name(), self.mappings)
    }

    /// Delivers what waits, one thread and process of the folder at a time. Returns `false` if the log does not have it by
    /// the deadline.
    pub fn deliver_once(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        self.alone(until, || self.deliver(view))
    }

    /// [`Self::exchange`], one thread and process of the folder at a time. Waits for others until the deadline, and
    /// returns `false` then.
    pub fn exchange_once(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        self.alone(until, || self.exchange(view))
    }

    fn alone(&self, until: Deadline, work: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let path = self.store.folder().fetch_lock("exchange");
        match FileLock::acquire(&path, until, &|| false) {
            Ok(None) => Ok(false),
            // Without locks two of them do the same twice, which does no harm.
            lock => {
                let done = work();
                drop(lock);
                done
            }
        }
    }

    /// Delivers what waits, then takes all that is new. Returns `false` if the log is away.
    fn exchange(&self, view: &SharedView) -> Result<bool> {
        let joins = self.place(view.identity)?.position == Position::default();
        // What this host wrote comes first: the order of the log decides.
        if !self.deliver(view)? {
            return Ok(false);
        }
        loop {
            let place = self.place(view.identity)?;
            let now_ms = self.clock.now_ms();
            let Ok(news) = self.ask(|log| log.read(view.number, place.position, BATCH, deadline())) else {
                return Ok(false);
            };
            if news.from_start && place.position != Position::default() {
                log::warn!(
                    "the shared log {} was restored or cleared: it is read from its beginning, and told again what it lacks",
                    self.log.name()
                );
                self.store.deliver_again(view.identity, Deadline::NONE)?;
            }
            self.apply(view, &news.entries)?;
            let place = SharedPlace {
                position: news.position,
                looked_ms: now_ms,
            };
            self.store
                .store_shared_place(view.identity, self.log.name(), self.mappings, &place, Deadline::NONE)?;
            if !news.entries.is_empty() {
                self.reading.catch_up(Deadline::NONE)?;
            }
            if !news.more {
                return if joins { self.join(view) } else { Ok(true) };
            }
        }
    }

    /// Tells a log that this folder never read before of the matches that it lacks.
    fn join(&self, view: &SharedView) -> Result<bool> {
        self.reading.catch_up(Deadline::NONE)?;
        for row in self.store.libraries(view.identity)? {
            let known = self.store.confirmed_matches(row.id)?;
            for some in known.chunks(BATCH) {
                let pairs: Vec<(&[u8], &str)> =
                    some.iter().map(|(path, key)| (path.as_slice(), key.as_str())).collect();
                let mut told = self.reading.tell_matches(&row, &pairs)?;
                let names: Vec<EntryName> = told.iter().map(|entry| entry.name.clone()).collect();
                let Ok(found) = self.ask(|log| log.find(view.number, &names, deadline())) else {
                    return Ok(false);
                };
                told.retain(|entry| !found.iter().any(|found| found.name == entry.name));
                self.store.tell(view.identity, &told, Deadline::NONE)?;
            }
        }
        self.deliver(view)
    }

    /// Applies entries in their order.
    pub fn apply(&self, view: &SharedView, entries: &[Entry]) -> Result<()> {
        let mut rest = entries;
        while let Some(first) = rest.first() {
            // Neighbours of one kind and library are written together.
            let same = |entry: &&Entry| entry.name.kind == first.name.kind && entry.name.library == first.name.library;
            let (group, others) = rest.split_at(rest.iter().take_while(same).count());
            rest = others;
            if first.name.kind == EntryKind::Probe {
                self.take_probe(view, first)?;
                continue;
            }
            let rows = self.store.libraries(view.identity)?;
            // A library that this user does not see, or not yet.
            let Some(row) = rows.into_iter().find(|row| row.library.uuid == first.name.library) else {
                continue;
            };
            match first.name.kind {
                EntryKind::Listing => group.iter().try_for_each(|entry| self.take_head(&row, entry))?,
                EntryKind::Item => self.take_items(view, &row, group)?,
                EntryKind::Match => self.take_matches(view, &row, group)?,
                EntryKind::InvalidItem => group
                    .iter()
                    .try_for_each(|entry| self.take_invalid_item(view, &row, entry))?,
                EntryKind::InvalidPath => self.take_invalid_paths(view, &row, group)?,
                EntryKind::InvalidLibrary => {
                    // This host's own one is applied already, and matches were recorded since.
                    if group.iter().any(|entry| entry.host != view.host) {
                        self.store
                            .invalidate_libraries(view.identity, Some(row.id), &[], Deadline::NONE)?;
                    }
                }
                EntryKind::Hint => self.take_hint(view, &row, first)?,
                EntryKind::Probe | EntryKind::Search => {}
            }
        }
        Ok(())
    }

    /// Stores a probe of another host, as old as it is, unless this folder has a newer one.
    fn take_probe(&self, view: &SharedView, entry: &Entry) -> Result<()> {
        let Some(body) = decode::<ProbeBody>(&entry.body) else {
            return Ok(());
        };
        let at_ms = self.at_ms(entry);
        let known = self.store.libraries(view.identity)?;
        if !known.iter().any(|row| row.checked_ms > at_ms) {
            self.store_probe(view.identity, &body.libraries, at_ms)?;
        }
        Ok(())
    }

    /// Stores libraries as they were shown at this time. What events told before is followed up by it: what they tell
    /// afterwards has a higher number in the log, and is applied later.
    pub fn store_probe(&self, identity: IdentityId, shown: &[Library], at_ms: i64) -> Result<Vec<LibraryRow>> {
        let is_current = |row: &LibraryRow, library: &Library| {
            row.checked_ms <= at_ms
                && freshness::is_current(&age(row), &row.listed_token, &library.change, &self.policy, at_ms)
        };
        let begun = self.store.totals()?.sequence;
        self.store
            .probed(identity, shown, begun, at_ms, Deadline::NONE, &is_current)
    }

    /// When an entry was written, by this host's clock.
    pub fn at_ms(&self, entry: &Entry) -> i64 {
        let age = i64::try_from(entry.age.as_millis()).unwrap_or(i64::MAX);
        self.clock.now_ms().saturating_sub(age)
    }

    /// The head of the listing that this folder has: the items before it have led to its state.
    fn take_head(&self, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let Some(head) = decode::<ListingBody>(&entry.body) else {
            return Ok(());
        };
        if !row.generation.is_fetched() || self.store.shared_listing(row.id)? != Some(head.listing) {
            return Ok(()); // it is taken when a call needs it
        }
        self.reach(row, &head, self.at_ms(entry))
    }

    /// Stores that a library's listing is what a head says.
    pub fn reach(&self, row: &LibraryRow, head: &ListingBody, at_ms: i64) -> Result<()> {
        if row.checked_ms > at_ms {
            return Ok(());
        }
        let mut reached = row.clone();
        reached.library.change = head.change.clone();
        let begun = self.store.totals()?.sequence;
        self.store
            .caught_up(&reached, begun, head.items, at_ms, head.provisional, Deadline::NONE)
    }

    /// Merges items that other hosts were given by the server.
    pub fn take_items(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        if !row.generation.is_fetched() {
            return Ok(());
        }
        let unverified = self.store.unverified(row.id)?;
        let bodies = entries
            .iter()
            .filter_map(|entry| Some((entry, decode::<ItemBody>(&entry.body)?)));
        let (mut merged, mut verified) = (Vec::new(), Vec::new());
        for (entry, body) in bodies {
            let key = String::from_utf8_lossy(&entry.name.key).into_owned();
            match body.item {
                Some(item) if item.rating_key == key => merged.push(item),
                Some(_) => continue,
                None if body.verified => self.store.remove_item_and_matches(row, &key, Deadline::NONE)?,
                None => self.store.remove_item(row, &key, Deadline::NONE)?,
            }
            if body.verified {
                verified.push(key);
            }
        }
        self.store.merge_items(row, &merged, None, Deadline::NONE)?;
        let is_verified = |key: &str| verified.iter().any(|known| known == key);
        self.maintenance.verified(
            view.identity,
            row,
            &unverified,
            std::iter::empty(),
            Deadline::NONE,
            is_verified,
        )
    }

    /// Records matches of other hosts whose paths are this host's too.
    fn take_matches(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        // The entries before may have removed what the snapshot still has.
        self.reading.catch_up(Deadline::NONE)?;
        let mut pairs: Vec<(Vec<u8>, String)> = Vec::new();
        let mut removed: Vec<(LibraryId, Vec<u8>)> = Vec::new();
        for entry in entries {
            let path = entry.name.key.as_slice();
            let Ok(key) = std::str::from_utf8(&entry.body) else {
                continue;
            };
            if key.is_empty() {
                let own = self.reading.own_spelling(row, path, None)?.unwrap_or_default();
                if let Some(known) = self.reading.confirmed_key(row.id, &own)
                    && self.reading.own_spelling(row, path, Some(&known))?.is_some()
                {
                    removed.push((row.id, own.into_owned()));
                }
            } else if let Some(own) = self.reading.own_spelling(row, path, Some(key))?
                && self.reading.confirmed_key(row.id, &own).as_deref() != Some(key)
            {
                pairs.push((own.into_owned(), key.to_owned()));
            }
        }
        if !removed.is_empty() {
            self.store
                .invalidate_paths(view.identity, &[], &removed, &[], Deadline::NONE)?;
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&[u8], &str)> = pairs
            .iter()
            .map(|(path, key)| (path.as_slice(), key.as_str()))
            .collect();
        self.maintenance
            .record_matches(view.identity, row, &pairs, &[], Deadline::NONE)?;
        Ok(())
    }

    fn take_hint(&self, view: &SharedView, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let hint = LibraryHint {
            section: Some(row.library.section.clone()),
            hint: Hint::from_number(entry.body.first().copied().unwrap_or(0).into()),
            deleted: Vec::new(),
        };
        self.store.mark(view.identity, &[hint], &[], Deadline::NONE)
    }

    fn take_invalid_item(&self, view: &SharedView, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let key = String::from_utf8_lossy(&entry.name.key);
        // This host's own one is applied already, and matches were recorded since. But an older item may have ended it.
        if entry.body.is_empty() || entry.host == view.host {
            self.store
                .invalidate_items(view.identity, row.id, &[&key], &[], Deadline::NONE)
        } else {
            self.store
                .invalidate_item(view.identity, &[row.id], &key, &[], Deadline::NONE)
        }
    }

    fn take_invalid_paths(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        let library = Selection::new(Selector::Uuid(row.library.uuid.clone()))?;
        for entry in entries.iter().filter(|entry| entry.host != view.host) {
            let own = self.reading.own_spelling(row, &entry.name.key, None)?;
            let paths: Vec<&[u8]> = own
                .iter()
                .map(|own| &**own)
                .chain([entry.name.key.as_slice()])
                .collect();
            self.reading.invalidate_told_paths(&library, &paths, false)?;
        }
        Ok(())
    }
}
