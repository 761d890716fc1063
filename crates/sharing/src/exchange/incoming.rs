//! Takes what other hosts wrote from the log, and applies it to the store, in the log's order.
//!
//! Entries are applied again after a kill, and when the log was restored: each gives the same result twice.

use std::time::Instant;

use super::applied::Applied;
use super::core::{Exchange, STEP, SharedView, is_patient, quietly};
use super::waiting::{self, Waiting};
use crate::bodies::{ItemBody, ListingBody, ProbeBody, decode};
use crate::contract::{Entry, EntryKind, EntryName, NewEntry, Position};
use crate::engine::{
    ItemRows, LibraryHint, LibraryRow, LibraryRows, LocalWrite, Outbox, RecordRows, SharedPlace, Totals, WAITS, age,
};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::freshness;
use crate::model::{Hint, IdentityId, Library, LibraryId};
use crate::platform::Deadline;
use crate::platform::FileLock;
use crate::platform::lock;
use crate::stats::Spent;
use crate::sync::{Selection, Selector};

/// Most entries of one request.
pub const BATCH: usize = 1_000;
/// Most names of one request: a log may answer each with an entry of the largest size.
const FEW: usize = 100;

/// What an exchange has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// The log has all that this host wrote.
    pub has_delivered: bool,
    /// This host has all that the log had. Otherwise the log did not answer in time.
    pub has_taken: bool,
}

impl Exchanged {
    /// Whether nothing is left on either side.
    pub fn is_complete(self) -> bool {
        self.has_delivered && self.has_taken
    }
}

impl Exchange {
    /// How far this folder has read the log.
    pub fn place(&self, identity: IdentityId) -> Result<SharedPlace> {
        Outbox(&self.store).shared_place(identity, self.log.name(), self.mappings)
    }

    /// Delivers what waits, one thread and process of the folder at a time. Returns `false` if the log does not have it
    /// by the deadline.
    pub fn deliver_once(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        self.alone(until.earliest(Deadline::after(STEP)), || self.deliver(view, until))
    }

    /// [`Self::exchange`], one thread and process of the folder at a time. Waits for others until the deadline, and
    /// does nothing then.
    pub fn exchange_once(&self, view: &SharedView, until: Deadline) -> Result<Exchanged> {
        self.alone(until, || self.exchange(view, until))
    }

    /// The same for nobody who waits: only another exchange is not waited for.
    pub fn exchange_fully(&self, view: &SharedView, others: Deadline) -> Result<Exchanged> {
        self.alone(others, || self.exchange(view, Deadline::NONE))
    }

    fn alone<R: Default>(&self, until: Deadline, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let path = self.store.folder().fetch_lock("exchange");
        // Whoever has it may wait for a log that is silent.
        match FileLock::acquire(&path, until, &|| self.is_away() && !is_patient()) {
            Ok(None) => Ok(R::default()),
            // Without locks two of them do the same twice, which does no harm.
            lock => {
                let done = work();
                drop(lock);
                done
            }
        }
    }

    /// Delivers what waits, then takes all that is new; also of a log that takes no writes. The next exchange goes on
    /// where the deadline ended this one.
    fn exchange(&self, view: &SharedView, until: Deadline) -> Result<Exchanged> {
        let begun = Instant::now();
        let done = self.exchange_untimed(view, until);
        self.counters.add_time(Spent::Exchange, begun.elapsed());
        done
    }

    fn exchange_untimed(&self, view: &SharedView, until: Deadline) -> Result<Exchanged> {
        let mut view = *view;
        let first = self.place(view.identity)?;
        // What a new folder takes from the log, the log does not lack.
        let joins = if first.position == Position::default() {
            let rows = LibraryRows(&self.store).libraries(view.identity)?;
            rows.iter().any(|row| row.matches.is_some())
        } else {
            first.looked_ms == 0
        };
        let looked_ms = || if joins { 0 } else { self.clock.now_ms() };
        // What this host wrote comes first: the order of the log decides.
        let mut done = Exchanged {
            has_delivered: self.deliver(&view, until)?,
            has_taken: false,
        };
        loop {
            if until.has_passed() || lock(&self.state).stops || !done.has_delivered && !self.is_refusing() {
                return Ok(done);
            }
            // Before anything is taken: the older state of the log must not replace what this host wrote since.
            if self.has_lost(&view, until)? {
                self.tell_again(&view)?;
                view.host = Outbox(&self.store).host()?;
                done.has_delivered = self.deliver(&view, until)?;
                continue;
            }
            let place = self.place(view.identity)?;
            let Ok(news) = self.ask_until(until, |log, limit| log.read(view.number, place.position, BATCH, limit))
            else {
                return Ok(done);
            };
            if news.from_start && place.position != Position::default() {
                log::warn!(
                    "the shared log {} was restored or cleared, or this host was away too long: reading it from its \
                     beginning",
                    self.log.name()
                );
                let beginning = SharedPlace {
                    looked_ms: looked_ms(),
                    ..SharedPlace::default()
                };
                self.store_place(&view, &beginning)?;
                lock(&self.state).kept = None;
                self.forget_view();
                let Some(again) = self.view()? else {
                    return Ok(done);
                };
                view = again;
                continue;
            }
            let mut place = SharedPlace {
                position: news.position,
                looked_ms: looked_ms(),
            };
            self.apply_news(&view, &news.entries, done.has_delivered)?;
            self.store_place(&view, &place)?;
            if !news.entries.is_empty() {
                self.reading.catch_up(Deadline::NONE)?;
                let of_others = news.entries.iter().filter(|entry| entry.host != view.host).count();
                self.counters.count_taken(of_others as u64);
                let entries = if of_others == 1 { "entry" } else { "entries" };
                if of_others > 0 {
                    log::info!(
                        "took {of_others} {entries} of other hosts from the shared log {}",
                        self.log.name()
                    );
                }
            }
            if !news.more {
                if joins && self.join(&view, until)? {
                    place.looked_ms = self.clock.now_ms();
                    self.store_place(&view, &place)?;
                }
                if joins {
                    done.has_delivered = self.deliver(&view, until)?;
                }
                if done.has_delivered {
                    self.end_refusal();
                }
                done.has_taken = true;
                return Ok(done);
            }
        }
    }

    /// Applies entries. What this host has told and could not deliver is later than all of them.
    fn apply_news(&self, view: &SharedView, entries: &[Entry], has_delivered: bool) -> Result<()> {
        if has_delivered || entries.is_empty() {
            return self.apply(view, entries);
        }
        let waiting = Waiting::new(Outbox(&self.store).entries(view.identity, usize::MAX)?);
        let voids = entries.iter().any(waiting::voids);
        let taken: Vec<Entry> = (entries.iter())
            .filter(|entry| !waiting.overrides(entry))
            .cloned()
            .collect();
        self.apply(view, &taken)?;
        if voids {
            self.apply(view, &waiting.matches())?;
        }
        Ok(())
    }

    fn store_place(&self, view: &SharedView, place: &SharedPlace) -> Result<()> {
        Outbox(&self.store).store_shared_place(view.identity, self.log.name(), self.mappings, place, Deadline::NONE)
    }

    /// Tells a log that this folder never read before of the matches that it lacks. Returns `false` if the log is away,
    /// or the deadline came first.
    fn join(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        self.tell_matches(view, |told| {
            let names: Vec<EntryName> = told.iter().map(|entry| entry.name.clone()).collect();
            let Ok(found) = self.ask_until(until, |log, limit| log.find(view.number, &names, limit)) else {
                return Ok(false);
            };
            told.retain(|entry| !found.iter().any(|found| found.name == entry.name));
            Ok(!lock(&self.state).stops)
        })
    }

    /// Puts all confirmed matches that do not wait already into the outbox, some at a time, unless `lacks` removes
    /// them. Returns `false` if `lacks` does.
    pub fn tell_matches(&self, view: &SharedView, lacks: impl Fn(&mut Vec<NewEntry>) -> Result<bool>) -> Result<bool> {
        self.reading.catch_up(Deadline::NONE)?;
        for row in LibraryRows(&self.store).libraries(view.identity)? {
            let known = RecordRows(&self.store).confirmed_matches(row.id)?;
            let told_at = Outbox(&self.store).matches_told(view.identity, &row.library.uuid)?;
            for some in known.chunks(FEW) {
                let pairs: Vec<(&[u8], &str)> =
                    some.iter().map(|(path, key)| (path.as_slice(), key.as_str())).collect();
                let mut told = SharedEntries(&self.reading).of_matches(&row.library, &pairs);
                told.retain(|entry| told_at.get(&entry.name.key) != Some(&WAITS));
                if !lacks(&mut told)? {
                    return Ok(false);
                }
                Outbox(&self.store).enqueue(view.identity, &told, Deadline::NONE)?;
            }
        }
        Ok(true)
    }

    /// Applies entries in their order. Other hosts have them.
    fn apply(&self, view: &SharedView, entries: &[Entry]) -> Result<()> {
        quietly(|| self.apply_each(view, entries))
    }

    fn apply_each(&self, view: &SharedView, entries: &[Entry]) -> Result<()> {
        let (mut rest, mut has_probed) = (entries, false);
        while let Some(first) = rest.first() {
            // Neighbours of one kind and library are written together.
            let same = |entry: &&Entry| entry.name.kind == first.name.kind && entry.name.library == first.name.library;
            let (group, others) = rest.split_at(rest.iter().take_while(same).count());
            rest = others;
            if first.name.kind == EntryKind::Probe {
                self.take_probe(view, first)?;
                continue;
            }
            let find = || -> Result<Option<LibraryRow>> {
                let rows = LibraryRows(&self.store).libraries(view.identity)?;
                Ok(rows.into_iter().find(|row| row.library.uuid == first.name.library))
            };
            let mut found = find()?;
            if found.is_none() && !std::mem::replace(&mut has_probed, true) {
                // The last probe may come behind: its number is that of the last host that probed.
                if let Ok(Some(probe)) = self.find(view, EntryKind::Probe, "", b"") {
                    self.take_probe(view, &probe)?;
                    found = find()?;
                }
            }
            // A library that this user does not see.
            let Some(row) = found else {
                continue;
            };
            match first.name.kind {
                EntryKind::Listing => group.iter().try_for_each(|entry| self.take_head(&row, entry))?,
                EntryKind::Item => self.take_items(view, &row, group)?,
                EntryKind::Match => self.take_matches(view, &row, group)?,
                EntryKind::InvalidItem => self.take_invalid_items(view, &row, group)?,
                EntryKind::InvalidPath => self.take_invalid_paths(view, &row, group)?,
                EntryKind::InvalidLibrary => {
                    let mut before = Vec::new();
                    for entry in group {
                        match self.is_applied(entry)? {
                            Applied::Never => {
                                LibraryRows(&self.store).invalidate_libraries(
                                    view.identity,
                                    Some(row.id),
                                    Deadline::NONE,
                                )?;
                                self.note_applied(entry)?;
                            }
                            applied => before.push((entry, applied)),
                        }
                    }
                    self.forget_shared(view, &row, &before)?;
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
        let at_ms = self.seen_ms(entry, body.age_ms);
        let known = LibraryRows(&self.store).libraries(view.identity)?;
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
        let begun = Totals::of(&self.store)?.sequence;
        LibraryRows(&self.store).probed(identity, shown, begun, at_ms, Deadline::NONE, &is_current)
    }

    /// When an entry was written, by this host's clock.
    pub fn at_ms(&self, entry: &Entry) -> i64 {
        let age = i64::try_from(entry.age.as_millis()).unwrap_or(i64::MAX);
        self.clock.now_ms().saturating_sub(age)
    }

    /// When the server was in the state that an entry tells of, by this host's clock.
    pub fn seen_ms(&self, entry: &Entry, age_ms: u64) -> i64 {
        self.at_ms(entry)
            .saturating_sub(i64::try_from(age_ms).unwrap_or(i64::MAX))
    }

    /// The head of the listing that this folder has: the items before it have led to its state.
    fn take_head(&self, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let Some(head) = decode::<ListingBody>(&entry.body) else {
            return Ok(());
        };
        if !row.generation.is_fetched() || Outbox(&self.store).shared_listing(row.id)? != Some(head.listing) {
            return Ok(()); // it is taken when a call needs it
        }
        self.reach(row, &head, self.seen_ms(entry, head.age_ms))
    }

    /// Stores that a library's listing is what a head says.
    pub fn reach(&self, row: &LibraryRow, head: &ListingBody, at_ms: i64) -> Result<()> {
        if row.checked_ms > at_ms {
            return Ok(());
        }
        let mut reached = row.clone();
        reached.library.change = head.change.clone();
        let begun = Totals::of(&self.store)?.sequence;
        ItemRows(&self.store).caught_up(&reached, begun, head.items, at_ms, head.provisional, Deadline::NONE)
    }

    /// Merges items that other hosts were given by the server.
    pub fn take_items(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        if !row.generation.is_fetched() {
            return Ok(());
        }
        // A listing that this host made by itself is newer than what others told before.
        let (begun_ms, now_ms) = (Outbox(&self.store).begun_ms(row.id)?, self.clock.now_ms());
        let is_older = |entry: &&Entry| begun_ms <= now_ms && self.at_ms(entry) < begun_ms;
        let since = Totals::of(&self.store)?.sequence;
        let newer = entries.iter().filter(|entry| !is_older(entry));
        let bodies = newer.filter_map(|entry| Some((entry, decode::<ItemBody>(&entry.body)?)));
        let (mut merged, mut verified) = (Vec::new(), Vec::new());
        for (entry, body) in bodies {
            let key = String::from_utf8_lossy(&entry.name.key).into_owned();
            match body.item {
                Some(item) if item.rating_key == key => merged.push(item),
                Some(_) => continue,
                None => {
                    let confirmed = body
                        .verified
                        .then(|| self.reading.matches_of_item(&[row.id], &key))
                        .transpose()?
                        .unwrap_or_default();
                    ItemRows(&self.store).remove_item(row, &key, &confirmed, Deadline::NONE)?;
                }
            }
            if body.verified {
                verified.push(key);
            }
        }
        ItemRows(&self.store).merge_items(row, &merged, None, Deadline::NONE)?;
        let verified: Vec<&str> = verified.iter().map(String::as_str).collect();
        LibraryRows(&self.store).verified(view.identity, row.id, &[], &verified, since, Deadline::NONE)
    }

    /// Records matches of other hosts whose paths are this host's too.
    fn take_matches(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        // The entries before may have removed what the snapshot still has.
        self.reading.catch_up(Deadline::NONE)?;
        let mut pairs: Vec<(Vec<u8>, String)> = Vec::new();
        let mut removed: Vec<(LibraryId, Vec<u8>)> = Vec::new();
        for entry in entries {
            let own = SharedEntries(&self.reading).own_spelling(&row.library, &entry.name.key);
            let (Some(own), Ok(key)) = (own, std::str::from_utf8(&entry.body)) else {
                continue;
            };
            let known = SharedEntries(&self.reading).confirmed_key(row.id, &own);
            if key.is_empty() {
                removed.extend(known.map(|_| (row.id, own.into_owned())));
            } else {
                if known.as_deref() == Some(key) {
                    continue;
                }
                if let Some(known) = known {
                    log::info!(
                        "'{}': another host confirmed item {key} for a path that was confirmed as {known} here",
                        row.library.title
                    );
                }
                pairs.push((own.into_owned(), key.to_owned()));
            }
        }
        if !removed.is_empty() {
            LibraryRows(&self.store).invalidate(view.identity, &LocalWrite::NONE, &[], &removed, Deadline::NONE)?;
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&[u8], &str)> = pairs
            .iter()
            .map(|(path, key)| (path.as_slice(), key.as_str()))
            .collect();
        self.maintenance.record_matches(row, &pairs, Deadline::NONE)?;
        Ok(())
    }

    fn take_hint(&self, view: &SharedView, row: &LibraryRow, entry: &Entry) -> Result<()> {
        let hint = LibraryHint {
            section: Some(row.library.section.clone()),
            hint: Hint::from_number(entry.body.first().copied().unwrap_or(0).into()),
            deleted: Vec::new(),
        };
        LibraryRows(&self.store).mark(view.identity, &[hint], Deadline::NONE)
    }

    fn take_invalid_items(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        let mut before = Vec::new();
        for entry in entries {
            let key = String::from_utf8_lossy(&entry.name.key);
            // Without a body, matches of the item stay.
            if !entry.body.is_empty() {
                let applied = self.is_applied(entry)?;
                if applied == Applied::Never {
                    let confirmed = self.reading.matches_of_item(&[row.id], &key)?;
                    LibraryRows(&self.store).invalidate(
                        view.identity,
                        &LocalWrite::NONE,
                        &[(row.id, b"", &*key)],
                        &confirmed,
                        Deadline::NONE,
                    )?;
                    self.note_applied(entry)?;
                    continue;
                }
                before.push((entry, applied));
            }
            // Also if it is applied already: an older item may have ended it.
            LibraryRows(&self.store).invalidate_items(view.identity, row.id, &[&key], Deadline::NONE)?;
        }
        self.forget_shared(view, row, &before)
    }

    fn take_invalid_paths(&self, view: &SharedView, row: &LibraryRow, entries: &[Entry]) -> Result<()> {
        let library = Selection::new(Selector::Uuid(row.library.uuid.clone()))?;
        let mut before = Vec::new();
        for entry in entries {
            if self.is_applied(entry)? == Applied::Own {
                before.push((entry, Applied::Own));
            } else if let Some(own) = SharedEntries(&self.reading).own_spelling(&row.library, &entry.name.key) {
                self.reading.invalidate_spellings(&library, &own, &entry.name.key)?;
            }
        }
        self.forget_shared(view, row, &before)
    }
}
