//! Translates paths between hosts. Each host can have a different path for a file, so shared rows have the server's path:
//! the path that a mapping gives, or an unchanged path in one of the library's folders. Other paths are not shared, since
//! they may belong to different files on other hosts.

use std::borrow::Cow;

use crate::matching::{NormalPath, lies_under, normal_form};
use crate::model::Library;
use crate::sync::IndexReader;

/// Translates a path on this host to the server's path; `None` if the path cannot be shared.
pub fn to_server_path(reading: &IndexReader, library: &Library, path: &[u8]) -> Option<Vec<u8>> {
    let mapped = |path: &NormalPath<'_>| reading.mappings().to_server(path, |mapped| Some(mapped.to_vec()));
    let server_path = NormalPath::with(path, mapped).or_else(|| is_in_library(library, path).then(|| path.to_vec()))?;
    // What another host takes back must reach the path that this host recorded.
    (*reading.mappings().host_path(&server_path) == *path).then_some(server_path)
}

/// Translates the server's path to this host's path; `None` if this host cannot have the file.
pub fn to_host_path<'p>(reading: &IndexReader, library: &Library, path: &'p [u8]) -> Option<Cow<'p, [u8]>> {
    let host_path = reading.mappings().host_path(path);
    (*host_path != *path || is_in_library(library, path)).then_some(host_path)
}

/// Returns whether a server path lies in one of the library's folders.
fn is_in_library(library: &Library, path: &[u8]) -> bool {
    NormalPath::with(path, |path| {
        library.locations.iter().any(|folder| {
            let folder = folder.as_bytes();
            // Compare a path that is not UTF-8 byte by byte.
            if path.is_utf8() {
                lies_under(path.form(), &normal_form(folder))
            } else {
                lies_under(path.form(), folder)
            }
        })
    })
}
