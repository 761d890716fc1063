//! The connections to the server: `ureq` agents with custom connectors.
//!
//! An agent differs from `ureq`'s default in three ways:
//!
//! - The calling thread resolves names. `ureq` would start a thread to enforce a time-out, but a host may unload this
//!   library while that thread is still running.
//! - A thread can close another thread's connection, even on Windows.
//! - [`TokenTransport`] inserts the token below `ureq`, because `ureq` logs every byte that it sends at level `trace`.
//!
//! `ureq` has a connector similar to [`TcpConnector`]. But on Windows and under Wine, shutting down a connection does
//! not wake a thread that waits for data. Closing the socket would wake the thread, but `ureq` does not provide access
//! to the socket.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport as Wire, time,
};
use ureq::{Agent, Body, Error, Timeout};
use zeroize::Zeroize;

use super::super::contract::Tokens;
use crate::error::Result;
use crate::options::Options;
use crate::platform::fork::lock;
use crate::platform::thread;

#[cfg(feature = "tls")]
use super::tls;

/// Maximum age of an idle connection, less than Plex's limit of 20 s: if Plex closed a connection just as a request
/// starts, plexindex would have to repeat the request.
const MAX_IDLE: Duration = Duration::from_secs(15);

/// Time limit for the TCP connection of an event stream, without TLS. The limit is short, because plexindex cannot
/// interrupt connecting, which would delay a watch that stops. After a time-out, the watch retries.
pub(super) const STREAM_CONNECT: Duration = Duration::from_millis(800);

/// Beginning of the header line that is a placeholder for the token. The token's number and the end of the line follow.
const PLACEHOLDER: &[u8] = b"x-plex-token: ***";

/// Returns the value of `X-Plex-Token` that [`TokenTransport`] replaces with the token of this number.
pub(super) fn token_placeholder(number: u64) -> String {
    format!("***{number}")
}

/// The connections to the server.
pub(super) struct Transport {
    /// The agent for requests, created at the first request, because loading certificates takes milliseconds.
    pub(super) agent: Mutex<Option<Agent>>,
    /// A separate agent for the event stream, so that closing the stream closes no other connection.
    pub(super) stream: Mutex<Option<Agent>>,
    interruptions: AtomicU64,
    tokens: Arc<Tokens>,
    #[cfg(feature = "tls")]
    tls: tls::TlsConnector,
    pub connect_timeout: Duration,
    /// Maximum time without any data from the server.
    pub read_timeout: Duration,
}

impl Transport {
    /// Creates the agents' configuration from the options. Reads `ca_file`, but does not connect.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] if `ca_file` is invalid.
    pub fn new(options: &Options, tokens: Arc<Tokens>) -> Result<Self> {
        // Some systems treat zero as 'no limit', and sums of very long times would overflow.
        let clamp = |time: Duration| time.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600));
        Ok(Self {
            agent: Mutex::default(),
            interruptions: AtomicU64::new(0),
            stream: Mutex::default(),
            tokens,
            #[cfg(feature = "tls")]
            tls: tls::TlsConnector::new(options)?,
            connect_timeout: clamp(options.connect_timeout),
            read_timeout: clamp(options.read_timeout),
        })
    }

    /// Drops the connections without using them. Connections in use are closed when their calls end.
    pub fn drop_connections(&self) {
        *lock(&self.agent) = None;
        *lock(&self.stream) = None;
    }

    /// Sends a request whose reply is endless, over a separate connection, which [`Transport::interrupt_stream`] can
    /// close. Returns `None` if `aborted` returns `true` before the request. `silence` is the maximum time without any
    /// data.
    ///
    /// # Errors
    /// Those that [`super::errors`] classifies.
    pub fn open_stream(
        &self,
        request: Request<()>,
        silence: Duration,
        aborted: &dyn Fn() -> bool,
    ) -> std::result::Result<Option<Response<Body>>, ureq::Error> {
        let agent = self.new_agent(silence, Some(STREAM_CONNECT));
        *lock(&self.stream) = Some(agent.clone());
        // Checks `aborted` after storing the agent: a thread that closes the stream sets `aborted` and then takes the
        // agent.
        if aborted() {
            return Ok(None);
        }
        agent.run(request).map(Some)
    }

    /// Closes the event stream's connection.
    pub fn interrupt_stream(&self) {
        let agent = lock(&self.stream).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Closes all connections except the event stream's, so that calls that the host stops do not wait for the server.
    /// Running requests end at once; later requests open new connections.
    pub fn interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::SeqCst);
        let agent = lock(&self.agent).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }

    /// Returns how often [`Transport::interrupt`] was called. If the number changes during a request, the request may
    /// have failed because of the interruption.
    pub fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::SeqCst)
    }

    /// Returns the agent for all requests except the event stream.
    pub fn agent(&self) -> Agent {
        lock(&self.agent)
            .get_or_insert_with(|| self.new_agent(self.read_timeout, None))
            .clone()
    }

    /// Creates an agent. `read_timeout` is the maximum time without any data. `tcp_limit` limits the time for
    /// connecting, if it is shorter than `connect_timeout`.
    fn new_agent(&self, read_timeout: Duration, tcp_limit: Option<Duration>) -> Agent {
        let config = Config::builder()
            .http_status_as_error(false)
            // A redirect may lead to a different server, which must not see the token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy in the environment is meant for the internet, not for a server at home, and would see the token.
            .proxy(None)
            .user_agent(concat!("plexindex/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.connect_timeout))
            // The whole head: a server that sends one byte of it now and then would never be silent.
            .timeout_recv_response(Some(read_timeout))
            .timeout_per_read(Some(read_timeout))
            .timeout_per_write(Some(read_timeout))
            .max_idle_age(MAX_IDLE)
            .max_idle_connections_per_host(4)
            .build();
        let connector = ().chain(TcpConnector {
            connect_limit: tcp_limit,
        });
        // Without this connector, `ureq` rejects https URLs.
        #[cfg(feature = "tls")]
        let connector = connector.chain(self.tls.clone());
        let connector = connector.chain(TokenConnector(Arc::clone(&self.tokens)));
        Agent::with_parts(config, connector, BlockingResolver)
    }
}

/// Capacity of `ureq`'s address list.
const MAX_ADDRESSES: usize = 16;

/// Resolves names in the calling thread. Only the system's time limits apply, not the call's deadline.
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
    /// Resolves the host in a URL with the system's resolver.
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let bare_host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut addresses = self.empty();
        if let Ok(address) = bare_host.parse::<IpAddr>() {
            addresses.push((address, port).into());
            return Ok(addresses);
        }
        let resolved = (bare_host, port)
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

/// Creates connections that insert the token into requests with a placeholder.
#[derive(Debug)]
struct TokenConnector(Arc<Tokens>);

impl<In: Wire> Connector<In> for TokenConnector {
    type Out = TokenTransport<In>;

    /// Wraps the connection that the earlier connectors have created.
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

/// A connection that inserts tokens, so that the layers above never see them.
#[derive(Debug)]
struct TokenTransport<In> {
    inner: In,
    tokens: Arc<Tokens>,
}

impl<In: Wire> Wire for TokenTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    /// Sends the output with the token in place of the placeholder, and then wipes the token from the buffer. The
    /// layers above see only the placeholder, so they can neither log nor keep the token.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> std::result::Result<(), ureq::Error> {
        let output = self.inner.buffers().output();
        let Some((number, range)) = find_placeholder(output.get(..amount).unwrap_or_default()) else {
            return self.inner.transmit_output(amount, timeout);
        };
        // `Tokens` keeps the token as long as the call that sends this request is running. For the number 0,
        // `Tokens::get` returns the current token, so this code compares the numbers.
        let session = self.tokens.get(number).filter(|session| session.number() == number);
        let Some(token) = session.as_ref().and_then(|session| session.token.as_ref()) else {
            return Err(io::Error::other("the token used for this request has been replaced").into());
        };
        let (amount, token_range) = insert_token(output, amount, range, token.reveal().as_bytes())?;
        let result = self.inner.transmit_output(amount, timeout);
        // The connection reuses this memory without clearing it.
        if let Some(token_bytes) = self.inner.buffers().output().get_mut(token_range) {
            token_bytes.zeroize();
        }
        result
    }

    /// Waits for data. Replies contain no tokens, so the inner connection does all the work.
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

/// Finds the placeholder in a request. Returns the token's number and the range to replace (`***` and the number), or
/// `None` for a request without a placeholder.
fn find_placeholder(head: &[u8]) -> Option<(u64, Range<usize>)> {
    let line = head.windows(PLACEHOLDER.len()).position(|part| part == PLACEHOLDER)?;
    let number_start = line + PLACEHOLDER.len();
    let after_stars = head.get(number_start..)?;
    let digit_count = after_stars.windows(2).position(|part| part == b"\r\n")?;
    let number = std::str::from_utf8(after_stars.get(..digit_count)?)
        .ok()?
        .parse()
        .ok()?;
    Some((number, number_start - "***".len()..number_start + digit_count))
}

/// Replaces the range `placeholder` of a request with the token. The request is the first `amount` bytes of `output`.
/// Returns the new `amount` and the token's range.
fn insert_token(
    output: &mut [u8],
    amount: usize,
    placeholder: Range<usize>,
    token: &[u8],
) -> io::Result<(usize, Range<usize>)> {
    let new_amount = amount + token.len() - placeholder.len();
    let no_room = io::Error::other("the request buffer has no room for the token");
    if new_amount > output.len() {
        return Err(no_room);
    }
    let token_range = placeholder.start..placeholder.start + token.len();
    output.copy_within(placeholder.end..amount, token_range.end);
    let token_bytes = output.get_mut(token_range.clone()).ok_or(no_room)?;
    token_bytes.copy_from_slice(token);
    Ok((new_amount, token_range))
}

/// Connects to the first address that accepts a connection.
#[derive(Debug)]
pub(super) struct TcpConnector {
    /// Time limit for connecting. `ureq`'s own limit also applies; the shorter one counts.
    pub connect_limit: Option<Duration>,
}

impl<In: Wire> Connector<In> for TcpConnector {
    type Out = TcpTransport;

    /// Tries one address after the other, until one accepts the connection or the time limit has passed.
    fn connect(&self, details: &ConnectionDetails, _: Option<In>) -> Result<Option<TcpTransport>, Error> {
        let started_at = Instant::now();
        let limit = match details.timeout.after {
            time::Duration::Exact(after) => Some(self.connect_limit.map_or(after, |limit| limit.min(after))),
            time::Duration::NotHappening => self.connect_limit,
        };
        let end = limit.map(|limit| started_at + limit);
        let mut last_error = None;
        for (index, address) in details.addrs.iter().enumerate() {
            // Each address may use half of the remaining time; the last address may use all of it.
            let is_last = index + 1 == details.addrs.len();
            let remaining = end.map(|end| end.saturating_duration_since(Instant::now()));
            let time_limit = remaining.map(|remaining| if is_last { remaining } else { remaining / 2 });
            match connect(*address, time_limit) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let connection = Arc::new(Connection(stream));
                    let handle = Arc::downgrade(&connection);
                    (details.register_shutdown)(handle)?;
                    let buffers =
                        LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(TcpTransport { connection, buffers }));
                }
                Err(error) => last_error = Some(error),
            }
        }
        match last_error {
            // `reason` shows whether the call's deadline has passed, which is not a failure of the server.
            Some(error) if is_timeout(&error) => {
                let elapsed = started_at.elapsed();
                let is_agent_limit = matches!(details.timeout.after, time::Duration::Exact(after) if after <= elapsed);
                let reason = if is_agent_limit {
                    details.timeout.reason
                } else {
                    Timeout::Connect
                };
                Err(Error::Timeout(reason))
            }
            Some(error) => Err(error.into()),
            None => Err(Error::HostNotFound),
        }
    }
}

/// Connects to one address within `time_limit`; `None` means no limit.
fn connect(address: SocketAddr, time_limit: Option<Duration>) -> io::Result<TcpStream> {
    match time_limit {
        None => TcpStream::connect(address),
        Some(Duration::ZERO) => Err(ErrorKind::TimedOut.into()),
        Some(time_limit) => TcpStream::connect_timeout(&address, time_limit),
    }
}

/// Returns whether a time limit caused the error. Operating systems use two different codes for time limits.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A connection. The transport owns the connection; `ureq`'s agent, which may shut the connection down, has a weak
/// reference.
#[derive(Debug)]
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    /// Shuts down the connection, and wakes a thread that waits for its data.
    fn shutdown(&self) {
        thread::shut_down(&self.0);
    }
}

/// Sends and receives one connection's bytes.
#[derive(Debug)]
pub(super) struct TcpTransport {
    connection: Arc<Connection>,
    buffers: LazyBuffers,
}

/// Returns the time left of a limit that began at `start`; `None` if there is no limit. Fails if no time is left.
fn remaining_time(timeout: NextTimeout, start: Instant) -> Result<Option<Duration>, Error> {
    let time::Duration::Exact(after) = timeout.after else {
        return Ok(None);
    };
    match after.saturating_sub(start.elapsed()) {
        Duration::ZERO => Err(Error::Timeout(timeout.reason)),
        remaining => Ok(Some(remaining)),
    }
}

/// Runs a system call with a time limit, which `set_timeout` passes to the socket. Repeats the call if a signal
/// interrupts it.
fn run_with_timeout<T>(
    timeout: NextTimeout,
    set_timeout: impl Fn(Option<Duration>) -> io::Result<()>,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match set_timeout(remaining_time(timeout, start)?) {
            // macOS rejects a time limit after the server has closed the connection; received data can still be read.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            result => result?,
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if thread::is_shut_down(&error) => {
                return Err(io::Error::from(ErrorKind::ConnectionAborted).into());
            }
            Err(error) if is_timeout(&error) => return Err(Error::Timeout(timeout.reason)),
            result => return Ok(result?),
        }
    }
}

impl Wire for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Sends the first `amount` bytes of the output buffer.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let mut stream = &self.connection.0;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let set_timeout = |limit| stream.set_write_timeout(limit);
        run_with_timeout(timeout.for_write(), set_timeout, || stream.write_all(output))
    }

    /// Waits for data, and appends the data to the input buffer. Returns `false` if the server has closed the
    /// connection.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let mut stream = &self.connection.0;
        let buffer = self.buffers.input_append_buf();
        let set_timeout = |limit| stream.set_read_timeout(limit);
        let amount = run_with_timeout(timeout.for_read(), set_timeout, || stream.read(buffer))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Returns whether an idle connection can be used for another request.
    fn is_open(&mut self) -> bool {
        // `ureq` calls this function for an idle connection. Data would belong to no request, and the end of the data
        // would mean a closed connection, so a usable connection has neither.
        let mut stream = &self.connection.0;
        let result = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0]));
        let has_no_data = result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        has_no_data && stream.set_nonblocking(false).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_replaces_its_placeholder() {
        let head = b"GET / HTTP/1.1\r\nhost: plex\r\nx-plex-token: ***12\r\naccept: a\r\n\r\n";
        for token in ["", "x", "abcd", "a-long-token-of-some-length"] {
            let mut output = [0; 256];
            output[..head.len()].copy_from_slice(head);
            let (number, place) = find_placeholder(&output[..head.len()]).unwrap();
            assert_eq!((number, &output[place.clone()]), (12, token_placeholder(12).as_bytes()));
            let (amount, place) = insert_token(&mut output, head.len(), place, token.as_bytes()).unwrap();
            assert_eq!(&output[place], token.as_bytes());
            assert_eq!(
                std::str::from_utf8(&output[..amount]).unwrap(),
                format!("GET / HTTP/1.1\r\nhost: plex\r\nx-plex-token: {token}\r\naccept: a\r\n\r\n")
            );
        }
        let mut tight = *head;
        let (_, place) = find_placeholder(&tight).unwrap();
        assert!(insert_token(&mut tight, head.len(), place, b"longer").is_err());
        for other in [
            "GET /***",
            "x-plex-token: ***\r\n",
            "x-plex-token: ***1",
            "x-plex-token: ***a\r\n",
        ] {
            assert_eq!(find_placeholder(other.as_bytes()), None, "{other}");
        }
    }
}
