//! Calls functions of the shared object by address, for a process whose first answer is a fast lookup: loading ctypes
//! takes longer than all the rest. `_core/lazy_index.py` names the functions and packs their structs.

use std::ffi::{c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::PyObject;

use super::{Arguments, Buffer, OwnedRef, failure, function, pointer_or_null, str_or_none};

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
pub unsafe fn symbol(arguments: Arguments) -> *mut PyObject {
    // SAFETY: Python's call with `bytes`, which end with a NUL. Loading the object may run its code.
    unsafe {
        let Some([path, name, ..]) = pointers(arguments) else {
            return failure();
        };
        let object = dlopen(path.cast(), LOCAL_NOW);
        let found = object
            .as_ref()
            .map(|_| dlsym(object, name.cast()))
            .filter(|found| !found.is_null());
        found.map_or_else(|| str_or_none(null()), |found| py::PyLong_FromVoidPtr(found))
    }
}

/// `address(buffer)`: where a `bytes` or `bytearray` keeps its data.
pub unsafe fn address(arguments: Arguments) -> *mut PyObject {
    // SAFETY: Python's call.
    unsafe { pointers(arguments).map_or_else(failure, |[data, ..]| py::PyLong_FromVoidPtr(data)) }
}

/// `call(function, …)`: calls a function that takes only pointers and integers while other threads have Python's lock.
/// Returns the status.
pub unsafe fn call(arguments: Arguments) -> *mut PyObject {
    type Any = *mut c_void;
    // SAFETY: Python's call with the address of such a function; the caller keeps all memory alive until this returns.
    unsafe {
        let Some([function, one, two, three, four, five, six]) = pointers(arguments) else {
            return failure();
        };
        let thread = py::PyEval_SaveThread();
        let status = match arguments.count {
            ..=1 => transmute::<Any, unsafe extern "C" fn() -> i32>(function)(),
            2 | 3 => transmute::<Any, unsafe extern "C" fn(Any, Any) -> i32>(function)(one, two),
            4 => transmute::<Any, unsafe extern "C" fn(Any, Any, Any) -> i32>(function)(one, two, three),
            5 => transmute::<Any, unsafe extern "C" fn(Any, Any, Any, Any) -> i32>(function)(one, two, three, four),
            _ => {
                let function = transmute::<Any, unsafe extern "C" fn(Any, Any, Any, Any, Any, Any) -> i32>(function);
                function(one, two, three, four, five, six)
            }
        };
        py::PyEval_RestoreThread(thread);
        py::PyLong_FromLong(status.into())
    }
}

/// Returns what each argument is in C; NULL for those that are missing. `None` if one is wrong, or the first one NULL.
unsafe fn pointers(arguments: Arguments) -> Option<[*mut c_void; MOST]> {
    let mut found = [null_mut(); MOST];
    // SAFETY: so many references are there.
    let given = unsafe { std::slice::from_raw_parts(arguments.given, arguments.count.unsigned_abs()) };
    for (place, object) in given.iter().enumerate() {
        // SAFETY: Python's call has not returned.
        *found.get_mut(place)? = unsafe { pointer_or_null(*object) }?;
    }
    (!found[0].is_null()).then_some(found)
}

/// `lines(drain_log)`: the waiting log lines, in turns a level and bytes. Runs no Python code meanwhile.
pub unsafe fn lines(arguments: Arguments) -> *mut PyObject {
    unsafe extern "C" fn receive(lines: *mut c_void, level: i32, text: *const c_char, length: usize) {
        // SAFETY: the list of `lines`, and bytes that are there during this call.
        unsafe {
            let text = py::PyBytes_FromStringAndSize(text, length.cast_signed());
            for value in [py::PyLong_FromLong(level.into()), text] {
                if !value.is_null() {
                    py::PyList_Append(lines.cast(), value);
                    py::Py_DecRef(value);
                }
            }
        }
    }
    // SAFETY: Python's call with the address of plexindex_drain_log.
    unsafe {
        let Some(drain_log) = arguments.only().and_then(|[address]| function::<DrainLog>(address)) else {
            return failure();
        };
        let lines = OwnedRef(py::PyList_New(0));
        if !lines.0.is_null() {
            drain_log(receive, lines.0.cast(), null_mut());
        }
        if py::PyErr_Occurred().is_null() {
            lines.release()
        } else {
            null_mut()
        }
    }
}
