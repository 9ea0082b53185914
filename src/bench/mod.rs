//! An honest load for SockJS and STOMP servers: [`run`] lets many clients do one simple thing over any transport, counts every
//! message by its number, measures latency from the moment a message was due, and tells what the server used meanwhile, and what
//! the load itself did. It is lean, since it mostly shares the machine with what it measures: one task for each client, frames
//! that are made beforehand, and messages that are looked at where they lie. Every run is bounded and ends by itself.
//!
//! Does not know: the server side of towpath.

mod carrier;
mod churn;
mod client;
mod echo;
mod fanout;
mod fault;
mod frames;
mod http;
mod idle;
mod latency;
mod link;
mod metronome;
mod plan;
mod post;
mod process;
mod queue;
mod report;
mod rooms;
mod route;
mod schedule;
mod sender;
mod shared;
mod stage;
mod stamp;
mod tally;
mod texts;

pub use latency::Percentiles;
pub use plan::{Ack, Pace, Plan, Refusal, Scenario, Transport, Transports};
pub use report::{Failure, LoadUse, Messages, Report, ServerUse, Share, Timed};

use stage::Stage;

/// Runs a plan; `tell` hears what is being done. One thread suffices and costs least: a current-thread runtime.
///
/// # Errors
///
/// The plan cannot be, or the server is not there or takes no client at all. Whatever goes wrong later stands in the report.
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> Result<Report, Refusal> {
    let stage = Stage::set(plan, &tell).await?;
    let seen = match &plan.scenario {
        Scenario::Echo { .. } => echo::run(&stage).await,
        Scenario::Fanout { beside, beside_destination, .. } => fanout::run(&stage, *beside, beside_destination).await,
        Scenario::Rooms { topics, members, .. } => rooms::run(&stage, *topics, *members).await,
        Scenario::Queue { producers, consumers, ack, prefetch } => {
            queue::run(&stage, *producers, *consumers, *ack, *prefetch).await
        }
        Scenario::Churn { clients, cycles, stomp } => churn::run(&stage, *clients, *cycles, *stomp).await,
        Scenario::Idle { stomp, .. } => idle::run(&stage, *stomp).await,
        Scenario::Post { .. } => post::run(&stage).await,
    }?;
    Ok(stage.report(seen))
}
