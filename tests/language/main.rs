//! The language end to end: what scripts print on this kernel, and that the kernel never refuses what compiles.

mod cases;
mod generate;
mod load;
mod pinned;
mod rich;
mod same;
