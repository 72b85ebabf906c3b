//! Register allocation: iterated register coalescing (George and Appel, 1996) on the interference graph.

use super::{
    graph::Graph,
    mach::{COLORS, FIRST, R},
};

/// Order in which free registers are tried: those a call clobbers first, as kept ones cost a push and a pop.
const ORDER: [u8; 10] = [1, 2, 3, 4, 5, 0, 6, 7, 8, 9];

/// What came of it.
pub(super) struct Coloring {
    /// The machine register of each node.
    pub(super) color: Vec<u8>,
    /// The node that stands for each node after coalescing.
    pub(super) alias: Vec<u32>,
    /// Nodes (of those that stand for themselves) that found no register.
    pub(super) spilled: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Simplify,
    Freeze,
    Spill,
    Stacked,
    Coalesced,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Move {
    Waiting,
    Ready,
    Done,
}

struct Colorer {
    graph: Graph,
    degree: Vec<u32>,
    state: Vec<State>,
    alias: Vec<u32>,
    moves_of: Vec<Vec<u32>>,
    moves: Vec<Move>,
    simplify: Vec<u32>,
    freeze: Vec<u32>,
    spill: Vec<u32>,
    ready: Vec<u32>,
    stack: Vec<u32>,
}

/// Gives each node of `graph` a register. Nodes from `unspillable` on are never chosen to be spilled.
pub(super) fn color(graph: Graph, unspillable: u32) -> Coloring {
    let nodes = graph.adj.len();
    let mut c = Colorer {
        degree: (0..nodes)
            .map(|n| graph.adj[n].len() as u32 + graph.phys[n].count_ones())
            .collect(),
        state: vec![State::Simplify; nodes],
        alias: (0..nodes as u32).collect(),
        moves_of: vec![Vec::new(); nodes],
        moves: vec![Move::Ready; graph.moves.len()],
        simplify: Vec::new(),
        freeze: Vec::new(),
        spill: Vec::new(),
        ready: (0..graph.moves.len() as u32).rev().collect(),
        stack: Vec::with_capacity(nodes),
        graph,
    };
    for node in unspillable as usize..nodes {
        c.graph.cost[node] = u64::MAX / 4;
    }
    for (index, &(a, b)) in c.graph.moves.iter().enumerate() {
        for end in [a, b] {
            if end >= FIRST {
                c.moves_of[(end - FIRST) as usize].push(index as u32);
            }
        }
    }
    for node in (0..nodes as u32).rev() {
        c.place(node);
    }
    c.run();
    c.assign()
}

impl Colorer {
    /// Puts a node on the list it belongs to.
    fn place(&mut self, node: u32) {
        let at = node as usize;
        if self.degree[at] >= COLORS {
            self.state[at] = State::Spill;
            self.spill.push(node);
        } else if self.move_related(node) {
            self.state[at] = State::Freeze;
            self.freeze.push(node);
        } else {
            self.state[at] = State::Simplify;
            self.simplify.push(node);
        }
    }

    fn run(&mut self) {
        loop {
            if let Some(node) = self.simplify.pop() {
                if self.state[node as usize] == State::Simplify {
                    self.push(node);
                }
            } else if let Some(m) = self.ready.pop() {
                if self.moves[m as usize] == Move::Ready {
                    self.coalesce(m);
                }
            } else if let Some(node) = self.freeze.pop() {
                if self.state[node as usize] == State::Freeze {
                    self.state[node as usize] = State::Simplify;
                    self.simplify.push(node);
                    self.freeze_moves(node);
                }
            } else if !self.choose_spill() {
                return;
            }
        }
    }

    fn present(&self, node: u32) -> bool {
        !matches!(self.state[node as usize], State::Stacked | State::Coalesced)
    }

    fn move_related(&self, node: u32) -> bool {
        self.moves_of[node as usize]
            .iter()
            .any(|&m| self.moves[m as usize] != Move::Done)
    }

    /// Takes a node out of the graph, to be coloured after those that remain.
    fn push(&mut self, node: u32) {
        self.state[node as usize] = State::Stacked;
        self.stack.push(node);
        for at in 0..self.graph.adj[node as usize].len() {
            let other = self.graph.adj[node as usize][at];
            if self.present(other) {
                self.lower(other);
            }
        }
    }

    /// A neighbour of `node` has gone.
    fn lower(&mut self, node: u32) {
        let degree = self.degree[node as usize];
        self.degree[node as usize] -= 1;
        if degree != COLORS {
            return;
        }
        self.enable_moves(node);
        for at in 0..self.graph.adj[node as usize].len() {
            let other = self.graph.adj[node as usize][at];
            if self.present(other) {
                self.enable_moves(other);
            }
        }
        if self.state[node as usize] == State::Spill {
            self.place(node);
        }
    }

    fn enable_moves(&mut self, node: u32) {
        for at in 0..self.moves_of[node as usize].len() {
            let m = self.moves_of[node as usize][at];
            if self.moves[m as usize] == Move::Waiting {
                self.moves[m as usize] = Move::Ready;
                self.ready.push(m);
            }
        }
    }

    fn resolve(&self, reg: R) -> R {
        if reg < FIRST {
            return reg;
        }
        let mut node = reg - FIRST;
        while self.state[node as usize] == State::Coalesced {
            node = self.alias[node as usize];
            if node >= u32::MAX - 16 {
                return u32::MAX - node;
            }
        }
        FIRST + node
    }

    fn coalesce(&mut self, m: u32) {
        let (a, b) = self.graph.moves[m as usize];
        let (a, b) = (self.resolve(a), self.resolve(b));
        // A machine register first.
        let (keep, gone) = if b < FIRST { (b, a) } else { (a, b) };
        if keep == gone {
            self.moves[m as usize] = Move::Done;
            self.relax(keep);
            return;
        }
        if gone < FIRST || keep == 10 {
            self.moves[m as usize] = Move::Done;
            self.relax(gone);
            return;
        }
        let v = gone - FIRST;
        if keep < FIRST {
            if self.graph.phys[v as usize] & 1 << keep != 0 {
                self.moves[m as usize] = Move::Done;
                self.relax(gone);
            } else if self.fits_phys(keep, v) {
                self.moves[m as usize] = Move::Done;
                self.combine_phys(keep, v);
            } else {
                self.moves[m as usize] = Move::Waiting;
            }
            return;
        }
        let u = keep - FIRST;
        if self.graph.interferes(u, v) {
            self.moves[m as usize] = Move::Done;
            self.relax(keep);
            self.relax(gone);
        } else if self.briggs(u, v) || self.george(u, v) || self.george(v, u) {
            self.moves[m as usize] = Move::Done;
            self.combine(u, v);
            self.relax(keep);
        } else {
            self.moves[m as usize] = Move::Waiting;
        }
    }

    /// A move of `reg` is settled: it may be simple now.
    fn relax(&mut self, reg: R) {
        if reg < FIRST {
            return;
        }
        let node = reg - FIRST;
        let at = node as usize;
        if self.state[at] == State::Freeze && self.degree[at] < COLORS && !self.move_related(node) {
            self.state[at] = State::Simplify;
            self.simplify.push(node);
        }
    }

    fn fits_phys(&self, reg: R, v: u32) -> bool {
        self.graph.adj[v as usize].iter().all(|&t| {
            !self.present(t)
                || self.degree[t as usize] < COLORS
                || self.graph.phys[t as usize] & 1 << reg != 0
        })
    }

    fn briggs(&self, u: u32, v: u32) -> bool {
        let taken = self.graph.phys[u as usize] | self.graph.phys[v as usize];
        let mut significant = taken.count_ones();
        for &t in &self.graph.adj[u as usize] {
            if self.present(t) {
                let shared = u32::from(self.graph.interferes(t, v));
                significant += u32::from(self.degree[t as usize] - shared >= COLORS);
            }
        }
        for &t in &self.graph.adj[v as usize] {
            if self.present(t) && !self.graph.interferes(t, u) {
                significant += u32::from(self.degree[t as usize] >= COLORS);
            }
        }
        significant < COLORS
    }

    /// Whether everything that constrains `v` constrains `u` already.
    fn george(&self, u: u32, v: u32) -> bool {
        self.graph.phys[v as usize] & !self.graph.phys[u as usize] == 0
            && self.graph.adj[v as usize].iter().all(|&t| {
                !self.present(t) || self.degree[t as usize] < COLORS || self.graph.interferes(t, u)
            })
    }

    fn combine_phys(&mut self, reg: R, v: u32) {
        self.state[v as usize] = State::Coalesced;
        self.alias[v as usize] = u32::MAX - reg;
        for at in 0..self.graph.adj[v as usize].len() {
            let t = self.graph.adj[v as usize][at];
            let had = self.graph.phys[t as usize] & 1 << reg != 0;
            self.graph.phys[t as usize] |= 1 << reg;
            if self.present(t) && had {
                self.lower(t);
            }
        }
        self.enable_moves(v);
        for at in 0..self.moves_of[v as usize].len() {
            let (a, b) = self.graph.moves[self.moves_of[v as usize][at] as usize];
            self.retry(a);
            self.retry(b);
        }
    }

    /// Keeps a node whose partner got a machine register on a list.
    fn retry(&mut self, reg: R) {
        let reg = self.resolve(reg);
        self.relax(reg);
    }

    fn combine(&mut self, u: u32, v: u32) {
        self.state[v as usize] = State::Coalesced;
        self.alias[v as usize] = u;
        self.graph.cost[u as usize] =
            self.graph.cost[u as usize].saturating_add(self.graph.cost[v as usize]);
        let moves = self.moves_of[v as usize].clone();
        self.moves_of[u as usize].extend(moves);
        self.enable_moves(u);
        let before = self.graph.phys[u as usize];
        self.graph.phys[u as usize] |= self.graph.phys[v as usize];
        self.degree[u as usize] += (self.graph.phys[u as usize] & !before).count_ones();
        for at in 0..self.graph.adj[v as usize].len() {
            let t = self.graph.adj[v as usize][at];
            let fresh = self.graph.connect(t, u);
            if self.present(t) {
                if fresh {
                    // One neighbour for another: `t` keeps its degree.
                    self.degree[u as usize] += 1;
                } else {
                    self.lower(t);
                }
            }
        }
        if self.degree[u as usize] >= COLORS && self.state[u as usize] == State::Freeze {
            self.state[u as usize] = State::Spill;
            self.spill.push(u);
        }
    }

    fn freeze_moves(&mut self, node: u32) {
        for at in 0..self.moves_of[node as usize].len() {
            let m = self.moves_of[node as usize][at] as usize;
            if self.moves[m] == Move::Done {
                continue;
            }
            self.moves[m] = Move::Done;
            let (a, b) = self.graph.moves[m];
            let (a, b) = (self.resolve(a), self.resolve(b));
            self.relax(if a == FIRST + node { b } else { a });
        }
    }

    /// Picks the cheapest node per neighbour to go on the stack without a promise of a register.
    fn choose_spill(&mut self) -> bool {
        let state = &self.state;
        self.spill.retain(|&n| state[n as usize] == State::Spill);
        self.spill.sort_unstable();
        self.spill.dedup();
        let best = self.spill.iter().copied().min_by(|&a, &b| {
            let rate = |n: u32| {
                u128::from(self.graph.cost[n as usize]) * 1000
                    / u128::from(self.degree[n as usize].max(1))
            };
            rate(a).cmp(&rate(b)).then(a.cmp(&b))
        });
        let Some(node) = best else { return false };
        self.state[node as usize] = State::Simplify;
        self.simplify.push(node);
        self.freeze_moves(node);
        true
    }

    fn assign(mut self) -> Coloring {
        let nodes = self.alias.len();
        let mut color = vec![u8::MAX; nodes];
        let mut spilled = Vec::new();
        while let Some(node) = self.stack.pop() {
            let mut taken = self.graph.phys[node as usize];
            for &other in &self.graph.adj[node as usize] {
                if self.state[other as usize] != State::Coalesced && color[other as usize] < 10 {
                    taken |= 1 << color[other as usize];
                }
            }
            match self.pick(node, taken, &color) {
                Some(reg) => color[node as usize] = reg,
                None => spilled.push(node),
            }
        }
        let mut alias: Vec<u32> = (0..nodes as u32).collect();
        for node in 0..nodes as u32 {
            if self.state[node as usize] != State::Coalesced {
                continue;
            }
            match self.resolve(FIRST + node) {
                reg if reg < FIRST => color[node as usize] = reg as u8,
                rep => {
                    color[node as usize] = color[(rep - FIRST) as usize];
                    alias[node as usize] = rep - FIRST;
                }
            }
        }
        spilled.sort_unstable();
        Coloring {
            color,
            alias,
            spilled,
        }
    }

    /// A free register, that of a copy's other end where possible.
    fn pick(&self, node: u32, taken: u16, color: &[u8]) -> Option<u8> {
        for &m in &self.moves_of[node as usize] {
            let (a, b) = self.graph.moves[m as usize];
            for end in [self.resolve(a), self.resolve(b)] {
                let want = if end < FIRST {
                    end as u8
                } else {
                    color[(end - FIRST) as usize]
                };
                if want < 10 && taken & 1 << want == 0 {
                    return Some(want);
                }
            }
        }
        ORDER.into_iter().find(|&reg| taken & 1 << reg == 0)
    }
}
