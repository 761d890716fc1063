//! Plex over HTTP, against the stand-in server.

use std::sync::Arc;
use std::time::Duration;

use plexindex::model::Token;
use plexindex::options::Options;
use plexindex::source::Source;
use plexindex::source::plex::PlexHttp;
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};

use crate::source_contract::rig::{FOLDER, Failure, Rig};

pub struct Plex(Standin);

fn number(key: &str) -> u64 {
    key.parse().expect("Plex's keys are numbers")
}

impl Rig for Plex {
    fn new(films: u32) -> Self {
        let film = |number| ItemSpec::file(&format!("Film {number}"), &format!("{FOLDER}/Film {number}.mkv"));
        let server = Standin::builder().library(LibrarySpec::movies(0).plain());
        Self(server.items(1, (0..films).map(film)).serve())
    }

    fn source(&self) -> Arc<dyn Source> {
        let options = Options {
            server_url: Some(self.0.url()),
            token: Token::new(&self.0.token()),
            retry_for: Duration::ZERO,
            ..Options::default()
        };
        Arc::new(PlexHttp::new(&options, "client-of-the-tests", Arc::default()).expect("a client"))
    }

    fn paths(&self) -> Vec<(String, String)> {
        let paths = self.0.paths(1).into_iter();
        let mut paths: Vec<_> = paths
            .map(|(key, path)| (key.to_string(), path.unwrap_or_default()))
            .collect();
        paths.sort();
        paths
    }

    fn add(&self, title: &str, path: &str) -> String {
        let spec = ItemSpec::file(title, path);
        let keys = self.0.alter(|state| state.add_items(1, vec![spec], true));
        keys[0].to_string()
    }

    fn remove(&self, keys: &[String]) {
        let keys: Vec<u64> = keys.iter().map(|key| number(key)).collect();
        self.0.change(|state| state.remove_items(&keys, true)).expect("removed");
    }

    fn rename(&self, key: &str, path: &str) {
        let paths = self.paths();
        let (_, from) = paths.iter().find(|(one, _)| one == key).expect("such an item");
        self.0.alter(|state| state.rename_file(number(key), from, path));
    }

    fn fail(&self, failure: Failure) -> bool {
        let always = |action| self.0.fault(Fault::new(action).times(0));
        match failure {
            Failure::Down => {
                self.0.refuse();
                self.0.close_connections();
            }
            Failure::Starting => always(Action::status(503)),
            Failure::Unauthorized => always(Action::status(401)),
            Failure::Forbidden => always(Action::status(403)),
            Failure::CutOff => self
                .0
                .fault(Fault::new(Action::Cut { after: None }).on(Kind::Listing).times(0)),
            Failure::Slow => always(Action::Delay { ms: 60_000 }),
        }
        true
    }

    fn heal(&self) {
        self.0.clear_faults();
        self.0.reopen();
    }
}

/// What a host receives when an item changed.
pub fn notification(section: &str, key: &str) -> String {
    format!(
        "{{\"NotificationContainer\":{{\"type\":\"timeline\",\"TimelineEntry\":[{{\"identifier\":\
         \"com.plexapp.plugins.library\",\"sectionID\":\"{section}\",\"itemID\":\"{key}\",\"type\":1,\"state\":0,\
         \"metadataState\":\"created\"}}]}}}}"
    )
}
