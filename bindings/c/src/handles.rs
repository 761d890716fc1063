//! The Rust values that C handles point to: an open index, its libraries and its tables.

use std::sync::{Arc, Mutex};

use super::options::CheckedOptions;
use super::strings::required;
use super::table_handles::TableHandles;
use super::types::{Handle, LibraryHandle};
use super::{guard, log_ring};
use plexindex::error::{Result, invalid_argument_error, truncate_for_message};
use plexindex::inside::lock;
use plexindex::inside::{ForkAware, ForkLock, fork};
use plexindex::{Index, Library, Selector};

const MAX_UNKNOWN: usize = 1_024; // handles for unknown library names

/// An open index, which a [`Handle`] points to.
pub struct Opened {
    index: Index,
    libraries: Arc<LibraryHandles>,
    tables: Arc<TableHandles>,
}

/// The libraries that library handles point to.
#[derive(Default)]
struct LibraryHandles {
    /// Boxed, so that libraries do not move when the list grows. Each selector appears only once.
    #[allow(clippy::vec_box)]
    libraries: Mutex<Vec<Box<Library>>>,
}

impl ForkAware for LibraryHandles {
    /// Locks the library handles before a fork, so that the child inherits no lock of another thread. Dropping the
    /// returned value releases the lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(fork::lock_for_fork(&self, |all| &all.libraries))]
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

    /// Wraps an open index, and registers its handle lists with the fork handlers, which lock the lists before each
    /// fork.
    pub fn wrap(index: Index) -> Self {
        let (libraries, tables) = (Arc::default(), Arc::default());
        fork::register_component(&libraries);
        fork::register_component(&tables);
        Self {
            index,
            libraries,
            tables,
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

    /// Returns the tables that table handles point to.
    pub fn tables(&self) -> &TableHandles {
        &self.tables
    }

    /// Returns the handle to the library with this selector. Equal selectors have the same handle, so callers need not
    /// free handles.
    pub fn library(&self, selector: Selector) -> Result<*const LibraryHandle> {
        let mut libraries = lock(&self.libraries.libraries);
        if let Some(known) = libraries.iter().find(|library| *library.selector() == selector) {
            return Ok(std::ptr::from_ref::<Library>(known).cast());
        }
        let library = Box::new(self.index.library(selector)?);
        // Limits handles for unknown names, since handles live as long as the index, and names may come from users.
        let unknown_count = || libraries.iter().filter(|library| !library.is_known()).count();
        if libraries.len() >= MAX_UNKNOWN && !library.is_known() && unknown_count() >= MAX_UNKNOWN {
            return invalid_argument_error(format!(
                "library '{}' is unknown, and the index has reached its limit of {MAX_UNKNOWN} handles for unknown \
                 names; use names of existing libraries",
                truncate_for_message(library.selector().name().as_bytes())
            ));
        }
        let handle = std::ptr::from_ref::<Library>(&library).cast();
        libraries.push(library);
        Ok(handle)
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

#[cfg(test)]
#[path = "handles_tests.rs"]
mod tests;
