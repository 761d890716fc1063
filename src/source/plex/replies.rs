//! Reads the body of a reply: counts its bytes, decompresses it, limits its size, and parses it. The limit is necessary,
//! because a small compressed body may be huge when decompressed.
//!
//! A reply of Plex is one `MediaContainer` with a few numbers and a list of rows. The fields of the container can be in any
//! order. The parser passes on each row as soon as it is complete. The parser is lenient (`json`), so that one odd field
//! does not make a whole row unusable.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::{Body, Timeout};

use super::super::contract::{Bounds, Counters, LocatedItem, RequestKind};
use super::errors::BodyError;
use super::json::{Fields, Stop, parse};
use crate::model::{
    ByteString, FileFacts, Item, ItemFacts, ItemType, KnownFacts, LONGEST_KEY, Library, LibraryKind, TokenReliability,
    uuid_of_section,
};
use crate::stats::Activity;

/// Returns whether a string can be a rating key: Plex's rating keys are numbers. The caller checks the length.
pub(super) fn is_rating_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the parser collects from a reply, in addition to the metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyKind {
    /// Nothing: the parser skips all rows.
    #[default]
    Metadata,
    /// The libraries in `Directory`.
    Libraries,
    /// The items in `Metadata`: the type of items whose row has no type, and the maximum number of rows.
    Items(ItemType, u64),
}

/// A parsed reply. After a failure, contains the complete rows before the failure.
#[derive(Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Reply {
    /// What the parser collects.
    pub kind: ReplyKind,
    /// Whether the reply contains a `MediaContainer`, as every reply from a Plex server does.
    pub is_plex: bool,
    /// Whether the reply contains `_children` or `_elementType`, which only the unsupported JSON format of 2015
    /// contains. The parser then skips the rest of the reply.
    pub has_legacy_format: bool,
    /// Whether the reply lists libraries, or says that there are none (`size`).
    pub lists_libraries: bool,
    /// `totalSize`: number of rows in the whole list.
    pub total: Option<u64>,
    /// `offset`: index of the first row in the whole list.
    pub offset: Option<u64>,
    /// `machineIdentifier`, in the reply to `/identity`.
    pub machine_identifier: Option<String>,
    /// The server's `version`, in the reply to `/identity`.
    pub version: Option<String>,
    /// `librarySectionID`; servers send it if all rows have the same section id.
    pub section: Option<String>,
    /// The libraries.
    pub libraries: Vec<Library>,
    /// The items with a rating key. The section id is empty if the row has none.
    pub items: Vec<LocatedItem>,
    /// Number of rows, including unusable rows.
    pub rows: u64,
    /// Approximate memory use of `items`, in bytes.
    pub(super) memory_bytes: usize,
    /// Whether the reply has too many rows, or its items take more than `MAX_ROWS_BYTES`.
    pub exceeds_limit: bool,
    /// Whether keys were ignored because they cannot be rating keys.
    pub has_invalid_keys: bool,
    pub(super) update_order: UpdateOrder,
}

impl Reply {
    /// Creates a reply that has not been read yet.
    #[must_use]
    pub fn new(kind: ReplyKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}

/// Checks whether rows are sorted newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UpdateOrder {
    /// The first and the last time; `None` if no row has a time.
    pub times: Option<(i64, i64)>,
    pub is_disordered: bool,
}

impl UpdateOrder {
    /// Adds the next row's time, which must not be later than the previous time; `None` if the row has no time.
    fn add(&mut self, time: Option<i64>) {
        if let Some(time) = time {
            let (first, last) = self.times.unwrap_or((time, time));
            self.is_disordered |= last < time;
            self.times = Some((first, time));
        }
    }
}

/// Maximum number of bytes to examine in an unexpected reply.
const MAX_EXAMINED: usize = 8 << 10;

/// Measures one request, and counts it when dropped.
pub(super) struct RequestMeter<'m> {
    counters: &'m Counters,
    kind: RequestKind,
    pub started: Instant,
    /// Time spent waiting for the server; the remaining time is parsing.
    pub waited: Cell<Duration>,
    /// Number of received bytes of the body, before decompression.
    bytes: Cell<u64>,
    /// Whether to report the request. `true` from the start; `false` once the caller reports that nothing was sent.
    pub was_sent: Cell<bool>,
}

impl<'m> RequestMeter<'m> {
    /// Starts to measure a request that is about to be sent. The request counts as sent unless the caller resets
    /// `was_sent`.
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
    pub max_silence: Duration,
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
        request_meter
            .waited
            .set(request_meter.waited.get() + read_start.elapsed());
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
    reply: &mut Reply,
) -> Result<(), BodyError> {
    let mut body = peek(body, progress)?;
    let mut reader = decode_body(&mut body, encoding, limit, progress)?;
    let mut buffer = Vec::new();
    let read_result = reader.read_to_end(&mut buffer).map(drop);
    drop(reader);
    // If compressed data has ended, reads the rest of the body as transferred, so that `ureq` can reuse the connection.
    // Usually nothing follows. If much follows, stops early, and `ureq` closes the connection.
    if read_result.is_ok() {
        let _ = io::copy(&mut body.take(MAX_EXAMINED as u64), &mut io::sink());
    }
    if buffer.starts_with(BYTE_ORDER_MARK) {
        buffer.drain(..BYTE_ORDER_MARK.len());
    }
    if let Err(error) = read_result {
        let failure = progress
            .take_failure()
            .unwrap_or_else(|| BodyError::Compression(error.to_string()));
        // The complete rows before the failure are valid, unless the body does not match its checksum.
        if !matches!(failure, BodyError::Aborted | BodyError::Compression(_)) {
            let _ = parse_reply(&buffer, reply, &|| true);
        }
        return Err(failure);
    }
    // Every reply from Plex is a JSON object. Other bodies, such as web pages, need their own error.
    match buffer.trim_ascii_start().first() {
        Some(b'{') => {}
        Some(_) => {
            buffer.truncate(MAX_EXAMINED);
            return Err(BodyError::NotJsonObject(buffer));
        }
        None => return Err(BodyError::Empty),
    }
    parse_reply(&buffer, reply, &|| progress.count_row()).map_err(|error| {
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

/// Parses a reply from memory as if a server had sent it, for the fuzz targets: a reply with the expected content `kind`.
/// `encoding` is the reply's `Content-Encoding`, and `limit` the maximum size in bytes after decompression. Returns the
/// reply, and whether it could be parsed.
#[cfg(feature = "testing")]
#[must_use]
pub fn reply_from_memory(bytes: &[u8], encoding: Option<&str>, limit: u64, kind: ReplyKind) -> (Reply, bool) {
    let mut reply = Reply::new(kind);
    let counters = Counters::default();
    let request_meter = RequestMeter::new(&counters, RequestKind::Page);
    let progress = BodyProgress::new(&request_meter, &Bounds::NONE);
    let body = Body::builder().data(bytes.to_vec());
    let read = read_reply(body, encoding, limit, &progress, &mut reply);
    make_uuids_unique(&mut reply.libraries);
    (reply, read.is_ok())
}

/// Approximate memory limit for the items in a reply, in bytes: twenty times a page of 1,000 movies.
const MAX_ROWS_BYTES: usize = 32 << 20;
/// Approximate overhead of a string in a list, in bytes.
const LIST_TEXT_OVERHEAD: usize = 48;
/// Approximate overhead of a string in a field, in bytes.
const TEXT_OVERHEAD: usize = 16;

/// Estimates an item's memory in bytes, for [`MAX_ROWS_BYTES`].
fn estimate_bytes(item: &Item) -> usize {
    let lengths = item
        .guids
        .iter()
        .map(String::len)
        .chain(item.parts.iter().map(|part| part.len()));
    let list_bytes: usize = lengths.map(|length| length + LIST_TEXT_OVERHEAD).sum();
    let text_bytes: usize = item
        .string_fields()
        .into_iter()
        .map(|text| text.len() + TEXT_OVERHEAD)
        .sum();
    let facts = item.facts.0.as_deref();
    let facts_bytes = facts.map_or(0, |facts| {
        facts.files.len() * size_of::<FileFacts>() + facts.text_bytes()
    });
    size_of::<Item>() + list_bytes + text_bytes + facts_bytes
}

/// A function that the parser calls after each row. If the function returns `false`, the parser stops.
pub(super) type MayContinue<'a> = &'a dyn Fn() -> bool;

/// Parses `body` into a new `reply`. Adds complete rows even if an error follows.
///
/// # Errors
/// [`Stop::Malformed`], and [`Stop::Told`] beyond a limit or if `may_continue` returns `false` after a row.
pub(super) fn parse_reply(body: &[u8], reply: &mut Reply, may_continue: MayContinue<'_>) -> Result<(), Stop> {
    let result = parse(body, |fields| {
        while let Some(name) = fields.next()? {
            match &*name {
                LEGACY_CHILDREN | LEGACY_TYPE => {
                    reply.has_legacy_format = true;
                    return Err(Stop::Told);
                }
                b"MediaContainer" => fields.object(|container| reply.read_container(container, may_continue))?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    });
    // The parser has stopped. The caller creates a better error.
    if reply.has_legacy_format { Ok(()) } else { result }
}

/// Fields that only the JSON format of 2015 has.
const LEGACY_CHILDREN: &[u8] = b"_children";
const LEGACY_TYPE: &[u8] = b"_elementType";

impl Reply {
    /// Reads the `MediaContainer`, and its rows or libraries.
    fn read_container(&mut self, container: &mut Fields<'_, '_>, may_continue: MayContinue<'_>) -> Result<(), Stop> {
        self.is_plex = true;
        while let Some(name) = container.next()? {
            match (&*name, self.kind) {
                (LEGACY_CHILDREN | LEGACY_TYPE, _) => {
                    self.has_legacy_format = true;
                    return Err(Stop::Told);
                }
                (b"totalSize", _) => self.total = container.scalar()?.number(),
                (b"offset", _) => self.offset = container.scalar()?.number(),
                (b"machineIdentifier", _) => self.machine_identifier = container.scalar()?.text(),
                (b"version", _) => self.version = container.scalar()?.text(),
                (b"librarySectionID", _) => self.section = container.scalar()?.text(),
                (b"size", ReplyKind::Libraries) => {
                    self.lists_libraries |= container.scalar()?.number() == Some(0);
                }
                (b"Metadata", ReplyKind::Items(default_type, max_rows)) => {
                    container.objects(|row| self.read_row(row, default_type, max_rows, may_continue))?;
                }
                (b"Directory", ReplyKind::Libraries) => {
                    self.lists_libraries = true;
                    container.objects(|directory| read_library(directory, &mut self.libraries))?;
                }
                _ => container.skip()?,
            }
        }
        Ok(())
    }

    /// Reads a row. Stops the parser beyond a limit or if the call must end.
    fn read_row(
        &mut self,
        row: &mut Fields<'_, '_>,
        default_type: ItemType,
        max_rows: u64,
        may_continue: MayContinue<'_>,
    ) -> Result<(), Stop> {
        // -1 means that there is no season or episode.
        let mut item = Item {
            kind: default_type,
            season: -1,
            episode: -1,
            ..Item::default()
        };
        let mut section = String::new();
        let (mut facts, mut versions) = (ItemFacts::default(), Vec::new());
        while let Some(name) = row.next()? {
            match &*name {
                b"ratingKey" => item.rating_key = row.text()?,
                b"type" => item.kind = row.scalar()?.item_type().unwrap_or(default_type),
                b"title" => item.title = row.text()?,
                b"year" => item.year = row.scalar()?.number().unwrap_or_default(),
                b"guid" => item.guid = row.text()?,
                b"Guid" => read_texts(row, b"id", &mut item.guids)?,
                b"grandparentTitle" => item.show_title = row.text()?,
                b"grandparentRatingKey" => item.show_rating_key = row.text()?,
                b"grandparentGuid" => item.show_guid = row.text()?,
                b"parentTitle" => item.season_title = row.text()?,
                b"parentRatingKey" => item.season_rating_key = row.text()?,
                b"parentGuid" => item.season_guid = row.text()?,
                b"parentIndex" => item.season = row.scalar()?.number().unwrap_or(-1),
                b"index" => item.episode = row.scalar()?.number().unwrap_or(-1),
                b"updatedAt" => self.update_order.add(row.scalar()?.number()),
                b"librarySectionID" => section = row.text()?,
                b"deletedAt" => item.trashed = row.scalar()?.is_set(),
                b"addedAt" => facts.added_at = row.scalar()?.number().unwrap_or_default(),
                b"duration" => facts.duration_ms = row.scalar()?.number().unwrap_or_default(),
                b"editionTitle" => facts.edition = row.text()?,
                b"Media" => row.objects(|version| read_version(version, &mut versions))?,
                _ => row.skip()?,
            }
        }
        self.rows += 1;
        for key in [
            &mut item.rating_key,
            &mut item.show_rating_key,
            &mut item.season_rating_key,
        ] {
            if key.len() > LONGEST_KEY || !is_rating_key(key) {
                self.has_invalid_keys = true;
                key.clear();
            }
        }
        // Hidden seasons have no key, and the parents of photos and clips are not seasons.
        if item.season_rating_key.is_empty() || !matches!(item.kind, ItemType::Episode | ItemType::Track) {
            item.season_rating_key.clear();
            item.season_title.clear();
            item.season_guid.clear();
        }
        // A photo's index in its album is not an episode number.
        if matches!(item.kind, ItemType::Photo | ItemType::Clip) {
            (item.season, item.episode) = (-1, -1);
        }
        // The files in the trash come last, and only to an item that is there, too.
        versions.retain(|file| item.trashed || !file.is_trashed);
        versions.sort_by_key(|file| file.is_trashed);
        item.facts = KnownFacts(Some(Box::new(facts)));
        for file in versions {
            push_file(&mut item, file.path, file.size, file.facts);
        }
        self.exceeds_limit = self.rows > max_rows || self.memory_bytes > MAX_ROWS_BYTES;
        if self.exceeds_limit {
            return Err(Stop::Told);
        }
        if !item.rating_key.is_empty() {
            self.memory_bytes += estimate_bytes(&item);
            self.items.push(LocatedItem { item, section });
        }
        if may_continue() { Ok(()) } else { Err(Stop::Told) }
    }
}

/// A file of an item.
struct ListedFile {
    path: ByteString,
    size: u64,
    facts: FileFacts,
    is_trashed: bool,
}

/// Number of Plex's type for a version that the server has made itself.
const OPTIMIZED: u32 = 42;

/// Reads one version of an item, and adds its files to `files`.
fn read_version(version: &mut Fields<'_, '_>, files: &mut Vec<ListedFile>) -> Result<(), Stop> {
    let (first, mut facts, mut is_trashed) = (files.len(), FileFacts::default(), false);
    while let Some(name) = version.next()? {
        match &*name {
            b"Part" => version.objects(|part| {
                let (mut path, mut file) = (None, (0, 0, false));
                while let Some(name) = part.next()? {
                    match &*name {
                        b"file" => path = part.scalar()?.bytes(),
                        b"size" => file.0 = part.scalar()?.number().unwrap_or_default(),
                        b"id" => file.1 = part.scalar()?.number().unwrap_or_default(),
                        b"deletedAt" => file.2 = part.scalar()?.is_set(),
                        _ => part.skip()?,
                    }
                }
                if let Some(path) = path.filter(|_| files.len() < LIST_LIMIT) {
                    let (size, part_id, is_trashed) = file;
                    let facts = FileFacts {
                        part_id,
                        ..FileFacts::default()
                    };
                    files.push(ListedFile {
                        path,
                        size,
                        facts,
                        is_trashed,
                    });
                }
                Ok(())
            })?,
            b"id" => facts.media_id = version.scalar()?.number().unwrap_or_default(),
            b"duration" => facts.duration_ms = version.scalar()?.number().unwrap_or_default(),
            b"videoResolution" => facts.resolution = version.text()?,
            b"container" => facts.container = version.text()?,
            b"proxyType" => facts.is_optimized = version.scalar()?.number() == Some(OPTIMIZED),
            b"deletedAt" => is_trashed = version.scalar()?.is_set(),
            _ => version.skip()?,
        }
    }
    let of_each = std::iter::repeat_n(facts, files.len() - first);
    for (file, facts) in files[first..].iter_mut().zip(of_each) {
        file.facts = FileFacts {
            part_id: file.facts.part_id,
            ..facts
        };
        file.is_trashed |= is_trashed;
    }
    Ok(())
}

/// Reads a library. Its change token combines two times, because neither is reliable alone.
fn read_library(directory: &mut Fields<'_, '_>, libraries: &mut Vec<Library>) -> Result<(), Stop> {
    let mut library = Library::default();
    // A change counter, in spite of the name. The counter changes late, and is always 0 in some libraries.
    let mut content_changed_at = 0_i64;
    // End of the last scan in Unix seconds. This time changes even if the scan found nothing new.
    let mut scanned_at = 0_i64;
    while let Some(name) = directory.next()? {
        match &*name {
            b"key" => library.section = directory.text()?,
            b"uuid" => library.uuid = directory.text()?,
            b"title" => library.title = directory.text()?,
            b"type" => library.kind = LibraryKind::from_name(&directory.text()?),
            b"Location" => read_texts(directory, b"path", &mut library.locations)?,
            b"contentChangedAt" => content_changed_at = directory.scalar()?.number().unwrap_or_default(),
            b"scannedAt" => scanned_at = directory.scalar()?.number().unwrap_or_default(),
            b"refreshing" => library.change.busy = directory.scalar()?.is_set(),
            _ => directory.skip()?,
        }
    }
    library.change.token = format!("{content_changed_at} {scanned_at}");
    library.change.trust = TokenReliability::Hint;
    library.change.scanned_ms = scanned_at.saturating_mul(1_000);
    if library.section.len() > LONGEST_KEY {
        log::warn!(
            "ignoring library '{}': its key has more than {LONGEST_KEY} bytes",
            library.title
        );
    // plexindex cannot read a library without a section id. No real server has more libraries than the limit.
    } else if !library.section.is_empty() && libraries.len() < LIST_LIMIT {
        libraries.push(library);
    }
    Ok(())
}

/// Makes uuids unique, because they identify libraries: derives a uuid from the section id if a library's uuid is a
/// duplicate, or is missing because a proxy removed it. Drops libraries with a duplicate section id.
pub(in crate::source) fn make_uuids_unique(libraries: &mut Vec<Library>) {
    let mut sections = HashSet::new();
    libraries.retain(|library| sections.insert(library.section.clone()));
    let mut counts: HashMap<String, u32> = HashMap::new();
    for library in libraries.iter() {
        *counts.entry(library.uuid.clone()).or_default() += 1;
    }
    for library in libraries {
        if library.uuid.is_empty() || counts.get(&library.uuid).is_some_and(|count| *count > 1) {
            library.uuid = uuid_of_section(&library.section);
        }
    }
}

/// Adds the strings in the field `wanted` of each object in the field's value to `list`.
fn read_texts(fields: &mut Fields<'_, '_>, wanted: &[u8], list: &mut Vec<String>) -> Result<(), Stop> {
    fields.objects(|object| {
        while let Some(name) = object.next()? {
            if *name == *wanted {
                push_unique(list, object.scalar()?.text());
            } else {
                object.skip()?;
            }
        }
        Ok(())
    })
}

/// Maximum number of files, external ids or folders in a row; also the maximum number of libraries. Real lists are much
/// shorter, and the search for duplicates in longer lists would be slow.
pub(super) const LIST_LIMIT: usize = 1024;

/// Adds a string to the list. Ignores an absent, empty or duplicate string, and any string if the list is full. Remote
/// trailers have files with empty names, and two versions of an item may have the same file.
pub(in crate::source) fn push_unique<T: AsRef<[u8]> + PartialEq>(list: &mut Vec<T>, text: Option<T>) {
    if let Some(text) = text
        && !text.as_ref().is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}

/// Adds a file to an item whose facts are known, unless it has the file.
pub(in crate::source) fn push_file(item: &mut Item, path: ByteString, size: u64, file: FileFacts) {
    let count = item.parts.len();
    push_unique(&mut item.parts, Some(path));
    if let Some(facts) = item.facts.0.as_mut().filter(|_| item.parts.len() > count) {
        facts.push(size, file);
    }
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod replies_tests;
