//! The HTTP client of a server: its URL, tokens and connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8};
use std::time::Duration;

use ureq::http::HeaderValue;

use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::Token;
use crate::options::Options;
use crate::platform::clock::{Clock, SystemClock};

use super::super::contract::{Meter, Tokens};
use super::reply_body::Buffers;
use super::row_time::RowTime;
use super::transport::Transport;
use super::url::BaseUrl;

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
    pub(super) meter: Arc<dyn Meter>,
    pub(super) clock: Arc<dyn Clock>,
    /// Maximum time for the retries of one request.
    pub(super) retry_for: Duration,
    /// Maximum number of rows in a page.
    pub(super) page_size: u32,
    /// Maximum time without any data on the event stream.
    pub(super) stream_silence: Duration,
    pub(super) buffers: Buffers,
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
    /// the user about each new identifier. `meter` records every request.
    ///
    /// # Errors
    /// Those of [`CheckedServer::new`]; [`Status::InvalidArgument`] if headers cannot contain the identifier.
    pub fn new(options: &Options, client_identifier: &str, meter: Arc<dyn Meter>) -> Result<Self> {
        Self::from_checked(CheckedServer::new(options)?, options, client_identifier, meter)
    }

    /// Creates a client from validated options. Sends no request. `client_identifier` identifies this installation to
    /// Plex, and `meter` records every request.
    pub fn from_checked(
        server: CheckedServer,
        options: &Options,
        client_identifier: &str,
        meter: Arc<dyn Meter>,
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
            meter,
            clock: Arc::new(SystemClock),
            retry_for: options.retry_for,
            page_size: options.page_size,
            stream_silence: STREAM_SILENCE,
            buffers: Buffers::default(),
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
