//! Config variables as values: `config.x`, and `config` as a record of them.

use super::Checker;
use crate::lang::{
    ast::{Expr, Name},
    checked::{MissingProbes, Res},
    config::STACK_MODES,
    diag::Diagnostic,
};
use crate::spec::Type;

/// Words of `unstable_…`.
const UNSTABLE: [&str; 3] = ["error", "warn", "enable"];

impl Checker<'_> {
    pub(super) fn config_value(&mut self, e: &Expr, name: &Name) -> Type {
        let c = &self.config;
        let number = match name.text.as_str() {
            "max_strlen" => c.max_strlen,
            "max_map_keys" => c.max_map_keys,
            "max_cat_bytes" => c.max_cat_bytes,
            "max_probes" => c.max_probes,
            "on_stack_limit" => c.on_stack_limit,
            "print_maps_on_exit" => {
                let on = i128::from(c.print_maps_on_exit);
                return self.set_int(e, on, Type::Bool);
            }
            "cpp_demangle" => {
                let on = i128::from(c.cpp_demangle);
                return self.set_int(e, on, Type::Bool);
            }
            "lazy_symbolication" => {
                let on = i128::from(c.lazy_symbolication);
                return self.set_int(e, on, Type::Bool);
            }
            "unreadable_bytes" => {
                let word = if c.unreadable_is_zeros {
                    "zeros"
                } else {
                    "none"
                };
                return self.set_str(e, word.as_bytes());
            }
            "stack_mode" => {
                let mode = crate::lang::config::STACK_MODES
                    .get(usize::from(c.stack_mode))
                    .copied()
                    .unwrap_or("");
                return self.set_str(e, mode.as_bytes());
            }
            "license" => {
                let text = c.license.clone();
                return self.set_str(e, text.as_bytes());
            }
            "str_trunc_trailer" => {
                let text = c.str_trunc_trailer.clone();
                return self.set_str(e, text.as_bytes());
            }
            other => {
                self.say(
                    Diagnostic::error(name.span, format!("unknown config variable `{other}`"))
                        .said_at(
                            e.span,
                            format!("Record does not contain a field named '{other}'"),
                        ),
                );
                return Type::Void;
            }
        };
        self.set_int(e, i128::from(number), Type::U64)
    }

    /// All of them.
    pub(super) fn config_record(&mut self, e: &Expr) -> Type {
        let c = &self.config;
        let flag = |on: bool| (Type::Bool, Res::Int(i64::from(on)));
        let number = |n: u32| (Type::U64, Res::Int(i64::from(n)));
        let text = |s: &str| {
            let size = u32::try_from(s.len() + 1).unwrap_or(u32::MAX);
            (Type::Str { size }, Res::Str(s.as_bytes().to_vec()))
        };
        let unstable = |how: u8| text(UNSTABLE.get(usize::from(how)).unwrap_or(&"warn"));
        let missing = match c.missing_probes {
            MissingProbes::Error => "error",
            MissingProbes::Warn => "warn",
            MissingProbes::Ignore => "ignore",
        };
        let rows = [
            ("cpp_demangle", flag(c.cpp_demangle)),
            ("lazy_symbolication", flag(c.lazy_symbolication)),
            ("print_maps_on_exit", flag(c.print_maps_on_exit)),
            ("show_debug_info", flag(c.show_debug_info)),
            ("max_cat_bytes", number(c.max_cat_bytes)),
            ("max_map_keys", number(c.max_map_keys)),
            ("max_probes", number(c.max_probes)),
            ("max_strlen", number(c.max_strlen)),
            ("on_stack_limit", number(c.on_stack_limit)),
            ("perf_rb_pages", number(c.perf_rb_pages.unwrap_or(0))),
            ("str_trunc_trailer", text(&c.str_trunc_trailer)),
            ("unstable_tseries", unstable(c.unstable_tseries)),
            ("unstable_typeinfo", unstable(c.unstable_typeinfo)),
            ("missing_probes", text(missing)),
            (
                "stack_mode",
                text(STACK_MODES.get(usize::from(c.stack_mode)).unwrap_or(&"")),
            ),
            ("license", text(&c.license)),
        ];
        let (mut fields, mut values) = (Vec::new(), Vec::new());
        for (name, (ty, value)) in rows {
            fields.push((name.to_string(), ty));
            values.push(value);
        }
        self.resolve(e, Res::Record(values));
        Type::Record(fields)
    }
}
