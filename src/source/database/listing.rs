//! Lists a library in slices, reading ahead of the requested pages.

use std::collections::VecDeque;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library};

use super::super::contract::{Bounds, PageEnd, PageRequest};
use super::super::plex::leaf_types;
use super::ahead::ReadAhead;
use super::items::ItemReader;
use super::reader::PlexDatabase;
use super::slice_lock::check;

/// Number of items to read ahead: enough that opening the database is a small part of the time, few enough to need
/// little memory.
const ITEMS_AHEAD: usize = 8_192;

/// Returns the section id of a library as a number.
pub fn section(library: &Library) -> Result<i64> {
    library.section.parse().map_err(|_| no_library(library))
}

fn no_library(library: &Library) -> Error {
    Error::new(
        Status::NotOnServer,
        format!("section {} is no longer in Plex's database", library.section),
    )
}

impl PlexDatabase {
    /// Returns a page. Positions are item ids, which are stable.
    pub(super) fn read_page(
        &self,
        request: &PageRequest<'_>,
        bounds: &Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let library = request.library;
        let types = leaf_types(library.kind);
        let Some(kind) = types.get(request.partition) else {
            return Ok(PageEnd::default());
        };
        check(bounds)?;
        let of = (library.section.clone(), request.partition, library.change.token.clone());
        if request.position > 0
            && let Some(page) = self.lock_read_ahead().page(&of, request, items)
        {
            return Ok(page);
        }
        let section = section(library)?;
        if !bounds.deadline.is_set() {
            self.enable_row_counts();
        }
        // A call with a deadline wants a quick first answer: read no more than it requests.
        let most = if bounds.deadline.is_set() {
            request.size as usize
        } else {
            ITEMS_AHEAD
        };
        let read = self.place.slice(bounds, &mut |slice| {
            slice.query(|| {
                let exists = "SELECT count(*) FROM library_sections WHERE id = ?1";
                let connection = &slice.connection;
                if !connection.query_row(exists, [section], |row| row.get::<_, bool>(0))? {
                    return Ok(None);
                }
                let mut reader = ItemReader::new(connection, section, std::slice::from_ref(kind));
                let total = (request.position == 0).then(|| reader.counts(i64::MAX)).transpose()?;
                let mut read = Vec::with_capacity(most);
                let mut enough = |read| read >= request.size as usize && slice.is_over();
                let after = i64::try_from(request.position).unwrap_or(i64::MAX);
                let is_all = reader.after(after, most, &mut read, &mut enough)?;
                Ok(Some((total.map(|(_, count)| count), read, is_all)))
            })
        })?;
        let (total, read, is_all) = read.ok_or_else(|| no_library(library))?;
        let mut ahead = ReadAhead {
            of: Some(of.clone()),
            after: request.position,
            items: VecDeque::from(read),
            is_all,
        };
        let page = ahead.page(&of, request, items).unwrap_or_default();
        *self.lock_read_ahead() = ahead;
        Ok(PageEnd { total, ..page })
    }
}
