//! Answers that are in memory already, read as they would be from a server: what the fuzz targets ask of this folder.

use std::io::Read;
use std::time::Duration;

use ureq::Body;

use super::super::contract::{Bounds, Event, Meter, RequestKind};
use super::body::{self, BodyProgress, Buffers, RequestMeter};
use super::events::Lines;
use super::sections;
pub use super::wire::ReplyHead;
use super::wire::{self, Lists, ReplyRows};
use crate::model::{Item, ItemType, Library};

/// What an answer is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// Its head only: identity and version.
    Head,
    /// Libraries.
    Libraries,
    /// Items, of which this many are taken at most.
    Items(ItemType, u64),
}

/// What an answer said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The items that were handed over, also of an answer that failed later.
    pub items: Vec<Item>,
    /// Rows, those that were not handed over included.
    pub rows: u64,
    /// The libraries, told apart.
    pub libraries: Vec<Library>,
    /// What stood beside the rows; `None` when the answer could not be read.
    pub head: Option<ReplyHead>,
    /// It ended because it had too many rows, or too large ones.
    pub is_over: bool,
}

struct Unmetered;

impl Meter for Unmetered {
    fn request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// Reads an answer that is held in memory, of at most `limit` bytes after decompression.
#[must_use]
pub fn held(bytes: &[u8], encoding: Option<&str>, limit: u64, wanted: ReplyKind) -> Answered {
    read(wanted, &mut |lists| {
        let measured = RequestMeter::new(&Unmetered, RequestKind::Page);
        let progress = BodyProgress::new(&measured, &Bounds::NONE);
        let body = Body::builder().data(bytes.to_vec());
        body::parse(body, encoding, limit, &progress, &Buffers::default(), lists).ok()
    })
}

/// Reads an answer as one that is too large to be held: while it comes.
#[must_use]
pub fn streamed(reader: impl Read, wanted: ReplyKind) -> Answered {
    let mut reader = Some(reader);
    read(wanted, &mut |lists| {
        wire::read_stream(reader.take()?, lists, &|| true).ok()
    })
}

fn read(wanted: ReplyKind, parse: &mut dyn FnMut(&mut Lists<'_>) -> Option<ReplyHead>) -> Answered {
    let mut items = Vec::new();
    let mut sink = |item, _| items.push(item);
    let mut lists = match wanted {
        ReplyKind::Head => Lists::None,
        ReplyKind::Libraries => Lists::Libraries(Vec::new()),
        ReplyKind::Items(kind, most) => Lists::Rows(ReplyRows::new(kind, most, &mut sink)),
    };
    let head = parse(&mut lists);
    let (mut libraries, mut rows, mut is_over) = (Vec::new(), 0, false);
    match lists {
        Lists::None => {}
        Lists::Libraries(list) => libraries = list,
        Lists::Rows(seen) => (rows, is_over) = (seen.count, seen.is_over().is_some()),
    }
    sections::tell_apart(&mut libraries);
    Answered {
        items,
        rows,
        libraries,
        head,
        is_over,
    }
}

/// The events of a stream that comes in these pieces.
pub fn stream<'p>(pieces: impl Iterator<Item = &'p [u8]>, each: &mut dyn FnMut(Event) -> bool) {
    let mut lines = Lines::default();
    for piece in pieces {
        if !lines.take(piece, each) {
            return;
        }
    }
}
