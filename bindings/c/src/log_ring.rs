//! A ring buffer of log lines. The host drains the buffer, so that no host callback runs on a thread that plexindex
//! started.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::constants as c;
use plexindex::error::{Error, Result, Status};
use plexindex::inside::{ForkLock, fork};
use plexindex::inside::{lock, try_lock};

const CAPACITY: usize = 256; // lines that wait for the host

pub struct LogLine {
    pub level: i32, // `PLEXINDEX_LOG_*`
    pub text: String,
}

struct Ring {
    lines: VecDeque<LogLine>,
    lost: u64, // number of lines lost since the last drain
}

/// This library's logger, which appends lines to the ring.
struct RingLogger;

static RING: Mutex<Ring> = Mutex::new(Ring {
    lines: VecDeque::new(),
    lost: 0,
});
/// Number of waiting lines, which answers read without the lock.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Locks the ring; returns `None` if the lock is not free within about a second. The forking thread holds the lock
/// during a fork, so that the lock is free in the child. A process created without the handlers of `pthread_atfork` can
/// inherit a lock that no thread releases. In such a process, losing a line is better than blocking the host.
fn lock_ring() -> Option<MutexGuard<'static, Ring>> {
    for attempt in 0..2000 {
        if let Some(ring) = try_lock(&RING) {
            return Some(ring);
        }
        // First yields 1,000 times, then sleeps 1,000 times for a millisecond: about a second.
        if attempt < 1000 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    None
}

/// Locks the ring before a fork, so that the child inherits no lock of another thread. Dropping the returned value
/// releases the lock.
fn lock_for_fork() -> Box<dyn ForkLock> {
    Box::new(lock(&RING))
}

impl Log for RingLogger {
    /// Returns whether the line comes from plexindex; the ring ignores other lines.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("plexindex")
    }

    /// Appends a line from plexindex to the ring. A full ring drops its oldest line and counts the loss.
    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => c::PLEXINDEX_LOG_ERROR,
            Level::Warn => c::PLEXINDEX_LOG_WARN,
            Level::Info => c::PLEXINDEX_LOG_INFO,
            Level::Debug | Level::Trace => c::PLEXINDEX_LOG_DEBUG,
        };
        let text = record.args().to_string();
        let Some(mut ring) = lock_ring() else { return };
        if ring.lines.len() == CAPACITY {
            ring.lines.pop_front();
            ring.lost += 1;
        }
        ring.lines.push_back(LogLine { level, text });
        WAITING.store(u32::try_from(ring.lines.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Does nothing: the host drains the ring.
    fn flush(&self) {}
}

/// Converts a `PLEXINDEX_LOG_*` number to a level; 0 means the default, warnings. Other numbers fail.
pub fn parse_level(level: i32) -> Result<LevelFilter> {
    match level {
        0 | c::PLEXINDEX_LOG_WARN => Ok(LevelFilter::Warn),
        c::PLEXINDEX_LOG_OFF => Ok(LevelFilter::Off),
        c::PLEXINDEX_LOG_ERROR => Ok(LevelFilter::Error),
        c::PLEXINDEX_LOG_INFO => Ok(LevelFilter::Info),
        c::PLEXINDEX_LOG_DEBUG => Ok(LevelFilter::Debug),
        other => Err(Error::new(
            Status::InvalidArgument,
            format!("log_level must be one of PLEXINDEX_LOG_*, not {other}"),
        )),
    }
}

/// Installs the ring as the logger of this process, unless a Rust host has its own logger. `level` limits the lines.
pub fn install(level: LevelFilter) {
    static LOGGER: RingLogger = RingLogger;
    // A fork locks the ring last, since any code may log while it holds other locks.
    fork::register_last_lock(lock_for_fork);
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// Returns the number of log lines that wait for the host. Takes no lock, since every answer contains this number.
pub fn waiting_count() -> u32 {
    WAITING.load(Ordering::Relaxed)
}

/// Removes and returns all lines, oldest first. If lines were lost, the first line is a warning. Returns no lines if
/// the lock is not free within about a second.
pub fn drain() -> Vec<LogLine> {
    let mut lines = Vec::new();
    // Hosts drain after each call, and most calls log nothing.
    if waiting_count() == 0 {
        return lines;
    }
    let Some(mut ring) = lock_ring() else { return lines };
    if ring.lost > 0 {
        lines.push(LogLine {
            level: c::PLEXINDEX_LOG_WARN,
            text: format!("lost {} log lines; call plexindex_drain_log() more often", ring.lost),
        });
        ring.lost = 0;
    }
    // Also takes the ring's memory, so that unloading the library leaks nothing.
    lines.extend(std::mem::take(&mut ring.lines));
    WAITING.store(0, Ordering::Relaxed);
    lines
}

#[cfg(test)]
#[path = "log_ring_tests.rs"]
mod tests;
