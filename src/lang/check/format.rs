//! printf formats against their arguments.

use super::{Checker, words};
use crate::lang::{
    ast::{Expr, ExprKind},
    diag::Diagnostic,
};
use crate::spec::Type;

/// A conversion of a format string.
struct Conversion {
    /// As written, `%-6d`.
    text: String,
    /// What it takes.
    takes: Takes,
}

#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Number,
    Text,
    Bytes,
}

/// The conversions of a format; an error names the one that is none.
fn conversions(format: &[u8]) -> Result<Vec<Conversion>, String> {
    let text = String::from_utf8_lossy(format).into_owned();
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        if chars[i] != '%' {
            i += 1;
            continue;
        }
        let start = i;
        i += 1;
        if chars.get(i) == Some(&'%') {
            i += 1;
            continue;
        }
        let skip = |i: &mut usize, set: &str| {
            while chars.get(*i).is_some_and(|c| set.contains(*c)) {
                *i += 1;
            }
        };
        skip(&mut i, "-+ #0'");
        skip(&mut i, "0123456789");
        if chars.get(i) == Some(&'.') {
            i += 1;
            skip(&mut i, "0123456789");
        }
        skip(&mut i, "hlqjzt");
        let takes = match chars.get(i) {
            Some('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c' | 'p') => Takes::Number,
            Some('s') => Takes::Text,
            Some('r') => {
                if matches!(chars.get(i + 1), Some('x' | 'h')) {
                    i += 1;
                }
                Takes::Bytes
            }
            Some('g') if chars.get(i + 1) == Some(&'r') => {
                i += 1;
                Takes::Number
            }
            Some('*') => return Err("a width of `*` is not supported".to_string()),
            Some(c @ ('a' | 'A' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n')) => {
                return Err(format!("unsupported format specifier: {c}"));
            }
            // A percent sign that opens nothing stands for itself.
            _ => {
                i = start + 1;
                continue;
            }
        };
        i += 1;
        out.push(Conversion {
            text: chars[start..i].iter().collect(),
            takes,
        });
    }
    Ok(out)
}

impl Checker<'_> {
    /// `name(format, args…)`.
    pub(super) fn format(&mut self, name: &str, call: &Expr, format: &Expr, args: &[&Expr]) {
        self.text_of(format);
        self.as_string(format);
        let mut types = Vec::new();
        for arg in args {
            types.push(self.value(arg));
        }
        let Some(text) = self.konst_str(format) else {
            let ty = self.types.get(format.id.0 as usize).unwrap_or(&Type::Void);
            let said = format!(
                "{name}() expects a string literal ({} provided)",
                words::kind(ty)
            );
            self.say(
                Diagnostic::error(
                    format.span,
                    format!("format of `{name}` must be a string literal"),
                )
                .help(format!("write `{name}(\"%s\", …)`"))
                .said_at(call.span, said),
            );
            return;
        };
        let conversions = match conversions(&text) {
            Ok(list) => list,
            Err(message) => return self.error(format.span, message),
        };
        if conversions.len() != args.len() {
            let (expected, supplied) = (conversions.len(), args.len());
            let amount = if supplied > expected {
                "too many"
            } else {
                "not enough"
            };
            self.say(
                Diagnostic::error(
                    call.span,
                    format!(
                        "{amount} arguments for format string ({supplied} supplied, {expected} expected)"
                    ),
                )
                .maybe_help(
                    conversions
                        .get(args.len())
                        .map(|c| format!("nothing is given for `{}`", c.text)),
                ),
            );
            return;
        }
        for ((conversion, arg), ty) in conversions.iter().zip(args).zip(types) {
            self.conversion(conversion, arg, ty);
        }
    }

    fn conversion(&mut self, conversion: &Conversion, arg: &Expr, ty: Type) {
        let ty = match ty {
            Type::Agg(agg) => words::agg_number(&agg).unwrap_or(Type::Agg(agg)),
            ty => ty,
        };
        let number = matches!(
            ty,
            Type::Int { .. } | Type::Bool | Type::Enum { .. } | Type::Ptr(_)
        );
        let fine = match conversion.takes {
            _ if ty == Type::Void => true,
            Takes::Number => number,
            Takes::Text => {
                if matches!(arg.kind, ExprKind::Param(_)) {
                    self.as_string(arg);
                }
                !matches!(ty, Type::Agg(_))
            }
            Takes::Bytes => matches!(ty, Type::Buf { .. }),
        };
        if fine {
            return;
        }
        let kind = conversion
            .text
            .trim_start_matches(|c: char| !c.is_ascii_alphabetic())
            .trim_start_matches(['h', 'l', 'q', 'j', 'z', 't']);
        let shown = words::name(&ty, &self.structs.defs);
        let help = match (conversion.takes, &ty) {
            (Takes::Number, Type::Str { .. }) => Some("print it with `%s`"),
            (Takes::Bytes, _) => Some("`%r` prints the bytes that `buf(…)` reads"),
            (Takes::Number, Type::Tuple(_) | Type::Record(_) | Type::Struct(_)) => {
                Some("print it with `%s`, or with `print(…)`")
            }
            (_, Type::Agg(_)) => Some("print it with `print(…)`"),
            _ => None,
        };
        let said = format!(
            "unsupported format specifier for type '{}': {kind}",
            self.plain(&ty)
        );
        self.say(
            Diagnostic::error(
                arg.span,
                format!("unsupported format specifier for type '{shown}': {kind}"),
            )
            .maybe_help(help.map(str::to_string))
            .said_at(self.call, said),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_cut_into_conversions() {
        let list = |text: &str| {
            conversions(text.as_bytes()).map(|c| c.into_iter().map(|c| c.text).collect::<Vec<_>>())
        };
        assert_eq!(
            list("%-6d %% %016llx %.3s %rx%rh %r").unwrap(),
            ["%-6d", "%016llx", "%.3s", "%rx", "%rh", "%r"]
        );
        assert_eq!(list("100% %y %gr").unwrap(), ["%gr"]);
        assert!(list("%e").is_err() && list("%*d").is_err());
    }
}
