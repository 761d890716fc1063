//! The progress of a sync job, which the fetching thread shares with the waiting one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::call::{Call, Progress};
use crate::platform::mutex::lock;
use crate::source::Source;

/// Interval between progress reports to the host.
pub const TICK: Duration = Duration::from_millis(100);

/// Progress that the fetching thread shares with the waiting one.
#[derive(Default)]
pub struct Report {
    pub library: Mutex<String>,
    pub items: AtomicU64,
    pub total: AtomicU64,
    /// Rows arrived in this job. `items` also counts those of an interrupted listing.
    pub rows_arrived: AtomicBool,
    pub fetching: AtomicBool,
    abort: AtomicBool,
}

impl Report {
    pub fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }
}

/// Monitors a running job on the calling thread.
pub struct JobMonitor<'m> {
    source: &'m dyn Source,
    call: &'m Call<'m>,
    report: &'m Report,
    pub begun: Instant,
}

impl<'m> JobMonitor<'m> {
    /// Monitors a job that begins now.
    pub fn new(source: &'m dyn Source, call: &'m Call<'m>, report: &'m Report) -> Self {
        Self {
            source,
            call,
            report,
            begun: Instant::now(),
        }
    }

    /// Interrupts what overruns its bounds, and reports progress, by which the host may stop the job at any time.
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
        let goes_on = progress(&Progress {
            library: Some(&*library).filter(|title| !title.is_empty()),
            items,
            total: Some(total).filter(|total| *total > 0),
            elapsed: self.begun.elapsed(),
        });
        report.abort.store(!goes_on, Ordering::Relaxed);
        if !goes_on && is_working {
            source.interrupt(); // it may be waiting for an answer
        }
    }
}
