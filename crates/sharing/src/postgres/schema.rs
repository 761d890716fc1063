//! Creates the log's tables, checks their version, and migrates tables of an older version.

use super::connection::LogConnection;
use super::failure::{Failure, INSUFFICIENT_PRIVILEGE};
use crate::contract::SharedTables;
use crate::error::{Error, Status};
use crate::platform::Deadline;

/// The version of the tables in `schema.sql`. plexindex migrates older tables, and rejects newer ones.
const VERSION: i32 = 2;
const SCHEMA: &str = include_str!("schema.sql");
const FUNCTIONS: &str = include_str!("functions.sql");
/// The statements that migrate tables to the next version; the first ones, from version 1. `functions.sql` follows.
const MIGRATIONS: [&str; 1] = ["DELETE FROM plexindex.entries WHERE kind IN (8, 9);"];
const _: () = assert!(
    MIGRATIONS.len() == (VERSION - 1).unsigned_abs() as usize,
    "each version needs a migration"
);
/// Starts a transaction and acquires an advisory lock (the key is "plexindx" in ASCII). If this host loses its
/// connection, the server ends the idle session after 5 s and releases the lock.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000;
    SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint)";
/// The SQLSTATE that functions of `schema.sql` raise for an unknown view.
pub const NO_VIEW: &str = "PX001";

/// Returns the version of the tables; `None` if there are no tables.
///
/// # Errors
/// Fails if the tables have a newer version, or if the server fails.
fn version(link: &mut LogConnection, deadline: Deadline) -> Result<Option<i32>, Failure> {
    let version = link.run(deadline, async |client| {
        let rows = client.query_typed("SELECT version FROM plexindex.meta", &[]).await?;
        Ok(rows.first().map(|row| row.get::<_, i32>(0)))
    });
    match version {
        Ok(Some(version)) if version > VERSION => {
            let text = format!(
                "its tables have version {version}, but this version of plexindex supports only version {VERSION}; \
                 upgrade plexindex on this host"
            );
            Err(Error::new(Status::ServerError, text).into())
        }
        // The table or the schema does not exist.
        Err(failure) if failure.has_code("42P01") || failure.has_code("3F000") => Ok(None),
        version => version,
    }
}

/// Returns whether the tables exist in the current version.
///
/// # Errors
/// Fails if the tables have a newer version, or if the server fails.
pub fn is_current(link: &mut LogConnection, deadline: Deadline) -> Result<bool, Failure> {
    Ok(version(link, deadline)? == Some(VERSION))
}

/// Creates the tables if they do not exist, or migrates them to the current version, and returns whether this call
/// created them. Holds a lock, so that only one host does.
///
/// # Errors
/// [`Status::Forbidden`] if the role is not allowed to create or change tables, or another failure of the server.
pub fn ensure_tables(link: &mut LogConnection, deadline: Deadline) -> Result<SharedTables, Failure> {
    // The lock belongs to the transaction, since a connection pooler may use a different session for each transaction.
    let exists = link.run(deadline, async |client| {
        client.batch_execute(BEGIN).await?;
        let statement = "SELECT to_regclass('plexindex.meta') IS NOT NULL";
        Ok(client.query_typed_one(statement, &[]).await?.get::<_, bool>(0))
    })?;
    // A failed statement would end the transaction, so read the version only if there are tables.
    let found = if exists { version(link, deadline) } else { Ok(None) };
    let statements = match &found {
        Ok(Some(found)) => {
            let steps = usize::try_from(found - 1)
                .ok()
                .and_then(|first| MIGRATIONS.get(first..));
            match steps.unwrap_or_default() {
                [] => String::new(),
                steps => format!(
                    "{}{FUNCTIONS}UPDATE plexindex.meta SET version = {VERSION};",
                    steps.concat()
                ),
            }
        }
        Ok(None) => format!("{SCHEMA}{FUNCTIONS}"),
        Err(_) => String::new(),
    };
    let done = link.run(deadline, async |client| {
        client.batch_execute(&statements).await?;
        client.batch_execute("COMMIT").await
    });
    let created = found?.is_none();
    let Err(failure) = done else {
        return Ok(if created {
            SharedTables::Made
        } else {
            SharedTables::Present
        });
    };
    if failure.keeps_connection() {
        link.run(deadline, async |client| client.batch_execute("ROLLBACK").await)?;
    }
    if failure.has_code(INSUFFICIENT_PRIVILEGE) {
        let text = if created {
            "it has no tables yet, and this role is not allowed to create them; run plexindex shared init as a role that \
             can create a schema in this database, then GRANT USAGE ON SCHEMA plexindex TO this role and GRANT SELECT, \
             INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO this role"
        } else {
            "its tables have an older version, and this role is not allowed to migrate them; run plexindex shared init as \
             the role that created them"
        };
        return Err(Error::new(Status::Forbidden, text).into());
    }
    Err(failure)
}
