//! Blueprints to kernel objects: creates an [`Object`]'s maps and loads its programs.

mod btf;
mod error;
mod exec;
mod map;
mod program;
mod reloc;
pub mod tag;
pub mod verifier_log;

use std::os::fd::OwnedFd;

pub use error::{LoadError, Rejected};
pub use exec::{ExecError, check_exec, exec};

use crate::{spec::Object, sys::bpf::Map};

/// How to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// User probes will be attached by `uprobe_multi` links (see [`crate::runtime::attach::AttachMode::multi`]).
    pub multi: bool,
    /// Tell the kernel which script line each instruction comes from, so that `bpftool prog dump xlated linum` shows
    /// them. Programs with callbacks need it in any case and get it.
    pub lines: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            multi: true,
            lines: true,
        }
    }
}

/// What an object became; indices are those of the object.
#[derive(Debug)]
pub struct Loaded {
    /// One for each [`MapSpec`](crate::spec::MapSpec).
    pub maps: Vec<Map>,
    /// One for each [`ProgramSpec`](crate::spec::ProgramSpec).
    pub programs: Vec<OwnedFd>,
    /// Name of each map.
    pub names: Vec<String>,
}

/// Creates all maps, fills in their first contents, and loads all programs.
///
/// # Errors
/// [`LoadError`] for the first map or program that the kernel or the encoder refused; nothing stays loaded then.
pub fn load(object: &Object, options: &LoadOptions) -> Result<Loaded, LoadError> {
    let maps = map::create_all(&object.maps)?;
    let fds: Vec<i32> = maps.iter().map(Map::raw_fd).collect();
    let lines = program::btf_wanted(object, options.lines).then(|| btf::Btf::load(object));
    let btf = lines.flatten();
    let mut programs = Vec::with_capacity(object.programs.len());
    for index in 0..object.programs.len() {
        programs.push(program::load(object, index, &fds, btf.as_ref(), options)?);
    }
    Ok(Loaded {
        maps,
        programs,
        names: object.maps.iter().map(|map| map.name.clone()).collect(),
    })
}
