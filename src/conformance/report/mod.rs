//! Reports as people and machines read them.
//!
//! Does not know: how the checks are run.
