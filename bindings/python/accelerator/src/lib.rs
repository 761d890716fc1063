//! Fast lookups for Python: `plexindex._fast`. Calls the C ABI of the shared object that ctypes has loaded, through
//! addresses, and never links one: two copies of the library in one process would break each other's locks.
//!
//! Everything unusual (bytes, a path object, text without UTF-8, a closed index, a wrong argument) is passed to the
//! equivalent function in Python. So Python defines the behaviour, and this file is only faster.
//!
//! Every function except those of `call` runs under Python's lock, which a close needs too. But Python may run any code, and other threads, when it allocates a container or an exception, or releases a reference. So a
//! handle, or a pointer into something mutable, is read after such a call and used before the next.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

mod answer;
#[cfg(unix)]
mod call;
mod keys;
mod lower;
mod table;

/// The C ABI's `plexindex_lookup_key`.
type Lookup = unsafe extern "C" fn(*const c_void, *const c_char) -> *const c_char;

/// `plexindex_buffer`.
#[repr(C)]
struct Buffer {
    data: *mut c_char,
    capacity: usize,
    length: usize,
}

/// Capsules of bound functions have no name, which Python would compare at each call. They are only accessible to
/// Python, which calls each function with its own.
const UNNAMED: *const c_char = null();

/// Returns the UTF-8 of a `str` with its NUL; `None` without an exception for anything else.
///
/// # Safety
/// `object` is alive, and stays so as long as the bytes are used.
#[inline]
unsafe fn utf8<'a>(object: *mut PyObject) -> Option<&'a [u8]> {
    let mut length: Py_ssize_t = 0;
    // SAFETY: the caller's promise. The text belongs to the object.
    let start = unsafe { py::PyUnicode_AsUTF8AndSize(object, &raw mut length) };
    if start.is_null() {
        // SAFETY: under Python's lock.
        unsafe { py::PyErr_Clear() };
        return None;
    }
    // SAFETY: a NUL stands behind so many bytes.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length.unsigned_abs() + 1) })
}

/// Returns the text of a `str` if it is not empty and has no NUL. Leaves no exception.
///
/// # Safety
/// As [`utf8`].
#[inline]
unsafe fn text<'a>(object: *mut PyObject) -> Option<&'a CStr> {
    // SAFETY: the caller's promise.
    let text = CStr::from_bytes_with_nul(unsafe { utf8(object) }?).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Creates a `str` from the library's text; sets an exception on failure.
///
/// # Safety
/// `key` is a text that ends with a NUL.
#[inline]
unsafe fn new_str(key: *const c_char) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe { py::PyUnicode_FromString(key) }
}

/// Returns the state bound to a function: the content of its capsule.
///
/// # Safety
/// `capsule` was made by [`bind`] with a `T`.
#[inline]
unsafe fn bound<'a, T>(capsule: *mut PyObject) -> &'a T {
    // SAFETY: the caller's promise; Python calls a bound function with the capsule that it keeps.
    unsafe { &*py::PyCapsule_GetPointer(capsule, UNNAMED).cast::<T>() }
}

/// Frees the state bound to a function.
unsafe extern "C" fn free<T>(capsule: *mut PyObject) {
    // SAFETY: made by `bind` with `Box::into_raw`, and Python calls this once.
    drop(unsafe { Box::from_raw(py::PyCapsule_GetPointer(capsule, UNNAMED).cast::<T>()) });
}

/// Creates a Python function bound to a value.
///
/// # Safety
/// `method` calls [`bound`] with the same `T`.
unsafe fn bind<T>(value: T, method: &'static Method) -> *mut PyObject {
    let value = Box::into_raw(Box::new(value));
    // SAFETY: under Python's lock; the state is freed if Python cannot take it.
    unsafe {
        let capsule = py::PyCapsule_New(value.cast(), UNNAMED, Some(free::<T>));
        if capsule.is_null() {
            drop(Box::from_raw(value));
            return null_mut();
        }
        let function = py::PyCFunction_NewEx((&raw const method.0).cast_mut(), capsule, null_mut());
        py::Py_DecRef(capsule);
        function
    }
}

/// An owned reference.
struct OwnedRef(*mut PyObject);

impl OwnedRef {
    /// # Safety
    /// `object` is alive, and the caller has Python's lock.
    unsafe fn new(object: *mut PyObject) -> Self {
        // SAFETY: the caller's promise.
        unsafe { py::Py_IncRef(object) };
        Self(object)
    }
}

impl Drop for OwnedRef {
    fn drop(&mut self) {
        // SAFETY: only Python drops these, under its lock.
        unsafe { py::Py_DecRef(self.0) };
    }
}

/// Returns a new reference to an item of a list: a finalizer may change the list while the item is read. `None` without
/// an exception if the list has become shorter.
///
/// # Safety
/// `list` is a list, and the caller has Python's lock.
#[inline]
unsafe fn item(list: *mut PyObject, at: usize) -> Option<OwnedRef> {
    // SAFETY: the caller's promise; nothing runs between the two calls.
    unsafe {
        let item = py::PyList_GetItem(list, at.cast_signed());
        if item.is_null() {
            py::PyErr_Clear();
            return None;
        }
        Some(OwnedRef::new(item))
    }
}

/// A function's name, text and address for Python, which never writes to it.
struct Method(py::PyMethodDef);

// SAFETY: addresses of what never changes.
unsafe impl Sync for Method {}

/// Returns the address in an `int`; NULL with an exception for anything else.
///
/// # Safety
/// `object` is alive.
unsafe fn address(object: *mut PyObject) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { py::PyLong_AsVoidPtr(object) }
}

/// Returns the addresses in these objects; sets an exception if one is invalid or NULL.
///
/// # Safety
/// The objects are alive.
unsafe fn addresses<const N: usize>(objects: [*mut PyObject; N]) -> Option<[*mut c_void; N]> {
    // SAFETY: the caller's promise, under Python's lock.
    unsafe {
        let found = objects.map(|one| address(one));
        if found.iter().any(|one| one.is_null()) {
            if py::PyErr_Occurred().is_null() {
                py::PyErr_SetString(py::PyExc_ValueError, c"an address is NULL".as_ptr());
            }
            return None;
        }
        Some(found)
    }
}

/// Returns the arguments of a function with exactly `N` positional ones; sets an exception otherwise.
///
/// # Safety
/// `arguments` has `count` references.
unsafe fn exactly<'a, const N: usize>(
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
) -> Option<&'a [*mut PyObject; N]> {
    if count.unsigned_abs() != N {
        // SAFETY: under Python's lock.
        unsafe { py::PyErr_SetString(py::PyExc_TypeError, c"wrong number of arguments".as_ptr()) };
        return None;
    }
    // SAFETY: so many are there.
    Some(unsafe { &*arguments.cast::<[*mut PyObject; N]>() })
}

/// Returns `None` as a new reference.
#[inline]
fn none() -> *mut PyObject {
    // SAFETY: it lives as long as Python does, and the caller has Python's lock.
    unsafe {
        py::Py_IncRef(py::Py_None());
        py::Py_None()
    }
}

/// Calls the function in Python with the same arguments.
///
/// # Safety
/// `arguments` has `count` references, and one more for each of the `names`.
unsafe fn call_fallback(
    function: &OwnedRef,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: so many references are there, and one more for each name. A tuple takes over what it is given.
    unsafe {
        let given = py::PyTuple_New(count);
        if given.is_null() {
            return null_mut();
        }
        for at in 0..count {
            let one = *arguments.offset(at);
            py::Py_IncRef(one);
            py::PyTuple_SetItem(given, at, one);
        }
        let mut keywords = null_mut();
        if !names.is_null() {
            keywords = py::PyDict_New();
            for at in 0..py::PyTuple_Size(names) {
                if keywords.is_null()
                    || py::PyDict_SetItem(keywords, py::PyTuple_GetItem(names, at), *arguments.offset(count + at)) != 0
                {
                    py::Py_DecRef(given);
                    py::Py_DecRef(keywords);
                    return null_mut();
                }
            }
        }
        let answer = py::PyObject_Call(function.0, given, keywords);
        py::Py_DecRef(given);
        py::Py_DecRef(keywords);
        answer
    }
}

/// The module's functions: those that bind others, and those of `call`.
struct Methods([py::PyMethodDef; if cfg!(unix) { 9 } else { 5 }]);

// SAFETY: addresses of what never changes.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods([
    fast(c"lookup_key", keys::bind_one),
    fast(c"lookup_keys", keys::bind_many),
    fast(c"get_match", table::bind_get),
    fast(c"bind_match", answer::bind_match),
    #[cfg(unix)]
    fast(c"symbol", call::symbol),
    #[cfg(unix)]
    fast(c"address", call::address),
    #[cfg(unix)]
    fast(c"call", call::call),
    #[cfg(unix)]
    fast(c"lines", call::lines),
    py::PyMethodDef::zeroed(),
]);

/// Describes a function that takes its arguments as an array.
const fn fast(name: &'static CStr, function: py::PyCFunctionFast) -> py::PyMethodDef {
    let function = py::PyMethodDefPointer {
        PyCFunctionFast: function,
    };
    method(name, function, py::METH_FASTCALL, c"")
}

const fn method(
    name: &'static CStr,
    function: py::PyMethodDefPointer,
    flags: c_int,
    about: &'static CStr,
) -> py::PyMethodDef {
    py::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: about.as_ptr(),
    }
}

impl Method {
    /// A function of one argument.
    const fn one(name: &'static CStr, function: py::PyCFunction, about: &'static CStr) -> Self {
        let function = py::PyMethodDefPointer { PyCFunction: function };
        Self(method(name, function, py::METH_O, about))
    }

    /// A function that may be called with names.
    const fn named(name: &'static CStr, function: py::PyCFunctionFastWithKeywords, about: &'static CStr) -> Self {
        let function = py::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: function,
        };
        Self(method(name, function, py::METH_FASTCALL | py::METH_KEYWORDS, about))
    }
}

/// The definition of the module.
struct Definition(py::PyModuleDef);

// SAFETY: Python writes to it under its lock only.
unsafe impl Sync for Definition {}

static mut DEFINITION: Definition = Definition(py::PyModuleDef {
    m_base: py::PyModuleDef_HEAD_INIT,
    m_name: c"_fast".as_ptr(),
    m_doc: c"Fast lookups without ctypes.".as_ptr(),
    m_size: 0,
    m_methods: (&raw const METHODS.0).cast_mut().cast(),
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
});

/// The entry point of the module.
///
/// # Safety
/// Called by Python when it imports the module, under its lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit__fast() -> *mut PyObject {
    // SAFETY: Python alone has it.
    unsafe { py::PyModule_Create2(&raw mut DEFINITION.0, PYTHON_API_VERSION) }
}

/// API version of the stable ABI.
const PYTHON_API_VERSION: c_int = 3;
