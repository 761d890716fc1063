//! State of a server between requests: its URL, the token, the connections, and the arguments that it refuses.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::http::HeaderValue;

use crate::error::{Error, Result, Status};
use crate::model::Token;
use crate::options::Options;

use super::super::contract::{Meter, Tokens};
use super::body::{Buffers, LinkSpeed};
use super::owed::PendingReply;
use super::refusal::Refusals;
use super::refused::Refused;
use super::retry::{Pause, RealPause};
use super::transport::Transport;
use super::url::{BaseUrl, Origin};

/// How long an event stream may be silent: Plex sends something each 10 to 15 s.
const SILENCE: Duration = Duration::from_secs(30);

/// A Plex Media Server, asked over HTTP.
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
    /// The most rows of a page.
    pub(super) page_size: u32,
    pub(super) silence: Duration,
    pub(super) owed: PendingReply,
    pub(super) buffers: Buffers,
    pub(super) way: LinkSpeed,
    pub(super) refusals: Refusals,
    /// Where the server was found to want HTTPS, so that the token is sent in the clear once and never again.
    pub(super) upgraded: OnceLock<Origin>,
}

impl fmt::Debug for PlexHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlexHttp")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// What options say of a server, once it was found to be usable.
pub struct CheckedServer {
    base: BaseUrl,
    tokens: Arc<Tokens>,
    transport: Transport,
}

impl CheckedServer {
    /// # Errors
    /// [`Status::Offline`] without a `server_url`; [`Status::InvalidArgument`] when it is none, when `ca_file` cannot
    /// be used, or when the token holds what no header can carry.
    pub fn new(options: &Options) -> Result<Self> {
        let Some(url) = options.server_url.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "there is no server_url, and so no server to ask: set it, such as http://127.0.0.1:32400",
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
    /// A client of the server that `options` name. Connects nowhere yet.
    ///
    /// `client_identifier` is what Plex knows this installation by: keep it, a new one mails the user. `meter` is
    /// told of every request that was sent.
    ///
    /// # Errors
    /// Those of [`CheckedServer::new`]; [`Status::InvalidArgument`] when the identifier holds what no header can carry.
    pub fn new(options: &Options, client_identifier: &str, meter: Arc<dyn Meter>) -> Result<Self> {
        Self::of(CheckedServer::new(options)?, options, client_identifier, meter)
    }

    /// The same, of options that were checked.
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
                    format!("client_identifier {client_identifier:?} is empty or no plain ASCII text: use a UUID"),
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
            owed: PendingReply::new(),
            buffers: Buffers::default(),
            way: LinkSpeed::default(),
            refusals: Refusals::default(),
            upgraded: OnceLock::new(),
        })
    }

    /// Whether a token is sent with requests that need one.
    pub(super) fn has_token(&self) -> bool {
        self.tokens.current().token.is_some()
    }

    /// The last line of defence: a server may echo a token in what it sends, and that may end in a text of ours.
    pub(super) fn scrubbed(&self, mut error: Error) -> Error {
        error.message = self.tokens.scrubbed(&error.message);
        error
    }

    /// What the server is asked without.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refusals.all()
    }

    /// The same client with another clock for its pauses: for tests, which need not wait.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.pause = pause;
        self
    }

    /// The same client that takes an event stream for dead after so long a silence: for tests, which need not wait.
    #[doc(hidden)]
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }
}

/// No token has more bytes, and no server takes a header that does.
const MOST_BYTES: usize = 65_536;

/// Checks that a header can carry the token. Errors do not show it.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_token(token: &Token) -> Result<()> {
    let length = token.reveal().len();
    if length > MOST_BYTES {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("the token has {length} bytes, and no token has more than {MOST_BYTES}: give the token alone"),
        ));
    }
    if token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::new(
        Status::InvalidArgument,
        "the token holds characters that no token has, such as a space or the end of a line: trim it",
    ))
}
