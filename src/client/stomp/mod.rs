//! A STOMP client.
//!
//! Does not know: what carries its bytes.
