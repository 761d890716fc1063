//! Methods for libraries, the server, the store, versions, mappings and paths, and scans of folders.

use std::borrow::Cow;

use plexindex::error::{Result, check_length};
use plexindex::inside::{
    ByteString, MAX_PATH, Mappings, NormalPath, Relation, SQLITE_VERSION, ScanTarget, path_from_bytes,
};
use plexindex::{LibraryInfo, Mapping, MappingKind, Pattern, Proposal, ServerInfo, StoreInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, Nothing, ok_answer};
use crate::constants::PLEXINDEX_ABI_VERSION;
use crate::log_ring;
use crate::strings::decode_utf8;

/// Lists the libraries. Asks the server only if the store contains no libraries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListLibraries {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Libraries {
    libraries: Vec<LibraryInfo>,
}

/// Runs `libraries.list`: returns one library or all libraries.
pub fn libraries(caller: &Caller<'_>, request: ListLibraries) -> MethodResult<Libraries> {
    let library = caller.library(request.library)?;
    ok_answer(Libraries {
        libraries: caller.query(library.query(), request.offline)?.libraries()?,
    })
}

/// Asks the server for its identity and libraries, even if the store has them, and stores the replies. Sends two
/// requests, or three on first contact. The first has no token, so UNAUTHORIZED means that the server is reachable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckServer {}

/// Runs `server.check`: asks the server for its identity and libraries, to test the connection.
pub fn server(caller: &Caller<'_>, _: CheckServer) -> MethodResult<ServerInfo> {
    ok_answer(caller.query(caller.index()?.query(), false)?.server()?)
}

/// Describes the store's folder, and tests file locks with a temporary file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStore {}

/// Runs `store.get`: describes the store's folder.
pub fn store(caller: &Caller<'_>, _: GetStore) -> MethodResult<StoreInfo> {
    ok_answer(caller.index()?.store()?)
}

/// Changes plexindex_open()'s `log_level`. The handle may be NULL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// PLEXINDEX_LOG_*.
    level: i32,
}

/// Runs `log.set_level`: changes which lines are kept for plexindex_drain_log(). Works without an open index.
pub fn set_log_level(_: &Caller<'_>, request: SetLogLevel) -> MethodResult<Nothing> {
    log_ring::install(log_ring::parse_level(request.level)?);
    ok_answer(Nothing {})
}

/// Returns the versions of the ABI, this library and SQLite. The handle may be NULL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetVersions {}

#[derive(Serialize, JsonSchema)]
pub struct Versions {
    /// The library's PLEXINDEX_ABI_VERSION.
    abi: u32,
    /// The library's version, such as `0.1.0`.
    library: &'static str,
    /// SQLite's version, such as `3.50.4`.
    sqlite: Cow<'static, str>,
}

/// Runs `versions`: returns the versions of this library and of SQLite.
pub fn versions(_: &Caller<'_>, _: GetVersions) -> MethodResult<Versions> {
    ok_answer(Versions {
        abi: PLEXINDEX_ABI_VERSION,
        library: env!("CARGO_PKG_VERSION"),
        sqlite: SQLITE_VERSION.to_string_lossy(),
    })
}

/// Proposes mappings that seem to be missing, best first. The proposals contain full paths even with
/// PLEXINDEX_OPEN_OBFUSCATE_PATHS.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeMappings {
    /// Paths on this machine; by default, those of this handle's first 500 answers that matched by suffix or file name.
    /// The answer has at most five proposals, and none that helps only a few of many paths.
    #[serde(default)]
    paths: Vec<ByteString>,
}

#[derive(Serialize, JsonSchema)]
pub struct Proposals {
    proposals: Vec<Proposal>,
}

/// Runs `mappings.propose`: proposes missing mappings, best first, from the given paths, or else from earlier answers.
pub fn propose(caller: &Caller<'_>, request: ProposeMappings) -> MethodResult<Proposals> {
    let index = caller.index()?;
    let proposals = if request.paths.is_empty() {
        index.proposals()
    } else {
        index.try_proposals(request.paths.into_iter().map(|path| path_from_bytes(path.0)))?
    };
    ok_answer(Proposals { proposals })
}

/// Converts a path on the server to a path on this machine, with the index's mappings. A path that no mapping covers is
/// returned unchanged. PLEXINDEX_MAPPING_HOST_PATTERN works only in the opposite direction.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapToHost {
    /// The server's path.
    path: ByteString,
}

#[derive(Serialize, JsonSchema)]
pub struct HostPath {
    /// The path on this machine.
    path: ByteString,
}

/// Runs `mappings.to_host`: converts a path on the server to a path on this machine.
pub fn to_host(caller: &Caller<'_>, request: MapToHost) -> MethodResult<HostPath> {
    let path = caller.index()?.host_path(&request.path.0)?.into_owned();
    ok_answer(HostPath { path: ByteString(path) })
}

/// Converts paths on this machine to paths on the server, with the index's mappings or with others. With `mappings`, the
/// handle may be NULL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapToServer {
    /// Paths on this machine.
    paths: Vec<ByteString>,
    /// Mappings of host folders, instead of the index's.
    mappings: Option<Vec<HostMapping>>,
}

/// A mapping from the host's paths to the server's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostMapping {
    /// The host's folder, or a regular expression.
    from: ByteString,
    /// The server's folder, or the replacement.
    to: ByteString,
    /// Whether `from` is a regular expression.
    #[serde(default)]
    pattern: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct ServerPaths {
    /// For each of the request's paths, the server's path according to each mapping that covers it, in order.
    paths: Vec<Vec<ByteString>>,
}

/// Runs `mappings.to_server`: converts paths on this machine to paths on the server.
pub fn to_server(caller: &Caller<'_>, request: MapToServer) -> MethodResult<ServerPaths> {
    let mappings = request.mappings.map(|rules| -> Result<Mappings> {
        let rules: Result<Vec<Mapping>> = rules.into_iter().map(HostMapping::into_mapping).collect();
        Mappings::new(&rules?)
    });
    let mappings = mappings.transpose()?;
    let paths = request.paths.into_iter().map(|path| {
        check_length("path", path.0.len(), MAX_PATH)?;
        let found = match &mappings {
            Some(mappings) => mappings.server_paths(&path.0),
            None => caller.index()?.server_paths(&path.0)?,
        };
        Ok(found.into_iter().map(ByteString).collect())
    });
    ok_answer(ServerPaths {
        paths: paths.collect::<Result<_>>()?,
    })
}

impl HostMapping {
    fn into_mapping(self) -> Result<Mapping> {
        let mut mapping = Mapping::pattern(MappingKind::HostToServer, "", self.to.0);
        mapping.from = if self.pattern {
            Pattern::Regex(decode_utf8(&self.from.0, "mappings.from")?.to_owned())
        } else {
            Pattern::Prefix(self.from.0)
        };
        Ok(mapping)
    }
}

/// Compares a path with other paths, ignoring case and Unicode normalisation. In paths that start like Windows paths,
/// `\` also separates components. The handle may be NULL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparePaths {
    path: ByteString,
    /// Paths to compare with `path`.
    others: Vec<ByteString>,
}

#[derive(Serialize, JsonSchema)]
pub struct PathRelations {
    /// One relation per path in `others`, in order.
    relations: Vec<Relation>,
}

/// Runs `paths.compare`: compares a path with each of `others`, by their normal forms. Works without an open index.
pub fn compare(_: &Caller<'_>, request: ComparePaths) -> MethodResult<PathRelations> {
    let ComparePaths { path, others } = request;
    check_length("path", path.0.len(), MAX_PATH)?;
    for other in &others {
        check_length("a path of others", other.0.len(), MAX_PATH)?;
    }
    let relations = NormalPath::with(&path.0, |path| {
        others.iter().map(|other| Relation::of(path, &other.0)).collect()
    });
    ok_answer(PathRelations { relations })
}

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
    let entry = |scan: ScanTarget| match scan {
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
