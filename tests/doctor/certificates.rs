//! TLS: what is wrong with a certificate is said plainly, and nothing else is looked at then. The command is run as a process,
//! so that it can be told which authority to trust.
//!
//! Does not know: how certificates are made, see `fixtures/doctor/make`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::command::{doctor, report};
use super::gateway;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/doctor").join(format!("{name}.pem"))
}

/// TLS with that certificate, in front of a server.
async fn encrypted(server: SocketAddr, certificate: &str) -> SocketAddr {
    let file = fixture(certificate);
    let chain = vec![CertificateDer::from_pem_file(&file).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&file).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("it has some")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key is the certificate's");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut upstream) = TcpStream::connect(server).await else { return };
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    address
}

/// What the command says of it, where that authority is trusted.
async fn seen(address: SocketAddr, trusted: &str) -> (Option<i32>, Value) {
    let url = format!("https://{address}/echo");
    let mut command = doctor(&[&url, "--idle", "0s", "--format", "json"]);
    command.env("SSL_CERT_FILE", fixture(trusted)).env_remove("SSL_CERT_DIR");
    report(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_browsers_refuse_is_told_from_one_that_they_take() {
    let gateway = gateway().await;
    for (certificate, trusted, id) in [
        ("good", "authority", ""),
        ("good", "other-name", "tls-untrusted"),
        ("expired", "authority", "tls-expired"),
        ("other-name", "authority", "tls-name"),
    ] {
        let address = encrypted(gateway.address(), certificate).await;
        let (status, report) = seen(address, trusted).await;
        let ids: Vec<_> = report["findings"].as_array().unwrap().iter().map(|finding| &finding["id"]).collect();
        match id {
            "" => {
                assert_eq!(status, Some(0), "{report:#}");
                assert!(report.to_string().contains(", TLS "), "it says how long the handshake took: {report:#}");
            }
            id => {
                assert_eq!((status, ids), (Some(1), vec![&Value::from(id)]), "{certificate}: {report:#}");
                assert_eq!(report["transports"][0]["state"], "fails");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_speaks_no_tls_is_told_as_that() {
    let gateway = gateway().await;
    let (status, report) = seen(gateway.address(), "authority").await;
    assert_eq!((status, &report["findings"][0]["id"]), (Some(1), &Value::from("tls-failed")), "{report:#}");
}
