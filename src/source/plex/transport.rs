//! How requests reach the server: one `ureq` agent with connectors of our own.
//!
//! Three things differ from the agent as it comes. Names are resolved in the calling thread: `ureq` would start a
//! thread in order to give up early, and a host may unload this library while that thread still runs. Certificates
//! are verified by a configuration of ours ([`super::tls`]), made once. And the token is put in below `ureq`
//! ([`TokenTransport`]), which writes every byte that it sends to the log at the level `trace`.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Method, Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport as Wire, time,
};
use ureq::{Agent, AsSendBody, Body};
use zeroize::Zeroize;

use crate::error::Result;
use crate::options::Options;
use crate::platform::mutex::lock;

use super::super::contract::Tokens;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// How long an unused connection is kept. Plex closes them after 20 s; one closed by it in the very moment of use
/// costs a repetition.
const IDLE: Duration = Duration::from_secs(15);

/// How long the TCP connection of an event stream may take, without TLS: the one thing that cannot be interrupted, and
/// the thread that ends the stream waits for it. What is slower is tried again.
pub(super) const STREAM_CONNECT: Duration = Duration::from_millis(800);

/// The header that carries the token, as it stands in a request's head where the token shall come: its number follows, and
/// the end of the line.
const PLACEHOLDER: &[u8] = b"x-plex-token: ***";

/// The value to set the header `X-Plex-Token` to: it becomes the token of this number on the wire.
pub(super) fn token_place(number: u64) -> String {
    format!("***{number}")
}

/// The connections to the server.
pub(super) struct Transport {
    /// Made at the first request: loading the system's certificates takes milliseconds.
    pub(super) agent: Mutex<Option<Agent>>,
    /// The event stream's own, so that it can be ended alone.
    pub(super) stream: Mutex<Option<Agent>>,
    cuts: AtomicU64,
    tokens: Arc<Tokens>,
    #[cfg(feature = "tls")]
    tls: Tls,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Transport {
    /// Reads what is needed of the options, the file with certificates included; connects nowhere.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] about `ca_file`.
    pub fn new(options: &Options, tokens: Arc<Tokens>) -> Result<Self> {
        // Zero is 'at once' to some systems and 'never' to others; sums of very long times overflow.
        let sane = |time: Duration| time.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600));
        Ok(Self {
            agent: Mutex::default(),
            cuts: AtomicU64::new(0),
            stream: Mutex::default(),
            tokens,
            #[cfg(feature = "tls")]
            tls: Tls::new(options)?,
            connect_timeout: sane(options.connect_timeout),
            read_timeout: sane(options.read_timeout),
        })
    }

    /// How long a connection may take.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// How long the server may be silent.
    pub fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Sends a request and waits for the head of its answer, whatever its status. `silence` is how long nothing may come.
    ///
    /// # Errors
    /// What [`super::errors`] makes sense of.
    pub fn send(
        &self,
        request: Request<()>,
        left: Option<Duration>,
        silence: Duration,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        if request.method() == Method::PUT {
            // An empty body has a length; without any, one in pieces would be announced, which not every server takes.
            self.send_with(request.map(|()| &b""[..]), left, silence)
        } else {
            self.send_with(request, left, silence)
        }
    }

    fn send_with(
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

    /// Forgets the connections without using them; those of calls in flight end with their calls.
    pub fn forget(&self) {
        *lock(&self.agent) = None;
        *lock(&self.stream) = None;
    }

    /// Sends a request over a connection of its own, whose answer may be read as long as it takes; `silence` is how long
    /// nothing may come. [`Transport::interrupt_stream`] ends it. `None` when that was wanted already.
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
        // The thread that ends it says so first, then looks here.
        if aborted() {
            return Ok(None);
        }
        agent.run(request).map(Some)
    }

    /// Ends the stream by closing its connection.
    pub fn interrupt_stream(&self) {
        let agent = lock(&self.stream).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Ends what any thread waits for, by closing its connection.
    pub fn interrupt(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        let agent = lock(&self.agent).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// How often that was done: what fails meanwhile may have been cut off by it.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }

    fn agent(&self) -> Agent {
        lock(&self.agent)
            .get_or_insert_with(|| self.new_agent(self.read_timeout, None))
            .clone()
    }

    fn new_agent(&self, read_timeout: Duration, tcp_limit: Option<Duration>) -> Agent {
        let config = Config::builder()
            .http_status_as_error(false)
            // Redirects are ours: the token must not follow them to other hosts.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy named in the environment is not meant for a server at home, and would see the token.
            .proxy(None)
            .user_agent(concat!("plexindex/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(read_timeout))
            .timeout_per_write(Some(read_timeout))
            .max_idle_age(IDLE)
            .max_idle_connections_per_host(4)
            .build();
        let connector = ().chain(Tcp {
            tcp: TcpConnector::default(),
            limit: tcp_limit,
        });
        // Without TLS here, `ureq` refuses an https URL by itself before anything is sent.
        #[cfg(feature = "tls")]
        let connector = connector.chain(self.tls.connector());
        let connector = connector.chain(TokenConnector(Arc::clone(&self.tokens)));
        Agent::with_parts(config, connector, ResolveHere)
    }
}

/// TCP, perhaps with a limit of its own within the time that a connection may take.
#[derive(Debug)]
struct Tcp {
    tcp: TcpConnector,
    limit: Option<Duration>,
}

impl<In: Wire> Connector<In> for Tcp {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let mut timeout = details.timeout;
        if let Some(limit) = self.limit {
            timeout.after = match timeout.after {
                time::Duration::Exact(after) => after.min(limit).into(),
                time::Duration::NotHappening => limit.into(),
            };
        }
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.tcp.connect(&details, chained)
    }
}

/// Resolves names in the calling thread. A deadline cannot shorten that; the system's own limits do.
#[derive(Debug)]
struct ResolveHere;

/// A name that could not be resolved, with the system's reason.
#[derive(Debug)]
pub(super) struct NameNotFound(pub io::Error);

impl fmt::Display for NameNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NameNotFound {}

impl Resolver for ResolveHere {
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
        // As many as the list can hold.
        for address in found.take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(addresses)
    }
}

/// Wraps each connection so that it puts the token into the requests that have a place for it.
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

/// A connection that knows the tokens, so that nothing above it does.
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
        let Some((number, place)) = find_place(output.get(..amount).unwrap_or_default()) else {
            return self.inner.transmit_output(amount, timeout);
        };
        // Who asks with it holds it.
        let session = self.tokens.get(number).filter(|session| session.number() == number);
        let Some(token) = session.as_ref().and_then(|session| session.token.as_ref()) else {
            return Err(io::Error::other("the token of this request was replaced").into());
        };
        let (amount, place) = put_in(output, amount, place, token.reveal().as_bytes())?;
        let sent = self.inner.transmit_output(amount, timeout);
        // The connection keeps this memory, and does not clean it.
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

/// Where in a request's head a token shall come, and the number of which one.
fn find_place(head: &[u8]) -> Option<(u64, Range<usize>)> {
    let line = head.windows(PLACEHOLDER.len()).position(|part| part == PLACEHOLDER)?;
    let number_at = line + PLACEHOLDER.len();
    let rest = head.get(number_at..)?;
    let digits = rest.windows(2).position(|part| part == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    Some((number, number_at - "***".len()..number_at + digits))
}

/// Puts the token in its place in the first `amount` bytes of `output`, and returns how many there are then, and where it is.
fn put_in(output: &mut [u8], amount: usize, place: Range<usize>, token: &[u8]) -> io::Result<(usize, Range<usize>)> {
    let longer = amount + token.len() - place.len();
    let room = io::Error::other("the request has no room for its token");
    if longer > output.len() {
        return Err(room);
    }
    output.copy_within(place.end..amount, place.start + token.len());
    let place = place.start..place.start + token.len();
    output.get_mut(place.clone()).ok_or(room)?.copy_from_slice(token);
    Ok((longer, place))
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
