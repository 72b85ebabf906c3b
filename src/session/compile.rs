//! From a run's options to an object: parse, look up, check, compile, dry run.

use super::{
    Attach, Buffering, Format, Mode, Options, Settings,
    error::{Placed, SessionError},
    headers, imports,
    target::Lookup,
};
use super::{color, debug, kernel};
use crate::{
    check, compile,
    kernel::{cpus, detect, features},
    lang::{
        self, Diagnostic,
        ast::Script,
        checked::{Checked, Point},
        diag,
    },
    record,
    runtime::{self, Form, Output, OutputOptions, Player, attach::AttachMode},
    span::Span,
    spec::{Arch, Binary, DebugInfo, Features, Object, Target},
    symbols::Symbolizer,
    vm,
};
use std::io::Write;

/// A script on its way, and what it is compiled for.
pub struct Session<'a> {
    options: &'a Options,
    script: Script,
    target: Target,
    /// User probes are attached by `uprobe_multi` links.
    pub multi: bool,
}

/// A compiled script with what the run needs of its settings.
#[derive(Debug)]
pub struct Compiled {
    /// What is loaded.
    pub object: Object,
    /// The checked script; `None` where no script was compiled.
    pub checked: Option<Checked>,
    /// Said, and gone on.
    pub warnings: Vec<Diagnostic>,
    /// What else a run needs to know.
    pub settings: Settings,
}

/// What a recording says of the programs, and the map that counts hits that were not sent.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) points: Vec<record::Point>,
    pub(super) lost: usize,
    pub(super) binaries: Vec<Binary>,
    pub(super) debug: DebugInfo,
    pub(super) cpus: u32,
    pub(super) arch: Arch,
}

impl<'a> Session<'a> {
    /// For the running kernel, which this process must be allowed to trace.
    ///
    /// # Errors
    /// Missing rights; errors of the script's syntax and of the binaries that it names.
    pub fn for_kernel(options: &'a Options, child: Option<u32>) -> Result<Self, SessionError> {
        let script = parse(options)?;
        check_named(&script, options)?;
        let (features, multi) = attach_multi(options)?;
        let features = Features {
            uprobe_multi: multi,
            ..features
        };
        Session::new(options, script, features, child)
    }

    /// For a kernel that has everything, without asking the running one: the same bytes on any machine.
    ///
    /// # Errors
    /// Errors of the script's syntax and of the binaries that it names.
    pub fn for_any(options: &'a Options) -> Result<Self, SessionError> {
        let features = Features::all().without(&options.without);
        let script = parse(options)?;
        check_named(&script, options)?;
        Session::new(options, script, features, None)
    }

    fn new(
        options: &'a Options,
        script: Script,
        features: Features,
        child: Option<u32>,
    ) -> Result<Self, SessionError> {
        let wrong = lang::wrong_settings(&options.config);
        if options.as_bpftrace
            && let Some(first) = wrong.first()
        {
            return Err(SessionError::Setup(first.clone()));
        }
        let lookup = Lookup {
            script: &script,
            name: &options.script.name,
            source: &options.script.text,
            as_bpftrace: options.as_bpftrace,
            params: &options.params,
            pid: options.pid.or(child),
            force: options.allow_unsafe,
            lenient: lenient(&script, options),
        };
        let binaries = lookup.binaries()?;
        let debug = debug::read(&script, &binaries, arch())?;
        let kernel = kernel::read(&script, &options.params, options.traceable.as_deref())?;
        let target = Target {
            arch: arch(),
            cpus: cpus::possible_count().map_err(|err| SessionError::Io("count cpus", err))?,
            binaries,
            params: options.params.clone(),
            named: options.named.clone(),
            pid: options.pid,
            unwound: options.dwarf_pids.clone(),
            cpid: child,
            config: options.config.clone(),
            allow_unsafe: options.allow_unsafe,
            helper_errors: options.helper_errors,
            debug,
            kernel,
            features,
        };
        let multi = target.features.uprobe_multi;
        Ok(Session {
            options,
            script,
            target,
            multi,
        })
    }

    /// The parsed script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// What it is compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Checks and compiles.
    ///
    /// # Errors
    /// Errors of the script.
    pub fn compile(&self) -> Result<Compiled, SessionError> {
        let Options { script: text, .. } = self.options;
        let (mut checked, warnings) = lang::check(self.script.clone(), &text.text, &self.target)
            .map_err(|diagnostics| self.wrong(&diagnostics))?;
        self.filter(&mut checked)?;
        let object = compile::object(&checked, &self.target, &text.name, &text.text)
            .map_err(|err| self.compile_error(err))?;
        Ok(Compiled {
            object,
            warnings,
            settings: Settings::new(&checked),
            checked: Some(checked),
        })
    }

    /// Errors of the script; those of its C definitions are Clang's for who calls this bpftrace.
    fn wrong(&self, diagnostics: &[Diagnostic]) -> SessionError {
        let definitions: Vec<Span> = self.script.defs.iter().map(lang::ast::CDef::span).collect();
        let text = &self.options.script.text;
        match lang::diag::bpftrace::clang(diagnostics, &definitions, text) {
            Some(said) if self.options.as_bpftrace => SessionError::Setup(said),
            _ => script_error(diagnostics, self.options),
        }
    }

    /// Checks and compiles, so that the programs keep what they learn.
    ///
    /// # Errors
    /// Errors of the script.
    pub(super) fn compile_tapped(&self, mute: bool) -> Result<(Compiled, Kept), SessionError> {
        let Options { script: text, .. } = self.options;
        let (mut checked, warnings) = lang::check(self.script.clone(), &text.text, &self.target)
            .map_err(|diagnostics| self.wrong(&diagnostics))?;
        self.filter(&mut checked)?;
        let tapped = record::object(&checked, &self.target, &text.name, &text.text, mute)
            .map_err(|err| self.compile_error(err))?;
        let kept = Kept {
            points: tapped.points,
            lost: tapped.lost,
            binaries: self.target.binaries.clone(),
            debug: self.target.debug.clone(),
            cpus: self.target.cpus,
            arch: self.target.arch,
        };
        let compiled = Compiled {
            object: tapped.object,
            warnings,
            settings: Settings::new(&checked),
            checked: Some(checked),
        };
        Ok((compiled, kept))
    }

    fn compile_error(&self, err: compile::CompileError) -> SessionError {
        let (span, script) = (err.span(), &self.options.script);
        SessionError::Compile(Placed::new(err, span, &script.name, &script.text))
    }

    /// # Errors
    /// The script has a probe of the kernel, which cannot be `done`.
    pub(super) fn no_kernel_probes(&self, done: &str) -> Result<(), SessionError> {
        match lang::points::refuse_kernel(&self.script, done) {
            Some(refusal) => Err(script_error(&[refusal], self.options)),
            None => Ok(()),
        }
    }

    /// Leaves out the probes that `--probe-filter` does not match.
    fn filter(&self, checked: &mut Checked) -> Result<(), SessionError> {
        let mode = self.options.mode;
        let mut other = None;
        for probe in &mut checked.probes {
            if let (Some(Point::Manual(_, bench)), Mode::Trace) =
                (probe.points.first().map(|point| &point.point), mode)
            {
                other = Some(if *bench { "bench" } else { "test" });
            }
            probe.points.retain(|point| match point.point {
                Point::Begin | Point::End => true,
                Point::Manual(_, bench) => mode == if bench { Mode::Bench } else { Mode::Test },
                _ => mode == Mode::Trace,
            });
        }
        checked.probes.retain(|probe| !probe.points.is_empty());
        if checked.probes.is_empty() {
            return Err(SessionError::NoProbes(other));
        }
        let Some(pattern) = &self.options.probe_filter else {
            return Ok(());
        };
        let regex = regex_lite::Regex::new(pattern).map_err(|err| SessionError::Filter {
            pattern: pattern.clone(),
            why: err.to_string(),
        })?;
        let always = |point: &Point| matches!(point, Point::Begin | Point::End);
        for probe in &mut checked.probes {
            probe
                .points
                .retain(|point| always(&point.point) || regex.is_match(&point.name));
        }
        checked.probes.retain(|probe| !probe.points.is_empty());
        match checked.probes.is_empty() {
            true => Err(SessionError::NoProbes(None)),
            false => Ok(()),
        }
    }
}

impl Compiled {
    /// Runs every program in user space, then checks it by the rules of the kernel's verifier. What cannot be modelled
    /// there is no verdict.
    ///
    /// # Errors
    /// A program that goes wrong, or that the kernel would refuse.
    pub fn dry_run(&self) -> Result<(), SessionError> {
        match vm::dry_run(&self.object) {
            Ok(()) | Err(vm::DryRunError::Unsupported(_)) => self.check(),
            Err(err) => {
                let span = match &err {
                    vm::DryRunError::Fault { program, fault, .. } => {
                        self.origin(*program, fault.insn)
                    }
                    vm::DryRunError::Unsupported(_) => None,
                };
                Err(SessionError::DryRun(Box::new(self.placed(err, span))))
            }
        }
    }

    /// Follows every path of every program as the kernel's verifier will.
    fn check(&self) -> Result<(), SessionError> {
        let Err((index, error)) = check::before_load(&self.object) else {
            return Ok(());
        };
        let probe = self.object.programs.get(index);
        let span = self.origin(index, error.insn);
        Err(SessionError::Check {
            probe: probe.map(|spec| spec.probe.clone()).unwrap_or_default(),
            error: Box::new(self.placed(error, span)),
        })
    }

    /// The script text that an instruction comes from.
    fn origin(&self, program: usize, insn: usize) -> Option<Span> {
        let program = self.object.programs.get(program)?;
        program.origins.get(insn).copied().flatten()
    }

    fn placed<E>(&self, error: E, span: Option<Span>) -> Placed<E> {
        Placed::new(error, span, &self.object.script_name, &self.object.source)
    }

    /// Prints the warnings on stderr.
    pub fn print_warnings(&self, options: &Options) {
        if !options.no_warnings && !self.warnings.is_empty() {
            let text = render(&self.warnings, options);
            // Whoever closed stderr does not want to know.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }

    /// The player of its records, to where the options say.
    ///
    /// # Errors
    /// The output file cannot be made; a format does not fit its arguments.
    pub fn player(&self, options: &Options) -> Result<Player, SessionError> {
        let buffering = match options.buffering {
            Buffering::None => runtime::Buffering::None,
            Buffering::Line => runtime::Buffering::Line,
            Buffering::Full => runtime::Buffering::Full,
        };
        let config = &self.settings;
        let output = OutputOptions {
            form: match options.format {
                Format::Text => Form::Text,
                Format::Json => Form::Json,
            },
            buffering,
            trailer: config.str_trunc_trailer.clone(),
            max_strlen: config.max_strlen,
            max_cat_bytes: u64::from(config.max_cat_bytes),
            allow_unsafe: options.allow_unsafe,
            warnings: !options.no_warnings,
        };
        let sink = match &options.output {
            Some(path) => Output::file(path, buffering)
                .map_err(|err| SessionError::OutputFile(path.clone(), err))?,
            None => Output::stdout(buffering),
        };
        let errors = Box::new(std::io::stderr());
        let mut player = Player::with_output(&self.object, output, sink, errors)?;
        let mut symbolizer = Symbolizer::new(config.cpp_demangle);
        if let Some(pid) = options.pid
            && !config.lazy_symbolication
            && super::privileges::names(self, true)
        {
            // Its addresses have names also when it has ended.
            symbolizer.preload(pid);
        }
        player.set_symbols(Box::new(symbolizer));
        Ok(player)
    }
}

/// The named parameters that the script asks for.
///
/// # Errors
/// Errors of the script's syntax; imports that cannot be read.
pub fn named(options: &Options) -> Result<Vec<lang::Named>, SessionError> {
    parse(options).map(|script| lang::named(&script))
}

/// Refuses named parameters that the script does not ask for.
fn check_named(script: &Script, options: &Options) -> Result<(), SessionError> {
    let known = lang::named(script);
    let unknown: Vec<String> = options
        .named
        .iter()
        .filter(|(name, _)| known.iter().all(|row| row.name != *name))
        .map(|(name, _)| format!("--{name}"))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = known.iter().map(|row| format!("--{}", row.name)).collect();
    Err(SessionError::Options {
        unknown: unknown.join(", "),
        known: names,
    })
}

fn parse(options: &Options) -> Result<Script, SessionError> {
    let failed = |diagnostics: Vec<Diagnostic>| script_error(&diagnostics, options);
    let headers = headers::read(options).map_err(|name| match options.as_bpftrace {
        true => SessionError::Setup(format!(
            "definitions.h:2:10: fatal error: '{name}' file not found\nClang parse error"
        )),
        false => failed(vec![
            Diagnostic::error(
                include_line(options, &name),
                format!("C header `{name}` is not there"),
            )
            .help("say with -I in which directory it is"),
        ]),
    })?;
    let mut script = lang::parse_with(&options.script.text, headers).map_err(failed)?;
    let texts = imports::read(&script, options)?;
    lang::import(&mut script, &texts).map_err(failed)?;
    Ok(script)
}

/// Whether the script's probes are all in the kernel, or run by this process: none needs the command's program.
pub(super) fn only_kernel(options: &Options) -> bool {
    use lang::points::{Kind, all, first_of_kernel, provider};
    let Ok(script) = parse(options) else {
        return false;
    };
    let of_program = |kind: Kind| matches!(kind, Kind::User | Kind::Watch);
    first_of_kernel(&script).is_some()
        && !all(&script)
            .any(|point| provider(&point.provider).is_some_and(|row| of_program(row.kind)))
}

/// Where a header's name stands in the script.
fn include_line(options: &Options, name: &str) -> Span {
    match options.script.text.find(name).map(u32::try_from) {
        Some(Ok(at)) => Span::new(at, at + u32::try_from(name.len()).unwrap_or(0)),
        _ => Span::default(),
    }
}

fn script_error(diagnostics: &[Diagnostic], options: &Options) -> SessionError {
    SessionError::Script(
        render(diagnostics, options)
            .trim_end_matches('\n')
            .to_string(),
    )
}

fn render(diagnostics: &[Diagnostic], options: &Options) -> String {
    let color = color::wanted();
    let show = if options.as_bpftrace {
        diag::bpftrace::render
    } else {
        diag::render
    };
    show(
        diagnostics,
        &options.script.name,
        &options.script.text,
        color,
    )
}

/// The kernel's features, and whether user probes are attached by `uprobe_multi` links.
///
/// # Errors
/// Missing rights; links asked for that the kernel does not have.
pub(super) fn attach_multi(options: &Options) -> Result<(Features, bool), SessionError> {
    let missing = detect::missing_rights(options.attach == Attach::Perf);
    if !missing.is_empty() {
        return Err(SessionError::Rights(missing));
    }
    let features = features::probe().map_err(SessionError::Features)?;
    let features = features.without(&options.without);
    let multi = AttachMode::from(options.attach)
        .multi(&features)
        .map_err(|error| SessionError::Attach {
            probe: "user probes".to_string(),
            error,
        })?;
    Ok((features, multi))
}

/// Whether `missing_probes` says that a probe which is not there is no error.
fn lenient(script: &Script, options: &Options) -> bool {
    let of_env = options
        .config
        .iter()
        .rev()
        .find(|(name, _)| name == "missing_probes");
    let of_script = script
        .config
        .iter()
        .rev()
        .find(|(name, ..)| name.text == "missing_probes");
    let value = of_env.map(|(_, value)| value.as_str()).or(match of_script {
        Some((_, lang::ast::ConfigValue::Str(value), _)) => Some(value),
        _ => None,
    });
    matches!(value, Some("warn" | "ignore"))
}

fn arch() -> Arch {
    if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    }
}
