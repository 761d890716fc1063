//! Translates between this host's paths and the server's.
//!
//! Each host can have a different path for a file, so shared rows have the server's path. A path is shared only if it
//! translates to one path, and that path back to it, or to a spelling that never names another file: otherwise what another host corrects or takes back would not reach
//! this host's record, or would reach the record of another file.

use crate::matching::{Mappings, NormalPath, PathShape, lies_under, normal_form, one_spelling};
use crate::options::{Mapping, MappingKind, Pattern};

/// The version of these rules. A host that used other ones reads and offers everything again.
pub const RULES: u32 = 3;

/// The mappings of an index, of which each rule for a folder counts in both directions.
pub struct Translation {
    mappings: Mappings,
    /// The host-to-server rules, and the inverted server-to-host rules for folders, each with what it replaces.
    to_server: Vec<(Pattern, Mappings)>,
}

impl Translation {
    /// `mappings`: the compiled `rules`.
    pub fn new(mappings: Mappings, rules: &[Mapping]) -> Self {
        let to_server = rules.iter().filter_map(|rule| {
            let mut rule = rule.clone();
            if rule.kind == MappingKind::ServerToHost {
                let Pattern::Prefix(from) = &mut rule.from else {
                    return None;
                };
                std::mem::swap(from, &mut rule.to);
                rule.kind = MappingKind::HostToServer;
            }
            let from = match &rule.from {
                Pattern::Prefix(folder) => Pattern::Prefix(normal_form(folder)),
                pattern => pattern.clone(),
            };
            // What is a valid folder of a rule is one in both directions.
            Some((from, Mappings::new(&[rule]).ok()?))
        });
        Self {
            mappings,
            to_server: to_server.collect(),
        }
    }

    /// Translates a path on this host to the server's path; `None` if the path cannot be shared. `folders`: of its library.
    pub fn to_server(&self, folders: &[String], path: &[u8]) -> Option<Vec<u8>> {
        let translate = |(from, rule): &(Pattern, Mappings)| Some((Some(from.clone()), rule.server_paths(path).pop()?));
        let mut found: Vec<_> = self.to_server.iter().filter_map(translate).collect();
        if found.is_empty() && is_in_folder(folders, path) {
            found.push((None, path.to_vec())); // elsewhere, it may be another file on another host
        }
        for (_, path) in &mut found {
            *path = one_spelling(path);
        }
        if found.iter().any(|(_, path)| is_in_folder(folders, path)) {
            found.retain(|(_, path)| is_in_folder(folders, path));
        }
        // Of several rules for one folder, the first counts. Of two folders, one in the other, nobody knows which counts.
        let ((from, server_path), others) = found.split_first()?;
        let form = normal_form(server_path);
        let is_only = others
            .iter()
            .all(|(other, path)| other == from || normal_form(path) == form);
        let is_same = NormalPath::with(path, |path| path.has_spelling(&self.host_path(server_path)));
        (is_only && is_same).then(|| server_path.clone())
    }

    /// Translates the server's path to this host's path; `None` if this host cannot have the file, or if the path that it
    /// would deliver is another one, since several of the server's folders can be one folder here.
    pub fn to_host(&self, folders: &[String], path: &[u8]) -> Option<Vec<u8>> {
        let host_path = self.host_path(path);
        let back = self.to_server(folders, &host_path)?;
        (normal_form(&back) == normal_form(path)).then_some(host_path)
    }

    fn host_path(&self, path: &[u8]) -> Vec<u8> {
        let mut path = self.mappings.host_path(path).into_owned();
        // As the host's folder is spelled.
        let first = path.iter().copied().find(|byte| matches!(byte, b'/' | b'\\'));
        separate(&mut path, first.unwrap_or(b'\\'));
        path
    }
}

/// Spells a Windows path with one kind of separator: a mapping leaves those below its folder as they are.
fn separate(path: &mut [u8], separator: u8) {
    if PathShape::of(path).windows {
        let separators = path.iter_mut().filter(|byte| matches!(byte, b'/' | b'\\'));
        separators.for_each(|byte| *byte = separator);
    }
}

/// Returns whether a server path lies in one of a library's folders.
fn is_in_folder(folders: &[String], path: &[u8]) -> bool {
    NormalPath::with(path, |path| {
        folders.iter().any(|folder| {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn to_server(from: &str, to: &str) -> Mapping {
        Mapping::host_to_server(from, to)
    }

    fn to_host(from: &str, to: &str) -> Mapping {
        Mapping::server_to_host(from, to)
    }

    /// Returns the server's path of a host's path, and the host's path of a server's path.
    fn both(rules: &[Mapping], folders: &[&str], host: &str, server: &str) -> [Option<String>; 2] {
        let translation = Translation::new(Mappings::new(rules).expect("valid"), rules);
        let folders: Vec<String> = folders.iter().copied().map(str::to_owned).collect();
        let to_server = translation.to_server(&folders, host.as_bytes());
        let to_host = translation.to_host(&folders, server.as_bytes());
        [to_server, to_host].map(|path| path.map(|path| String::from_utf8(path).expect("text")))
    }

    #[test]
    fn a_path_translates_there_and_back() {
        let disks = [
            Mapping::pattern(MappingKind::HostToServer, r"^/mnt/disk\d/", "/media/"),
            to_host("/media/films", "/mnt/disk1/films"),
        ];
        for (rules, folder, host, server) in [
            (vec![], "/media", "/media/odd.mkv", "/media/odd.mkv"),
            (
                vec![to_server("/mnt", "/media")],
                "/media",
                "/mnt/odd.mkv",
                "/media/odd.mkv",
            ),
            (
                vec![to_host("/media", "/mnt")],
                "/media",
                "/mnt/odd.mkv",
                "/media/odd.mkv",
            ),
            // The library has another folder below the mapped one.
            (
                vec![to_host("/media", "/mnt")],
                "/media/films",
                "/mnt/odd.mkv",
                "/media/odd.mkv",
            ),
            (
                disks.into(),
                "/media",
                "/mnt/disk1/films/odd.mkv",
                "/media/films/odd.mkv",
            ),
            // A mapping counts also if the library has the unchanged path.
            (
                vec![to_server("/media/nas", "/media/films")],
                "/media",
                "/media/nas/odd.mkv",
                "/media/films/odd.mkv",
            ),
            // Windows on this host, on the server, and on both.
            (
                vec![to_server(r"C:\Media", "/media")],
                "/media",
                r"C:\Media\odd\x.mkv",
                "/media/odd/x.mkv",
            ),
            (
                vec![to_host("/media", "C:/Media")],
                "/media",
                "C:/Media/odd/x.mkv",
                "/media/odd/x.mkv",
            ),
            (
                vec![to_server("/mnt", r"D:\Films")],
                r"D:\Films",
                "/mnt/odd/x.mkv",
                r"D:\Films\odd\x.mkv",
            ),
            (
                vec![to_server("/mnt", "D:/Films")],
                r"D:\Films",
                "/mnt/odd/x.mkv",
                r"D:\Films\odd\x.mkv",
            ),
            (vec![], r"D:\Films", r"D:\Films\odd\x.mkv", r"D:\Films\odd\x.mkv"),
            // Of several rules, that of the library counts.
            (
                vec![to_server("/mnt", "/data"), to_server("/mnt/films", "/other")],
                "/other",
                "/mnt/films/odd.mkv",
                "/other/odd.mkv",
            ),
        ] {
            let expected = [Some(server.to_owned()), Some(host.to_owned())];
            assert_eq!(both(&rules, &[folder], host, server), expected, "{rules:?}");
        }
        // One row for all spellings of a file.
        for host in [r"\\?\d:\Films\odd.mkv", "d:/Films/odd.mkv", r"D:\Films\.\odd.mkv"] {
            let [shared, _] = both(&[], &[r"D:\Films"], host, host);
            assert_eq!(shared.as_deref(), Some(r"D:\Films\odd.mkv"), "{host}");
        }
        // Written before separators were tidied.
        let [_, here] = both(&[], &[r"D:\Films"], "", r"D:\Films\odd/x.mkv");
        assert_eq!(here.as_deref(), Some(r"D:\Films\odd\x.mkv"));
    }

    #[test]
    fn what_does_not_go_both_ways_is_not_shared() {
        let nested = vec![to_server("/mnt", "/data"), to_server("/mnt/films", "/other")];
        let merged = vec![to_server("/films", "/data"), to_server("/films", "/other")];
        assert_eq!(
            both(&merged, &["/data", "/other"], "/films/odd.mkv", "/other/odd.mkv"),
            [Some("/data/odd.mkv".into()), None],
            "the first rule for a folder counts"
        );
        assert_eq!(
            both(
                &[to_server("/data", "/other")],
                &["/data", "/other"],
                "/data/odd.mkv",
                "/data/odd.mkv"
            ),
            [Some("/other/odd.mkv".into()), None],
            "here, the path is another file"
        );
        // Other separators name the same file.
        let windows = [to_server(r"C:\Media", "/data")];
        let found = both(&windows, &["/data"], "C:/Media/odd.mkv", "/data/odd.mkv");
        assert_eq!(found, [Some("/data/odd.mkv".into()), Some(r"C:\Media\odd.mkv".into())]);
        let pattern = vec![Mapping::pattern(MappingKind::ServerToHost, "^/data/", "/mnt/")];
        let windows = vec![to_server("/mnt", r"D:\data")];
        for (rules, host, server) in [
            // In no folder, and without a mapping.
            (vec![], "/downloads/odd.mkv", "/downloads/odd.mkv"),
            // Two files of the library would be one file here.
            (nested, "/mnt/films/odd.mkv", "/data/films/odd.mkv"),
            // A pattern goes one way.
            (pattern, "/mnt/odd.mkv", "/data/odd.mkv"),
            // A name that Windows cannot have.
            (windows, r"/mnt/odd\x.mkv", "/downloads/odd.mkv"),
        ] {
            let folders = ["/data", "/other", r"D:\data"];
            assert_eq!(both(&rules, &folders, host, server), [None, None], "{rules:?}");
        }
    }
}
