use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_earlier_moment_and_the_shorter_wait_count() {
    let (soon, late) = (Deadline::after(SECOND), Deadline::after(HOUR));
    assert_eq!(soon.earliest(late), late.earliest(soon));
    assert_eq!(soon.earliest(late), soon);
    assert_eq!(Deadline::NONE.earliest(soon), soon);
    assert_eq!(soon.at_most(HOUR).at_most(SECOND), soon.at_most(SECOND));
    assert!(late.half().left().is_some_and(|left| left <= HOUR / 2));
}

#[test]
fn a_wait_is_bounded_by_moment_limit_and_own_maximum() {
    assert_eq!(Deadline::NONE.wait(HOUR), HOUR);
    assert_eq!(Deadline::NONE.at_most(SECOND).wait(HOUR), SECOND);
    assert_eq!(Deadline::after(HOUR).at_most(HOUR).wait(SECOND), SECOND);
    assert!(Deadline::after(SECOND).at_most(HOUR).wait(HOUR) <= SECOND);
    assert_eq!(Deadline::after(Duration::ZERO).wait(HOUR), Duration::ZERO);
    assert!(!Deadline::after(Duration::ZERO).at_least_shortest().has_passed());
    assert_eq!(Deadline::NONE.at_least_shortest(), Deadline::NONE);
}

#[test]
fn only_a_deadline_with_a_moment_passes() {
    let waits = Deadline::NONE.at_most(Duration::ZERO);
    assert!(!waits.has_passed() && !waits.is_set() && waits.left().is_none());
    assert!(Deadline::after(Duration::ZERO).has_passed());
    assert_eq!(Deadline::after(Duration::MAX), Deadline::NONE, "beyond the clock");
}
