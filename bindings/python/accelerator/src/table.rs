//! Values of a host's tables, for the drop-in's cache of matches.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Kept, Lookup, Method, address, addresses, bind, bound, exactly, given, slow, text};

/// What `get_match` is bound to.
struct Tables {
    function: Lookup,
    /// From the libraries' names to the addresses of where handles lie.
    cells: Kept,
    /// Where hits are counted.
    hits: *mut u64,
    slow: Kept,
    /// The name of the method that lowers a path.
    lower: Kept,
}

static GET: Method = Method(py::PyMethodDef {
    ml_name: c"get_match".as_ptr(),
    ml_meth: py::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: get_match,
    },
    ml_flags: py::METH_FASTCALL | py::METH_KEYWORDS,
    ml_doc: c"get_match(library_name, file_path)\n--\n\nThe key recorded for a path, or None.".as_ptr(),
});

pub unsafe extern "C" fn bind_get(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_table_lookup.
    unsafe {
        let Some([function, cells, hits, slow]) = exactly(arguments, count) else {
            return null_mut();
        };
        let Some([function, hits]) = addresses([*function, *hits]) else {
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
            function: std::mem::transmute::<*mut c_void, Lookup>(function),
            cells: Kept::new(*cells),
            hits: hits.cast(),
            slow: Kept::new(*slow),
            lower: Kept(lower),
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
            let key = found(tables, *arguments, *arguments.add(1));
            if !key.is_null() {
                *tables.hits += 1;
                return given(key);
            }
        }
        slow(&tables.slow, arguments, count, names)
    }
}

/// The value of a path; NULL where it is not found, or Python has to look.
unsafe fn found(tables: &Tables, library: *mut PyObject, path: *mut PyObject) -> *const c_char {
    // SAFETY: both objects are alive, and so is what the dict leads to.
    unsafe {
        // Only `str` itself has no code of its own for hashes, comparisons and lower case.
        if py::PyUnicode_CheckExact(library) == 0 {
            return null();
        }
        let Some(name) = text(path) else {
            return null();
        };
        if !name.to_bytes().is_ascii() {
            return found_lowered(tables, library, path);
        }
        value(tables, library, name)
    }
}

/// The same for a path that is not ASCII: its letters Python lowers.
#[inline(never)]
unsafe fn found_lowered(tables: &Tables, library: *mut PyObject, path: *mut PyObject) -> *const c_char {
    // SAFETY: as in `found`; what Python makes is alive until it is let go of, and the value does not lie in it.
    unsafe {
        if py::PyUnicode_CheckExact(path) == 0 {
            return null();
        }
        let lowered = py::PyObject_CallMethodObjArgs(path, tables.lower.0, null_mut::<PyObject>());
        if lowered.is_null() {
            py::PyErr_Clear();
            return null();
        }
        let found = match text(lowered) {
            Some(name) => value(tables, library, name),
            None => null(),
        };
        py::Py_DecRef(lowered);
        found
    }
}

/// The value of a name that is lowered but for ASCII.
#[inline]
unsafe fn value(tables: &Tables, library: *mut PyObject, name: &CStr) -> *const c_char {
    // SAFETY: as in `found`.
    unsafe {
        let cell = py::PyDict_GetItemWithError(tables.cells.0, library);
        if cell.is_null() {
            py::PyErr_Clear();
            return null();
        }
        let cell = address(cell).cast::<*const c_void>();
        if cell.is_null() {
            py::PyErr_Clear();
            return null();
        }
        match *cell {
            handle if handle.is_null() => null(),
            handle => (tables.function)(handle, name.as_ptr()),
        }
    }
}
