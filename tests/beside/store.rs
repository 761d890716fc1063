//! What each program does with plexindex: writes to a store and reads from it, with the SQLite of the other crate.

use plexindex::{Index, Options};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Checks that plexindex works, and uses the SQLite version that the other crate reported.
pub fn check(version: &str) -> Outcome {
    let folder = std::env::temp_dir().join(format!("plexindex-beside-{}", std::process::id()));
    let index = Index::open(Options::new(&folder))?;
    let table = index.table("films")?;
    table.put("one", "1001", plexindex::Terms::default())?;
    assert_eq!(table.get("one")?.as_deref(), Some(&b"1001"[..]));
    assert_eq!(plexindex::inside::SQLITE_VERSION.to_str()?, version);
    index.close()?;
    std::fs::remove_dir_all(&folder)?;
    println!("SQLite {version}");
    Ok(())
}
