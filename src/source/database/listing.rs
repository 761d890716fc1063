//! A library's listing: in slices, ahead of the pages that are asked for.

use std::collections::VecDeque;

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library};

use super::super::bounds::Bounds;
use super::super::contract::{PageEnd, PageRequest, Source};
use super::super::plex::leaf_types;
use super::ahead::Ahead;
use super::items::Items;
use super::reader::PlexDatabase;
use super::turns::check;

/// How many items are read ahead: so many that opening the database is a small part of it, and few enough to need little
/// memory.
pub const AHEAD: usize = 8_192;

/// The number of a library that is asked for.
pub fn section(library: &Library) -> Result<i64> {
    library.section.parse().map_err(|_| no_library(library))
}

pub fn no_library(library: &Library) -> Error {
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
        let mut used = std::mem::take(&mut *self.used());
        let (total, read, is_all) = self.place.slice(bounds, &mut |slice| {
            let told = |error: rusqlite::Error| self.place.unasked(slice, &error);
            let exists: bool = slice
                .connection
                .query_row(
                    "SELECT count(*) FROM library_sections WHERE id = ?1",
                    [section],
                    |row| row.get(0),
                )
                .map_err(told)?;
            if !exists {
                return Err(no_library(library));
            }
            let mut reader = Items::new(&slice.connection, section, &[*kind]).reusing(&mut used);
            let total = match request.position {
                0 => Some(reader.count(None).map_err(told)?),
                _ => None,
            };
            let mut read = Vec::with_capacity(most);
            let mut enough = |read| read >= request.size as usize && slice.is_over();
            let is_all = reader
                .after(position(request.position), most, &mut read, &mut enough)
                .map_err(told)?;
            Ok((total, read, is_all))
        })?;
        self.take_back(used);
        let mut ahead = Ahead {
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

fn position(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The types of leaves of a library, of all its partitions.
pub fn types(library: &Library) -> &'static [ItemType] {
    leaf_types(library.kind)
}
