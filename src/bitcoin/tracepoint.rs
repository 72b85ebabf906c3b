//! The 20 tracepoints of Bitcoin Core: names, arguments, their types, units and widths.
//!
//! Types and meanings are those of Bitcoin Core's `doc/tracing.md`; width and sign are those that compilers write into the
//! notes. Where the two differ, the note says how to read the bytes, the type what they mean.

use std::fmt;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Int,
    /// 0 or 1.
    Bool,
    /// A number with names.
    Enum(&'static [(i64, &'static str)]),
    /// Address of a NUL-terminated string, documented to have at most that many bytes; 0 where nothing is documented.
    Str(u32),
    /// Address of 32 bytes, the last of which is printed first.
    Hash,
    /// Address of bytes; their number is the argument of that index.
    Bytes(usize),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    None,
    Bytes,
    VirtualBytes,
    Satoshi,
    Nanoseconds,
    Microseconds,
    UnixSeconds,
}

/// One argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// Bytes of the operand in the note.
    pub size: u8,
    /// Sign of the operand in the note.
    pub signed: bool,
}

/// One tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracepoint {
    /// The provider: `net`.
    pub context: &'static str,
    /// The name: `inbound_message`.
    pub name: &'static str,
    /// Its arguments in order.
    pub args: &'static [Argument],
    /// When it fires.
    pub doc: &'static str,
}

/// The release of Bitcoin Core in which tracepoints came, by context; those of `net` in two steps.
///
/// By the pull requests that brought them and the releases branched off after their merge: #22006 (July 2021), #25832,
/// #22902, #24644 (spring 2022), #26531 (spring 2023). The unit of `block_connected`'s duration changed with #26118, first
/// released in 25.0 (#29877 tells the story).
const SINCE: &[(&str, &str, &str)] = &[
    ("net", "inbound_message", "22.0"),
    ("net", "outbound_message", "22.0"),
    ("net", "", "29.0"),
    ("validation", "", "22.0"),
    ("utxocache", "", "23.0"),
    ("coin_selection", "", "24.0"),
    ("mempool", "", "25.0"),
];

/// Values of `network` arguments.
pub const NETWORKS: &[(i64, &str)] = &[
    (0, "unroutable"),
    (1, "IPv4"),
    (2, "IPv6"),
    (3, "Onion"),
    (4, "I2P"),
    (5, "CJDNS"),
];

/// Values of the `mode` of `utxocache:flush`.
pub const FLUSH_MODES: &[(i64, &str)] = &[
    (0, "NONE"),
    (1, "IF_NEEDED"),
    (2, "PERIODIC"),
    (3, "FORCE_FLUSH"),
    (4, "FORCE_SYNC"),
];

const fn arg(name: &'static str, kind: Kind, unit: Unit, size: u8, signed: bool) -> Argument {
    Argument {
        name,
        kind,
        unit,
        size,
        signed,
    }
}

const fn i64(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::None, 8, true)
}

const fn u64(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::None, 8, false)
}

const fn i32(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::None, 4, true)
}

const fn u32(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::None, 4, false)
}

const fn boolean(name: &'static str) -> Argument {
    arg(name, Kind::Bool, Unit::None, 1, false)
}

const fn text(name: &'static str, max: u32) -> Argument {
    arg(name, Kind::Str(max), Unit::None, 8, false)
}

const fn hash(name: &'static str) -> Argument {
    arg(name, Kind::Hash, Unit::None, 8, false)
}

const fn network() -> Argument {
    arg("network", Kind::Enum(NETWORKS), Unit::None, 4, false)
}

const fn satoshi(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::Satoshi, 8, true)
}

const fn vsize(name: &'static str) -> Argument {
    arg(name, Kind::Int, Unit::VirtualBytes, 4, true)
}

const fn moment(name: &'static str, signed: bool) -> Argument {
    arg(name, Kind::Int, Unit::UnixSeconds, 8, signed)
}

/// Longest address: an onion address of version 3 with its port.
const ADDR: u32 = 68;
/// Longest name of a connection type.
const CONN_TYPE: u32 = 20;
/// Longest name of a message.
const MSG_TYPE: u32 = 20;

const MESSAGE: &[Argument] = &[
    i64("peer_id"),
    text("addr", ADDR),
    text("conn_type", CONN_TYPE),
    text("msg_type", MSG_TYPE),
    arg("size", Kind::Int, Unit::Bytes, 8, false),
    arg("bytes", Kind::Bytes(4), Unit::None, 8, false),
];

const OPENED: &[Argument] = &[
    i64("id"),
    text("addr", ADDR),
    text("conn_type", CONN_TYPE),
    network(),
    u64("existing"),
];

const GONE: &[Argument] = &[
    i64("id"),
    text("addr", ADDR),
    text("conn_type", CONN_TYPE),
    network(),
    moment("established", true),
];

const COIN: &[Argument] = &[
    hash("txid"),
    u32("vout"),
    u32("height"),
    satoshi("value"),
    boolean("coinbase"),
];

const fn row(
    context: &'static str,
    name: &'static str,
    args: &'static [Argument],
    doc: &'static str,
) -> Tracepoint {
    Tracepoint {
        context,
        name,
        args,
        doc,
    }
}

/// All tracepoints.
pub const TRACEPOINTS: &[Tracepoint] = &[
    row("net", "inbound_message", MESSAGE, "a P2P message came in"),
    row("net", "outbound_message", MESSAGE, "a P2P message goes out"),
    row("net", "inbound_connection", OPENED, "a peer connected"),
    row("net", "outbound_connection", OPENED, "connected to a peer"),
    row(
        "net",
        "evicted_inbound_connection",
        GONE,
        "a connection is given up for a newer one",
    ),
    row("net", "closed_connection", GONE, "a connection was closed"),
    row(
        "net",
        "misbehaving_connection",
        &[i64("id"), text("reason", 128)],
        "a peer broke the rules",
    ),
    row(
        "validation",
        "block_connected",
        &[
            hash("hash"),
            i32("height"),
            u64("transactions"),
            i32("inputs"),
            i64("sigops"),
            arg("duration", Kind::Int, Unit::Nanoseconds, 8, true),
        ],
        "a block was connected to the chain",
    ),
    row(
        "utxocache",
        "flush",
        &[
            arg("duration", Kind::Int, Unit::Microseconds, 8, true),
            arg("mode", Kind::Enum(FLUSH_MODES), Unit::None, 4, false),
            u64("coins"),
            arg("memory", Kind::Int, Unit::Bytes, 8, false),
            boolean("for_prune"),
        ],
        "the coins cache was written out",
    ),
    row("utxocache", "add", COIN, "a coin was put into the cache"),
    row("utxocache", "spent", COIN, "a coin was spent"),
    row(
        "utxocache",
        "uncache",
        COIN,
        "a coin was dropped from the cache",
    ),
    row(
        "coin_selection",
        "selected_coins",
        &[
            text("wallet", 0),
            text("algorithm", 0),
            satoshi("target"),
            satoshi("waste"),
            satoshi("selected"),
        ],
        "the wallet chose coins",
    ),
    row(
        "coin_selection",
        "normal_create_tx_internal",
        &[
            text("wallet", 0),
            boolean("success"),
            satoshi("fee"),
            i32("change_pos"),
        ],
        "the wallet made a transaction",
    ),
    row(
        "coin_selection",
        "attempting_aps_create_tx",
        &[text("wallet", 0)],
        "the wallet tries again without partial spends",
    ),
    row(
        "coin_selection",
        "aps_create_tx_internal",
        &[
            text("wallet", 0),
            boolean("use_aps"),
            boolean("success"),
            satoshi("fee"),
            i32("change_pos"),
        ],
        "the wallet tried without partial spends",
    ),
    row(
        "mempool",
        "added",
        &[hash("txid"), vsize("vsize"), satoshi("fee")],
        "a transaction came into the mempool",
    ),
    row(
        "mempool",
        "removed",
        &[
            hash("txid"),
            text("reason", 9),
            vsize("vsize"),
            satoshi("fee"),
            moment("entry_time", false),
        ],
        "a transaction left the mempool",
    ),
    row(
        "mempool",
        "replaced",
        &[
            hash("txid"),
            vsize("vsize"),
            satoshi("fee"),
            moment("entry_time", false),
            hash("new_id"),
            vsize("new_vsize"),
            satoshi("new_fee"),
            boolean("is_tx"),
        ],
        "a transaction was replaced",
    ),
    row(
        "mempool",
        "rejected",
        &[hash("txid"), text("reason", 118)],
        "a transaction was refused",
    ),
];

/// The tracepoint `context:name`.
pub fn find(context: &str, name: &str) -> Option<&'static Tracepoint> {
    TRACEPOINTS
        .iter()
        .find(|t| t.context == context && t.name == name)
}

impl Tracepoint {
    /// The first release of Bitcoin Core that has it.
    pub fn since(&self) -> &'static str {
        let of = |(context, name, _): &&(&str, &str, &str)| {
            *context == self.context && (name.is_empty() || *name == self.name)
        };
        SINCE.iter().find(of).map_or("22.0", |(_, _, since)| since)
    }

    /// The name of its semaphore, a 16-bit counter.
    pub fn semaphore(&self) -> String {
        format!("{}_{}_semaphore", self.context, self.name)
    }
}

impl fmt::Display for Tracepoint {
    /// `net:inbound_message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.context, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{spec::Arch, usdt};
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        assert_eq!(TRACEPOINTS.len(), 20);
        let names: HashSet<String> = TRACEPOINTS.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), TRACEPOINTS.len());
        for point in TRACEPOINTS {
            let names: HashSet<_> = point.args.iter().map(|a| a.name).collect();
            assert_eq!(names.len(), point.args.len(), "{point}");
            assert_eq!(find(point.context, point.name), Some(point));
        }
    }

    #[test]
    fn arguments_are_as_wide_as_their_kind() {
        for (point, arg) in TRACEPOINTS
            .iter()
            .flat_map(|p| p.args.iter().map(move |a| (p, a)))
        {
            let fits = match arg.kind {
                Kind::Str(_) | Kind::Hash => arg.size == 8 && !arg.signed,
                Kind::Bytes(len) => arg.size == 8 && point.args[len].unit == Unit::Bytes,
                Kind::Bool => arg.size == 1,
                Kind::Enum(values) => arg.size == 4 && !values.is_empty(),
                Kind::Int => matches!(arg.size, 4 | 8),
            };
            assert!(fits, "{point} {}", arg.name);
        }
    }

    /// This program has the same probes, for its demo.
    #[test]
    fn the_demo_target_has_these_widths() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let image = usdt::Image::parse(&bytes).unwrap();
        let arch = image.elf().arch().unwrap_or(Arch::X86_64);
        let mut seen = 0;
        for note in image.notes() {
            let Some(point) = find(note.provider, note.name) else {
                continue;
            };
            seen += 1;
            let args = usdt::parse_args(arch, note.args);
            let there: Vec<_> = args.iter().map(|a| (a.size, a.signed)).collect();
            let want: Vec<_> = point.args.iter().map(|a| (a.size, a.signed)).collect();
            assert_eq!(there, want, "{point}: {}", note.args);
        }
        assert!(seen == 0 || seen >= TRACEPOINTS.len(), "{seen} of 20 seen");
    }
}
