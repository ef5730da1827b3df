//! What operators do with sessions, tokens and signing keys, against a running server on which somebody signed in.

use super::verbs::Console;
use crate::support::{LONG, client};
use countersign_cli::private_file;
use countersign_testkit::eventually;
use serde_json::{Value, json};

const PASSWORD: &str = "seven unrelated words are long enough";
const ROUTE: &str = "
[[routes]]
path = \"/orders/{id}\"
upstream = \"api\"
security = [{ jwt = [\"orders:read\"] }]

[sessions]
";

/// Somebody may sign in, and is called ada.
async fn house() -> Console {
    let console = Console::of(|served, upstream| {
        let file = served.configuration(upstream, ROUTE);
        let file = file.replace("[gateway]\n", "[gateway]\nurl = \"https://api.example.com\"\n");
        file.replace("[issuer]\n", "[issuer]\nurl = \"https://auth.example.com\"\n")
    })
    .await;
    console.json("user create ada --scope orders:read");
    assert_eq!(console.piped("user set-password ada", PASSWORD).0, 0);
    console
}

async fn sign_in(console: &Console) -> Value {
    let url = format!("https://{}/.countersign/session/login", console.served.address());
    let body = json!({"username": "ada", "password": PASSWORD});
    let answer = client(console.served.folder.path()).post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap()
}

/// How the gateway answers whoever shows this.
async fn shows(console: &Console, tokens: &Value) -> u16 {
    let url = format!("https://{}/orders/7", console.served.address());
    let asks = client(console.served.folder.path()).get(url).bearer_auth(text(tokens, "access_token"));
    asks.send().await.unwrap().status().as_u16()
}

fn put(console: &Console, name: &str, text: &str) {
    private_file::write(&console.served.folder.path().join(name), text.as_bytes()).unwrap();
}

/// What is said of it is wanted; the token itself is in none of it.
fn inspect(console: &Console, token: &str) -> (i32, String, String) {
    let said = console.piped("token inspect", &format!("{token}\n"));
    let signature = token.rsplit('.').next().unwrap();
    assert!(!said.1.contains(signature) && !said.2.contains(signature), "{said:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let console = house().await;
    let (ada, other) = (sign_in(&console).await, sign_in(&console).await);
    assert_eq!(shows(&console, &ada).await, 200);
    let (code, out, err) = inspect(&console, text(&ada, "access_token"));
    assert!(code == 0 && out.starts_with("CHECK") && err == "the token is good\n", "{code} {out} {err}");
    let checks: Vec<&str> = out.lines().skip(1).map_while(|line| line.split_whitespace().next()).collect();
    let first =
        ["header", "alg", "payload", "kid", "signature", "typ", "cnf", "claims", "iss", "exp", "iat", "aud"];
    assert_eq!(checks[..12], first, "{out}");
    assert!(out.contains("its claims:") && out.contains("https://auth.example.com"), "{out}");
    put(&console, "token", &format!("Authorization: Bearer {}\n", text(&ada, "access_token")));
    let seen = console.json("token inspect --token-file token");
    assert_eq!(
        (&seen["good"], &seen["principal"]["name"], &seen["session"]),
        (&json!(true), &json!("ada"), &ada["session"])
    );
    let quiet = console.say("token inspect --token-file token -q");
    assert_eq!((quiet.0, quiet.1.trim_end(), quiet.2.as_str()), (0, text(&seen, "id"), ""));

    // what is none is said to be none, and where to look
    let (code, out, err) = inspect(&console, text(&ada, "refresh_token"));
    let more = format!("`countersign session show {}` says more", text(&ada, "session"));
    assert!(
        code == 3 && out.is_empty() && err.contains("a refresh token") && err.contains(&more),
        "{code} {out} {err}"
    );
    let (code, _, err) = inspect(&console, &console.served.operator());
    assert!(
        code == 3 && err.contains("but an api key") && err.contains("`countersign key verify`"),
        "{code} {err}"
    );
    let (code, out, err) = inspect(&console, "rubbish");
    assert!(
        code == 3 && out.contains("header") && err.contains("was all of it copied"),
        "{code} {out} {err}"
    );
    assert_eq!(console.piped("token inspect", "").0, 2);

    let (code, out, err) = console.say("token revoke --token-file token");
    assert!(code == 0 && out.contains("token") && err.is_empty(), "{code} {out} {err}");
    eventually(LONG, || async { shows(&console, &ada).await == 401 }).await;
    eventually(LONG, || async { inspect(&console, text(&ada, "access_token")).0 == 3 }).await;
    let (_, out, err) = inspect(&console, text(&ada, "access_token"));
    assert!(out.contains("failed") && err.contains("this one token was called back"), "{out} {err}");
    let (code, _, err) = console.piped("token revoke", text(&ada, "access_token"));
    assert!(code == 0 && err.contains("it was over already"), "{code} {err}");
    let (code, out, err) = console.piped("token revoke", text(&other, "refresh_token"));
    assert!(code == 1 && out.is_empty() && err.contains("countersign session end"), "{code} {err}");
    assert_eq!(shows(&console, &other).await, 200, "nothing happened to it");

    // RULES 2.5, "everything before now"
    let (code, _, err) = console.say("token revoke --principal ada");
    assert!(code == 2 && err.contains("`--yes`"), "{code} {err}");
    let ended = console.json("token revoke --principal ada --yes");
    assert_eq!((&ended["what"], &ended["sessions"]), (&json!("principal"), &json!(2)));
    eventually(LONG, || async { shows(&console, &other).await == 401 }).await;
    let again = sign_in(&console).await;
    assert_eq!(shows(&console, &again).await, 200);
    put(&console, "token", text(&again, "access_token"));
    let seen = console.json("token inspect --token-file token");
    let line =
        format!("token revoke --jti {} --expires-at {} --yes", text(&seen, "id"), text(&seen, "expires_at"));
    assert_eq!(console.json(&line)["changed"], true);
    eventually(LONG, || async { shows(&console, &again).await == 401 }).await;

    for (line, exit, why) in [
        ("token revoke --jti abc", 2, "--expires-at"),
        ("token revoke --session x --principal ada", 2, "cannot be used with"),
        ("token revoke --session 000000000000 --yes", 4, "`countersign session list`"),
        ("token revoke --principal nobody --yes", 4, "`nobody`"),
        ("token revoke --signing-key x --yes", 4, "`countersign signing-key list`"),
        ("token revoke --jti abc --expires-at 2999-01-01T00:00:00Z --yes", 2, "15m"),
        ("token inspect --token-file nowhere", 1, "`nowhere`"),
        ("token inspect eyJ.eyJ.x", 2, "unexpected argument"),
    ] {
        let (code, out, err) = console.say(line);
        assert!(code == exit && out.is_empty() && err.contains(why), "{line}: {code} {err}");
        assert!(!err.contains("/admin/v1/"), "how the API is asked is not how a command is: {err}");
    }
    let log = console.served.log();
    assert!(!log.contains(text(&ada, "access_token")) && !log.contains("cs_refresh_"), "no token in the log");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions() {
    let console = house().await;
    let (one, two) = (sign_in(&console).await, sign_in(&console).await);
    let (_, table, _) = console.say("session list");
    assert!(
        table.starts_with("ID ") && table.contains(text(&one, "session")) && table.contains("  ada  "),
        "{table}"
    );
    assert_eq!(console.json("session list --principal ada --open").as_array().unwrap().len(), 2);
    assert_eq!(console.json("session list --limit 1").as_array().unwrap().len(), 1);
    let id = text(&one, "session");
    let shown = console.json(&format!("session show {id}"));
    assert_eq!((&shown["state"], &shown["kind"]), (&json!("open"), &json!("native")));
    let (code, _, err) = console.say(&format!("session end {id}"));
    assert!(code == 2 && err.contains("`--yes`"), "{code} {err}");
    for _ in 0..2 {
        assert_eq!(console.json(&format!("session end {id} --yes"))["state"], "ended");
    }
    eventually(LONG, || async { shows(&console, &one).await == 401 }).await;
    assert_eq!(shows(&console, &two).await, 200);
    let open = console.say("session list --open -q");
    assert_eq!(open.1.trim_end(), text(&two, "session"));
    for line in
        ["session show 000000000000", "session end 000000000000 --yes", "session list --principal nobody"]
    {
        let (code, out, err) = console.say(line);
        assert!(code == 4 && out.is_empty() && !err.contains("/admin/v1/"), "{line}: {code} {err}");
    }
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys() {
    let console = house().await;
    let ada = sign_in(&console).await;
    let keys = console.json("signing-key list");
    let key = keys.as_array().unwrap().iter().find(|key| key["purpose"] == "session").unwrap();
    let kid = text(key, "kid");
    let (code, out, err) = console.say("signing-key rotate session");
    assert!(
        code == 0 && out.contains("published") && err.contains("`--at-once` does not wait"),
        "{code} {out} {err}"
    );
    let (code, out, err) = console.say("signing-key rotate session --at-once");
    assert!(code == 0 && out.contains("active") && err.contains("from now on"), "{code} {out} {err}");
    assert_eq!(shows(&console, &ada).await, 200, "what the one before signed stays good");
    let (_, table, _) = console.say("signing-key list");
    assert!(table.starts_with("KID ") && table.contains("retired"), "{table}");
    let (code, _, err) = console.say(&format!("signing-key revoke {kid}"));
    assert!(code == 2 && err.contains("`--yes`"), "{code} {err}");
    for _ in 0..2 {
        assert_eq!(console.json(&format!("signing-key revoke {kid} --yes"))["state"], "removed");
    }
    eventually(LONG, || async { shows(&console, &ada).await == 401 }).await;
    let (code, _, err) = inspect(&console, text(&ada, "access_token"));
    assert!(code == 3 && err.contains("was removed"), "{code} {err}");
    assert_eq!(shows(&console, &sign_in(&console).await).await, 200);
    for (line, exit) in
        [("signing-key revoke x --yes", 4), ("signing-key rotate sessions", 2), ("signing-key rotate", 2)]
    {
        assert_eq!(console.say(line).0, exit, "{line}");
    }
    // whoever may end keys of callers may not end ours
    let other = console.secret("key create bootstrap --scope countersign:keys --scope countersign:read");
    put(&console, "other.key", &other);
    let (code, _, err) = console.say("signing-key rotate session --admin-key-file other.key");
    assert!(code == 3 && err.contains("`countersign:signing-keys`"), "{code} {err}");
    let metrics = client(console.served.folder.path())
        .get(format!("https://127.0.0.1:{}/metrics", console.served.admin))
        .bearer_auth(console.served.operator());
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for sample in [
        "countersign_signing_keys{purpose=\"session\",state=\"active\"} 1\n",
        "countersign_signing_keys{purpose=\"identity\",state=\"active\"} 1\n",
        "countersign_signing_key_active_seconds{purpose=\"session\",algorithm=\"ES256\"} ",
        "countersign_sessions_total{event=\"begun\"} 2\n",
        "countersign_sessions_total{event=\"repeated\"} 0\n",
        "countersign_sessions_total{event=\"reused\"} 0\n",
    ] {
        assert!(metrics.contains(sample), "{sample}: {metrics}");
    }
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_signs_in_there_are_no_sessions() {
    let console = Console::start().await;
    for line in ["session list", "session show 000000000000", "token revoke --principal demo --yes"] {
        let (code, out, err) = console.say(line);
        assert!(code == 4 && out.is_empty() && err.contains("`[sessions]`"), "{line}: {code} {err}");
    }
    assert_eq!(console.piped("token inspect", "a.b.c").0, 3);
    console.end().await;
}
