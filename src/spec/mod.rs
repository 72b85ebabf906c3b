//! Blueprints: what to load and attach, as plain values, before any file descriptor exists.

mod attach;
mod by_hand;
mod debug;
mod event;
mod fault;
pub mod hist;
mod kernel;
mod map;
mod object;
mod target;
mod types;
mod unwind;

pub use attach::{AttachSpec, Interval, UserSite};
pub use debug::{DebugInfo, Param, Signature, SymbolAddress};
pub use event::{
    Action, BLOB_TAG, CHUNK, CHUNK_HEADER, EventPlan, Field, Group, LAST, RECORD_HEADER, STAMP,
    TAP, stamped,
};
pub use fault::{FAULT_CODE, FAULT_SIZE, Fault, FaultKind, ReadHelper};
pub use kernel::{Kernel, TraceField, Tracepoint};
pub use map::{MapKind, MapRole, MapSpec, SHORT_STRING, ShortKeys};
pub use object::{Object, ProgramKind, ProgramSpec};
pub use target::{
    Arch, ArgLoc, ArgMeans, ArgName, Binary, Features, IndexExt, Site, Target, UsdtArg, UsdtProbe,
};
pub use types::{Agg, Field as StructField, StructDef, StructId, Type, hist_buckets};
pub use unwind::{
    Caller, Saved, UNWIND_BLOCK, UNWIND_HEAD, UNWIND_PROCESS, UNWIND_RANGE, UNWIND_RANGES,
    UNWIND_ROW, UnwindRow,
};
