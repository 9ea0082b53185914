//! One list of settings per section, and what can be done with a setting: read it from TOML, check its range, show it.
//!
//! A section names each of its fields once, as a [`Setting`] that borrows the field. Whoever needs "all keys" (the reader, the
//! range checks, the suggestions, the comparison with the documents) walks that list.
//!
//! Does not know: files, lines, rules between two settings.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::endpoint::SameSite;
use super::environment;
use super::error::Complaint;
use super::origins::AllowedOrigins;
use super::secret::Secret;
use super::transports::{Transport, Transports};
use super::units::{GIB, show_duration, show_size};
use super::values;

/// The shortest duration that is not zero. Timers are coarser than this makes believe; anything shorter is a slip of the unit.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest duration. A longer one is a slip of the unit too, and the clock's arithmetic is safe from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest size, in bytes.
const LARGEST: usize = GIB;
/// The largest size of what many sessions share, in bytes: more than any machine has.
const LARGEST_OF_MANY: usize = GIB.saturating_mul(1024);
/// The highest count.
const HIGHEST: usize = 1_000_000_000;

/// What stands for a secret where settings are shown.
const HIDDEN: &str = "***";

/// A table of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Before the first table header.
    Top,
    /// `[http]`
    Http,
    /// `[tcp]`
    Tcp,
    /// `[stomp]`
    Stomp,
    /// `[broker]`
    Broker,
    /// `[application]`
    Application,
    /// `[webhook]`
    Webhook,
    /// `[auth]`
    Auth,
    /// `[jwt]`
    Jwt,
    /// `[api]`
    Api,
    /// The `[[endpoint]]` with this number, counted from 0.
    Endpoint(usize),
    /// The `[[app]]` with this number, counted from 0.
    App(usize),
    /// The `[[user]]` with this number, counted from 0.
    User(usize),
    /// The `[[rule]]` with this number, counted from 0.
    Rule(usize),
    /// The `[[destination]]` with this number, counted from 0.
    Destination(usize),
}

/// One setting as a configuration file would say it; see [`Config::describe`](super::Config::describe).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The table that the key stands in.
    pub place: Place,
    /// The key; with a dot where it stands in a table of its own inside of `place`, as in `history.count`.
    pub key: &'static str,
    /// What kind of value it takes, in a word: `duration`, `size`, `count`, `flag`, `text`, `texts`, `secret`,
    /// `address`, `name` or `names`.
    pub kind: &'static str,
    /// The value in TOML, `"***"` for a secret; none where the setting says nothing because its key is left out.
    pub value: Option<String>,
}

impl Described {
    /// The variable of the environment that sets the same, such as `TOWPATH_STOMP_MAX_BODY`.
    pub fn variable(&self) -> String {
        environment::variable(self.place, self.key)
    }
}

/// A key and the field behind it.
pub(super) struct Setting<'a> {
    pub(super) key: &'static str,
    slot: Slot<'a>,
}

enum Slot<'a> {
    Duration {
        value: &'a mut Duration,
        zero_allowed: bool,
    },
    Size {
        value: &'a mut usize,
        range: RangeInclusive<usize>,
    },
    Count {
        value: &'a mut usize,
        range: RangeInclusive<usize>,
    },
    SmallCount {
        value: &'a mut u32,
        range: RangeInclusive<u32>,
    },
    Flag(&'a mut bool),
    Text(&'a mut String),
    OptionalText(&'a mut Option<String>),
    TextOrNone(&'a mut Option<String>),
    Texts {
        value: &'a mut Vec<String>,
        example: &'static str,
    },
    /// Shown to nobody.
    Secret(&'a mut Option<Secret>),
    SecretText(&'a mut Secret),
    Address(&'a mut SocketAddr),
    OptionalAddress(&'a mut Option<SocketAddr>),
    Choice(Box<dyn Names + 'a>),
    Choices(Box<dyn NameLists + 'a>),
    SameSite(&'a mut Option<SameSite>),
    Origins(&'a mut AllowedOrigins),
    Transports(&'a mut Transports),
    /// There is no field now, because the table that the key stands in is left out.
    Absent {
        kind: &'static str,
    },
}

/// A field that takes one of a few named values, whatever its type.
trait Names {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), Complaint>;
    fn name(&self) -> &'static str;
}

struct Choice<'a, T: 'static> {
    value: &'a mut T,
    all: &'static [T],
    name: fn(T) -> &'static str,
}

impl<T: Copy> Names for Choice<'_, T> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), Complaint> {
        *self.value = values::choice(value, self.all, self.name)?;
        Ok(())
    }

    fn name(&self) -> &'static str {
        (self.name)(*self.value)
    }
}

/// A field that takes several of a few named values.
trait NameLists {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), Complaint>;
    fn names(&self) -> Vec<&'static str>;
}

struct Choices<'a, T: 'static> {
    value: &'a mut Vec<T>,
    all: &'static [T],
    name: fn(T) -> &'static str,
}

impl<T: Copy> NameLists for Choices<'_, T> {
    fn read(&mut self, value: &DeValue<'_>) -> Result<(), Complaint> {
        let example = self.all.first().map_or("", |one| (self.name)(*one));
        let names = values::texts(value, example)?;
        *self.value = names.iter().map(|name| values::pick(name, self.all, self.name)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn names(&self) -> Vec<&'static str> {
        self.value.iter().map(|one| (self.name)(*one)).collect()
    }
}

impl<'a> Setting<'a> {
    pub(super) fn duration(key: &'static str, value: &'a mut Duration) -> Self {
        Setting { key, slot: Slot::Duration { value, zero_allowed: false } }
    }

    /// A duration where zero has a meaning of its own, such as "off" or "at once".
    pub(super) fn duration_or_zero(key: &'static str, value: &'a mut Duration) -> Self {
        Setting { key, slot: Slot::Duration { value, zero_allowed: true } }
    }

    pub(super) fn size(key: &'static str, value: &'a mut usize) -> Self {
        Self::size_from(key, value, 1)
    }

    pub(super) fn size_from(key: &'static str, value: &'a mut usize, least: usize) -> Self {
        Setting { key, slot: Slot::Size { value, range: least..=LARGEST } }
    }

    /// A size of what many sessions share.
    pub(super) fn size_of_many(key: &'static str, value: &'a mut usize) -> Self {
        Setting { key, slot: Slot::Size { value, range: 1..=LARGEST_OF_MANY } }
    }

    pub(super) fn count(key: &'static str, value: &'a mut usize) -> Self {
        Self::count_in(key, value, 1..=HIGHEST)
    }

    pub(super) fn count_in(key: &'static str, value: &'a mut usize, range: RangeInclusive<usize>) -> Self {
        Setting { key, slot: Slot::Count { value, range } }
    }

    pub(super) fn small_count(key: &'static str, value: &'a mut u32, range: RangeInclusive<u32>) -> Self {
        Setting { key, slot: Slot::SmallCount { value, range } }
    }

    pub(super) fn flag(key: &'static str, value: &'a mut bool) -> Self {
        Setting { key, slot: Slot::Flag(value) }
    }

    pub(super) fn text(key: &'static str, value: &'a mut String) -> Self {
        Setting { key, slot: Slot::Text(value) }
    }

    pub(super) fn optional_text(key: &'static str, value: &'a mut Option<String>) -> Self {
        Setting { key, slot: Slot::OptionalText(value) }
    }

    /// A text where the empty one means none, so that a table can take back what another one gives it.
    pub(super) fn text_or_none(key: &'static str, value: &'a mut Option<String>) -> Self {
        Setting { key, slot: Slot::TextOrNone(value) }
    }

    /// A list of texts.
    pub(super) fn texts(key: &'static str, value: &'a mut Vec<String>, example: &'static str) -> Self {
        Setting { key, slot: Slot::Texts { value, example } }
    }

    /// A text that no message, list or log shows.
    pub(super) fn secret(key: &'static str, value: &'a mut Option<Secret>) -> Self {
        Setting { key, slot: Slot::Secret(value) }
    }

    /// The same, where there is always one.
    pub(super) fn secret_text(key: &'static str, value: &'a mut Secret) -> Self {
        Setting { key, slot: Slot::SecretText(value) }
    }

    pub(super) fn address(key: &'static str, value: &'a mut SocketAddr) -> Self {
        Setting { key, slot: Slot::Address(value) }
    }

    pub(super) fn optional_address(key: &'static str, value: &'a mut Option<SocketAddr>) -> Self {
        Setting { key, slot: Slot::OptionalAddress(value) }
    }

    /// One of `all`, by its name.
    pub(super) fn choice<T: Copy>(
        key: &'static str,
        value: &'a mut T,
        all: &'static [T],
        name: fn(T) -> &'static str,
    ) -> Self {
        Setting { key, slot: Slot::Choice(Box::new(Choice { value, all, name })) }
    }

    /// Some of `all`, by their names.
    pub(super) fn choices<T: Copy>(
        key: &'static str,
        value: &'a mut Vec<T>,
        all: &'static [T],
        name: fn(T) -> &'static str,
    ) -> Self {
        Setting { key, slot: Slot::Choices(Box::new(Choices { value, all, name })) }
    }

    pub(super) fn same_site(key: &'static str, value: &'a mut Option<SameSite>) -> Self {
        Setting { key, slot: Slot::SameSite(value) }
    }

    pub(super) fn origins(key: &'static str, value: &'a mut AllowedOrigins) -> Self {
        Setting { key, slot: Slot::Origins(value) }
    }

    pub(super) fn transports(key: &'static str, value: &'a mut Transports) -> Self {
        Setting { key, slot: Slot::Transports(value) }
    }

    /// A key of an inner table that is left out.
    pub(super) fn absent(key: &'static str, kind: &'static str) -> Self {
        Setting { key, slot: Slot::Absent { kind } }
    }

    /// Puts a value from a file into the field. A complaint leaves the field as it was.
    pub(super) fn read(&mut self, value: &DeValue<'_>) -> Result<(), Complaint> {
        match &mut self.slot {
            Slot::Duration { value: field, .. } => **field = values::duration(value)?,
            Slot::Size { value: field, range } => **field = values::size(value, *range.end())?,
            Slot::Count { value: field, range } => **field = values::count(value, *range.end())?,
            Slot::SmallCount { value: field, range } => **field = values::count(value, *range.end())?,
            Slot::Flag(field) => **field = values::flag(value)?,
            Slot::Text(field) => **field = values::text(value)?.to_owned(),
            Slot::OptionalText(field) => **field = Some(values::text(value)?.to_owned()),
            Slot::TextOrNone(field) => **field = values::text_or_none(value)?,
            Slot::Texts { value: field, example } => **field = values::texts(value, example)?,
            Slot::Secret(field) => **field = Some(Secret::new(values::text(value)?)),
            Slot::SecretText(field) => **field = Secret::new(values::text(value)?),
            Slot::Address(field) => **field = values::address(value)?,
            Slot::OptionalAddress(field) => **field = Some(values::address(value)?),
            Slot::Choice(field) => field.read(value)?,
            Slot::Choices(field) => field.read(value)?,
            Slot::SameSite(field) => {
                // Headers spell these names with a capital; both spellings mean the same here.
                let text = values::text(value)?.to_ascii_lowercase();
                **field = Some(values::pick(&text, &SameSite::ALL, SameSite::name)?);
            }
            Slot::Origins(field) => **field = AllowedOrigins::from_list(values::texts(value, "https://example.com")?),
            Slot::Transports(field) => {
                let names = values::texts(value, "websocket")?;
                let picked = names.iter().map(|name| values::pick(name, &Transport::ALL, Transport::name));
                **field = Transports::Only(picked.collect::<Result<_, _>>()?);
            }
            // Without the inner table, a key with a dot in it can only have come in quotes.
            Slot::Absent { .. } => {
                return Err(Complaint::new("is a quoted key with a dot in it", "take the quotes away"));
            }
        }
        Ok(())
    }

    /// The same from a variable of the environment, where texts have no quotes and lists no brackets.
    pub(super) fn read_text(&mut self, text: &str) -> Result<(), Complaint> {
        let string = || DeValue::String(text.into());
        let value = match &self.slot {
            // What is no number or flag is a text, and complained of as such.
            Slot::Count { .. } | Slot::SmallCount { .. } | Slot::Flag(_) => {
                DeValue::parse(text).map_or_else(|_| string(), |value| value.into_inner())
            }
            Slot::Texts { .. } | Slot::Choices(_) | Slot::Origins(_) | Slot::Transports(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                DeValue::Array(items.map(|item| Spanned::new(0..0, DeValue::String(item.into()))).collect())
            }
            Slot::Absent { .. } => {
                return Err(Complaint::new("is for a table inside that is left out", "write that table into the file"));
            }
            _ => string(),
        };
        self.read(&value)
    }

    /// Whether the value is one that nobody is to see.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.slot, Slot::Secret(_) | Slot::SecretText(_))
    }

    /// Checks the value against the range of its own setting; what it means beside others is checked elsewhere.
    pub(super) fn check(&self) -> Result<(), Complaint> {
        match &self.slot {
            Slot::Duration { value, zero_allowed } => check_duration(**value, *zero_allowed),
            Slot::Size { value, range } => check_size(**value, range),
            Slot::Count { value, range } => check_count(**value, range),
            Slot::SmallCount { value, range } => check_count(**value, range),
            Slot::Origins(origins) => origins.check(),
            Slot::Transports(Transports::Only(named)) if named.is_empty() => Err(Complaint::new(
                "names no transport, so nobody could connect",
                "name some, or leave the key out for all of them",
            )),
            _ => Ok(()),
        }
    }

    /// The setting as a file would say it.
    pub(super) fn describe(&self, place: Place) -> Described {
        let (kind, value) = match &self.slot {
            Slot::Duration { value, .. } => ("duration", Some(quoted(&show_duration(**value)))),
            Slot::Size { value, .. } => ("size", Some(quoted(&show_size(**value)))),
            Slot::Count { value, .. } => ("count", Some(value.to_string())),
            Slot::SmallCount { value, .. } => ("count", Some(value.to_string())),
            Slot::Flag(value) => ("flag", Some(value.to_string())),
            Slot::Text(value) => ("text", Some(quoted(value))),
            Slot::OptionalText(value) => ("text", value.as_deref().map(quoted)),
            Slot::TextOrNone(value) => ("text", Some(quoted(value.as_deref().unwrap_or_default()))),
            Slot::Texts { value, .. } => ("texts", Some(quoted_list(value.iter().map(String::as_str)))),
            Slot::Secret(value) => ("secret", value.as_ref().map(|_| quoted(HIDDEN))),
            Slot::SecretText(value) => ("secret", Some(quoted(if value.is_empty() { "" } else { HIDDEN }))),
            Slot::Address(value) => ("address", Some(quoted(&value.to_string()))),
            Slot::OptionalAddress(value) => ("address", value.map(|address| quoted(&address.to_string()))),
            Slot::Choice(value) => ("name", Some(quoted(value.name()))),
            Slot::Choices(value) => ("names", Some(quoted_list(value.names().into_iter()))),
            Slot::SameSite(value) => ("name", value.map(|same_site| quoted(same_site.name()))),
            Slot::Origins(value) => ("names", value.as_list().map(|list| quoted_list(list.iter().map(String::as_str)))),
            Slot::Transports(Transports::All) => ("names", None),
            Slot::Transports(Transports::Only(named)) => {
                ("names", Some(quoted_list(named.iter().map(|one| one.name()))))
            }
            Slot::Absent { kind } => (*kind, None),
        };
        Described { place, key: self.key, kind, value }
    }
}

impl Place {
    /// The table's header as a file writes it; empty for the top.
    pub fn header(self) -> &'static str {
        match self {
            Place::Top => "",
            Place::Http => "[http]",
            Place::Tcp => "[tcp]",
            Place::Stomp => "[stomp]",
            Place::Broker => "[broker]",
            Place::Application => "[application]",
            Place::Webhook => "[webhook]",
            Place::Auth => "[auth]",
            Place::Jwt => "[jwt]",
            Place::Api => "[api]",
            Place::Endpoint(_) => "[[endpoint]]",
            Place::App(_) => "[[app]]",
            Place::User(_) => "[[user]]",
            Place::Rule(_) => "[[rule]]",
            Place::Destination(_) => "[[destination]]",
        }
    }

    /// The number of the table in its list, counted from 0; none if there is no list.
    pub fn number(self) -> Option<usize> {
        match self {
            Place::Endpoint(index)
            | Place::App(index)
            | Place::User(index)
            | Place::Rule(index)
            | Place::Destination(index) => Some(index),
            _ => None,
        }
    }
}

/// As part of a sentence: `at the top`, `in [http]`, `in [[endpoint]] 2`. Tables of a list are counted from 1 here, for people.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.number()) {
            (Place::Top, _) => f.write_str("at the top"),
            (_, Some(index)) => write!(f, "in {} {}", self.header(), index + 1),
            (table, None) => write!(f, "in {}", table.header()),
        }
    }
}

fn check_duration(value: Duration, zero_allowed: bool) -> Result<(), Complaint> {
    let shown = show_duration(value);
    let range = format!("from {} to {}", show_duration(SHORTEST), show_duration(LONGEST));
    if value.is_zero() && zero_allowed {
        return Ok(());
    }
    let fault = if value.is_zero() {
        "is zero".to_owned()
    } else if value < SHORTEST {
        format!("is too short: {shown}")
    } else if value > LONGEST {
        format!("is too long: {shown}")
    } else if !value.subsec_nanos().is_multiple_of(1_000_000) {
        format!("is finer than a millisecond: {shown}")
    } else {
        return Ok(());
    };
    let mend = if zero_allowed {
        format!("write whole milliseconds {range}, or \"0s\"")
    } else {
        format!("write whole milliseconds {range}")
    };
    Err(Complaint::new(fault, mend))
}

fn check_size(value: usize, range: &RangeInclusive<usize>) -> Result<(), Complaint> {
    let (least, most) = (*range.start(), *range.end());
    let fault = match value {
        0 => "is zero".to_owned(),
        small if small < least => format!("is too small: {}", show_size(small)),
        large if large > most => format!("is too large: {}", show_size(large)),
        _ => return Ok(()),
    };
    Err(Complaint::new(fault, format!("write a size from {} to {}", show_size(least), show_size(most))))
}

fn check_count<N: PartialOrd + Default + fmt::Display>(value: N, range: &RangeInclusive<N>) -> Result<(), Complaint> {
    if range.contains(&value) {
        return Ok(());
    }
    let fault = if value == N::default() {
        "is zero".to_owned()
    } else if value < *range.start() {
        format!("is too small: {value}")
    } else {
        format!("is too large: {value}")
    };
    Err(Complaint::new(fault, format!("write a number from {} to {}", range.start(), range.end())))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn quoted_list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}
