//! Bad input gets a clear error and changes nothing.
