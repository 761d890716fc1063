//! Values of a host's tables, for the drop-in's cache of matches.

use super::*;

// Statuses of the C ABI.
const OK: i32 = 0;
const NOT_FOUND: i32 = 1;

/// Lookups in the tables of one store.
#[pyclass(subclass, frozen, module = "plexindex._fast")]
pub struct MatchLookup {
    /// Maps the names of libraries to `bytearray`s with the handles of their tables.
    handles: Py<PyDict>,
    /// The counters of hits and misses, in a `bytearray`.
    counts: Cell,
}

#[pymethods]
impl MatchLookup {
    #[new]
    fn new(handles: Bound<'_, PyDict>, counts: &Bound<'_, PyByteArray>) -> PyResult<Self> {
        let (handles, counts) = (handles.unbind(), Cell::new(counts)?);
        Ok(Self { handles, counts })
    }

    /// Returns the key that was recorded for a path, or None.
    fn get_match<'py>(
        slf: &Bound<'py, Self>,
        library_name: &Bound<'py, PyAny>,
        file_path: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some((status, key)) = slf.get().look_up(library_name, file_path) {
            let is_missing = status == NOT_FOUND && file_path.is_exact_instance_of::<PyString>();
            if status == OK || is_missing {
                // SAFETY: the memory has two counters, which Python's lock protects.
                unsafe { *slf.get().counts.memory.as_ptr().cast::<u64>().add(is_missing.into()) += 1 };
                // SAFETY: the key is copied before the next lookup.
                let key = unsafe { str_or_none(py, key) }?;
                return Ok(key.map_or_else(|| py.None().into_bound(py), Bound::into_any));
            }
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
