//! Orders elements of the same hash by their components from the end. The input is sorted by hash. Most hashes are
//! unique, so few elements are compared.

use std::io;
use std::path::{Path, PathBuf};

use super::sorter::KeySorter;
use crate::matching::Form;

/// An element: two numbers.
pub type Element = [u32; 2];

/// Receives the sorted elements.
type Write<'w> = dyn FnMut(Element) -> io::Result<()> + 'w;

/// Groups elements by hash. `form` reads the form of an element's entry, and returns how many of its components count.
pub struct SuffixGroups<F> {
    place: PathBuf,
    form: F,
    /// Hash, entry and element of the last call. The next element may belong to the same group.
    last: Option<(u32, u32, Element)>,
    group: Option<KeySorter>,
    bytes: Vec<u8>,
    key: Vec<u8>,
}

impl<F: FnMut(u32, &Element, &mut Vec<u8>) -> io::Result<usize>> SuffixGroups<F> {
    /// Creates the groups. `place`: a path beside which large groups create temporary files.
    pub fn new(place: &Path, form: F) -> Self {
        Self {
            place: place.to_path_buf(),
            form,
            last: None,
            group: None,
            bytes: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Adds an element, whose hash must not be lower than that of the element before. Passes the elements of a complete
    /// group to `write`.
    pub fn put(&mut self, hash: u32, entry: u32, element: Element, write: &mut Write<'_>) -> io::Result<()> {
        let Some((last_hash, last_entry, last_element)) = self.last.replace((hash, entry, element)) else {
            return Ok(());
        };
        if last_hash == hash || self.group.is_some() {
            self.join(last_entry, last_element)?;
        } else {
            write(last_element)?;
        }
        if last_hash != hash {
            self.end_group(write)?;
        }
        Ok(())
    }

    /// Writes the last group.
    pub fn end(mut self, write: &mut Write<'_>) -> io::Result<()> {
        if let Some((_, entry, element)) = self.last.take() {
            if self.group.is_none() {
                return write(element);
            }
            self.join(entry, element)?;
        }
        self.end_group(write)
    }

    /// Adds an element to the group of its hash.
    fn join(&mut self, entry: u32, element: Element) -> io::Result<()> {
        let count = (self.form)(entry, &element, &mut self.bytes)?;
        suffix_key(Form::from_folded(&self.bytes), count, &mut self.key);
        let group = self.group.get_or_insert_with(|| KeySorter::new(&self.place));
        // Equal components are ordered by the second number.
        group.push(&self.key, [element[1], element[0], 0, 0])
    }

    /// Passes the elements of the group to `write` in order, if there is a group.
    fn end_group(&mut self, write: &mut Write<'_>) -> io::Result<()> {
        match self.group.take() {
            Some(group) => group.sorted(|_, [second, first, ..]| write([first, second])),
            None => Ok(()),
        }
    }
}

/// Writes to `key` a sort key of the first `count` components of a path, the last of them first, so that shorter paths
/// come first. The key of a folder leaves out the components below the folder.
fn suffix_key(form: Form<'_>, count: usize, key: &mut Vec<u8>) {
    key.clear();
    let skipped = form.rev_components().count().saturating_sub(count);
    for component in form.rev_components().skip(skipped) {
        if !key.is_empty() {
            key.push(0);
        }
        // Zero separates components, so it is escaped.
        for byte in component.folded() {
            match byte {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                byte => key.push(byte),
            }
        }
    }
}
