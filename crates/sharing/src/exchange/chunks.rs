//! Reads a listing that another host published, as a [`Source`] whose pages are the listing's chunks.

use super::core::{Exchange, LogView, Unavailable};
use crate::bodies::{ListingBody, unpack};
use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::source::{Abilities, Bounds, LocatedItem, PageEnd, PageRequest, Source, SourceKind};

/// A source that reads one listing from the log.
pub struct LogSource<'x> {
    pub exchange: &'x Exchange,
    pub view: LogView,
    pub head: ListingBody,
}

impl Source for LogSource<'_> {
    /// Returns the kind of the index's own source, from which the items originally come.
    fn kind(&self) -> &'static SourceKind {
        self.exchange.reading.kind()
    }

    /// Returns this source's abilities: it can only read pages. Positions are valid only within this listing.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Fails, since the log does not describe the server.
    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Err(unsupported())
    }

    /// Fails, since a listing contains only one library.
    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<Library>> {
        Err(unsupported())
    }

    /// Reads one chunk, and appends its items to `items`; the request's position is the chunk's number. Returns the
    /// number of items, and the next chunk's number. Fails if the log does not answer, or has a newer listing.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let head = &self.head;
        if head.chunks == 0 {
            return Ok(PageEnd {
                total: Some(0),
                ..PageEnd::default()
            });
        }
        let number = u32::try_from(request.position).unwrap_or(u32::MAX);
        let rows = self.read_chunk(request.library, number, bounds)?.ok_or_else(|| {
            Error::new(
                Status::BadAnswer,
                format!(
                    "part of the shared listing of '{}' was replaced or is damaged; retry",
                    request.library.title
                ),
            )
        })?;
        let page_end = PageEnd {
            rows: rows.len() as u64,
            total: Some(head.listed),
            next: (number + 1 < head.chunks).then_some(request.position + 1),
            has_shifted: false,
        };
        items.extend(rows);
        Ok(page_end)
    }

    /// Reads the shows from the chunk after the listing's last one. Older versions of plexindex do not write this
    /// chunk.
    fn shows(&self, library: &Library, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        self.read_chunk(library, self.head.chunks, bounds)
    }

    /// Fails, since chunks cannot be searched for single items.
    fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        Err(unsupported())
    }
}

impl LogSource<'_> {
    /// Reads a chunk's items; `None` if the log has a newer listing or no such chunk, or if the chunk is damaged.
    fn read_chunk(&self, library: &Library, number: u32, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        let chunk = self.exchange.send_request_by(bounds.deadline, |log, limit| {
            log.chunk(self.view.number, &library.uuid, self.head.listing, number, limit)
        });
        let chunk = chunk.map_err(|Unavailable| Error::new(Status::Timeout, "the shared log did not answer; retry"))?;
        Ok(chunk.and_then(|chunk| unpack(&chunk)))
    }
}

/// Returns the error for all other methods.
fn unsupported() -> Error {
    Error::new(Status::Unsupported, "a shared listing can only be read in pages")
}
