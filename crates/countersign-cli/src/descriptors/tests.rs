use super::*;
use countersign_gateway::Limits;

/// However many callers come, what is left is enough for their upstreams and for the process itself.
#[test]
fn the_shares_leave_descriptors_for_the_rest() {
    for limit in [128, 256, 300, 1024, 4096, 65_536, 1 << 20] {
        let Shares { gateway, control } = Shares::of(Some(limit));
        let used = 2 * gateway + 2 * control;
        assert!(u64::try_from(used).unwrap() <= limit - OWN, "{limit}: {used}");
    }
}

#[test]
fn a_usual_limit_is_no_limit_of_the_gateway() {
    assert!(Shares::of(Some(1 << 19)).gateway >= Limits::default().connections);
    assert!(Shares::of(None).gateway >= Limits::default().connections);
}

#[test]
fn somebody_always_gets_in() {
    assert_eq!(Shares::of(Some(0)), Shares { gateway: 1, control: 1 });
}
