//! Delivers what this host wrote to the log, each entry once.

use super::applied::numbered;
use super::core::{AWAY_MS, Exchange, SharedView};
use crate::contract::{NewEntry, SharedLog};
use crate::engine::{Outbox, OutboxRow};
use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::lock;

/// Most entries in one request.
const BATCH: usize = 500;

impl Exchange {
    /// Number of entries that wait to be delivered.
    pub fn undelivered(&self) -> Result<u64> {
        self.reading
            .identity()
            .map_or(Ok(0), |identity| Outbox(&self.store).count(identity))
    }

    /// Delivers all that waits. Returns `false` if the log is away or takes no writes, or the deadline came first.
    pub fn deliver(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        loop {
            let waiting = Outbox(&self.store).entries(view.identity, BATCH)?;
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
            let known = Outbox(&self.store).last_delivered(view.identity)?;
            let known = known.map_or(0, |(of, number)| if of == host { number } else { 0 });
            let tell = |log: &dyn SharedLog, limit| log.deliver(view.number, host, known, &rows, limit);
            let Ok(upto) = self.ask_to_take(until, tell) else {
                return Ok(false);
            };
            self.note_taken();
            let last = rows.last().map_or(0, |(number, _)| *number);
            if upto < known {
                self.tell_again(view)?;
            } else if upto == last || Outbox(&self.store).has_numbered(host, upto)? {
                Outbox(&self.store).delivered(view.identity, host, upto.min(last), Deadline::NONE)?;
            } else {
                log::warn!(
                    "this folder was restored from a backup: it gets a new host id in the shared log {}",
                    self.log.name()
                );
                Outbox(&self.store).become_another_host(view.identity, Deadline::NONE)?;
            }
        }
    }

    /// Returns whether the log lacks what was delivered to it last: it was restored, or a replica took its place. Asks
    /// once after each delivery.
    pub fn has_lost(&self, view: &SharedView, until: Deadline) -> Result<bool> {
        let last = Outbox(&self.store).last_delivered(view.identity)?;
        let Some((host, number)) = last.filter(|_| lock(&self.state).kept != last) else {
            return Ok(false);
        };
        let ask = |log: &dyn SharedLog, limit| log.deliver(view.number, host, number, &[], limit);
        let Ok(upto) = self.ask_until(until, ask) else {
            return Ok(false); // the next exchange asks again
        };
        if upto >= number {
            lock(&self.state).kept = last;
        }
        Ok(upto < number)
    }

    /// Tells a log that lacks what was delivered to it of all matches, as another host.
    pub fn tell_again(&self, view: &SharedView) -> Result<()> {
        log::warn!(
            "the shared log {} lacks entries of this host: sending all matches again",
            self.log.name()
        );
        self.tell_matches(view, |_| Ok(true))?;
        Outbox(&self.store).become_another_host(view.identity, Deadline::NONE)
    }
}
