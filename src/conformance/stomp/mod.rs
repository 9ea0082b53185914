//! The checks of STOMP servers.
//!
//! Does not know: towpath's own server.
