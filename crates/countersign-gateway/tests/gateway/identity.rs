//! Who the upstream is told called, in the words of each preset.

use crate::support::{Act, OK, Rig, Upstream, routes, status};
use countersign_gateway::IdentityPreset;

const ROBOT: &str = "svc_robot000000000000000";

async fn with(preset: IdentityPreset) -> crate::support::Got {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.identity = preset).await;
    let planted = "X-Auth-Request-User: evil\r\nX-Forwarded-Groups: evil\r\nRemote-User: evil\r\n\
                   X-Consumer-Id: evil\r\nClient-Cert: evil\r\nX-Forwarded-Client-Cert: evil\r\n";
    assert_eq!(status(&rig.get("/a", planted).await), 200);
    let got = rig.upstream.only();
    assert!(!got.text().contains("evil"), "{}", got.text());
    assert_eq!(got.field("countersign-principal"), [ROBOT]);
    got
}

#[tokio::test]
async fn each_preset_says_who_calls_in_its_own_words() {
    use IdentityPreset::{Authelia, ClientCert, Consumer, Countersign, OAuth2Proxy, Xfcc};
    let told: [(IdentityPreset, &[(&str, &str)]); 6] = [
        (Countersign, &[]),
        (
            OAuth2Proxy,
            &[
                ("x-auth-request-user", ROBOT),
                ("x-auth-request-preferred-username", "robot"),
                ("x-auth-request-groups", "crew"),
                ("x-forwarded-user", ROBOT),
                ("x-forwarded-groups", "crew"),
            ],
        ),
        (Authelia, &[("remote-user", "robot"), ("remote-name", "robot"), ("remote-groups", "crew")]),
        (
            Consumer,
            &[
                ("x-consumer-id", ROBOT),
                ("x-consumer-username", "robot"),
                ("x-consumer-groups", "crew"),
                ("x-credential-identifier", "good"),
            ],
        ),
        (ClientCert, &[]),
        (Xfcc, &[]),
    ];
    for (preset, expected) in told {
        let got = with(preset).await;
        for (name, value) in expected {
            assert_eq!(got.field(name), [*value], "{preset:?}: {name}");
        }
        // and nothing of another preset
        let all = ["x-auth-request-user", "x-forwarded-user", "remote-user", "x-consumer-id", "client-cert"];
        for name in all.iter().filter(|n| !expected.iter().any(|(e, _)| e == *n)) {
            assert!(got.field(name).is_empty(), "{preset:?}: {name}");
        }
    }
}

#[tokio::test]
async fn the_request_id_is_ours_and_the_same_on_both_sides() {
    let rig = Rig::plain().await;
    let answer = rig.get("/a", "Countersign-Request-Id: 00000000000000000000000000000000\r\n").await;
    let told = crate::support::fields(&answer, "countersign-request-id");
    let got = rig.upstream.only().field("countersign-request-id");
    assert_eq!(told, got);
    assert_eq!(got.len(), 1);
    assert!(got[0].len() == 32 && got[0] != "0".repeat(32), "{got:?}");
    let other = rig.get("/a", "").await;
    assert_ne!(crate::support::fields(&other, "countersign-request-id"), told);
}
