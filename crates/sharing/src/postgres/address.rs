//! Parses a log's address, such as `postgresql://user@host/database?sslmode=require`. The format is libpq's, but
//! with fewer parameters and without a password, since addresses appear in logs and process lists.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::error::{Error, Result, Status, invalid_argument_error};

/// A parsed and validated address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The `PostgreSQL` role.
    pub user: String,
    /// The name of the database.
    pub database: String,
    /// The server's host or socket.
    pub endpoint: ServerAddress,
    /// The TCP port. For a Unix socket, the port is part of the socket's file name.
    pub port: u16,
    /// The TLS mode.
    pub sslmode: SslMode,
    /// A PEM file with the trusted certificate authorities; `None` for the system's authorities.
    pub sslrootcert: Option<PathBuf>,
    /// The timeout for connecting; `None` for the default.
    pub connect_timeout: Option<Duration>,
    /// The name that `pg_stat_activity` shows.
    pub application_name: String,
    /// The value of `PGPASSWORD`; `None` if it is not set.
    pub password: Option<Password>,
    /// The path of the passfile.
    pub passfile: Option<PathBuf>,
}

/// The endpoint on which the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host name or an IP address.
    Tcp(String),
    /// The folder that contains the Unix socket.
    Unix(PathBuf),
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

/// A password. The `Debug` output hides the password, and dropping it wipes the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password.
    #[must_use]
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// Returns the password in plain text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    /// Hides the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl fmt::Display for Address {
    /// Writes a URL for messages, without any parameters except the socket's folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (&self.user, &self.database);
        let port = (self.port != DEFAULT_PORT).then(|| format!(":{}", self.port));
        let port = port.unwrap_or_default();
        match &self.endpoint {
            ServerAddress::Tcp(host) if host.contains(':') => {
                write!(f, "postgresql://{user}@[{host}]{port}/{database}")
            }
            ServerAddress::Tcp(host) => write!(f, "postgresql://{user}@{host}{port}/{database}"),
            ServerAddress::Unix(folder) => write!(f, "postgresql://{user}@{port}/{database}?host={}", folder.display()),
        }
    }
}

const DEFAULT_PORT: u16 = 5432;

/// Example address for error messages.
const EXAMPLE: &str = "postgresql://user@host/database";

/// Parses and validates an address, without reading a file. `environment` returns an environment variable's value.
///
/// # Errors
/// [`Status::InvalidArgument`], whose message states the invalid part and the remedy. No message contains a password.
pub fn parse(address: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Address> {
    let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
    let Some(after_scheme) = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
    else {
        return invalid_argument_error(format!(
            "the address of the shared log must start with postgresql://, as in {EXAMPLE}"
        ));
    };
    // Split USER@HOST:PORT/DATABASE?PARAMETERS.
    let (main_part, query) = after_scheme.split_once('?').unwrap_or((after_scheme, ""));
    let (authority, database) = main_part.split_once('/').unwrap_or((main_part, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return refuse_password();
    }
    let (host, port) = split_port(host)?;
    let mut address = Address {
        user: decoded("the user", user)?,
        database: decoded("the database", database)?,
        endpoint: endpoint(decoded("the host", host)?),
        port: port.map_or(Ok(DEFAULT_PORT), parse_port)?,
        sslmode: SslMode::VerifyFull,
        sslrootcert: None,
        connect_timeout: None,
        application_name: "plexindex".into(),
        password: environment("PGPASSWORD").map(Password::new),
        passfile: environment("PGPASSFILE")
            .map(PathBuf::from)
            .or_else(|| environment("HOME").map(|home| Path::new(&home).join(".pgpass"))),
    };
    // Apply the parameters. A host or port here overrides the one before the question mark.
    let mut sslrootcert = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(name, value)?;
        match name {
            "host" => address.endpoint = endpoint(value),
            "port" => address.port = parse_port(&value)?,
            "sslmode" => address.sslmode = parse_sslmode(&value)?,
            "sslrootcert" => sslrootcert = Some(value),
            "passfile" => address.passfile = Some(value.into()),
            "application_name" => address.application_name = value,
            "connect_timeout" => address.connect_timeout = Some(parse_seconds(&value)?),
            "password" => return refuse_password(),
            _ => {
                return invalid_argument_error(format!(
                    "the address of the shared log has the unknown parameter {:?}; use host, port, sslmode, \
                     sslrootcert, passfile, connect_timeout or application_name",
                    crate::error::truncate_for_message(name.as_bytes())
                ));
            }
        }
    }
    // Fill in missing parts, and reject an incomplete address.
    if address.user.is_empty() {
        let names = ["PGUSER", "USER", "LOGNAME"];
        address.user = names.iter().find_map(|name| environment(name)).unwrap_or_default();
    }
    if address.user.is_empty() {
        return invalid_argument_error(format!("the address of the shared log has no user; write {EXAMPLE}"));
    }
    if address.database.is_empty() {
        address.database.clone_from(&address.user);
    }
    if address.endpoint == ServerAddress::Tcp(String::new()) {
        return invalid_argument_error(format!(
            "the address of the shared log has no host; write {EXAMPLE}, or postgresql://user@/database?host=/run/\
             postgresql for a Unix socket"
        ));
    }
    let texts = [&address.user, &address.database, &address.application_name];
    if texts.iter().any(|text| text.contains('\0')) {
        return invalid_argument_error("the address of the shared log contains %00; remove it");
    }
    set_authorities(&mut address, sslrootcert.as_deref())?;
    Ok(address)
}

/// Returns the error for an address that contains a password.
fn refuse_password<T>() -> Result<T> {
    invalid_argument_error(
        "the address of the shared log contains a password, but addresses appear in logs and process lists; put the \
         password into PGPASSWORD or a passfile (~/.pgpass)",
    )
}

/// Decodes the percent escapes in a part of the address. `what`: the part's name in error messages.
fn decoded(what: &str, value: &str) -> Result<String> {
    match percent_decode_str(value).decode_utf8() {
        Ok(value) => Ok(Cow::into_owned(value)),
        Err(_) => invalid_argument_error(format!("{what} in the address of the shared log is not UTF-8")),
    }
}

/// Returns the endpoint for a host. A host that starts with `/` is the folder of a Unix socket, as in libpq.
fn endpoint(host: String) -> ServerAddress {
    if host.starts_with('/') {
        return ServerAddress::Unix(host.into());
    }
    ServerAddress::Tcp(host)
}

/// Splits the host part of an address into the host, without the brackets of an IPv6 address, and the optional port.
fn split_port(host: &str) -> Result<(&str, Option<&str>)> {
    if host.contains(',') {
        return invalid_argument_error("the address of the shared log has several hosts; use only one");
    }
    if let Some(bracketed) = host.strip_prefix('[') {
        return match bracketed.split_once(']') {
            Some((host, "")) => Ok((host, None)),
            Some((host, port)) if port.starts_with(':') => Ok((host, port.get(1..))),
            _ => invalid_argument_error(
                "the address of the shared log has an invalid IPv6 address in brackets; write it as in [::1]:5432",
            ),
        };
    }
    match host.rsplit_once(':') {
        Some((before_colon, _)) if before_colon.contains(':') => invalid_argument_error(
            "the address of the shared log has an IPv6 address without brackets; write it as in [::1]",
        ),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((host, None)),
    }
}

fn parse_port(port: &str) -> Result<u16> {
    match port.parse() {
        Ok(0) | Err(_) => invalid_argument_error("the address of the shared log has an invalid port; use 1 to 65535"),
        Ok(port) => Ok(port),
    }
}

fn parse_seconds(seconds: &str) -> Result<Duration> {
    match seconds.parse() {
        Ok(0) | Err(_) => invalid_argument_error(
            "the address of the shared log has an invalid connect_timeout; use whole seconds, at least 1",
        ),
        Ok(seconds) => Ok(Duration::from_secs(u32::into(seconds))),
    }
}

/// Parses an `sslmode` with libpq's names.
fn parse_sslmode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return invalid_argument_error(
                "the address of the shared log has an invalid sslmode; use disable, prefer, require, verify-ca or \
                 verify-full",
            );
        }
    })
}

/// Sets the trusted authorities, and adjusts `sslmode` to them as libpq does. `sslrootcert`: the parameter in the
/// address, which is the path of a PEM file, or `system`.
fn set_authorities(address: &mut Address, sslrootcert: Option<&str>) -> Result<()> {
    if let ServerAddress::Unix(_) = address.endpoint {
        address.sslmode = SslMode::Disable; // traffic on a Unix socket never leaves the host
    }
    match sslrootcert {
        Some("") => {
            return invalid_argument_error(
                "the address of the shared log has an empty sslrootcert; use the path of a PEM file, or system",
            );
        }
        Some("system") if [SslMode::Prefer, SslMode::Require].contains(&address.sslmode) => {
            return invalid_argument_error(
                "the address of the shared log has sslrootcert=system, which requires sslmode=verify-full",
            );
        }
        Some("system") | None => {}
        Some(file) => address.sslrootcert = Some(file.into()),
    }
    match address.sslmode {
        SslMode::VerifyCa if address.sslrootcert.is_none() => Err(Error::new(
            Status::InvalidArgument,
            "the address of the shared log has sslmode=verify-ca without sslrootcert=FILE, but anyone can get a \
             certificate from a public authority; add sslrootcert, or use sslmode=verify-full",
        )),
        SslMode::Require if address.sslrootcert.is_some() => {
            address.sslmode = SslMode::VerifyCa;
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
