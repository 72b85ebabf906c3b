//! What kind of output a script is.

/// The script's standard form, `nonstandard` for any other. Source: Bitcoin Core `script/solver.cpp: TxoutType`.
pub(super) fn kind(script: &[u8]) -> &'static str {
    match *script {
        [0x76, 0xa9, 20, .., 0x88, 0xac] if script.len() == 25 => "pubkeyhash",
        [0xa9, 20, .., 0x87] if script.len() == 23 => "scripthash",
        [0, 20, ..] if script.len() == 22 => "witness_v0_keyhash",
        [0, 32, ..] if script.len() == 34 => "witness_v0_scripthash",
        [0x51, 32, ..] if script.len() == 34 => "witness_v1_taproot",
        [0x51, 2, 0x4e, 0x73] => "anchor",
        [0x51..=0x60, len @ 2..=40, ..] if script.len() == usize::from(len) + 2 => {
            "witness_unknown"
        }
        [33, .., 0xac] if script.len() == 35 => "pubkey",
        [65, .., 0xac] if script.len() == 67 => "pubkey",
        [0x6a, ..] => "nulldata",
        _ => "nonstandard",
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn standard_forms() {
        let p2pkh = [&[0x76, 0xa9, 20][..], &[7; 20], &[0x88, 0xac]].concat();
        assert_eq!(kind(&p2pkh), "pubkeyhash");
        assert_eq!(kind(&p2pkh[..24]), "nonstandard");
        assert_eq!(
            kind(&[&[0x51, 32][..], &[1; 32]].concat()),
            "witness_v1_taproot"
        );
        assert_eq!(kind(&[&[0x52, 3][..], &[1; 3]].concat()), "witness_unknown");
        assert_eq!(kind(&[0x51, 2, 0x4e, 0x73]), "anchor");
        assert_eq!(kind(&[0x6a]), "nulldata");
        assert_eq!(kind(&[]), "nonstandard");
    }
}
