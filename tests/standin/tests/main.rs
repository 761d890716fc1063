//! The stand-in server, as a client sees it.

mod common;
mod edits;
mod paging;
mod shapes;
