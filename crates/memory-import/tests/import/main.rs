//! Tests on exports that are made by hand after the published formats
//! (`tests/fixtures`), and on damaged, foreign and oversized ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod containers;
mod conversations;
mod damage;
mod knowledge;
mod notes;
mod odd_inputs;
mod support;
