//! The host's key-value tables.

use std::sync::Arc;

use super::opened::Index;
use crate::engine;
use crate::error::{Result, invalid_argument_error};
use crate::options::Ttl;

/// A handle to one of the host's key-value tables, cheap to clone and usable from any thread. Values can expire. Tables
/// send no requests. The handle keeps the index open.
///
/// ```
/// use plexindex::{Index, Options, Terms};
///
/// # let folder = tempfile::tempdir()?;
/// let index = Index::open(Options::new(folder.path()))?;
/// let ratings = index.table("ratings")?;
/// ratings.put("1002", "8.5", Terms::default())?;
/// assert_eq!(ratings.get("1002")?.as_deref(), Some(&b"8.5"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Table {
    index: Index,
    table: Arc<engine::Table>,
}

/// How long a table keeps written values, and its maximum size.
///
/// ```
/// use std::time::Duration;
/// use plexindex::Terms;
///
/// let terms = Terms::default().ttl(Duration::from_secs(3600)).limit(50 << 20);
/// # let _ = terms;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "pass the terms to a write"]
pub struct Terms(engine::TableLimits);

impl Terms {
    /// Sets the time after which the written values expire. By default, values never expire.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.0.ttl = ttl.into();
        self
    }

    /// Makes the write remove the oldest entries of each table that it writes, except those that it writes, until the
    /// table has `bytes` or less. The size of an entry is that of its name and value, plus 64 bytes. By default, there
    /// is no limit, and entries stay until the host removes them or they expire.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.0.limit = Some(bytes);
        self
    }
}

/// A change to a table, for [`Index::write_tables`](crate::Index::write_tables).
#[derive(Clone, Copy)]
#[must_use = "nothing is written yet"]
pub struct TableChange<'c> {
    table: &'c Table,
    op: engine::Op<'c>,
}

impl<'c> TableChange<'c> {
    /// Creates a change that stores a value, replacing any value with the same name.
    pub fn put<N: AsRef<[u8]> + ?Sized, V: AsRef<[u8]> + ?Sized>(table: &'c Table, name: &'c N, value: &'c V) -> Self {
        let op = engine::Op::Put(&table.table, name.as_ref(), value.as_ref());
        Self { table, op }
    }

    /// Creates a change that removes an entry.
    pub fn remove<N: AsRef<[u8]> + ?Sized>(table: &'c Table, name: &'c N) -> Self {
        let op = engine::Op::Remove(&table.table, name.as_ref());
        Self { table, op }
    }

    /// Creates a change that removes all entries of a table.
    pub fn clear(table: &'c Table) -> Self {
        let op = engine::Op::Clear(&table.table);
        Self { table, op }
    }
}

impl std::fmt::Debug for TableChange<'_> {
    /// Formats only the table, since names and values can be long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableChange({:?})", self.table)
    }
}

/// Applies changes to the index's tables in one transaction. Fails if a table belongs to another index, since one
/// transaction cannot cover two stores.
pub fn write_tables(index: &Index, changes: &[TableChange<'_>], terms: Terms) -> Result<()> {
    if changes.iter().any(|change| !change.table.index.is_same_index(index)) {
        return invalid_argument_error(
            "cannot write to a table of another index: write to the tables of one index at a time",
        );
    }
    let ops: Vec<_> = changes.iter().map(|change| change.op).collect();
    index.tables().write(&ops, &terms.0)
}

impl Table {
    /// Returns a handle to the table with this name, which need not exist yet. `ignores_case`: whether entry names
    /// ignore the case of A to Z.
    pub(super) fn new(index: &Index, name: &[u8], ignores_case: bool) -> Result<Self> {
        Ok(Self {
            table: Arc::new(index.tables().table(name, ignores_case)?),
            index: index.clone(),
        })
    }

    /// Returns the value with this name; `None` if there is no value or it has expired.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = None;
        self.table
            // `usize::MAX`: accepts a value of any length.
            .get(name.as_ref(), usize::MAX, &mut |found| value = Some(found.to_vec()))?;
        Ok(value)
    }

    /// Looks up the value with this name without a wait or a copy; once the value is in memory, also without a lock.
    /// Passes the value to `then`, and returns the result of `then`. `None`: there is no value, or the value is not
    /// available at once; then use [`Table::get`].
    pub fn lookup<R>(&self, name: impl AsRef<[u8]>, then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.table.lookup(name.as_ref(), then)
    }

    /// Stores a value, and replaces any value with the same name. `terms`: when the value expires, and the maximum size
    /// of the table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB; errors of the
    /// store.
    pub fn put(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>, terms: Terms) -> Result<()> {
        self.table.put(name.as_ref(), value.as_ref(), &terms.0)
    }

    /// Removes an entry. Succeeds even if the entry does not exist.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.table.remove(name.as_ref())
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        self.table.clear()
    }

    /// Iterates over the names of the entries that have not expired, in byte order. An error ends the iteration.
    pub fn names(&self) -> Names {
        Names {
            table: self.clone(),
            last: None,
            ended: false,
        }
    }

    /// Returns the number of stored entries, including expired entries.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn count(&self) -> Result<u64> {
        self.table.count()
    }
}

impl std::fmt::Debug for Table {
    /// Formats the table's name, with escapes, since a name can be any bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.table.name().escape_ascii())
    }
}

/// An iterator over the names of a table's entries, from [`Table::names`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Names {
    table: Table,
    last: Option<Vec<u8>>,
    ended: bool,
}

impl Iterator for Names {
    type Item = Result<Vec<u8>>;

    /// Returns the name after the last returned name. Ends after the table's last name, or after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.table.table.next(self.last.as_deref()) {
            Ok(Some(name)) => {
                self.last = Some(name.clone());
                Some(Ok(name))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Names {}
