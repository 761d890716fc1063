//! Sorts elements with equal hashes by their paths' components, last component first, so that paths with the same last
//! components are adjacent. The input is sorted by hash. Most hashes are unique, so few elements are compared.

use std::io;
use std::path::{Path, PathBuf};

use super::sorter::KeySorter;
use crate::matching::Form;

/// An element of the array to sort: two numbers.
pub type Element = [u32; 2];

/// A function that receives the sorted elements.
type Write<'w> = dyn FnMut(Element) -> io::Result<()> + 'w;

/// Sorts elements in groups with equal hashes. `form` reads the normal form of an element's entry into its last
/// argument, and returns the number of leading components to compare.
pub struct SuffixGroups<F> {
    place: PathBuf,
    form: F,
    /// Hash, entry and element from the previous call. The next element may belong to the same group.
    last: Option<(u32, u32, Element)>,
    /// The elements of the current group, if it has several.
    group: Option<KeySorter>,
    bytes: Vec<u8>,
    key: Vec<u8>,
}

impl<F: FnMut(u32, &Element, &mut Vec<u8>) -> io::Result<usize>> SuffixGroups<F> {
    /// Creates a sorter. Large groups use temporary files beside `place`.
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

    /// Adds an element, whose order depends on `hash` and then on the path of `entry`. Elements must come in ascending
    /// order of their hashes. When an element with a greater hash arrives, passes the previous group to `write`.
    pub fn put(&mut self, hash: u32, entry: u32, element: Element, write: &mut Write<'_>) -> io::Result<()> {
        let Some((last_hash, last_entry, last_element)) = self.last.replace((hash, entry, element)) else {
            return Ok(());
        };
        // An element whose hash differs from both neighbours' hashes needs no sorting.
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

    /// Ends the input: passes the last group to `write`, or the last element if no other element has its hash.
    pub fn finish(mut self, write: &mut Write<'_>) -> io::Result<()> {
        if let Some((_, entry, element)) = self.last.take() {
            if self.group.is_none() {
                return write(element);
            }
            self.join(entry, element)?;
        }
        self.end_group(write)
    }

    /// Adds an element to the current group; starts a group if there is none.
    fn join(&mut self, entry: u32, element: Element) -> io::Result<()> {
        let leading_components = (self.form)(entry, &element, &mut self.bytes)?;
        suffix_key(Form::from_folded(&self.bytes), leading_components, &mut self.key);
        let group = self.group.get_or_insert_with(|| KeySorter::new(&self.place));
        // Elements with equal components are sorted by their second number.
        group.push(&self.key, [element[1], element[0], 0, 0])
    }

    /// Passes the elements of the current group, if there is one, to `write` in order.
    fn end_group(&mut self, write: &mut Write<'_>) -> io::Result<()> {
        match self.group.take() {
            Some(group) => group.for_each_sorted(|_, [second, first, ..]| write([first, second])),
            None => Ok(()),
        }
    }
}

/// Writes a sort key to `key`: the path's first `leading_components` components, last component first. So paths with
/// the same last components are adjacent, and shorter paths come first. For a folder, `form` is a path below the
/// folder, and `leading_components` is the folder's number of components.
fn suffix_key(form: Form<'_>, leading_components: usize, key: &mut Vec<u8>) {
    key.clear();
    let skipped = form.rev_components().count().saturating_sub(leading_components);
    for component in form.rev_components().skip(skipped) {
        if !key.is_empty() {
            key.push(0);
        }
        // A zero byte separates components, so zero bytes in a component are escaped with a one, and ones too.
        for byte in component.folded() {
            match byte {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                byte => key.push(byte),
            }
        }
    }
}
