//! Commands to the server: to scan folders, and to refresh what it shows of items.

use std::cmp::Reverse;

use super::call::Call;
use super::job::Synchronizer;
use crate::engine::LibraryRow;
use crate::error::Result;
use crate::matching::{Mappings, NormalPath, Relation};
use crate::model::Library;

/// The server's folder to scan for a path, as the server writes it, and the library that contains it. `None` if no library's
/// folder contains the path.
pub type ScanTarget = Option<(Vec<u8>, Library)>;

impl Synchronizer {
    /// Tells the server to refresh the metadata of items, or to analyze their files, with one request for each. Fails at
    /// the first failed request.
    pub fn refresh_items(&self, call: &Call<'_>, rating_keys: &[&str], analyzes: bool) -> Result<()> {
        self.check_accepts_commands(call, "refresh items", "cannot refresh items")?;
        rating_keys
            .iter()
            .try_for_each(|key| self.job(call, |job| job.source.refresh_item(key, analyzes, job.bounds)))
    }

    /// Fails if the call is offline, or if the source accepts no commands.
    fn check_accepts_commands(&self, call: &Call<'_>, action: &str, problem: &str) -> Result<()> {
        self.check_online(call, action)?;
        if self.capabilities().is_some_and(|can| can.scans) {
            return Ok(());
        }
        Err(self.reading.kind.unsupported(problem, "it accepts no requests"))
    }

    /// Tells the server to scan the folder of each path, with one request for each folder. A path that ends with a
    /// separator is a folder, and other paths are files. The mappings translate the paths. A path that no library's
    /// folder contains is left out, after a look at the server's current libraries. Fails at the first failed request.
    pub fn scan(&self, call: &Call<'_>, paths: &[&[u8]]) -> Result<Vec<ScanTarget>> {
        self.check_accepts_commands(call, "start a scan", "cannot scan folders")?;
        self.reading.catch_up(call.deadline)?;
        let find_all = || -> Vec<ScanTarget> {
            let snapshot = self.reading.snapshot();
            let find = |path: &&[u8]| {
                let found = scan_target(path, &snapshot.rows, &self.reading.mappings);
                found.map(|(folder, owners)| (folder, owners[0].library.clone()))
            };
            paths.iter().map(find).collect()
        };
        let mut scans = find_all();
        if scans.iter().any(Option::is_none) {
            self.probe(call, self.reading.snapshot().probed_at())?;
            self.reading.catch_up(call.deadline)?;
            scans = find_all();
        }
        let mut sent: Vec<(&[u8], &str)> = Vec::new();
        for (folder, library) in scans.iter().flatten() {
            if !sent.contains(&(folder, &library.section)) {
                self.job(call, |job| job.source.scan(&library.section, folder, job.bounds))?;
                sent.push((folder, &library.section));
            }
        }
        Ok(scans)
    }
}

/// Returns the server's folder to scan for a path, and the libraries that contain the folder, that with the deepest location
/// first: tries the path as it is, and then as each mapping rewrites it.
pub fn scan_target<'r>(
    path: &[u8],
    rows: &'r [LibraryRow],
    mappings: &Mappings,
) -> Option<(Vec<u8>, Vec<&'r LibraryRow>)> {
    let find = |raw: &[u8]| {
        let end = raw.iter().rposition(|byte| matches!(byte, b'/' | b'\\'))?;
        let folder = &raw[..end];
        let depth = |row: &LibraryRow| {
            let contains = |location: &&String| {
                let relation = NormalPath::with(folder, |folder| Relation::of(folder, location.as_bytes()));
                relation.is_equal || relation.is_under
            };
            let containing = row.library.locations.iter().filter(contains);
            containing.map(String::len).max()
        };
        let mut owners: Vec<_> = rows.iter().filter_map(|row| Some((depth(row)?, row))).collect();
        owners.sort_by_key(|(depth, _)| Reverse(*depth));
        let owners: Vec<&LibraryRow> = owners.into_iter().map(|(_, row)| row).collect();
        (!owners.is_empty()).then(|| (folder.to_vec(), owners))
    };
    find(path).or_else(|| NormalPath::with(path, |path| mappings.to_server(path, find)))
}
