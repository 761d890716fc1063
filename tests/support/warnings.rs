//! What the library warns of: a process has one logger.

use std::sync::{Mutex, MutexGuard, PoisonError};

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        log::max_level() == log::LevelFilter::Trace || metadata.target().starts_with("plexindex")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            so_far().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// From now on warnings are kept.
pub fn keep() {
    keep_from(log::LevelFilter::Warn);
}

/// From now on all from this level on is kept; of `Trace` what other libraries say, too.
pub fn keep_from(level: log::LevelFilter) {
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}

pub fn so_far() -> MutexGuard<'static, Vec<String>> {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner)
}
