//! Explains failures of `PostgreSQL` with a remedy. No message contains a password or a statement parameter.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::address::Address;
use crate::error::{Error, Status};

/// The result of a call of the database.
pub type Outcome<T> = std::result::Result<T, Failure>;

/// The reason why a call failed.
pub enum Failure {
    /// An error that needs no further explanation.
    Known(Error),
    /// The database server returned an error, or the connection failed.
    Server(tokio_postgres::Error),
}

impl From<Error> for Failure {
    /// Wraps an error that needs no further explanation.
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    /// Wraps an error from the client library, which may contain an error from the server.
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl Failure {
    /// Returns the server's error, if the server returned one.
    fn database_error(&self) -> Option<&DbError> {
        match self {
            Self::Server(error) => error.as_db_error(),
            Self::Known(_) => None,
        }
    }

    /// Returns whether the server returned this SQLSTATE.
    pub fn has_code(&self, code: &str) -> bool {
        self.database_error().is_some_and(|error| error.code().code() == code)
    }

    /// Returns whether the server returned an error.
    pub fn is_from_server(&self) -> bool {
        self.database_error().is_some()
    }

    /// Returns whether the server rejected the statement, but keeps the connection. A connection to a read-only server is
    /// not kept, since the server is now a replica, and a new connection may reach the primary.
    pub fn is_refused(&self) -> bool {
        // After a more severe error, the server closes the connection.
        let is_kept = |error: &DbError| error.parsed_severity() == Some(Severity::Error);
        self.database_error().is_some_and(is_kept) && !self.has_code(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }

    /// Returns whether the server rejected a row for what is in it, so that it may accept the others: SQLSTATE classes 22
    /// and 23.
    pub fn is_about_a_row(&self) -> bool {
        let is_of_row = |error: &DbError| ["22", "23"].contains(&error.code().code().get(..2).unwrap_or_default());
        self.database_error().is_some_and(is_of_row)
    }

    /// Converts the failure to an error for the caller. The message contains the database's address and a remedy.
    pub fn explain(&self, address: &Address) -> Error {
        let (status, text) = match self {
            Self::Known(error) => {
                let mut error = error.clone();
                error.message = format!("the shared database {address}: {}", error.message);
                return error;
            }
            Self::Server(error) => match error.as_db_error() {
                Some(error) => explain_code(error, address),
                None => explain_client(error, address),
            },
        };
        Error::new(status, format!("the shared database {address}: {text}"))
    }
}

/// Returns the status and the message for an error from the server. Quotes only the server's message, since the error's
/// details may contain parameter values.
fn explain_code(error: &DbError, address: &Address) -> (Status, String) {
    let (code, message, user) = (error.code().code(), error.message(), address.user());
    let status = match code {
        "28P01" | "28000" => Status::Unauthorized, // a wrong password, or a role that may not connect
        "42501" => Status::Forbidden,
        "57014" | "55P03" => Status::Timeout, // the server cancelled the statement, or a lock was not available
        _ if code.starts_with("57P") || code.starts_with("08") => Status::Connect, // the session or connection ended
        _ => Status::ServerError,
    };
    let remedy = match code {
        "28P01" => "check PGPASSWORD or the passfile (~/.pgpass)".into(),
        "28000" => format!("check that role {user:?} exists, and that the server's pg_hba.conf allows it"),
        "3D000" => format!("create it with CREATE DATABASE {:?}", address.database()),
        // Granting a privilege that the role has is harmless.
        "42501" => format!(
            "run plexindex shared init as the role that owns the database, which must also run GRANT USAGE ON SCHEMA \
             plexindex_shared TO {user:?}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex_shared TO \
             {user:?}"
        ),
        "53100" => "free some space on the server's disk".into(),
        "53300" => "raise max_connections, or use a connection pooler such as PgBouncer".into(),
        "25006" => "the server is read-only, perhaps a replica; use the address of the primary".into(),
        "PX001" => "the database was restored; try again".into(),
        "42883" | "42P01" | "42703" | "3F000" => {
            "the schema plexindex_shared is incomplete; run plexindex shared init".into()
        }
        _ => return (status, format!("{message} (SQLSTATE {code})")),
    };
    (status, format!("{message} (SQLSTATE {code}): {remedy}"))
}

/// Returns the status and the message for an error from the client library.
fn explain_client(error: &tokio_postgres::Error, address: &Address) -> (Status, String) {
    let cause = error.source();
    if let Some(io) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        let is_tls = io
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
        return if is_tls {
            let remedy = "set sslrootcert to the server's certificate; if the certificate does not contain the host \
                          name, also set sslmode=verify-ca";
            (Status::Tls, format!("TLS failed ({io}); {remedy}"))
        } else {
            let text = format!("cannot connect ({io}); check that PostgreSQL is running");
            (Status::Connect, text)
        };
    }
    match &*cause.map(ToString::to_string).unwrap_or_default() {
        "" if error.is_closed() => (Status::Connect, "PostgreSQL closed the connection".into()),
        "password missing" => {
            let passfile = match &address.passfile {
                Some(path) => format!("add a line to {}", path.display()),
                None => "create a passfile (~/.pgpass)".into(),
            };
            let text = format!("PostgreSQL requires a password, but PGPASSWORD is not set; set it, or {passfile}");
            (Status::Unauthorized, text)
        }
        "server does not support TLS" => {
            let text = "PostgreSQL offers no TLS; set ssl = on in the server's configuration, or, if you control the network, \
                        connect with sslmode=disable";
            (Status::Tls, text.into())
        }
        cause => (Status::ServerError, format!("{error}: {cause}")),
    }
}
