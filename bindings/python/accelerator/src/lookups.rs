//! Lookups in one library, and of values in a host's tables, for the drop-in's cache of matches.

use std::mem::MaybeUninit;

use super::*;

/// `PLEXINDEX_QUERY_AT_ONCE`: the call does not wait, so Python's lock is kept and the index cannot be closed
/// meanwhile.
const AT_ONCE: u32 = 4;
// Statuses of the C ABI. Those from FIRST_ERROR on are errors.
const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const NOT_YET: i32 = 3;
const FIRST_ERROR: i32 = 100;
/// Size of the buffer for answers in words of eight bytes; enough for usual answers.
const BUFFER_WORDS: usize = 2048;
/// Number of paths per call: their keys usually fit into the buffer, and their data stays in the processor's caches.
const PATHS_PER_CALL: usize = 256;

/// Fast lookups in one library, or in all libraries.
#[pyclass(subclass, frozen, module = "plexindex._fast")]
pub struct Lookups {
    /// The handles of the index and of the library.
    handles: OnceLock<(Cell, Cell)>,
}

#[pymethods]
impl Lookups {
    #[new]
    #[pyo3(signature = (*_arguments, **_options))]
    fn new(_arguments: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            handles: OnceLock::new(),
        }
    }

    /// Sets the handles.
    fn _bind(&self, index: &Bound<'_, PyAny>, library: &Bound<'_, PyAny>) -> PyResult<()> {
        let handles = (Cell::new(index)?, Cell::new(library)?);
        self.handles.get_or_init(|| handles);
        Ok(())
    }

    /// Returns the key of the item with this path, if a fast lookup knows it.
    fn lookup_key<'py>(slf: &Bound<'py, Self>, path: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let (Some(functions), Some(path), Some(library)) = (FUNCTIONS.get(), text(path), slf.get().library()) {
            // SAFETY: the handle is open. The key is copied before the next lookup.
            let key = unsafe { str_or_none(py, (functions.lookup_key)(library, path.as_ptr())) }?;
            return Ok(key.map_or_else(|| py.None().into_bound(py), Bound::into_any));
        }
        slf.call_method1(intern!(py, "_lookup_key"), (path,))
    }

    /// Returns the keys of a list of paths, in their order.
    fn lookup_keys<'py>(slf: &Bound<'py, Self>, paths: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Ok(list) = paths.cast_exact::<PyList>()
            && let Some(keys) = slf.get().keys_of(list)?
        {
            return Ok(keys.into_any());
        }
        slf.call_method1(intern!(py, "_lookup_keys"), (paths,))
    }

    /// Returns the block of the answer for a path, unless the call would have to wait.
    fn _match_at_once<'py>(&self, path: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
        let text = text(path)?;
        let (functions, index, library) = (FUNCTIONS.get()?, self.handles.get()?.0.handle()?, self.library()?);
        let mut memory = [const { MaybeUninit::<u64>::uninit() }; BUFFER_WORDS];
        let mut buffer = Buffer::over(memory.as_mut_ptr().cast(), size_of_val(&memory));
        let query = Query {
            size: size_of::<Query>(),
            library,
            text: text.as_ptr(),
            length: text.count_bytes(),
            flags: AT_ONCE,
            // SAFETY: zeros are the defaults.
            ..unsafe { std::mem::zeroed() }
        };
        // SAFETY: the handles are open, and nothing else uses the buffer.
        let status = unsafe { (functions.match_path)(index, &raw const query, &raw mut buffer, null_mut()) };
        if status == NOT_YET || !(0..FIRST_ERROR).contains(&status) || buffer.length > buffer.capacity {
            return None;
        }
        // SAFETY: the library has written so many bytes.
        let block = unsafe { std::slice::from_raw_parts(buffer.data.cast::<u8>(), buffer.length) };
        Some(PyBytes::new(path.py(), block))
    }
}

impl Lookups {
    /// Returns the library's handle, unless the index is closed.
    fn library(&self) -> Option<*const c_void> {
        self.handles.get()?.1.handle()
    }

    /// Returns the keys of these paths, unless only the method in Python can answer.
    fn keys_of<'py>(&self, paths: &Bound<'py, PyList>) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = paths.py();
        let found = PyList::empty(py);
        let (mut batch, mut keys) = (Vec::new(), vec![0; BUFFER_WORDS]);
        let mut begin = 0;
        while begin < paths.len() {
            let end = paths.len().min(begin + PATHS_PER_CALL);
            batch.clear();
            for place in begin..end {
                // A finalizer may have shortened the list.
                let Ok(path) = paths.get_item(place) else {
                    return Ok(None);
                };
                let Some(path) = text(&path) else { return Ok(None) };
                batch.extend_from_slice(path.to_bytes_with_nul());
            }
            let Some(mut rest) = self.look_up(&batch, end - begin, &mut keys) else {
                return Ok(None);
            };
            for _ in begin..end {
                let Ok(key) = CStr::from_bytes_until_nul(rest) else {
                    return Ok(None);
                };
                rest = &rest[key.count_bytes() + 1..];
                let key = (!key.is_empty()).then(|| PyString::from_bytes(py, key.to_bytes()));
                found.append(key.transpose()?)?;
            }
            // With another number of keys, keys would be assigned to other paths.
            if !rest.is_empty() {
                return Ok(None);
            }
            begin = end;
        }
        Ok(Some(found))
    }

    /// Writes the keys of these paths into `keys`, which grows if needed. Returns the keys, each with a NUL.
    fn look_up<'a>(&self, paths: &[u8], count: usize, keys: &'a mut Vec<u64>) -> Option<&'a [u8]> {
        loop {
            let mut buffer = Buffer::over(keys.as_mut_ptr().cast(), size_of_val(keys.as_slice()));
            let (library, start) = (self.library()?, paths.as_ptr().cast());
            // SAFETY: the handle is open.
            let status = unsafe {
                (FUNCTIONS.get()?.lookup_keys)(library, start, paths.len(), count, &raw mut buffer, null_mut())
            };
            if status == 0 {
                // SAFETY: the library has written so many bytes into `keys`.
                return Some(unsafe { std::slice::from_raw_parts(buffer.data.cast(), buffer.length) });
            }
            if buffer.length <= buffer.capacity {
                return None;
            }
            keys.resize(buffer.length.div_ceil(size_of::<u64>()), 0);
        }
    }
}

/// Lookups in the tables of one store.
#[pyclass(subclass, frozen, module = "plexindex._fast")]
pub struct MatchLookup {
    /// Maps the names of libraries to `bytearray`s with the handles of their tables.
    handles: Py<PyDict>,
}

#[pymethods]
impl MatchLookup {
    #[new]
    fn new(handles: Bound<'_, PyDict>) -> Self {
        let handles = handles.unbind();
        Self { handles }
    }

    /// Returns the key that was recorded for a path, or None.
    fn get_match<'py>(
        slf: &Bound<'py, Self>,
        library_name: &Bound<'py, PyAny>,
        file_path: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some((status, key)) = slf.get().look_up(library_name, file_path)
            && (status == OK || (status == NOT_FOUND && file_path.is_exact_instance_of::<PyString>()))
        {
            // SAFETY: the key is copied before the next lookup.
            let key = unsafe { str_or_none(py, key) }?;
            return Ok(key.map_or_else(|| py.None().into_bound(py), Bound::into_any));
        }
        slf.call_method1(intern!(py, "_get_match"), (library_name, file_path))
    }
}

impl MatchLookup {
    /// Looks up the key of a path. Returns the status; `None` if only the method in Python can answer.
    fn look_up(&self, library: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> Option<(i32, *const c_char)> {
        let name = text(path)?;
        if name.to_bytes().is_ascii() {
            // The library lower-cases ASCII itself.
            return self.look_up_name(library, name);
        }
        // A `str` of another class may lower-case itself otherwise.
        let lowered = path.cast_exact::<PyString>().ok()?;
        let lowered = lowered.call_method0(intern!(path.py(), "lower")).ok()?;
        self.look_up_name(library, text(&lowered)?)
    }

    fn look_up_name(&self, library: &Bound<'_, PyAny>, name: &CStr) -> Option<(i32, *const c_char)> {
        // Only `str` itself has no code of its own for hashes and comparisons.
        let library = library.cast_exact::<PyString>().ok()?;
        let cell = Cell::new(&self.handles.bind(library.py()).get_item(library).ok()??).ok()?;
        let (table, mut key) = (cell.handle()?, null());
        // SAFETY: the handle is open. Nothing runs between reading the handle and the lookup.
        let status = unsafe { (FUNCTIONS.get()?.table_lookup)(table, name.as_ptr(), &raw mut key) };
        Some((status, key))
    }
}
