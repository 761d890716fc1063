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

#[test]
fn targets_of_redirects_are_complete_and_hold_no_secret() {
    let base = BaseUrl::parse("https://plex:32400/plex").unwrap();
    for (location, expected) in [
        ("/a?token=SECRET", "https://plex:32400/a…"),
        ("//elsewhere/a#SECRET", "https://elsewhere/a…"),
        ("http://me:SECRET@elsewhere:32400/a", "http://***@elsewhere:32400/a"),
        ("sections", "sections"),
    ] {
        assert_eq!(base.redirect_target(location), expected);
    }
}
