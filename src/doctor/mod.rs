//! What a real deployment does to realtime traffic, seen from outside.
//!
//! Does not know: the server side of towpath.
