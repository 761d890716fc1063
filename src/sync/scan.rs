//! Tells the server to scan folders.

use super::call::Call;
use super::job::Synchronizer;
use crate::engine::LibraryRow;
use crate::error::Result;
use crate::matching::{Mappings, NormalPath, Relation};
use crate::model::Library;

/// What became of a path in [`Query::scan`](crate::Query::scan).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// The server's folder that the server was told to scan, as the server writes it, and the library that contains it.
    /// `None` if no library's folder contains the path.
    pub target: Option<(Vec<u8>, Library)>,
}

impl Synchronizer {
    /// Tells the server to scan the folder of each path, with one request for each folder. A path that ends with a
    /// separator is a folder, and other paths are files. The mappings translate the paths. A path that no library's
    /// folder contains is left out, after a look at the server's current libraries. Fails at the first failed request.
    pub fn scan(&self, call: &Call<'_>, paths: &[&[u8]]) -> Result<Vec<Scan>> {
        self.check_online(call, "start a scan")?;
        if !self.capabilities().is_some_and(|can| can.scans) {
            let kind = self.reading.kind();
            return Err(kind.unsupported("cannot scan folders", "it accepts no requests"));
        }
        self.reading.catch_up(call.deadline)?;
        let find_all = || -> Vec<Scan> {
            let snapshot = self.reading.snapshot();
            let find = |path: &&[u8]| scan_target(path, &snapshot.rows, self.reading.mappings());
            paths.iter().map(|path| Scan { target: find(path) }).collect()
        };
        let mut scans = find_all();
        if scans.iter().any(|scan| scan.target.is_none()) {
            self.probe(call, self.reading.snapshot().probed_at())?;
            self.reading.catch_up(call.deadline)?;
            scans = find_all();
        }
        let mut sent: Vec<(&[u8], &str)> = Vec::new();
        for (folder, library) in scans.iter().filter_map(|scan| scan.target.as_ref()) {
            if !sent.contains(&(folder, &library.section)) {
                self.job(call, |job| job.source.scan(&library.section, folder, job.bounds))?;
                sent.push((folder, &library.section));
            }
        }
        Ok(scans)
    }
}

/// Returns the server's folder to scan for a path, and the first library that contains the folder: tries the path as it
/// is, and then as each mapping rewrites it.
fn scan_target(path: &[u8], rows: &[LibraryRow], mappings: &Mappings) -> Option<(Vec<u8>, Library)> {
    let find = |raw: &[u8]| {
        let end = raw.iter().rposition(|byte| matches!(byte, b'/' | b'\\'))?;
        let folder = &raw[..end];
        let contains = |row: &&LibraryRow| {
            row.library.locations.iter().any(|location| {
                let relation = NormalPath::with(folder, |folder| Relation::of(folder, location.as_bytes()));
                relation.is_equal || relation.is_under
            })
        };
        let row = rows.iter().find(contains)?;
        Some((folder.to_vec(), row.library.clone()))
    };
    find(path).or_else(|| NormalPath::with(path, |path| mappings.to_server(path, find)))
}
