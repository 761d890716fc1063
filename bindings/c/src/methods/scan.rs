//! The method `server.scan`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, ok_answer};
use plexindex::inside::{ByteString, Scan};

/// Tells the server to scan the folder of each path, with one request for each folder. The mappings translate the paths.
/// The server scans later: wait for the files with `match` and `check`. Refuses a path that no library's folder contains.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanFolders {
    /// Paths of files on this machine or on the server. A path that ends with a separator is a folder.
    paths: Vec<ByteString>,
}

#[derive(Serialize, JsonSchema)]
pub struct ScannedFolders {
    /// One entry per path, in order.
    paths: Vec<ScannedPath>,
}

#[derive(Default, Serialize, JsonSchema)]
pub struct ScannedPath {
    /// The folder that the server scans, as the server writes it; absent if the path was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<ByteString>,
    /// Title of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<String>,
    /// Section id of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    /// Why the path was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Runs `server.scan`: starts scans of folders on the server.
pub fn scan(caller: &Caller<'_>, request: ScanFolders) -> MethodResult<ScannedFolders> {
    let paths: Vec<&[u8]> = request.paths.iter().map(|path| path.0.as_slice()).collect();
    let scans = caller.query(caller.index()?.query(), false)?.scan(&paths)?;
    let refused = "no library has a folder that contains the path: correct the path, or add a mapping";
    let entry = |scan: Scan| match scan.target {
        Some((folder, library)) => ScannedPath {
            folder: Some(ByteString(folder)),
            library: Some(library.title),
            section: Some(library.section),
            message: None,
        },
        None => ScannedPath {
            message: Some(refused.to_owned()),
            ..ScannedPath::default()
        },
    };
    ok_answer(ScannedFolders {
        paths: scans.into_iter().map(entry).collect(),
    })
}
