//! Requests: their URLs, arguments and descriptions for messages. Sends a request, classifies failures, retries transient
//! failures with growing pauses, within a time limit, and omits optional arguments that a server rejects.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use ureq::http::{Method, Request, Response, StatusCode, response};
use ureq::{AsSendBody, Body};

use super::super::contract::{Bounds, MAX_PAGE_ROWS, RequestKind};
use super::errors::{self, AttemptError, BodyError, ErrorContext, Refusal};
use super::plex_http::PlexHttp;
use super::replies::{BodyProgress, Reply, ReplyKind, RequestMeter, read_beginning, read_reply};
use super::transport::{STREAM_CONNECT, token_placeholder};
use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, LONGEST_KEY, LibraryKind, OWN_IDENTIFIER};
use crate::platform::clock::Clock;
use crate::stats::Activity;

/// Prefix of an item's path in Plex's API, and of the keys that hosts see.
pub(super) const KEY_PREFIX: &str = "/library/metadata/";
/// Maximum size of a reply, as a multiple of a full page. This factor allows a server that ignores paging to send a
/// library of up to 16,000 items in one reply.
pub(super) const OVERSIZE_FACTOR: u64 = 16;
/// Elements of a row that plexindex does not store. `Media` and `Guid`, which contain the files and external ids, must
/// not be in this list.
const EXCLUDED_ELEMENTS: &str = "Genre,Country,Director,Writer,Role,Producer,Collection,Rating,Similar,Style,Mood,\
    Label,Field,Image,UltraBlurColors,Chapter,Marker,Extras,Related,Review,Location,Preferences";
/// Fields of a row that plexindex does not store. A server may still send excluded fields and elements.
const EXCLUDED_FIELDS: &str = "summary,tagline,thumb,art,banner,theme,parentThumb,parentTheme,grandparentThumb,\
    grandparentArt,grandparentTheme,studio,contentRating,rating,audienceRating,userRating,ratingImage,\
    audienceRatingImage,primaryExtraKey,originallyAvailableAt,chapterSource,parentStudio,slug,\
    grandparentSlug,parentSlug,attribution,updatedAt,lastViewedAt,lastRatedAt,viewCount,viewOffset,\
    skipCount,bitrate,width,height,aspectRatio,audioChannels,audioCodec,audioProfile,videoCodec,videoProfile,\
    videoFrameRate,optimizedForStreaming,has64bitOffsets,hasThumbnail,deepAnalysisVersion,indexes";
/// Path and query of the event stream. Servers ignore unknown event names in the filter; servers that do not support
/// filters send all events.
const EVENTS: &str = "/:/eventsource/notifications?filters=timeline,activity,status";
/// Maximum size of the reply to `/identity` in bytes, after decompression.
const MAX_IDENTITY_BYTES: u64 = 1 << 20;
/// Maximum size of the library list in bytes, after decompression. One library takes about 1 kB.
const MAX_LIBRARIES_BYTES: u64 = 8 << 20;
/// Maximum size of a page in bytes, after decompression. Without exclusions, servers send about 3 kB per row.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// The arguments that requests omit, because a server rejects some arguments. Each value omits more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Omitted {
    Nothing,
    /// Arguments that affect only the reply's size or order.
    Optional,
    /// External IDs too. Items then have only Plex's own GUID.
    Guids,
}

impl Omitted {
    /// Returns the value with this number, which must come from a cast.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Optional,
            _ => Self::Guids,
        }
    }
}

/// A query argument, `name=value`, encoded, with the least omission that omits it: [`Omitted::Guids`] for the one that
/// requests external IDs; `None` if the reply would be wrong without the argument.
type QueryParameter = (Option<Omitted>, String);

const REQUIRED: Option<Omitted> = None;
const OPTIONAL: Option<Omitted> = Some(Omitted::Optional);
const GUIDS: Option<Omitted> = Some(Omitted::Guids);

/// A request to the server.
pub(super) struct ServerRequest<'a> {
    /// Request kind in the statistics.
    pub kind: RequestKind,
    /// Path below the base URL, encoded.
    path: String,
    arguments: Vec<QueryParameter>,
    /// Index of the first row and number of rows, for the headers `X-Plex-Container-Start` and
    /// `X-Plex-Container-Size`.
    pub row_range: Option<(u64, u32)>,
    /// Whether to send the token.
    pub with_token: bool,
    /// Maximum size of the reply in bytes, after decompression.
    pub max_reply_bytes: u64,
    /// Purpose of the request, for messages.
    pub purpose: RequestPurpose<'a>,
}

impl<'a> ServerRequest<'a> {
    /// Creates the request for the server's identity.
    pub fn identity() -> Self {
        Self {
            kind: RequestKind::Identity,
            path: "/identity".into(),
            // This request has no token, so that plexindex can identify the server before it sends the token.
            with_token: false,
            max_reply_bytes: MAX_IDENTITY_BYTES,
            purpose: RequestPurpose::Identity,
            ..Self::libraries()
        }
    }

    /// Creates the probe: the request for the libraries and their change times.
    pub fn libraries() -> Self {
        Self {
            kind: RequestKind::Probe,
            path: "/library/sections".into(),
            arguments: Vec::new(),
            row_range: None,
            with_token: true,
            max_reply_bytes: MAX_LIBRARIES_BYTES,
            purpose: RequestPurpose::Libraries,
        }
    }

    /// Creates the request for the event stream, whose length is unlimited.
    pub fn events() -> Self {
        Self {
            kind: RequestKind::Events,
            path: EVENTS.into(),
            max_reply_bytes: u64::MAX,
            purpose: RequestPurpose::Events,
            ..Self::libraries()
        }
    }

    /// Creates the request that tells the server to scan a folder.
    pub fn scan(section: &'a str, folder: &[u8]) -> Self {
        Self {
            kind: RequestKind::Scan,
            path: format!(
                "/library/sections/{}/refresh?path={}",
                encode(section),
                percent_encode(folder, ENCODED)
            ),
            purpose: RequestPurpose::Scan(section),
            ..Self::libraries()
        }
    }

    /// Creates the request that tells the server to refresh an item, or to analyze its files.
    pub fn refresh_item(rating_key: &'a str, analyzes: bool) -> Self {
        let action = if analyzes { "analyze" } else { "refresh" };
        Self {
            kind: RequestKind::Scan,
            path: format!("/library/metadata/{}/{action}", encode(rating_key)),
            purpose: RequestPurpose::RefreshItem(rating_key),
            ..Self::libraries()
        }
    }

    /// Creates the request for a page of rows.
    pub fn rows(request: &'a RowsRequest<'a>) -> Self {
        Self {
            kind: match request.rows {
                Rows::All => RequestKind::Page,
                Rows::NewestUpdated | Rows::Trash => RequestKind::Delta,
                Rows::Title(_) | Rows::FileName(_) => RequestKind::FindPath,
            },
            path: format!("/library/sections/{}/all", encode(request.section)),
            arguments: row_arguments(request),
            // Always sends both numbers: if a request contains only one number, servers send the whole library.
            row_range: Some((request.start, request.size.clamp(1, MAX_PAGE_ROWS))),
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Rows(request),
            ..Self::libraries()
        }
    }

    /// Returns whether the request filters by file name, a filter that some servers reject.
    pub fn filters_by_file(&self) -> bool {
        matches!(self.purpose, RequestPurpose::Rows(rows) if matches!(rows.rows, Rows::FileName(_)))
    }

    /// Returns whether the request has arguments that it can omit.
    pub fn has_optional_arguments(&self) -> bool {
        self.arguments.iter().any(|(omitted_by, _)| omitted_by.is_some())
    }

    /// Returns the path below the base URL, for messages: the query may name files.
    pub fn path_without_query(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Returns the path and query below the base URL, without the omitted arguments.
    pub fn address(&self, omitted: Omitted) -> String {
        let mut address = self.path.clone();
        let is_sent = |(omitted_by, _): &&QueryParameter| omitted_by.is_none_or(|least| omitted < least);
        let sent = self.arguments.iter().filter(is_sent);
        for (index, (_, text)) in sent.enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let _ = write!(address, "{separator}{text}");
        }
        address
    }

    /// Sets `reply` to one without rows, which replaces the reply if the server rejects the filter by file name.
    pub fn set_empty(&self, reply: &mut Reply) {
        *reply = Reply {
            total: Some(0),
            offset: self.row_range.map(|(start, _)| start),
            ..Reply::new(reply.kind)
        };
    }

    /// Creates the request for items by their rating keys.
    pub fn items(keys: &[&str]) -> Self {
        Self {
            kind: RequestKind::Confirm,
            path: items_path(keys),
            arguments: vec![
                (GUIDS, "includeGuids=1".to_owned()),
                // Without this argument, the server may start to refresh the item.
                (OPTIONAL, "skipRefresh=1".to_owned()),
                (OPTIONAL, format!("excludeElements={EXCLUDED_ELEMENTS},Stream")),
                (OPTIONAL, format!("excludeFields={EXCLUDED_FIELDS}")),
            ],
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Items(keys.len()),
            ..Self::libraries()
        }
    }
}

/// The purpose of a request, which follows 'cannot' in messages.
#[derive(Clone, Copy)]
pub(super) enum RequestPurpose<'a> {
    Identity,
    Libraries,
    Rows(&'a RowsRequest<'a>),
    /// Number of items.
    Items(usize),
    /// Section id of the library.
    Scan(&'a str),
    /// Rating key of the item.
    RefreshItem(&'a str),
    Events,
}

impl fmt::Display for RequestPurpose<'_> {
    /// Writes the words that follow 'cannot' in an error message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identify the server"),
            Self::Libraries => f.write_str("list the libraries"),
            Self::Rows(request) => {
                let (start, section) = (request.start, request.section);
                match request.rows {
                    Rows::All => write!(f, "list library section {section} from row {start}"),
                    Rows::NewestUpdated => write!(f, "read the latest changes in library section {section}"),
                    Rows::Trash => write!(f, "read the trash of library section {section}"),
                    Rows::Title(_) => write!(f, "search library section {section} by title"),
                    Rows::FileName(_) => write!(f, "search library section {section} by file name"),
                }
            }
            Self::Items(1) => f.write_str("fetch one item"),
            Self::Items(count) => write!(f, "fetch {count} items"),
            Self::Scan(section) => write!(f, "scan a folder of library section {section}"),
            Self::RefreshItem(rating_key) => write!(f, "refresh item {rating_key}"),
            Self::Events => f.write_str("receive the server's events"),
        }
    }
}

/// Returns the query arguments of a request for rows.
fn row_arguments(request: &RowsRequest<'_>) -> Vec<QueryParameter> {
    let mut arguments = Vec::new();
    if request.kind != ItemType::Other {
        arguments.push((REQUIRED, format!("type={}", request.kind.number())));
    }
    // The order by id is optional: without it, rows may shift between pages, which plexindex detects.
    let (sort, sort_field) = match request.rows {
        Rows::All | Rows::Trash | Rows::Title(_) | Rows::FileName(_) => ((OPTIONAL, "sort=id".to_owned()), "id"),
        Rows::NewestUpdated => ((REQUIRED, "sort=updatedAt:desc".to_owned()), "updatedAt"),
    };
    arguments.push((GUIDS, "includeGuids=1".to_owned()));
    arguments.push((OPTIONAL, "includeCollections=0".to_owned()));
    arguments.push(sort);
    if matches!(request.kind, ItemType::Photo | ItemType::Clip) {
        // Without this argument, servers list neither photos nor clips, and report no error.
        arguments.push((REQUIRED, "clusterZoomLevel=1".to_owned()));
    }
    match request.rows {
        Rows::Title(title) => arguments.push((REQUIRED, format!("title={}", encode(title)))),
        Rows::FileName(name) => arguments.push((REQUIRED, format!("file={}", encode(name)))),
        Rows::Trash => arguments.push((REQUIRED, "trash=1".to_owned())),
        Rows::All | Rows::NewestUpdated => {}
    }
    arguments.push((OPTIONAL, format!("excludeElements={EXCLUDED_ELEMENTS}")));
    // Some servers do not even read excluded fields, and so cannot sort by them.
    let fields: Vec<&str> = EXCLUDED_FIELDS
        .split(',')
        .filter(|field| *field != sort_field)
        .collect();
    arguments.push((OPTIONAL, format!("excludeFields={}", fields.join(","))));
    arguments
}

/// Returns the path below the base URL that addresses all these items.
fn items_path(keys: &[&str]) -> String {
    let mut path = String::from(KEY_PREFIX);
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(path, "{comma}{}", encode(key));
    }
    path
}

/// A request for rows of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Item type of the rows; [`ItemType::Other`] disables the type filter.
    pub kind: ItemType,
    /// Sort order and filter.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// Maximum number of rows, from 1 to 1,000.
    pub size: u32,
}

/// The sort order and filter of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows, sorted by id, so that rows do not shift between pages.
    All,
    /// All rows, most recently updated first.
    NewestUpdated,
    /// Rows whose files are missing on the server's disk. plexindex uses those that are in the trash.
    Trash,
    /// Rows whose title contains this string. The server may return rows that do not match, and omit rows that match.
    Title(&'a str),
    /// Rows with a file whose name contains this string. Plex does not document this filter. The server may return rows
    /// that do not match, and omit rows that match.
    FileName(&'a str),
}

/// Returns the item types that have files in this kind of library. Each of these types is a partition of the listing.
pub(in crate::source) fn item_types_with_files(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        _ => &[ItemType::Other],
    }
}

/// Characters to encode in path segments and query arguments: all except RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a string as a query argument or path segment.
fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// Number of replies with status 500, which may be transient, after which plexindex omits the optional arguments. It
/// does so earlier if no time is left for another retry.
const MAX_REFUSALS: u32 = 3;

impl PlexHttp {
    /// Sends a request that changes something on the server. Such requests are idempotent, so plexindex retries even a
    /// request that the server may have carried out.
    pub(super) fn command(&self, request: &ServerRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        run_with_retries(&*self.clock, self.retry_for, &bounds, &request.purpose, || {
            let reply = self.round_trip(request, Omitted::Nothing, &bounds)?;
            // `ureq` reuses the connection only if the body was read.
            read_beginning(reply.body, None, &BodyProgress::new(&reply.request_meter, &bounds));
            Ok(())
        })
        .map_err(|error| self.scrub(error))
    }

    /// Returns how many rows, at most `max_rows`, to request in a page, so that it arrives in time.
    pub(super) fn rows_in_time(&self, max_rows: u32, bounds: &Bounds<'_>) -> u32 {
        let limits = [
            Some(self.transport.read_timeout),
            bounds.max_silence,
            bounds.deadline.left(),
        ];
        let time = limits.into_iter().flatten().min().unwrap_or_default();
        self.row_time.rows_within(max_rows, time)
    }

    /// Requests rows, adds their items to `items`, even if the call fails midway, and returns the reply without them.
    ///
    /// Counts items without a rating key but does not add them; adds items without files. Requests the rows again if
    /// another call's [`crate::source::Source::interrupt`] closed the connection.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    pub fn fetch_rows(
        &self,
        rows_request: &RowsRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<Reply> {
        let request = ServerRequest::rows(rows_request);
        // A server that ignores paging sends many more rows than requested.
        let max_rows = OVERSIZE_FACTOR * u64::from(rows_request.size.max(MAX_PAGE_ROWS));
        loop {
            let interruptions = self.transport.interruptions();
            let mut reply = Reply::new(ReplyKind::Items(rows_request.kind, max_rows));
            let start = Instant::now();
            let result = self.send(&request, &bounds, &mut reply);
            self.row_time
                .note(rows_request.size, start.elapsed(), reply.rows, &result);
            match result {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.transport.interruptions() != interruptions =>
                {
                    log::debug!("another call closed the connection during a page; requesting the page again: {error}");
                }
                result => {
                    if !reply.items.iter().all(|located| located.is_in(rows_request.section)) {
                        return Err(self.foreign_rows_error(&request));
                    }
                    items.extend(reply.items.drain(..).map(|located| located.item));
                    return result.map(|()| reply);
                }
            }
        }
    }

    /// Returns the error for a reply with rows that the request does not ask for.
    pub(super) fn foreign_rows_error(&self, request: &ServerRequest<'_>) -> Error {
        Error::new(
            Status::BadAnswer,
            format!(
                "cannot {} ({}): the server, or a proxy in front of it, returned other items; make the proxy cache \
                 nothing, or set server_url to the server",
                request.purpose, self.base_url.origin
            ),
        )
    }

    /// Sends a request, and reads the reply into `reply`, even if the call fails midway. Retries transient failures.
    ///
    /// If the server rejects the request, retries without the optional arguments: versions of Plex differ in the
    /// arguments that they accept, and proxies in the maximum length of a URL.
    pub(super) fn send(&self, request: &ServerRequest<'_>, bounds: &Bounds<'_>, reply: &mut Reply) -> Result<()> {
        let started_at = Instant::now();
        let retry_for = bounds
            .retry_for
            .map_or(self.retry_for, |limit| limit.min(self.retry_for));
        let (mut busy_time, mut refusals) = (Duration::ZERO, 0);
        let mut last_refusal = None;
        let filters_by_file = request.filters_by_file();
        let result = run_with_retries(&*self.clock, retry_for, bounds, &request.purpose, || {
            if filters_by_file && self.rejects_file_filter.load(Ordering::Relaxed) {
                request.set_empty(reply);
                return Ok(());
            }
            let attempt_start = Instant::now();
            let mut result = self.send_once(request, self.omitted(), bounds, reply);
            last_refusal = result.as_ref().err().and_then(|failure| failure.refusal);
            if let Err(failure) = &result
                && last_refusal.is_some()
            {
                refusals += 1;
                // A status 500 may be transient. Other statuses, a rejected filter, or the last of several refusals are
                // not.
                let is_transient = failure.is_transient && !filters_by_file;
                if !is_transient || refusals == MAX_REFUSALS {
                    last_refusal = None;
                    result = result.or_else(|failure| self.send_with_less(request, bounds, reply, failure));
                }
            }
            // The remaining time of this call is pauses, which count as waiting.
            busy_time += attempt_start.elapsed();
            result.or_else(|failure| {
                if filters_by_file && failure.refusal == Some(Refusal::Arguments) {
                    self.rejects_file_filter.store(true, Ordering::Relaxed);
                    log::warn!("{} rejects searches by file name", self.base_url.origin);
                    request.set_empty(reply);
                    return Ok(());
                }
                // A retry would discard the rows. A failed search by file name would fail again.
                let is_final =
                    !reply.items.is_empty() || filters_by_file && failure.error.status == Status::ServerError;
                Err(if is_final { failure.into_permanent() } else { failure })
            })
        });
        let paused = started_at.elapsed().saturating_sub(busy_time);
        self.counters.add_time(Activity::Wait, paused);
        // No time was left to find out whether the refusal is transient.
        let result = match (result, last_refusal) {
            (Err(error), Some(refusal)) if refusals < MAX_REFUSALS && error.status == Status::ServerError => {
                let failure = AttemptError::transient(error.clone(), None).into_refusal(refusal);
                self.send_with_less(request, bounds, reply, failure).map_err(|_| error)
            }
            (result, _) => result,
        };
        result.map_err(|error| self.scrub(error))
    }

    /// Returns the arguments that requests omit.
    fn omitted(&self) -> Omitted {
        Omitted::from_number(self.omitted.load(Ordering::Relaxed))
    }

    /// Repeats a rejected request (`failure`) with fewer arguments. If the server then accepts the request, omits these
    /// arguments from now on.
    fn send_with_less(
        &self,
        request: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        reply: &mut Reply,
        mut failure: AttemptError,
    ) -> std::result::Result<(), AttemptError> {
        let may_blame_arguments = match failure.refusal {
            Some(Refusal::Arguments) => true,
            // Items that no longer exist have status 404.
            Some(Refusal::Access) => {
                request.kind != RequestKind::Confirm && !self.denies_without_arguments.load(Ordering::Relaxed)
            }
            None => false,
        };
        if !may_blame_arguments || !request.has_optional_arguments() {
            return Err(failure);
        }
        let first_refusal = failure.refusal;
        // Without external IDs, items are incomplete, so plexindex omits them only if the server certainly rejects them.
        let is_certain = first_refusal == Some(Refusal::Arguments) && !failure.is_transient;
        let least = if is_certain { Omitted::Guids } else { Omitted::Optional };
        for omitted in [Omitted::Optional, Omitted::Guids] {
            if omitted <= self.omitted() || omitted > least {
                continue;
            }
            failure = match self.send_once(request, omitted, bounds, reply) {
                Ok(()) => {
                    self.omitted.store(omitted as u8, Ordering::Relaxed);
                    let what = match omitted {
                        Omitted::Guids => "includeGuids, without which items lack external IDs",
                        Omitted::Nothing | Omitted::Optional => "optional request arguments",
                    };
                    log::warn!("{} rejects {what}; omitting them from now on", self.base_url.origin);
                    return Ok(());
                }
                Err(failure) if failure.refusal.is_none() => return Err(failure),
                Err(failure) => failure,
            };
        }
        if first_refusal == Some(Refusal::Access) {
            self.denies_without_arguments.store(true, Ordering::Relaxed);
        }
        Err(failure)
    }
}

impl PlexHttp {
    /// Sends a request once, and reads the reply into `reply`.
    pub(super) fn send_once(
        &self,
        request: &ServerRequest<'_>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
        reply: &mut Reply,
    ) -> std::result::Result<(), AttemptError> {
        let SuccessReply {
            request_meter,
            parts,
            body,
            errors,
        } = self.round_trip(request, omitted, bounds)?;
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let mut progress = BodyProgress::new(&request_meter, bounds);
        progress.max_silence = errors.max_silence;
        // Reads and parses the body. An exceeded limit explains a failure better than the parser's own error.
        *reply = Reply::new(reply.kind);
        let result = read_reply(body, encoding, request.max_reply_bytes, &progress, reply);
        // If all rows have the same section id, only the reply's metadata contains the id.
        let section = reply.section.clone().unwrap_or_default();
        for located in reply.items.iter_mut().filter(|located| located.section.is_empty()) {
            located.section.clone_from(&section);
        }
        result.map_err(|failure| match (failure, reply.kind) {
            (BodyError::Aborted, _) => errors.body_error(BodyError::Aborted, reply.rows),
            (_, ReplyKind::Items(_, max_rows)) if reply.exceeds_limit => {
                errors.body_error(BodyError::TooManyRows(max_rows), reply.rows)
            }
            (failure, _) => errors.body_error(failure, reply.rows),
        })?;
        if reply.has_invalid_keys {
            log::warn!(
                "ignoring some items from {}: their keys do not consist of 1 to {LONGEST_KEY} digits",
                self.base_url.url(request.path_without_query())
            );
        }
        if reply.has_legacy_format || !reply.is_plex {
            let problem = if reply.has_legacy_format {
                errors::LEGACY_JSON
            } else {
                errors::FOREIGN_JSON
            };
            return Err(errors.error(Status::NotPlex, problem));
        }
        // Some servers send the offset and the total only in headers.
        let number_from = |name: &str| header(name).and_then(|text| text.trim().parse().ok());
        reply.offset = reply.offset.or_else(|| number_from("x-plex-container-start"));
        reply.total = reply.total.or_else(|| number_from("x-plex-container-total-size"));
        if request.kind == RequestKind::Identity && reply.machine_identifier.as_deref().is_none_or(str::is_empty) {
            return Err(errors.error(Status::NotPlex, errors::NO_IDENTITY));
        }
        Ok(())
    }

    /// Sends a request. Returns a successful reply whose body has not been read, or a classified failure.
    pub(super) fn round_trip<'a>(
        &'a self,
        request: &'a ServerRequest<'a>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<SuccessReply<'a>, AttemptError> {
        let errors = self.error_context(request, bounds);
        let http_request = self
            .build_http_request(request, omitted, bounds)
            .map_err(|error| -> AttemptError { errors.error(Status::InvalidArgument, error) })?;
        let time_left = bounds.deadline.left();
        if time_left == Some(Duration::ZERO) {
            return Err(errors.deadline_error().into());
        }
        let request_meter = RequestMeter::new(&self.counters, request.kind);
        // Sends the request. The event stream has its own connection, which another thread can close.
        let silence = errors.max_silence;
        let result = match request.kind {
            RequestKind::Events => self.transport.open_stream(http_request, silence, bounds.aborted),
            _ => self.exchange(http_request, time_left, silence).map(Some),
        };
        request_meter.waited.set(request_meter.started.elapsed());
        let response = match result {
            Ok(Some(response)) => response,
            Ok(None) => {
                request_meter.was_sent.set(false);
                return Err(errors::aborted_error(&request.purpose).into());
            }
            // Without a reply, counts the request only if the server may have received it.
            Err(error) => {
                if !errors::may_be_sent(&error) {
                    request_meter.was_sent.set(false);
                }
                return Err(errors.no_reply_error(&error));
            }
        };
        let (parts, body) = response.into_parts();
        if parts.status == StatusCode::OK {
            return Ok(SuccessReply {
                request_meter,
                parts,
                body,
                errors,
            });
        }
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let progress = BodyProgress::new(&request_meter, bounds);
        let body_start = read_beginning(body, header("content-encoding"), &progress);
        // A redirect may lead to a different server, which must not see the token.
        if parts.status.is_redirection() {
            return Err(errors.redirect_error(header("location")));
        }
        let retry_after = header("retry-after").and_then(|text| errors::parse_retry_after(text, self.clock.now_ms()));
        // Every reply of Plex has this header, also an error.
        let is_from_plex = header("x-plex-protocol").is_some();
        Err(errors.status_error((parts.status.as_u16(), is_from_plex), retry_after, &body_start))
    }

    /// Sends a request, and waits for the reply's status and headers; an HTTP error status is not an error here.
    /// `time_left` is the time limit for the whole exchange, and `silence` the maximum time without any data.
    ///
    /// # Errors
    /// Those that [`errors`] classifies.
    fn exchange(
        &self,
        request: Request<impl AsSendBody>,
        time_left: Option<Duration>,
        silence: Duration,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let agent = self.transport.agent();
        // These limits are the agent's own.
        if time_left.is_none() && silence == self.transport.read_timeout {
            return agent.run(request);
        }
        let request = agent
            .configure_request(request)
            .timeout_global(time_left)
            .timeout_recv_response(Some(silence))
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence));
        agent.run(request.build())
    }

    /// Returns the facts about a request that error messages contain.
    fn error_context<'a>(&'a self, request: &'a ServerRequest<'a>, bounds: &Bounds<'_>) -> ErrorContext<'a> {
        let (connect_timeout, read_timeout) = (self.transport.connect_timeout, self.transport.read_timeout);
        // The event stream and scans have their own time limits.
        let (connect_timeout, max_silence) = match request.kind {
            RequestKind::Events => (connect_timeout.min(STREAM_CONNECT), self.stream_silence),
            RequestKind::Scan => (connect_timeout, read_timeout),
            _ => (
                connect_timeout,
                bounds.max_silence.map_or(read_timeout, |limit| limit.min(read_timeout)),
            ),
        };
        ErrorContext {
            purpose: &request.purpose,
            path: request.path_without_query(),
            refreshes_item: matches!(request.purpose, RequestPurpose::RefreshItem(_)),
            with_token: request.with_token,
            base_url: &self.base_url,
            has_token: self.has_token(),
            connect_timeout,
            read_timeout,
            max_silence,
        }
    }

    /// Builds the HTTP request with all headers. Instead of the token, the headers contain a placeholder.
    fn build_http_request(
        &self,
        request: &ServerRequest<'_>,
        omitted: Omitted,
        bounds: &Bounds<'_>,
    ) -> ureq::http::Result<Request<()>> {
        let (method, accept) = match request.purpose {
            RequestPurpose::Events => (Method::GET, "text/event-stream"),
            RequestPurpose::RefreshItem(_) => (Method::PUT, "application/json"),
            _ => (Method::GET, "application/json"),
        };
        let mut builder = Request::builder()
            .method(method)
            .uri(self.base_url.url(&request.address(omitted)))
            .header("X-Plex-Client-Identifier", &self.client_identifier);
        // A host with its own identifier has already given the device a name in Plex.
        if self.client_identifier.as_bytes().starts_with(OWN_IDENTIFIER.as_bytes()) {
            builder = builder
                .header("X-Plex-Product", "plexindex")
                .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
                .header("X-Plex-Platform", std::env::consts::OS)
                .header("X-Plex-Device", std::env::consts::OS)
                .header("X-Plex-Device-Name", "plexindex");
        }
        if let Some(session) = self.tokens.get(bounds.token_number)
            && request.with_token
            && session.token.is_some()
        {
            builder = builder.header("X-Plex-Token", token_placeholder(session.number()));
        }
        if builder.method_ref() == Some(&Method::PUT) {
            // Otherwise the body would be an empty chunk, which some servers take for the next request.
            builder = builder.header("Content-Length", "0");
        }
        // An earlier reply from a cache would count as an answer to this request.
        builder = builder.header("Accept", accept).header("Cache-Control", "no-cache");
        if !matches!(request.kind, RequestKind::Scan | RequestKind::Events) {
            // On one machine, compression takes many times as long as the copying that it saves.
            let encoding = if self.base_url.origin.is_loopback_host() {
                "identity"
            } else {
                "gzip"
            };
            builder = builder.header("Accept-Encoding", encoding);
        }
        if let Some((start, size)) = request.row_range {
            builder = builder
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        builder.body(())
    }
}

/// A successful reply whose body has not been read.
pub(super) struct SuccessReply<'m> {
    pub request_meter: RequestMeter<'m>,
    pub parts: response::Parts,
    pub body: Body,
    /// Creates the errors for a body that is not what the caller expects.
    pub errors: ErrorContext<'m>,
}

/// Interval at which a pause checks whether the host has aborted the call.
const POLL: Duration = Duration::from_millis(50);
/// First pause, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum pause before jitter, unless the server requests a longer pause.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds or fails permanently, or until too little time is left for another pause. The time
/// limit is `retry_for`, or the deadline if that is earlier. Errors contain `label`, the request's purpose. Adds the
/// number of attempts to the last error.
///
/// # Errors
/// The last failure; [`Status::Aborted`]; [`Status::Timeout`] if the deadline passed before an attempt.
fn run_with_retries<T>(
    clock: &dyn Clock,
    retry_for: Duration,
    bounds: &Bounds<'_>,
    label: &dyn std::fmt::Display,
    mut attempt: impl FnMut() -> std::result::Result<T, AttemptError>,
) -> Result<T> {
    let limits = [clock.now().checked_add(retry_for), bounds.deadline.moment()];
    let end = limits.into_iter().flatten().min();
    let mut attempts = 0_u32;
    loop {
        check_bounds(clock, bounds, label)?;
        attempts += 1;
        let (error, retry_after) = match attempt() {
            Ok(value) => return Ok(value),
            Err(_) if (bounds.aborted)() => return Err(errors::aborted_error(label)),
            Err(failure) if failure.is_transient => (failure.error, failure.retry_after),
            Err(failure) => return Err(with_attempts(failure.error, attempts)),
        };
        // Pauses for at least the time that the server requested. Fails if the pause would not end in time.
        let pause = retry_after.unwrap_or_default().max(backoff(attempts, random()));
        let next_attempt = clock.now().checked_add(pause);
        let has_time = next_attempt.is_some_and(|time| end.is_none_or(|end| time < end));
        if !has_time {
            return Err(match retry_after {
                Some(retry_after) if retry_after > MAX_PAUSE => with_attempts(error, attempts)
                    .with_operation(&format!("the server requests a retry in {} s", retry_after.as_secs())),
                _ => with_attempts(error, attempts),
            });
        }
        // Warns at the first retry, so that a user can see why the call takes so long.
        let level = if attempts == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; retrying in {} ms", pause.as_millis());
        sleep(clock, pause, bounds, label)?;
    }
}

/// Sleeps for `pause`. Fails as soon as the host aborts the call or the deadline passes.
fn sleep(clock: &dyn Clock, pause: Duration, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    let mut remaining = pause;
    while !remaining.is_zero() {
        check_bounds(clock, bounds, label)?;
        let step = remaining.min(POLL);
        clock.sleep(step);
        remaining -= step;
    }
    Ok(())
}

/// Fails if the host has aborted the call or the deadline has passed. `label` is the request's purpose.
fn check_bounds(clock: &dyn Clock, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(errors::aborted_error(label));
    }
    if bounds.deadline.moment().is_some_and(|moment| clock.has_passed(moment)) {
        return Err(Error::new(
            Status::Timeout,
            format!("cannot {label}: the timeout passed before the request; allow more time"),
        ));
    }
    Ok(())
}

/// Adds the number of attempts to the message if there were several attempts.
fn with_attempts(mut error: Error, attempts: u32) -> Error {
    if attempts > 1 {
        error.message = format!("{} (tried {attempts} times)", error.message);
    }
    error
}

/// Returns the pause after this number of attempts. Each pause is twice as long as the one before, up to [`MAX_PAUSE`].
/// `random`, which may be any number, changes the pause by up to 25 %, so that processes that failed together do not
/// retry together.
fn backoff(attempts: u32, random: u32) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(MAX_PAUSE);
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns a random number, derived from the random seed of std's hash tables.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
