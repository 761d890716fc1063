//! The Plex HTTP API as a [`Source`].
//!
//! One request after the other, JSON asked for, packed if it comes from another machine, only the fields that are stored.
//! `client` is what there is of a server; a question goes down through `ask`, which tries again and leaves out what is refused,
//! and `exchange`, which sends one request. `question` knows what to ask; `url` where the server is, `transport` and `tls` how
//! to reach it, `retry` when to try again, `body` how to read an answer, `wire`, `json`, `sections`, `lenient` and `sanitize`
//! what it means, `errors` what went wrong. `narrow` finds out which arguments a server does not
//! take, and `refusal` keeps them. `rows` asks for rows, for `listing`, `changes` and `find`; `confirm` for items by their keys.
//! `edits` knows how an edit is asked for, `events` what the server tells of its own accord, and `stream` listens to it.
//!
//! No thread is ever started: names are resolved, connections made and answers read in the thread that asks.

mod ask;
mod body;
mod changes;
mod client;
mod confirm;
mod edits;
mod errors;
mod events;
mod exchange;
mod find;
#[doc(hidden)]
pub mod fuzz;
mod lenient;
mod listing;
mod narrow;
mod owed;
mod question;
mod refusal;
mod refused;
mod retry;
mod rows;
mod sanitize;
mod sections;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod url;
mod wire;

use std::sync::Arc;

use ureq::http::Method;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::{Release, hold};

use super::contract::{
    Abilities, Bounds, Delta, EditRequest, Event, Kind, KnownItems, PageEnd, PageRequest, Placed, RequestKind, Resume,
    Source, SourceChanges, Tokens, WantedPath,
};

use self::body::BodyProgress;
pub use self::client::{CheckedServer, PlexHttp, check_token};
pub use self::events::{EventBody, parse as parse_event};
use self::exchange::Followed;
pub(in crate::source) use self::lenient::push_new;
pub(in crate::source) use self::listing::leaf_types;
use self::question::{KEY_PREFIX, ServerRequest, What};
pub use self::refused::Refused;
pub use self::retry::Pause;
pub use self::rows::{Rows, RowsEnd, RowsRequest};
pub(in crate::source) use self::sections::tell_apart;
use self::stream::EVENTS;
use self::wire::Lists;

/// The longest silence that nothing is said about; less where less is waited for.
const LONG_SILENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// What is known of every Plex Media Server.
pub static KIND: Kind = Kind {
    name: "Plex",
    asked: "the server",
    empty: "check the server's URL and whether the token's user may see any",
    key_prefix: KEY_PREFIX,
    read_events: events::read,
    beside: None,
};

/// The longest address of an edit that is sent. Servers were seen to refuse 30,000 bytes; one that takes more may be asked.
const LONGEST_EDIT: usize = 64 << 10;

impl Source for PlexHttp {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: Resume::ByRow,
            // Changes of an item's files alone cause no event.
            changes: Delta::Mostly,
            find: true,
            titles: true,
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
        sections::tell_apart(&mut libraries);
        Ok(libraries)
    }

    fn partitions(&self, library: &Library) -> usize {
        listing::leaf_types(library.kind).len()
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.listed(request, bounds, items)
    }

    fn changes(&self, library: &Library, known: &dyn KnownItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.changed(library, known, bounds)
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

    fn find_title(
        &self,
        library: &Library,
        title: &str,
        bounds: Bounds<'_>,
        sink: &mut dyn FnMut(Vec<Item>) -> Result<()>,
    ) -> Result<bool> {
        self.search_title(library, title, bounds, sink)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Placed>> {
        self.confirmed(rating_keys, bounds)
    }

    fn edit(&self, request: &EditRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        if request.ids.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "an edit without items: the server would take it for all of the library's, so it was not sent",
            ));
        }
        let address = edits::address(request);
        if address.len() > LONGEST_EDIT {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "the values of this edit take {} bytes in the address of its request, more than any server takes: \
                     shorten them",
                    address.len()
                ),
            ));
        }
        let what = What::Edit(request.ids.len(), request.section);
        // The same values once more change nothing: a request that may have been done may be sent again.
        retry::run(&*self.pause, self.retry_for, &bounds, &what, || {
            self.follow(&address, &what, true, |target| {
                let asked = self.asked(&what, true, target);
                let put = self
                    .request(Method::PUT, target, true, &bounds)
                    .header("Accept", "application/json");
                Ok(match self.deliver(put, &asked, RequestKind::Edit, &bounds)? {
                    Followed::Done(answer) => {
                        // Nothing is said there, but the connection is used again once that was read.
                        body::beginning(answer.body, None, &BodyProgress::new(&answer.measured, &bounds));
                        Followed::Done(())
                    }
                    Followed::Moved(next) => Followed::Moved(next),
                })
            })
        })
        .map_err(|error| self.scrubbed(error))
    }

    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.follow(EVENTS, &What::Events, true, |target| self.listen(target, &bounds, sink))
            .map_err(|failure| self.scrubbed(failure.error))
    }

    fn interrupt_events(&self) {
        self.transport.interrupt_stream();
    }

    fn recall(&self, words: &str) {
        self.refusals.assume(Refused::from_words(words));
    }

    fn learned(&self) -> String {
        self.refusals.take_found().words()
    }

    fn is_limited(&self) -> bool {
        !self.refusals.all().is_empty()
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
        self.transport.forget();
        self.owed.forget();
    }

    fn overdue(&self) -> Option<String> {
        let patience = (self.transport.read_timeout() / 4).min(LONG_SILENCE);
        let lasts = self.owed.lasts().filter(|lasts| *lasts >= patience)?;
        Some(format!(
            "{} has not answered for {:.1} s, and is waited for: is it a Plex server, and is it busy?",
            self.base.origin,
            lasts.as_secs_f64()
        ))
    }

    fn interrupt(&self) {
        self.transport.interrupt();
    }
}
