//! From loaded programs to events: attach, read the rings.

pub mod attach;
pub mod child;
pub mod perf_record;
pub mod perf_ring;
pub mod root;
