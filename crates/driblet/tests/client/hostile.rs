//! Responses that are wrong, lie, or never arrive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use driblet::Version;
use driblet::client::{BasisKind, Phase, PullError, PullOptions, PullState};

use super::proxy::{Fault, canned, proxy};
use super::setting::{Setting, chain, client, impatient, pull_from, url, versions, within};

fn http(media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn no_flipped_bit_makes_a_wrong_file() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    setting.pull().await.unwrap();
    setting.publish(&new);
    setting.pull().await.unwrap();
    for round in 0..120 {
        setting.hold(&old);
        // Every byte of the head and of the delta's header, then bytes at growing distances.
        let at = if round < 80 { round * 5 } else { 400 + (round - 80) * 730 };
        let address = proxy(setting.address, Fault::Flip(at, (round % 8) as u8)).await;
        match within(impatient().pull(&url(address), setting.dest(), |_| {})).await {
            Ok(_) => assert_eq!(setting.held(), new, "byte {at}"),
            Err(_) => assert_eq!(setting.held(), old, "byte {at}"),
        }
    }
}

#[tokio::test]
async fn no_flipped_bit_of_a_matched_answer_makes_a_wrong_file() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&new);
    for round in 0..60 {
        setting.hold(&old);
        let at = if round < 30 { 150 + round * 7 } else { 360 + (round - 30) * 1000 };
        let address = proxy(setting.address, Fault::Flip(at, (round % 8) as u8)).await;
        match within(impatient().pull(&url(address), setting.dest(), |_| {})).await {
            Ok(pulled) => {
                assert_eq!(setting.held(), new, "byte {at}");
                assert!(pulled.requests <= 3, "one retry at most");
            }
            Err(_) => assert_eq!(setting.held(), old, "byte {at}"),
        }
    }
}

#[tokio::test]
async fn a_captive_portal_is_no_delta() {
    let setting = Setting::new().await;
    setting.hold(b"held");
    let address = canned(http("text/html; charset=utf-8", b"<!doctype html><title>Welcome to the hotel</title>")).await;
    let refused = pull_from(&url(address), &setting.dest()).await.unwrap_err();
    assert!(matches!(refused, PullError::Protocol { .. }));
    assert!(chain(&refused).contains("text/html"), "{refused}");
    assert_eq!(setting.held(), b"held");
}

#[tokio::test]
async fn same_of_another_version_is_refused() {
    let setting = Setting::new().await;
    setting.hold(b"held");
    let lie = driblet_core::encode_same(Version::of(b"other"), 5);
    let address = canned(http("application/vnd.driblet.delta", &lie)).await;
    let refused = pull_from(&url(address), &setting.dest()).await.unwrap_err();
    assert!(chain(&refused).contains("but it was not named"), "{refused}");
    assert_eq!(setting.held(), b"held");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let setting = Setting::new().await;
    setting.hold(b"held");
    let address = canned(Vec::new()).await;
    let error = within(impatient().pull(&url(address), setting.dest(), |_| {})).await.unwrap_err();
    assert!(matches!(error, PullError::Network { .. }), "{error}");
    assert_eq!(setting.held(), b"held");
}

#[tokio::test]
async fn a_server_that_stalls_in_the_middle_is_given_up() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    setting.pull().await.unwrap();
    setting.publish(&new);
    let address = proxy(setting.address, Fault::StallBody(20_000)).await;
    let error = within(impatient().pull(&url(address), setting.dest(), |_| {})).await.unwrap_err();
    assert!(matches!(error, PullError::Network { .. }), "{error}");
    assert_eq!(setting.held(), old);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_given_up() {
    let setting = Setting::new().await;
    setting.hold(b"held");
    let body = "{\"code\":\"busy\",\"detail\":\"Every encoder is taken.\"}";
    let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n";
    let address = canned(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()).await;
    let options = PullOptions::default().busy_timeout(Duration::from_millis(300));
    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = states.clone();
    let progress = move |progress: driblet::client::Progress| seen.lock().unwrap().push(progress.state);
    let error = within(client(options).pull(&url(address), setting.dest(), progress)).await.unwrap_err();
    assert!(matches!(error, PullError::Network { phase: Phase::Waiting, .. }), "{error:?}");
    assert!(chain(&error).ends_with("answers 503 Service Unavailable for 300ms: Every encoder is taken."), "{error}");
    let states = states.lock().unwrap();
    assert!(matches!(states[..], [PullState::Waiting, PullState::Busy(_), PullState::Waiting]), "{states:?}");
    assert_eq!(setting.held(), b"held");
}

#[tokio::test]
async fn a_length_that_lies_is_a_cut() {
    let setting = Setting::new().await;
    setting.hold(b"held");
    let mut answer = http("application/vnd.driblet.delta", &driblet_core::encode_same(Version::of(b"held"), 4));
    answer.pop();
    let address = canned(answer).await;
    let error = pull_from(&url(address), &setting.dest()).await.unwrap_err();
    assert!(matches!(error, PullError::Network { .. }), "{error}");
    assert_eq!(setting.held(), b"held");
}

#[tokio::test]
async fn a_false_match_ends_in_one_retry_from_nothing() {
    // The runs name the first tag although the second chunk matched: the basis id differs.
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.hold(&old);
    setting.publish(&new);
    let honest = setting.pull().await.unwrap();
    assert_eq!(honest.basis, BasisKind::Matched);
    setting.hold(&old);
    // The answer to the signature is the second response on the connection. The bit is in its runs, after the 404 and
    // both heads.
    let mut healed = 0;
    for at in 600..1600 {
        setting.hold(&old);
        let address = proxy(setting.address, Fault::Flip(at, 0)).await;
        if let Ok(pulled) = within(impatient().pull(&url(address), setting.dest(), |_| {})).await {
            assert_eq!(setting.held(), new);
            healed += u32::from(pulled.requests == 3 && pulled.basis == BasisKind::None);
        }
        if healed != 0 {
            break;
        }
    }
    assert!(0 < healed, "no flip fell into the runs");
}
