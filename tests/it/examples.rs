//! Every example is known and documented.
