//! The modules of mtlsgw that read foreign bytes.

mod hint;
pub mod pki;
pub mod stack;
pub mod trust;
