//! Reports a sync job's progress to the host.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::call::{Call, Progress};
use crate::model::{Library, LibraryId, ViewId};
use crate::platform::fork::lock;
use crate::source::Source;

/// Interval between progress reports to the host.
pub const TICK: Duration = Duration::from_millis(100);

/// A sync job's progress. The worker thread updates it, and the calling thread reports it to the host.
#[derive(Default)]
pub struct JobProgress {
    /// Title of the library that the job is fetching.
    pub library: Mutex<String>,
    pub items: AtomicU64,
    /// Number of items in the library; 0 if unknown.
    pub total: AtomicU64,
    /// Whether this job has received rows. `items` also includes rows from an interrupted listing.
    pub rows_arrived: AtomicBool,
    /// Whether the server has answered a probe of this job.
    pub probe_answered: AtomicBool,
    /// Libraries that need a full listing, which this job has skipped.
    pub unlisted: Mutex<Vec<LibraryId>>,
    /// Whether a probe of this job has found a change in a library.
    pub has_changed: AtomicBool,
    /// Whether this job has published a listing, so that it sweeps when it ends.
    pub has_listed: AtomicBool,
    /// The reply that a probe of this job stored last.
    pub stored_reply: Mutex<Option<StoredReply>>,
    /// Whether the job is fetching a library, so that the title and the numbers are valid.
    pub fetching: AtomicBool,
    abort: AtomicBool,
}

/// The reply that a job stored last.
pub struct StoredReply {
    pub view: ViewId,
    pub libraries: Vec<Library>,
    pub stored_ms: i64,
}

impl JobProgress {
    /// Returns whether the server has answered this job, so that a timeout does not mean that the server is down.
    pub fn has_answered(&self) -> bool {
        self.rows_arrived.load(Ordering::Relaxed) || self.probe_answered.load(Ordering::Relaxed)
    }

    /// Returns whether the host has stopped the job.
    pub fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }
}

/// Monitors a running job on the calling thread.
pub struct JobMonitor<'m> {
    pub source: &'m dyn Source,
    pub call: &'m Call<'m>,
    pub report: &'m JobProgress,
    pub started_at: Instant,
}

impl JobMonitor<'_> {
    /// Interrupts operations that exceed their bounds, and reports progress to the host. Stops the job if the host's
    /// callback returns `false`. `is_working`: whether the job is still running, and not only reporting its end.
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
