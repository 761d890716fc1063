//! Jobs of a shared index: the log is asked first, and the server under a lease of the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::exchange::{
    AcceptedProbe, Away, BATCH, Exchange, HeldLease, LogSource, Merged, STEP, SharedView, set_patient,
};
use super::job::{SyncJob, Syncing};
use super::refresh::RefreshReason;
use crate::engine::{LibraryRow, LibraryRows, Outbox};
use crate::error::{Error, Result, Status, refuse};
use crate::freshness::Need;
use crate::model::Hint;
use crate::platform::deadline::Deadline;
use crate::platform::fork::Release;
use crate::platform::thread::on_worker;
use crate::shared::bodies::{ListingBody, ProbeBody, decode};
use crate::shared::{Entry, EntryKind, HostId, ViewNumber};

/// Pause between two looks at what another host is fetching.
const POLL: Duration = Duration::from_millis(100);

/// How far a folder is in the shared log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedProgress {
    /// The number of the last entry that it has taken.
    pub taken: u64,
    /// Entries of its own that wait to be delivered.
    pub undelivered: u64,
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

impl<'a> SyncJob<'a> {
    /// The exchange and the view that it is of, if hosts share this one.
    pub fn shared(&self) -> Result<Option<(&'a Exchange, SharedView)>> {
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
        let may_wait = matches!(why, RefreshReason::Due | RefreshReason::Missing);
        let Some((exchange, view)) = self.shared()? else {
            return Ok(may_wait
                && self
                    .sync
                    .exchange
                    .as_ref()
                    .is_some_and(|exchange| exchange.is_awaited(row)));
        };
        exchange.exchange_once(&view, self.bounds.deadline)?;
        Ok(may_wait && exchange.is_awaited(row))
    }

    /// A probe by this host or another one. Returns the rows.
    pub fn shared_probe(&self, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        let begun = Instant::now();
        let Some((exchange, view)) = self.shared()? else {
            let asked_ms = self.sync.clock.now_ms();
            let (_, rows) = self.probe()?;
            // The first probe names the view. News comes before the probe is published, since a log may refuse to be written.
            if let Some((exchange, view)) = self.shared()? {
                exchange.exchange_once(&view, self.bounds.deadline)?;
                // Others need not repeat it.
                if let Ok(Some(held)) = exchange.take_lease(&view, "probe") {
                    exchange.publish_probe(&view, &rows, asked_ms, &held.lease);
                }
            }
            return Ok(rows);
        };
        let look = || -> Result<Option<Vec<LibraryRow>>> {
            let Some(entry) = exchange.find_probe(&view, accepts, begun) else {
                return Ok(None);
            };
            let body = decode::<ProbeBody>(&entry.body);
            let rows = body.map(|body| {
                let at_ms = exchange.seen_ms(&entry, body.age_ms);
                exchange.store_probe(view.identity, &body.libraries, at_ms)
            });
            rows.transpose()
        };
        match self.turn(exchange, &view, "probe", look)? {
            Turn::Done(rows) => Ok(rows),
            Turn::Alone => Ok(self.probe()?.1),
            Turn::Lease(held) => {
                let asked_ms = self.sync.clock.now_ms();
                let (identity, rows) = self.probe()?;
                if identity == view.identity {
                    exchange.publish_probe(&view, &rows, asked_ms, &held.lease);
                }
                Ok(rows)
            }
        }
    }

    /// Brings a library up to date: from the log, or from the server for all hosts.
    pub fn fetch(&self, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        let Some((exchange, view)) = self.shared()? else {
            return self.ask_server_for(row, need, why).map(drop);
        };
        let uuid = row.library.uuid.clone();
        let wants_new = matches!(why, RefreshReason::Full | RefreshReason::Unverified);
        let look = || -> Result<Option<()>> {
            if wants_new || !exchange.exchange_once(&view, self.bounds.deadline)?.has_taken {
                return Ok(None);
            }
            let now = LibraryRows(&self.sync.store).library_row(row.id)?;
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
            let is_own = Outbox(&self.sync.store).shared_listing(row.id)? == Some(head.listing);
            // This host may have listed it since, while the log was away.
            let is_older = exchange.at_ms(&entry) <= now.checked_ms;
            if (is_own || is_older) && now.generation.is_fetched() && !now.due || exchange.is_void(&view, &uuid, &head)
            {
                return Ok(None);
            }
            match self.take_listing(exchange, &view, &now, &entry, &head) {
                // A chunk is gone or damaged, or the log is away: the next turn says what to do.
                Err(error) if matches!(error.status, Status::BadAnswer | Status::Timeout) => {
                    log::info!("'{}': {error}", row.library.title);
                    return Ok(None);
                }
                taken => taken?,
            }
            let now = LibraryRows(&self.sync.store).library_row(row.id)?;
            Ok(is_current(&now).then_some(()))
        };
        match self.turn(exchange, &view, &format!("fetch {uuid}"), look)? {
            Turn::Done(()) => Ok(()),
            Turn::Alone => self.ask_server_for(row, need, why).map(drop),
            Turn::Lease(held) => {
                let before = LibraryRows(&self.sync.store).library_row(row.id)?;
                // An older listing of another host may have been taken since.
                let need = if wants_new { need } else { self.need(&before, why) };
                if matches!(need, Need::Nothing | Need::Probe) {
                    return Ok(());
                }
                let included = exchange.place(view.identity)?.position;
                let merged = self.ask_server_for(&before, need, why)?;
                let after = LibraryRows(&self.sync.store).library_row(row.id)?;
                exchange.publish(&view, &held.lease, (&before, &after), merged, included);
                Ok(())
            }
        }
    }

    /// Brings a library up to date from the source. Returns the changes, if these are all.
    fn ask_server_for(&self, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<Option<Merged>> {
        let (store, begun_ms) = (&self.sync.store, self.sync.clock.now_ms());
        let merged = if need == Need::Delta { self.delta(row)? } else { None };
        if merged.is_none() {
            let row = match need {
                // The delta may have merged items; the new listing must not seem to shrink by them.
                Need::Delta => LibraryRow {
                    items: row.items,
                    ..LibraryRows(store).library_row(row.id)?
                },
                _ => row.clone(),
            };
            self.list(&row, why)?;
        }
        if self.sync.exchange.is_some() {
            // Since then this host knows better than what others told before. Changes were merged into the listing that
            // was there; a full listing is another one.
            let listing = match merged {
                Some(_) => Outbox(store).shared_listing(row.id)?.unwrap_or(0),
                None => 0,
            };
            Outbox(store).store_shared_listing(row.id, listing, begun_ms, self.bounds.deadline)?;
        }
        Ok(merged)
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
        let at_ms = exchange.seen_ms(entry, head.age_ms);
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
        log::info!("'{}': copied the listing from another host", row.library.title);
        let store = &self.sync.store;
        Outbox(store).store_shared_listing(row.id, head.listing, 0, self.bounds.deadline)?;
        // Items since then that this folder has read are in the listing before; they are applied to this one.
        let (mut from, until) = (head.included, self.bounds.deadline);
        loop {
            let Ok(news) = exchange.ask_until(until, |log, limit| log.read(view.number, from, BATCH, limit)) else {
                return Ok(()); // the next exchange applies them
            };
            let of_library =
                |entry: &Entry| entry.name.kind == EntryKind::Item && entry.name.library == row.library.uuid;
            let items: Vec<Entry> = news.entries.into_iter().filter(of_library).collect();
            let now = LibraryRows(store).library_row(row.id)?;
            exchange.take_items(view, &now, &items)?;
            from = news.position;
            if !news.more {
                break;
            }
        }
        let now = LibraryRows(store).library_row(row.id)?;
        exchange.reach(&now, head, at_ms)
    }
}

impl Syncing {
    /// Exchanges what this host learns with others from now on.
    pub fn share(&mut self, exchange: Arc<Exchange>) {
        let teller = Arc::downgrade(&exchange);
        Outbox(&self.store).on_told(move || {
            if let Some(exchange) = teller.upgrade() {
                exchange.tell();
            }
        });
        self.exchange = Some(exchange);
    }

    /// Starts the thread of the exchange.
    pub fn begin_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.begin();
        }
    }

    /// Ends the exchange: delivers what waits, if the log is there.
    pub fn end_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.end();
        }
    }

    /// The exchange; an error if nothing is shared.
    fn expect_exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().map_or_else(
            || refuse("the index is not shared: open it with the option 'shared' and a server_url, and not offline"),
            Ok,
        )
    }

    /// Returns whether this index exchanges what it learns with others.
    pub fn is_shared(&self) -> bool {
        self.exchange.is_some()
    }

    /// Returns an error if nothing is shared, so that nothing can be delivered.
    pub fn expect_shared(&self) -> Result<()> {
        self.expect_exchange().map(drop)
    }

    /// Delivers what this host has written, and returns once the log has it.
    pub fn deliver_now(&self, deadline: Deadline) -> Result<()> {
        let exchange = self.expect_exchange()?;
        if exchange.undelivered()? == 0 {
            return Ok(()); // the thread of the exchange was faster, or nothing is for others
        }
        let deliver = || -> Result<bool> {
            if exchange.is_lost() {
                return Ok(false);
            }
            set_patient(true); // this call waits for the log itself
            let delivered = match exchange.view()? {
                Some(view) => exchange.deliver_once(&view, deadline)?,
                None => false,
            };
            if delivered {
                exchange.note_answer();
            }
            Ok(delivered)
        };
        if on_worker(deliver, STEP, || {})? {
            return Ok(());
        }
        let later = match exchange.refusal() {
            Some(refusal) => format!("later: {refusal}"),
            None => format!("when {} answers", exchange.log.name()),
        };
        Err(Error::new(
            Status::Timeout,
            format!("not yet delivered to other hosts: it is stored in this folder and will be delivered {later}"),
        ))
    }

    /// Delivers and takes what there is, now: for tests. Returns `false` if the log is away, or takes no writes.
    pub fn exchange_now(&self) -> Result<bool> {
        let Some(exchange) = &self.exchange else {
            return Ok(false);
        };
        let exchange_now = || {
            while exchange.is_away() && !exchange.is_lost() {
                std::thread::sleep(Duration::from_millis(1)); // another thread tries the log
            }
            match exchange.view()? {
                Some(view) => Ok(exchange.exchange_fully(&view, Deadline::after(STEP))?.is_complete()),
                None => Ok(false),
            }
        };
        on_worker(exchange_now, STEP, || {})
    }

    /// Takes news as it comes from now on, or only now and then: for a watch of the server.
    pub fn listen_to_others(&self, listens: bool) {
        if let Some(exchange) = &self.exchange {
            exchange.listen(|listeners| listeners.watches = listens);
        }
    }

    /// Takes news as it comes until the number of followers is zero again.
    pub fn follow_join(&self) -> Result<()> {
        self.expect_exchange()?.listen(|listeners| listeners.followers += 1);
        Ok(())
    }

    /// Ends a [`Self::follow_join`].
    pub fn follow_leave(&self) {
        if let Some(exchange) = &self.exchange {
            // The child of a fork begins with none.
            exchange.listen(|listeners| listeners.followers = listeners.followers.saturating_sub(1));
        }
    }

    /// Takes news as it comes from now on, or not any more.
    pub fn follow(&self, follows: bool) -> Result<()> {
        self.expect_exchange()?.listen(|listeners| listeners.follows = follows);
        Ok(())
    }

    /// How far this folder is in the shared log. `None` if it shares nothing, or has taken nothing yet.
    pub fn shared_progress(&self) -> Option<SharedProgress> {
        let exchange = self.exchange.as_ref()?;
        let place = exchange.place(self.reading.identity()?).ok()?;
        let undelivered = exchange.undelivered().ok()?;
        (place.position.number > 0 || undelivered > 0).then_some(SharedProgress {
            taken: place.position.number,
            undelivered,
        })
    }

    /// Why the log did not take what waits; `None` if it is not known to have refused it.
    pub fn shared_refusal(&self) -> Option<Error> {
        self.exchange.as_ref()?.refusal()
    }

    /// The number of this host's own view in the shared log, which may be asked, and the host that it is there. `None` if
    /// that is not known: nothing is shared, the server has not accepted the token yet, or the log is away. Call it on a
    /// thread of the library.
    pub fn shared_view(&self) -> Option<(ViewNumber, HostId)> {
        let view = self.exchange.as_ref()?.view();
        view.ok()?.map(|view| (view.number, view.host))
    }

    /// Its locks, held through a fork.
    pub(super) fn hold_exchange(&self) -> Vec<Box<dyn Release>> {
        self.exchange.iter().flat_map(Exchange::hold).collect()
    }

    /// Resets the exchange in the child of a fork.
    pub(super) fn reset_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
