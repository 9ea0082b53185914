//! What the official SockJS suite does not notice: a server can break each of these rules and still pass it (SockJS
//! protocol, what the suite does not notice). One test or more for every item of that list.
//!
//! | file | items |
//! |---|---|
//! | `headers` | `Vary`, `nosniff`, CORS on eventsource, cookies on sends and preflights, no header twice |
//! | `payloads` | callbacks, percent signs, surrogates, non-arrays, oversized bodies, invalid UTF-8, several messages at once |
//! | `life_cycle` | disconnect delay, heartbeats, what is queued at a close, second receivers, tombstones |
//! | `abort_race` | a client that drops a request and sends the next at once |
//! | `origins` | who may ask, on every transport |
//! | `upgrade` | Upgrade headers where nothing can be upgraded |
//! | `slow_readers` | clients that do not read |

#[path = "../support/mod.rs"]
mod support;

mod abort_race;
mod headers;
mod life_cycle;
mod origins;
mod payloads;
mod slow_readers;
mod upgrade;
