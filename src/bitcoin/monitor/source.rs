//! From hits of tracepoints to what the monitors count.

use crate::trace::{self, TraceError, Value};

use super::{
    mempool,
    peers::{self, Peer},
};

/// What the monitor of peers subscribes to; no payloads.
pub const PEERS: &[&str] = &[
    "net:inbound_message",
    "net:outbound_message",
    "net:inbound_connection",
    "net:outbound_connection",
    "net:evicted_inbound_connection",
    "net:closed_connection",
    "net:misbehaving_connection",
];

/// What the monitor of the mempool subscribes to.
pub const MEMPOOL: &[&str] = &[
    "mempool:added",
    "mempool:removed",
    "mempool:replaced",
    "mempool:rejected",
];

/// A hit of one of [`PEERS`]; `None` for any other probe.
///
/// # Errors
/// [`TraceError::NoArg`], [`TraceError::Type`]: the subscription leaves an argument out, or the binary means another thing by it.
pub fn peer_event(hit: &trace::Event) -> Result<Option<peers::Event>, TraceError> {
    let peer = |id| {
        Ok::<Peer, TraceError>(Peer {
            id: hit.int(id)?,
            addr: hit.text("addr")?.into_owned(),
            conn_type: hit.text("conn_type")?.into_owned(),
        })
    };
    Ok(Some(match hit.short_name() {
        name @ ("inbound_message" | "outbound_message") => peers::Event::Message {
            peer: peer("peer_id")?,
            msg_type: hit.text("msg_type")?.into_owned(),
            size: unsigned(hit, "size")?,
            inbound: name == "inbound_message",
        },
        "inbound_connection" | "outbound_connection" => peers::Event::Connected {
            peer: peer("id")?,
            network: hit.text("network")?.into_owned(),
        },
        name @ ("closed_connection" | "evicted_inbound_connection") => peers::Event::Closed {
            peer: peer("id")?,
            network: hit.text("network")?.into_owned(),
            established: unsigned(hit, "established")?,
            evicted: name == "evicted_inbound_connection",
        },
        "misbehaving_connection" => peers::Event::Misbehaving {
            id: hit.int("id")?,
            reason: hit.text("reason")?.into_owned(),
        },
        _ => return Ok(None),
    }))
}

/// A hit of one of [`MEMPOOL`]; `None` for any other probe.
///
/// # Errors
/// [`TraceError::NoArg`], [`TraceError::Type`]: the subscription leaves an argument out, or the binary means another thing by it.
pub fn mempool_event(hit: &trace::Event) -> Result<Option<mempool::Event>, TraceError> {
    // A hash that could not be read is shown as such; the event counts.
    let txid = |name| {
        hit.get(name)
            .map_or_else(String::new, |value: Value| value.to_string())
    };
    Ok(Some(match hit.short_name() {
        "added" => mempool::Event::Added {
            txid: txid("txid"),
            vsize: hit.int("vsize")?,
            fee: hit.int("fee")?,
        },
        "removed" => mempool::Event::Removed {
            txid: txid("txid"),
            reason: hit.text("reason")?.into_owned(),
            vsize: hit.int("vsize")?,
            fee: hit.int("fee")?,
            entry_s: unsigned(hit, "entry_time")?,
        },
        "replaced" => mempool::Event::Replaced {
            txid: txid("txid"),
            vsize: hit.int("vsize")?,
            fee: hit.int("fee")?,
            entry_s: unsigned(hit, "entry_time")?,
            by: txid("new_id"),
            by_vsize: hit.int("new_vsize")?,
            by_fee: hit.int("new_fee")?,
        },
        "rejected" => mempool::Event::Rejected {
            txid: txid("txid"),
            reason: hit.text("reason")?.into_owned(),
        },
        _ => return Ok(None),
    }))
}

/// A number that has no sign; 0 for what a wrong binary makes negative.
fn unsigned(hit: &trace::Event, name: &str) -> Result<u64, TraceError> {
    Ok(u64::try_from(hit.int(name)?).unwrap_or(0))
}
