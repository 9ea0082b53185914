//! From one TOML value to one Rust value, with a complaint that shows what to write instead.
//!
//! Does not know: keys, sections, whether the value makes sense in its place.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeValue;

use super::error::Complaint;
use super::suggest;
use super::units::{parse_duration, parse_size, show_size};

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Complaint> {
    value.as_bool().ok_or_else(|| wrong_kind(value, "true or false", "write true or false, without quotes"))
}

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Complaint> {
    let mend = if value.is_array() { "write one string, without brackets" } else { "put it in quotes" };
    value.as_str().ok_or_else(|| wrong_kind(value, "a string", mend))
}

/// A text where the empty one means none.
pub(super) fn text_or_none(value: &DeValue<'_>) -> Result<Option<String>, Complaint> {
    let text = value.as_str().ok_or_else(|| wrong_kind(value, "a string", "write a text in quotes, \"\" for none"))?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

pub(super) fn texts(value: &DeValue<'_>, example: &str) -> Result<Vec<String>, Complaint> {
    let mend = format!("write [\"{example}\"]");
    let list = value.as_array().ok_or_else(|| wrong_kind(value, "a list of strings", &mend))?;
    let texts = list.iter().map(|item| {
        let wrong = || Complaint::new(format!("holds {}, not only strings", kind_of(item.get_ref())), mend.clone());
        item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)
    });
    texts.collect()
}

pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    let mend = "write a number and a unit, such as \"25s\", \"500ms\" or \"5m\"";
    if let DeValue::Integer(integer) = value {
        return Err(Complaint::new(format!("is {integer} without a unit"), mend));
    }
    let text = value.as_str().ok_or_else(|| wrong_kind(value, "a duration", mend))?;
    parse_duration(text).ok_or_else(|| Complaint::new(format!("is no duration: {text:?}"), mend))
}

/// `largest` is only for the message; the range is checked with the other ranges.
pub(super) fn size(value: &DeValue<'_>, largest: usize) -> Result<usize, Complaint> {
    let mend = "write a number and a unit, such as \"128KiB\" or \"4MiB\", or a plain number of bytes";
    if value.is_integer() {
        return whole_number(value)
            .map_err(|fault| Complaint::new(fault, format!("write a size up to {}", show_size(largest))));
    }
    let text = value.as_str().ok_or_else(|| wrong_kind(value, "a size", mend))?;
    parse_size(text).ok_or_else(|| Complaint::new(format!("is no size: {text:?}"), mend))
}

/// `highest` is only for the message; the range is checked with the other ranges.
pub(super) fn count<N: TryFrom<u64> + fmt::Display>(value: &DeValue<'_>, highest: N) -> Result<N, Complaint> {
    whole_number(value)
        .map_err(|fault| Complaint::new(fault, format!("write a number from 1 to {highest}, without quotes")))
}

pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    let mend = "write a numeric address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    let text = value.as_str().ok_or_else(|| wrong_kind(value, "an address", mend))?;
    text.parse().map_err(|_| {
        // The two usual slips have their own remedy.
        let mend = match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
            Some(port) => {
                format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface")
            }
            None => mend.to_owned(),
        };
        Complaint::new(format!("is no address with a port: {text:?}"), mend)
    })
}

/// The one of `all` that the value names.
pub(super) fn choice<T: Copy>(value: &DeValue<'_>, all: &[T], name: fn(T) -> &'static str) -> Result<T, Complaint> {
    let names = || all.iter().map(|one| format!("{:?}", name(*one))).collect::<Vec<_>>().join(", ");
    let text = value.as_str().ok_or_else(|| wrong_kind(value, "a string", &format!("write one of {}", names())))?;
    pick(text, all, name)
}

/// The one of `all` whose name is `text`.
pub(super) fn pick<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, Complaint> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        let mend = match suggest::nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write one of {}", names.join(", ")),
        };
        Complaint::new(format!("does not know {text:?}"), mend)
    })
}

/// "a string", "an integer": a value's kind, for messages.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn wrong_kind(value: &DeValue<'_>, wanted: &str, mend: &str) -> Complaint {
    Complaint::new(format!("is {}, not {wanted}", kind_of(value)), mend)
}

/// The error is the fault, for the caller to add a remedy.
fn whole_number<N: TryFrom<u64>>(value: &DeValue<'_>) -> Result<N, String> {
    let Some(integer) = value.as_integer() else {
        return Err(format!("is {}, not a whole number", kind_of(value)));
    };
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
        let fault = if integer.as_str().starts_with('-') { "negative" } else { "too large" };
        format!("is {fault}: {integer}")
    })
}
