//! Full answers that need no wait.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::PyObject;

use super::{Arguments, Bound, Buffer, Cell, OwnedRef, call_bound, definition, function, text};

/// `plexindex_match_path`.
type MatchPath = unsafe extern "C" fn(*const c_void, *const Query, *mut Buffer, *mut Buffer) -> i32;

/// `plexindex_query`.
#[repr(C)]
struct Query {
    size: usize,
    library: *const c_void,
    text: *const c_char,
    length: usize,
    timeout_ms: i64,
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

/// `match_path(function, index, library, make, index_object, drain_log)`: full answers of one library.
pub struct Answers {
    function: MatchPath,
    index: Cell,
    library: Cell,
    /// Receives the answer's block. Used under Python's lock, while no Python code runs.
    block_buffer: UnsafeCell<Vec<u64>>,
    /// Called as `make(block, None, index_object, path)` to create the answer.
    make: OwnedRef,
    index_object: OwnedRef,
    /// Called when log lines are waiting.
    drain_log: OwnedRef,
}

impl Answers {
    /// Returns the block of the answer (NULL: an exception is set) and the number of waiting log lines; `None` if only
    /// the function in Python can answer.
    unsafe fn match_at_once(&self, path: *mut PyObject) -> Option<(OwnedRef, u32)> {
        // SAFETY: the path is alive; under Python's lock the handles are open or NULL, and nothing else uses the buffer.
        unsafe {
            let path = text(path)?;
            let (index, library) = (self.index.handle()?, self.library.handle()?);
            let block_buffer = &mut *self.block_buffer.get();
            let query = Query {
                size: size_of::<Query>(),
                library,
                text: path.as_ptr(),
                length: path.count_bytes(),
                timeout_ms: 0,
                flags: AT_ONCE,
                reserved: 0,
                progress: null(),
                progress_user: null_mut(),
            };
            let capacity = block_buffer.len() * size_of::<u64>();
            let mut buffer = Buffer::over(block_buffer.as_mut_ptr().cast(), capacity);
            let status = (self.function)(index, &raw const query, &raw mut buffer, null_mut());
            let is_whole = (LOG_LINES + 4..=capacity).contains(&buffer.length);
            if status == NOT_YET || !(0..FIRST_ERROR).contains(&status) || !is_whole {
                return None;
            }
            let log_lines = buffer.data.add(LOG_LINES).cast::<u32>().read_unaligned();
            let block = py::PyBytes_FromStringAndSize(buffer.data, buffer.length.cast_signed());
            Some((OwnedRef(block), log_lines))
        }
    }
}

impl Bound for Answers {
    const DEFINITION: &'static py::PyMethodDef = &definition(c"match", c"match(path, *, deadline=None, offline=False, check=False, progress=None)\n--\n\nReturns the item of a file in this library: see Index.match().", call_bound::<Self>);

    unsafe fn new(arguments: Arguments) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let [address, index, library, objects @ ..] = arguments.only::<6>()?;
            let (function, index, library) = (function(address)?, Cell::new(index)?, Cell::new(library)?);
            let [make, index_object, drain_log] = objects.map(|object| OwnedRef::new(object));
            let block_buffer = UnsafeCell::new(vec![0; BLOCK_WORDS]);
            Some(Self {
                function,
                index,
                library,
                block_buffer,
                make,
                index_object,
                drain_log,
            })
        }
    }

    unsafe fn call(&self, arguments: Arguments) -> Option<*mut PyObject> {
        // SAFETY: Python's call.
        unsafe {
            let [path] = arguments.only()?;
            let (block, log_lines) = self.match_at_once(path)?;
            block.0.as_ref()?;
            let end = null_mut::<PyObject>();
            if log_lines > 0 {
                let drained = OwnedRef(py::PyObject_CallFunctionObjArgs(self.drain_log.0, end));
                drained.0.as_ref()?;
            }
            let (make, index) = (self.make.0, self.index_object.0);
            let answer = py::PyObject_CallFunctionObjArgs(make, block.0, py::Py_None(), index, path, end);
            Some(answer)
        }
    }
}
