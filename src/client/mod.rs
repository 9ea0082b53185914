//! Clients of SockJS and STOMP servers.
//!
//! Does not know: the server side of towpath.
