//! Listening: one request whose answer is a stream of events.

use std::io::Read;

use ureq::http::Method;

use super::super::contract::{Bounds, Event, RequestKind};
use super::body::BodyError;
use super::client::PlexHttp;
use super::errors::RequestContext;
use super::events;
use super::exchange::{Followed, SuccessReply};
use super::question::What;
use super::retry::AttemptError;
use super::transport;
use super::url::Target;

/// Where the events are. Names of events that are not known are no error; servers that know no filter send all.
pub(super) const EVENTS: &str = "/:/eventsource/notifications?filters=timeline,activity,status";

impl PlexHttp {
    /// Reads a stream of events until one side ends it.
    pub(super) fn listen(
        &self,
        target: &Target,
        bounds: &Bounds<'_>,
        sink: &mut dyn FnMut(Event) -> bool,
    ) -> std::result::Result<Followed<()>, AttemptError> {
        let asked = RequestContext {
            silence: self.silence,
            connect_timeout: self.transport.connect_timeout().min(transport::STREAM_CONNECT),
            ..self.asked(&What::Events, true, target)
        };
        let request = self.request(Method::GET, target, true, bounds);
        let request = request.header("Accept", "text/event-stream");
        let SuccessReply { measured, parts, body } = match self.deliver(request, &asked, RequestKind::Events, bounds)? {
            Followed::Done(answer) => answer,
            Followed::Moved(next) => return Ok(Followed::Moved(next)),
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
                Err(error) => return Err(asked.broken(BodyError::Wire(error.into()), 0)),
            }
        }
        Ok(Followed::Done(()))
    }
}

/// Whether a content type is one that events come in: names count without case, and what follows them does not count.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}
