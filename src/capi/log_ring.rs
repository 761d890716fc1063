//! Log lines wait here until the host fetches them: no callback ever runs on a thread of the library.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::constants as c;
use crate::error::{Error, Result, Status};

/// How many lines wait at most.
const CAPACITY: usize = 256;

/// A line that waits.
pub struct Line {
    /// `PLEXINDEX_LOG_*`.
    pub level: i32,
    /// What it says.
    pub text: String,
}

struct Ring {
    lines: VecDeque<Line>,
    lost: u64,
}

struct RingLogger;

static RING: Mutex<Ring> = Mutex::new(Ring {
    lines: VecDeque::new(),
    lost: 0,
});
/// How many wait: read on each answer without the lock.
static WAITING: AtomicU32 = AtomicU32::new(0);

impl Log for RingLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("plexindex")
    }

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
        let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.lines.len() == CAPACITY {
            ring.lines.pop_front();
            ring.lost += 1;
        }
        ring.lines.push_back(Line { level, text });
        WAITING.store(u32::try_from(ring.lines.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn flush(&self) {}
}

/// Takes the lines of this process from now on, unless a Rust host has a logger of its own, which then gets them.
pub fn install(level: i32) -> Result<()> {
    static LOGGER: RingLogger = RingLogger;
    let filter = match level {
        0 | c::PLEXINDEX_LOG_WARN => LevelFilter::Warn,
        c::PLEXINDEX_LOG_OFF => LevelFilter::Off,
        c::PLEXINDEX_LOG_ERROR => LevelFilter::Error,
        c::PLEXINDEX_LOG_INFO => LevelFilter::Info,
        c::PLEXINDEX_LOG_DEBUG => LevelFilter::Debug,
        other => {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("log_level is {other}: give one of PLEXINDEX_LOG_*"),
            ));
        }
    };
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(filter);
    Ok(())
}

/// How many lines wait.
pub fn waiting() -> u32 {
    WAITING.load(Ordering::Relaxed)
}

/// Takes all lines, oldest first, with a word on those that were lost.
pub fn drain() -> Vec<Line> {
    let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lines = Vec::new();
    if ring.lost > 0 {
        lines.push(Line {
            level: c::PLEXINDEX_LOG_WARN,
            text: format!("{} log lines were lost: drain the log more often", ring.lost),
        });
        ring.lost = 0;
    }
    lines.extend(ring.lines.drain(..));
    WAITING.store(0, Ordering::Relaxed);
    lines
}
