//! The interference graph: which registers may not be the same, and which would better be.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    live::{LiveSet, live_out},
    mach::{FIRST, MFunc, Mi, R},
};

/// Multiplicative hashing of pairs of small numbers; only membership is ever asked, so order never shows.
#[derive(Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// Nodes are virtual registers, numbered from 0.
pub(super) struct Graph {
    /// Neighbours of each node.
    pub(super) adj: Vec<Vec<u32>>,
    edges: HashSet<u64, BuildHasherDefault<PairHasher>>,
    /// Machine registers each node may not have.
    pub(super) phys: Vec<u16>,
    /// What spilling costs: accesses weighted by loop depth.
    pub(super) cost: Vec<u64>,
    /// Copies, as pairs of registers.
    pub(super) moves: Vec<(R, R)>,
}

impl Graph {
    /// Whether two nodes interfere.
    pub(super) fn interferes(&self, a: u32, b: u32) -> bool {
        self.edges.contains(&key(a, b))
    }

    /// Adds an edge; false when it is there already.
    pub(super) fn connect(&mut self, a: u32, b: u32) -> bool {
        if a == b || !self.edges.insert(key(a, b)) {
            return false;
        }
        self.adj[a as usize].push(b);
        self.adj[b as usize].push(a);
        true
    }

    /// The graph of `func`; `depth` is the loop depth of each block.
    pub(super) fn build(func: &MFunc, depth: &[u32]) -> Graph {
        let nodes = (func.regs - FIRST) as usize;
        let mut graph = Graph {
            adj: vec![Vec::new(); nodes],
            edges: HashSet::default(),
            phys: vec![0; nodes],
            cost: vec![0; nodes],
            moves: Vec::new(),
        };
        let out = live_out(func);
        let mut live = LiveSet::new(func.regs);
        for (index, block) in func.blocks.iter().enumerate() {
            let weight = 8u64.pow(depth[index].min(6));
            live.reset(&out[index]);
            let mut phys = 0u16;
            block.term.each(|reg| {
                if reg >= FIRST {
                    live.insert(reg);
                    graph.cost[(reg - FIRST) as usize] += weight;
                } else {
                    phys |= 1 << reg;
                }
            });
            for inst in block.insts.iter().rev() {
                let source = match inst.op {
                    Mi::Copy { dst, src } => {
                        graph.moves.push((dst, src));
                        src
                    }
                    _ => R::MAX,
                };
                inst.op.each(|reg, role| {
                    if reg >= FIRST {
                        graph.cost[(reg - FIRST) as usize] += weight;
                    }
                    if role.writes() {
                        graph.define(reg, source, &live, phys);
                    }
                });
                inst.op.each(|reg, role| {
                    if role.writes() {
                        if reg >= FIRST {
                            live.remove(reg);
                        } else {
                            phys &= !(1 << reg);
                        }
                    }
                });
                inst.op.each(|reg, role| {
                    if role.reads() {
                        if reg >= FIRST {
                            live.insert(reg);
                        } else {
                            phys |= 1 << reg;
                        }
                    }
                });
            }
        }
        graph
    }

    /// `reg` is written while `live` and `phys` hold values, of which a copy's `source` may share its register.
    fn define(&mut self, reg: R, source: R, live: &LiveSet, phys: u16) {
        if reg < FIRST {
            for other in live.iter().filter(|&other| other != source) {
                self.phys[(other - FIRST) as usize] |= 1 << reg;
            }
            return;
        }
        let taken = if source < FIRST {
            phys & !(1 << source)
        } else {
            phys
        };
        self.phys[(reg - FIRST) as usize] |= taken;
        for other in live.iter() {
            if other != source && other != reg {
                self.connect(reg - FIRST, other - FIRST);
            }
        }
    }
}

fn key(a: u32, b: u32) -> u64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    u64::from(high) << 32 | u64::from(low)
}
