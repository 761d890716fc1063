//! Records matches. The write may wait, so Python's lock is released, and the call counts as one in flight.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_ulong, c_void};
use std::ptr::null_mut;

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{
    Buffer, Method, OwnedRef, addresses, bind, bound, call_fallback, exactly, item, new_bytes, none, text, unlocked,
};

/// `plexindex_record_match`.
type Record = unsafe extern "C" fn(*const c_void, *const c_char, usize, *const c_char, usize, i64, *mut Buffer) -> i32;
/// `plexindex_record_matches`.
type RecordMany = unsafe extern "C" fn(
    *const c_void,
    *const c_char,
    usize,
    *const c_char,
    usize,
    usize,
    u32,
    i64,
    *mut Buffer,
) -> i32;
/// As the options say. The fallback serves calls that name a deadline.
const DEFAULT_DEADLINE_MS: i64 = 0;
type Receive = unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize);
/// `plexindex_drain_log`.
type DrainLog = unsafe extern "C" fn(Receive, *mut c_void, *mut Buffer) -> i32;

// From Python's stable ABI. Windows wants to know which library has it.
#[cfg_attr(windows, link(name = "python3", kind = "raw-dylib"))]
unsafe extern "C" {
    fn PyThread_get_thread_ident() -> c_ulong;
}

/// The state bound to `record_match` and `record_matches`.
struct Recorder<F> {
    function: F,
    drain_log: DrainLog,
    /// Addresses of the handles of index and library, which are NULL once the index is closed.
    index_cell: *const *const c_void,
    library_cell: *const *const c_void,
    /// The calls in flight on this index, and on all; a close and the end of the interpreter wait for them.
    calls: OwnedRef,
    inside: OwnedRef,
    /// The class whose `number` counts forks.
    forks: OwnedRef,
    /// Returns whether the interpreter is about to end.
    ending: OwnedRef,
    /// The object for the call in flight, and whether it is used: a second concurrent call falls back to Python.
    flight: OwnedRef,
    is_away: Cell<bool>,
    /// The thread named in `flight`, as a Python number.
    thread: Cell<(c_ulong, *mut PyObject)>,
    /// Called as `ended(status, text, lines)` for an error, log lines, or a waiting close.
    ended: OwnedRef,
    fallback: OwnedRef,
}

impl<F> Drop for Recorder<F> {
    fn drop(&mut self) {
        // SAFETY: only Python drops these, under its lock.
        unsafe { py::Py_XDECREF(self.thread.get().1) };
    }
}

static ONE: Method = Method(py::PyMethodDef {
    ml_name: c"record_match".as_ptr(),
    ml_meth: py::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: record_match,
    },
    ml_flags: py::METH_FASTCALL | py::METH_KEYWORDS,
    ml_doc: c"record_match(path, key, *, deadline=None)\n--\n\nConfirms that the item with this key has this path."
        .as_ptr(),
});

static MANY: Method = Method(py::PyMethodDef {
    ml_name: c"record_matches".as_ptr(),
    ml_meth: py::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: record_matches,
    },
    ml_flags: py::METH_FASTCALL | py::METH_KEYWORDS,
    ml_doc: c"record_matches(pairs, *, deadline=None)\n--\n\nConfirms many pairs of path and key at once.".as_ptr(),
});

pub unsafe extern "C" fn bind_one(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_record_match.
    unsafe { parts::<Record>(arguments, count).map_or(null_mut(), |one| bind(one, &ONE)) }
}

pub unsafe extern "C" fn bind_many(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_record_matches.
    unsafe { parts::<RecordMany>(arguments, count).map_or(null_mut(), |one| bind(one, &MANY)) }
}

/// Creates the state to bind: see `METHODS`.
///
/// # Safety
/// `F` is the type of the function whose address is given first; `arguments` has `count` references.
unsafe fn parts<F: Copy>(arguments: *mut *mut PyObject, count: Py_ssize_t) -> Option<Recorder<F>> {
    // SAFETY: the caller's promise; an address and a function have the same size.
    unsafe {
        let [
            function,
            drain,
            index,
            library,
            calls,
            inside,
            forks,
            ending,
            flight,
            ended,
            fallback,
        ] = *exactly(arguments, count)?;
        let [function, drain, index, library] = addresses([function, drain, index, library])?;
        if py::PyDict_Check(calls) == 0 || py::PyDict_Check(inside) == 0 || py::PyDict_Check(ending) == 0 {
            py::PyErr_SetString(py::PyExc_ValueError, c"a dict is needed".as_ptr());
            return None;
        }
        Some(Recorder {
            function: std::mem::transmute_copy::<*mut c_void, F>(&function),
            drain_log: std::mem::transmute::<*mut c_void, DrainLog>(drain),
            index_cell: index.cast(),
            library_cell: library.cast(),
            calls: OwnedRef::new(calls),
            inside: OwnedRef::new(inside),
            forks: OwnedRef::new(forks),
            ending: OwnedRef::new(ending),
            flight: OwnedRef::new(flight),
            is_away: Cell::new(false),
            thread: Cell::new((0, null_mut())),
            ended: OwnedRef::new(ended),
            fallback: OwnedRef::new(fallback),
        })
    }
}

unsafe extern "C" fn record_match(
    own: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: bound by `bind_one`; the arguments are the caller's until this returns, and so are their texts.
    unsafe {
        let recorder: &Recorder<Record> = bound(own);
        if count == 2
            && (names.is_null() || py::PyTuple_Size(names) == 0)
            && let Some(path) = text(*arguments)
            && let Some(key) = text(*arguments.add(1))
            && let Some(given) = written(recorder, |record, library, error| {
                let (path, key) = (path.to_bytes(), key.to_bytes());
                record(
                    library,
                    path.as_ptr().cast(),
                    path.len(),
                    key.as_ptr().cast(),
                    key.len(),
                    DEFAULT_DEADLINE_MS,
                    error,
                )
            })
        {
            return given;
        }
        call_fallback(&recorder.fallback, arguments, count, names)
    }
}

unsafe extern "C" fn record_matches(
    own: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: bound by `bind_many`; the arguments are the caller's until this returns. The texts are copies.
    unsafe {
        let recorder: &Recorder<RecordMany> = bound(own);
        if count == 1
            && (names.is_null() || py::PyTuple_Size(names) == 0)
            && let Some((paths, keys, pairs)) = joined(*arguments)
            && let Some(given) = written(recorder, |record, library, error| {
                record(
                    library,
                    paths.as_ptr().cast(),
                    paths.len(),
                    keys.as_ptr().cast(),
                    keys.len(),
                    pairs,
                    0,
                    DEFAULT_DEADLINE_MS,
                    error,
                )
            })
        {
            return given;
        }
        call_fallback(&recorder.fallback, arguments, count, names)
    }
}

/// Joins the paths and the keys of a list of pairs, each followed by a NUL, and counts them; `None` for the fallback to
/// Python.
unsafe fn joined(pairs: *mut PyObject) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    // SAFETY: the list is alive. Each pair is kept until its texts are copied, and they are its own: a tuple does not change.
    unsafe {
        if py::PyList_CheckExact(pairs) == 0 {
            return None;
        }
        let count = py::PyList_Size(pairs).unsigned_abs();
        let (mut paths, mut keys): (Vec<u8>, Vec<u8>) = Default::default();
        for at in 0..count {
            let pair = item(pairs, at)?;
            if py::PyTuple_CheckExact(pair.0) == 0 || py::PyTuple_Size(pair.0) != 2 {
                return None;
            }
            let path: &CStr = text(py::PyTuple_GetItem(pair.0, 0))?;
            let key: &CStr = text(py::PyTuple_GetItem(pair.0, 1))?;
            paths.extend_from_slice(path.to_bytes_with_nul());
            keys.extend_from_slice(key.to_bytes_with_nul());
        }
        Some((paths, keys, count))
    }
}

/// Calls `write` with the library's handle and a buffer for an error's text, without Python's lock. `None` for the
/// fallback to Python.
///
/// # Safety
/// Under Python's lock; the data that `write` reads must not change.
unsafe fn written<F: Copy>(
    recorder: &Recorder<F>,
    write: impl FnOnce(F, *const c_void, *mut Buffer) -> i32,
) -> Option<*mut PyObject> {
    // SAFETY: the caller's promise.
    unsafe {
        let library = begin_call(recorder)?;
        let (status, error) = unlocked(|error| write(recorder.function, library, error));
        Some(end_call(recorder, status, &error))
    }
}

/// Registers a call, and returns the library's handle, which stays open until [`end_call`]; `None` for the fallback to
/// Python.
unsafe fn begin_call<F>(recorder: &Recorder<F>) -> Option<*const c_void> {
    if recorder.is_away.replace(true) {
        return None;
    }
    // SAFETY: under Python's lock. A close empties the cells and then waits for those in `calls`, so the cells are read behind
    // the entry, and nothing runs in between.
    unsafe {
        let ends = py::PyDict_GetItemString(recorder.ending.0, c"_thread".as_ptr());
        let me = PyThread_get_thread_ident();
        if ends == py::Py_None() && name_thread(recorder, me) {
            let born = py::PyObject_GetAttrString(recorder.forks.0, c"number".as_ptr());
            let is_registered = !born.is_null()
                && py::PyDict_SetItem(recorder.calls.0, recorder.flight.0, born) == 0
                && py::PyDict_SetItem(recorder.inside.0, recorder.flight.0, recorder.thread.get().1) == 0;
            let library = *recorder.library_cell;
            let is_open = !(*recorder.index_cell).is_null() && !library.is_null();
            py::Py_XDECREF(born);
            if is_registered && is_open {
                return Some(library);
            }
            strike_off(recorder);
        }
        py::PyErr_Clear();
        recorder.is_away.set(false);
        None
    }
}

/// Sets the thread of `flight` to this one.
unsafe fn name_thread<F>(recorder: &Recorder<F>, me: c_ulong) -> bool {
    // SAFETY: under Python's lock; the number is kept as long as it is named.
    unsafe {
        let (named, old) = recorder.thread.get();
        if named == me && !old.is_null() {
            return true;
        }
        let number = py::PyLong_FromUnsignedLong(me);
        if number.is_null() || py::PyObject_SetAttrString(recorder.flight.0, c"thread".as_ptr(), number) != 0 {
            py::Py_XDECREF(number);
            return false;
        }
        recorder.thread.set((me, number));
        py::Py_XDECREF(old);
        true
    }
}

unsafe fn strike_off<F>(recorder: &Recorder<F>) {
    // SAFETY: under Python's lock. In a child that was forked meanwhile the entries may be gone.
    unsafe {
        for entries in [&recorder.inside, &recorder.calls] {
            if py::PyDict_DelItem(entries.0, recorder.flight.0) != 0 {
                py::PyErr_Clear();
            }
        }
    }
}

/// Ends a call: returns None, or the result or exception of `ended`.
unsafe fn end_call<F>(recorder: &Recorder<F>, status: i32, error: &[u8]) -> *mut PyObject {
    // SAFETY: under Python's lock again; `ended` is called with new references that are let go of.
    unsafe {
        strike_off(recorder);
        recorder.is_away.set(false);
        let mut lines: *mut PyObject = null_mut();
        (recorder.drain_log)(receive, (&raw mut lines).cast(), null_mut());
        if status == 0 && lines.is_null() && !(*recorder.index_cell).is_null() {
            return none();
        }
        py::PyErr_Clear(); // a line that there is no memory for
        if lines.is_null() {
            lines = none();
        }
        let said = new_bytes(error);
        let status = py::PyLong_FromLong(status.into());
        let given = if said.is_null() || status.is_null() {
            null_mut()
        } else {
            py::PyObject_CallFunctionObjArgs(recorder.ended.0, status, said, lines, null_mut::<PyObject>())
        };
        for object in [lines, said, status] {
            py::Py_XDECREF(object);
        }
        given
    }
}

/// Adds a log line to the list behind `lines`, which is created for the first line.
unsafe extern "C" fn receive(lines: *mut c_void, level: i32, text: *const c_char, length: usize) {
    // SAFETY: where `end_call` keeps its list, and bytes that are there during this call.
    unsafe {
        let lines = lines.cast::<*mut PyObject>();
        if (*lines).is_null() {
            *lines = py::PyList_New(0);
        }
        super::add_line(*lines, level, text, length);
    }
}
