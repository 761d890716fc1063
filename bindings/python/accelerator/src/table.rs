//! Values of a host's tables, for the drop-in's cache of matches.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::lower::{ROOM, lower};
use super::{Method, OwnedRef, address, addresses, bind, bound, call_fallback, exactly, new_str, none, text};

/// The C ABI's `plexindex_table_lookup`.
type Find = unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char) -> i32;

// Statuses of the C ABI.
const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const NOT_YET: i32 = 3;

/// The state bound to `get_match`.
struct Tables {
    function: Find,
    /// Maps libraries' names to pairs: the address of a handle, and the owner of that address.
    cells: OwnedRef,
    /// The library of the last call: hosts use the same object again and again.
    last: RefCell<Option<LastLibrary>>,
    /// Counters of hits and misses.
    counts: *mut [u64; 2],
    /// Called with the same arguments if the fast lookup cannot answer.
    fallback: OwnedRef,
    /// Name of the method that lowers a path.
    lower: OwnedRef,
}

/// A library's name, and the address of its handle.
struct LastLibrary {
    name: OwnedRef,
    /// Address of the handle. `_pair` keeps it valid, even if the dict has another by now; the handle is NULL then.
    cell: *const *const c_void,
    _pair: OwnedRef,
}

static GET: Method = Method::named(
    c"get_match",
    get_match,
    c"get_match(library_name, file_path)\n--\n\nThe key recorded for a path, or None.",
);

/// `get_match(function, cells, counts, fallback)`: a fast lookup in a host's tables. `function`: the address of
/// `plexindex_table_lookup`; `cells`: a dict from names to pairs, the address of a variable with a handle and its owner;
/// `counts`: the address of the counters of hits and misses; `fallback(name, path)`: called for all other arguments.
pub unsafe extern "C" fn bind_get(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_table_lookup.
    unsafe {
        let Some([function, cells, counts, fallback]) = exactly(arguments, count) else {
            return null_mut();
        };
        let Some([function, counts]) = addresses([*function, *counts]) else {
            return null_mut();
        };
        if py::PyDict_Check(*cells) == 0 {
            py::PyErr_SetString(py::PyExc_ValueError, c"a dict is needed".as_ptr());
            return null_mut();
        }
        let lower = py::PyUnicode_InternFromString(c"lower".as_ptr());
        if lower.is_null() {
            return null_mut();
        }
        let tables = Tables {
            function: std::mem::transmute::<*mut c_void, Find>(function),
            cells: OwnedRef::new(*cells),
            last: RefCell::new(None),
            counts: counts.cast(),
            fallback: OwnedRef::new(*fallback),
            lower: OwnedRef(lower),
        };
        bind(tables, &GET)
    }
}

unsafe extern "C" fn get_match(
    own: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: bound by `bind_get`; the arguments are the caller's until this returns.
    unsafe {
        let tables: &Tables = bound(own);
        if count == 2 && (names.is_null() || py::PyTuple_Size(names) == 0) {
            let mut key = null();
            match find(tables, *arguments, *arguments.add(1), &mut key) {
                OK => {
                    (*tables.counts)[0] += 1;
                    return new_str(key);
                }
                // A `str` of another class may lower itself otherwise.
                NOT_FOUND if py::PyUnicode_CheckExact(*arguments.add(1)) != 0 => {
                    (*tables.counts)[1] += 1;
                    return none();
                }
                _ => {}
            }
        }
        call_fallback(&tables.fallback, arguments, count, names)
    }
}

/// Finds the key of a path. Returns its status; `NOT_YET` for the fallback to Python.
unsafe fn find(tables: &Tables, library: *mut PyObject, path: *mut PyObject, key: &mut *const c_char) -> i32 {
    // SAFETY: both objects are alive, and so is the table until this returns.
    unsafe {
        let handle = handle_of(tables, library);
        if handle.is_null() {
            return NOT_YET;
        }
        match text(path) {
            Some(name) if name.to_bytes().is_ascii() => (tables.function)(handle, name.as_ptr(), key),
            Some(name) => find_lowered(tables, handle, path, name, key),
            None => NOT_YET,
        }
    }
}

/// Finds the key of a path that is not ASCII; `name` is its text.
#[inline(never)]
unsafe fn find_lowered(
    tables: &Tables,
    handle: *const c_void,
    path: *mut PyObject,
    name: &CStr,
    key: &mut *const c_char,
) -> i32 {
    // SAFETY: as in `find`; what Python makes is alive until it is let go of, and the key does not lie in it.
    unsafe {
        // A `str` of another class may lower itself otherwise.
        if py::PyUnicode_CheckExact(path) == 0 {
            return NOT_YET;
        }
        let mut lowered = [0; ROOM];
        // Python's own UTF-8.
        if lower(std::str::from_utf8_unchecked(name.to_bytes()), &mut lowered).is_some() {
            return (tables.function)(handle, lowered.as_ptr().cast(), key);
        }
        let lowered = py::PyObject_CallMethodObjArgs(path, tables.lower.0, null_mut::<PyObject>());
        if lowered.is_null() {
            py::PyErr_Clear();
            return NOT_YET;
        }
        let status = text(lowered).map_or(NOT_YET, |name| (tables.function)(handle, name.as_ptr(), key));
        py::Py_DecRef(lowered);
        status
    }
}

/// Returns the handle of a library's table; NULL if it is unknown or the index was closed.
#[inline]
unsafe fn handle_of(tables: &Tables, library: *mut PyObject) -> *const c_void {
    let handle = cached_handle(tables, library);
    if !handle.is_null() {
        return handle;
    }
    // SAFETY: the caller's promise. A handle is read only behind what this may run.
    unsafe { look_up(tables, library) };
    cached_handle(tables, library)
}

/// Returns the handle if this library was that of the last call.
#[inline]
fn cached_handle(tables: &Tables, library: *mut PyObject) -> *const c_void {
    match &*tables.last.borrow() {
        // SAFETY: the pair is kept.
        Some(known) if known.name.0 == library => unsafe { *known.cell },
        _ => null(),
    }
}

/// Finds the library in the dict, and stores it as the last one. Releasing the previous one may run any code.
#[inline(never)]
unsafe fn look_up(tables: &Tables, library: *mut PyObject) {
    // SAFETY: the object is alive, and so is what the dict leads to.
    unsafe {
        // Only `str` itself has no code of its own for hashes and comparisons.
        if py::PyUnicode_CheckExact(library) == 0 {
            return;
        }
        let pair = py::PyDict_GetItemWithError(tables.cells.0, library);
        let cell = if pair.is_null() {
            null_mut()
        } else {
            py::PyTuple_GetItem(pair, 0)
        };
        let cell = if cell.is_null() { null_mut() } else { address(cell) };
        if cell.is_null() {
            py::PyErr_Clear();
            return;
        }
        let known = LastLibrary {
            name: OwnedRef::new(library),
            cell: cell.cast::<*const c_void>().cast_const(),
            _pair: OwnedRef::new(pair),
        };
        // Released when nothing is borrowed any more.
        let before = tables.last.replace(Some(known));
        drop(before);
    }
}
