//! Opens an index without ctypes: loads the shared object, opens an index and returns a library's handle, for a process
//! whose first answer is a fast lookup. Everything else is done through `ctypes`, with the same handle.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Buffer, Bytes, bytes_of, exactly, new_bytes, unlocked};

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

/// `plexindex_mapping`.
#[repr(C)]
struct Mapping {
    kind: i32,
    reserved: u32,
    find: Bytes,
    replace: Bytes,
}

/// `plexindex_options`.
#[repr(C)]
struct Options {
    size: usize,
    /// Folder, URL, token, user, certificates.
    texts: [Bytes; 5],
    /// TTL, maximum age, deadline, time-outs of connecting and reading, time for retries, limit of matches.
    numbers: [i64; 7],
    flags: u32,
    page_size: u32,
    log_level: i32,
    reserved: u32,
    mappings: *const Mapping,
    mappings_count: usize,
    slow_ms: i64,
    size_limit: i64,
    database: Bytes,
    /// Unused: a callback would not have the GIL here. Python renews the token when a call is refused.
    renew_token: *const c_void,
    renew_token_user: *mut c_void,
    shared: Bytes,
    shared_retry_ms: i64,
}

type Open = unsafe extern "C" fn(*const Options, *mut *mut c_void, *mut Buffer) -> i32;
type Close = unsafe extern "C" fn(*mut c_void, *mut Buffer) -> i32;
type Library = unsafe extern "C" fn(*const c_void, i32, *const c_char, usize, *mut *const c_void, *mut Buffer) -> i32;
type Receive = unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize);
type DrainLog = unsafe extern "C" fn(Receive, *mut c_void, *mut c_void) -> i32;

type Match = unsafe extern "C" fn(*const c_void, *const Query, *mut Buffer, *mut Buffer) -> i32;

/// `plexindex_query`.
#[repr(C)]
struct Query {
    size: usize,
    library: *const c_void,
    text: Bytes,
    deadline_ms: i64,
    flags: u32,
    reserved: u32,
    progress: *const c_void,
    user: *const c_void,
}

/// Size of a buffer in bytes; enough for most answers.
const BLOCK: usize = 4096;

/// The functions of the shared object, which stays loaded.
struct NativeLibrary {
    open: Open,
    close: Close,
    library: Library,
    drain_log: DrainLog,
    match_path: Match,
    lookup_key: *mut c_void,
    lookup_keys: *mut c_void,
}

/// # Safety
/// `F` is the type of the function of this name.
unsafe fn function<F: Copy>(object: *mut c_void, name: &CStr) -> Option<F> {
    // SAFETY: an object that is loaded, and a text that ends with a NUL.
    let found = unsafe { dlsym(object, name.as_ptr()) };
    // SAFETY: the caller's promise; an address and a function have the same size.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
}

impl NativeLibrary {
    /// Returns `None` if the object cannot be loaded, or is not the library with this ABI: ctypes reports the error.
    ///
    /// # Safety
    /// Loading the object may run its code.
    unsafe fn new(path: &CStr, abi: u32) -> Option<Self> {
        // SAFETY: the caller's promise; each function has the type that the header declares.
        unsafe {
            let object = dlopen(path.as_ptr(), LOCAL_NOW);
            if object.is_null() {
                return None;
            }
            let version: unsafe extern "C" fn() -> u32 = function(object, c"plexindex_get_abi_version")?;
            if version() != abi {
                return None;
            }
            Some(Self {
                open: function(object, c"plexindex_open")?,
                close: function(object, c"plexindex_close")?,
                library: function(object, c"plexindex_get_library")?,
                drain_log: function(object, c"plexindex_drain_log")?,
                match_path: function(object, c"plexindex_match_path")?,
                lookup_key: function(object, c"plexindex_lookup_key")?,
                lookup_keys: function(object, c"plexindex_lookup_keys")?,
            })
        }
    }
}

/// Returns the items of a tuple of this length; sets an exception otherwise.
///
/// # Safety
/// `tuple` is alive.
unsafe fn items<const N: usize>(tuple: *mut PyObject) -> Option<[*mut PyObject; N]> {
    let mut found = [null_mut(); N];
    for (at, found) in found.iter_mut().enumerate() {
        // SAFETY: the caller's promise; what is no tuple, or is too short, is refused with an exception.
        *found = unsafe { py::PyTuple_GetItem(tuple, at.cast_signed()) };
        if found.is_null() {
            return None;
        }
    }
    Some(found)
}

/// Converts an integer; sets an exception if it does not fit.
///
/// # Safety
/// `object` is alive.
unsafe fn number(object: *mut PyObject) -> Option<i64> {
    // SAFETY: the caller's promise, under Python's lock.
    unsafe {
        let number = py::PyLong_AsLongLong(object);
        (number != -1 || py::PyErr_Occurred().is_null()).then_some(number)
    }
}

/// `load(path, abi)`: returns a capsule, or None.
pub unsafe extern "C" fn load(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call.
    unsafe {
        let Some([path, abi]) = exactly(arguments, count) else {
            return null_mut();
        };
        let (Some(path), Some(abi)) = (bytes_of(*path), number(*abi)) else {
            return null_mut();
        };
        // A `bytes` object ends with a NUL.
        let door = (!path.data.is_null())
            .then(|| NativeLibrary::new(CStr::from_ptr(path.data), u32::try_from(abi).ok()?))
            .flatten();
        let Some(door) = door else {
            return super::none();
        };
        let door = Box::into_raw(Box::new(door));
        let capsule = py::PyCapsule_New(door.cast(), DOOR.as_ptr(), Some(free_door));
        if capsule.is_null() {
            drop(Box::from_raw(door));
        }
        capsule
    }
}

/// `open(door, texts, numbers, mappings)`: returns status, and handle or the text of the error.
pub unsafe extern "C" fn open(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call with a capsule of `load`.
    unsafe { opened(arguments, count).unwrap_or(null_mut()) }
}

unsafe fn opened(arguments: *mut *mut PyObject, count: Py_ssize_t) -> Option<*mut PyObject> {
    // SAFETY: as in `open`. All objects are the caller's until this returns, so their bytes stay.
    unsafe {
        let [door, texts, numbers, mappings] = *exactly(arguments, count)?;
        let door = native_library(door)?;
        let [folder, url, token, user, certificates, database, shared] = items::<7>(texts)?;
        let [
            ttl,
            age,
            deadline,
            connect,
            read,
            retry,
            matches,
            flags,
            page,
            level,
            slow,
            limit,
            shared_retry,
        ] = items::<13>(numbers)?;
        let mut rules = Vec::new();
        for at in 0..py::PyTuple_Size(mappings).max(0) {
            let [kind, find, replace] = items::<3>(py::PyTuple_GetItem(mappings, at))?;
            rules.push(Mapping {
                kind: i32::try_from(number(kind)?).unwrap_or(-1),
                reserved: 0,
                find: bytes_of(find)?,
                replace: bytes_of(replace)?,
            });
        }
        let options = Options {
            size: size_of::<Options>(),
            texts: [
                bytes_of(folder)?,
                bytes_of(url)?,
                bytes_of(token)?,
                bytes_of(user)?,
                bytes_of(certificates)?,
            ],
            numbers: [
                number(ttl)?,
                number(age)?,
                number(deadline)?,
                number(connect)?,
                number(read)?,
                number(retry)?,
                number(matches)?,
            ],
            flags: u32::try_from(number(flags)?).unwrap_or(u32::MAX),
            page_size: u32::try_from(number(page)?).unwrap_or(u32::MAX),
            log_level: i32::try_from(number(level)?).unwrap_or(-1),
            reserved: 0,
            mappings: if rules.is_empty() { null() } else { rules.as_ptr() },
            mappings_count: rules.len(),
            slow_ms: number(slow)?,
            size_limit: number(limit)?,
            database: bytes_of(database)?,
            renew_token: null(),
            renew_token_user: null_mut(),
            shared: bytes_of(shared)?,
            shared_retry_ms: number(shared_retry)?,
        };
        let mut handle = null_mut();
        // Releases Python's lock, since opening the folder may wait.
        let (status, error) = unlocked(|error| (door.open)(&raw const options, &raw mut handle, error));
        Some(if status == 0 {
            pair(status, py::PyLong_FromVoidPtr(handle))
        } else {
            pair(status, new_bytes(&error))
        })
    }
}

/// `library(door, handle, kind, selector)`: returns status and the library's handle.
pub unsafe extern "C" fn library(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call with a capsule of `load` and an open handle, which the caller keeps from being closed.
    unsafe { selected(arguments, count).unwrap_or(null_mut()) }
}

unsafe fn selected(arguments: *mut *mut PyObject, count: Py_ssize_t) -> Option<*mut PyObject> {
    // SAFETY: as in `library`.
    unsafe {
        let [door, handle, kind, selector] = *exactly(arguments, count)?;
        let (door, selector) = (native_library(door)?, bytes_of(selector)?);
        let (handle, kind) = (super::address(handle), i32::try_from(number(kind)?).unwrap_or(-1));
        let mut found = null();
        let (status, _) =
            unlocked(|error| (door.library)(handle, kind, selector.data, selector.length, &raw mut found, error));
        Some(pair(status, py::PyLong_FromVoidPtr(found.cast_mut())))
    }
}

/// `match_path(door, handle, library, path, flags)`: returns status and block; the block is empty if it does not fit.
pub unsafe extern "C" fn match_path(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call with a capsule of `load` and open handles, which the caller keeps from being closed.
    unsafe { matched(arguments, count).unwrap_or(null_mut()) }
}

unsafe fn matched(arguments: *mut *mut PyObject, count: Py_ssize_t) -> Option<*mut PyObject> {
    // SAFETY: as in `match_path`.
    unsafe {
        let [door, handle, library, path, flags] = *exactly(arguments, count)?;
        let door = native_library(door)?;
        let handle = super::address(handle);
        let query = Query {
            size: size_of::<Query>(),
            library: super::address(library),
            text: bytes_of(path)?,
            deadline_ms: 0,
            flags: u32::try_from(number(flags)?).unwrap_or(u32::MAX),
            reserved: 0,
            progress: null(),
            user: null(),
        };
        let mut block = [0_u8; BLOCK];
        let mut buffer = Buffer {
            data: block.as_mut_ptr().cast(),
            capacity: BLOCK,
            length: 0,
        };
        let (status, _) = unlocked(|error| (door.match_path)(handle, &raw const query, &raw mut buffer, error));
        Some(pair(status, new_bytes(block.get(..buffer.length).unwrap_or_default())))
    }
}

/// `close(door, handle)`: returns status and the text of the error.
pub unsafe extern "C" fn close(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call with a capsule of `load` and an open handle that no other call uses.
    unsafe {
        let Some([door, handle]) = exactly(arguments, count) else {
            return null_mut();
        };
        let Some(door) = native_library(*door) else {
            return null_mut();
        };
        let handle = super::address(*handle);
        let (status, error) = unlocked(|error| (door.close)(handle, error));
        pair(status, new_bytes(&error))
    }
}

/// `lines(door)`: returns the waiting log lines, as pairs of a level and bytes. Runs no Python code meanwhile.
pub unsafe extern "C" fn lines(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    unsafe extern "C" fn receive(lines: *mut c_void, level: i32, text: *const c_char, length: usize) {
        // SAFETY: the list of `lines`, and bytes that are there during this call.
        unsafe { super::add_line(lines.cast(), level, text, length) };
    }
    // SAFETY: Python's call with a capsule of `load`.
    unsafe {
        let Some(door) = exactly::<1>(arguments, count).and_then(|[door]| native_library(*door)) else {
            return null_mut();
        };
        let lines = py::PyList_New(0);
        if !lines.is_null() {
            (door.drain_log)(receive, lines.cast(), null_mut());
        }
        if !py::PyErr_Occurred().is_null() {
            py::Py_XDECREF(lines);
            return null_mut();
        }
        lines
    }
}

/// `addresses(door)`: returns the addresses of `plexindex_lookup_key` and `plexindex_lookup_keys`.
pub unsafe extern "C" fn addresses(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call with a capsule of `load`.
    unsafe {
        let Some(door) = exactly::<1>(arguments, count).and_then(|[door]| native_library(*door)) else {
            return null_mut();
        };
        two(
            py::PyLong_FromVoidPtr(door.lookup_key),
            py::PyLong_FromVoidPtr(door.lookup_keys),
        )
    }
}

/// A cell with a library's handle, which a bound lookup reads each time.
struct Cell(*mut c_void);

/// `cell(pointer)`: returns a capsule with a cell.
pub unsafe extern "C" fn cell(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call.
    unsafe {
        let Some([pointer]) = exactly(arguments, count) else {
            return null_mut();
        };
        let cell = Box::into_raw(Box::new(Cell(super::address(*pointer))));
        let capsule = py::PyCapsule_New(cell.cast(), CELL.as_ptr(), Some(free_cell));
        if capsule.is_null() {
            drop(Box::from_raw(cell));
        }
        capsule
    }
}

const CELL: &CStr = c"plexindex._fast.cell";

unsafe extern "C" fn free_cell(capsule: *mut PyObject) {
    // SAFETY: made by `cell`, and Python calls this once.
    drop(unsafe { Box::from_raw(py::PyCapsule_GetPointer(capsule, CELL.as_ptr()).cast::<Cell>()) });
}

/// `address(cell)`: returns the address of the handle, valid as long as the capsule lives.
pub unsafe extern "C" fn address(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: Python's call; what is no capsule of `cell` is refused with an exception.
    unsafe {
        let Some([cell]) = exactly(arguments, count) else {
            return null_mut();
        };
        let cell = py::PyCapsule_GetPointer(*cell, CELL.as_ptr());
        if cell.is_null() {
            return null_mut();
        }
        py::PyLong_FromVoidPtr(cell)
    }
}

/// `retire(cell)`: sets the handle to NULL, so that lookups fall back to Python.
pub unsafe extern "C" fn retire(_: *mut PyObject, arguments: *mut *mut PyObject, count: Py_ssize_t) -> *mut PyObject {
    // SAFETY: as in `address`, under Python's lock, which every lookup holds.
    unsafe {
        let Some([cell]) = exactly(arguments, count) else {
            return null_mut();
        };
        let cell = py::PyCapsule_GetPointer(*cell, CELL.as_ptr()).cast::<Cell>();
        if cell.is_null() {
            return null_mut();
        }
        (*cell).0 = null_mut();
        super::none()
    }
}

const DOOR: &CStr = c"plexindex._fast.door";

unsafe extern "C" fn free_door(capsule: *mut PyObject) {
    // SAFETY: made by `load`, and Python calls this once.
    drop(unsafe { Box::from_raw(py::PyCapsule_GetPointer(capsule, DOOR.as_ptr()).cast::<NativeLibrary>()) });
}

/// Returns the content of a capsule of [`load`]; sets an exception for anything else.
///
/// # Safety
/// `capsule` is alive, and stays so as long as the content is used.
unsafe fn native_library<'a>(capsule: *mut PyObject) -> Option<&'a NativeLibrary> {
    // SAFETY: the caller's promise; Python compares the capsule's name.
    unsafe {
        py::PyCapsule_GetPointer(capsule, DOOR.as_ptr())
            .cast::<NativeLibrary>()
            .as_ref()
    }
}

/// A tuple of a status and a new reference, which it takes over.
unsafe fn pair(status: i32, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: the caller's promise, under Python's lock.
    unsafe { two(py::PyLong_FromLong(status.into()), value) }
}

/// Creates a tuple, which takes over two new references.
unsafe fn two(first: *mut PyObject, second: *mut PyObject) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let tuple = py::PyTuple_New(2);
        if first.is_null() || second.is_null() || tuple.is_null() {
            for object in [first, second, tuple] {
                py::Py_XDECREF(object);
            }
            return null_mut();
        }
        py::PyTuple_SetItem(tuple, 0, first);
        py::PyTuple_SetItem(tuple, 1, second);
        tuple
    }
}
