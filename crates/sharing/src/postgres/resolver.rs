//! Resolves host names. The system's resolver has no deadline and cannot be ended, so it runs on a thread of its own,
//! one at a time, however many calls ask meanwhile.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::failure::Failure;
use crate::platform::Worker;
use crate::platform::lock;

/// The addresses of a name and port, or why it has none.
pub type Found = Result<Vec<SocketAddr>, String>;

/// What asks the system.
pub type Lookup = dyn Fn(&str, u16) -> Found + Send + Sync;

/// Resolves names by a deadline.
pub struct NameResolver {
    lookup: Arc<Lookup>,
    running: Mutex<Option<LookupThread>>,
}

/// A thread that asks the system.
struct LookupThread {
    slot: Arc<Slot>,
    worker: Worker,
}

#[derive(Default)]
struct Slot {
    found: Mutex<Option<Found>>,
    changed: Condvar,
}

impl Default for NameResolver {
    fn default() -> Self {
        Self::new(Arc::new(ask_system))
    }
}

fn ask_system(host: &str, port: u16) -> Found {
    let found = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(found.collect())
}

impl NameResolver {
    /// A resolver that asks this.
    pub fn new(lookup: Arc<Lookup>) -> Self {
        Self {
            lookup,
            running: Mutex::new(None),
        }
    }

    /// The addresses of a name. If they are not known by then, the next call finds what the system has said meanwhile.
    pub fn resolve(&self, host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let found = match self.begin(host, port) {
            Some(slot) => self.wait(&slot, until).ok_or(Failure::Unresolved)?,
            None => (self.lookup)(host, port),
        };
        match found {
            Ok(found) if found.is_empty() => Err(Failure::NoSuchHost(None)),
            Ok(found) => Ok(found),
            Err(error) => Err(Failure::NoSuchHost(Some(error))),
        }
    }

    /// Starts the thread, unless it runs. `None` if it cannot be started.
    fn begin(&self, host: &str, port: u16) -> Option<Arc<Slot>> {
        let mut running = lock(&self.running);
        // The child of a fork does not have its parent's thread.
        if let Some(running) = running.as_ref().filter(|running| running.worker.is_here()) {
            return Some(Arc::clone(&running.slot));
        }
        let slot = Arc::new(Slot::default());
        let (its_slot, lookup, host) = (Arc::clone(&slot), Arc::clone(&self.lookup), host.to_owned());
        let worker = Worker::spawn(move || {
            let found = lookup(&host, port);
            *lock(&its_slot.found) = Some(found);
            its_slot.changed.notify_all();
        })?;
        *running = Some(LookupThread {
            slot: Arc::clone(&slot),
            worker,
        });
        Some(slot)
    }

    /// Waits for the thread. Its answer is used once: the next call asks again.
    fn wait(&self, slot: &Arc<Slot>, until: Instant) -> Option<Found> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = slot
            .changed
            .wait_timeout_while(lock(&slot.found), left, |found| found.is_none());
        let (found, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let found = found.clone()?;
        let mut running = lock(&self.running);
        let ended = running.take_if(|running| Arc::ptr_eq(&running.slot, slot));
        drop(running);
        drop(ended); // joins it
        Some(found)
    }
}

impl Drop for NameResolver {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(LookupThread { slot, worker }) = running.take()
            && worker.is_here()
            && lock(&slot.found).is_none()
        {
            worker.leave(); // closing an index waits for no name server
        }
    }
}
