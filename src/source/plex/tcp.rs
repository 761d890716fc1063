//! TCP connections that another thread can end.
//!
//! The connector of `ureq` does this too, but on Windows (and under wine) a thread that waits for data stays asleep when
//! its connection is shut down, and the socket that could wake it is not accessible.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport, time,
};
use ureq::{Error, Timeout};

use crate::platform::interrupt;

/// Connects to the first address that answers.
#[derive(Debug)]
pub(super) struct TcpConnector {
    /// A limit shorter than the time limit for connecting.
    pub limit: Option<Duration>,
}

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = TcpTransport;

    fn connect(&self, details: &ConnectionDetails, _: Option<In>) -> Result<Option<TcpTransport>, Error> {
        let begun = Instant::now();
        let limit = match details.timeout.after {
            time::Duration::Exact(after) => Some(self.limit.map_or(after, |limit| limit.min(after))),
            time::Duration::NotHappening => self.limit,
        };
        let until = limit.map(|limit| begun + limit);
        let mut error = None;
        for (place, address) in details.addrs.iter().enumerate() {
            // Half of the time is for the first address, half of the rest for the next, and all of it for the last.
            let is_last = place + 1 == details.addrs.len();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let time = left.map(|left| if is_last { left } else { left / 2 });
            match connect(*address, time) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let connection = Arc::new(Connection(stream));
                    let handle = Arc::downgrade(&connection);
                    (details.register_shutdown)(handle)?;
                    let buffers =
                        LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(TcpTransport { connection, buffers }));
                }
                Err(failed) => error = Some(failed),
            }
        }
        match error {
            // A call that had no more time says nothing of the server.
            Some(error) if is_late(&error) => {
                let was_cut = matches!(details.timeout.after, time::Duration::Exact(after) if after <= begun.elapsed());
                let reason = if was_cut {
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

fn connect(address: SocketAddr, time: Option<Duration>) -> io::Result<TcpStream> {
    match time {
        None => TcpStream::connect(address),
        Some(Duration::ZERO) => Err(ErrorKind::TimedOut.into()),
        Some(time) => TcpStream::connect_timeout(&address, time),
    }
}

/// Returns whether the error is that of a time limit, which has two names.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A connection. The agent that shuts it down knows it as long as a transport has it.
#[derive(Debug)]
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        interrupt::end(&self.0);
    }
}

/// The bytes of one connection.
#[derive(Debug)]
pub(super) struct TcpTransport {
    connection: Arc<Connection>,
    buffers: LazyBuffers,
}

/// The time that is left of a limit; `None` without one.
fn left(timeout: NextTimeout, since: Instant) -> Result<Option<Duration>, Error> {
    let time::Duration::Exact(after) = timeout.after else {
        return Ok(None);
    };
    match after.saturating_sub(since.elapsed()) {
        Duration::ZERO => Err(Error::Timeout(timeout.reason)),
        left => Ok(Some(left)),
    }
}

/// Repeats a call that a signal interrupted, until the limit.
fn within<T>(
    timeout: NextTimeout,
    set: impl Fn(Option<Duration>) -> io::Result<()>,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<T, Error> {
    let since = Instant::now();
    loop {
        let left = left(timeout, since)?;
        match set(left) {
            // macOS refuses this once the server has closed. What it sent can still be read.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            done => done?,
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if interrupt::is_end(&error) => return Err(io::Error::from(ErrorKind::ConnectionAborted).into()),
            Err(error) if is_late(&error) => return Err(Error::Timeout(timeout.reason)),
            done => return Ok(done?),
        }
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let mut stream = &self.connection.0;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let set = |time| stream.set_write_timeout(time);
        within(timeout.for_write(), set, || stream.write_all(output))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let mut stream = &self.connection.0;
        let room = self.buffers.input_append_buf();
        let set = |time| stream.set_read_timeout(time);
        let amount = within(timeout.for_read(), set, || stream.read(room))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // A connection that is not in use has nothing to read. Data or an end would belong to no request.
        let mut stream = &self.connection.0;
        let nothing = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0]));
        let is_waiting = nothing.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        is_waiting && stream.set_nonblocking(false).is_ok()
    }
}
