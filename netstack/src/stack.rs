//! The doors of the stack.

/// One host or router.
#[derive(Debug)]
pub struct Stack {}
