//! Creates and finds the database, and renames a damaged database to `.broken`.

use std::io;
use std::path::Path;

use super::schema;
use super::store_errors::explain;
use super::store_folder::{LOCK_TIMEOUT, NAME, StoreFolder};
use crate::engine::version_page::VersionPage;
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;

/// Suffixes of the files that SQLite creates beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl StoreFolder {
    /// Creates the database if it does not exist.
    ///
    /// The file gets its final name only when the database is complete, so other processes never open an incomplete
    /// database. The connection that creates the database closes before the rename, because closing it later would
    /// release this process's locks on the file.
    pub fn make_database(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("create a database in", &error);
        files::create_private_dirs(self.path()).map_err(cannot)?;
        let _exclusive = self.lock_database()?;
        let database = self.database();
        if files::regular_file_inodes(self.path(), [database]).map_err(cannot)? != [None] {
            return Ok(()); // another process created the database
        }
        // The new database must not use the WAL or the version page of a removed database. `true`: if there is no page
        // file, no process has a page mapped.
        for suffix in COMPANIONS {
            ignore_missing(files::remove(&self.companion(suffix))).map_err(cannot)?;
        }
        VersionPage::remove_file(&self.page(), true).map_err(cannot)?;
        let temporary = self.path().join(format!("{NAME}.db.{}.new", std::process::id()));
        let create = || -> Result<()> {
            drop(files::create_new(&temporary).map_err(cannot)?);
            schema::create_database(&temporary, self.shares_memory()).map_err(|error| explain(&error, self))?;
            self.name_database(&temporary).map_err(cannot)
        };
        let result = create();
        let _ = files::remove(&temporary);
        result
    }

    /// Renames a complete database to its final name. Creates `-wal` and `-shm` first, so that SQLite need not sync
    /// the folder when it opens the database.
    fn name_database(&self, temporary: &Path) -> io::Result<()> {
        if self.shares_memory() {
            for path in self.wal_and_shm() {
                drop(files::create_new(path)?);
            }
        }
        files::sync(&files::open_existing(temporary)?, temporary)?;
        files::rename(temporary, self.database())?;
        files::sync_names(self.path())
    }

    /// Returns the inode of the database; `None` if there is no database. Fails if the database or a file beside it is
    /// not a regular file, because SQLite would follow a link.
    pub fn find_database(&self) -> Result<Option<Inode>> {
        let [wal, shm, journal] = COMPANIONS.map(|suffix| self.companion(suffix));
        let inodes = files::regular_file_inodes(self.path(), [&wal, &shm, &journal, self.database()]);
        let [.., database] = inodes.map_err(|error| self.cannot("open the database in", &error))?;
        Ok(database)
    }

    /// Renames the broken database and the files beside it to `.broken`, so that plexindex can create a new database.
    /// Keeps the broken files, also earlier ones, because they contain confirmed matches that no server has.
    pub fn rename_broken(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("rename the broken database in", &error);
        let _exclusive = self.lock_database()?;
        let broken = self.broken();
        // Another process may have already renamed the database and created a new one.
        if broken.is_some() && Inode::of(self.database()) == broken {
            // Rename the database first: other processes then see that it is missing, and wait for this lock before
            // they create a new database.
            let name = self.unused_broken_name();
            for suffix in std::iter::once("").chain(COMPANIONS) {
                let broken_path = self.path().join(format!("{name}{suffix}"));
                ignore_missing(files::rename(&self.companion(suffix), &broken_path)).map_err(cannot)?;
            }
            log::warn!(
                "the database in {} is damaged and was renamed to {name}; plexindex will fetch the libraries again; \
                 `plexindex doctor` explains how to recover confirmed matches, but tables are lost",
                self.path().display()
            );
        }
        self.mark_broken(None);
        Ok(())
    }

    /// Acquires the lock for creating and renaming the database; `None` if the file system does not support locks. Only
    /// the timeout ends the wait.
    pub fn lock_database(&self) -> Result<Option<FileLock>> {
        match FileLock::acquire(&self.store_lock(), Deadline::after(LOCK_TIMEOUT), &|| false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Error::new(
                Status::Store,
                format!(
                    "store in {}: another process has been creating or repairing the database for too long; find and \
                     stop the hung process",
                    self.path().display()
                ),
            )),
            Err(error) if FileLock::is_unsupported(&error) => Ok(None),
            Err(error) => Err(self.cannot("lock a file in", &error)),
        }
    }
}

/// Returns `Ok` if `result` is the error for a missing file; otherwise returns `result` unchanged.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}
