//! `baretrace check FILE`: compiles and verifies without root.

/// What `--emit` prints.
pub(super) const STAGES: &[&str] = &["ast", "ir", "asm", "bytes", "spec"];
