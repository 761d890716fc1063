//! Implements [`SharedLog`] for `PostgreSQL`, with one statement per call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::failure::{READ_ONLY, grants};
use super::{Postgres, create_view, out_of_range};
use crate::contract::{
    Entry, EntryKind, EntryName, EntryPage, HostId, LARGEST_BATCH, LARGEST_ENTRY, LogSummary, NewEntry, Position,
    SharedLog, SharedTables, ViewNumber,
};
use crate::error::{Error, Result, Status};
use crate::platform::{Deadline, ForkLock};

/// Reads, in one snapshot, a page of entries, the number after which it starts (0 if the requested position's mark has
/// changed), the position at which it ends, and a host's last delivered number. Reads only the number of an oversized
/// entry, which another program may have written. Parameters: view, number, mark, maximum count, maximum entry size,
/// maximum page size, host.
const READ: &str = "
WITH log AS MATERIALIZED (
    SELECT number AS last,
        CASE WHEN $2 <= number AND plexindex.mark($1, $2) = $3 THEN $2 ELSE 0 END AS begin
    FROM plexindex.views WHERE view = $1
), behind AS (
    SELECT kind, library, key, number, host, body,
        octet_length(library) + octet_length(key) + octet_length(body) AS size
    FROM log, plexindex.page($1, begin, $4 + 1)
), counted AS (
    SELECT *, size <= $5 AS fits, row_number() OVER (ORDER BY number) AS place,
        sum(CASE WHEN size <= $5 THEN size ELSE 0 END) OVER (ORDER BY number) AS bytes FROM behind
), page AS MATERIALIZED (
    SELECT CASE WHEN fits THEN kind END AS kind, CASE WHEN fits THEN library END AS library,
        CASE WHEN fits THEN key END AS key, CASE WHEN fits THEN body END AS body, number, host,
        place = 1 OR place <= $4 AND bytes <= $6 AS is_read
    FROM counted
), until AS MATERIALIZED (
    SELECT number, is_more, coalesce(plexindex.mark($1, number), 0) AS mark FROM (
        SELECT is_more, CASE WHEN is_more THEN last_read ELSE last END AS number
        FROM log, (
            SELECT coalesce(bool_or(NOT is_read), false) AS is_more, max(number) FILTER (WHERE is_read) AS last_read
            FROM page
        ) AS counts
    ) AS position
)
SELECT page.kind, page.library, page.key, page.number, page.host, page.body,
    log.begin, until.number, until.mark, until.is_more,
    coalesce((SELECT number FROM plexindex.delivered WHERE view = $1 AND host = $7), 0)
FROM log CROSS JOIN until LEFT JOIN page ON page.is_read ORDER BY page.number";

/// Looks up the names one by one, since a join would scan the whole table while the table has no statistics.
const FIND: &str = "
SELECT e.kind, e.library, e.key, e.number, e.host, e.body
FROM unnest($2, $3, $4) AS wanted (kind, library, key), LATERAL (
    SELECT * FROM plexindex.entries AS e WHERE e.view = $1 AND e.kind = wanted.kind AND e.library = wanted.library
        AND sha256(e.key) = sha256(wanted.key) LIMIT 1
) AS e
WHERE octet_length(e.library) + octet_length(e.key) + octet_length(e.body) <= $5";

const SUMMARY: &str = "
SELECT left(server, 4096), number, (extract(epoch FROM clock_timestamp() - written) * 1000)::bigint,
    (SELECT count(*) FROM (
        SELECT host FROM plexindex.delivered AS d WHERE d.view = v.view AND d.number > 0
        UNION SELECT host FROM plexindex.entries AS e WHERE e.view = v.view
    ) AS hosts),
    coalesce(bytes, 0)::bigint
        + (SELECT coalesce(sum(octet_length(body)), 0) FROM plexindex.chunks AS c WHERE c.view = v.view),
    coalesce(kinds, '{}'), coalesce(counts, '{}'), view, substr(viewer, 1, 4096)
FROM plexindex.views AS v, LATERAL (
    SELECT array_agg(kind ORDER BY kind) AS kinds, array_agg(count ORDER BY kind) AS counts, sum(bytes) AS bytes
    FROM (SELECT kind, count(*), sum(octet_length(key) + octet_length(body)) AS bytes
        FROM plexindex.entries AS e WHERE e.view = v.view GROUP BY kind) AS of_kinds
) AS entries ORDER BY server, view";

/// Returns whether the session is read-only, and whether the role lacks a privilege that a host needs.
const WRITABLE: &str = "
SELECT current_setting('transaction_read_only') = 'on', EXISTS (
    SELECT FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted
    WHERE relnamespace = to_regnamespace('plexindex') AND relkind = 'r' AND NOT has_table_privilege(c.oid, wanted)
)";

const CLEAR: &str = "
TRUNCATE plexindex.views, plexindex.entries, plexindex.marks, plexindex.delivered, plexindex.leases,
    plexindex.published, plexindex.chunks";

/// A value with its type, so that the statement needs no preparation.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

fn int8(value: &(dyn ToSql + Sync)) -> Parameter<'_> {
    (value, Type::INT8)
}

/// Entries as one array per column, for the parameters of a statement.
#[derive(Default)]
struct Columns<'a> {
    kinds: Vec<i16>,
    libraries: Vec<&'a str>,
    keys: Vec<&'a [u8]>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of_names(names: impl Iterator<Item = &'a EntryName>) -> Self {
        let mut columns = Self::default();
        for name in names {
            columns.kinds.push(name.kind.number());
            columns.libraries.push(&name.library);
            columns.keys.push(&name.key);
        }
        columns
    }

    /// Converts whole entries to columns.
    fn of(entries: impl Iterator<Item = &'a NewEntry> + Clone) -> Self {
        let mut columns = Self::of_names(entries.clone().map(|entry| &entry.name));
        columns.bodies = entries.map(|entry| &*entry.body).collect();
        columns
    }

    /// Returns the columns as parameters: kinds, libraries, keys and bodies.
    fn parameters(&self) -> [Parameter<'_>; 4] {
        [
            (&self.kinds, Type::INT2_ARRAY),
            (&self.libraries, Type::TEXT_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.bodies, Type::BYTEA_ARRAY),
        ]
    }
}

/// Converts a row to an entry; `None` if the row contains no entry, or an entry kind of another version. [`READ`] and
/// [`FIND`] start with the same six columns.
fn entry(row: &Row) -> Option<Entry> {
    Some(Entry {
        name: EntryName {
            kind: EntryKind::from_number(row.get::<_, Option<i16>>(0)?)?,
            library: row.get(1),
            key: row.get(2),
        },
        number: unsigned(row.get(3)),
        host: HostId(row.get(4)),
        body: row.get(5),
    })
}

/// Converts a duration in milliseconds from the database server. A negative duration becomes 0.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(unsigned(time))
}

/// Converts a number from the database server. A negative number, as after its clock was set back, becomes 0.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Converts a limit in bytes to a statement parameter.
fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Postgres {
    /// Runs a statement, and returns the value in the first column of its row.
    fn value<R: tokio_postgres::types::FromSqlOwned>(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
        deadline: Deadline,
    ) -> Result<R> {
        self.call(deadline, &async |client: &Client| {
            Ok(client.query_typed_one(statement, parameters).await?.get(0))
        })
    }

    /// Runs a statement that returns rows.
    fn rows(&self, statement: &str, parameters: &[Parameter<'_>], deadline: Deadline) -> Result<Vec<Row>> {
        self.call(deadline, &async |client: &Client| {
            client.query_typed(statement, parameters).await
        })
    }
}

impl SharedLog for Postgres {
    /// Returns the log's address for messages, without a password.
    fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address's `connect_timeout`, or else the default timeout.
    fn answer_timeout(&self) -> Duration {
        self.address.connect_timeout().unwrap_or(self.timeouts.connect)
    }

    /// Creates the tables if they do not exist, and returns whether this call created them.
    fn create_tables(&self, deadline: Deadline) -> Result<SharedTables> {
        self.make_tables(deadline)
    }

    /// Reads the log's key, and at most one more byte, which is enough to detect a key of the wrong length.
    fn secret(&self, deadline: Deadline) -> Result<[u8; 32]> {
        let statement = "SELECT substr(secret, 1, 33) FROM plexindex.meta";
        let secret: Vec<u8> = self.value(statement, &[], deadline)?;
        secret.try_into().map_err(out_of_range)
    }

    /// Returns a view's number, and creates the view if it does not exist.
    fn view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber> {
        let create = async |client: &Client| create_view(client, server, viewer).await;
        let view = self.call(deadline, &create)?;
        self.lock_calls(deadline)?.views.insert((server.into(), viewer.into()));
        Ok(view)
    }

    /// Reads a page of entries with one statement, and skips entries that are too large.
    fn read(
        &self,
        view: ViewNumber,
        host: HostId,
        after: Position,
        limit: usize,
        deadline: Deadline,
    ) -> Result<EntryPage> {
        let number = i64::try_from(after.number).map_err(out_of_range)?;
        let limit = i64::try_from(limit.max(1)).map_err(out_of_range)?;
        let (largest_entry, largest_page) = (size(LARGEST_ENTRY), size(LARGEST_BATCH));
        let parameters = [
            int8(&view.0),
            int8(&number),
            int8(&after.mark),
            int8(&limit),
            int8(&largest_entry),
            int8(&largest_page),
            int8(&host.0),
        ];
        let rows = self.rows(READ, &parameters, deadline)?;
        // An entry that is too large has a number (column 3), but its kind (column 0) is NULL.
        let is_too_large =
            |row: &&Row| row.get::<_, Option<i64>>(3).is_some() && row.get::<_, Option<i16>>(0).is_none();
        let too_large = rows.iter().filter(is_too_large).count();
        if too_large > 0 {
            log::warn!(
                "skipping {too_large} entries larger than 1 MiB in the shared log {}, which plexindex did not write",
                self.name
            );
        }
        let Some(first) = rows.first() else {
            return Ok(EntryPage {
                starts_over: number > 0, // a restored log may lack the view
                ..EntryPage::default()
            });
        };
        let begin: i64 = first.get(6); // columns 6 to 10 describe the page, and are the same in all rows
        let position = Position {
            number: unsigned(first.get(7)),
            mark: first.get(8),
        };
        Ok(EntryPage {
            has_more: first.get(9),
            delivered: unsigned(first.get(10)),
            entries: rows.iter().filter_map(entry).collect(),
            position,
            starts_over: begin != number,
        })
    }

    /// Reads entries by name with one statement.
    fn find(&self, view: ViewNumber, names: &[EntryName], deadline: Deadline) -> Result<Vec<Entry>> {
        let columns = Columns::of_names(names.iter());
        let [kinds, libraries, keys, _] = columns.parameters();
        let largest = size(LARGEST_ENTRY);
        let parameters = [int8(&view.0), kinds, libraries, keys, int8(&largest)];
        let rows = self.rows(FIND, &parameters, deadline)?;
        Ok(rows.iter().filter_map(entry).collect())
    }

    /// Writes a host's outbox with the `deliver` function from `schema.sql`. Returns the last delivered number.
    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        last_delivered: u64,
        entries: &[(u64, NewEntry)],
        deadline: Deadline,
    ) -> Result<u64> {
        let numbers = entries.iter().map(|(number, _)| i64::try_from(*number));
        let numbers = numbers.collect::<Result<Vec<_>, _>>().map_err(out_of_range)?;
        let columns = Columns::of(entries.iter().map(|(_, entry)| entry));
        let [kinds, libraries, keys, bodies] = columns.parameters();
        let last_delivered = i64::try_from(last_delivered).map_err(out_of_range)?;
        let statement = "SELECT plexindex.deliver($1, $2, $3, $4, $5, $6, $7, $8)";
        let (view, host, known) = (int8(&view.0), int8(&host.0), int8(&last_delivered));
        let numbers: Parameter<'_> = (&numbers, Type::INT8_ARRAY);
        let parameters = [view, host, known, numbers, kinds, libraries, keys, bodies];
        self.value(statement, &parameters, deadline).map(unsigned)
    }

    /// Waits for a notification of new entries, for at most `time`. Returns whether there may be new entries.
    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        self.wait_for(view, number, time)
    }

    /// Interrupts the current wait, or, if no thread is waiting, the next wait.
    fn interrupt(&self) {
        self.wake.request();
    }

    /// Shortens the timeouts of calls on all threads from now on, because the calling thread closes the index.
    fn shorten_timeouts(&self) {
        self.closing_threads.fetch_add(1, Ordering::SeqCst);
    }

    /// Checks that the server is not read-only and that the role has all privileges that a host needs.
    fn expect_writable(&self, deadline: Deadline) -> Result<()> {
        let (is_read_only, lacks_rights) = self.call(deadline, &async |client: &Client| {
            let row = client.query_typed_one(WRITABLE, &[]).await?;
            Ok((row.get(0), row.get(1)))
        })?;
        let error = if is_read_only {
            Error::new(Status::ServerError, READ_ONLY)
        } else if lacks_rights {
            let text = format!("this role is not allowed to write: {}", grants(self.address.user()));
            Error::new(Status::Forbidden, text)
        } else {
            return Ok(());
        };
        Err(self.explain(&error.into()))
    }

    /// Counts the entries after `number` that other hosts wrote.
    fn count_others(&self, view: ViewNumber, host: HostId, number: u64, deadline: Deadline) -> Result<u64> {
        let number = i64::try_from(number).map_err(out_of_range)?;
        let parameters = [int8(&view.0), int8(&host.0), int8(&number)];
        let statement = "SELECT count(*) FROM plexindex.entries WHERE view = $1 AND host <> $2 AND number > $3";
        self.value(statement, &parameters, deadline).map(unsigned)
    }

    /// Reads the statistics of all views with one statement.
    fn summary(&self, deadline: Deadline) -> Result<Vec<LogSummary>> {
        let rows = self.rows(SUMMARY, &[], deadline)?;
        let summary = rows.iter().map(|row| {
            let (kinds, counts): (Vec<i16>, Vec<i64>) = (row.get(5), row.get(6));
            let known_kind = |(kind, count)| Some((EntryKind::from_number(kind)?, unsigned(count)));
            LogSummary {
                view: ViewNumber(row.get(7)), // SUMMARY lists the columns
                server: row.get(0),
                viewer: row.get(8),
                last: unsigned(row.get(1)),
                age: row.get::<_, Option<i64>>(2).map(milliseconds),
                hosts: unsigned(row.get(3)),
                bytes: unsigned(row.get(4)),
                entries: kinds.into_iter().zip(counts).filter_map(known_kind).collect(),
            }
        });
        Ok(summary.collect())
    }

    /// Empties all tables of the log except `meta`, which contains the version and the key.
    fn clear(&self, deadline: Deadline) -> Result<()> {
        self.call(deadline, &async |client: &Client| client.batch_execute(CLEAR).await)
    }

    /// Closes the connections, and returns locks that keep them closed.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        self.close_for_fork()
    }
}
