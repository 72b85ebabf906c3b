//! The bundle: everything that a script puts into the kernel, as one deterministic JSON document.

use super::BundleError;
use crate::{
    asm::{self, Callee, Insn, helper},
    loader::tag::{self, Hex},
    session::{Compiled, Settings},
    spec::{
        AttachSpec, Binary, EventPlan, Features, MapSpec, Object, ProgramKind, ProgramSpec, Target,
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Version of the format.
pub const VERSION: u32 = 1;

/// What the `format` field holds.
pub(super) const FORMAT: &str = "baretrace bundle";

/// Everything that a script puts into the kernel, and what is done with what comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Always `baretrace bundle`.
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// SHA-256, in hexadecimal, over this document without white space and with this field empty.
    pub sha256: String,
    /// The script.
    pub script: Script,
    /// License string given at load.
    pub license: String,
    /// What it was compiled for.
    pub target: Facts,
    /// The files that probes are in.
    pub binaries: Vec<File>,
    /// Maps; instructions refer to them by index.
    pub maps: Vec<MapSpec>,
    /// Programs.
    pub programs: Vec<Program>,
    /// How records read and what is done with them; nothing of it is loaded.
    pub events: EventPlan,
    /// How output is written.
    pub settings: Settings,
}

/// The script, which spans point into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// File name, or `stdin`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What the instructions depend on besides the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Processor: `x86_64` or `aarch64`.
    pub arch: String,
    /// Possible CPUs.
    pub cpus: u32,
    /// Features that the compiler was allowed to use.
    pub features: Vec<String>,
    /// `-p`.
    pub pid: Option<u32>,
    /// Positional parameters.
    pub params: Vec<String>,
    /// Named parameters.
    pub named: Vec<(String, Option<String>)>,
    /// `--unsafe`.
    pub allow_unsafe: bool,
}

/// A file with probes, as it was when it was compiled for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its build id in hexadecimal.
    pub build_id: Option<String>,
    /// USDT probes in it.
    pub usdt: Vec<Usdt>,
    /// Functions in it.
    pub functions: Vec<Function>,
}

/// A USDT probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usdt {
    /// `provider:name`.
    pub name: String,
    /// Its sites in file order.
    pub sites: Vec<Operands>,
}

/// One site of a USDT probe, with the note's operands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operands {
    /// Byte in the file.
    pub offset: u64,
    /// The semaphore's byte in the file; 0 for none.
    pub semaphore: u64,
    /// Operands, as in the note.
    pub operands: Vec<String>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Kernel name.
    pub name: String,
    /// The attach point as the script has it.
    pub probe: String,
    /// Program type.
    pub kind: ProgramKind,
    /// Loaded as sleepable where the attachment allows it.
    pub sleepable: bool,
    /// Places.
    pub attach: Vec<AttachSpec>,
    /// Helpers that it calls, in order of their numbers.
    pub helpers: Vec<String>,
    /// The kernel's tag by SHA-1 (measured on 6.12 and older).
    pub tag_sha1: String,
    /// The kernel's tag by SHA-256 (measured on 6.18).
    pub tag_sha256: String,
    /// Its instructions.
    pub insns: Vec<Line>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its first slot of 8 bytes.
    pub slot: usize,
    /// Its 8 or 16 bytes in hexadecimal; maps are indices.
    pub bytes: String,
    /// The same as text.
    pub text: String,
    /// Byte range in the script that it comes from.
    pub script: Option<(u32, u32)>,
}

impl Bundle {
    /// The bundle of a compiled script.
    ///
    /// # Errors
    /// A path that is no UTF-8; instructions without an encoding, which no compiled script has.
    pub fn new(compiled: &Compiled, target: &Target) -> Result<Bundle, BundleError> {
        let object = &compiled.object;
        let mut features = target.features.clone();
        let features = Features::FIELDS
            .iter()
            .filter(|(_, has)| *has(&mut features));
        let mut bundle = Bundle {
            format: FORMAT.to_string(),
            version: VERSION,
            sha256: String::new(),
            script: Script {
                name: object.script_name.clone(),
                text: object.source.clone(),
            },
            license: object.license.clone(),
            target: Facts {
                arch: target.arch.name().to_string(),
                cpus: target.cpus,
                features: features.map(|(name, _)| (*name).to_string()).collect(),
                pid: target.pid,
                params: target.params.clone(),
                named: target.named.clone(),
                allow_unsafe: target.allow_unsafe,
            },
            binaries: target.binaries.iter().map(file).collect(),
            maps: object.maps.clone(),
            programs: object
                .programs
                .iter()
                .map(program)
                .collect::<Result<_, _>>()?,
            events: object.events.clone(),
            settings: compiled.settings.clone(),
        };
        bundle.sha256 = bundle.digest()?;
        Ok(bundle)
    }

    /// The digest of the contents, whatever the `sha256` field says.
    ///
    /// # Errors
    /// A path that is no UTF-8.
    pub fn digest(&self) -> Result<String, BundleError> {
        let blank = Bundle {
            sha256: String::new(),
            ..self.clone()
        };
        let text = serde_json::to_string(&blank).map_err(|e| BundleError::Write(e.to_string()))?;
        Ok(hex(&Sha256::digest(text.as_bytes())))
    }

    /// The document.
    ///
    /// # Errors
    /// A path that is no UTF-8.
    pub fn to_json(&self) -> Result<String, BundleError> {
        let text =
            serde_json::to_string_pretty(self).map_err(|e| BundleError::Write(e.to_string()));
        Ok(text? + "\n")
    }

    /// How many instructions all programs have together.
    pub fn insn_count(&self) -> usize {
        self.programs
            .iter()
            .map(|program| program.insns.len())
            .sum()
    }

    /// What is loaded: the compiled script without the compiler.
    ///
    /// # Errors
    /// Bytes that are no instructions.
    pub fn compiled(&self) -> Result<Compiled, BundleError> {
        let programs = self.programs.iter().map(|program| {
            let insns = program.decoded()?;
            let origin = |line: &Line| line.script.map(|(a, b)| crate::span::Span::new(a, b));
            Ok(ProgramSpec {
                name: program.name.clone(),
                probe: program.probe.clone(),
                kind: program.kind,
                insns,
                origins: program.insns.iter().map(origin).collect(),
                sleepable: program.sleepable,
                attach: program.attach.clone(),
            })
        });
        Ok(Compiled {
            object: Object {
                script_name: self.script.name.clone(),
                source: self.script.text.clone(),
                license: self.license.clone(),
                maps: self.maps.clone(),
                programs: programs.collect::<Result<_, BundleError>>()?,
                events: self.events.clone(),
            },
            checked: None,
            warnings: Vec::new(),
            settings: self.settings.clone(),
        })
    }
}

impl Program {
    /// Its instructions, from their bytes.
    ///
    /// # Errors
    /// Bytes that are no instructions.
    pub fn decoded(&self) -> Result<Vec<Insn>, BundleError> {
        self.insns.iter().map(|line| self.decode(line)).collect()
    }

    fn decode(&self, line: &Line) -> Result<Insn, BundleError> {
        let wrong = |why: String| BundleError::Wrong {
            part: format!("program `{}`, slot {}", self.probe, line.slot),
            why,
        };
        let bytes = unhex(&line.bytes)
            .ok_or_else(|| wrong(format!("`{}` is not hexadecimal", line.bytes)))?;
        let insns = asm::decode(&bytes).map_err(|err| wrong(err.to_string()))?;
        match insns.as_slice() {
            [insn] => Ok(*insn),
            insns => Err(wrong(format!(
                "{} instructions where one belongs",
                insns.len()
            ))),
        }
    }
}

/// What is kept of a binary.
pub(super) fn file(binary: &Binary) -> File {
    let site = |site: &crate::spec::Site| Operands {
        offset: site.offset,
        semaphore: site.ref_ctr,
        operands: site.args.iter().map(|arg| arg.text.clone()).collect(),
    };
    File {
        path: binary.path.to_string_lossy().into_owned(),
        build_id: binary.build_id.as_deref().map(hex),
        usdt: binary
            .usdt
            .iter()
            .map(|probe| Usdt {
                name: format!("{}:{}", probe.provider, probe.name),
                sites: probe.sites.iter().map(site).collect(),
            })
            .collect(),
        functions: binary
            .functions
            .iter()
            .map(|(name, offset, size)| Function {
                name: name.clone(),
                offset: *offset,
                size: *size,
            })
            .collect(),
    }
}

fn program(spec: &ProgramSpec) -> Result<Program, BundleError> {
    let wrong = |why: &dyn std::fmt::Display| BundleError::Wrong {
        part: format!("program `{}`", spec.probe),
        why: why.to_string(),
    };
    let tags = tag::tags(&spec.insns).map_err(|err| wrong(&err))?;
    let mut insns = Vec::with_capacity(spec.insns.len());
    let mut slot = 0;
    for (at, insn) in spec.insns.iter().enumerate() {
        let bytes = asm::encode(std::slice::from_ref(insn)).map_err(|err| wrong(&err))?;
        insns.push(Line {
            slot,
            bytes: hex(&bytes),
            text: insn.to_string(),
            script: spec
                .origins
                .get(at)
                .copied()
                .flatten()
                .map(|span| (span.start, span.end)),
        });
        slot += insn.slots();
    }
    Ok(Program {
        name: spec.name.clone(),
        probe: spec.probe.clone(),
        kind: spec.kind,
        sleepable: spec.sleepable,
        attach: spec.attach.clone(),
        helpers: helpers(&spec.insns),
        tag_sha1: Hex(tags.sha1).to_string(),
        tag_sha256: Hex(tags.sha256).to_string(),
        insns,
    })
}

/// Names of the helpers that are called, in order of their numbers; a number where there is no name.
pub(super) fn helpers(insns: &[Insn]) -> Vec<String> {
    let ids = insns.iter().filter_map(|insn| match insn {
        Insn::Call {
            callee: Callee::Helper(id),
        } => Some(*id),
        _ => None,
    });
    let ids: std::collections::BTreeSet<u32> = ids.collect();
    let name = |id: u32| helper::by_id(id).map_or(id.to_string(), |row| row.name.to_string());
    ids.into_iter().map(name).collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Bytes from hexadecimal.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .filter(|_| !byte.is_ascii_uppercase())
    };
    let pair = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(pair).collect()
}
