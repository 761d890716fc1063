//! The tables: their version, and how they are made.

use super::connection::Link;
use super::failure::{Failure, REFUSED};
use crate::contract::SharedTables;
use crate::error::{Error, Status};
use crate::platform::Deadline;

/// The version of the tables. A log with a greater one is refused.
const VERSION: i32 = 1;
/// Makes version 1.
const SCHEMA: &str = include_str!("schema.sql");
/// Takes the lock. The server ends a session that says nothing more while it has it: its host may have been cut off.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000;
    SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint)";
/// The code of `PostgreSQL` with which functions refuse a view that they do not know.
pub const NO_VIEW: &str = "PX001";

/// Returns whether the tables are there; `false` if there are none.
///
/// # Errors
/// Those of a newer version among others.
pub fn is_current(link: &mut Link, deadline: Deadline) -> Result<bool, Failure> {
    let version = link.run(deadline, async |client| {
        let rows = client.query_typed("SELECT version FROM plexindex.meta", &[]).await?;
        Ok(rows.first().map(|row| row.get::<_, i32>(0)))
    });
    match version {
        Ok(Some(VERSION)) => Ok(true),
        Ok(Some(version)) => {
            let text = format!(
                "its tables have version {version}, but this plexindex knows only version {VERSION}: install the \
                 newer plexindex on this host too"
            );
            Err(Error::new(Status::ServerError, text).into())
        }
        Ok(None) => Ok(false),
        Err(failure) if failure.has_code("42P01") || failure.has_code("3F000") => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Makes the tables if there are none. A lock lets one host do so at a time. Returns what was done.
///
/// # Errors
/// [`Status::Forbidden`] if the role may not, among others.
pub fn ensure(link: &mut Link, deadline: Deadline) -> Result<SharedTables, Failure> {
    // The lock is that of the transaction, since a pooler may give each transaction another session.
    let is_there = link.run(deadline, async |client| {
        client.batch_execute(BEGIN).await?;
        let statement = "SELECT to_regclass('plexindex.meta') IS NOT NULL";
        Ok(client.query_typed_one(statement, &[]).await?.get::<_, bool>(0))
    })?;
    if is_there {
        link.run(deadline, async |client| client.batch_execute("COMMIT").await)?;
        is_current(link, deadline)?;
        return Ok(SharedTables::Present);
    }
    let made = link.run(deadline, async |client| {
        client.batch_execute(SCHEMA).await?;
        client.batch_execute("COMMIT").await
    });
    let Err(failure) = made else {
        return Ok(SharedTables::Made);
    };
    if failure.leaves_connection() {
        link.run(deadline, async |client| client.batch_execute("ROLLBACK").await)?;
    }
    if failure.has_code(REFUSED) {
        let text = "it has no tables yet, and this role may not create them: run plexindex shared init once as a role \
                    that may create a schema in this database, and let it run GRANT USAGE ON SCHEMA plexindex TO this \
                    role; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO this role";
        return Err(Error::new(Status::Forbidden, text).into());
    }
    Err(failure)
}
