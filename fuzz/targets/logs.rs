//! The log, drained through the C ABI: lines of any text, more of them than there is room for, receivers that log, drain and
//! call the library themselves. They come in order, whole, and how many were lost is said.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

use log::{Level, Record};
use plexindex::error::Status;
use plexindex_abi::{constants, plexindex_drain_log, plexindex_get_status_name};

use super::input::Input;
use super::opening::called;

/// How many lines wait at most, as the header says.
const CAPACITY: usize = 256;
/// What our lines begin with: the library's threads have lines of their own.
const MARK: &str = "fuzz:";

const LEVELS: [(Level, i32); 5] = [
    (Level::Error, constants::PLEXINDEX_LOG_ERROR),
    (Level::Warn, constants::PLEXINDEX_LOG_WARN),
    (Level::Info, constants::PLEXINDEX_LOG_INFO),
    (Level::Debug, constants::PLEXINDEX_LOG_DEBUG),
    (Level::Trace, constants::PLEXINDEX_LOG_DEBUG),
];

/// What a receiver sees, and does besides.
struct Receiver {
    lines: Vec<(i32, Vec<u8>)>,
    /// Lines that it logs itself.
    logs: u8,
    /// How deep it drains.
    drains: u8,
    /// Lines that a drain inside a drain gave.
    inside: Vec<(i32, Vec<u8>)>,
    logged: Vec<(i32, Vec<u8>)>,
}

impl Receiver {
    fn new(logs: u8, drains: u8) -> Self {
        Self {
            lines: Vec::new(),
            logs,
            drains,
            inside: Vec::new(),
            logged: Vec::new(),
        }
    }
}

unsafe extern "C" fn receive(user: *mut c_void, level: i32, text: *const c_char, length: usize) {
    // SAFETY: the receiver that was given, which nothing else uses meanwhile.
    let receiver = unsafe { &mut *user.cast::<Receiver>() };
    // SAFETY: so many bytes, during this call.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) }.to_vec();
    std::str::from_utf8(&text).expect("UTF-8");
    receiver.lines.push((level, text));
    // The library may be called here.
    assert!(!plexindex_get_status_name(level).is_null());
    if receiver.logs > 0 {
        receiver.logs -= 1;
        let line = format!("{MARK} inside, {}", receiver.logs);
        receiver.logged.extend(said("plexindex::inside", Level::Warn, &line));
    }
    if receiver.drains > 0 {
        receiver.drains -= 1;
        let mut inner = Receiver::new(0, receiver.drains);
        drain(&mut inner);
        receiver.inside.append(&mut inner.lines);
        receiver.inside.append(&mut inner.inside);
    }
}

fn drain(receiver: &mut Receiver) {
    let receiver = std::ptr::from_mut(receiver).cast();
    // SAFETY: a function of that type, and what it takes.
    let (status, _) = called(|error| unsafe { plexindex_drain_log(Some(receive), receiver, error) });
    assert_eq!(status, Status::Ok);
}

/// Logs a line; gives what is to come of it. The logger is asked itself: its level is the process's, in which other tests
/// open stores with levels of their own.
fn said(target: &str, level: Level, text: &str) -> Option<(i32, Vec<u8>)> {
    log::logger().log(
        &Record::builder()
            .target(target)
            .level(level)
            .args(format_args!("{text}"))
            .build(),
    );
    let number = LEVELS.iter().find(|(one, _)| *one == level).expect("a level").1;
    target
        .starts_with("plexindex")
        .then(|| (number, text.replace('\0', "\u{FFFD}").into_bytes()))
}

/// Those of ours, and how many were lost by what the log says.
fn ours(lines: &[(i32, Vec<u8>)]) -> (Vec<(i32, Vec<u8>)>, usize) {
    // A line of ours may end with the same words.
    let others = lines.iter().filter(|(_, text)| !text.starts_with(MARK.as_bytes()));
    let lost = others.filter_map(|(level, text)| {
        let text = std::str::from_utf8(text).expect("UTF-8");
        let count = text
            .strip_prefix("lost ")?
            .strip_suffix(" log lines; call plexindex_drain_log() more often")?;
        assert_eq!(*level, constants::PLEXINDEX_LOG_WARN);
        count.parse::<usize>().ok()
    });
    let lost = lost.sum();
    let ours = lines.iter().filter(|(_, text)| text.starts_with(MARK.as_bytes()));
    (ours.cloned().collect(), lost)
}

pub fn run(data: &[u8]) {
    super::opening::installed();
    // What others left.
    drain(&mut Receiver::new(0, 0));
    let mut input = Input(data);
    let mut waiting: Vec<(i32, Vec<u8>)> = Vec::new();
    for _ in 0..16 {
        if input.is_empty() {
            break;
        }
        match input.byte() {
            how @ ..0xC0 => {
                let (level, _) = LEVELS[usize::from(how) % LEVELS.len()];
                let target = input.pick(&["plexindex", "plexindex::store", "ureq", ""]);
                let own = String::from_utf8_lossy(input.bytes()).into_owned();
                // Many at once: the oldest are lost.
                let times = if how & 0x38 == 0x38 { 120 } else { 1 };
                for number in 0..times {
                    let text = format!("{MARK}{number} {own}");
                    waiting.extend(said(target, level, &text));
                }
            }
            0xC0 => {
                // SAFETY: NULL is refused.
                let (status, _) = called(|error| unsafe { plexindex_drain_log(None, null_mut(), error) });
                assert_eq!(status, Status::NullPointer);
            }
            how => {
                let mut receiver = Receiver::new(how & 3, how >> 2 & 3);
                drain(&mut receiver);
                let (came, lost) = ours(&receiver.lines);
                let kept = waiting.len().min(CAPACITY);
                // Lines of the library's threads may have taken places of ours, and the log counts those that are lost.
                assert!(came.len() <= kept && came.len() + lost >= waiting.len());
                let strangers = receiver.lines.len() - came.len() - usize::from(lost > 0);
                assert!(strangers > 0 || came.len() == kept);
                assert_eq!(came, waiting[waiting.len() - came.len()..], "the newest, in order");
                // What was logged meanwhile waits, or came by a drain inside.
                let inside = ours(&receiver.inside).0;
                assert!(receiver.logged.starts_with(&inside));
                waiting = receiver.logged.split_off(inside.len());
            }
        }
    }
    drain(&mut Receiver::new(0, 0));
}
