//! The Plex HTTP API as a [`Source`].
//!
//! Requests are sent one after the other and ask for JSON, compressed if it comes from another machine, and only for
//! stored fields. `client` is the state of a server; `ask` sends a request with retries and without what is refused,
//! `round_trip` sends it once. `question` builds requests; `url` parses addresses, `transport` and `tls` connect,
//! `retry` pauses, `body` reads replies, `wire`, `sections`, `lenient` and `sanitize` parse them, `errors` explains
//! failures. `rows` describes rows for pages, `changes` and `find`; `confirm` fetches items by key. `edits` builds
//! edits, `events` parses events, `stream` receives them.
//!
//! No thread is ever started: names are resolved, connections made and replies read in the calling thread.

mod ask;
mod body;
mod changes;
mod client;
mod confirm;
mod edits;
mod errors;
mod events;
mod find;
mod lenient;
mod question;
mod retry;
mod round_trip;
mod rows;
mod sanitize;
mod sections;
mod stream;
mod tcp;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod url;
mod wire;

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::{Release, hold};

use super::contract::{
    Abilities, Bounds, Delta, EditRequest, Event, Kind, KnownItems, LocatedItem, PageEnd, PageRequest, Resume, Source,
    SourceChanges, Tokens, WantedPath,
};

use self::body::BodyProgress;
pub use self::client::{CheckedServer, PlexHttp, check_token};
pub use self::events::{EventBody, parse as parse_event};
pub(in crate::source) use self::lenient::push_unique;
use self::question::{KEY_PREFIX, ServerRequest};
pub use self::retry::Pause;
pub(in crate::source) use self::rows::leaf_types;
pub use self::rows::{Rows, RowsEnd, RowsRequest};
pub(in crate::source) use self::sections::make_uuids_unique;
use self::wire::Lists;

/// The kind of this source.
pub static KIND: Kind = Kind {
    name: "Plex",
    noun: "the server",
    empty_hint: "check the server's URL and whether the token's user may see any",
    key_prefix: KEY_PREFIX,
    is_rating_key: wire::is_rating_key,
    read_events: events::read,
    companion: None,
};

/// Maximum length of an edit's address. Some servers refuse 30,000 bytes; others accept more.
const LONGEST_EDIT: usize = 64 << 10;

impl Source for PlexHttp {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: Resume::ByRow,
            // Changes of an item's files alone are not found.
            changes: Delta::Mostly,
            find: true,
            folders: false,
            items: true,
            events: true,
            edits: true,
            local: false,
        }
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        let question = ServerRequest::identity();
        let head = self.ask(&question, &bounds, &mut Lists::None)?;
        Ok(Server {
            machine_identifier: head.machine_identifier.unwrap_or_default(),
            version: head.version.unwrap_or_default(),
        })
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let question = ServerRequest::libraries();
        let mut lists = Lists::Libraries(Vec::new());
        self.ask(&question, &bounds, &mut lists)?;
        let mut libraries = match lists {
            Lists::Libraries(libraries) => libraries,
            Lists::None | Lists::Rows(_) => Vec::new(),
        };
        sections::make_uuids_unique(&mut libraries);
        Ok(libraries)
    }

    fn partitions(&self, library: &Library) -> usize {
        leaf_types(library.kind).len()
    }

    /// Lists one leaf type after the other, by id. Positions are row numbers.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let position = request.position;
        let Some(kind) = leaf_types(request.library.kind).get(request.partition) else {
            return Ok(PageEnd::default());
        };
        let end = self.rows(
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

    fn changes(&self, library: &Library, known: &dyn KnownItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.read_changes(library, known, bounds)
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.search_path(library, wanted, bounds, is_it)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.fetch_items(rating_keys, bounds)
    }

    fn edit(&self, request: &EditRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        if request.ids.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "the edit names no items: the server would edit the whole library, so it was not sent",
            ));
        }
        let address = edits::address(request);
        if address.len() > LONGEST_EDIT {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "the values of this edit take {} bytes in the URL, more than any server accepts: shorten them",
                    address.len()
                ),
            ));
        }
        let question = ServerRequest::edit(address, request);
        // Edits are idempotent, so a request that may have been applied is retried.
        retry::run(&*self.pause, self.retry_for, &bounds, &question.label, || {
            let reply = self.round_trip(&question, false, &bounds)?;
            // The body is irrelevant, but must be read before the connection is reused.
            body::read_beginning(reply.body, None, &BodyProgress::new(&reply.measured, &bounds));
            Ok(())
        })
        .map_err(|error| self.scrubbed(error))
    }

    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.listen(&bounds, sink)
            .map_err(|failure| self.scrubbed(failure.error))
    }

    fn interrupt_events(&self) {
        self.transport.interrupt_stream();
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        Some(Arc::clone(&self.tokens))
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![
            Box::new(hold(&self, |plex| &plex.transport.agent)),
            Box::new(hold(&self, |plex| &plex.transport.stream)),
            Box::new(hold(&self, |plex| &plex.buffers.0)),
        ]
    }

    fn after_fork(&self) {
        self.transport.drop_connections();
    }

    fn interrupt(&self) {
        self.transport.interrupt();
    }
}
