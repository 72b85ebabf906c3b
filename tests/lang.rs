//! Scripts in `tests/lang`: the expanded tree of good ones, the diagnostics of faulty ones. `BLESS=1` rewrites.

use baretrace::lang::{self, diag};
use baretrace::spec::{Arch, ArgLoc, Binary, Features, Site, Target, UsdtArg, UsdtProbe};
use std::path::{Path, PathBuf};

/// A machine with one binary, which has one USDT probe of five arguments.
fn target() -> Target {
    let args = (0..5)
        .map(|_| UsdtArg {
            size: 8,
            signed: true,
            float: false,
            loc: ArgLoc::Reg { reg: 80 },
            text: "-8@%rax".to_string(),
        })
        .collect();
    let inbound = UsdtProbe {
        provider: "net".to_string(),
        name: "inbound_message".to_string(),
        sites: vec![Site {
            offset: 64,
            ref_ctr: 0,
            args,
        }],
        names: Vec::new(),
    };
    Target {
        arch: Arch::X86_64,
        features: Features::all(),
        cpus: 4,
        binaries: vec![Binary {
            written: "./build/bin/bitcoind".to_string(),
            shown: "./build/bin/bitcoind".to_string(),
            path: PathBuf::from("/build/bin/bitcoind"),
            build_id: None,
            usdt: vec![inbound],
            functions: Vec::new(),
        }],
        params: Vec::new(),
        named: Vec::new(),
        pid: None,
        cpid: None,
        config: Vec::new(),
        allow_unsafe: false,
        unwound: Vec::new(),
        helper_errors: false,
        debug: baretrace::spec::DebugInfo::default(),
        kernel: baretrace::spec::Kernel::default(),
    }
}

/// What a script prints as, or what is wrong with it.
fn outcome(name: &str, source: &str) -> (String, String) {
    let checked = lang::parse(source)
        .and_then(|script| lang::expand(script, &[]))
        .and_then(|script| {
            let text = lang::print(&script);
            lang::check(script, source, &target()).map(|(_, warnings)| (text, warnings))
        });
    match checked {
        Ok((text, warnings)) => (text, diag::render(&warnings, name, source, false)),
        Err(diags) => (String::new(), diag::render(&diags, name, source, false)),
    }
}

fn compare(file: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        if found.is_empty() {
            let _ = std::fs::remove_file(file);
        } else {
            std::fs::write(file, found).expect("golden can be written");
        }
        return;
    }
    let wanted = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(wanted, found, "{}", file.display());
}

#[test]
fn scripts_give_their_goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang");
    for name in ["talk", "macros", "faults", "syntax_faults"] {
        let script = folder.join(format!("{name}.bt"));
        let source = std::fs::read_to_string(&script).expect("script");
        let (out, err) = outcome(&format!("{name}.bt"), &source);
        compare(&script.with_extension("out"), &out);
        compare(&script.with_extension("err"), &err);
    }
}
