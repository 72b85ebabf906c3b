//! Facts of an ELF file, read lazily and safely from hostile bytes: sections, segments, functions, build id.
//!
//! [`Image::parse`] reads the headers only; everything else is read when asked for, so that opening a large mapped file
//! touches few of its pages. Reading order: `error`, `image`, `symbol`, `ident`; `process` is the edge to `/proc`.

mod error;
mod ident;
mod image;
pub mod process;
mod symbol;

pub use error::Error;
pub use image::{Image, Section, Segment};
pub use symbol::{Function, Kind, Symbol};
