//! Values of a host's tables, for the drop-in's cache of matches.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::PyObject;

use super::{Arguments, Bound, Cell, OwnedRef, call_bound, definition, function, pointer, str_or_none, text};

/// `plexindex_table_lookup`.
type TableLookup = unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char) -> i32;

// Statuses of the C ABI.
const OK: i32 = 0;
const NOT_FOUND: i32 = 1;

/// `get_match(function, handles, counts)`: a fast lookup in a host's tables.
pub struct Tables {
    function: TableLookup,
    /// Maps the names of libraries to `bytearray`s with the handles of their tables, as [`Cell`].
    handles: OwnedRef,
    /// Name and table of the last library: hosts use the same object again and again.
    last: RefCell<Option<(OwnedRef, Cell)>>,
    /// The counters of hits and misses, in a `bytearray`.
    counts: *mut [u64; 2],
    _counts_owner: OwnedRef,
    /// Name of the method that lower-cases a path.
    lower: OwnedRef,
}

impl Tables {
    /// Looks up the key of a path. Returns the status; `None` if only the function in Python can answer.
    #[inline]
    unsafe fn look_up(&self, library: *mut PyObject, path: *mut PyObject, key: &mut *const c_char) -> Option<i32> {
        // SAFETY: both objects are alive.
        unsafe {
            let name = text(path)?;
            if name.to_bytes().is_ascii() {
                // The library lower-cases ASCII itself.
                return self.look_up_name(library, name, key);
            }
            // A `str` of another class may lower-case itself otherwise.
            let is_str = py::PyUnicode_CheckExact(path) != 0;
            is_str.then(|| self.look_up_lowered(library, path, key))?
        }
    }

    #[inline(never)]
    unsafe fn look_up_lowered(
        &self,
        library: *mut PyObject,
        path: *mut PyObject,
        key: &mut *const c_char,
    ) -> Option<i32> {
        // SAFETY: both objects are alive, and the key does not lie in the lowered path.
        unsafe {
            let end = null_mut::<PyObject>();
            let lowered = OwnedRef(py::PyObject_CallMethodObjArgs(path, self.lower.0, end));
            lowered.0.as_ref()?;
            self.look_up_name(library, text(lowered.0)?, key)
        }
    }

    #[inline]
    unsafe fn look_up_name(&self, library: *mut PyObject, name: &CStr, key: &mut *const c_char) -> Option<i32> {
        // SAFETY: the object is alive. Nothing runs between reading the handle and the lookup.
        unsafe {
            let table = self.last_table(library).or_else(|| {
                self.load_table(library)?;
                self.last_table(library)
            })?;
            Some((self.function)(table, name.as_ptr(), key))
        }
    }

    /// Returns the handle of a library's table, if the last call had the same library and the index is open.
    #[inline]
    fn last_table(&self, library: *mut PyObject) -> Option<*const c_void> {
        let last = self.last.borrow();
        last.as_ref()
            .filter(|(name, _)| name.0 == library)
            .and_then(|(_, cell)| cell.handle())
    }

    /// Makes this library the last one. Releasing the previous one may run any code.
    #[inline(never)]
    unsafe fn load_table(&self, library: *mut PyObject) -> Option<()> {
        // SAFETY: the object is alive. Only `str` itself has no code of its own for hashes and comparisons.
        let last = unsafe {
            if py::PyUnicode_CheckExact(library) == 0 {
                return None;
            }
            let cell = py::PyDict_GetItemWithError(self.handles.0, library);
            cell.as_ref()?;
            (OwnedRef::new(library), Cell::new(cell)?)
        };
        drop(self.last.replace(Some(last)));
        Some(())
    }
}

impl Bound for Tables {
    const DEFINITION: &'static py::PyMethodDef = &definition(
        c"get_match",
        c"get_match(library_name, file_path)\n--\n\nReturns the key recorded for a path, or None.",
        call_bound::<Self>,
    );

    unsafe fn new(arguments: Arguments) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let [address, handles, counts] = arguments.only()?;
            let (function, lower) = (function(address)?, py::PyUnicode_InternFromString(c"lower".as_ptr()));
            if py::PyDict_Check(handles) == 0 || lower.is_null() {
                return None;
            }
            Some(Self {
                function,
                handles: OwnedRef::new(handles),
                last: RefCell::new(None),
                counts: pointer(counts)?.cast(),
                _counts_owner: OwnedRef::new(counts),
                lower: OwnedRef(lower),
            })
        }
    }

    unsafe fn call(&self, arguments: Arguments) -> Option<*mut PyObject> {
        // SAFETY: Python's call. The key is copied before the next lookup.
        unsafe {
            let [library, path] = arguments.only()?;
            let mut key = null();
            let status = self.look_up(library, path, &mut key)?;
            let is_missing = status == NOT_FOUND && py::PyUnicode_CheckExact(path) != 0;
            (status == OK || is_missing).then(|| {
                (*self.counts)[usize::from(is_missing)] += 1;
                str_or_none(key)
            })
        }
    }
}
