//! Plex's library database as its server keeps it: with the real schema, written as the server writes it.
//!
//! The writer opens the file for each change and closes it again: this process must not have it open while it is read. A
//! process of its own writes all the time (`Server::run_with_retries`).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

/// Its path in the folder 'Plex Media Server'.
pub const IN_FOLDER: &str = "Plug-in Support/Databases/com.plexapp.plugins.library.db";
const SCHEMA: &str = include_str!("../sources/database/schema.sql");

/// A server's folder with its database.
pub struct Server {
    pub folder: PathBuf,
}

/// The types of rows, as the server numbers them.
pub mod kind {
    pub const MOVIE: i64 = 1;
    pub const SHOW: i64 = 2;
    pub const SEASON: i64 = 3;
    pub const EPISODE: i64 = 4;
}

impl Server {
    /// A server without libraries.
    pub fn new(folder: &Path) -> Self {
        let server = Self::at(folder);
        let file = server.file();
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        let database = Connection::open(&file).expect("opened");
        database
            .execute_batch("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
            .expect("WAL");
        database.execute_batch(SCHEMA).expect("the schema");
        server
    }

    /// A server over an existing folder.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// One of the two recorded states.
    pub fn recorded(folder: &Path, month: &str) -> Self {
        let server = Self::at(folder);
        std::fs::create_dir_all(server.file().parent().expect("a folder")).expect("made");
        server.replace(month);
        server
    }

    /// Replaces the database by a recorded state, as another file.
    pub fn replace(&self, month: &str) {
        let next = self.file().with_extension("next");
        std::fs::write(&next, recorded(month)).expect("written");
        std::fs::rename(next, self.file()).expect("renamed");
    }

    /// Writes a recorded state into the same file.
    pub fn become_state(&self, month: &str) {
        std::fs::write(self.file(), recorded(month)).expect("written");
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join(IN_FOLDER)
    }

    /// A file beside the database, such as its `-wal`.
    pub fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.file().into_os_string();
        name.push(end);
        name.into()
    }

    /// Opens the database as its server does.
    pub fn open(&self) -> Connection {
        let database = Connection::open(self.file()).expect("opened");
        let patience = std::time::Duration::from_secs(10);
        database.busy_timeout(patience).expect("patient");
        // Triggers of the server that stock SQLite cannot run.
        let triggers: Vec<String> = {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
            let mut names = database.prepare(sql).expect("prepared");
            let found = names.query_map([], |row| row.get(0)).expect("asked");
            found.map(|name| name.expect("a name")).collect()
        };
        for name in triggers {
            run(&database, &format!("DROP TRIGGER \"{name}\""), []);
        }
        database
    }

    /// Writes as the server does, and closes the file.
    pub fn write<T>(&self, what: impl FnOnce(&Connection) -> T) -> T {
        let database = self.open();
        database.execute_batch("PRAGMA synchronous = OFF").expect("set");
        let begun = database.unchecked_transaction().expect("begun");
        let done = what(&database);
        begun.commit().expect("committed");
        database.close().expect("closed");
        done
    }

    /// A library with one folder.
    pub fn library(&self, title: &str, kind: i64, folder: &str) -> i64 {
        let number = title.len() * 31 + title.as_bytes()[0] as usize;
        let uuid = format!("00000000-0000-4000-8000-{number:012x}");
        self.write(|database| {
            let row =
                "INSERT INTO library_sections (name, section_type, uuid, scanned_at) VALUES (?1, ?2, ?3, 1700000000)";
            let id = run(database, row, params![title, kind, uuid]);
            let place = "INSERT INTO section_locations (library_section_id, root_path) VALUES (?1, ?2)";
            run(database, place, params![id, folder]);
            id
        })
    }
}

/// A recorded state's bytes.
pub fn recorded(month: &str) -> Vec<u8> {
    std::fs::read(crate::unpacked(format!("recorded/library-{month}.db"))).expect("read")
}

/// The number of the next change.
pub fn next_change(database: &Connection) -> i64 {
    let sql = "SELECT coalesce(max(changed_at), 0) + 1 FROM metadata_items WHERE typeof(changed_at) = 'integer'";
    database.query_row(sql, [], |row| row.get(0)).expect("a number")
}

/// Runs a statement, and gives the number of the last row that was added.
pub fn run(database: &Connection, sql: &str, values: impl rusqlite::Params) -> i64 {
    let mut statement = database.prepare_cached(sql).expect("prepared");
    statement.execute(values).expect("executed");
    database.last_insert_rowid()
}

/// A row of an item, a show, a season.
pub fn add_row(
    database: &Connection,
    section: i64,
    kind: i64,
    title: &str,
    parent: Option<i64>,
    index: Option<i64>,
) -> i64 {
    let (guid, changed) = (format!("plex://{kind}/{title}"), next_change(database));
    run(
        database,
        "INSERT INTO metadata_items (library_section_id, metadata_type, title, guid, parent_id, [index], changed_at, \
         year, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 2001, 1700000000)",
        params![section, kind, title, guid, parent, index, changed],
    )
}

/// A version of an item, with its files.
pub fn add_files(database: &Connection, item: i64, files: &[&str]) -> i64 {
    let of_item = "INSERT INTO media_items (metadata_item_id, library_section_id) \
                   SELECT id, library_section_id FROM metadata_items WHERE id = ?1";
    let version = run(database, of_item, [item]);
    let part = "INSERT INTO media_parts (media_item_id, file) VALUES (?1, ?2)";
    for file in files {
        run(database, part, params![version, file]);
    }
    version
}

/// A film with one file.
pub fn add_film(database: &Connection, section: i64, title: &str, path: &str) -> i64 {
    let id = add_row(database, section, kind::MOVIE, title, None, Some(1));
    add_files(database, id, &[path]);
    id
}

/// Marks an item as changed, as the server does with every change.
pub fn touch(database: &Connection, item: i64) {
    let sql = "UPDATE metadata_items SET changed_at = ?2 WHERE id = ?1";
    run(database, sql, [item, next_change(database)]);
}

/// Renames an item's only file.
pub fn rename(database: &Connection, item: i64, path: &str) {
    let renamed = database.execute(
        "UPDATE media_parts SET file = ?2 WHERE media_item_id IN (SELECT id FROM media_items WHERE metadata_item_id = ?1)",
        params![item, path],
    );
    assert_eq!(renamed, Ok(1), "{path}");
    touch(database, item);
}

/// Removes an item and empties the trash: nothing is left of it.
pub fn delete(database: &Connection, item: i64) {
    for sql in [
        "DELETE FROM media_parts WHERE media_item_id IN (SELECT id FROM media_items WHERE metadata_item_id = ?1)",
        "DELETE FROM media_items WHERE metadata_item_id = ?1",
        "DELETE FROM metadata_items WHERE id = ?1",
    ] {
        run(database, sql, [item]);
    }
}

/// An item's external id.
pub fn add_external_id(database: &Connection, item: i64, id: &str) {
    let tag = run(database, "INSERT INTO tags (tag, tag_type) VALUES (?1, 314)", [id]);
    let of_item = "INSERT INTO taggings (metadata_item_id, tag_id) VALUES (?1, ?2)";
    run(database, of_item, [item, tag]);
}
