//! The Plex HTTP API as a [`Source`].
//!
//! One request after the other, JSON asked for and gzip accepted, only the fields that are stored. [`client`] is what
//! there is of a server; a question goes down through [`ask`], which tries again and leaves out what is refused, and
//! [`exchange`], which sends one request. [`question`] knows what to ask; [`url`] where the server is, [`transport`] and
//! [`tls`] how to reach it, [`retry`] when to try again, [`body`] how to read an answer, [`wire`], [`sections`],
//! [`lenient`] and [`sanitize`] what it means, [`errors`] what went wrong. [`narrow`] finds out which arguments a server
//! does not take, and [`refusal`] keeps them. [`edits`] knows how an edit is asked for, [`events`] what the server tells
//! of its own accord, and [`stream`] listens to it.
//!
//! No thread is ever started: names are resolved, connections made and answers read in the thread that asks.

mod ask;
mod body;
mod client;
mod edits;
mod errors;
mod events;
mod exchange;
#[doc(hidden)]
pub mod fuzz;
mod lenient;
mod narrow;
mod question;
mod refusal;
mod retry;
mod sanitize;
mod sections;
mod stream;
mod tls;
mod transport;
mod url;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;

use ureq::http::Method;

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::fork::{Release, hold};

use self::body::Progress;
pub use self::client::PlexHttp;
use self::client::scrubbed;
pub use self::events::{Told, parse as parse_event};
use self::exchange::Outcome;
use self::question::{MOST_ROWS, Question, What};
pub use self::retry::Pause;
use self::stream::EVENTS;
use self::wire::{Head, Lists};

use super::{Bounds, EditRequest, Event, PageEnd, PageRequest, Refused, RequestKind, Source};

/// Items that one request confirms: some 700 bytes of URL, and an answer well under a second.
const BATCH: usize = 100;

/// An answer ends at so many times the rows that may be asked for, whatever the server sends: one that ignores paging shows
/// libraries of up to 16,000 items.
const PAGES: u64 = 16;

/// The longest address of an edit that is sent. Servers were seen to refuse 30,000 bytes; one that takes more may be asked.
const LONGEST_EDIT: usize = 64 << 10;

impl PlexHttp {
    /// Asks for up to [`BATCH`] items.
    fn batch(&self, keys: &[&str], bounds: &Bounds<'_>, items: &mut Vec<Item>) -> Result<Head> {
        let question = Question::items(keys);
        let known = items.len();
        let mut sink = |item: Item| {
            let of_this_batch = items.get(known..).unwrap_or_default();
            if keys.contains(&item.rating_key.as_str())
                && of_this_batch.iter().all(|other| other.rating_key != item.rating_key)
            {
                items.push(item);
            }
        };
        let mut lists = Lists::Rows(wire::Rows::new(ItemType::Other, &mut sink).at_most(PAGES * BATCH as u64));
        match self.ask(&question, bounds, &mut lists) {
            // None of them is left.
            Err(error) if error.status == Status::NotOnServer => Ok(Head::default()),
            result => result,
        }
    }
}

impl Source for PlexHttp {
    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        let question = Question::identity();
        let head = self.ask(&question, &bounds, &mut Lists::None)?;
        Ok(Server {
            machine_identifier: head.machine_identifier.unwrap_or_default(),
            version: head.version.unwrap_or_default(),
        })
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let question = Question::libraries();
        let mut lists = Lists::Libraries(Vec::new());
        self.ask(&question, &bounds, &mut lists)?;
        let mut libraries = match lists {
            Lists::Libraries(libraries) => libraries,
            Lists::None | Lists::Rows(_) => Vec::new(),
        };
        sections::tell_apart(&mut libraries);
        Ok(libraries)
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<PageEnd> {
        let question = Question::page(request);
        let rows = wire::Rows::new(request.kind, sink).at_most(PAGES * u64::from(request.size.max(MOST_ROWS)));
        let mut lists = Lists::Rows(rows);
        let head = self.ask(&question, &bounds, &mut lists)?;
        Ok(PageEnd {
            rows: if let Lists::Rows(rows) = &lists { rows.count } else { 0 },
            total: head.total,
            offset: head.offset,
            disordered: match (request.rows, &lists) {
                (super::Rows::NewestAdded, Lists::Rows(rows)) => rows.added.is_disordered,
                (super::Rows::NewestUpdated, Lists::Rows(rows)) => rows.updated.is_disordered,
                _ => false,
            },
        })
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let keys: Vec<&str> = rating_keys.iter().copied().filter(|key| !key.is_empty()).collect();
        for batch in keys.chunks(BATCH) {
            let mut wanted = batch.to_vec();
            while !wanted.is_empty() {
                let before = items.len();
                let head = self.batch(&wanted, &bounds, &mut items)?;
                let new = items.get(before..).unwrap_or_default();
                let seen: HashSet<&str> = new.iter().map(|item| item.rating_key.as_str()).collect();
                // Answers come in the order of the question. A server that cuts them, said or not, cuts at the end:
                // what is missing there may still exist, so it is asked for again. Missing before it means gone.
                let answered = wanted
                    .iter()
                    .rposition(|key| seen.contains(key))
                    .map_or(0, |last| last + 1);
                let cut = head.total.is_some_and(|total| total > new.len() as u64);
                if answered == 0 {
                    break;
                }
                if cut {
                    wanted.retain(|key| !seen.contains(key));
                } else {
                    wanted.drain(..answered);
                }
            }
        }
        Ok(items)
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
                    .request(Method::PUT, target, true)
                    .header("Accept", "application/json");
                Ok(match self.deliver(put, &asked, RequestKind::Edit, &bounds)? {
                    Outcome::Done(answer) => {
                        // Nothing is said there, but the connection is used again once that was read.
                        body::beginning(answer.body, None, &Progress::new(&answer.measured, &bounds));
                        Outcome::Done(())
                    }
                    Outcome::Moved(next) => Outcome::Moved(next),
                })
            })
        })
        .map_err(|error| scrubbed(error, self.token.as_ref()))
    }

    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.follow(EVENTS, &What::Events, true, |target| self.listen(target, &bounds, sink))
            .map_err(|failure| scrubbed(failure.into_error(), self.token.as_ref()))
    }

    fn interrupt_events(&self) {
        self.transport.interrupt_stream();
    }

    fn assume_refused(&self, known: Refused) {
        self.refusals.assume(known);
    }

    fn found_refused(&self) -> Refused {
        self.refusals.take_found()
    }

    fn refused(&self) -> Refused {
        self.refusals.all()
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
    }

    fn interrupt(&self) {
        self.transport.interrupt();
    }
}
