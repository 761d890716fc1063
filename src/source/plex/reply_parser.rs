//! Parses replies from memory as if a server had sent them, for the fuzz targets.

use std::time::Duration;

use ureq::Body;

use super::super::contract::{Bounds, Event, Meter, RequestKind};
use super::event_parser::EventLines;
pub use super::replies::ReplyMetadata;
use super::replies::{self, ReplyContent, RowReader};
use super::reply_body::{self, BodyProgress, Buffers, RequestMeter};
use crate::model::{Item, ItemType, Library};

/// The expected content of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// Only the machine identifier and version.
    Head,
    /// Libraries.
    Libraries,
    /// Items, with their type and maximum number.
    Items(ItemType, u64),
}

/// The content of a parsed reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ParsedReply {
    /// The items, including those before a failure.
    pub items: Vec<Item>,
    /// Number of rows, including unusable rows.
    pub rows: u64,
    /// The libraries, with unique uuids.
    pub libraries: Vec<Library>,
    /// The reply's metadata; `None` if the reply could not be parsed.
    pub head: Option<ReplyMetadata>,
    /// Whether the reply had too many rows, or rows that were too large.
    pub exceeds_limit: bool,
}

/// Ignores all measurements.
struct Unmetered;

impl Meter for Unmetered {
    fn record_request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// Parses a reply with the expected content `kind`. `encoding` is the reply's `Content-Encoding`, and `limit` the
/// maximum size in bytes after decompression.
#[must_use]
pub fn reply(bytes: &[u8], encoding: Option<&str>, limit: u64, kind: ReplyKind) -> ParsedReply {
    let mut items = Vec::new();
    let mut sink = |item, _| items.push(item);
    let mut content = match kind {
        ReplyKind::Head => ReplyContent::None,
        ReplyKind::Libraries => ReplyContent::Libraries(Vec::new()),
        ReplyKind::Items(item_type, max_rows) => ReplyContent::Rows(RowReader::new(item_type, max_rows, &mut sink)),
    };
    let request_meter = RequestMeter::new(&Unmetered, RequestKind::Page);
    let progress = BodyProgress::new(&request_meter, &Bounds::NONE);
    let body = Body::builder().data(bytes.to_vec());
    let head = reply_body::read_reply(body, encoding, limit, &progress, &Buffers::default(), &mut content).ok();
    let (mut libraries, mut rows, mut exceeds_limit) = (Vec::new(), 0, false);
    match content {
        ReplyContent::None => {}
        ReplyContent::Libraries(list) => libraries = list,
        ReplyContent::Rows(reader) => (rows, exceeds_limit) = (reader.count, reader.max_rows_if_exceeded().is_some()),
    }
    replies::make_uuids_unique(&mut libraries);
    ParsedReply {
        items,
        rows,
        libraries,
        head,
        exceeds_limit,
    }
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
