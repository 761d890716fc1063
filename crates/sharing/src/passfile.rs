//! Reads a passfile in libpq's format. Each line is `host:port:database:user:password`; `*` stands for any value, and a
//! backslash escapes `:` and `\`.

use std::io::Read;
use std::path::Path;

use crate::address::{Address, ServerAddress};
use crate::platform::open_host_file;
use crate::system;

/// Socket folders that match `localhost` in a passfile.
const DEFAULT_FOLDERS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];

/// Returns the password for this address from its passfile. Like libpq, ignores a file that other users can read.
pub fn read(address: &Address) -> Option<String> {
    let path = address.passfile.as_deref()?;
    let mut file = open_host_file(path).ok()?;
    if system::is_open_to_others(&file).ok()? {
        let path = path.display();
        log::warn!("ignoring the passfile {path}: other users can read it; run chmod 600 on it");
        return None;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    find(&String::from_utf8_lossy(&text), address)
}

/// Returns the password in the first line that matches the address. `text`: the passfile's content.
fn find(text: &str, address: &Address) -> Option<String> {
    let port = address.port.to_string();
    let folder;
    let host = match &address.endpoint {
        ServerAddress::Tcp(host) => host,
        ServerAddress::Unix(path) if DEFAULT_FOLDERS.iter().any(|default| path == Path::new(default)) => "localhost",
        ServerAddress::Unix(path) => {
            folder = path.to_string_lossy();
            &*folder
        }
    };
    let wanted = [host, &port, address.database(), address.user()];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| password_for(line, &wanted))
}

/// Returns the password in a line if the line's first four values (host, port, database and user) match `wanted`.
fn password_for(line: &str, wanted: &[&str; 4]) -> Option<String> {
    let mut remaining = line;
    for wanted_value in wanted {
        let (value, is_escaped, after_colon) = next_value(remaining);
        if (value != "*" || is_escaped) && value != *wanted_value {
            return None;
        }
        remaining = after_colon?;
    }
    let (password, _, _) = next_value(remaining);
    (!password.is_empty()).then_some(password)
}

/// Returns the next value with its escapes decoded, whether the value contained an escape, and the text after the next
/// colon, if there is one.
fn next_value(text: &str) -> (String, bool, Option<&str>) {
    let (mut value, mut is_escaped) = (String::new(), false);
    let mut characters = text.char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            ':' => return (value, is_escaped, text.get(offset + 1..)),
            '\\' => {
                is_escaped = true;
                value.push(characters.next().map_or('\\', |(_, next)| next));
            }
            _ => value.push(character),
        }
    }
    (value, is_escaped, None)
}

#[cfg(test)]
#[path = "passfile_tests.rs"]
mod tests;
