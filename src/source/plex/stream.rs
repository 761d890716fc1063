//! Receives events: one request with a stream of events as reply.

use std::io::Read;

use super::super::contract::{Bounds, Event};
use super::body::BodyError;
use super::client::PlexHttp;
use super::events;
use super::question::ServerRequest;
use super::retry::AttemptError;
use super::round_trip::SuccessReply;

impl PlexHttp {
    /// Receives events until one side ends the stream.
    pub(super) fn listen(
        &self,
        bounds: &Bounds<'_>,
        sink: &mut dyn FnMut(Event) -> bool,
    ) -> std::result::Result<(), AttemptError> {
        let question = ServerRequest::events();
        let SuccessReply {
            measured,
            parts,
            body,
            target,
        } = self.round_trip(&question, false, bounds)?;
        let context = self.context(&question, &target, bounds);
        drop(measured); // counts the request now: the stream may last for weeks
        let kind = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        if !kind.is_none_or(is_event_stream) {
            return Err(context.no_stream());
        }
        let mut body = body.into_with_config().limit(u64::MAX).reader();
        let mut lines = events::EventLines::default();
        let mut buffer = vec![0; 16 << 10];
        let mut go_on = sink(Event::Connected);
        while go_on && !(bounds.aborted)() {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => {
                    self.meter.received(amount as u64);
                    go_on = lines.feed(buffer.get(..amount).unwrap_or_default(), sink);
                }
                Err(_) if (bounds.aborted)() => break,
                Err(error) => return Err(context.unusable_body(BodyError::Wire(error.into()), 0)),
            }
        }
        Ok(())
    }
}

/// Returns whether a content type is that of an event stream, ignoring case and parameters.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}
