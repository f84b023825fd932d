//! The verbs that only show something.
