//! Sends requests to the server: one `ureq` agent with our own connectors.
//!
//! Three things differ from the default agent:
//!
//! - The calling thread resolves names. `ureq` would start a thread to enforce a time-out, and a host may unload this
//!   library while that thread still runs.
//! - Another thread can end a connection, also on Windows ([`super::tcp`]).
//! - [`TokenTransport`] inserts the token below `ureq`, since `ureq` logs every byte that it sends at level `trace`.

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

/// Maximum age of an unused connection. It is shorter than Plex's limit of 20 s: if Plex closes a connection just as a
/// request starts, plexindex has to repeat the request.
const MAX_IDLE: Duration = Duration::from_secs(15);

/// Time limit for the TCP connection of an event stream, without TLS. The limit is short, since nothing can interrupt
/// connecting, and the thread that ends the stream waits for it. The watch retries slower connections.
pub(super) const STREAM_CONNECT: Duration = Duration::from_millis(800);

/// The beginning of the header line that is a placeholder for the token. The token's number follows, then the line's
/// end.
const PLACEHOLDER: &[u8] = b"x-plex-token: ***";

/// Returns the placeholder value of `X-Plex-Token`, in whose place [`TokenTransport`] sends the token with this number.
pub(super) fn token_placeholder(number: u64) -> String {
    format!("***{number}")
}

/// The connections to the server.
pub(super) struct Transport {
    /// The agent for requests, created at the first request, since loading the system's certificates takes
    /// milliseconds.
    pub(super) agent: Mutex<Option<Agent>>,
    /// A separate agent for the event stream, so that the stream can be ended alone.
    pub(super) stream: Mutex<Option<Agent>>,
    interruptions: AtomicU64,
    tokens: Arc<Tokens>,
    #[cfg(feature = "tls")]
    tls: TlsConfig,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Transport {
    /// Creates the agents' configuration from the options. Reads `ca_file`, but does not connect.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] about `ca_file`.
    pub fn new(options: &Options, tokens: Arc<Tokens>) -> Result<Self> {
        // Some systems take zero for 'no limit', and sums of very long times overflow.
        let clamp = |time: Duration| time.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600));
        Ok(Self {
            agent: Mutex::default(),
            interruptions: AtomicU64::new(0),
            stream: Mutex::default(),
            tokens,
            #[cfg(feature = "tls")]
            tls: tls::config(options)?,
            connect_timeout: clamp(options.connect_timeout),
            read_timeout: clamp(options.read_timeout),
        })
    }

    /// Returns the time limit for connecting.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Returns the time limit without any data from the server.
    pub fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Sends a request and waits for the head of a reply with any status. `time_left` is the time limit for the whole
    /// exchange, and `silence` the time limit without any data.
    ///
    /// # Errors
    /// Those that [`super::errors`] classifies.
    pub fn send(
        &self,
        request: Request<impl AsSendBody>,
        time_left: Option<Duration>,
        silence: Duration,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let agent = self.agent();
        if time_left.is_none() && silence == self.read_timeout {
            return agent.run(request);
        }
        let request = agent
            .configure_request(request)
            .timeout_global(time_left)
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence));
        agent.run(request.build())
    }

    /// Drops the connections without using them; connections in use end with their calls.
    pub fn drop_connections(&self) {
        *lock(&self.agent) = None;
        *lock(&self.stream) = None;
    }

    /// Sends a request whose reply is endless over a separate connection, which [`Transport::interrupt_stream`] ends.
    /// Returns `None` if `aborted` returns `true` before the request. `silence` is the time limit without any data.
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
        // This check comes after storing the agent, since the thread that ends the stream first sets `aborted` and then
        // takes the agent.
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

    /// Closes all connections except the event stream's. Requests under way end at once, and later requests open new
    /// connections. So a call that the host stops does not wait for the server.
    pub fn interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::SeqCst);
        let agent = lock(&self.agent).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Returns the number of calls of [`Transport::interrupt`]. If the number changes during a request, the request may
    /// have failed because of the interruption.
    pub fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::SeqCst)
    }

    /// Returns the agent for all requests except the event stream.
    fn agent(&self) -> Agent {
        lock(&self.agent)
            .get_or_insert_with(|| self.new_agent(self.read_timeout, None))
            .clone()
    }

    /// Creates an agent. `read_timeout` is the time limit without any data, and `tcp_limit` a time limit for TCP
    /// connections in addition to `connect_timeout`.
    fn new_agent(&self, read_timeout: Duration, tcp_limit: Option<Duration>) -> Agent {
        let config = Config::builder();
        #[cfg(feature = "tls")]
        let config = config.tls_config(self.tls.clone());
        let config = config
            .http_status_as_error(false)
            // `round_trip` follows redirects, and never sends the token to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The environment's proxy is for the internet, not for a server at home, and would see the token.
            .proxy(None)
            .user_agent(concat!("plexindex/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(read_timeout))
            .timeout_per_write(Some(read_timeout))
            .max_idle_age(MAX_IDLE)
            .max_idle_connections_per_host(4)
            .build();
        let connector = ().chain(TcpConnector { limit: tcp_limit });
        // Without this connector, `ureq` rejects https URLs.
        #[cfg(feature = "tls")]
        let connector = connector.chain(tls::TlsConnector::default());
        let connector = connector.chain(TokenConnector(Arc::clone(&self.tokens)));
        Agent::with_parts(config, connector, BlockingResolver)
    }
}

/// Capacity of `ureq`'s list of addresses.
const MAX_ADDRESSES: usize = 16;

/// Resolves names in the calling thread. Only the system's time limits apply, not the deadline of the call.
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
    /// Resolves the host of a URL with the system's resolver.
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
        let resolved = (bare, port)
            .to_socket_addrs()
            .map_err(|error| ureq::Error::Other(Box::new(NameNotFound(error))))?;
        for address in resolved.take(MAX_ADDRESSES) {
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

    /// Wraps the connection in a [`TokenTransport`].
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

/// A connection that inserts tokens, so that the layers above do not know them.
#[derive(Debug)]
struct TokenTransport<In> {
    inner: In,
    tokens: Arc<Tokens>,
}

impl<In: Wire> Wire for TokenTransport<In> {
    /// Returns the buffers of the wrapped connection.
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    /// Sends the output. If it has a placeholder, sends the token in its place, and then wipes the token from the
    /// buffer.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> std::result::Result<(), ureq::Error> {
        let output = self.inner.buffers().output();
        let Some((number, range)) = find_placeholder(output.get(..amount).unwrap_or_default()) else {
            return self.inner.transmit_output(amount, timeout);
        };
        // `Tokens` has the token as long as the call that sends the request runs.
        let session = self.tokens.get(number).filter(|session| session.number() == number);
        let Some(token) = session.as_ref().and_then(|session| session.token.as_ref()) else {
            return Err(io::Error::other("the token of this request was replaced").into());
        };
        let (amount, token_range) = insert_token(output, amount, range, token.reveal().as_bytes())?;
        let result = self.inner.transmit_output(amount, timeout);
        // The connection reuses this memory without clearing it.
        if let Some(token_bytes) = self.inner.buffers().output().get_mut(token_range) {
            token_bytes.zeroize();
        }
        result
    }

    /// Waits for data of the wrapped connection.
    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    /// Returns whether the wrapped connection is open.
    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    /// Returns whether the wrapped connection uses TLS.
    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Finds the placeholder in a request's head. Returns the token's number and the range to replace by the token.
fn find_placeholder(head: &[u8]) -> Option<(u64, Range<usize>)> {
    let line = head.windows(PLACEHOLDER.len()).position(|part| part == PLACEHOLDER)?;
    let number_start = line + PLACEHOLDER.len();
    let rest = head.get(number_start..)?;
    let digits = rest.windows(2).position(|part| part == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    Some((number, number_start - "***".len()..number_start + digits))
}

/// Replaces the range `placeholder` of a request by the token. The request is the first `amount` bytes of `output`.
/// Returns the new amount and the range of the token.
fn insert_token(
    output: &mut [u8],
    amount: usize,
    placeholder: Range<usize>,
    token: &[u8],
) -> io::Result<(usize, Range<usize>)> {
    let new_amount = amount + token.len() - placeholder.len();
    let no_room = io::Error::other("the request has no room for its token");
    if new_amount > output.len() {
        return Err(no_room);
    }
    let token_range = placeholder.start..placeholder.start + token.len();
    output.copy_within(placeholder.end..amount, token_range.end);
    let token_bytes = output.get_mut(token_range.clone()).ok_or(no_room)?;
    token_bytes.copy_from_slice(token);
    Ok((new_amount, token_range))
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
