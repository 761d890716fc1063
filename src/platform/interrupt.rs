//! Shuts down a connection on which another thread may be waiting.

use std::net::{Shutdown, TcpStream};

pub use super::system::is_wake as is_shut_down;
use super::system::wake_readers;

/// Shuts down a connection. A thread that waits for data on it wakes up with an error or the end of the stream.
pub fn shut_down(stream: &TcpStream) {
    // An error means that the connection has already ended.
    let _ = stream.shutdown(Shutdown::Both);
    wake_readers(stream);
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;
    use std::sync::Barrier;

    use super::*;

    /// A connection whose other end says nothing, and that end.
    fn silent() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("connects");
        (stream, listener.accept().expect("accepted").0)
    }

    #[test]
    fn a_reader_wakes_whenever_its_connection_ends() {
        // Before it waits, while it begins to wait, and while it waits.
        for wait in [0_u64, 1, 50] {
            let (stream, _other) = silent();
            let begin = Barrier::new(2);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    begin.wait();
                    (&stream).read(&mut [0; 8])
                });
                begin.wait();
                std::thread::sleep(std::time::Duration::from_millis(wait));
                shut_down(&stream);
                // What it gets is not taken for a time limit.
                match reader.join().expect("no panic") {
                    Ok(amount) => assert_eq!(amount, 0),
                    Err(error) => assert!(is_shut_down(&error) || error.kind() != ErrorKind::TimedOut, "{error}"),
                }
            });
        }
    }
}
