//! The client with towpath as its server, over each transport.

use towpath::client::sockjs::{SockJs, Transport};
use towpath::client::{Cause, Link, OpenError, Via};

use super::support::{Gateway, test_services};
use super::{next, over, within};

#[tokio::test]
async fn texts_of_every_kind_come_back_over_every_transport() {
    let gateway = Gateway::start(test_services()).await;
    let url = format!("http://{}/echo?key=1", gateway.address());
    let long = "long ".repeat(10_000);
    let texts = ["hello", "", "\"\\\n\r\t\0", "é\u{2028}\u{ffff}\u{1f600}", "[\"x\"]", "%25%0A", long.as_str()];
    for transport in Transport::ALL {
        let mut session = SockJs::open(&url, &over(&[transport])).await.unwrap();
        assert_eq!((session.transport(), session.fallbacks()), (transport, &[][..]));
        for text in texts {
            session.send(text).await.unwrap();
            assert_eq!(next(&mut session).await, text, "{transport}");
        }
        // All at once, and in order.
        for text in texts {
            session.send(text).await.unwrap();
        }
        for text in texts {
            assert_eq!(next(&mut session).await, text, "{transport}");
        }
        session.close().await;
    }
}

#[tokio::test]
async fn a_close_of_the_server_is_told_with_its_code() {
    let gateway = Gateway::start(test_services()).await;
    let url = format!("http://{}/close", gateway.address());
    for transport in Transport::ALL {
        let mut session = SockJs::open(&url, &over(&[transport])).await.unwrap();
        let ended = within("the end", session.receive()).await.unwrap_err();
        assert_eq!((ended.cause, ended.code, ended.reason.as_str()), (Cause::Closed, Some(3000), "Go away!"));
        // And is the same ever after, for sending as well.
        assert_eq!(session.send("late").await, Err(ended.clone()));
        assert_eq!(session.receive().await, Err(ended));
    }
}

#[tokio::test]
async fn what_info_excludes_is_not_tried() {
    let gateway = Gateway::start(test_services()).await;
    let url = format!("http://{}/disabled_websocket_echo", gateway.address());
    let session = SockJs::open(&url, &over(&Transport::ALL)).await.unwrap();
    assert_eq!(session.transport(), Transport::XhrStreaming);
    assert!(!session.info().websocket);
    let [given_up] = session.fallbacks() else { panic!("{:?}", session.fallbacks()) };
    assert_eq!(given_up.to_string(), "websocket: info says that it is switched off");
    let error = SockJs::open(&url, &over(&[Transport::Websocket])).await.unwrap_err();
    assert!(matches!(&error, OpenError::NoTransport(tried) if tried.len() == 1), "{error}");
    assert!(error.to_string().contains("websocket: info says"), "{error}");
}

#[tokio::test]
async fn where_there_is_no_service_info_says_so() {
    let gateway = Gateway::start(test_services()).await;
    let url = format!("http://{}/nowhere", gateway.address());
    let error = SockJs::open(&url, &over(&Transport::ALL)).await.unwrap_err();
    assert!(matches!(error, OpenError::Info(404)), "{error}");
}

#[tokio::test]
async fn a_link_carries_bytes_over_sockjs_and_a_bare_websocket() {
    let gateway = Gateway::start(test_services()).await;
    let address = gateway.address();
    let links = [
        (format!("http://{address}/echo"), Transport::ALL.to_vec(), Via::SockJs(Transport::Websocket)),
        (format!("http://{address}/echo"), vec![Transport::XhrStreaming], Via::SockJs(Transport::XhrStreaming)),
        (format!("http://{address}/echo"), vec![Transport::Xhr], Via::SockJs(Transport::Xhr)),
        (format!("ws://{address}/echo/websocket"), vec![], Via::Websocket(None)),
    ];
    for (url, transports, via) in links {
        let mut link = Link::open(&url, &over(&transports)).await.unwrap();
        assert_eq!(*link.via(), via);
        link.send("x\0\n".into()).await.unwrap();
        assert_eq!(within("the echo", link.receive()).await.unwrap(), "x\0\n", "{via}");
        if matches!(via, Via::SockJs(_)) {
            let ended = link.send(vec![0xff].into()).await.unwrap_err();
            assert_eq!(ended.cause, Cause::Unsendable);
            link.send("still there".into()).await.unwrap();
            assert_eq!(within("the echo", link.receive()).await.unwrap(), "still there");
        }
        link.close().await;
    }
}
