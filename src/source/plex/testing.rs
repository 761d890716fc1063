//! Parses replies from memory as if they came from a server, for the fuzz targets.

use std::time::Duration;

use ureq::Body;

use super::super::contract::{Bounds, Event, Meter, RequestKind};
use super::body::{self, BodyProgress, Buffers, RequestMeter};
use super::events::EventLines;
use super::sections;
pub use super::wire::ReplyHead;
use super::wire::{Lists, ReplyRows};
use crate::model::{Item, ItemType, Library};

/// The expected content of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// Only the head: identity and version.
    Head,
    /// Libraries.
    Libraries,
    /// Items: their type, and their maximum number.
    Items(ItemType, u64),
}

/// The content of a parsed reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ParsedReply {
    /// Items passed on, also from a reply that failed later.
    pub items: Vec<Item>,
    /// Number of rows, including unusable ones.
    pub rows: u64,
    /// The libraries, with unique uuids.
    pub libraries: Vec<Library>,
    /// The head; `None` if the reply could not be parsed.
    pub head: Option<ReplyHead>,
    /// The reply had too many or too large rows.
    pub is_over: bool,
}

struct Unmetered;

impl Meter for Unmetered {
    fn request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// Parses a reply of at most `limit` bytes after decompression.
#[must_use]
pub fn reply(bytes: &[u8], encoding: Option<&str>, limit: u64, wanted: ReplyKind) -> ParsedReply {
    let mut items = Vec::new();
    let mut sink = |item, _| items.push(item);
    let mut lists = match wanted {
        ReplyKind::Head => Lists::None,
        ReplyKind::Libraries => Lists::Libraries(Vec::new()),
        ReplyKind::Items(kind, most) => Lists::Rows(ReplyRows::new(kind, most, &mut sink)),
    };
    let measured = RequestMeter::new(&Unmetered, RequestKind::Page);
    let progress = BodyProgress::new(&measured, &Bounds::NONE);
    let body = Body::builder().data(bytes.to_vec());
    let head = body::parse(body, encoding, limit, &progress, &Buffers::default(), &mut lists).ok();
    let (mut libraries, mut rows, mut is_over) = (Vec::new(), 0, false);
    match lists {
        Lists::None => {}
        Lists::Libraries(list) => libraries = list,
        Lists::Rows(seen) => (rows, is_over) = (seen.count, seen.is_over().is_some()),
    }
    sections::make_uuids_unique(&mut libraries);
    ParsedReply {
        items,
        rows,
        libraries,
        head,
        is_over,
    }
}

/// Parses an event stream that arrives in these pieces.
pub fn stream<'p>(pieces: impl Iterator<Item = &'p [u8]>, each: &mut dyn FnMut(Event) -> bool) {
    let mut lines = EventLines::default();
    for piece in pieces {
        if !lines.feed(piece, each) {
            return;
        }
    }
}
