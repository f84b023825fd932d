//! Stack files: whatever they hold, they are read or refused with a place.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mtlsgw_fuzz::stack::Stack;

fuzz_target!(|text: &str| {
    // Files that it names do not exist there, and nothing that is read could block.
    if let Err(errors) = Stack::parse(Path::new("/nonexistent/stack.yaml"), text) {
        assert!(errors.iter().count() > 0);
        errors.to_string();
    }
});
