//! More kinds of statements for the random scripts: records, arrays, tuples in tuples, composite keys, macros, pointers,
//! block expressions, nested loops.

use super::generate::Script;
use std::fmt::Write as _;

/// Macros that scripts use.
pub(crate) const MACROS: &str = "\
macro twice(x) { x + x }
macro larger(a, b) { let $a1 = a; let $b1 = b; $a1 > $b1 ? $a1 : $b1 }
macro bump($v, @m) { $v += 1; @m[(int64)1] += 1; if ($v > 100) { $v = (int64)0; } }
macro sum_of(@m) { let $sum = (int64)0; for ($e : 0..20) { if ($sum < 50) { $sum += @m[$e]; } } $sum }
macro says(s, n) { if (strcontains(s, \"r\")) { printf(\"%s %d\\n\", s, n); } else { print(n); } }
";

/// Variables and maps that the statements below use.
pub(crate) const VARIABLES: &str = "let $rec = (id=(int64)1, name=\"two\"); let $deep = ((int64)1, (\"two\", (uint8)3)); \
     let $arr = (uint8[8])(int64)pid; let $p = &$a; let $bool = pid > 3;\n";

/// Gives the maps their types.
pub(crate) const MAPS: &str = "@rec[(int64)1] = (id=(int64)1, name=\"two\"); \
     @comp[(int64)1, \"k\", (uint8)3] = (int64)1; @pair[((int64)1, (\"x\", (int64)2))] = count(); \
     @deep[comm, (int64)1] = ((int64)1, (\"two\", (uint8)3)); @ts = tseries((int64)3, 1s, 10); \
     @bools[pid > 3] = sum((int64)1); @arrs[(int64)1] = (uint8[8])(int64)pid; @mx = max((int64)3);\n";

impl Script {
    /// A statement of the richer kinds.
    pub(crate) fn rich(&mut self, depth: u32) {
        let (i, j, s, b) = (self.int(2), self.int(1), self.string(1), self.boolean(1));
        let kinds = if depth == 0 { 26 } else { 36 };
        let text = match self.roll(kinds) {
            0 => format!("$rec = (id={i}, name={s})"),
            1 => format!("$deep = ({i}, ({s}, $u))"),
            2 => format!("$arr = (uint8[8]){i}"),
            3 => format!("$a = *$p + {j}"),
            4 => format!("@rec[{i}] = $rec"),
            5 => format!(
                "@comp[{i}, {s}, $u] {} {j}",
                self.pick(&["=", "+=", "-=", "|="])
            ),
            6 => format!("@pair[({i}, ({s}, {j}))] = count()"),
            7 => format!("@deep[{s}, {i}] = $deep"),
            8 => format!("@ts = tseries({i}, 1s, 10)"),
            9 => format!("@bools[{b}] = sum({i})"),
            10 => format!("@arrs[{i}] = $arr"),
            11 => format!("@mx = max({i})"),
            12 => format!("$a = twice({i})"),
            13 => format!("$b = larger({i}, {j})"),
            14 => "bump($a, @n)".into(),
            15 => format!("says({s}, {i})"),
            16 => {
                let what = [
                    "$rec",
                    "$deep",
                    "$arr",
                    "$bool",
                    "@rec[1]",
                    "@rec[$a].name",
                    "$deep.1.0",
                    "$arr[2]",
                    "@comp",
                    "@pair",
                    "@deep",
                    "@mx",
                    "(1, ($s, $rec.id))",
                    "@ts",
                    "@bools",
                    "@arrs[$b]",
                ];
                format!("print({})", self.pick(&what))
            }
            17 => format!("delete(@comp, ({i}, {s}, $u))"),
            18 => format!("$bool = has_key(@deep, ({s}, {i}))"),
            19 => format!("print(str_concat({s}, {}))", self.string(0)),
            20 => format!("$bool = strncmp({s}, {}, 4) == 0", self.string(0)),
            21 => format!("$a = (int64)memcmp({s}, $c, 3)"),
            22 => {
                let q = self.name();
                format!("$a = {{ let {q} = {i}; @v = {q}; {q} + {j} }}")
            }
            23 => format!("$u = (uint8)$arr[{i} & 7]"),
            24 => {
                format!("printf(\"%s %d %s %-5d|%6x\\n\", $rec.name, {i}, $deep.1.0, {j}, len(@n))")
            }
            25 => format!("$b = (int64)(({i}, $t) == ($a, $t))"),
            26 => {
                self.line("$a = sum_of(@n)");
                return;
            }
            27 | 28 => {
                // Loops in loops, each with a branch.
                let (x, y) = (self.name(), self.name());
                let (m, n) = (
                    self.pick(&["3", "20", "200", "$b"]),
                    self.pick(&["4", "30", "200", "$a"]),
                );
                let _ = writeln!(
                    self.text,
                    "for ({x} : 0..{m}) {{ for ({y} : 0..{n}) {{ if ({x} + {y} > {j}) {{ $a += {x}; }}"
                );
                self.inside(depth);
                self.text.push_str("} }\n");
                return;
            }
            29 => {
                let x = self.name();
                let _ = writeln!(self.text, "{x} = {i};\nwhile ({x} > 0 && {b}) {{ {x} -= 3;");
                self.inside(depth);
                self.text.push_str("}\n");
                return;
            }
            30 | 31 if self.maps => {
                let x = self.name();
                let (map, body) = match self.roll(5) {
                    0 => ("@rec", "print({}.1.name); $a += {}.0;"),
                    1 => ("@comp", "if ({}.0.1 == $s) { $b += {}.1; }"),
                    2 => ("@pair", "print({}.0.1.0);"),
                    3 => ("@deep", "$deep = {}.1; print({});"),
                    _ => ("@arrs", "$u = {}.1[3];"),
                };
                let _ = writeln!(self.text, "for ({x} : {map}) {{ {}", body.replace("{}", &x));
                self.inside(depth);
                self.text.push_str("}\n");
                return;
            }
            32 => {
                let _ = write!(self.text, "if ({b} || $rec.name == {s}) {{ ");
                self.block(depth - 1);
                self.text.push_str("} else if ($arr[1] > 3) { ");
                self.block(depth - 1);
                self.text.push_str("}\n");
                return;
            }
            33 => {
                let z = self.name();
                let _ = writeln!(self.text, "$a = {{ let {z} = $b;");
                self.block(depth - 1);
                let _ = writeln!(self.text, "{z} + 1 }};");
                return;
            }
            34 => {
                let _ = writeln!(self.text, "unroll(4) {{ $a = $a * 3 + {j};");
                let loops = std::mem::take(&mut self.loops);
                self.block(depth - 1);
                self.loops = loops;
                self.text.push_str("}\n");
                return;
            }
            _ => format!("$a = {i}"),
        };
        self.line(&text);
    }

    /// Statements inside a loop.
    fn inside(&mut self, depth: u32) {
        self.loops += 1;
        self.block(depth - 1);
        self.loops -= 1;
    }
}
