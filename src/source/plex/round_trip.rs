//! Sends one request and reads the status and headers of the reply. Classifies failures.

use std::time::Duration;

use ureq::Body;
use ureq::http::{Method, Request, StatusCode, response};

use crate::error::Status;
use crate::model::{LONGEST_KEY, OWN_IDENTIFIER};

use super::super::contract::{Bounds, RequestKind};
use super::errors::{self, ErrorContext};
use super::plex_http::PlexHttp;
use super::replies::{Reply, ReplyKind};
use super::reply_body::{self, BodyError, BodyProgress, RequestMeter};
use super::retry::{self, AttemptError};
use super::server_request::{Omitted, ServerRequest};
use super::transport::{STREAM_CONNECT, token_placeholder};

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
        let request_meter = RequestMeter::new(&*self.meter, request.kind);
        // Sends the request. The event stream has its own connection, which another thread can close.
        let silence = errors.max_silence;
        let result = match request.kind {
            RequestKind::Events => self.transport.open_stream(http_request, silence, bounds.aborted),
            _ => self.transport.send(http_request, time_left, silence).map(Some),
        };
        request_meter.record_headers_arrival();
        let response = match result {
            Ok(Some(response)) => response,
            Ok(None) => {
                request_meter.cancel();
                return Err(retry::aborted_error(&request.purpose).into());
            }
            // Without a reply, the meter counts the request only if the server may have received it.
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
        let retry_after = header("retry-after").and_then(|text| retry::parse_retry_after(text, self.clock.now_ms()));
        Err(errors.status_error(parts.status.as_u16(), retry_after, &body_start))
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
        let (method, accept) = match request.kind {
            RequestKind::Events => (Method::GET, "text/event-stream"),
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
