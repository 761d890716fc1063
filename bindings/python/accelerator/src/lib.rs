//! Fast lookups for Python: `plexindex._fast`. Calls the C ABI of the shared object that Python has loaded, through
//! addresses, and never links one: two copies of the library in one process would break each other's locks.
//!
//! Python classes define the behaviour. A method here calls the method of the same name with an underscore for
//! everything unusual: bytes, a path object, text that is not UTF-8, a closed index, or an error.
//!
//! Every method runs under Python's lock, which a close needs too. But Python may run any code, and other threads, when
//! it creates an object or releases a reference. So each method reads a handle after such a call and uses it before the
//! next.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyString, PyTuple};

mod lookups;
mod structs;

use structs::{Buffer, Query};

/// The functions of the library, as in `plexindex.h`.
#[repr(C)]
struct Functions {
    lookup_key: unsafe extern "C" fn(*const c_void, *const c_char) -> *const c_char,
    lookup_keys: unsafe extern "C" fn(*const c_void, *const c_char, usize, usize, *mut Buffer, *mut Buffer) -> i32,
    match_path: unsafe extern "C" fn(*const c_void, *const Query, *mut Buffer, *mut Buffer) -> i32,
    table_lookup: unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char) -> i32,
    drain_log: unsafe extern "C" fn(Receive, *mut c_void, *mut Buffer) -> i32,
}

type Receive = unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize);

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

impl Buffer {
    fn over(data: *mut c_char, capacity: usize) -> Self {
        Self {
            data,
            capacity,
            length: 0,
        }
    }
}

/// A handle in a `bytearray`, which is never resized. Closing the index overwrites the handle with NULL.
struct Cell {
    memory: NonNull<*const c_void>,
    _owner: Py<PyByteArray>,
}

// SAFETY: the memory is read only under Python's lock.
unsafe impl Send for Cell {}
// SAFETY: as above.
unsafe impl Sync for Cell {}

impl Cell {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let owner = object.cast::<PyByteArray>()?;
        let memory = NonNull::new(owner.data()).filter(|_| owner.len() >= size_of::<usize>());
        Ok(Self {
            memory: memory
                .ok_or_else(|| PyValueError::new_err("no memory for a handle"))?
                .cast(),
            _owner: owner.clone().unbind(),
        })
    }

    /// Returns the handle, unless the index is closed.
    fn handle(&self) -> Option<*const c_void> {
        // SAFETY: the owner keeps the memory.
        let handle = unsafe { self.memory.as_ptr().read_unaligned() };
        (!handle.is_null()).then_some(handle)
    }
}

/// Returns the text of a `str` if it is not empty and has no NUL.
fn text<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a CStr> {
    let text = object.cast::<PyString>().ok()?.to_str().ok()?;
    // SAFETY: Python ends the text with a NUL.
    let bytes = unsafe { std::slice::from_raw_parts(text.as_ptr(), text.len() + 1) };
    CStr::from_bytes_with_nul(bytes).ok().filter(|text| !text.is_empty())
}

/// Creates a `str` from a text of the library; `None` from NULL.
/// Safety: `text` is NULL, or ends with a NUL and stays unchanged during the call.
unsafe fn str_or_none(py: Python<'_>, text: *const c_char) -> PyResult<Option<Bound<'_, PyString>>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    PyString::from_bytes(py, unsafe { CStr::from_ptr(text) }.to_bytes()).map(Some)
}

/// Sets the addresses of the functions in the library that Python has loaded, in the order of [`Functions`].
#[pyfunction]
fn set_functions(addresses: [usize; 5]) -> PyResult<()> {
    if addresses.contains(&0) {
        return Err(PyValueError::new_err("a function's address is NULL"));
    }
    // SAFETY: Python gives the addresses of these functions, in a library that it never unloads.
    let functions = unsafe { std::mem::transmute::<[usize; 5], Functions>(addresses) };
    // The package loads one library, so a second call has the same addresses.
    FUNCTIONS.get_or_init(|| functions);
    Ok(())
}

/// Returns the waiting log lines: their levels and texts. Keeps the interpreter's lock, because this takes no time.
#[pyfunction]
fn drain_log() -> Vec<(i32, String)> {
    unsafe extern "C" fn receive(lines: *mut c_void, level: i32, text: *const c_char, _: usize) {
        // SAFETY: `lines` is the vector below, and the text ends with a NUL.
        let (lines, text) = unsafe { (&mut *lines.cast::<Vec<(i32, String)>>(), CStr::from_ptr(text)) };
        lines.push((level, text.to_string_lossy().into_owned()));
    }
    let mut lines = Vec::new();
    if let Some(functions) = FUNCTIONS.get() {
        // SAFETY: the function calls `receive` with the vector, on this thread.
        unsafe { (functions.drain_log)(receive, (&raw mut lines).cast(), null_mut()) };
    }
    lines
}

/// Fast lookups without ctypes.
#[pymodule]
fn _fast(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_functions, module)?)?;
    module.add_function(wrap_pyfunction!(drain_log, module)?)?;
    module.add_class::<lookups::Lookups>()?;
    module.add_class::<lookups::MatchLookup>()
}
