//! Reads numbers from a block as `struct` does, so that a process with one query need not load that module.

use std::ffi::c_char;
use std::ptr::null_mut;

use pyo3_ffi as py;
use pyo3_ffi::{Py_ssize_t, PyObject};

use super::{Method, OwnedRef, bind, bound, bytes_of, call_fallback, exactly};

/// A number in a block, by `struct`'s letter, in native byte order without padding.
#[derive(Clone, Copy)]
enum Number {
    Byte,
    Signed,
    Unsigned,
    LongSigned,
    LongUnsigned,
}

impl Number {
    fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'B' => Self::Byte,
            b'i' => Self::Signed,
            b'I' => Self::Unsigned,
            b'q' => Self::LongSigned,
            b'Q' => Self::LongUnsigned,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Signed | Self::Unsigned => 4,
            Self::LongSigned | Self::LongUnsigned => 8,
        }
    }
}

/// The state bound to a reader.
struct Numbers {
    fields: Vec<Number>,
    size: usize,
    /// Called with the same arguments for objects that are not blocks.
    fallback: OwnedRef,
}

static READ: Method = Method(py::PyMethodDef {
    ml_name: c"read".as_ptr(),
    ml_meth: py::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: read,
    },
    ml_flags: py::METH_FASTCALL | py::METH_KEYWORDS,
    ml_doc: c"read(block, at=0, /)\n--\n\nThe numbers at this place of a block.".as_ptr(),
});

/// Parses a format: an equals sign, then letters, each with its count.
fn parsed(format: &[u8]) -> Option<Vec<Number>> {
    let mut numbers = Vec::new();
    let mut count = 0;
    for letter in format.strip_prefix(b"=")? {
        if letter.is_ascii_digit() {
            count = count * 10 + usize::from(letter - b'0');
            continue;
        }
        let number = Number::of(*letter)?;
        numbers.resize(numbers.len() + count.max(1), number);
        count = 0;
    }
    Some(numbers)
}

/// `numbers(format, fallback)`: returns a function that reads them.
pub unsafe extern "C" fn bind_read(
    _: *mut PyObject,
    arguments: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: Python's call; the format is the caller's until this returns.
    unsafe {
        let Some([format, fallback]) = exactly(arguments, count) else {
            return null_mut();
        };
        let Some(format) = bytes_of(*format) else {
            return null_mut();
        };
        let format = std::slice::from_raw_parts(format.data.cast(), format.length);
        let Some(fields) = parsed(format) else {
            py::PyErr_SetString(py::PyExc_ValueError, c"no format of numbers".as_ptr());
            return null_mut();
        };
        let size = fields.iter().map(|number| number.size()).sum();
        bind(
            Numbers {
                fields,
                size,
                fallback: OwnedRef::new(*fallback),
            },
            &READ,
        )
    }
}

unsafe extern "C" fn read(
    own: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: bound by `bind_read`; the arguments are the caller's until this returns.
    unsafe {
        let numbers: &Numbers = bound(own);
        // Before the block is read, since a finalizer may run here and change a `bytearray`.
        let found = py::PyTuple_New(numbers.fields.len().cast_signed());
        if found.is_null() {
            return null_mut();
        }
        if let Some(at) = place(numbers, arguments, count, names) {
            return filled(found, numbers, at);
        }
        py::Py_DecRef(found);
        call_fallback(&numbers.fallback, arguments, count, names)
    }
}

/// Returns the address of the numbers; `None` for the fallback to Python: not a block, or an offset outside of it.
unsafe fn place(
    numbers: &Numbers,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> Option<*const c_char> {
    // SAFETY: the caller's references. The block is looked at last, and nothing runs until its numbers are read.
    unsafe {
        if !(1..=2).contains(&count) || !(names.is_null() || py::PyTuple_Size(names) == 0) {
            return None;
        }
        let at = if count == 2 {
            py::PyLong_AsSsize_t(*arguments.add(1))
        } else {
            0
        };
        if at < 0 {
            py::PyErr_Clear();
            return None;
        }
        let block = *arguments;
        let (data, length) = if py::PyBytes_Check(block) != 0 {
            (py::PyBytes_AsString(block), py::PyBytes_Size(block))
        } else if py::PyByteArray_Check(block) != 0 {
            (py::PyByteArray_AsString(block), py::PyByteArray_Size(block))
        } else {
            return None;
        };
        let end = at.unsigned_abs().checked_add(numbers.size)?;
        (end <= length.unsigned_abs()).then(|| data.cast_const().add(at.unsigned_abs()))
    }
}

/// Fills the tuple with the numbers at this address, all of which are readable. Creating a number runs no other code.
unsafe fn filled(found: *mut PyObject, numbers: &Numbers, mut at: *const c_char) -> *mut PyObject {
    // SAFETY: the caller's promise; the tuple is new and takes over each number.
    unsafe {
        for (place, number) in numbers.fields.iter().enumerate() {
            let object = match number {
                Number::Byte => py::PyLong_FromLong(at.cast::<u8>().read().into()),
                Number::Signed => py::PyLong_FromLong(at.cast::<i32>().read_unaligned().into()),
                Number::Unsigned => py::PyLong_FromLongLong(at.cast::<u32>().read_unaligned().into()),
                Number::LongSigned => py::PyLong_FromLongLong(at.cast::<i64>().read_unaligned()),
                Number::LongUnsigned => py::PyLong_FromUnsignedLongLong(at.cast::<u64>().read_unaligned()),
            };
            if object.is_null() {
                py::Py_DecRef(found);
                return null_mut();
            }
            py::PyTuple_SetItem(found, place.cast_signed(), object);
            at = at.add(number.size());
        }
        found
    }
}
