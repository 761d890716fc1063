//! The tables that table handles point to.

use std::sync::{Arc, Mutex};

use super::constants as c;
use super::strings::required;
use super::types::TableHandle;
use plexindex::error::{Result, invalid_argument_error};
use plexindex::inside::lock;
use plexindex::inside::{ForkAware, ForkLock, fork};
use plexindex::inside::{Table, Tables};

const MAX_HANDLES: usize = 10_000; // table handles of an index

/// A table that a [`TableHandle`] points to.
pub struct HostTable {
    pub table: Table,
    flags: u32,
}

/// All tables of an index that table handles point to.
#[derive(Default)]
pub struct TableHandles {
    /// Boxed, so that tables do not move when the list grows.
    #[allow(clippy::vec_box)]
    tables: Mutex<Vec<Box<HostTable>>>,
}

impl ForkAware for TableHandles {
    /// Locks the table handles before a fork, so that the child inherits no lock of another thread. Dropping the
    /// returned value releases the lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(fork::lock_for_fork(&self, |all| &all.tables))]
    }
}

impl TableHandles {
    /// Returns the handle to the table of `tables` with this name. Equal names and flags always return the same handle,
    /// so callers need not free handles. `flags`: 0 or PLEXINDEX_TABLE_FOLD_ASCII.
    pub fn handle(&self, tables: &Arc<Tables>, name: &[u8], flags: u32) -> Result<*const TableHandle> {
        let mut given = lock(&self.tables); // the tables that already have a handle
        if let Some(known) = given.iter().find(|one| one.table.name() == name && one.flags == flags) {
            return Ok(std::ptr::from_ref::<HostTable>(known).cast());
        }
        if given.len() >= MAX_HANDLES {
            return invalid_argument_error(format!(
                "this index has reached its limit of {MAX_HANDLES} table handles; use fewer tables"
            ));
        }
        let ignores_case = flags & c::PLEXINDEX_TABLE_FOLD_ASCII != 0;
        let table = Box::new(HostTable {
            table: tables.table(name, ignores_case)?,
            flags,
        });
        let handle = std::ptr::from_ref::<HostTable>(&table).cast();
        given.push(table);
        Ok(handle)
    }
}

/// Returns the table that a table handle points to; NULL is an error.
///
/// # Safety
/// `table` must be NULL or a handle to a table of an open index.
pub unsafe fn table_of_handle<'h>(table: *const TableHandle) -> Result<&'h Table> {
    // SAFETY: guaranteed by the caller.
    unsafe { required::<HostTable>(table.cast(), "table") }.map(|host_table| &host_table.table)
}
