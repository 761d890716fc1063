//! Plex's own database, with its real schema, written as the server writes it.

use std::fs;
use std::sync::Arc;

use plexindex::source::Source;
use plexindex::source::database::PlexDatabase;

use crate::source_contract::rig::{FOLDER, Failure, Rig, TITLE};
use crate::support::plex_database::{self as written, Server};

pub struct Database {
    server: Server,
    section: i64,
    aside: tempfile::TempDir,
    _folder: tempfile::TempDir,
}

fn number(key: &str) -> i64 {
    key.parse().expect("Plex's keys are numbers")
}

impl Rig for Database {
    fn new(films: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::new(&folder.path().join("Plex Media Server"));
        let section = server.library(TITLE, written::kind::MOVIE, FOLDER);
        server.write(|database| {
            for film in 0..films {
                let (title, path) = (format!("Film {film}"), format!("{FOLDER}/Film {film}.mkv"));
                written::add_film(database, section, &title, &path);
            }
        });
        Self {
            server,
            section,
            aside: tempfile::tempdir().expect("a folder"),
            _folder: folder,
        }
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(PlexDatabase::new(&self.server.folder))
    }

    fn paths(&self) -> Vec<(String, String)> {
        self.server.write(|database| {
            let mut rows = database
                .prepare(
                    "SELECT m.metadata_item_id, p.file FROM media_parts p, media_items m WHERE m.id = p.media_item_id \
                     AND m.library_section_id = ?1",
                )
                .expect("prepared");
            let rows = rows.query_map([self.section], |row| {
                Ok((row.get::<_, i64>(0)?.to_string(), row.get(1)?))
            });
            let mut paths: Vec<(String, String)> = rows.expect("asked").map(|row| row.expect("a row")).collect();
            paths.sort();
            paths
        })
    }

    fn add(&self, title: &str, path: &str) -> String {
        self.server
            .write(|database| written::add_film(database, self.section, title, path))
            .to_string()
    }

    fn remove(&self, keys: &[String]) {
        self.server
            .write(|database| keys.iter().for_each(|key| written::delete(database, number(key))));
    }

    fn rename(&self, key: &str, path: &str) {
        self.server
            .write(|database| written::rename(database, number(key), path));
    }

    fn fail(&self, failure: Failure) -> bool {
        let file = self.server.file();
        match failure {
            Failure::Down => fs::rename(&file, self.aside.path().join("library.db")).expect("away"),
            Failure::Starting => fs::write(self.server.beside("-wal"), b"").expect("written"),
            Failure::Unauthorized | Failure::Forbidden => {
                self.server
                    .write(|database| database.execute_batch("ALTER TABLE media_parts RENAME COLUMN file TO path"))
                    .expect("renamed");
            }
            // A file answers at once, and whole or not at all.
            Failure::CutOff | Failure::Slow => return false,
        }
        true
    }

    fn heal(&self) {
        let file = self.server.file();
        let away = self.aside.path().join("library.db");
        if away.exists() {
            fs::rename(away, &file).expect("back");
        }
        let wal = self.server.beside("-wal");
        if wal.exists() {
            fs::remove_file(wal).expect("removed");
        }
        self.server.write(|database| {
            let _ = database.execute_batch("ALTER TABLE media_parts RENAME COLUMN path TO file");
        });
    }
}
