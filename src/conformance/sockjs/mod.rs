//! The checks of SockJS servers.
//!
//! Does not know: STOMP.
