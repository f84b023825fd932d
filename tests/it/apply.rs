//! What `apply` and `destroy` do, in which order, and how they end.
