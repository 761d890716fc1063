//! What only the log in `PostgreSQL` does.
