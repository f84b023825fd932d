//! Drives the binary as its users do, against the embedded AWS.
//!
//! Nothing of the crate is imported: what these tests know of it is what it prints, how it exits,
//! and what it leaves in the sandbox. Each test has a sandbox of its own, so they run in any order.

mod acts;
mod apply;
mod changes;
mod drift;
mod examples;
mod faults;
mod invariants;
mod listeners;
mod material;
mod ownership;
mod pairs;
mod pki;
mod plan;
mod quickstart;
mod records;
mod refusals;
mod support;
mod throttled;
mod tidy;
mod unnoticed;
mod views;
