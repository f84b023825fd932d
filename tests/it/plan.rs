//! What `plan` prints, saves and asks of AWS.
