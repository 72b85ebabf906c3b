//! What a run needs to know of a script besides what is loaded.

use crate::{
    lang::checked::{Checked, MissingProbes},
    spec::Type,
};
use serde::{Deserialize, Serialize};

/// What a run needs to know of a script besides what is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Attach points, wildcards expanded.
    pub points: usize,
    /// `perf_rb_pages`.
    pub ring_pages: Option<u32>,
    /// `print_maps_on_exit`.
    pub print_maps_on_exit: bool,
    /// `max_strlen`.
    pub max_strlen: u32,
    /// `max_cat_bytes`.
    pub max_cat_bytes: u32,
    /// `str_trunc_trailer`.
    pub str_trunc_trailer: String,
    /// `cpp_demangle`.
    pub cpp_demangle: bool,
    /// `lazy_symbolication`.
    pub lazy_symbolication: bool,
    /// It prints names of functions of processes.
    pub user_names: bool,
    /// It prints names of functions of the kernel.
    pub kernel_names: bool,
    /// `missing_probes`.
    #[serde(default)]
    pub missing_probes: MissingProbes,
}

impl Settings {
    /// Those of a checked script.
    pub fn new(checked: &Checked) -> Settings {
        let names = |user: bool| {
            checked.types.iter().any(|ty| match ty {
                Type::Stack { user: of, .. } | Type::Sym { user: of } => *of == user,
                _ => false,
            })
        };
        let config = &checked.config;
        Settings {
            points: checked.probes.iter().map(|probe| probe.points.len()).sum(),
            ring_pages: config.perf_rb_pages,
            print_maps_on_exit: config.print_maps_on_exit,
            max_strlen: config.max_strlen,
            max_cat_bytes: config.max_cat_bytes,
            str_trunc_trailer: config.str_trunc_trailer.clone(),
            cpp_demangle: config.cpp_demangle,
            lazy_symbolication: config.lazy_symbolication,
            user_names: names(true),
            kernel_names: names(false),
            missing_probes: config.missing_probes,
        }
    }
}
