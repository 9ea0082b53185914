//! The transports that send over HTTP: `xhr_send` and `jsonp_send`.
//!
//! Does not know: receivers, websockets.

use std::sync::Arc;

use super::defects::{Defect, Defects};
use super::http::{Answer, Request};
use super::receiving::dressed;
use super::server::{Server, Service};
use super::text::{Refused, field, messages, percent_decoded};

/// The array of a send request.
fn payload(request: &Request, jsonp: bool, defects: Defects) -> Result<Vec<String>, Refused> {
    let of_type = request.header("content-type").unwrap_or_default();
    if !jsonp {
        let odd = of_type.contains("octet-stream") || of_type.contains("form");
        if of_type.contains("xml") && defects.has(Defect::XmlRefused) {
            return Err(Refused::Payload);
        }
        if odd && defects.has(Defect::TypeCounts) {
            return Err(Refused::Payload);
        }
        return messages(&request.body, defects);
    }
    if !of_type.starts_with("application/x-www-form-urlencoded") {
        if defects.has(Defect::PlainTextDecoded) {
            return messages(&percent_decoded(&String::from_utf8_lossy(&request.body)), defects);
        }
        return messages(&request.body, defects);
    }
    let mut form = String::from_utf8_lossy(&request.body);
    if defects.has(Defect::FormTwice) {
        form = String::from_utf8_lossy(&percent_decoded(&form)).into_owned().into();
    }
    if defects.has(Defect::FormRaw) {
        return messages(form.strip_prefix("d=").unwrap_or_default().as_bytes(), defects);
    }
    match field(&form, "d").unwrap_or_default() {
        array if array == b"[]" && defects.has(Defect::FormEmptyArrayIsMessage) => Ok(vec![String::new()]),
        array if array.is_empty() && defects.has(Defect::FormEmptyTaken) => Ok(Vec::new()),
        array => messages(&array, defects),
    }
}

/// Serves `xhr_send`, or `jsonp_send`.
pub fn send(server: &Arc<Server>, service: &Service, session: &str, jsonp: bool, request: &Request) -> Answer {
    let defects = server.defects;
    let dress = |answer| dressed(answer, request, service, defects);
    let ok = match (jsonp, defects.has(Defect::SendOkMissing)) {
        (true, false) => Answer::text(200, "ok"),
        (true, true) => Answer::text(200, ""),
        (false, _) if defects.has(Defect::SendSaysOk) => Answer::text(200, ""),
        (false, _) if defects.has(Defect::SendAccepted) => Answer::text(202, ""),
        (false, _) if defects.has(Defect::SendWithoutType) => Answer::empty(204),
        (false, _) => Answer::text(204, ""),
    };
    let Some(found) = server.sessions.find(session) else {
        let taken = defects.has(if jsonp { Defect::JsonpUnknownSessionTakes } else { Defect::UnknownSessionTakes });
        return dress(if taken { ok } else { Answer::text(404, "no such session\n") });
    };
    let utf8 = std::str::from_utf8(&request.body).is_ok();
    match payload(request, jsonp, defects) {
        Ok(messages) => dress(if found.take(messages) { ok } else { Answer::text(404, "the session is closed\n") }),
        Err(refused) => {
            let ends = (refused == Refused::Json && defects.has(Defect::BrokenEndsSession))
                || (!utf8 && defects.has(Defect::InvalidUtf8Ends))
                || (refused == Refused::Json && utf8 && defects.has(Defect::LoneSurrogateEnds));
            if ends {
                server.sessions.end(&found);
            }
            if request.body.starts_with(b"[[[[") && defects.has(Defect::DeepNestingCrashes) {
                server.crash();
            }
            let bad = refused == Refused::Json && defects.has(Defect::BrokenIsBad);
            dress(Answer::text(if bad { 400 } else { 500 }, refused.words()))
        }
    }
}
