//! Calls into libc and the kernel: the home of `unsafe`.

pub mod strftime;
