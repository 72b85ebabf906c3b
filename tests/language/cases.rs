//! Scripts with what they print.
