//! `%gr`: kernel allocation flags by name.

/// Combinations first, the largest first, then single flags (`include/linux/gfp_types.h`, as `%pGg` names them).
const FLAGS: &[(u64, &str)] = &[
    (0x100cca, "GFP_HIGHUSER_MOVABLE"),
    (0x100cc2, "GFP_HIGHUSER"),
    (0x100cc0, "GFP_USER"),
    (0x400cc0, "GFP_KERNEL_ACCOUNT"),
    (0xcc0, "GFP_KERNEL"),
    (0xc40, "GFP_NOFS"),
    (0xc00, "GFP_NOIO"),
    (0x820, "GFP_ATOMIC"),
    (0x2800, "GFP_NOWAIT"),
    (0x1, "__GFP_DMA"),
    (0x2, "__GFP_HIGHMEM"),
    (0x4, "__GFP_DMA32"),
    (0x8, "__GFP_MOVABLE"),
    (0x10, "__GFP_RECLAIMABLE"),
    (0x20, "__GFP_HIGH"),
    (0x40, "__GFP_IO"),
    (0x80, "__GFP_FS"),
    (0x100, "__GFP_ZERO"),
    (0x400, "__GFP_DIRECT_RECLAIM"),
    (0x800, "__GFP_KSWAPD_RECLAIM"),
    (0x1000, "__GFP_WRITE"),
    (0x2000, "__GFP_NOWARN"),
    (0x4000, "__GFP_RETRY_MAYFAIL"),
    (0x8000, "__GFP_NOFAIL"),
    (0x10000, "__GFP_NORETRY"),
    (0x20000, "__GFP_MEMALLOC"),
    (0x40000, "__GFP_COMP"),
    (0x80000, "__GFP_NOMEMALLOC"),
    (0x100000, "__GFP_HARDWALL"),
    (0x200000, "__GFP_THISNODE"),
    (0x400000, "__GFP_ACCOUNT"),
];

/// Appends the names, joined by `|`; what has none in hex.
pub(super) fn flags(out: &mut Vec<u8>, mut n: u64) {
    if n == 0 {
        out.push(b'0');
        return;
    }
    let start = out.len();
    for (bits, name) in FLAGS {
        if n & bits == *bits {
            n &= !bits;
            out.extend_from_slice(if out.len() > start { b"|" } else { b"" });
            out.extend_from_slice(name.as_bytes());
        }
    }
    if n != 0 {
        out.extend_from_slice(if out.len() > start { b"|" } else { b"" });
        super::int::push_hex(out, n);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (n, want) in [
            (0xcc0, "GFP_KERNEL"),
            (0x822, "GFP_ATOMIC|__GFP_HIGHMEM"),
            (0, "0"),
        ] {
            let mut out = Vec::new();
            super::flags(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
