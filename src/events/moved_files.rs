//! Reads the events of Sonarr and Radarr, which import, replace, rename and delete the files that Plex lists.
//!
//! An event names files in members whose names depend on the program and the event. It is read by these members and not by
//! its type, so that an import, a rename and a deletion need one rule. Older versions give a file only relative to the
//! folder of its series or film.

use serde_json::{Map, Value};

/// The members with the folder of the files.
const FOLDERS: [(&str, &str); 3] = [("series", "path"), ("movie", "folderPath"), ("movie", "path")];
/// The members with a file, or with a list of files.
const FILES: [&str; 6] = [
    "episodeFile",
    "episodeFiles",
    "movieFile",
    "deletedFiles",
    "renamedEpisodeFiles",
    "renamedMovieFiles",
];
/// The members of a file with its path, and with its path within the folder.
const PATHS: [(&str, &str); 2] = [("path", "relativePath"), ("previousPath", "previousRelativePath")];

/// Returns the paths that an event of Sonarr or Radarr names: those that files have now, and those that they had before.
/// A folder that was deleted with its files ends with a separator. The list is empty if the event is about no file.
/// Returns `None` if the body is not such an event.
pub fn moved_files(json: &[u8]) -> Option<Vec<String>> {
    let body: Map<String, Value> = serde_json::from_slice(json).ok()?;
    let event_type = body.get("eventType")?.as_str()?;
    // Contains a path that does not exist.
    if event_type == "Test" {
        return Some(Vec::new());
    }
    let text = |value: Option<&Value>| value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let folder = FOLDERS
        .into_iter()
        .find_map(|(owner, name)| text(body.get(owner)?.get(name)))
        .map(|path| with_separator(&path));
    if body.get("deletedFiles") == Some(&Value::Bool(true)) {
        return Some(folder.into_iter().collect());
    }
    let mut paths = Vec::new();
    for value in FILES.into_iter().filter_map(|name| body.get(name)) {
        let files = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for (file, (absolute, relative)) in files.iter().flat_map(|file| PATHS.map(|names| (file, names))) {
            let joined = || Some(folder.clone()? + &text(file.get(relative))?);
            paths.extend(text(file.get(absolute)).or_else(joined));
        }
    }
    Some(paths)
}

/// Returns the path of a folder with a separator at its end, the one that the path contains.
fn with_separator(folder: &str) -> String {
    let separator = if folder.contains('/') { '/' } else { '\\' };
    format!("{}{separator}", folder.trim_end_matches(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes are those that the programs document, with invented names.
    #[test]
    fn an_event_names_the_files_of_now_and_of_before() {
        let series = r#""series":{"id":1,"title":"A","path":"/tv/A","tvdbId":7}"#;
        let movie = r#""movie":{"id":1,"title":"B","year":2001,"folderPath":"/films/B (2001)","tmdbId":7}"#;
        let windows = r#""movie":{"folderPath":"D:\\films\\B"}"#;
        for (event_type, members, paths) in [
            (
                "Download",
                format!(
                    r#"{series},"episodes":[{{"id":3}}],"isUpgrade":true,
                    "episodeFile":{{"id":4,"relativePath":"S01/new.mkv","path":"/tv/A/S01/new.mkv","size":9}},
                    "deletedFiles":[{{"relativePath":"S01/old.mkv","path":"/tv/A/S01/old.mkv"}}]"#
                ),
                &["/tv/A/S01/new.mkv", "/tv/A/S01/old.mkv"][..],
            ),
            (
                "Download",
                format!(
                    r#"{series},"sourcePath":"/downloads/A","destinationPath":"/tv/A/S01",
                    "episodeFiles":[{{"path":"/tv/A/S01/1.mkv"}},{{"relativePath":"S01/2.mkv"}}]"#
                ),
                &["/tv/A/S01/1.mkv", "/tv/A/S01/2.mkv"],
            ),
            (
                "Rename",
                format!(
                    r#"{movie},"renamedMovieFiles":[{{"previousRelativePath":"old.mkv","previousPath":
                    "/films/B (2001)/old.mkv","relativePath":"new.mkv","path":"/films/B (2001)/new.mkv"}}]"#
                ),
                &["/films/B (2001)/new.mkv", "/films/B (2001)/old.mkv"],
            ),
            (
                "Rename",
                format!(
                    r#"{series},"renamedEpisodeFiles":[{{"previousRelativePath":"1.mkv","relativePath":"01.mkv"}}]"#
                ),
                &["/tv/A/01.mkv", "/tv/A/1.mkv"],
            ),
            (
                "EpisodeFileDelete",
                format!(r#"{series},"episodeFile":{{"path":"/tv/A/1.mkv"}}"#),
                &["/tv/A/1.mkv"],
            ),
            (
                "MovieFileDelete",
                format!(r#"{windows},"movieFile":{{"relativePath":"B.mkv"}}"#),
                &["D:\\films\\B\\B.mkv"],
            ),
            (
                "MovieDelete",
                format!(r#"{movie},"deletedFiles":true"#),
                &["/films/B (2001)/"],
            ),
            ("SeriesDelete", format!(r#"{series},"deletedFiles":false"#), &[]),
            ("Grab", format!(r#"{series},"release":{{"size":9}}"#), &[]),
            ("Health", r#""level":"warning","message":"x""#.to_owned(), &[]),
            (
                "Test",
                format!(r#"{series},"episodeFile":{{"path":"/tv/A/1.mkv"}}"#),
                &[],
            ),
        ] {
            let body = format!(r#"{{"eventType":"{event_type}",{members},"instanceName":"x"}}"#);
            let named = moved_files(body.as_bytes()).unwrap_or_else(|| panic!("not read: {body}"));
            assert_eq!(named, paths, "{event_type}");
        }
        for other in ["{}", "[]", r#"{"event":"library.new"}"#, r#"{"eventType":7}"#] {
            assert_eq!(moved_files(other.as_bytes()), None, "{other}");
        }
    }
}
