//! The command: what it prints, with which exit status, and whom it does not touch unasked.
//!
//! Does not know: what is looked for.

use std::process::{Command, Output};

use serde_json::Value;

use super::gateway;
use super::proxy::{Deed, Proxy};
use super::support::backend::nowhere;

#[path = "../support/binary.rs"]
mod binary;

/// `towpath doctor` with these arguments.
pub fn doctor(arguments: &[&str]) -> Command {
    binary::towpath(&[&["doctor"], arguments].concat())
}

async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (status.code(), text(stdout), text(stderr))
}

/// Its exit status, and its report in JSON.
pub async fn report(command: Command) -> (Option<i32>, Value) {
    let (status, out, err) = output(command).await;
    (status, serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}{err}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_server_is_0_and_a_sick_one_1_in_both_formats() {
    let gateway = gateway().await;
    let url = format!("http://{}/stomp", gateway.address());
    let (status, out, err) = output(doctor(&[&url, "--idle", "0s"])).await;
    assert_eq!((status, err.as_str()), (Some(0), ""), "nothing but the report where nobody watches: {out}");
    assert!(out.contains("A sockjs-client ends up with websocket") && out.contains("Nothing is wrong."), "{out}");
    assert!(!out.contains('\x1b'), "no colours into a pipe");
    let (status, report) = report(doctor(&[&url, "--idle", "0s", "--format", "json"])).await;
    assert_eq!((status, &report["healthy"]), (Some(0), &Value::from(true)), "{report:#}");

    let proxy = Proxy::start(gateway.address(), |asked| {
        if asked.is("/websocket") { Deed::Say("HTTP/1.1 404 Not Found\r\n\r\n".to_owned()) } else { Deed::Pass }
    })
    .await;
    let url = format!("http://{}/stomp", proxy.address);
    let (status, out, _) = output(doctor(&[&url, "--idle", "0s"])).await;
    assert_eq!(status, Some(1), "{out}");
    for part in ["1. upgrade-stripped: ", "   nginx:\n", "proxy_set_header Upgrade $http_upgrade;", "   HAProxy:\n"] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_2_and_says_why() {
    let down = format!("http://{}/stomp", nowhere().await);
    for (arguments, text) in [
        (&["ftp://127.0.0.1/"][..], "is no URL of a server"),
        (&["http://ann:secret@127.0.0.1/stomp"], "is no URL of a server"),
        (&["http://127.0.0.1:1/stomp", "--idle", "2h"], "at most 1h"),
        (&["http://127.0.0.1:1/stomp", "--idle", "soon"], "write it as 30s or 2m"),
        (&["http://nowhere.invalid/stomp"], "mend the URL"),
        (&[&down], "no connection"),
        // A documentation address: nothing is sent there without the flag.
        (&["http://192.0.2.1/stomp"], "--yes"),
        (&["http://[2001:db8::1]/stomp"], "--yes"),
    ] {
        let (status, out, err) = output(doctor(arguments)).await;
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(text), "{arguments:?}: {err}");
        assert!(!err.contains("ann:secret") || text.contains("no URL"), "{err}");
    }
}
