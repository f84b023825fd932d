//! Throttled, failed, lost and interrupted calls end in a state that the next run completes.
