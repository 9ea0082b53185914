//! What is no HTTP, or too much of it. A server may refuse it as it likes, and has to live.
//!
//! Does not know: bodies.

use super::http::write;
use super::{check, lives};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Fault, Head, shown};

const GROUP: &str = "http";

/// A header line that nobody needs.
const HUGE: usize = 1 << 20;
/// What is written of it at once.
const PIECE: usize = 32 << 10;

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "http.huge-header",
        "RFC 9110, section 5.4",
        "a header of 1 MiB is refused",
        "It has to be kept in memory until its end, before anybody can be asked who he is. A server without a bound keeps as much \
         as anybody likes to send.",
        |probe| Box::pin(huge_header(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.garbage",
        "RFC 9112, section 2.2",
        "what is no HTTP is refused, and the server goes on",
        "Every port on the Internet is sent TLS, SSH and worse within minutes. A server that ends by it, or keeps such \
         connections, does not last a day.",
        |probe| Box::pin(garbage(probe)),
    ),
];

/// What is sent in place of a request.
const GARBAGE: [&[u8]; 8] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    b"\x00\xff\x00\xff\x80\x81\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
];

async fn garbage(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for bytes in GARBAGE {
        let mut connection = visit.connect().await?;
        write(&visit, &mut connection, bytes).await?;
        // Who has hung up by now has refused it, too.
        let _ = connection.half_close().await;
        refused(&visit, connection.head("GET").await)?;
    }
    lives(&visit).await
}

async fn huge_header(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut connection = visit.connect().await?;
    visit.steps.note(format!("# the next with {HUGE} bytes more in X-Long"));
    let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\nX-Long: ", visit.base(""), probe.target.authority());
    write(&visit, &mut connection, head.as_bytes()).await?;
    let poured = async {
        for _ in 0..HUGE / PIECE {
            connection.write(&[b'x'; PIECE]).await?;
        }
        connection.write(b"\r\n\r\n").await
    };
    match poured.await {
        Ok(()) | Err(Fault::Ended(..)) => {}
        Err(fault) => return Err(visit.fault(&fault, "a refusal, or the end of the connection")),
    }
    refused(&visit, connection.head("GET").await)?;
    lives(&visit).await
}

/// The answer to what is none of a request is a refusal, or the end of the connection.
fn refused(visit: &Visit<'_>, answer: Result<Head, Fault>) -> Result<(), Stop> {
    let wanted = "status 400 or another refusal, or the end of the connection";
    match answer {
        Ok(head) if matches!(head.status, 400..=505) => Ok(()),
        Ok(head) => Err(visit.fail(shown(head.text()), wanted)),
        // To answer in no language of ours is a refusal, too.
        Err(Fault::Ended(..) | Fault::Garbage(_)) => Ok(()),
        Err(fault) => Err(visit.fault(&fault, wanted)),
    }
}
