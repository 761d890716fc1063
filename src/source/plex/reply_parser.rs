//! Parses replies from memory as if a server had sent them, for the fuzz targets.

use std::time::Duration;

use ureq::Body;

use super::super::contract::{Bounds, Event, Meter, RequestKind};
use super::event_parser::EventLines;
use super::replies;
use super::replies::{Reply, ReplyKind};
use super::reply_body::{self, BodyProgress, Buffers, RequestMeter};

/// Ignores all measurements.
struct Unmetered;

impl Meter for Unmetered {
    fn record_request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// Parses a reply with the expected content `kind`. `encoding` is the reply's `Content-Encoding`, and `limit` the
/// maximum size in bytes after decompression. Returns the reply, and whether it could be parsed.
#[must_use]
pub fn reply(bytes: &[u8], encoding: Option<&str>, limit: u64, kind: ReplyKind) -> (Reply, bool) {
    let mut reply = Reply::new(kind);
    let request_meter = RequestMeter::new(&Unmetered, RequestKind::Page);
    let progress = BodyProgress::new(&request_meter, &Bounds::NONE);
    let body = Body::builder().data(bytes.to_vec());
    let read = reply_body::read_reply(body, encoding, limit, &progress, &Buffers::default(), &mut reply);
    replies::make_uuids_unique(&mut reply.libraries);
    (reply, read.is_ok())
}

/// Parses an event stream that arrives in `pieces`. Passes the events to `each` until `each` returns `false`.
pub fn parse_event_stream<'p>(pieces: impl Iterator<Item = &'p [u8]>, each: &mut dyn FnMut(Event) -> bool) {
    let mut lines = EventLines::default();
    for piece in pieces {
        if !lines.feed(piece, each) {
            return;
        }
    }
}
