//! Searches for a path by file name and by title. The search by file name is undocumented, and some servers reject it.

use super::super::contract::{Bounds, WantedPath};
use super::plex_http::PlexHttp;
use super::rows::{Rows, RowsRequest, item_types_with_files};
use crate::error::{Result, Status};
use crate::model::{Item, Library};

/// Maximum number of rows per search, which few searches exceed.
const MAX_FOUND: u32 = 100;

impl PlexHttp {
    /// Searches by file name and then by title, for each item type. Passes each search's items to `accept` until
    /// `accept` returns `true`. Returns whether `accept` returned `true`.
    pub(super) fn search_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        for kind in item_types_with_files(library.kind) {
            let by_title = wanted.title.map(Rows::Title);
            for rows in [Some(Rows::FileName(wanted.name)), by_title].into_iter().flatten() {
                let request = RowsRequest {
                    section: &library.section,
                    kind: *kind,
                    rows,
                    start: 0,
                    size: MAX_FOUND,
                };
                let mut items = Vec::new();
                let result = self.fetch_rows(&request, bounds, &mut items);
                // The items are valid even if the request failed midway.
                if accept(items)? {
                    return Ok(true);
                }
                match result {
                    Err(error) if matches!(rows, Rows::FileName(_)) && error.status == Status::ServerError => {
                        log::debug!("the server rejects searches by file name: {error}");
                    }
                    other => {
                        other?;
                    }
                }
            }
        }
        Ok(false)
    }
}
