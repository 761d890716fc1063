//! Resolves host names within a time limit. The system's resolver has no timeout and cannot be interrupted, so it runs
//! on a separate thread. At most one resolver thread runs at a time.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::failure::Failure;
use crate::error::{Error, Status};
use crate::platform::Worker;
use crate::platform::lock;

/// The addresses of a host name and port, or the resolver's error.
pub type LookupResult = Result<Vec<SocketAddr>, String>;

/// A function that resolves a host name and port.
pub type Lookup = dyn Fn(&str, u16) -> LookupResult + Send + Sync;

pub struct NameResolver {
    lookup: Arc<Lookup>,
    running: Mutex<Option<LookupThread>>,
}

struct LookupThread {
    slot: Arc<Slot>,
    worker: Worker,
}

#[derive(Default)]
struct Slot {
    found: Mutex<Option<LookupResult>>,
    changed: Condvar,
}

impl Default for NameResolver {
    /// Creates a resolver that uses the system's resolver.
    fn default() -> Self {
        Self::new(Arc::new(system_lookup))
    }
}

/// Resolves a host name with the system's resolver, which may block for a long time.
fn system_lookup(host: &str, port: u16) -> LookupResult {
    let found = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(found.collect())
}

impl NameResolver {
    /// Creates a resolver that calls `lookup`.
    pub fn new(lookup: Arc<Lookup>) -> Self {
        Self {
            lookup,
            running: Mutex::new(None),
        }
    }

    /// Returns a host name's addresses. Fails at the time `until`; the lookup then continues, and the next call
    /// uses its result.
    pub fn resolve(&self, host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let found = match self.start_or_join_lookup(host, port) {
            Some(slot) => self.wait(&slot, until).ok_or_else(|| {
                let text = "the host name was not resolved in time; check the system's name server, or use the host's IP \
                            address";
                Error::new(Status::Timeout, text)
            })?,
            None => (self.lookup)(host, port), // no thread, so this lookup can exceed the time
        };
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            failed => {
                let why = failed.err().map(|error| format!(" ({error})")).unwrap_or_default();
                let text = format!("the host name is unknown{why}; check the address, or use the host's IP address");
                Err(Error::new(Status::Connect, text).into())
            }
        }
    }

    /// Returns the slot in which the running lookup will store its result. Starts a lookup if none is running; `None`
    /// if no thread can be started. All lookups are for the same host name, since each client has its own resolver.
    fn start_or_join_lookup(&self, host: &str, port: u16) -> Option<Arc<Slot>> {
        let mut running = lock(&self.running);
        // A forked child does not have its parent's thread.
        if let Some(running) = running.as_ref().filter(|running| running.worker.is_in_this_process()) {
            return Some(Arc::clone(&running.slot));
        }
        let slot = Arc::new(Slot::default());
        let (thread_slot, lookup, host) = (Arc::clone(&slot), Arc::clone(&self.lookup), host.to_owned());
        let worker = Worker::spawn(move || {
            let found = lookup(&host, port);
            *lock(&thread_slot.found) = Some(found);
            thread_slot.changed.notify_all();
        })?;
        *running = Some(LookupThread {
            slot: Arc::clone(&slot),
            worker,
        });
        Some(slot)
    }

    /// Waits for the lookup's result; `None` if the time `until` is reached. Removes a finished lookup, so that the
    /// next call starts a new lookup.
    fn wait(&self, slot: &Arc<Slot>, until: Instant) -> Option<LookupResult> {
        let time_left = until.saturating_duration_since(Instant::now());
        let waited = slot
            .changed
            .wait_timeout_while(lock(&slot.found), time_left, |found| found.is_none());
        let (found, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let found = found.clone()?;
        let mut running = lock(&self.running);
        let ended = running.take_if(|running| Arc::ptr_eq(&running.slot, slot));
        drop(running);
        drop(ended); // joins the thread, without holding the lock
        Some(found)
    }
}

impl Drop for NameResolver {
    /// Detaches a lookup that is still running, instead of joining its thread.
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(LookupThread { slot, worker }) = running.take()
            && worker.is_in_this_process()
            && lock(&slot.found).is_none()
        {
            worker.detach(); // closing an index must not wait for a name server
        }
    }
}
