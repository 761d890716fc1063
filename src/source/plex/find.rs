//! Searches for a path: by the file's name, which is undocumented and refused by some servers, and by title.

use super::super::contract::{Bounds, WantedPath};
use super::client::PlexHttp;
use super::rows::{Rows, RowsRequest, leaf_types};
use crate::error::{Result, Status};
use crate::model::{Item, Library};

/// Maximum number of rows examined: few names have more.
const ROWS: u32 = 100;

impl PlexHttp {
    pub(super) fn search_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        for kind in leaf_types(library.kind) {
            let by_title = wanted.title.map(Rows::Title);
            for rows in [Some(Rows::FileName(wanted.name)), by_title].into_iter().flatten() {
                let request = RowsRequest {
                    section: &library.section,
                    kind: *kind,
                    rows,
                    start: 0,
                    size: ROWS,
                };
                let mut items = Vec::new();
                let reply = self.rows(&request, bounds, &mut items);
                // Rows received before an interruption are valid too.
                if is_it(items)? {
                    return Ok(true);
                }
                match reply {
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
