//! The calls of a host, and what is checked of each.

use super::*;
use crate::support::index::{Library, Query};

impl World {
    /// A handle, and the query options of a call: library, deadline, offline.
    fn pick(&mut self) -> (usize, Option<String>, bool, Option<Duration>) {
        let at = self.word(1, self.handles.len());
        let way = self.word(2, 60);
        let libraries = self.libraries(self.handles[at].who.url);
        let library = (!way.is_multiple_of(6)).then(|| libraries[self.word(3, libraries.len())].0.clone());
        self.hurried = way % 12 == 11;
        let deadline = if self.hurried {
            Some(Duration::ZERO)
        } else if way.is_multiple_of(5) {
            Some(LONG)
        } else {
            None
        };
        (at, library, way.is_multiple_of(7), deadline)
    }

    /// A path to ask for: one that is listed, was, or is a host's own.
    fn any_path(&self, at: usize, library: Option<&str>, word_at: usize) -> (String, Option<String>) {
        let who = self.handles[at].who;
        let kind = self.word(word_at, 16);
        let choice = self.words[word_at] / 16;
        let pick = |of: usize| usize::try_from(choice % of.max(1) as u64).unwrap_or(0);
        if kind < 4 {
            return (host_path(pick(12)), None);
        }
        if kind == 4 {
            // Nowhere, or not yet.
            let title = library.unwrap_or(TITLES[0]);
            return (film(self.net.route(who.url), title, self.files + 1 + pick(3)).1, None);
        }
        let paths = self.model.paths(who.url, library, kind == 5);
        let Some(path) = paths.get(pick(paths.len())).cloned() else {
            return (host_path(0), None);
        };
        match kind {
            6 => (path.to_uppercase(), None),
            7 => {
                let mapped = path.replacen("/srv/", "/mnt/", 1);
                let server = self.handles[at].mapped.then_some(path);
                (mapped, server)
            }
            8 => (format!("/elsewhere{path}"), None),
            _ => (path, None),
        }
    }

    fn asked<'a>(&self, at: usize, library: Option<&'a str>, path: &'a str, offline: bool) -> Asked<'a> {
        let who = self.handles[at].who;
        Asked {
            who,
            server: self.net.route(who.url),
            library,
            path,
            offline,
            failed: self.hurried || self.net.failed_at_all(who.url, 15_100),
            full: self.full.is_some(),
            killed: self.net.killed(),
        }
    }

    /// Whether an error is one that what happened explains.
    pub(super) fn explain(&self, at: usize, what: &str, error: &Error, offline: bool) -> Result<(), String> {
        let url = self.handles[at].who.url;
        let explained = match error.status {
            Status::Offline => offline,
            // Not in the store, and the server may not or cannot be asked.
            Status::LibraryNotFound | Status::NotFetched => {
                offline || self.hurried || self.net.failed_at_all(url, 15_100)
            }
            Status::Timeout if self.hurried => true,
            // What failed just now is not tried again.
            status if is_of_the_disk(status) => {
                self.full.is_some() || (self.net.now() - self.emptied_ms).abs() <= 15_100
            }
            status => self.net.failed(url, status, 15_100),
        };
        if explained {
            Ok(())
        } else {
            Err(format!("{what}: {:?}: {}", error.status, error.message))
        }
    }

    /// Whether a write was acknowledged. One that failed on a full disk may have been made, and so may one that was killed.
    pub(super) fn acknowledged(&mut self, done: Result<(), Error>, what: &str) -> Result<(), String> {
        match done {
            Err(error) if self.full.is_some() && is_of_the_disk(error.status) => {
                self.count("writes that a full disk refused");
                self.unsure = true;
                Ok(())
            }
            // Nothing was done: nobody knows yet whose view it is.
            Err(error) if error.message.starts_with("the server has not accepted the token") => {
                self.count("calls before a token was accepted");
                self.unsure = true;
                Ok(())
            }
            // Nothing was done: the store does not know the library, or no longer, and nobody asks the server.
            Err(error) if error.status == Status::LibraryNotFound => {
                self.count("calls about a library that the store does not know");
                self.unsure = true;
                Ok(())
            }
            done => done.map_err(|error| format!("{what}: {:?}: {error}", error.status)),
        }
    }

    fn is_unsure(&self) -> bool {
        self.unsure || self.net.killed()
    }

    /// What is in the store is answered whatever becomes of the disk.
    fn refused(&self, at: usize, library: Option<&str>, path: &str, status: Status) -> Result<(), String> {
        // With a limit on the folder the library may have gone.
        if is_of_the_disk(status)
            && !(self.full.is_some() && (self.handles[at].may_lack_segments || self.have_listings_gone))
            && self.size_limit.is_none()
            && self.model.has_answered(&self.asked(at, library, path, false))
        {
            return Err(format!("{path} in {library:?}: {status:?} instead of the old answer"));
        }
        Ok(())
    }

    pub(super) fn handle_of(&self, at: usize, library: Option<&str>) -> Result<Option<Library>, String> {
        let selector = library.map(|title| Selector::Title(title.to_owned()));
        selector.map(|selector| self.select(at, selector)).transpose()
    }

    fn select(&self, at: usize, selector: Selector) -> Result<Library, String> {
        let made = self.handles[at].index.select(selector);
        made.map_err(|error| format!("a library handle: {:?}: {error}", error.status))
    }

    pub(super) fn match_path(&mut self) -> Result<(), String> {
        let (at, library, offline, deadline) = self.pick();
        let (path, mapped) = self.any_path(at, library.as_deref(), 4);
        let found = self.ask_path(at, library.as_deref(), &path, mapped.as_deref(), offline, deadline)?;
        if let Some(found) = found {
            let shown = show(&found);
            self.tell(at, &format!("{path} in {library:?}, offline {offline}: {shown}"));
        }
        self.agree(at, library.as_deref(), &path)
    }

    pub(super) fn ask_path(
        &mut self,
        at: usize,
        library: Option<&str>,
        path: &str,
        mapped: Option<&str>,
        offline: bool,
        deadline: Option<Duration>,
    ) -> Result<Option<Match>, String> {
        let one = self.handle_of(at, library)?;
        let found = self.handles[at].asks(one.as_ref(), deadline, offline).matched(path);
        self.see();
        match found {
            Ok(found) => {
                let asked = self.asked(at, library, path, offline);
                let checked = self.model.check(&asked, &found, mapped);
                checked
                    .map_err(|what| format!("{path} in {library:?}, offline {offline}: {what}; {}", show(&found)))?;
                Ok(Some(found))
            }
            Err(error) => {
                self.say(&format!("{path} in {library:?}, offline {offline}: {:?}", error.status));
                self.refused(at, library, path, error.status)?;
                self.explain(at, path, &error, offline)?;
                Ok(None)
            }
        }
    }

    /// A fast lookup and the full answer from the store say the same. With a limit on the folder the library may go between
    /// the two: then they agree the next time.
    pub(super) fn agree(&mut self, at: usize, library: Option<&str>, path: &str) -> Result<(), String> {
        let before = self.evictions()?;
        match self.agree_now(at, library, path) {
            Err(_) if self.evictions()? > before => self.agree_now(at, library, path),
            done => done,
        }
    }

    /// How many libraries went for the limit on the folder.
    fn evictions(&self) -> Result<u64, String> {
        let Some(handle) = self.handles.last().filter(|_| self.size_limit.is_some()) else {
            return Ok(0);
        };
        match handle.index.stats() {
            Err(error) if self.full.is_some() && is_of_the_disk(error.status) => Ok(0),
            stats => Ok(stats.map_err(|error| format!("statistics: {error}"))?.evictions),
        }
    }

    fn agree_now(&mut self, at: usize, library: Option<&str>, path: &str) -> Result<(), String> {
        let handle = &self.handles[at];
        let selector = library.map_or(Selector::All, |title| Selector::Title(title.to_owned()));
        let fast = self.select(at, selector)?;
        let before = fast.lookup_key(path.as_bytes(), str::to_owned);
        let one = Some(&fast).filter(|_| library.is_some());
        let full = handle.asks(one, None, true).matched(path);
        let after = fast.lookup_key(path.as_bytes(), str::to_owned);
        let mut batch = None;
        fast.lookup_rating_keys(std::iter::once(path.as_bytes()), |key| batch = key.map(str::to_owned));
        let sure = match &full {
            Ok(found) if found.status == Status::Ok && found.confidence == Confidence::High => {
                found.item.as_ref().map(|item| item.rating_key.clone())
            }
            _ => None,
        };
        // What is doubted has a stale answer, and no fast one.
        let is_withheld = after.is_none() && batch.is_none() && full.as_ref().is_ok_and(|found| found.stale);
        let sure = sure.filter(|_| !is_withheld);
        if after != sure || batch != sure || before.is_some() && before != sure {
            return Err(format!(
                "{path} in {library:?}: fast lookups give {before:?}, then {after:?} and {batch:?}, and the full answer is {:?}",
                full.as_ref().map(show)
            ));
        }
        let Ok(full) = full else { return Ok(()) };
        let asked = self.asked(at, library, path, true);
        let checked = self.model.check(&asked, &full, None);
        checked.map_err(|what| format!("{path} in {library:?}, from the store: {what}; {}", show(&full)))
    }

    pub(super) fn look_up(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let (path, _) = self.any_path(at, library.as_deref(), 4);
        self.tell(at, &format!("a fast lookup of {path} in {library:?}"));
        self.agree(at, library.as_deref(), &path)
    }

    pub(super) fn batch(&mut self) -> Result<(), String> {
        let (at, library, offline, deadline) = self.pick();
        let mut paths: Vec<(String, Option<String>)> = Vec::new();
        for _ in 0..5 {
            self.words[4] = self.words[4].wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            paths.push(self.any_path(at, library.as_deref(), 4));
        }
        let one = self.handle_of(at, library.as_deref())?;
        let raw: Vec<&[u8]> = paths.iter().map(|(path, _)| path.as_bytes()).collect();
        let mut answers = Vec::new();
        let query = self.handles[at].asks(one.as_ref(), deadline, offline);
        let done = query.match_paths_with(&raw, |_, answer| answers.push(Match::from(answer)));
        drop(query);
        // After a change, all answers came twice.
        let answers = answers.split_off(answers.len().saturating_sub(paths.len()));
        self.see();
        if let Err(error) = done {
            self.say(&format!("a batch: {:?}", error.status));
            return self.explain(at, "a batch", &error, offline);
        }
        if answers.len() != paths.len() {
            return Err(format!("{} answers for {} paths", answers.len(), paths.len()));
        }
        for ((path, mapped), found) in paths.iter().zip(&answers) {
            self.say(&format!("batch: {path} in {library:?}: {}", show(found)));
            if found.status as i32 >= 100 {
                self.refused(at, library.as_deref(), path, found.status)?;
                self.explain(at, path, &Error::new(found.status, found.message.clone()), offline)?;
                continue;
            }
            let asked = self.asked(at, library.as_deref(), path, offline);
            let checked = self.model.check(&asked, found, mapped.as_deref());
            checked.map_err(|what| format!("batch: {path} in {library:?}: {what}; {}", show(found)))?;
        }
        Ok(())
    }

    /// By GUID or title: the items are right; one that was there all along is found.
    pub(super) fn by(
        &mut self,
        what: &str,
        library: Option<&str>,
        at: usize,
        found: Result<Match, Error>,
        offline: bool,
    ) -> Result<(), String> {
        self.see();
        match found {
            Ok(found) => {
                self.say(&format!("{what} in {library:?}: {}", show(&found)));
                // No path of any library: what is invalidated is told by keys, and by the item's own.
                let asked = self.asked(at, library, "", offline);
                let found = Match {
                    candidates: (found.candidates.iter().cloned())
                        .map(|mut one| {
                            one.path = None;
                            one
                        })
                        .collect(),
                    ..found
                };
                let checked = self.model.check(&asked, &found, None);
                checked.map_err(|why| format!("{what} in {library:?}, offline {offline}: {why}; {}", show(&found)))
            }
            Err(error) => {
                self.say(&format!("{what}: {:?}", error.status));
                self.explain(at, what, &error, offline)
            }
        }
    }

    pub(super) fn guid(&mut self) -> Result<(), String> {
        let (at, library, offline, deadline) = self.pick();
        let keys = self.model.keys(self.handles[at].who.url, library.as_deref());
        let Some(key) = keys.get(self.word(4, keys.len())).cloned() else {
            return Ok(());
        };
        let guid = format!("memory://{key}");
        let one = self.handle_of(at, library.as_deref())?;
        let found = self.handles[at]
            .asks(one.as_ref(), deadline, offline)
            .match_guid(&guid)
            .map(Match::from);
        let mut all = found.iter().flat_map(|found| &found.candidates);
        if let Some(other) = all.find(|one| one.rating_key != key) {
            return Err(format!("{guid} gives {}", other.rating_key));
        }
        if let Ok(found) = &found {
            self.model
                .check_guid(&self.asked(at, library.as_deref(), "", offline), found, &key)
                .map_err(|why| format!("{why}: {}", show(found)))?;
        }
        self.by(&guid, library.as_deref(), at, found, offline)
    }

    pub(super) fn title(&mut self) -> Result<(), String> {
        let (at, library, offline, deadline) = self.pick();
        let titles = self.model.titles(self.handles[at].who.url, library.as_deref());
        let Some(title) = titles.get(self.word(4, titles.len())).cloned() else {
            return Ok(());
        };
        let one = self.handle_of(at, library.as_deref())?;
        let found = self.handles[at]
            .asks(one.as_ref(), deadline, offline)
            .search_title(&title)
            .map(Match::from);
        self.by(&title, library.as_deref(), at, found, offline)
    }

    pub(super) fn record(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let libraries = self.libraries(self.handles[at].who.url);
        let library = library.unwrap_or_else(|| libraries[0].0.clone());
        let who = self.handles[at].who;
        let keys = self.model.keys(who.url, Some(&library));
        let Some(key) = keys.get(self.word(4, keys.len())).cloned() else {
            return Ok(());
        };
        let one = self.handle_of(at, Some(&library))?.expect("named");
        let mut paths = vec![host_path(self.word(5, 12))];
        if self.word(2, 9) == 0 {
            paths.push(host_path(20 + self.word(5, 5)));
        }
        if self.word(2, 11) == 0 {
            paths.push(self.any_path(at, Some(&library), 4).0);
            paths.dedup();
        }
        let listed = matches!(one.item(&key), Ok(Some(_)));
        let done = one.record_matches(paths.iter().map(|path| (path, key.as_str())));
        let ended = done.as_ref().map_err(|error| error.status);
        self.tell(at, &format!("{paths:?} in {library} is {key}: {ended:?}"));
        if !self.recorded(at, &library, &paths, &key, listed, done)? {
            return Ok(());
        }
        for path in &paths {
            self.agree(at, Some(&library), path)?;
        }
        Ok(())
    }

    /// What became of a recording, for the model: `false` where it failed and nothing can be there.
    fn recorded(
        &mut self,
        at: usize,
        library: &str,
        paths: &[String],
        key: &str,
        listed: bool,
        done: Result<(), Error>,
    ) -> Result<bool, String> {
        let who = self.handles[at].who;
        self.see();
        if let Err(error) = done {
            self.explain(at, "recording", &error, false)?;
            if self.full.is_none() {
                return Ok(false);
            }
            self.unsure = true;
        }
        let (server, unsure) = (self.net.route(who.url), self.is_unsure());
        for path in paths {
            self.model.record(server, who, library, path, key, listed, unsure);
        }
        Ok(true)
    }

    /// So many matches at once that those recorded longest ago go where the limit wants it.
    pub(super) fn record_many(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let who = self.handles[at].who;
        let library = library.unwrap_or_else(|| TITLES[0].to_owned());
        let keys = self.model.keys(who.url, Some(&library));
        let Some(key) = keys.get(self.word(4, keys.len())).cloned() else {
            return Ok(());
        };
        let one = self.handle_of(at, Some(&library))?.expect("named");
        let round = self.word(5, 4);
        // Asked before: an item of a library that was invalidated has that listed, and then what ended is swept.
        let listed = matches!(one.item(&key), Ok(Some(_)));
        if self.word(3, 2) == 0 {
            // What is in it ends, and counts no more.
            for ended in [round + 4, round + 8] {
                self.record_round(at, &one, &library, &key, listed, ended)?;
            }
            let done = one.invalidate();
            self.tell(at, &format!("{library} is wrong"));
            self.acknowledged(done, "invalidating a library")?;
            self.each_library(at, Some(&library), Model::invalidate);
        }
        self.record_round(at, &one, &library, &key, listed, round)?;
        // None of the few that were recorded before has gone for those that ended.
        for number in 0..12 {
            for title in [TITLES[0], TITLES[1]] {
                self.ask_path(at, Some(title), &host_path(number), None, true, None)?;
            }
        }
        if self.word(3, 8) < 6 {
            // Else there are soon more than the limit allows, and nothing has to stay.
            let done = one.invalidate();
            self.acknowledged(done, "invalidating a library")?;
            self.each_library(at, Some(&library), Model::invalidate);
        }
        Ok(())
    }

    fn record_round(
        &mut self,
        at: usize,
        one: &Library,
        library: &str,
        key: &str,
        listed: bool,
        round: usize,
    ) -> Result<(), String> {
        let paths: Vec<String> = (0..MANY)
            .map(|number| format!("/host/many {round}/{number}.mkv"))
            .collect();
        let done = one.record_matches(paths.iter().map(|path| (path, key)));
        let ended = done.as_ref().map_err(|error| error.status);
        self.tell(at, &format!("{MANY} paths in {library} are {key}: {ended:?}"));
        if !self.recorded(at, library, &paths, key, listed, done)? {
            return Ok(());
        }
        self.model.compacted(MATCHES_LIMIT);
        Ok(())
    }

    pub(super) fn invalidate_path(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let (path, _) = self.any_path(at, library.as_deref(), 4);
        let one = match self.handle_of(at, library.as_deref())? {
            Some(one) => one,
            None => self.select(at, Selector::All)?,
        };
        let done = one.invalidate_path(&path);
        self.tell(at, &format!("{path} in {library:?} is wrong"));
        self.acknowledged(done, "invalidating a path")?;
        self.each_library(at, library.as_deref(), |model, server, who, title, killed| {
            model.invalidate_path(server, who, title, &path, killed);
        });
        self.agree(at, library.as_deref(), &path)
    }

    pub(super) fn each_library(
        &mut self,
        at: usize,
        library: Option<&str>,
        mut each: impl FnMut(&mut Model, usize, Who, &str, bool),
    ) {
        let who = self.handles[at].who;
        let (server, killed) = (self.net.route(who.url), self.is_unsure());
        for title in TITLES {
            if library.is_none_or(|library| library == title) {
                each(&mut self.model, server, who, title, killed);
            }
        }
    }

    pub(super) fn invalidate_item(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let keys = self.model.keys(self.handles[at].who.url, library.as_deref());
        let Some(key) = keys.get(self.word(4, keys.len())).cloned() else {
            return Ok(());
        };
        let one = match self.handle_of(at, library.as_deref())? {
            Some(one) => one,
            None => self.select(at, Selector::All)?,
        };
        let done = one.invalidate_item(&key);
        self.tell(at, &format!("{key} in {library:?} is wrong"));
        self.acknowledged(done, "invalidating an item")?;
        self.each_library(at, library.as_deref(), |model, server, who, title, killed| {
            model.invalidate_item(server, who, title, &key, killed);
        });
        if self.is_unsure() {
            return Ok(());
        }
        // Nothing has asked the server since, so that the answer is none or stale.
        let guid = format!("memory://{key}");
        if let Ok(found) = one.query().offline().match_guid(&guid).map(Match::from)
            && found.status == Status::Ok
            && found.confidence == Confidence::High
            && !found.stale
        {
            return Err(format!("{guid} was invalidated, and answers: {}", show(&found)));
        }
        Ok(())
    }

    pub(super) fn invalidate(&mut self) -> Result<(), String> {
        let (at, library, ..) = self.pick();
        let one = self.handle_of(at, library.as_deref())?;
        let done = match &one {
            Some(one) => one.invalidate(),
            None => self.handles[at].index.invalidate_all(),
        };
        self.tell(at, &format!("{library:?} is wrong"));
        self.acknowledged(done, "invalidating a library")?;
        self.each_library(at, library.as_deref(), Model::invalidate);
        Ok(())
    }

    pub(super) fn clear(&mut self) -> Result<(), String> {
        let at = self.word(1, self.handles.len());
        let done = self.handles[at].index.clear();
        self.tell(at, "clear");
        self.acknowledged(done, "clearing")?;
        self.each_library(at, None, Model::clear);
        Ok(())
    }

    pub(super) fn refresh(&mut self, full: bool) -> Result<(), String> {
        let (at, library, offline, deadline) = self.pick();
        let one = self.handle_of(at, library.as_deref())?;
        let done = self.handles[at].asks(one.as_ref(), deadline, offline).refreshed(full);
        let shown = done.as_ref().map_err(|error| error.status);
        self.tell(at, &format!("refresh of {library:?}, full {full}: {shown:?}"));
        self.see();
        match done {
            Ok(Status::Ok) => {
                let url = self.handles[at].who.url;
                // One that was cut off may have gone on from there.
                if full && !self.net.killed() && !self.net.failed_at_all(url, 660_000) {
                    self.each_library(at, library.as_deref(), |model, server, who, title, _| {
                        model.listed(server, who, title);
                    });
                }
                Ok(())
            }
            Ok(late) => {
                let url = self.handles[at].who.url;
                // It says what the answers say.
                let listed = self.handles[at].asks(one.as_ref(), None, true).libraries();
                let is_stale = listed.is_ok_and(|all| all.iter().any(|library| !library.fresh));
                // Items stay doubted while no reply comes or can be stored, after which a refresh does not ask for half a
                // minute. A match of an item that is not listed is a doubt, too.
                let has_failed =
                    self.net.failed_at_all(url, 30_000) || (self.net.now() - self.emptied_ms).abs() <= 30_000;
                let unasked = self.model.has_told_items() && has_failed;
                let has_doubted_items = unasked || self.full.is_some();
                let may_be_doubted = late == Status::NotYet && (is_stale || has_doubted_items);
                if self.hurried || self.net.failed(url, Status::Timeout, 0) || may_be_doubted {
                    Ok(())
                } else {
                    Err(format!("a refresh is late: {late:?}"))
                }
            }
            Err(error) => self.explain(at, "a refresh", &error, offline),
        }
    }

    pub(super) fn notify(&mut self) -> Result<(), String> {
        let at = self.word(1, self.handles.len());
        let who = self.handles[at].who;
        let libraries = self.libraries(who.url);
        let (title, section) = libraries[self.word(3, libraries.len())].clone();
        let keys = self.model.keys(who.url, Some(&title));
        let Some(key) = keys.get(self.word(4, keys.len())).cloned() else {
            return Ok(());
        };
        let deleted = self.word(2, 2) == 0;
        let what = if deleted { "deleted" } else { "changed" };
        let body = format!("{{\"section\":\"{section}\",\"{what}\":\"{key}\"}}");
        let done = self.handles[at].index.notify(body.as_bytes()).map(drop);
        self.tell(at, &format!("told that {key} of {title} is {what}"));
        self.acknowledged(done, "an event")?;
        if deleted {
            let killed = self.is_unsure();
            self.model.deleted(self.net.route(who.url), who, &title, &key, killed);
        }
        Ok(())
    }

    /// A watch hears what the server tells, and is stopped when it has.
    pub(super) fn watch(&mut self) -> Result<(), String> {
        let at = self.word(1, self.handles.len());
        let who = self.handles[at].who;
        let server = self.net.server(who.url).clone();
        let (title, section) = {
            let libraries = self.libraries(who.url);
            libraries[self.word(3, libraries.len())].clone()
        };
        let keys = self.model.keys(who.url, Some(&title));
        let told = (self.word(2, 3) > 0).then(|| keys.get(self.word(4, keys.len())).cloned());
        let told = told.flatten();
        if let Some(rating_key) = told.clone() {
            let section = Some(section);
            server.tell(Event::Deleted { section, rating_key });
        }
        let begun = self.handles[at].index.watch_start(<_>::default());
        let ended = begun.as_ref().map_err(|error| error.status);
        self.tell(
            at,
            &format!("watches {title}, and hears that {told:?} is gone: {ended:?}"),
        );
        begun.map_err(|error| format!("a watch: {:?}: {error}", error.status))?;
        let failing = server.is_failing();
        let waited = std::time::Instant::now();
        while server.listened() == 0 && waited.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        self.handles[at].index.watch_stop();
        let heard = server.hear();
        if failing {
            // It may have heard it.
            if let Some(key) = &told {
                self.model.deleted(self.net.route(who.url), who, &title, key, true);
            }
            return Ok(());
        }
        if heard {
            return Err("a watch did not hear what the server told".to_owned());
        }
        if let Some(key) = told {
            let unsure = self.full.is_some() || self.net.killed();
            self.count("events heard by a watch");
            self.model.deleted(self.net.route(who.url), who, &title, &key, unsure);
        }
        Ok(())
    }

    pub(super) fn facts(&mut self) -> Result<(), String> {
        let at = self.word(1, self.handles.len());
        let handle = &self.handles[at];
        let index = &handle.index;
        let done = index.stats().and_then(|_| index.query().offline().libraries());
        let done = done.and_then(|_| index.store()).map(drop);
        match done {
            Err(error) if self.full.is_some() && handle.may_lack_segments && is_of_the_disk(error.status) => Ok(()),
            done => done.map_err(|error| format!("facts: {:?}: {error}", error.status)),
        }
    }

    /// A handle that is opened now agrees with the old ones, on every path that means anything.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let before = self.evictions()?;
        match self.compare_now() {
            // A library went for the limit between the two answers.
            Err(_) if self.evictions()? > before => self.compare_now(),
            done => done,
        }
    }

    fn compare_now(&mut self) -> Result<(), String> {
        let Some(old) = self.handles.last() else {
            return Ok(());
        };
        let (who, mapped) = (old.who, old.mapped);
        let fresh = self.new_handle(who, mapped)?;
        let mut paths = self.model.paths(who.url, None, true);
        paths.extend((0..12).map(host_path));
        let old = self.handles.last().expect("a handle");
        let offline = |handle: &Handle, path: &str| handle.index.query().offline().matched(path);
        let all = |handle: &Handle| handle.index.select(Selector::All).map_err(|error| error.to_string());
        let (one, other) = (all(old)?, all(&fresh)?);
        // Segments that one of them makes anew the other has to read, and a fast lookup does not wait for that.
        for handle in [old, &fresh, old, &fresh] {
            let _ = offline(handle, &host_path(0));
        }
        for path in &paths {
            let answers = [old, &fresh].map(|handle| offline(handle, path));
            let keys = [&one, &other].map(|library| library.lookup_key(path.as_bytes(), str::to_owned));
            let shown = answers.each_ref().map(|answer| {
                let found = answer.as_ref().map_err(|error| error.status)?;
                let mut found = found.clone();
                // Those that fit equally well come in any order.
                found.candidates.sort_by(|one, other| one.key.cmp(&other.key));
                Ok(show(&found))
            });
            // On a full disk a lost segment is not made anew: who has it mapped answers, the other has no room.
            if self.full.is_some() && shown.contains(&Err(Status::StoreFull)) {
                continue;
            }
            if shown[0] != shown[1] || keys[0] != keys[1] {
                return Err(format!(
                    "a handle that was opened now answers otherwise: {path}: {shown:?}, fast lookups {keys:?}"
                ));
            }
        }
        self.end(fresh)
    }
}

impl Handle {
    /// What [`World::pick`] chose, for a call.
    pub(super) fn asks<'q>(
        &'q self,
        library: Option<&'q Library>,
        timeout: Option<Duration>,
        offline: bool,
    ) -> Query<'q> {
        let query = library.map_or_else(|| self.index.query(), |library| library.query());
        let query = match timeout {
            Some(timeout) => query.timeout(timeout),
            None => query,
        };
        if offline { query.offline() } else { query }
    }
}

/// What matters of an answer, in a line.
pub(super) fn show(found: &Match) -> String {
    let keys = found.candidates.iter().map(|one| one.rating_key.as_str());
    let keys: Vec<&str> = keys.collect();
    format!(
        "{:?} {:?} {:?} {:?} {keys:?}, age {:?}, stale {}",
        found.status, found.match_kind, found.confidence, found.reason, found.age_ms, found.stale
    )
}

pub(super) fn host_path(number: usize) -> String {
    format!("/host/own {number}.mkv")
}
