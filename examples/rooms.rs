//! Chat rooms over STOMP: `cargo run --example rooms`, then a STOMP client at `/stomp`, or the page at `/`.
//!
//! | client | what happens |
//! |---|---|
//! | SEND `/app/name`, a text | that is my name, for this session |
//! | SUBSCRIBE `/app/rooms` | the rooms and who is in them, once |
//! | SUBSCRIBE `/topic/chat.ROOM` | I am in; everybody there hears who joins, leaves, and what is said |
//! | SEND `/app/chat/ROOM`, a text | says it there, under my name |
//! | SUBSCRIBE `/user/queue/errors` | what I did wrong |

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use towpath::application::{
    Answer, Application, Caller, Event, Failure, Inbound, Incoming, Interceptor, Publisher, RouteError,
};
use towpath::config::Config;
use towpath::server::Server;

const LONGEST_NAME: usize = 20;
const LONGEST_TEXT: usize = 500;

/// What everybody in a room hears.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Heard<'a> {
    Joined { who: &'a str },
    Left { who: &'a str },
    Said { who: &'a str, text: &'a str },
}

/// Who is in which room: a place for each subscription, by its session and its id.
#[derive(Default)]
struct Rooms(Mutex<HashMap<(String, String), Place>>);

struct Place {
    room: String,
    who: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned()).parse()?;
    let config = Config { listen, ..Config::default() };
    let server = Server::bind_with(&config, chat()?, None).await?;
    println!("rooms: http://{}/stomp", server.address());
    server.run(std::future::pending()).await;
    Ok(())
}

fn chat() -> Result<Application, RouteError> {
    let mut application = Application::new();
    application.on_message("/app/name", |message| async move {
        let name = checked(message.text()?, LONGEST_NAME)?;
        message.caller.set_attribute("name", name)?;
        Ok(Answer::nothing())
    })?;
    application.on_message("/app/chat/{room}", |message| async move { say(&message) })?;

    let rooms = Arc::new(Rooms::default());
    let listed = Arc::clone(&rooms);
    application.on_subscribe("/app/rooms", move |_| {
        let rooms = listed.list();
        async move { Answer::reply(rooms) }
    })?;

    let publisher = application.publisher();
    application.on_event(move |event| rooms.notice(event, &publisher));
    application.intercept(ThroughTheApplication);
    Ok(application)
}

fn say(message: &Incoming) -> Result<Answer, Failure> {
    let room = message.variable("room");
    if !is_room(room) {
        return Err(Failure::new("a room has letters, digits and - in its name"));
    }
    let text = checked(message.text()?, LONGEST_TEXT)?;
    let who = name(&message.caller);
    Answer::publish(format!("/topic/chat.{room}"), Heard::Said { who: &who, text })
}

fn checked(text: &str, longest: usize) -> Result<&str, Failure> {
    match text.trim() {
        "" => Err(Failure::new("there is nothing in it")),
        text if text.chars().count() > longest => Err(Failure::new(format!("more than {longest} characters"))),
        text => Ok(text),
    }
}

/// How the others know somebody; until he says otherwise, by the name that he proved or by his session's.
fn name(caller: &Caller) -> String {
    caller.attribute("name").unwrap_or_else(|| caller.user().to_owned())
}

fn is_room(room: &str) -> bool {
    !room.is_empty() && room.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

impl Rooms {
    /// The names in each room.
    fn list(&self) -> BTreeMap<String, Vec<String>> {
        let mut list = BTreeMap::<_, Vec<_>>::new();
        for Place { room, who } in self.places().values() {
            list.entry(room.clone()).or_default().push(who.clone());
        }
        list.values_mut().for_each(|names| names.sort());
        list
    }

    /// Keeps account of who comes and goes, and tells the others.
    fn notice(&self, event: &Event<'_>, publisher: &Publisher) {
        match event {
            Event::Subscribed { caller, destination, id } => {
                let room = destination.strip_prefix("/topic/chat.").filter(|room| is_room(room));
                let Some(room) = room.map(str::to_owned) else { return };
                let who = name(caller);
                tell(publisher, &room, Heard::Joined { who: &who });
                self.places().insert((caller.session().to_owned(), (*id).to_owned()), Place { room, who });
            }
            Event::Unsubscribed { caller, id } => {
                self.leave(publisher, |(session, subscription)| session == caller.session() && subscription == id)
            }
            Event::Disconnected { caller, .. } => self.leave(publisher, |(session, _)| session == caller.session()),
            Event::Connected(_) => {}
        }
    }

    fn leave(&self, publisher: &Publisher, goes: impl Fn(&(String, String)) -> bool) {
        let left: Vec<Place> = self.places().extract_if(|key, _| goes(key)).map(|(_, place)| place).collect();
        for Place { room, who } in left {
            tell(publisher, &room, Heard::Left { who: &who });
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<(String, String), Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That it does not reach everybody when the broker is full is no reason for anybody to leave.
fn tell(publisher: &Publisher, room: &str, heard: Heard<'_>) {
    let _ = publisher.send_json(&format!("/topic/chat.{room}"), heard);
}

/// Keeps clients from sending to a room directly, which they could under any name. A `[[rule]]` in a configuration does the
/// same.
struct ThroughTheApplication;

impl Interceptor for ThroughTheApplication {
    fn inbound(&self, frame: &mut Inbound<'_>) -> Result<(), Failure> {
        match frame {
            Inbound::Send { destination, .. } if !destination.starts_with("/app/") => {
                Err(Failure::new("send to /app/chat/ROOM instead"))
            }
            _ => Ok(()),
        }
    }
}
