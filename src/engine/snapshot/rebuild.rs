//! Rebuilds segments that a snapshot could not open.

use std::sync::Arc;

use super::data::Snapshot;
use super::reading::Reading;
use crate::engine::records::OpenSegments;
use crate::engine::segment::{ListingSegment, SegmentsLost};
use crate::engine::sql::LibraryRow;
use crate::engine::view::LibraryView;
use crate::error::Result;
use crate::model::IdentityId;
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

/// Segments of a snapshot that are missing or damaged.
struct LostSegments {
    identity: Option<IdentityId>,
    listings: Vec<LibraryRow>,
    /// Segments of recorded matches and tables.
    segments: Option<Arc<OpenSegments>>,
}

impl Reading {
    /// Rebuilds the segments that the snapshot could not open.
    pub fn rebuild_lost(&self, deadline: Deadline) -> Result<()> {
        if self.snapshot.read().incomplete {
            self.rebuild_broken(deadline)
        } else {
            Ok(())
        }
    }

    /// The number of confirmed matches in the current snapshot.
    pub fn count_matches(&self, deadline: Deadline) -> Result<u64> {
        self.rebuild_lost(deadline)?;
        let counted = |snapshot: &Snapshot| -> std::result::Result<u64, SegmentsLost> {
            snapshot.views.iter().map(|view| view.recorded_count()).sum()
        };
        let count = counted(&self.snapshot.read());
        if let Ok(count) = count {
            return Ok(count);
        }
        self.rebuild_broken(deadline)?;
        Ok(counted(&self.snapshot.read()).unwrap_or(0))
    }

    /// Rebuilds missing and damaged segments.
    pub fn rebuild_broken(&self, deadline: Deadline) -> Result<()> {
        // Another thread may have rebuilt them meanwhile.
        let _rebuilding = lock(&self.rebuilding);
        self.listings.prune(&self.snapshot.read().rows);
        let LostSegments {
            identity,
            listings,
            segments,
        } = self.lost();
        let Some(identity) = identity.filter(|_| !listings.is_empty() || segments.is_some()) else {
            if self.listings.is_retry_due() {
                self.listings.record_attempt();
            }
            return Ok(());
        };
        if let Some(open) = segments {
            self.records.rebuild(&open, deadline)?;
        }
        for row in &listings {
            self.listings.rebuild_segment(identity, row, deadline)?;
        }
        self.listings.record_attempt();
        self.reload(deadline)
    }

    /// Returns the snapshot's missing and damaged segments, and the segments in memory whose files may be tried again.
    fn lost(&self) -> LostSegments {
        let snapshot = self.snapshot.read();
        let is_retry_due = self.listings.is_retry_due();
        let must_rebuild = |segment: Option<&Arc<ListingSegment>>, is_needed: bool| {
            segment.map_or(is_needed, |segment| {
                segment.is_broken() || is_retry_due && self.listings.stands_in(segment)
            })
        };
        let views = snapshot.rows.iter().zip(&snapshot.views);
        let is_lost = |(row, view): &(&LibraryRow, &Arc<LibraryView>)| {
            must_rebuild(view.segment.as_ref(), row.generation.is_fetched())
        };
        LostSegments {
            identity: snapshot.identity,
            listings: views.filter(is_lost).map(|(row, _)| row.clone()).collect(),
            segments: (snapshot.open.are_lost() || self.records.is_retry_due()).then(|| Arc::clone(&snapshot.open)),
        }
    }
}
