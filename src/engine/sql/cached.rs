//! Runs SQL statements that a connection prepares once and then keeps in its cache.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Result, Row};

/// Methods that run a cached statement in one call.
pub trait CachedStatements {
    /// Runs a statement that returns no rows. Ignores how many rows the statement changes.
    fn run(&self, sql: &str, params: impl Params) -> Result<()>;
    /// Runs a query. Returns whether the query has a result row.
    fn has(&self, sql: &str, params: impl Params) -> Result<bool>;
    /// Runs a query. Returns what `read` returns for the first result row. Fails if there are no rows.
    fn row<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T>;
    /// Runs a query. Returns what `read` returns for each result row, in order.
    fn rows<T>(&self, sql: &str, params: impl Params, read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>>;

    /// Runs a query. Returns what `read` returns for the first result row; `None` if there are no rows.
    fn find<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<Option<T>> {
        self.row(sql, params, read).optional()
    }

    /// Runs a query. Returns the first column of the first result row. Fails if there are no rows.
    fn value<T: FromSql>(&self, sql: &str, params: impl Params) -> Result<T> {
        self.row(sql, params, |row| row.get(0))
    }

    /// Runs a query. Returns the first column of the first result row; `None` if there are no rows.
    fn find_value<T: FromSql>(&self, sql: &str, params: impl Params) -> Result<Option<T>> {
        self.value(sql, params).optional()
    }

    /// Runs a query. Returns the first column of each result row, in order.
    fn values<T: FromSql>(&self, sql: &str, params: impl Params) -> Result<Vec<T>> {
        self.rows(sql, params, |row| row.get(0))
    }
}

impl CachedStatements for Connection {
    /// Runs a statement that returns no rows. Ignores how many rows the statement changes.
    fn run(&self, sql: &str, params: impl Params) -> Result<()> {
        self.prepare_cached(sql)?.execute(params).map(|_| ())
    }

    /// Returns whether the query has a result row.
    fn has(&self, sql: &str, params: impl Params) -> Result<bool> {
        self.prepare_cached(sql)?.exists(params)
    }

    /// Returns what `read` returns for the first result row. Fails if there are no rows.
    fn row<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Returns what `read` returns for each result row, in order.
    fn rows<T>(&self, sql: &str, params: impl Params, read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        self.prepare_cached(sql)?.query_map(params, read)?.collect()
    }
}
