//! Segments made of what the log has beyond them, and merged with others of like size.

use std::sync::atomic::Ordering;

use super::catch_up::{PAUSE_MS, Tables};
use super::merge::{Merging, Run, SlicedMerge, absorbed, due};
use super::snapshot::SegmentsLost;
use super::write::{Batch, Stopped};
use crate::error::Result;
use crate::image::{OwnedRecord, Record, RecordCursor, RecordSegmentBuilder};
use crate::model::{SegmentName, TableId};
use crate::platform::mutex::try_lock;
use crate::store::{Folder, NamedSegment};

/// Records that are merged for each one that is written: a merge is done before the next one is due.
const PACE: usize = 8;
/// Records that a write merges at most, about a millisecond; a large one as many for each record that it writes as a merge needs.
const SLICE: usize = 4_096;
const LEAST_PACE: usize = 4;

impl Tables {
    /// Makes a segment of the records that no segment has, and names it. Gives the segments that are in it now; `None` where
    /// it cannot be written: these records stay in memory, and the log has them.
    pub(super) fn flush(
        &self,
        batch: &Batch<'_>,
        now_ms: i64,
    ) -> std::result::Result<Option<Vec<SegmentName>>, Stopped> {
        let (tx, base) = (batch.tx, batch.base);
        let name = Folder::new_segment_name(tx.sequence());
        let unmerged = || base.memtable.records().chain(&batch.records);
        let mut sorted: Vec<Record<'_>> = unmerged().map(OwnedRecord::borrow).collect();
        sorted.sort_by(|a, b| a.key().cmp(&b.key()).then(b.row.cmp(&a.row)));
        sorted.dedup_by(|later, first| later.key() == first.key());
        let sizes: Vec<u64> = base.segments.iter().map(|segment| segment.records()).collect();
        let taken = if base.stands_in {
            base.segments.len()
        } else {
            absorbed(sorted.len() as u64, &sizes)
        };
        let tables: Vec<TableId> = batch.tables().map(|(id, _)| id).collect();
        let merging = Merging {
            tables: &tables,
            is_last: taken == base.segments.len(),
        };
        let mut runs = vec![Run::Sorted(sorted.into_iter().peekable())];
        runs.extend(
            base.segments[..taken]
                .iter()
                .map(|segment| Run::Segment(segment, RecordCursor::BEGIN)),
        );
        let path = self.store.folder().segment(&name);
        let mut builder = RecordSegmentBuilder::new(Some(&path));
        let merged = merging.some(&mut runs, &mut builder, usize::MAX);
        if base.segments.iter().any(|segment| segment.is_broken()) {
            return Err(SegmentsLost(base.manifest.changed).into());
        }
        let records = builder.records();
        let seal = self.store.segment_seal(&name);
        let written = match merged {
            Ok(_) if records == 0 => Ok(()),
            Ok(_) => builder.finish(&path, seal).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            self.cannot_write(&error, now_ms);
            return Ok(None);
        }
        let kept = if base.stands_in {
            &[][..]
        } else {
            &base.manifest.segments[taken..]
        };
        let new = (records > 0).then_some(NamedSegment { name, records });
        let segments: Vec<NamedSegment> = new.into_iter().chain(kept.iter().copied()).collect();
        tx.name_segments(&segments)?;
        for record in unmerged() {
            if record.replaces != 0 {
                tx.delete(record.replaces)?;
            }
            // The segment has it, and hides what older ones have.
            if record.state.is_none() {
                tx.delete(record.row)?;
            }
        }
        for (id, [entries, bytes]) in batch.tables() {
            let known = base.count_of(id).filter(|_| !base.stands_in);
            let is_noted = known.is_some_and(|known| [known.row.entries, known.row.bytes] == [entries, bytes]);
            if !is_noted {
                tx.count(id, entries, bytes)?;
            }
        }
        let merged = base.manifest.segments.len() - kept.len();
        Ok(Some(
            base.manifest.segments[..merged].iter().map(|one| one.name).collect(),
        ))
    }

    pub(super) fn cannot_write(&self, error: &str, now_ms: i64) {
        log::warn!("a segment of tables cannot be written, and is tried again in a minute: {error}");
        self.due_ms.store(now_ms.saturating_add(PAUSE_MS), Ordering::Relaxed);
    }

    /// Makes a slice of the merge under way; `starts`: begins one where too many segments are of like size.
    pub(super) fn merge_some(&self, written: usize, starts: bool) {
        let Some(mut merging) = try_lock(&self.merging) else {
            return;
        };
        if merging.is_none() && starts {
            *merging = self.next_merge();
        }
        let Some(merge) = &mut *merging else { return };
        let step = merge.step((PACE * written).clamp(PACE, SLICE.max(LEAST_PACE * written)));
        match step {
            Ok(true) => {}
            Ok(false) => {
                if let Some(done) = merging.take()
                    && let Err(error) = self.end_merge(done)
                {
                    log::debug!("segments of tables are merged later: {error}");
                }
                *merging = self.next_merge();
            }
            Err(error) => {
                *merging = None;
                self.cannot_write(&error.to_string(), self.clock.now_ms());
            }
        }
    }

    fn next_merge(&self) -> Option<SlicedMerge> {
        let snapshot = self.snapshot.read();
        let is_due = self.clock.now_ms() >= self.due_ms.load(Ordering::Relaxed);
        if !is_due || snapshot.stands_in || snapshot.is_lost() {
            return None;
        }
        let sizes: Vec<u64> = snapshot.segments.iter().map(|segment| segment.records()).collect();
        let (at, count) = due(&sizes)?;
        let named = &snapshot.manifest.segments[at..at + count];
        let inputs = named
            .iter()
            .map(|one| one.name)
            .zip(snapshot.segments[at..at + count].iter().cloned());
        let tables = snapshot.tables.iter().map(|one| one.row.id).collect();
        let place = self
            .store
            .folder()
            .segment(&Folder::new_segment_name(snapshot.sequence()));
        let is_last = at + count == snapshot.segments.len();
        Some(SlicedMerge::new(
            snapshot.timeline,
            inputs.collect(),
            tables,
            is_last,
            &place,
        ))
    }

    /// Names what a merge made, unless its inputs are not named any more.
    fn end_merge(&self, merge: SlicedMerge) -> Result<()> {
        let (timeline, names) = (merge.timeline, merge.names.clone());
        let mut made = Some(merge.made());
        let done = self.store.write_records(|tx| {
            let Some(builder) = made.take().filter(|_| self.store.timeline() == timeline) else {
                return Ok(None);
            };
            let name = Folder::new_segment_name(tx.sequence());
            let new = NamedSegment {
                name,
                records: builder.records(),
            };
            if !tx.replace_segments(&names, new)? {
                return Ok(None);
            }
            let finished = builder.finish(&self.store.folder().segment(&name), self.store.segment_seal(&name));
            finished.map(|()| Some(())).map_err(|_| rusqlite::Error::InvalidQuery) // rolls back
        })?;
        if done.is_some() {
            drop(self.caught_up()?);
            self.store.remove_segments(&names);
        }
        Ok(())
    }
}
