//! A session as a person has it: with Chromium, from the page that wanted one to the end of it.

mod webdriver;

use crate::support::{Answer, Deployment, LONG, read};
use countersign_testkit::has_program;
use reqwest::Method;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use webdriver::{Browser, Cookie, ENTER, TAB};

const PASSWORD: &str = "seven unrelated words are long enough";
const SESSION: &str = "__Host-session";
const REFRESH: &str = "__Host-refresh";

/// Asks the API when it is told to by any tab, and refreshes first where the word says so.
const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Orders</title><output id=\"said\"></output>
<script>
const said = document.getElementById('said');
const status = async (path, method) => (await fetch(path, { method })).status;
new BroadcastChannel('orders').onmessage = async ({ data }) => {
  let words = [data];
  if (data.startsWith('refresh')) words.push(await status('/.countersign/session/refresh', 'POST'));
  words.push(await status('/orders/1', 'GET'), await status('/orders', 'POST'));
  said.textContent = words.join(' ');
};
</script>
";

/// WCAG 2.2, 1.4.3, 1.4.10, 1.4.11, 2.4.7: text stands out by 4.5, what surrounds fields and what has the focus by 3, and
/// nothing is wider than the window. Returns what is wrong.
const WRONG_TO_THE_EYE: &str = "
const wrong = [];
const light = (colour) => {
  const linear = ([...colour.matchAll(/[\\d.]+/g)].slice(0, 3)).map(([n]) => n / 255)
    .map((n) => n <= .04045 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4);
  return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2];
};
const ratio = (a, b) => {
  const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
  return (bright + .05) / (dark + .05);
};
const ground = (element) => {
  const own = getComputedStyle(element).backgroundColor;
  return own !== 'rgba(0, 0, 0, 0)' ? own : ground(element.parentElement);
};
const demand = (what, element, is, least) => {
  if (!(is >= least)) wrong.push(`${what} of ${element.tagName} ${element.id}: ${is}`);
};
for (const element of document.querySelectorAll('h1, p, label, input:not([type=hidden]), button, a')) {
  const style = getComputedStyle(element);
  demand('text', element, ratio(style.color, ground(element)), 4.5);
  if (style.borderTopWidth !== '0px')
    demand('edge', element, ratio(style.borderTopColor, ground(element.parentElement)), 3);
  if (element.matches('input, button, a')) {
    element.focus();
    demand('focus', element, ratio(style.outlineColor, ground(element.parentElement)), 3);
    demand('width of focus', element, parseFloat(style.outlineWidth), 2);
    if (style.outlineStyle !== 'solid') wrong.push(`no focus on ${element.id}`);
  }
}
if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the window');
return wrong.join('; ');
";

/// Somebody else's, who would like to do things in the name of whoever looks at it.
const OTHERS: &str =
    "<!doctype html><html lang=\"en\"><title>Others</title><form id=\"f\" method=\"post\"></form>";

/// Serves two pages, whatever is asked for.
async fn pages() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let page = if head.starts_with(b"GET /others") { OTHERS } else { PAGE };
                let length = page.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, serve)
}

fn configuration(pages: SocketAddr, cookie: &str) -> String {
    format!(
        r#"
[[upstreams]]
name = "pages"
url = "http://{pages}"

[sessions]
cookie = "{cookie}"

[passwords]
memory_kib = 8192
passes = 1

[[routes]]
path = "/app/*"
methods = ["GET"]
upstream = "pages"
security = [{{ jwt = ["orders:read"] }}]

[[routes]]
path = "/orders/{{id}}"
methods = ["GET"]
upstream = "api"
security = [{{ jwt = ["orders:read"] }}]

[[routes]]
path = "/orders"
methods = ["POST"]
upstream = "api"
security = [{{ jwt = ["orders:write"] }}]

[[routes]]
path = "/"
methods = ["GET"]
upstream = "pages"
security = []
"#
    )
}

struct House {
    deployment: Deployment,
    pages: SocketAddr,
    serve: JoinHandle<()>,
    browser: Browser,
}

impl House {
    async fn start(cookie: &str) -> Self {
        let (pages, serve) = pages().await;
        let deployment = Deployment::signing(&configuration(pages, cookie)).await;
        let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read", "orders:write"]});
        for (method, path, body) in [
            (Method::POST, "principals", ada),
            (Method::PUT, "principals/ada/password", json!({"password": PASSWORD})),
        ] {
            let made = deployment.admin(method, path, Some(body)).await;
            assert!(made.status.is_success(), "{made:?}");
        }
        Self { deployment, pages, serve, browser: Browser::open().await }
    }

    async fn stop(self) {
        self.browser.close().await;
        self.serve.abort();
        self.deployment.stop().await;
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.deployment.running.gateway_addresses()[0].port())
    }

    /// Longer than an access token lives.
    async fn wait(&self) {
        self.deployment.advance(Duration::from_secs(6 * 60));
        // and the store is heard of again
        let heard = self.deployment.admin(Method::GET, "principals/ada", None).await;
        assert_eq!(heard.status, 200);
    }

    /// All tabs at once.
    async fn ask(&self, tabs: &[&str], word: &str, answers: &str) {
        let call = format!("const c = new BroadcastChannel('orders'); c.postMessage('{word}'); return ''");
        self.browser.script(&call).await;
        for tab in tabs {
            self.browser.show(tab).await;
            self.browser.until("return said.textContent", &format!("{word} {answers}")).await;
        }
    }

    /// Somebody who has a copy of the cookie, and is no browser.
    async fn with_copy(&self, method: Method, path: &str, copied: &[Cookie]) -> Answer {
        let field: Vec<String> = copied.iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        read(self.deployment.gateway(method, path).header("cookie", field.join("; "))).await
    }

    async fn refresh_with(&self, token: &str) -> Answer {
        let request = self.deployment.gateway(Method::POST, "/.countersign/session/refresh");
        read(request.json(&json!({"refresh_token": token}))).await
    }

    /// From a page that wants a session to that page, without a mouse.
    async fn sign_in(&self) {
        let (browser, wanted) = (&self.browser, self.url("/app/orders?page=2&sort=%2Bdate"));
        browser.go(&wanted).await;
        let login = self.url("/.countersign/session/login");
        let back = "?return_to=%2Fapp%2Forders%3Fpage%3D2%26sort%3D%252Bdate";
        assert_eq!(browser.url().await, format!("{login}{back}"));
        assert_eq!(browser.focus().await, ("username".into(), "User name".into()));
        browser.keys("ada".chars().chain([TAB])).await;
        assert_eq!(browser.focus().await, ("password".into(), "Password".into()));
        browser.keys([TAB]).await;
        assert_eq!(browser.focus().await, ("submit".into(), "Sign in".into()));
        browser.go(&format!("{login}{back}")).await;

        browser.keys("ada".chars().chain([TAB]).chain("wrong".chars()).chain([ENTER])).await;
        browser.until("return document.title", "Not signed in").await;
        // whoever made a mistake goes on where it was, and hears what it was
        assert_eq!(browser.focus().await.0, "password");
        let described =
            "return document.getElementById(document.activeElement.getAttribute('aria-describedby'))";
        let said = browser.script(&format!("{described}.getAttribute('role')")).await;
        assert_eq!(said, "alert");
        assert_eq!(browser.script("return document.getElementById('username').value").await, "ada");
        assert!(browser.cookies().await.is_empty());
        browser.keys(PASSWORD.chars().chain([ENTER])).await;
        browser.arrives(&wanted).await;
    }

    /// Of the page that is shown; what has the focus is another thing afterwards.
    async fn is_seen(&self) {
        for (scheme, width) in [("light", 360), ("dark", 320), ("dark", 1200), ("light", 1200)] {
            self.browser.look(scheme, width).await;
            let wrong = self.browser.script(WRONG_TO_THE_EYE).await;
            assert_eq!(wrong, "", "{} {scheme} {width}", self.browser.url().await);
        }
    }

    /// From the page that says so, without a mouse.
    async fn sign_out(&self) {
        let browser = &self.browser;
        browser.go(&self.url("/.countersign/session/login")).await;
        assert_eq!(browser.script("return document.title").await, "You are signed in");
        browser.keys([TAB]).await;
        assert_eq!(browser.focus().await, ("continue".into(), "Continue".into()));
        browser.keys([TAB]).await;
        assert_eq!(browser.focus().await, ("submit".into(), "Sign out".into()));
        browser.keys([ENTER]).await;
        browser.arrives(&self.url("/")).await;
    }

    /// Another site's page posts there; what the browser then shows.
    async fn posted_by_others(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        self.browser.go(&format!("http://{}/others", self.pages)).await;
        let fields = json!(fields);
        let target = self.url(path);
        let submit = format!(
            "const f = document.getElementById('f'); f.action = '{target}';
             for (const [name, value] of {fields}) {{
               const i = document.createElement('input'); i.name = name; i.value = value; f.append(i); }}
             f.submit()"
        );
        self.browser.script(&submit).await;
        self.browser.arrives(&target).await;
        let text = self.browser.script("return document.body.innerText").await;
        serde_json::from_str(text.as_str().unwrap()).unwrap_or(text)
    }
}

fn names(cookies: &[Cookie]) -> Vec<&str> {
    let mut names: Vec<&str> = cookies.iter().map(|cookie| &*cookie.name).collect();
    names.sort_unstable();
    names
}

/// Is there everything that it takes?
fn has_browser(test: &str) -> bool {
    has_program("chromium", test) && has_program("chromedriver", test)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_a_browser() {
    if has_browser("flows::session_browser::a_session_in_a_browser") {
        tokio::time::timeout(LONG * 6, whole_session("session")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_cookie_is_the_access_token() {
    if has_browser("flows::session_browser::a_session_whose_cookie_is_the_access_token") {
        tokio::time::timeout(LONG * 6, whole_session("jwt")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_can_be_seen() {
    if !has_browser("flows::session_browser::the_pages_can_be_seen") {
        return;
    }
    tokio::time::timeout(LONG * 6, async {
        let house = House::start("session").await;
        let (browser, login) = (&house.browser, house.url("/.countersign/session/login"));
        browser.go(&login).await;
        house.is_seen().await;
        browser.go(&login).await;
        browser.keys("ada".chars().chain([TAB]).chain("wrong".chars()).chain([ENTER])).await;
        browser.until("return document.title", "Not signed in").await;
        house.is_seen().await;
        house.sign_in().await;
        browser.go(&login).await;
        house.is_seen().await;
        browser.go(&house.url("/.countersign/session/logout")).await;
        house.is_seen().await;
        house.stop().await;
    })
    .await
    .unwrap();
}

async fn whole_session(kind: &str) {
    let house = House::start(kind).await;
    let browser = &house.browser;
    let is_jwt = kind == "jwt";
    // RULES 1.6: nobody is signed in as somebody else by another site's page
    let fields = [("username", "ada"), ("password", PASSWORD)];
    let refused = house.posted_by_others("/.countersign/session/login", &fields).await;
    assert_eq!(refused["code"], "origin_not_allowed", "{refused}");
    assert!(browser.cookies().await.is_empty());

    house.sign_in().await;
    // a script has the use of the cookie, and no sight of it
    assert_eq!(browser.script("return document.cookie").await, "");
    let first = browser.tab().await;
    house.ask(&[&first], "one", "200 200").await;
    let set = browser.cookies().await;
    let ours: &[&str] = if is_jwt { &[REFRESH, SESSION] } else { &[SESSION] };
    assert_eq!(names(&set), ours);
    assert!(set.iter().all(|cookie| cookie.is_hidden && cookie.same_site == "Lax"), "{set:?}");
    let second = browser.new_tab().await;
    browser.show(&second).await;
    browser.go(&house.url("/app/other")).await;
    assert_eq!(browser.url().await, house.url("/app/other"));
    let tabs = [&*first, &*second];

    for round in 1..=4 {
        house.wait().await;
        if is_jwt && round % 2 == 0 {
            // what the browser does when the time of a cookie has come; in the other rounds a stale one is sent
            browser.forget(SESSION).await;
        }
        if is_jwt {
            house.ask(&tabs, &format!("late-{round}"), "401 401").await;
            // each sends the same refresh token, and neither loses
            house.ask(&tabs, &format!("refresh-{round}"), "200 200 200").await;
        } else {
            house.ask(&tabs, &format!("late-{round}"), "200 200").await;
        }
    }
    if is_jwt {
        // a page is loaded again as if nothing had been, by way of the login page
        house.wait().await;
        browser.go(&house.url("/app/other?again")).await;
        browser.arrives(&house.url("/app/other?again")).await;
    }
    // RULES 1.6: SameSite keeps the cookie at home
    let refused = house.posted_by_others("/orders", &[]).await;
    assert_eq!(refused["code"], "credential_missing", "{refused}");

    browser.go(&house.url("/.countersign/session/login?return_to=%2Fapp%2Fother")).await;
    browser.go(&house.url("/.countersign/session/logout")).await;
    let copied = browser.cookies().await;
    assert_eq!(names(&copied), ours);
    assert_eq!(house.with_copy(Method::GET, "/orders/1", &copied).await.status, 200);
    // on what changes something it does not count without a page of ours
    let copy = house.with_copy(Method::POST, "/orders", &copied).await;
    assert_eq!(copy.status, 403, "{copy:?}");
    let token = copied.iter().find(|cookie| cookie.name == REFRESH).map(|cookie| cookie.value.clone());

    browser.go(&house.url("/app/other")).await;
    browser.show(&first).await;
    house.sign_out().await;
    assert!(browser.cookies().await.is_empty());
    browser.show(&second).await;
    let word = if is_jwt { "refresh-out" } else { "out" };
    house.ask(&[&second], word, if is_jwt { "400 401 401" } else { "401 401" }).await;
    browser.go(&house.url("/app/other")).await;
    let url = browser.url().await;
    assert!(url.starts_with(&house.url("/.countersign/session/login?")), "{url}");
    let copy = house.with_copy(Method::GET, "/orders/1", &copied).await;
    assert_eq!(copy.status, 401, "{copy:?}");
    if let Some(token) = token {
        let refreshed = house.refresh_with(&token).await;
        assert_eq!((refreshed.status.as_u16(), &*refreshed.code()), (401, "session_over"), "{refreshed:?}");
    }
    house.stop().await;
}
