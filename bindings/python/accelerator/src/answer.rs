//! Full answers that need no wait.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Buffer, Method, OwnedRef, addresses, bind, bound, call_fallback, exactly, none, text};

/// `plexindex_match_path`.
type MatchPath = unsafe extern "C" fn(*const c_void, *const Query, *mut Buffer, *mut Buffer) -> i32;

/// `plexindex_query`.
#[repr(C)]
struct Query {
    size: usize,
    library: *const c_void,
    text: *const c_char,
    length: usize,
    deadline_ms: i64,
    flags: u32,
    reserved: u32,
    progress: *const c_void,
    progress_user: *mut c_void,
}

/// `PLEXINDEX_QUERY_AT_ONCE`: the call does not wait, so Python's lock is kept and the index cannot be closed
/// meanwhile.
const AT_ONCE: u32 = 4;
/// Statuses from this one on are errors.
const FIRST_ERROR: i32 = 100;
/// `PLEXINDEX_NOT_YET`: the answer needs a wait.
const NOT_YET: i32 = 3;
/// Size of the buffer for an answer's block, in words of eight bytes; enough for usual answers.
const BLOCK_WORDS: usize = 2048;
/// Offset of the number of waiting log lines in a block.
const LOG_LINES: usize = 20;

/// The state bound to `match`.
struct Answers {
    function: MatchPath,
    /// Addresses of the handles of index and library; these are NULL once the index is closed. The objects below keep
    /// the addresses valid.
    index_cell: *const *const c_void,
    library_cell: *const *const c_void,
    /// Receives the answer's block. Used under Python's lock, while no Python code runs.
    block_buffer: UnsafeCell<Vec<u64>>,
    /// Called as `make(block, None, index, path)` to create the answer.
    make: OwnedRef,
    index_object: OwnedRef,
    /// Called when log lines are waiting.
    drain_log: OwnedRef,
    /// Called with the same arguments if the answer would need a wait.
    fallback: OwnedRef,
}

static MATCH: Method = Method::named(c"match", match_path, c"match(path, *, deadline=None, offline=False, progress=None)\n--\n\nFind the item of a file in this library: see Index.match_path().");

/// `bind_match(function, index, library, make, index_object, drain_log, fallback)`: see [`Answers`].
pub unsafe extern "C" fn bind_match(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call, with the address of plexindex_match_path.
    unsafe {
        let Some([function, index, library, make, index_object, drain_log, fallback]) = exactly(arguments, count)
        else {
            return null_mut();
        };
        let Some([function, index_cell, library_cell]) = addresses([*function, *index, *library]) else {
            return null_mut();
        };
        let answers = Answers {
            function: std::mem::transmute::<*mut c_void, MatchPath>(function),
            index_cell: index_cell.cast(),
            library_cell: library_cell.cast(),
            block_buffer: UnsafeCell::new(vec![0; BLOCK_WORDS]),
            make: OwnedRef::new(*make),
            index_object: OwnedRef::new(*index_object),
            drain_log: OwnedRef::new(*drain_log),
            fallback: OwnedRef::new(*fallback),
        };
        bind(answers, &MATCH)
    }
}

unsafe extern "C" fn match_path(
    own: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: bound by `bind_match`; the arguments are the caller's until this returns.
    unsafe {
        let answers: &Answers = bound(own);
        if count != 1 || !(names.is_null() || py::PyTuple_Size(names) == 0) {
            return call_fallback(&answers.fallback, arguments, count, names);
        }
        let Some((block, log_lines)) = at_once(answers, *arguments) else {
            return call_fallback(&answers.fallback, arguments, count, names);
        };
        if block.is_null() {
            return null_mut();
        }
        if log_lines > 0 {
            let drain_log = py::PyObject_CallFunctionObjArgs(answers.drain_log.0, null_mut::<PyObject>());
            if drain_log.is_null() {
                py::Py_DecRef(block);
                return null_mut();
            }
            py::Py_DecRef(drain_log);
        }
        let nowhere = none();
        let made = py::PyObject_CallFunctionObjArgs(
            answers.make.0,
            block,
            nowhere,
            answers.index_object.0,
            *arguments,
            null_mut::<PyObject>(),
        );
        py::Py_DecRef(nowhere);
        py::Py_DecRef(block);
        made
    }
}

/// Returns the block of the answer (NULL: an exception is set) and the number of waiting log lines; `None` for the
/// fallback to Python.
unsafe fn at_once(answers: &Answers, path: *mut PyObject) -> Option<(*mut PyObject, u32)> {
    // SAFETY: the path is alive; the handles are open under Python's lock unless they are NULL; nothing else uses the buffer.
    unsafe {
        let path = text(path)?;
        let (index, library) = (*answers.index_cell, *answers.library_cell);
        if index.is_null() || library.is_null() {
            return None;
        }
        let block_buffer = &mut *answers.block_buffer.get();
        let query = Query {
            size: size_of::<Query>(),
            library,
            text: path.as_ptr(),
            length: path.count_bytes(),
            deadline_ms: 0,
            flags: AT_ONCE,
            reserved: 0,
            progress: null(),
            progress_user: null_mut(),
        };
        let mut buffer = Buffer {
            data: block_buffer.as_mut_ptr().cast(),
            capacity: block_buffer.len() * size_of::<u64>(),
            length: 0,
        };
        let status = (answers.function)(index, &raw const query, &raw mut buffer, null_mut());
        if status == NOT_YET
            || !(0..FIRST_ERROR).contains(&status)
            || !(LOG_LINES + 4..=buffer.capacity).contains(&buffer.length)
        {
            return None;
        }
        let log_lines = buffer.data.add(LOG_LINES).cast::<u32>().read_unaligned();
        let block = py::PyBytes_FromStringAndSize(buffer.data, buffer.length.cast_signed());
        Some((block, log_lines))
    }
}
