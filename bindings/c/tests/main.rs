//! Tests of the C library: its programs in C and C++, its ABI, and hosts of several.

mod abi;
mod capi_c;
mod compile;
mod hosts;
