//! The `baretrace` command.

fn main() {}
