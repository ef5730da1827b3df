//! The verbs of passwords and app passwords against a running server.

use super::{shell::at_a_terminal, verbs::Console};
use crate::support::{ROUTES, Served, run, text};
use countersign_cli::private_file;
use countersign_crypto::hash::sha1_for_breached_password_lists;
use countersign_testkit::has_program;
use serde_json::json;
use std::fs;

const FIRST: &str = "seven unrelated words are long enough";
const SECOND: &str = "five other words do as well";

/// What `htpasswd -nb` says with -B, -m, -s, -2 and -5 of "correct horse NAME battery", and between them what people leave
/// in such files.
const HTPASSWD: &str = "\
# who may see the admin API
ann:$2y$05$FTdWsMNV/HmyfnC9norfa.JcAngYnp8F3cFeAtlbNFHz4P1ejG83i

bob:$apr1$Kg8ilPJ1$OLUjl7QJTnVfJ98R71bua.\r
cid:{SHA}RyUG2kxQ+W10WaeHoqQHNXe7o9A=
Dan:$5$Yc0xUpi5TzoiBATz$lwaem155MtR9Qycr0mhrniYe4.fhB7EU5mBmaZM2kt9
eve:$6$9n/9yhOjPj7SpncN$p9q7TTrIS.6sU/3etkCSDiuwg5hNPGetUDgsiPzeu9eo6aLOoDKzuZRgZvssgNAfeNhXngAZ2Gn9sm5Xd0acZ/
";

fn put(console: &Console, name: &str, text: &str) {
    private_file::write(&console.served.folder.path().join(name), text.as_bytes()).unwrap();
}

fn users(console: &Console) -> Vec<String> {
    let listed = console.json("user list");
    listed.as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

/// Each name once, with a hash that is taken as it is.
fn many(range: std::ops::Range<usize>) -> String {
    let hash = "$2y$05$FTdWsMNV/HmyfnC9norfa.JcAngYnp8F3cFeAtlbNFHz4P1ejG83i";
    range.map(|n| format!("p{n}:{hash}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords() {
    let console = Console::start().await;
    console.json("user create ada --scope orders:read");
    assert_eq!(console.json("user show-password ada"), json!({"set": false}));
    put(&console, "ada.password", &format!("{FIRST}\nwhat stands below is not of it\n"));
    let (code, out, err) = console.say("user set-password ada --password-file ada.password");
    assert!(code == 0 && out.contains("argon2id") && err.contains("has ended"), "{code} {out} {err}");
    let shown = console.json("user show-password ada");
    assert_eq!((&shown["set"], &shown["scheme"]), (&json!(true), &json!("argon2id")));

    // a script pipes it
    for line in ["user set-password ada", "user set-password ada --password-file -"] {
        let (code, out, err) = console.piped(line, &format!("{SECOND}\n"));
        assert!(code == 0 && !out.contains(SECOND) && !err.contains(SECOND), "{code} {out} {err}");
    }
    let (code, out, err) = console.piped("user set-password ada", "fourteen chars\n");
    assert!(code == 1 && out.is_empty() && err.contains("needs 15: a few unrelated words"), "{code} {err}");
    assert!(!err.contains("fourteen chars"), "{err}");
    let (code, _, err) = console.piped("user set-password ada", "");
    assert!(code == 1 && err.contains("the password is empty"), "{code} {err}");
    let (code, _, err) = console.say("user set-password ada --password-file nowhere");
    assert!(code == 4 && err.contains("`nowhere`"), "{code} {err}");
    let (code, _, err) = console.piped("user set-password demo", FIRST);
    assert!(code == 1 && err.contains("only users have passwords"), "{code} {err}");
    let (code, _, err) = console.piped("user set-password nobody", FIRST);
    assert!(code == 4 && !err.contains("/admin/v1/"), "{code} {err}");
    // RULES 2.6: said with what is lacking
    let bound =
        console.secret("key create bootstrap --scope countersign:principals --scope countersign:read");
    put(&console, "bound.key", &bound);
    let (code, _, err) = console.piped("user set-password ada --admin-key-file bound.key", FIRST);
    assert!(code == 3 && err.contains("`countersign:grant`"), "{code} {err}");

    let (code, _, err) = console.say("user remove-password ada");
    assert!(code == 2 && err.contains("`--yes`"), "{code} {err}");
    assert_eq!(console.json("user show-password ada")["set"], true);
    assert_eq!(console.json("user remove-password ada --yes"), json!({"set": false}));
    assert_eq!(console.json("user remove-password ada --yes"), json!({"set": false}));
    for line in ["user show-password nobody", "user remove-password nobody --yes"] {
        assert_eq!(console.say(line).0, 4, "{line}");
    }
    let log = console.served.log();
    assert!(!log.contains(FIRST) && !log.contains(SECOND), "no password in the log");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn app_passwords() {
    let console = Console::start().await;
    console.json("user create ada --scope orders:read");
    let (code, out, err) = console.say("app-password create ada calendar --scope orders:read --expires 30d");
    let secret = out.trim_end().to_owned();
    assert!(code == 0 && secret.starts_with("cs_app_") && !secret.contains(char::is_whitespace), "{out}");
    assert!(err.contains("for `calendar`") && err.contains("shown this once"), "{err}");
    let id = &secret[7..19];
    let shown = console.json(&format!("app-password show {id}"));
    assert_eq!((&shown["service"], &shown["state"]), (&json!("calendar"), &json!("active")));
    assert!(!shown.to_string().contains(&secret[19..]));
    let (_, _, err) = console.say("app-password create ada bare");
    assert!(err.contains("it carries no scopes"), "{err}");
    let quiet = console.secret("app-password create ada mail");
    assert!(quiet.starts_with("cs_app_"));
    let whole = console.json("app-password create ada chat --scope orders:read");
    assert!(whole["secret"].as_str().unwrap().starts_with("cs_app_"));

    let (_, table, _) = console.say("app-password list");
    assert!(table.starts_with("ID ") && table.contains(id) && table.contains("  ada    calendar"), "{table}");
    let (code, _, err) = console.say(&format!("app-password revoke {id}"));
    assert!(code == 2 && err.contains("`--yes`"), "{code} {err}");
    assert_eq!(console.json(&format!("app-password revoke {id} --yes"))["state"], "revoked");
    assert_eq!(console.say(&format!("app-password revoke {id} --yes")).0, 0, "it is what was wanted");
    assert_eq!(console.json("app-password list --owner ada").as_array().unwrap().len(), 4);
    assert_eq!(console.json("app-password list --owner ada --usable").as_array().unwrap().len(), 3);
    assert_eq!(console.json("app-password list --limit 1").as_array().unwrap().len(), 1);

    for (line, exit, why) in [
        ("app-password create nobody mail", 4, "`nobody`"),
        ("app-password create demo mail", 1, "only users"),
        ("app-password create ada mail --scope orders:delete", 1, "orders:delete"),
        ("app-password create ada mail --expires 2y", 1, "the longest lifetime here is 1y"),
        ("app-password create ada mail --expires soon", 2, "soon"),
        ("app-password create ada", 2, "SERVICE"),
        ("app-password show 4fQ2kZ81mXpA", 4, "`4fQ2kZ81mXpA`"),
        ("app-password revoke 4fQ2kZ81mXpA --yes", 4, "`4fQ2kZ81mXpA`"),
        ("app-password list --owner nobody", 4, "`nobody`"),
    ] {
        let (code, out, err) = console.say(line);
        assert!(code == exit && out.is_empty() && err.contains(why), "{line}: {code} {err}");
        assert!(!err.contains("/admin/v1/"), "how the API is asked is not how a command is: {err}");
    }
    console.json("user disable ada");
    assert_eq!(console.say("app-password create ada mail").0, 5, "not while they are disabled");
    console.end().await;
}

/// Nothing that is typed is shown, and what is typed differently is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_twice() {
    if !has_program("script", "cli::basic::a_password_is_asked_for_twice") {
        return;
    }
    let console = Console::start().await;
    let folder = console.served.folder.path();
    console.json("user create ada --scope orders:read");
    let output = at_a_terminal(folder, "user set-password ada", &format!("{FIRST}\n{SECOND}\n"));
    let said = text(&output.stdout);
    assert!(output.status.code() == Some(2) && said.contains("not the same twice"), "{said}");
    assert_eq!(console.json("user show-password ada")["set"], false);
    let output = at_a_terminal(folder, "user set-password ada", &format!("{FIRST}\n{FIRST}\n"));
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("New password of `ada`: "), "{said}");
    assert_eq!(console.json("user show-password ada")["set"], true);

    let secret = console.secret("app-password create ada mail");
    let line = format!("app-password revoke {}", &secret[7..19]);
    let output = at_a_terminal(folder, &line, "n\n");
    let said = text(&output.stdout);
    assert!(
        output.status.code() == Some(1) && said.contains("of `ada` for `mail`, for good? [y/N]"),
        "{said}"
    );
    assert!(at_a_terminal(folder, &line, "y\n").status.success());
    assert_eq!(console.json("app-password list")[0]["state"], "revoked");
    for (answer, set) in [("n\n", true), ("y\n", false)] {
        at_a_terminal(folder, "user remove-password ada", answer);
        assert_eq!(console.json("user show-password ada")["set"], set);
    }
    console.end().await;
}

/// People of an Apache or nginx: from the file they stand in, with every bad line named first.
#[tokio::test(flavor = "multi_thread")]
async fn people_from_an_htpasswd_file() {
    let console = Console::start().await;
    put(&console, "bad", "ann\n:hash\nbob:\ncid:x\nCID:y\n");
    let (code, out, err) = console.say("import htpasswd bad");
    assert!(code == 1 && out.is_empty(), "{code} {out}");
    assert_eq!(
        err,
        "countersign: some lines cannot be imported, so nobody was:\n  line 1: is not `name:hash`\n  line 2: is not `name:hash`\n  \
         line 3: is not `name:hash`\n  line 5: has the name of line 4\n"
    );
    let bad = format!(
        "{HTPASSWD}fay:UcMEyDxWiv0gQ\ngus:correct horse gus battery\nna me:{{SHA}}RyUG2kxQ+W10WaeHoqQHNXe7o9A=\ndemo:{{SHA}}RyUG2kxQ+W10WaeHoqQHNXe7o9A=\n"
    );
    put(&console, "bad", &bad);
    let (code, out, err) = console.say("import htpasswd bad --skip-existing");
    assert!(code == 1 && out.is_empty(), "{code} {out}");
    for (line, why) in [(8, "DES crypt"), (9, "plain text"), (10, ""), (11, "a service's")] {
        let said =
            err.lines().find(|said| said.starts_with(&format!("  line {line}: `"))).unwrap_or_default();
        assert!(!said.is_empty() && said.contains(why), "{line}: {err}");
    }
    assert_eq!(err.lines().count(), 5, "{err}");
    assert!(
        !err.contains("battery") && !err.contains("UcMEyDxWiv0gQ"),
        "it may be somebody's password: {err}"
    );
    fs::write(console.served.folder.path().join("bad"), b"ann:x\nb\xffb:y\n").unwrap();
    let (code, _, err) = console.say("import htpasswd bad");
    assert!(code == 1 && err.contains("line 2: is not UTF-8"), "{code} {err}");
    put(&console, "bad", "# nobody\n");
    assert_eq!(console.say("import htpasswd bad").0, 2);
    assert_eq!(console.say("import htpasswd nowhere").0, 1);
    assert_eq!(users(&console), [""; 0]);

    put(&console, ".htpasswd", HTPASSWD);
    let scoped = "import htpasswd .htpasswd --scope orders:read --group staff";
    let (code, _, err) = console.say(&format!("{scoped} --dry-run"));
    assert!(code == 0 && err.contains("5 would be imported") && !err.contains("no scopes"), "{code} {err}");
    assert_eq!(users(&console), [""; 0]);
    let (code, out, err) = console.say(scoped);
    assert!(code == 0 && out.starts_with("LINE ") && err.contains("5 imported, 0 had"), "{code} {out} {err}");
    let rows: Vec<Vec<&str>> = out.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            ["2", "ann", "made", "bcrypt"],
            ["4", "bob", "made", "argon2id(apr1)"],
            ["5", "cid", "made", "argon2id(sha1)"],
            ["6", "Dan", "made", "sha256-crypt"],
            ["7", "eve", "made", "sha512-crypt"],
        ]
    );
    assert_eq!(users(&console), ["ann", "bob", "cid", "dan", "eve"]);
    let ann = console.json("user show ann");
    assert_eq!((&ann["scopes"], &ann["groups"]), (&json!(["orders:read"]), &json!(["staff"])));
    assert_eq!(console.json("user show-password ann")["scheme"], "bcrypt");

    let (code, _, err) = console.say(scoped);
    assert!(code == 1 && err.contains("line 7: `eve`: there is somebody of that name"), "{code} {err}");
    // and from a pipe
    let (code, _, err) =
        console.piped("import htpasswd - --skip-existing", &format!("{HTPASSWD}{}", many(0..1)));
    assert!(code == 0 && err.contains("1 imported, 5 had") && err.contains("no scopes"), "{code} {err}");
    let log = console.served.log();
    assert!(!log.contains("FTdWsMNV") && !log.contains("RyUG2kxQ"), "no hash in the log");
    console.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_people_than_one_request_takes() {
    let console = Console::start().await;
    put(&console, "users", &format!("{}eve:$2y$05$short\n", many(0..250)));
    let (code, out, err) = console.say("import htpasswd users");
    assert!(code == 1 && out.is_empty() && err.contains("line 251: `eve`: "), "{code} {err}");
    assert_eq!(users(&console), [""; 0], "what stands before it neither");
    put(&console, "users", &format!("{}P7:x\n", many(0..250)));
    let (code, _, err) = console.say("import htpasswd users");
    assert!(code == 1 && err.contains("line 251: has the name of line 8"), "{code} {err}");
    put(&console, "users", &many(0..250));
    let (code, out, err) = console.say("import htpasswd users -q");
    assert_eq!((code, out.lines().count()), (0, 250), "{err}");
    assert_eq!(users(&console).len(), 250);
    console.end().await;
}

/// A password whose SHA-1 stands in a download is none to choose.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_known_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let known = "correct horse battery staple";
    let hash = |password: &str| -> String {
        sha1_for_breached_password_lists(password.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    };
    let lines = format!("{}:17\n{}\n", hash(known), hash("tr0ub4dor and three more"));
    let build = |line: &str, input: &str| {
        fs::write(folder.path().join("hashes"), input).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let output = run(folder.path(), &words);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    // needs neither a server nor a configuration
    let (code, out, err) = build("password-list build hashes --out passwords.filter", &lines);
    assert!(code == 0 && out.is_empty() && err.contains("breached = \"passwords.filter\""), "{code} {err}");
    assert!(err.starts_with("2 passwords in "), "{err}");
    let filter = fs::read(folder.path().join("passwords.filter")).unwrap();
    let (code, _, err) = build("password-list build hashes --out one.filter --most 1", &lines);
    assert!(code == 0 && err.starts_with("1 password in "), "{code} {err}");
    for bad in ["not a hash\n", "ABCDEF:1\n"] {
        let (code, _, err) = build("password-list build hashes --out bad.filter", bad);
        assert!(code == 1 && err.contains("`hashes`") && err.contains("line 1"), "{code} {err}");
        assert!(!folder.path().join("bad.filter").exists());
    }
    let (code, _, err) = build("password-list build nowhere --out bad.filter", "");
    assert!(code == 1 && err.contains("`nowhere`"), "{code} {err}");
    assert_eq!(build("password-list build hashes", "").0, 2);

    let served = Served::prepare("http://127.0.0.1:9");
    let listed = format!(
        "{ROUTES}[passwords]\nbreached = \"passwords.filter\"\nrefused = [\"initech\"]\nmin_length = 16\n"
    );
    served.put(&served.configuration("http://127.0.0.1:9", &listed));
    let here = served.folder.path();
    let output = run(here, &["config", "validate"]);
    assert!(
        !output.status.success() && text(&output.stderr).contains("passwords.filter"),
        "{}",
        text(&output.stderr)
    );
    fs::write(here.join("passwords.filter"), "no filter").unwrap();
    let output = run(here, &["serve"]);
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("is no list of known passwords"), "{err}");
    fs::write(here.join("passwords.filter"), filter).unwrap();
    let _process = served.start().await;
    assert!(run(here, &["user", "create", "ada"]).status.success());
    for (password, why) in [
        (known, "on a list of known passwords"),
        ("initech-initech2027", "a word that everybody tries"),
        ("fifteen letters", "needs 16"),
        (FIRST, ""),
    ] {
        private_file::write(&here.join("new"), password.as_bytes()).unwrap();
        let output = run(here, &["user", "set-password", "ada", "--password-file", "new"]);
        let err = text(&output.stderr);
        let set = output.status.success();
        assert!(set == why.is_empty() && err.contains(why), "{password}: {err}");
    }
}
