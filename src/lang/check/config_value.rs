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
        let (fields, values) = self.config_fields();
        if let Some(i) = fields.iter().position(|(n, _)| *n == name.text) {
            self.resolve(e, values[i].clone());
            return self.set(e, fields[i].1.clone());
        }
        if name.text == "unreadable_bytes" {
            let word = if self.config.unreadable_is_zeros {
                "zeros"
            } else {
                "none"
            };
            return self.set_str(e, word.as_bytes());
        }
        let other = &name.text;
        self.say(
            Diagnostic::error(name.span, format!("unknown config variable `{other}`")).said_at(
                e.span,
                format!("Record does not contain a field named '{other}'"),
            ),
        );
        Type::Void
    }

    /// All of them.
    pub(super) fn config_record(&mut self, e: &Expr) -> Type {
        let (fields, values) = self.config_fields();
        self.resolve(e, Res::Record(values));
        Type::Record(fields)
    }

    /// Names, types and values, in bpftrace's order.
    fn config_fields(&self) -> (Vec<(String, Type)>, Vec<Res>) {
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
            ("use_blazesym", flag(false)),
            ("show_debug_info", flag(c.show_debug_info)),
            ("log_size", number(c.log_size)),
            ("max_bpf_progs", number(c.max_bpf_progs)),
            ("max_cat_bytes", number(c.max_cat_bytes)),
            ("max_map_keys", number(c.max_map_keys)),
            ("max_probes", number(c.max_probes)),
            ("max_strlen", number(c.max_strlen)),
            ("on_stack_limit", number(c.on_stack_limit)),
            ("perf_rb_pages", number(c.perf_rb_pages.unwrap_or(0))),
            ("str_trunc_trailer", text(&c.str_trunc_trailer)),
            ("unstable_import_statement", unstable(0)),
            ("unstable_tseries", unstable(c.unstable_tseries)),
            ("unstable_typeinfo", unstable(c.unstable_typeinfo)),
            ("unstable_dw_ustack", unstable(c.unstable_dw_ustack)),
            ("missing_probes", text(missing)),
            (
                "stack_mode",
                text(STACK_MODES.get(usize::from(c.stack_mode)).unwrap_or(&"")),
            ),
            (
                "license",
                text(if c.license.is_empty() {
                    "GPL"
                } else {
                    &c.license
                }),
            ),
        ];
        let (mut fields, mut values) = (Vec::new(), Vec::new());
        for (name, (ty, value)) in rows {
            fields.push((name.to_string(), ty));
            values.push(value);
        }
        (fields, values)
    }
}
