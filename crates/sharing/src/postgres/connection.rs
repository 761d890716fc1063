//! A connection to `PostgreSQL`. Its tokio runtime runs only during calls, on the calling thread.
//!
//! The runtime and the TLS library leave thread-local values with destructors behind. Therefore connections are used
//! and dropped only on threads that plexindex started.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep_until, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection};

use super::address::{Address, ServerAddress};
use super::failure::Failure;
use super::resolver::NameResolver;
use super::tls::{Encrypted, Handshake};
use crate::platform::Deadline;
use crate::wake::{AsyncWakeSocket, WakeSocket, connect_local};

/// Timeouts for calls without a deadline.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Timeout for connecting, until the server's first byte.
    pub connect: Duration,
    /// Maximum time without data from the server.
    pub silence: Duration,
}

/// Interval at which a call checks whether another thread waits for it to end.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The limits for the time without data from the server.
#[derive(Clone)]
pub struct SilenceLimits {
    /// The usual limit.
    pub usual: Duration,
    /// The limit while another thread closes the index or forks, and therefore waits for the call to end.
    pub while_closing: Duration,
    /// Number of threads that are closing the index or forking.
    pub closing_threads: Arc<AtomicUsize>,
}

impl SilenceLimits {
    /// Returns the time at which the call fails if no data has arrived since `last_read`: `limit`, or an earlier time
    /// while another thread waits for the call to end.
    fn fails_at(&self, last_read: Instant, limit: Instant) -> Instant {
        if self.closing_threads.load(Ordering::SeqCst) > 0 {
            return limit.min(last_read + self.while_closing);
        }
        limit
    }
}

/// A TCP or Unix socket.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

type BoxedSocket = Box<dyn Socket>;

/// A connection to the server, with its runtime.
pub struct LogConnection {
    // Fields are dropped in this order. The connection comes first, since its socket is registered with the runtime.
    connection: Connection<BoxedSocket, Encrypted<BoxedSocket>>,
    client: Client,
    /// For each view, the number in its last notification.
    notified: HashMap<i64, u64>,
    silence: SilenceLimits,
    runtime: Runtime,
}

/// The reason why a wait ended.
pub enum WaitEnd {
    /// The server sent a notification of new entries.
    Notified,
    TimedOut,
    Interrupted,
}

impl LogConnection {
    /// Opens a connection and authenticates. `tls`: `None` for a connection without TLS. `connect`: the timeout for
    /// connecting, unless the deadline is earlier. `silence`: the limits for the time without data, now and in later
    /// calls.
    pub fn open(
        address: &Address,
        tls: Option<Arc<ClientConfig>>,
        resolver: &NameResolver,
        (connect, silence): (Duration, SilenceLimits),
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let time = deadline.wait(connect);
        let until = Instant::now() + time;
        let (host, socket) = match &address.endpoint {
            ServerAddress::Tcp(host) => {
                let found = resolver.resolve(host, address.port, until)?;
                (host.clone(), runtime.block_on(connect_tcp(&found, until))?)
            }
            ServerAddress::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", address.port));
                let connect = async { timeout(time, connect_local(path)).await };
                let socket: BoxedSocket = Box::new(runtime.block_on(connect)??);
                (String::new(), socket)
            }
        };
        let mut settings = address.config.clone();
        if settings.get_password().is_none()
            && let Some(password) = super::passfile::read(address)
        {
            settings.password(password);
        }
        let handshake = settings.connect_raw(socket, Handshake { config: tls, host });
        let (client, connection) = runtime.block_on(limit_silence(&silence, deadline, handshake))??;
        Ok(Self {
            connection,
            client,
            notified: HashMap::new(),
            silence,
            runtime,
        })
    }

    /// Runs the statements in `work` until they finish, the deadline passes, or the server sends no data for too long.
    pub fn run<R>(
        &mut self,
        deadline: Deadline,
        work: impl AsyncFnOnce(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R, Failure> {
        let Self {
            connection,
            client,
            notified,
            silence,
            runtime,
        } = self;
        let work = async {
            let mut work = pin!(work(client));
            poll_fn(|cx| {
                let ended = poll_connection(connection, notified, cx);
                match (work.as_mut().poll(cx), ended) {
                    (Poll::Ready(Ok(result)), _) => Poll::Ready(Ok(result)),
                    // The server's last message is more informative than the error that the connection is closed.
                    (_, Poll::Ready(failure)) => Poll::Ready(Err(failure)),
                    (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error.into())),
                    (Poll::Pending, Poll::Pending) => Poll::Pending,
                }
            })
            .await
        };
        runtime.block_on(limit_silence(silence, deadline, work))?
    }

    /// Waits until the server sends a notification for this view with a number greater than `number`, another thread
    /// makes `wake` readable, or the time `until` is reached.
    pub fn wait(&mut self, view: i64, number: u64, until: Instant, wake: WakeSocket) -> Result<WaitEnd, Failure> {
        let Self {
            connection,
            notified,
            runtime,
            ..
        } = self;
        runtime.block_on(async {
            let wake = AsyncWakeSocket::from_std(wake)?;
            let mut sleep = pin!(sleep_until(until.into()));
            poll_fn(|cx| {
                let ended = poll_connection(connection, notified, cx);
                // Forget the number, since numbers start over when the log is cleared.
                if notified.remove(&view).is_some_and(|last| last > number) {
                    return Poll::Ready(Ok(WaitEnd::Notified));
                }
                if let Poll::Ready(failure) = ended {
                    return Poll::Ready(Err(failure));
                }
                if wake.poll_read_ready(cx).is_ready() {
                    return Poll::Ready(Ok(WaitEnd::Interrupted));
                }
                sleep.as_mut().poll(cx).map(|()| Ok(WaitEnd::TimedOut))
            })
            .await
        })
    }
}

/// Performs all reads and writes that do not block, and stores the numbers from notifications in `notified`. Returns
/// `Ready`, with the reason, only once the connection has closed.
fn poll_connection(
    connection: &mut Connection<BoxedSocket, Encrypted<BoxedSocket>>,
    notified: &mut HashMap<i64, u64>,
    cx: &mut Context<'_>,
) -> Poll<Failure> {
    loop {
        match ready!(connection.poll_message(cx)) {
            Some(Ok(AsyncMessage::Notification(message))) => {
                // The payload consists of the view and the view's last number.
                let mut words = message.payload().split(' ');
                let mut next = || words.next()?.parse().ok();
                if let (Some(view), Some(number)) = (next(), next()) {
                    notified.insert(view, u64::try_from(number).unwrap_or(0));
                }
            }
            Some(Ok(AsyncMessage::Notice(notice))) => log::debug!("notice from PostgreSQL: {}", notice.message()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(error.into()),
            None => return Poll::Ready(Failure::Closed),
        }
    }
}

/// Runs a future, and returns its result. Fails with [`Failure::Silent`] when the deadline passes, or when the server
/// has sent no data for too long.
async fn limit_silence<R>(
    silence: &SilenceLimits,
    deadline: Deadline,
    work: impl Future<Output = R>,
) -> Result<R, Failure> {
    let (mut work, mut sleep) = (pin!(work), pin!(sleep_until(Instant::now().into())));
    let mut last_read = None;
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(result));
        }
        if last_read.is_none() || !sleep.is_elapsed() {
            let now = Instant::now();
            last_read = Some((now, now + deadline.wait(silence.usual))); // not the timer but new data woke the task
        }
        // Check repeatedly, since another thread may start to wait for this call, which makes the limit earlier.
        loop {
            let now = Instant::now();
            let failure_time = last_read.map_or(now, |(last_read, limit)| silence.fails_at(last_read, limit));
            if failure_time <= now {
                return Poll::Ready(Err(Failure::Silent));
            }
            sleep.as_mut().reset(failure_time.min(now + CHECK_INTERVAL).into());
            ready!(sleep.as_mut().poll(cx));
        }
    })
    .await
}

/// Connects to the first address that answers. Each address gets an equal share of the remaining time.
async fn connect_tcp(addresses: &[SocketAddr], until: Instant) -> Result<BoxedSocket, Failure> {
    let mut failure = Failure::Silent;
    for (index, address) in addresses.iter().enumerate() {
        let time_left = until.saturating_duration_since(Instant::now());
        let share = time_left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true)?;
                return Ok(Box::new(socket));
            }
            Ok(Err(error)) => failure = error.into(),
            Err(elapsed) => failure = elapsed.into(),
        }
    }
    Err(failure)
}
