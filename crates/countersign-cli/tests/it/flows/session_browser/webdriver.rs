//! Chromium, as a person sits before it: W3C WebDriver, as far as that takes.

use crate::support::{LONG, Process, free_port};
use countersign_testkit::eventually;
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// WebDriver 17.4.2.
pub(super) const TAB: char = '\u{e004}';
pub(super) const ENTER: char = '\u{e007}';

/// RFC 6265bis, as the browser keeps it.
#[derive(Debug)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) is_hidden: bool,
    pub(super) same_site: String,
}

/// Ends with the test, whatever became of it.
pub(super) struct Browser {
    http: Client,
    session: String,
    browser: Option<Pid>,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(super) async fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).env("HOME", profile.path());
        driver.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Process(driver.spawn().unwrap());
        let http = Client::builder().no_proxy().timeout(LONG * 2).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        eventually(LONG, || async {
            let status = http.get(format!("{base}/status")).send().await;
            status.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        let mut this = Self {
            http,
            session: format!("{base}/session"),
            browser: None,
            _driver: driver,
            _profile: profile,
        };
        let data = format!("--user-data-dir={}", this._profile.path().join("data").display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--no-proxy-server",
            &data,
        ];
        let wanted = json!({ "browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": { "args": arguments } });
        let made = this.say(Method::POST, "", json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        let process = made["capabilities"]["goog:processID"].as_i64();
        this.browser = process.and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        this.session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        this
    }

    /// The orderly way.
    pub(super) async fn close(mut self) {
        self.say(Method::DELETE, "", Value::Null).await;
        self.browser = None;
    }

    async fn say(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }

    pub(super) async fn go(&self, url: &str) {
        self.say(Method::POST, "/url", json!({ "url": url })).await;
    }

    pub(super) async fn url(&self) -> String {
        self.say(Method::GET, "/url", Value::Null).await.as_str().unwrap().to_owned()
    }

    pub(super) async fn arrives(&self, url: &str) {
        eventually(LONG, || async { self.url().await == url }).await;
    }

    /// What a script of the page returns.
    pub(super) async fn script(&self, text: &str) -> Value {
        self.say(Method::POST, "/execute/sync", json!({ "script": text, "args": [] })).await
    }

    pub(super) async fn until(&self, script: &str, is: &str) {
        eventually(LONG, || async { self.script(script).await == is }).await;
    }

    /// On whatever has the focus.
    pub(super) async fn keys(&self, keys: impl IntoIterator<Item = char>) {
        let press = |key: char| ["keyDown", "keyUp"].map(|way| json!({ "type": way, "value": key }));
        let strokes: Vec<Value> = keys.into_iter().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.say(Method::POST, "/actions", json!({ "actions": [keyboard] })).await;
    }

    /// Id of what has the focus, and what a screen reader calls it.
    pub(super) async fn focus(&self) -> (String, String) {
        let found = self.say(Method::GET, "/element/active", Value::Null).await;
        let reference = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        let ask = async |what: &str| {
            let said = self.say(Method::GET, &format!("/element/{reference}/{what}"), Value::Null).await;
            said.as_str().unwrap_or_default().to_owned()
        };
        (ask("attribute/id").await, ask("computedlabel").await)
    }

    /// Of the page that is shown, also those that no script gets to see.
    pub(super) async fn cookies(&self) -> Vec<Cookie> {
        let all = self.say(Method::GET, "/cookie", Value::Null).await;
        let text = |cookie: &Value, member: &str| cookie[member].as_str().unwrap().to_owned();
        let read = |cookie: &Value| Cookie {
            name: text(cookie, "name"),
            value: text(cookie, "value"),
            is_hidden: cookie["httpOnly"] == true && cookie["secure"] == true,
            same_site: text(cookie, "sameSite"),
        };
        all.as_array().unwrap().iter().map(read).collect()
    }

    /// In light or in dark, that many pixels wide.
    pub(super) async fn look(&self, scheme: &str, width: u32) {
        let cdp = async |command: &str, parameters: Value| {
            let body = json!({ "cmd": command, "params": parameters });
            self.say(Method::POST, "/goog/cdp/execute", body).await;
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let size = json!({ "width": width, "height": 640, "deviceScaleFactor": 1, "mobile": false });
        cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// As if its time had come.
    pub(super) async fn forget(&self, cookie: &str) {
        self.say(Method::DELETE, &format!("/cookie/{cookie}"), Value::Null).await;
    }

    pub(super) async fn tab(&self) -> String {
        self.say(Method::GET, "/window", Value::Null).await.as_str().unwrap().to_owned()
    }

    /// Behind the one that is shown.
    pub(super) async fn new_tab(&self) -> String {
        let made = self.say(Method::POST, "/window/new", json!({ "type": "tab" })).await;
        made["handle"].as_str().unwrap().to_owned()
    }

    pub(super) async fn show(&self, tab: &str) {
        self.say(Method::POST, "/window", json!({ "handle": tab })).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(browser) = self.browser {
            let _ = kill_process(browser, Signal::KILL);
        }
    }
}
