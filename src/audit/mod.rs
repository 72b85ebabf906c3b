//! Audit: what a script loads, as a file that can be read, compared, pinned and loaded again byte for byte.
//!
//! Reading order: `bundle` and `read` (the file), `diff`, `walk`, `bound`, `summary`, `show` and `html` (for a reviewer), `machine` and `policy`
//! (before it is loaded), `live` (after). The format is documented in `docs/bundle.md`.

mod attach;
mod bound;
mod bundle;
mod diff;
mod error;
mod html;
mod live;
mod machine;
mod plain;
mod policy;
mod read;
mod show;
mod summary;
mod walk;

pub use bound::{Bound, Ends, Turns};
pub use bundle::{Bundle, Facts, File, Function, Line, Operands, Program, Script, Usdt, VERSION};
pub use diff::diff;
pub use error::BundleError;
pub use html::html;
pub use live::{Ask, Code, Holder, Live, Machine, Unnamed, listing, live, live_text, missing};
pub use machine::differences;
pub(crate) use plain::counted;
pub use policy::Policy;
pub use show::{show, show_json};
pub use summary::{Read, Summary};
