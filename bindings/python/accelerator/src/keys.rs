//! Looks up the keys of one path or a list of paths.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::PyObject;

use super::{Arguments, Bound, Buffer, Cell, OwnedRef, call_bound, definition, function, str_or_none, text, utf8};

/// `plexindex_lookup_key`.
type LookupKey = unsafe extern "C" fn(*const c_void, *const c_char) -> *const c_char;
/// `plexindex_lookup_keys`.
type LookupKeys = unsafe extern "C" fn(*const c_void, *const c_char, usize, usize, *mut Buffer, *mut Buffer) -> i32;

/// Number of paths per call: their data stays in the processor's caches.
const PATHS_PER_CALL: usize = 256;
/// Size of the buffer for the keys of these paths in bytes; enough for usual keys.
const KEYS_BUFFER_SIZE: usize = PATHS_PER_CALL * 40;

/// `lookup_key(function, library)`, and `lookup_keys` for a list of paths: lookups in one library.
pub struct Lookup<F> {
    function: F,
    library: Cell,
}

pub type LookUpOne = Lookup<LookupKey>;
pub type LookUpMany = Lookup<LookupKeys>;

impl<F: Copy> Lookup<F> {
    /// Safety: called by Python; `F` is the type of the function at the given address.
    unsafe fn from_arguments(arguments: Arguments) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let [address, library] = arguments.only()?;
            Some(Self {
                function: function(address)?,
                library: Cell::new(library)?,
            })
        }
    }
}

impl Bound for LookUpOne {
    const DEFINITION: &'static py::PyMethodDef = &definition(
        c"lookup_key",
        c"lookup_key(path)\n--\n\nReturns the key of the item with this path, if a fast lookup knows it.",
        call_bound::<Self>,
    );

    unsafe fn new(arguments: Arguments) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::from_arguments(arguments) }
    }

    unsafe fn call(&self, arguments: Arguments) -> Option<*mut PyObject> {
        // SAFETY: Python's call. The key is copied before the next lookup.
        unsafe {
            let [path] = arguments.only()?;
            let path = text(path)?;
            let key = (self.function)(self.library.handle()?, path.as_ptr());
            Some(str_or_none(key))
        }
    }
}

impl Bound for LookUpMany {
    const DEFINITION: &'static py::PyMethodDef = &definition(
        c"lookup_keys",
        c"lookup_keys(paths)\n--\n\nReturns the keys of a list of paths, in their order.",
        call_bound::<Self>,
    );

    unsafe fn new(arguments: Arguments) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::from_arguments(arguments) }
    }

    unsafe fn call(&self, arguments: Arguments) -> Option<*mut PyObject> {
        // SAFETY: Python's call.
        unsafe {
            let [paths] = arguments.only()?;
            if py::PyList_Check(paths) == 0 {
                return None;
            }
            let count = py::PyList_Size(paths);
            let keys = OwnedRef(py::PyList_New(count));
            if !keys.0.is_null() {
                self.fill(paths, count.unsigned_abs(), keys.0)?;
            }
            Some(keys.release())
        }
    }
}

impl LookUpMany {
    /// Puts the keys of `paths` into the new list `found`. `None` if an exception is set, or if only the function in
    /// Python can answer.
    unsafe fn fill(&self, paths: *mut PyObject, count: usize, found: *mut PyObject) -> Option<()> {
        let mut batch: Vec<u8> = Vec::new();
        let mut keys: Vec<u8> = vec![0; KEYS_BUFFER_SIZE];
        for begin in (0..count).step_by(PATHS_PER_CALL) {
            let end = count.min(begin + PATHS_PER_CALL);
            batch.clear();
            for place in begin..end {
                // SAFETY: the list is alive. A finalizer may shorten it, so each path is kept until it is copied.
                unsafe {
                    let path = py::PyList_GetItem(paths, place.cast_signed());
                    if path.is_null() {
                        py::PyErr_Clear();
                        return None;
                    }
                    let path = OwnedRef::new(path);
                    let bytes = utf8(path.0).filter(|bytes| bytes.len() > 1)?;
                    batch.extend_from_slice(bytes);
                }
            }
            // SAFETY: the library is this one's.
            let length = unsafe { self.look_up(&batch, end - begin, &mut keys) }?;
            let mut rest = keys.get(..length)?;
            for place in begin..end {
                let key = CStr::from_bytes_until_nul(rest).ok()?;
                rest = &rest[key.count_bytes() + 1..];
                // SAFETY: within the new list, which takes the reference over.
                unsafe {
                    let key = str_or_none(if key.is_empty() { null() } else { key.as_ptr() });
                    if key.is_null() || py::PyList_SetItem(found, place.cast_signed(), key) != 0 {
                        return None;
                    }
                }
            }
            // With another number of keys, keys would be assigned to other paths.
            if !rest.is_empty() {
                return None;
            }
        }
        Some(())
    }

    /// Writes the keys of these paths into `keys`, which grows if needed. Returns their length in bytes.
    unsafe fn look_up(&self, paths: &[u8], count: usize, keys: &mut Vec<u8>) -> Option<usize> {
        loop {
            let capacity = keys.len();
            let mut buffer = Buffer::over(keys.as_mut_ptr().cast(), capacity);
            // SAFETY: the handle is open. The library detects a NUL within a path.
            let status = unsafe {
                let (library, start) = (self.library.handle()?, paths.as_ptr().cast());
                (self.function)(library, start, paths.len(), count, &raw mut buffer, null_mut())
            };
            match status {
                0 => return Some(buffer.length),
                _ if buffer.length > capacity => keys.resize(buffer.length, 0),
                _ => return None,
            }
        }
    }
}
