//! Jobs of a shared index: the log is asked first, and the server under a lease of the log.

use std::time::{Duration, Instant};

use super::{Away, Exchange, LogSource, SharedView, deadline};
use crate::engine::LibraryRow;
use crate::error::Result;
use crate::freshness::Need;
use crate::model::Hint;
use crate::platform::mutex::lock;
use crate::shared::bodies::{ListingBody, ProbeBody, decode, name};
use crate::shared::{Entry, EntryKind, Lease, Position};
use crate::sync::job::SyncJob;
use crate::sync::refresh::RefreshReason;

/// Pause between two looks at what another host is fetching.
const POLL: Duration = Duration::from_millis(100);

/// A lease while its work is done.
pub struct HeldLease<'x> {
    exchange: &'x Exchange,
    pub lease: Lease,
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        lock(&self.exchange.state).leases.retain(|held| *held != self.lease);
        let _ = self.exchange.ask(|log| log.release(&self.lease, deadline()));
    }
}

/// What the log says before the server is asked.
enum Turn<'x, T> {
    /// Another host did it: this is the result.
    Done(T),
    /// This host asks the server, for all.
    Lease(HeldLease<'x>),
    /// This host asks the server for itself: the log is away, or does not know this view.
    Alone,
}

/// Which probe of another host is as good as an own one.
#[derive(Clone, Copy)]
pub struct AcceptedProbe<'p> {
    /// How old it may be. One that was made since the call began is always accepted.
    pub oldest: Duration,
    /// It must be newer than what events and hosts last told of this library.
    pub library: Option<&'p str>,
}

impl Exchange {
    /// The probe in the log, if it is accepted.
    fn find_probe(&self, view: &SharedView, accepts: &AcceptedProbe<'_>, begun: Instant) -> Option<Entry> {
        let library = accepts.library.unwrap_or_default();
        let names = [
            name(EntryKind::Probe, "", b""),
            name(EntryKind::Hint, library, b""),
            name(EntryKind::InvalidLibrary, library, b""),
        ];
        let found = self
            .ask(|log| log.find(view.number, &names, deadline()))
            .unwrap_or_default();
        let told = found.iter().filter(|entry| entry.name.kind != EntryKind::Probe);
        let told = told.map(|entry| entry.number).max().unwrap_or(0);
        let oldest = accepts.oldest.max(begun.elapsed());
        let probe = found.into_iter().find(|entry| entry.name.kind == EntryKind::Probe);
        probe.filter(|entry| entry.number > told && entry.age <= oldest)
    }

    /// The entry of a library that has no key.
    fn find(&self, view: &SharedView, kind: EntryKind, library: &str) -> std::result::Result<Option<Entry>, Away> {
        let names = [name(kind, library, b"")];
        let mut found = self.ask(|log| log.find(view.number, &names, deadline()))?;
        Ok(found.pop())
    }

    /// The head of a library's listing in the log.
    pub(super) fn head(
        &self,
        view: &SharedView,
        library: &str,
    ) -> std::result::Result<Option<(Entry, ListingBody)>, Away> {
        let found = self.find(view, EntryKind::Listing, library)?;
        Ok(found.and_then(|entry| decode(&entry.body).map(|body| (entry, body))))
    }

    /// Takes a lease; `None` while another host has it.
    fn take_lease(&self, view: &SharedView, what: &str) -> std::result::Result<Option<HeldLease<'_>>, Away> {
        let lease = self.ask(|log| log.lease(view.number, what, deadline()))?;
        Ok(lease.map(|lease| {
            lock(&self.state).leases.push(lease.clone());
            HeldLease { exchange: self, lease }
        }))
    }
}

impl<'a> SyncJob<'a> {
    /// The exchange and the view that it is of, if hosts share this one.
    fn shared(&self) -> Result<Option<(&'a Exchange, SharedView)>> {
        let Some(exchange) = self.sync.exchange.as_deref() else {
            return Ok(None);
        };
        Ok(exchange.view()?.map(|view| (exchange, view)))
    }

    /// Looks for a result of another host with `look` until there is one, or until this host may ask the server itself.
    fn turn<'x, T>(
        &self,
        exchange: &'x Exchange,
        view: &SharedView,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Turn<'x, T>> {
        loop {
            if let Some(done) = look()? {
                return Ok(Turn::Done(done));
            }
            match exchange.take_lease(view, what) {
                Err(Away) => return Ok(Turn::Alone),
                Ok(Some(lease)) => {
                    // Its last holder may have published the result between the two.
                    return Ok(match look()? {
                        Some(done) => Turn::Done(done),
                        None => Turn::Lease(lease),
                    });
                }
                Ok(None) => {}
            }
            let until = Instant::now() + self.bounds.deadline.wait(POLL);
            if self.bounds.deadline.has_passed() || (self.bounds.aborted)() {
                return Err(self.deadline_error());
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Exchanges news before a library is brought up to date: the log is to know first what this host has to tell. Returns
    /// whether the library waits for the log, which is away: its listing answers meanwhile, marked as stale.
    pub fn waits_for_log(&self, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        let Some((exchange, view)) = self.shared()? else {
            return Ok(self
                .sync
                .exchange
                .as_ref()
                .is_some_and(|exchange| exchange.is_awaited(row, why)));
        };
        exchange.exchange_once(&view, self.bounds.deadline)?;
        Ok(exchange.is_awaited(row, why))
    }

    /// A probe by this host or another one. Returns the rows.
    pub fn shared_probe(&self, quick: bool, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        let begun = Instant::now();
        let Some((exchange, view)) = self.shared()? else {
            let (_, rows) = self.probe(quick && self.sync.exchange.is_none())?;
            // The first probe names the view: others need not repeat it.
            if let Some((exchange, view)) = self.shared()? {
                exchange.publish_probe(&view, &rows, None);
            }
            return Ok(rows);
        };
        let look = || -> Result<Option<Vec<LibraryRow>>> {
            let Some(entry) = exchange.find_probe(&view, accepts, begun) else {
                return Ok(None);
            };
            let body = decode::<ProbeBody>(&entry.body);
            let rows = body.map(|body| exchange.store_probe(view.identity, &body.libraries, exchange.at_ms(&entry)));
            rows.transpose()
        };
        match self.turn(exchange, &view, "probe", look)? {
            Turn::Done(rows) => Ok(rows),
            Turn::Alone => Ok(self.probe(false)?.1),
            Turn::Lease(held) => {
                let (identity, rows) = self.probe(false)?;
                if identity == view.identity {
                    exchange.publish_probe(&view, &rows, Some(&held.lease));
                }
                Ok(rows)
            }
        }
    }

    /// Brings a library up to date: from the log, or from the server for all hosts.
    pub fn fetch(&self, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        let Some((exchange, view)) = self.shared()? else {
            return self.ask_source(row, need, why).map(drop);
        };
        let uuid = row.library.uuid.clone();
        let wants_new = matches!(why, RefreshReason::Full | RefreshReason::Unverified);
        let look = || -> Result<Option<()>> {
            if wants_new || !exchange.exchange_once(&view, self.bounds.deadline)? {
                return Ok(None);
            }
            let now = self.sync.store.library_row(row.id)?;
            let is_current = |now: &LibraryRow| {
                now.generation.is_fetched()
                    && now.listed_token == now.library.change.token
                    && !now.due
                    && now.hint == Hint::None
            };
            if is_current(&now) {
                return Ok(Some(()));
            }
            let Ok(Some((entry, head))) = exchange.head(&view, &uuid) else {
                return Ok(None);
            };
            let is_own = self.sync.store.shared_listing(row.id)? == Some(head.listing);
            let is_void = exchange.is_void(&view, &uuid, &head);
            if is_own && now.generation.is_fetched() && !now.due || is_void {
                return Ok(None);
            }
            self.take_listing(exchange, &view, &now, &entry, &head)?;
            let now = self.sync.store.library_row(row.id)?;
            Ok(is_current(&now).then_some(()))
        };
        match self.turn(exchange, &view, &format!("fetch {uuid}"), look)? {
            Turn::Done(()) => Ok(()),
            Turn::Alone => self.ask_source(row, need, why).map(drop),
            Turn::Lease(held) => {
                let before = self.sync.store.library_row(row.id)?;
                // An older listing of another host may have been taken since.
                let need = if wants_new { need } else { self.need(&before, why) };
                if matches!(need, Need::Nothing | Need::Probe) {
                    return Ok(());
                }
                let included = exchange.place(view.identity)?.position;
                let merged = self.ask_source(&before, need, why)?;
                let after = self.sync.store.library_row(row.id)?;
                exchange.publish(&view, &held.lease, (&before, &after), merged, included);
                Ok(())
            }
        }
    }

    /// Takes a listing that another host published, as old as it is.
    fn take_listing(
        &self,
        exchange: &Exchange,
        view: &SharedView,
        row: &LibraryRow,
        entry: &Entry,
        head: &ListingBody,
    ) -> Result<()> {
        let at_ms = exchange.at_ms(entry);
        let source = LogSource {
            exchange,
            view: *view,
            head: head.clone(),
        };
        let mut row = row.clone();
        row.library.change = head.change.clone();
        let job = SyncJob {
            source: &source,
            from_log: Some(at_ms),
            ..*self
        };
        job.list(&row, RefreshReason::Due)?;
        let store = &self.sync.store;
        store.store_shared_listing(row.id, head.listing, self.bounds.deadline)?;
        // Items since then that this folder has read are in the listing before; they are applied to this one.
        let mut from = head.included;
        loop {
            let Ok(news) = exchange.ask(|log| log.read(view.number, from, 1_000, deadline())) else {
                return Ok(()); // the next exchange applies them
            };
            let of_library =
                |entry: &Entry| entry.name.kind == EntryKind::Item && entry.name.library == row.library.uuid;
            let items: Vec<Entry> = news.entries.into_iter().filter(of_library).collect();
            let now = store.library_row(row.id)?;
            exchange.take_items(view, &now, &items)?;
            from = news.position;
            if !news.more {
                break;
            }
        }
        let now = store.library_row(row.id)?;
        exchange.reach(&now, head, at_ms)
    }
}

impl Exchange {
    /// Returns whether the log is away, and a library waits for it.
    fn is_awaited(&self, row: &LibraryRow, why: RefreshReason) -> bool {
        row.generation.is_fetched()
            && matches!(why, RefreshReason::Due | RefreshReason::Missing)
            && self.away_ms().is_some_and(|away| away < self.patience_ms)
    }

    /// Returns whether a library was invalidated after a listing of it was begun.
    fn is_void(&self, view: &SharedView, library: &str, head: &ListingBody) -> bool {
        let Position { number, .. } = head.included;
        let told = self.find(view, EntryKind::InvalidLibrary, library);
        told.map_or(true, |told| told.is_some_and(|told| told.number > number))
    }
}
