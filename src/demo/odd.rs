//! Events that no sound program fires: addresses that lead nowhere, lengths, numbers and texts beyond all bounds.

use super::data::touch;
use crate::sys::sdt;
use std::ffi::CString;

/// Fires each of them once.
pub(super) fn fire() {
    // Not UTF-8, and longer than any buffer for it.
    let name = CString::new([&b"\xff\xfe'\n"[..], &b"x".repeat(300)].concat()).unwrap_or_default();
    let nowhere: Vec<u8> = Vec::new();
    let somewhere = vec![7; 4096];
    let hash = [0xff; 32];
    touch(&[&name]);
    // 4 GB at an address that nothing is mapped at, and at one where there are some pages.
    sdt::net_inbound_message(-5, &name, &name, c"block", 1 << 32, &nowhere);
    sdt::net_inbound_message(-6, &name, &name, c"block", 1 << 32, &somewhere);
    sdt::net_outbound_message(i64::MIN, &name, &name, &name, u64::MAX, &nowhere);
    sdt::net_outbound_message(7, c"", c"", c"", 4096, &somewhere);
    sdt::net_inbound_connection(-1, &name, &name, 77, u64::MAX);
    sdt::net_outbound_connection(i64::MAX, c"", c"", u32::MAX, 0);
    sdt::net_closed_connection(-1, &name, &name, 6, i64::MIN);
    sdt::net_evicted_inbound_connection(-1, &name, &name, 6, -1);
    sdt::net_misbehaving_connection(-1, &name);
    sdt::utxocache_add(&hash, u32::MAX, u32::MAX, -1, true);
    sdt::utxocache_spent(&hash, u32::MAX, u32::MAX, i64::MIN, false);
    sdt::utxocache_uncache(&hash, 0, 0, i64::MAX, false);
    sdt::utxocache_flush(-1, 99, u64::MAX, u64::MAX, true);
    sdt::validation_block_connected(&hash, -1, u64::MAX, -1, i64::MIN, -1_000_000);
    sdt::validation_block_connected(&hash, i32::MAX, u64::MAX, i32::MIN, i64::MAX, i64::MAX);
    sdt::coin_selection_selected_coins(&name, &name, -1, i64::MIN, i64::MAX);
    sdt::coin_selection_normal_create_tx(&name, true, -1, -2);
    sdt::coin_selection_attempting_aps(&name);
    sdt::coin_selection_aps_create_tx(&name, true, true, i64::MIN, i32::MIN);
    sdt::mempool_added(&hash, -1, i64::MIN);
    sdt::mempool_removed(&hash, &name, i32::MIN, -1, u64::MAX);
    sdt::mempool_replaced(&hash, -1, -1, u64::MAX, &hash, i32::MIN, i64::MIN, false);
    sdt::mempool_rejected(&hash, &name);
}
