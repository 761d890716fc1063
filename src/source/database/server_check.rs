//! The check whether a database belongs to a server.

use std::ops::RangeInclusive;

use super::super::contract::{Bounds, PageRequest, Source};
use super::super::plex::item_types_with_files;
use super::PlexDatabase;
use super::item_reader::ItemReader;
use super::listing_reader::section_id;
use crate::error::{Result, Status};
use crate::model::{Item, Library};

impl PlexDatabase {
    /// Returns whether the database and the server share a library, or both have no libraries. This check is for a
    /// database without items: there is no item to compare.
    fn have_common_library(&self, server: &dyn Source, bounds: Bounds<'_>) -> Result<bool> {
        let (in_database, on_server) = (self.libraries(bounds)?, server.libraries(bounds)?);
        let is_on_server = |library: &Library| on_server.iter().any(|other| other.uuid == library.uuid);
        Ok(in_database.iter().any(is_on_server) || (in_database.is_empty() && on_server.is_empty()))
    }

    /// Returns whether the database belongs to the server.
    ///
    /// Compares the machine identifiers if the database's identifier is known. Then compares one library's last item
    /// and item count, with one request. Equal machine identifiers are not enough: when a server's data is moved, an
    /// old database with the same identifier may remain.
    pub(super) fn belongs_to(&self, server: &dyn Source, bounds: Bounds<'_>) -> Result<bool> {
        if let Some(identifier) = self.machine_identifier()
            && server.server(bounds)?.machine_identifier != identifier
        {
            return Ok(false);
        }
        let Some((library, last_item, counts)) = self.sample_library(bounds)? else {
            return self.have_common_library(server, bounds);
        };
        let request = PageRequest {
            library: &library,
            partition: 0,
            // The last item's position depends on how many of the rows before it are in the trash.
            position: counts.start().saturating_sub(1),
            size: u32::try_from(counts.end() - counts.start()).map_or(1_000, |trashed| trashed.min(999) + 1),
        };
        let mut items = Vec::new();
        let page = match server.page(&request, bounds, &mut items) {
            // The server does not have this library, or the user is not allowed to see it.
            Err(error) if matches!(error.status, Status::NotOnServer | Status::Forbidden) => return Ok(false),
            page => page?,
        };
        // An equal item has the same keys, and has a file in common or no files on both sides.
        let is_last_item = |item: &Item| {
            item.rating_key == last_item.rating_key
                && item.guid == last_item.guid
                && (item.parts.is_empty() == last_item.parts.is_empty())
                && (last_item.parts.is_empty() || item.parts.iter().any(|part| last_item.parts.contains(part)))
        };
        Ok(items.iter().any(is_last_item) && page.total.is_none_or(|total| counts.contains(&total)))
    }

    /// Returns a library that has items, its last item, and the range of item counts that the server may report,
    /// because some servers count the trash. Returns `None` if no library has items.
    fn sample_library(&self, bounds: Bounds<'_>) -> Result<Option<(Library, Item, RangeInclusive<u64>)>> {
        for library in self.libraries(bounds)? {
            let Some(kind) = item_types_with_files(library.kind).first() else {
                continue;
            };
            let section = section_id(&library)?;
            let found = self.file.run_in_transaction(&bounds, &mut |transaction| {
                let mut reader = ItemReader::new(&transaction.connection, section, std::slice::from_ref(kind));
                transaction.query(|| Ok((reader.last_item()?, reader.count_items(i64::MAX)?)))
            })?;
            if let (Some(last_item), counts) = found {
                return Ok(Some((library, last_item, counts.without_trash..=counts.with_trash)));
            }
        }
        Ok(None)
    }
}
