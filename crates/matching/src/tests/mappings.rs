use crate::error::Status;
use crate::mappings::{ProposedMapping, Samples, SizeEvidence};
use crate::{Mapping, MappingKind, Mappings, NormalPath, Pattern};

fn prefix(kind: MappingKind, from: &str, to: &str) -> Mapping {
    Mapping {
        kind,
        from: Pattern::Prefix(from.into()),
        to: to.into(),
    }
}

fn regex(kind: MappingKind, from: &str, to: &str) -> Mapping {
    Mapping {
        kind,
        from: Pattern::Regex(from.into()),
        to: to.into(),
    }
}

const TO_SERVER: MappingKind = MappingKind::HostToServer;
const TO_HOST: MappingKind = MappingKind::ServerToHost;

fn to_server(rules: &[Mapping], path: &str) -> Vec<String> {
    let mappings = Mappings::new(rules).expect("rules compile");
    let all = mappings.server_paths(path.as_bytes());
    all.iter()
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

fn to_host(rules: &[Mapping], path: &str) -> Option<String> {
    let mappings = Mappings::new(rules).expect("rules compile");
    mappings
        .to_host(path.as_bytes())
        .map(|host| String::from_utf8_lossy(&host).into_owned())
}

#[test]
fn prefixes_are_folders() {
    for (from, to, path, wanted) in [
        ("/data", "/mnt/media", "/data/a/x.mkv", Some("/mnt/media/a/x.mkv")),
        ("/data/", "/mnt/media/", "/data/a/x.mkv", Some("/mnt/media/a/x.mkv")),
        ("/data", "/mnt", "/database/x.mkv", None),
        ("/data", "/mnt", "/data", None),
        ("/", "/mnt", "/a/x.mkv", Some("/mnt/a/x.mkv")),
        ("/mnt", "/", "/mnt/a/x.mkv", Some("/a/x.mkv")),
        ("/data", r"D:\Media", "/data/a/x.mkv", Some(r"D:\Media/a/x.mkv")),
        (r"D:\Media", "/mnt", r"d:\media\A\x.mkv", Some("/mnt/A/x.mkv")),
        (r"D:\Media\", "/mnt", r"\\?\D:\Media\A\x.mkv", Some("/mnt/A/x.mkv")),
        (r"\\nas\films", "/films", r"\\NAS\Films\A\x.mkv", Some("/films/A/x.mkv")),
        (r"D:\", "/mnt", r"D:\A\x.mkv", Some("/mnt/A/x.mkv")),
        ("/Data", "/mnt", "/data/x.mkv", Some("/mnt/x.mkv")),
        ("/caf\u{e9}", "/mnt", "/cafe\u{301}/A/x.mkv", Some("/mnt/A/x.mkv")),
        ("/cafe\u{301}", "/mnt", "/caf\u{e9}/x.mkv", Some("/mnt/x.mkv")),
    ] {
        let got = to_server(&[prefix(TO_SERVER, from, to)], path);
        assert_eq!(got.first().map(String::as_str), wanted, "{from} to {to}: {path}");
    }
}

#[test]
fn a_folder_has_the_spelling_of_the_rule_unless_a_disk_may_have_another() {
    for (from, path, same) in [
        ("/mnt/Media", "/mnt/Media/a.mkv", true),
        ("/mnt//Media/", "/mnt/Media/a.mkv", true),
        ("/mnt/Media", "/mnt/./Media//a.mkv", true),
        ("/mnt/Media", "/mnt/media/a.mkv", false),
        ("/caf\u{e9}", "/cafe\u{301}/a.mkv", false),
        ("/", "/a.mkv", true),
        (r"D:\Media", "d:/Media/a.mkv", true),
        ("D:/Media", r"\\?\d:\Media\a.mkv", true),
        (r"D:\Media", r"D:\media\a.mkv", false),
        ("d:", r"D:\a.mkv", true),
        (r"\\nas\films", r"\\?\UNC\nas\films\a.mkv", true),
        ("//nas/films", r"\\nas\films\a.mkv", true),
        (r"\\nas\films", r"\\nas\Films\a.mkv", false),
    ] {
        let rules = |kind| Mappings::new(&[prefix(kind, from, "/to")]).expect("rules compile");
        let spelled = NormalPath::with(path.as_bytes(), |path| {
            rules(TO_SERVER).to_server_spelled(path, |_, is_same_folder| Some(is_same_folder))
        });
        assert_eq!(spelled, Some(same), "{from}: {path}");
        assert_eq!(rules(TO_HOST).spells_folder_of(path.as_bytes()), same, "{from}: {path}");
    }
    let rules = [
        regex(TO_HOST, "(?i)^/other/", "/a/"),
        regex(TO_HOST, "(?i)^/media/", "/b/"),
    ];
    let rules = Mappings::new(&rules).expect("rules compile");
    assert!(rules.spells_folder_of(b"/MEDIA/a.mkv"), "the pattern says so");
}

#[test]
fn long_paths_are_rewritten_too() {
    let tail = "x".repeat(70_000);
    let got = to_server(&[prefix(TO_SERVER, "/data", "/mnt")], &format!("/data/{tail}"));
    assert_eq!(got, [format!("/mnt/{tail}")]);
}

#[test]
fn all_host_rules_are_tried_in_order() {
    let rules = [
        prefix(TO_SERVER, "/data/films", "/films"),
        prefix(TO_HOST, "/never", "/here"),
        prefix(TO_SERVER, "/data", "/mnt"),
    ];
    assert_eq!(
        to_server(&rules, "/data/films/x.mkv"),
        ["/films/x.mkv", "/mnt/films/x.mkv"]
    );
    assert_eq!(to_server(&rules, "/data/x.mkv"), ["/mnt/x.mkv"]);
}

#[test]
fn the_first_server_rule_counts() {
    let rules = [
        regex(TO_HOST, "^/plex/media/films/(.*)", r"/films/\1"),
        regex(TO_HOST, "^/plex/media/(.*)", r"/stash/media/\1"),
    ];
    assert_eq!(
        to_host(&rules, "/plex/media/films/x.mkv").as_deref(),
        Some("/films/x.mkv")
    );
    assert_eq!(
        to_host(&rules, "/plex/media/a/x.mkv").as_deref(),
        Some("/stash/media/a/x.mkv")
    );
    assert_eq!(to_host(&rules, "/other/x.mkv"), None);
}

#[test]
fn templates_fill_in_groups() {
    for (pattern, to, path, wanted) in [
        (r"^/a/(\w+)/(.*)$", r"/\2/of/\1", "/a/b/c.mkv", "/c.mkv/of/b"),
        ("^/(?P<root>[^/]+)/", r"/mnt/\g<root>/", "/a/b.mkv", "/mnt/a/b.mkv"),
        ("^/a", r"D:\Media", "/a/b.mkv", r"D:\Media/b.mkv"),
        ("^/a", r"D:\\Media", "/a/b.mkv", r"D:\Media/b.mkv"),
        ("^/(a)(x)?", r"/\1\2", "/a/b.mkv", "/a/b.mkv"),
        ("b", "c", "/a/b/b.mkv", "/a/c/b.mkv"),
        (r"(?i)^/MEDIA/(.*)", r"/m/\g<1>0", "/media/b", "/m/b0"),
    ] {
        let got = to_server(&[regex(TO_SERVER, pattern, to)], path);
        assert_eq!(got, [wanted], "{pattern} to {to}");
    }
}

#[test]
fn bad_rules_are_refused_by_number() {
    let good = prefix(TO_SERVER, "/a", "/b");
    for (bad, text) in [
        (regex(TO_HOST, "^/(?=x)", "/y"), "look-around"),
        (regex(TO_HOST, "^/(?<!x)", "/y"), "look-around"),
        (regex(TO_HOST, r"^/(a)\1", "/y"), "backreferences"),
        (regex(TO_HOST, "^/(a", "/y"), "unclosed group"),
        (regex(TO_HOST, "^/(a)", r"/\2"), "group 2"),
        (regex(TO_HOST, "^/(a)", r"/\g<b>"), "group b"),
        (regex(TO_HOST, "^/(a)", r"/\g<1"), "without a closing >"),
        (regex(TO_HOST, "(a{1000}){1000}", "/"), "size limit"),
        (prefix(TO_HOST, "", "/y"), "empty"),
        (prefix(TO_HOST, "/y", ""), "empty"),
        (
            prefix(TO_HOST, "media", "/y"),
            "the folder to replace is not an absolute path: start it with",
        ),
        (prefix(TO_HOST, "./media", "/y"), "the folder to replace"),
        (prefix(TO_HOST, r"\media", "/y"), "the folder to replace"),
        (prefix(TO_HOST, "c:media", "/y"), "the folder to replace"),
        (
            prefix(TO_HOST, "/y", "~/media"),
            "the replacement folder is not an absolute path",
        ),
    ] {
        let error = Mappings::new(&[good.clone(), bad]).expect_err("is refused");
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(
            error.message.starts_with("mapping 2 (server to host, ") && error.message.contains(text),
            "{}",
            error.message
        );
    }
}

#[test]
fn full_paths_of_each_system_are_no_bad_rules() {
    for folder in [
        "/",
        "/a/",
        "//nas/a",
        r"\\nas\a",
        "D:",
        r"d:\",
        "D:/a",
        r"\\?\C:\a",
        r"\\?\UNC\nas\a",
    ] {
        for rule in [prefix(TO_SERVER, folder, "/y"), prefix(TO_HOST, "/y", folder)] {
            assert!(Mappings::new(&[rule]).is_ok(), "{folder}");
        }
    }
}

#[test]
fn segments_depend_on_server_rules_only() {
    let digest = |rules: &[Mapping]| Mappings::new(rules).expect("rules compile").digest();
    assert_eq!(digest(&[]), 0);
    assert_eq!(digest(&[prefix(TO_SERVER, "/a", "/b")]), 0);
    let one = digest(&[prefix(TO_HOST, "/a", "/b")]);
    assert_ne!(one, 0);
    assert_ne!(one, digest(&[prefix(TO_HOST, "/a", "/bc")]));
    assert_ne!(one, digest(&[regex(TO_HOST, "/a", "/b")]));
    assert_eq!(
        one,
        digest(&[prefix(TO_SERVER, "/x", "/y"), prefix(TO_HOST, "/a", "/b")])
    );
}

/// The proposals for these samples, whose listed paths have two components below their location, and whose sizes agree.
fn propose<'a>(samples: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<ProposedMapping> {
    let mut all = Samples::default();
    for (host, listed) in samples {
        all.add(host, listed, 2, SizeEvidence::Same);
    }
    all.proposals()
}

#[test]
fn no_rule_is_proposed_that_would_be_refused() {
    let full = [
        "/data/media/Film/a.mkv",
        "C:/media/Film/a.mkv",
        r"\\nas\media\Film\a.mkv",
    ];
    for relative in ["media/Film/a.mkv", "./media/Film/a.mkv", r"media\Film\a.mkv"] {
        for full in full.map(str::as_bytes) {
            assert_eq!(propose([(relative.as_bytes(), full)]), []);
            assert_eq!(propose([(full, relative.as_bytes())]), []);
        }
    }
}

#[test]
fn the_missing_rule_is_proposed() {
    let host: Vec<String> = (0..10).map(|n| format!("/data/media/Film {n}/{n}.mkv")).collect();
    let server: Vec<String> = (0..10)
        .map(|n| format!("/mnt/media/{} {n}/{n}.mkv", if n < 8 { "film" } else { "other" }))
        .collect();
    let samples = host
        .iter()
        .map(String::as_bytes)
        .zip(server.iter().map(String::as_bytes));
    let proposals = propose(samples);
    let wanted = ProposedMapping {
        from: b"/data".to_vec(),
        to: b"/mnt".to_vec(),
        matched: 8,
        contradicted: 0,
        examined: 10,
    };
    assert_eq!(proposals, [wanted]);
}

#[test]
fn two_folders_with_the_same_files_contradict_each_other() {
    let server: Vec<String> = (0..12).map(|n| format!("/data/Film {n}/{n}.mkv")).collect();
    let hosts = ["/mnt/films", "/mnt/backup"].map(|root| server.iter().map(move |path| path.replace("/data", root)));
    let [films, backup] = hosts.map(Iterator::collect::<Vec<_>>);
    let pairs = |host: &[String]| host.iter().cloned().zip(server.clone()).collect::<Vec<_>>();
    let all = [pairs(&films), pairs(&backup)].concat();
    let proposals = propose(all.iter().map(|(host, listed)| (host.as_bytes(), listed.as_bytes())));
    let facts = proposals
        .iter()
        .map(|one| (one.matched, one.contradicted, one.is_certain()));
    assert_eq!(facts.collect::<Vec<_>>(), [(12, 12, false); 2]);
    assert!(
        propose(
            all[..12]
                .iter()
                .map(|(host, listed)| (host.as_bytes(), listed.as_bytes()))
        )[0]
        .is_certain()
    );
}

#[test]
fn a_windows_folder_can_be_proposed_for_a_posix_one() {
    let samples = [
        (&br"D:\Media\A\a.mkv"[..], &b"/mnt/a/A.mkv"[..]),
        (br"D:\Media\B\b.mkv", b"/mnt/B/b.mkv"),
        (br"D:\Media\B\c.mkv", b"/mnt/elsewhere/c.mkv"),
    ];
    let proposals = propose(samples);
    assert_eq!(proposals.len(), 1);
    assert_eq!(
        (proposals[0].from.as_slice(), proposals[0].to.as_slice()),
        (&br"D:\Media"[..], &b"/mnt"[..])
    );
    assert_eq!((proposals[0].matched, proposals[0].examined), (2, 3));
}

#[test]
fn a_proposal_does_what_it_says() {
    // No proposal: no folder is left to replace, or the folders differ in spelling only.
    for (host, server) in [
        ("films/A/a.mkv", "/mnt/films/A/a.mkv"),
        ("/mnt/films/A/a.mkv", "films/A/a.mkv"),
        ("\u{e9}/A/a.mkv", "/mnt/\u{e9}/A/a.mkv"),
        (r"\\?\C:\A\a.mkv", "c:/A/a.mkv"),
        ("/data/A//a.mkv", "/data/./A/a.mkv"),
    ] {
        assert_eq!(
            propose([(host.as_bytes(), server.as_bytes())]),
            [],
            "{host} and {server}"
        );
    }
    let rooted = propose([(&b"/A/a.mkv"[..], &b"/mnt/A/a.mkv"[..])]);
    assert_eq!(
        (rooted[0].from.as_slice(), rooted[0].to.as_slice()),
        (&b"/"[..], &b"/mnt"[..])
    );
}

#[test]
fn only_a_file_that_is_equal_below_its_location_is_a_sample() {
    let proposed = |host: &str, listed: &str, below| {
        let mut samples = Samples::default();
        samples.add(host.as_bytes(), listed.as_bytes(), below, SizeEvidence::Same);
        !samples.proposals().is_empty()
    };
    let show = "/data/tv/House of Cards (US)/Season 01/House of Cards - S01E01.mkv";
    let same = "/mnt/tv/House of Cards (US)/Season 01/House of Cards - S01E01.mkv";
    let other = "/mnt/tv/House of Cards (UK)/Season 01/House of Cards - S01E01.mkv";
    assert!(proposed(same, show, 3));
    assert!(!proposed(other, show, 3));
    // Outside all locations, and directly in a location.
    assert!(!proposed(same, show, 0));
    assert!(proposed("/mnt/tv/a.mkv", "/data/tv/a.mkv", 1));
}

#[test]
fn ten_equal_sizes_make_a_mapping_certain_and_names_alone_propose_none() {
    use SizeEvidence::{None as Unknown, Other, Same};

    let propose = |evidence: &[SizeEvidence]| {
        let mut all = Samples::default();
        for (number, evidence) in evidence.iter().enumerate() {
            let path = |root: &str| format!("{root}/Alien {number}/Alien.mkv");
            all.add(
                path("/mnt/films").as_bytes(),
                path("/data/movies").as_bytes(),
                2,
                *evidence,
            );
        }
        all.proposals()
    };
    assert_eq!(propose(&[Unknown; 20]), []);
    assert_eq!(propose(&[Other; 20]), []);
    assert_eq!(propose(&[Same, Unknown]), [], "one of two");
    assert_eq!(propose(&[Same, Same, Other, Other]), [], "as many contradict");
    let certain = |evidence: &[SizeEvidence]| {
        let [found] = &propose(evidence)[..] else {
            panic!("no proposal")
        };
        (found.matched, found.contradicted, found.is_certain())
    };
    assert_eq!(certain(&[Same; 9]), (9, 0, false));
    assert_eq!(certain(&[Same; 10]), (10, 0, true));
    let mut contradicted = [Same; 12];
    contradicted[3] = Other;
    assert_eq!(certain(&contradicted), (11, 1, false));
}
