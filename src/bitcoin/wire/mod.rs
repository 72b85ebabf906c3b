//! P2P messages: payload bytes to named values.
//!
//! [`decode`] reads a payload as the row of [`table::MESSAGES`] for its type says; nothing else knows a message's layout. What
//! comes out is a [`Value`], printable as one line or as JSON. Own code, since the crates that know the protocol bind
//! libsecp256k1, which is C.
//!
//! Sources: Bitcoin developer reference "P2P Network", BIPs 37, 130, 133, 144, 152, 155, 157, 330, 339.

mod cursor;
mod engine;
mod script;
pub mod table;
mod value;

pub use cursor::Error;
pub use engine::decode;
pub use value::{SHOWN, Value};

use sha2::{Digest, Sha256};

/// SHA-256 of the SHA-256: checksums, block and transaction ids.
pub fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    double_sha256_of(&[bytes])
}

/// The same of bytes in several places.
fn double_sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let all = parts.iter().fold(Sha256::new(), Sha256::chain_update);
    Sha256::digest(all.finalize()).into()
}
