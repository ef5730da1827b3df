//! What the metrics are called and where each comes from. `docs/guides/observe.md` explains them; names stay as they are.

use super::{super::rooms::PasswordWatch, Gateway, Watch};
use countersign_core::{MethodName, check::revocation::RevocationFeed};
use countersign_gateway::{
    Delivery, Report,
    observe::{RouteReport, TIME_BOUNDS},
};
use countersign_methods::{
    session::issue::SessionCounts,
    signing::record::{KeyPurpose, SigningKeyState},
};
use countersign_server::observe::exposition::Exposition;
use countersign_store::StoreFigures;
use std::time::Duration;

/// Requests that found no route.
const NOWHERE: &str = "-";

pub(super) async fn write(watch: &Watch) -> String {
    let mut all = Exposition::default();
    process(&mut all, watch);
    let mut ready = watch.could_serve();
    if let Some(gateway) = watch.gateway.get() {
        let report = gateway.reporter.report().await;
        ready &= report.silent == 0;
        requests(&mut all, &report);
        connections(&mut all, gateway, &report);
        upstreams(&mut all, &report);
        records(&mut all, &report);
    } else {
        ready = false;
    }
    all.gauge("countersign_ready", "1 while this process can serve, as /ready says.")
        .sample(&[], ready.into());
    judgement(&mut all, watch);
    passwords(&mut all, &watch.passwords);
    signed(&mut all, watch);
    issuers(&mut all, watch);
    store(&mut all, &watch.store.figures());
    if let Some(keys) = watch.keys().await {
        all.gauge(
            "countersign_api_keys_usable",
            "API keys that are active and not expired, of the whole store.",
        )
        .sample(&[], keys.usable);
        let mut expiring =
            all.gauge("countersign_api_keys_expiring", "Usable API keys that expire within a time.");
        expiring.sample(&[("within", "1d")], keys.in_a_day);
        expiring.sample(&[("within", "7d")], keys.in_a_week);
        expiring.sample(&[("within", "30d")], keys.in_a_month);
    }
    all.finish()
}

fn process(all: &mut Exposition, watch: &Watch) {
    all.gauge("countersign_build_info", "1, with the version as a label.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let started = u64::try_from(watch.started.as_seconds()).unwrap_or_default();
    all.gauge("process_start_time_seconds", "When it started, in seconds since 1970.").sample(&[], started);
    if let Some(process) = Process::look() {
        all.counter("process_cpu_seconds_total", "Processor time of all threads.").seconds(&[], process.cpu);
        all.gauge("process_resident_memory_bytes", "Resident memory.").sample(&[], process.resident);
        all.gauge("process_open_fds", "Open file descriptors.").sample(&[], process.descriptors);
    }
    let configuration = &watch.configuration;
    all.gauge(
        "countersign_configuration_generation",
        "How often the configuration was taken, the start included.",
    )
    .sample(&[], configuration.generation());
    all.gauge(
        "countersign_configuration_behind",
        "1 while what was read last is not in use, because it is wrong.",
    )
    .sample(&[], configuration.is_behind().into());
}

/// One sample or histogram for each route.
fn each_route(report: &Report) -> impl Iterator<Item = (&str, &RouteReport)> {
    report.routes.iter().map(|(name, route)| (name.as_deref().unwrap_or(NOWHERE), route))
}

fn requests(all: &mut Exposition, report: &Report) {
    all.gauge("countersign_workers", "Threads that serve.").sample(&[], report.workers as u64);
    all.gauge(
        "countersign_workers_silent",
        "Threads that did not answer within 2 s; their figures are missing here.",
    )
    .sample(&[], report.silent as u64);
    let mut requests = all.counter(
        "countersign_requests_total",
        "Requests by route and status; 499: the caller went before there was an answer.",
    );
    for (route, of) in each_route(report) {
        let mut by_status = std::collections::BTreeMap::<u16, u64>::new();
        for (ending, count) in &of.endings {
            *by_status.entry(ending.status).or_default() += count;
        }
        for (status, count) in by_status {
            requests.sample(&[("route", route), ("status", &status.to_string())], count);
        }
    }
    let mut decisions = all.counter(
        "countersign_decisions_total",
        "What was decided, by route, method of the subject and reason: `allowed` or the code of the refusal.",
    );
    for (route, of) in each_route(report) {
        let mut by_reason = std::collections::BTreeMap::<_, u64>::new();
        for (ending, count) in &of.endings {
            *by_reason.entry((ending.method, ending.code)).or_default() += count;
        }
        for ((method, reason), count) in by_reason {
            let method = method.map_or("none", MethodName::as_str);
            decisions.sample(&[("route", route), ("method", method), ("reason", reason)], count);
        }
    }
    let mut times = all.histogram(
        "countersign_request_duration_seconds",
        "From the head of a request to the head of its answer.",
    );
    for (route, of) in each_route(report) {
        times.times(&[("route", route)], &TIME_BOUNDS, &of.whole.counts, of.whole.sum);
    }
    let mut times = all.histogram(
        "countersign_upstream_duration_seconds",
        "The part of it that was the upstream's: from handing a request over to the head of its answer.",
    );
    for (route, of) in each_route(report).filter(|(_, of)| of.upstream.counts.iter().any(|n| *n > 0)) {
        times.times(&[("route", route)], &TIME_BOUNDS, &of.upstream.counts, of.upstream.sum);
    }
}

fn connections(all: &mut Exposition, gateway: &Gateway, report: &Report) {
    let doors = || gateway.listeners.iter().zip(&report.doors);
    let mut accepted =
        all.counter("countersign_connections_accepted_total", "Connections that were accepted.");
    doors().for_each(|(name, door)| accepted.sample(&[("listener", name)], door.accepted));
    let mut open = all.gauge("countersign_connections_open", "Connections that are open.");
    doors().for_each(|(name, door)| open.sample(&[("listener", name)], door.open));
    let mut failed = all
        .counter("countersign_tls_handshake_failures_total", "TLS handshakes that failed or took too long.");
    doors().for_each(|(name, door)| failed.sample(&[("listener", name)], door.failed_handshakes));
}

fn upstreams(all: &mut Exposition, report: &Report) {
    let addresses: Vec<_> = report
        .upstreams
        .iter()
        .map(|((upstream, address), of)| (upstream.as_ref(), address.to_string(), of))
        .collect();
    let mut pending =
        all.gauge("countersign_upstream_pending", "Requests that an address of an upstream has.");
    for (upstream, address, of) in &addresses {
        pending.sample(&[("upstream", upstream), ("address", address)], of.pending);
    }
    let mut idle =
        all.gauge("countersign_upstream_idle_connections", "Connections kept for the next request.");
    for (upstream, address, of) in &addresses {
        idle.sample(&[("upstream", upstream), ("address", address)], of.idle);
    }
    let mut connects = all.counter("countersign_upstream_connects_total", "Connections that were begun.");
    for (upstream, address, of) in &addresses {
        connects.sample(&[("upstream", upstream), ("address", address)], of.connects);
    }
    let mut failed =
        all.counter("countersign_upstream_connect_failures_total", "Connections that did not come about.");
    for (upstream, address, of) in &addresses {
        failed.sample(&[("upstream", upstream), ("address", address)], of.failed_connects);
    }
    let mut well = all.gauge("countersign_upstream_up", "1 where most threads hold the address for well.");
    for (upstream, address, of) in &addresses {
        well.sample(&[("upstream", upstream), ("address", address)], (of.well * 2 > of.known).into());
    }
}

fn records(all: &mut Exposition, report: &Report) {
    let each = [
        (
            "countersign_decision_records_total",
            "Records of decisions: written, dropped because the writer could not keep up, failed to be written.",
            report.records,
        ),
        ("countersign_spans_total", "The same of spans.", report.spans),
    ];
    for (name, help, Delivery { written, dropped, failed }) in each {
        let mut outcomes = all.counter(name, help);
        for (outcome, count) in [("written", written), ("dropped", dropped), ("failed", failed)] {
            outcomes.sample(&[("outcome", outcome)], count);
        }
    }
}

fn judgement(all: &mut Exposition, watch: &Watch) {
    let cache = watch.point.cache();
    all.gauge("countersign_verified_cache_entries", "Credentials that are remembered as verified.")
        .sample(&[], cache.entries as u64);
    all.gauge("countersign_verified_cache_capacity", "As many as may be.").sample(&[], cache.capacity as u64);
    all.counter("countersign_verified_cache_misses_total", "Credentials that had to be verified.")
        .sample(&[], cache.misses);
    let now = watch.clock.now();
    let feed = &watch.memory;
    all.gauge(
        "countersign_feed_blind",
        "1 while nothing was heard of the feed for `blind_after`: everything is refused with 503.",
    )
    .sample(&[], feed.is_blind(now).into());
    if let Some(heard) = feed.heard_at() {
        all.gauge("countersign_feed_age_seconds", "Since the store was last asked for what was revoked.")
            .seconds(&[], now.since(heard));
    }
    let position = u64::try_from(feed.position().0).unwrap_or_default();
    all.counter("countersign_feed_position_total", "The newest change that is known here.")
        .sample(&[], position);
    all.gauge("countersign_revocations", "Revocations that still count.")
        .sample(&[], feed.revoked_count() as u64);
}

fn passwords(all: &mut Exposition, PasswordWatch { pool, throttle }: &PasswordWatch) {
    let counts = pool.counts();
    all.gauge("countersign_password_hashes_waiting", "Passwords that wait for a thread.")
        .sample(&[], counts.waiting as u64);
    all.gauge("countersign_password_hashes_running", "Passwords that are being hashed.")
        .sample(&[], counts.running as u64);
    let mut hashes = all.counter(
        "countersign_password_hashes_total",
        "Passwords that were hashed, and those that found no room (503).",
    );
    hashes.sample(&[("outcome", "done")], counts.done);
    hashes.sample(&[("outcome", "refused")], counts.refused);
    let figures = throttle.figures();
    let mut attempts = all.counter(
        "countersign_password_attempts_total",
        "Attempts with a password that was not remembered: right, wrong, and not looked at because there were too many.",
    );
    let outcomes = [
        ("succeeded", figures.succeeded),
        ("failed", figures.failed),
        ("delayed", figures.delayed),
        ("closed", figures.closed),
    ];
    for (outcome, count) in outcomes {
        attempts.sample(&[("outcome", outcome)], count);
    }
}

/// Keys as this process knows them, and what became of sessions in it.
fn signed(all: &mut Exposition, watch: &Watch) {
    let (keys, now) = (watch.signing.known(), watch.clock.now());
    let mut each = all.gauge(
        "countersign_signing_keys",
        "Signing keys by purpose and state; without an `active` one nothing of that purpose is signed.",
    );
    let states = SigningKeyState::ALL.into_iter().filter(|state| *state != SigningKeyState::Removed);
    for (purpose, state) in KeyPurpose::ALL.into_iter().flat_map(|p| states.clone().map(move |s| (p, s))) {
        let count = keys.iter().filter(|key| key.purpose == purpose && key.state == state).count() as u64;
        each.sample(&[("purpose", purpose.as_str()), ("state", state.as_str())], count);
    }
    let mut age =
        all.gauge("countersign_signing_key_active_seconds", "How long the key that signs has done so.");
    for key in keys.iter().filter(|key| key.state == SigningKeyState::Active) {
        let labels = [("purpose", key.purpose.as_str()), ("algorithm", key.algorithm.name())];
        age.seconds(&labels, now.since(key.since));
    }
    if let Some(sessions) = &watch.sessions {
        let SessionCounts { begun, refreshed, repeated, reused } = sessions.issuer.counts();
        let mut events = all.counter(
            "countersign_sessions_total",
            "What became of sessions here: begun, refreshed, given the same successor again within the grace, and ended because a refresh token came a second time.",
        );
        let counts = [("begun", begun), ("refreshed", refreshed), ("repeated", repeated), ("reused", reused)];
        for (event, count) in counts {
            events.sample(&[("event", event)], count);
        }
    }
}

/// From memory, and nobody is asked for it. A secret has no time, nor has a file that can be read: it is as good as it stands there.
fn issuers(all: &mut Exposition, watch: &Watch) {
    let states: Vec<_> =
        watch.issuers.iter().map(|keys| (keys.issuer().name.as_str(), keys.now_is())).collect();
    let mut held = all.gauge(
        "countersign_issuer_keys",
        "Keys of an external issuer that are held; 0: its tokens are answered with 503.",
    );
    for (issuer, state) in &states {
        held.sample(&[("issuer", issuer)], state.keys as u64);
    }
    let mut fetched = all.gauge(
        "countersign_issuer_keys_fetched_timestamp_seconds",
        "When they were last fetched well, in seconds since 1970; a day later they count no more.",
    );
    for (issuer, state) in &states {
        if let Some(at) = state.fetched_at {
            fetched.sample(&[("issuer", issuer)], u64::try_from(at.as_seconds()).unwrap_or_default());
        }
    }
    let mut fetches = all.counter(
        "countersign_issuer_key_fetches_total",
        "How often the keys of an external issuer were fetched, or read, well and not.",
    );
    for (issuer, state) in &states {
        let succeeded = state.attempts.saturating_sub(state.failed);
        for (outcome, count) in [("succeeded", succeeded), ("failed", state.failed)] {
            fetches.sample(&[("issuer", issuer), ("outcome", outcome)], count);
        }
    }
}

fn store(all: &mut Exposition, figures: &StoreFigures) {
    let mut up = all.gauge("countersign_store_up", "1 while the store reads, or writes.");
    up.sample(&[("work", "read")], figures.reads.into());
    up.sample(&[("work", "write")], figures.writes.into());
    let (bounds, times) = (&countersign_store::TIME_BOUNDS, &figures.write_times);
    all.histogram(
        "countersign_store_write_duration_seconds",
        "A write, from the question to the durable answer.",
    )
    .times(&[], bounds, &times.counts, times.sum);
    all.counter("countersign_store_write_failures_total", "Writes that the store did not take.")
        .sample(&[], figures.failed_writes);
    if let Some(queue) = figures.queue {
        all.gauge("countersign_store_write_queue", "Writes that wait for their turn.")
            .sample(&[], queue as u64);
    }
    let lag = &figures.lag;
    all.histogram(
        "countersign_revocation_lag_seconds",
        "From a change that another process made, by its clock, to this process acting on it.",
    )
    .times(&[], &countersign_store::LAG_BOUNDS, &lag.counts, lag.sum);
}

/// As Linux tells it.
struct Process {
    cpu: Duration,
    resident: u64,
    descriptors: u64,
}

impl Process {
    fn look() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // the name of the program may hold anything, so what follows its last bracket
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let per_second = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_millis(ticks.saturating_mul(1000).checked_div(per_second)?);
        let resident = number(21)?.saturating_mul(rustix::param::page_size() as u64);
        let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Some(Self { cpu, resident, descriptors })
    }
}
