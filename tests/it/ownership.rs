//! What is not the stack's own is never changed or deleted.
