use super::*;

#[test]
fn only_a_turn_is_news() {
    let health = Health::of_writing("x");
    let turns = [
        (None, false),
        (Some(Trouble::Locked), true),
        (Some(Trouble::Locked), false),
        (Some(Trouble::Full), true),
        (None, true),
        (None, false),
    ];
    for (n, (trouble, news)) in turns.into_iter().enumerate() {
        assert_eq!(health.set(trouble), news, "turn {n}");
    }
}
