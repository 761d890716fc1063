//! A server, a store, and the requests between them, one step at a time; and what must hold after each step.

use std::hash::{Hash, Hasher};

use super::super::*;
use super::server::{Change, KEYS, Server, Shape};
use super::store::{Store, index_of, key_of};
use crate::model::{SourceState, TokenReliability};
use crate::options::{Options, Ttl};

pub const P1: &str = "P1: an unmarked value went back";
pub const P2: &str = "P2: an unmarked value is older than a known change";
pub const P3: &str = "P3: a mark was lost";

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An item, by its key.
    Item(usize),
    /// An item that a search finds if the server has it.
    Search(usize),
    Probe,
    Delta,
    /// A listing with one item on each page. After a kill, it goes on.
    Listing,
}

/// What a host, or an event, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    Event,
    Changed,
    Item(usize),
    Path(usize),
    Library,
    /// No mark, but a search that found an item changed, though nothing had told it.
    Surprise(usize),
}

/// What may happen in one exploration.
#[derive(Clone, Debug)]
pub struct Setup {
    pub kinds: Vec<Kind>,
    pub changes: u8,
    pub ways: &'static [Change],
    /// Items that may change.
    pub keys: &'static [usize],
    /// Number of marks.
    pub mark_count: u8,
    pub marks: &'static [Mark],
    pub kills: u8,
    /// Number of evictions or compactions.
    pub upheavals: u8,
    pub shape: Shape,
    pub trust: TokenReliability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Change(usize, Change),
    Mark(Mark),
    Ask(usize),
    Serve(usize),
    Fold(usize),
    Kill(usize),
    Compact,
    Evict,
}

/// Which requests the server may reply to now. A reply depends only on the changes before it, so it follows at once on
/// its request, or on a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Turn {
    None,
    Of(usize),
    From(usize),
}

/// Where a request is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Step {
    #[default]
    New,
    Asked,
    Served,
    /// A listing between two pages, perhaps because its process was killed.
    Paused,
    Done,
}

/// A request, and what the server sent.
#[derive(Clone, Default, Hash)]
struct Flight {
    step: Step,
    asked: Ticket,
    sync: Option<SyncRequest>,
    versions: [Option<u8>; KEYS],
    token: usize,
    cursor: u8,
    /// A delta's number of items, or a listing's next page.
    count: usize,
    pages: [Interval; KEYS],
}

/// What must stay marked, until a later request has shown it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Duty {
    mark: Mark,
    raised: Ticket,
}

/// What the replies and the marks have said so far. It knows the versions, and no rule.
#[derive(Clone, Default, Hash)]
struct Truth {
    /// The version that is stored.
    stored: [u8; KEYS],
    /// The newest version that was folded.
    best: [u8; KEYS],
    /// The version at the last thing that is known to have changed.
    floor: [u8; KEYS],
    /// The same for the answers of a path.
    path_floor: [[u8; KEYS]; KEYS],
    duties: Vec<Duty>,
}

#[derive(Clone)]
pub struct World<'s> {
    setup: &'s Setup,
    server: Server,
    store: Store,
    truth: Truth,
    flights: Vec<Flight>,
    /// How many changes, marks, kills, and evictions or compactions may still happen.
    left: [u8; 4],
    turn: Turn,
    /// The server has just changed, which only a reply or a mark can notice.
    is_unnoticed: bool,
    /// Whether a reply has said anything.
    has_counted: bool,
    now_ms: i64,
}

impl Hash for World<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.server, &self.store, &self.truth, &self.flights).hash(hasher);
        (self.left, self.turn, self.is_unnoticed).hash(hasher);
    }
}

fn both(interval: &mut Interval) -> [&mut Ticket; 2] {
    [&mut interval.asked, &mut interval.came]
}

fn item_scope(key: usize) -> DoubtScope {
    DoubtScope::Item(key_of(key))
}

fn path_scope(path: usize) -> DoubtScope {
    DoubtScope::Path(key_of(path).into_bytes())
}

impl<'s> World<'s> {
    /// A library that was probed and listed.
    pub fn new(setup: &'s Setup) -> Self {
        let interval = |asked, came| Interval {
            asked: Ticket(asked),
            came: Ticket(came),
        };
        let listing = ListingState {
            listed_ms: 0,
            checked_ms: 0,
            token: token_text(0),
            synced: Ticket(3),
            cursor: String::new(),
            items: KEYS as u64,
            syncs: Vec::new(),
        };
        Self {
            setup,
            server: Server::new(),
            store: Store {
                shape: setup.shape,
                knowledge: Knowledge {
                    probed: Some(ProbedState {
                        state: state(setup, 0),
                        interval: interval(1, 2),
                    }),
                    base: interval(3, 4),
                    listing: Some(listing),
                },
                doubts: Vec::new(),
                base: [setup.shape.content(0); KEYS],
                rows: [None, None],
                cursor: 0,
                told: KEYS,
                last: Ticket(4),
            },
            truth: Truth::default(),
            flights: vec![Flight::default(); setup.kinds.len()],
            left: [setup.changes, setup.mark_count, setup.kills, setup.upheavals],
            turn: Turn::None,
            is_unnoticed: false,
            has_counted: false,
            now_ms: 0,
        }
    }

    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let [changes, marks, kills, upheavals] = self.left.map(|left| left > 0);
        let mut actions = Vec::new();
        for key in self.setup.keys.iter().filter(|_| changes) {
            actions.extend(self.setup.ways.iter().map(|way| Action::Change(*key, *way)));
        }
        actions.extend(
            self.setup
                .marks
                .iter()
                .filter(|_| marks)
                .map(|mark| Action::Mark(*mark)),
        );
        for (index, flight) in self.flights.iter().enumerate() {
            let may_reply = match self.turn {
                Turn::None => false,
                Turn::Of(only) => index == only,
                Turn::From(first) => index >= first,
            };
            actions.extend(match flight.step {
                Step::Asked if may_reply => Some(Action::Serve(index)),
                Step::New | Step::Paused if !self.is_unnoticed => Some(Action::Ask(index)),
                Step::Served if !self.is_unnoticed => Some(Action::Fold(index)),
                _ => None,
            });
            if kills && !self.is_unnoticed && matches!(flight.step, Step::Asked | Step::Served) {
                actions.push(Action::Kill(index));
            }
        }
        if upheavals && !self.is_unnoticed {
            actions.extend([Action::Compact, Action::Evict]);
        }
        actions
    }

    pub fn act<R: FreshnessRules>(&mut self, action: Action) {
        self.is_unnoticed = matches!(action, Action::Change(..));
        self.turn = match (action, self.turn) {
            (Action::Ask(index), _) => Turn::Of(index),
            (Action::Change(..), _) => Turn::From(0),
            (Action::Serve(index), Turn::From(_)) => Turn::From(index + 1),
            _ => Turn::None,
        };
        let [changes, marks, kills, upheavals] = &mut self.left;
        match action {
            Action::Change(key, change) => {
                *changes -= 1;
                self.server.change(key, change);
            }
            Action::Mark(mark) => {
                *marks -= 1;
                self.mark(mark);
            }
            Action::Ask(index) => self.ask(index),
            Action::Serve(index) => self.serve(index),
            Action::Fold(index) => self.fold::<R>(index),
            Action::Kill(index) => {
                *kills -= 1;
                let goes_on = self.setup.kinds[index] == Kind::Listing;
                self.flights[index].step = if goes_on { Step::Paused } else { Step::Done };
            }
            Action::Compact => {
                *upheavals -= 1;
                let unfinished = self.listings().filter_map(|index| self.flights[index].sync.as_ref());
                let begun = unfinished.map(|sync| sync.asked).min();
                self.store.compact(begun);
            }
            Action::Evict => {
                *upheavals -= 1;
                self.store.evict();
                self.truth.stored = [0; KEYS];
            }
        }
        self.number_tickets();
    }

    /// The listings that have begun, and have not ended.
    fn listings(&self) -> impl Iterator<Item = usize> {
        let is_running = |index: &usize| {
            self.setup.kinds[*index] == Kind::Listing && !matches!(self.flights[*index].step, Step::New | Step::Done)
        };
        (0..self.flights.len()).filter(is_running)
    }

    /// The host, or an event, says that something may be wrong.
    fn mark(&mut self, mark: Mark) {
        let (server, truth) = (&self.server, &mut self.truth);
        let (scope, cause) = match mark {
            Mark::Event => (DoubtScope::Library, Cause::Event),
            Mark::Changed => (DoubtScope::Library, Cause::Changed),
            Mark::Item(key) => (item_scope(key), Cause::Invalidated),
            Mark::Path(path) => (path_scope(path), Cause::Invalidated),
            Mark::Library => (DoubtScope::Library, Cause::Invalidated),
            Mark::Surprise(_) => unreachable!("nobody says it"),
        };
        match mark {
            Mark::Event => truth.raise_floor(server.at_token[server.token()]),
            Mark::Changed => truth.raise_floor(server.shown_version),
            Mark::Library => truth.raise_floor(server.version),
            Mark::Item(key) => truth.floor[key] = server.version[key],
            Mark::Path(path) => truth.path_floor[path] = server.version,
            Mark::Surprise(_) => {}
        }
        let raised = self.store.commit();
        truth.add_duty(mark, raised);
        self.store.raise(Doubt {
            scope,
            cause,
            raised,
            raised_ms: self.now_ms,
        });
    }

    /// Takes a ticket, and sends the request. A listing that begins takes over from an unfinished one.
    fn ask(&mut self, index: usize) {
        let asked = self.store.commit();
        if self.flights[index].step == Step::New {
            if self.setup.kinds[index] == Kind::Listing {
                for other in self.listings().collect::<Vec<_>>() {
                    self.flights[other] = Flight::done();
                }
            }
            self.flights[index].sync = self.store.knowledge.begin(asked, self.now_ms);
            self.flights[index].cursor = self.store.cursor;
        }
        self.flights[index].step = Step::Asked;
        self.flights[index].asked = asked;
    }

    /// The server sends its reply, from what is true now.
    fn serve(&mut self, index: usize) {
        let (flight, server, shape) = (&mut self.flights[index], &self.server, self.setup.shape);
        let is_there = |version: &u8| shape.content(*version).is_some();
        flight.step = Step::Served;
        match self.setup.kinds[index] {
            Kind::Item(key) => flight.versions[key] = Some(server.version[key]),
            Kind::Search(key) => flight.versions[key] = Some(server.version[key]).filter(is_there),
            Kind::Probe => flight.token = server.token(),
            Kind::Delta => {
                for key in (0..KEYS).filter(|key| server.shown_at[*key] > flight.cursor) {
                    flight.versions[key] = Some(server.version[key]);
                }
                flight.cursor = server.shown;
                flight.count = server.version.iter().filter(|version| is_there(version)).count();
            }
            Kind::Listing => {
                flight.versions[flight.count] = Some(server.version[flight.count]);
                // What changes after the first page is for the next delta.
                flight.cursor = if flight.count == 0 { server.shown } else { flight.cursor };
            }
        }
    }

    /// Stores the reply.
    fn fold<R: FreshnessRules>(&mut self, index: usize) {
        let (kind, shape, came) = (self.setup.kinds[index], self.setup.shape, self.store.commit());
        let flight = &mut self.flights[index];
        let asked = flight.asked;
        if kind == Kind::Listing {
            flight.pages[flight.count] = Interval { asked, came };
            flight.count += 1;
            if flight.count < KEYS {
                flight.step = Step::Paused;
                return;
            }
        }
        let flight = std::mem::replace(flight, Flight::done());
        let sync = flight.sync.as_ref();
        let asked = sync.filter(|_| kind == Kind::Listing).map_or(asked, |sync| sync.asked);
        let contents = flight
            .versions
            .map(|version| version.map(|version| shape.content(version)));
        let items: Vec<(String, Option<u8>)> = (0..KEYS)
            .filter_map(|key| Some((key_of(key), contents[key]?)))
            .collect();
        let listed = contents.map(Option::flatten);
        // An item on no page is observed by the whole listing.
        let page_of = |key: usize| listed[key].map_or(Interval { asked, came }, |_| flight.pages[key]);
        let item_of = |key: &str| (listed[index_of(key)], page_of(index_of(key)));
        let state = state(self.setup, flight.token);
        let observation = match (kind, sync) {
            (Kind::Item(_) | Kind::Search(_), _) if items.is_empty() => return,
            (Kind::Item(_) | Kind::Search(_), _) => Observation::Items {
                items: &items,
                are_doubted: matches!(kind, Kind::Item(_)),
            },
            (Kind::Probe, _) => Observation::State(&state),
            (Kind::Delta, Some(request)) => {
                // The source counts. If the counts differ, it cannot tell what changed.
                let after = |key: &usize| contents[*key].unwrap_or(self.store.content(*key)).is_some();
                if (0..KEYS).filter(after).count() != flight.count {
                    return;
                }
                Observation::Changes {
                    request,
                    items: &items,
                    is_resized: flight.count != self.store.told,
                    cursor: "",
                }
            }
            (Kind::Listing, Some(request)) => Observation::Listing {
                request,
                listed: &item_of,
                count: listed.iter().flatten().count() as u64,
                is_whole: true,
                may_shrink: false,
                cursor: "",
            },
            (Kind::Delta | Kind::Listing, None) => unreachable!("a probe came before"),
        };
        let (store, interval) = (&mut self.store, Interval { asked, came });
        let effects = fold::<R, u8>(
            &store.knowledge,
            &store.doubts,
            store,
            &observation,
            interval,
            self.now_ms,
        );
        // A listing that is held back, and a delta of a listing that was replaced, say nothing.
        let knowledge = &store.knowledge;
        let is_extended =
            || knowledge.listing.is_some() && sync.is_some_and(|sync| sync.extends == knowledge.base.asked);
        let counts = match kind {
            Kind::Listing => effects.publishes,
            Kind::Delta => is_extended(),
            _ => true,
        };
        let before = [0, 1].map(|key| store.content(key));
        store.write(effects, listed);
        if !counts {
            return;
        }
        if matches!(kind, Kind::Delta | Kind::Listing) {
            store.cursor = flight.cursor;
            let listed = listed.iter().flatten().count();
            store.told = if kind == Kind::Delta { flight.count } else { listed };
        }
        self.has_counted = true;
        self.note(kind, &flight, before, interval, &page_of);
    }

    /// Notes what a reply has said. `before`: what was stored before.
    fn note(
        &mut self,
        kind: Kind,
        flight: &Flight,
        before: [Option<u8>; KEYS],
        Interval { asked, came }: Interval,
        page_of: &dyn Fn(usize) -> Interval,
    ) {
        let (truth, store, trust) = (&mut self.truth, &self.store, self.setup.trust);
        for (key, before) in before.iter().enumerate() {
            let Some(version) = flight.versions[key] else { continue };
            let now = store.content(key);
            truth.best[key] = truth.best[key].max(version);
            if now == self.setup.shape.content(version) {
                let earlier = if now == *before { truth.stored[key] } else { 0 };
                truth.stored[key] = version.max(earlier);
            }
            let asked = if kind == Kind::Listing {
                page_of(key).asked
            } else {
                asked
            };
            truth.end_duties(asked, |mark| mark == Mark::Item(key));
        }
        if kind == Kind::Probe {
            truth.raise_floor(self.server.at_token[flight.token]);
        }
        truth.end_duties(asked, |mark| match (mark, kind) {
            (Mark::Item(_), _) | (_, Kind::Item(_) | Kind::Search(_)) => false,
            // From a probe on, the floor holds what the token told.
            (_, Kind::Listing) | (Mark::Changed, Kind::Delta) | (Mark::Event, Kind::Probe) => true,
            (Mark::Changed, Kind::Probe) => trust == TokenReliability::Exact,
            (Mark::Surprise(key), Kind::Delta) => flight.versions[key].is_some(),
            (Mark::Event, Kind::Delta) | (Mark::Surprise(_) | Mark::Path(_) | Mark::Library, _) => false,
        });
        if let Kind::Search(key) = kind
            && store.content(key) != before[key]
            && store.knowledge.listing.is_some()
        {
            truth.add_duty(Mark::Surprise(key), came);
        }
    }

    /// Whether an answer is marked. `about`: whether a doubt is about the answer.
    fn is_marked<R: FreshnessRules>(&self, about: impl Fn(&Doubt) -> bool) -> bool {
        let doubts = self.store.doubts.iter();
        let doubts = doubts.filter(|doubt| doubt.is_about_library() || about(doubt));
        is_stale::<R>(&self.store.knowledge, doubts, &policy(), &self.moment())
    }

    fn moment(&self) -> Moment {
        Moment {
            now_ms: self.now_ms,
            ..Moment::default()
        }
    }

    /// The property that does not hold now.
    pub fn broken_property<R: FreshnessRules>(&self) -> Option<&'static str> {
        let (store, truth) = (&self.store, &self.truth);
        store.knowledge.listing.as_ref()?; // without a listing, nothing is answered without a request
        let is_item_marked = |key| self.is_marked::<R>(|doubt| doubt.scope == item_scope(key));
        for key in (0..KEYS).filter(|key| !is_item_marked(*key)) {
            if truth.stored[key] < truth.best[key] {
                return Some(P1);
            }
            let is_withheld = |path| {
                let mut doubts = store.doubts.iter().filter(|doubt| doubt.scope == path_scope(path));
                doubts.any(|doubt| store.item(key).interval.asked <= doubt.raised)
            };
            let path = store.path(key).filter(|path| !is_withheld(*path));
            let path_floor = path.map_or(0, |path| truth.path_floor[path][key]);
            if truth.stored[key] < truth.floor[key].max(path_floor) {
                return Some(P2);
            }
        }
        let is_kept = |duty: &Duty| match duty.mark {
            Mark::Item(key) => is_item_marked(key),
            Mark::Path(path) => {
                let mut doubts = store.doubts.iter();
                doubts.any(|doubt| doubt.scope == path_scope(path) && doubt.raised >= duty.raised)
            }
            Mark::Event | Mark::Changed | Mark::Library | Mark::Surprise(_) => self.is_marked::<R>(|_| false),
        };
        (!truth.duties.iter().all(is_kept)).then_some(P3)
    }

    /// Whether all requests have ended.
    pub fn is_quiet(&self) -> bool {
        self.flights.iter().all(|flight| flight.step == Step::Done)
    }

    /// Sends what `need` says until it says nothing. Returns what is then wrong.
    pub fn broken_liveness<R: FreshnessRules>(&self) -> Option<&'static str> {
        let mut world = self.clone();
        world.send::<R>(Kind::Probe); // as after the TTL
        let is_of_path = |doubt: &Doubt| matches!(doubt.scope, DoubtScope::Path(_));
        for _ in 0..24 {
            let doubts = &world.store.doubts;
            let is_of = |doubt: &Doubt, key| doubt.needs() == Need::Item && doubt.scope == item_scope(key);
            let is_doubted = |key: &usize| doubts.iter().any(|doubt| is_of(doubt, *key));
            let kind = match need(&world.store.knowledge, doubts, &policy(), &world.moment()) {
                Some(Need::Listing) => Kind::Listing,
                Some(Need::Changes) => Kind::Delta,
                Some(Need::Probe) => Kind::Probe,
                Some(Need::Item) => Kind::Item((0..KEYS).find(is_doubted).expect("a doubted item")),
                None if !doubts.iter().all(is_of_path) => {
                    world.now_ms += 1_000_000; // a pause must pass
                    continue;
                }
                None => {
                    world.truth.raise_floor(world.server.at_token[world.server.token()]);
                    let is_old = (0..KEYS).any(|key| world.truth.stored[key] < world.truth.floor[key]);
                    let is_marked = world.is_marked::<R>(|_| false);
                    return (is_old || is_marked).then_some("L: nothing is needed, but something is old or marked");
                }
            };
            // If a delta cannot tell what changed, a listing follows.
            if !world.send::<R>(kind) && kind == Kind::Delta {
                world.send::<R>(Kind::Listing);
            }
            if let Some(broken) = world.broken_property::<R>() {
                return Some(broken);
            }
        }
        Some("L: requests are needed without end")
    }

    /// Sends one request, from its begin to its end. Returns whether the reply said anything.
    fn send<R: FreshnessRules>(&mut self, kind: Kind) -> bool {
        let setup = Setup {
            kinds: vec![kind],
            ..self.setup.clone()
        };
        let mut world = World {
            setup: &setup,
            flights: vec![Flight::default()],
            left: [0; 4],
            turn: Turn::None,
            is_unnoticed: false,
            has_counted: false,
            ..self.clone()
        };
        while let Some(action) = world.actions().pop() {
            world.act::<R>(action);
        }
        (self.store, self.truth) = (world.store, world.truth);
        world.has_counted
    }

    /// Replaces each ticket by its rank, because only their order counts.
    fn number_tickets(&mut self) {
        let (knowledge, flights) = (&mut self.store.knowledge, &mut self.flights);
        let mut tickets: Vec<&mut Ticket> = both(&mut knowledge.base).into();
        tickets.extend(
            knowledge
                .probed
                .iter_mut()
                .flat_map(|probed| both(&mut probed.interval)),
        );
        if let Some(listing) = &mut knowledge.listing {
            listing.syncs.clear(); // only the order of a host's records with those of others depends on these
            tickets.push(&mut listing.synced);
        }
        tickets.extend(self.store.doubts.iter_mut().map(|doubt| &mut doubt.raised));
        tickets.extend(
            self.store
                .rows
                .iter_mut()
                .flatten()
                .flat_map(|row| both(&mut row.interval)),
        );
        tickets.extend(self.truth.duties.iter_mut().map(|duty| &mut duty.raised));
        for flight in flights {
            tickets.push(&mut flight.asked);
            tickets.extend(
                flight
                    .sync
                    .iter_mut()
                    .flat_map(|sync| [&mut sync.asked, &mut sync.extends]),
            );
            tickets.extend(flight.pages.iter_mut().flat_map(both));
        }
        let mut ranks: Vec<Ticket> = tickets.iter().map(|ticket| **ticket).chain([Ticket(0)]).collect();
        ranks.sort_unstable();
        ranks.dedup();
        for ticket in tickets {
            *ticket = Ticket(ranks.partition_point(|earlier| earlier < ticket) as u64);
        }
        self.store.last = Ticket(ranks.len() as u64);
        self.store.doubts.sort_by_key(|doubt| (doubt.raised, doubt.cause as u8));
    }
}

impl Flight {
    fn done() -> Self {
        Self {
            step: Step::Done,
            ..Self::default()
        }
    }
}

impl Truth {
    fn raise_floor(&mut self, to: [u8; KEYS]) {
        for (floor, to) in self.floor.iter_mut().zip(to) {
            *floor = to.max(*floor);
        }
    }

    fn add_duty(&mut self, mark: Mark, raised: Ticket) {
        self.duties.retain(|duty| duty.mark != mark);
        self.duties.push(Duty { mark, raised });
    }

    fn end_duties(&mut self, asked: Ticket, is_shown: impl Fn(Mark) -> bool) {
        self.duties.retain(|duty| !is_shown(duty.mark) || asked <= duty.raised);
    }
}

fn state(setup: &Setup, token: usize) -> SourceState {
    SourceState {
        token: token_text(token),
        trust: setup.trust,
        busy: false,
        scanned_ms: i64::MIN / 2,
    }
}

fn token_text(token: usize) -> String {
    ["10", "11", "12", "13", "14"][token].to_owned()
}

/// Listings do not expire: only marks make an answer stale.
fn policy() -> Policy {
    Policy::new(&Options {
        library_ttl: Ttl::Forever,
        ..Options::default()
    })
}
