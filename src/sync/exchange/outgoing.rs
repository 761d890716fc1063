//! Delivers what this host wrote to the log, each entry once.

use super::applied::numbered;
use super::core::{AWAY_MS, Exchange, SharedView};
use crate::engine::OutboxRow;
use crate::error::Result;
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::shared::{HostId, NewEntry, SharedLog};

/// Most entries in one request.
const BATCH: usize = 500;

impl Exchange {
    /// Number of entries that wait to be delivered.
    pub fn undelivered(&self) -> Result<u64> {
        self.reading
            .identity()
            .map_or(Ok(0), |identity| self.store.outbox_len(identity))
    }

    /// Another copy of this folder has gone on as the host that wrote these entries: a backup or a snapshot was restored, or
    /// the folder was copied while they waited. Those that the log has are delivered; the others are told as another host,
    /// which this folder is from now on. Returns `false` if the log is away.
    fn part_from(&self, view: &SharedView, host: HostId, rows: &[(u64, NewEntry)], until: Deadline) -> Result<bool> {
        let numbers: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
        let Ok(known) = self.ask_until(until, |log, limit| log.delivered(view.number, host, &numbers, limit)) else {
            return Ok(false);
        };
        self.store.delivered_numbers(host, &known, Deadline::NONE)?;
        let is_own = host == self.store.host()?;
        if is_own {
            log::warn!(
                "this folder was restored from a backup: for the shared log {} it is another host from now on",
                self.log.name()
            );
        }
        if is_own || known.len() < rows.len() {
            self.store.become_another_host(host, Deadline::NONE)?;
        }
        Ok(true)
    }

    /// Delivers all that waits. Returns `false` if the log is away or takes no writes, or the deadline came first.
    pub fn deliver(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        loop {
            let waiting = self.store.outbox(view.identity, BATCH)?;
            let Some(first) = waiting.first() else {
                let verified = std::mem::take(&mut lock(&self.state).verified);
                // What was verified earlier may be older than what others were told since.
                let now_ms = self.clock.now_ms();
                let new = verified
                    .into_iter()
                    .filter(|(at_ms, _)| (0..=AWAY_MS).contains(&(now_ms - at_ms)));
                let verified: Vec<NewEntry> = new.map(|(_, entry)| entry).collect();
                let tell = |log: &dyn SharedLog, limit| log.append(view.number, view.host, &verified, None, limit);
                return Ok(verified.is_empty() || self.ask_to_take(until, tell).is_ok());
            };
            if until.has_passed() {
                return Ok(false);
            }
            // Entries of an earlier incarnation of this folder are delivered in its name: the log may have them.
            let host = first.host;
            let of_host = |row: &&OutboxRow| row.host == host;
            let rows: Vec<(u64, NewEntry)> = waiting
                .iter()
                .take_while(of_host)
                .map(|row| numbered(row.number, row.entry.clone()))
                .collect();
            let after = self.store.delivered_before(view.identity, host, first.number)?;
            let tell = |log: &dyn SharedLog, limit| log.deliver(view.number, host, after, &rows, limit);
            let Ok(upto) = self.ask_to_take(until, tell) else {
                return Ok(false);
            };
            self.note_taken();
            let Some(upto) = upto else {
                log::warn!(
                    "the shared log {} lacks what it was told before: it is told again",
                    self.log.name()
                );
                self.store.deliver_again(view.identity, Deadline::NONE)?;
                continue;
            };
            let last = rows.last().map_or(0, |(number, _)| *number);
            if upto != last && !self.store.has_numbered(host, upto)? {
                if !self.part_from(view, host, &rows, until)? {
                    return Ok(false);
                }
                continue;
            }
            self.store
                .delivered(view.identity, host, upto.min(last), Deadline::NONE)?;
            if upto < last {
                log::warn!(
                    "the shared log {} took only a part of what it was told",
                    self.log.name()
                );
                return Ok(false);
            }
        }
    }
}
