//! A whole client. The other checks look at one demand each; here a program's client does what programs do, and all of it has to
//! go together: towpath's own, which knows nothing of the server that it speaks to.
//!
//! Does not know: frames.

use super::{entry, rule};
use crate::client::sockjs::Transport;
use crate::client::stomp::{Client, ClientError, Options, Subscribe, Subscription};
use crate::conformance::Level::Must;
use crate::conformance::Stop;
use crate::conformance::stomp::carrier::Carrier;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::Probe;
use crate::conformance::stomp::{Entry, Over};

const GROUP: &str = "connecting";

pub(super) static CHECKS: &[Entry] = &[entry(
    Over::All,
    rule(
        GROUP,
        Must,
        "connect.client-library",
        "A client library connects, subscribes, gets the messages it sends, and leaves",
        "STOMP 1.2, as clients in use go about it",
        "Each demand may be met by itself while a real conversation, with everything in it that clients send, still comes to grief. This \
         is towpath's own client, with heart-beats on and every version offered.",
    ),
    |probe| Box::pin(conversation(probe)),
)];

/// Messages that go there and back.
const MESSAGES: usize = 20;

/// What is sent, where there are no receipts, until it comes back: then the subscription is there.
const KNOCK: &str = "knock";

async fn conversation(probe: &Probe) -> Result<(), Stop> {
    // The client opens its own connections, and they count like all others.
    let _permits = probe.permits().await;
    let url = probe.url();
    let sent: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let talk = async {
        let client = Client::connect(&url, options(probe)).await?;
        let topic = probe.topic();
        let mut subscription = subscribed(probe, &client, &topic).await?;
        for body in &sent {
            client.send((topic.as_str(), body.clone())).await?;
        }
        let mut seen = Vec::new();
        while seen.len() < MESSAGES {
            let Some(message) = subscription.next().await else { return Err(client.ended().await) };
            let body = message.text().unwrap_or("not UTF-8");
            // A knock may come late.
            if body != KNOCK {
                seen.push(body.to_owned());
            }
        }
        if !probe.has(Claim::Order) {
            seen.sort_by_key(|body| body.parse::<usize>().unwrap_or(usize::MAX));
        }
        match client.disconnect().await {
            // Whether the end is confirmed is looked at elsewhere.
            Ok(()) | Err(ClientError::Unconfirmed(_)) => Ok(seen),
            Err(error) => Err(error),
        }
    };
    let most = probe.patience().saturating_mul(4);
    let talked = tokio::time::timeout(most, talk).await;
    let repeat = format!("towpath's client library at {url}");
    match talked {
        Ok(Ok(seen)) if seen == sent => Ok(()),
        Ok(Ok(seen)) => {
            Err(Stop::failed(format!("messages {}", seen.join(" ")), format!("messages {}", sent.join(" "))))
        }
        Ok(Err(error)) => Err(Stop::failed(error.to_string(), wanted())),
        Err(_) => Err(Stop::failed(format!("the conversation had not ended after {most:?}"), wanted())),
    }
    .map_err(|stop| stop.reproduced_by(repeat))
}

/// A subscription that is there for certain.
async fn subscribed(probe: &Probe, client: &Client, topic: &str) -> Result<Subscription, ClientError> {
    if probe.has(Claim::Receipts) {
        return client.subscribe(Subscribe::to(topic).confirmed()).await;
    }
    let mut subscription = client.subscribe(topic).await?;
    loop {
        client.send((topic, KNOCK)).await?;
        if let Ok(message) = tokio::time::timeout(probe.lull(), subscription.next()).await {
            return if message.is_some() { Ok(subscription) } else { Err(client.ended().await) };
        }
    }
}

fn wanted() -> String {
    format!("a conversation of CONNECT, SUBSCRIBE, {MESSAGES} messages there and back, and DISCONNECT")
}

fn options(probe: &Probe) -> Options {
    let patience = probe.patience();
    let mut options = Options {
        login: probe.login().map(str::to_owned),
        passcode: probe.login().map(|_| probe.passcode().unwrap_or_default().to_owned()),
        host: Some(probe.host().to_owned()),
        connect_timeout: patience,
        receipt_timeout: patience,
        reconnect: None,
        ..Options::default()
    };
    options.link.connect_timeout = patience;
    options.link.info_timeout = patience;
    options.link.transport_timeout = patience;
    options.link.request_timeout = patience;
    options.link.close_timeout = patience;
    options.link.transports = match probe.carrier {
        Carrier::Tcp | Carrier::WebSocket => Vec::new(),
        Carrier::SockJsWebSocket => vec![Transport::Websocket],
        Carrier::XhrStreaming => vec![Transport::XhrStreaming],
        Carrier::XhrPolling => vec![Transport::Xhr],
    };
    options
}
