//! Drives the binary as its users do, against the embedded AWS.
//!
//! Nothing of the crate is imported but `trust`, where thousands of certificates are judged: what
//! these tests know of it is what it prints, how it exits, and what it leaves in the sandbox. Each
//! test has a sandbox of its own, so they run in any order.

mod acts;
mod agreement;
mod apply;
mod changes;
mod crl;
mod data_plane;
mod data_plane_http;
mod data_plane_load;
mod data_plane_nlb;
mod doctor;
mod drift;
mod examples;
mod explain;
mod export;
mod faults;
mod gap;
mod invariants;
mod judges;
mod leave;
mod limbo;
mod listeners;
mod logs;
mod material;
mod network_groups;
mod ownership;
mod pairs;
mod pki;
mod plan;
mod protection;
mod quickstart;
mod records;
mod refusals;
mod rotation;
mod several;
mod support;
mod system_c;
mod system_s;
mod throttled;
mod tidy;
mod trust_check;
mod trust_lint;
mod unnoticed;
mod verify;
mod views;
mod walk;
