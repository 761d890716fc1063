//! Why files of this machine are not listed as a single item, and the mappings that they lack.

use crate::support;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plexindex::inside::{Rules, WalkStarts};
use plexindex::{ErrorKind, Index, Library};
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};
use tempfile::TempDir;

/// Returns the size of the files of this name, which no other has.
fn size_of(name: &str) -> u64 {
    (20 << 20) + name.bytes().map(u64::from).sum::<u64>()
}

type Anything = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A disk, and a server with two libraries of films that share a folder.
struct Scene {
    folder: TempDir,
    server: Standin,
    index: Index,
}

impl Scene {
    fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // A hidden folder would make each file a copy.
        let folder = tempfile::Builder::new().prefix("films").tempdir()?;
        let films = folder.path().join("films");
        for name in [
            "Alpha (2001)/Alpha (2001).mkv",
            "Beta (2002)/Beta (2002).mkv",
            "Gamma (2003)/Gamma (2003).mkv",
            "Gamma (2003)/GAMMA (2003).mkv",
            "Theirs (2004).mkv",
            "New (2005).mkv",
            "Alpha (2001)/Extras/x.mkv",
            "Alpha (2001)/notes.txt",
            "Alpha (2001)/skipped.mkv",
            ".hidden.mkv",
            "../other/films/Alpha (2001)/Alpha (2001).mkv",
            "../other/films/Delta (2006)/Delta (2006).mkv",
        ] {
            make(&films.join(name))?;
        }
        fs::write(films.join("Alpha (2001)/.plexignore"), "skipped.mkv\n")?;
        let film = |name: &str| {
            ItemSpec::file(&name[..name.len() - 7], &listed(&films, name)).size(size_of(&format!("{name}.mkv")))
        };
        let library = |title: &str| {
            let spec = LibrarySpec::movies(0).plain().title(title);
            spec.locations([films.to_string_lossy()])
        };
        let server = Standin::builder()
            .library(library("Films"))
            .library(library("Others"))
            .items(
                1,
                ["Alpha (2001)", "Beta (2002)", "Beta (2002)", "Gamma (2003)"].map(film),
            )
            .items(
                2,
                [ItemSpec::file(
                    "Theirs",
                    &films.join("Theirs (2004).mkv").to_string_lossy(),
                )],
            )
            .start()?;
        let index = Index::open(support::options(&server, &folder.path().join("store")))?;
        let _ = index.refresh()?;
        Ok(Self { folder, server, index })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What one call says of folders and files: by path below the disk its kind, cause and detail; and how many files it saw.
    fn walked(&self, library: &Library, folders: &[&str], files: &[(bool, &str)]) -> (BTreeMap<String, String>, u64) {
        let rules = Rules::ALL;
        let folders: Vec<PathBuf> = folders.iter().map(|name| self.path(name)).collect();
        let files: Vec<(bool, PathBuf)> = files.iter().map(|(twin, name)| (*twin, self.path(name))).collect();
        let starts = WalkStarts {
            folders: folders.iter().map(|path| (false, bytes(path))).collect(),
            files: files.iter().map(|(twin, path)| (*twin, bytes(path))).collect(),
        };
        let root = slashed(format!("{}/", self.folder.path().display()));
        let found = library.walk(None, &starts, (rules, 1_000_000)).expect("a walk");
        let text = |bytes: &[u8]| slashed(String::from_utf8_lossy(bytes).into_owned()).replace(&root, "");
        let told = found.found.iter().map(|one| {
            let twin = if one.twin { "twin_" } else { "" };
            let cause = one.errno.map_or(one.cause.to_owned(), |errno| errno.to_string());
            let detail = one.detail.as_ref().map_or(String::new(), |detail| text(&detail.0));
            (text(&one.path.0), format!("{twin}{} {cause} {detail}", one.kind))
        });
        (told.collect(), found.files)
    }
}

fn listed(films: &Path, name: &str) -> String {
    films
        .join(name)
        .join(format!("{name}.mkv"))
        .to_string_lossy()
        .into_owned()
}

fn make(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().expect("a folder above"))?;
    fs::File::create(path)?.set_len(size_of(&path.file_name().expect("a name").to_string_lossy()))
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Paths of findings are written as the system writes them.
fn slashed(text: String) -> String {
    if cfg!(windows) { text.replace('\\', "/") } else { text }
}

fn is(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    // On Windows the two names of a film are one.
    let there = expected
        .iter()
        .filter(|(path, _)| cfg!(unix) || !path.contains("GAMMA"));
    there.map(|(path, told)| ((*path).into(), (*told).into())).collect()
}

#[test]
fn each_file_that_is_no_single_item_has_a_cause() -> Anything {
    let at = Scene::new()?;
    let before = support::requests(&at.server);
    let films = at.index.library("Films")?;
    let alpha = at.path("films/Alpha (2001)/Alpha (2001).mkv");
    let (told, seen) = at.walked(&films, &["films"], &[]);
    let ignored = format!("file plexignore 'skipped.mkv' in {}", "films/Alpha (2001)/.plexignore");
    assert_eq!(
        told,
        is(&[
            ("films/.hidden.mkv", "file hidden "),
            ("films/Alpha (2001)/Extras", "left_out extras "),
            ("films/Alpha (2001)/skipped.mkv", &ignored),
            ("films/Beta (2002)/Beta (2002).mkv", "file several_items "),
            ("films/Gamma (2003)/GAMMA (2003).mkv", "twin_file not_scanned "),
            ("films/New (2005).mkv", "file not_scanned "),
        ])
    );
    // On Windows there is no second file of Gamma.
    let twins = u64::from(cfg!(unix));
    assert_eq!(seen, 6 + twins, "what only another library lists is not this one's");
    // Asked for all, the other library's film is listed.
    let all = at.index.library(plexindex::Selector::All)?;
    assert_eq!(at.walked(&all, &["films"], &[]), (told, 7 + twins));
    // Outside of all folders of libraries.
    let (told, _) = at.walked(&films, &["other"], &[]);
    let missing = format!(
        "file mapping_missing {}",
        slashed(alpha.strip_prefix(at.folder.path())?.display().to_string())
    );
    let (alpha, delta) = ("Alpha (2001)/Alpha (2001).mkv", "Delta (2006)/Delta (2006).mkv");
    let [alpha, delta] = [alpha, delta].map(|path| format!("other/films/{path}"));
    assert_eq!(told, is(&[(&*alpha, &*missing), (&*delta, "file no_library ")]));
    assert_eq!(support::requests(&at.server), before, "no request is sent");
    Ok(())
}

#[test]
fn where_no_listing_is_there_to_compare_with_no_file_is_missing_in_plex() -> Anything {
    let at = Scene::new()?;
    let index = Index::open(support::options(&at.server, &at.path("another store")))?;
    let all = index.library(plexindex::Selector::All)?;
    let nothing = all.walk(
        None,
        &WalkStarts::default(),
        (Rules::from_names::<&str>(&[]).expect("none"), 1),
    );
    assert_eq!(nothing.expect_err("no library is known").kind(), ErrorKind::NotFetched);
    let _ = index.libraries()?;
    for library in [all, index.library("Films")?] {
        let (told, _) = at.walked(&library, &["films/Alpha (2001)", "films/Gamma (2003)"], &[]);
        let causes = told.values().map(String::as_str);
        let causes: Vec<&str> = causes.filter(|told| !told.contains("extras")).collect();
        let ignored = told["films/Alpha (2001)/skipped.mkv"].as_str();
        assert_eq!(causes.len(), if cfg!(windows) { 3 } else { 4 });
        for cause in causes {
            assert!(cause.ends_with("file not_fetched ") || cause == ignored, "{cause}");
        }
    }
    // One of the two libraries with this folder: the other may have the file.
    let _ = index.library("Films")?.query().refresh()?;
    let all = index.library(plexindex::Selector::All)?;
    let (told, _) = at.walked(&all, &["films"], &[]);
    assert_eq!(told["films/New (2005).mkv"], "file not_fetched ");
    let (told, _) = at.walked(&index.library("Films")?, &["films"], &[]);
    assert_eq!(told["films/New (2005).mkv"], "file not_scanned ");
    Ok(())
}

#[test]
fn a_file_that_is_given_is_told_as_if_it_was_found() -> Anything {
    let at = Scene::new()?;
    let films = at.index.library("Films")?;
    let names = [
        (false, "films/Alpha (2001)/Alpha (2001).mkv"),
        (false, "films/Alpha (2001)/Extras/x.mkv"),
        (false, "films/Alpha (2001)/notes.txt"),
        (false, "films/Alpha (2001)/gone.mkv"),
        (false, "films/Beta (2002)/Beta (2002).mkv"),
        (false, "films/Theirs (2004).mkv"),
        (true, "films/Gamma (2003)/GAMMA (2003).mkv"),
        (true, "films/Gamma (2003)/Gamma (2003).mkv"),
    ];
    let (told, seen) = at.walked(&films, &[], &names);
    assert_eq!(
        told,
        is(&[
            ("films/Alpha (2001)/Extras/x.mkv", "file extras "),
            ("films/Alpha (2001)/notes.txt", "file extension "),
            ("films/Alpha (2001)/gone.mkv", "file not_scanned "),
            ("films/Beta (2002)/Beta (2002).mkv", "file several_items "),
            ("films/Gamma (2003)/GAMMA (2003).mkv", "twin_file not_scanned "),
        ])
    );
    assert_eq!(seen, 7);
    // After the server has it, it is no finding.
    let new = [(false, "films/New (2005).mkv")];
    assert_eq!(at.walked(&films, &[], &new).0.len(), 1);
    let path = at.path(new[0].1);
    let film = ItemSpec::file("New", &path.to_string_lossy());
    at.server.change(|state| state.add_items(1, vec![film], true))?;
    let _ = films.query().check()?;
    assert_eq!(at.walked(&films, &[], &new), (BTreeMap::new(), 1));
    Ok(())
}

#[test]
fn mappings_are_tried_on_the_paths_that_others_leave() -> Anything {
    let at = Scene::new()?;
    let before = support::requests(&at.server);
    let films = at.path("films");
    let mnt = slashed(at.path("mnt").display().to_string());
    let here: Vec<PathBuf> = ["Alpha (2001)", "Gamma (2003)"]
        .map(|name| listed(&films, name).into())
        .into();
    let moved = |root: &str, name: &str| Path::new(root).join(name).join(format!("{name}.mkv"));
    let paths = [
        here[0].clone(),
        moved(&format!("{mnt}/a"), "Alpha (2001)"),
        moved(&format!("{mnt}/a"), "Gamma (2003)"),
        moved(&format!("{mnt}/b"), "Alpha (2001)"),
        format!("{mnt}/c/None (1999).mkv").into(),
    ];
    for path in &paths[1..4] {
        make(path)?;
    }
    let tried = at.index.try_proposals(&paths)?;
    let told: Vec<_> = tried
        .iter()
        .map(|one| (one.from.clone(), one.to.clone(), one.gain))
        .collect();
    assert_eq!(told[0], (format!("{mnt}/a").into(), films.clone(), Some(2)));
    let gains: usize = told.iter().filter_map(|one| one.2).sum();
    assert_eq!(gains, told.len() + 1, "each path counts once");
    assert!(at.index.try_proposals(&here)?.is_empty(), "they are listed");
    assert!(at.index.proposals().is_empty(), "nothing was asked");
    let many: Vec<PathBuf> = (0..40)
        .map(|number| format!("{mnt}/none/{number}.mkv").into())
        .collect();
    let few = [&paths[..], &many].concat();
    assert_eq!(at.index.try_proposals(&few)?.len(), 1, "one of many is a coincidence");
    assert_eq!(support::requests(&at.server), before, "no request is sent");
    assert!(at.index.try_proposals([""]).is_err());
    Ok(())
}
