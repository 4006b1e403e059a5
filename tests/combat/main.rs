//! ComBat against the published implementations, and the rules that protect against what it would do in silence.

mod designs;
mod fortin;
mod references;
mod support;
