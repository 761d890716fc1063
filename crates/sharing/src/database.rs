//! The tables in `PostgreSQL`. Statements are unnamed and need no session state, so a pooler in transaction mode works,
//! although it delivers no notifications.
//!
//! The runtime and the TLS library leave thread-local values with destructors behind. Therefore connections are used and
//! dropped only on threads that plexindex started.

use std::future::{Future, poll_fn};
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{self, Address, ServerAddress, SslMode};
use crate::engine::{RecordTime, SharedPosition, SharedRow};
use crate::error::{Error, Result, Status};
use crate::failure::{Failure, INSUFFICIENT_PRIVILEGE};
use crate::platform::Worker;
use crate::{system, tls};

/// Default timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout for a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for creating the tables and taking over those of an earlier version.
const CREATION_TIMEOUT: Duration = Duration::from_secs(600);
/// Number of rows in a delivery.
pub const ROWS_PER_DELIVERY: usize = 500;
const ROWS_PER_PAGE: i64 = 2_000;
/// The version of the tables in `schema.sql`.
const VERSION: i32 = 1;
const SCHEMA: &str = include_str!("schema.sql");
const IMPORT: &str = include_str!("import.sql");
/// Lets one host at a time create the tables, or take over those of an earlier version. The key is "plexindx" in ASCII.
const LOCK: &str =
    "SET LOCAL idle_in_transaction_session_timeout = 5000; SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint)";
/// Time after which marks, and what was taken back, are removed.
const TIDY: &str = "DELETE FROM plexindex_shared.marks m USING plexindex_shared.views v \
                    WHERE v.view = m.view AND m.seq < v.seq AND m.made < now() - interval '60 days'; \
                    DELETE FROM plexindex_shared.matches WHERE key IS NULL AND path <> '' \
                    AND at BETWEEN 1::bigint << 52 AND (extract(epoch FROM now() - interval '366 days') * 1000000)::bigint << 11";

/// Whether a call created the tables, or found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
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

/// What the database has of one view.
pub struct ViewSummary {
    pub view: i64,
    pub server: String,
    pub viewer: Vec<u8>,
    pub seq: i64,
    pub age: Option<Duration>,
    pub matches: i64,
    pub taken_back: i64,
    pub bytes: i64,
}

/// A connection to the database.
pub struct Database {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Database {
    /// Closes the socket, even if the server does not answer.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

type Parameters<'p> = &'p [(&'p (dyn ToSql + Sync), Type)];

impl Database {
    /// Connects, and creates the tables if they do not exist. Notifies `news` when the database has news.
    pub async fn open(address: &Address, news: Arc<Notify>) -> std::result::Result<Self, Failure> {
        let database = Self::connect(address, news).await?;
        database.ensure_tables().await?;
        Ok(database)
    }

    /// Connects to the database.
    pub async fn connect(address: &Address, news: Arc<Notify>) -> std::result::Result<Self, Failure> {
        let limit = address.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        let connect = async {
            let config = config_of(address).await?;
            if address.sslmode == SslMode::Disable {
                return Self::connect_with(&config, NoTls, news).await;
            }
            let tls = MakeRustlsConnect::new(tls::config(address)?);
            Self::connect_with(&config, tls, news).await
        };
        timeout(limit, connect).await.unwrap_or(Err(Failure::Silent))
    }

    async fn connect_with<T>(config: &Config, tls: T, news: Arc<Notify>) -> std::result::Result<Self, Failure>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        T::TlsConnect: TlsConnect<Socket>,
    {
        let (client, mut connection) = config.connect(tls).await?;
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
        Ok(Self { client, connection })
    }

    /// Runs a statement.
    async fn query(&self, statement: &str, parameters: Parameters<'_>) -> std::result::Result<Vec<Row>, Failure> {
        limit(STATEMENT_TIMEOUT, self.client.query_typed(statement, parameters)).await
    }

    /// Runs statements without parameters.
    async fn run(&self, statements: &str) -> std::result::Result<(), Failure> {
        limit(STATEMENT_TIMEOUT, self.client.batch_execute(statements)).await
    }

    /// Creates the tables if they do not exist, with what the log of an earlier version has.
    pub async fn ensure_tables(&self) -> std::result::Result<SharedTables, Failure> {
        if self.has_tables().await? {
            return Ok(SharedTables::Present);
        }
        self.run(&format!("BEGIN; {LOCK}")).await?;
        let made = self.make_tables().await;
        self.run(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        match made {
            Err(failure) if failure.has_code(INSUFFICIENT_PRIVILEGE) => Err(Error::new(
                Status::Forbidden,
                "it lacks tables, or has those of an earlier version, and this role is not allowed to create or to read \
                 them; run plexindex shared init as the role that owns the database, then GRANT USAGE ON SCHEMA \
                 plexindex_shared TO this role and GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \
                 plexindex_shared TO this role",
            )
            .into()),
            made => made,
        }
    }

    /// Returns whether the tables exist.
    async fn has_tables(&self) -> std::result::Result<bool, Failure> {
        let rows = match self.query("SELECT version FROM plexindex_shared.meta", &[]).await {
            // The table or the schema does not exist.
            Err(failure) if failure.has_code("42P01") || failure.has_code("3F000") => return Ok(false),
            rows => rows?,
        };
        let version: i32 = rows.first().map_or(VERSION, |row| row.get(0));
        if version > VERSION {
            let text = format!(
                "its tables have version {version}, but this version of plexindex supports only version {VERSION}; \
                 upgrade plexindex on this host"
            );
            return Err(Error::new(Status::ServerError, text).into());
        }
        Ok(true)
    }

    /// Creates the tables, in a transaction.
    async fn make_tables(&self) -> std::result::Result<SharedTables, Failure> {
        let exists = async |table: &str| {
            let statement = format!("SELECT to_regclass('{table}') IS NOT NULL");
            let rows = self.query(&statement, &[]).await?;
            Ok::<bool, Failure>(rows.iter().any(|row| row.get(0)))
        };
        if exists("plexindex_shared.meta").await? {
            return Ok(SharedTables::Present);
        }
        self.run(SCHEMA).await?;
        if exists("plexindex.meta").await? {
            limit(CREATION_TIMEOUT, self.client.batch_execute(IMPORT)).await?;
        }
        Ok(SharedTables::Made)
    }

    /// Returns the key for hashing tokens. All hosts get the same key.
    pub async fn secret(&self) -> std::result::Result<[u8; 32], Failure> {
        let rows = self.query("SELECT secret FROM plexindex_shared.meta", &[]).await?;
        let secret = rows.first().and_then(|row| row.get::<_, &[u8]>(0).try_into().ok());
        secret.ok_or_else(|| Error::new(Status::BadAnswer, "its table meta is damaged").into())
    }

    /// Returns a view's number, and creates the view if it does not exist.
    pub async fn view(&self, server: &str, viewer: &[u8]) -> std::result::Result<i64, Failure> {
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

    /// Returns the difference between the database's clock and this host's, in µs; 0 if it cannot be told from the time
    /// that the request took.
    pub async fn clock_difference(&self) -> std::result::Result<i64, Failure> {
        let (begun, begun_us) = (Instant::now(), now_us());
        let statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let rows = self.query(statement, &[]).await?;
        let took_us = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        let there: i64 = rows.first().map_or(begun_us, |row| row.get(0));
        let difference = there - begun_us.saturating_add(took_us / 2);
        Ok(if difference.abs() <= took_us.max(20_000) {
            0
        } else {
            difference
        })
    }

    /// From now on, notifies of deliveries. Removes what is too old. A replica, or a role that may only read, allows neither,
    /// and is read all the same.
    pub async fn listen(&self) -> std::result::Result<(), Failure> {
        for statements in ["LISTEN plexindex_shared", TIDY] {
            match self.run(statements).await {
                Err(failure) if !failure.is_from_server() => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    /// Merges rows with the server's paths into a view. Returns the mark of this delivery; `None` if no row counted.
    pub async fn deliver(&self, view: i64, rows: &[SharedRow]) -> std::result::Result<Option<SharedPosition>, Failure> {
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
    /// mark of the last delivery of this host, because it was restored or is another one. `own`: the numbers of rows that this
    /// host has just delivered, which are left out.
    pub async fn read(
        &self,
        view: i64,
        (read, cursor): (SharedPosition, i64),
        delivered: Option<SharedPosition>,
        own: &[RangeInclusive<i64>],
    ) -> std::result::Result<Option<Page>, Failure> {
        let marks = [Some(read), delivered].map(Option::unwrap_or_default);
        let parameters: Parameters<'_> = &[
            (&view, Type::INT8),
            (&marks.map(|mark| mark.seq).to_vec(), Type::INT8_ARRAY),
            (&marks.map(|mark| mark.mark).to_vec(), Type::INT8_ARRAY),
        ];
        let known = "SELECT seq, NOT EXISTS (SELECT FROM unnest($2, $3) AS had (seq, mark) WHERE had.seq <> 0 AND NOT EXISTS \
                     (SELECT FROM plexindex_shared.marks m WHERE m.view = $1 AND m.seq = had.seq AND m.mark = had.mark)) \
                     FROM plexindex_shared.views WHERE view = $1";
        let known = self.query(known, parameters).await?;
        let Some(known) = known.first() else {
            return Err(Error::new(Status::BadAnswer, "it lacks this view: it was restored").into());
        };
        let last: i64 = known.get(0);
        if !known.get::<_, bool>(1) {
            return Ok(None);
        }
        if last == read.seq {
            return Ok(Some(Page {
                rows: Vec::new(),
                last,
                position: Some(read),
            }));
        }
        let parameters: Parameters<'_> = &[
            (&view, Type::INT8),
            (&cursor, Type::INT8),
            (&last, Type::INT8),
            (&ROWS_PER_PAGE, Type::INT8),
            (
                &own.iter().map(RangeInclusive::start).collect::<Vec<_>>(),
                Type::INT8_ARRAY,
            ),
            (
                &own.iter().map(RangeInclusive::end).collect::<Vec<_>>(),
                Type::INT8_ARRAY,
            ),
        ];
        let statement = "SELECT library, path, key, at, seq FROM plexindex_shared.matches \
                         WHERE view = $1 AND seq > $2 AND seq <= $3 AND NOT EXISTS (SELECT FROM unnest($5, $6) AS own (a, z) \
                         WHERE seq BETWEEN a AND z) ORDER BY seq LIMIT $4";
        let rows = self.query(statement, parameters).await?;
        let has_more = i64::try_from(rows.len()) == Ok(ROWS_PER_PAGE);
        let mut position = None;
        if !has_more {
            // The last delivery has a mark. If it has none, the rows changed between these statements.
            let statement = "SELECT seq, mark FROM plexindex_shared.marks WHERE view = $1 AND seq = $2";
            let marks = self
                .query(statement, &[(&view, Type::INT8), (&last, Type::INT8)])
                .await?;
            let mark = marks.first().map(position_in);
            position = Some(mark.ok_or_else(|| Error::new(Status::BadAnswer, "it is being restored"))?);
        }
        let last = rows.last().filter(|_| has_more).map_or(last, |row| row.get(4));
        let rows = rows.iter().map(|row| SharedRow {
            library: row.get(0),
            path: row.get(1),
            rating_key: row.get(2),
            at: RecordTime(row.get(3)),
        });
        Ok(Some(Page {
            rows: rows.collect(),
            last,
            position,
        }))
    }

    /// Returns how many rows follow a number.
    pub async fn count_after(&self, view: i64, seq: i64) -> std::result::Result<i64, Failure> {
        let statement = "SELECT count(*) FROM plexindex_shared.matches WHERE view = $1 AND seq > $2";
        let rows = self
            .query(statement, &[(&view, Type::INT8), (&seq, Type::INT8)])
            .await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// Takes everything back that was recorded in a view: on all hosts.
    pub async fn clear(&self, view: i64, now: RecordTime) -> std::result::Result<(), Failure> {
        let statement = "SELECT coalesce(max(at), 0) FROM plexindex_shared.matches WHERE view = $1";
        let rows = self.query(statement, &[(&view, Type::INT8)]).await?;
        let latest = RecordTime(rows.first().map_or(0, |row| row.get(0)));
        let all = SharedRow {
            library: String::new(),
            path: Vec::new(),
            rating_key: None,
            at: now.max(RecordTime::of_host(0, 0, latest)),
        };
        self.deliver(view, &[all]).await.map(drop)
    }

    /// Fails if this role is not allowed to write.
    pub async fn expect_writable(&self, user: &str) -> std::result::Result<(), Failure> {
        let statement = "SELECT current_setting('transaction_read_only')::bool, \
                         has_table_privilege('plexindex_shared.matches', 'SELECT, INSERT') \
                         AND has_table_privilege('plexindex_shared.matches', 'UPDATE') \
                         AND has_table_privilege('plexindex_shared.matches', 'DELETE')";
        let rows = self.query(statement, &[]).await?;
        let (is_read_only, may_write) = rows
            .first()
            .map_or((false, true), |row| (row.get::<_, bool>(0), row.get::<_, bool>(1)));
        if is_read_only {
            return Err(Error::new(Status::ServerError, crate::failure::READ_ONLY).into());
        }
        if !may_write {
            let text = format!("this role is not allowed to write; {}", crate::failure::grants(user));
            return Err(Error::new(Status::Forbidden, text).into());
        }
        Ok(())
    }

    /// Returns what the database has of each view.
    pub async fn summary(&self) -> std::result::Result<Vec<ViewSummary>, Failure> {
        let statement = "SELECT v.view, v.server, v.viewer, v.seq, \
                         (extract(epoch FROM clock_timestamp() - v.written) * 1000)::bigint, \
                         count(m.key), count(m.view) - count(m.key), \
                         coalesce(sum(length(m.path) + length(m.library) + coalesce(length(m.key), 0) + 64), 0)::bigint \
                         FROM plexindex_shared.views v LEFT JOIN plexindex_shared.matches m ON m.view = v.view \
                         GROUP BY v.view ORDER BY v.view";
        let rows = self.query(statement, &[]).await?;
        let views = rows.iter().map(|row| ViewSummary {
            view: row.get(0),
            server: row.get(1),
            viewer: row.get(2),
            seq: row.get(3),
            age: row
                .get::<_, Option<i64>>(4)
                .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            matches: row.get(5),
            taken_back: row.get(6),
            bytes: row.get(7),
        });
        Ok(views.collect())
    }

    /// Removes the tables of an earlier version.
    pub async fn drop_old(&self) -> std::result::Result<(), Failure> {
        self.run("DROP SCHEMA IF EXISTS plexindex CASCADE").await
    }
}

fn position_in(row: &Row) -> SharedPosition {
    SharedPosition {
        seq: row.get(0),
        mark: row.get(1),
    }
}

/// Returns this host's time in µs since 1970.
pub fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// Runs a statement within the time limit.
async fn limit<T>(
    time: Duration,
    statement: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> std::result::Result<T, Failure> {
    match timeout(time, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::Silent),
    }
}

/// Returns how to connect to an address.
async fn config_of(address: &Address) -> std::result::Result<Config, Failure> {
    let mut config = address.config.clone();
    if config.get_password().is_none()
        && let Some(password) = address::read_passfile(address)
    {
        config.password(password);
    }
    match &address.endpoint {
        ServerAddress::Tcp(host) => {
            for found in resolve(host, address.port).await? {
                config.host(host).hostaddr(found.ip()).port(address.port);
            }
        }
        ServerAddress::Unix(folder) => {
            system::add_socket(&mut config, folder.clone());
            config.port(address.port);
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
    let found = found.await;
    drop(resolver.0.take()); // has ended
    match found {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        found => {
            let why = found.ok().and_then(std::result::Result::err);
            let why = why.map(|error| format!(" ({error})")).unwrap_or_default();
            let text = format!("the host name is unknown{why}; check the address, or use the host's IP address");
            Err(Error::new(Status::Connect, text))
        }
    }
}
