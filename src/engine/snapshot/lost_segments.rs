//! Rebuilds segments that a snapshot could not open.

use std::sync::Arc;

use super::data::Snapshot;
use super::live::LiveSnapshot;
use crate::engine::current::OpenSegments;
use crate::engine::segment::SegmentsLost;
use crate::engine::sql::LibraryRow;
use crate::engine::view::LibrarySnapshot;
use crate::error::Result;
use crate::model::ViewId;
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

/// A snapshot's missing and damaged segments.
struct LostSegments {
    view_id: Option<ViewId>,
    /// Libraries whose listing segment is missing (`true`) or damaged (`false`).
    listings: Vec<(LibraryRow, bool)>,
    /// Segments of confirmed matches and tables; `None` if these segments are intact.
    segments: Option<Arc<OpenSegments>>,
}

impl LiveSnapshot {
    /// Rebuilds the segments that the snapshot could not open, if there are any.
    pub fn rebuild_if_incomplete(&self, deadline: Deadline) -> Result<()> {
        if self.snapshot.read().is_incomplete {
            self.rebuild_broken(deadline)
        } else {
            Ok(())
        }
    }

    /// Returns the number of confirmed matches in the snapshot. Rebuilds missing and damaged segments first. Returns 0
    /// if a segment is damaged again after its rebuild.
    pub fn count_matches(&self, deadline: Deadline) -> Result<u64> {
        self.rebuild_if_incomplete(deadline)?;
        let count_in = |snapshot: &Snapshot| -> std::result::Result<u64, SegmentsLost> {
            snapshot.views.iter().map(|view| view.count_matches()).sum()
        };
        let count = count_in(&self.snapshot.read());
        if let Ok(count) = count {
            return Ok(count);
        }
        self.rebuild_broken(deadline)?;
        Ok(count_in(&self.snapshot.read()).unwrap_or(0))
    }

    /// Rebuilds all missing and damaged segments, and reloads the snapshot.
    pub fn rebuild_broken(&self, deadline: Deadline) -> Result<()> {
        // While this thread waited for the lock, another thread may have rebuilt the segments.
        let _rebuilding = lock(&self.rebuilding);
        let LostSegments {
            view_id,
            listings,
            segments,
        } = self.find_lost_segments();
        let Some(view_id) = view_id.filter(|_| !listings.is_empty() || segments.is_some()) else {
            return Ok(());
        };
        if let Some(open) = segments {
            self.records.rebuild(&open, deadline)?;
        }
        for (row, is_missing) in &listings {
            // Another process may have built a segment that was missing when the snapshot was loaded.
            if !is_missing || self.listings.open(row).is_none() {
                self.listings.replace_segment(view_id, row, deadline)?;
            }
        }
        self.reload(deadline)
    }

    /// Returns the snapshot's missing and damaged segments.
    fn find_lost_segments(&self) -> LostSegments {
        let snapshot = self.snapshot.read();
        let views = snapshot.rows.iter().zip(&snapshot.views);
        let is_lost = |(row, view): &(&LibraryRow, &Arc<LibrarySnapshot>)| {
            let segment = view.segment.as_ref();
            segment.map_or(row.generation.is_fetched(), |segment| segment.is_broken())
        };
        LostSegments {
            view_id: snapshot.view_id,
            listings: views
                .filter(is_lost)
                .map(|(row, view)| (row.clone(), view.segment.is_none()))
                .collect(),
            segments: snapshot.open.are_lost().then(|| Arc::clone(&snapshot.open)),
        }
    }
}
