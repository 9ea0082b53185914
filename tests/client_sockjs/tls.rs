//! TLS: a certificate of one's own is trusted where the options say so, and nowhere else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use towpath::client::sockjs::Transport;
use towpath::client::{Link, Options, Via};

use super::support::backend::{Backend, Say};
use super::support::{Connector, Gateway, test_services};
use super::{over, within};

/// For 127.0.0.1, until 2126.
const CERTIFICATE: &[u8] = include_bytes!("../../fixtures/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/tls/key.pem");

/// TLS in front of a port.
async fn tls_before(port: SocketAddr) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut plain = TcpStream::connect(port).await.unwrap();
                if let Ok(mut secure) = acceptor.accept(stream).await {
                    let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
                }
            });
        }
    });
    address
}

fn trusting() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[tokio::test]
async fn everything_goes_over_tls_as_well() {
    let mut config = test_services();
    config.tcp.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let gateway = Gateway::start(config).await;
    let Connector::Tcp(http, Some(tcp)) = gateway.connector() else { panic!("it listens for TCP") };
    let (https, tcp_tls) = (tls_before(*http).await, tls_before(*tcp).await);
    let ways = [
        (format!("https://{https}/stomp"), Via::SockJs(Transport::Websocket)),
        (format!("https://{https}/stomp"), Via::SockJs(Transport::XhrStreaming)),
        (format!("https://{https}/stomp"), Via::SockJs(Transport::Xhr)),
        (format!("wss://{https}/stomp/websocket"), Via::Websocket(Some("v12.stomp".to_owned()))),
        (format!("tcp+tls://{tcp_tls}"), Via::Stream),
    ];
    for (url, via) in ways {
        let transports = if let Via::SockJs(transport) = via { vec![transport] } else { vec![] };
        let trusting = Options { tls: Some(trusting()), ..over(&transports) };
        let mut link = Link::open(&url, &trusting).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(*link.via(), via);
        link.send("CONNECT\naccept-version:1.2\nhost:h\n\n\0".into()).await.unwrap();
        let answer = within("CONNECTED", link.receive()).await.unwrap();
        assert!(answer.starts_with(b"CONNECTED\n"), "{url}: {answer:?}");
        link.close().await;
        let error = Link::open(&url, &over(&transports)).await.unwrap_err();
        assert!(error.to_string().contains("cannot be trusted"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_base_url_does_not_lead_out_of_tls() {
    let backend = Backend::start(|_, _| Say::status(200, r#"{"base_url":"http://127.0.0.1:1/x"}"#)).await;
    let plain: SocketAddr = backend.url("").trim_start_matches("http://").parse().unwrap();
    let url = format!("https://{}/x", tls_before(plain).await);
    let options = Options { tls: Some(trusting()), ..over(&Transport::ALL) };
    let error = Link::open(&url, &options).await.unwrap_err();
    assert!(error.to_string().contains("base_url"), "{error}");
}
