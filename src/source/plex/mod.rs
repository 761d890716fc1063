//! The Plex HTTP API as a [`Source`].
//!
//! The client sends requests one by one, and requests JSON with only the fields that plexindex stores. `plex_http`
//! contains the state of a server. `server_request` builds requests, and `send` sends them, with retries, and receives
//! events. `transport` and `tls` connect. `reply_body` reads replies, `replies` parses them, `event_parser` parses
//! events, and `errors` explains failures. `readers` requests rows and items.
//!
//! The client starts no thread: the calling thread resolves names, connects and reads replies.

mod errors;
mod event_parser;
mod plex_http;
mod readers;
mod replies;
pub mod reply_body;
mod send;
mod server_request;
#[cfg(feature = "tls")]
mod tls;
mod transport;

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::fork::{ForkLock, lock_for_fork};

use super::contract::{
    Abilities, Bounds, Event, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges, SourceKind,
    Tokens, WantedPath,
};

pub use self::plex_http::{CheckedServer, PlexHttp, check_token};
pub use self::replies::{Reply, ReplyKind};
pub(in crate::source) use self::replies::{make_uuids_unique, push_file, push_unique};
pub(in crate::source) use self::server_request::item_types_with_files;
use self::server_request::{KEY_PREFIX, MAX_ROWS, ServerRequest};
pub use self::server_request::{Rows, RowsRequest};
#[cfg(feature = "tls")]
pub use self::tls::{NamedCertificates, Verifier};

/// The constants of this kind of source.
pub static KIND: SourceKind = SourceKind {
    name: "Plex",
    noun: "the server",
    empty_hint: "check the server's URL, and whether the token's user is allowed to see any library",
    key_prefix: KEY_PREFIX,
    is_rating_key: replies::is_rating_key,
    parse_notification: event_parser::parse_notification,
    enabling_option_advice: None,
};

impl Source for PlexHttp {
    /// Returns the constants of this kind of source, such as its name.
    fn kind(&self) -> &'static SourceKind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            events: true,
            scans: true,
            local: false,
        }
    }

    /// Requests the server's machine identifier and version (`/identity`), without the token.
    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        let mut reply = Reply::new(ReplyKind::Metadata);
        self.send(&ServerRequest::identity(), &bounds, &mut reply)?;
        Ok(Server {
            machine_identifier: reply.machine_identifier.unwrap_or_default(),
            version: reply.version.unwrap_or_default(),
        })
    }

    /// Sends the probe, a request for `/library/sections`.
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let mut reply = Reply::new(ReplyKind::Libraries);
        self.send(&ServerRequest::libraries(), &bounds, &mut reply)?;
        if !reply.lists_libraries {
            return Err(Error::new(
                Status::BadAnswer,
                format!(
                    "cannot list the libraries ({}): the reply contains no libraries, and does not say that there are \
                     none; retry",
                    self.base_url.origin
                ),
            ));
        }
        replies::make_uuids_unique(&mut reply.libraries);
        Ok(reply.libraries)
    }

    /// Returns the number of item types that have files in this kind of library. Each partition contains one type.
    fn partitions(&self, library: &Library) -> usize {
        item_types_with_files(library.kind).len()
    }

    /// Requests a page of one item type, sorted by id. Positions are row numbers.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.fetch_partition(request, Rows::All, bounds, items)
    }

    /// Requests a page of one item type's rows whose files are missing. The trash is among these rows.
    fn trash(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.fetch_partition(request, Rows::Trash, bounds, items)
    }

    /// Requests all pages of shows, which are not a partition because they have no files.
    fn shows(&self, library: &Library, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        let mut shows = Vec::new();
        let mut position = 0;
        loop {
            let request = PageRequest {
                library,
                partition: 0,
                position,
                size: MAX_ROWS,
            };
            let page = self.fetch_page(&request, ItemType::Show, Rows::All, bounds, &mut shows)?;
            match page.next {
                None => break,
                Some(next) if next > position && !page.has_shifted => position = next,
                Some(_) => return Ok(None), // rows moved
            }
        }
        // Types without files have no name of their own here. A server that ignores the type sends episodes.
        shows.retain(|item| item.kind == ItemType::Other && !item.trashed);
        Ok(Some(shows))
    }

    /// Finds new and updated items among the latest updates and the highest ids, and removed items by comparing item
    /// counts. Misses an item if only its files changed.
    fn changes(&self, library: &Library, index: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.fetch_changes(library, index, bounds)
    }

    /// Searches by file name and then by title, because Plex's HTTP API cannot search by path.
    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.search_path(library, wanted, bounds, accept)
    }

    /// Requests the items by their rating keys, up to a hundred in each request.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.fetch_items(rating_keys, bounds)
    }

    /// Sends one `GET` request, which starts the scan.
    fn scan(&self, section: &str, folder: &[u8], bounds: Bounds<'_>) -> Result<()> {
        self.command(&ServerRequest::scan(section, folder), bounds)
    }

    fn refresh_item(&self, rating_key: &str, analyzes: bool, bounds: Bounds<'_>) -> Result<()> {
        self.command(&ServerRequest::refresh_item(rating_key, analyzes), bounds)
    }

    /// Receives the event stream until it ends, `sink` returns `false`, or the host aborts the call.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.receive_event_stream(&bounds, sink)
            .map_err(|failure| self.scrub(failure.error))
    }

    fn interrupt_events(&self) {
        self.transport.interrupt_stream();
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        Some(Arc::clone(&self.tokens))
    }

    /// Takes the locks on the connections and buffers, because a lock that another thread held would stay locked in the
    /// child.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![
            Box::new(lock_for_fork(&self, |plex| &plex.transport.agent)),
            Box::new(lock_for_fork(&self, |plex| &plex.transport.stream)),
            Box::new(lock_for_fork(&self, |plex| &plex.buffers.0)),
        ]
    }

    /// Drops the connections, which the parent still uses.
    fn after_fork(&self) {
        self.transport.drop_connections();
    }

    /// Closes the connections, so that running requests end at once.
    fn interrupt(&self) {
        self.transport.interrupt();
    }
}

impl PlexHttp {
    /// Requests a page of these rows with the type of the request's partition.
    fn fetch_partition(
        &self,
        request: &PageRequest<'_>,
        rows: Rows<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        match item_types_with_files(request.library.kind).get(request.partition) {
            Some(kind) => self.fetch_page(request, *kind, rows, bounds, items),
            None => Ok(PageEnd::default()),
        }
    }

    /// Requests a page of these rows with this type. Ignores the request's partition.
    fn fetch_page(
        &self,
        request: &PageRequest<'_>,
        kind: ItemType,
        rows: Rows<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let (position, earlier_items) = (request.position, items.len());
        let metadata = loop {
            let size = self.rows_in_time(request.size, &bounds);
            let rows_request = RowsRequest {
                section: &request.library.section,
                kind,
                rows,
                start: position,
                size,
            };
            match self.fetch_rows(&rows_request, bounds, items) {
                // After a timeout, a smaller page may arrive in time.
                Err(error)
                    if error.status == Status::Timeout
                        && items.len() == earlier_items
                        && !bounds.deadline.has_passed()
                        && self.rows_in_time(size, &bounds) < size =>
                {
                    log::info!("{error}; requesting a smaller page");
                }
                result => break result?,
            }
        };
        let next_position = position + metadata.rows;
        let is_last = match metadata.total {
            Some(total) if next_position >= total => true,
            // A reply without an offset and a total means that the server ignored paging and sent all rows.
            None if position == 0 && metadata.offset.is_none() => true,
            // Servers may return fewer rows than requested, or count rows that they never return, so only an empty page
            // marks the end.
            _ => metadata.rows == 0,
        };
        Ok(PageEnd {
            rows: metadata.rows,
            total: metadata.total,
            next: (!is_last).then_some(next_position),
            has_shifted: metadata.offset.is_some_and(|offset| offset != position),
        })
    }
}
