//! Calls functions of the shared object by address, for a process whose first answer is a fast lookup: loading ctypes
//! takes longer than all the rest. `_lazy_index.py` names the functions and packs their structs.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Buffer, addresses, exactly, none};

// From the C library, which every extension module is linked with.
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(object: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// As ctypes loads it: all symbols at once, and not visible to others.
#[cfg(target_vendor = "apple")]
const LOCAL_NOW: c_int = 2 | 4;
#[cfg(not(target_vendor = "apple"))]
const LOCAL_NOW: c_int = 2;

type Receive = unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize);
/// `plexindex_drain_log`.
type DrainLog = unsafe extern "C" fn(Receive, *mut c_void, *mut Buffer) -> i32;

/// How many arguments a call has at most, with the function.
const MOST: usize = 7;

/// `symbol(path, name)`: the address of a function, or None. The object stays loaded.
pub unsafe extern "C" fn symbol(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call with `bytes`, which end with a NUL. Loading the object may run its code.
    unsafe {
        let Some([path, name, ..]) = exactly::<2>(arguments, count).and_then(|given| pointers(given)) else {
            return null_mut();
        };
        let object = dlopen(path.cast(), LOCAL_NOW);
        if object.is_null() {
            return none();
        }
        let found = dlsym(object, name.cast());
        if found.is_null() {
            return none();
        }
        py::PyLong_FromVoidPtr(found)
    }
}

/// `address(buffer)`: where a `bytes` or `bytearray` keeps its data.
pub unsafe extern "C" fn address(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call.
    unsafe {
        let data = exactly::<1>(arguments, count).and_then(|given| pointers(given));
        data.map_or(null_mut(), |[data, ..]| py::PyLong_FromVoidPtr(data))
    }
}

/// `call(function, …)`: calls a function that takes only pointers and integers while other threads have Python's lock.
/// Returns the status.
pub unsafe extern "C" fn call(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    /// The type of a function with as many arguments.
    macro_rules! function {
        ($($one:ident)*) => { unsafe extern "C" fn($(function!(@ $one)),*) -> i32 };
        (@ $one:ident) => { *mut c_void };
    }
    /// Calls the function with these arguments.
    macro_rules! with {
        ($function:ident $($one:ident)*) => {
            std::mem::transmute::<*mut c_void, function!($($one)*)>($function)($($one),*)
        };
    }
    // SAFETY: Python's call with the address of such a function; the caller keeps all memory alive until this returns.
    unsafe {
        let given = std::slice::from_raw_parts(arguments, count.unsigned_abs());
        let Some([function, one, two, three, four, five, six]) = pointers(given) else {
            return null_mut();
        };
        let thread = py::PyEval_SaveThread();
        let status = match count {
            ..=1 => with!(function),
            2 | 3 => with!(function one two),
            4 => with!(function one two three),
            5 => with!(function one two three four),
            _ => with!(function one two three four five six),
        };
        py::PyEval_RestoreThread(thread);
        py::PyLong_FromLong(status.into())
    }
}

/// Returns what each argument is in C: an integer as it is, the data of a `bytes` or `bytearray`, NULL for None and for
/// those that are not there. Sets an exception for anything else, for too many, and if the first one is NULL.
unsafe fn pointers(given: &[*mut PyObject]) -> Option<[*mut c_void; MOST]> {
    let mut found = [null_mut(); MOST];
    // SAFETY: the caller's references, under Python's lock.
    unsafe {
        for (at, object) in given.iter().enumerate().take(MOST) {
            found[at] = if py::PyBytes_Check(*object) != 0 {
                py::PyBytes_AsString(*object).cast()
            } else if py::PyByteArray_Check(*object) != 0 {
                py::PyByteArray_AsString(*object).cast()
            } else if *object == py::Py_None() {
                null_mut()
            } else {
                super::address(*object)
            };
        }
        if !py::PyErr_Occurred().is_null() {
            return None;
        }
        if found[0].is_null() || given.len() > MOST {
            py::PyErr_SetString(
                py::PyExc_ValueError,
                c"give an address and 6 arguments at most".as_ptr(),
            );
            return None;
        }
    }
    Some(found)
}

/// `lines(drain_log)`: the waiting log lines, as pairs of a level and bytes. Runs no Python code meanwhile.
pub unsafe extern "C" fn lines(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    unsafe extern "C" fn receive(lines: *mut c_void, level: i32, text: *const c_char, length: usize) {
        // SAFETY: the list of `lines`, and bytes that are there during this call; a tuple takes over what it is given.
        unsafe {
            let (text, line) = (
                py::PyBytes_FromStringAndSize(text, length.cast_signed()),
                py::PyTuple_New(2),
            );
            if !text.is_null() && !line.is_null() {
                py::PyTuple_SetItem(line, 0, py::PyLong_FromLong(level.into()));
                py::PyTuple_SetItem(line, 1, text);
                py::PyList_Append(lines.cast(), line);
            } else {
                py::Py_XDECREF(text);
            }
            py::Py_XDECREF(line);
        }
    }
    // SAFETY: Python's call with the address of plexindex_drain_log.
    unsafe {
        let Some([function]) = exactly(arguments, count).and_then(|given: &[_; 1]| addresses(*given)) else {
            return null_mut();
        };
        let lines = py::PyList_New(0);
        if !lines.is_null() {
            std::mem::transmute::<*mut c_void, DrainLog>(function)(receive, lines.cast(), null_mut());
        }
        if !py::PyErr_Occurred().is_null() {
            py::Py_XDECREF(lines);
            return null_mut();
        }
        lines
    }
}
