//! From a script's text to an object, on a machine that may lack the binaries that the script names.

use std::fmt;

use super::invent::{self, Shapes};
use crate::{
    bitcoin::schema,
    compile::{self, CompileError},
    lang::{self, Diagnostic, Wanted, checked::Config},
    session::binary::{self, BinaryError, Located},
    spec::{Arch, Binary, Features, Object, Target, UsdtProbe},
    usdt, wildcard,
};

/// A script and how it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Positional parameters.
    pub params: Vec<String>,
    /// Named parameters.
    pub named: Vec<(String, Option<String>)>,
    /// Settings from the environment.
    pub config: Vec<(String, String)>,
    /// `-p`: only events of this process fire.
    pub pid: Option<u32>,
    /// `--unsafe`.
    pub allow_unsafe: bool,
    /// `-k`.
    pub helper_errors: bool,
    /// CPUs of the simulated machine; 0 for four.
    pub cpus: u32,
    /// Make up binaries even where they are at hand.
    pub invent: bool,
}

/// A compiled script.
#[derive(Debug)]
pub struct Compiled {
    /// What it was compiled for.
    pub target: Target,
    /// Programs and maps.
    pub object: Object,
    /// Its settings.
    pub config: Config,
    /// Attach points, wildcards expanded.
    pub points: usize,
    /// Said, and gone on.
    pub warnings: Vec<Diagnostic>,
}

/// Why a script cannot be simulated.
#[derive(Debug)]
pub enum ScriptError {
    /// What is wrong with the script.
    Script(Vec<Diagnostic>),
    /// A binary is there but cannot be read.
    Binary(BinaryError),
    /// The checked script does not compile.
    Compile(CompileError),
}

impl Script {
    /// A machine that has everything, without binaries, for this script.
    pub(crate) fn target(&self, arch: Arch, cpus: u32) -> Target {
        Target {
            arch,
            features: Features::all(),
            cpus,
            binaries: Vec::new(),
            params: self.params.clone(),
            named: self.named.clone(),
            pid: self.pid,
            unwound: Vec::new(),
            cpid: None,
            config: self.config.clone(),
            allow_unsafe: self.allow_unsafe,
            helper_errors: self.helper_errors,
            debug: crate::spec::DebugInfo::default(),
            kernel: crate::spec::Kernel::default(),
        }
    }

    /// What is wrong with it, with its lines.
    pub(crate) fn render(&self, diagnostics: &[Diagnostic], color: bool) -> String {
        lang::diag::render(diagnostics, &self.name, &self.text, color)
    }
}

/// What went wrong when a script was compiled, as a diagnostic.
pub(crate) fn diagnostic(err: &CompileError) -> Diagnostic {
    let help = err.help().map(str::to_owned);
    Diagnostic::error(err.span().unwrap_or_default(), err.to_string()).maybe_help(help)
}

impl ScriptError {
    /// As text, with the lines of the script.
    pub fn render(&self, script: &Script, color: bool) -> String {
        let diagnostics = match self {
            ScriptError::Script(diagnostics) => diagnostics,
            ScriptError::Binary(_) => return self.to_string(),
            ScriptError::Compile(err) => &vec![diagnostic(err)],
        };
        script.render(diagnostics, color)
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptError::Script(diagnostics) => {
                let first = diagnostics.iter().find(|d| d.is_error());
                f.write_str(first.map_or("the script is wrong", |d| d.message.as_str()))
            }
            ScriptError::Binary(err) => err.fmt(f),
            ScriptError::Compile(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for ScriptError {}

/// Compiles a script for a machine that has everything. Binaries that are not there are made up, so that the script's
/// probes and those that `shapes` knows from events are in them.
///
/// # Errors
/// What is wrong with the script, or with a binary that is there.
pub fn compile(script: &Script, shapes: &Shapes) -> Result<Compiled, ScriptError> {
    let tree = lang::parse(&script.text).map_err(ScriptError::Script)?;
    if let Some(refusal) = lang::points::refuse_kernel(&tree, "simulated") {
        return Err(ScriptError::Script(vec![refusal]));
    }
    let arch = if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let cpus = if script.cpus == 0 { 4 } else { script.cpus };
    let mut target = script.target(arch, cpus);
    let wanted = lang::wanted(&tree, &script.params);
    for want in &wanted {
        if target.binaries.iter().any(|b| b.written == want.path()) {
            continue;
        }
        let same: Vec<&Wanted> = wanted.iter().filter(|w| w.path() == want.path()).collect();
        let real = match script.invent {
            true => Vec::new(),
            false => real(want.path(), &same).map_err(ScriptError::Binary)?,
        };
        if real.is_empty() {
            let made = invent::binary(arch, want.path(), &same, shapes);
            target.binaries.push(made);
        } else {
            target.binaries.extend(real);
        }
    }
    let (checked, warnings) =
        lang::check(tree, &script.text, &target).map_err(ScriptError::Script)?;
    let object = compile::object(&checked, &target, &script.name, &script.text)
        .map_err(ScriptError::Compile)?;
    Ok(Compiled {
        points: checked.probes.iter().map(|probe| probe.points.len()).sum(),
        config: checked.config,
        target,
        object,
        warnings,
    })
}

/// What the files of that path have of what is wanted; nothing if there is no such file.
fn real(path: &str, wants: &[&Wanted]) -> Result<Vec<Binary>, BinaryError> {
    let Ok(files) = binary::locate(path, None) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.open.is_file()) {
        match look(path, file, wants) {
            Ok(binary) => found.push(binary),
            // Of many files, those that cannot be read have no probes.
            Err(_) if files.len() > 1 => {}
            Err(err) => return Err(err),
        }
    }
    Ok(found)
}

fn look(written: &str, file: &Located, wants: &[&Wanted]) -> Result<Binary, BinaryError> {
    let bytes = binary::open(file)?;
    let image = binary::notes(file, &bytes)?;
    let mut found = Binary {
        written: written.to_owned(),
        shown: written.to_owned(),
        path: file.open.clone(),
        build_id: image.elf().build_id().map(<[u8]>::to_vec),
        usdt: Vec::new(),
        functions: Vec::new(),
    };
    for want in wants {
        match want {
            Wanted::Usdt { provider, name, .. } => {
                let provider = provider.as_deref().unwrap_or("*");
                let wanted =
                    |p: &str, n: &str| wildcard::matches(provider, p) && wildcard::matches(name, n);
                let probes = image
                    .probes(wanted)
                    .map_err(|err: usdt::Error| BinaryError::Notes(file.name.clone(), err))?;
                let fresh = |probe: &UsdtProbe| {
                    !found
                        .usdt
                        .iter()
                        .any(|old| (&old.provider, &old.name) == (&probe.provider, &probe.name))
                };
                let mut probes: Vec<_> = probes.into_iter().filter(fresh).collect();
                probes.iter_mut().for_each(schema::name);
                found.usdt.extend(probes);
            }
            Wanted::Uprobe {
                function, offset, ..
            } if function.is_empty() => {
                found.functions.push((offset.to_string(), *offset, 0));
            }
            Wanted::Uprobe { function, .. } => {
                let functions = image
                    .elf()
                    .functions(|name| wildcard::matches(function, name));
                for function in functions {
                    let row = (function.name.to_string(), function.offset, function.size);
                    if !found.functions.contains(&row) {
                        found.functions.push(row);
                    }
                }
            }
        }
    }
    Ok(found)
}
