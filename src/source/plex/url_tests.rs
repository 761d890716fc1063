use super::*;

fn base(text: &str) -> String {
    BaseUrl::parse(text).map_or_else(|error| panic!("{error}"), |base| base.url("/identity"))
}

fn refusal(text: &str) -> String {
    match BaseUrl::parse(text) {
        Ok(base) => panic!("{text} was taken as {base:?}"),
        Err(error) => {
            assert_eq!(error.status, Status::InvalidArgument);
            error.message
        }
    }
}

#[test]
fn base_urls_are_normalised() {
    assert_eq!(base("http://plex:32400"), "http://plex:32400/identity");
    assert_eq!(base(" HTTP://Plex:32400/ "), "http://plex:32400/identity");
    assert_eq!(base("https://plex"), "https://plex/identity");
    assert_eq!(base("https://plex:443//"), "https://plex/identity");
    assert_eq!(base("http://[::1]:32400"), "http://[::1]:32400/identity");
    assert_eq!(base("https://home.example/plex/"), "https://home.example/plex/identity");
    assert_eq!(base("https://home.example/webs"), "https://home.example/webs/identity");
}

#[test]
fn refusals_name_input_and_remedy_and_no_secret() {
    for (text, expected) in [
        ("192.168.1.5:32400", "has no scheme: write it as http://host:32400"),
        ("plex", "has no scheme"),
        ("ftp://plex", "use http:// or https://"),
        ("http://", "has no host"),
        ("http://:32400", "has no host"),
        ("http://plex:0", "an invalid port"),
        ("http://plex:99999", "an invalid port"),
        ("http://plex:32400x", "an invalid port"),
        ("http://[::1", "has no host"),
        ("http://me:SECRET@plex:32400", "contains a user name"),
        (
            "http://plex:32400/?X-Plex-Token=SECRET",
            "pass the token in the option `token`",
        ),
        (
            "http://plex:32400/&x-plex-token=SECRET",
            "pass the token in the option `token`",
        ),
        ("http://plex:32400/web/index.html#!/SECRET", "has a fragment"),
        ("http://plex:32400/web/", "Plex's web page"),
        ("http://plex:32400/web/index.html", "Plex's web page"),
        ("http://plex:32400/a b", "percent-encode"),
        ("http://pl ex:32400", "has no host"),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("SECRET"), "{text}: {message}");
    }
    assert!(refusal("192.168.1.5:32400").contains("\"192.168.1.5:32400\""));
    assert!(!refusal("me:SECRET@plex").contains("SECRET"));
}

fn target(origin: &str, address: &str) -> Target {
    let base = BaseUrl::parse(origin).unwrap_or_else(|error| panic!("{error}"));
    Target {
        origin: base.origin,
        address: address.to_owned(),
    }
}

#[test]
fn redirects_stay_or_leave() {
    let from = target("http://plex:32400", "/library/sections?x=1");
    let follow = |location: &str| match from.check_redirect(location) {
        Redirect::Follow(target) => target.url(),
        Redirect::OtherServer(place) => panic!("{location} leaves for {place}"),
    };
    assert_eq!(follow("/a?b=c#d"), "http://plex:32400/a?b=c");
    assert_eq!(follow("http://PLEX:32400/a"), "http://plex:32400/a");
    assert_eq!(follow("http://plex:32400"), "http://plex:32400/");

    for location in [
        "http://elsewhere:32400/a",
        "http://plex/a",
        "http://plex:32401/a",
        "https://plex:32400/a",
        "//plex:32400/a",
        "//elsewhere/a",
        "sections/1",
        "?y=2",
        "",
        "http://plex:32400@elsewhere/a",
        "http://elsewhere\\@plex:32400/a",
        "ftp://plex:32400/a",
        "https://plex.elsewhere/",
    ] {
        let redirect = from.check_redirect(location);
        assert!(matches!(redirect, Redirect::OtherServer(_)), "{location}: {redirect:?}");
    }
    let secure = target("https://plex:32400", "/");
    assert_eq!(
        secure.check_redirect("http://plex:32400/"),
        Redirect::OtherServer("http://plex:32400".into())
    );
}
