//! From a row of the table and bytes to values.

use std::net::Ipv6Addr;

use super::{
    Value,
    cursor::{Cursor, Error, Read, Why},
    double_sha256, double_sha256_of, script,
    table::{self, Field, INVENTORY_TYPES, Kind, field},
};

/// Decodes the payload of a message of type `name` into a record; of each list `keep` entries are kept.
///
/// Bytes after the last field are kept in a field `trailing`: later versions of the protocol append. `None` if the type is
/// not known here.
///
/// # Errors
/// [`Error`] with the field and the byte at which the payload stops being such a message.
pub fn decode<'p>(name: &str, payload: &'p [u8], keep: usize) -> Option<Result<Value<'p>, Error>> {
    let row = table::find(name)?;
    let mut at = Cursor::new(payload, keep);
    Some(record(&mut at, row.fields).map(|mut fields| {
        if at.left() > 0 {
            fields.push(("trailing", Value::Bytes(&payload[at.at()..])));
        }
        Value::Record(fields)
    }))
}

/// Puts a field's name before the place of an error inside it.
fn inside(mut error: Error, name: &str) -> Error {
    let join = if error.field.is_empty() || error.field.starts_with('[') {
        ""
    } else {
        "."
    };
    error.field = format!("{name}{join}{}", error.field);
    error
}

/// Named fields in order.
type Fields<'p> = Vec<(&'static str, Value<'p>)>;

fn record<'p>(at: &mut Cursor<'p>, fields: &[Field]) -> Read<Fields<'p>> {
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        if field.optional && at.left() == 0 {
            break;
        }
        let value = value(at, &field.kind).map_err(|e| inside(e, field.name))?;
        values.push((field.name, value));
    }
    Ok(values)
}

/// A count and that many; each takes at least a byte, so a count that lies ends at the payload's end. The first are kept.
fn list<'p, T>(
    at: &mut Cursor<'p>,
    mut one: impl FnMut(&mut Cursor<'p>) -> Read<T>,
) -> Read<(Vec<T>, usize)> {
    let count = at.compact_size()?;
    let (mut kept, mut all) = (Vec::new(), 0);
    for i in 0..count {
        let entry = one(at).map_err(|e| inside(e, &format!("[{i}]")))?;
        if all < at.keep {
            kept.push(entry);
        }
        all += 1;
    }
    Ok((kept, all))
}

fn var_bytes<'p>(at: &mut Cursor<'p>) -> Read<&'p [u8]> {
    let count = at.compact_size()?;
    at.take(count)
}

fn named<T>(name: &str, read: Read<T>) -> Read<T> {
    read.map_err(|e| inside(e, name))
}

fn value<'p>(at: &mut Cursor<'p>, kind: &Kind) -> Read<Value<'p>> {
    Ok(match kind {
        Kind::U8 => Value::Uint(u64::from(at.array::<1>()?[0])),
        Kind::Bool => Value::Bool(at.array::<1>()?[0] != 0),
        Kind::Port => Value::Uint(u64::from(u16::from_be_bytes(at.array()?))),
        Kind::U32 => Value::Uint(u64::from(u32::from_le_bytes(at.array()?))),
        Kind::I32 => Value::Int(i64::from(i32::from_le_bytes(at.array()?))),
        Kind::U64 => Value::Uint(u64::from_le_bytes(at.array()?)),
        Kind::I64 => Value::Int(i64::from_le_bytes(at.array()?)),
        Kind::Bits => Value::Hex(u32::from_le_bytes(at.array()?)),
        Kind::Time32 => Value::Time(u64::from(u32::from_le_bytes(at.array()?))),
        Kind::Time64 => Value::Time(u64::from_le_bytes(at.array()?)),
        Kind::Services => Value::Services(u64::from_le_bytes(at.array()?)),
        Kind::CompactServices => Value::Services(at.compact_size()?),
        Kind::Compact => Value::Uint(at.compact_size()?),
        Kind::Hash => Value::Hash(at.array()?),
        Kind::Bytes(count) => Value::Bytes(at.take(u64::from(*count))?),
        Kind::VarBytes => Value::Bytes(var_bytes(at)?),
        Kind::Text => Value::Text(String::from_utf8_lossy(var_bytes(at)?).into_owned()),
        Kind::Ip => Value::Name(ip(at.array()?).into()),
        Kind::AddrV2 => addr_v2(at)?,
        Kind::InvType => inv_type(u32::from_le_bytes(at.array()?)),
        Kind::Header => Value::Record(header(at)?),
        Kind::Tx => Value::Record(transaction(at)?),
        Kind::List(kind) => {
            let (kept, count) = list(at, |at| value(at, kind))?;
            Value::List(kept, count)
        }
        Kind::Record(fields) => Value::Record(record(at, fields)?),
    })
}

/// IPv6, or IPv4 if mapped.
fn ip(bytes: [u8; 16]) -> String {
    let ip = Ipv6Addr::from(bytes);
    match ip.to_ipv4_mapped() {
        Some(v4) => v4.to_string(),
        None => ip.to_string(),
    }
}

/// `IPv4 1.2.3.4`; networks without a textual form here are shown in hexadecimal. Source: BIP 155.
fn addr_v2<'p>(at: &mut Cursor<'p>) -> Read<Value<'p>> {
    let network = at.array::<1>()?[0];
    let bytes = var_bytes(at)?;
    let (name, text) = match (network, bytes.len()) {
        (1, 4) => (
            "ipv4",
            bytes
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join("."),
        ),
        (2 | 6, 16) => {
            let mut array = [0; 16];
            array.copy_from_slice(bytes);
            let name = if network == 2 { "ipv6" } else { "cjdns" };
            (name, Ipv6Addr::from(array).to_string())
        }
        (4, 32) => ("torv3", Value::Bytes(bytes).to_string()),
        (5, 32) => ("i2p", Value::Bytes(bytes).to_string()),
        _ => {
            return Ok(Value::Record(vec![
                ("network", Value::Uint(u64::from(network))),
                ("bytes", Value::Bytes(bytes)),
            ]));
        }
    };
    Ok(Value::Record(vec![
        ("network", Value::Name(name.into())),
        ("address", Value::Name(text.into())),
    ]))
}

fn inv_type(number: u32) -> Value<'static> {
    match INVENTORY_TYPES.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => Value::Name((*name).into()),
        None => Value::Uint(u64::from(number)),
    }
}

/// The 80 bytes of a block header.
const HEADER: &[Field] = &[
    field("version", Kind::I32),
    field("previous", Kind::Hash),
    field("merkle_root", Kind::Hash),
    field("time", Kind::Time32),
    field("bits", Kind::Bits),
    field("nonce", Kind::U32),
];

fn header<'p>(at: &mut Cursor<'p>) -> Read<Fields<'p>> {
    let start = at.at();
    let fields = record(at, HEADER)?;
    let hash = Value::Hash(double_sha256(at.since(start)));
    Ok([vec![("hash", hash)], fields].concat())
}

/// Steps over the zero input count and the flag 1 of a transaction with witnesses (BIP 144); false if they are not there.
fn marker(at: &mut Cursor<'_>) -> Read<bool> {
    let mut ahead = *at;
    if named("inputs", ahead.compact_size())? != 0 {
        return Ok(false);
    }
    let flag_at = ahead;
    match named("flag", ahead.array())? {
        [1] => *at = ahead,
        // Neither inputs nor outputs.
        [0] => return Ok(false),
        [flag] => return Err(inside(flag_at.error(Why::Flag(flag)), "flag")),
    }
    Ok(true)
}

/// A transaction, with or without witnesses (BIP 144), with the hashes of both forms.
fn transaction<'p>(at: &mut Cursor<'p>) -> Read<Fields<'p>> {
    let start = at.at();
    let version: [u8; 4] = named("version", at.array())?;
    let segwit = marker(at)?;
    let body = at.at();
    let (mut inputs, count) = named("inputs", list(at, |at| record(at, INPUT)))?;
    let (outputs, output_count) = named("outputs", list(at, output))?;
    let body = at.since(body);
    for i in 0..if segwit { count } else { 0 } {
        let witness = list(at, |at| var_bytes(at).map(Value::Bytes));
        let (witness, count) = named(&format!("witness[{i}]"), witness)?;
        if let Some(input) = inputs.get_mut(i) {
            input.push(("witness", Value::List(witness, count)));
        }
    }
    let locktime: [u8; 4] = named("locktime", at.array())?;
    let all = at.since(start);
    let bare = [&version, body, &locktime];
    // BIP 141: three times the bare size plus the whole, in quarters, rounded up.
    let vsize = ((version.len() + body.len() + locktime.len()) * 3 + all.len()).div_ceil(4);
    Ok(vec![
        ("txid", Value::Hash(double_sha256_of(&bare))),
        ("wtxid", Value::Hash(double_sha256(all))),
        ("size", Value::Uint(all.len() as u64)),
        ("vsize", Value::Uint(vsize as u64)),
        (
            "version",
            Value::Int(i64::from(i32::from_le_bytes(version))),
        ),
        ("inputs", records(inputs, count)),
        ("outputs", records(outputs, output_count)),
        (
            "locktime",
            Value::Uint(u64::from(u32::from_le_bytes(locktime))),
        ),
    ])
}

fn records(fields: Vec<Fields<'_>>, count: usize) -> Value<'_> {
    Value::List(fields.into_iter().map(Value::Record).collect(), count)
}

const INPUT: &[Field] = &[
    field("txid", Kind::Hash),
    field("vout", Kind::U32),
    field("script", Kind::VarBytes),
    field("sequence", Kind::U32),
];

fn output<'p>(at: &mut Cursor<'p>) -> Read<Fields<'p>> {
    let sat = named("sat", at.array())?;
    let script = named("script", var_bytes(at))?;
    Ok(vec![
        ("sat", Value::Int(i64::from_le_bytes(sat))),
        ("type", Value::Name(script::kind(script).into())),
        ("script", Value::Bytes(script)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// All of it.
    fn whole<'p>(name: &str, payload: &'p [u8]) -> Option<Result<Value<'p>, Error>> {
        decode(name, payload, usize::MAX)
    }

    fn json(value: &Value<'_>) -> serde_json::Value {
        serde_json::to_value(value).unwrap()
    }

    /// The first block, as everybody knows it.
    const GENESIS: &str = "01000000 0000000000000000000000000000000000000000000000000000000000000000
        3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a 29ab5f49 ffff001d 1dac2b7c 01
        01000000 01 0000000000000000000000000000000000000000000000000000000000000000 ffffffff
        4d 04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e20
        6272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73 ffffffff
        01 00f2052a01000000 43 4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6
        49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac 00000000";

    #[test]
    fn the_first_block() {
        let payload = bytes(GENESIS);
        let block = whole("block", &payload).unwrap().unwrap();
        let header = block.get("header").unwrap();
        assert_eq!(
            header.to_string(),
            "{hash=000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f version=1 \
             previous=0000000000000000000000000000000000000000000000000000000000000000 \
             merkle_root=4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b \
             time=2009-01-03T18:15:05Z bits=0x1d00ffff nonce=2083236893}"
        );
        let json = json(&block);
        let tx = &json["transactions"][0];
        assert_eq!(tx["txid"], json["header"]["merkle_root"]);
        assert_eq!(tx["wtxid"], tx["txid"]);
        assert_eq!(tx["outputs"][0]["sat"], 5_000_000_000_i64);
        assert_eq!(tx["outputs"][0]["type"], "pubkey");
        assert_eq!((&tx["size"], &tx["vsize"]), (&204.into(), &204.into()));
    }

    /// The signed transaction with a P2WPKH input of BIP 143.
    #[test]
    fn a_transaction_with_witness() {
        let tx = "01000000 0001 02
            fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f 00000000
            494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194b
            a3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01 eeffffff
            ef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a 01000000 00 ffffffff
            02 202cb20600000000 1976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac
            9093510d00000000 1976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac
            00 02 47304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c
            4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01
            21025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357 11000000";
        let payload = bytes(tx);
        let json = json(&whole("tx", &payload).unwrap().unwrap());
        assert_eq!(
            json["tx"]["txid"],
            "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609"
        );
        assert_eq!(
            json["tx"]["inputs"][1]["witness"].as_array().unwrap().len(),
            2
        );
        assert_eq!(json["tx"]["outputs"][0]["type"], "pubkeyhash");
    }

    #[test]
    fn of_a_list_some_are_kept_and_all_are_counted() {
        let mut inv = vec![253, 0x2c, 1];
        for n in 0..300u32 {
            inv.extend(1u32.to_le_bytes());
            inv.extend([n.to_le_bytes(); 8].as_flattened());
        }
        let all = whole("inv", &inv).unwrap().unwrap();
        let some = decode("inv", &inv, 4).unwrap().unwrap();
        assert_eq!(some.to_string(), all.to_string());
        assert!(all.to_string().contains("300["));
        assert_eq!(json(&all)["inventory"].as_array().unwrap().len(), 300);
        assert!(decode("inv", &inv[..inv.len() - 1], 4).unwrap().is_err());
    }

    #[test]
    fn old_and_new_versions() {
        let peer = [
            &[9, 4, 0, 0, 0, 0, 0, 0][..],
            &[0; 10],
            &[0xff, 0xff, 10, 0, 0, 1, 0x20, 0x8d],
        ];
        let old = [
            &70_016_i32.to_le_bytes()[..],
            &peer.concat()[..8],
            &[0; 8],
            &peer.concat(),
        ]
        .concat();
        let text = whole("version", &old).unwrap().unwrap().to_string();
        assert_eq!(
            text,
            "{version=70016 services=NETWORK|WITNESS|NETWORK_LIMITED time=1970-01-01T00:00:00Z \
             receiver={services=NETWORK|WITNESS|NETWORK_LIMITED ip=10.0.0.1 port=8333}}"
        );
        let new = [
            &old[..],
            &peer.concat(),
            &[1; 8],
            b"\x0a/a\"\n\x1b[0m/\xff",
            &[5, 0, 0, 0, 1, 7],
        ]
        .concat();
        let json = json(&whole("version", &new).unwrap().unwrap());
        assert_eq!(json["user_agent"], "/a\"\n\x1b[0m/\u{fffd}");
        assert_eq!(
            (&json["start_height"], &json["relay"]),
            (&5.into(), &true.into())
        );
        assert_eq!(json["trailing"], "07");
    }

    #[test]
    fn counts_that_lie_and_messages_cut_anywhere() {
        let lie = whole(
            "inv",
            &[255, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        );
        assert_eq!(
            lie.unwrap().unwrap_err().to_string(),
            "`inventory[0].type` at byte 9: 4 bytes wanted, 1 left"
        );
        let long = whole("inv", &[253, 1, 0]).unwrap().unwrap_err();
        assert_eq!(long.why, Why::NotCanonical(1));
        let block = bytes(GENESIS);
        for length in 0..block.len() {
            assert!(
                whole("block", &block[..length]).unwrap().is_err(),
                "{length}"
            );
        }
        assert_eq!(
            whole("tx", &[1, 0, 0, 0, 0, 2]).unwrap().unwrap_err().why,
            Why::Flag(2)
        );
        assert!(whole("nosuch", &[]).is_none());
    }

    /// Any bytes decode or are refused: no panic, no allocation beyond the payload's measure.
    #[test]
    fn random_bytes() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..200 {
            let length = next() % 300;
            let payload: Vec<u8> = (0..length)
                .map(|_| (next() >> (next() % 64)) as u8)
                .collect();
            for row in table::MESSAGES {
                if let Some(Ok(value)) = whole(row.name, &payload) {
                    let _ = (value.to_string(), json(&value).to_string());
                }
            }
        }
    }
}
