//! Names as the programmer wrote them: C++ and Rust symbols demangled.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

/// Longest name that is made of a symbol: a few bytes of substitutions could grow without end.
const MAX_NAME: usize = 64 << 10;

/// Text that refuses to grow over [`MAX_NAME`].
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.0.len() + s.len() > MAX_NAME {
            return Err(fmt::Error);
        }
        self.0.push_str(s);
        Ok(())
    }
}

/// The readable form of a mangled C++ or Rust name, parameters included; `None` for a name that is not mangled.
///
/// ```
/// use baretrace::symbols::demangle;
/// assert_eq!(demangle("_ZN2ns1fEi").as_deref(), Some("ns::f(int)"));
/// assert_eq!(demangle("main"), None);
/// ```
pub fn demangle(name: &str) -> Option<String> {
    rust(name, false).or_else(|| cpp(name, DemangleOptions::new()))
}

/// The forms of a mangled name that a pattern in a script may mean: whole, without the return type that a template's
/// name begins with, and without parameters.
pub(super) fn forms(name: &str) -> Vec<String> {
    let rust = [rust(name, false), rust(name, true)];
    let mut all: Vec<String> = rust.into_iter().flatten().collect();
    if all.is_empty() {
        let plain = DemangleOptions::new;
        all.extend(cpp(name, plain()));
        if !all.is_empty() {
            all.extend(cpp(name, plain().no_return_type()));
            all.extend(cpp(name, plain().no_params().no_return_type()));
        }
    }
    all.dedup();
    all
}

fn cpp(name: &str, options: DemangleOptions) -> Option<String> {
    if !name.starts_with("_Z") {
        return None;
    }
    let symbol = Symbol::new(name).ok()?;
    let mut text = Bounded::default();
    symbol.structured_demangle(&mut text, &options).ok()?;
    Some(text.0)
}

/// A Rust name, with or without the hash that ends a name of the older scheme.
fn rust(name: &str, hash: bool) -> Option<String> {
    let symbol = rustc_demangle::try_demangle(name).ok()?;
    let mut text = Bounded::default();
    match hash {
        true => write!(text, "{symbol}").ok()?,
        false => write!(text, "{symbol:#}").ok()?,
    }
    Some(text.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, want) in [
            (
                "_ZN5MyApp6Server14handle_requestEi",
                Some("MyApp::Server::handle_request(int)"),
            ),
            ("_Z3fooIiET_S0_", Some("int foo<int>(int)")),
            (
                "_ZN4core3fmt5write17h0123456789abcdefE",
                Some("core::fmt::write"),
            ),
            ("_RNvC6_123foo3bar", Some("123foo::bar")),
            ("_Znot", None),
            ("_ZN", None),
            ("malloc", None),
            ("", None),
        ] {
            assert_eq!(demangle(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn what_a_pattern_may_mean() {
        assert_eq!(
            forms("_Z3fooIiET_S0_"),
            ["int foo<int>(int)", "foo<int>(int)", "foo<int>"]
        );
        assert_eq!(
            forms("_ZN4core3fmt5write17h0123456789abcdefE"),
            ["core::fmt::write", "core::fmt::write::h0123456789abcdef"]
        );
        assert!(forms("main").is_empty());
    }

    #[test]
    fn a_name_that_would_grow_without_end_is_left_mangled() {
        // Each pair of the list doubles what the last one said.
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut bomb = String::from("_Z1f1A");
        for d in digits {
            bomb.push_str(&format!("1BIS{0}_S{0}_E", *d as char));
        }
        assert!(demangle(&bomb).is_none_or(|text| text.len() <= MAX_NAME));
    }
}
