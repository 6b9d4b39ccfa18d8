//! The hypercalls of a live node.
