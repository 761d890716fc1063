//! The targets of handles: an open index, its libraries and its tables.

use std::sync::{Arc, Mutex};

use super::options::CheckedOptions;
use super::strings::required;
use super::table_handles::TableHandles;
use super::types::{Handle, LibraryHandle};
use super::{guard, log_ring};
use plexindex::error::{Result, abridged, refuse};
use plexindex::inside::lock;
use plexindex::inside::{Forks, Release, fork};
use plexindex::{Index, Library, Selector};

/// Maximum number of handles for names of unknown libraries.
const MAX_UNKNOWN: usize = 1_024;

/// The target of a handle.
pub struct Opened {
    index: Index,
    libraries: Arc<LibraryHandles>,
    tables: Arc<TableHandles>,
}

/// The libraries with handles.
#[derive(Default)]
struct LibraryHandles {
    /// Boxed, so that handles do not move. A library is added once per selector.
    #[allow(clippy::vec_box)]
    known: Mutex<Vec<Box<Library>>>,
}

impl Forks for LibraryHandles {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![Box::new(fork::hold(&self, |all| &all.known))]
    }
}

impl Opened {
    pub fn open(chosen: CheckedOptions) -> Result<Self> {
        guard::quiet_panics();
        log_ring::install(log_ring::level(chosen.log_level)?);
        #[cfg(feature = "shared")]
        let index = plexindex_sharing::open(chosen.options)?;
        #[cfg(not(feature = "shared"))]
        let index = Index::open(chosen.options)?;
        Ok(Self::over(index))
    }

    pub fn over(index: Index) -> Self {
        let (libraries, tables) = (Arc::default(), Arc::default());
        fork::watch(&libraries);
        fork::watch(&tables);
        Self {
            index,
            libraries,
            tables,
        }
    }

    pub fn into_handle(self) -> *mut Handle {
        Box::into_raw(Box::new(self)).cast()
    }

    /// # Safety
    /// `handle` must come from [`Opened::into_handle`] and not be used any more.
    pub unsafe fn from_handle(handle: *mut Handle) -> Self {
        // SAFETY: the caller's promise.
        *unsafe { Box::from_raw(handle.cast::<Self>()) }
    }

    /// Closes what the handle has open. Its entries among the things to do at a fork are removed even after an error.
    pub fn close(self) -> Result<()> {
        let closed = self.close_all();
        fork::forget_closed_handles();
        closed
    }

    fn close_all(self) -> Result<()> {
        drop((self.libraries, self.tables));
        self.index.close_now()
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn tables(&self) -> &TableHandles {
        &self.tables
    }

    pub fn library(&self, selector: Selector) -> Result<*const LibraryHandle> {
        let mut libraries = lock(&self.libraries.known);
        if let Some(known) = libraries.iter().find(|one| *one.selector() == selector) {
            return Ok(std::ptr::from_ref::<Library>(known).cast());
        }
        let made = Box::new(self.index.library(selector)?);
        // Handles live as long as the index, and names may come from anywhere.
        let unknown = || libraries.iter().filter(|one| !one.is_known()).count();
        if libraries.len() >= MAX_UNKNOWN && !made.is_known() && unknown() >= MAX_UNKNOWN {
            return refuse(format!(
                "library '{}' is unknown, and the limit of {MAX_UNKNOWN} handles for unknown names is reached: use \
                 names of libraries that exist",
                abridged(made.selector().name().as_bytes())
            ));
        }
        let handle = std::ptr::from_ref::<Library>(&made).cast();
        libraries.push(made);
        Ok(handle)
    }
}

/// # Safety
/// `handle` must be NULL or open, and stay open during the call.
pub unsafe fn opened<'h>(handle: *const Handle) -> Result<&'h Opened> {
    // SAFETY: the caller's promise.
    unsafe { required(handle.cast(), "handle") }
}

/// # Safety
/// `library` must be NULL or a library of an open index.
pub unsafe fn library<'h>(library: *const LibraryHandle) -> Result<&'h Library> {
    // SAFETY: the caller's promise.
    unsafe { required(library.cast(), "library") }
}

#[cfg(test)]
#[path = "handles_tests.rs"]
mod tests;
