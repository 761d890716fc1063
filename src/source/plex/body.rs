//! Reads the body of a reply: counts, decompresses, limits and parses it.
//!
//! A body is read into a reused buffer up to a limit, and parsed there: a small compressed body may be huge when
//! decompressed, and memory must not grow with it.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::Body;

use crate::platform::mutex::lock;

use super::super::contract::{Bounds, Meter, RequestKind};
use super::wire::{self, Lists, ReplyHead};

/// Maximum size of a buffer that is kept. A page of 1,000 movies takes 1.3 MB.
const MAX_KEPT: usize = 8 << 20;

/// Maximum number of bytes examined of an unexpected reply.
const PAGE: usize = 8 << 10;

/// The reason why a body is unusable.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The host aborted the call.
    Aborted,
    /// The deadline passed while rows were decompressed or parsed.
    Timeout,
    /// The connection failed.
    Wire(ureq::Error),
    /// The compression is unknown or damaged.
    Compression(String),
    /// The body is larger than this many bytes.
    TooLarge(u64),
    /// The body has more rows than this, or needs more memory than a page may take.
    TooManyRows(u64),
    /// The body is empty.
    Empty,
    /// The body is not a JSON object; this is its beginning.
    NoJson(Vec<u8>),
    /// The JSON is malformed or truncated.
    Malformed(String),
}

/// Measures one request, and reports it to the meter when dropped.
pub(super) struct RequestMeter<'m> {
    meter: &'m dyn Meter,
    kind: RequestKind,
    started: Instant,
    waited: Cell<Duration>,
    bytes: Cell<u64>,
    sent: Cell<bool>,
}

impl<'m> RequestMeter<'m> {
    /// Starts measuring a request that is about to be sent.
    pub fn new(meter: &'m dyn Meter, kind: RequestKind) -> Self {
        Self {
            meter,
            kind,
            started: Instant::now(),
            waited: Cell::new(Duration::ZERO),
            bytes: Cell::new(0),
            sent: Cell::new(true),
        }
    }

    /// Records that the head arrived or failed to.
    pub fn note_head(&self) {
        self.waited.set(self.started.elapsed());
    }

    /// Adds the time since `begun` to the waiting time.
    fn add_wait(&self, begun: Instant) {
        self.waited.set(self.waited.get() + begun.elapsed());
    }

    /// Records that nothing was sent, so that the request is not counted.
    pub fn cancel(&self) {
        self.sent.set(false);
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

/// State shared by the readers and the parser of one body.
pub(super) struct BodyProgress<'a> {
    measured: &'a RequestMeter<'a>,
    bounds: &'a Bounds<'a>,
    /// The reason of a failure: when an error passes through other crates, only its text survives.
    failure: RefCell<Option<BodyError>>,
    /// Bytes after decompression.
    produced: Cell<u64>,
    rows: Cell<u64>,
}

impl<'a> BodyProgress<'a> {
    /// Starts with nothing read.
    pub fn new(measured: &'a RequestMeter<'a>, bounds: &'a Bounds<'a>) -> Self {
        Self {
            measured,
            bounds,
            failure: RefCell::default(),
            produced: Cell::new(0),
            rows: Cell::new(0),
        }
    }

    /// Called after each row; returns whether to continue.
    fn go_on(&self) -> bool {
        self.rows.set(self.rows.get() + 1);
        if (self.bounds.aborted)() {
            self.fail(BodyError::Aborted);
            return false;
        }
        // Reading the clock is expensive, so it is read once per 64 rows.
        if self.rows.get().is_multiple_of(64) && self.bounds.deadline.has_passed() {
            self.fail(BodyError::Timeout);
            return false;
        }
        true
    }

    fn fail(&self, broken: BodyError) -> io::Error {
        self.failure.borrow_mut().get_or_insert(broken);
        // Not `Interrupted`, which readers would retry.
        io::Error::other("see BodyProgress::failure")
    }

    fn take_failure(&self) -> Option<BodyError> {
        self.failure.borrow_mut().take()
    }
}

/// The body as transferred.
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
        measured.add_wait(begun);
        match result {
            Ok(amount) => {
                measured.bytes.set(measured.bytes.get() + amount as u64);
                Ok(amount)
            }
            Err(error) => Err(self.progress.fail(BodyError::Wire(error.into()))),
        }
    }
}

/// The decompressed body.
enum DecodedBody<'a> {
    Plain(CountedBody<'a>),
    Gzip(Box<GzDecoder<CountedBody<'a>>>),
}

impl DecodedBody<'_> {
    /// Reads the rest behind the compressed data, usually nothing: otherwise the connection would not be reused. A body
    /// with more data closes its connection.
    fn drain(&mut self) {
        if let Self::Gzip(decoder) = self {
            let _ = io::copy(&mut decoder.get_mut().take(PAGE as u64), &mut io::sink());
        }
    }
}

/// A body with a limit.
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
        let amount = match &mut self.inner {
            DecodedBody::Plain(reader) => reader.read(buf)?,
            DecodedBody::Gzip(decoder) => decoder.read(buf).map_err(|error| {
                // An earlier failure below takes precedence.
                progress.fail(BodyError::Compression(error.to_string()))
            })?,
        };
        progress.produced.set(produced + amount as u64);
        // Decompression must not outlast the call.
        if (progress.bounds.aborted)() {
            return Err(progress.fail(BodyError::Aborted));
        }
        if progress.bounds.deadline.has_passed() {
            return Err(progress.fail(BodyError::Timeout));
        }
        Ok(amount)
    }
}

/// Buffers for bodies, reused between requests: pages come by the hundred.
#[derive(Default)]
pub(super) struct Buffers(pub(super) Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Number of buffers kept; more concurrent requests are rare.
    const MAX_BUFFERS: usize = 2;

    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        let mut list = lock(&self.0);
        // Keeps buffers of the size of a page, not of a whole library.
        if list.len() < Self::MAX_BUFFERS && buffer.capacity() < MAX_KEPT {
            buffer.clear();
            list.push(buffer);
        }
    }
}

/// Reads and parses a body of at most `limit` bytes after decompression. If it fails midway, the complete rows so far
/// have been passed on.
///
/// # Errors
/// The reason why the body is unusable.
pub(super) fn parse(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &BodyProgress<'_>,
    buffers: &Buffers,
    lists: &mut Lists<'_>,
) -> Result<ReplyHead, BodyError> {
    let mut reader = limit_body(body, encoding, limit, progress)?;
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
    let read = reader.read_to_end(buffer);
    if buffer.starts_with(b"\xef\xbb\xbf") {
        buffer.drain(..3);
    }
    if let Err(error) = read {
        let broken = progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Compression(error.to_string()));
        if !matches!(broken, BodyError::Aborted) {
            // Complete rows are valid, whatever failed later.
            let _ = wire::read(buffer, lists, &|| true);
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
    reader.inner.drain();
    wire::read(buffer, lists, &|| progress.go_on()).map_err(|error| {
        progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Malformed(error.to_string()))
    })
}

/// Returns the beginning of an unexpected body, for diagnosis. Never fails: unreadable parts are left out.
pub(super) fn read_beginning(body: Body, encoding: Option<&str>, progress: &BodyProgress<'_>) -> Vec<u8> {
    let mut page = Vec::new();
    if let Ok(reader) = limit_body(body, encoding, PAGE as u64, progress) {
        let _ = reader.take(PAGE as u64).read_to_end(&mut page);
    }
    page
}

fn limit_body<'a>(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &'a BodyProgress<'a>,
) -> Result<LimitedBody<'a>, BodyError> {
    let counted = CountedBody {
        // Our own limits apply; this replaces the agent's default.
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
