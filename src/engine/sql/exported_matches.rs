//! Exports confirmed matches, from the store's database or from a damaged database that plexindex renamed to `.broken`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::migrations::migrate;
use super::record_log::RecordRows;
use super::schema::connect;
use super::store_errors::is_broken;
use super::store_folder::{BROKEN, NAME};
use crate::engine::segment::decode_match;
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::{Sequence, TableId, ViewId};
use crate::platform::files;

/// A confirmed match, with the names of its library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportedMatch {
    pub library_uuid: String,
    pub path: Vec<u8>,
    pub rating_key: String,
    pub library_title: String,
    /// The server's machine identifier.
    pub server: String,
}

/// The newest value of each name in each table; `None` for a removed name.
type NewestValues = BTreeMap<(TableId, Vec<u8>), Option<Vec<u8>>>;

impl RecordRows<'_> {
    /// Returns all confirmed matches in a view, sorted by library and path. Scans the whole log of records.
    pub fn export(&self, identity: ViewId) -> Result<Vec<ExportedMatch>> {
        self.0.read(|connection| {
            let mut values = NewestValues::new();
            read_upwards(connection, &mut values)?;
            matches_in(connection, Some(identity), &values)
        })
    }

    /// Returns the confirmed matches in `database`, a damaged database of any view that plexindex renamed to `.broken`,
    /// sorted by library and path. Reads the file as far as possible, and does not change it.
    pub fn export_broken(&self, database: &Path) -> Result<Vec<ExportedMatch>> {
        // plexindex never opens a file with such a name, so closing the file releases no locks of this process.
        let name = database.file_name().map(|name| name.to_string_lossy());
        if !name.is_some_and(|name| name.ends_with(BROKEN)) {
            return invalid_argument_error(format!(
                "{} is not a database that plexindex renamed to {BROKEN}; to export from another folder, open an index \
                 there",
                database.display()
            ));
        }
        let cannot = |why: String| {
            let remedy = "check the file, or choose another one";
            Error::new(
                Status::Store,
                format!("cannot read {}: {why}; {remedy}", database.display()),
            )
        };
        let copy = DatabaseCopy::new(self.0.folder.path(), database).map_err(|error| cannot(error.to_string()))?;
        copy.read().map_err(|error| cannot(error.to_string()))
    }
}

/// A copy of a damaged database and its write-ahead log, which is removed when dropped.
struct DatabaseCopy(PathBuf);

impl DatabaseCopy {
    fn new(folder: &Path, database: &Path) -> std::io::Result<Self> {
        let random = u64::from_le_bytes(files::random_bytes()?);
        let copy = Self(folder.join(format!("{NAME}.export.{random:x}.new")));
        for suffix in ["", "-wal"] {
            match fs::File::open(with_suffix(database, suffix)) {
                Ok(mut original) => {
                    std::io::copy(&mut original, &mut files::create_new(&with_suffix(&copy.0, suffix))?)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && suffix == "-wal" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(copy)
    }

    fn read(&self) -> rusqlite::Result<Vec<ExportedMatch>> {
        let connection = connect(&self.0)?;
        // No other process uses the copy, so SQLite needs no shared memory.
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY")?;
        migrate(&connection)?;
        let mut values = NewestValues::new();
        if let Err(error) = read_upwards(&connection, &mut values) {
            if !is_broken(&error) {
                return Err(error);
            }
            log::warn!("some confirmed matches cannot be read: {error}");
            read_downwards(&connection, &mut values);
        }
        matches_in(&connection, None, &values)
    }
}

impl Drop for DatabaseCopy {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = files::remove(&with_suffix(&self.0, suffix));
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Adds the records to `values`, oldest first, until the end or a damaged page.
fn read_upwards(connection: &Connection, values: &mut NewestValues) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT in_table, name, value FROM records ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        values.insert((row.get(0)?, row.get(1)?), row.get(2)?);
    }
    Ok(())
}

/// Adds the records to `values`, newest first, until a damaged page. The records are newer than those in `values`, which
/// [`read_upwards`] has read up to a damaged page.
fn read_downwards(connection: &Connection, values: &mut NewestValues) {
    let mut newest = NewestValues::new();
    let read = || {
        let mut statement = connection.prepare_cached("SELECT in_table, name, value FROM records ORDER BY id DESC")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let value = row.get(2)?;
            newest.entry((row.get(0)?, row.get(1)?)).or_insert(value);
        }
        Ok::<_, rusqlite::Error>(())
    };
    let _ = { read }(); // ends with the same error
    values.extend(newest);
}

/// Returns the confirmed matches among `values` that belong to a library in the view; in any view if `identity` is
/// `None`.
fn matches_in(
    connection: &Connection,
    identity: Option<ViewId>,
    values: &NewestValues,
) -> rusqlite::Result<Vec<ExportedMatch>> {
    let libraries: Vec<(TableId, ExportedMatch)> = connection.rows(
        "SELECT t.id, l.uuid, l.title, s.machine_identifier FROM libraries l JOIN tables t ON t.library = l.id \
         JOIN views v ON v.id = l.view_id JOIN servers s ON s.id = v.server WHERE ?1 IS NULL OR l.view_id = ?1",
        params![identity],
        |row| {
            let library = ExportedMatch {
                library_uuid: row.get(1)?,
                path: Vec::new(),
                rating_key: String::new(),
                library_title: row.get(2)?,
                server: row.get(3)?,
            };
            Ok((row.get(0)?, library))
        },
    )?;
    let mut matches = Vec::new();
    for (table, library) in libraries {
        let of_table = values
            .range((table, Vec::new())..)
            .take_while(|((other, _), _)| *other == table);
        // The change sequence of a match does not matter here.
        matches.extend(of_table.filter_map(|((_, path), value)| {
            let (rating_key, _) = decode_match(value.as_ref()?, Sequence(0))?;
            Some(ExportedMatch {
                path: path.clone(),
                rating_key: rating_key.to_owned(),
                ..library.clone()
            })
        }));
    }
    matches.sort_unstable();
    Ok(matches)
}
