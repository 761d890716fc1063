//! The stand-in server, as a client sees it.

mod common;
mod edits;
mod faults;
mod library;
mod paging;
mod shapes;
mod wire;
