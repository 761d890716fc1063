//! Creates the log's tables and checks their version.

use super::connection::LogConnection;
use super::failure::{Failure, INSUFFICIENT_PRIVILEGE};
use crate::contract::SharedTables;
use crate::error::{Error, Status};
use crate::platform::Deadline;

/// The supported version of the tables. plexindex rejects tables with any other version.
const VERSION: i32 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// Starts a transaction and acquires an advisory lock (the key is "plexindx" in ASCII). If this host loses its
/// connection, the server ends the idle session after 5 s and releases the lock.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000;
    SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint)";
/// The SQLSTATE that functions of `schema.sql` raise for an unknown view.
pub const NO_VIEW: &str = "PX001";

/// Returns whether the tables exist in the supported version; `false` if there are no tables.
///
/// # Errors
/// Fails if the tables have another version, or if the server fails.
pub fn is_current(link: &mut LogConnection, deadline: Deadline) -> Result<bool, Failure> {
    let version = link.run(deadline, async |client| {
        let rows = client.query_typed("SELECT version FROM plexindex.meta", &[]).await?;
        Ok(rows.first().map(|row| row.get::<_, i32>(0)))
    });
    match version {
        Ok(Some(VERSION)) => Ok(true),
        Ok(Some(version)) => {
            let text = format!(
                "its tables have version {version}, but this version of plexindex supports only version {VERSION}; \
                 upgrade plexindex on this host"
            );
            Err(Error::new(Status::ServerError, text).into())
        }
        Ok(None) => Ok(false),
        // The table or the schema does not exist.
        Err(failure) if failure.has_code("42P01") || failure.has_code("3F000") => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Creates the tables if they do not exist, and returns whether this call created them. Holds a lock, so that only one
/// host creates them.
///
/// # Errors
/// [`Status::Forbidden`] if the role is not allowed to create tables, or another failure of the server.
pub fn ensure_tables(link: &mut LogConnection, deadline: Deadline) -> Result<SharedTables, Failure> {
    // The lock belongs to the transaction, since a connection pooler may use a different session for each transaction.
    let exists = link.run(deadline, async |client| {
        client.batch_execute(BEGIN).await?;
        let statement = "SELECT to_regclass('plexindex.meta') IS NOT NULL";
        Ok(client.query_typed_one(statement, &[]).await?.get::<_, bool>(0))
    })?;
    if exists {
        link.run(deadline, async |client| client.batch_execute("COMMIT").await)?;
        is_current(link, deadline)?;
        return Ok(SharedTables::Present);
    }
    let created = link.run(deadline, async |client| {
        client.batch_execute(SCHEMA).await?;
        client.batch_execute("COMMIT").await
    });
    let Err(failure) = created else {
        return Ok(SharedTables::Made);
    };
    if failure.keeps_connection() {
        link.run(deadline, async |client| client.batch_execute("ROLLBACK").await)?;
    }
    if failure.has_code(INSUFFICIENT_PRIVILEGE) {
        let text = "it has no tables yet, and this role is not allowed to create them; run plexindex shared init as a \
                    role that can create a schema in this database, then GRANT USAGE ON SCHEMA plexindex TO this role \
                    and GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO this role";
        return Err(Error::new(Status::Forbidden, text).into());
    }
    Err(failure)
}
