//! What debug information and symbols say of the traced functions and types, as far as a script asks for it.

use super::{StructDef, Type};
use serde::{Deserialize, Serialize};

/// Types and signatures from debug information.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugInfo {
    /// Structs; `Type::Struct` in what follows counts these.
    pub structs: Vec<StructDef>,
    /// Types by name: `enum x` with its keyword, a typedef without.
    pub types: Vec<(String, Type)>,
    /// Functions.
    pub signatures: Vec<Signature>,
    /// Symbols whose addresses the script asks for.
    pub addresses: Vec<SymbolAddress>,
}

/// Where a symbol of a traced binary is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolAddress {
    /// Index into `Target::binaries`.
    pub binary: usize,
    /// Its name.
    pub name: String,
    /// Bytes of the object; 0 where the symbol does not say.
    pub size: u64,
    /// Its address, in a program that is always loaded at the same one.
    pub fixed: Option<u64>,
    /// How far it is from the places that are probed: their file offsets, and the distance from there.
    pub distances: Vec<(u64, i64)>,
}

/// Parameters and result of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Index into `Target::binaries`.
    pub binary: usize,
    /// File offset of its first instruction.
    pub offset: u64,
    /// Its parameters in order.
    pub params: Vec<Param>,
    /// What it returns; or why that cannot be read, in words.
    pub ret: Result<Type, String>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type and the number of the `argN` that holds it, those on the stack counted after the registers; or why it
    /// cannot be read, in words.
    pub place: Result<(Type, u32), String>,
}
