//! The modules of mtlsgw that read foreign bytes.

mod hint;
pub mod stack;
pub mod trust;
