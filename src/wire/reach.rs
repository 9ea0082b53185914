//! The way to one address of a server, step by step and timed: TCP, then TLS.
//!
//! Does not know: HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustls::CertificateError;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Limits, Load, Target};

/// How long the way took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Until there was a connection.
    pub tcp: Duration,
    /// From there to the end of the TLS handshake, if there is TLS.
    pub tls: Option<Duration>,
}

/// Where the way ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// There is no connection; the text says why.
    Tcp(String),
    /// The certificate is signed by nobody whom this machine trusts.
    Untrusted(String),
    /// The certificate is not valid any more, or not yet.
    Expired(String),
    /// The certificate is somebody else's.
    WrongName(String),
    /// TLS failed in another way, or is not spoken there.
    Tls(String),
}

impl Target {
    /// Connects to one of the server's addresses, shakes hands if the URL says TLS, and hangs up.
    ///
    /// # Errors
    ///
    /// [`Unreached`] says how far it came.
    pub async fn reach(&self, at: SocketAddr, load: &Load, limits: Limits) -> Result<Reached, Unreached> {
        let _permit = load.connection().await.map_err(|fault| Unreached::Tcp(fault.to_string()))?;
        let (began, patience) = (Instant::now(), limits.patience);
        let late = |_| Unreached::Tcp(format!("no connection within {patience:?}"));
        let stream = timeout(patience, TcpStream::connect(at)).await.map_err(late)?;
        let stream = stream.map_err(|why| Unreached::Tcp(why.to_string()))?;
        let tcp = began.elapsed();
        if !self.address.secure {
            return Ok(Reached { tcp, tls: None });
        }
        let late = |_| Unreached::Tls(format!("no end of the handshake within {patience:?}"));
        match timeout(patience, self.address.over(stream, None)).await.map_err(late)? {
            Ok(_) => Ok(Reached { tcp, tls: Some(began.elapsed().saturating_sub(tcp)) }),
            Err(why) => Err(match why.certificate() {
                Some(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                    Unreached::Untrusted(why.to_string())
                }
                Some(
                    CertificateError::Expired
                    | CertificateError::ExpiredContext { .. }
                    | CertificateError::NotValidYet
                    | CertificateError::NotValidYetContext { .. },
                ) => Unreached::Expired(why.to_string()),
                Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                    Unreached::WrongName(why.to_string())
                }
                _ => Unreached::Tls(why.to_string()),
            }),
        }
    }
}
