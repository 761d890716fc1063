//! Rebuilds the segments of records from the log: in a file, or in memory if no file can be written.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::segments::{OpenSegments, Records, StandIn, same};
use super::snapshot::{LONG, size_of};
use crate::engine::segment::{Record, RecordSegmentBuilder, RecordSegments, Stored};
use crate::engine::sql::{Collection, Incarnation, NamedSegment, RecordLog, RecordRow, RecordTx, StoreFolder};
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

impl Records {
    /// Writes the whole log into one segment, in memory if no file can be written. Needed if segments are missing or
    /// damaged, or if the log has more unmerged rows than a memtable holds.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn rebuild(&self, known: &OpenSegments, deadline: Deadline) -> Result<()> {
        let _rebuilding = lock(&self.rebuilding);
        let incarnation = self.store.incarnation();
        let changed = self.store.read_records(|log| Ok(log.manifest()?.changed))?;
        let stand_in = self.stand_in_of(incarnation, changed);
        // Another thread or process may have made it.
        if (known.incarnation, known.manifest.changed) != (incarnation, changed)
            || !same(known.stand_in.as_ref(), stand_in.as_ref())
        {
            return Ok(());
        }
        if known.are_lost() {
            log::warn!("the index of what hosts recorded is missing or damaged; it is made anew");
        }
        let now_ms = self.clock.now_ms();
        if self.backoff.may_try(now_ms) {
            let expected = (incarnation, changed);
            match self
                .store
                .write_records(deadline, |tx| self.rebuild_in_file(tx, expected))
            {
                Ok(None) => {
                    self.backoff.succeeded();
                    self.stand_in.replace(None);
                }
                Ok(Some(error)) => self.cannot_write(&error, now_ms),
                Err(error) => self.cannot_write(&error.to_string(), now_ms),
            }
            self.store.sweep_segments();
        }
        if !self.backoff.may_try(now_ms) {
            let made = self.store.read_records(|log| rebuild_in_memory(log, incarnation))?;
            self.stand_in.replace(Some(Arc::new(made)));
        }
        Ok(())
    }

    /// Writes the whole log into one segment file. Returns the reason if that fails. Does nothing unless incarnation
    /// and manifest are those of `expected`.
    fn rebuild_in_file(
        &self,
        tx: &RecordTx<'_>,
        expected: (Incarnation, Sequence),
    ) -> rusqlite::Result<Option<String>> {
        let all = AllRecords::read(&tx.log)?;
        if (self.store.incarnation(), all.changed) != expected {
            return Ok(None);
        }
        let name = StoreFolder::new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let builder = match all.segment(&tx.log, Some(&path)) {
            Ok(builder) => builder,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let records = builder.records();
        if let Err(error) = builder.finish(&path, self.store.segment_mac(&name)) {
            return Ok(Some(error.to_string()));
        }
        tx.name_segments(&[NamedSegment { name, records }])?;
        for row in all.dead() {
            tx.delete(row.id)?;
        }
        for (id, counts) in all.counts() {
            tx.count(id, counts)?;
        }
        Ok(None)
    }
}

/// The whole log without its values, by name, the newest row of each name first.
struct AllRecords {
    changed: Sequence,
    collections: Vec<Collection>,
    rows: Vec<RecordRow>,
}

impl AllRecords {
    fn read(log: &RecordLog<'_>) -> rusqlite::Result<Self> {
        let collections = log.collections()?;
        let mut rows = log.rows_after(0, usize::MAX)?;
        rows.retain(|row| collections.iter().any(|one| one.id == row.table));
        rows.sort_by(|a, b| (a.table, &a.name, b.id).cmp(&(b.table, &b.name, a.id)));
        Ok(Self {
            changed: log.manifest()?.changed,
            collections,
            rows,
        })
    }

    /// Returns whether a row is the newest of its name and has a value.
    fn is_live(&self, at: usize) -> bool {
        let key = |at: usize| (self.rows[at].table, &self.rows[at].name);
        self.rows[at].value.is_some() && (at == 0 || key(at - 1) != key(at))
    }

    fn live(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Replaced rows, and removals.
    fn dead(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| !self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Entries and bytes of each table.
    fn counts(&self) -> HashMap<TableId, [i64; 2]> {
        let mut counts: HashMap<TableId, [i64; 2]> = self.collections.iter().map(|one| (one.id, [0; 2])).collect();
        for row in self.live() {
            let length = row.value.as_ref().map_or(0, |(_, length)| *length);
            let count = counts.entry(row.table).or_default();
            *count = [count[0] + 1, count[1] + size_of(&row.name, length)];
        }
        counts
    }

    /// Builds a segment from the live rows, beside `place` or in memory.
    fn segment(&self, log: &RecordLog<'_>, place: Option<&Path>) -> io::Result<RecordSegmentBuilder> {
        let mut builder = RecordSegmentBuilder::new(place);
        for row in self.live() {
            let (value, length) = log.row(row.id, LONG).map_err(io::Error::other)?.unwrap_or_default();
            builder.push(&Record {
                table: row.table,
                is_path: self.collections.iter().any(|one| one.id == row.table && one.is_paths),
                name: &row.name,
                row: row.id,
                state: Some(Stored {
                    value: value.as_deref(),
                    length,
                    expires_ms: row.expires_ms,
                }),
            })?;
        }
        Ok(builder)
    }
}

/// Builds the stand-in for the manifest's segments.
fn rebuild_in_memory(log: &RecordLog<'_>, incarnation: Incarnation) -> rusqlite::Result<StandIn> {
    let all = AllRecords::read(log)?;
    let no_memory = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOMEM), None);
    let builder = all.segment(log, None).map_err(|_| no_memory())?;
    let segment = builder.finish_in_memory().map_err(|_| no_memory())?;
    Ok(StandIn {
        incarnation,
        changed: all.changed,
        upto: log.sequence,
        segments: Arc::new(RecordSegments::new(vec![Arc::new(segment)])),
        counts: all.counts(),
    })
}
