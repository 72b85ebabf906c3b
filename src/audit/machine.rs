//! Whether this machine is the one that a bundle was made for: processor, CPUs, and the files that probes are in.

use super::{Bundle, File, bundle::file, plain::counted};
use crate::{
    elf,
    session::binary::{self, Located},
    spec::{Arch, Binary},
};
use std::path::PathBuf;

/// Everything that differs, a line each; none if the bundle fits.
pub fn differences(bundle: &Bundle, cpus: u32) -> Vec<String> {
    let mut out = Vec::new();
    let here = if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    if bundle.target.arch != here.name() {
        let was = &bundle.target.arch;
        out.push(format!(
            "processor: made for {was}, this is {}",
            here.name()
        ));
    }
    if bundle.target.cpus != cpus {
        let was = bundle.target.cpus;
        out.push(format!("possible CPUs: made for {was}, here are {cpus}"));
    }
    for was in &bundle.binaries {
        match look(was) {
            Ok(is) => compare(&mut out, was, &is),
            Err(why) => out.push(why),
        }
    }
    out
}

/// The file as it is now, with what the bundle has of it.
fn look(was: &File) -> Result<File, String> {
    let path = PathBuf::from(&was.path);
    let located = Located {
        name: path.clone(),
        open: path.clone(),
    };
    let bytes = binary::open(&located).map_err(|err| err.to_string())?;
    let image = elf::Image::parse(&bytes).map_err(|err| format!("read `{}`: {err}", was.path))?;
    let usdt = if was.usdt.is_empty() {
        Vec::new()
    } else {
        let notes = binary::notes(&located, &bytes).map_err(|err| err.to_string())?;
        let wanted = |provider: &str, name: &str| {
            let full = format!("{provider}:{name}");
            was.usdt.iter().any(|probe| probe.name == full)
        };
        notes
            .probes(wanted)
            .map_err(|err| format!("read USDT notes of `{}`: {err}", was.path))?
    };
    let wanted = |name: &str| was.functions.iter().any(|f| f.name == name);
    let functions = if was.functions.is_empty() {
        Vec::new()
    } else {
        let found = image.functions(wanted);
        found
            .iter()
            .map(|f| (f.name.to_string(), f.offset, f.size))
            .collect()
    };
    Ok(file(&Binary {
        written: was.path.clone(),
        shown: was.path.clone(),
        path,
        build_id: image.build_id().map(<[u8]>::to_vec),
        usdt,
        functions,
    }))
}

fn compare(out: &mut Vec<String>, was: &File, is: &File) {
    let path = &was.path;
    if was.build_id != is.build_id {
        let name = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".to_string());
        out.push(format!(
            "`{path}`: build id was {}, is {}",
            name(&was.build_id),
            name(&is.build_id)
        ));
    }
    for probe in &was.usdt {
        let Some(now) = is.usdt.iter().find(|other| other.name == probe.name) else {
            out.push(format!("`{path}`: probe {} is gone", probe.name));
            continue;
        };
        if probe.sites.len() != now.sites.len() {
            out.push(format!(
                "`{path}`: probe {} was at {}, is at {}",
                probe.name,
                counted(probe.sites.len(), "place"),
                now.sites.len()
            ));
            continue;
        }
        for (old, new) in probe
            .sites
            .iter()
            .zip(&now.sites)
            .filter(|(old, new)| old != new)
        {
            let text = |site: &super::Operands| {
                format!(
                    "{:#x}, semaphore {:#x}, operands {}",
                    site.offset,
                    site.semaphore,
                    site.operands.join(" ")
                )
            };
            out.push(format!(
                "`{path}`: probe {} was at {}, is at {}",
                probe.name,
                text(old),
                text(new)
            ));
        }
    }
    for function in &was.functions {
        if !is.functions.contains(function) {
            out.push(format!(
                "`{path}`: function {} is no longer {} at {:#x}",
                function.name,
                counted(function.size, "byte"),
                function.offset
            ));
        }
    }
}
