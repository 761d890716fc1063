//! What may be wrong: the table `doubts`.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row, params};

use super::schema::{CachedStatements, Tx};
use crate::engine::memtable::{LibraryChange, MemtableChange};
use crate::knowledge::{Cause, Doubt, DoubtScope};
use crate::matching::normal::normal_form;
use crate::model::{LibraryId, Sequence, ViewId};

impl ToSql for DoubtScope {
    /// Encodes a scope: empty for the library, otherwise a letter with the rating key or the path's normal form.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = match self {
            Self::Library => Vec::new(),
            Self::Item(rating_key) => [b"i", rating_key.as_bytes()].concat(),
            Self::Path(form) => [&b"p"[..], form].concat(),
        };
        Ok(ToSqlOutput::from(bytes))
    }
}

impl FromSql for DoubtScope {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_blob()?.split_first() {
            None => Ok(Self::Library),
            Some((b'i', key)) => String::from_utf8(key.to_vec())
                .map(Self::Item)
                .map_err(|error| FromSqlError::Other(error.into())),
            Some((_, form)) => Ok(Self::Path(form.to_vec())),
        }
    }
}

/// The columns of a doubt.
const COLUMNS: &str = "scope, cause, raised, raised_ms";

/// Reads a doubt from the adjacent [`COLUMNS`]. `column`: the index of the first one.
fn doubt_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Doubt> {
    Ok(Doubt {
        scope: row.get(column)?,
        cause: Cause::from_number(row.get(column + 1)?),
        raised: row.get(column + 2)?,
        raised_ms: row.get(column + 3)?,
    })
}

/// Reads the doubts for which a condition holds.
fn doubts_where(c: &Connection, condition: &str, values: impl Params) -> rusqlite::Result<Vec<Doubt>> {
    let text = format!("SELECT {COLUMNS} FROM doubts WHERE {condition}");
    c.rows(&text, values, |row| doubt_in(row, 0))
}

/// Returns all doubts about a library, its items and its paths.
pub fn doubts_of(c: &Connection, library: LibraryId) -> rusqlite::Result<Vec<Doubt>> {
    doubts_where(c, "library = ?1", [library])
}

/// Returns the doubts about a library; not those about single items and paths.
pub fn doubts_of_library(c: &Connection, library: LibraryId) -> rusqlite::Result<Vec<Doubt>> {
    let condition = "library = ?1 AND (scope = x'' OR cause = ?2)";
    doubts_where(c, condition, params![library, Cause::Differs as i64])
}

/// SQL condition for the doubts about paths, whose scopes begin with `p`.
pub const OF_A_PATH: &str = "scope >= x'70' AND scope < x'71'";

/// Returns whether paths of a library are doubted.
pub fn has_doubted_paths(c: &Connection, library: LibraryId) -> rusqlite::Result<bool> {
    c.has(
        &format!("SELECT 1 FROM doubts WHERE library = ?1 AND {OF_A_PATH}"),
        [library],
    )
}

/// Returns the doubts about the items and paths of all libraries that were raised after `since`, at most `most`, as changes
/// of a snapshot.
pub fn doubts_since(c: &Connection, since: Sequence, most: i64) -> rusqlite::Result<Vec<LibraryChange>> {
    changes_where(c, "raised > ?1 ORDER BY raised LIMIT ?2", params![since, most])
}

/// Returns the doubts about a library's items and paths, as changes of a snapshot.
pub fn doubts_of_items_and_paths(c: &Connection, library: LibraryId) -> rusqlite::Result<Vec<LibraryChange>> {
    changes_where(c, "library = ?1", [library])
}

fn changes_where(c: &Connection, condition: &str, values: impl Params) -> rusqlite::Result<Vec<LibraryChange>> {
    let of_library = Cause::Differs as i64;
    let text = format!(
        "SELECT library, path, {COLUMNS} FROM doubts WHERE scope <> x'' AND cause <> {of_library} AND {condition}"
    );
    c.rows(&text, values, |row| {
        let doubt = doubt_in(row, 2)?;
        let raised = doubt.raised.0;
        let change = match doubt.scope {
            DoubtScope::Item(rating_key) => MemtableChange::DoubtedItem { rating_key, raised },
            _ => MemtableChange::DoubtedPath {
                path: row.get(1)?,
                raised,
            },
        };
        Ok(LibraryChange {
            sequence: doubt.raised,
            library: row.get(0)?,
            change,
        })
    })
}

impl Tx<'_> {
    /// Doubts a library. `now_ms`: 0 for a cause without a pause.
    pub fn doubt_library(
        &self,
        view_id: ViewId,
        library: LibraryId,
        cause: Cause,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        self.raise(library, DoubtScope::Library, cause, now_ms, b"")?;
        self.libraries_changed(view_id)
    }

    /// Doubts a path, or an item if the path is empty.
    pub fn doubt_path_or_item(&self, library: LibraryId, path: &[u8], rating_key: &str) -> rusqlite::Result<()> {
        if path.is_empty() {
            let scope = DoubtScope::Item(rating_key.to_owned());
            return self.raise(library, scope, Cause::Invalidated, 0, b"");
        }
        let scope = DoubtScope::Path(normal_form(path));
        self.raise(library, scope, Cause::Invalidated, 0, path)
    }

    fn raise(
        &self,
        library: LibraryId,
        scope: DoubtScope,
        cause: Cause,
        raised_ms: i64,
        path: &[u8],
    ) -> rusqlite::Result<()> {
        let doubt = Doubt {
            scope,
            cause,
            raised: self.sequence,
            raised_ms,
        };
        self.store_doubt(library, &doubt, path)
    }

    /// Stores a doubt, or merges it with an earlier one of the same scope and cause, as [`Doubt::merge`] does. `path`: a
    /// doubted path as the host wrote it; empty for other scopes.
    pub fn store_doubt(&self, library: LibraryId, doubt: &Doubt, path: &[u8]) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO doubts (library, scope, cause, path, raised, raised_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (library, scope, cause) DO UPDATE SET path = excluded.path, \
             raised = max(raised, excluded.raised), raised_ms = min(raised_ms, excluded.raised_ms)",
            params![
                library,
                doubt.scope,
                doubt.cause as i64,
                path,
                doubt.raised,
                doubt.raised_ms
            ],
        )
    }

    /// Ends the doubts about a path, because a host or another one knows better.
    pub fn end_doubts_of_path(&self, library: LibraryId, form: Vec<u8>) -> rusqlite::Result<()> {
        let scope = DoubtScope::Path(form);
        self.run(
            "DELETE FROM doubts WHERE library = ?1 AND scope = ?2",
            params![library, scope],
        )
    }

    /// Ends doubts about a library, its items and its paths.
    pub fn end_doubts<'d>(
        &self,
        library: LibraryId,
        ended: impl IntoIterator<Item = &'d Doubt>,
    ) -> rusqlite::Result<()> {
        for doubt in ended {
            self.run(
                "DELETE FROM doubts WHERE library = ?1 AND scope = ?2 AND cause = ?3",
                params![library, doubt.scope, doubt.cause as i64],
            )?;
        }
        Ok(())
    }
}
