//! The Plex HTTP API as a [`Source`].
//!
//! One request after the other, JSON asked for and gzip accepted, only the fields that are stored. [`question`]
//! knows what to ask; [`url`] where the server is, [`transport`] and [`tls`] how to reach it, [`retry`] when to try again,
//! [`body`] how to read an answer, [`wire`], [`sections`], [`lenient`] and [`sanitize`] what it means, [`errors`] what went wrong.
//! [`refusal`] finds out which arguments a server does not take. [`edits`] knows how an edit is asked for, [`events`] what the server tells of its own accord.
//!
//! No thread is ever started: names are resolved, connections made and answers read in the thread that asks.

mod body;
mod edits;
mod errors;
mod events;
mod lenient;
mod question;
mod refusal;
mod retry;
mod sanitize;
mod sections;
mod tls;
mod transport;
mod url;
mod wire;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::request::Builder;
use ureq::http::{HeaderValue, Method, Request, StatusCode, response};

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library, Server, Token};
use crate::options::Options;
use crate::platform::fork::{Release, hold};

use self::body::{Broken, Buffers, Measured, Progress};
use self::errors::Asked;
pub use self::events::{Told, parse as parse_event};
use self::question::{Fate, Question, What};
use self::refusal::Refusals;
pub use self::retry::Pause;
use self::retry::{Failure, RealPause};
use self::transport::{TOKEN_PLACE, Transport};
use self::url::{Base, Origin, Redirect, Target};
use self::wire::{Head, Lists};

use super::{Bounds, EditRequest, Event, Meter, PageEnd, PageRequest, Refused, RequestKind, Source};

/// How many redirects are followed for one request.
const HOPS: usize = 3;

/// Items that one request confirms: some 700 bytes of URL, and an answer well under a second.
const BATCH: usize = 100;

/// The most rows that are asked for at once: more may be refused.
const MOST_ROWS: u32 = 1_000;

/// An answer ends at so many times the rows that may be asked for, whatever the server sends: one that ignores paging shows
/// libraries of up to 16,000 items.
const PAGES: u64 = 16;

/// The longest address of an edit that is sent. Servers were seen to refuse 30,000 bytes; one that takes more may be asked.
const LONGEST_EDIT: usize = 64 << 10;

/// Where the events are. Names of events that are not known are no error; servers that know no filter send all.
const EVENTS: &str = "/:/eventsource/notifications?filters=timeline,activity,status";

/// So often a question that can do with less is refused by 500, which may pass, before it is asked with less.
const REFUSALS: u32 = 3;

/// How long an event stream may be silent: Plex sends something each 10 to 15 s.
const SILENCE: Duration = Duration::from_secs(30);

/// A Plex Media Server, asked over HTTP.
///
/// Usable from many threads at once. Dropping it closes its connections.
pub struct PlexHttp {
    base: Base,
    client_identifier: HeaderValue,
    token: Option<Token>,
    transport: Transport,
    meter: Arc<dyn Meter>,
    pause: Arc<dyn Pause>,
    retry_for: Duration,
    silence: Duration,
    buffers: Buffers,
    refusals: Refusals,
    /// Where the server was found to want HTTPS, so that the token is sent in the clear once and never again.
    upgraded: OnceLock<Origin>,
}

impl fmt::Debug for PlexHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlexHttp")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl PlexHttp {
    /// A client of the server that `options` name. Connects nowhere yet.
    ///
    /// `client_identifier` is what Plex knows this installation by: keep it, a new one mails the user. `meter` is
    /// told of every request that was sent.
    ///
    /// # Errors
    /// [`Status::Offline`] without a `server_url`; [`Status::InvalidArgument`] when it is none, when `ca_file` cannot
    /// be used, or when the token or the identifier holds what no header can carry.
    pub fn new(options: &Options, client_identifier: &str, meter: Arc<dyn Meter>) -> Result<Self> {
        let Some(url) = options.server_url.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "there is no server_url, so there is nobody to ask: set it, such as http://127.0.0.1:32400",
            ));
        };
        let base = Base::parse(url).map_err(|error| scrubbed(error, options.token.as_ref()))?;
        if base.origin.secure && !tls::Tls::AVAILABLE {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "server_url {base} needs TLS, and this build of plexindex has none: build it with the feature \
                     `tls`, or use http",
                    base = base.origin
                ),
            ));
        }
        if let Some(token) = &options.token
            && (token.reveal().is_empty() || !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(Error::new(
                Status::InvalidArgument,
                "the token holds characters that no token has, such as a space or the end of a line: trim it",
            ));
        }
        let visible = !client_identifier.is_empty() && client_identifier.bytes().all(|byte| byte.is_ascii_graphic());
        let client_identifier = HeaderValue::from_str(client_identifier)
            .ok()
            .filter(|_| visible)
            .ok_or_else(|| {
                Error::new(
                    Status::InvalidArgument,
                    format!("client_identifier {client_identifier:?} is empty or no plain ASCII text: use a UUID"),
                )
            })?;
        Ok(Self {
            base,
            client_identifier,
            token: options.token.clone(),
            transport: Transport::new(options)?,
            meter,
            pause: Arc::new(RealPause),
            retry_for: options.retry_for,
            silence: SILENCE,
            buffers: Buffers::default(),
            refusals: Refusals::default(),
            upgraded: OnceLock::new(),
        })
    }

    /// The same client with another clock for its pauses: for tests, which need not wait.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.pause = pause;
        self
    }

    /// The same client that takes an event stream for dead after so long a silence: for tests, which need not wait.
    #[doc(hidden)]
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Asks, follows, tries again, and hands the rows to `lists`. What the server refuses is left out.
    fn ask(&self, question: &Question<'_>, bounds: &Bounds<'_>, lists: &mut Lists<'_>) -> Result<Head> {
        let (begun, mut busy) = (Instant::now(), Duration::ZERO);
        let end = self.pause.now().checked_add(self.retry_for);
        let mut looked_into = question.can_do_without().is_empty();
        let answered = loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(self.pause.now()));
            // Whether the last attempt was refused, and whether for good.
            let refused = Cell::new(None);
            let mut refusals = 0;
            let answered = retry::run(&*self.pause, left, bounds, &question.what, || {
                let attempted = Instant::now();
                let result = self.attempt(question, bounds, lists);
                busy += attempted.elapsed();
                refused.set(None);
                match (&*lists, result) {
                    // Rows that were handed over must not come a second time.
                    (Lists::Rows(rows), Err(failure)) if rows.taken > 0 => Err(failure.last()),
                    (_, Err(Failure::Refused(failure))) if !looked_into => {
                        refused.set(Some(failure.is_final()));
                        refusals += 1;
                        let is_enough = refusals == REFUSALS || question.asks_for_a_file();
                        Err(if is_enough { failure.last() } else { *failure })
                    }
                    // Asking for a file name is not documented: a server that fails does so each time.
                    (_, Err(failure)) if question.asks_for_a_file() && failure.is_the_server_s() => Err(failure.last()),
                    (_, result) => result,
                }
            });
            let (Err(error), Some(is_final), false) = (&answered, refused.get(), looked_into) else {
                break answered;
            };
            if error.status == Status::Aborted {
                break answered;
            }
            looked_into = true;
            let looking = Instant::now();
            let found = self.find_refused(question, bounds);
            busy += looking.elapsed();
            match found {
                Err(failure) => break Err(failure.into_error()),
                Ok(false) if is_final || left.is_zero() => break answered,
                Ok(_) => {}
            }
        };
        self.meter.paused(begun.elapsed().saturating_sub(busy));
        answered.map_err(|error| scrubbed(error, self.token.as_ref()))
    }

    /// Asks once, unless the server refuses what the question is about.
    fn attempt(
        &self,
        question: &Question<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Head, Failure> {
        let refused = self.refusals.all();
        match question.at(refused) {
            Fate::Asked => self.ask_without(question, refused, bounds, lists),
            Fate::NoRows => Ok(Head {
                total: Some(0),
                offset: question.window.map(|(start, _)| start),
                ..Head::default()
            }),
            Fate::NoOrder => {
                let text = format!(
                    "{}: the server refuses the order that this needs: list the library instead",
                    question.what
                );
                Err(Error::new(Status::ServerError, text).into())
            }
        }
    }

    /// Asks once, without these arguments, redirects followed.
    fn ask_without(
        &self,
        question: &Question<'_>,
        without: Refused,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Head, Failure> {
        let address = question.address(without);
        self.follow(&address, &question.what, question.with_token, |target| {
            self.exchange(question, target, bounds, lists)
        })
    }

    /// Sends once, and again where it is sent to.
    fn follow<T>(
        &self,
        address: &str,
        what: &What<'_>,
        with_token: bool,
        mut send: impl FnMut(&Target) -> std::result::Result<Outcome<T>, Failure>,
    ) -> std::result::Result<T, Failure> {
        let mut target = Target {
            origin: self.upgraded.get().unwrap_or(&self.base.origin).clone(),
            address: format!("{}{address}", self.base.prefix),
        };
        let mut upgrade = None;
        for _ in 0..=HOPS {
            match send(&target)? {
                Outcome::Done(done) => {
                    // Only what has answered is worth staying with.
                    if let Some(origin) = upgrade {
                        self.remember(origin);
                    }
                    return Ok(done);
                }
                Outcome::Moved(next) => {
                    log::debug!("{what} moved to {}", next.shown());
                    if next.origin != target.origin && next.address == target.address {
                        upgrade = Some(next.origin.clone());
                    }
                    target = next;
                }
            }
        }
        Err(self.asked(what, with_token, &target).lost("redirected in a circle"))
    }

    fn remember(&self, origin: Origin) {
        log::warn!(
            "{} sends us to {origin}: make that server_url, so that the token is never sent in the clear",
            self.base.origin
        );
        // Whoever was first wins; there is but one server.
        let _ = self.upgraded.set(origin);
    }

    fn asked<'a>(&self, what: &'a What<'_>, with_token: bool, target: &'a Target) -> Asked<'a> {
        Asked {
            what,
            target,
            with_token: with_token && self.token.is_some(),
            has_token: self.token.is_some(),
            connect_timeout: self.transport.connect_timeout(),
            read_timeout: self.transport.read_timeout(),
        }
    }

    /// One request and its answer.
    fn exchange(
        &self,
        question: &Question<'_>,
        target: &Target,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Outcome<Head>, Failure> {
        let asked = self.asked(&question.what, question.with_token, target);
        let mut request = self.request(Method::GET, target, question.with_token);
        request = request
            .header("Accept", "application/json")
            .header("Accept-Encoding", "gzip");
        if let Some((start, size)) = question.window {
            request = request
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        let Answer { measured, parts, body } = match self.deliver(request, &asked, question.kind, bounds)? {
            Outcome::Done(answer) => answer,
            Outcome::Moved(next) => return Ok(Outcome::Moved(next)),
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = Progress::new(&measured, bounds);

        lists.begin();
        let parsed = body::parse(body, encoding, question.limit, &progress, &self.buffers, lists);
        let mut head = parsed.map_err(|broken| match lists {
            Lists::Rows(rows) => match (rows.is_over(), broken) {
                (_, aborted @ Broken::Aborted) => asked.broken(aborted, rows.count),
                (Some(most), _) => asked.broken(Broken::TooManyRows(most), rows.count),
                (None, broken) => asked.broken(broken, rows.count),
            },
            _ => asked.broken(broken, 0),
        })?;
        if head.is_ancient || !head.is_plex {
            return Err(asked.not_plex(head.is_ancient));
        }
        let number = |name: &str| header(name).and_then(|text| text.trim().parse().ok());
        head.offset = head.offset.or_else(|| number("x-plex-container-start"));
        head.total = head.total.or_else(|| number("x-plex-container-total-size"));
        if question.kind == RequestKind::Identity && head.machine_identifier.as_deref().is_none_or(str::is_empty) {
            return Err(asked.no_identity());
        }
        Ok(Outcome::Done(head))
    }

    /// Sends a request, and sorts out redirects and refusals: the answer of a success is still to be read.
    fn deliver(
        &self,
        request: Builder,
        asked: &Asked<'_>,
        kind: RequestKind,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<Outcome<Answer<'_>>, Failure> {
        if asked.target.origin.secure && !tls::Tls::AVAILABLE {
            return Err(asked.no_tls());
        }
        // Our own addresses are encoded, so only a redirect can lead to what is no URL.
        let request: Request<()> = request
            .body(())
            .map_err(|error| asked.lost(&format!("a redirect to what is no URL ({error})")))?;
        let left = bounds.left();
        if left == Some(Duration::ZERO) {
            return Err(asked.timeout().into());
        }
        let measured = Measured::new(&*self.meter, kind);
        let sent = if kind == RequestKind::Events {
            self.transport.open_stream(request, self.silence, bounds.aborted)
        } else {
            self.transport.send(request, left).map(Some)
        };
        let response = sent.map_err(|error| {
            measured.head_came();
            let (failure, sent) = asked.not_answered(error);
            if !sent {
                measured.not_sent();
            }
            failure
        })?;
        let Some(response) = response else {
            measured.not_sent();
            return Err(retry::aborted(asked.what).into());
        };
        measured.head_came();

        let (parts, body) = response.into_parts();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = Progress::new(&measured, bounds);
        if parts.status.is_redirection() {
            let Some(location) = header("location") else {
                return Err(asked.lost(&format!("a redirect to nowhere ({})", parts.status.as_u16())));
            };
            body::beginning(body, encoding, &progress);
            return match asked.target.redirect(location) {
                Redirect::Follow(next) => Ok(Outcome::Moved(next)),
                Redirect::Elsewhere(place) => Err(asked.sent_elsewhere(&place)),
            };
        }
        let is_edit = kind == RequestKind::Edit;
        if parts.status != StatusCode::OK && !(is_edit && parts.status.is_success()) {
            let retry_after = header("retry-after").and_then(|text| retry::retry_after(text, self.pause.date()));
            let page = body::beginning(body, encoding, &progress);
            let status = parts.status.as_u16();
            return Err(if is_edit {
                asked.refused_edit(status, retry_after, &page)
            } else {
                asked.refused(status, retry_after, &page)
            });
        }
        Ok(Outcome::Done(Answer { measured, parts, body }))
    }

    fn request(&self, method: Method, target: &Target, with_token: bool) -> Builder {
        let request = Request::builder()
            .method(method)
            .uri(target.url())
            .header("X-Plex-Client-Identifier", &self.client_identifier)
            .header("X-Plex-Product", "plexindex")
            .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
            .header("X-Plex-Platform", std::env::consts::OS)
            .header("X-Plex-Device", std::env::consts::OS)
            .header("X-Plex-Device-Name", "plexindex");
        if with_token && self.token.is_some() {
            request.header("X-Plex-Token", TOKEN_PLACE)
        } else {
            request
        }
    }

    /// Reads a stream of events until one side ends it.
    fn listen(
        &self,
        target: &Target,
        bounds: &Bounds<'_>,
        sink: &mut dyn FnMut(Event) -> bool,
    ) -> std::result::Result<Outcome<()>, Failure> {
        let asked = Asked {
            read_timeout: self.silence,
            connect_timeout: self.transport.connect_timeout().min(transport::STREAM_CONNECT),
            ..self.asked(&What::Events, true, target)
        };
        let request = self.request(Method::GET, target, true);
        let request = request.header("Accept", "text/event-stream");
        let Answer { measured, parts, body } = match self.deliver(request, &asked, RequestKind::Events, bounds)? {
            Outcome::Done(answer) => answer,
            Outcome::Moved(next) => return Ok(Outcome::Moved(next)),
        };
        drop(measured); // told now: it may last for weeks
        let kind = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        if !kind.is_none_or(is_event_stream) {
            return Err(asked.no_stream());
        }
        let mut body = body.into_with_config().limit(u64::MAX).reader();
        let mut lines = events::Lines::default();
        let mut buffer = vec![0; 16 << 10];
        let mut go_on = sink(Event::Connected);
        while go_on && !(bounds.aborted)() {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => {
                    self.meter.received(amount as u64);
                    go_on = lines.take(buffer.get(..amount).unwrap_or_default(), sink);
                }
                Err(_) if (bounds.aborted)() => break,
                Err(error) => return Err(asked.broken(Broken::Wire(error.into()), 0)),
            }
        }
        Ok(Outcome::Done(()))
    }

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

/// What one request led to.
enum Outcome<T> {
    Done(T),
    Moved(Target),
}

/// The head of a success, and its body still to be read.
struct Answer<'m> {
    measured: Measured<'m>,
    parts: response::Parts,
    body: Body,
}

/// Whether a content type is one that events come in: names count without case, and what follows them does not count.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// The last line of defence: a server may echo a token in what it sends, and that may end in a text of ours.
fn scrubbed(mut error: Error, token: Option<&Token>) -> Error {
    // A shorter one is part of ordinary words.
    const TELLING: usize = 8;
    if let Some(token) = token
        && token.reveal().len() >= TELLING
        && error.message.contains(token.reveal())
    {
        error.message = error.message.replace(token.reveal(), "***");
    }
    error
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
