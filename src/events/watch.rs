//! The watch: receives the server's events and writes change hints to the store until the host stops it.
//!
//! A writer thread writes the hints, and starts a listening thread that receives the events. Stopping a watch waits for
//! both threads. The writer thread is a plain POSIX thread, because starting a `std` thread leaves thread-local values
//! in the host's thread, and the host could then not unload this library.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::debounce::{DebounceIntervals, Debouncer, MAX_DELETED, extract_json};
use super::moved_files::moved_files;
use crate::engine::{LibraryHint, LibraryRows, Selection, Selector};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::platform::clock::Deadline;
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
use crate::platform::thread::{NO_THREAD, Worker};
use crate::source::{Bounds, Event, Notification, Source};
use crate::sync::{IndexReader, scan_target};

/// What [`Index::notify`](crate::Index::notify) did with a notification or webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notified {
    /// plexindex stored a change hint, so that the next query for the changed library asks the server.
    Noted,
    /// plexindex ignored the event: a different server sent it.
    OtherServer,
    /// plexindex ignored the event: it reports no change, or plexindex has not fetched any library yet.
    NothingNew,
}

enum_names! { Notified: Noted "noted", OtherServer "other_server", NothingNew "nothing_new" }

/// Pause before the first reconnection. Each further reconnection doubles the pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Maximum pause before a reconnection.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Minimum duration of a stable connection. After a stable connection, the next pause is [`FIRST_PAUSE`] again.
const STABLE: Duration = Duration::from_secs(60);
/// Interval between interruptions of the listening thread, which may miss an interruption that precedes its wait.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum time that a write waits for the database's lock.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum size of a body for [`Events::notify`], in bytes. Plex sends a few kilobytes and a JPEG image.
const MAX_BODY: usize = 16 << 20;

/// A running watch. [`RunningWatch::stop_and_join`] stops it.
struct RunningWatch {
    shared: Arc<WatchShared>,
    worker: Worker,
    /// Number of [`Events::watch_join`] calls that [`Events::watch_leave`] has not undone.
    join_count: usize,
}

/// The state that the watch's two threads share with [`Events`].
struct WatchShared {
    state: Mutex<WatchState>,
    changed: Condvar,
    started_at: Instant,
}

struct WatchState {
    debouncer: Debouncer,
    is_stopping: bool,
    has_listener_ended: bool,
    /// Whether to reconnect without a pause.
    should_reconnect: bool,
}

impl WatchShared {
    fn lock(&self) -> MutexGuard<'_, WatchState> {
        lock(&self.state)
    }

    /// Unlocks the state, waits at most `time` for a change, and locks the state again.
    fn wait<'s>(&self, state: MutexGuard<'s, WatchState>, time: Duration) -> MutexGuard<'s, WatchState> {
        let (state, _) = self
            .changed
            .wait_timeout(state, time)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }

    /// Returns the debouncer's time: the milliseconds since the watch started, by the monotonic clock.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn is_stopped(&self) -> bool {
        self.lock().is_stopping
    }

    /// Waits for `time`, or until [`WatchState::should_reconnect`] is set. Returns whether to reconnect: `false` if the
    /// host has stopped the watch.
    fn wait_before_reconnect(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.lock();
        while !state.is_stopping && !std::mem::take(&mut state.should_reconnect) {
            let time_left = end.saturating_duration_since(Instant::now());
            if time_left.is_zero() {
                return true;
            }
            state = self.wait(state, time_left);
        }
        !state.is_stopping
    }
}

impl RunningWatch {
    /// Stops both threads and waits until they have ended.
    fn stop_and_join(self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_all();
        drop(self.worker); // waits for its thread
    }
}

/// Receives events from the server and the host, and writes change hints to the store.
pub struct Events {
    source: Option<Arc<dyn Source>>,
    reading: Arc<IndexReader>,
    watch: Mutex<Option<RunningWatch>>,
}

impl Events {
    /// Creates the component without starting a watch. `source` is `None` if the index is offline.
    pub fn new(source: Option<Arc<dyn Source>>, reading: Arc<IndexReader>) -> Self {
        Self {
            source,
            reading,
            watch: Mutex::new(None),
        }
    }

    /// Locks the watch for a fork. The returned value releases the lock when it is dropped.
    pub fn lock_for_fork(self: &Arc<Self>) -> Box<dyn ForkLock> {
        Box::new(lock_for_fork(self, |events| &events.watch))
    }

    /// Starts the watch unless it is running. [`Events::watch_stop`] stops it.
    pub fn watch_start(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<()> {
        let mut watch = lock(&self.watch);
        if watch.is_none() {
            *watch = Some(self.start_threads(intervals)?);
        }
        Ok(())
    }

    /// Starts the watch, or joins a running watch. The watch runs until each caller has called [`Events::watch_leave`].
    pub fn watch_join(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<()> {
        let mut watch = lock(&self.watch);
        let running = match &mut *watch {
            Some(running) => running,
            none => none.insert(self.start_threads(intervals)?),
        };
        running.join_count += 1;
        Ok(())
    }

    /// Starts a watch's writer thread, which starts the listening thread. Fails if the index is offline, the source
    /// sends no events, or no thread can be started.
    fn start_threads(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<RunningWatch> {
        let Some(source) = &self.source else {
            return Err(Error::new(
                Status::Offline,
                "cannot watch: the index has no server_url or is offline; open it with a server",
            ));
        };
        if !source.abilities().events {
            let kind = source.kind();
            return Err(kind.unsupported("sends no events", "its answers expire on their normal schedule"));
        }
        let shared = Arc::new(WatchShared {
            state: Mutex::new(WatchState {
                debouncer: Debouncer::new(intervals),
                is_stopping: false,
                has_listener_ended: false,
                should_reconnect: false,
            }),
            changed: Condvar::new(),
            started_at: Instant::now(),
        });
        let worker = Worker::spawn({
            let (events, source, shared) = (Arc::clone(self), Arc::clone(source), Arc::clone(&shared));
            move || run_watch(&events, &*source, &shared)
        });
        let Some(worker) = worker else {
            return Err(Error::new(
                Status::Store,
                format!("cannot start a thread for the watch; {NO_THREAD}"),
            ));
        };
        Ok(RunningWatch {
            shared,
            worker,
            join_count: 0,
        })
    }

    /// Undoes one call of [`Events::watch_join`]. The last call stops the watch, and waits until its threads have
    /// ended.
    pub fn watch_leave(&self) {
        // Stops the watch after releasing the lock: a fork may be waiting for the lock, and the watch for the fork.
        let watch_to_stop = {
            let mut watch = lock(&self.watch);
            if let Some(watch) = &mut *watch {
                watch.join_count = watch.join_count.saturating_sub(1);
            }
            watch.take_if(|watch| watch.join_count == 0)
        };
        if let Some(watch) = watch_to_stop {
            watch.stop_and_join();
        }
    }

    /// Stops the watch and waits until its threads have ended.
    pub fn watch_stop(&self) {
        // Waits after releasing the lock: a fork may be waiting for the lock, and the watch for the fork.
        let watch = lock(&self.watch).take();
        if let Some(watch) = watch {
            watch.stop_and_join();
        }
    }

    /// Makes a running watch reconnect at once, because the host has replaced the token.
    pub fn reconnect_watch(&self) {
        let watch = lock(&self.watch);
        if let (Some(watch), Some(source)) = (&*watch, &self.source) {
            watch.shared.lock().should_reconnect = true;
            watch.shared.changed.notify_all();
            source.interrupt_events();
        }
    }

    /// Forgets the watch in a forked child without running its destructor: the watch's threads do not exist in the
    /// child, so the destructor would wait forever.
    pub fn after_fork(&self) {
        if let Ok(mut watch) = self.watch.try_lock() {
            std::mem::forget(watch.take());
        }
    }

    /// Writes change hints for a notification or webhook that the host received. Returns what plexindex did with it.
    pub fn notify(&self, body: &[u8]) -> Result<Notified> {
        if body.len() > MAX_BODY {
            return invalid_argument_error(
                "the body is larger than 16 MiB, but Plex never sends that much; pass the body of one event",
            );
        }
        let Some(json) = extract_json(body) else {
            return invalid_argument_error(
                "the body is neither JSON nor a multipart form with a JSON field 'payload'; pass the webhook's field \
                 'payload', or the notification's whole text",
            );
        };
        let parsed = (self.reading.kind.parse_notification)(json);
        let Notification { server, events } = match parsed.map_err(|error| (error, moved_files(json))) {
            Ok(notification) => notification,
            Err((_, Some(paths))) => Notification {
                server: None,
                events: self.events_of_files(&paths)?,
            },
            Err((error, None)) => return Err(error),
        };
        if let Some(server) = server
            && self.is_other_server(&server)?
        {
            log::debug!("ignoring a webhook from a different server ({server})");
            return Ok(Notified::OtherServer);
        }
        self.reading.counters.events.add(events.len() as u64);
        let has_stored = self.store_hints(&Debouncer::hints_from_events(events), Deadline::NONE)?;
        Ok(if has_stored {
            Notified::Noted
        } else {
            Notified::NothingNew
        })
    }

    /// Converts the paths of files that a program moved to events: what the server has of the libraries and of the items
    /// with these paths has changed, or will once it scans.
    fn events_of_files(&self, paths: &[String]) -> Result<Vec<Event>> {
        self.reading.catch_up(Deadline::NONE)?;
        let snapshot = self.reading.snapshot();
        let mut items = BTreeMap::<&str, BTreeSet<String>>::new();
        for path in paths.iter().map(String::as_bytes) {
            let found = scan_target(path, &snapshot.rows, &self.reading.mappings);
            for row in found.map(|(_, owners)| owners).unwrap_or_default() {
                let items = items.entry(&row.library.section).or_default();
                // More items become one hint for the library.
                if items.len() <= MAX_DELETED {
                    let library = Selection::new(Selector::Uuid(row.library.uuid.clone()))?;
                    items.extend(self.reading.lookup_key(&library, path, str::to_owned));
                }
            }
        }
        if items.is_empty() && !paths.is_empty() {
            log::info!("ignoring an event about files outside all libraries' folders; add a mapping for these files");
        }
        let mut events = Vec::new();
        for (section, keys) in items {
            let section = Some(section.to_owned());
            events.extend(keys.into_iter().map(|rating_key| Event::Deleted {
                section: section.clone(),
                rating_key,
            }));
            events.push(Event::Changed {
                section,
                rating_key: String::new(),
                stamp: None,
            });
        }
        Ok(events)
    }

    /// Returns whether `server` is the machine identifier of a different server than the one that this index uses.
    fn is_other_server(&self, server: &str) -> Result<bool> {
        self.reading.catch_up(Deadline::NONE)?;
        let Some(view_id) = self.reading.view_id() else {
            return Ok(false);
        };
        let ours = LibraryRows(&self.reading.store).machine_identifier(view_id)?;
        // Until the server reports its identifier, the store contains a substitute with a ':', such as a URL, which
        // proves nothing.
        Ok(ours.is_some_and(|ours| !ours.contains(':') && !ours.eq_ignore_ascii_case(server)))
    }

    /// Stores that libraries have changed (`None`: all), so that lookups of unlisted paths ask the server at once.
    fn store_news(&self, sections: &[Option<String>], deadline: Deadline) -> Result<()> {
        match self.reading.view_id() {
            Some(view_id) => {
                LibraryRows(&self.reading.store).store_news(view_id, sections, self.reading.clock.now_ms(), deadline)
            }
            None => Ok(()), // no library is stored
        }
    }

    /// Writes change hints to the store. Returns `false` if there are no hints, or if no library is stored yet.
    fn store_hints(&self, hints: &[LibraryHint], deadline: Deadline) -> Result<bool> {
        if hints.is_empty() {
            return Ok(false);
        }
        self.reading.catch_up(deadline)?;
        let Some(view_id) = self.reading.view_id() else {
            // Without libraries, nothing can be stale. But this fails if the server has not accepted a new token yet.
            return self.reading.check_accepted().map(|()| false);
        };
        LibraryRows(&self.reading.store).store_hints(view_id, hints, deadline)?;
        self.reading.counters.hints.add(1);
        self.reading.catch_up(deadline).map(|()| true)
    }
}

/// Runs a watch until the host stops it.
fn run_watch(events: &Events, source: &dyn Source, shared: &WatchShared) {
    // Limits how long a write may take, because stopping the watch has to wait for the write. After a time-out, a later
    // write includes the hints.
    let deadline = Deadline::NONE.at_most(WRITE_TIMEOUT);
    std::thread::scope(|scope| {
        let listening = std::thread::Builder::new().spawn_scoped(scope, || {
            let _guard = ListenerGuard(shared);
            receive_events(events, source, shared);
        });
        if let Err(error) = &listening {
            // Records that the listening thread does not run, so that stopping the watch does not wait for it.
            drop(ListenerGuard(shared));
            log::warn!("cannot receive server events ({error}); {NO_THREAD}, then watch again");
        }
        write_due_hints(events, shared, deadline);
        // The listening thread may be waiting for the server, or may be about to wait.
        let mut state = shared.lock();
        while !state.has_listener_ended {
            drop(state);
            source.interrupt_events();
            state = shared.lock();
            if !state.has_listener_ended {
                state = shared.wait(state, INTERRUPT_INTERVAL);
            }
        }
        drop(state);
        // The scope only waits for the closure. The thread must end too, because the host may then unload the library.
        let _ = listening.map(ScopedJoinHandle::join);
    });
    // Writes the remaining hints early, because no thread would write them later.
    let hints = shared.lock().debouncer.take_due(i64::MAX);
    if let Err(error) = events.store_hints(&hints, deadline) {
        log::warn!("cannot store the last server events: {error}");
    }
}

/// When dropped, signals that the listening thread has ended, even after a panic.
struct ListenerGuard<'c>(&'c WatchShared);

impl Drop for ListenerGuard<'_> {
    /// Records that the listening thread has ended, and wakes the thread that waits for it.
    fn drop(&mut self) {
        self.0.lock().has_listener_ended = true;
        self.0.changed.notify_all();
    }
}

/// Connects to the server, passes its events to the debouncer, and reconnects after failures, until the watch stops.
fn receive_events(events: &Events, source: &dyn Source, shared: &WatchShared) {
    let aborted = || shared.is_stopped();
    let bounds = Bounds {
        aborted: &aborted,
        ..Bounds::NONE
    };
    let mut pause = FIRST_PAUSE;
    let mut has_warned = false;
    while !shared.is_stopped() {
        let attempt_start = Instant::now();
        let result = source.events(bounds, &mut |event| {
            if event == Event::Connected {
                log::info!("receiving server events");
                has_warned = false;
            } else {
                events.reading.counters.events.add(1);
            }
            let mut state = shared.lock();
            state.debouncer.add(event, shared.now_ms());
            shared.changed.notify_all();
            !state.is_stopping
        });
        if attempt_start.elapsed() >= STABLE {
            pause = FIRST_PAUSE;
        }
        if shared.is_stopped() {
            return;
        }
        match result {
            Ok(()) => log::debug!(
                "the server closed the event stream; reconnecting in {} s",
                pause.as_secs()
            ),
            // Warns only once until the next successful connection.
            Err(error) if has_warned => log::debug!("{error}; reconnecting in {} s", pause.as_secs()),
            Err(error) => {
                has_warned = true;
                log::warn!("cannot receive server events; cached answers expire on their normal schedule: {error}");
            }
        }
        if !shared.wait_before_reconnect(pause) {
            return;
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Writes each change hint at its scheduled time, until the host stops the watch. `deadline` limits each write.
fn write_due_hints(events: &Events, shared: &WatchShared, deadline: Deadline) {
    let mut state = shared.lock();
    while !state.is_stopping {
        let now = shared.now_ms();
        let news = state.debouncer.take_news(now);
        if !news.is_empty() {
            drop(state);
            if let Err(error) = events.store_news(&news, deadline) {
                log::debug!("cannot store that libraries have changed; the hints follow: {error}");
            }
            state = shared.lock();
            continue;
        }
        let hints = state.debouncer.take_due(now);
        if !hints.is_empty() {
            drop(state);
            let result = events.store_hints(&hints, deadline);
            state = shared.lock();
            if let Err(error) = result {
                // `NotFetched` only means that the server has not accepted a new token yet.
                let level = match error.status {
                    Status::NotFetched => log::Level::Debug,
                    _ => log::Level::Warn,
                };
                log::log!(level, "cannot store server events; trying again: {error}");
                state.debouncer.restore_hints(hints, shared.now_ms());
            }
            continue;
        }
        // Waits until the next hint is due. An event wakes this thread earlier.
        let wait_time = match state.debouncer.next_due(now) {
            Some(due_ms) => Duration::from_millis(u64::try_from(due_ms.saturating_sub(now)).unwrap_or(0).max(1)),
            None => LONGEST_PAUSE,
        };
        state = shared.wait(state, wait_time);
    }
}
