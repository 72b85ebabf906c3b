//! What compiles is never refused: random scripts through the dry run, the checker and the kernel's verifier.

use crate::generate;
use baretrace::{
    check, compile,
    kernel::{detect, features},
    lang,
    loader::{self, LoadError, LoadOptions},
    spec::{Arch, Features, Object, Target},
    sys::bpf::program_info,
    vm,
};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Scripts, unless the environment names another number.
const SCRIPTS: u64 = 200;

fn target(features: Features) -> Target {
    Target {
        arch: if cfg!(target_arch = "x86_64") {
            Arch::X86_64
        } else {
            Arch::Aarch64
        },
        cpus: 2,
        binaries: Vec::new(),
        params: Vec::new(),
        named: Default::default(),
        pid: None,
        cpid: None,
        config: Default::default(),
        allow_unsafe: false,
        unwound: Vec::new(),
        helper_errors: false,
        debug: baretrace::spec::DebugInfo::default(),
        kernel: baretrace::spec::Kernel::default(),
        features,
    }
}

pub(crate) fn compile(text: &str, features: Features) -> Result<Object, String> {
    let target = target(features);
    let script = lang::parse(text).map_err(|e| format!("{e:?}"))?;
    let (checked, _) = lang::check(script, text, &target).map_err(|all| {
        let all = all
            .iter()
            .map(|d| format!("`{}`: {}", d.span.text(text), d.message));
        all.collect::<Vec<_>>().join("; ")
    })?;
    compile::object(&checked, &target, "random.bt", text).map_err(|e| {
        let place = e.span().map_or("", |span| span.text(text));
        format!("{e}: `{place}`")
    })
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

#[test]
fn no_random_script_is_refused() {
    let root = detect::missing_rights(true).is_empty();
    if !root {
        eprintln!("not loaded: this process may not");
    }
    let here = if root {
        features::probe().expect("probe the kernel")
    } else {
        Features::all()
    };
    let first = number("BARETRACE_SEED", 1);
    let depth = u32::try_from(number("BARETRACE_DEPTH", 2)).expect("a small number");
    let verbose = std::env::var_os("BARETRACE_VERBOSE").is_some();
    let (mut most, mut long, mut wrong) = ((0, 0), 0, 0);
    let mut refused = Vec::new();
    let (mut programs, mut undecided, mut slowest) = (0, 0, (Duration::ZERO, 0, 0));
    for seed in first..first + number("BARETRACE_SCRIPTS", SCRIPTS) {
        let old = seed % 4 == 0;
        let features = if old { Features::floor() } else { here.clone() };
        let text = generate::script(seed, features.for_each_map_elem, depth);
        if let Some(dir) = std::env::var_os("BARETRACE_KEEP") {
            let path = std::path::Path::new(&dir).join(format!("{seed}.bt"));
            std::fs::write(&path, &text).expect("write the script");
        }
        let object = match compile(&text, features) {
            Ok(object) => object,
            // What needs a newer kernel is refused by name: long loops, searches, the length of a map.
            Err(e)
                if old && (e.contains("without may_goto") || e.contains("needs a kernel with")) =>
            {
                long += 1;
                continue;
            }
            // What is known to be wrong when the script is compiled is said there.
            Err(e) if e.contains("division by zero") || e.contains("is outside of the") => {
                wrong += 1;
                continue;
            }
            Err(e) => {
                refused.push(format!("seed {seed}: {e}"));
                continue;
            }
        };
        if let Err(e @ vm::DryRunError::Fault { .. }) = vm::dry_run(&object) {
            refused.push(format!("seed {seed}: {e}"));
            continue;
        }
        for spec in &object.programs {
            let mut env = check::env(&object, spec);
            env.limit = 50_000;
            let start = Instant::now();
            let verdict = check::program(&spec.insns, &env);
            slowest = slowest.max((start.elapsed(), spec.insns.len(), seed));
            programs += 1;
            match verdict {
                Ok(_) => {}
                Err(e) if e.what.is_undecided() => undecided += 1,
                Err(e) => refused.push(format!("seed {seed}: {}: {e}", spec.probe)),
            }
        }
        if !root {
            continue;
        }
        let begun = Instant::now();
        let loaded = loader::load(&object, &LoadOptions::default());
        let took = begun.elapsed();
        if let Ok(loaded) = &loaded {
            let walked = loaded
                .programs
                .iter()
                .map(|fd| program_info(fd.as_fd()).map_or(0, |info| info.verified_insns));
            let walked = walked.max().unwrap_or(0);
            most = most.max((walked, seed));
            if verbose {
                let insns = object.programs.iter().map(|p| p.insns.len()).max();
                println!(
                    "seed {seed}: {} instructions, the verifier walked {walked} in {took:?}",
                    insns.unwrap_or(0)
                );
            }
        }
        if let Err(e) = loaded {
            if verbose {
                println!("seed {seed}: refused after {took:?}: {e}");
            }
            let detail = match &e {
                LoadError::Rejected(r) => {
                    if let Some(dir) = std::env::var_os("BARETRACE_KEEP") {
                        let path = std::path::Path::new(&dir).join(format!("{seed}.log"));
                        std::fs::write(&path, &r.log).expect("write the log");
                    }
                    format!("{r:?}")
                }
                _ => String::new(),
            };
            let end = detail.len().saturating_sub(1200);
            refused.push(format!(
                "seed {seed}: {e} {}",
                detail.get(end..).unwrap_or("")
            ));
        }
    }
    let (time, insns, seed) = slowest;
    println!(
        "{programs} programs checked, {undecided} of them left to the kernel; the longest took {time:?} \
         ({insns} instructions, seed {seed})"
    );
    println!(
        "the verifier walked {} instructions at most (seed {})",
        most.0, most.1
    );
    if let (Some(_), Some(seed)) = (refused.first(), std::env::var_os("BARETRACE_SEED")) {
        println!("{}", generate::script(first, true, depth));
        println!("seed {}", seed.display());
    }
    println!("{long} refused by name for want of a newer kernel, {wrong} are wrong");
    let scripts = number("BARETRACE_SCRIPTS", SCRIPTS);
    assert!(
        long * 8 <= scripts,
        "{long} of {scripts} refused for want of a newer kernel"
    );
    assert!(wrong * 20 <= scripts, "{wrong} of {scripts} are wrong");
    assert!(
        refused.is_empty(),
        "{} refused\n{}",
        refused.len(),
        refused.join("\n")
    );
}
