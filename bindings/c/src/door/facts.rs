//! Facts, mappings and paths.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, done};
use crate::constants::PLEXINDEX_ABI_VERSION;
use plexindex::error::check_length;
use plexindex::inside::{ByteString, MAX_PATH, Normal, Relation, SQLITE_VERSION, named};
use plexindex::{LibraryInfo, Proposal, ServerInfo, StoreInfo};

/// Lists the libraries. Sends a request only when no library is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListLibraries {
    /// Sends no request: the list is empty when no library is known.
    #[serde(default)]
    offline: bool,
}

/// The libraries.
#[derive(Serialize, JsonSchema)]
pub struct Libraries {
    libraries: Vec<LibraryInfo>,
}

pub fn libraries(caller: &Caller<'_>, request: ListLibraries) -> Answered<Libraries> {
    let query = caller.query(caller.index()?.query(), request.offline)?;
    done(Libraries {
        libraries: query.libraries()?,
    })
}

/// Asks the server who it is and which libraries it shows, whatever the store has, to find out what is wrong. Takes two
/// requests, three at the first contact, and stores their answers. The first one carries no token, so UNAUTHORIZED says that
/// the server was reached.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckServer {}

pub fn server(caller: &Caller<'_>, _: CheckServer) -> Answered<ServerInfo> {
    done(caller.query(caller.index()?.query(), false)?.server()?)
}

/// Describes the place of the store. Tests locks on a file that it removes again. Sends no request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStore {}

pub fn store(caller: &Caller<'_>, _: GetStore) -> Answered<StoreInfo> {
    done(caller.index()?.store()?)
}

/// Gives the versions of this library. Needs no index: the handle may be NULL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetVersions {}

/// The versions.
#[derive(Serialize, JsonSchema)]
pub struct Versions {
    /// PLEXINDEX_ABI_VERSION of the header that the library was built with.
    abi: u32,
    /// Of this library, such as `0.1.0`.
    library: &'static str,
    /// Of the SQLite in it, such as `3.50.4`.
    sqlite: Cow<'static, str>,
}

pub fn versions(_: &Caller<'_>, _: GetVersions) -> Answered<Versions> {
    done(Versions {
        abi: PLEXINDEX_ABI_VERSION,
        library: env!("CARGO_PKG_VERSION"),
        sqlite: SQLITE_VERSION.to_string_lossy(),
    })
}

/// Proposes mappings that seem to be missing, the best first. Folders are given in full, also with
/// PLEXINDEX_OPEN_OBFUSCATE_PATHS. Sends no request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeMappings {
    /// Paths of this machine. Each proposal is tried on those that the proposals before it leave unlisted. At most five are
    /// given, and none for a few paths of many. Without paths the first 500 answers count that this handle found by the end
    /// of a path or by its file name.
    #[serde(default)]
    paths: Vec<ByteString>,
}

/// The proposals.
#[derive(Serialize, JsonSchema)]
pub struct Proposals {
    proposals: Vec<Proposal>,
}

pub fn propose(caller: &Caller<'_>, request: ProposeMappings) -> Answered<Proposals> {
    let index = caller.index()?;
    let proposals = if request.paths.is_empty() {
        index.proposals()
    } else {
        index.try_proposals(request.paths.into_iter().map(|path| named(path.0)))?
    };
    done(Proposals { proposals })
}

/// Names a path of the server as this machine has it, by the index's mappings; without one the path stays as it is. A mapping
/// of the kind PLEXINDEX_MAPPING_HOST_PATTERN works in the other direction only. Reads no file, and sends no request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapToHost {
    /// The path, as the server has it.
    path: ByteString,
}

/// The path.
#[derive(Serialize, JsonSchema)]
pub struct HostPath {
    /// As this machine has it.
    path: ByteString,
}

pub fn to_host(caller: &Caller<'_>, request: MapToHost) -> Answered<HostPath> {
    let path = caller.index()?.host_path(&request.path.0)?.into_owned();
    done(HostPath { path: ByteString(path) })
}

/// Compares one path with others as the index compares a path with those that Plex lists: case and the Unicode form do not
/// count, and `\` separates components in paths that begin like those of Windows. Needs no index: the handle may be NULL.
/// Reads no file, and sends no request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparePaths {
    /// The path.
    path: ByteString,
    /// The others.
    others: Vec<ByteString>,
}

/// How the path relates to each of the others, in order.
#[derive(Serialize, JsonSchema)]
pub struct PathRelations {
    relations: Vec<PathRelation>,
}

/// How a path relates to another.
#[derive(Serialize, JsonSchema)]
pub struct PathRelation {
    /// The two have the same components.
    equal: bool,
    /// The path lies under the other one, which is a folder then.
    under: bool,
    /// How many components agree, from the end.
    common: usize,
}

pub fn compare(_: &Caller<'_>, request: ComparePaths) -> Answered<PathRelations> {
    let ComparePaths { path, others } = request;
    check_length("path", path.0.len(), MAX_PATH)?;
    for other in &others {
        check_length("a path of others", other.0.len(), MAX_PATH)?;
    }
    let relations = Normal::with(&path.0, |path| {
        let relation = |other: &ByteString| {
            let Relation { equal, under, common } = Relation::of(path, &other.0);
            PathRelation { equal, under, common }
        };
        others.iter().map(relation).collect()
    });
    done(PathRelations { relations })
}
