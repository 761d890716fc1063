//! Creating and finding the database, and renaming it to `.broken` if it is damaged.

use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::explain::{explain, is_broken};
use super::folder::{NAME, PATIENCE, StoreFolder};
use super::schema;
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;

/// The prefix of file names of format 2.
const EARLIER: &str = "plexindex-2";

/// The lowest `user_version` of format 2 that is read.
const OLDEST: i64 = 9;

/// Suffixes of the files that `SQLite` puts beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl StoreFolder {
    /// Makes the database when none has its name. It gets the name when it is whole and closed, so no process ever finds half
    /// of one; and no descriptor of it is closed later, which would free the locks that this process has on it.
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
            gone(files::remove(&self.companion(end))).map_err(cannot)?;
        }
        let temporary = self.path().join(format!("{NAME}.db.{}.new", std::process::id()));
        drop(files::fresh(&temporary).map_err(cannot)?);
        let make = || -> Result<()> {
            let held = match self.carry_over(&temporary) {
                Err(error) if is_broken(&error) => {
                    log::warn!("the store of an earlier format cannot be read, and stays where it is: {error}");
                    None
                }
                held => held.map_err(|error| explain(&error, self))?,
            };
            if held.is_none() {
                drop(files::fresh(&temporary).map_err(cannot)?);
                schema::make(&temporary, self.shares_memory(), None).map_err(|error| explain(&error, self))?;
            }
            self.name_database(&temporary).map_err(cannot)?;
            if held.is_some() {
                self.remove_earlier();
            }
            Ok(())
        };
        let done = make();
        if done.is_err() {
            let _ = files::remove(&temporary);
        }
        done
    }

    /// Makes a database of the store of format 2; `None` without one. Others cannot write to that until the result is dropped.
    fn carry_over(&self, temporary: &Path) -> rusqlite::Result<Option<Connection>> {
        let earlier = self.path().join(format!("{EARLIER}.db"));
        if !earlier.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            return Ok(None);
        }
        let held = lock_format_2(&earlier)?;
        schema::make(temporary, self.shares_memory(), Some(&earlier))?;
        Ok(Some(held))
    }

    /// Removes the files of the store that was carried over. A process with an earlier version of the library that has them open
    /// goes on with new ones of its own, as after any removal.
    fn remove_earlier(&self) {
        log::warn!(
            "the store in {} was of an earlier format: it was carried over; what uses an earlier version of the library \
             beside this one goes on with files of its own",
            self.path().display()
        );
        // `.broken` files stay, and so does everything that is no file of a store.
        let is_its = |end: &str| {
            let known = [".db", ".db-wal", ".db-shm", ".db-journal", ".page", ".state"];
            known.contains(&end) || end.starts_with('-') && matches!(end.rsplit_once('.'), Some((_, "image" | "lock")))
        };
        for entry in std::fs::read_dir(self.path()).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .strip_prefix(EARLIER)
                .is_some_and(is_its)
            {
                let _ = files::remove(&entry.path());
            }
        }
    }

    /// Gives a database that is whole its name. What stands beside it has its own before: the first process that opens it
    /// finds it as later ones do, and its log need not be forced to the disk for its name.
    fn name_database(&self, temporary: &Path) -> io::Result<()> {
        files::sync(&files::existing(temporary)?, temporary)?;
        if self.shares_memory() {
            for log in self.log() {
                drop(files::fresh(log)?);
            }
        }
        files::rename(temporary, self.database())?;
        files::sync_names(self.path())?;
        Ok(())
    }

    /// The database, if there is one. Something else than a file in its place, or in that of what `SQLite` keeps beside it,
    /// is an error: `SQLite` would follow a link.
    pub fn find_database(&self) -> Result<Option<Inode>> {
        let [wal, shm, journal] = COMPANIONS.map(|end| self.companion(end));
        let found = files::regular(self.path(), [&wal, &shm, &journal, self.database()]);
        let [.., database] = found.map_err(|error| self.cannot("open the database in", &error))?;
        Ok(database)
    }

    /// Gives the database that was found to be broken another name, with its companions, so that a new one
    /// can be made. What it held can be fetched again, but for confirmed matches, which is why it is kept.
    pub fn rename_broken(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("set the broken database aside in", &error);
        let _exclusive = self.exclusive()?;
        let broken = self.broken();
        // Another process may have been faster, and then what has the name now is not what was found to be broken.
        if broken.is_some() && Inode::of(self.database()) == broken {
            // The database first: from then on others find it moved, and make a new one only when we are done.
            for end in std::iter::once("").chain(COMPANIONS) {
                let from = self.companion(end);
                gone(files::rename(&from, &self.companion(&format!("{end}.broken")))).map_err(cannot)?;
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

    /// Held while the database gets or loses its name, and by each write transaction. Where locks do not work, none has it.
    pub fn exclusive(&self) -> Result<Option<FileLock>> {
        match FileLock::acquire(&self.store_lock(), Deadline::after(PATIENCE), &|| false) {
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

/// Locks a store of format 2 until the result is dropped: what an earlier version of the library writes from now on would be
/// lost.
///
/// # Errors
/// It is locked, or it is no store.
fn lock_format_2(earlier: &Path) -> rusqlite::Result<Connection> {
    let held = schema::connect(earlier)?;
    let made: i64 = held.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if made < OLDEST {
        return Err(schema::failure(rusqlite::ffi::SQLITE_NOTADB));
    }
    held.execute_batch("BEGIN IMMEDIATE")?;
    Ok(held)
}

/// The same, but that it is not there is fine.
fn gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}
