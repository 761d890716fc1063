//! Looks up the keys of one path or a list of paths.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Buffer, Lookup, Method, OwnedRef, addresses, bind, bound, exactly, item, new_str, none, text, utf8};

/// `plexindex_lookup_keys`.
type LookupKeys = unsafe extern "C" fn(*const c_void, *const c_char, usize, usize, *mut Buffer, *mut Buffer) -> i32;

/// Number of paths per call: their data stays in the processor's caches.
const PATHS_PER_CALL: usize = 256;
/// Size of the buffer for the keys of these paths in bytes; enough for usual keys.
const KEYS_BUFFER_SIZE: usize = PATHS_PER_CALL * 40;

/// The state bound to a lookup.
struct BoundLookup<F> {
    function: F,
    /// Address of the library's handle, which is NULL once the index is closed. The function in Python keeps the
    /// address valid.
    cell: *const *const c_void,
    /// Called with the same argument if the fast lookup cannot answer.
    fallback: OwnedRef,
}

impl<F> BoundLookup<F> {
    /// Calls the function in Python.
    fn call_python(&self, argument: *mut PyObject) -> *mut PyObject {
        // SAFETY: both are alive, and a NULL ends the arguments.
        unsafe { py::PyObject_CallFunctionObjArgs(self.fallback.0, argument, null_mut::<PyObject>()) }
    }
}

/// # Safety
/// Called by Python; `F` is the type of the function at the address given.
unsafe fn bind_arguments<F: Copy>(arguments: *const *mut PyObject, count: Py_ssize_t) -> Option<BoundLookup<F>> {
    // SAFETY: the caller's promise.
    unsafe {
        let [function, cell, fallback] = *exactly(arguments, count)?;
        let [function, cell] = addresses([function, cell])?;
        Some(BoundLookup {
            function: std::mem::transmute_copy::<*mut c_void, F>(&function),
            cell: cell.cast(),
            fallback: OwnedRef::new(fallback),
        })
    }
}

static ONE: Method = Method::one(
    c"lookup_key",
    lookup_key,
    c"lookup_key(path, /)\n--\n\nThe key of the item with this path, if a fast lookup knows it.",
);

static MANY: Method = Method::one(
    c"lookup_keys",
    lookup_keys,
    c"lookup_keys(paths, /)\n--\n\nThe keys of a list of paths, in their order.",
);

/// `lookup_key(function, cell, fallback)`: see [`BoundLookup`].
pub unsafe extern "C" fn bind_one(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_lookup_key.
    unsafe { bind_arguments::<Lookup>(arguments, count).map_or(null_mut(), |one| bind(one, &ONE)) }
}

/// `lookup_keys(function, cell, fallback)`: the same for a list of paths.
pub unsafe extern "C" fn bind_many(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_lookup_keys.
    unsafe { bind_arguments::<LookupKeys>(arguments, count).map_or(null_mut(), |one| bind(one, &MANY)) }
}

unsafe extern "C" fn lookup_key(own: *mut PyObject, path: *mut PyObject) -> *mut PyObject {
    // SAFETY: bound by `bind_one`; the path is the caller's until this returns.
    unsafe {
        let one: &BoundLookup<Lookup> = bound(own);
        match text(path) {
            Some(path) if !(*one.cell).is_null() => {
                let key = (one.function)(*one.cell, path.as_ptr());
                if key.is_null() { none() } else { new_str(key) }
            }
            _ => one.call_python(path),
        }
    }
}

unsafe extern "C" fn lookup_keys(own: *mut PyObject, paths: *mut PyObject) -> *mut PyObject {
    // SAFETY: bound by `bind_many`. The list may change from here on: its items are read one by one.
    unsafe {
        let one: &BoundLookup<LookupKeys> = bound(own);
        if (*one.cell).is_null() || py::PyList_Check(paths) == 0 {
            return one.call_python(paths);
        }
        let count = py::PyList_Size(paths);
        let found = py::PyList_New(count);
        if found.is_null() {
            return null_mut();
        }
        match fill(one, paths, count.unsigned_abs(), found) {
            Filled::Wholly => found,
            filled => {
                py::Py_DecRef(found);
                if matches!(filled, Filled::Failed) {
                    null_mut()
                } else {
                    one.call_python(paths)
                }
            }
        }
    }
}

enum Filled {
    Wholly,
    /// An argument needs the function in Python.
    NeedsPython,
    /// An exception is set.
    Failed,
}

/// Puts the keys of `paths` into the new list `found`.
unsafe fn fill(one: &BoundLookup<LookupKeys>, paths: *mut PyObject, count: usize, found: *mut PyObject) -> Filled {
    let mut batch: Vec<u8> = Vec::new();
    let mut keys: Vec<u8> = vec![0; KEYS_BUFFER_SIZE];
    for begin in (0..count).step_by(PATHS_PER_CALL) {
        let end = count.min(begin + PATHS_PER_CALL);
        batch.clear();
        for at in begin..end {
            // SAFETY: a list, under Python's lock.
            let Some(path) = (unsafe { item(paths, at) }) else {
                return Filled::NeedsPython;
            };
            // SAFETY: kept until its bytes are copied.
            match unsafe { utf8(path.0) } {
                // The library detects a NUL within a path by counting them.
                Some(path @ [_, _, ..]) => batch.extend_from_slice(path),
                _ => return Filled::NeedsPython,
            }
        }
        let mut buffer = loop {
            let mut buffer = Buffer {
                data: keys.as_mut_ptr().cast(),
                capacity: keys.len(),
                length: 0,
            };
            // SAFETY: the handle is open or NULL, which is refused; the buffers are ours.
            let status = unsafe {
                (one.function)(
                    *one.cell,
                    batch.as_ptr().cast(),
                    batch.len(),
                    end - begin,
                    &raw mut buffer,
                    null_mut(),
                )
            };
            match status {
                0 => break buffer,
                _ if buffer.length > keys.len() => keys.resize(buffer.length, 0),
                _ => return Filled::NeedsPython,
            }
        };
        buffer.length = buffer.length.min(keys.len());
        let mut rest = &keys[..buffer.length];
        for at in begin..end {
            let Ok(key) = CStr::from_bytes_until_nul(rest) else {
                return Filled::NeedsPython;
            };
            let length = key.count_bytes();
            rest = &rest[length + 1..];
            let key = if length == 0 {
                none()
            } else {
                // SAFETY: a text of this length.
                unsafe { py::PyUnicode_FromStringAndSize(key.as_ptr(), length.cast_signed()) }
            };
            // SAFETY: within the new list, which takes the reference over.
            if key.is_null() || unsafe { py::PyList_SetItem(found, at.cast_signed(), key) } != 0 {
                return Filled::Failed;
            }
        }
        // One NUL ends each key: with another count, keys would be assigned to other paths.
        if !rest.is_empty() {
            return Filled::NeedsPython;
        }
    }
    Filled::Wholly
}
