//! USDT probes of this binary itself: Bitcoin Core's 20 tracepoints and a bench probe, made with `asm!` and no C.
//!
//! Each function is one probe: it tests the semaphore and, only if a tracer is attached, runs a nop whose note says in which
//! registers and memory the arguments are. The layout of a note is in [`crate::usdt`].
//!
//! - The nop has one byte on x86-64. The kernel may turn a longer one into a call, which pushes onto the stack.
//! - No `nostack`: the compiler must keep nothing in the red zone below the stack pointer while a tracer may push there.
//! - `.stapsdt.base` is in a comdat group, so that a linked file has one of it; the notes point at it, prelink moves it. Its
//!   `R` (retain) keeps a linker that drops unreferenced sections from dropping it: notes do not count as references.
//! - Semaphores are read with a volatile load: nothing in this program ever writes them, the kernel does.
//!
//! Sources: `sys/sdt.h` of SystemTap for the sections; names, types and widths are those of Bitcoin Core's tracepoints.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::AtomicU16;

/// The operand of a note for an argument of a kind; the argument's name is the placeholder in the `asm!` template.
///
/// A macro, because templates must be literals. Kinds: sign and bytes (`s8 u8 s4 u4 u1`), `ptr` for the address of bytes or of
/// a C string, and `mem…` for arguments that are in memory, as compilers leave some of them.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
macro_rules! operand {
    (s8 $arg:ident) => { concat!("-8@%{", stringify!($arg), "}") };
    (u8 $arg:ident) => { concat!("8@%{", stringify!($arg), "}") };
    (ptr $arg:ident) => { concat!("8@%{", stringify!($arg), "}") };
    (s4 $arg:ident) => { concat!("-4@%{", stringify!($arg), ":e}") };
    (u4 $arg:ident) => { concat!("4@%{", stringify!($arg), ":e}") };
    (u1 $arg:ident) => { concat!("1@%{", stringify!($arg), ":l}") };
    (mem_u8 $arg:ident) => { concat!("8@(%{", stringify!($arg), "})") };
    (mem_s4 $arg:ident) => { concat!("-4@8(%{", stringify!($arg), "})") };
    (mem_s8 $arg:ident) => { concat!("-8@-8(%{", stringify!($arg), "})") };
}
/// As above.
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
macro_rules! operand {
    (s8 $arg:ident) => { concat!("-8@{", stringify!($arg), ":x}") };
    (u8 $arg:ident) => { concat!("8@{", stringify!($arg), ":x}") };
    (ptr $arg:ident) => { concat!("8@{", stringify!($arg), ":x}") };
    (s4 $arg:ident) => { concat!("-4@{", stringify!($arg), ":w}") };
    (u4 $arg:ident) => { concat!("4@{", stringify!($arg), ":w}") };
    (u1 $arg:ident) => { concat!("1@{", stringify!($arg), ":w}") };
    (mem_u8 $arg:ident) => { concat!("8@[{", stringify!($arg), ":x}]") };
    (mem_s4 $arg:ident) => { concat!("-4@[{", stringify!($arg), ":x}, 8]") };
    (mem_s8 $arg:ident) => { concat!("-8@[{", stringify!($arg), ":x}, -8]") };
}

/// The register value that stands for an argument of a kind: the argument itself, or an address from which the operand's
/// displacement leads to it.
#[rustfmt::skip]
macro_rules! value {
    (u1 $arg:ident) => { u32::from($arg) };
    (ptr $arg:ident) => { $arg.as_ptr() };
    (mem_u8 $arg:ident) => { &raw const $arg };
    (mem_s4 $arg:ident) => { (&raw const $arg).wrapping_byte_sub(8) };
    (mem_s8 $arg:ident) => { (&raw const $arg).wrapping_byte_add(8) };
    ($kind:ident $arg:ident) => { $arg };
}

/// `@` begins a comment in some assemblers, `%` does not; each architecture has its own mark for section types.
#[cfg(target_arch = "x86_64")]
macro_rules! section_type {
    ($name:literal) => {
        concat!("@", $name)
    };
}
/// As above.
#[cfg(target_arch = "aarch64")]
macro_rules! section_type {
    ($name:literal) => {
        concat!("%", $name)
    };
}

/// Puts the semaphores into a page of their own. Linkers let two segments share a page of the file; the kernel, which
/// finds a semaphore by its file offset, then counts in whichever mapping of that page comes first (`find_ref_ctr_vma` in
/// `kernel/events/uprobes.c`): with lld's layout that is the read-only end of relocated data, not the semaphore.
#[repr(align(4096))]
struct OwnPage(#[expect(dead_code, reason = "only its place matters")] AtomicU16);

#[used]
#[unsafe(link_section = ".probes")]
static OWN_PAGE: OwnPage = OwnPage(AtomicU16::new(0));

/// One probe: a semaphore and a function. A macro, because note texts must be literals.
macro_rules! probe {
    ($(#[$doc:meta])* $function:ident, $provider:literal, $name:literal, $semaphore:ident;
     $($arg:ident: $kind:ident $type:ty),+) => {
        // Atomic only to be in writable memory; see `raised`.
        #[unsafe(link_section = ".probes")]
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals, reason = "the name is part of the probe's interface")]
        static $semaphore: AtomicU16 = AtomicU16::new(0);

        $(#[$doc])*
        ///
        /// True if a tracer was attached, so that the probe fired.
        #[inline(never)]
        #[allow(clippy::too_many_arguments, reason = "one for each of the probe's arguments")]
        pub fn $function($($arg: $type),+) -> bool {
            if !raised(&$semaphore) {
                return false;
            }
            // SAFETY: the code is one nop; the rest of the text goes to sections that nothing executes.
            unsafe {
                std::arch::asm!(
                    "990: nop",
                    concat!(".pushsection .note.stapsdt,\"\",", section_type!("note")),
                    ".balign 4",
                    ".4byte 992f-991f, 994f-993f, 3",
                    "991: .asciz \"stapsdt\"",
                    "992: .balign 4",
                    "993: .8byte 990b",
                    ".8byte _.stapsdt.base",
                    ".8byte {semaphore}",
                    concat!(".asciz \"", $provider, "\""),
                    concat!(".asciz \"", $name, "\""),
                    concat!(".asciz \"", probe!(@operands $($kind $arg),+), "\""),
                    "994: .balign 4",
                    ".popsection",
                    ".ifndef _.stapsdt.base",
                    concat!(
                        ".pushsection .stapsdt.base,\"aGR\",",
                        section_type!("progbits"),
                        ",.stapsdt.base,comdat"
                    ),
                    ".weak _.stapsdt.base",
                    ".hidden _.stapsdt.base",
                    "_.stapsdt.base: .space 1",
                    ".size _.stapsdt.base, 1",
                    ".popsection",
                    ".endif",
                    semaphore = sym $semaphore,
                    $($arg = in(reg) value!($kind $arg),)+
                    options(preserves_flags, readonly),
                );
            }
            true
        }
    };
    (@operands $kind:ident $arg:ident $(, $kinds:ident $args:ident)*) => {
        concat!(operand!($kind $arg) $(, " ", operand!($kinds $args))*)
    };
}

/// Whether the kernel has raised a semaphore.
#[inline(always)]
fn raised(semaphore: &AtomicU16) -> bool {
    // SAFETY: the pointer is that of a live static, and the kernel writes whole, aligned 16-bit values.
    unsafe { semaphore.as_ptr().read_volatile() != 0 }
}

/// Whether a tracer is attached to [`net_inbound_message`].
pub fn inbound_message_watched() -> bool {
    raised(&net_inbound_message_semaphore)
}

/// Whether a tracer is attached to [`bench_tick`].
pub fn bench_tick_watched() -> bool {
    raised(&baretrace_bench_tick_semaphore)
}

probe! {
    /// `baretrace:bench_tick`: a counter, in a register.
    bench_tick, "baretrace", "bench_tick", baretrace_bench_tick_semaphore;
    count: u8 u64
}
probe! {
    /// `net:inbound_message`: peer, address, connection type, message type, size, bytes.
    net_inbound_message, "net", "inbound_message", net_inbound_message_semaphore;
    id: mem_s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, msg_type: ptr &CStr, size: mem_u8 u64, bytes: ptr &[u8]
}
probe! {
    /// `net:outbound_message`: as [`net_inbound_message`].
    net_outbound_message, "net", "outbound_message", net_outbound_message_semaphore;
    id: s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, msg_type: ptr &CStr, size: u8 u64, bytes: ptr &[u8]
}
probe! {
    /// `net:inbound_connection`: peer, address, connection type, network, number of inbound connections there are.
    net_inbound_connection, "net", "inbound_connection", net_inbound_connection_semaphore;
    id: s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, network: u4 u32, existing: u8 u64
}
probe! {
    /// `net:outbound_connection`: as [`net_inbound_connection`].
    net_outbound_connection, "net", "outbound_connection", net_outbound_connection_semaphore;
    id: s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, network: u4 u32, existing: mem_u8 u64
}
probe! {
    /// `net:evicted_inbound_connection`: peer, address, connection type, network, when it was made (Unix seconds).
    net_evicted_inbound_connection, "net", "evicted_inbound_connection", net_evicted_inbound_connection_semaphore;
    id: mem_s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, network: u4 u32, established: s8 i64
}
probe! {
    /// `net:closed_connection`: as [`net_evicted_inbound_connection`].
    net_closed_connection, "net", "closed_connection", net_closed_connection_semaphore;
    id: s8 i64, addr: ptr &CStr, conn_type: ptr &CStr, network: u4 u32, established: mem_s8 i64
}
probe! {
    /// `net:misbehaving_connection`: peer, reason.
    net_misbehaving_connection, "net", "misbehaving_connection", net_misbehaving_connection_semaphore;
    id: s8 i64, reason: ptr &CStr
}
probe! {
    /// `validation:block_connected`: hash, height, transactions, inputs, signature operations, nanoseconds.
    validation_block_connected, "validation", "block_connected", validation_block_connected_semaphore;
    hash: ptr &[u8; 32], height: s4 i32, transactions: u8 u64, inputs: mem_s4 i32, sigops: s8 i64, duration: s8 i64
}
probe! {
    /// `utxocache:flush`: microseconds, mode, coins, bytes of memory, for pruning.
    utxocache_flush, "utxocache", "flush", utxocache_flush_semaphore;
    duration: s8 i64, mode: u4 u32, coins: u8 u64, memory: mem_u8 u64, for_prune: u1 bool
}
probe! {
    /// `utxocache:add`: transaction, output, height, satoshis, coinbase.
    utxocache_add, "utxocache", "add", utxocache_add_semaphore;
    txid: ptr &[u8; 32], vout: u4 u32, height: u4 u32, value: s8 i64, coinbase: u1 bool
}
probe! {
    /// `utxocache:spent`: as [`utxocache_add`].
    utxocache_spent, "utxocache", "spent", utxocache_spent_semaphore;
    txid: ptr &[u8; 32], vout: u4 u32, height: u4 u32, value: mem_s8 i64, coinbase: u1 bool
}
probe! {
    /// `utxocache:uncache`: as [`utxocache_add`].
    utxocache_uncache, "utxocache", "uncache", utxocache_uncache_semaphore;
    txid: ptr &[u8; 32], vout: u4 u32, height: u4 u32, value: s8 i64, coinbase: u1 bool
}
probe! {
    /// `coin_selection:selected_coins`: wallet, algorithm, target, waste, selected (satoshis).
    coin_selection_selected_coins, "coin_selection", "selected_coins", coin_selection_selected_coins_semaphore;
    wallet: ptr &CStr, algorithm: ptr &CStr, target: s8 i64, waste: s8 i64, selected: mem_s8 i64
}
probe! {
    /// `coin_selection:normal_create_tx_internal`: wallet, success, fee, position of the change or -1.
    coin_selection_normal_create_tx, "coin_selection", "normal_create_tx_internal",
    coin_selection_normal_create_tx_internal_semaphore;
    wallet: ptr &CStr, success: u1 bool, fee: s8 i64, change: mem_s4 i32
}
probe! {
    /// `coin_selection:attempting_aps_create_tx`: wallet.
    coin_selection_attempting_aps, "coin_selection", "attempting_aps_create_tx",
    coin_selection_attempting_aps_create_tx_semaphore;
    wallet: ptr &CStr
}
probe! {
    /// `coin_selection:aps_create_tx_internal`: wallet, whether avoiding partial spends is used, success, fee, change position.
    coin_selection_aps_create_tx, "coin_selection", "aps_create_tx_internal",
    coin_selection_aps_create_tx_internal_semaphore;
    wallet: ptr &CStr, used: u1 bool, success: u1 bool, fee: s8 i64, change: s4 i32
}
probe! {
    /// `mempool:added`: transaction, virtual size, fee.
    mempool_added, "mempool", "added", mempool_added_semaphore;
    txid: ptr &[u8; 32], vsize: s4 i32, fee: s8 i64
}
probe! {
    /// `mempool:removed`: transaction, reason, virtual size, fee, entry time (Unix seconds).
    mempool_removed, "mempool", "removed", mempool_removed_semaphore;
    txid: ptr &[u8; 32], reason: ptr &CStr, vsize: mem_s4 i32, fee: s8 i64, entered: u8 u64
}
probe! {
    /// `mempool:replaced`: old transaction, its size, fee and entry time; new one (or package), its size and fee, whether it is a transaction.
    mempool_replaced, "mempool", "replaced", mempool_replaced_semaphore;
    old: ptr &[u8; 32], old_vsize: s4 i32, old_fee: s8 i64, entered: mem_u8 u64,
    new: ptr &[u8; 32], new_vsize: s4 i32, new_fee: s8 i64, is_tx: u1 bool
}
probe! {
    /// `mempool:rejected`: transaction, reason.
    mempool_rejected, "mempool", "rejected", mempool_rejected_semaphore;
    txid: ptr &[u8; 32], reason: ptr &CStr
}
