//! Registers and user memory of an invented process at a probe, such that the probe's arguments are what was asked for.
//!
//! What does not depend on the arguments is laid out once for a site ([`Layout::new`]): base registers get addresses far
//! apart, memory operands their place in a segment. What does is filled in for each event ([`Layout::fill`]).

use std::fmt;

use super::events::Value;
use crate::{
    bitcoin::tracepoint::{Argument, Kind, Tracepoint},
    lower::abi::{Abi, abi},
    spec::{Arch, ArgLoc, IndexExt, UsdtArg},
    vm::Memory,
};

/// Bytes of a context: `struct pt_regs` of any architecture, and what follows it in `struct bpf_perf_event_data`.
pub(crate) const CTX_SIZE: usize = 384;
/// Where strings and bytes begin.
const OBJECTS: u64 = 0x7f00_0000_0000;
/// Unmapped bytes between two of them, at least.
const GAP: u64 = 4096;
/// What registers that serve as bases point to, `BASE_STEP` apart.
const BASES: u64 = 0x7ffc_0000_0000;
const BASE_STEP: u64 = 1 << 32;
/// What index registers hold that nothing else decides: the first one this, the second one twice as much.
const INDEX: u64 = 1000;
/// The same, for an index without a base, which has to lead to memory by itself.
const LONE_INDEX: u64 = 1 << 20;
/// Vaddr of the probed instruction.
const IP: u64 = 0x5555_5555_1000;
/// Memory operands that are nearer to each other than this share a segment.
const NEAR: u64 = 256;
/// Arguments on the stack that a function probe has room for.
const STACK_ARGS: usize = 16;

/// Where an argument is put.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It is that number, whatever the event says.
    Const(i64),
    /// Offset in the context.
    Reg(usize),
    /// Segment, and offset in it.
    Memory(usize, usize),
    /// In memory, at an address that another argument decides.
    Through {
        base: Option<u16>,
        index: Option<(u16, u8, IndexExt)>,
        disp: i64,
    },
    /// Nothing can read it.
    Nowhere,
}

#[derive(Clone, Debug)]
struct Slot {
    size: usize,
    place: Place,
    /// The operand, for messages.
    text: String,
    /// What the argument is, if that is known.
    known: Option<&'static Argument>,
}

/// How one site gets its arguments.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    slots: Vec<Slot>,
    ctx: Vec<u8>,
    segments: Vec<(u64, Vec<u8>)>,
    /// Places of two arguments overlap: what was written must be remembered.
    overlap: bool,
    /// All arguments must be there.
    strict: bool,
    /// Where a return value goes.
    ret: Slot,
}

/// An argument that cannot be what the event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArgError {
    /// What is wrong, beginning with the argument.
    pub(super) what: String,
    /// Another site of the same probe may do.
    pub(super) elsewhere: bool,
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Layout {
    /// Of a USDT probe's site.
    pub(super) fn new(arch: Arch, args: &[UsdtArg], known: Option<&'static Tracepoint>) -> Layout {
        let abi = abi(arch);
        let mut layout = Layout::empty(abi, true);
        let decided = |reg: u16| {
            args.iter()
                .any(|arg| matches!(arg.loc, ArgLoc::Reg { reg: r } if r == reg))
        };
        // Registers that no argument is in, and what they hold.
        let mut free: Vec<(u16, u64)> = vec![(abi.ip, IP)];
        let (mut bases, mut indices) = (0, 0);
        for arg in args {
            let ArgLoc::Mem { base, index, .. } = &arg.loc else {
                continue;
            };
            let index = index.map(|(reg, ..)| reg);
            for (reg, is_base) in [(*base, true), (index, false)] {
                let Some(reg) = reg.filter(|r| !decided(*r) && free.iter().all(|f| f.0 != *r))
                else {
                    continue;
                };
                if is_base {
                    free.push((reg, BASES + BASE_STEP * bases));
                    bases += 1;
                } else {
                    indices += 1;
                    let step = if base.is_some() { INDEX } else { LONE_INDEX };
                    free.push((reg, step * indices));
                }
            }
        }
        for (reg, value) in &free {
            layout.set_register(usize::from(*reg), *value);
        }
        for (number, arg) in args.iter().enumerate() {
            let size = usize::from(arg.size).clamp(1, 8);
            let place = match &arg.loc {
                ArgLoc::Const(value) => Place::Const(*value),
                ArgLoc::Reg { reg } => Place::Reg(usize::from(*reg)),
                ArgLoc::Unreadable(_) => Place::Nowhere,
                ArgLoc::IpRel { delta } => layout.memory(IP.wrapping_add_signed(*delta), size),
                ArgLoc::Mem { base, index, disp } => {
                    let registers = [*base, index.map(|(reg, ..)| reg)];
                    if registers.into_iter().flatten().any(decided) {
                        Place::Through {
                            base: *base,
                            index: *index,
                            disp: *disp,
                        }
                    } else {
                        let addr = address(&layout.ctx, *base, *index, *disp);
                        layout.memory(addr, size)
                    }
                }
            };
            layout.slots.push(Slot {
                size,
                place,
                text: arg.text.clone(),
                known: known.and_then(|t| t.args.get(number)),
            });
        }
        layout.overlap = layout.has_overlap();
        layout
    }

    /// Of a function: arguments by calling convention, any number of them.
    pub(super) fn function(arch: Arch) -> Layout {
        let abi = abi(arch);
        let mut layout = Layout::empty(abi, false);
        layout.set_register(usize::from(abi.ip), IP);
        layout.set_register(usize::from(abi.sp), BASES);
        let registers = abi.args.iter().map(|reg| Place::Reg(usize::from(*reg)));
        let mut places: Vec<Place> = registers.collect();
        let stack = BASES.wrapping_add_signed(abi.stack_args);
        for nth in 0..STACK_ARGS {
            places.push(layout.memory(stack + 8 * nth as u64, 8));
        }
        layout.slots = places.into_iter().map(whole).collect();
        layout
    }

    fn empty(abi: &Abi, strict: bool) -> Layout {
        Layout {
            slots: Vec::new(),
            ctx: vec![0; CTX_SIZE],
            segments: Vec::new(),
            overlap: false,
            strict,
            ret: whole(Place::Reg(usize::from(abi.ret))),
        }
    }

    fn set_register(&mut self, at: usize, value: u64) {
        put(&mut self.ctx, at, &value.to_ne_bytes());
    }

    /// Room for an operand in memory: in a segment that is near, or in one of its own.
    fn memory(&mut self, addr: u64, size: usize) -> Place {
        let end = addr.wrapping_add(size as u64);
        for (number, (start, bytes)) in self.segments.iter_mut().enumerate() {
            let last = *start + bytes.len() as u64;
            if addr >= *start && addr <= last + NEAR {
                let at = usize::try_from(addr - *start).unwrap_or(0);
                bytes.resize(bytes.len().max(at + size), 0);
                return Place::Memory(number, at);
            }
            if addr < *start && end + NEAR >= *start {
                let before = usize::try_from(*start - addr).unwrap_or(0);
                bytes.splice(0..0, std::iter::repeat_n(0, before));
                *start = addr;
                for slot in &mut self.slots {
                    if let Place::Memory(segment, at) = &mut slot.place
                        && *segment == number
                    {
                        *at += before;
                    }
                }
                return Place::Memory(number, 0);
            }
        }
        self.segments.push((addr, vec![0; size]));
        Place::Memory(self.segments.len() - 1, 0)
    }

    fn has_overlap(&self) -> bool {
        let cross =
            |a: usize, a_size: usize, b: usize, b_size: usize| a < b + b_size && b < a + a_size;
        self.slots.iter().enumerate().any(|(number, a)| {
            self.slots[number + 1..]
                .iter()
                .any(|b| match (&a.place, &b.place) {
                    (Place::Reg(x), Place::Reg(y)) => cross(*x, a.size, *y, b.size),
                    (Place::Memory(s, x), Place::Memory(t, y)) => {
                        s == t && cross(*x, a.size, *y, b.size)
                    }
                    (Place::Through { .. }, Place::Through { .. }) => true,
                    _ => false,
                })
        })
    }

    /// How an argument is called in messages: `argument 4 (\`size\`)`.
    fn name(&self, number: usize) -> String {
        match self.slots.get(number).and_then(|slot| slot.known) {
            Some(known) => format!("argument {number} (`{}`)", known.name),
            None => format!("argument {number}"),
        }
    }

    /// Writes registers and memory for these arguments. `user` is emptied first.
    pub(super) fn fill(
        &self,
        args: &[Value<'_>],
        ret: Option<&Value<'_>>,
        ctx: &mut Vec<u8>,
        user: &mut Memory,
    ) -> Result<(), ArgError> {
        let wrong = |what: String| ArgError {
            what,
            elsewhere: false,
        };
        if args.len() > self.slots.len() || self.strict && args.len() < self.slots.len() {
            let mut what = match (self.slots.len(), self.strict) {
                (1, true) => "the probe has 1 argument".to_owned(),
                (n, true) => format!("the probe has {n} arguments"),
                (n, false) => format!("there is room for {n} arguments"),
            };
            what.push_str(&format!(", the event gives {}", args.len()));
            if args.len() < self.slots.len() {
                what.push_str(&format!(
                    ": {} is missing (`null` if nobody looks at it)",
                    self.name(args.len())
                ));
            }
            return Err(wrong(what));
        }
        ctx.clear();
        ctx.extend_from_slice(&self.ctx);
        user.clear();
        for (addr, bytes) in &self.segments {
            user.map_copy(*addr, bytes);
        }
        let mut written = Written::default();
        let mut next = OBJECTS;
        let mut later: [u64; STACK_ARGS * 2] = [0; STACK_ARGS * 2];
        let with_ret = ret.map(|value| (usize::MAX, value, &self.ret));
        let numbered = args.iter().zip(&self.slots).enumerate();
        for (number, value, slot) in numbered.map(|(n, (v, s))| (n, v, s)).chain(with_ret) {
            let name = || match number {
                usize::MAX => "`ret`".to_owned(),
                _ => self.name(number),
            };
            let bits = slot
                .bits(value, &mut next, user)
                .map_err(|what| wrong(format!("{}: {what}", name())))?;
            if *value == Value::Null && !matches!(slot.place, Place::Reg(_)) {
                continue;
            }
            let bytes = bits.to_ne_bytes();
            let bytes = &bytes[..slot.size];
            let clash = match slot.place {
                Place::Const(there) => there.to_ne_bytes()[..slot.size] != *bytes,
                Place::Reg(at) => {
                    self.overlap && written.clash(usize::MAX, ctx, at, bytes) || {
                        put(ctx, at, bytes);
                        false
                    }
                }
                Place::Memory(segment, at) => {
                    let memory = &mut user.segments_mut()[segment].1;
                    self.overlap && written.clash(segment, memory, at, bytes) || {
                        put(memory, at, bytes);
                        false
                    }
                }
                Place::Through { .. } => {
                    later[number % later.len()] = bits;
                    false
                }
                Place::Nowhere => false,
            };
            if clash {
                return Err(self.clash(number, bits, slot));
            }
        }
        // Now the registers are what they will be.
        for (number, slot) in self.slots.iter().enumerate() {
            let Place::Through { base, index, disp } = slot.place else {
                continue;
            };
            if args.get(number).is_none_or(|value| *value == Value::Null) {
                continue;
            }
            let addr = address(ctx, base, index, disp);
            let bytes = later[number % later.len()].to_ne_bytes();
            if addr < GAP || !through(user, &mut written, addr, &bytes[..slot.size]) {
                return Err(self.clash(number, u64::from_ne_bytes(bytes), slot));
            }
        }
        Ok(())
    }

    fn clash(&self, number: usize, bits: u64, slot: &Slot) -> ArgError {
        let what = match slot.place {
            Place::Const(there) => format!(
                "{} is always {there} at this site (`{}`)",
                self.name(number),
                slot.text
            ),
            _ => format!(
                "{} cannot be {bits:#x}: its operand `{}` shares its place with another argument",
                self.name(number),
                slot.text
            ),
        };
        ArgError {
            what,
            elsewhere: true,
        }
    }
}

/// A slot of 8 bytes of which nothing more is known.
fn whole(place: Place) -> Slot {
    Slot {
        size: 8,
        place,
        text: String::new(),
        known: None,
    }
}

impl Slot {
    /// The argument as the 8 bytes of a register; what it points to becomes a segment at `next`.
    fn bits(&self, value: &Value<'_>, next: &mut u64, user: &mut Memory) -> Result<u64, String> {
        let bytes = match value {
            Value::Null => return Ok(0),
            Value::Number(number) => return self.number(*number),
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        };
        match self.known.map(|arg| arg.kind) {
            Some(Kind::Int | Kind::Bool | Kind::Enum(_)) => {
                return Err("it is a number, the event gives text or bytes".to_owned());
            }
            Some(Kind::Hash) if bytes.len() != 32 || matches!(value, Value::Text(_)) => {
                return Err(
                    "it is a hash: give 32 bytes, as {\"hash\": \"…\"} or {\"hex\": \"…\"}"
                        .to_owned(),
                );
            }
            _ if self.size != 8 => {
                return Err(format!(
                    "it is {} bytes wide (`{}`), text and bytes need an address of 8",
                    self.size, self.text
                ));
            }
            _ => {}
        }
        let addr = *next;
        let nul = u64::from(matches!(value, Value::Text(_)));
        *next = (addr + bytes.len() as u64 + nul + GAP).next_multiple_of(GAP);
        let copy = user.map_copy(addr, bytes);
        if matches!(value, Value::Text(_)) {
            copy.push(0);
        }
        Ok(addr)
    }

    fn number(&self, number: i128) -> Result<u64, String> {
        let bits = 8 * self.size as u32;
        if number < -(1i128 << (bits - 1)) || number >= 1i128 << bits {
            return Err(format!("{number} does not fit into {} bytes", self.size));
        }
        // The low bytes are all that is used.
        Ok(number as u64)
    }
}

/// Which bytes arguments have been written to, where they may overlap.
#[derive(Default)]
struct Written(Vec<(usize, usize, usize)>);

impl Written {
    /// Whether other bytes were written there by another argument; remembers these.
    fn clash(&mut self, part: usize, memory: &[u8], at: usize, bytes: &[u8]) -> bool {
        let clash = bytes.iter().enumerate().any(|(n, byte)| {
            let here = at + n;
            memory.get(here) != Some(byte)
                && self
                    .0
                    .iter()
                    .any(|(p, start, end)| *p == part && (*start..*end).contains(&here))
        });
        self.0.push((part, at, at + bytes.len()));
        clash
    }
}

/// Writes bytes at an address that an argument led to; false if they would change what another one points to.
fn through(user: &mut Memory, written: &mut Written, addr: u64, bytes: &[u8]) -> bool {
    for (number, (start, memory)) in user.segments_mut().iter_mut().enumerate() {
        let Some(at) = addr
            .checked_sub(*start)
            .and_then(|at| usize::try_from(at).ok())
        else {
            continue;
        };
        if at < memory.len() {
            let len = bytes.len().min(memory.len() - at);
            if memory[at..at + len] != bytes[..len] {
                return false;
            }
            memory.resize(memory.len().max(at + bytes.len()), 0);
            put(memory, at, bytes);
            written.0.push((number, at, at + bytes.len()));
            return true;
        }
    }
    user.map_copy(addr, bytes);
    true
}

fn register(ctx: &[u8], reg: u16) -> u64 {
    let at = usize::from(reg);
    let bytes = ctx.get(at..at + 8).and_then(|b| b.try_into().ok());
    u64::from_ne_bytes(bytes.unwrap_or([0; 8]))
}

/// Where an operand in memory is.
pub(crate) fn address(
    ctx: &[u8],
    base: Option<u16>,
    index: Option<(u16, u8, IndexExt)>,
    disp: i64,
) -> u64 {
    let base = base.map_or(0, |reg| register(ctx, reg));
    let index = index.map_or(0, |(reg, scale, extend)| {
        let raw = register(ctx, reg);
        let wide = match extend {
            IndexExt::Full => raw,
            IndexExt::Uxtw => raw & 0xffff_ffff,
            IndexExt::Sxtw => i64::from(raw as u32 as i32).cast_unsigned(),
        };
        wide.wrapping_mul(u64::from(scale))
    });
    base.wrapping_add(index).wrapping_add_signed(disp)
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = at
        .checked_add(bytes.len())
        .and_then(|end| into.get_mut(at..end))
    {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bitcoin::tracepoint, usdt};

    /// Reads an argument the way a program does.
    fn read(arg: &UsdtArg, ctx: &[u8], user: &Memory) -> Option<u64> {
        let size = usize::from(arg.size);
        let mut bytes = [0; 8];
        let at = match &arg.loc {
            ArgLoc::Const(value) => return Some(value.cast_unsigned()),
            ArgLoc::Reg { reg } => {
                bytes[..size].copy_from_slice(&ctx[usize::from(*reg)..][..size]);
                return Some(u64::from_ne_bytes(bytes));
            }
            ArgLoc::Mem { base, index, disp } => address(ctx, *base, *index, *disp),
            ArgLoc::IpRel { delta } => register(ctx, 128).wrapping_add_signed(*delta),
            ArgLoc::Unreadable(_) => return None,
        };
        user.read(at, &mut bytes[..size])
            .then(|| u64::from_ne_bytes(bytes))
    }

    fn fill(text: &str, values: &[Value<'_>]) -> Result<Vec<Option<u64>>, String> {
        let mut args = usdt::parse_args(Arch::X86_64, text);
        for arg in &mut args {
            if arg.text.contains("ip-relative") {
                arg.loc = ArgLoc::IpRel { delta: 0x2000 };
            }
        }
        let layout = Layout::new(Arch::X86_64, &args, None);
        let (mut ctx, mut user) = (Vec::new(), Memory::new());
        layout
            .fill(values, None, &mut ctx, &mut user)
            .map_err(|e| e.what)?;
        Ok(args.iter().map(|arg| read(arg, &ctx, &user)).collect())
    }

    fn numbers(values: &[i128]) -> Vec<Value<'static>> {
        values.iter().map(|n| Value::Number(*n)).collect()
    }

    #[test]
    fn a_program_reads_what_the_event_says() {
        for (operands, values) in [
            ("-8@%rax 8@%rbx -4@%ecx 1@%dl", &[-3, 7, -2, 1][..]),
            (
                "8@-1064(%rbp) 4@-8(%rbp) 8@(%rsp) 8@24(%rsp)",
                &[1, 2, 3, 4],
            ),
            ("8@8(%rax,%rbx,4) 8@(%rax,%rcx,8) 4@16(%rax)", &[5, 6, 7]),
            ("8@(,%rbx,8) 8@64(,%rcx,2)", &[8, 9]),
            ("8@(%rax,%rax,2) 2@%bx", &[10, 65535]),
            ("8@1234 8@(%r12)", &[11, 12]),
            ("8@$5 -4@$-1", &[5, -1]),
            ("8@%rax 8@%rax", &[13, 13]),
            ("8@%rax 8@8(%rax)", &[0x9000, 14]),
            ("8@(%rbx,%rax,8) 8@%rax", &[15, 3]),
            ("8@%rax 8@(%rax) 8@(%rax)", &[0x9000, 16, 16]),
        ] {
            let got = fill(operands, &numbers(values)).unwrap();
            for (arg, (got, want)) in usdt::parse_args(Arch::X86_64, operands)
                .iter()
                .zip(got.iter().zip(values))
            {
                let mask = u64::MAX >> (64 - 8 * u32::from(arg.size));
                assert_eq!(
                    got.map(|g| g & mask),
                    Some(*want as u64 & mask),
                    "{operands}: {}",
                    arg.text
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (operands, values, what) in [
            (
                "8@%rax 8@%rax",
                numbers(&[1, 2]),
                "argument 1 cannot be 0x2",
            ),
            (
                "8@$5",
                numbers(&[6]),
                "argument 0 is always 5 at this site (`8@$5`)",
            ),
            (
                "4@%eax",
                numbers(&[1 << 32]),
                "4294967296 does not fit into 4 bytes",
            ),
            ("-1@%al", numbers(&[-129]), "-129 does not fit into 1 bytes"),
            ("8@%rax", numbers(&[1 << 64]), "does not fit into 8 bytes"),
            (
                "8@%rax 8@%rbx",
                numbers(&[1]),
                "has 2 arguments, the event gives 1: argument 1 is missing",
            ),
            (
                "8@%rax",
                numbers(&[1, 2]),
                "has 1 argument, the event gives 2",
            ),
            (
                "4@%eax",
                vec![Value::Text("x".into())],
                "text and bytes need an address of 8",
            ),
            ("8@%rax 8@(%rax)", numbers(&[0, 2]), "shares its place"),
            (
                "8@%rax 8@(%rax) 8@(%rax)",
                numbers(&[0x9000, 1, 2]),
                "shares its place",
            ),
        ] {
            let error = fill(operands, &values).unwrap_err();
            assert!(error.contains(what), "{operands}: {error}");
        }
        assert_eq!(
            fill("8@$5 8@(%rax)", &[Value::Null, Value::Null]),
            Ok(vec![Some(5), Some(0)])
        );
    }

    #[test]
    fn arguments_point_to_text_and_bytes() {
        let args = usdt::parse_args(Arch::X86_64, "8@-8(%rbp) 8@%rax");
        let layout = Layout::new(Arch::X86_64, &args, None);
        let (mut ctx, mut user) = (Vec::new(), Memory::new());
        let values = [Value::Text("ping".into()), Value::Bytes(vec![0, 255])];
        layout.fill(&values, None, &mut ctx, &mut user).unwrap();
        let text = read(&args[0], &ctx, &user).unwrap();
        assert_eq!(user.upto(text, 99), b"ping\0");
        let bytes = read(&args[1], &ctx, &user).unwrap();
        assert_eq!(user.upto(bytes, 99), [0, 255]);
    }

    #[test]
    fn a_known_argument_is_called_by_its_name() {
        let point = tracepoint::find("mempool", "added").unwrap();
        let args = usdt::parse_args(Arch::X86_64, "8@%rax -4@%ecx -8@%rdx");
        let layout = Layout::new(Arch::X86_64, &args, Some(point));
        for (values, want) in [
            (
                numbers(&[0, 1]),
                "the probe has 3 arguments, the event gives 2: argument 2 (`fee`) is missing (`null` if nobody looks at it)",
            ),
            (
                vec![Value::Text("a".into()), Value::Null, Value::Null],
                "argument 0 (`txid`): it is a hash",
            ),
            (
                vec![
                    Value::Bytes(vec![0; 32]),
                    Value::Text("1".into()),
                    Value::Null,
                ],
                "argument 1 (`vsize`): it is a number",
            ),
        ] {
            let error = layout.fill(&values, None, &mut Vec::new(), &mut Memory::new());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn a_function_has_its_arguments_by_convention() {
        let layout = Layout::function(Arch::X86_64);
        let (mut ctx, mut user) = (Vec::new(), Memory::new());
        let ret = Value::Number(-1);
        let values = numbers(&[1, 2, 3, 4, 5, 6, 7, 8]);
        layout
            .fill(&values, Some(&ret), &mut ctx, &mut user)
            .unwrap();
        assert_eq!([register(&ctx, 112), register(&ctx, 64)], [1, 6]);
        assert_eq!(register(&ctx, 80), u64::MAX);
        let mut word = [0; 8];
        assert!(user.read(register(&ctx, 152) + 16, &mut word));
        assert_eq!(u64::from_ne_bytes(word), 8);
    }
}
