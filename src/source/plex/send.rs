//! Sends a request, retries transient failures, and omits optional arguments that a server rejects. Receives events: the
//! reply to one request that never ends.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Result, Status};
use crate::model::Item;

use super::super::contract::{Bounds, Event, RequestKind};
use super::errors::NOT_EVENT_STREAM;
use super::event_parser;
use super::plex_http::PlexHttp;
use super::replies::{Reply, ReplyKind};
use super::reply_body::{self, BodyError, BodyProgress};
use super::retry::{self, AttemptError, Refusal};
use super::round_trip::SuccessReply;
use super::server_request::{MAX_ROWS, OVERSIZE_FACTOR, Omitted, RowsRequest, ServerRequest};

/// Number of replies with status 500, which may be transient, after which plexindex omits the optional arguments. It
/// does so earlier if no time is left for another retry.
const MAX_REFUSALS: u32 = 3;

impl PlexHttp {
    /// Sends a request that changes something on the server. Such requests are idempotent, so plexindex retries even a
    /// request that the server may have carried out.
    pub(super) fn command(&self, request: &ServerRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        retry::run_with_retries(&*self.clock, self.retry_for, &bounds, &request.purpose, || {
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
                    self.meter.record_received_bytes(amount as u64);
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
        let result = retry::run_with_retries(&*self.clock, retry_for, bounds, &request.purpose, || {
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
            // The remaining time of this call is pauses, which the meter records.
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
        self.meter.record_pause(started_at.elapsed().saturating_sub(busy_time));
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
