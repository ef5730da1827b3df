//! What was answered is kept: a killed process, a counted `fdatasync`, a full disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use countersign_core::{
    audit::{AuditStore, ChainState},
    page::PageRequest,
};
use countersign_methods::api_key::store::{ApiKeyQuery, ApiKeyStore};
use countersign_store::Store;
use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use support::{PostgresDatabase, SqliteFile, skip};

/// A program of `examples/`, which `cargo test` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(example.exists(), "build it first: `cargo build -p countersign-store --example {name}`");
    example
}

async fn keys(store: &Store) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut after = None;
    loop {
        let page = PageRequest { after, limit: PageRequest::MAX_LIMIT };
        let page = ApiKeyStore::list(store, ApiKeyQuery { page, ..ApiKeyQuery::default() }).await.unwrap();
        ids.extend(page.items.iter().map(|key| key.id.to_string()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

/// Reads ids until there are `enough`, kills, and reads what was still on its way.
fn kill_after(mut child: Child, enough: usize) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        acknowledged.push(line.unwrap());
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
    }
    let ended = child.wait().unwrap();
    assert!(!ended.success(), "it was meant to be killed in the middle");
    // the last line may have been cut short by the kill
    acknowledged.retain(|line| line.len() == 12);
    acknowledged
}

async fn assert_kept(store: &Store, acknowledged: &[String]) {
    let kept = keys(store).await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    // and each key that is there has its record
    let state = store.verify().await.unwrap();
    let expected = i64::try_from(kept.len()).unwrap() + 1;
    assert!(matches!(state, ChainState::Whole { records, .. } if records == expected), "{state:?}");
}

fn run(url: &str) -> Child {
    let mut command = Command::new(example("acknowledge"));
    command.args([url, "together", "1000000"]).stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill_on_sqlite() {
    for enough in [1, 500, 2000] {
        let file = SqliteFile::new();
        let acknowledged = kill_after(run(&file.url()), enough);
        assert!(acknowledged.len() >= enough);
        assert_kept(&*file.open().await, &acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill_on_postgres() {
    let name = "durability::nothing_acknowledged_is_lost_by_a_kill_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    let acknowledged = kill_after(run(&database.url()), 500);
    let store = database.open().await;
    assert_kept(&store, &acknowledged).await;
    store.close().await;
    database.drop().await;
}

/// The kill alone would also pass without a sync: the kernel keeps what the process wrote.
#[test]
fn each_commit_is_synced() {
    const NAME: &str = "durability::each_commit_is_synced";
    let file = SqliteFile::new();
    let counted = file.folder.path().join("counted");
    let traced = Command::new("strace")
        .args(["-f", "-c", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(&counted)
        .arg(example("acknowledge"))
        .args([&file.url(), "one", "200"])
        .output();
    let traced = match traced {
        Ok(output) if output.status.success() => output,
        // not installed, or not allowed to trace
        _ => return skip("strace", NAME),
    };
    let acknowledged = traced.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(acknowledged, 200);
    let summary = std::fs::read_to_string(counted).unwrap();
    let syncs: u32 = summary.lines().filter_map(calls).sum();
    // one for the owner, one for each key; what opening and closing need comes on top
    assert!(syncs >= 201, "{syncs} syncs for 201 commits\n{summary}");
    assert!(syncs <= 260, "{syncs} syncs for 201 commits\n{summary}");
}

/// The calls in a line of strace's summary: `% time, seconds, usecs/call, calls, [errors], syscall`.
fn calls(line: &str) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words.last(), Some(&("fdatasync" | "fsync"))).then(|| words[3].parse().unwrap())
}

// RULES 3.9: a space reserve exists that only revocations may use
#[test]
fn on_a_full_disk_keys_are_still_revoked_and_it_comes_back_by_itself() {
    const NAME: &str = "durability::on_a_full_disk_keys_are_still_revoked_and_it_comes_back_by_itself";
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=40m none \"$1\" || exit 77; exec \"$2\" \"$1\"";
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", mount, "sh"])
        .arg(folder.path())
        .arg(example("full_disk"))
        .output();
    let output = match ran {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => return skip("unshare", NAME),
    };
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if said.is_empty() && log.starts_with("unshare:") {
        return skip("unshare", NAME);
    }
    let lines: Vec<&str> = said.lines().collect();
    let expected = ["full: true", "create: false", "revoked: 100", "create: false", "create: true"];
    assert_eq!(lines.get(..5), Some(expected.as_slice()), "{said}\n{log}");
    assert!(lines[5].starts_with("trail: Whole"), "{said}");
}
