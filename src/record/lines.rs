//! A recording as lines of JSON that `simulate --events` takes.

use super::{error::ReadError, format::Point, hit::Hit, read::Recording, tap::READS};
use crate::{
    bitcoin::tracepoint::{self, Kind},
    lower::abi::abi,
    simulate::{CTX_SIZE, address},
    spec::{ArgLoc, AttachSpec, Site, UsdtArg},
    sys::errno::Described,
};
use serde_json::{Map, Value, json};
use std::{fmt, io, io::Write};

/// Why a recording was not written out as lines.
#[derive(Debug)]
pub enum LinesError {
    /// The recording is damaged.
    Read(ReadError),
    /// The lines cannot be written.
    Write(io::Error),
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinesError::Read(err) => err.fmt(f),
            LinesError::Write(err) => Described(err).fmt(f),
        }
    }
}

/// Writes one line for each hit of a user probe; how many.
///
/// A place that several programs of the script were attached to gives one line a hit. An argument is the text or the bytes
/// that were read where it points, or its number, or `null` if it was not recorded.
///
/// # Errors
/// The recording is damaged; the lines cannot be written.
pub fn lines(recording: &Recording, out: &mut dyn Write) -> Result<u64, LinesError> {
    let meta = &recording.meta;
    let firsts: Vec<bool> = meta
        .points
        .iter()
        .enumerate()
        .map(|(at, point)| {
            let user = matches!(point.attach, AttachSpec::User { .. });
            user && !meta.points[..at].iter().any(|p| p.attach == point.attach)
        })
        .collect();
    let mut reader = recording.reader();
    let (mut hit, mut last, mut count) = (Hit::default(), 0, 0);
    while reader.next(&mut hit).map_err(LinesError::Read)? {
        if !firsts[hit.point as usize] {
            continue;
        }
        let point = &meta.points[hit.point as usize];
        let mut line = Map::new();
        line.insert("probe".to_owned(), json!(point.probe));
        // Times of several CPUs cross; lines stand in the order of their output.
        last = hit.boot.saturating_sub(meta.suspended).max(last);
        line.insert("time".to_owned(), json!(last));
        for (name, number) in [
            ("pid", hit.pid),
            ("tid", hit.tid),
            ("uid", hit.uid),
            ("gid", hit.gid),
            ("cpu", hit.cpu),
        ] {
            line.insert(name.to_owned(), json!(number));
        }
        let len = hit.comm.iter().position(|b| *b == 0).unwrap_or(16);
        line.insert(
            "comm".to_owned(),
            json!(String::from_utf8_lossy(&hit.comm[..len])),
        );
        let View { args, site, ret } = View::of(recording, &hit, point);
        if !args.is_empty() {
            line.insert("args".to_owned(), Value::Array(args));
        }
        if let Some(site) = site {
            line.insert("site".to_owned(), json!(site));
        }
        if let Some(ret) = ret {
            line.insert("ret".to_owned(), json!(ret));
        }
        writeln!(out, "{}", Value::Object(line)).map_err(LinesError::Write)?;
        count += 1;
    }
    Ok(count)
}

/// What a hit says of its probe's arguments.
struct View {
    args: Vec<Value>,
    site: Option<usize>,
    ret: Option<u64>,
}

impl View {
    fn of(recording: &Recording, hit: &Hit, point: &Point) -> View {
        let meta = &recording.meta;
        let mut ctx = vec![0; CTX_SIZE];
        for (at, value) in point.regs.iter().zip(&hit.regs) {
            if let Some(room) = ctx.get_mut(usize::from(*at)..usize::from(*at) + 8) {
                room.copy_from_slice(&value.to_ne_bytes());
            }
        }
        let abi = abi(meta.arch);
        let AttachSpec::User {
            path, sites, ret, ..
        } = &point.attach
        else {
            return View {
                args: Vec::new(),
                site: None,
                ret: None,
            };
        };
        let notes = meta.binaries.iter().filter(|binary| binary.path == *path);
        let mut notes = notes.flat_map(|binary| &binary.usdt);
        let here = |site: &Site| sites.iter().any(|other| other.offset == site.offset);
        if point.probe.starts_with("usdt:")
            && let Some(probe) = notes.find(|probe| probe.sites.iter().any(here))
        {
            let ip = number(&ctx, abi.ip, 8);
            let near = |site: &&(usize, &Site)| (site.1.offset ^ ip) & 0xfff == 0;
            let all: Vec<(usize, &Site)> = probe
                .sites
                .iter()
                .enumerate()
                .filter(|(_, site)| here(site))
                .collect();
            let Some((nth, site)) = all.iter().find(near).or(all.first()).copied() else {
                return View {
                    args: Vec::new(),
                    site: None,
                    ret: None,
                };
            };
            let known = tracepoint::find(&probe.provider, &probe.name);
            let args = site.args.iter().enumerate().map(|(number, arg)| {
                let kind = known
                    .and_then(|point| point.args.get(number))
                    .map(|arg| arg.kind);
                value(hit, &ctx, arg, kind)
            });
            return View {
                args: args.collect(),
                site: (probe.sites.len() > 1).then_some(nth),
                ret: None,
            };
        }
        if *ret {
            return View {
                args: Vec::new(),
                site: None,
                ret: Some(number(&ctx, abi.ret, 8)),
            };
        }
        let args = abi
            .args
            .iter()
            .map(|reg| behind(hit, number(&ctx, *reg, 8)));
        View {
            args: args.collect(),
            site: None,
            ret: None,
        }
    }
}

/// The low bytes of a register.
fn number(ctx: &[u8], reg: u16, size: usize) -> u64 {
    let mut bytes = [0; 8];
    let at = usize::from(reg);
    if let Some(from) = ctx.get(at..at + size) {
        bytes[..size].copy_from_slice(from);
    }
    u64::from_ne_bytes(bytes)
}

/// An argument.
fn value(hit: &Hit, ctx: &[u8], arg: &UsdtArg, kind: Option<Kind>) -> Value {
    let size = usize::from(arg.size.min(8));
    let raw = match &arg.loc {
        ArgLoc::Const(value) => value.cast_unsigned(),
        ArgLoc::Reg { reg } => number(ctx, *reg, size),
        ArgLoc::Mem { base, index, disp } => {
            let at = address(ctx, *base, *index, *disp);
            let Some(bytes) = memory(hit, at, size) else {
                return Value::Null;
            };
            number(bytes, 0, size)
        }
        ArgLoc::IpRel { .. } | ArgLoc::Unreadable(_) => return Value::Null,
    };
    let is_number = matches!(kind, Some(Kind::Int | Kind::Bool | Kind::Enum(_)));
    if size == 8 && !is_number {
        return behind(hit, raw);
    }
    let shift = 64 - 8 * u32::try_from(size).unwrap_or(8);
    if arg.signed {
        return json!((raw << shift).cast_signed() >> shift);
    }
    json!(raw)
}

/// What was read at an address; the address if nothing was.
fn behind(hit: &Hit, addr: u64) -> Value {
    let read = |item: &&super::hit::Item| {
        READS.contains(&item.helper) && item.addr == addr && item.len > 0
    };
    let longest = hit.items.iter().filter(read).max_by_key(|item| item.len);
    let Some(item) = longest else {
        return json!(addr);
    };
    let bytes = hit.data(item);
    if let Some((0, text)) = bytes.split_last()
        && item.helper == 114
        && let Ok(text) = std::str::from_utf8(text)
    {
        return json!(text);
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "hex": hex })
}

/// Bytes that were read at an address.
fn memory(hit: &Hit, addr: u64, size: usize) -> Option<&[u8]> {
    hit.items.iter().find_map(|item| {
        let from = usize::try_from(addr.checked_sub(item.addr)?).ok()?;
        (READS.contains(&item.helper)).then(|| hit.data(item).get(from..from + size))?
    })
}
