//! What the lists show, and how they are asked for the next page.

use std::time::Duration;

use serde_json::{Value, json};
use towpath::stomp::{Command, Frame};

use super::support;
use super::{ask, gateway, get, member, publish, refusal, refused};

#[tokio::test(start_paused = true)]
async fn sessions_are_listed_page_by_page() {
    let gateway = gateway(|_| {}).await;
    let (_one, first) = member(&gateway, "a", Some("ann")).await;
    tokio::time::advance(Duration::from_secs(90)).await;
    let (_two, second) = member(&gateway, "b", None).await;
    let (_three, third) = member(&gateway, "c", Some("ann")).await;
    let sessions = async |query: &str| ask(&gateway, get(&format!("/api/sessions{query}"))).await.1;
    let names = |page: &Value| -> Vec<String> {
        page["sessions"].as_array().unwrap().iter().map(|one| one["session"].as_str().unwrap().to_owned()).collect()
    };
    let all = sessions("").await;
    assert_eq!(names(&all), [&*first, &second, &third]);
    assert_eq!((&all["next"], &all["total"]), (&Value::Null, &json!(3)));
    let ann = &all["sessions"][0];
    assert_eq!((&ann["user"], &ann["anonymous"], &ann["since_seconds"]), (&json!("ann"), &json!(false), &json!(90)));
    assert_eq!((&ann["transport"], &ann["endpoint"]), (&json!("websocket"), &json!("/stomp")));
    assert_eq!((&ann["queued_messages"], &ann["queued_bytes"]), (&json!(0), &json!(0)));
    let nobody = &all["sessions"][1];
    assert_eq!((&nobody["user"], &nobody["anonymous"]), (&json!(second), &json!(true)));

    let page = sessions("?limit=2").await;
    assert_eq!(names(&page), [&*first, &second]);
    let rest = sessions(&format!("?limit=2&after={}", page["next"])).await;
    assert_eq!((names(&rest), &rest["next"]), (vec![third.clone()], &Value::Null));
    let page = sessions("?user=ann&limit=1").await;
    assert_eq!((names(&page), page["next"].is_u64()), (vec![first], true));
    let rest = sessions(&format!("?user=a%6En&after={}", page["next"])).await;
    assert_eq!((names(&rest), &rest["next"]), (vec![third], &Value::Null));
    assert_eq!(names(&sessions("?user=bob").await), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn destinations_are_listed_kind_by_kind_and_page_by_page() {
    let gateway = gateway(|_| {}).await;
    let (mut ann, _) = member(&gateway, "a", Some("ann")).await;
    let (mut bob, _) = member(&gateway, "b", Some("bob")).await;
    for (number, destination) in
        ["/topic/b", "/topic/a", "/topic/a.*", "/topic/**", "/queue/q", "/user/queue/x", "/user/topic/y"]
            .iter()
            .enumerate()
    {
        ann.subscribed(&number.to_string(), destination).await;
    }
    bob.subscribed("1", "/topic/b").await;
    bob.subscribed("2", "/user/queue/x").await;
    // What only the asker and the answerer know is in no list.
    let send = Frame::new(Command::Send).with("destination", "/queue/q").with("reply-to", "/temp-queue/r");
    bob.confirmed(send.with_body("ask")).await;
    publish(&gateway, json!([{"destination": "/queue/p", "body": "12345"}, {"destination": "/queue/p", "body": "6"}]))
        .await;

    let list = async |query: &str| ask(&gateway, get(&format!("/api/destinations{query}"))).await.1;
    let all = list("").await;
    let bytes = all["destinations"][4]["bytes"].as_u64().unwrap_or_default();
    assert!(bytes >= 6, "{all}");
    let expected = [
        json!({"kind": "topic", "name": "/topic/a", "subscribers": 1}),
        json!({"kind": "topic", "name": "/topic/b", "subscribers": 2}),
        json!({"kind": "pattern", "name": "/topic/**", "subscribers": 1}),
        json!({"kind": "pattern", "name": "/topic/a.*", "subscribers": 1}),
        json!({"kind": "queue", "name": "/queue/p", "messages": 2, "bytes": bytes, "consumers": 0}),
        json!({"kind": "queue", "name": "/queue/q", "messages": 0, "bytes": 0, "consumers": 1}),
        json!({"kind": "user", "name": "ann", "subscriptions": 2}),
        json!({"kind": "user", "name": "bob", "subscriptions": 1}),
    ];
    let mut listed = all["destinations"].clone();
    // The message may be on its way to its consumer or with it.
    for key in ["messages", "bytes"] {
        listed[5][key] = json!(0);
    }
    assert_eq!((listed, &all["next"]), (json!(expected), &Value::Null));

    for limit in 1..=8 {
        let (mut query, mut pages) = (String::new(), vec![]);
        loop {
            let page = list(&format!("?limit={limit}{query}")).await;
            let entries = page["destinations"].as_array().unwrap().clone();
            assert!(entries.len() == limit || page["next"].is_null(), "{page}");
            pages.extend(entries);
            assert!(pages.len() <= expected.len(), "the pages repeat themselves");
            let Some(next) = page["next"].as_str() else { break };
            query = format!("&after={}", support::percent_encode(next));
        }
        let names = |list: &[Value]| list.iter().map(|entry| entry["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&pages), names(&expected), "{limit}");
    }
    let queues = list("?kind=queue&limit=1").await;
    assert_eq!((&queues["destinations"][0]["name"], &queues["next"]), (&json!("/queue/p"), &json!("queue:/queue/p")));
    let users = list("?kind=user&after=topic:x").await;
    assert_eq!(users["destinations"].as_array().unwrap().len(), 2, "a page of one kind may begin before it");
    assert_eq!(list("?kind=topic&after=user:x").await["destinations"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn queries_mean_what_they_say_or_are_refused() {
    let gateway = gateway(|_| {}).await;
    for (query, word) in [
        ("sessions?limit=x", "`limit`"),
        ("sessions?limit=+1", "`limit`"),
        ("sessions?limit=0", "at least 1"),
        ("sessions?limit=-1", "`limit`"),
        ("sessions?after=99999999999999999999999", "`after`"),
        ("sessions?users=ann", "`users`"),
        ("sessions?user=a&user=b", "twice"),
        ("sessions?user=%ff", "UTF-8"),
        ("destinations?kind=x", "topic, pattern, queue or user"),
        ("destinations?after=x", "`next`"),
        ("destinations?after=x:y", "`next`"),
        ("destinations?user=ann", "`user`"),
    ] {
        let answer = ask(&gateway, get(&format!("/api/{query}"))).await;
        assert!(answer.1.to_string().contains(word), "{query} {answer:?}");
        assert_eq!(refusal(answer), refused(422, "wrong_query", None), "{query}");
    }
}
