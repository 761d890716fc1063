//! Paths by themselves: the normal form, how paths relate, mappings, and the mapping that is proposed.

use crate::matching::{Mappings, NormalPath, Relation, Samples, SizeEvidence, lies_under, normal_form};
use crate::options::{Mapping, MappingKind};

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::input::Input;
use super::naive::{self, common_end, components};

/// What paths are made of where the bytes as they are would lead nowhere.
const PIECES: [&str; 24] = [
    "/",
    "\\",
    "//",
    "C:\\",
    "c:/",
    "\\\\?\\",
    "\\\\?\\UNC\\",
    "\\\\?\\C:\\",
    "\\\\srv\\",
    "/mnt",
    "/data",
    "Films",
    "films",
    "a",
    ".mkv",
    " ",
    "e\u{301}",
    "\u{e9}",
    "\u{130}",
    "\u{3a3}",
    "\u{1e9e}",
    "\u{212b}",
    "\u{1100}\u{1161}",
    "1",
];

/// A path, of pieces or as it is.
fn path(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    if how & 0x80 == 0 {
        return input.take(usize::from(how)).to_vec();
    }
    let mut path = String::new();
    for _ in 0..how & 0x0F {
        path.push_str(input.pick(&PIECES));
    }
    // Some are long: other code folds them. A few are too long for all buffers, and take long.
    if how & 0x30 == 0x30 {
        let times = if how == 0xFF && input.byte() == 0x5A { 160 } else { 8 };
        path = path.repeat(times);
    }
    path.into_bytes()
}

fn form_is_a_fixed_point(path: &[u8]) -> Vec<u8> {
    let form = normal_form(path);
    assert_eq!(
        form,
        naive::form(path),
        "the form of {:?}",
        String::from_utf8_lossy(path)
    );
    // Behind `\\?\`, dots and spaces at the end of a name count; in the form, which lacks the prefix, they do not.
    let is_literal = path.starts_with(br"\\?\");
    assert!(
        is_literal || normal_form(&form) == form,
        "the form's form, of {:?}",
        String::from_utf8_lossy(path)
    );
    NormalPath::with(path, |normal| {
        assert!(normal.raw().len() <= path.len());
        assert_eq!(normal.form(), form);
        assert_eq!(normal.is_utf8(), std::str::from_utf8(path).is_ok());
        NormalPath::with(&form, |again| assert!(is_literal || normal.hash() == again.hash()));
    });
    form
}

fn relations_agree(one: &[u8], other: &[u8]) {
    let relation = |a: &[u8], b: &[u8]| NormalPath::with(a, |a| Relation::of(a, b));
    let (there, back) = (relation(one, other), relation(other, one));
    let (mine, its) = (normal_form(one), normal_form(other));
    let wanted = (common_end(&mine, &its), components(&mine) == components(&its));
    assert_eq!((there.common_components, there.is_equal), wanted);
    assert_eq!((back.common_components, back.is_equal), wanted);
    assert_eq!(there.is_under, lies_under(&mine, &its));
    assert!(!there.is_under || !(back.is_under || there.is_equal));
}

/// What rules make of a path; whatever they are, nothing may go wrong.
fn rewritten(rules: &Mappings, path: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    NormalPath::with(path, |path| {
        rules.to_server(path, |one| {
            all.push(one.to_vec());
            None::<()>
        });
    });
    if let Some(host) = rules.to_host(path) {
        assert_ne!(host, path, "a rule that changes nothing");
        all.push(host);
    }
    all
}

fn prefix(kind: MappingKind, from: &[u8], to: &[u8]) -> Mapping {
    Mapping::of_folders(kind, OsStr::from_bytes(from).as_ref(), OsStr::from_bytes(to).as_ref())
}

fn a_folder_takes_the_others_place(from: &[u8], to: &[u8], path: &[u8]) {
    let Ok(rules) = Mappings::new(&[prefix(MappingKind::HostToServer, from, to)]) else {
        let is_full = |folder: &[u8]| match folder {
            [b'/', ..] | [b'\\', b'\\', ..] => true,
            [drive, b':'] | [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
            _ => false,
        };
        assert!(!is_full(from) || !is_full(to));
        return;
    };
    let (form, folder) = (normal_form(path), normal_form(from));
    let all = rewritten(&rules, path);
    assert!(all.len() <= 1);
    let context = || [from, to, path].map(|one| String::from_utf8_lossy(one).into_owned());
    // A path that is no text is its own form: its components are others. So are those of a name with a `\` in another place.
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\\'));
    if let Some(server) = all.first().filter(|_| text(path) && text(from) && text(to)) {
        let below = components(&form).len() - components(&folder).len();
        let server = normal_form(server);
        // What lies below the folder stays.
        let same = common_end(&form, &server);
        assert!(same >= below.min(components(&server).len()), "{:?}", context());
    }
}

fn a_proposal_does_what_it_says(host: &[u8], server: &[u8]) {
    let mut samples = Samples::default();
    samples.add(host, server, 2, SizeEvidence::Same);
    let proposals = samples.proposals();
    let Some(best) = proposals.first() else { return };
    assert_eq!((best.matched, best.examined, samples.count()), (1, 1, 1));
    assert_eq!(proposals.len(), 1);
    let rules =
        Mappings::new(&[prefix(MappingKind::HostToServer, &best.from, &best.to)]).expect("a rule that compiles");
    let found = rewritten(&rules, host);
    assert!(
        found
            .iter()
            .any(|one| NormalPath::with(server, |server| Relation::of(server, one).is_equal)),
        "{:?} and {:?}: {best:?} gives {found:?}",
        String::from_utf8_lossy(host),
        String::from_utf8_lossy(server)
    );
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (one, other, third) = (path(&mut input), path(&mut input), path(&mut input));
    for path in [&one, &other, &third] {
        form_is_a_fixed_point(path);
    }
    relations_agree(&one, &other);
    relations_agree(&one, &third);
    a_folder_takes_the_others_place(&one, &other, &third);
    a_folder_takes_the_others_place(&one, &other, &[one.as_slice(), b"/", &third].concat());
    a_proposal_does_what_it_says(&one, &other);
    // The same file below two folders: what a proposal is made of.
    a_proposal_does_what_it_says(
        &[&one, &b"/"[..], &third].concat(),
        &[&other, &b"/"[..], &third].concat(),
    );
    let mut rules = vec![prefix(MappingKind::ServerToHost, &one, &other)];
    rules.retain(|rule| Mappings::new(std::slice::from_ref(rule)).is_ok());
    let digest = |rules: &[Mapping]| Mappings::new(rules).expect("each compiles").digest();
    assert_eq!(digest(&rules), digest(&rules));
    // Patterns: few bytes make large ones, which take long to compile.
    if input.bool()
        && let Ok(pattern) = std::str::from_utf8(input.bytes())
    {
        let kind = if input.bool() {
            MappingKind::HostToServer
        } else {
            MappingKind::ServerToHost
        };
        rules.push(Mapping::pattern(kind, pattern, input.bytes()));
    }
    let Ok(mappings) = Mappings::new(&rules) else { return };
    for path in [&one, &other, &third] {
        for made in rewritten(&mappings, path) {
            form_is_a_fixed_point(&made);
        }
    }
}
