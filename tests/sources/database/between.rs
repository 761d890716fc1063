//! The server writes while it is listed: slices are of different moments, and what is published is of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::index::{Ask as _, Index};
use plexindex::model::MatchKind;
use plexindex::source::database::PlexDatabase;

use crate::database::alone::{films, path};
use crate::database::options;
use crate::support::clock;
use crate::support::hooked::{Hook, Hooked};
use crate::support::plex_database as written;

const FILMS: u32 = 1_500;

#[test]
fn what_changes_between_slices_is_in_what_is_published() {
    let (folder, server, section) = films(FILMS);
    let mut truth: BTreeMap<String, String> = (0..FILMS).map(|film| (path(film), (film + 1).to_string())).collect();
    let new = |number: u32| format!("/data/films/new {number}.mkv");
    let moved = |number: u32| format!("/data/films/moved {number}.mkv");
    let change = {
        let folder = server.folder.clone();
        move |page: u32| {
            if page > 3 {
                return;
            }
            // Of what was read already, and of what was not.
            written::Server::at(&folder).write(|database| {
                for film in [page * 10 + 1, FILMS - 10 - page * 10] {
                    written::rename(database, i64::from(film) + 1, &moved(film));
                    written::delete(database, i64::from(film) + 2);
                }
                written::add_film(database, section, &format!("New {page}"), &new(page));
            });
        }
    };
    for page in 0..4 {
        for film in [page * 10 + 1, FILMS - 10 - page * 10] {
            truth.remove(&path(film));
            truth.remove(&path(film + 1));
            truth.insert(moved(film), (film + 1).to_string());
        }
        truth.insert(new(page), (FILMS + 1 + page).to_string());
    }
    let pages = AtomicU32::new(0);
    let hook: Hook = Arc::new(move |request, _| {
        if request == "page" {
            change(pages.fetch_add(1, Ordering::Relaxed));
        }
    });
    let mut options = options(&folder.path().join("store"), &server.folder);
    options.page_size = 200;
    let real = PlexDatabase::new(&server.folder);
    let index = Index::open_with(options, clock(), |_, _, _| Ok(Hooked::over(real, hook)));
    let index = index.expect("opened");
    index.list();
    let stats = index.counts();
    assert_eq!((stats.items, stats.listings), (truth.len() as u64, 1));
    // Offline: what was published by the listing itself.
    let query = index.query().offline();
    let asked = (0..FILMS).map(path).chain((0..4).map(new)).chain((0..FILMS).map(moved));
    for asked in asked {
        let found = query.answer(&asked);
        let key = found.key().filter(|_| found.match_kind == MatchKind::Exact);
        assert_eq!(key.as_ref(), truth.get(&asked), "{asked}");
    }
}
