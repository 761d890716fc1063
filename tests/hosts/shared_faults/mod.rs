//! Several hosts share one log: what goes wrong around the log, at each step. The log is in memory.

mod clocks;
mod echoes;
pub mod gate;
pub mod hosts;
mod paths;
mod refused;
mod restored;
mod trust;
