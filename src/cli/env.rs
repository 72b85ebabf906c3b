//! Settings from the environment: `BPFTRACE_MAX_STRLEN=200` and its like.

use std::ffi::OsString;

/// Prefix of bpftrace's variables.
const PREFIX: &str = "BPFTRACE_";

/// Names of older versions, with the setting they mean.
const OLD_NAMES: &[(&str, &str)] = &[
    ("strlen", "max_strlen"),
    ("map_keys_max", "max_map_keys"),
    ("cat_bytes_max", "max_cat_bytes"),
];

/// Variables that are no settings of the script.
const NOT_SETTINGS: &[&str] = &[
    "btf",
    "color",
    "debug_output",
    "kernel_build",
    "kernel_source",
    "vmlinux",
    "no_user_symbols",
];

/// The settings among `vars`: lower-case name, value.
///
/// `BPFTRACE_NO_CPP_DEMANGLE` is the opposite of a setting and comes out as `cpp_demangle`.
pub(super) fn settings(vars: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = vars
        .filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let value = value.to_str()?.to_string();
            if NOT_SETTINGS.contains(&name.as_str()) {
                return None;
            }
            if name == "no_cpp_demangle" {
                let on = if value == "1" { "0" } else { "1" };
                return Some(("cpp_demangle".to_string(), on.to_string()));
            }
            let name = OLD_NAMES
                .iter()
                .find(|(old, _)| *old == name)
                .map_or(name.clone(), |(_, new)| (*new).to_string());
            Some((name, value))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn old_names_and_opposites() {
        let vars = [
            ("BPFTRACE_STRLEN", "200"),
            ("BPFTRACE_NO_CPP_DEMANGLE", "1"),
            ("BPFTRACE_MAX_PROBES", "9"),
            ("BPFTRACE_COLOR", "never"),
            ("PATH", "/bin"),
        ];
        let got = settings(vars.iter().map(|(n, v)| (n.into(), v.into())));
        let got: Vec<(&str, &str)> = got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let want = [
            ("cpp_demangle", "0"),
            ("max_probes", "9"),
            ("max_strlen", "200"),
        ];
        assert_eq!(got, want);
    }
}
