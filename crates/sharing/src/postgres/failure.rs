//! Failures of `PostgreSQL`, in words for people. No text has a password, or a value that a statement was given.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, Severity, SqlState};

use super::address::Address;
use crate::error::{Error, Status};

/// The code with which `PostgreSQL` refuses what a role may not do.
pub const REFUSED: &str = "42501";

/// Why a call failed.
pub enum Failure {
    /// What is said already.
    Known(Error),
    /// The name of the host is unknown.
    NoSuchHost(Option<String>),
    /// The name of the host was not resolved in time.
    Unresolved,
    /// No connection could be made.
    Unreachable(io::Error),
    /// The server did not answer in time.
    Silent,
    /// The server closed the connection.
    Closed,
    /// The server takes no writes.
    ReadOnly,
    /// The role may not do this.
    NoRights {
        /// The server's message.
        said: String,
        /// The privileges that the role lacks.
        missing: Vec<String>,
    },
    /// The server refused something, or the connection failed.
    Server(tokio_postgres::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl From<tokio::time::error::Elapsed> for Failure {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Unreachable(io::ErrorKind::TimedOut.into())
    }
}

impl Failure {
    fn database_error(&self) -> Option<&DbError> {
        match self {
            Self::Server(error) => error.as_db_error(),
            _ => None,
        }
    }

    /// What `PostgreSQL` answered.
    pub fn message(&self) -> Option<&str> {
        self.database_error().map(DbError::message)
    }

    /// Returns whether `PostgreSQL` answered with this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.database_error().is_some_and(|error| error.code().code() == code)
    }

    /// Returns whether the connection can be used further. A server that became read-only is a replica by now: its
    /// successor has another connection.
    pub fn leaves_connection(&self) -> bool {
        let is_kept = |error: &DbError| error.parsed_severity() == Some(Severity::Error);
        self.database_error().is_some_and(is_kept) && !self.is_read_only()
    }

    /// Returns whether the server, or this session, takes no writes.
    pub fn is_read_only(&self) -> bool {
        self.has_code(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }

    /// Returns whether the connection broke, as that of a server that was restarted.
    pub fn is_broken_connection(&self) -> bool {
        match (self, self.database_error()) {
            (Self::Closed, _) => true,
            (_, Some(error)) => matches!(error.code().code().get(..3), Some("57P")),
            (Self::Server(error), None) => error.is_closed() || io_error(error).is_some(),
            _ => false,
        }
    }

    /// Returns whether the very same call may succeed now: others were in its way.
    pub fn is_conflict(&self) -> bool {
        ["40001", "40P01"].into_iter().any(|code| self.has_code(code))
    }

    /// The error for the caller.
    pub fn explain(&self, address: &Address) -> Error {
        let (status, text) = match self {
            Self::Known(error) => {
                let mut error = error.clone();
                error.message = format!("the shared log {address}: {}", error.message);
                return error;
            }
            Self::NoSuchHost(error) => {
                let why = error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
                let remedy = "check the address, or use the host's IP address";
                (Status::Connect, format!("the host's name is unknown{why}: {remedy}"))
            }
            Self::Unresolved => (
                Status::Timeout,
                "the host's name was not resolved in time: check the system's name server, or use the host's IP address"
                    .into(),
            ),
            Self::Unreachable(error) => (
                Status::Connect,
                format!("no connection ({error}): is PostgreSQL running there?"),
            ),
            Self::Silent => (Status::Timeout, "PostgreSQL did not answer in time".into()),
            Self::ReadOnly => (Status::ServerError, format!("it accepts no writes: {READ_ONLY}")),
            Self::NoRights { said, missing } => (
                Status::Forbidden,
                format!("{said}: {}", explain_missing(&address.user, missing)),
            ),
            Self::Closed => (Status::Connect, "PostgreSQL closed the connection".into()),
            Self::Server(error) => match error.as_db_error() {
                Some(error) => explain_code(error, address),
                None => explain_client(error, address),
            },
        };
        Error::new(status, format!("the shared log {address}: {text}"))
    }
}

const READ_ONLY: &str = "the server is read-only, as a replica is: use the address of the primary";

/// What the role lacks, and how it gets that.
fn explain_missing(user: &str, missing: &[String]) -> String {
    let (on_schema, on_tables): (Vec<&str>, Vec<&str>) =
        missing.iter().map(String::as_str).partition(|what| *what == "USAGE");
    let mut grants = Vec::new();
    if !on_schema.is_empty() {
        grants.push(format!("GRANT USAGE ON SCHEMA plexindex TO {user:?}"));
    }
    if !on_tables.is_empty() {
        let what = on_tables.join(", ");
        grants.push(format!("GRANT {what} ON ALL TABLES IN SCHEMA plexindex TO {user:?}"));
    }
    format!(
        "role {user:?} lacks {}: let the owner of the tables run: {}",
        missing.join(", "),
        grants.join("; ")
    )
}

/// The error of the system, unless TLS is to blame.
fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let cause = error.source()?.downcast_ref::<io::Error>()?;
    (!is_tls(cause)).then_some(cause)
}

fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}

/// An answer of `PostgreSQL`. Its message alone is quoted: details quote values.
fn explain_code(error: &DbError, address: &Address) -> (Status, String) {
    let (code, said, user) = (error.code().code(), error.message(), &address.user);
    let status = match code {
        "28P01" | "28000" => Status::Unauthorized,
        REFUSED => Status::Forbidden,
        "57014" | "55P03" => Status::Timeout,
        _ if code.starts_with("57P") || code.starts_with("08") => Status::Connect,
        _ => Status::ServerError,
    };
    let remedy = match code {
        "28P01" => "check PGPASSWORD or the passfile (~/.pgpass)".into(),
        "28000" => format!("check that role {user:?} exists, and pg_hba.conf of the server"),
        "3D000" => format!("create it: CREATE DATABASE {:?}", address.database),
        REFUSED => "only the owner of the tables may do that".into(),
        "53100" => "free some space on the server's disk".into(),
        "53300" => "raise max_connections, or put a pooler such as pgbouncer before it".into(),
        "25006" => READ_ONLY.into(),
        "PX001" => "the log was restored or cleared; try again".into(),
        "42883" | "42P01" | "42703" | "3F000" => "the schema plexindex is incomplete: run plexindex shared init".into(),
        _ => return (status, format!("{said} (SQLSTATE {code})")),
    };
    (status, format!("{said} (SQLSTATE {code}): {remedy}"))
}

/// What the client library found.
fn explain_client(error: &tokio_postgres::Error, address: &Address) -> (Status, String) {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(io) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return if is_tls(io) {
            let remedy = "name the server's certificate with sslrootcert, and write sslmode=verify-ca if it does not name the host";
            (Status::Tls, format!("TLS failed ({io}): {remedy}"))
        } else {
            (Status::Connect, format!("the connection broke ({io})"))
        };
    }
    match &*cause {
        "" if error.is_closed() => (Status::Connect, "PostgreSQL closed the connection".into()),
        "password missing" => {
            let passfile = match &address.passfile {
                Some(path) => format!("{} has none for it", path.display()),
                None => "no passfile exists".into(),
            };
            let text = format!("PostgreSQL asks for a password: PGPASSWORD is not set, and {passfile}");
            (Status::Unauthorized, text)
        }
        "server does not support TLS" => {
            let remedy = "set ssl = on there, or sslmode=disable on a trusted network";
            (Status::Tls, format!("PostgreSQL offers no TLS: {remedy}"))
        }
        _ => (Status::ServerError, format!("{error}: {cause}")),
    }
}
