//! Segments made anew from the log: in a file, or in memory where no file can be written.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::catch_up::{StandIn, Tables};
use super::snapshot::{LONG, SegmentsLost, size_of};
use crate::error::Result;
use crate::image::{Record, RecordSegmentBuilder, Stored};
use crate::model::{Sequence, TableId};
use crate::platform::mutex::lock;
use crate::store::{Folder, NamedSegment, RecordLog, RecordRow, RecordTx, Timeline};

impl Tables {
    /// Makes segments anew that are missing or damaged: one of all that the log has, in memory where no file can be written.
    pub(super) fn rebuild(&self, SegmentsLost(changed): SegmentsLost) -> Result<()> {
        let _rebuilding = lock(&self.rebuilding);
        let snapshot = self.caught_up()?;
        let timeline = snapshot.timeline;
        // Another thread or process may have made them.
        if snapshot.manifest.changed != changed || snapshot.stands_in && !snapshot.is_lost() {
            return Ok(());
        }
        drop(snapshot);
        log::warn!("the index of tables is missing or damaged; it is made anew");
        let now_ms = self.clock.now_ms();
        if now_ms >= self.due_ms.load(Ordering::Relaxed) {
            let of = (timeline, changed);
            match self.store.write_records(|tx| self.rebuild_in_file(tx, of)) {
                Ok(None) => self.stand_in.replace(None),
                Ok(Some(error)) => self.cannot_write(&error, now_ms),
                Err(error) => self.cannot_write(&error.to_string(), now_ms),
            }
            self.store.sweep_images();
        }
        let is_due = now_ms >= self.due_ms.load(Ordering::Relaxed);
        if !is_due {
            let made = self.store.read_records(|log| rebuild_in_memory(log, timeline))?;
            self.stand_in.replace(Some(made));
        }
        // What was read of damaged files is not taken over.
        let _catching_up = lock(&self.catching_up);
        self.reload()
    }

    /// Gives why it cannot be done; nothing is to be done where the manifest is another one by now.
    fn rebuild_in_file(&self, tx: &RecordTx<'_>, of: (Timeline, Sequence)) -> rusqlite::Result<Option<String>> {
        let all = AllRecords::read(&tx.log)?;
        if (self.store.timeline(), all.changed) != of {
            return Ok(None);
        }
        let name = Folder::new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let builder = match all.segment(&tx.log, Some(&path)) {
            Ok(builder) => builder,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let records = builder.records();
        if let Err(error) = builder.finish(&path, self.store.segment_seal(&name)) {
            return Ok(Some(error.to_string()));
        }
        tx.name_segments(&[NamedSegment { name, records }])?;
        for row in all.dead() {
            tx.delete(row.id)?;
        }
        for (id, [entries, bytes]) in all.counts() {
            tx.count(id, entries, bytes)?;
        }
        Ok(None)
    }
}

/// The whole log without its values, by name and with the newest row of each first.
struct AllRecords {
    changed: Sequence,
    tables: Vec<TableId>,
    rows: Vec<RecordRow>,
}

impl AllRecords {
    fn read(log: &RecordLog<'_>) -> rusqlite::Result<Self> {
        let (manifest, tables) = log.state(None, 0)?.manifest.unwrap_or_default();
        let tables: Vec<TableId> = tables.iter().map(|table| table.id).collect();
        let mut rows = log.rows_after(0, usize::MAX)?;
        rows.retain(|row| tables.contains(&row.table));
        rows.sort_by(|a, b| (a.table, &a.name, b.id).cmp(&(b.table, &b.name, a.id)));
        Ok(Self {
            changed: manifest.changed,
            tables,
            rows,
        })
    }

    fn is_live(&self, at: usize) -> bool {
        let key = |at: usize| (self.rows[at].table, &self.rows[at].name);
        self.rows[at].value.is_some() && (at == 0 || key(at - 1) != key(at))
    }

    fn live(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Rows that were replaced, and removals.
    fn dead(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| !self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Entries and bytes of each table.
    fn counts(&self) -> HashMap<TableId, [i64; 2]> {
        let mut counts: HashMap<TableId, [i64; 2]> = self.tables.iter().map(|id| (*id, [0; 2])).collect();
        for row in self.live() {
            let length = row.value.as_ref().map_or(0, |(_, length)| *length);
            let count = counts.entry(row.table).or_default();
            *count = [count[0] + 1, count[1] + size_of(&row.name, length)];
        }
        counts
    }

    fn segment(&self, log: &RecordLog<'_>, place: Option<&Path>) -> io::Result<RecordSegmentBuilder> {
        let mut builder = RecordSegmentBuilder::new(place);
        for row in self.live() {
            let (value, length) = log.row(row.id, LONG).map_err(io::Error::other)?.unwrap_or_default();
            builder.push(&Record {
                table: row.table,
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

/// What stands in for the segments that the manifest names.
fn rebuild_in_memory(log: &RecordLog<'_>, timeline: Timeline) -> rusqlite::Result<StandIn> {
    let all = AllRecords::read(log)?;
    let no_memory = |_| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOMEM);
    let built = all.segment(log, None).map_err(no_memory);
    let segment = built.and_then(|builder| builder.finish_in_memory().map_err(|_| no_memory(io::Error::other(""))));
    Ok(StandIn {
        timeline,
        changed: all.changed,
        upto: log.sequence,
        segment: Arc::new(segment.map_err(|error| rusqlite::Error::SqliteFailure(error, None))?),
        counts: all.counts(),
    })
}
