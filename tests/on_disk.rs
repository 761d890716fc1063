//! Mappings that files of this machine lack.

mod support;

use std::path::{Path, PathBuf};

use plexindex::Index;
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};
use tempfile::TempDir;

type Anything = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A disk, and a server with two libraries of films that share a folder.
struct Scene {
    folder: TempDir,
    server: Standin,
    index: Index,
}

impl Scene {
    fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let films = folder.path().join("films");
        let film = |name: &str| ItemSpec::file(&name[..name.len() - 7], &listed(&films, name));
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
}

fn listed(films: &Path, name: &str) -> String {
    films
        .join(name)
        .join(format!("{name}.mkv"))
        .to_string_lossy()
        .into_owned()
}

#[test]
fn mappings_are_tried_on_the_paths_that_others_leave() -> Anything {
    let at = Scene::new()?;
    let before = support::requests(&at.server);
    let films = at.path("films");
    let here: Vec<PathBuf> = ["Alpha (2001)", "Gamma (2003)"]
        .map(|name| listed(&films, name).into())
        .into();
    let moved = |root: &str, name: &str| Path::new(root).join(name).join(format!("{name}.mkv"));
    let paths = [
        here[0].clone(),
        moved("/mnt/a", "Alpha (2001)"),
        moved("/mnt/a", "Gamma (2003)"),
        moved("/mnt/b", "Alpha (2001)"),
        "/mnt/c/None (1999).mkv".into(),
    ];
    let tried = at.index.try_proposals(&paths)?;
    let told: Vec<_> = tried
        .iter()
        .map(|one| (one.from.clone(), one.to.clone(), one.gain))
        .collect();
    assert_eq!(told[0], ("/mnt/a".into(), films.clone(), Some(2)));
    assert_eq!(
        told.iter().filter_map(|one| one.2).sum::<usize>(),
        told.len() + 1,
        "each path counts once"
    );
    assert!(at.index.try_proposals(&here)?.is_empty(), "they are listed");
    assert!(at.index.proposals().is_empty(), "nothing was asked");
    let many: Vec<PathBuf> = (0..40).map(|number| format!("/mnt/none/{number}.mkv").into()).collect();
    let few = [&paths[..], &many].concat();
    assert_eq!(at.index.try_proposals(&few)?.len(), 1, "one of many is a coincidence");
    assert_eq!(support::requests(&at.server), before, "no request is sent");
    assert!(at.index.try_proposals([""]).is_err());
    Ok(())
}
