use std::io::Read;

use super::*;

#[test]
fn a_request_before_a_wait_ends_it_at_once() {
    let wake = WaitInterrupt::default();
    wake.request_if_waiting();
    assert!(wake.begin().expect("begun").is_some(), "nobody waited");
    assert!(!wake.end());
    wake.request();
    assert!(wake.begin().expect("begun").is_none());
    assert!(wake.begin().expect("begun").is_some(), "a request counts once");
}

#[test]
fn a_request_during_a_wait_makes_its_socket_readable() {
    let wake = WaitInterrupt::default();
    for request in [WaitInterrupt::request, WaitInterrupt::request_if_waiting] {
        let mut socket = wake.begin().expect("begun").expect("no request");
        assert!(socket.read(&mut [0]).is_err(), "it is not readable yet");
        request(&wake);
        assert_eq!(socket.read(&mut [0]).ok(), Some(1));
        assert!(wake.end());
    }
}
