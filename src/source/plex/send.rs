//! Sends a request, classifies failures, retries transient failures with growing pauses, within a time limit, and omits
//! optional arguments that a server rejects. Receives events: the reply to one request that never ends.

use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::{Method, Request, StatusCode, response};

use super::super::contract::{Bounds, Event, RequestKind};
use super::errors::{self, AttemptError, ErrorContext, NOT_EVENT_STREAM, Refusal};
use super::event_parser;
use super::plex_http::PlexHttp;
use super::replies::{Reply, ReplyKind};
use super::reply_body::{self, BodyError, BodyProgress, RequestMeter};
use super::server_request::{MAX_ROWS, OVERSIZE_FACTOR, Omitted, RequestPurpose, RowsRequest, ServerRequest};
use super::transport::{STREAM_CONNECT, token_placeholder};
use crate::error::{Error, Result, Status};
use crate::model::{Item, LONGEST_KEY, OWN_IDENTIFIER};
use crate::platform::clock::Clock;
use crate::stats::Activity;

/// Number of replies with status 500, which may be transient, after which plexindex omits the optional arguments. It
/// does so earlier if no time is left for another retry.
const MAX_REFUSALS: u32 = 3;

impl PlexHttp {
    /// Sends a request that changes something on the server. Such requests are idempotent, so plexindex retries even a
    /// request that the server may have carried out.
    pub(super) fn command(&self, request: &ServerRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        run_with_retries(&*self.clock, self.retry_for, &bounds, &request.purpose, || {
            let reply = self.round_trip(request, Omitted::Nothing, &bounds)?;
            // `ureq` reuses the connection only if the body was read.
            reply_body::read_beginning(reply.body, None, &BodyProgress::new(&reply.request_meter, &bounds));
            Ok(())
        })
        .map_err(|error| self.scrub(error))
    }

    /// Passes events to `sink` until the server ends the stream, `sink` returns `false`, or the host aborts the call.
    pub(super) fn receive_event_stream(
        &self,
        bounds: &Bounds<'_>,
        sink: &mut dyn FnMut(Event) -> bool,
    ) -> std::result::Result<(), AttemptError> {
        let request = ServerRequest::events();
        let SuccessReply {
            request_meter,
            parts,
            body,
            errors,
        } = self.round_trip(&request, Omitted::Nothing, bounds)?;
        drop(request_meter); // counts the request now, because the stream may last for weeks
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        if !content_type.is_none_or(is_event_stream) {
            return Err(errors.error(Status::NotPlex, NOT_EVENT_STREAM));
        }
        let mut body = body.into_with_config().limit(u64::MAX).reader();
        let mut lines = event_parser::EventLines::default();
        let mut buffer = vec![0; 16 << 10];
        let mut is_wanted = sink(Event::Connected);
        while is_wanted && !(bounds.aborted)() {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => {
                    self.counters.record_received_bytes(amount as u64);
                    is_wanted = lines.feed(buffer.get(..amount).unwrap_or_default(), sink);
                }
                Err(_) if (bounds.aborted)() => break,
                Err(error) => return Err(errors.body_error(BodyError::Connection(error.into()), 0)),
            }
        }
        Ok(())
    }

    /// Returns how many rows, at most `max_rows`, to request in a page, so that it arrives in time.
    pub(super) fn rows_in_time(&self, max_rows: u32, bounds: &Bounds<'_>) -> u32 {
        let limits = [
            Some(self.transport.read_timeout()),
            bounds.max_silence,
            bounds.deadline.left(),
        ];
        let time = limits.into_iter().flatten().min().unwrap_or_default();
        self.row_time.rows_within(max_rows, time)
    }

    /// Requests rows, adds their items to `items`, even if the call fails midway, and returns the reply without them.
    ///
    /// Counts items without a rating key but does not add them; adds items without files. Requests the rows again if
    /// another call's [`crate::source::Source::interrupt`] closed the connection.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    pub fn fetch_rows(
        &self,
        rows_request: &RowsRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<Reply> {
        let request = ServerRequest::rows(rows_request);
        // A server that ignores paging sends many more rows than requested.
        let max_rows = OVERSIZE_FACTOR * u64::from(rows_request.size.max(MAX_ROWS));
        loop {
            let interruptions = self.transport.interruptions();
            let mut reply = Reply::new(ReplyKind::Items(rows_request.kind, max_rows));
            let start = Instant::now();
            let result = self.send(&request, &bounds, &mut reply);
            self.row_time
                .note(rows_request.size, start.elapsed(), reply.rows, &result);
            match result {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.transport.interruptions() != interruptions =>
                {
                    log::debug!("another call closed the connection during a page; requesting the page again: {error}");
                }
                result => {
                    items.extend(reply.items.drain(..).map(|located| located.item));
                    return result.map(|()| reply);
                }
            }
        }
    }

    /// Sends a request, and reads the reply into `reply`, even if the call fails midway. Retries transient failures.
    ///
    /// If the server rejects the request, retries without the optional arguments: versions of Plex differ in the
    /// arguments that they accept, and proxies in the maximum length of a URL.
    pub(super) fn send(&self, request: &ServerRequest<'_>, bounds: &Bounds<'_>, reply: &mut Reply) -> Result<()> {
        let started_at = Instant::now();
        let retry_for = bounds
            .retry_for
            .map_or(self.retry_for, |limit| limit.min(self.retry_for));
        let (mut busy_time, mut refusals) = (Duration::ZERO, 0);
        let mut last_refusal = None;
        let filters_by_file = request.filters_by_file();
        let result = run_with_retries(&*self.clock, retry_for, bounds, &request.purpose, || {
            if filters_by_file && self.rejects_file_filter.load(Ordering::Relaxed) {
                request.set_empty(reply);
                return Ok(());
            }
            let attempt_start = Instant::now();
            let mut result = self.send_once(request, self.omitted(), bounds, reply);
            last_refusal = result.as_ref().err().and_then(|failure| failure.refusal);
            if let Err(failure) = &result
                && last_refusal.is_some()
            {
                refusals += 1;
                // A status 500 may be transient. Other statuses, a rejected filter, or the last of several refusals are
                // not.
                let is_transient = failure.is_transient && !filters_by_file;
                if !is_transient || refusals == MAX_REFUSALS {
                    last_refusal = None;
                    result = result.or_else(|failure| self.send_with_less(request, bounds, reply, failure));
                }
            }
            // The remaining time of this call is pauses, which count as waiting.
            busy_time += attempt_start.elapsed();
            result.or_else(|failure| {
                if filters_by_file && failure.refusal == Some(Refusal::Arguments) {
                    self.rejects_file_filter.store(true, Ordering::Relaxed);
                    log::warn!("{} rejects searches by file name", self.base_url.origin);
                    request.set_empty(reply);
                    return Ok(());
                }
                // A retry would discard the rows. A failed search by file name would fail again.
                let is_final =
                    !reply.items.is_empty() || filters_by_file && failure.error.status == Status::ServerError;
                Err(if is_final { failure.into_permanent() } else { failure })
            })
        });
        let paused = started_at.elapsed().saturating_sub(busy_time);
        self.counters.add_time(Activity::Wait, paused);
        // No time was left to find out whether the refusal is transient.
        let result = match (result, last_refusal) {
            (Err(error), Some(refusal)) if refusals < MAX_REFUSALS && error.status == Status::ServerError => {
                let failure = AttemptError::transient(error.clone(), None).into_refusal(refusal);
                self.send_with_less(request, bounds, reply, failure).map_err(|_| error)
            }
            (result, _) => result,
        };
        result.map_err(|error| self.scrub(error))
    }

    /// Returns the arguments that requests omit.
    fn omitted(&self) -> Omitted {
        Omitted::from_number(self.omitted.load(Ordering::Relaxed))
    }

    /// Repeats a rejected request (`failure`) with fewer arguments. If the server then accepts the request, omits these
    /// arguments from now on.
    fn send_with_less(
        &self,
        request: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        reply: &mut Reply,
        mut failure: AttemptError,
    ) -> std::result::Result<(), AttemptError> {
        let may_blame_arguments = match failure.refusal {
            Some(Refusal::Arguments) => true,
            // Items that no longer exist have status 404.
            Some(Refusal::Access) => {
                request.kind != RequestKind::Confirm && !self.denies_without_arguments.load(Ordering::Relaxed)
            }
            None => false,
        };
        if !may_blame_arguments || !request.has_optional_arguments() {
            return Err(failure);
        }
        let first_refusal = failure.refusal;
        // Without external IDs, items are incomplete, so plexindex omits them only if the server certainly rejects them.
        let is_certain = first_refusal == Some(Refusal::Arguments) && !failure.is_transient;
        let least = if is_certain { Omitted::Guids } else { Omitted::Optional };
        for omitted in [Omitted::Optional, Omitted::Guids] {
            if omitted <= self.omitted() || omitted > least {
                continue;
            }
            failure = match self.send_once(request, omitted, bounds, reply) {
                Ok(()) => {
                    self.omitted.store(omitted as u8, Ordering::Relaxed);
                    let what = match omitted {
                        Omitted::Guids => "includeGuids, without which items lack external IDs",
                        Omitted::Nothing | Omitted::Optional => "optional request arguments",
                    };
                    log::warn!("{} rejects {what}; omitting them from now on", self.base_url.origin);
                    return Ok(());
                }
                Err(failure) if failure.refusal.is_none() => return Err(failure),
                Err(failure) => failure,
            };
        }
        if first_refusal == Some(Refusal::Access) {
            self.denies_without_arguments.store(true, Ordering::Relaxed);
        }
        Err(failure)
    }
}

/// Returns whether this is the content type of an event stream. Ignores case and parameters.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    // A newer description of Plex's API names the second type.
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|expected| name.eq_ignore_ascii_case(expected))
}

impl PlexHttp {
    /// Sends a request once, and reads the reply into `reply`.
    pub(super) fn send_once(
        &self,
        request: &ServerRequest<'_>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
        reply: &mut Reply,
    ) -> std::result::Result<(), AttemptError> {
        let SuccessReply {
            request_meter,
            parts,
            body,
            errors,
        } = self.round_trip(request, omitted, bounds)?;
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = BodyProgress::new(&request_meter, bounds).with_max_silence(errors.max_silence);
        // Reads and parses the body. An exceeded limit explains a failure better than the parser's own error.
        *reply = Reply::new(reply.kind);
        let result = reply_body::read_reply(body, encoding, request.max_reply_bytes, &progress, &self.buffers, reply);
        result.map_err(|failure| match (failure, reply.kind) {
            (BodyError::Aborted, _) => errors.body_error(BodyError::Aborted, reply.rows),
            (_, ReplyKind::Items(_, max_rows)) if reply.exceeds_limit => {
                errors.body_error(BodyError::TooManyRows(max_rows), reply.rows)
            }
            (failure, _) => errors.body_error(failure, reply.rows),
        })?;
        if reply.has_invalid_keys {
            log::warn!(
                "ignoring some items from {}: their keys do not consist of 1 to {LONGEST_KEY} digits",
                self.base_url.url(request.path_without_query())
            );
        }
        if reply.has_legacy_format || !reply.is_plex {
            let problem = if reply.has_legacy_format {
                errors::LEGACY_JSON
            } else {
                errors::FOREIGN_JSON
            };
            return Err(errors.error(Status::NotPlex, problem));
        }
        // Some servers send the offset and the total only in headers.
        let number_from = |name: &str| header(name).and_then(|text| text.trim().parse().ok());
        reply.offset = reply.offset.or_else(|| number_from("x-plex-container-start"));
        reply.total = reply.total.or_else(|| number_from("x-plex-container-total-size"));
        if request.kind == RequestKind::Identity && reply.machine_identifier.as_deref().is_none_or(str::is_empty) {
            return Err(errors.error(Status::NotPlex, errors::NO_IDENTITY));
        }
        Ok(())
    }

    /// Sends a request. Returns a successful reply whose body has not been read, or a classified failure.
    pub(super) fn round_trip<'a>(
        &'a self,
        request: &'a ServerRequest<'a>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<SuccessReply<'a>, AttemptError> {
        let errors = self.error_context(request, bounds);
        let http_request = self
            .build_http_request(request, omitted, bounds)
            .map_err(|error| -> AttemptError { errors.error(Status::InvalidArgument, error) })?;
        let time_left = bounds.deadline.left();
        if time_left == Some(Duration::ZERO) {
            return Err(errors.deadline_error().into());
        }
        let request_meter = RequestMeter::new(&self.counters, request.kind);
        // Sends the request. The event stream has its own connection, which another thread can close.
        let silence = errors.max_silence;
        let result = match request.kind {
            RequestKind::Events => self.transport.open_stream(http_request, silence, bounds.aborted),
            _ => self.transport.exchange(http_request, time_left, silence).map(Some),
        };
        request_meter.record_headers_arrival();
        let response = match result {
            Ok(Some(response)) => response,
            Ok(None) => {
                request_meter.cancel();
                return Err(errors::aborted_error(&request.purpose).into());
            }
            // Without a reply, counts the request only if the server may have received it.
            Err(error) => {
                if !errors::may_be_sent(&error) {
                    request_meter.cancel();
                }
                return Err(errors.no_reply_error(&error));
            }
        };
        let (parts, body) = response.into_parts();
        if parts.status == StatusCode::OK {
            return Ok(SuccessReply {
                request_meter,
                parts,
                body,
                errors,
            });
        }
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let progress = BodyProgress::new(&request_meter, bounds);
        let body_start = reply_body::read_beginning(body, header("content-encoding"), &progress);
        // A redirect may lead to a different server, which must not see the token.
        if parts.status.is_redirection() {
            return Err(errors.redirect_error(header("location")));
        }
        let retry_after = header("retry-after").and_then(|text| errors::parse_retry_after(text, self.clock.now_ms()));
        // Every reply of Plex has this header, also an error.
        let is_from_plex = header("x-plex-protocol").is_some();
        Err(errors.status_error((parts.status.as_u16(), is_from_plex), retry_after, &body_start))
    }

    /// Returns the facts about a request that error messages contain.
    fn error_context<'a>(&'a self, request: &'a ServerRequest<'a>, bounds: &Bounds<'_>) -> ErrorContext<'a> {
        let (connect_timeout, read_timeout) = (self.transport.connect_timeout(), self.transport.read_timeout());
        // The event stream and scans have their own time limits.
        let (connect_timeout, max_silence) = match request.kind {
            RequestKind::Events => (connect_timeout.min(STREAM_CONNECT), self.stream_silence),
            RequestKind::Scan => (connect_timeout, read_timeout),
            _ => (
                connect_timeout,
                bounds.max_silence.map_or(read_timeout, |limit| limit.min(read_timeout)),
            ),
        };
        ErrorContext {
            request,
            base_url: &self.base_url,
            has_token: self.has_token(),
            connect_timeout,
            read_timeout,
            max_silence,
        }
    }

    /// Builds the HTTP request with all headers. Instead of the token, the headers contain a placeholder.
    fn build_http_request(
        &self,
        request: &ServerRequest<'_>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
    ) -> ureq::http::Result<Request<()>> {
        let (method, accept) = match request.purpose {
            RequestPurpose::Events => (Method::GET, "text/event-stream"),
            RequestPurpose::RefreshItem(_) => (Method::PUT, "application/json"),
            _ => (Method::GET, "application/json"),
        };
        let mut builder = Request::builder()
            .method(method)
            .uri(self.base_url.url(&request.address(omitted)))
            .header("X-Plex-Client-Identifier", &self.client_identifier);
        // A host with its own identifier has already given the device a name in Plex.
        if self.client_identifier.as_bytes().starts_with(OWN_IDENTIFIER.as_bytes()) {
            builder = builder
                .header("X-Plex-Product", "plexindex")
                .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
                .header("X-Plex-Platform", std::env::consts::OS)
                .header("X-Plex-Device", std::env::consts::OS)
                .header("X-Plex-Device-Name", "plexindex");
        }
        if let Some(session) = self.tokens.get(bounds.token_number)
            && request.with_token
            && session.token.is_some()
        {
            builder = builder.header("X-Plex-Token", token_placeholder(session.number()));
        }
        if builder.method_ref() == Some(&Method::PUT) {
            // Otherwise the body would be an empty chunk, which some servers take for the next request.
            builder = builder.header("Content-Length", "0");
        }
        builder = builder.header("Accept", accept);
        if !matches!(request.kind, RequestKind::Scan | RequestKind::Events) {
            // On one machine, compression takes many times as long as the copying that it saves.
            let encoding = if self.base_url.origin.is_loopback_host() {
                "identity"
            } else {
                "gzip"
            };
            builder = builder.header("Accept-Encoding", encoding);
        }
        if let Some((start, size)) = request.row_range {
            builder = builder
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        builder.body(())
    }
}

/// A successful reply whose body has not been read.
pub(super) struct SuccessReply<'m> {
    pub request_meter: RequestMeter<'m>,
    pub parts: response::Parts,
    pub body: Body,
    /// Creates the errors for a body that is not what the caller expects.
    pub errors: ErrorContext<'m>,
}

/// Interval at which a pause checks whether the host has aborted the call.
const POLL: Duration = Duration::from_millis(50);
/// First pause, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum pause before jitter, unless the server requests a longer pause.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds or fails permanently, or until too little time is left for another pause. The time
/// limit is `retry_for`, or the deadline if that is earlier. Errors contain `label`, the request's purpose. Adds the
/// number of attempts to the last error.
///
/// # Errors
/// The last failure; [`Status::Aborted`]; [`Status::Timeout`] if the deadline passed before an attempt.
fn run_with_retries<T>(
    clock: &dyn Clock,
    retry_for: Duration,
    bounds: &Bounds<'_>,
    label: &dyn std::fmt::Display,
    mut attempt: impl FnMut() -> std::result::Result<T, AttemptError>,
) -> Result<T> {
    let limits = [clock.now().checked_add(retry_for), bounds.deadline.moment()];
    let end = limits.into_iter().flatten().min();
    let mut attempts = 0_u32;
    loop {
        check_bounds(clock, bounds, label)?;
        attempts += 1;
        let (error, retry_after) = match attempt() {
            Ok(value) => return Ok(value),
            Err(_) if (bounds.aborted)() => return Err(errors::aborted_error(label)),
            Err(failure) if failure.is_transient => (failure.error, failure.retry_after),
            Err(failure) => return Err(with_attempts(failure.error, attempts)),
        };
        // Pauses for at least the time that the server requested. Fails if the pause would not end in time.
        let pause = retry_after.unwrap_or_default().max(backoff(attempts, random()));
        let next_attempt = clock.now().checked_add(pause);
        let has_time = next_attempt.is_some_and(|time| end.is_none_or(|end| time < end));
        if !has_time {
            return Err(match retry_after {
                Some(retry_after) if retry_after > MAX_PAUSE => with_attempts(error, attempts)
                    .with_operation(&format!("the server requests a retry in {} s", retry_after.as_secs())),
                _ => with_attempts(error, attempts),
            });
        }
        // Warns at the first retry, so that a user can see why the call takes so long.
        let level = if attempts == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; retrying in {} ms", pause.as_millis());
        sleep(clock, pause, bounds, label)?;
    }
}

/// Sleeps for `pause`. Fails as soon as the host aborts the call or the deadline passes.
fn sleep(clock: &dyn Clock, pause: Duration, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    let mut remaining = pause;
    while !remaining.is_zero() {
        check_bounds(clock, bounds, label)?;
        let step = remaining.min(POLL);
        clock.sleep(step);
        remaining -= step;
    }
    Ok(())
}

/// Fails if the host has aborted the call or the deadline has passed. `label` is the request's purpose.
fn check_bounds(clock: &dyn Clock, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(errors::aborted_error(label));
    }
    if bounds.deadline.moment().is_some_and(|moment| clock.has_passed(moment)) {
        return Err(Error::new(
            Status::Timeout,
            format!("cannot {label}: the timeout passed before the request; allow more time"),
        ));
    }
    Ok(())
}

/// Adds the number of attempts to the message if there were several attempts.
fn with_attempts(mut error: Error, attempts: u32) -> Error {
    if attempts > 1 {
        error.message = format!("{} (tried {attempts} times)", error.message);
    }
    error
}

/// Returns the pause after this number of attempts. Each pause is twice as long as the one before, up to [`MAX_PAUSE`].
/// `random`, which may be any number, changes the pause by up to 25 %, so that processes that failed together do not
/// retry together.
fn backoff(attempts: u32, random: u32) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(MAX_PAUSE);
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns a random number, derived from the random seed of std's hash tables.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
