//! Whether messages on stderr are colored.

use std::{env, io::IsTerminal};

/// bpftrace's variable: `always`, `never`, or `auto`, which looks at the terminal and at `NO_COLOR`.
const VARIABLE: &str = "BPFTRACE_COLOR";

/// Whether to color.
pub fn wanted() -> bool {
    match env::var(VARIABLE).as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none(),
    }
}

/// What bpftrace says of a value that the variable does not take.
pub fn complaint() -> Option<String> {
    let value = env::var(VARIABLE).ok()?;
    let known = matches!(value.as_str(), "always" | "never" | "auto" | "");
    (!known).then(|| {
        format!(
            "WARNING: Invalid env value! The valid values of `{VARIABLE}` are [auto|always|never]. The current value is {value}!"
        )
    })
}
