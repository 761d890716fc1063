//! Receives events: one request whose reply, the event stream, never ends.

use std::io::Read;

use super::super::contract::{Bounds, Event};
use super::errors::NOT_EVENT_STREAM;
use super::event_parser;
use super::plex_http::PlexHttp;
use super::reply_body::BodyError;
use super::retry::AttemptError;
use super::round_trip::SuccessReply;
use super::server_request::{Omitted, ServerRequest};
use crate::error::Status;

impl PlexHttp {
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
}

/// Returns whether this is the content type of an event stream. Ignores case and parameters.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    // A newer description of Plex's API names the second type.
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|expected| name.eq_ignore_ascii_case(expected))
}
