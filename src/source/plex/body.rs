//! Reading the body of an answer: counted as it comes over the wire, decompressed, limited, and parsed.
//!
//! Bodies up to [`HELD`] are read into a buffer that is used again, and parsed there, which is several times faster
//! than parsing while reading. What is larger goes on from that buffer into a streaming parser, and ends at its limit:
//! little on the wire may be much when it is decompressed, and memory must not grow with it.

use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::Body;

use crate::platform::mutex::lock;

use super::super::contract::{Bounds, Meter, RequestKind};
use super::wire::{self, Lists, ReplyHead};

/// Up to this size a body is held in memory. A page of 1,000 movies takes 1.3 MB.
const HELD: usize = 8 << 20;

/// The most that one row, or anything before or behind the rows, may take: more than what is held before a row is parsed.
const ROW_LIMIT: u64 = 2 * HELD as u64;

/// How much of a page that is no answer is looked at.
const PAGE: usize = 8 << 10;

/// Why a body could not be used.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The host wants to stop.
    Aborted,
    /// The deadline passed while rows were decompressed or parsed.
    Timeout,
    /// The connection failed.
    Wire(ureq::Error),
    /// It was compressed in a way that is not understood, or badly.
    Compression(String),
    /// It was larger than this many bytes.
    TooLarge(u64),
    /// It had more rows than this, or took more memory than any page.
    TooManyRows(u64),
    /// There was nothing in it.
    Empty,
    /// It began like no JSON object; this is its beginning.
    NoJson(Vec<u8>),
    /// The JSON was malformed, or ended too early.
    Malformed(String),
}

/// One request: what it costs is told to the meter when this is dropped, however it ended.
pub(super) struct RequestMeter<'m> {
    meter: &'m dyn Meter,
    kind: RequestKind,
    started: Instant,
    waited: Cell<Duration>,
    /// For the head.
    waited_for_head: Cell<Duration>,
    bytes: Cell<u64>,
    sent: Cell<bool>,
}

impl<'m> RequestMeter<'m> {
    /// Starts the clock of a request that is about to be sent.
    pub fn new(meter: &'m dyn Meter, kind: RequestKind) -> Self {
        Self {
            meter,
            kind,
            started: Instant::now(),
            waited: Cell::new(Duration::ZERO),
            waited_for_head: Cell::new(Duration::ZERO),
            bytes: Cell::new(0),
            sent: Cell::new(true),
        }
    }

    /// The head arrived just now, or would have.
    pub fn head_came(&self) {
        self.waited.set(self.started.elapsed());
        self.waited_for_head.set(self.waited.get());
    }

    /// A piece of the body was waited for since then.
    fn waited_since(&self, begun: Instant) {
        self.waited.set(self.waited.get() + begun.elapsed());
    }

    /// Whether the body came so slowly that a packed one would have been here sooner, however long packing it takes. `None`: it
    /// is too short to tell.
    pub fn is_slow(&self) -> Option<bool> {
        is_slow(
            self.bytes.get(),
            self.waited.get().saturating_sub(self.waited_for_head.get()),
        )
    }

    /// There was no connection, so nothing was sent and nothing counts.
    pub fn not_sent(&self) {
        self.sent.set(false);
    }
}

/// See [`RequestMeter::is_slow`].
fn is_slow(bytes: u64, waited: Duration) -> Option<bool> {
    /// Of less the time is that of the connection.
    const ENOUGH: u64 = 128 << 10;
    /// Servers pack some 50 MB a second, to a fifth.
    const BYTES_A_MS: u128 = 16 << 10;
    (bytes >= ENOUGH).then(|| u128::from(bytes) < BYTES_A_MS * waited.as_millis())
}

/// What is known of the way to a server that is on this machine by name: it may be a tunnel.
#[derive(Default)]
pub(super) struct LinkSpeed(AtomicU32);

impl LinkSpeed {
    /// So many answers in a row are slow: a busy machine holds up one or two.
    const SLOW: u32 = 3;

    /// Whether answers are worth packing, from now on.
    pub fn is_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::SLOW
    }

    /// An answer that was not packed was slow, or not; `None`: that cannot be told.
    pub fn passed(&self, was_slow: Option<bool>) {
        match was_slow {
            _ if self.is_long() => {}
            Some(true) => _ = self.0.fetch_add(1, Ordering::Relaxed),
            Some(false) => self.0.store(0, Ordering::Relaxed),
            None => {}
        }
    }
}

impl Drop for RequestMeter<'_> {
    fn drop(&mut self) {
        if self.sent.get() {
            let waited = self.waited.get();
            self.meter.request(self.kind, self.bytes.get(), waited);
            self.meter.parsed(self.started.elapsed().saturating_sub(waited));
        }
    }
}

/// What the readers and the parser of one body share.
pub(super) struct BodyProgress<'a> {
    measured: &'a RequestMeter<'a>,
    bounds: &'a Bounds<'a>,
    /// Why reading failed: on its way through other crates an error loses all but its text.
    failure: RefCell<Option<BodyError>>,
    /// Bytes after decompression.
    produced: Cell<u64>,
    /// `produced` when the last row ended.
    row_end: Cell<u64>,
    rows: Cell<u64>,
}

impl<'a> BodyProgress<'a> {
    /// Nothing read yet.
    pub fn new(measured: &'a RequestMeter<'a>, bounds: &'a Bounds<'a>) -> Self {
        Self {
            measured,
            bounds,
            failure: RefCell::default(),
            produced: Cell::new(0),
            row_end: Cell::new(0),
            rows: Cell::new(0),
        }
    }

    /// Asked after each row.
    fn go_on(&self) -> bool {
        self.row_end.set(self.produced.get());
        self.rows.set(self.rows.get() + 1);
        if (self.bounds.aborted)() {
            self.fail(BodyError::Aborted);
            return false;
        }
        // The clock costs more than a row's parsing saves: it is read now and then.
        if self.rows.get().is_multiple_of(64) && self.bounds.left() == Some(Duration::ZERO) {
            self.fail(BodyError::Timeout);
            return false;
        }
        true
    }

    fn fail(&self, broken: BodyError) -> io::Error {
        self.failure.borrow_mut().get_or_insert(broken);
        // Never 'interrupted': readers would try again.
        io::Error::other("see Progress::failure")
    }

    fn take_failure(&self) -> Option<BodyError> {
        self.failure.borrow_mut().take()
    }
}

/// The body as it comes over the wire.
struct CountedBody<'a> {
    body: ureq::BodyReader<'static>,
    progress: &'a BodyProgress<'a>,
}

impl Read for CountedBody<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if (self.progress.bounds.aborted)() {
            return Err(self.progress.fail(BodyError::Aborted));
        }
        let begun = Instant::now();
        let result = self.body.read(buf);
        let measured = self.progress.measured;
        measured.waited_since(begun);
        match result {
            Ok(amount) => {
                measured.bytes.set(measured.bytes.get() + amount as u64);
                Ok(amount)
            }
            Err(error) => Err(self.progress.fail(BodyError::Wire(error.into()))),
        }
    }
}

/// The body as it is meant.
enum DecodedBody<'a> {
    Plain(CountedBody<'a>),
    Gzip(Box<GzDecoder<CountedBody<'a>>>),
}

impl DecodedBody<'_> {
    /// Reads what is left behind the compressed data, which is nothing; without that the connection is not used again.
    /// A body that is not at its end by then ends its connection.
    fn finish(&mut self) {
        if let Self::Gzip(decoder) = self {
            let _ = io::copy(&mut decoder.get_mut().take(PAGE as u64), &mut io::sink());
        }
    }
}

/// A body that is limited in all and by row.
struct LimitedBody<'a> {
    inner: DecodedBody<'a>,
    limit: u64,
    progress: &'a BodyProgress<'a>,
}

impl Read for LimitedBody<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let progress = self.progress;
        let produced = progress.produced.get();
        if produced > self.limit {
            return Err(progress.fail(BodyError::TooLarge(self.limit)));
        }
        if produced - progress.row_end.get() > ROW_LIMIT {
            return Err(progress.fail(BodyError::TooLarge(ROW_LIMIT)));
        }
        let amount = match &mut self.inner {
            DecodedBody::Plain(reader) => reader.read(buf)?,
            DecodedBody::Gzip(decoder) => decoder.read(buf).map_err(|error| {
                // What failed below is known already and stays.
                progress.fail(BodyError::Compression(error.to_string()))
            })?,
        };
        progress.produced.set(produced + amount as u64);
        // Little on the wire may be much to decompress, and a row may be long: neither outlasts the call.
        if (progress.bounds.aborted)() {
            return Err(progress.fail(BodyError::Aborted));
        }
        if progress.bounds.left() == Some(Duration::ZERO) {
            return Err(progress.fail(BodyError::Timeout));
        }
        Ok(amount)
    }
}

/// Buffers for bodies, kept from request to request: pages come by the hundred.
#[derive(Default)]
pub(super) struct Buffers(pub(super) Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// How many are kept; more requests at once are rare.
    const KEPT: usize = 2;

    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        let mut list = lock(&self.0);
        // What a page needs stays; what a whole library needed goes.
        if list.len() < Self::KEPT && buffer.capacity() < HELD {
            buffer.clear();
            list.push(buffer);
        }
    }
}

/// Reads and parses a body of at most `limit` bytes after decompression.
///
/// When it fails midway, the rows that had come whole were handed over.
///
/// # Errors
/// Why the body could not be used.
pub(super) fn parse(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &BodyProgress<'_>,
    buffers: &Buffers,
    lists: &mut Lists<'_>,
) -> Result<ReplyHead, BodyError> {
    let mut reader = limited(body, encoding, limit, progress)?;
    let mut buffer = buffers.take();
    let result = parse_into(&mut reader, &mut buffer, progress, lists);
    buffers.give(buffer);
    result
}

fn parse_into(
    reader: &mut LimitedBody<'_>,
    buffer: &mut Vec<u8>,
    progress: &BodyProgress<'_>,
    lists: &mut Lists<'_>,
) -> Result<ReplyHead, BodyError> {
    let go_on = || progress.go_on();
    let read = reader.by_ref().take(HELD as u64).read_to_end(buffer);
    let is_whole = buffer.len() < HELD;
    if buffer.starts_with(b"\xef\xbb\xbf") {
        buffer.drain(..3);
    }
    if let Err(error) = read {
        let broken = progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Compression(error.to_string()));
        if !matches!(broken, BodyError::Aborted) {
            // Rows that came whole are true, whatever became of the others.
            let _ = wire::read_slice(buffer, lists, &|| true);
        }
        return Err(broken);
    }
    match buffer.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(_) => {
            buffer.truncate(PAGE);
            return Err(BodyError::NoJson(buffer.clone()));
        }
        None => return Err(BodyError::Empty),
    }
    let parsed = if is_whole {
        reader.inner.finish();
        wire::read_slice(buffer, lists, &go_on)
    } else {
        let parsed = wire::read_stream(Cursor::new(&*buffer).chain(&mut *reader), lists, &go_on);
        reader.inner.finish();
        parsed
    };
    parsed.map_err(|error| {
        progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Malformed(error.to_string()))
    })
}

/// The beginning of a body that is no answer, for finding out what it is. Never fails: what cannot be read is absent.
pub(super) fn beginning(body: Body, encoding: Option<&str>, progress: &BodyProgress<'_>) -> Vec<u8> {
    let mut page = Vec::new();
    if let Ok(reader) = limited(body, encoding, ROW_LIMIT, progress) {
        let _ = reader.take(PAGE as u64).read_to_end(&mut page);
    }
    page
}

fn limited<'a>(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &'a BodyProgress<'a>,
) -> Result<LimitedBody<'a>, BodyError> {
    let counted = CountedBody {
        // The limits are ours; this one only replaces the agent's own.
        body: body.into_with_config().limit(u64::MAX).reader(),
        progress,
    };
    let inner = match encoding.map(str::trim) {
        None | Some("" | "identity") => DecodedBody::Plain(counted),
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
            DecodedBody::Gzip(Box::new(GzDecoder::new(counted)))
        }
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            return Err(BodyError::Compression(format!("{shown:?} was not asked for")));
        }
    };
    Ok(LimitedBody { inner, limit, progress })
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
