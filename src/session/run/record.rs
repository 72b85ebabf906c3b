//! A run that is recorded.

use super::{Outcome, go_on, traced};
use crate::session::{
    Options,
    compile::{Kept, Session},
    error::SessionError,
};
use crate::{
    loader::Loaded,
    record::{End, Meta, Recorded, Recorder},
    runtime::{child::Child, clock::Clock},
    spec::{MapRole, MapSpec, Object},
};
use nix::time::{ClockId, clock_gettime};
use std::path::PathBuf;

/// Where a run is recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The file.
    pub path: PathBuf,
    /// The script was made from the names of probes: it prints nothing.
    pub probes: bool,
}

/// Runs the script that `options` name, to its end, and keeps what its probes are told.
///
/// # Errors
/// As of [`super::run`]; a file that is full.
pub fn record(options: &Options, record: &Record) -> Result<(Outcome, End, u64), SessionError> {
    let (child, target) = traced(options)?;
    let session = Session::for_kernel(options, child.as_ref().map(Child::pid))?;
    session.no_kernel_probes("recorded")?;
    let (mut compiled, kept) = session.compile_tapped(record.probes)?;
    if compiled
        .object
        .map_index(|role| *role == MapRole::WalkedStacks)
        .is_some()
    {
        return Err(SessionError::Setup(
            "stacks that the program walks (`dw_ustack`) are not recorded; use `ustack`".to_owned(),
        ));
    }
    // Other scripts may ask for names that this one does not print.
    compiled.settings.user_names = true;
    compiled.settings.kernel_names = true;
    compiled.print_warnings(options);
    compiled.dry_run()?;
    let keep = Keep { record, kept };
    let multi = session.multi;
    let (outcome, written) = go_on(
        options,
        compiled,
        multi,
        child,
        target.as_ref(),
        false,
        Some(keep),
    )?;
    let (end, size) = written.unwrap_or_default();
    Ok((outcome, end, size))
}

/// A recording to be made.
pub(super) struct Keep<'k> {
    pub(super) record: &'k Record,
    pub(super) kept: Kept,
}

/// Makes the file of a recording.
pub(super) fn recorder(
    options: &Options,
    keep: Keep<'_>,
    loaded: &Loaded,
    object: &Object,
    clock: &Clock,
) -> Result<Recorder, SessionError> {
    let Kept {
        points,
        binaries,
        debug,
        cpus,
        arch,
        ..
    } = keep.kept;
    let (boot, monotonic) = (
        nanos(ClockId::CLOCK_BOOTTIME)?,
        nanos(ClockId::CLOCK_MONOTONIC)?,
    );
    let meta = Meta {
        script: Recorded {
            name: options.script.name.clone(),
            text: options.script.text.clone(),
            params: options.params.clone(),
            named: options.named.clone(),
            probes: keep.record.probes,
        },
        arch,
        cpus,
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default(),
        start: start_time(loaded, object)?.unwrap_or(boot),
        clocks: clock.offsets(),
        suspended: boot.saturating_sub(monotonic),
        config: options.config.clone(),
        points,
        binaries,
        debug,
    };
    let stacks = object.map_index(|role| *role == MapRole::Stacks);
    Recorder::create(&keep.record.path, &meta, stacks).map_err(SessionError::Record)
}

/// What programs take for the time tracing began, if they ask for it.
pub(super) fn start_time(loaded: &Loaded, object: &Object) -> Result<Option<u64>, SessionError> {
    for (map, spec) in loaded.maps.iter().zip(&object.maps) {
        if is_start_time(spec) {
            let mut bytes = [0; 8];
            map.lookup(&0u32.to_ne_bytes(), &mut bytes)
                .map_err(|err| SessionError::Io("bpf(BPF_MAP_LOOKUP_ELEM)", err))?;
            return Ok(Some(u64::from_ne_bytes(bytes)));
        }
    }
    Ok(None)
}

pub(super) fn is_start_time(spec: &MapSpec) -> bool {
    spec.role == MapRole::Data && spec.init.is_empty() && spec.value_size == 8
}

/// A clock's nanoseconds.
pub(super) fn nanos(clock: ClockId) -> Result<u64, SessionError> {
    let now = clock_gettime(clock).map_err(|err| SessionError::Io("read the clock", err.into()))?;
    Ok(now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned())
}
