//! Lists a library: one leaf type after the other, page by page, ordered by id.

use super::super::contract::{Bounds, PageEnd, PageRequest};
use super::client::PlexHttp;
use super::rows::{Rows, RowsRequest};
use crate::error::Result;
use crate::model::{Item, ItemType, LibraryKind};

/// Returns the leaf types of a library, which together have all its files: its partitions.
pub(in crate::source) fn leaf_types(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        LibraryKind::Other => &[ItemType::Other],
    }
}

impl PlexHttp {
    /// Returns a page of a leaf type. Positions are row numbers.
    pub(super) fn read_page(
        &self,
        request: &PageRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let position = request.position;
        let Some(kind) = leaf_types(request.library.kind).get(request.partition) else {
            return Ok(PageEnd::default());
        };
        let end = self.collect_rows(
            &RowsRequest {
                section: &request.library.section,
                kind: *kind,
                rows: Rows::All,
                start: position,
                size: request.size,
            },
            bounds,
            items,
        )?;
        let behind = position + end.rows;
        let is_last = match end.total {
            Some(total) => behind >= total,
            // A reply without offset and total is no page: a server that ignores paging sends everything.
            None if position == 0 && end.offset.is_none() => true,
            // Servers may give fewer rows than asked: only a page without any is behind the last.
            None => end.rows == 0,
        };
        Ok(PageEnd {
            rows: end.rows,
            total: end.total,
            next: (!is_last).then_some(behind),
            moved: end.offset.is_some_and(|offset| offset != position),
        })
    }
}
