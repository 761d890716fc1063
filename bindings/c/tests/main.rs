//! Tests of the C library: its programs in C and C++, its ABI, hosts of several, and its unwinder.

mod abi;
mod capi_c;
mod compile;
mod hosts;
mod unwinder;
