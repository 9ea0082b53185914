//! What is no server of SockJS: each check ends by itself, and fails with a reason.
//!
//! Does not know: SockJS, and how the checks find out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use towpath::conformance::sockjs::{Services, Settings, examine, rules};
use towpath::conformance::{Choice, Failure, Options, Outcome, Verdict};
use towpath::wire::{Limits, Target};

/// The runner's own bound, which none of the checks should need.
const LIMIT: Duration = Duration::from_secs(20);

/// How somebody behaves to whoever connects.
#[derive(Debug, Clone, Copy)]
enum Stranger {
    /// Accepts, and says nothing.
    Silent,
    /// Hangs up.
    HangsUp,
    /// Resets the connection when it has been asked. At once would be no connection at all, of which there is no report.
    Resets,
    /// Says this when it has been asked, and hangs up.
    Says(&'static [u8]),
    /// Says the first once it has been asked, and the second for ever, as fast as it is read.
    Endless(&'static [u8], &'static [u8]),
    /// The same, a byte at a time and with a rest behind each.
    Trickles(&'static [u8], &'static [u8]),
    /// Says the first to each request, for as long as it is asked.
    Answers(&'static [u8]),
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// The answer to the handshake that the checks make, whatever it was that they asked for.
const OPEN: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const STRANGERS: [Stranger; 20] = [
    Stranger::Silent,
    Stranger::HangsUp,
    Stranger::Resets,
    Stranger::Says(b"SSH-2.0-OpenSSH_9.9\r\n"),
    Stranger::Says(b"\x15\x03\x01\x00\x02\x02\x16\xff\xfe\0\0\r\n\r\n"),
    Stranger::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    Stranger::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nshort"),
    Stranger::Endless(b"", b"x"),
    Stranger::Endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
    Stranger::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    Stranger::Endless(CHUNKED, b"1\r\nx\r\n"),
    Stranger::Endless(CHUNKED, b"2\r\no\n\r\n"),
    Stranger::Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    Stranger::Endless(OPEN, b"\x89\x00"),
    Stranger::Endless(OPEN, b"\x01\x01x"),
    Stranger::Trickles(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    Stranger::Trickles(CHUNKED, b"1\r\nh\r\n"),
    Stranger::Trickles(OPEN, b"\x89\x00"),
    Stranger::Answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
    Stranger::Answers(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
];

impl Stranger {
    /// Whether it takes the checks' websockets.
    fn shakes_hands(self) -> bool {
        matches!(self, Self::Endless(first, _) | Self::Trickles(first, _) if first == OPEN)
    }

    async fn start(self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the system has a free port");
        let address = listener.local_addr().expect("it listens");
        tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                tokio::spawn(self.meet(peer));
            }
        });
        address
    }

    async fn meet(self, mut peer: TcpStream) -> io::Result<()> {
        match self {
            Self::Silent => loop {
                asked(&mut peer).await?;
            },
            Self::HangsUp => {}
            Self::Resets => {
                asked(&mut peer).await?;
                SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
            }
            Self::Says(what) => {
                asked(&mut peer).await?;
                peer.write_all(what).await?;
            }
            Self::Endless(first, rest) => {
                asked(&mut peer).await?;
                peer.write_all(first).await?;
                let rest = rest.repeat(512);
                loop {
                    peer.write_all(&rest).await?;
                }
            }
            Self::Trickles(first, rest) => {
                asked(&mut peer).await?;
                peer.write_all(first).await?;
                for byte in rest.iter().cycle() {
                    peer.write_all(&[*byte]).await?;
                    sleep(Duration::from_millis(3)).await;
                }
            }
            Self::Answers(what) => loop {
                asked(&mut peer).await?;
                peer.write_all(what).await?;
            },
        }
        Ok(())
    }
}

/// Waits until the peer says something, whatever it is.
async fn asked(peer: &mut TcpStream) -> io::Result<()> {
    match peer.read(&mut [0; 4096]).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// What is wrong with the checks that meet it.
async fn met(stranger: Stranger) -> Vec<String> {
    let address = stranger.start().await;
    let target = Target::parse(&format!("http://{address}")).expect("the address makes a URL");
    let limits = Limits { patience: Duration::from_millis(60), head: 4096, body: 16 << 10 };
    let settings = Settings { target, services: Services::default(), limits, connections: 64 };
    let choice = Choice { slow: true, ..Choice::default() };
    let options = Options { choice, jobs: 16, limit: LIMIT, slow_limit: LIMIT };
    let report = examine(settings, &options, |_| {}).await.expect("somebody listens");
    assert_eq!(report.outcomes.len(), rules().len());
    let right = |outcome: &Outcome| match &outcome.verdict {
        Verdict::Failed(Failure { seen, reproduce, .. }) => {
            !seen.is_empty() && !reproduce.is_empty() && !seen.starts_with("the check had not ended")
        }
        Verdict::Passed => stranger.shakes_hands() && outcome.rule.id == "Websocket.test_headersSanity",
        _ => false,
    };
    let wrong = report.outcomes.iter().filter(|outcome| !right(outcome));
    wrong.map(|outcome| format!("{stranger:?}: {} {:#?}", outcome.rule.id, outcome.verdict)).collect()
}

/// Slow checks among them, whose times are as short as the patience.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_there_every_check_ends_and_says_why() {
    let wrong = join_all(STRANGERS.map(met)).await.concat();
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
