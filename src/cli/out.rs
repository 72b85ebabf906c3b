//! Results on stdout, in one write where that is possible.

use super::CliError;
use std::io::Write;

/// Writes `text` to stdout.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
