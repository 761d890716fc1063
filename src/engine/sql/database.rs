//! Creating and finding the database, and renaming it to `.broken` if it is damaged.

use std::io;
use std::path::Path;

use super::explain::explain;
use super::folder::{LOCK_TIMEOUT, NAME, StoreFolder};
use super::schema;
use crate::engine::version_page::VersionPage;
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;

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
        VersionPage::take_away(&self.page(), true).map_err(cannot)?;
        let temporary = self.path().join(format!("{NAME}.db.{}.new", std::process::id()));
        let make = || -> Result<()> {
            drop(files::fresh(&temporary).map_err(cannot)?);
            schema::make(&temporary, self.shares_memory()).map_err(|error| explain(&error, self))?;
            self.name_database(&temporary).map_err(cannot)
        };
        let done = make();
        let _ = files::remove(&temporary);
        done
    }

    /// Renames a complete database to its final name. Its log files are created first, so that opening the database
    /// need not sync the folder for their names.
    fn name_database(&self, temporary: &Path) -> io::Result<()> {
        if self.shares_memory() {
            for log in self.log() {
                drop(files::fresh(log)?);
            }
        }
        files::sync(&files::existing(temporary)?, temporary)?;
        files::rename(temporary, self.database())?;
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
                "the database in {} is damaged; it is renamed to {NAME}.db.broken. Listings are fetched again; \
                 recorded matches and tables are lost",
                self.path().display()
            );
        }
        self.mark_broken(None);
        Ok(())
    }

    /// Takes the lock under which the database gets or loses its name. Returns
    /// `None` if the file system has no locks.
    pub fn exclusive(&self) -> Result<Option<FileLock>> {
        match FileLock::acquire(&self.store_lock(), Deadline::after(LOCK_TIMEOUT), &|| false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Error::new(
                Status::Store,
                format!(
                    "store in {}: another process has been creating or repairing it for too long; look for a process \
                     that hangs",
                    self.path().display()
                ),
            )),
            Err(error) if FileLock::are_missing(&error) => Ok(None),
            Err(error) => Err(self.cannot("lock a file in", &error)),
        }
    }
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
