//! Every verb against a running server: what it prints, and how it exits.

use crate::support::{LONG, Process, ROUTES, Served, binary, run, text};
use countersign_cli::{echo::Echo, private_file};
use countersign_crypto::hash::sha256;
use serde_json::{Value, json};
use std::{io::Write, process::Stdio};

/// Exit code, stdout, stderr.
pub(super) type Said = (i32, String, String);

pub(super) struct Console {
    pub(super) served: Served,
    process: Option<Process>,
    echo: Echo,
}

impl Console {
    pub(super) async fn start() -> Self {
        Self::with(ROUTES).await
    }

    /// The file says `rest` after its listeners.
    pub(super) async fn with(rest: &str) -> Self {
        Self::of(|served, upstream| served.configuration(upstream, rest)).await
    }

    /// The file is what is made of this.
    pub(super) async fn of(file: impl FnOnce(&Served, &str) -> String) -> Self {
        let echo = Echo::start(0).await.unwrap();
        let served = Served::prepare(&echo.url());
        served.put(&file(&served, &echo.url()));
        let process = Some(served.start().await);
        let this = Self { served, process, echo };
        assert_eq!(
            this.say("service create demo --scope orders:read --scope orders:write --group staff").0,
            0
        );
        this
    }

    pub(super) fn say(&self, line: &str) -> Said {
        let words: Vec<&str> = line.split(' ').collect();
        let output = run(self.served.folder.path(), &words);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(super) fn json(&self, line: &str) -> Value {
        let (code, out, err) = self.say(&format!("{line} --output json"));
        assert_eq!(code, 0, "{line}: {err}");
        serde_json::from_str(&out).unwrap()
    }

    pub(super) fn secret(&self, line: &str) -> String {
        let (code, out, err) = self.say(&format!("{line} -q"));
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        out.trim_end().to_owned()
    }

    /// With `key` on stdin.
    fn verify(&self, key: &str) -> Said {
        self.piped("key verify", key)
    }

    pub(super) fn piped(&self, line: &str, input: &str) -> Said {
        let mut child = binary()
            .args(line.split(' '))
            .current_dir(self.served.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(super) async fn end(self) {
        drop(self.process);
        self.echo.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys() {
    let console = Console::start().await;
    let (code, out, err) = console.say("key create demo --scope orders:read --label night --expires 30d --network 127.0.0.0/8 --limit 100/1m");
    assert_eq!(code, 0, "{err}");
    let secret = out.trim_end();
    assert!(secret.starts_with("cs_live_") && !secret.contains(char::is_whitespace), "data only: {out}");
    assert!(
        err.contains(&format!("-H 'X-API-Key: {secret}'")) && err.contains("curl "),
        "the curl that uses it: {err}"
    );
    let id = &secret[8..20];
    let shown = console.json(&format!("key show {id}"));
    assert_eq!(shown["label"], "night");
    assert_eq!(shown["networks"], serde_json::json!(["127.0.0.0/8"]));
    assert_eq!((&shown["limit"]["requests"], &shown["limit"]["per"]), (&100.into(), &"1m".into()));
    assert!(!shown.to_string().contains(secret));
    assert_eq!(console.verify(&format!("{secret}\n")).0, 0);
    assert_eq!(console.verify(&format!("X-API-Key: {secret}\n")).0, 0, "what `--header` wrote is understood");
    assert_eq!(console.verify("").0, 2);
    assert_eq!(console.say("check GET orders/7").0, 2, "a value that is none is usage");
    // an operator that may look and not issue is told which scope it lacks
    let reader = console.secret("key create bootstrap --scope countersign:read");
    private_file::write(&console.served.folder.path().join("reader.key"), reader.as_bytes()).unwrap();
    let (code, _, err) = console.say("key create demo --admin-key-file reader.key");
    assert!(code == 3 && err.contains("lacks `countersign:keys`"), "{code} {err}");

    let (code, out, _) = console.say(&format!("key rotate {id} --grace 1h --header"));
    let successor = out.strip_prefix("X-API-Key: ").unwrap().trim_end().to_owned();
    assert_eq!((code, console.verify(&successor).0, console.verify(secret).0), (0, 0, 0));
    assert_eq!(console.say(&format!("key rotate {id}")).0, 5, "a key is rotated once");
    assert_eq!(console.say(&format!("key revoke {id} --reason leaked --yes")).0, 0);
    let (code, _, err) = console.verify(secret);
    assert!(code == 3 && err.contains("revoked"), "{code} {err}");
    assert_eq!(console.verify("cs_live_nonsense").0, 3);

    let listed = console.json("key list --owner demo");
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(console.json("key list --owner demo --usable").as_array().unwrap().len(), 1);
    let (_, quiet, _) = console.say("key list --owner demo -q");
    assert_eq!(quiet.lines().count(), 2);
    let (_, table, _) = console.say("key list");
    assert!(table.starts_with("ID ") && table.contains(id), "{table}");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_4_and_what_is_refused_is_named() {
    let console = Console::start().await;
    for line in [
        "key show 4fQ2kZ81mXpA",
        "key revoke 4fQ2kZ81mXpA",
        "key create nobody",
        "user show nobody",
        "service disable nobody",
        "user disable demo",
        "route test GET /nowhere",
    ] {
        let (code, out, err) = console.say(line);
        assert!(code == 4 && out.is_empty() && err.starts_with("countersign: "), "{line}: {code} {err}");
        assert!(!err.contains("/admin/v1/"), "how the API is asked is not how a command is: {err}");
    }
    assert_eq!(console.say("service create demo").0, 5, "the name is taken");
    let (code, _, err) = console.say("key create demo --scope orders:delete");
    assert!(code == 1 && err.contains("orders:delete"), "{code} {err}");
    let (code, _, err) = console.say("key create demo --expires never");
    assert!(code == 1 && err.contains("never"), "{code} {err}");
    let (code, _, err) = console.say("key create demo --plan golden");
    assert!(code != 0 && err.contains("plan"), "{code} {err}");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn principals() {
    let console = Console::start().await;
    let ada = console.json("user create ada --scope orders:read --group staff");
    assert_eq!((&ada["kind"], &ada["enabled"]), (&"user".into(), &true.into()));
    let secret = console.secret("key create ada --scope orders:read");
    let changed = console.json("user change ada --scope orders:write --no-groups");
    assert_eq!(
        (&changed["scopes"], &changed["groups"]),
        (&serde_json::json!(["orders:write"]), &serde_json::json!([]))
    );
    assert_eq!(console.json("user change ada --scope orders:read")["groups"], serde_json::json!([]));
    assert_eq!(console.say("user change ada").0, 2, "nothing to change");
    assert_eq!(console.say("user change ada --scope orders:read --no-scopes").0, 2);
    assert_eq!(console.say("service change ada --no-scopes").0, 4, "of the other kind");
    assert_eq!(console.json("user disable ada")["enabled"], false);
    // from the feed, as every gateway hears it
    let listed = || async { console.say("key list --owner ada").1.contains("owner disabled") };
    countersign_testkit::eventually(LONG, listed).await;
    assert_eq!(console.json("key list --owner ada")[0]["owner"]["enabled"], false);
    assert_eq!(console.verify(&secret).0, 3);
    assert_eq!(console.json("user enable ada")["enabled"], true);
    assert_eq!(console.verify(&secret).0, 0);
    assert_eq!(console.json("user list").as_array().unwrap().len(), 1);
    let names: Vec<_> =
        console.json("service list").as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["bootstrap", "demo"]);
    assert_eq!(console.json("user show ada")["id"], ada["id"]);
    let (_, yaml, _) = console.say("user show ada --output yaml");
    assert!(yaml.contains("\"name\": \"ada\""), "{yaml}");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_check() {
    let console = Console::start().await;
    let (_, table, _) = console.say("route list");
    assert!(table.contains("api_key (orders:read)") && table.contains("public"), "{table}");
    let (code, out, _) = console.say("route test GET /orders/7 -q");
    assert_eq!((code, out.trim_end()), (0, "GET /orders/{id}"));
    assert_eq!(console.say("check GET /orders/7").0, 3);
    let secret = console.secret("key create demo --scope orders:read");
    let key = console.served.folder.path().join("key");
    private_file::write(&key, format!("X-API-Key: {secret}\n").as_bytes()).unwrap();
    let allowed = console.json("check GET /orders/7 --key-file key");
    assert_eq!(
        (&allowed["decision"], &allowed["subject"]["name"]),
        (&"allow".into(), &"demo".into()),
        "{allowed}"
    );
    assert_eq!(console.json("check GET /orders/7 -H @key")["decision"], "allow");
    let argv = console.say("check GET /orders/7 -H x-api-key:cs_live_x");
    assert!(argv.0 == 2 && argv.2.contains("--key-file"), "{argv:?}");
    let (code, out, _) = console.say("check POST /orders --key-file key");
    let members: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let order = ["decision", "status", "code", "reason", "route", "subject", "needs", "scopes"];
    assert!(code == 3 && members == order && out.contains("orders:write"), "{out}");
    let (code, out, _) = console.say("check GET /orders/7 --key-file key --plain --source 192.0.2.1");
    assert!(code == 3 && out.contains("tls_required"), "{out}");
    assert_eq!(console.say("check GET /open").0, 0);
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_and_recovery() {
    let console = Console::start().await;
    let before = console.served.operator();
    let (code, out, err) = console.say("admin recover");
    assert!(code == 0 && out.is_empty(), "{err}");
    let after = console.served.operator();
    // RULES 4.4: to its file, never to output
    assert!(before != after && !err.contains(&after) && after.starts_with("cs_live_"), "{err}");
    assert_eq!(console.say("route list -q").0, 0);
    let recovered = console.json(&format!("audit tail --subject {}", &after[8..20]));
    assert_eq!((&recovered[0]["actor"], &recovered[0]["action"]), (&"host".into(), &"api_key.create".into()));
    let dead = console.json(&format!("audit tail --subject {} --action api_key.revoke", &before[8..20]));
    assert_eq!(dead.as_array().unwrap().len(), 1, "the key before it ended");
    let (code, out, _) = console.say("audit verify");
    assert!(code == 0 && out.contains("whole"), "{out}");
    let numbers: Vec<i64> = console
        .json("audit tail -n 3")
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["number"].as_i64().unwrap())
        .collect();
    assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_needs_no_server() {
    let served = Served::prepare("http://127.0.0.1:9");
    drop(served.start().await);
    std::fs::remove_file(served.folder.path().join("admin.key")).unwrap();
    let output = run(served.folder.path(), &["admin", "recover"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let _process = served.start().await;
    assert_eq!(run(served.folder.path(), &["key", "list", "-q"]).status.code(), Some(0));
}

/// RULES 4.4: the host can always make an operator, whatever other operators did to its own.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_after_the_hosts_operator_was_revoked() {
    let console = Console::start().await;
    let served = &console.served;
    let http = crate::support::client(served.folder.path());
    let at = |path: &str| format!("https://127.0.0.1:{}/admin/v1/{path}", served.admin);
    let scopes = ["countersign:keys", "countersign:principals"];
    let other = json!({"kind": "user", "name": "other", "scopes": scopes});
    let made = http.post(at("principals")).bearer_auth(served.operator()).json(&other);
    assert_eq!(crate::support::read(made).await.status, 201);
    let bootstrap = http.get(at("principals/bootstrap")).bearer_auth(served.operator());
    let bootstrap = crate::support::read(bootstrap).await.json();
    let node = json!({"node": format!("principal:{}", bootstrap["id"].as_str().unwrap())});
    let revoked = http.post(at("revocations")).bearer_auth(served.operator()).json(&node);
    assert_eq!(crate::support::read(revoked).await.status, 200);
    assert_ne!(console.say("route list -q").0, 0);

    for _ in 0..2 {
        let (code, _, err) = console.say("admin recover");
        assert_eq!(code, 0, "{err}");
        assert_eq!(console.say("route list -q").0, 0);
    }
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_ours_is_not_trusted() {
    let console = Console::start().await;
    let other = tempfile::tempdir().unwrap();
    crate::support::certify(other.path());
    let (code, _, err) = console.say(&format!("key list --ca {}", other.path().join("ca.pem").display()));
    assert!(code == 1 && err.contains("--ca"), "{code} {err}");
    console.end().await;
}

/// Keys of another product: from its export into the gateway, with every bad line named first.
#[tokio::test(flavor = "multi_thread")]
async fn keys_from_elsewhere() {
    let echo = Echo::start(0).await.unwrap();
    let served = Served::prepare(&echo.url());
    let taken = format!("{ROUTES}[api_keys]\nimported_prefixes = [\"acme_\"]\n");
    served.put(&served.configuration(&echo.url(), &taken));
    let folder = served.folder.path().to_owned();
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let process = Some(served.start().await);
    let console = Console { served, process, echo };
    assert_eq!(console.say("service create demo --scope orders:read").0, 0);

    put(
        "bad.csv",
        "owner,scopes,key,limit\ndemo,orders:read,acme_0123456789abcdef,\ndemo,x,acme_0123456789abcdeg,\nnobody,,acme_0123456789abcdef,\n",
    );
    let (code, out, err) = console.say("key import bad.csv");
    assert!(code == 1 && out.is_empty(), "{code} {out}");
    assert_eq!(
        err,
        "countersign: one of the keys cannot be imported, so none was:\n  line 4: is the same key as line 2\n"
    );
    put(
        "bad.csv",
        "owner,scopes,key,limit\ndemo,orders:read,acme_0123456789abcdef,\ndemo,x,acme_0123456789abcdeg,\nnobody,,acme_0123456789abcdeh,\n",
    );
    let (code, _, err) = console.say("key import bad.csv");
    assert!(code == 1 && err.contains("line 4: owner: there is no principal `nobody`"), "{code} {err}");
    put("bad.csv", "owner,scopes,key,limit\ndemo,orders:read,acme_0123456789abcdef,often\n");
    let (code, _, err) = console.say("key import bad.csv");
    assert!(code == 1 && err.contains("line 2: limit: not a limit such as `100/1m`"), "{code} {err}");
    for (text, why) in [
        ("demo,orders:read,acme_0123456789abcdef\n", "the name of column 1 is unknown"),
        ("owner,key\ndemo\n", "it has 1 fields"),
        ("[{\"owner\": ", "line 1 column 11 breaks its grammar"),
        ("{\"keys\": [], \"x\": 1}", "it is an object without `keys`"),
        ("[7]", "key 1 is no object"),
        ("", "holds no keys"),
    ] {
        put("bad.csv", text);
        let (code, _, err) = console.say("key import bad.csv");
        assert!(code == 2 && err.contains(why) && !err.contains("0123456789"), "{code} {err}");
    }

    // `printf acme_fedcba9876543210 | sha256sum`
    let hash: String = sha256(&[b"acme_fedcba9876543210"]).iter().map(|byte| format!("{byte:02x}")).collect();
    put(
        "keys.csv",
        &format!(
            "Owner, Scopes, Key, SHA256, Label, Expires, Networks\ndemo, orders:read, acme_0123456789abcdef, , till, 30d, 127.0.0.0/8;::1/128\n, , , {hash}, , ,\n"
        ),
    );
    let (code, out, err) = console.say("key import keys.csv --owner demo --scope orders:read --dry-run -q");
    assert_eq!((code, out.lines().count()), (0, 2), "{err}");
    assert!(err.is_empty() || err.contains("2 would be imported"), "{err}");
    assert!(console.json("key list --owner demo").as_array().unwrap().is_empty());
    let (code, out, err) = console.say("key import keys.csv --owner demo --scope orders:read");
    assert!(
        code == 0 && out.starts_with("AT ") && err.contains("2 imported, 0 were here already"),
        "{out}{err}"
    );

    let gateway = format!("https://{}/orders/1", console.served.address());
    let http = crate::support::client(&folder);
    let ask = async |name: &str, value: &str| http.get(&gateway).header(name, value).send().await.unwrap();
    for (name, value) in [
        ("x-api-key", "acme_0123456789abcdef"),
        ("authorization", "Bearer acme_0123456789abcdef"),
        ("x-api-key", "acme_fedcba9876543210"),
        ("authorization", "Bearer acme_fedcba9876543210"),
    ] {
        let answer = ask(name, value).await;
        assert_eq!(answer.status(), 200, "{name}");
        let echoed = answer.text().await.unwrap();
        assert!(!echoed.contains("acme_"), "it is stripped as any key is: {echoed}");
    }
    for (name, value) in [
        ("x-api-key", "acme_0123456789abcdeX"),
        ("authorization", "Bearer acme_0123456789abcdeX"),
        ("x-api-key", &hash),
    ] {
        assert_eq!(ask(name, value).await.status(), 401, "{name} {value}");
    }
    // what came as a hash is a digest of the whole key soon after its first use
    countersign_testkit::eventually(LONG, || async {
        console.json("audit tail --action api_key.upgrade").as_array().unwrap().len() == 1
    })
    .await;
    assert_eq!(ask("x-api-key", "acme_fedcba9876543210").await.status(), 200);

    put("keys.json", "[{\"key\": \"acme_0123456789abcdef\"}, {\"key\": \"acme_another_0123456\"}]");
    let defaults = "--owner demo --scope orders:read";
    let (code, _, err) = console.say(&format!("key import keys.json {defaults}"));
    assert!(code == 1 && err.contains("key 1: is here already"), "{err}");
    let (code, _, err) = console.say(&format!("key import keys.json {defaults} --skip-existing"));
    assert!(code == 0 && err.contains("1 imported, 1 were here already"), "{err}");
    assert_eq!(console.verify("acme_another_0123456").0, 0);
    let listed = console.json("key list --owner demo");
    let till = listed.as_array().unwrap().iter().find(|key| key["label"] == "till").unwrap();
    assert_eq!(console.say(&format!("key revoke {} --yes", till["id"].as_str().unwrap())).0, 0);
    countersign_testkit::eventually(LONG, || async {
        ask("x-api-key", "acme_0123456789abcdef").await.status() == 401
    })
    .await;
    let log = console.served.log();
    assert!(!log.contains("0123456789abcdef") && !log.contains(&hash), "no key in the log");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_keys_than_one_request_takes() {
    let echo = Echo::start(0).await.unwrap();
    let served = Served::prepare(&echo.url());
    let taken = format!("{ROUTES}[api_keys]\nimported_prefixes = [\"\"]\n");
    served.put(&served.configuration(&echo.url(), &taken));
    let folder = served.folder.path().to_owned();
    let process = Some(served.start().await);
    let console = Console { served, process, echo };
    assert_eq!(console.say("service create demo --scope orders:read").0, 0);
    let file =
        |keys: &[String]| std::fs::write(folder.join("keys.csv"), format!("key\n{}\n", keys.join("\n")));
    let mut keys: Vec<String> = (0..2500).map(|n| format!("0123456789abcdef-{n}")).collect();
    keys.push("short".into());
    file(&keys).unwrap();
    let (code, _, err) = console.say("key import keys.csv --owner demo");
    assert!(code == 1 && err.contains("line 2502: key: "), "{err}");
    assert!(
        console.json("key list --owner demo").as_array().unwrap().is_empty(),
        "what stands before it neither"
    );
    keys.pop();
    file(&keys).unwrap();
    let (code, out, err) = console.say("key import keys.csv --owner demo -q");
    assert_eq!((code, out.lines().count()), (0, 2500), "{err}");
    assert_eq!(console.verify("0123456789abcdef-2499").0, 0);
    console.end().await;
}
