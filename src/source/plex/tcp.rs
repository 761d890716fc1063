//! TCP connections that another thread can end.
//!
//! `ureq` has such a connector too. But on Windows and under wine, shutting a connection down does not wake a thread
//! that waits for data. Closing the socket would wake the thread, but `ureq` gives no access to the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport, time,
};
use ureq::{Error, Timeout};

use crate::platform::interrupt;

/// Connects to the first address that accepts a connection.
#[derive(Debug)]
pub(super) struct TcpConnector {
    /// Time limit for connecting, in addition to the agent's limit.
    pub limit: Option<Duration>,
}

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = TcpTransport;

    /// Connects to one address after the other, until one accepts or the time is over.
    fn connect(&self, details: &ConnectionDetails, _: Option<In>) -> Result<Option<TcpTransport>, Error> {
        let started_at = Instant::now();
        let limit = match details.timeout.after {
            time::Duration::Exact(after) => Some(self.limit.map_or(after, |limit| limit.min(after))),
            time::Duration::NotHappening => self.limit,
        };
        let end = limit.map(|limit| started_at + limit);
        let mut last_error = None;
        for (index, address) in details.addrs.iter().enumerate() {
            // Each address gets half of the remaining time, and the last address all of it.
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
            // `reason` says whether the deadline of the call passed, which is no failure of the server.
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

/// Connects to one address within this time; without a limit if `time_limit` is `None`.
fn connect(address: SocketAddr, time_limit: Option<Duration>) -> io::Result<TcpStream> {
    match time_limit {
        None => TcpStream::connect(address),
        Some(Duration::ZERO) => Err(ErrorKind::TimedOut.into()),
        Some(time_limit) => TcpStream::connect_timeout(&address, time_limit),
    }
}

/// Returns whether a time limit caused the error. Operating systems use two codes for this.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A connection. Its transport owns it; the agent that may shut it down has a weak reference.
#[derive(Debug)]
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    /// Ends the connection, and wakes a thread that waits for its data.
    fn shutdown(&self) {
        interrupt::shut_down(&self.0);
    }
}

/// The bytes of one connection.
#[derive(Debug)]
pub(super) struct TcpTransport {
    connection: Arc<Connection>,
    buffers: LazyBuffers,
}

/// Returns the time left before a limit; `None` if there is no limit. Fails if no time remains.
fn remaining_time(timeout: NextTimeout, start: Instant) -> Result<Option<Duration>, Error> {
    let time::Duration::Exact(after) = timeout.after else {
        return Ok(None);
    };
    match after.saturating_sub(start.elapsed()) {
        Duration::ZERO => Err(Error::Timeout(timeout.reason)),
        remaining => Ok(Some(remaining)),
    }
}

/// Runs a system call with a time limit, and again if a signal interrupts the call. `set_timeout` sets the limit of the
/// socket.
fn run_with_timeout<T>(
    timeout: NextTimeout,
    set_timeout: impl Fn(Option<Duration>) -> io::Result<()>,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match set_timeout(remaining_time(timeout, start)?) {
            // macOS rejects a time limit after the server closed the connection; received data can still be read.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            result => result?,
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if interrupt::is_shut_down(&error) => {
                return Err(io::Error::from(ErrorKind::ConnectionAborted).into());
            }
            Err(error) if is_timeout(&error) => return Err(Error::Timeout(timeout.reason)),
            result => return Ok(result?),
        }
    }
}

impl Transport for TcpTransport {
    /// Returns the buffers that `ureq` fills and reads.
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

    /// Waits for data and adds it to the input buffer. Returns `false` at the end of the data.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let mut stream = &self.connection.0;
        let buffer = self.buffers.input_append_buf();
        let set_timeout = |limit| stream.set_read_timeout(limit);
        let amount = run_with_timeout(timeout.for_read(), set_timeout, || stream.read(buffer))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Returns whether an unused connection can carry another request.
    fn is_open(&mut self) -> bool {
        // `ureq` calls this function for an unused connection. Data, or the end of the data, would belong to no
        // request, so the connection must have neither.
        let mut stream = &self.connection.0;
        let result = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0]));
        let has_no_data = result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        has_no_data && stream.set_nonblocking(false).is_ok()
    }
}
