//! The Rust values that C handles point to: an open index, its libraries and its tables.

use std::sync::{Arc, Mutex};

use super::options::CheckedOptions;
use super::strings::required;
use super::types::{Handle, LibraryHandle, TableHandle};
use super::{guard, log_ring};
use plexindex::error::{Result, invalid_argument_error, truncate_for_message};
use plexindex::inside::{ForkAware, ForkLock, Table, fork, lock};
use plexindex::{Index, Library, Selector};

const MAX_UNKNOWN: usize = 1_024; // handles for unknown library names
const MAX_TABLES: usize = 10_000; // table handles of an index

/// An open index, which a [`Handle`] points to.
pub struct Opened {
    index: Index,
    libraries: Arc<HandleList<Library>>,
    tables: Arc<HandleList<Table>>,
}

/// The values that the handles of one kind point to. Each selector or table appears only once, so callers need not free
/// handles.
struct HandleList<T> {
    /// Boxed, so that values do not move when the list grows.
    #[allow(clippy::vec_box)]
    values: Mutex<Vec<Box<T>>>,
}

impl<T: Send + 'static> ForkAware for HandleList<T> {
    /// Locks the list before a fork, so that the child inherits no lock of another thread. Dropping the returned value
    /// releases the lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(fork::lock_for_fork(&self, |all| &all.values))]
    }
}

impl<T: Send + 'static> HandleList<T> {
    /// Creates an empty list, and registers it with the fork handlers, which lock the list before each fork.
    fn register() -> Arc<Self> {
        let values = Mutex::default();
        let list = Arc::new(Self { values });
        fork::register_component(&list);
        list
    }

    /// Returns the value that `is_wanted` accepts, or adds the value from `create`, which gets the existing ones.
    fn get(&self, is_wanted: impl Fn(&T) -> bool, create: impl FnOnce(&[Box<T>]) -> Result<T>) -> Result<*const T> {
        let mut values = lock(&self.values);
        if let Some(known) = values.iter().find(|value| is_wanted(value)) {
            return Ok(&raw const **known);
        }
        let value = Box::new(create(&values)?);
        let place = &raw const *value;
        values.push(value);
        Ok(place)
    }
}

impl Opened {
    /// Opens an index. Also installs the process-wide log and panic hook, so that opening can already log.
    pub fn open(checked: CheckedOptions) -> Result<Self> {
        guard::install_panic_hook();
        log_ring::install(log_ring::parse_level(checked.log_level)?);
        #[cfg(feature = "shared")]
        let index = plexindex_sharing::open(checked.options)?;
        #[cfg(not(feature = "shared"))]
        let index = Index::open(checked.options)?;
        Ok(Self::wrap(index))
    }

    /// Wraps an open index.
    pub fn wrap(index: Index) -> Self {
        Self {
            index,
            libraries: HandleList::register(),
            tables: HandleList::register(),
        }
    }

    /// Converts this value to a handle for C, which owns the value until plexindex_close().
    pub fn into_handle(self) -> *mut Handle {
        Box::into_raw(Box::new(self)).cast()
    }

    /// Converts a handle from [`Opened::into_handle`] back to its value.
    ///
    /// # Safety
    /// `handle` must come from [`Opened::into_handle`], and the caller must not use it afterwards.
    pub unsafe fn from_handle(handle: *mut Handle) -> Self {
        // SAFETY: guaranteed by the caller.
        *unsafe { Box::from_raw(handle.cast::<Self>()) }
    }

    /// Closes the index, its libraries and tables, and unregisters them from the fork handlers, even after an error.
    pub fn close(self) -> Result<()> {
        let closed = self.close_all();
        fork::remove_dropped_components();
        closed
    }

    /// Drops the libraries and tables, then closes the index.
    fn close_all(self) -> Result<()> {
        drop((self.libraries, self.tables));
        self.index.close_now()
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the handle to the library with this selector. Equal selectors have the same handle.
    pub fn library(&self, selector: &Selector) -> Result<*const LibraryHandle> {
        let create = |known: &[Box<Library>]| {
            let library = self.index.library(selector.clone())?;
            // Limits handles for unknown names, since handles live as long as the index, and names may come from users.
            let unknown_count = || known.iter().filter(|library| !library.is_known()).count();
            if known.len() >= MAX_UNKNOWN && !library.is_known() && unknown_count() >= MAX_UNKNOWN {
                return invalid_argument_error(format!(
                    "library '{}' is unknown, and the index has reached its limit of {MAX_UNKNOWN} handles for \
                     unknown names; use names of existing libraries",
                    truncate_for_message(selector.name().as_bytes())
                ));
            }
            Ok(library)
        };
        let library = self.libraries.get(|library| library.selector() == selector, create)?;
        Ok(library.cast())
    }

    /// Returns the handle to the table with this name. Equal names and flags always return the same handle.
    pub fn table(&self, name: &[u8], ignores_case: bool, is_limited_with_all: bool) -> Result<*const TableHandle> {
        let flags = (ignores_case, is_limited_with_all);
        let is_wanted =
            |table: &Table| table.name() == name && (table.ignores_case(), table.is_limited_with_all()) == flags;
        let table = self.tables.get(is_wanted, |known| {
            if known.len() >= MAX_TABLES {
                return invalid_argument_error(format!(
                    "this index has reached its limit of {MAX_TABLES} table handles; use fewer tables"
                ));
            }
            let table = self.index.tables().table(name, ignores_case)?;
            Ok(table.limited_with_all(is_limited_with_all))
        })?;
        Ok(table.cast())
    }
}

/// Returns the open index that a handle points to; NULL is an error.
///
/// # Safety
/// `handle` must be NULL or open, and stay open during the call.
pub unsafe fn opened<'h>(handle: *const Handle) -> Result<&'h Opened> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(handle.cast(), "handle") }
}

/// Returns the library that a library handle points to; NULL is an error.
///
/// # Safety
/// `library` must be NULL or a handle to a library of an open index.
pub unsafe fn library<'h>(library: *const LibraryHandle) -> Result<&'h Library> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(library.cast(), "library") }
}

/// Returns the table that a table handle points to; NULL is an error.
///
/// # Safety
/// `table` must be NULL or a handle to a table of an open index.
pub unsafe fn table<'h>(table: *const TableHandle) -> Result<&'h Table> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(table.cast(), "table") }
}

#[cfg(test)]
#[path = "handles_tests.rs"]
mod tests;
