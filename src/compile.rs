//! The compiler as one function: checked script and target in, everything to load out. No files, no clock, no kernel.

use crate::{
    asm::Insn,
    check, codegen, ir,
    lang::checked::Checked,
    lower::{self, LowerError, Lowered, LoweredProgram},
    span::Span,
    spec::{Object, ProgramSpec, Target},
};
use std::{collections::BTreeSet, fmt};

/// Why a checked script does not compile.
#[derive(Clone, Debug, PartialEq)]
pub enum CompileError {
    /// A construct that is not supported.
    Lower(LowerError),
    /// A program that does not fit the machine.
    Codegen {
        /// Name of the attach point.
        probe: String,
        /// What the code generator said.
        error: codegen::CodegenError,
    },
    /// Loops that a kernel without `may_goto` would walk for too long.
    Loops {
        /// Name of the attach point.
        probe: String,
        /// Where the walk was given up.
        span: Option<Span>,
    },
}

impl CompileError {
    /// The place in the script, where there is one.
    pub fn span(&self) -> Option<Span> {
        match self {
            CompileError::Lower(e) => Some(e.span),
            CompileError::Codegen { .. } => None,
            CompileError::Loops { span, .. } => *span,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            CompileError::Lower(e) => e.help.as_deref(),
            CompileError::Codegen { .. } => None,
            CompileError::Loops { .. } => {
                Some("make the loops shorter, or run on a kernel with may_goto (6.9)")
            }
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::Lower(e) => e.fmt(f),
            CompileError::Codegen { probe, error } => write!(f, "compile `{probe}`: {error}"),
            CompileError::Loops { probe, .. } => write!(
                f,
                "the loops of `{probe}` have more turns and branches than a kernel without may_goto can be shown to end"
            ),
        }
    }
}

impl CompileError {
    /// Whether a program wants more stack than there is.
    fn is_stack(&self) -> bool {
        matches!(
            self,
            CompileError::Codegen {
                error: codegen::CodegenError::Stack { .. },
                ..
            }
        )
    }
}

impl std::error::Error for CompileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CompileError::Lower(e) => Some(e),
            CompileError::Codegen { error, .. } => Some(error),
            CompileError::Loops { .. } => None,
        }
    }
}

/// License given at load: helpers that read memory of the traced process are for GPL programs.
const LICENSE: &str = "Dual MIT/GPL";

/// Compiles a checked script.
///
/// # Errors
/// The first construct or program that cannot be compiled.
pub fn object(
    checked: &Checked,
    target: &Target,
    script_name: &str,
    source: &str,
) -> Result<Object, CompileError> {
    compiled(checked, target, script_name, source).map(|(_, object)| object)
}

/// A checked script as the three-address code that it is compiled from.
///
/// # Errors
/// As of [`object`].
pub(crate) fn lowered(
    checked: &Checked,
    target: &Target,
    script_name: &str,
    source: &str,
) -> Result<Lowered, CompileError> {
    compiled(checked, target, script_name, source).map(|(lowered, _)| lowered)
}

/// Compiles; programs that turn out too large for the stack, or to be walked for too long, are settled and compiled
/// again.
fn compiled(
    checked: &Checked,
    target: &Target,
    script_name: &str,
    source: &str,
) -> Result<(Lowered, Object), CompileError> {
    let text = lower::Text {
        name: script_name,
        source,
    };
    let options = codegen::Options::new(&target.features);
    let mut settled = BTreeSet::new();
    loop {
        let lowered = lower::lower(checked, target, text, &settled).map_err(CompileError::Lower)?;
        let object = match generated(lowered.clone(), checked, &options, script_name, source) {
            Ok(object) => object,
            Err(Stopped { program, error }) => {
                if error.is_stack() && settled.insert(program) {
                    continue;
                }
                return Err(error);
            }
        };
        let before = settled.len();
        settled.extend(long(&object));
        if settled.len() == before {
            return Ok((lowered, object));
        }
    }
}

/// A program that does not compile.
#[derive(Debug)]
struct Stopped {
    /// Its index.
    program: usize,
    error: CompileError,
}

impl From<Stopped> for CompileError {
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

/// Programs with fewer instructions are not followed before they are loaded.
const LONG: usize = 400;

/// What takes longer to follow is settled.
const FOLLOWED: usize = 50_000;

/// The programs that take the verifier too long, in our own checker's eyes.
fn long(object: &Object) -> Vec<usize> {
    let undecided = |spec: &ProgramSpec| {
        let mut env = check::env(object, spec);
        env.limit = FOLLOWED;
        spec.insns.len() >= LONG
            && check::program(&spec.insns, &env).is_err_and(|error| error.what.is_undecided())
    };
    let programs = object.programs.iter().enumerate();
    programs
        .filter(|(_, spec)| undecided(spec))
        .map(|(index, _)| index)
        .collect()
}

/// Compiles a checked script with its programs as `change` leaves them when the passes have run; and what `change` says. What
/// then does not fit the stack is made again without keeping values for later, and after that settled.
pub(crate) fn changed<T>(
    checked: &Checked,
    target: &Target,
    script_name: &str,
    source: &str,
    change: impl Fn(&mut Lowered) -> T,
) -> Result<(Object, T), CompileError> {
    let options = codegen::Options {
        // The passes ran before.
        optimize: false,
        ..codegen::Options::new(&target.features)
    };
    let with = |lowered: &Lowered, without: &[&str]| {
        let mut lowered = lowered.clone();
        for program in &mut lowered.programs {
            ir::pass::run(&mut program.ir, without, &mut |_, _| {});
        }
        let said = change(&mut lowered);
        let object = generated(lowered, checked, &options, script_name, source)?;
        Ok((object, said))
    };
    let lowered = lowered(checked, target, script_name, source)?;
    let mut done = with(&lowered, &[]);
    if done.as_ref().is_err_and(CompileError::is_stack) {
        done = with(&lowered, ir::pass::KEEPING);
    }
    if done.as_ref().is_err_and(CompileError::is_stack) {
        let text = lower::Text {
            name: script_name,
            source,
        };
        let all = (0..lowered.programs.len()).collect();
        let settled = lower::lower(checked, target, text, &all).map_err(CompileError::Lower)?;
        done = with(&settled, ir::pass::KEEPING);
    }
    done
}

/// The object of lowered programs.
fn generated(
    lowered: Lowered,
    checked: &Checked,
    options: &codegen::Options,
    script_name: &str,
    source: &str,
) -> Result<Object, Stopped> {
    let mut programs = Vec::with_capacity(lowered.programs.len());
    for (index, program) in lowered.programs.into_iter().enumerate() {
        let program = generate(program, options).map_err(|error| Stopped {
            program: index,
            error,
        })?;
        programs.push(program);
    }
    let license = match checked.config.license.as_str() {
        "" => LICENSE,
        named => named,
    };
    let object = Object {
        script_name: script_name.to_owned(),
        source: source.to_owned(),
        license: license.to_owned(),
        maps: lowered.maps,
        programs,
        events: lowered.events,
    };
    if !options.features.may_goto {
        walkable(&object)?;
    }
    Ok(object)
}

/// Instructions that the loops of a program may take the verifier without `may_goto`; its own limit is 1,000,000, but
/// older kernels find fewer states alike.
const LOOPS_WALKED: usize = 200_000;

/// Without `may_goto` the verifier walks every turn of every loop: what may be too much for it is refused here.
fn walkable(object: &Object) -> Result<(), Stopped> {
    for (program, spec) in object.programs.iter().enumerate() {
        let turns_back = |insn: &Insn| match insn {
            Insn::Ja { off } | Insn::Jmp { off, .. } => *off < 0,
            Insn::Jal { imm } => *imm < 0,
            _ => false,
        };
        if !spec.insns.iter().any(turns_back) {
            continue;
        }
        let mut env = check::env(object, spec);
        env.limit = LOOPS_WALKED;
        if let Err(error) = check::program(&spec.insns, &env)
            && matches!(
                error.what,
                check::What::TooComplex | check::What::TooManyBranches
            )
        {
            let span = spec.origins.get(error.insn).copied().flatten();
            let probe = spec.probe.clone();
            return Err(Stopped {
                program,
                error: CompileError::Loops { probe, span },
            });
        }
    }
    Ok(())
}

fn generate(
    program: LoweredProgram,
    options: &codegen::Options,
) -> Result<ProgramSpec, CompileError> {
    let code = codegen::compile(&program.ir, options).map_err(|error| CompileError::Codegen {
        probe: program.probe.clone(),
        error,
    })?;
    Ok(ProgramSpec {
        name: kernel_name(&program.probe),
        probe: program.probe,
        kind: program.kind,
        insns: code.insns,
        origins: code.origins,
        sleepable: false,
        attach: program.attach,
    })
}

/// The last part of an attach point as a name that the kernel takes: 15 bytes of letters, digits, `_` and `.`.
fn kernel_name(probe: &str) -> String {
    let last = probe
        .rsplit(':')
        .find(|part| !part.is_empty())
        .unwrap_or(probe);
    let clean = last.chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            c
        } else {
            '_'
        }
    });
    clean.take(15).collect()
}

#[cfg(test)]
mod tests {
    use super::kernel_name;

    #[test]
    fn names_fit_the_kernel() {
        let cases = [
            (
                "usdt:./build/bin/bitcoind:net:inbound_message",
                "inbound_message",
            ),
            ("interval:s:1", "1"),
            ("begin", "begin"),
            ("uprobe:/bin/x:operator<<", "operator__"),
        ];
        for (probe, want) in cases {
            assert_eq!(kernel_name(probe), want, "{probe}");
        }
    }
}
