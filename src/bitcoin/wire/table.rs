//! The messages of the protocol: one row each, the fields in the order they travel.

/// How a field is written.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A byte.
    U8,
    /// A byte that is 0 or not.
    Bool,
    /// Two bytes, big-endian: a port.
    Port,
    /// Four bytes, little-endian.
    U32,
    /// Four bytes, little-endian, signed.
    I32,
    /// Eight bytes, little-endian.
    U64,
    /// Eight bytes, little-endian, signed.
    I64,
    /// Four bytes, little-endian, printed in hexadecimal.
    Bits,
    /// Seconds since 1970 in four bytes.
    Time32,
    /// Seconds since 1970 in eight bytes.
    Time64,
    /// Service flags in eight bytes.
    Services,
    /// Service flags as a count (BIP 155).
    CompactServices,
    /// A count.
    Compact,
    /// 32 bytes, printed last byte first.
    Hash,
    /// That many bytes.
    Bytes(u8),
    /// A count of bytes and the bytes.
    VarBytes,
    /// A count of bytes and text.
    Text,
    /// An IPv6 address in 16 bytes; IPv4 is mapped.
    Ip,
    /// Network id, a count of bytes and an address (BIP 155).
    AddrV2,
    /// What an inventory entry is.
    InvType,
    /// A block header, with its hash.
    Header,
    /// A transaction, with its ids.
    Tx,
    /// A count and that many.
    List(&'static Kind),
    /// Fields.
    Record(&'static [Field]),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// Old peers leave it out, with all that follows.
    pub optional: bool,
}

/// One message type.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The type as it travels: `inv`.
    pub name: &'static str,
    /// What it holds.
    pub fields: &'static [Field],
    /// What it is for.
    pub doc: &'static str,
}

pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        optional: false,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        optional: true,
    }
}

const fn row(name: &'static str, fields: &'static [Field], doc: &'static str) -> Row {
    Row { name, fields, doc }
}

/// Address as `version` has it.
const PEER: Kind = Kind::Record(&[
    field("services", Kind::Services),
    field("ip", Kind::Ip),
    field("port", Kind::Port),
]);

const ADDR: Kind = Kind::Record(&[
    field("time", Kind::Time32),
    field("services", Kind::Services),
    field("ip", Kind::Ip),
    field("port", Kind::Port),
]);

const ADDRV2: Kind = Kind::Record(&[
    field("time", Kind::Time32),
    field("services", Kind::CompactServices),
    field("addr", Kind::AddrV2),
    field("port", Kind::Port),
]);

const INVENTORY: &[Field] = &[field(
    "inventory",
    Kind::List(&Kind::Record(&[
        field("type", Kind::InvType),
        field("hash", Kind::Hash),
    ])),
)];

const LOCATOR: &[Field] = &[
    field("version", Kind::U32),
    field("locator", Kind::List(&Kind::Hash)),
    field("stop", Kind::Hash),
];

/// A range of filters by height (BIP 157).
const FILTER_RANGE: &[Field] = &[
    field("filter_type", Kind::U8),
    field("start_height", Kind::U32),
    field("stop_hash", Kind::Hash),
];

/// All messages, by name.
pub const MESSAGES: &[Row] = &[
    row(
        "addr",
        &[field("addresses", Kind::List(&ADDR))],
        "addresses of other nodes",
    ),
    row(
        "addrv2",
        &[field("addresses", Kind::List(&ADDRV2))],
        "addresses of other nodes, of any network (BIP 155)",
    ),
    row(
        "block",
        &[
            field("header", Kind::Header),
            field("transactions", Kind::List(&Kind::Tx)),
        ],
        "a block",
    ),
    row(
        "blocktxn",
        &[
            field("block_hash", Kind::Hash),
            field("transactions", Kind::List(&Kind::Tx)),
        ],
        "transactions of a compact block (BIP 152)",
    ),
    row(
        "cfcheckpt",
        &[
            field("filter_type", Kind::U8),
            field("stop_hash", Kind::Hash),
            field("headers", Kind::List(&Kind::Hash)),
        ],
        "filter headers, every thousandth (BIP 157)",
    ),
    row(
        "cfheaders",
        &[
            field("filter_type", Kind::U8),
            field("stop_hash", Kind::Hash),
            field("previous_header", Kind::Hash),
            field("filter_hashes", Kind::List(&Kind::Hash)),
        ],
        "filter headers (BIP 157)",
    ),
    row(
        "cfilter",
        &[
            field("filter_type", Kind::U8),
            field("block_hash", Kind::Hash),
            field("filter", Kind::VarBytes),
        ],
        "a block's filter (BIP 157)",
    ),
    row(
        "cmpctblock",
        &[
            field("header", Kind::Header),
            field("nonce", Kind::U64),
            field("short_ids", Kind::List(&Kind::Bytes(6))),
            field(
                "prefilled",
                Kind::List(&Kind::Record(&[
                    field("index", Kind::Compact),
                    field("tx", Kind::Tx),
                ])),
            ),
        ],
        "a block with short ids for its transactions (BIP 152)",
    ),
    row(
        "feefilter",
        &[field("sat_per_kvb", Kind::I64)],
        "announce nothing below this fee rate (BIP 133)",
    ),
    row(
        "filteradd",
        &[field("data", Kind::VarBytes)],
        "adds an element to the Bloom filter (BIP 37)",
    ),
    row("filterclear", &[], "drops the Bloom filter (BIP 37)"),
    row(
        "filterload",
        &[
            field("filter", Kind::VarBytes),
            field("hash_functions", Kind::U32),
            field("tweak", Kind::U32),
            field("flags", Kind::U8),
        ],
        "sets a Bloom filter (BIP 37)",
    ),
    row("getaddr", &[], "asks for addresses of other nodes"),
    row(
        "getblocks",
        LOCATOR,
        "asks for an inventory of blocks after the locator",
    ),
    row(
        "getblocktxn",
        &[
            field("block_hash", Kind::Hash),
            field("index_deltas", Kind::List(&Kind::Compact)),
        ],
        "asks for transactions of a compact block (BIP 152)",
    ),
    row(
        "getcfcheckpt",
        &[
            field("filter_type", Kind::U8),
            field("stop_hash", Kind::Hash),
        ],
        "asks for filter headers, every thousandth (BIP 157)",
    ),
    row(
        "getcfheaders",
        FILTER_RANGE,
        "asks for filter headers (BIP 157)",
    ),
    row(
        "getcfilters",
        FILTER_RANGE,
        "asks for filters of blocks (BIP 157)",
    ),
    row("getdata", INVENTORY, "asks for transactions and blocks"),
    row(
        "getheaders",
        LOCATOR,
        "asks for block headers after the locator",
    ),
    row(
        "headers",
        &[field(
            "headers",
            Kind::List(&Kind::Record(&[
                field("header", Kind::Header),
                field("transactions", Kind::Compact),
            ])),
        )],
        "block headers",
    ),
    row("inv", INVENTORY, "announces transactions and blocks"),
    row("mempool", &[], "asks for the ids in the mempool (BIP 35)"),
    row(
        "merkleblock",
        &[
            field("header", Kind::Header),
            field("transactions", Kind::U32),
            field("hashes", Kind::List(&Kind::Hash)),
            field("flags", Kind::VarBytes),
        ],
        "a block's header and the proof of some transactions (BIP 37)",
    ),
    row("notfound", INVENTORY, "asked for and not there"),
    row(
        "ping",
        &[optional("nonce", Kind::U64)],
        "asks for a pong with this number",
    ),
    row("pong", &[field("nonce", Kind::U64)], "answers a ping"),
    row(
        "sendaddrv2",
        &[],
        "asks for addrv2 instead of addr (BIP 155)",
    ),
    row(
        "sendcmpct",
        &[field("announce", Kind::Bool), field("version", Kind::U64)],
        "offers compact blocks (BIP 152)",
    ),
    row(
        "sendheaders",
        &[],
        "asks for new blocks by header (BIP 130)",
    ),
    row(
        "sendtxrcncl",
        &[field("version", Kind::U32), field("salt", Kind::U64)],
        "offers transaction reconciliation (BIP 330)",
    ),
    row("tx", &[field("tx", Kind::Tx)], "a transaction"),
    row("verack", &[], "version received"),
    row(
        "version",
        &[
            field("version", Kind::I32),
            field("services", Kind::Services),
            field("time", Kind::Time64),
            field("receiver", PEER),
            optional("sender", PEER),
            optional("nonce", Kind::U64),
            optional("user_agent", Kind::Text),
            optional("start_height", Kind::I32),
            optional("relay", Kind::Bool),
        ],
        "begins a connection",
    ),
    row(
        "wtxidrelay",
        &[],
        "asks for announcements by wtxid (BIP 339)",
    ),
];

/// Service flags by bit.
pub const SERVICES: &[(u8, &str)] = &[
    (0, "NETWORK"),
    (2, "BLOOM"),
    (3, "WITNESS"),
    (6, "COMPACT_FILTERS"),
    (10, "NETWORK_LIMITED"),
    (11, "P2P_V2"),
];

/// Inventory types.
pub const INVENTORY_TYPES: &[(u32, &str)] = &[
    (0, "error"),
    (1, "tx"),
    (2, "block"),
    (3, "filtered_block"),
    (4, "compact_block"),
    (5, "wtx"),
    (0x4000_0001, "witness_tx"),
    (0x4000_0002, "witness_block"),
];

/// The row of a message type.
pub fn find(name: &str) -> Option<&'static Row> {
    MESSAGES
        .binary_search_by_key(&name, |row| row.name)
        .ok()
        .map(|at| &MESSAGES[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_fit_the_header() {
        assert!(MESSAGES.windows(2).all(|w| w[0].name < w[1].name));
        for row in MESSAGES {
            assert!(row.name.len() <= 12, "{}", row.name);
            assert_eq!(find(row.name).map(|r| r.name), Some(row.name));
            let from = row.fields.iter().position(|f| f.optional);
            if let Some(from) = from {
                assert!(
                    row.fields[from..].iter().all(|f| f.optional),
                    "{}",
                    row.name
                );
            }
        }
    }
}
