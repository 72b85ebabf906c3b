//! Types as they are written in C, for listings.

use super::{Btf, Kind};
use std::fmt::Write;

/// Types within types that are written out.
const DEEPEST: usize = 24;

/// Writes types of one kernel.
#[derive(Debug)]
pub struct Printer<'b>(pub &'b Btf);

impl Printer<'_> {
    /// The type in front of a name: `struct foo *`, `unsigned int `. What belongs behind the name (`[4]`) is the second.
    pub fn around(&self, id: u32) -> (String, String) {
        self.declare(id, 0, "")
    }

    /// The type with a name.
    pub fn named(&self, id: u32, name: &str) -> String {
        let (before, behind) = self.around(id);
        let space = if before.ends_with('*') { "" } else { " " };
        format!("{before}{space}{name}{behind}")
    }

    fn declare(&self, id: u32, depth: usize, indent: &str) -> (String, String) {
        let Some(node) = self.0.node(id).filter(|_| depth < DEEPEST) else {
            return ("void".to_owned(), String::new());
        };
        let name = self.0.name(&node);
        let word = |word: &str| {
            let (inner, behind) = self.declare(node.word, depth + 1, indent);
            // A qualified pointer has the word behind its star.
            let text = match inner.ends_with('*') {
                true => format!("{inner}{word} "),
                false => format!("{word} {inner}"),
            };
            (text, behind)
        };
        match node.kind {
            Kind::Int | Kind::Float | Kind::Typedef => (name.to_owned(), String::new()),
            Kind::Ptr => {
                let (inner, behind) = self.declare(node.word, depth + 1, indent);
                match self.0.node(node.word).map(|to| to.kind) {
                    Some(Kind::FuncProto) => (format!("{inner} (*"), format!("){behind}")),
                    Some(Kind::Array) => (format!("{inner} (*"), format!("){behind}")),
                    _ if inner.ends_with('*') => (format!("{inner}*"), behind),
                    _ => (format!("{inner} *"), behind),
                }
            }
            Kind::Array => {
                let (elem, len) = self.0.array(&node);
                let (before, behind) = self.declare(elem, depth + 1, indent);
                (before, format!("[{len}]{behind}"))
            }
            Kind::Struct | Kind::Union if name.is_empty() => {
                (self.body(id, depth + 4, indent), String::new())
            }
            Kind::Struct => (format!("struct {name}"), String::new()),
            Kind::Union => (format!("union {name}"), String::new()),
            Kind::Fwd if node.flag => (format!("union {name}"), String::new()),
            Kind::Fwd => (format!("struct {name}"), String::new()),
            Kind::Enum | Kind::Enum64 if name.is_empty() => {
                (self.enumeration(id, indent), String::new())
            }
            Kind::Enum | Kind::Enum64 => (format!("enum {name}"), String::new()),
            Kind::Volatile => word("volatile"),
            Kind::Const => word("const"),
            Kind::Restrict => word("restrict"),
            Kind::TypeTag => self.declare(node.word, depth + 1, indent),
            Kind::FuncProto => {
                let (before, behind) = self.declare(node.word, depth + 1, indent);
                let params: Vec<String> = (self.0.params(&node))
                    .map(|(_, ty)| match ty {
                        0 => "...".to_owned(),
                        ty => {
                            let (before, behind) = self.declare(ty, depth + 1, indent);
                            before + &behind
                        }
                    })
                    .collect();
                let params = if params.is_empty() {
                    "void".to_owned()
                } else {
                    params.join(", ")
                };
                (before, format!("({params}){behind}"))
            }
            _ => (name.to_owned(), String::new()),
        }
    }

    /// A struct, union or enumeration with all it holds, as it is defined: without `;`.
    pub fn definition(&self, id: u32) -> String {
        match self.0.node(id).map(|node| node.kind) {
            Some(Kind::Enum | Kind::Enum64) => self.enumeration(id, ""),
            _ => self.body(id, 0, ""),
        }
    }

    fn body(&self, id: u32, depth: usize, indent: &str) -> String {
        let Some(node) = self.0.node(id) else {
            return String::new();
        };
        let keyword = if node.kind == Kind::Union {
            "union"
        } else {
            "struct"
        };
        let mut out = match self.0.name(&node) {
            "" => format!("{keyword} {{\n"),
            name => format!("{keyword} {name} {{\n"),
        };
        let inner = format!("{indent}\t");
        for member in self.0.members(&node) {
            let (before, behind) = self.declare(member.ty, depth, &inner);
            let space = match before.ends_with(['*', '(']) || member.name.is_empty() {
                true => "",
                false => " ",
            };
            let bits = match member.width {
                0 => String::new(),
                width => format!(": {width}"),
            };
            let name = member.name;
            let _ = writeln!(out, "{inner}{before}{space}{name}{behind}{bits};");
        }
        out + indent + "}"
    }

    fn enumeration(&self, id: u32, indent: &str) -> String {
        let Some(node) = self.0.node(id) else {
            return String::new();
        };
        let mut out = match self.0.name(&node) {
            "" => "enum {\n".to_owned(),
            name => format!("enum {name} {{\n"),
        };
        for (value, name) in self.0.enumerators(&node) {
            let _ = writeln!(out, "{indent}\t{name} = {value},");
        }
        out + indent + "}"
    }
}
