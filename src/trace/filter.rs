//! Which hits a subscription takes, evaluated in the kernel.

use super::{
    Kind, Probe,
    subscription::{number, quoted},
};
use std::{fmt, str::FromStr};

/// Which hits a subscription takes: all of its terms must hold.
///
/// A term is `NAME OP VALUE` without blanks, terms are separated by commas: `type=inv|tx,size>=1000,peer=3`.
///
/// - The name is that of an argument, or one of [`Filter::ALIASES`]. `direction` is `in` or `out`: probes whose name begins
///   with `inbound` or `outbound`.
/// - The operator is `=`, `!=`, `<`, `<=`, `>`, `>=`; strings, flags and hashes know `=` and `!=` only.
/// - Values are numbers, names of an enum's values, `true`/`false`, hashes as explorers show them, and text. Text that ends
///   in `*` is a beginning. An address may be given without its port.
/// - `|` separates alternatives: one of them holds (with `!=`: none of them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    name: String,
    op: &'static str,
    values: Vec<String>,
    /// As it was written.
    text: String,
}

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// A term is not `NAME OP VALUE`.
    Term(String),
    /// A value does not fit its argument.
    Value {
        /// The term.
        term: String,
        /// What the argument takes.
        wants: String,
    },
    /// An operator that the argument does not know.
    Operator {
        /// The term.
        term: String,
        /// What the argument is.
        is: &'static str,
    },
    /// None of the probes has what the filter asks for.
    Nothing(String),
}

impl FilterError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            FilterError::Term(_) => Some(
                "write NAME=VALUE, with one of = != < <= > >=, terms separated by commas"
                    .to_string(),
            ),
            FilterError::Operator { .. } => Some("it knows = and != only".to_string()),
            FilterError::Nothing(_) => {
                Some("see `baretrace bitcoin schema` for the arguments of each probe".to_string())
            }
            FilterError::Value { .. } => None,
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Term(term) => write!(f, "read filter `{term}`: it is no comparison"),
            FilterError::Value { term, wants } => {
                write!(f, "read filter `{term}`: it wants {wants}")
            }
            FilterError::Operator { term, is } => {
                write!(f, "read filter `{term}`: the argument is {is}")
            }
            FilterError::Nothing(text) => write!(f, "filter by `{text}`: no probe has that"),
        }
    }
}

impl std::error::Error for FilterError {}

/// Longest first: `<` begins `<=`.
const OPERATORS: &[&str] = &["!=", "<=", ">=", "=", "<", ">"];

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let terms = text
            .split(',')
            .map(str::trim)
            .filter(|term| !term.is_empty());
        let terms = terms.map(Term::parse).collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }
}

impl Term {
    fn parse(text: &str) -> Result<Term, FilterError> {
        let wrong = || FilterError::Term(text.to_string());
        let at = text.find(['=', '!', '<', '>']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let op = OPERATORS
            .iter()
            .find(|op| rest.starts_with(**op))
            .ok_or_else(wrong)?;
        let value = rest[op.len()..].trim();
        if name.trim().is_empty() || value.is_empty() {
            return Err(wrong());
        }
        Ok(Term {
            name: name.trim().to_string(),
            op,
            values: value.split('|').map(|v| v.trim().to_string()).collect(),
            text: text.to_string(),
        })
    }

    /// The argument of `probe` that the term is about.
    fn arg(&self, probe: &Probe) -> Option<super::Arg> {
        let args = probe.args();
        let of = |name: &str| args.iter().find(|arg| arg.name == name).cloned();
        let alias = Filter::ALIASES
            .iter()
            .find(|(alias, _)| *alias == self.name);
        of(&self.name).or_else(|| alias?.1.iter().find_map(|name| of(name)))
    }

    /// Its condition on `probe`; `None` if the probe has not got that argument.
    fn condition(&self, probe: &Probe) -> Result<Option<String>, FilterError> {
        if self.name == "direction" {
            return self.direction(probe);
        }
        let Some(arg) = self.arg(probe) else {
            return Ok(None);
        };
        let ordered = !matches!(self.op, "=" | "!=");
        let plain = |is| {
            if ordered {
                return Err(FilterError::Operator {
                    term: self.text.clone(),
                    is,
                });
            }
            Ok(())
        };
        let n = arg.index;
        let each = self.values.iter().map(|value| {
            let number_of = || number(probe, n);
            match arg.kind {
                Kind::Int => Ok(self.compare(&number_of(), &self.number(value)?)),
                Kind::Enum(names) => {
                    let named = names
                        .iter()
                        .find(|(_, name)| name.eq_ignore_ascii_case(value));
                    let value = match named {
                        Some((value, _)) => value.to_string(),
                        None => self.number(value).map_err(|_| {
                            self.wants(&format!(
                                "a number or one of {}",
                                names
                                    .iter()
                                    .map(|(_, name)| *name)
                                    .collect::<Vec<_>>()
                                    .join(", ")
                            ))
                        })?,
                    };
                    Ok(self.compare(&number_of(), &value))
                }
                Kind::Bool => {
                    plain("a flag")?;
                    let value = match value.to_ascii_lowercase().as_str() {
                        "true" | "yes" | "1" => 1,
                        "false" | "no" | "0" => 0,
                        _ => return Err(self.wants("true or false")),
                    };
                    Ok(self.compare(&format!("(uint8)arg{n}"), &value.to_string()))
                }
                Kind::Str(_) => {
                    plain("text")?;
                    Ok(self.text_condition(&arg, value))
                }
                Kind::Hash => {
                    plain("a hash")?;
                    self.hash_condition(n, value)
                }
                Kind::Bytes(_) => Err(FilterError::Operator {
                    term: self.text.clone(),
                    is: "bytes, which are not compared",
                }),
            }
        });
        let each: Vec<String> = each.collect::<Result<_, _>>()?;
        Ok(Some(self.join(&each)))
    }

    fn join(&self, each: &[String]) -> String {
        let glue = if self.op == "!=" { " && " } else { " || " };
        match each {
            [one] => one.clone(),
            all => format!("({})", all.join(glue)),
        }
    }

    fn compare(&self, left: &str, right: &str) -> String {
        let op = if self.op == "=" { "==" } else { self.op };
        format!("{left} {op} {right}")
    }

    fn wants(&self, wants: &str) -> FilterError {
        FilterError::Value {
            term: self.text.clone(),
            wants: wants.to_string(),
        }
    }

    fn number(&self, value: &str) -> Result<String, FilterError> {
        let parsed = match value.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16).ok(),
            None => value.parse::<i128>().ok(),
        };
        parsed
            .filter(|n| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(n))
            .map(|n| n.to_string())
            .ok_or_else(|| self.wants("a number"))
    }

    fn text_condition(&self, arg: &super::Arg, value: &str) -> String {
        let n = arg.index;
        let not = self.op == "!=";
        // No more is read than tells a longer string from this one.
        let begins = |text: &str, not: bool| {
            let op = if not { "!=" } else { "==" };
            let len = text.len();
            format!(
                "strncmp(str(arg{n}, {}), {}, {len}) {op} 0",
                len + 1,
                quoted(text)
            )
        };
        let equals = |text: &str, not: bool| {
            let op = if not { "!=" } else { "==" };
            format!("str(arg{n}, {}) {op} {}", text.len() + 2, quoted(text))
        };
        match value.strip_suffix('*') {
            Some("") => (if not { "0" } else { "1" }).to_string(),
            Some(beginning) => begins(beginning, not),
            None if arg.name == "addr" && !has_port(value) => {
                let glue = if not { "&&" } else { "||" };
                let with_port = begins(&format!("{value}:"), not);
                format!("({} {glue} {with_port})", equals(value, not))
            }
            None => equals(value, not),
        }
    }

    fn hash_condition(&self, n: usize, value: &str) -> Result<String, FilterError> {
        let wrong = || self.wants("a hash of 64 hexadecimal digits");
        if value.len() != 64 || !value.is_ascii() {
            return Err(wrong());
        }
        let mut words = Vec::new();
        for (word, at) in [48, 32, 16, 0].into_iter().enumerate() {
            let part = u64::from_str_radix(&value[at..at + 16], 16).map_err(|_| wrong())?;
            let op = if self.op == "!=" { "!=" } else { "==" };
            words.push(format!("*(uint64*)(arg{n} + {}) {op} {part}", word * 8));
        }
        let glue = if self.op == "!=" { " || " } else { " && " };
        Ok(format!("({})", words.join(glue)))
    }

    fn direction(&self, probe: &Probe) -> Result<Option<String>, FilterError> {
        let mut wanted = false;
        for value in &self.values {
            let prefix = match value.as_str() {
                "in" | "inbound" => "inbound",
                "out" | "outbound" => "outbound",
                _ => return Err(self.wants("in or out")),
            };
            wanted |= probe.name.starts_with(prefix);
        }
        match self.op {
            "=" => Ok(wanted.then(String::new)),
            "!=" => Ok((!wanted).then(String::new)),
            _ => Err(FilterError::Operator {
                term: self.text.clone(),
                is: "a direction",
            }),
        }
    }
}

/// Whether an address has a port: `1.2.3.4:8333`, `[::1]:8333`, `x.onion:8333`; `::1` has none.
fn has_port(addr: &str) -> bool {
    let host_is_closed = |host: &str| host.ends_with(']') || !host.contains(':');
    addr.rsplit_once(':').is_some_and(|(host, port)| {
        host_is_closed(host) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
    })
}

impl Filter {
    /// Other names of arguments, the first of which a probe has is meant.
    pub const ALIASES: &[(&'static str, &'static [&'static str])] = &[
        ("peer", &["peer_id", "id"]),
        ("type", &["msg_type"]),
        ("address", &["addr"]),
        ("connection", &["conn_type"]),
    ];

    /// It accepts everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// These terms and those of `other`.
    #[must_use]
    pub fn and(mut self, other: Filter) -> Filter {
        self.terms.extend(other.terms);
        self
    }

    /// The condition on hits of `probe` in the language of scripts, empty if all pass; `None` if none can.
    pub(super) fn condition(&self, probe: &Probe) -> Result<Option<String>, FilterError> {
        let mut conditions = Vec::new();
        for term in &self.terms {
            match term.condition(probe)? {
                Some(condition) if condition.is_empty() => {}
                Some(condition) => conditions.push(condition),
                None => return Ok(None),
            }
        }
        Ok(Some(conditions.join(" && ")))
    }

    pub(super) fn fits_nothing(&self) -> FilterError {
        let terms: Vec<&str> = self.terms.iter().map(|term| term.text.as_str()).collect();
        FilterError::Nothing(terms.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str) -> Probe {
        let (provider, name) = name.split_once(':').unwrap();
        let point = crate::bitcoin::tracepoint::find(provider, name).unwrap();
        Probe {
            provider: provider.to_string(),
            name: name.to_string(),
            sites: 1,
            operands: point
                .args
                .iter()
                .map(|arg| (arg.size, arg.signed))
                .collect(),
        }
    }

    fn condition(filter: &str, name: &str) -> Result<Option<String>, FilterError> {
        filter.parse::<Filter>()?.condition(&probe(name))
    }

    #[test]
    fn terms_become_conditions() {
        let hash = "00000000000000010000000000000002000000000000000300000000000000ff";
        for (filter, name, want) in [
            ("peer=3", "net:inbound_message", "(int64)arg0 == 3"),
            ("peer=3", "net:closed_connection", "(int64)arg0 == 3"),
            (
                "size>=0x10 , peer!=1|2",
                "net:inbound_message",
                "(uint64)arg4 >= 16 && ((int64)arg0 != 1 && (int64)arg0 != 2)",
            ),
            (
                "type=inv|tx",
                "net:inbound_message",
                "(str(arg3, 5) == \"inv\" || str(arg3, 4) == \"tx\")",
            ),
            (
                "type=get*",
                "net:inbound_message",
                "strncmp(str(arg3, 4), \"get\", 3) == 0",
            ),
            (
                "addr=1.2.3.4:8333",
                "net:inbound_message",
                "str(arg1, 14) == \"1.2.3.4:8333\"",
            ),
            (
                "addr=::1",
                "net:inbound_message",
                "(str(arg1, 5) == \"::1\" || strncmp(str(arg1, 5), \"::1:\", 4) == 0)",
            ),
            (
                "network=onion",
                "net:closed_connection",
                "(uint32)arg3 == 3",
            ),
            ("coinbase=no", "utxocache:add", "(uint8)arg4 == 0"),
            ("direction=in", "net:inbound_message", ""),
            (
                "type=a\"b",
                "net:inbound_message",
                "str(arg3, 5) == \"a\\\"b\"",
            ),
        ] {
            assert_eq!(
                condition(filter, name).unwrap().as_deref(),
                Some(want),
                "{filter}"
            );
        }
        assert_eq!(
            condition(&format!("txid={hash}"), "utxocache:add")
                .unwrap()
                .unwrap(),
            "(*(uint64*)(arg0 + 0) == 255 && *(uint64*)(arg0 + 8) == 3 && *(uint64*)(arg0 + 16) == 2 && *(uint64*)(arg0 + 24) == 1)"
        );
    }

    #[test]
    fn a_probe_without_the_argument_never_passes() {
        assert_eq!(condition("direction=out", "net:inbound_message"), Ok(None));
        assert_eq!(
            condition("network=1", "net:misbehaving_connection"),
            Ok(None)
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (filter, want) in [
            ("peer", "read filter `peer`: it is no comparison"),
            ("=3", "read filter `=3`: it is no comparison"),
            ("peer=x", "read filter `peer=x`: it wants a number"),
            ("type>a", "read filter `type>a`: the argument is text"),
            (
                "direction=up",
                "read filter `direction=up`: it wants in or out",
            ),
            (
                "bytes=1",
                "read filter `bytes=1`: the argument is bytes, which are not compared",
            ),
        ] {
            let err = condition(filter, "net:inbound_message").unwrap_err();
            assert_eq!(err.to_string(), want);
        }
        let err = condition("txid=12", "utxocache:add").unwrap_err();
        assert!(err.to_string().contains("64 hexadecimal"));
    }
}
