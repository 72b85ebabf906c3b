//! USDT probes: the notes of an ELF image, as values.
//!
//! A USDT probe is a nop in the code and a note in the section `.note.stapsdt` that says where the nop is, what it is
//! called, and in which registers or memory its arguments are while it runs. A tracer puts a uprobe on the nop. Probes
//! whose arguments are dear to make have a *semaphore*: a 16-bit counter in the section `.probes` that the program tests
//! first and that the kernel raises while a tracer is attached.
//!
//! [`Image::parse`] lists the notes; [`Image::probes`] reads the operands of those asked for, and of no others.
//!
//! Reading order: `note` (bytes), `reg` and `arg` (operands), `locate` (vaddr → file offset), `image`, `list`.
//!
//! Sources: SystemTap wiki, UserSpaceProbeImplementation and `sys/sdt.h`; `kernel/events/uprobes.c` for the semaphore.

mod arg;
mod error;
mod image;
mod list;
mod locate;
mod note;
mod reg;

pub use arg::{MAX_ARGS, parse_args, split_args};
pub use error::{Error, SiteError};
pub use image::Image;
pub use list::Listing;
pub use note::Note;
pub use reg::{Register, register};
