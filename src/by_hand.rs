//! Tracing with programs written by hand: find a probe, run the program here, load it, attach it, read what it sends.
//!
//! The examples `usdt_counter` and `p2p_logger` show how it goes together. Each step can be done by itself: see
//! [`vm::dry_run`], [`loader::load`], [`Rings`], [`attach::attach`].

use std::{error, fmt, fs, io, ops::ControlFlow, os::fd::AsFd, path::Path};

use crate::{
    check::{self, CheckError},
    kernel::{cpus, features},
    loader::{self, LoadError, LoadOptions, Loaded},
    runtime::{
        attach::{self, AttachError, AttachOptions, Attachment},
        perf_ring::{RingError, Rings, Stamp},
    },
    spec::{MapKind, Object, UsdtProbe},
    sys::{bpf::Map, errno::Described},
    usdt, vm,
};

/// Bytes of the ring of each CPU.
const RING: usize = 256 << 10;

/// Why a program written by hand does not trace.
#[derive(Debug)]
pub enum TraceError {
    /// The file with the probe could not be read.
    File(String, io::Error),
    /// The file's notes are damaged, or it is no ELF file.
    Notes(String, usdt::Error),
    /// The file has no such probe.
    NoProbe(String),
    /// The kernel would refuse the program of that name.
    Check(String, Box<CheckError>),
    /// It went wrong in user space, on made-up contexts.
    DryRun(vm::DryRunError),
    /// The kernel could not be asked what it offers, or which CPUs there are.
    Kernel(&'static str, io::Error),
    /// The kernel did not take maps or programs.
    Load(LoadError),
    /// The rings could not be set up.
    Rings(RingError),
    /// A program could not be attached.
    Attach(AttachError),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceError::File(path, err) => write!(f, "read `{path}`: {}", Described(err)),
            TraceError::Notes(path, err) => write!(f, "read probes of `{path}`: {err}"),
            TraceError::NoProbe(name) => write!(f, "the file has no probe `{name}`"),
            TraceError::Check(name, err) => write!(f, "check `{name}`: {err}"),
            TraceError::DryRun(err) => write!(f, "{err}"),
            TraceError::Kernel(what, err) => write!(f, "{what}: {}", Described(err)),
            TraceError::Load(err) => write!(f, "{err}"),
            TraceError::Rings(err) => write!(f, "{err}"),
            TraceError::Attach(err) => write!(f, "{err}"),
        }
    }
}

impl error::Error for TraceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            TraceError::File(_, err) | TraceError::Kernel(_, err) => Some(err),
            TraceError::Notes(_, err) => Some(err),
            TraceError::NoProbe(_) => None,
            TraceError::Check(_, err) => Some(err),
            TraceError::DryRun(err) => Some(err),
            TraceError::Load(err) => Some(err),
            TraceError::Rings(err) => Some(err),
            TraceError::Attach(err) => Some(err),
        }
    }
}

/// The USDT probe of that provider and name in a file, with its sites and where its arguments are.
///
/// # Errors
/// [`TraceError`] if the file cannot be read or has no such probe.
pub fn usdt_probe(
    path: impl AsRef<Path>,
    provider: &str,
    name: &str,
) -> Result<UsdtProbe, TraceError> {
    let path = path.as_ref();
    let shown = || path.display().to_string();
    let bytes = fs::read(path).map_err(|err| TraceError::File(shown(), err))?;
    let probes = usdt::Image::parse(&bytes)
        .and_then(|image| image.probes(|p, n| (p, n) == (provider, name)))
        .map_err(|err| TraceError::Notes(shown(), err))?;
    let found = probes.into_iter().next();
    found.ok_or_else(|| TraceError::NoProbe(format!("{provider}:{name}")))
}

/// Programs at work; dropping it ends them.
pub struct Tracer {
    attachments: Vec<Attachment>,
    rings: Option<Rings>,
    loaded: Loaded,
}

impl Tracer {
    /// Checks each program of the object by the verifier's rules, runs it here on made-up contexts, then loads it and attaches it where its spec says.
    /// The object's first perf ring, if it has one, is ready before anything is attached.
    ///
    /// # Errors
    /// [`TraceError`]; nothing stays loaded then.
    pub fn start(object: &Object) -> Result<Tracer, TraceError> {
        check::before_load(object).map_err(|(index, error)| {
            let name = object.programs.get(index).map(|spec| spec.name.clone());
            TraceError::Check(name.unwrap_or_default(), Box::new(error))
        })?;
        vm::dry_run(object).map_err(TraceError::DryRun)?;
        let features = features::probe();
        let multi = features
            .map_err(|err| TraceError::Kernel("probe the kernel's features", err))?
            .uprobe_multi;
        let options = LoadOptions {
            multi,
            ..LoadOptions::default()
        };
        let loaded = loader::load(object, &options).map_err(TraceError::Load)?;
        let cpus = cpus::online().map_err(|err| TraceError::Kernel("list CPUs", err))?;
        let ring = object.maps.iter().zip(&loaded.maps);
        let mut ring = ring.filter(|(spec, _)| spec.kind == MapKind::PerfEventArray);
        let rings = match ring.next() {
            Some((_, map)) => {
                let rings = Rings::open(&cpus, RING, Stamp::Kernel).map_err(TraceError::Rings)?;
                let put = rings.install(map);
                put.map_err(|err| TraceError::Kernel("put rings into their map", err))?;
                Some(rings)
            }
            None => None,
        };
        let options = AttachOptions {
            multi,
            cpus: &cpus,
            pid: None,
        };
        let mut attachments = Vec::new();
        for (spec, program) in object.programs.iter().zip(&loaded.programs) {
            for place in &spec.attach {
                let attached = attach::attach(program.as_fd(), place, &options);
                attachments.push(attached.map_err(TraceError::Attach)?);
            }
        }
        Ok(Tracer {
            attachments,
            rings,
            loaded,
        })
    }

    /// A map of the object, by index.
    pub fn map(&self, index: usize) -> Option<&Map> {
        self.loaded.maps.get(index)
    }

    /// The first eight bytes of the value in an array's entry 0: a counter.
    ///
    /// # Errors
    /// The kernel's; `InvalidInput` if the object has no such map.
    pub fn value(&self, index: usize) -> io::Result<u64> {
        let map = self.map(index).ok_or(io::ErrorKind::InvalidInput)?;
        let mut value = vec![0; map.value_len()];
        map.lookup(&[0; 4], &mut value)?;
        let first = value.first_chunk().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(u64::from_ne_bytes(*first))
    }

    /// Hands over the records sent so far, oldest first; the kernel may have padded them at the end. Those of the last
    /// moment may come only the next time, so that none comes before an older one.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) {
        if let Some(rings) = &mut self.rings {
            rings.drain(|record| {
                take(record.data);
                ControlFlow::Continue(())
            });
        }
    }

    /// Detaches all programs and hands over what is left; gives the number of records that found no room.
    pub fn stop(&mut self, mut take: impl FnMut(&[u8])) -> u64 {
        self.attachments.clear();
        let Some(rings) = &mut self.rings else {
            return 0;
        };
        rings.flush(|record| {
            take(record.data);
            ControlFlow::Continue(())
        });
        rings.lost()
    }
}
