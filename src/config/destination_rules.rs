//! What the `[[destination]]` tables mean: patterns that fit something, settings that suit their pattern's kind, tables that do not
//! take each other's place, dead letters that come to rest.
//!
//! Does not know: TOML, files, the other tables but `[broker]`.

use super::application_rules::check_prefixes;
use super::error::Complaint;
use super::settings::{Place, Setting};
use super::units::show_size;
use super::validate::Check;
use super::web::at_or_below;
use super::{Broker, Config, Destination, Overflow, Queue, patterns};

/// Headers that are the gateway's own in each MESSAGE, so no two messages share a value.
const ALWAYS_DIFFERENT: [&str; 2] = ["message-id", "ack"];

impl Check<'_> {
    /// What has to be there and is not. Comes first, since what is missing is out of its range as well.
    pub(super) fn missing(&mut self, config: &Config) {
        for (index, destination) in config.destinations.iter().enumerate() {
            let place = Place::Destination(index);
            if destination.pattern.is_empty() && !(self.written)(place, "pattern") {
                let complaint = Complaint::new(
                    "is missing",
                    "write which destinations this is about, such as pattern = \"/topic/prices.*\"",
                );
                self.add(place, "pattern", complaint, &[]);
            }
            let without_count = destination.history.as_ref().is_some_and(|history| history.count == 0);
            if without_count && !(self.written)(place, "history.count") {
                let complaint =
                    Complaint::new("is missing", "write how many messages are kept, such as history = { count = 100 }");
                self.add(place, "history.count", complaint, &[(place, "history")]);
            }
        }
    }

    /// A destination is of one kind, whatever prefixes are chosen.
    pub(super) fn topic_prefixes(&mut self, config: &Config) {
        let (topics, application) = (&config.broker.topic_prefixes, &config.application.prefixes);
        if let Err(complaint) = check_prefixes(topics, "topic", "there would be no topics") {
            return self.add(Place::Broker, "topic_prefixes", complaint, &[]);
        }
        let both = topics.iter().flat_map(|topic| application.iter().map(move |own| (topic, own)));
        let mut collisions = both.filter(|(topic, own)| at_or_below(topic, own) || at_or_below(own, topic));
        if let Some((topic, own)) = collisions.next() {
            let complaint = Complaint::new(
                format!("holds {topic:?}, and `prefixes` in [application] holds {own:?}"),
                "choose prefixes of which none lies inside of another",
            );
            let related = [(Place::Application, "prefixes")];
            self.add_unless_echo(Place::Broker, "topic_prefixes", complaint, &related);
        }
    }

    pub(super) fn destinations(&mut self, config: &Config) {
        let broker = &config.broker;
        if let Some(name) = &broker.queue.dead_letter
            && let Err(complaint) = patterns::check_name(name, &for_dead_letters(broker), broker.max_name)
        {
            self.add(Place::Broker, "dead_letter", complaint, &[]);
        }
        for (index, destination) in config.destinations.iter().enumerate() {
            let place = Place::Destination(index);
            if let Err(complaint) = patterns::check(&destination.pattern, broker) {
                self.add(place, "pattern", complaint, &[]);
                continue;
            }
            self.reached(place, index, config);
            if destination.pattern.starts_with("/queue/") {
                self.for_queues(place, destination, config);
            } else {
                self.for_topics(place, destination, broker);
            }
        }
    }

    /// The first table that fits counts, so one behind a wider one never does.
    fn reached(&mut self, place: Place, index: usize, config: &Config) {
        let pattern = &config.destinations[index].pattern;
        let before = config.destinations[..index].iter().enumerate();
        let wider = before
            .filter(|(_, other)| patterns::check(&other.pattern, &config.broker).is_ok())
            .find(|(_, other)| patterns::covers(&other.pattern, pattern));
        let Some((number, other)) = wider else { return };
        let header = format!("[[destination]] {}", number + 1);
        let complaint = if other.pattern == *pattern {
            Complaint::new(
                format!("is {pattern:?}, as it is in {header} already"),
                "write all of its settings into one of them",
            )
        } else {
            Complaint::new(
                format!(
                    "is {pattern:?}, which is never reached: {:?} in {header} fits all of it and comes first",
                    other.pattern
                ),
                "move this table before that one",
            )
        };
        self.add(place, "pattern", complaint, &[]);
    }

    fn for_topics(&mut self, place: Place, destination: &Destination, broker: &Broker) {
        let pattern = &destination.pattern;
        for key in self.queue_settings(place, &destination.queue, &broker.queue) {
            let complaint = Complaint::new(
                format!("is for queues, but the pattern here is {pattern:?}"),
                "leave it out, or write a table for a pattern that begins with /queue/",
            );
            self.add(place, key, complaint, &[]);
        }
        if pattern.starts_with("/user/") && destination.history.is_some() {
            let complaint = Complaint::new(
                format!("is for topics, but the pattern here is {pattern:?}"),
                "leave it out, or write a table for a pattern that begins with /topic/",
            );
            self.add(place, "history", complaint, &[(place, "history.count"), (place, "history.age")]);
        }
        if let Some(header) = &destination.conflate_by {
            self.conflate_by(place, header, destination.overflow);
        }
    }

    fn conflate_by(&mut self, place: Place, header: &str, overflow: Overflow) {
        let complaint = if overflow != Overflow::Conflate {
            Complaint::new(
                format!("names a header to conflate by, but `overflow` is {:?}", overflow.name()),
                "write overflow = \"conflate\", or leave this out",
            )
        } else if header.is_empty() {
            Complaint::new(
                "is \"\", which is no header",
                "name a header, or leave this out for the latest message of each destination",
            )
        } else if header.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
            Complaint::new(
                format!("is {header:?}, which is no name of a header"),
                "write the bare name, such as \"symbol\"",
            )
        } else if ALWAYS_DIFFERENT.contains(&header) {
            Complaint::new(
                format!("is {header:?}, which is another one in each message, so nothing would be conflated"),
                "name a header that publishers set, or leave this out for the latest message of each destination",
            )
        } else {
            return;
        };
        self.add(place, "conflate_by", complaint, &[(place, "overflow")]);
    }

    fn for_queues(&mut self, place: Place, destination: &Destination, config: &Config) {
        let slow = "leave it out: a consumer that does not keep up is not sent more, and `queue_full` says what a full queue does";
        for (key, set, mend) in [
            ("overflow", destination.overflow != Overflow::default(), slow),
            ("conflate_by", destination.conflate_by.is_some(), slow),
            (
                "history",
                destination.history.is_some(),
                "leave it out: a queue keeps its messages until they are consumed",
            ),
        ] {
            if set || (self.written)(place, key) {
                let kinds = if key == "history" { "topics" } else { "topics and user destinations" };
                let fault = format!("is for {kinds}, but the pattern here is {:?}", destination.pattern);
                self.add(place, key, Complaint::new(fault, mend), &[(place, "history.count"), (place, "history.age")]);
            }
        }
        self.queue_limits(place, &destination.queue, &config.broker);
        self.dead_letter(place, destination, config);
    }

    /// One queue is never larger than all together may be. Where the limit is that of `[broker]`, it is complained of there.
    fn queue_limits(&mut self, place: Place, queue: &Queue, broker: &Broker) {
        if queue.messages > broker.queues_messages && queue.messages != broker.queue.messages {
            let complaint = Complaint::new(
                format!(
                    "is {}, more than `queues_messages` in [broker], which is {} for all queues together",
                    queue.messages, broker.queues_messages
                ),
                format!("write queue_messages = {} or less, or raise the other", broker.queues_messages),
            );
            self.add(place, "queue_messages", complaint, &[]);
        }
        if queue.bytes > broker.queues_bytes && queue.bytes != broker.queue.bytes {
            let (own, all) = (show_size(queue.bytes), show_size(broker.queues_bytes));
            let complaint = Complaint::new(
                format!("is {own}, more than `queues_bytes` in [broker], which is {all} for all queues together"),
                format!("write queue_bytes = \"{all}\" or less, or raise the other"),
            );
            self.add(place, "queue_bytes", complaint, &[]);
        }
    }

    fn dead_letter(&mut self, place: Place, destination: &Destination, config: &Config) {
        let Some(name) = &destination.queue.dead_letter else { return };
        // What [broker] says of every queue it also says of the one it names; that one simply drops.
        if config.broker.queue.dead_letter.as_ref() == Some(name) && !(self.written)(place, "dead_letter") {
            return;
        }
        let complaint = if let Err(complaint) =
            patterns::check_name(name, &for_dead_letters(&config.broker), config.broker.max_name)
        {
            complaint
        } else if *name == destination.pattern {
            Complaint::new(
                format!("is {name:?}, the very queue that gives the messages up"),
                "name another destination, or write \"\" to drop them",
            )
        } else if let Some(circle) = circle(name, destination, config) {
            Complaint::new(
                format!("is {name:?}, from where messages come back: {}", circle.join(" -> ")),
                "write dead_letter = \"\" for one of these queues",
            )
        } else {
            return;
        };
        self.add(place, "dead_letter", complaint, &[]);
    }

    /// The keys about queues that a table really sets.
    fn queue_settings(&self, place: Place, queue: &Queue, inherited: &Queue) -> Vec<&'static str> {
        // The lists of settings borrow mutably, for the reader's sake; copies at start-up cost nothing.
        let values = |queue: &Queue| -> Vec<(&'static str, Option<String>)> {
            let mut copy = queue.clone();
            let settings = copy.settings();
            settings.iter().map(|setting: &Setting<'_>| (setting.key, setting.describe(place).value)).collect()
        };
        let others = values(inherited).into_iter().zip(values(&Queue::default()));
        values(queue)
            .into_iter()
            .zip(others)
            .filter(|(own, (inherited, default))| (self.written)(place, own.0) || (own != inherited && own != default))
            .map(|((key, _), _)| key)
            .collect()
    }
}

/// What can take dead letters: a user destination belongs to a session, and that may be gone.
fn for_dead_letters(broker: &Broker) -> Vec<String> {
    let mut kinds = patterns::topics_and(broker, &["/queue/"]);
    kinds.rotate_right(1);
    kinds
}

/// The way of a message that is given up again and again, from `start` on, if it comes back there and passes a queue of
/// `destination`. A queue that names itself drops, and is the end of a way.
fn circle<'c>(start: &'c str, destination: &Destination, config: &'c Config) -> Option<Vec<&'c str>> {
    let mut way = vec![start];
    let mut passes = false;
    loop {
        let at = *way.last()?;
        let table = config.destinations.iter().find(|table| patterns::covers(&table.pattern, at));
        passes |= table.is_some_and(|table| std::ptr::eq(table, destination));
        let queue = table.map_or(&config.broker.queue, |table| &table.queue);
        let next = queue.dead_letter.as_deref().filter(|next| *next != at && at.starts_with("/queue/"))?;
        let seen = way.contains(&next);
        way.push(next);
        if seen {
            return (next == start && passes).then_some(way);
        }
    }
}
