//! Parses the database's address, such as `postgresql://user@host/database?sslmode=require`. The format is libpq's, but
//! with fewer parameters and without a password, since addresses appear in logs and process lists.
//!
//! The password is in a passfile in libpq's format, where each line is `host:port:database:user:password`; `*` stands
//! for any value, and a backslash escapes `:` and `\`.

use std::error::Error as _;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Encryption};

use crate::error::{Error, Result, Status};
use crate::platform::{is_open_to_others, open_host_file};

/// A parsed and validated address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address as the user wrote it, for messages. It has no password.
    text: String,
    /// The user, the database, the application name, `PGPASSWORD`, and whether the connection is encrypted. The `Debug`
    /// output hides the password.
    pub config: Config,
    /// The server's host name or IP address, or the folder of its Unix socket, which begins with a slash.
    pub host: String,
    /// The TCP port. For a Unix socket, the port is part of the socket's file name.
    pub port: u16,
    /// The TLS mode.
    pub sslmode: SslMode,
    /// A PEM file with the trusted certificate authorities; `None` for the system's authorities.
    pub sslrootcert: Option<PathBuf>,
    /// The path of the passfile.
    pub passfile: Option<PathBuf>,
}

impl Address {
    /// Returns the `PostgreSQL` role.
    #[must_use]
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// Returns the name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// Returns whether the server listens on a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// Returns the timeout for connecting; `None` for the default.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.config.get_connect_timeout().copied()
    }
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server supports it, without verifying the certificate.
    Prefer,
    /// TLS without verifying the certificate. With `sslrootcert`, the mode becomes [`SslMode::VerifyCa`], as in libpq.
    Require,
    /// TLS with a certificate from a trusted authority, for any host name.
    VerifyCa,
    /// TLS with a certificate from a trusted authority, for the host name in the address.
    VerifyFull,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Example address for error messages.
const EXAMPLE: &str = "postgresql://user@host/database";
const NO_PASSWORD: &str = "contains a password, but addresses appear in logs and process lists; put the password into \
                           PGPASSWORD or a passfile (~/.pgpass)";

/// Parses and validates an address, without reading a file. `environment` returns an environment variable's value.
///
/// # Errors
/// [`Status::InvalidArgument`], whose message states the invalid part and the remedy. No message contains a password.
pub fn parse(address: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Address> {
    let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
    let schemes = ["postgresql://", "postgres://"];
    let Some(parts) = schemes.iter().find_map(|scheme| address.strip_prefix(scheme)) else {
        return invalid(format!("must start with postgresql://, as in {EXAMPLE}"));
    };
    // tokio-postgres takes everything before the first @ for the user and the password.
    let (user, others) = parts.split_once('@').unwrap_or(("", parts));
    if user.contains(':') {
        return invalid(NO_PASSWORD);
    }
    if user.contains(['/', '?']) || others.contains('@') {
        return invalid(format!(
            "has an @ that does not follow the user; write {EXAMPLE}, with %40 for every other @"
        ));
    }
    // tokio-postgres parses the address without the parameters that it does not support.
    let (main_part, query) = address.split_once('?').unwrap_or((address, ""));
    let (mut sslmode, mut sslrootcert, mut folder, mut supported) = (SslMode::VerifyFull, None, None, Vec::new());
    let mut passfile = environment("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| environment("HOME").map(|home| Path::new(&home).join(".pgpass")));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "port" | "application_name" | "connect_timeout" => supported.push(pair),
            "host" => folder = Some(decoded(name, value)?),
            "sslmode" => sslmode = parse_sslmode(value)?,
            "sslrootcert" => sslrootcert = Some(decoded(name, value)?),
            "passfile" => passfile = Some(decoded(name, value)?.into()),
            "password" => return invalid(NO_PASSWORD),
            _ => {
                return invalid(format!(
                    "has the unknown parameter {:?}; use host, port, sslmode, sslrootcert, passfile, connect_timeout or \
                     application_name",
                    crate::error::truncate_for_message(name.as_bytes())
                ));
            }
        }
    }
    let parsed: Config = match format!("{main_part}?{}", supported.join("&")).parse::<Config>() {
        Ok(parsed) => parsed,
        Err(error) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            return invalid(format!("is invalid: {why}; write {EXAMPLE}"));
        }
    };
    let host = match (folder, parsed.get_hosts()) {
        (Some(folder), _) => folder,
        (None, [Host::Tcp(host)]) if !host.is_empty() => host.clone(),
        _ => {
            return invalid(format!(
                "must have one host; write {EXAMPLE}, or postgresql://user@/database?host=/run/postgresql for a Unix socket"
            ));
        }
    };
    // Without hosts and ports, which the client would try one by one.
    let mut config = Config::new();
    let user = parsed.get_user().filter(|user| !user.is_empty()).map(str::to_owned);
    let Some(user) = user.or_else(|| ["PGUSER", "USER", "LOGNAME"].into_iter().find_map(&environment)) else {
        return invalid(format!("has no user; write {EXAMPLE}"));
    };
    config.dbname(parsed.get_dbname().unwrap_or(&user));
    config.user(&user);
    config.application_name(parsed.get_application_name().unwrap_or("plexindex"));
    if let Some(timeout) = parsed.get_connect_timeout() {
        config.connect_timeout(*timeout);
    }
    if let Some(password) = environment("PGPASSWORD") {
        config.password(password);
    }
    let mut address = Address {
        text: address.to_owned(),
        // A port in the parameters follows the one before the question mark.
        port: parsed.get_ports().last().copied().unwrap_or(5432),
        config,
        host,
        sslmode,
        sslrootcert: None,
        passfile,
    };
    set_authorities(&mut address, sslrootcert.as_deref())?;
    address.config.ssl_mode(match address.sslmode {
        SslMode::Disable => Encryption::Disable,
        SslMode::Prefer => Encryption::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Encryption::Require,
    });
    Ok(address)
}

/// Returns the error for an invalid address. `problem`: what follows the words "the address of the shared database".
fn invalid<T>(problem: impl fmt::Display) -> Result<T> {
    let text = format!("the address of the shared database {problem}");
    Err(Error::new(Status::InvalidArgument, text).with_argument("shared"))
}

/// Decodes the percent escapes in a parameter of the address.
fn decoded(name: &str, value: &str) -> Result<String> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map_or_else(
        |_| invalid(format!("has a {name} that is not UTF-8")),
        |value| Ok(value.into_owned()),
    )
}

/// Parses an `sslmode` with libpq's names.
fn parse_sslmode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return invalid("has an invalid sslmode; use disable, prefer, require, verify-ca or verify-full"),
    })
}

/// Sets the trusted authorities, and adjusts `sslmode` to them as libpq does. `sslrootcert`: the parameter in the
/// address, which is the path of a PEM file, or `system`.
fn set_authorities(address: &mut Address, sslrootcert: Option<&str>) -> Result<()> {
    if address.is_socket() {
        address.sslmode = SslMode::Disable; // traffic on a Unix socket never leaves the host
    }
    match (sslrootcert, address.sslmode) {
        (Some(""), _) => invalid("has an empty sslrootcert; use the path of a PEM file, or system"),
        (Some("system"), SslMode::Prefer | SslMode::Require) => {
            invalid("has sslrootcert=system, which requires sslmode=verify-full")
        }
        (Some("system") | None, SslMode::VerifyCa) => invalid(
            "has sslmode=verify-ca without sslrootcert=FILE, but anyone can get a certificate from a public authority; add \
             sslrootcert, or use sslmode=verify-full",
        ),
        (Some("system") | None, _) => Ok(()),
        (Some(file), mode) => {
            address.sslrootcert = Some(file.into());
            if mode == SslMode::Require {
                address.sslmode = SslMode::VerifyCa;
            }
            Ok(())
        }
    }
}

/// Socket folders that match `localhost` in a passfile.
const DEFAULT_FOLDERS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];

/// Returns the password for this address from its passfile. Like libpq, ignores a file that other users can read.
pub(crate) fn read_passfile(address: &Address) -> Option<String> {
    let path = address.passfile.as_deref()?;
    let mut file = open_host_file(path).ok()?;
    if is_open_to_others(&file) {
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
    let host = match &*address.host {
        folder if DEFAULT_FOLDERS.contains(&folder) => "localhost",
        host => host,
    };
    let wanted = [host, &port, address.database(), address.user()];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| password_for(line, &wanted))
}

/// Returns the password in a line if the line's first four values (host, port, database and user) match `wanted`.
fn password_for(line: &str, wanted: &[&str; 4]) -> Option<String> {
    let mut values = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, values.last_mut()) {
            (':', _) => values.push(String::new()),
            ('\\', Some(value)) => value.extend(characters.next()),
            (_, Some(value)) => value.push(character),
            (_, None) => {}
        }
    }
    let mut pairs = values.iter().zip(wanted);
    let password = values.get(wanted.len()).filter(|password| !password.is_empty())?;
    pairs
        .all(|(value, wanted)| value == "*" || value == wanted)
        .then(|| password.clone())
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod address_tests;

#[cfg(test)]
#[path = "passfile_tests.rs"]
mod passfile_tests;
