//! What happens in the demo target: one round of a node's life, event by event.

use std::ffi::CStr;

use crate::demo::data::{Numbers, PEERS, Peer, REJECTION, REMOVAL, hex, payload, touch};
use crate::sys::sdt;

/// When the story begins: 2026-01-01, in Unix seconds. No clock is read, so that each run is the same.
const EPOCH: i64 = 1_767_225_600;

/// Probes that differ only in their name.
type MessageProbe = fn(i64, &CStr, &CStr, &CStr, u64, &[u8]) -> bool;
/// As above, for connections.
type ConnectionProbe = fn(i64, &CStr, &CStr, u32, u64) -> bool;
/// As above, for the coins of the cache.
type CoinProbe = fn(&[u8; 32], u32, u32, i64, bool) -> bool;

/// A wallet's name.
const WALLET: &CStr = c"hot";

/// Tells the story of one thread: fires the probes, and hands a line for each that fired to `seen`.
///
/// A line is the probe's name and its arguments, divided by tabs: numbers in decimal, hashes as people write them, a message's
/// bytes as hex of the first 16.
pub(super) struct Story<'s> {
    numbers: Numbers,
    height: u32,
    round: u64,
    /// Longest payload in bytes.
    payload: usize,
    /// Called after each event, with its line if it fired and lines are wanted; false ends the story.
    seen: &'s mut dyn FnMut(Option<String>) -> bool,
    /// Whether lines are wanted.
    print: bool,
    /// Whether a line is wanted for what did not fire, too.
    always: bool,
    /// False once `seen` said so.
    going: bool,
}

impl<'s> Story<'s> {
    pub(super) fn new(
        seed: u64,
        payload: usize,
        print: bool,
        seen: &'s mut dyn FnMut(Option<String>) -> bool,
    ) -> Story<'s> {
        Story {
            numbers: Numbers::new(seed),
            height: 930_000,
            round: 0,
            payload,
            seen,
            print,
            always: false,
            going: true,
        }
    }

    /// Hands out a line for each event, fired or not.
    pub(super) fn always(mut self) -> Self {
        (self.print, self.always) = (true, true);
        self
    }

    /// One round, in which each of the 20 tracepoints fires at least once. False when the story is at its end.
    pub(super) fn round(&mut self) -> bool {
        let peer = &PEERS[self.round as usize % PEERS.len()];
        self.handshake(peer);
        self.keep_alive(peer);
        let txid = self.transaction(peer);
        self.wallet();
        self.block(peer, &txid);
        self.cleaning(peer);
        self.round += 1;
        self.going
    }

    fn tell(&mut self, fired: bool, line: impl FnOnce() -> String) {
        if self.going {
            let line = (self.print && (fired || self.always)).then(line);
            self.going = (self.seen)(line);
        }
    }

    fn now(&self) -> i64 {
        EPOCH.saturating_add_unsigned(self.round.saturating_mul(600))
    }

    fn message(&mut self, inbound: bool, peer: &Peer, kind: &CStr, len: usize) {
        let bytes = payload(len.min(self.payload), self.numbers.next());
        let (name, probe): (_, MessageProbe) = match inbound {
            true => ("inbound", sdt::net_inbound_message),
            false => ("outbound", sdt::net_outbound_message),
        };
        let size = bytes.len() as u64;
        touch(&[peer.addr, peer.conn_type, kind]);
        let fired = probe(peer.id, peer.addr, peer.conn_type, kind, size, &bytes);
        self.tell(fired, || {
            let head: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
            let [addr, conn_type, kind] =
                [peer.addr, peer.conn_type, kind].map(CStr::to_string_lossy);
            format!(
                "net:{name}_message\t{}\t{addr}\t{conn_type}\t{kind}\t{size}\t{head}",
                peer.id
            )
        });
    }

    fn handshake(&mut self, peer: &Peer) {
        let existing = self.round % PEERS.len() as u64;
        self.connect(peer, existing);
        // Each round has one of both directions, so that no probe is ever silent.
        let other = &PEERS[if peer.inbound { 0 } else { 3 }];
        self.connect(other, existing);
        self.message(peer.inbound, peer, c"version", 102);
        self.message(!peer.inbound, peer, c"version", 102);
        for kind in [c"wtxidrelay", c"sendaddrv2", c"verack"] {
            self.message(true, peer, kind, 0);
            self.message(false, peer, kind, 0);
        }
    }

    fn connect(&mut self, peer: &Peer, existing: u64) {
        let (name, probe): (_, ConnectionProbe) = match peer.inbound {
            true => ("inbound", sdt::net_inbound_connection),
            false => ("outbound", sdt::net_outbound_connection),
        };
        touch(&[peer.addr, peer.conn_type]);
        let fired = probe(peer.id, peer.addr, peer.conn_type, peer.network, existing);
        self.tell(fired, || connection(name, peer, existing.cast_signed()));
    }

    fn keep_alive(&mut self, peer: &Peer) {
        self.message(false, peer, c"ping", 8);
        self.message(true, peer, c"pong", 8);
        self.message(true, peer, c"feefilter", 8);
    }

    /// A transaction comes in; the mempool takes it, refuses another one, and replaces a third.
    fn transaction(&mut self, peer: &Peer) -> [u8; 32] {
        let items = 1 + self.numbers.next() as usize % 35;
        self.message(true, peer, c"inv", 1 + 36 * items);
        self.message(false, peer, c"getdata", 37);
        let len = self.numbers.between(190, 700);
        self.message(true, peer, c"tx", usize::try_from(len).unwrap_or(0));
        let (txid, vsize) = (self.numbers.hash(), len as i32 - 80);
        let fee = self.numbers.between(200, 20_000);
        let fired = sdt::mempool_added(&txid, vsize, fee);
        self.tell(fired, || {
            format!("mempool:added\t{}\t{vsize}\t{fee}", hex(&txid))
        });
        let (refused, reason) = (
            self.numbers.hash(),
            REJECTION[self.round as usize % REJECTION.len()],
        );
        touch(&[reason]);
        let fired = sdt::mempool_rejected(&refused, reason);
        self.tell(fired, || {
            format!(
                "mempool:rejected\t{}\t{}",
                hex(&refused),
                reason.to_string_lossy()
            )
        });
        let (new, higher, is_tx) = (
            self.numbers.hash(),
            fee + vsize as i64 * 2,
            self.round.is_multiple_of(2),
        );
        let entered = self.now().cast_unsigned() - 61;
        let fired =
            sdt::mempool_replaced(&txid, vsize, fee, entered, &new, vsize + 1, higher, is_tx);
        self.tell(fired, || {
            format!(
                "mempool:replaced\t{}\t{vsize}\t{fee}\t{entered}\t{}\t{}\t{higher}\t{}",
                hex(&txid),
                hex(&new),
                vsize + 1,
                u8::from(is_tx)
            )
        });
        new
    }

    /// The wallet makes a payment.
    fn wallet(&mut self) {
        let target = self.numbers.between(10_000, 500_000_000);
        let (waste, selected) = (self.numbers.between(-5_000, 5_000), target + 12_345);
        let algorithm = [c"bnb", c"knapsack", c"srd", c"cg"][self.round as usize % 4];
        touch(&[WALLET, algorithm]);
        let fired = sdt::coin_selection_selected_coins(WALLET, algorithm, target, waste, selected);
        self.tell(fired, || {
            let algorithm = algorithm.to_string_lossy();
            format!(
                "coin_selection:selected_coins\thot\t{algorithm}\t{target}\t{waste}\t{selected}"
            )
        });
        let (success, fee) = (
            !self.round.is_multiple_of(7),
            self.numbers.between(150, 3_000),
        );
        let change = self.numbers.between(-1, 1) as i32;
        let fired = sdt::coin_selection_normal_create_tx(WALLET, success, fee, change);
        self.tell(fired, || {
            format!(
                "coin_selection:normal_create_tx_internal\thot\t{}\t{fee}\t{change}",
                u8::from(success)
            )
        });
        let fired = sdt::coin_selection_attempting_aps(WALLET);
        self.tell(fired, || {
            "coin_selection:attempting_aps_create_tx\thot".to_owned()
        });
        let used = self.round.is_multiple_of(3);
        let fired = sdt::coin_selection_aps_create_tx(WALLET, used, success, fee + 7, change);
        self.tell(fired, || {
            let [used, success] = [used, success].map(u8::from);
            format!(
                "coin_selection:aps_create_tx_internal\thot\t{used}\t{success}\t{}\t{change}",
                fee + 7
            )
        });
    }

    /// A block comes in: coins are spent and made, its transaction leaves the mempool, the cache is written out.
    fn block(&mut self, peer: &Peer, txid: &[u8; 32]) {
        self.height += 1;
        self.message(true, peer, c"headers", 82);
        self.message(false, peer, c"getdata", 37);
        self.message(true, peer, c"block", self.payload);
        let coins: [(_, CoinProbe, _, _); 4] = [
            ("spent", sdt::utxocache_spent, self.height - 7, false),
            ("add", sdt::utxocache_add, self.height, true),
            ("add", sdt::utxocache_add, self.height, false),
            ("uncache", sdt::utxocache_uncache, self.height - 100, false),
        ];
        for (name, probe, height, coinbase) in coins {
            let (id, vout) = (self.numbers.hash(), self.numbers.next() as u32 % 5);
            let value = match coinbase {
                true => 312_500_000 + self.numbers.between(0, 9_999_999),
                false => self.numbers.between(546, 2_100_000_000_000_000),
            };
            let fired = probe(&id, vout, height, value, coinbase);
            self.tell(fired, || {
                let coinbase = u8::from(coinbase);
                format!(
                    "utxocache:{name}\t{}\t{vout}\t{height}\t{value}\t{coinbase}",
                    hex(&id)
                )
            });
        }
        let (vsize, fee, entered) = (141, 2_820, self.now().cast_unsigned() - 30);
        let reason = REMOVAL[self.round as usize % REMOVAL.len()];
        touch(&[reason]);
        let fired = sdt::mempool_removed(txid, reason, vsize, fee, entered);
        self.tell(fired, || {
            let reason = reason.to_string_lossy();
            format!(
                "mempool:removed\t{}\t{reason}\t{vsize}\t{fee}\t{entered}",
                hex(txid)
            )
        });
        let (hash, height) = (self.numbers.block_hash(), self.height.cast_signed());
        let (transactions, inputs) = (
            self.numbers.next() % 4_000 + 1,
            self.numbers.between(1, 9_000) as i32,
        );
        let (sigops, duration) = (
            self.numbers.between(1, 80_000),
            self.numbers.between(2_000_000, 400_000_000),
        );
        let fired =
            sdt::validation_block_connected(&hash, height, transactions, inputs, sigops, duration);
        self.tell(fired, || {
            let hash = hex(&hash);
            format!("validation:block_connected\t{hash}\t{height}\t{transactions}\t{inputs}\t{sigops}\t{duration}")
        });
        let (duration, mode) = (self.numbers.between(100, 900_000), self.round as u32 % 5);
        let (coins, for_prune) = (
            self.numbers.next() % 1_000_000,
            self.round.is_multiple_of(4),
        );
        let memory = coins * 180;
        let fired = sdt::utxocache_flush(duration, mode, coins, memory, for_prune);
        self.tell(fired, || {
            let for_prune = u8::from(for_prune);
            format!("utxocache:flush\t{duration}\t{mode}\t{coins}\t{memory}\t{for_prune}")
        });
    }

    /// Peers go.
    fn cleaning(&mut self, peer: &Peer) {
        let (guest, established) = (&PEERS[3], self.now() - 3_600);
        let misdeed = c"getdata message size = 50001";
        touch(&[misdeed, guest.addr, guest.conn_type]);
        let fired = sdt::net_misbehaving_connection(guest.id, misdeed);
        self.tell(fired, || {
            format!(
                "net:misbehaving_connection\t{}\tgetdata message size = 50001",
                guest.id
            )
        });
        let fired = sdt::net_evicted_inbound_connection(
            guest.id,
            guest.addr,
            guest.conn_type,
            guest.network,
            established,
        );
        self.tell(fired, || connection("evicted_inbound", guest, established));
        let fired = sdt::net_closed_connection(
            peer.id,
            peer.addr,
            peer.conn_type,
            peer.network,
            established,
        );
        self.tell(fired, || connection("closed", peer, established));
    }
}

/// The line of a connection event.
fn connection(name: &str, peer: &Peer, last: i64) -> String {
    let [addr, conn_type] = [peer.addr, peer.conn_type].map(CStr::to_string_lossy);
    format!(
        "net:{name}_connection\t{}\t{addr}\t{conn_type}\t{}\t{last}",
        peer.id, peer.network
    )
}
