//! The mappings that files of this machine lack.

use crate::api::Anything;
use crate::support;
use std::fs;
use std::path::{Path, PathBuf};

use plexindex::Index;
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};

/// Returns the size of the files of this name, which no other has.
fn size_of(name: &str) -> u64 {
    (20 << 20) + name.bytes().map(u64::from).sum::<u64>()
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

/// Paths of findings are written as the system writes them.
fn slashed(text: String) -> String {
    if cfg!(windows) { text.replace('\\', "/") } else { text }
}

#[test]
fn mappings_are_tried_on_the_paths_that_others_leave() -> Anything {
    // A hidden folder would make each file a copy.
    let folder = tempfile::Builder::new().prefix("films").tempdir()?;
    let films = folder.path().join("films");
    let film = |name: &str| {
        ItemSpec::file(&name[..name.len() - 7], &listed(&films, name)).size(size_of(&format!("{name}.mkv")))
    };
    let library = LibrarySpec::movies(0).plain().title("Films");
    let server = Standin::builder()
        .library(library.locations([films.to_string_lossy()]))
        .items(1, ["Alpha (2001)", "Gamma (2003)"].map(film))
        .start()?;
    let index = Index::open(support::options(&server, &folder.path().join("store")))?;
    let _ = index.refresh()?;
    let before = support::requests(&server);
    let mnt = slashed(folder.path().join("mnt").display().to_string());
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
    let tried = index.try_proposals(&paths)?;
    let told: Vec<_> = tried
        .iter()
        .map(|one| (one.from.clone(), one.to.clone(), one.gain))
        .collect();
    assert_eq!(told[0], (format!("{mnt}/a").into(), films.clone(), Some(2)));
    let gains: usize = told.iter().filter_map(|one| one.2).sum();
    assert_eq!(gains, told.len() + 1, "each path counts once");
    assert!(index.try_proposals(&here)?.is_empty(), "they are listed");
    assert!(index.proposals().is_empty(), "nothing was asked");
    let many: Vec<PathBuf> = (0..40)
        .map(|number| format!("{mnt}/none/{number}.mkv").into())
        .collect();
    let few = [&paths[..], &many].concat();
    assert_eq!(index.try_proposals(&few)?.len(), 1, "one of many is a coincidence");
    assert_eq!(support::requests(&server), before, "no request is sent");
    assert!(index.try_proposals([""]).is_err());
    Ok(())
}
