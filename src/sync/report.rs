//! The progress of a sync job.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::call::{Call, Progress};
use crate::platform::mutex::lock;
use crate::source::Source;

/// Interval between progress reports to the host.
pub const TICK: Duration = Duration::from_millis(100);

/// Progress that the worker thread writes and the thread of the call reports to the host.
#[derive(Default)]
pub struct Report {
    /// Title of the library.
    pub library: Mutex<String>,
    pub items: AtomicU64,
    /// Number of items in the library; 0 if unknown.
    pub total: AtomicU64,
    /// Whether rows arrived in this job. `items` also counts the rows of an interrupted listing.
    pub rows_arrived: AtomicBool,
    /// Whether the job fetches a library, so that the numbers are valid.
    pub fetching: AtomicBool,
    abort: AtomicBool,
}

impl Report {
    /// Returns whether the host stopped the job.
    pub fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }
}

/// Monitors a running job on the thread of the call.
pub struct JobMonitor<'m> {
    source: &'m dyn Source,
    call: &'m Call<'m>,
    report: &'m Report,
    pub started_at: Instant,
}

impl<'m> JobMonitor<'m> {
    /// Creates the monitor of a job that starts now.
    pub fn new(source: &'m dyn Source, call: &'m Call<'m>, report: &'m Report) -> Self {
        Self {
            source,
            call,
            report,
            started_at: Instant::now(),
        }
    }

    /// Interrupts operations that exceed their bounds, and reports progress to the host. If the host's callback asks
    /// for it, stops the job. `is_working`: the job is still running.
    pub fn tick(&mut self, is_working: bool) {
        let (source, report) = (self.source, self.report);
        source.interrupt_overrun();
        let Some(progress) = self.call.progress.filter(|_| !report.is_aborted()) else {
            return;
        };
        let mut library = String::new();
        let (mut items, mut total) = (0, 0);
        if report.fetching.load(Ordering::Relaxed) {
            library.clone_from(&lock(&report.library));
            items = report.items.load(Ordering::Relaxed);
            total = report.total.load(Ordering::Relaxed);
        }
        let may_continue = progress(&Progress {
            library: Some(&*library).filter(|title| !title.is_empty()),
            items,
            total: Some(total).filter(|total| *total > 0),
            elapsed: self.started_at.elapsed(),
        });
        report.abort.store(!may_continue, Ordering::Relaxed);
        if !may_continue && is_working {
            source.interrupt();
        }
    }
}
