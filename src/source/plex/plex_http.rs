//! The HTTP client of a server: its URL, tokens and connections. Limits the size of pages, so that a slow server
//! returns each page in time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ureq::http::HeaderValue;

use super::super::contract::{Counters, Tokens};
use super::base_url::BaseUrl;
use super::transport::Transport;
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::Token;
use crate::options::Options;
use crate::platform::clock::{Clock, SystemClock};

/// Maximum time without any data on an event stream. Plex sends data every 10 to 15 s.
const STREAM_SILENCE: Duration = Duration::from_secs(30);

/// A Plex Media Server, accessed over HTTP.
///
/// Many threads can use a client at once. Dropping the client closes its connections.
pub struct PlexHttp {
    pub(super) base_url: BaseUrl,
    pub(super) client_identifier: HeaderValue,
    pub(super) tokens: Arc<Tokens>,
    pub(super) transport: Transport,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
    /// Maximum time for the retries of one request.
    pub(super) retry_for: Duration,
    /// Maximum number of rows in a page.
    pub(super) page_size: u32,
    /// Maximum time without any data on the event stream.
    pub(super) stream_silence: Duration,
    pub(super) row_time: RowTime,
    /// The arguments that requests omit, because the server has rejected some: an `Omitted`.
    pub(super) omitted: AtomicU8,
    /// Whether the server answered 403 or 404 to a request without optional arguments too. No argument is then to
    /// blame for these statuses.
    pub(super) denies_without_arguments: AtomicBool,
    /// Whether the server rejects searches by file name.
    pub(super) rejects_file_filter: AtomicBool,
}

impl fmt::Debug for PlexHttp {
    /// Shows only the base URL, which identifies the server and contains no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlexHttp")
            .field("base", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// A server's validated options.
pub struct CheckedServer {
    base: BaseUrl,
    tokens: Arc<Tokens>,
    transport: Transport,
}

impl CheckedServer {
    /// Validates the options.
    ///
    /// # Errors
    /// [`Status::Offline`] if `server_url` is not set; [`Status::InvalidArgument`] if `server_url` is invalid, if
    /// `ca_file` is unusable, or if the token contains characters that are not allowed in headers.
    pub fn new(options: &Options) -> Result<Self> {
        let Some(url) = options.server_url.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "server_url is not set: set it, for example to http://127.0.0.1:32400",
            ));
        };
        let tokens = Tokens::new(options.token.clone());
        let base = BaseUrl::parse(url).map_err(|mut error| {
            error.message = tokens.scrub(&error.message); // the URL may contain the token
            error
        })?;
        if base.origin.is_https && !cfg!(feature = "tls") {
            return invalid_argument_error(format!(
                "server_url {base} needs TLS, which this build of plexindex lacks: build it with the feature \
                     `tls`, or use http",
                base = base.origin
            ));
        }
        options.token.as_ref().map_or(Ok(()), check_token)?;
        Ok(Self {
            base,
            transport: Transport::new(options, Arc::clone(&tokens))?,
            tokens,
        })
    }
}

impl PlexHttp {
    /// Creates a client for the server in `options`. Sends no request.
    ///
    /// `client_identifier` identifies this installation to Plex. The identifier must not change, because Plex emails
    /// the user about each new identifier. `counters` count every request.
    ///
    /// # Errors
    /// Those of [`CheckedServer::new`]; [`Status::InvalidArgument`] if headers cannot contain the identifier.
    pub fn new(options: &Options, client_identifier: &str, counters: Arc<Counters>) -> Result<Self> {
        Self::from_checked(CheckedServer::new(options)?, options, client_identifier, counters)
    }

    /// Creates a client from validated options. Sends no request. `client_identifier` identifies this installation to
    /// Plex, and `counters` count every request.
    pub fn from_checked(
        server: CheckedServer,
        options: &Options,
        client_identifier: &str,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let is_visible = !client_identifier.is_empty() && client_identifier.bytes().all(|byte| byte.is_ascii_graphic());
        let client_identifier = HeaderValue::from_str(client_identifier)
            .ok()
            .filter(|_| is_visible)
            .ok_or_else(|| {
                Error::new(
                    Status::InvalidArgument,
                    format!("client_identifier {client_identifier:?} is empty or not printable ASCII: use a UUID"),
                )
            })?;
        Ok(Self {
            base_url: server.base,
            client_identifier,
            tokens: server.tokens,
            transport: server.transport,
            counters,
            clock: Arc::new(SystemClock),
            retry_for: options.retry_for,
            page_size: options.page_size,
            stream_silence: STREAM_SILENCE,
            row_time: RowTime::default(),
            omitted: AtomicU8::new(0),
            denies_without_arguments: AtomicBool::new(false),
            rejects_file_filter: AtomicBool::new(false),
        })
    }

    /// Returns whether the host has set a token.
    pub(super) fn has_token(&self) -> bool {
        self.tokens.current().token.is_some()
    }

    /// Replaces tokens in the error message, because a server may repeat a token in its reply.
    pub(super) fn scrub(&self, mut error: Error) -> Error {
        error.message = self.tokens.scrub(&error.message);
        error
    }

    /// Replaces the clock that times retries, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the event stream's maximum time without data, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.stream_silence = silence;
        self
    }
}

/// Maximum length of a token in bytes. Servers reject longer headers.
const MAX_TOKEN_BYTES: usize = 65_536;

/// Checks that a header can contain the token. Error messages do not contain the token.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_token(token: &Token) -> Result<()> {
    let length = token.reveal().len();
    if length > MAX_TOKEN_BYTES {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("the token has {length} bytes, but the limit is {MAX_TOKEN_BYTES}: specify only the token"),
        )
        .with_argument("token"));
    }
    if token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::new(
        Status::InvalidArgument,
        "the token contains an invalid character, such as a space or a line break: remove it",
    )
    .with_argument("token"))
}

/// Minimum number of rows to request in a page, unless the caller wants fewer.
const MIN_PAGE_ROWS: u32 = 100;
/// Assumed time for a row before the first page, in nanoseconds.
const FIRST_ROW_NS: u64 = 1_000_000;

/// The time that the server needs for a row, in nanoseconds. A page may take half of the time that it has.
#[derive(Debug)]
pub(super) struct RowTime(AtomicU64);

impl Default for RowTime {
    fn default() -> Self {
        Self(AtomicU64::new(FIRST_ROW_NS))
    }
}

impl RowTime {
    /// Returns how many rows, at most `max_rows`, to request in a page that must arrive within `time`.
    pub fn rows_within(&self, max_rows: u32, time: Duration) -> u32 {
        let rows = time.as_nanos() / 2 / u128::from(self.0.load(Ordering::Relaxed).max(1));
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(MIN_PAGE_ROWS);
        rows.min(max_rows)
    }

    /// Records how long a request for `size` rows took, which returned `rows`. After a timeout, the next page is ten times
    /// smaller, and then pages grow slowly, because larger ones may never arrive. Ignores pages that are not full, and
    /// timeouts of pages that cannot become smaller.
    pub fn note(&self, size: u32, took: Duration, rows: u64, result: &Result<()>) {
        let row_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / u64::from(size.max(1));
        let last_ns = self.0.load(Ordering::Relaxed);
        let row_ns = match result {
            Ok(()) if rows == u64::from(size) => row_ns.max(last_ns - last_ns / 5),
            // The time may have passed before the request.
            Err(error) if error.status == Status::Timeout && size > MIN_PAGE_ROWS => {
                row_ns.saturating_mul(5).max(last_ns)
            }
            _ => return,
        };
        self.0.store(row_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The sizes of pages from a server on which each row takes so long, and pages of more than `most` rows never arrive.
    fn sizes(row: Duration, most: u32, pages: usize) -> Vec<u32> {
        let time = RowTime::default();
        let request = |_| {
            let size = time.rows_within(1_000, MINUTE);
            let took = if size > most { MINUTE } else { row * size };
            if took < MINUTE {
                time.note(size, took, size.into(), &Ok(()));
            } else {
                time.note(size, MINUTE, 0, &Err(Error::new(Status::Timeout, "late")));
            }
            size
        };
        (0..pages).map(request).collect()
    }

    #[test]
    fn a_fast_server_gets_full_pages() {
        assert_eq!(sizes(Duration::from_millis(5), 1_000, 5), [1_000; 5]);
        let hurried = RowTime::default();
        assert_eq!(hurried.rows_within(1_000, Duration::from_millis(500)), 250);
        assert_eq!(hurried.rows_within(1_000, Duration::ZERO), MIN_PAGE_ROWS);
        assert_eq!(hurried.rows_within(7, Duration::ZERO), 7);
    }

    #[test]
    fn pages_of_a_slow_server_take_half_of_the_time() {
        let pages = sizes(Duration::from_millis(100), 1_000, 20);
        assert_eq!(pages[..2], [1_000, 100]);
        assert_eq!(pages[10..], [300; 10]);
    }

    #[test]
    fn pages_that_never_arrive_are_rarely_requested() {
        let pages = sizes(Duration::from_millis(1), 400, 100);
        let late = pages.iter().filter(|size| **size > 400).count();
        assert!(late < 12, "{late}: {pages:?}");
    }

    #[test]
    fn a_call_without_time_left_shows_nothing() {
        let time = RowTime::default();
        time.note(1_000, Duration::ZERO, 0, &Err(Error::new(Status::Timeout, "late")));
        assert_eq!(time.rows_within(1_000, Duration::from_millis(500)), 250);
    }
}
