//! TCP connections that another thread can close.
//!
//! `ureq` has a similar connector. But on Windows and under Wine, shutting down a connection does not wake a thread
//! that waits for data. Closing the socket would wake the thread, but `ureq` does not provide access to the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport, time,
};
use ureq::{Error, Timeout};

use crate::platform::thread;

/// Connects to the first address that accepts a connection.
#[derive(Debug)]
pub(super) struct TcpConnector {
    /// Time limit for connecting. `ureq`'s own limit also applies; the shorter one counts.
    pub connect_limit: Option<Duration>,
}

impl<In: Transport> Connector<In> for TcpConnector {
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

impl Transport for TcpTransport {
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
