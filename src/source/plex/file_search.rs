//! Searches for a path by file name and by title. The search by file name is undocumented, and some servers reject it.

use super::super::contract::{Bounds, WantedPath};
use super::plex_http::PlexHttp;
use super::server_request::{Rows, RowsRequest, item_types_with_files};
use crate::error::{Result, Status};
use crate::matching::path_search::file_name;
use crate::model::{Item, Library};

/// Maximum number of rows per search, which few searches exceed.
const MAX_FOUND: u32 = 100;

impl PlexHttp {
    /// Searches by each spelling of the file name and then by title, for each item type. Passes each search's items to `accept` until
    /// `accept` returns `true`. Returns whether `accept` returned `true`.
    pub(super) fn search_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        for kind in item_types_with_files(library.kind) {
            for rows in file_names(wanted)
                .map(Rows::FileName)
                .chain(wanted.title.map(Rows::Title))
            {
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

/// Returns the distinct names that the file may have on the server.
fn file_names<'w>(wanted: &'w WantedPath<'_>) -> impl Iterator<Item = &'w str> {
    let mut names = vec![wanted.name];
    for name in wanted.candidate_paths.iter().filter_map(|path| file_name(path)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter()
}
