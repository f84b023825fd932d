//! mtlsgw turns a short YAML stack file into a working mutual-TLS front door on AWS.
//!
//! The data path, in which types only ever go right; `plan`, `apply` and `destroy` share it and
//! `plan` merely stops at the view:
//!
//! ```text
//! stack file -> Stack ─┐
//! account, subnets, zones … = Facts ─┴─> wiring (pure) -> want ─┐
//!                           AWS reads -> live ─┴─ diff -> plan -> view -> confirm -> apply -> AWS
//! ```
//!
//! Modules in reading order: [`cli`] and `command` take the arguments, [`stack`] reads the file,
//! `facts` what it refers to, `wiring` makes resources of both, `resource` knows each AWS type,
//! [`diff`] and [`plan`] decide, `view` shows, `lock` and [`apply`] do.

#![recursion_limit = "256"]

pub mod cli;
mod command;
mod session;

mod connection_log;
mod crl_source;
mod doctor;
pub mod explain;
mod export;
mod facts;
mod foreign;
mod hint;
pub mod pki;
pub mod stack;
pub mod trust;
mod wiring;

pub mod diff;
pub mod plan;
mod resource;

pub mod apply;
mod lock;

pub mod aws;
pub mod error;
mod verify;
mod view;

#[cfg(feature = "sandbox")]
pub mod sandbox;

pub use command::run;
pub use resource::Address;
