//! The Plex HTTP API as a [`Source`].
//!
//! One request after the other, JSON asked for and gzip accepted, only the fields that are stored. [`question`]
//! knows what to ask; [`url`] where the server is, [`transport`] and [`tls`] how to reach it, [`retry`] when to try again,
//! [`body`] how to read an answer, [`wire`], [`sections`], [`lenient`] and [`mend`] what it means, [`errors`] what went wrong.
//!
//! No thread is ever started: names are resolved, connections made and answers read in the thread that asks.

mod body;
mod errors;
mod lenient;
mod mend;
mod question;
mod retry;
mod sections;
mod tls;
mod transport;
mod url;
mod wire;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, Request, StatusCode};

use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, Library, Server, Token};
use crate::options::Options;
use crate::platform::fork::{Release, hold};

use self::body::{Buffers, Measured, Progress};
use self::errors::Asked;
use self::question::Question;
pub use self::retry::Pause;
use self::retry::{Failure, RealPause};
use self::transport::{TOKEN_PLACE, Transport};
use self::url::{Base, Origin, Redirect, Target};
use self::wire::{Head, Lists};

use super::{Bounds, Meter, PageEnd, PageRequest, RequestKind, Source};

/// How many redirects are followed for one request.
const HOPS: usize = 3;

/// Items that one request confirms: some 700 bytes of URL, and an answer well under a second.
const BATCH: usize = 100;

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
    buffers: Buffers,
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
            buffers: Buffers::default(),
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

    /// Asks, follows, tries again, and hands the rows to `lists`.
    fn ask(&self, question: &Question<'_>, bounds: &Bounds<'_>, lists: &mut Lists<'_>) -> Result<Head> {
        let (begun, mut busy) = (Instant::now(), Duration::ZERO);
        let answered = retry::run(&*self.pause, self.retry_for, bounds, &question.what, || {
            let attempted = Instant::now();
            let result = self.attempt(question, bounds, lists);
            busy += attempted.elapsed();
            // Rows that were handed over must not come a second time.
            match (&*lists, result) {
                (Lists::Rows(rows), Err(failure)) if rows.taken > 0 => Err(failure.last()),
                (_, result) => result,
            }
        });
        self.meter.paused(begun.elapsed().saturating_sub(busy));
        answered.map_err(|error| scrubbed(error, self.token.as_ref()))
    }

    /// Asks once, redirects followed.
    fn attempt(
        &self,
        question: &Question<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Head, Failure> {
        let mut target = Target {
            origin: self.upgraded.get().unwrap_or(&self.base.origin).clone(),
            address: format!("{}{}", self.base.prefix, question.address),
        };
        let mut upgrade = None;
        for _ in 0..=HOPS {
            match self.exchange(question, &target, bounds, lists)? {
                Outcome::Head(head) => {
                    // Only what has answered is worth staying with.
                    if let Some(origin) = upgrade {
                        self.remember(origin);
                    }
                    return Ok(head);
                }
                Outcome::Moved(next) => {
                    log::debug!("{} moved to {}", question.what, next.shown());
                    if next.origin != target.origin && next.address == target.address {
                        upgrade = Some(next.origin.clone());
                    }
                    target = next;
                }
            }
        }
        Err(self.asked(question, &target).lost("redirected in a circle"))
    }

    fn remember(&self, origin: Origin) {
        log::warn!(
            "{} sends us to {origin}: make that server_url, so that the token is never sent in the clear",
            self.base.origin
        );
        // Whoever was first wins; there is but one server.
        let _ = self.upgraded.set(origin);
    }

    fn asked<'a>(&self, question: &'a Question<'_>, target: &'a Target) -> Asked<'a> {
        Asked {
            what: &question.what,
            target,
            with_token: question.with_token && self.token.is_some(),
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
    ) -> std::result::Result<Outcome, Failure> {
        let asked = self.asked(question, target);
        if target.origin.secure && !tls::Tls::AVAILABLE {
            return Err(asked.no_tls());
        }
        // Our own addresses are encoded, so only a redirect can lead to what is no URL.
        let request = self
            .request(question, target)
            .map_err(|error| asked.lost(&format!("a redirect to what is no URL ({error})")))?;
        let left = bounds.left();
        if left == Some(Duration::ZERO) {
            return Err(asked.time_up().into());
        }
        let measured = Measured::new(&*self.meter, question.kind);
        let response = self.transport.send(request, left).map_err(|error| {
            measured.head_came();
            let (failure, sent) = asked.not_answered(error);
            if !sent {
                measured.not_sent();
            }
            failure
        })?;
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
            return match target.redirect(location) {
                Redirect::Follow(next) => Ok(Outcome::Moved(next)),
                Redirect::Elsewhere(place) => Err(asked.sent_elsewhere(&place)),
            };
        }
        if parts.status != StatusCode::OK {
            let retry_after = header("retry-after").and_then(|text| retry::retry_after(text, self.pause.date()));
            let page = body::beginning(body, encoding, &progress);
            return Err(asked.refused(parts.status.as_u16(), retry_after, &page));
        }

        lists.begin();
        let parsed = body::parse(body, encoding, question.limit, &progress, &self.buffers, lists);
        let mut head = parsed.map_err(|broken| {
            let rows = if let Lists::Rows(rows) = lists { rows.count } else { 0 };
            asked.broken(broken, rows)
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
        Ok(Outcome::Head(head))
    }

    fn request(&self, question: &Question<'_>, target: &Target) -> std::result::Result<Request<()>, ureq::http::Error> {
        let mut request = Request::get(target.url())
            .header("Accept", "application/json")
            .header("Accept-Encoding", "gzip")
            .header("X-Plex-Client-Identifier", &self.client_identifier)
            .header("X-Plex-Product", "plexindex")
            .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
            .header("X-Plex-Platform", std::env::consts::OS)
            .header("X-Plex-Device", std::env::consts::OS)
            .header("X-Plex-Device-Name", "plexindex");
        if question.with_token && self.token.is_some() {
            request = request.header("X-Plex-Token", TOKEN_PLACE);
        }
        if let Some((start, size)) = question.window {
            request = request
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        request.body(())
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
        let mut lists = Lists::Rows(wire::Rows::new(ItemType::Other, &mut sink));
        match self.ask(&question, bounds, &mut lists) {
            // None of them is left.
            Err(error) if error.status == Status::Gone => Ok(Head::default()),
            result => result,
        }
    }
}

/// What one request led to.
enum Outcome {
    Head(Head),
    Moved(Target),
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
        Ok(match lists {
            Lists::Libraries(libraries) => libraries,
            Lists::None | Lists::Rows(_) => Vec::new(),
        })
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<PageEnd> {
        let question = Question::page(request);
        let mut lists = Lists::Rows(wire::Rows::new(request.kind, sink));
        let head = self.ask(&question, &bounds, &mut lists)?;
        Ok(PageEnd {
            rows: if let Lists::Rows(rows) = &lists { rows.count } else { 0 },
            total: head.total,
            offset: head.offset,
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

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![
            Box::new(hold(&self, |plex| &plex.transport.agent)),
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
