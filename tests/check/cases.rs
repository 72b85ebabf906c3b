//! One written program for each rule.
