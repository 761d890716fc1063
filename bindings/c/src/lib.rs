//! The C library: all of it is in the crate, whose `capi` exports the functions.

// Named, so that the linker gets it.
extern crate plexindex as _;
