//! A library's listing: in slices, ahead of the requested pages.

use std::collections::VecDeque;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library};

use super::super::contract::{Bounds, PageEnd, PageRequest};
use super::super::plex::leaf_types;
use super::ahead::ReadAhead;
use super::items::ItemReader;
use super::reader::PlexDatabase;
use super::turns::check;

/// How many items are read ahead: so many that opening the database is a small part of it, and few enough to need little
/// memory.
const AHEAD: usize = 8_192;

/// The number of the requested library.
pub fn section(library: &Library) -> Result<i64> {
    library.section.parse().map_err(|_| no_library(library))
}

fn no_library(library: &Library) -> Error {
    Error::new(
        Status::NotOnServer,
        format!("section {} is not in Plex's database any more", library.section),
    )
}

impl PlexDatabase {
    /// A page. Positions are numbers of items, and stay where they are.
    pub(super) fn listed(
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
            && let Some(page) = self.ahead().page(&of, request, items)
        {
            return Ok(page);
        }
        let section = section(library)?;
        if bounds.deadline.is_none() {
            self.counts_rows();
        }
        // A short page is the first answer of a call in a hurry: no more is read than it asks for.
        let most = if bounds.deadline.is_some() {
            request.size as usize
        } else {
            AHEAD
        };
        let read = self.place.slice(bounds, &mut |slice| {
            slice.ask(|| {
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
        *self.ahead() = ahead;
        Ok(PageEnd { total, ..page })
    }
}
