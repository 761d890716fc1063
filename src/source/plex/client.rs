//! The HTTP client of a server: its URL, tokens, connections, and what it refuses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq::http::HeaderValue;

use crate::error::{Error, Result, Status};
use crate::model::Token;
use crate::options::Options;

use super::super::contract::{Meter, Tokens};
use super::body::Buffers;
use super::retry::{Pause, RealPause};
use super::transport::Transport;
use super::url::BaseUrl;

/// Maximum silence of an event stream: Plex sends something every 10 to 15 s.
const SILENCE: Duration = Duration::from_secs(30);

/// A Plex Media Server, accessed over HTTP.
///
/// Usable from many threads at once. Dropping it closes its connections.
pub struct PlexHttp {
    pub(super) base: BaseUrl,
    pub(super) client_identifier: HeaderValue,
    pub(super) tokens: Arc<Tokens>,
    pub(super) transport: Transport,
    pub(super) meter: Arc<dyn Meter>,
    pub(super) pause: Arc<dyn Pause>,
    pub(super) retry_for: Duration,
    /// Maximum number of rows of a page.
    pub(super) page_size: u32,
    pub(super) silence: Duration,
    pub(super) buffers: Buffers,
    /// The server refuses arguments without which its answers are larger or less steady.
    pub(super) is_minimal: AtomicBool,
    /// The server refuses to be asked for a file name.
    pub(super) refuses_file: AtomicBool,
}

impl fmt::Debug for PlexHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlexHttp")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The validated options of a server.
pub struct CheckedServer {
    base: BaseUrl,
    tokens: Arc<Tokens>,
    transport: Transport,
}

impl CheckedServer {
    /// Validates the options.
    ///
    /// # Errors
    /// [`Status::Offline`] without a `server_url`; [`Status::InvalidArgument`] if it is invalid, if `ca_file` is
    /// unusable, or if the token contains characters that headers cannot carry.
    pub fn new(options: &Options) -> Result<Self> {
        let Some(url) = options.server_url.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "server_url is not set: set it, for example to http://127.0.0.1:32400",
            ));
        };
        let tokens = Tokens::new(options.token.clone());
        let base = BaseUrl::parse(url).map_err(|mut error| {
            error.message = tokens.scrubbed(&error.message);
            error
        })?;
        if base.origin.secure && !cfg!(feature = "tls") {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "server_url {base} needs TLS, and this build of plexindex has none: build it with the feature \
                     `tls`, or use http",
                    base = base.origin
                ),
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
    /// Creates a client of the server that `options` name. Connects nowhere yet.
    ///
    /// `client_identifier` identifies this installation to Plex: keep it, since Plex mails the user about a new one.
    /// `meter` records every request.
    ///
    /// # Errors
    /// Those of [`CheckedServer::new`]; [`Status::InvalidArgument`] if the identifier contains characters that headers
    /// cannot carry.
    pub fn new(options: &Options, client_identifier: &str, meter: Arc<dyn Meter>) -> Result<Self> {
        Self::of(CheckedServer::new(options)?, options, client_identifier, meter)
    }

    /// As [`PlexHttp::new`], with validated options.
    pub fn of(
        server: CheckedServer,
        options: &Options,
        client_identifier: &str,
        meter: Arc<dyn Meter>,
    ) -> Result<Self> {
        let visible = !client_identifier.is_empty() && client_identifier.bytes().all(|byte| byte.is_ascii_graphic());
        let client_identifier = HeaderValue::from_str(client_identifier)
            .ok()
            .filter(|_| visible)
            .ok_or_else(|| {
                Error::new(
                    Status::InvalidArgument,
                    format!("client_identifier {client_identifier:?} is empty or not plain ASCII: use a UUID"),
                )
            })?;
        Ok(Self {
            base: server.base,
            client_identifier,
            tokens: server.tokens,
            transport: server.transport,
            meter,
            pause: Arc::new(RealPause),
            retry_for: options.retry_for,
            page_size: options.page_size,
            silence: SILENCE,
            buffers: Buffers::default(),
            is_minimal: AtomicBool::new(false),
            refuses_file: AtomicBool::new(false),
        })
    }

    /// Returns whether there is a token.
    pub(super) fn has_token(&self) -> bool {
        self.tokens.current().token.is_some()
    }

    /// Removes tokens from the error text: a server may echo a token in its reply.
    pub(super) fn scrubbed(&self, mut error: Error) -> Error {
        error.message = self.tokens.scrubbed(&error.message);
        error
    }

    /// Replaces the clock of retries, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.pause = pause;
        self
    }

    /// Replaces the maximum silence of an event stream, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }
}

/// Maximum length of a token; no server accepts longer headers.
const MOST_BYTES: usize = 65_536;

/// Checks that a header can carry the token. Errors do not contain the token.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_token(token: &Token) -> Result<()> {
    let length = token.reveal().len();
    if length > MOST_BYTES {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("the token has {length} bytes, more than the {MOST_BYTES} allowed: give only the token"),
        ));
    }
    if token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::new(
        Status::InvalidArgument,
        "the token contains an invalid character, such as a space or a line break: trim it",
    ))
}
