//! What the kernel tests share: whether they may run, and facts about this test binary.

use baretrace::kernel::detect;

/// Whether this process may trace; prints why not. Skipping is earned by missing rights alone.
pub(crate) fn may_trace() -> bool {
    let missing = detect::missing_rights(true);
    for what in &missing {
        eprintln!("skipped: missing {what}");
    }
    missing.is_empty()
}
