use super::price_of_blindness;
use std::time::Duration;

/// RULES 2.5: the switch exists "with its price stated", and who did not touch it is told nothing.
#[test]
fn rules_2_5_going_on_without_the_store_has_its_price_stated() {
    for seconds in [1, 5] {
        assert_eq!(price_of_blindness(Duration::from_secs(seconds)), None);
    }
    let price = price_of_blindness(Duration::from_secs(600)).unwrap();
    assert!(price.contains("may be let in for `10m`") && price.contains("`5s` is the default"), "{price}");
}
