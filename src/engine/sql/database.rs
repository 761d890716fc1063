//! Creating and finding the database, and renaming it to `.broken` if it is damaged.

use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::explain::{explain, is_broken};
use super::folder::{LOCK_TIMEOUT, NAME, StoreFolder};
use super::schema;
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;

/// The prefix of file names of format 2.
const FORMAT_2_NAME: &str = "plexindex-2";

/// The lowest `user_version` of format 2 that is read.
const FORMAT_2_MIN_VERSION: i64 = 9;

/// Suffixes of the files that `SQLite` puts beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl StoreFolder {
    /// Creates the database unless one exists. It gets its name when it is complete and closed, so other processes
    /// never open an incomplete one. Closing it later would free the locks that this process has on the file.
    pub fn make_database(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("make a database in", &error);
        files::private_dir(self.path()).map_err(cannot)?;
        let _exclusive = self.exclusive()?;
        let database = self.database();
        if files::regular(self.path(), [database]).map_err(cannot)? != [None] {
            return Ok(()); // another process was faster
        }
        // Left from a removed database; the new one must not use them.
        for end in COMPANIONS {
            ignore_missing(files::remove(&self.companion(end))).map_err(cannot)?;
        }
        let temporary = self.path().join(format!("{NAME}.db.{}.new", std::process::id()));
        let carried_over = self.path().join(format!("{NAME}.db.carried"));
        let make = || -> Result<()> {
            self.carry_format_2_over(&temporary, &carried_over)?;
            if files::regular(self.path(), [&carried_over]).map_err(cannot)? != [None] {
                return self.name_database(&carried_over).map_err(cannot);
            }
            drop(files::fresh(&temporary).map_err(cannot)?);
            schema::make(&temporary, self.shares_memory(), None).map_err(|error| explain(&error, self))?;
            self.name_database(&temporary).map_err(cannot)
        };
        let done = make();
        let _ = files::remove(&temporary);
        done
    }

    /// Copies the store of format 2, if there is one, into `carried_over`, and removes its files. After a kill the next
    /// process continues. It copies the store again if the database of format 2 still has its name, because others may
    /// have written to it.
    fn carry_format_2_over(&self, temporary: &Path, carried_over: &Path) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("carry over the store of an earlier format in", &error);
        let earlier = self.path().join(format!("{FORMAT_2_NAME}.db"));
        let is_copied = files::regular(self.path(), [carried_over]).map_err(cannot)? != [None];
        if earlier.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            drop(files::fresh(temporary).map_err(cannot)?);
            let lock = match self.copy_format_2(&earlier, temporary, is_copied.then_some(carried_over)) {
                Ok(Some(lock)) => lock,
                Ok(None) => return Ok(()),
                Err(error) if is_broken(&error) => {
                    log::warn!("the store of an earlier format cannot be read, and stays where it is: {error}");
                    return Ok(());
                }
                Err(error) => return Err(explain(&error, self)),
            };
            // The copy is synced before the database is removed, and the database is removed before its log.
            self.sync_and_rename(temporary, carried_over).map_err(cannot)?;
            ignore_missing(files::remove(&earlier)).map_err(cannot)?;
            files::sync_names(self.path()).map_err(cannot)?;
            drop(lock);
        } else if !is_copied {
            return Ok(());
        }
        self.remove_format_2().map_err(cannot)
    }

    /// Copies the database of format 2. Returns its lock, which keeps others from writing to it until dropped. `None`
    /// if it is not the database that was `copied` before a kill, but one that an earlier version of the library has
    /// created since.
    fn copy_format_2(
        &self,
        earlier: &Path,
        temporary: &Path,
        copied: Option<&Path>,
    ) -> rusqlite::Result<Option<Connection>> {
        let id_of = |c: &Connection| c.query_row("SELECT store_id FROM store", [], |row| row.get::<_, i64>(0));
        let lock = lock_format_2(earlier)?;
        if let Some(copied) = copied
            && id_of(&schema::connect(copied)?)? != id_of(&lock)?
        {
            return Ok(None);
        }
        schema::make(temporary, self.shares_memory(), Some(earlier))?;
        Ok(Some(lock))
    }

    /// Removes the files of the store of format 2. A process with an earlier version of the library that has them open
    /// creates new files for itself.
    fn remove_format_2(&self) -> io::Result<()> {
        log::warn!(
            "the store in {} was of an earlier format: it was carried over; what uses an earlier version of the library \
             beside this one goes on with files of its own",
            self.path().display()
        );
        // Keep `.broken` files, and files that do not belong to a store.
        let is_of_store = |end: &str| {
            let known = [".db", ".db-wal", ".db-shm", ".db-journal", ".page", ".state"];
            known.contains(&end) || end.starts_with('-') && matches!(end.rsplit_once('.'), Some((_, "image" | "lock")))
        };
        for entry in std::fs::read_dir(self.path())?.flatten() {
            let name = entry.file_name();
            let end = name.to_str().and_then(|name| name.strip_prefix(FORMAT_2_NAME));
            if end.is_some_and(is_of_store) && entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
                ignore_missing(files::remove(&entry.path()))?;
            }
        }
        // Sync the removal before the new database gets its name: later no process looks for these files.
        files::sync_names(self.path())
    }

    /// Renames a complete database to its final name. Its log files are created first, so that opening the database
    /// need not sync the folder for their names.
    fn name_database(&self, temporary: &Path) -> io::Result<()> {
        if self.shares_memory() {
            for log in self.log() {
                drop(files::fresh(log)?);
            }
        }
        self.sync_and_rename(temporary, self.database())
    }

    fn sync_and_rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        files::sync(&files::existing(from)?, from)?;
        files::rename(from, to)?;
        files::sync_names(self.path())
    }

    /// The inode of the database, `None` if there is none. Fails if the database, or a file that `SQLite` keeps beside
    /// it, is not a regular file: `SQLite` would follow a link.
    pub fn find_database(&self) -> Result<Option<Inode>> {
        let [wal, shm, journal] = COMPANIONS.map(|end| self.companion(end));
        let found = files::regular(self.path(), [&wal, &shm, &journal, self.database()]);
        let [.., database] = found.map_err(|error| self.cannot("open the database in", &error))?;
        Ok(database)
    }

    /// Renames the broken database and its companions to `.broken`, so that a new one can be created. It is kept
    /// because of its confirmed matches; everything else can be fetched again.
    pub fn rename_broken(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("set the broken database aside in", &error);
        let _exclusive = self.exclusive()?;
        let broken = self.broken();
        // If another process was faster, a new database may have the name by now.
        if broken.is_some() && Inode::of(self.database()) == broken {
            // The database first: other processes see that it is missing, and wait for this lock before they create a
            // new one.
            for end in std::iter::once("").chain(COMPANIONS) {
                let from = self.companion(end);
                ignore_missing(files::rename(&from, &self.companion(&format!("{end}.broken")))).map_err(cannot)?;
            }
            log::warn!(
                "the database in {} is damaged, or of an earlier build; it is renamed to {NAME}.db.broken. Listings are fetched again; \
                 recorded matches and tables are lost",
                self.path().display()
            );
        }
        self.mark_broken(None);
        Ok(())
    }

    /// Takes the lock under which the database gets or loses its name. Each write transaction takes it too. Returns
    /// `None` if the file system has no locks.
    pub fn exclusive(&self) -> Result<Option<FileLock>> {
        match FileLock::acquire(&self.store_lock(), Deadline::after(LOCK_TIMEOUT), &|| false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Error::new(
                Status::Store,
                format!(
                    "store in {}: another process makes or repairs it, and does not come to an end; look for a process \
                     that hangs",
                    self.path().display()
                ),
            )),
            Err(error) if FileLock::are_missing(&error) => Ok(None),
            Err(error) => Err(self.cannot("lock a file in", &error)),
        }
    }
}

/// Locks a store of format 2 until the result is dropped. Otherwise an earlier version of the library could still write
/// to it, and those writes would be lost.
///
/// # Errors
/// It is locked, or is not a store.
fn lock_format_2(earlier: &Path) -> rusqlite::Result<Connection> {
    let lock = schema::connect(earlier)?;
    let made: i64 = lock.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if made < FORMAT_2_MIN_VERSION {
        return Err(schema::failure(rusqlite::ffi::SQLITE_NOTADB));
    }
    lock.execute_batch("BEGIN IMMEDIATE")?;
    Ok(lock)
}

/// Treats a missing file as success.
fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}
