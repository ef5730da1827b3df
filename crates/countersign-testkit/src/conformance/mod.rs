//! What every store must do, whatever it is made of: one suite over the ports, run on each engine. Owns the cases and
//! their fixtures; knows no engine. Next: a store's own tests, which call [`conformance_cases!`](crate::conformance_cases).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a suite of tests")]

pub mod api_key;
pub mod audit;
pub mod basic;
pub mod feed;
pub mod idempotency;
pub mod jwt;
pub mod principal;
pub mod session;
pub mod signing;

use countersign_core::{
    PrincipalId, ScopeSet, Timestamp,
    audit::{Actor, AuditEvent, AuditQuery, AuditRecord, AuditStore},
    check::revocation::Position,
    idempotency::IdempotencyStore,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::{
    api_key::{
        record::{ApiKeyRecord, Environment, KeyDigest, KeyId, KeyState, Origin},
        store::ApiKeyStore,
    },
    basic::store::BasicStore,
    jwt::store::JwtStore,
    principal::store::PrincipalStore,
    revocation::store::{Change, FeedStore},
    session::store::SessionStore,
    signing::store::SigningKeyStore,
};
use std::{future::Future, sync::Arc};

/// One empty store, by its ports.
#[derive(Debug, Clone)]
pub struct Ports {
    pub principals: Arc<dyn PrincipalStore>,
    pub keys: Arc<dyn ApiKeyStore>,
    pub basic: Arc<dyn BasicStore>,
    pub signing: Arc<dyn SigningKeyStore>,
    pub jwt: Arc<dyn JwtStore>,
    pub sessions: Arc<dyn SessionStore>,
    pub feed: Arc<dyn FeedStore>,
    pub audit: Arc<dyn AuditStore>,
    pub idempotency: Arc<dyn IdempotencyStore>,
}

/// Calls `$each! { area: [case, ..], .. }` with every case. A case is `async fn(Ports)`.
#[macro_export]
macro_rules! conformance_cases {
    ($each:ident) => {
        $each! {
            principal: [
                a_created_principal_is_found_by_id_and_name,
                an_unknown_principal_is_no_error,
                a_taken_name_is_a_conflict_and_leaves_nothing,
                a_change_sets_only_what_it_names,
                a_change_is_guarded_by_its_version,
                a_change_reaches_the_feed,
                of_fifty_changes_at_once_one_wins,
                the_last_operator_stays,
                of_fifty_operators_disabled_at_once_one_stays,
                a_list_goes_on_where_it_stopped,
                a_list_is_sorted_and_cut,
                operators_are_enabled_and_hold_an_operators_scope,
            ],
            api_key: [
                a_created_key_is_found_as_it_was,
                a_taken_id_is_a_conflict,
                an_owner_who_is_gone_or_disabled_gets_no_key,
                a_list_goes_on_where_it_stopped,
                a_list_can_leave_out_what_is_over,
                a_list_is_sorted_and_goes_on_in_its_order,
                a_list_is_cut_to_what_is_asked_for,
                a_cursor_of_another_make_is_refused,
                a_rotation_leaves_predecessor_and_successor,
                a_rotation_is_guarded,
                a_rotation_whose_successor_fails_leaves_nothing,
                of_fifty_rotations_at_once_one_wins,
                a_revocation_happens_once,
                a_revocation_is_guarded_where_a_version_is_given,
                of_fifty_revocations_at_once_one_writes,
                a_revoked_key_is_not_rotated,
                last_use_only_moves_forward,
                imported_keys_are_all_there_or_none,
                an_imported_key_is_found_by_its_lookup,
                an_imported_key_is_upgraded_once,
                peppers_of_usable_keys_are_named,
            ],
            basic: [
                a_password_is_found_by_its_persons_name,
                a_new_password_ends_the_one_before,
                a_password_is_guarded_by_its_version,
                of_fifty_new_passwords_at_once_one_wins,
                a_removed_password_is_gone,
                a_better_hash_leaves_the_version,
                people_are_all_imported_or_none,
                an_app_password_is_found_as_it_was,
                an_app_password_is_revoked_once,
                app_passwords_are_listed_cut_and_used,
                uses_add_up,
            ],
            jwt: [a_token_is_revoked_once],
            signing: [
                signing_keys_are_listed_as_they_were,
                one_retires_and_the_next_signs_in_one_step,
                a_change_of_signing_keys_is_all_or_nothing,
                a_removed_signing_key_is_empty_and_in_the_feed,
                of_fifty_rotations_of_signing_keys_one_wins,
                of_fifty_first_signing_keys_one_wins,
                of_fifty_new_signing_keys_one_wins,
            ],
            session: [
                a_created_session_is_found_as_it_was,
                a_session_needs_its_principal_as_it_was_read,
                sessions_are_listed_the_newest_first,
                a_rotation_goes_on_from_the_present_token,
                what_is_over_is_not_rotated,
                of_fifty_rotations_at_once_one_is_done,
                a_session_ends_once,
                a_key_that_was_exchanged_ends_as_it_does_itself,
                for_one_more_than_there_is_room_for_the_oldest_ends,
                for_one_that_begins_a_bounded_number_ends,
                of_fifty_ends_at_once_one_writes,
                the_other_sessions_end_and_this_one_stays,
                everything_before_now_ends_with_its_generation,
                no_session_slips_past_the_end_of_its_generation,
                fifty_of_all_kinds_at_once_come_to_an_end,
                last_use_of_a_session_only_moves_forward,
                only_what_is_over_is_pruned,
                what_its_holder_ended_is_pruned_sooner,
            ],
            feed: [
                positions_follow_each_other,
                what_counts_no_more_is_left_out,
                a_refused_write_leaves_no_hole,
                fifty_revocations_at_once_become_visible_in_order,
            ],
            audit: [
                an_event_is_kept_word_for_word,
                pages_by_action_subject_number_and_order,
                every_write_leaves_one_record_and_a_refused_one_none,
                the_chain_holds_after_fifty_writes_at_once,
                an_empty_chain_is_whole,
                the_first_record_since_a_time_is_found,
                the_head_is_the_last_record,
            ],
            idempotency: [
                a_mark_stays_with_what_it_made,
                a_repeat_is_refused_and_leaves_nothing,
                a_refused_write_leaves_no_mark,
                of_fifty_at_once_one_makes,
                after_a_day_a_key_may_be_used_again,
            ],
        }
    };
}

/// 2027-01-15, in whole seconds from there.
pub const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

pub fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub fn event(action: &'static str, subject: &str) -> AuditEvent {
    AuditEvent {
        at: at(0),
        actor: Actor::Host,
        action,
        subject: subject.into(),
        source: None,
        request: None,
        detail: Vec::new(),
        once: None,
    }
}

/// Number `n` of some services.
pub fn service(n: u32) -> Principal {
    Principal {
        id: PrincipalId::parse(&format!("svc_{n:020}")).unwrap(),
        kind: PrincipalKind::Service,
        name: PrincipalName::parse(&format!("service-{n:03}")).unwrap(),
        scopes: scopes("orders:read orders:write"),
        groups: Vec::new(),
        enabled: true,
        version: 1,
        created_at: at(0),
    }
}

pub fn key_id(n: u32) -> KeyId {
    KeyId::parse(&format!("k{n:011}")).unwrap()
}

/// Number `n` of some keys: made in the second `n`, good for 90 days.
pub fn key(n: u32, owner: &Principal) -> ApiKeyRecord {
    ApiKeyRecord {
        id: key_id(n),
        origin: Origin::Issued,
        environment: Environment::Live,
        prefix: "cs_live".into(),
        owner: owner.id.clone(),
        label: format!("key {n}"),
        digest: KeyDigest { pepper: 1, hash: [u8::try_from(n % 251).unwrap(); 32] },
        scopes: scopes("orders:read"),
        networks: Vec::new(),
        limit: None,
        plan: None,
        parents: Vec::new(),
        created_at: at(i64::from(n)),
        expires_at: Some(at(i64::from(n) + 90 * 86_400)),
        last_used_at: None,
        state: KeyState::Active,
        version: 1,
    }
}

impl Ports {
    /// With its owner, which every key needs.
    pub async fn owner(&self, n: u32) -> Principal {
        let owner = service(n);
        let made = self.principals.create(owner.clone(), event("principal.create", owner.id.as_str()));
        made.await.unwrap();
        owner
    }

    pub async fn create(&self, key: &ApiKeyRecord) {
        self.keys.create(key.clone(), event("api_key.create", key.id.as_str())).await.unwrap();
    }

    pub async fn key(&self, id: &KeyId) -> ApiKeyRecord {
        self.keys.find(id).await.unwrap().expect("a key of that id")
    }

    pub async fn changes(&self) -> Vec<Change> {
        self.feed.since(Position(0), 1000).await.unwrap()
    }

    pub async fn trail(&self, action: &str) -> Vec<AuditRecord> {
        let query = AuditQuery { action: Some(action.into()), limit: 500, ..AuditQuery::default() };
        self.audit.page(query).await.unwrap()
    }
}

/// `work(0)` to `work(49)`, all begun together.
async fn fifty<T, F, W>(work: W) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    W: Fn(u32) -> F,
{
    let gate = Arc::new(tokio::sync::Barrier::new(50));
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let (gate, one) = (gate.clone(), work(n));
            tokio::spawn(async move {
                gate.wait().await;
                one.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(50);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
