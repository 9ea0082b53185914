//! What the servers in use claim to have, and how their destinations are written. STOMP leaves both to the server: a destination
//! is an opaque text, and a message that nobody acknowledged may come again or not. A check asks here first, and what a server
//! does not claim is reported as that.
//!
//! Does not know: connections, and whether a claim is kept.

/// Whose rules of destinations and capabilities hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// towpath's own broker.
    #[default]
    Towpath,
    /// RabbitMQ with `rabbitmq_stomp` or `rabbitmq_web_stomp`.
    RabbitMq,
    /// ActiveMQ, Classic or Artemis.
    ActiveMq,
    /// Spring's simple broker. Spring's relay has the dialect of the broker behind it.
    Spring,
}

/// Something that a server may have or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Clients of STOMP 1.0 are served.
    OldClients,
    /// Every frame may ask for a receipt.
    Receipts,
    /// ACK and NACK, and what is not acknowledged comes again.
    Acks,
    /// BEGIN, COMMIT, ABORT.
    Transactions,
    /// Destinations whose messages wait, and go to one consumer each.
    Queues,
    /// Messages of one sender come in their order.
    Order,
    /// Messages of 64 KiB and a little more.
    LargeMessages,
    /// Logins are checked in CONNECT.
    Logins,
    /// A frame that cannot be processed is answered with an ERROR.
    Errors,
    /// A frame that cannot be read is answered with an ERROR, or the end.
    Malformed,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 4] = [Self::Towpath, Self::RabbitMq, Self::ActiveMq, Self::Spring];

    /// `towpath`, `rabbitmq`, `activemq` or `spring`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Towpath => "towpath",
            Self::RabbitMq => "rabbitmq",
            Self::ActiveMq => "activemq",
            Self::Spring => "spring",
        }
    }

    /// Why the server does not have something, or `None` if it claims to have it.
    pub(super) const fn lacks(self, claim: Claim) -> Option<&'static str> {
        match (self, claim) {
            // DefaultStompSession and SimpleBrokerMessageHandler: the broker knows CONNECT, SUBSCRIBE, UNSUBSCRIBE, SEND, DISCONNECT.
            (Self::Spring, Claim::Acks) => Some("Spring's simple broker has no acknowledgements"),
            (Self::Spring, Claim::Transactions) => Some("Spring's simple broker has no transactions"),
            (Self::Spring, Claim::Receipts) => Some("Spring's simple broker gives receipts for DISCONNECT only"),
            (Self::Spring, Claim::Queues) => Some("a queue of Spring's simple broker is a topic by another name"),
            // Inbound frames are handled by a pool of threads unless setPreserveReceiveOrder is on, outbound ones likewise.
            (Self::Spring, Claim::Order) => Some("Spring keeps no order unless it is configured to"),
            // WebSocketTransportRegistration, messageSizeLimit: the whole message, headers included.
            (Self::Spring, Claim::LargeMessages) => Some("Spring's limit is 64 KiB for a message with its headers"),
            // The user is the one of the HTTP request.
            (Self::Spring, Claim::Logins) => Some("Spring takes the user from the HTTP request and looks at no login"),
            // Writing CONNECTED throws for want of a version, and the client hears nothing.
            (Self::Spring, Claim::OldClients) => Some("Spring serves STOMP 1.1 and 1.2"),
            // The simple broker drops what it cannot do, with a line in its log.
            (Self::Spring, Claim::Errors) => Some("Spring's simple broker passes over what it cannot do"),
            _ => None,
        }
    }

    /// The destination of that name to which everybody subscribed gets every message.
    pub(super) fn topic(self, name: &str) -> String {
        format!("/topic/{name}")
    }

    /// The destination of that name that has its messages wait, and gives each to one consumer.
    pub(super) fn queue(self, name: &str) -> String {
        format!("/queue/{name}")
    }

    /// Headers that keep a queue of ours from staying behind, for every SEND and SUBSCRIBE that names one.
    pub(super) const fn queue_headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Its queues are durable, and live until somebody deletes them; with this they go a minute after their last use.
            Self::RabbitMq => &[("x-expires", "60000")],
            _ => &[],
        }
    }

    /// What the `host` header says if the user names none, and the URL has this host.
    pub(super) const fn host(self, of_the_url: &str) -> &str {
        match self {
            // The name of a virtual host, of which this is the one that is always there.
            Self::RabbitMq => "/",
            _ => of_the_url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: [Claim; 10] = [
        Claim::OldClients,
        Claim::Receipts,
        Claim::Acks,
        Claim::Transactions,
        Claim::Queues,
        Claim::Order,
        Claim::LargeMessages,
        Claim::Logins,
        Claim::Errors,
        Claim::Malformed,
    ];

    #[test]
    fn brokers_claim_all_and_springs_simple_broker_little() {
        for dialect in [Dialect::Towpath, Dialect::RabbitMq, Dialect::ActiveMq] {
            assert!(CLAIMS.iter().all(|claim| dialect.lacks(*claim).is_none()), "{dialect:?}");
        }
        let claimed: Vec<_> = CLAIMS.iter().filter(|claim| Dialect::Spring.lacks(**claim).is_none()).collect();
        assert_eq!(claimed, [&Claim::Malformed]);
    }
}
