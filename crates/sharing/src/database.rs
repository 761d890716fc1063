//! The tables in `PostgreSQL`. Statements are unnamed and need no session state, so a pooler in transaction mode works,
//! although it delivers no notifications.
//!
//! The runtime and the TLS library leave thread-local values with destructors behind. Therefore connections are used and
//! dropped only on threads that plexindex started.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{self, Address, SslMode};
use crate::engine::{RecordTime, SharedPosition, SharedRow};
use crate::error::{Error, ErrorKind, Result, Status};
use crate::failure::Outcome;
use crate::platform::{Worker, unix_us};
use crate::source::plex::{NamedCertificates, Verifier};

/// Default timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout for a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for creating the tables and taking over those of an earlier version, and for calls that do.
pub const CREATION_TIMEOUT: Duration = Duration::from_secs(600);
/// Number of rows in a delivery.
pub const ROWS_PER_DELIVERY: usize = 500;
/// Number of rows that a host reads at once, and merges in one local transaction.
const ROWS_PER_PAGE: i64 = 400;
/// The version of the tables in `schema.sql`.
const VERSION: i32 = 1;
/// Creates the tables, unless another host has. One message: to end the transaction, the server needs no host.
const SCHEMA: &str = include_str!("schema.sql");

/// Whether a call created the tables, or found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SharedTables {
    /// The call created the tables.
    Made,
    /// The tables already existed.
    Present,
}

/// The rows that follow a position.
pub struct Page {
    /// Rows with the server's paths.
    pub rows: Vec<SharedRow>,
    /// The number of the last row; the next page follows it.
    pub last: i64,
    /// The new position, once everything is read.
    pub position: Option<SharedPosition>,
}

/// What the shared database has of one view: one server as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedView {
    /// The server's machine identifier.
    pub server: String,
    /// The user's name if the hosts set `user`; otherwise `#` and the first digits of the user's hash.
    pub user: String,
    /// Whether this index uses this view.
    pub own: bool,
    /// Number of the last row.
    pub last: u64,
    /// Time since the last write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Number of matches.
    pub matches: u64,
    /// Number of paths, items and libraries whose matches were taken back.
    pub taken_back: u64,
    /// Total size in bytes.
    pub bytes: u64,
}

/// Status of the shared database, and of this folder's exchange with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// The database's address, without a password.
    pub address: String,
    /// Whether the database answered.
    pub reachable: bool,
    /// The reason why the database did not answer, or why this host cannot write to it, with a remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// Since when the exchange does not work, in Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<i64>,
    /// Number of the last row received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Number of matches and removals that the database may not have yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Number of matches that were removed to keep the size limit before they were delivered.
    pub lost: u64,
    /// Number of rows that this folder has not received yet; `None` until the server accepts the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// One summary per server and user; empty if the database did not answer.
    pub views: Vec<SharedView>,
}

impl SharedStatus {
    pub(crate) fn set_error(&mut self, error: Option<&Error>) {
        self.error = error.map(Error::to_string);
        self.error_kind = error.map(Error::kind);
    }
}

/// A connection to the database, which has the tables.
pub struct Database {
    client: Client,
    connection: JoinHandle<()>,
    /// Whether connecting created the tables.
    pub tables: SharedTables,
    /// The key for hashing tokens. All hosts get the same key.
    pub secret: [u8; 32],
    /// The difference between the database's clock and this host's, in µs; 0 if it cannot be told from the time that the
    /// request took.
    pub clock_us: i64,
    /// When the connection was made, and the common time then.
    opened: (Instant, i64),
}

impl Drop for Database {
    /// Closes the socket, even if the server does not answer.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

type Parameters<'p> = &'p [(&'p (dyn ToSql + Sync), Type)];

impl Database {
    /// Connects, and creates the tables if they do not exist, with what the log of an earlier version has. Notifies `news`
    /// when the database has news.
    pub async fn open(address: &Address, news: Arc<Notify>) -> Outcome<Self> {
        let connect = async {
            let tls = MakeRustlsConnect::new(tls_config(address)?);
            Outcome::Ok(config_of(address).await?.connect(tls).await?)
        };
        let time = address.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        let (client, mut connection) = timeout(time, connect).await.unwrap_or_else(|_| silent())?;
        let connection = tokio::spawn(async move {
            loop {
                let message = poll_fn(|cx| connection.poll_message(cx)).await;
                match message {
                    Some(Ok(AsyncMessage::Notification(_))) => news.notify_one(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return news.notify_one(),
                }
            }
        });
        let mut database = Self {
            client,
            connection,
            tables: SharedTables::Present,
            secret: [0; 32],
            clock_us: 0,
            opened: (Instant::now(), 0),
        };
        match database.read_meta().await {
            // The table or the schema does not exist.
            Err(failure) if failure.has_code("42P01") || failure.has_code("3F000") => {
                limit(CREATION_TIMEOUT, database.client.batch_execute(SCHEMA)).await?;
                database.tables = SharedTables::Made;
                database.read_meta().await?;
            }
            read => read?,
        }
        Ok(database)
    }

    /// Returns the hosts' common time in µs since 1970.
    pub fn now_us(&self) -> i64 {
        let (opened, then_us) = self.opened;
        then_us.saturating_add(i64::try_from(opened.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    async fn read_meta(&mut self) -> Outcome<()> {
        let (begun, begun_us) = (Instant::now(), unix_us());
        let statement = "SELECT version, secret, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
                         FROM plexindex_shared.meta";
        let rows = self.query(statement, &[]).await?;
        let took_us = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        let row = rows.first();
        let version = row.map_or(VERSION, |row| row.get(0));
        if version > VERSION {
            let text = format!(
                "its tables have version {version}, but this version of plexindex supports only version {VERSION}; \
                 upgrade plexindex on this host"
            );
            return Err(Error::new(Status::ServerError, text).into());
        }
        let secret = row.and_then(|row| row.get::<_, &[u8]>(1).try_into().ok());
        self.secret = secret.ok_or_else(|| Error::new(Status::BadAnswer, "its table meta is damaged"))?;
        let there_us = row.map_or(begun_us, |row| row.get(2));
        let difference_us: i64 = there_us - begun_us.saturating_add(took_us / 2);
        if difference_us.abs() > took_us.max(20_000) {
            self.clock_us = difference_us;
        }
        self.opened = (begun, begun_us.saturating_add(self.clock_us));
        Ok(())
    }

    /// Runs a statement.
    async fn query(&self, statement: &str, parameters: Parameters<'_>) -> Outcome<Vec<Row>> {
        limit(STATEMENT_TIMEOUT, self.client.query_typed(statement, parameters)).await
    }

    /// Runs statements without parameters.
    async fn run(&self, statements: &str) -> Outcome<()> {
        limit(STATEMENT_TIMEOUT, self.client.batch_execute(statements)).await
    }

    /// Returns a view's number, and creates the view if it does not exist.
    pub async fn view(&self, server: &str, viewer: &[u8]) -> Outcome<i64> {
        let parameters: Parameters<'_> = &[(&server, Type::TEXT), (&viewer, Type::BYTEA)];
        let find = "SELECT view FROM plexindex_shared.views WHERE server = $1 AND viewer = $2";
        // Of the same server and user, a view has the same number in every database.
        let add = "INSERT INTO plexindex_shared.views (view, server, viewer) VALUES (('x' || left(encode(sha256(\
                   sha256(convert_to($1, 'UTF8')) || $2), 'hex'), 16))::bit(64)::bigint & 9223372036854775807, $1, $2) \
                   ON CONFLICT (view) DO UPDATE SET server = excluded.server RETURNING view";
        for statement in [find, add] {
            if let Some(row) = self.query(statement, parameters).await?.first() {
                return Ok(row.get(0));
            }
        }
        Err(Error::new(Status::BadAnswer, "it has no row for this view").into())
    }

    /// From now on, notifies of deliveries. Removes what is too old. A replica, or a role that may only read, allows neither,
    /// and is read all the same.
    pub async fn listen(&self) -> Outcome<()> {
        for statements in ["LISTEN plexindex_shared", &tidy()] {
            match self.run(statements).await {
                Err(failure) if !failure.is_from_server() => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    /// Merges rows with the server's paths into a view. Returns the mark of this delivery; `None` if no row counted.
    pub async fn deliver(&self, view: i64, rows: &[SharedRow]) -> Outcome<Option<SharedPosition>> {
        let libraries: Vec<&str> = rows.iter().map(|row| &*row.library).collect();
        let paths: Vec<&[u8]> = rows.iter().map(|row| &*row.path).collect();
        let keys: Vec<Option<&str>> = rows.iter().map(|row| row.rating_key.as_deref()).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.at.0).collect();
        let parameters: Parameters<'_> = &[
            (&view, Type::INT8),
            (&libraries, Type::TEXT_ARRAY),
            (&paths, Type::BYTEA_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&times, Type::INT8_ARRAY),
        ];
        let statement = "SELECT seq, mark FROM plexindex_shared.deliver($1, $2, $3, $4, $5)";
        let marks = self.query(statement, parameters).await?;
        Ok(marks.first().map(position_in))
    }

    /// Returns the rows that follow the number `cursor`; `None` if the database does not have the position `read`, or the
    /// mark of the last delivery of this host, because it was restored or is another one.
    pub async fn read(
        &self,
        view: i64,
        (read, cursor): (SharedPosition, i64),
        delivered: Option<SharedPosition>,
    ) -> Outcome<Option<Page>> {
        let marks = [read, delivered.unwrap_or_default()];
        // Compares rows, so that PostgreSQL reads the index in its order, even of a table without statistics. The join drops
        // the rows of later views.
        let statement = "SELECT v.seq, coalesce(l.mark, 0), NOT EXISTS (SELECT FROM unnest($2, $3) AS had (seq, mark) \
                         WHERE had.seq <> 0 AND NOT EXISTS (SELECT FROM plexindex_shared.marks m \
                         WHERE m.view = $1 AND m.seq = had.seq AND m.mark = had.mark)), m.seq, library, path, key, at \
                         FROM plexindex_shared.views v LEFT JOIN plexindex_shared.marks l USING (view, seq) \
                         LEFT JOIN (SELECT * FROM plexindex_shared.matches WHERE (view, seq) >= ($1, $4 + 1) \
                         ORDER BY view, seq LIMIT $5) m USING (view) WHERE view = $1 ORDER BY m.seq";
        let parameters: Parameters<'_> = &[
            (&view, Type::INT8),
            (&marks.map(|mark| mark.seq).to_vec(), Type::INT8_ARRAY),
            (&marks.map(|mark| mark.mark).to_vec(), Type::INT8_ARRAY),
            (&cursor, Type::INT8),
            (&ROWS_PER_PAGE, Type::INT8),
        ];
        let found = self.query(statement, parameters).await?;
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return Err(Error::new(Status::BadAnswer, "it lacks this view: it was restored").into());
        };
        if !first.get::<_, bool>(2) {
            return Ok(None);
        }
        let rows = found.iter().filter_map(|row| {
            Some(SharedRow {
                library: row.get::<_, Option<String>>(4)?,
                path: row.get(5),
                rating_key: row.get(6),
                at: RecordTime(row.get(7)),
            })
        });
        let rows: Vec<SharedRow> = rows.collect();
        let is_all = i64::try_from(rows.len()) != Ok(ROWS_PER_PAGE);
        Ok(Some(Page {
            rows,
            last: last.get::<_, Option<i64>>(3).unwrap_or(cursor),
            position: is_all.then(|| position_in(first)),
        }))
    }

    /// Takes everything back that was recorded in a view: on all hosts.
    pub async fn clear(&self, view: i64, now: RecordTime) -> Outcome<()> {
        let statement = "SELECT plexindex_shared.deliver($1, ARRAY[''], ARRAY[''::bytea], ARRAY[NULL::text], \
                         ARRAY[greatest($2, max(at) + 1)]) FROM plexindex_shared.matches WHERE view = $1";
        let parameters: Parameters<'_> = &[(&view, Type::INT8), (&now.0, Type::INT8)];
        self.query(statement, parameters).await.map(drop)
    }

    /// Fails if this role is not allowed to write, or the database is read-only.
    pub async fn expect_writable(&self, view: Option<i64>) -> Outcome<()> {
        match self.deliver(view.unwrap_or_default(), &[]).await {
            Err(failure) if !failure.has_code("PX001") => Err(failure),
            _ => Ok(()),
        }
    }

    /// Returns what the database has of each view, and how many rows of the view `own` follow the row `taken`.
    pub async fn summary(&self, own: Option<i64>, taken: Option<u64>) -> Outcome<(Vec<SharedView>, Option<u64>)> {
        let statement = "SELECT v.server, v.viewer, v.view = $1, v.seq, \
                         (extract(epoch FROM clock_timestamp() - v.written) * 1000)::bigint, \
                         count(m.key), count(m.view) - count(m.key), \
                         coalesce(sum(length(m.path) + length(m.library) + coalesce(length(m.key), 0) + 64), 0)::bigint, \
                         count(m.view) FILTER (WHERE v.view = $1 AND m.seq > $2) \
                         FROM plexindex_shared.views v LEFT JOIN plexindex_shared.matches m ON m.view = v.view \
                         GROUP BY v.view ORDER BY v.view";
        let taken = taken.map(u64::cast_signed);
        let rows = self
            .query(statement, &[(&own, Type::INT8), (&taken, Type::INT8)])
            .await?;
        let behind = rows.iter().map(|row| row.get::<_, i64>(8).cast_unsigned()).sum();
        let views = rows.iter().map(|row| {
            let number = |column: usize| row.get::<_, i64>(column).cast_unsigned();
            SharedView {
                server: row.get(0),
                user: user_of(row.get(1)),
                own: row.get::<_, Option<bool>>(2) == Some(true),
                last: number(3),
                age_ms: row.get::<_, Option<i64>>(4).map(|ms| u64::try_from(ms).unwrap_or(0)),
                matches: number(5),
                taken_back: number(6),
                bytes: number(7),
            }
        });
        Ok((views.collect(), own.and(taken).map(|_| behind)))
    }

    /// Removes the tables of an earlier version.
    pub async fn drop_old(&self) -> Outcome<()> {
        self.run("DROP SCHEMA IF EXISTS plexindex CASCADE").await
    }
}

/// Returns the statements that remove old marks, take back the matches of items that were taken back later, for which this
/// host may know no path, and remove what was taken back a year before the latest row of its view. If only one clock says
/// that it is so long ago, the clock is wrong: that of the server, of this host, or of whoever wrote this row.
fn tidy() -> String {
    format!(
        "DELETE FROM plexindex_shared.marks m USING plexindex_shared.views v \
         WHERE v.view = m.view AND m.seq < v.seq AND m.made < now() - interval '60 days'; \
         UPDATE plexindex_shared.matches m SET key = NULL FROM plexindex_shared.matches ended \
         WHERE ended.view = m.view AND ended.library = m.library AND ended.at > m.at \
         AND substr(ended.path, 1, 6) = '\\x006974656d00' AND ended.path = '\\x006974656d00' || convert_to(m.key, 'UTF8'); \
         DELETE FROM plexindex_shared.matches m USING (SELECT view, least(max(at >> 11), {}, \
         (extract(epoch FROM now()) * 1000000)::bigint) AS now FROM plexindex_shared.matches GROUP BY view) AS known \
         WHERE known.view = m.view AND key IS NULL AND path <> '' \
         AND at BETWEEN 1::bigint << 52 AND (now - 366 * 86400000000) << 11",
        unix_us()
    )
}

/// Returns the name of a view's user, or the first digits of the user's hash.
fn user_of(viewer: &[u8]) -> String {
    match (viewer.strip_prefix(b"user "), viewer) {
        (Some(name), _) => String::from_utf8_lossy(name).into_owned(),
        (None, [first, second, third, ..]) => format!("#{first:02x}{second:02x}{third:02x}"),
        _ => "#".into(),
    }
}

fn position_in(row: &Row) -> SharedPosition {
    SharedPosition {
        seq: row.get(0),
        mark: row.get(1),
    }
}

/// Runs a statement within the time limit.
async fn limit<T>(
    time: Duration,
    statement: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Outcome<T> {
    match timeout(time, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => silent(),
    }
}

/// Returns the error for a database that does not answer.
pub fn silent<T>() -> Outcome<T> {
    Err(Error::new(Status::Timeout, "PostgreSQL did not answer in time").into())
}

/// Returns the TLS configuration for an address, which verifies certificates as the address's `sslmode` requires.
fn tls_config(address: &Address) -> Result<ClientConfig> {
    let failed = |error: rustls::Error| Error::new(Status::Tls, format!("cannot set up TLS: {error}"));
    let named = match address.sslmode {
        SslMode::VerifyFull => NamedCertificates::All,
        SslMode::VerifyCa => NamedCertificates::None,
        SslMode::Disable | SslMode::Prefer | SslMode::Require => {
            return Verifier::default().client_config().map_err(failed);
        }
    };
    let verifier = match &address.sslrootcert {
        Some(path) => Verifier::of_file(path, &|problem| {
            let (path, remedy) = (path.display(), "use a PEM file with the certificate of an authority");
            let text = format!("the shared database's sslrootcert {path} {problem}; {remedy}");
            Error::new(Status::InvalidArgument, text)
        })?,
        None => Verifier::of_system().map_err(failed)?,
    };
    verifier.with_names_of(named).client_config().map_err(failed)
}

/// Returns how to connect to an address.
async fn config_of(address: &Address) -> Outcome<Config> {
    let mut config = address.config.clone();
    if config.get_password().is_none()
        && let Some(password) = address::read_passfile(address)
    {
        config.password(password);
    }
    config.port(address.port);
    if address.is_socket() {
        config.host(&address.host);
    } else {
        for found in resolve(&address.host, address.port).await? {
            config.host(&address.host).hostaddr(found.ip());
        }
    }
    Ok(config)
}

/// Resolves a host name on a thread of its own, since the system's resolver may block for a long time.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    /// Lets the thread end by itself if nobody waits for it.
    struct Resolver(Option<Worker>);
    impl Drop for Resolver {
        fn drop(&mut self) {
            if let Some(worker) = self.0.take() {
                worker.detach();
            }
        }
    }
    let (sender, found) = oneshot::channel();
    let name = host.to_owned();
    let worker = Worker::spawn(move || {
        let found = (&*name, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = sender.send(found);
    });
    let mut resolver = Resolver(worker);
    let found = found.await.unwrap_or_else(|_| Err(io::Error::other("no thread")));
    drop(resolver.0.take()); // has ended
    found.map_err(|error| {
        let text = format!("the host name is unknown ({error}); check the address, or use the host's IP address");
        Error::new(Status::Connect, text)
    })
}
