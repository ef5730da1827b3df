//! Lists that come from another product: read whole, looked at whole before the first is written, and every bad row named by
//! where it stands in its file.

use crate::{admin_client::AdminClient, output::Failure};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, stdin},
    path::Path,
};

/// Half a million rows or so.
const LONGEST: u64 = 128 << 20;

/// The bytes of a file; `-`: of stdin.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let shown = file.display();
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::failed(format!("`{shown}` is larger than {} MiB", LONGEST >> 20))
            .todo("import it in parts; each is all there or not at all"));
    }
    Ok(bytes)
}

/// Where a list goes, and how it is spoken of.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) path: [&'static str; 2],
    /// The member of request and answer that holds the rows.
    pub(super) list: &'static str,
    /// Rows of one request.
    pub(super) most: usize,
    pub(super) dry_run: bool,
    /// What was not done, of one bad row and of several.
    pub(super) nothing: [&'static str; 2],
}

impl To {
    /// What became of each row, in their order. `body`: the request for some of them; `place`: where a row stands, and what of
    /// it is meant (`owner`, or nothing).
    pub(super) async fn send<R>(
        self,
        client: &AdminClient,
        rows: &[R],
        body: impl Fn(&[R], bool) -> Value,
        place: impl Fn(&R, &str) -> String,
    ) -> Result<Vec<Value>, Failure> {
        let send = async |part: &[R], imported: usize, dry_run: bool| {
            let answer = client.post_or_told(&self.path, &body(part, dry_run)).await?;
            answer.map_err(|problem| self.refused(&problem, part, &place, imported))
        };
        if rows.len() > self.most {
            for part in rows.chunks(self.most) {
                send(part, 0, true).await?;
            }
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for (n, part) in rows.chunks(self.most).enumerate() {
            let mut report = send(part, n * self.most, self.dry_run).await?;
            let each = report.get_mut(self.list).and_then(Value::as_array_mut);
            for outcome in each.into_iter().flatten() {
                // of the request, which nobody here made
                if let Some(members) = outcome.as_object_mut() {
                    members.remove("row");
                }
                outcomes.push(outcome.take());
            }
        }
        Ok(outcomes)
    }

    /// RFC 9457 with `errors`, each by its place in the file.
    fn refused<R>(
        self,
        problem: &Value,
        rows: &[R],
        place: &impl Fn(&R, &str) -> String,
        imported: usize,
    ) -> Failure {
        let line = |error: &Value| {
            let (member, detail) = (text(error, "member"), text(error, "detail"));
            let rest = member.strip_prefix(self.list).and_then(|rest| rest.strip_prefix('['));
            let found = rest.and_then(|rest| rest.split_once(']')).and_then(|(n, member)| {
                Some(place(rows.get(n.parse::<usize>().ok()?)?, member.trim_start_matches('.')))
            });
            // how the API's own readers go on is not how a command does
            let detail = detail.split("; `GET /admin/v1/").next().unwrap_or_default();
            let detail = detail.replace("`skip_existing`", "`--skip-existing`");
            format!("{}: {detail}", found.unwrap_or(member))
        };
        let errors = problem.get("errors").and_then(Value::as_array);
        let wrong: Vec<String> = errors.into_iter().flatten().map(line).collect();
        if wrong.is_empty() {
            return Failure::failed(text(problem, "detail"));
        }
        let failure = self.nothing(&wrong);
        match imported {
            0 => failure,
            // only where somebody else imported meanwhile: everything was looked at before
            _ => failure.todo(format!(
                "the {imported} before them are imported; say it again with `--skip-existing`"
            )),
        }
    }

    pub(super) fn nothing(self, wrong: &[String]) -> Failure {
        let [one, several] = self.nothing;
        let what = if wrong.len() == 1 { one } else { several };
        Failure::failed(format!("{what}:\n  {}", wrong.join("\n  ")))
    }
}

/// How many of them were there already.
pub(super) fn existed(outcomes: &[Value]) -> usize {
    outcomes.iter().filter(|row| row.get("outcome").and_then(Value::as_str) == Some("existed")).count()
}

fn text(value: &Value, member: &str) -> String {
    let text = value.get(member).and_then(Value::as_str).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).collect()
}
