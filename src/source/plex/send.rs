//! Sends a request, classifies failures, retries transient failures with growing pauses, within a time limit, and omits
//! optional arguments that a server rejects.
//!
//! Reads the body of the reply: counts its bytes, decompresses it, limits its size, and parses it. The limit is
//! necessary, because a small compressed body may be huge when decompressed.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::http::{Method, Request, StatusCode, response};
use ureq::{Body, Timeout};

use super::super::contract::{Bounds, Counters, MAX_PAGE_ROWS, RequestKind};
use super::errors::{self, AttemptError, BodyError, ErrorContext, Refusal};
use super::plex_http::PlexHttp;
use super::replies::{self, Reply, ReplyKind};
use super::transport::{
    OVERSIZE_FACTOR, Omitted, RequestPurpose, RowsRequest, STREAM_CONNECT, ServerRequest, token_placeholder,
};
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
            read_beginning(reply.body, None, &BodyProgress::new(&reply.request_meter, &bounds));
            Ok(())
        })
        .map_err(|error| self.scrub(error))
    }

    /// Returns how many rows, at most `max_rows`, to request in a page, so that it arrives in time.
    pub(super) fn rows_in_time(&self, max_rows: u32, bounds: &Bounds<'_>) -> u32 {
        let limits = [
            Some(self.transport.read_timeout),
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
        let max_rows = OVERSIZE_FACTOR * u64::from(rows_request.size.max(MAX_PAGE_ROWS));
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
        let progress = BodyProgress {
            max_silence: errors.max_silence,
            ..BodyProgress::new(&request_meter, bounds)
        };
        // Reads and parses the body. An exceeded limit explains a failure better than the parser's own error.
        *reply = Reply::new(reply.kind);
        let result = read_reply(body, encoding, request.max_reply_bytes, &progress, reply);
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
        request_meter.waited.set(request_meter.started.elapsed());
        let response = match result {
            Ok(Some(response)) => response,
            Ok(None) => {
                request_meter.was_sent.set(false);
                return Err(errors::aborted_error(&request.purpose).into());
            }
            // Without a reply, counts the request only if the server may have received it.
            Err(error) => {
                if !errors::may_be_sent(&error) {
                    request_meter.was_sent.set(false);
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
        let body_start = read_beginning(body, header("content-encoding"), &progress);
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
        let (connect_timeout, read_timeout) = (self.transport.connect_timeout, self.transport.read_timeout);
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
            purpose: &request.purpose,
            path: request.path_without_query(),
            names_item: matches!(request.purpose, RequestPurpose::RefreshItem(_)),
            with_token: request.with_token,
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

/// Maximum number of bytes to examine in an unexpected reply.
const MAX_EXAMINED: usize = 8 << 10;

/// Measures one request, and counts it when dropped.
pub(super) struct RequestMeter<'m> {
    counters: &'m Counters,
    kind: RequestKind,
    started: Instant,
    /// Time spent waiting for the server; the remaining time is parsing.
    waited: Cell<Duration>,
    /// Number of received bytes of the body, before decompression.
    bytes: Cell<u64>,
    /// Whether to report the request. `true` from the start; `false` once the caller reports that nothing was sent.
    was_sent: Cell<bool>,
}

impl<'m> RequestMeter<'m> {
    /// Starts to measure a request that is about to be sent. The request counts as sent unless the caller resets
    /// `was_sent`.
    pub fn new(counters: &'m Counters, kind: RequestKind) -> Self {
        Self {
            counters,
            kind,
            started: Instant::now(),
            waited: Cell::new(Duration::ZERO),
            bytes: Cell::new(0),
            was_sent: Cell::new(true),
        }
    }
}

impl Drop for RequestMeter<'_> {
    /// Counts the request, unless nothing was sent.
    fn drop(&mut self) {
        if self.was_sent.get() {
            let waited = self.waited.get();
            self.counters.record_request(self.kind, self.bytes.get(), waited);
            let parsing = self.started.elapsed().saturating_sub(waited);
            self.counters.add_time(Activity::Parse, parsing);
        }
    }
}

/// State that one body's readers and parser share.
pub(super) struct BodyProgress<'a> {
    request_meter: &'a RequestMeter<'a>,
    bounds: &'a Bounds<'a>,
    /// The first failure, stored here because an error that passes through other crates loses everything but its text.
    failure: RefCell<Option<BodyError>>,
    /// Number of bytes after decompression.
    decompressed: Cell<u64>,
    rows: Cell<u64>,
    /// Maximum time for [`TRICKLE`] bytes.
    max_silence: Duration,
}

impl<'a> BodyProgress<'a> {
    /// Creates the state for a body that has not been read yet.
    pub fn new(request_meter: &'a RequestMeter<'a>, bounds: &'a Bounds<'a>) -> Self {
        Self {
            request_meter,
            bounds,
            failure: RefCell::default(),
            decompressed: Cell::new(0),
            rows: Cell::new(0),
            max_silence: Duration::MAX,
        }
    }

    /// Counts a parsed row. Returns `false` if the host has aborted the call or its deadline has passed.
    fn count_row(&self) -> bool {
        self.rows.set(self.rows.get() + 1);
        if (self.bounds.aborted)() {
            self.record_failure(BodyError::Aborted);
            return false;
        }
        // Checks the deadline only once per 64 rows, because reading the clock is slow.
        if self.rows.get().is_multiple_of(64) && self.bounds.deadline.has_passed() {
            self.record_failure(BodyError::Timeout);
            return false;
        }
        true
    }

    /// Records a failure, unless an earlier failure is recorded. Returns an error that stops the reader.
    fn record_failure(&self, failure: BodyError) -> io::Error {
        self.failure.borrow_mut().get_or_insert(failure);
        // The error is not `Interrupted`, because readers would retry.
        io::Error::other("see BodyProgress::failure")
    }

    /// Removes and returns the recorded failure; `None` if there is none.
    fn take_failure(&self) -> Option<BodyError> {
        self.failure.borrow_mut().take()
    }
}

/// Fewer bytes, within the time that a server may be silent, are silence, too.
const TRICKLE: u64 = 1 << 10;

/// The body as transferred. This reader counts the bytes and measures the waiting time.
struct CountedBody<'a> {
    body: ureq::BodyReader<'static>,
    progress: &'a BodyProgress<'a>,
    /// When [`TRICKLE`] bytes had last arrived, and how many bytes it were in total.
    last_progress: (Instant, u64),
}

impl Read for CountedBody<'_> {
    /// Reads from the connection, unless the host has aborted the call.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if (self.progress.bounds.aborted)() {
            return Err(self.progress.record_failure(BodyError::Aborted));
        }
        let read_start = Instant::now();
        let result = self.body.read(buf);
        let request_meter = self.progress.request_meter;
        request_meter
            .waited
            .set(request_meter.waited.get() + read_start.elapsed());
        let amount = result.map_err(|error| self.progress.record_failure(BodyError::Connection(error.into())))?;
        let total = request_meter.bytes.get() + amount as u64;
        request_meter.bytes.set(total);
        let (since, bytes) = self.last_progress;
        if total - bytes >= TRICKLE {
            self.last_progress = (Instant::now(), total);
        } else if amount > 0 && since.elapsed() > self.progress.max_silence {
            let silence = BodyError::Connection(ureq::Error::Timeout(Timeout::PerRead));
            return Err(self.progress.record_failure(silence));
        }
        Ok(amount)
    }
}

/// The body as transferred, with its first bytes, which show the compression.
type PeekedBody<'a> = io::Chain<io::Cursor<Vec<u8>>, CountedBody<'a>>;

/// A reader for a decompressed body. Reading fails beyond a size limit.
struct LimitedBody<'a> {
    inner: Box<dyn Read + 'a>,
    /// Maximum number of bytes after decompression.
    limit: u64,
    progress: &'a BodyProgress<'a>,
}

impl Read for LimitedBody<'_> {
    /// Reads decompressed bytes. Fails beyond the limit, after the deadline, or if the host has aborted the call.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let progress = self.progress;
        let decompressed = progress.decompressed.get();
        if decompressed > self.limit {
            return Err(progress.record_failure(BodyError::TooLarge(self.limit)));
        }
        let amount = self.inner.read(buf).map_err(|error| {
            // If `CountedBody` has already recorded the cause, `record_failure` ignores this failure.
            progress.record_failure(BodyError::Compression(error.to_string()))
        })?;
        progress.decompressed.set(decompressed + amount as u64);
        // Decompression may take long without reading from the connection.
        if (progress.bounds.aborted)() {
            return Err(progress.record_failure(BodyError::Aborted));
        }
        if progress.bounds.deadline.has_passed() {
            return Err(progress.record_failure(BodyError::Timeout));
        }
        Ok(amount)
    }
}

/// UTF-8's byte order mark, which some proxies add.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads and parses a body. `limit` is the maximum size after decompression, and `encoding` the reply's
/// `Content-Encoding`. Adds complete rows to `reply`, even if the body fails midway.
///
/// # Errors
/// The reason why the body is unusable.
pub(super) fn read_reply(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &BodyProgress<'_>,
    reply: &mut Reply,
) -> Result<(), BodyError> {
    let mut body = peek(body, progress)?;
    let mut reader = decode_body(&mut body, encoding, limit, progress)?;
    let mut buffer = Vec::new();
    let read_result = reader.read_to_end(&mut buffer).map(drop);
    drop(reader);
    // If compressed data has ended, reads the rest of the body as transferred, so that `ureq` can reuse the connection.
    // Usually nothing follows. If much follows, stops early, and `ureq` closes the connection.
    if read_result.is_ok() {
        let _ = io::copy(&mut body.take(MAX_EXAMINED as u64), &mut io::sink());
    }
    if buffer.starts_with(BYTE_ORDER_MARK) {
        buffer.drain(..BYTE_ORDER_MARK.len());
    }
    if let Err(error) = read_result {
        let failure = progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Compression(error.to_string()));
        // The complete rows before the failure are valid, unless the body does not match its checksum.
        if !matches!(failure, BodyError::Aborted | BodyError::Compression(_)) {
            let _ = replies::parse_reply(&buffer, reply, &|| true);
        }
        return Err(failure);
    }
    // Every reply from Plex is a JSON object. Other bodies, such as web pages, need their own error.
    match buffer.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(_) => {
            buffer.truncate(MAX_EXAMINED);
            return Err(BodyError::NotJsonObject(buffer));
        }
        None => return Err(BodyError::Empty),
    }
    replies::parse_reply(&buffer, reply, &|| progress.count_row()).map_err(|error| {
        progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Malformed(error.to_string()))
    })
}

/// Returns the first [`MAX_EXAMINED`] bytes of an unexpected body, for the error message. Never fails; omits the part
/// that cannot be read.
pub(super) fn read_beginning(body: Body, encoding: Option<&str>, progress: &BodyProgress<'_>) -> Vec<u8> {
    let mut beginning = Vec::new();
    if let Ok(mut body) = peek(body, progress)
        && let Ok(reader) = decode_body(&mut body, encoding, MAX_EXAMINED as u64, progress)
    {
        let _ = reader.take(MAX_EXAMINED as u64).read_to_end(&mut beginning);
    }
    beginning
}

/// Returns a reader for the body as transferred. Fails if the body's first bytes cannot be read.
fn peek<'a>(body: Body, progress: &'a BodyProgress<'a>) -> Result<PeekedBody<'a>, BodyError> {
    let mut counted = CountedBody {
        // Disables `ureq`'s limit, because `LimitedBody` has its own.
        body: body.into_with_config().limit(u64::MAX).reader(),
        progress,
        last_progress: (Instant::now(), progress.request_meter.bytes.get()),
    };
    let mut start = Vec::new();
    if let Err(error) = (&mut counted).take(2).read_to_end(&mut start) {
        let failure = progress.take_failure();
        return Err(failure.unwrap_or_else(|| BodyError::Compression(error.to_string())));
    }
    Ok(io::Cursor::new(start).chain(counted))
}

/// Returns a reader for the decompressed body. Fails if the compression is unknown.
///
/// The body's first bytes identify gzip, because some proxies compress a reply without saying so.
fn decode_body<'a>(
    body: &'a mut PeekedBody<'_>,
    encoding: Option<&str>,
    limit: u64,
    progress: &'a BodyProgress<'a>,
) -> Result<LimitedBody<'a>, BodyError> {
    let encoding = encoding.map_or(String::new(), |name| name.trim().to_ascii_lowercase());
    let is_gzip = body.get_ref().0.get_ref()[..] == [0x1f, 0x8b];
    let inner: Box<dyn Read + 'a> = match encoding.as_str() {
        "gzip" | "x-gzip" => Box::new(GzDecoder::new(body)),
        "" | "identity" if is_gzip => Box::new(GzDecoder::new(body)),
        "" | "identity" => Box::new(body),
        unknown => {
            let shown: String = unknown.chars().take(40).collect();
            return Err(BodyError::Compression(format!("unexpected encoding {shown:?}")));
        }
    };
    Ok(LimitedBody { inner, limit, progress })
}

/// Parses a reply from memory as if a server had sent it, for the fuzz targets: a reply with the expected content `kind`.
/// `encoding` is the reply's `Content-Encoding`, and `limit` the maximum size in bytes after decompression. Returns the
/// reply, and whether it could be parsed.
#[cfg(feature = "testing")]
#[must_use]
pub fn reply_from_memory(bytes: &[u8], encoding: Option<&str>, limit: u64, kind: ReplyKind) -> (Reply, bool) {
    let mut reply = Reply::new(kind);
    let counters = Counters::default();
    let request_meter = RequestMeter::new(&counters, RequestKind::Page);
    let progress = BodyProgress::new(&request_meter, &Bounds::NONE);
    let body = Body::builder().data(bytes.to_vec());
    let read = read_reply(body, encoding, limit, &progress, &mut reply);
    replies::make_uuids_unique(&mut reply.libraries);
    (reply, read.is_ok())
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
