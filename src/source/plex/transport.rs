//! Sends requests to the server: one `ureq` agent with our own connectors.
//!
//! Three things differ from the default agent. Names are resolved in the calling thread: `ureq` would start a thread to
//! enforce a time-out, and a host may unload this library while that thread still runs. Another thread can end a connection
//! on Windows too ([`super::tcp`]). And the token is inserted below `ureq` ([`TokenTransport`]), which logs every byte that
//! it sends at level `trace`.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Request, Response, Uri};
#[cfg(feature = "tls")]
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport as Wire};
use ureq::{Agent, AsSendBody, Body};
use zeroize::Zeroize;

use crate::error::Result;
use crate::options::Options;
use crate::platform::mutex::lock;

use super::super::contract::Tokens;
use super::tcp::TcpConnector;
#[cfg(feature = "tls")]
use super::tls;

/// How long an unused connection is kept. Plex closes them after 20 s; a connection closed while in use costs a retry.
const IDLE: Duration = Duration::from_secs(15);

/// Time limit for the TCP connection of an event stream, without TLS. Connecting cannot be interrupted, and the thread
/// that ends the stream waits for it. Slower connections are retried.
pub(super) const STREAM_CONNECT: Duration = Duration::from_millis(800);

/// The token header as a placeholder in a request's head, followed by the token's number and the end of the line.
const PLACEHOLDER: &[u8] = b"x-plex-token: ***";

/// Returns the placeholder value of `X-Plex-Token`, which is replaced by the token with this number on the wire.
pub(super) fn token_placeholder(number: u64) -> String {
    format!("***{number}")
}

/// The connections to the server.
pub(super) struct Transport {
    /// Created at the first request: loading the system's certificates takes milliseconds.
    pub(super) agent: Mutex<Option<Agent>>,
    /// A separate agent for the event stream, so that it can be ended alone.
    pub(super) stream: Mutex<Option<Agent>>,
    interruptions: AtomicU64,
    tokens: Arc<Tokens>,
    #[cfg(feature = "tls")]
    tls: TlsConfig,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Transport {
    /// Reads the options, including `ca_file`; connects nowhere.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] about `ca_file`.
    pub fn new(options: &Options, tokens: Arc<Tokens>) -> Result<Self> {
        // Zero means 'at once' to some systems and 'never' to others; sums of very long times overflow.
        let sane = |time: Duration| time.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600));
        Ok(Self {
            agent: Mutex::default(),
            interruptions: AtomicU64::new(0),
            stream: Mutex::default(),
            tokens,
            #[cfg(feature = "tls")]
            tls: tls::config(options)?,
            connect_timeout: sane(options.connect_timeout),
            read_timeout: sane(options.read_timeout),
        })
    }

    /// Time limit for connecting.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Time limit for the server's silence.
    pub fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Sends a request and waits for the head of its reply, whatever its status. `silence`: time limit without any
    /// data.
    ///
    /// # Errors
    /// [`super::errors`] classifies them.
    pub fn send(
        &self,
        request: Request<impl AsSendBody>,
        left: Option<Duration>,
        silence: Duration,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let agent = self.agent();
        if left.is_none() && silence == self.read_timeout {
            return agent.run(request);
        }
        let request = agent
            .configure_request(request)
            .timeout_global(left)
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence));
        agent.run(request.build())
    }

    /// Drops the connections without using them; connections in use end with their calls.
    pub fn drop_connections(&self) {
        *lock(&self.agent) = None;
        *lock(&self.stream) = None;
    }

    /// Sends a request over a separate connection with an endless reply. `silence`: time limit without any data.
    /// [`Transport::interrupt_stream`] ends it; `None` if `aborted` is already set.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub fn open_stream(
        &self,
        request: Request<()>,
        silence: Duration,
        aborted: &dyn Fn() -> bool,
    ) -> std::result::Result<Option<Response<Body>>, ureq::Error> {
        let agent = self.new_agent(silence, Some(STREAM_CONNECT));
        *lock(&self.stream) = Some(agent.clone());
        // The thread that ends the stream sets `aborted` first, and then takes this agent.
        if aborted() {
            return Ok(None);
        }
        agent.run(request).map(Some)
    }

    /// Closes the connection of the event stream.
    pub fn interrupt_stream(&self) {
        let agent = lock(&self.stream).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Closes all connections, which ends all waiting.
    pub fn interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::SeqCst);
        let agent = lock(&self.agent).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Number of calls of [`Transport::interrupt`]: if it changes during a request, that may be why it failed.
    pub fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::SeqCst)
    }

    fn agent(&self) -> Agent {
        lock(&self.agent)
            .get_or_insert_with(|| self.new_agent(self.read_timeout, None))
            .clone()
    }

    fn new_agent(&self, read_timeout: Duration, tcp_limit: Option<Duration>) -> Agent {
        let config = Config::builder();
        #[cfg(feature = "tls")]
        let config = config.tls_config(self.tls.clone());
        let config = config
            .http_status_as_error(false)
            // We follow redirects ourselves: the token must not go to other hosts.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy from the environment is not meant for a server at home, and would see the token.
            .proxy(None)
            .user_agent(concat!("plexindex/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(read_timeout))
            .timeout_per_write(Some(read_timeout))
            .max_idle_age(IDLE)
            .max_idle_connections_per_host(4)
            .build();
        let connector = ().chain(TcpConnector { limit: tcp_limit });
        // Without this connector, `ureq` rejects https URLs before it sends anything.
        #[cfg(feature = "tls")]
        let connector = connector.chain(tls::TlsConnector::default());
        let connector = connector.chain(TokenConnector(Arc::clone(&self.tokens)));
        Agent::with_parts(config, connector, BlockingResolver)
    }
}

/// Resolves names in the calling thread. Deadlines do not apply; the system's limits do.
#[derive(Debug)]
struct BlockingResolver;

/// A failed name resolution, with the system's error.
#[derive(Debug)]
pub(super) struct NameNotFound(pub io::Error);

impl fmt::Display for NameNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NameNotFound {}

impl Resolver for BlockingResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut addresses = self.empty();
        if let Ok(address) = bare.parse::<IpAddr>() {
            addresses.push((address, port).into());
            return Ok(addresses);
        }
        let found = (bare, port)
            .to_socket_addrs()
            .map_err(|error| ureq::Error::Other(Box::new(NameNotFound(error))))?;
        // The capacity of the list.
        for address in found.take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(addresses)
    }
}

/// Wraps each connection so that it inserts the token into requests with a placeholder.
#[derive(Debug)]
struct TokenConnector(Arc<Tokens>);

impl<In: Wire> Connector<In> for TokenConnector {
    type Out = TokenTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|inner| TokenTransport {
            inner,
            tokens: Arc::clone(&self.0),
        }))
    }
}

/// A connection that inserts tokens, so that no layer above knows them.
#[derive(Debug)]
struct TokenTransport<In> {
    inner: In,
    tokens: Arc<Tokens>,
}

impl<In: Wire> Wire for TokenTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> std::result::Result<(), ureq::Error> {
        let output = self.inner.buffers().output();
        let Some((number, place)) = find_placeholder(output.get(..amount).unwrap_or_default()) else {
            return self.inner.transmit_output(amount, timeout);
        };
        // The sender of the request keeps its token in use.
        let session = self.tokens.get(number).filter(|session| session.number() == number);
        let Some(token) = session.as_ref().and_then(|session| session.token.as_ref()) else {
            return Err(io::Error::other("the token of this request was replaced").into());
        };
        let (amount, place) = insert_token(output, amount, place, token.reveal().as_bytes())?;
        let sent = self.inner.transmit_output(amount, timeout);
        // The connection reuses this memory without clearing it.
        if let Some(place) = self.inner.buffers().output().get_mut(place) {
            place.zeroize();
        }
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Finds the placeholder in a request's head; returns the token's number and the range to replace.
fn find_placeholder(head: &[u8]) -> Option<(u64, Range<usize>)> {
    let line = head.windows(PLACEHOLDER.len()).position(|part| part == PLACEHOLDER)?;
    let number_at = line + PLACEHOLDER.len();
    let rest = head.get(number_at..)?;
    let digits = rest.windows(2).position(|part| part == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    Some((number, number_at - "***".len()..number_at + digits))
}

/// The first `amount` bytes of `output` are the request. Replaces the range `place` of them by the token. Returns the
/// new amount and the token's range.
fn insert_token(
    output: &mut [u8],
    amount: usize,
    place: Range<usize>,
    token: &[u8],
) -> io::Result<(usize, Range<usize>)> {
    let new_amount = amount + token.len() - place.len();
    let no_room = io::Error::other("the request has no room for its token");
    if new_amount > output.len() {
        return Err(no_room);
    }
    let token_range = place.start..place.start + token.len();
    output.copy_within(place.end..amount, token_range.end);
    let token_bytes = output.get_mut(token_range.clone()).ok_or(no_room)?;
    token_bytes.copy_from_slice(token);
    Ok((new_amount, token_range))
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
