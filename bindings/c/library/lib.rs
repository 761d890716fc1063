//! The C library: all of it is in `plexindex-abi`, which exports the functions.

// Named, so that the linker gets it.
extern crate plexindex_abi as _;
