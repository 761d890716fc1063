//! Reads the body of a reply: counts its bytes, decompresses it, limits its size, and parses it. The limit is
//! necessary, because a small compressed body may be huge when decompressed.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::{Body, Timeout};

use crate::platform::fork::lock;
use crate::stats::Activity;

use super::super::contract::{Bounds, Counters, RequestKind};
use super::replies::{self, Reply};

/// Maximum size of a reused buffer, in bytes. A page of 1,000 movies takes 1.3 MB.
const MAX_REUSED: usize = 8 << 20;
/// Maximum number of bytes to examine in an unexpected reply.
const MAX_EXAMINED: usize = 8 << 10;

/// The reason why a body is unusable.
#[derive(Debug)]
pub(super) enum BodyError {
    Aborted,
    /// The deadline passed during decompression or parsing.
    Timeout,
    /// The connection failed.
    Connection(ureq::Error),
    /// The compression is unknown or damaged.
    Compression(String),
    /// The body is larger than this number of bytes.
    TooLarge(u64),
    /// The body has more than this number of rows, or its rows need too much memory.
    TooManyRows(u64),
    Empty,
    /// The body is not a JSON object. Contains the body's beginning.
    NotJsonObject(Vec<u8>),
    /// The JSON is malformed or truncated.
    Malformed(String),
}

/// Measures one request, and counts it when dropped.
pub(super) struct RequestMeter<'m> {
    counters: &'m Counters,
    kind: RequestKind,
    started: Instant,
    /// Time spent waiting for the server; the remaining time is parsing.
    waited: Cell<Duration>,
    /// Number of received bytes of the body, before decompression.
    bytes: Cell<u64>,
    /// Whether to report the request. `true` from the start; `false` once the caller reports that nothing was sent.
    was_sent: Cell<bool>,
}

impl<'m> RequestMeter<'m> {
    /// Starts to measure a request that is about to be sent. The request counts as sent unless the caller calls
    /// [`Self::cancel`].
    pub fn new(counters: &'m Counters, kind: RequestKind) -> Self {
        Self {
            counters,
            kind,
            started: Instant::now(),
            waited: Cell::new(Duration::ZERO),
            bytes: Cell::new(0),
            was_sent: Cell::new(true),
        }
    }

    /// Sets the waiting time so far: the reply's headers have arrived, or the request has failed.
    pub fn record_headers_arrival(&self) {
        self.waited.set(self.started.elapsed());
    }

    /// Adds the time since `start` to the waiting time.
    fn add_wait(&self, start: Instant) {
        self.waited.set(self.waited.get() + start.elapsed());
    }

    /// Records that nothing was sent, so that the request is not counted.
    pub fn cancel(&self) {
        self.was_sent.set(false);
    }
}

impl Drop for RequestMeter<'_> {
    /// Counts the request, unless nothing was sent.
    fn drop(&mut self) {
        if self.was_sent.get() {
            let waited = self.waited.get();
            self.counters.record_request(self.kind, self.bytes.get(), waited);
            let parsing = self.started.elapsed().saturating_sub(waited);
            self.counters.add_time(Activity::Parse, parsing);
        }
    }
}

/// State that one body's readers and parser share.
pub(super) struct BodyProgress<'a> {
    request_meter: &'a RequestMeter<'a>,
    bounds: &'a Bounds<'a>,
    /// The first failure, stored here because an error that passes through other crates loses everything but its text.
    failure: RefCell<Option<BodyError>>,
    /// Number of bytes after decompression.
    decompressed: Cell<u64>,
    rows: Cell<u64>,
    /// Maximum time for [`TRICKLE`] bytes.
    max_silence: Duration,
}

impl<'a> BodyProgress<'a> {
    /// Creates the state for a body that has not been read yet.
    pub fn new(request_meter: &'a RequestMeter<'a>, bounds: &'a Bounds<'a>) -> Self {
        Self {
            request_meter,
            bounds,
            failure: RefCell::default(),
            decompressed: Cell::new(0),
            rows: Cell::new(0),
            max_silence: Duration::MAX,
        }
    }

    /// Sets the maximum time in which the server may send hardly any bytes.
    pub fn with_max_silence(self, max_silence: Duration) -> Self {
        Self { max_silence, ..self }
    }

    /// Counts a parsed row. Returns `false` if the host has aborted the call or its deadline has passed.
    fn count_row(&self) -> bool {
        self.rows.set(self.rows.get() + 1);
        if (self.bounds.aborted)() {
            self.record_failure(BodyError::Aborted);
            return false;
        }
        // Checks the deadline only once per 64 rows, because reading the clock is slow.
        if self.rows.get().is_multiple_of(64) && self.bounds.deadline.has_passed() {
            self.record_failure(BodyError::Timeout);
            return false;
        }
        true
    }

    /// Records a failure, unless an earlier failure is recorded. Returns an error that stops the reader.
    fn record_failure(&self, failure: BodyError) -> io::Error {
        self.failure.borrow_mut().get_or_insert(failure);
        // The error is not `Interrupted`, because readers would retry.
        io::Error::other("see BodyProgress::failure")
    }

    /// Removes and returns the recorded failure; `None` if there is none.
    fn take_failure(&self) -> Option<BodyError> {
        self.failure.borrow_mut().take()
    }
}

/// Fewer bytes, within the time that a server may be silent, are silence, too.
const TRICKLE: u64 = 1 << 10;

/// The body as transferred. This reader counts the bytes and measures the waiting time.
struct CountedBody<'a> {
    body: ureq::BodyReader<'static>,
    progress: &'a BodyProgress<'a>,
    /// When [`TRICKLE`] bytes had last arrived, and how many bytes it were in total.
    last_progress: (Instant, u64),
}

impl Read for CountedBody<'_> {
    /// Reads from the connection, unless the host has aborted the call.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if (self.progress.bounds.aborted)() {
            return Err(self.progress.record_failure(BodyError::Aborted));
        }
        let read_start = Instant::now();
        let result = self.body.read(buf);
        let request_meter = self.progress.request_meter;
        request_meter.add_wait(read_start);
        let amount = result.map_err(|error| self.progress.record_failure(BodyError::Connection(error.into())))?;
        let total = request_meter.bytes.get() + amount as u64;
        request_meter.bytes.set(total);
        let (since, bytes) = self.last_progress;
        if total - bytes >= TRICKLE {
            self.last_progress = (Instant::now(), total);
        } else if amount > 0 && since.elapsed() > self.progress.max_silence {
            let silence = BodyError::Connection(ureq::Error::Timeout(Timeout::PerRead));
            return Err(self.progress.record_failure(silence));
        }
        Ok(amount)
    }
}

/// The body as transferred, with its first bytes, which show the compression.
type PeekedBody<'a> = io::Chain<io::Cursor<Vec<u8>>, CountedBody<'a>>;

/// A reader for a decompressed body. Reading fails beyond a size limit.
struct LimitedBody<'a> {
    inner: Box<dyn Read + 'a>,
    /// Maximum number of bytes after decompression.
    limit: u64,
    progress: &'a BodyProgress<'a>,
}

impl Read for LimitedBody<'_> {
    /// Reads decompressed bytes. Fails beyond the limit, after the deadline, or if the host has aborted the call.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let progress = self.progress;
        let decompressed = progress.decompressed.get();
        if decompressed > self.limit {
            return Err(progress.record_failure(BodyError::TooLarge(self.limit)));
        }
        let amount = self.inner.read(buf).map_err(|error| {
            // If `CountedBody` has already recorded the cause, `record_failure` ignores this failure.
            progress.record_failure(BodyError::Compression(error.to_string()))
        })?;
        progress.decompressed.set(decompressed + amount as u64);
        // Decompression may take long without reading from the connection.
        if (progress.bounds.aborted)() {
            return Err(progress.record_failure(BodyError::Aborted));
        }
        if progress.bounds.deadline.has_passed() {
            return Err(progress.record_failure(BodyError::Timeout));
        }
        Ok(amount)
    }
}

/// Buffers for bodies, reused between requests, because a listing has hundreds of pages.
#[derive(Default)]
pub(super) struct Buffers(pub(super) Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Maximum number of unused buffers. More than two concurrent requests are rare.
    const MAX_BUFFERS: usize = 2;

    /// Returns an empty buffer, reused if possible.
    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    /// Keeps a buffer for reuse. Frees the buffer if it is larger than a page needs, or if there are enough buffers.
    fn put_back(&self, mut buffer: Vec<u8>) {
        let mut buffers = lock(&self.0);
        if buffers.len() < Self::MAX_BUFFERS && buffer.capacity() < MAX_REUSED {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

/// UTF-8's byte order mark, which some proxies add.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads and parses a body. `limit` is the maximum size after decompression, and `encoding` the reply's
/// `Content-Encoding`. Adds complete rows to `reply`, even if the body fails midway.
///
/// # Errors
/// The reason why the body is unusable.
pub(super) fn read_reply(
    body: Body,
    encoding: Option<&str>,
    limit: u64,
    progress: &BodyProgress<'_>,
    buffers: &Buffers,
    reply: &mut Reply,
) -> Result<(), BodyError> {
    let mut body = peek(body, progress)?;
    let mut reader = decode_body(&mut body, encoding, limit, progress)?;
    let mut buffer = buffers.take();
    let read_result = reader.read_to_end(&mut buffer).map(drop);
    drop(reader);
    // If compressed data has ended, reads the rest of the body as transferred, so that `ureq` can reuse the connection.
    // Usually nothing follows. If much follows, stops early, and `ureq` closes the connection.
    if read_result.is_ok() {
        let _ = io::copy(&mut body.take(MAX_EXAMINED as u64), &mut io::sink());
    }
    let result = parse(read_result, &mut buffer, progress, reply);
    buffers.put_back(buffer);
    result
}

/// Parses the body in `buffer` into `reply`, or only its complete rows if reading it has failed. Separate from
/// [`read_reply`], which reuses the buffer even after a failure.
fn parse(
    read_result: io::Result<()>,
    buffer: &mut Vec<u8>,
    progress: &BodyProgress<'_>,
    reply: &mut Reply,
) -> Result<(), BodyError> {
    if buffer.starts_with(BYTE_ORDER_MARK) {
        buffer.drain(..BYTE_ORDER_MARK.len());
    }
    if let Err(error) = read_result {
        let failure = progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Compression(error.to_string()));
        // The complete rows before the failure are valid, unless the body does not match its checksum.
        if !matches!(failure, BodyError::Aborted | BodyError::Compression(_)) {
            let _ = replies::parse_reply(buffer, reply, &|| true);
        }
        return Err(failure);
    }
    // Every reply from Plex is a JSON object. Other bodies, such as web pages, need their own error.
    match buffer.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(_) => {
            buffer.truncate(MAX_EXAMINED);
            return Err(BodyError::NotJsonObject(buffer.clone()));
        }
        None => return Err(BodyError::Empty),
    }
    replies::parse_reply(buffer, reply, &|| progress.count_row()).map_err(|error| {
        progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Malformed(error.to_string()))
    })
}

/// Returns the first [`MAX_EXAMINED`] bytes of an unexpected body, for the error message. Never fails; omits the part
/// that cannot be read.
pub(super) fn read_beginning(body: Body, encoding: Option<&str>, progress: &BodyProgress<'_>) -> Vec<u8> {
    let mut beginning = Vec::new();
    if let Ok(mut body) = peek(body, progress)
        && let Ok(reader) = decode_body(&mut body, encoding, MAX_EXAMINED as u64, progress)
    {
        let _ = reader.take(MAX_EXAMINED as u64).read_to_end(&mut beginning);
    }
    beginning
}

/// Returns a reader for the body as transferred. Fails if the body's first bytes cannot be read.
fn peek<'a>(body: Body, progress: &'a BodyProgress<'a>) -> Result<PeekedBody<'a>, BodyError> {
    let mut counted = CountedBody {
        // Disables `ureq`'s limit, because `LimitedBody` has its own.
        body: body.into_with_config().limit(u64::MAX).reader(),
        progress,
        last_progress: (Instant::now(), progress.request_meter.bytes.get()),
    };
    let mut start = Vec::new();
    if let Err(error) = (&mut counted).take(2).read_to_end(&mut start) {
        let failure = progress.take_failure();
        return Err(failure.unwrap_or_else(|| BodyError::Compression(error.to_string())));
    }
    Ok(io::Cursor::new(start).chain(counted))
}

/// Returns a reader for the decompressed body. Fails if the compression is unknown.
///
/// The body's first bytes identify gzip, because some proxies compress a reply without saying so.
fn decode_body<'a>(
    body: &'a mut PeekedBody<'_>,
    encoding: Option<&str>,
    limit: u64,
    progress: &'a BodyProgress<'a>,
) -> Result<LimitedBody<'a>, BodyError> {
    let encoding = encoding.map_or(String::new(), |name| name.trim().to_ascii_lowercase());
    let is_gzip = body.get_ref().0.get_ref()[..] == [0x1f, 0x8b];
    let inner: Box<dyn Read + 'a> = match encoding.as_str() {
        "gzip" | "x-gzip" => Box::new(GzDecoder::new(body)),
        "" | "identity" if is_gzip => Box::new(GzDecoder::new(body)),
        "" | "identity" => Box::new(body),
        unknown => {
            let shown: String = unknown.chars().take(40).collect();
            return Err(BodyError::Compression(format!("unexpected encoding {shown:?}")));
        }
    };
    Ok(LimitedBody { inner, limit, progress })
}

/// Parses replies from memory as if a server had sent them, for the fuzz targets.
#[cfg(feature = "testing")]
pub mod from_memory {
    use ureq::Body;

    use super::super::super::contract::{Bounds, Counters, Event, RequestKind};
    use super::super::event_parser::EventLines;
    use super::super::replies::{Reply, ReplyKind, make_uuids_unique};
    use super::{BodyProgress, Buffers, RequestMeter, read_reply};

    /// Parses a reply with the expected content `kind`. `encoding` is the reply's `Content-Encoding`, and `limit` the
    /// maximum size in bytes after decompression. Returns the reply, and whether it could be parsed.
    #[must_use]
    pub fn reply(bytes: &[u8], encoding: Option<&str>, limit: u64, kind: ReplyKind) -> (Reply, bool) {
        let mut reply = Reply::new(kind);
        let counters = Counters::default();
        let request_meter = RequestMeter::new(&counters, RequestKind::Page);
        let progress = BodyProgress::new(&request_meter, &Bounds::NONE);
        let body = Body::builder().data(bytes.to_vec());
        let read = read_reply(body, encoding, limit, &progress, &Buffers::default(), &mut reply);
        make_uuids_unique(&mut reply.libraries);
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
}
