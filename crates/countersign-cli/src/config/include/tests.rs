use super::*;
use crate::config::{ConfigError, Environment, Settings, load, tests::SMALL};
use std::sync::Arc;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(include: &str) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("c.toml", format!("include = {include}\n{SMALL}"));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        load(&self.path("c.toml"), &Environment::default())
    }

    /// Without the folder.
    fn problems(&self) -> Vec<String> {
        let text = self.load().unwrap_err().to_string();
        text.lines().map(|line| line.replace(&format!("{}/", self.folder.path().display()), "")).collect()
    }
}

fn route(path: &str) -> String {
    format!("[[routes]]\npath = \"{path}\"\nupstream = \"orders\"\nsecurity = []\n")
}

fn names(settings: &Settings) -> Vec<Arc<str>> {
    settings.routes.iter().map(|route| route.name.clone()).collect()
}

#[test]
fn routes_upstreams_plans_and_requirements_come_from_other_files() {
    let files = Files::new("[\"more/*.toml\", \"one.toml\", \"more/b.toml\"]");
    files.write("more/b.toml", route("/b"));
    files.write(
        "more/a.toml",
        "[[routes]]\npath = \"/a\"\nupstream = \"two\"\nsecurity = \"writers\"\nplan = \"gold\"\n",
    );
    files.write("one.toml", "[[upstreams]]\nname = \"two\"\nurl = \"https://a\"\nca = \"ca.pem\"\n\
        [[plans]]\nname = \"gold\"\nrequests = 1\nper = \"1s\"\n[security]\nwriters = [{ api_key = [\"w\"] }]\n");
    files.write("ca.pem", "");
    files.write("more/.hidden.toml", "nonsense");
    files.write("more/other.txt", "nonsense");
    files.write("more/folder.toml/x", "nonsense");
    let settings = files.load().unwrap();
    assert_eq!(names(&settings), ["GET /orders/{id}".into(), "* /a".into(), Arc::<str>::from("* /b")]);
    assert_eq!(settings.upstreams.len(), 2);
    assert_eq!(settings.plans.len(), 1);
}

#[test]
fn what_is_relative_is_relative_to_its_own_file() {
    let files = Files::new("[\"more/a.toml\"]");
    files.write(
        "more/a.toml",
        "[[upstreams]]\nname = \"two\"\nurl = \"https://${file:host}\"\nca = \"ca.pem\"\n",
    );
    files.write("more/ca.pem", "");
    files.write("more/host", "a.internal\n");
    let upstream = files.load().unwrap().upstreams.remove(1);
    assert_eq!(upstream.urls[0].host_str(), Some("a.internal"));
    assert_eq!(upstream.tls.unwrap().ca, files.path("more/ca.pem"));
}

#[test]
fn errors_name_the_file_and_its_line() {
    let files = Files::new("[\"more/*\"]");
    files.write("more/1", "# first\n[[routes]]\npath = \"b\"\nupstream = \"order\"\nsecurity = []\n");
    files.write("more/2", "\n\n[[routes]]\npat = 1\n");
    files.write("more/3", "[[routes]\n");
    let found = files.problems();
    for expected in [
        "more/1:3: routes[1].path: `b` does not begin with `/`",
        "more/1:4: routes[1].upstream: there is no upstream `order`; did you mean `orders`?",
        "more/3:1: ",
    ] {
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
    }
    files.write("more/3", "");
    let found = files.problems();
    assert!(found.iter().any(|line| line.starts_with("more/2:4: routes[2].pat: no such key")), "{found:#?}");
}

#[test]
fn an_included_file_changes_nothing_else() {
    let files = Files::new("[\"a.toml\"]");
    for (content, expected) in [
        ("[admin]\nlisten = \"0.0.0.0:1\"\n", "a.toml:1: admin: stands in the main file only"),
        ("[store]\nurl = \"sqlite:x\"\n", "a.toml:1: store: stands in the main file only"),
        ("include = [\"b.toml\"]\n", "a.toml:1: include: stands in the main file only"),
        ("nonsense = 1\n", "a.toml:1: nonsense: stands in the main file only"),
        ("routes = 1\n", "a.toml:1: routes: is a list"),
        ("security = 1\n", "a.toml:1: security: must be a table"),
        (
            "[[upstreams]]\nname = \"orders\"\nurl = \"http://a\"\n",
            "a.toml:2: upstreams[1].name: `orders` is the name of two",
        ),
    ] {
        files.write("a.toml", content);
        let found = files.problems();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{content}: {found:#?}");
    }
    // two files, one name: neither wins
    files.write("a.toml", "[security]\nx = []\n");
    files.write("c.toml", format!("include = [\"a.toml\"]\n{SMALL}\n[security]\nx = [{{ api_key = [] }}]\n"));
    assert_eq!(files.problems(), ["a.toml:2: security.x: is said in another file already"]);
    // a route that stands twice
    files.write("c.toml", format!("include = [\"a.toml\"]\n{SMALL}"));
    files.write(
        "a.toml",
        "[[routes]]\npath = \"/orders/{x}\"\nmethods = [\"GET\"]\nupstream = \"orders\"\nsecurity = []\n",
    );
    assert!(
        files.problems()[0].starts_with("a.toml:2: routes[1].path: route `GET /orders/{id}`"),
        "{:?}",
        files.problems()
    );
}

#[test]
fn what_cannot_be_included_says_why() {
    let files = Files::new("[]");
    for (include, expected) in [
        ("\"a.toml\"", "c.toml:1: include: must be an array"),
        ("[1]", "c.toml:1: include[0]: must be a pattern"),
        ("[\"\"]", "c.toml:1: include[0]: must be a pattern"),
        ("[\"none/*.toml\"]", "c.toml:1: include[0]: `none/*.toml` matches no file"),
        ("[\"none.toml\"]", "c.toml:1: include[0]: `none.toml` matches no file"),
        ("[\"..\"]", "c.toml:1: include[0]: `..` matches no file"),
        ("[\"*.toml\"]", "c.toml:1: include[0]: `*.toml` is this file too"),
        ("[\"./c.toml\"]", "c.toml:1: include[0]: `./c.toml` is this file too"),
        ("[\"latin\"]", "c.toml:1: include[0]: `latin`: is not UTF-8"),
    ] {
        files.write("c.toml", format!("include = {include}\n{SMALL}"));
        files.write("latin", b"# caf\xe9\n");
        let found = files.problems();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{include}: {found:#?}");
    }
    files.write("c.toml", format!("include = [\"many/*\"]\n{SMALL}"));
    for n in 0..=MOST {
        files.write(&format!("many/{n}"), "");
    }
    let found = files.problems();
    assert!(found.len() == 1 && found[0].contains("more than 1000 files"), "{found:#?}");
    files.write("c.toml", format!("include = [\"huge\"]\n{SMALL}"));
    fs::File::create(files.path("huge")).unwrap().set_len(17 * 1024 * 1024).unwrap();
    assert!(files.problems()[0].contains("`huge`: is longer than 16777216 bytes"), "{:?}", files.problems());
}

#[test]
fn patterns_match_names() {
    for (name, pattern, expected) in [
        ("a.toml", "*.toml", true),
        (".toml", "*.toml", true),
        ("a.tom", "*.toml", false),
        ("a.toml.bak", "*.toml", false),
        ("abc", "a?c", true),
        ("ac", "a?c", false),
        ("äc", "?c", true),
        ("aXbXc", "a*b*c", true),
        ("", "*", true),
        ("", "?", false),
        ("aaab", "*a*a*b", true),
    ] {
        assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
    }
    let long = "a".repeat(255);
    assert!(!is_like(&long, &format!("{}b", "a*".repeat(120))), "and not for ever");
}

#[test]
fn no_part_of_a_file_makes_it_panic_and_errors_name_lines_that_are_there() {
    let whole = format!("{}\n[security]\nä = [{{ api_key = [\"ö\"] }}]\n{}", route("/ä"), route("/b/{id}"));
    let files = Files::new("[\"a.toml\"]");
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let (head, rest) = whole.split_at(end);
        for part in [head, rest] {
            files.write("a.toml", part);
            let Err(error) = files.load() else { continue };
            for problem in error.problems {
                let text = fs::read_to_string(&problem.file).unwrap();
                assert!(problem.line <= text.split('\n').count(), "{problem:?}\n{part}");
            }
        }
    }
}
