//! Terminal monitors of peers and of the mempool.
//!
//! ```text
//! trace thread ──feed──► Shared<Model> ◄──look── screen thread: keys ─► Screen ─► frame ─► terminal
//! ```
//!
//! A [`Model`](shared::Model) counts, a [`Screen`](app::Screen) shows; they meet in [`Shared`], whose lock is held for a
//! count or for laying out one frame, never while the terminal is written to. So a terminal that hangs costs the trace nothing.

pub mod app;
mod conversation;
mod format;
mod input;
pub mod keys;
mod list;
pub mod mempool;
mod mempool_log;
mod mempool_screen;
pub mod peers;
mod peers_columns;
mod peers_screen;
mod popup;
mod query;
pub mod shared;
pub mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod watch;
pub mod window;

pub use app::run;
pub use mempool_screen::MempoolScreen;
pub use peers_screen::PeersScreen;
pub use shared::Shared;
pub use terminal::Error;
pub use theme::Theme;
pub use watch::{mempool_tool, peers_tool};
