//! Delivers this host's outbox to the log, each entry exactly once.

use super::applied::with_number;
use super::core::{Exchange, LogView};
use crate::contract::{NewEntry, SharedLog};
use crate::engine::{LibraryRows, Outbox, OutboxRow};
use crate::error::Result;
use crate::platform::Deadline;

/// Maximum number of entries in one request.
const ENTRIES_PER_REQUEST: usize = 500;

impl Exchange {
    /// Returns the number of entries in the outbox that await delivery; 0 while the view is unknown.
    pub fn undelivered(&self) -> Result<u64> {
        self.reading
            .view_id()
            .map_or(Ok(0), |view_id| Outbox(&self.store).count(view_id))
    }

    /// Delivers the outbox. Returns whether the log has all entries: `false` if the log is
    /// unavailable or rejects writes, or if the deadline passes.
    pub fn deliver(&self, view: &LogView, until: Deadline) -> Result<bool> {
        loop {
            let outbox_rows = Outbox(&self.store).entries(view.view_id, ENTRIES_PER_REQUEST)?;
            let Some(first) = outbox_rows.first() else {
                return Ok(true);
            };
            if until.has_passed() {
                return Ok(false);
            }
            // Entries created under an earlier host id keep that id, since the log may already have them.
            let host = first.host;
            let is_same_host = |row: &&OutboxRow| row.host == host;
            let rows: Vec<(u64, NewEntry)> = outbox_rows
                .iter()
                .take_while(is_same_host)
                .map(|row| with_number(row.number, row.entry.clone()))
                .collect();
            let last_delivered = (Outbox(&self.store).last_delivered(view.view_id)?)
                .map_or(0, |(last_host, number)| if last_host == host { number } else { 0 });
            let deliver = |log: &dyn SharedLog, limit| log.deliver(view.number, host, last_delivered, &rows, limit);
            let Ok(last_in_log) = self.send_write(until, deliver) else {
                return Ok(false);
            };
            let last_sent = rows.last().map_or(0, |(number, _)| *number);
            // If the log's number is lower than the last delivered number, the log was restored. If this folder never
            // used the log's number, the folder was restored.
            if last_in_log < last_delivered {
                self.resend_matches(view)?;
            } else if last_in_log == last_sent || Outbox(&self.store).has_written_entry(host, last_in_log)? {
                Outbox(&self.store).mark_delivered(view.view_id, host, last_in_log.min(last_sent), Deadline::NONE)?;
            } else {
                log::warn!(
                    "this folder was restored from a backup; it now has a new host id in the shared log {}",
                    self.log.name()
                );
                Outbox(&self.store).assign_new_host_id(view.view_id, Deadline::NONE)?;
            }
        }
    }

    /// Adds all matches to the outbox again after the log lost entries, and gives this folder a new host id, under
    /// which deliveries start over.
    pub fn resend_matches(&self, view: &LogView) -> Result<()> {
        log::warn!(
            "the shared log {} lacks entries from this host; sending all matches again",
            self.log.name()
        );
        let rows = LibraryRows(&self.store).libraries(view.view_id)?;
        self.enqueue_matches(view, rows.iter(), |_| Ok(true))?;
        Outbox(&self.store).assign_new_host_id(view.view_id, Deadline::NONE)
    }
}
