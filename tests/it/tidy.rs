//! The rules of the source tree that no compiler checks.
