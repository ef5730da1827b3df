//! What is signed here is verified by the libraries that others have, and what they sign by us. The guide's own snippets
//! for upstreams are among those who verify.

use crate::{
    docs::{blocks, root},
    support::{Answer, Deployment, ISSUER, RESOURCE, read, text},
};
use countersign_testkit::{environment, has_program, skip};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PASSWORD: &str = "seven unrelated words are long enough";
const ALGORITHMS: [&str; 4] = ["ES256", "RS256", "PS256", "Ed25519"];
const ACCESS: &str = "at+jwt";
const IDENTITY: &str = "countersign-identity+jwt";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    PyJwt,
    Joserfc,
    Jose,
}

use Library::{Jose, Joserfc, PyJwt};

impl Library {
    const ALL: [Self; 3] = [PyJwt, Joserfc, Jose];

    /// What `COUNTERSIGN_TEST_REQUIRE` calls it.
    fn name(self) -> &'static str {
        match self {
            PyJwt => "pyjwt",
            Joserfc => "joserfc",
            Jose => "jose",
        }
    }

    fn script(self) -> &'static str {
        match self {
            PyJwt => include_str!("pyjwt.py"),
            Joserfc => include_str!("joserfc.py"),
            Jose => include_str!("jose.mjs"),
        }
    }

    /// RFC 9864 is newer than PyJWT 2.15. When this fails the guide has something better to say.
    fn knows(self, algorithm: &str) -> bool {
        self != PyJwt || algorithm != "Ed25519"
    }
}

/// A folder in which their programs run.
struct Shop {
    folder: tempfile::TempDir,
    python: String,
}

impl Shop {
    /// `None`: some library is missing, and it was said which.
    fn open(test: &str) -> Option<Self> {
        let python = environment("COUNTERSIGN_TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
        if !has_program(&python, test) || !has_program("node", test) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        if let Some(modules) = environment("COUNTERSIGN_TEST_NODE_MODULES") {
            symlink(modules, folder.path().join("node_modules")).unwrap();
        }
        let this = Self { folder, python };
        let mut is_whole = true;
        for (library, file, line) in [
            (PyJwt, "is.py", "import jwt, cryptography"),
            (Joserfc, "is.py", "import joserfc"),
            (Jose, "is.mjs", "import 'jose'"),
        ] {
            if this.run((file, line), &[], ("", None)).is_err() {
                skip(library.name(), test);
                is_whole = false;
            }
        }
        is_whole.then_some(this)
    }

    /// What it prints, or how it complains. `ca`: whom it trusts beside the world.
    fn run(
        &self,
        (file, script): (&str, &str),
        words: &[&str],
        (input, ca): (&str, Option<&Path>),
    ) -> Result<String, String> {
        let path = self.folder.path().join(file);
        fs::write(&path, script).unwrap();
        let mut command = Command::new(if file.ends_with(".py") { &self.python } else { "node" });
        command.arg(path).args(words).current_dir(self.folder.path());
        for proxy in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(proxy);
        }
        if let Some(ca) = ca {
            command.env("SSL_CERT_FILE", ca).env("NODE_EXTRA_CA_CERTS", ca);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // a program that has failed already reads nothing
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn ask(&self, library: Library, words: &[&str], input: (&str, Option<&Path>)) -> Result<Value, String> {
        let file = if library == Jose { "jose.mjs" } else { "script.py" };
        let printed = self.run((file, library.script()), words, input)?;
        Ok(serde_json::from_str(&printed).unwrap())
    }
}

/// Somebody signs in, and an upstream is told who calls.
struct House {
    deployment: Deployment,
    access: String,
    identity: String,
    /// The same caller, told to another upstream.
    elsewhere: String,
}

impl House {
    async fn start(algorithm: &str, upstream: &str) -> Self {
        let rest = format!(
            r#"
[[upstreams]]
name = "other"
url = "{upstream}"
resource = "https://other.example.com"

[sessions]

[signing]
session = "{algorithm}"
identity = "{algorithm}"

[passwords]
memory_kib = 8192
passes = 1

[[routes]]
path = "/orders/{{id}}"
upstream = "api"
security = [{{ jwt = ["orders:read"] }}]

[[routes]]
path = "/other"
upstream = "other"
security = [{{ jwt = ["orders:read"] }}]
"#
        );
        let deployment = Deployment::signing(&rest).await;
        let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"]});
        assert_eq!(deployment.admin(Method::POST, "principals", Some(ada)).await.status, 201);
        let password = json!({"password": PASSWORD});
        let set = deployment.admin(Method::PUT, "principals/ada/password", Some(password)).await;
        assert_eq!(set.status, 200, "{set:?}");
        let login = deployment.gateway(Method::POST, "/.countersign/session/login");
        let tokens = read(login.json(&json!({"username": "ada", "password": PASSWORD}))).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
        let told = async |path: &str| {
            let answer = read(deployment.gateway(Method::GET, path).bearer_auth(&access)).await;
            assert_eq!(answer.status, 200, "{algorithm}: {answer:?}");
            answer.json()["headers"]["countersign-identity"].as_str().unwrap().to_owned()
        };
        let (identity, elsewhere) = (told("/orders/1").await, told("/other").await);
        Self { deployment, access, identity, elsewhere }
    }

    fn ca(&self) -> PathBuf {
        self.deployment.folder.path().join("ca.pem")
    }

    fn keys(&self) -> String {
        format!("https://{}/.well-known", self.deployment.running.issuer_address().unwrap())
    }
}

/// The guide's snippet in this language, where it looks for the keys there are.
fn snippet(word: &str, mark: &str, keys: &str, algorithm: &str) -> String {
    let guide = fs::read_to_string(root().join("docs/guides/sessions.md")).unwrap();
    let mut found = blocks(&guide).into_iter().filter(|(w, text)| w == word && text.contains(mark));
    let (_, text) = found.next().unwrap();
    assert!(found.next().is_none());
    let known = "https://auth.example.com/.well-known";
    assert!(text.contains(known) && text.contains("ES256"), "{text}");
    text.replace(known, keys).replace("ES256", algorithm)
}

/// With one character of its signature changed.
fn broken(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = signature.chars().next().unwrap();
    let other = if first == 'A' { 'B' } else { 'A' };
    format!("{signed}.{}", signature.replacen(first, &other.to_string(), 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_here_is_verified_by_others() {
    let Some(shop) = Shop::open("flows::jwt_interop::what_is_signed_here_is_verified_by_others") else {
        return;
    };
    let echo = countersign_cli::echo::Echo::start(0).await.unwrap();
    for algorithm in ALGORITHMS {
        let house = House::start(algorithm, &echo.url()).await;
        let (ca, keys) = (house.ca(), house.keys());
        let ada = house.deployment.admin(Method::GET, "principals/ada", None).await.json()["id"].clone();
        for library in Library::ALL {
            let verify = |path: &str, typ: &str, token: &str, audience: &str| {
                let url = format!("{keys}{path}");
                let words = ["verify", &url, ISSUER, audience, algorithm, typ];
                shop.ask(library, &words, (token, Some(&ca)))
            };
            let access = |token: &str| verify("/jwks.json", ACCESS, token, RESOURCE);
            let told = |token: &str| verify("/countersign-identity/jwks.json", IDENTITY, token, RESOURCE);
            if !library.knows(algorithm) {
                let why = access(&house.access).unwrap_err();
                assert!(why.contains("did not contain any usable keys"), "{library:?}: {why}");
                continue;
            }
            for (claims, token) in [(access(&house.access), ACCESS), (told(&house.identity), IDENTITY)] {
                let claims = claims.unwrap_or_else(|why| panic!("{library:?} {algorithm} {token}: {why}"));
                assert_eq!((&claims["sub"], &claims["scope"]), (&ada, &json!("orders:read")), "{library:?}");
            }
            // one kind of token is never taken for the other, nor is one that is for somebody else
            for wrong in [
                access(&house.identity),
                told(&house.access),
                told(&house.elsewhere),
                access(&broken(&house.access)),
                told(&broken(&house.identity)),
            ] {
                assert!(wrong.is_err(), "{library:?} {algorithm}: {wrong:?}");
            }
        }
        let python = snippet("python", "PyJWKClient", &keys, algorithm);
        let python = format!("{python}\nimport json, sys\nprint(json.dumps(caller(sys.stdin.read())))\n");
        let node = snippet("js", "createRemoteJWKSet", &keys, algorithm);
        let node = format!(
            "{node}\nimport {{ readFileSync }} from 'node:fs';\nconsole.log(JSON.stringify(await caller(readFileSync(0, 'utf8'))));\n"
        );
        for (library, file, script) in [(PyJwt, "guide.py", &python), (Jose, "guide.mjs", &node)] {
            let ask = |token: &str| shop.run((file, script), &[], (token, Some(&ca)));
            if !library.knows(algorithm) {
                continue;
            }
            let claims = ask(&house.identity).unwrap_or_else(|why| panic!("{file} {algorithm}: {why}"));
            let claims: Value = serde_json::from_str(&claims).unwrap();
            assert_eq!((&claims["sub"], &claims["name"]), (&ada, &json!("ada")), "{file}");
            for wrong in [&house.access, &house.elsewhere, &broken(&house.identity)] {
                assert!(ask(wrong).is_err(), "{file} {algorithm}");
            }
        }
        house.deployment.stop().await;
    }
    echo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_sign_is_verified_here() {
    let Some(shop) = Shop::open("flows::jwt_interop::what_others_sign_is_verified_here") else { return };
    let issuer = |library: Library| format!("https://{}.example.com", library.name());
    let mut rest = String::new();
    let mut signed = Vec::new();
    for library in Library::ALL {
        let made = shop.ask(library, &["sign", &issuer(library), RESOURCE], ("", None)).unwrap();
        let file = shop.folder.path().join(format!("{}.json", library.name()));
        fs::write(&file, made["jwks"].to_string()).unwrap();
        rest.push_str(&format!(
            "[[issuers]]\nname = \"{}\"\nissuer = \"{}\"\njwks = {{ file = \"{}\" }}\naudiences = [\"{RESOURCE}\"]\n\
             algorithms = [\"ES256\", \"RS256\", \"PS256\", \"Ed25519\"]\nscopes = [\"orders:read\"]\n",
            library.name(),
            issuer(library),
            file.display()
        ));
        signed.push((library, made["tokens"].as_object().unwrap().clone()));
    }
    rest.push_str(
        "[[routes]]\npath = \"/orders/{id}\"\nupstream = \"api\"\nsecurity = [{ jwt = [\"orders:read\"] }]\n",
    );
    let deployment = Deployment::signing(&rest).await;
    let get = async |token: &str| -> Answer {
        deployment.settled(deployment.gateway(Method::GET, "/orders/1").bearer_auth(token)).await
    };
    for (library, tokens) in &signed {
        let names: Vec<&str> = tokens.keys().map(String::as_str).collect();
        for name in ["ES256", "RS256", "PS256", "EdDSA"] {
            assert!(names.contains(&name), "{library:?} signed {names:?}");
        }
        for (name, token) in tokens {
            let token = token.as_str().unwrap();
            let good = get(token).await;
            assert_eq!(good.status, 200, "{library:?} {name}: {good:?}");
            let caller = &good.json()["headers"]["countersign-principal"];
            assert!(caller.as_str().unwrap().starts_with("ext_"), "{caller}");
            let bad = get(&broken(token)).await;
            assert_eq!(
                (bad.status.as_u16(), &*bad.code()),
                (401, "credential_invalid"),
                "{library:?} {name}"
            );
        }
    }
    // whoever signs speaks for nobody else: the same `kid`, in the name of another issuer
    let (_, ours) = &signed[0];
    let (_, theirs) = &signed[1];
    let payload = |token: &Value| token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let forged =
        ours["ES256"].as_str().unwrap().replace(&payload(&ours["ES256"]), &payload(&theirs["ES256"]));
    assert_eq!(get(&forged).await.status, 401);
    deployment.stop().await;
}
