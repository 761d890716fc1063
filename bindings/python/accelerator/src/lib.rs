//! Fast lookups for Python: `plexindex._fast`. Calls the C ABI of the shared object that Python has loaded, through
//! addresses, and never links one: two copies of the library in one process would break each other's locks.
//!
//! Python functions define the behaviour. A function here calls its equivalent in Python for everything unusual: bytes,
//! a path object, text that is not UTF-8, a closed index, or a wrong argument.
//!
//! Every function except `call` runs under Python's lock, which a close needs too. But Python may run any code, and
//! other threads, when it allocates a container or an exception, or releases a reference. So each function reads a
//! handle, or a pointer into something mutable, after such a call and uses it before the next.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

mod answer;
#[cfg(unix)]
mod call;
mod keys;
mod table;

/// `plexindex_buffer`.
#[repr(C)]
struct Buffer {
    data: *mut c_char,
    capacity: usize,
    length: usize,
}

impl Buffer {
    fn over(data: *mut c_char, capacity: usize) -> Self {
        let length = 0;
        Self { data, capacity, length }
    }
}

/// Capsules have no name, which Python would compare at each call.
const UNNAMED: *const c_char = null();

/// Returns the UTF-8 of a `str` with its NUL; `None` without an exception for anything else.
/// Safety: `object` is alive, and stays so as long as the bytes are used.
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
    // SAFETY: Python ends the text with a NUL.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length.unsigned_abs() + 1) })
}

/// Returns the text of a `str` if it is not empty and has no NUL. Leaves no exception.
/// Safety: As [`utf8`].
#[inline]
unsafe fn text<'a>(object: *mut PyObject) -> Option<&'a CStr> {
    // SAFETY: the caller's promise.
    let text = CStr::from_bytes_with_nul(unsafe { utf8(object) }?).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Creates a `str` from a text of the library; `None` from NULL.
/// Safety: `text` is NULL, or ends with a NUL.
#[inline]
unsafe fn str_or_none(text: *const c_char) -> *mut PyObject {
    // SAFETY: the caller's promise. `None` lives as long as Python does.
    unsafe {
        if text.is_null() {
            return OwnedRef::new(py::Py_None()).release();
        }
        py::PyUnicode_FromString(text)
    }
}

/// An owned reference, or NULL.
struct OwnedRef(*mut PyObject);

impl OwnedRef {
    /// Safety: `object` is alive, and the caller has Python's lock.
    unsafe fn new(object: *mut PyObject) -> Self {
        // SAFETY: the caller's promise.
        unsafe { py::Py_IncRef(object) };
        Self(object)
    }

    /// Returns the reference, which the caller or Python then owns.
    fn release(self) -> *mut PyObject {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for OwnedRef {
    fn drop(&mut self) {
        // SAFETY: only Python drops these, under its lock.
        unsafe { py::Py_XDECREF(self.0) };
    }
}

/// A handle in a `bytearray`, which is never resized. Closing the index overwrites the handle with NULL.
struct Cell {
    memory: *const *const c_void,
    _owner: OwnedRef,
}

impl Cell {
    /// Sets an exception if the object holds no memory.
    /// Safety: `object` is alive.
    unsafe fn new(object: *mut PyObject) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            pointer(object).map(|memory| Self {
                memory: memory.cast_const().cast(),
                _owner: OwnedRef::new(object),
            })
        }
    }

    /// Returns the handle, unless the index is closed.
    #[inline]
    fn handle(&self) -> Option<*const c_void> {
        // SAFETY: the owner keeps the memory.
        let handle = unsafe { *self.memory };
        (!handle.is_null()).then_some(handle)
    }
}

/// Returns the address in an `int`, or of the data in a `bytes` or `bytearray`; NULL for None. Sets an exception for
/// anything else.
/// Safety: `object` is alive.
unsafe fn pointer_or_null(object: *mut PyObject) -> Option<*mut c_void> {
    // SAFETY: the caller's promise, under Python's lock.
    unsafe {
        if py::PyByteArray_Check(object) != 0 {
            return Some(py::PyByteArray_AsString(object).cast());
        }
        if py::PyBytes_Check(object) != 0 {
            return Some(py::PyBytes_AsString(object).cast());
        }
        if object == py::Py_None() {
            return Some(null_mut());
        }
        let address = py::PyLong_AsVoidPtr(object);
        (!address.is_null() || py::PyErr_Occurred().is_null()).then_some(address)
    }
}

/// As [`pointer_or_null`]; `None` for NULL, too.
/// Safety: `object` is alive.
unsafe fn pointer(object: *mut PyObject) -> Option<*mut c_void> {
    // SAFETY: the caller's promise.
    unsafe { pointer_or_null(object).filter(|address| !address.is_null()) }
}

/// Returns the C function at an address.
/// Safety: `object` is alive; `F` is the type of the function.
unsafe fn function<F: Copy>(object: *mut PyObject) -> Option<F> {
    // SAFETY: the caller's promise.
    unsafe { pointer(object).map(|address| std::mem::transmute_copy::<*mut c_void, F>(&address)) }
}

/// Returns NULL, with an exception.
fn failure() -> *mut PyObject {
    // SAFETY: under Python's lock.
    unsafe {
        if py::PyErr_Occurred().is_null() {
            py::PyErr_SetString(py::PyExc_TypeError, c"wrong arguments".as_ptr());
        }
    }
    null_mut()
}

/// The arguments of a call from Python.
#[derive(Clone, Copy)]
struct Arguments {
    given: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
}

impl Arguments {
    /// Returns the arguments if there are exactly `N`, all without names.
    /// Safety: Python's call has not returned.
    #[inline]
    unsafe fn only<const N: usize>(&self) -> Option<[*mut PyObject; N]> {
        // SAFETY: so many references are there; `names` is NULL or a tuple.
        unsafe {
            let is_plain =
                self.count.unsigned_abs() == N && (self.names.is_null() || py::PyTuple_Size(self.names) == 0);
            is_plain.then(|| *self.given.cast::<[*mut PyObject; N]>())
        }
    }

    /// Calls a function in Python with the same arguments.
    /// Safety: Python's call has not returned.
    unsafe fn pass_to(&self, function: &OwnedRef) -> *mut PyObject {
        // SAFETY: so many references are there, and one more for each name. A tuple takes over what it is given.
        unsafe {
            let (given, keywords) = (OwnedRef(py::PyTuple_New(self.count)), OwnedRef(py::PyDict_New()));
            if given.0.is_null() || keywords.0.is_null() {
                return null_mut();
            }
            for place in 0..self.count {
                let one = OwnedRef::new(*self.given.offset(place));
                py::PyTuple_SetItem(given.0, place, one.release());
            }
            let mut value = self.given.offset(self.count);
            for place in 0..self.names.as_ref().map_or(0, |_| py::PyTuple_Size(self.names)) {
                if py::PyDict_SetItem(keywords.0, py::PyTuple_GetItem(self.names, place), *value) != 0 {
                    return null_mut();
                }
                value = value.add(1);
            }
            py::PyObject_Call(function.0, given.0, keywords.0)
        }
    }
}

/// What a function for Python is bound to: how to answer a call from Python.
trait Bound: Sized {
    /// The function as [`definition`] describes it. Python keeps the address.
    const DEFINITION: &'static py::PyMethodDef;

    /// Creates the state from arguments; `None` if they are wrong.
    unsafe fn new(arguments: Arguments) -> Option<Self>;

    /// Answers a call: NULL or `None` if an exception is set, `None` also if only the fallback can answer.
    unsafe fn call(&self, arguments: Arguments) -> Option<*mut PyObject>;
}

/// A state, and the function in Python that answers calls which this one cannot answer.
struct WithFallback<T>(T, OwnedRef);

/// Describes a function for Python.
const fn definition(
    name: &'static CStr,
    about: &'static CStr,
    function: py::PyCFunctionFastWithKeywords,
) -> py::PyMethodDef {
    py::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: py::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: function,
        },
        ml_flags: py::METH_FASTCALL | py::METH_KEYWORDS,
        ml_doc: about.as_ptr(),
    }
}

/// Describes a function of the module, which takes [`Arguments`].
macro_rules! function_of {
    ($function:expr, $name:expr) => {{
        unsafe extern "C" fn call(
            _: *mut PyObject,
            given: *const *mut PyObject,
            count: Py_ssize_t,
            names: *mut PyObject,
        ) -> *mut PyObject {
            // SAFETY: Python's call.
            unsafe { $function(Arguments { given, count, names }) }
        }
        definition($name, c"", call)
    }};
}

unsafe extern "C" fn call_bound<T: Bound>(
    capsule: *mut PyObject,
    given: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: Python calls a bound function with the capsule of its own state.
    unsafe {
        let WithFallback(state, fallback) = &*py::PyCapsule_GetPointer(capsule, UNNAMED).cast::<WithFallback<T>>();
        let arguments = Arguments { given, count, names };
        match state.call(arguments) {
            Some(answer) => answer,
            None if py::PyErr_Occurred().is_null() => arguments.pass_to(fallback),
            None => null_mut(),
        }
    }
}

unsafe extern "C" fn free_bound<T>(capsule: *mut PyObject) {
    // SAFETY: made by `bind` with `Box::into_raw`, and Python calls this once.
    drop(unsafe { Box::from_raw(py::PyCapsule_GetPointer(capsule, UNNAMED).cast::<WithFallback<T>>()) });
}

/// A function of the module: creates a Python function bound to a state. The last argument is the fallback.
unsafe fn bind<T: Bound>(mut arguments: Arguments) -> *mut PyObject {
    // SAFETY: Python's call, with the address of the function of the C ABI that `T` names.
    let state = unsafe {
        arguments.count = (arguments.count - 1).max(0);
        T::new(arguments).map(|state| WithFallback(state, OwnedRef::new(*arguments.given.offset(arguments.count))))
    };
    let Some(state) = state else {
        return failure();
    };
    let state = Box::into_raw(Box::new(state));
    // SAFETY: under Python's lock; the state is freed if Python cannot take it. Python only reads the definition.
    unsafe {
        let capsule = py::PyCapsule_New(state.cast(), UNNAMED, Some(free_bound::<T>));
        if capsule.is_null() {
            drop(Box::from_raw(state));
            return null_mut();
        }
        let function = py::PyCFunction_NewEx(std::ptr::from_ref(T::DEFINITION).cast_mut(), capsule, null_mut());
        py::Py_DecRef(capsule);
        function
    }
}

/// The module's functions: those that bind others, and those of `call`. Python only reads them.
static mut METHODS: [py::PyMethodDef; if cfg!(unix) { 9 } else { 5 }] = [
    function_of!(bind::<keys::LookUpOne>, c"lookup_key"),
    function_of!(bind::<keys::LookUpMany>, c"lookup_keys"),
    function_of!(bind::<table::Tables>, c"get_match"),
    function_of!(bind::<answer::Answers>, c"match_path"),
    #[cfg(unix)]
    function_of!(call::symbol, c"symbol"),
    #[cfg(unix)]
    function_of!(call::address, c"address"),
    #[cfg(unix)]
    function_of!(call::call, c"call"),
    #[cfg(unix)]
    function_of!(call::lines, c"lines"),
    py::PyMethodDef::zeroed(),
];

/// The definition of the module. Python writes to it under its lock only.
static mut DEFINITION: py::PyModuleDef = py::PyModuleDef {
    m_base: py::PyModuleDef_HEAD_INIT,
    m_name: c"_fast".as_ptr(),
    m_doc: c"Fast lookups without ctypes.".as_ptr(),
    m_size: 0,
    m_methods: (&raw mut METHODS).cast(),
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

/// API version of the stable ABI.
const PYTHON_API_VERSION: c_int = 3;

/// The entry point of the module.
///
/// # Safety
/// Python calls this under its lock when it imports the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit__fast() -> *mut PyObject {
    // SAFETY: Python alone uses the definition.
    unsafe { py::PyModule_Create2(&raw mut DEFINITION, PYTHON_API_VERSION) }
}
