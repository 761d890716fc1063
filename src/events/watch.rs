//! Watching: a thread of our own that listens to the server's events and notes what they hint at, for as long as the host
//! wants.
//!
//! It is a plain POSIX thread (`platform::thread` says why) that owns a second one: one listens, the other notes what was
//! collected when it is due. Stopping a watch waits for both.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::body::json_of;
use super::debounce::{DebounceIntervals, Debouncer};
use crate::engine::{LibraryHint, LockTimeout, Reading, Store};
use crate::error::{Error, Result, Status, refuse};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::platform::thread::{NO_THREAD, Worker};
use crate::source::{Bounds, Event, Notification, Source};
use crate::stats::Counters;

/// The pause before the first attempt to connect again; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that lasted so long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(60);
/// How often the listening thread is woken while it has to end: it may have been about to wait.
const NUDGE: Duration = Duration::from_millis(20);
/// How long noting waits for other writers.
const NOTED: Duration = Duration::from_millis(500);
/// The longest body that [`Events::notify`] reads: those of Plex take kilobytes, and a JPEG.
const BODY_MOST: usize = 16 << 20;

/// A watch that runs. Stopped by [`RunningWatch::end`].
struct RunningWatch {
    common: Arc<WatchShared>,
    worker: Worker,
    /// How many that joined still want it.
    joined: usize,
}

/// State shared by the two threads and the thread that stops them.
struct WatchShared {
    state: Mutex<WatchState>,
    changed: Condvar,
    begun: Instant,
}

struct WatchState {
    debouncer: Debouncer,
    stop: bool,
    /// The listening thread has ended.
    listener_ended: bool,
    /// The pause before it connects again is over.
    again: bool,
}

impl WatchShared {
    fn lock(&self) -> MutexGuard<'_, WatchState> {
        lock(&self.state)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, WatchState>, time: Duration) -> MutexGuard<'s, WatchState> {
        let (state, _) = self
            .changed
            .wait_timeout(state, time)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }

    /// By a clock that cannot be set.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn is_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Waits, unless it is to end: gives whether it goes on.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !state.stop && !std::mem::take(&mut state.again) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.wait(state, left);
        }
        !state.stop
    }
}

impl RunningWatch {
    fn end(self) {
        self.common.lock().stop = true;
        self.common.changed.notify_all();
        drop(self.worker); // waits
    }
}

/// What the server, or the host, tells of changes: noted in the store.
pub struct Events {
    store: Arc<Store>,
    source: Option<Arc<dyn Source>>,
    reading: Arc<Reading>,
    counters: Arc<Counters>,
    watch: Mutex<Option<RunningWatch>>,
}

impl Events {
    pub fn new(
        store: Arc<Store>,
        source: Option<Arc<dyn Source>>,
        reading: Arc<Reading>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            source,
            reading,
            counters,
            watch: Mutex::new(None),
        }
    }

    /// Its locks, held through a fork.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        Box::new(hold(self, |events| &events.watch))
    }

    /// Begins to watch; nothing new when it does already.
    pub fn watch_start(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<()> {
        let mut watch = lock(&self.watch);
        if watch.is_none() {
            *watch = Some(self.begin(intervals)?);
        }
        Ok(())
    }

    /// Watches until [`Events::watch_leave`] was called as often as this.
    pub fn watch_join(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<()> {
        let mut watch = lock(&self.watch);
        let running = match &mut *watch {
            Some(running) => running,
            none => none.insert(self.begin(intervals)?),
        };
        running.joined += 1;
        Ok(())
    }

    fn begin(self: &Arc<Self>, intervals: DebounceIntervals) -> Result<RunningWatch> {
        let Some(source) = &self.source else {
            return Err(Error::new(
                Status::Offline,
                "there is no server to listen to: the index has no server_url, or is offline",
            ));
        };
        if !source.abilities().events {
            let kind = source.kind();
            return Err(kind.unsupported(
                "tells no events",
                "its answers expire, and the next question sees what changed",
            ));
        }
        let common = Arc::new(WatchShared {
            state: Mutex::new(WatchState {
                debouncer: Debouncer::new(intervals),
                stop: false,
                listener_ended: false,
                again: false,
            }),
            changed: Condvar::new(),
            begun: Instant::now(),
        });
        let worker = Worker::spawn({
            let (events, source, common) = (Arc::clone(self), Arc::clone(source), Arc::clone(&common));
            move || run(&events, &*source, &common)
        });
        let Some(worker) = worker else {
            return Err(Error::new(
                Status::Store,
                format!("no thread can be started to watch with: {NO_THREAD}"),
            ));
        };
        Ok(RunningWatch {
            common,
            worker,
            joined: 0,
        })
    }

    /// Takes back one [`Events::watch_join`]; the last ends the watch.
    pub fn watch_leave(&self) {
        // Ended behind the lock, as below.
        let last = {
            let mut watch = lock(&self.watch);
            if let Some(watch) = &mut *watch {
                watch.joined = watch.joined.saturating_sub(1);
            }
            watch.take_if(|watch| watch.joined == 0)
        };
        if let Some(watch) = last {
            watch.end();
        }
    }

    /// Ends watching; returns when no thread watches any more.
    pub fn watch_stop(&self) {
        // Not behind the lock: a fork waits for that, and what is waited for here may wait for the fork.
        let watch = lock(&self.watch).take();
        if let Some(watch) = watch {
            watch.end();
        }
    }

    /// The token was replaced: the server is listened to with the new one.
    pub fn token_replaced(&self) {
        let watch = lock(&self.watch);
        if let (Some(watch), Some(source)) = (&*watch, &self.source) {
            watch.common.lock().again = true;
            watch.common.changed.notify_all();
            source.interrupt_events();
        }
    }

    /// Items are about to be edited here: what the server tells of that is expected.
    pub fn expect_edited(&self, section: &str, rating_keys: &[&str]) {
        if let Some(watch) = &*lock(&self.watch) {
            let now = watch.common.now_ms();
            watch.common.lock().debouncer.expect_edited(section, rating_keys, now);
        }
    }

    /// In a child the threads of the parent do not exist, and what they hold is never let go: it is left alone.
    pub fn after_fork(&self) {
        if let Ok(mut watch) = self.watch.try_lock() {
            std::mem::forget(watch.take());
        }
    }

    /// Notes what a notification or a webhook that the host received hints at.
    pub fn notify(&self, body: &[u8]) -> Result<()> {
        if body.len() > BODY_MOST {
            return refuse("the body is larger than 16 MiB: none of Plex's is");
        }
        let Some(json) = json_of(body) else {
            return refuse(
                "the body is no JSON, nor multipart with a field 'payload' that is: give the field 'payload' of the \
                 webhook, or the notification's text",
            );
        };
        let Notification { server, events } = (self.reading.kind().read_events)(json)?;
        if let Some(server) = server
            && self.is_another(&server)?
        {
            log::debug!("a webhook of another server ({server}) is ignored");
            return Ok(());
        }
        self.counters.told(events.len() as u64);
        self.note(&Debouncer::hints_of(events))
    }

    /// Whether this is another server's machine identifier than the one that is read.
    fn is_another(&self, server: &str) -> Result<bool> {
        self.reading.catch_up()?;
        let Some(identity) = self.reading.identity() else {
            return Ok(false);
        };
        let ours = self.store.machine_identifier(identity)?;
        // Until the identifier is known, a URL or the name of a file stands in for it: both have a ':', and no identifier has.
        Ok(!ours.contains(':') && !ours.eq_ignore_ascii_case(server))
    }

    fn note(&self, hints: &[LibraryHint]) -> Result<()> {
        if hints.is_empty() {
            return Ok(());
        }
        self.reading.catch_up()?;
        let identity = self.reading.identity();
        let Some(identity) = identity else {
            // Nothing is known, so nothing can be out of date; unless it is not known yet whose view this is.
            return self.reading.check_accepted();
        };
        self.store.mark(identity, hints)?;
        self.counters.noted();
        self.reading.catch_up()
    }
}

/// The life of a watch.
fn run(events: &Events, source: &dyn Source, common: &WatchShared) {
    // Stopping waits for a write under way; what cannot be noted in that time is noted later.
    let _held = LockTimeout::now().at_most(NOTED).hold();
    std::thread::scope(|scope| {
        let listening = std::thread::Builder::new().spawn_scoped(scope, || {
            let _deaf = ListenerGuard(common);
            listen(events, source, common);
        });
        if let Err(error) = &listening {
            // What the host tells is still noted.
            drop(ListenerGuard(common));
            log::warn!("the server's events cannot be had ({error}): {NO_THREAD}, then begin to watch again");
        }
        write_hints(events, common);
        // The listening thread may wait for the server, or be about to.
        let mut state = common.lock();
        while !state.listener_ended {
            drop(state);
            source.interrupt_events();
            state = common.lock();
            if !state.listener_ended {
                state = common.wait(state, NUDGE);
            }
        }
        drop(state);
        // The scope alone waits for what the thread does, not for its end, and the library may be unloaded next.
        let _ = listening.map(ScopedJoinHandle::join);
    });
    // The watch ends before the rest is due.
    let hints = common.lock().debouncer.take_all(common.now_ms());
    if let Err(error) = events.note(&hints) {
        log::warn!("what the server told last could not be noted: {error}");
    }
}

/// Says at the end of the listening thread that it is over, also when it panics.
struct ListenerGuard<'c>(&'c WatchShared);

impl Drop for ListenerGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().listener_ended = true;
        self.0.changed.notify_all();
    }
}

/// Connects, listens, and connects again.
fn listen(events: &Events, source: &dyn Source, common: &WatchShared) {
    let aborted = || common.is_stopped();
    let bounds = Bounds {
        aborted: &aborted,
        ..Bounds::NONE
    };
    let mut pause = FIRST_PAUSE;
    let mut warned = false;
    while !common.is_stopped() {
        let begun = Instant::now();
        let ended = source.events(bounds, &mut |event| {
            if event == Event::Connected {
                log::info!("listening to the server's events");
                warned = false;
            } else {
                events.counters.told(1);
            }
            let mut state = common.lock();
            state.debouncer.take(event, common.now_ms());
            common.changed.notify_all();
            !state.stop
        });
        if begun.elapsed() >= GOOD {
            pause = FIRST_PAUSE;
        }
        if common.is_stopped() {
            return;
        }
        match ended {
            Ok(()) => log::debug!("the server ended its events; asking again in {} s", pause.as_secs()),
            Err(error) if warned => log::debug!("{error}; asking again in {} s", pause.as_secs()),
            Err(error) => {
                warned = true;
                log::warn!("the server's events cannot be had, answers expire as without them: {error}");
            }
        }
        if !common.pause(pause) {
            return;
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Writes what was collected, when it is due.
fn write_hints(events: &Events, common: &WatchShared) {
    let mut state = common.lock();
    while !state.stop {
        let now = common.now_ms();
        let hints = state.debouncer.due(now);
        if !hints.is_empty() {
            drop(state);
            let noted = events.note(&hints);
            state = common.lock();
            if let Err(error) = noted {
                // Until a call asks the server with the new token nothing is wrong.
                let level = match error.status {
                    Status::LibraryNotFound => log::Level::Debug,
                    _ => log::Level::Warn,
                };
                log::log!(
                    level,
                    "what the server told could not be noted, it is tried again: {error}"
                );
                state.debouncer.put_back(hints, common.now_ms());
            }
            continue;
        }
        let time = match state.debouncer.wake(now) {
            Some(at) => Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)),
            None => LONGEST_PAUSE,
        };
        state = common.wait(state, time);
    }
}
