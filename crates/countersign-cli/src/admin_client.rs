//! The operators' API from the outside: how the commands reach it, and how its refusals become exit codes.

use crate::{
    config::Environment,
    output::{Exit, Failure},
    place::{ADMIN_KEY, AUTHORITY, Place},
    private_file,
};
use bytes::Bytes;
use reqwest::{
    Certificate, Client, RequestBuilder, StatusCode,
    header::{IF_MATCH, WWW_AUTHENTICATE},
    redirect,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use url::Url;

/// Where to connect, from the command line; everything else is found.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    pub config: Option<PathBuf>,
    pub dir: Option<PathBuf>,
    pub server: Option<Url>,
    pub ca: Option<PathBuf>,
    pub admin_key_file: Option<PathBuf>,
}

#[derive(Debug)]
pub struct AdminClient {
    http: Client,
    base: Url,
    key: String,
}

/// Status, document, and the scope that the challenge asked for.
type Refused = (StatusCode, Bytes, Option<String>);

/// More than any page; an answer beyond it is not ours.
const LONGEST_ANSWER: usize = 16 << 20;

impl AdminClient {
    pub fn connect(connection: &Connection) -> Result<Self, Failure> {
        let place = Place::find(connection.config.as_deref(), connection.dir.as_deref());
        let base = match &connection.server {
            Some(server) => checked(server)?,
            None => {
                let settings = place.as_ref().map_err(again)?.load(&Environment::of_process())?;
                on_this_host(settings.admin.listen, settings.admin.tls.is_some())?
            }
        };
        let key_file = match &connection.admin_key_file {
            Some(file) => file.clone(),
            None => place.as_ref().map_err(again)?.file(ADMIN_KEY),
        };
        let key = private_file::read(&key_file)?.ok_or_else(|| {
            Failure::new(Exit::Denied, format!("there is no operator's key in `{}`", key_file.display()))
                .todo("name one with `--admin-key-file FILE`, or make one on the host with `countersign admin recover`")
        })?;
        let mut builder = Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(30))
            .connect_timeout(Duration::from_secs(5))
            // an operator's key goes to the address that was named and nowhere else
            .redirect(redirect::Policy::none())
            .no_proxy();
        let authority = match (&connection.ca, &place) {
            (Some(ca), _) => Some(ca.clone()),
            (None, Ok(place)) => Some(place.file(AUTHORITY)).filter(|file| file.is_file()),
            (None, Err(_)) => None,
        };
        if let Some(file) = authority {
            let shown = file.display();
            let pem =
                std::fs::read(&file).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|e| Failure::failed(format!("`{shown}` holds no certificates in PEM: {e}")))?;
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|e| Failure::failed(format!("cannot make a client: {e}")))?;
        Ok(Self { http, base, key: key.trim().to_owned() })
    }

    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.call(self.http.get(self.url(path, query)?)).await
    }

    /// To say what is about to end: `None` where the caller may not look, who may end it all the same.
    pub async fn get_if_allowed(&self, path: &[&str]) -> Result<Option<Value>, Failure> {
        match self.get(path, &[]).await {
            Err(failure) if failure.exit == Exit::Denied => Ok(None),
            answered => answered.map(Some),
        }
    }

    pub async fn post(&self, path: &[&str], body: Value) -> Result<Value, Failure> {
        self.call(self.http.post(self.url(path, &[])?).json(&body)).await
    }

    /// What was refused for what is in it comes back as it was told, for who can say more of it.
    pub async fn post_or_told(&self, path: &[&str], body: &Value) -> Result<Result<Value, Value>, Failure> {
        let request = self.http.post(self.url(path, &[])?).json(body).bearer_auth(&self.key);
        let (status, bytes) = match self.ask(request).await? {
            Ok(bytes) => (StatusCode::OK, bytes),
            Err((status @ (StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST), bytes, _)) => {
                (status, bytes)
            }
            Err((status, bytes, needs)) => return Err(refusal(status, &bytes, needs.as_deref())),
        };
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|_| self.strange("an answer that is not JSON"))?;
        Ok(if status.is_success() { Ok(document) } else { Err(document) })
    }

    pub async fn put(&self, path: &[&str], body: Value) -> Result<Value, Failure> {
        self.call(self.http.put(self.url(path, &[])?).json(&body)).await
    }

    /// Whatever stands.
    pub async fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.call(self.http.delete(self.url(path, &[])?).header(IF_MATCH, "*")).await
    }

    /// As long as the record still is at this version.
    pub async fn patch(&self, path: &[&str], version: i64, body: Value) -> Result<Value, Failure> {
        let request = self.http.patch(self.url(path, &[])?).header(IF_MATCH, format!("\"{version}\""));
        self.call(request.json(&body)).await
    }

    /// As [`AdminClient::get`], read as what it should be: nothing of a member that stays raw is written anew.
    pub async fn get_as<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let request = self.http.get(self.url(path, query)?).bearer_auth(&self.key);
        let bytes = self.answer(request).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.strange("an answer that is not what was asked for"))
    }

    /// Every item of a list, page after page, at most `most`.
    pub async fn all(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let mut query = query.to_vec();
            query.push(("limit", (most - items.len()).min(500).to_string()));
            query.extend(cursor.take().map(|c| ("cursor", c)));
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) else {
                return Err(self.strange("a list without `items`"));
            };
            items.extend(found);
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(items)
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        // names come from the command line: each is one segment, whatever is in it
        url.path_segments_mut()
            .map_err(|()| Failure::usage(format!("`{}` cannot be a base", self.base)))?
            .pop_if_empty()
            .extend(["admin", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let bytes = self.answer(request.bearer_auth(&self.key)).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| self.strange("an answer that is not JSON"))
    }

    /// Of a URL beside the API: what it says.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        let mut url = self.base.clone();
        url.set_path(path);
        let bytes = self.answer(self.http.get(url).bearer_auth(&self.key)).await?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.strange("an answer that is not text"))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Bytes, Failure> {
        let refused = |(status, bytes, needs): Refused| refusal(status, &bytes, needs.as_deref());
        self.ask(request).await?.map_err(refused)
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Result<Bytes, Refused>, Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let challenge =
            response.headers().get(WWW_AUTHENTICATE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        if bytes.len() > LONGEST_ANSWER {
            return Err(self.strange("an answer that is too long"));
        }
        if !status.is_success() {
            let needs = challenge.as_deref().and_then(needed_scope).map(str::to_owned);
            return Ok(Err((status, bytes, needs)));
        }
        Ok(Ok(bytes))
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::failed(format!("`{}` gave {what}", self.base))
            .todo("is that Countersign's admin API, and of this version?")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = String::new();
        let mut source: Option<&dyn std::error::Error> = Some(error);
        // the innermost reason is the one that says something
        while let Some(error) = source {
            why = error.to_string();
            source = error.source();
        }
        let todo = if error.is_timeout() {
            "it took too long; is the server overloaded or its store locked?"
        } else if why.to_lowercase().contains("certificate") {
            "name the authority of its certificate with `--ca FILE`"
        } else {
            "is it running? start it with `countersign dev` or `countersign serve`"
        };
        Failure::failed(format!("cannot reach the admin API at {}: {why}", self.base)).todo(todo)
    }
}

fn again(failure: &Failure) -> Failure {
    Failure { exit: failure.exit, what: failure.what.clone(), todo: failure.todo.clone() }
}

/// The address that the configuration listens on, as a client on this host reaches it.
pub fn on_this_host(listen: SocketAddr, tls: bool) -> Result<Url, Failure> {
    let address = match listen.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port()),
        _ => listen,
    };
    let scheme = if tls { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{address}"))
        .map_err(|e| Failure::failed(format!("`{address}` is no address to connect to: {e}")))
}

/// An operator's key goes out over TLS or loopback only (RULES 1.7).
fn checked(server: &Url) -> Result<Url, Failure> {
    let loopback = match server.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match server.scheme() {
        "https" => Ok(server.clone()),
        "http" if loopback => Ok(server.clone()),
        _ => Err(Failure::usage(format!(
            "`{server}` is not `https://`; an operator's key does not go out in the open"
        ))),
    }
}

/// RFC 6750 3: the `scope` of a challenge; what a scope cannot hold is not repeated.
fn needed_scope(challenge: &str) -> Option<&str> {
    let scope = challenge.split_once("scope=\"")?.1.split('"').next()?;
    scope.split(' ').all(|word| countersign_core::Scope::parse(word).is_some()).then_some(scope)
}

/// RFC 9457 to words and an exit code.
fn refusal(status: StatusCode, body: &[u8], needs: Option<&str>) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (detail, code, instance) = (text("detail"), text("code"), text("instance"));
    let said = [detail, text("title"), code.clone()].into_iter().find(|t| !t.is_empty());
    let what = said.unwrap_or_else(|| format!("the server answered {status}"));
    // how the API's own readers go on is not how a command does
    let what = what.split("; `GET /admin/v1/").next().unwrap_or_default();
    let what: String = what.chars().filter(|c| !c.is_control()).collect();
    let exit = match status.as_u16() {
        400 => Exit::Usage,
        401 | 403 => Exit::Denied,
        404 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, format!("{what} ({})", status.as_u16()));
    match code.as_str() {
        "precondition_failed" => {
            let what = "somebody else changed it in the same moment (412)";
            return Failure::new(exit, what).todo("look at what stands now, and say it again");
        }
        "key_unknown" => {
            return failure
                .todo("`countersign key list` shows the ids: twelve characters, without `cs_live_`");
        }
        "principal_unknown" => {
            return failure.todo("`countersign service list` and `countersign user list` show who there is");
        }
        "session_unknown" => return failure.todo("`countersign session list` shows the ids"),
        "signing_key_unknown" => return failure.todo("`countersign signing-key list` shows them"),
        "scopes_beyond_owner" => {
            return failure.todo("`countersign service change NAME --scope ...` does that");
        }
        _ => {}
    }
    match status.as_u16() {
        401 => failure.todo(
            "the operator's key is not (or no longer) good: name another with `--admin-key-file`, or make one on the \
             host with `countersign admin recover`",
        ),
        403 if code == "scope_missing" => {
            let lacks = needs.map_or_else(|| "a scope for this".to_owned(), |scope| format!("`{scope}`"));
            failure.todo(format!("the operator's key lacks {lacks}; name another with `--admin-key-file`"))
        }
        503 => failure.todo("the store does not answer; the server's log says why"),
        500.. if !instance.is_empty() => failure.todo(format!("the server's log knows more under `{instance}`")),
        _ => failure,
    }
}
