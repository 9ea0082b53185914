//! What came of a run, for programs and for people.
//!
//! Does not know: how it was measured.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::latency::Percentiles;

/// What came of a run. Serialized it is what `--json` prints; what there is nothing to say of is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The URL.
    pub url: String,
    /// The transport's name, or `mix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<&'static str>,
    /// The shares of a mix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<BTreeMap<&'static str, u32>>,
    /// Clients at once.
    pub clients: u64,
    /// Bytes of a body.
    pub size: usize,
    /// Messages that each sender kept on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Messages a second that were to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_wanted: Option<f64>,
    /// How long was measured.
    pub seconds: f64,
    /// What became of the messages.
    pub messages: Messages,
    /// Messages, deliveries, cycles or heartbeats within the measured time.
    pub measured: u64,
    /// Of these a second.
    pub rate: f64,
    /// How long those took that were due in the measured time, whenever they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Timed>,
    /// How long connecting took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<Percentiles>,
    /// What the server used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUse>,
    /// What the load itself used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadUse>,
    /// What came over each transport of a mix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub transports: BTreeMap<&'static str, Share>,
    /// What ended clients before their time.
    pub failures: Vec<Failure>,
}

/// What became of the messages of the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// Sent.
    pub sent: u64,
    /// Deliveries that these were to have.
    pub expected: u64,
    /// Deliveries there were, each counted once.
    pub received: u64,
    /// Those that never came.
    pub lost: u64,
    /// Those that came once more.
    pub duplicated: u64,
    /// Those that came after a later one of the same sender.
    pub out_of_order: u64,
}

/// Durations, and from when they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timed {
    /// `intended`: from when it was due; `sent`: from when it was sent.
    pub from: &'static str,
    /// The durations.
    #[serde(flatten)]
    pub took: Percentiles,
}

/// What a server used. Times are of the measured time only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ServerUse {
    /// The process.
    pub pid: u32,
    /// Microseconds on a core, with all processes that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// The same for each that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_each: Option<f64>,
    /// The kernel's part, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_share: Option<f64>,
    /// Resident bytes before the first client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_before: Option<u64>,
    /// Resident bytes when half of the cycles were done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_half: Option<u64>,
    /// Resident bytes after the measured time, with all clients connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_after: Option<u64>,
    /// What each client added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_each: Option<f64>,
    /// Open descriptors before the first client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors_before: Option<u64>,
    /// Open descriptors after the last client left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors_after: Option<u64>,
}

/// What the load used in the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LoadUse {
    /// Microseconds on a core for each that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_each: Option<f64>,
    /// The share of the time that it was on a core.
    pub busy: f64,
}

/// What came over one transport of a mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Clients.
    pub clients: u64,
    /// Measured.
    pub measured: u64,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Timed>,
}

/// Why clients ended before their time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Why.
    pub what: String,
    /// How many.
    pub count: u64,
}

impl Report {
    /// Whether all came once and in order, and no client failed.
    pub fn is_clean(&self) -> bool {
        let Messages { lost, duplicated, out_of_order, .. } = self.messages;
        lost == 0 && duplicated == 0 && out_of_order == 0 && self.failures.is_empty()
    }

    /// One JSON object, with a line end.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl fmt::Display for Report {
    /// A few lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = match (&self.mix, self.transport) {
            (Some(mix), _) => mix.iter().map(|(name, share)| format!("{name}={share}")).collect::<Vec<_>>().join(","),
            (None, transport) => transport.unwrap_or("HTTP").to_owned(),
        };
        let (many, one) = unit(self.scenario);
        writeln!(f, "{} over {over}: {} clients at {}", self.scenario, grouped(self.clients), self.url)?;
        let pace = match (self.in_flight, self.rate_wanted) {
            (Some(count), _) => format!(", {count} of each sender in flight"),
            (_, Some(rate)) => format!(", {rate} a second wanted"),
            _ => String::new(),
        };
        let measured =
            format!("{} {many} in {:.2} s, {:.0} a second{pace}", grouped(self.measured), self.seconds, self.rate);
        line(f, "measured", &measured)?;
        if let Some(Timed { from, took }) = self.latency_us {
            let from = match from {
                "intended" => "from when it was due",
                _ if self.scenario == "churn" => "from its begin",
                _ => "from its sending",
            };
            line(f, "latency", &format!("{}, {from}", percentiles(took)))?;
        }
        if let Some(took) = self.connect_us {
            line(f, "connecting", &percentiles(took))?;
        }
        if let Some(server) = &self.server {
            self.server(f, server, one)?;
        }
        if let Some(load) = self.load {
            let mut text = format!("{:.0} % of a core", 100.0 * load.busy);
            if let Some(each) = load.cpu_us_each {
                let _ = write!(text, ", {each:.2} us for each {one}");
            }
            if load.busy > 0.9 {
                text.push_str("; IT IS THE BOTTLENECK, so the rate is not the server's");
            }
            line(f, "this load", &text)?;
        }
        for (name, share) in &self.transports {
            let took = share.latency_us.map_or(String::new(), |timed| format!(", {}", percentiles(timed.took)));
            line(f, name, &format!("{} clients, {} {many}{took}", share.clients, grouped(share.measured)))?;
        }
        let Messages { sent, expected, received, lost, duplicated, out_of_order } = self.messages;
        if expected > 0 || received > 0 {
            let text = format!("{} sent, {} of {} {many} came", grouped(sent), grouped(received), grouped(expected));
            line(f, "whole run", &text)?;
            line(f, "", &format!("{lost} lost, {duplicated} twice, {out_of_order} out of order"))?;
        }
        for Failure { what, count } in &self.failures {
            line(f, "failed", &format!("{count} x {what}"))?;
        }
        Ok(())
    }
}

impl Report {
    fn server(&self, f: &mut fmt::Formatter<'_>, server: &ServerUse, one: &str) -> fmt::Result {
        if let Some(cpu) = server.cpu_us {
            let mut text = format!("{:.2} s on a core", cpu as f64 / 1e6);
            if let Some(each) = server.cpu_us_each {
                let _ = write!(text, ", {each:.2} us for each {one}");
            }
            if let Some(kernel) = server.kernel_share {
                let _ = write!(text, ", {:.0} % of it in the kernel", 100.0 * kernel);
            }
            line(f, "server", &text)?;
        }
        if let (Some(before), Some(after)) = (server.resident_before, server.resident_after) {
            let mut text = format!("{} resident, {} before", bytes(after), bytes(before));
            if let Some(half) = server.resident_half {
                let _ = write!(text, ", {} at half", bytes(half));
            }
            if let Some(each) = server.resident_each {
                let _ = write!(text, ", {each:.0} bytes for each client");
            }
            line(f, "", &text)?;
        }
        if let (Some(before), Some(after)) = (server.descriptors_before, server.descriptors_after) {
            line(f, "", &format!("{after} descriptors when all had left, {before} before"))?;
        }
        Ok(())
    }
}

/// What a scenario counts.
fn unit(scenario: &str) -> (&'static str, &'static str) {
    match scenario {
        "echo" => ("echoes", "echo"),
        "fanout" | "rooms" => ("deliveries", "delivery"),
        "churn" => ("cycles", "cycle"),
        "idle" => ("heartbeats", "heartbeat"),
        "post" => ("POSTs", "POST"),
        _ => ("messages", "message"),
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<14}{text}")
}

fn percentiles(took: Percentiles) -> String {
    let Percentiles { p50, p90, p99, max, .. } = took;
    format!("p50 {}, p90 {}, p99 {}, max {}", time(p50), time(p90), time(p99), time(max))
}

/// Microseconds, in the unit that suits them.
fn time(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} us"),
        1_000..1_000_000 => format!("{:.2} ms", microseconds as f64 / 1e3),
        _ => format!("{:.2} s", microseconds as f64 / 1e6),
    }
}

fn bytes(count: u64) -> String {
    format!("{:.1} MB", count as f64 / 1e6)
}

/// A number with a comma behind each thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let took = Percentiles { count: 3, p50: 80, p90: 1500, p99: 2500, max: 1_234_567 };
        Report {
            scenario: "fanout",
            url: "http://127.0.0.1:1/stomp".to_owned(),
            transport: Some("websocket"),
            mix: None,
            clients: 1000,
            size: 64,
            in_flight: Some(1),
            rate_wanted: None,
            seconds: 5.0,
            messages: Messages { sent: 3, expected: 3000, received: 3000, ..Messages::default() },
            measured: 1_234_567,
            rate: 246_913.4,
            latency_us: Some(Timed { from: "sent", took }),
            connect_us: None,
            server: Some(ServerUse {
                pid: 7,
                cpu_us: Some(5_000_000),
                cpu_us_each: Some(4.05),
                ..ServerUse::default()
            }),
            load: Some(LoadUse { cpu_us_each: Some(1.0), busy: 0.63 }),
            transports: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn people_read_figures_with_their_units() {
        let text = report().to_string();
        for part in [
            "fanout over websocket: 1,000 clients at http://127.0.0.1:1/stomp\n",
            "1,234,567 deliveries in 5.00 s, 246913 a second, 1 of each sender in flight\n",
            "p50 80 us, p90 1.50 ms, p99 2.50 ms, max 1.23 s, from its sending\n",
            "5.00 s on a core, 4.05 us for each delivery\n",
            "63 % of a core, 1.00 us for each delivery\n",
            "0 lost, 0 twice, 0 out of order\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let busy = Report { load: Some(LoadUse { cpu_us_each: None, busy: 0.99 }), ..report() };
        assert!(busy.to_string().contains("BOTTLENECK"));
    }

    #[test]
    fn programs_read_what_there_is_and_no_nulls() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["latency_us"]["from"], "sent");
        assert_eq!(json["latency_us"]["p99"], 2500);
        assert_eq!(json["messages"]["lost"], 0);
        assert_eq!(json["server"]["cpu_us_each"], 4.05);
        assert!(!report().json().contains("null"));
        for absent in ["mix", "rate_wanted", "connect_us", "transports"] {
            assert!(json.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn anything_amiss_is_not_clean() {
        assert!(report().is_clean());
        for messages in [
            Messages { lost: 1, ..report().messages },
            Messages { duplicated: 1, ..report().messages },
            Messages { out_of_order: 1, ..report().messages },
        ] {
            assert!(!Report { messages, ..report() }.is_clean());
        }
        let failures = vec![Failure { what: "it".to_owned(), count: 1 }];
        assert!(!Report { failures, ..report() }.is_clean());
    }
}
