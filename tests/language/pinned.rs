//! Scripts that the verifier once walked for too long: it must come to an end soon.

use crate::load::compile;
use baretrace::{
    kernel::{detect, features},
    loader::{self, LoadOptions},
    sys::bpf::program_info,
};
use std::{fs, os::fd::AsFd, path::Path};

/// Instructions that the verifier may walk; its limit is 1,000,000.
const WALKED: u32 = 100_000;

#[test]
fn loops_end_soon_for_the_verifier() {
    if !detect::missing_rights(true).is_empty() {
        eprintln!("skipped: this process may not load");
        return;
    }
    let here = features::probe().expect("probe the kernel");
    if !here.may_goto || !here.for_each_map_elem {
        eprintln!("skipped: the kernel has no may_goto");
        return;
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language/loops");
    let mut seen = 0;
    for entry in fs::read_dir(dir).expect("the scripts") {
        let path = entry.expect("a script").path();
        let text = fs::read_to_string(&path).expect("a script");
        let object = compile(&text, here.clone()).expect("a valid script");
        let loaded = loader::load(&object, &LoadOptions::default())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for program in &loaded.programs {
            let walked = program_info(program.as_fd()).expect("facts").verified_insns;
            assert!(walked <= WALKED, "{}: {walked} walked", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 7, "only {seen} scripts");
}
