//! What happens to a folder and to listings while hosts use them, and what is asked right after it.

use super::*;
use crate::model::Hosts;
use crate::net::copy_folder;
use crate::net::sees;

/// A copy of the folder, and what a store of that time holds.
pub struct Kept {
    folder: PathBuf,
    hosts: Hosts,
    shelf: Shelf,
}

impl World {
    /// Time goes by within a step: what comes now is of another time than what was.
    fn go_on(&mut self, ms: i64) {
        self.net.advance(ms);
        self.model.times.push(self.net.now());
        self.see();
    }

    /// A copy of the folder is made, or takes the folder's place while hosts have that open, as when a backup is put back.
    /// Those who have it open only read afterwards: they answer from what has the name.
    pub(super) fn backup(&mut self) -> Result<(), String> {
        self.empty();
        self.opened += 1;
        let Some(kept) = self.kept.take() else {
            let folder = self.place.path().join(format!("copy {}", self.opened));
            copy_folder(&self.folder, &folder);
            self.say("the folder is copied");
            self.kept = Some(Kept {
                folder,
                hosts: self.model.hosts(),
                shelf: self.shelf.clone(),
            });
            return Ok(());
        };
        self.say("the copy takes the folder's place");
        self.is_set_back = true; // so are times of checks
        self.count("copies put back");
        // One step: what this makes a host do has no time of its own.
        let aside = self.place.path().join(format!("aside {}", self.opened));
        std::fs::rename(&self.folder, aside).expect("renamed");
        std::fs::rename(kept.folder, &self.folder).expect("renamed");
        self.shelf = kept.shelf;
        self.model.put_back(kept.hosts);
        // Lookups notice within half a second.
        freeze_coarse_clock(600);
        // Fast lookups first: what reads the database finds out by that.
        for (at, number) in (0..self.handles.len()).flat_map(|at| (0..12).map(move |number| (at, number))) {
            self.agree(at, None, &host_path(number))?;
        }
        for at in 0..self.handles.len() {
            for (table, entry) in (0..3).flat_map(|table| (0..8).map(move |entry| (table, entry))) {
                self.read_entry(at, &format!("table {table}"), &format!("entry {entry}"))?;
            }
        }
        Ok(())
    }

    /// The folder goes at some moment of a handle's opening. That may fail; the next one does not.
    pub(super) fn gone_while_opening(&mut self) -> Result<(), String> {
        self.empty();
        let who = self.any_who();
        let after = self.word(3, 10) as u64;
        self.say(&format!("the folder goes at point {after} of an opening by {who:?}"));
        // So that it is made anew.
        let pages = std::fs::read_dir(&self.folder).expect("the folder").flatten();
        for page in pages.filter(|entry| entry.file_name().to_string_lossy().ends_with(".page")) {
            let _ = std::fs::remove_file(page.path());
        }
        disk::remove_after(after, &self.folder);
        let opened = self.try_open(who, false);
        let in_time = disk::remove_now();
        self.count(if in_time {
            "folders gone while a handle opens"
        } else {
            "folders gone behind an opening"
        });
        self.model.lose_records();
        self.shelf.lose();
        freeze_coarse_clock(600);
        match opened {
            Ok(handle) => self.handles.push(handle),
            Err(error) if is_of_the_disk(error.status) => self.say("it cannot be opened"),
            Err(error) => return Err(format!("a folder that goes: {:?}: {error}", error.status)),
        }
        self.open(who, false)?;
        disk::take_log();
        Ok(())
    }

    /// A listing is cut off, hosts say what is wrong of what it has read, and it goes on.
    pub(super) fn cut_off(&mut self) -> Result<(), String> {
        self.empty();
        let at = self.word(1, self.handles.len());
        let who = self.handles[at].who;
        let (number, server) = (self.net.route(who.url), self.net.server(who.url).clone());
        let libraries = self.libraries(who.url);
        let (title, section) = libraries[self.word(2, libraries.len())].clone();
        // The first listing there is, or one after others.
        let first = self.word(4, 14) < 7;
        if first {
            let done = self.handles[at].index.clear();
            self.acknowledged(done, "clearing")?;
            self.each_library(at, None, Model::clear);
            self.say("cleared");
        }
        for _ in 0..self.word(3, 6) {
            self.files += 1;
            let (name, path) = film(number, &title, self.files);
            server.add(&section, &name, &path);
        }
        self.see();
        for (kind, times) in server.take_requests() {
            *self.counts.entry(format!("requests: {kind}")).or_default() += times;
        }
        server.fail(Some(Fault::DownAfterPages(self.word(4, 7) as u64)));
        let one = self.handle_of(at, Some(&title))?.expect("named");
        let query = options(Some(&one), Deadline::Default, false);
        let done = self.handles[at].index.refresh(&query, true);
        let shown = done.as_ref().map_err(|error| error.status);
        self.tell(at, &format!("a listing of {title} is cut off: {shown:?}"));
        if let Err(error) = &done {
            self.explain(at, "a refresh", error, false)?;
        }
        self.go_on(1);
        let items: Vec<_> = (server.items(&section).into_iter())
            .filter(plexindex::model::Item::is_storable)
            .collect();
        let mut told = Vec::new();
        // Those that came first have been read; those that came last are in no listing but this one.
        let mut chosen: Vec<_> = items.iter().collect();
        if !first {
            chosen.reverse();
        }
        for item in chosen.into_iter().take(6) {
            let (key, old) = (item.rating_key.clone(), item.parts[0].to_string());
            self.files += 1;
            let new = film(number, &title, self.files).1;
            server.rename(&section, &key, &new);
            told.push((key, old, new));
        }
        self.see();
        for (nth, (key, old, _)) in told.iter().enumerate() {
            let how = (self.word(3, 12) / 4 + nth) % 3;
            let done = match how {
                0 => one.invalidate_item(key),
                1 => one.invalidate_path(old.as_bytes()),
                _ => (self.handles[at].index)
                    .notify(format!("{{\"section\":\"{section}\",\"deleted\":\"{key}\"}}").as_bytes())
                    .map(drop),
            };
            self.acknowledged(done, "what is wrong")?;
            let model = &mut self.model;
            match how {
                0 => model.invalidate_item(number, who, &title, key, false),
                1 => model.invalidate_path(number, who, &title, old, false),
                _ => model.deleted(number, who, &title, key, false),
            }
            self.say(&format!("{key} is at {old} no more, and that is told: {how}"));
        }
        // Longer than a server is left alone that failed.
        self.go_on(16_000 + self.word(4, 60_000).cast_signed() as i64);
        let still = self.word(5, 3) == 0;
        server.take_requests();
        server.fail(still.then_some(Fault::DownAfterPages(0)));
        for (key, old, new) in &told {
            // Either what is wrong is asked for first, or what a search may find though no listing comes to its end.
            for path in if still { [new, old] } else { [old, new] } {
                let found = self.ask_path(at, Some(&title), path, None, false, Deadline::Default)?;
                if let Some(found) = &found {
                    self.say(&format!("{path}: {}", show(found)));
                }
                self.agree(at, Some(&title), path)?;
            }
            let guid = format!("memory://{key}");
            let found = self.handles[at].index.match_guid(&query_of(&one), &guid);
            self.by(&guid, Some(&title), at, found, false)?;
        }
        let done = self.compare();
        server.fail(None);
        done
    }

    /// A library has just been listed, and then something happens to it that a delta may not show. A refresh follows, and
    /// then all of it is asked for.
    pub(super) fn unseen(&mut self) -> Result<(), String> {
        self.empty();
        let at = self.word(1, self.handles.len());
        let who = self.handles[at].who;
        let (number, server) = (self.net.route(who.url), self.net.server(who.url).clone());
        let libraries = self.libraries(who.url);
        let (title, section) = libraries[self.word(2, libraries.len())].clone();
        server.fail(None);
        server.scan(&section, false);
        server.mount(&section, true);
        self.model.scanned(number, &title);
        // Longer than a server is left alone that failed, and than a listing that was cut off goes on.
        self.go_on(700_000);
        let one = self.handle_of(at, Some(&title))?.expect("named");
        let query = query_of(&one);
        let done = self.handles[at].index.refresh(&query, true);
        if !matches!(done, Ok(Status::Ok)) {
            self.say(&format!(
                "a full refresh: {:?}",
                done.as_ref().map_err(|error| error.status)
            ));
            return done
                .map(drop)
                .or_else(|error| self.explain(at, "a refresh", &error, false));
        }
        self.each_library(at, Some(&title), |model, server, who, title, _| {
            model.listed(server, who, title);
        });
        self.go_on(1_000);
        let items: Vec<_> = (server.items(&section).into_iter())
            .filter(|item| item.is_storable() && sees(who.user, &item.rating_key))
            .collect();
        let what = self.word(3, 5);
        let mut verified = None;
        match (what, &items[..]) {
            (0, [one, .., other]) => server.swap(&section, &one.rating_key, &other.rating_key),
            (1, [one, ..]) => {
                // Another item gets its file.
                self.files += 1;
                let (name, path) = film(number, &title, self.files);
                server.rename(&section, &one.rating_key, &path);
                server.add(&section, &name, &one.parts[0].to_string());
            }
            (2, [_, _, _, ..]) => {
                // More than a page of a delta, and what is at the end of the first page is asked for before.
                for item in items.iter().take(6) {
                    server.update(&section, &item.rating_key, &format!("{} again", item.title));
                }
                verified = items.iter().take(6).rev().nth(2);
            }
            (3, [one, ..]) => server.trash(&section, &one.rating_key, true),
            _ => {
                // More is asked for than the server is asked for; then another one comes.
                for absent in 0..25 {
                    let path = format!("{}/Absent {} {absent}.mkv", location(&title), self.model.now());
                    self.ask_path(at, Some(&title), &path, None, false, Deadline::Default)?;
                }
                self.go_on(1); // the film is not there yet at the time of the last probe
                self.files += 1;
                let (name, path) = film(number, &title, self.files);
                server.add(&section, &name, &path);
            }
        }
        self.see();
        self.say(&format!(
            "{title} of server {number} was listed, then {what} of {} items",
            items.len()
        ));
        self.count(&format!("changes of a listed library: {what}"));
        if let Some(item) = verified {
            let done = one.invalidate_item(&item.rating_key);
            self.acknowledged(done, "invalidating an item")?;
            self.model.invalidate_item(number, who, &title, &item.rating_key, false);
            self.ask_path(
                at,
                Some(&title),
                &item.parts[0].to_string(),
                None,
                false,
                Deadline::Default,
            )?;
        }
        if what < 4 {
            // An item in the trash is in every listing of the server.
            let (index, query) = (&self.handles[at].index, query_of(&one));
            let done = if what == 3 {
                index.refresh(&query, true)
            } else {
                index.check(&query)
            };
            done.map_err(|error| format!("a refresh: {:?}: {error}", error.status))?;
        }
        for path in self.model.paths(who.url, Some(&title), true) {
            self.ask_path(at, Some(&title), &path, None, false, Deadline::Default)?;
        }
        Ok(())
    }
}

fn query_of(library: &crate::support::index::Library) -> QueryOptions<'_> {
    options(Some(library), Deadline::Default, false)
}
