//! Answers that are in memory already, read as they would be from a server: what the fuzz targets ask of this folder.

use std::io::Read;
use std::time::Duration;

use ureq::Body;

use super::super::contract::{Bounds, Event, Meter, RequestKind};
use super::body::{self, Buffers, Measured, Progress};
use super::events::Lines;
use super::sections;
use super::wire::{self, Head, Lists, Rows};
use crate::model::{Item, ItemType, Library};

/// What an answer is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its head only: identity and version.
    Head,
    /// Libraries.
    Libraries,
    /// Items, of which this many are taken at most.
    Items(ItemType, u64),
}

/// What an answer said beside its rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// A Plex server answered.
    pub is_plex: bool,
    /// How many rows there are, and which is the first.
    pub total: Option<u64>,
    /// As above.
    pub offset: Option<u64>,
    /// Who answered.
    pub machine_identifier: Option<String>,
    /// Its version.
    pub version: Option<String>,
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
    pub head: Option<Beside>,
    /// It ended because it had too many rows, or too large ones.
    pub is_over: bool,
}

struct Unmetered;

impl Meter for Unmetered {
    fn request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// Reads an answer that is held in memory, of at most `limit` bytes after decompression.
#[must_use]
pub fn held(bytes: &[u8], encoding: Option<&str>, limit: u64, wanted: Wanted) -> Answered {
    read(wanted, &mut |lists| {
        let measured = Measured::new(&Unmetered, RequestKind::Page);
        let progress = Progress::new(&measured, &Bounds::NONE);
        let body = Body::builder().data(bytes.to_vec());
        body::parse(body, encoding, limit, &progress, &Buffers::default(), lists).ok()
    })
}

/// Reads an answer as one that is too large to be held: while it comes.
#[must_use]
pub fn streamed(reader: impl Read, wanted: Wanted) -> Answered {
    let mut reader = Some(reader);
    read(wanted, &mut |lists| {
        wire::read_stream(reader.take()?, lists, &|| true).ok()
    })
}

fn read(wanted: Wanted, parse: &mut dyn FnMut(&mut Lists<'_>) -> Option<Head>) -> Answered {
    let mut items = Vec::new();
    let mut sink = |item, _| items.push(item);
    let mut lists = match wanted {
        Wanted::Head => Lists::None,
        Wanted::Libraries => Lists::Libraries(Vec::new()),
        Wanted::Items(kind, most) => Lists::Rows(Rows::new(kind, most, &mut sink)),
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
        head: head.map(|head| Beside {
            is_plex: head.is_plex,
            total: head.total,
            offset: head.offset,
            machine_identifier: head.machine_identifier,
            version: head.version,
        }),
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
