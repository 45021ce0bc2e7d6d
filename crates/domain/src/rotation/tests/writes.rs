//! What somebody writes while a rotation is under way.

use super::*;

/// Somebody writes 3 while 1 is gone back to.
#[test]
fn nothing_is_rolled_back_over_what_somebody_wrote() {
    let tell = Event::Told(Told::Rollback);
    let begun = at_target().step(&tell, head(2, 1, 0, 3), START).unwrap().rotation;
    let meanwhile = head(3, 2, 0, 4);
    let dropped = begun.step(&Event::Take, meanwhile, START).unwrap();
    assert_eq!(
        (dropped.effect, &dropped.rotation.run, dropped.rotation.act()),
        (Effect::Finish(3), &None, Act::Rest)
    );
    let taken = begun.step(&Event::Take, head(2, 1, 0, 3), START).unwrap().rotation;
    // The password of 3 may be the one that was set: it gets another.
    let again = taken.step(&tell, head(2, 1, 0, 3), START + CLAIM).unwrap().rotation;
    for answer in [Answer::Done, failed(false), failed(true)] {
        let anew = answered(&taken, answer, meanwhile, START);
        let run = anew.rotation.run.unwrap();
        assert_eq!((run.goal, run.step, run.base), (Goal::Rotate, Step::Create, 3));
    }
    let anew = again.step(&Event::Take, meanwhile, START + CLAIM).unwrap();
    assert_eq!(
        anew.rotation.run.unwrap().step,
        Step::Create,
        "told again, it was set all the same"
    );
}

#[test]
fn a_version_that_is_current_no_more_is_not_set_again() {
    let (rotation, now) = begun();
    let set = answered(&rotation, Answer::Done, head(1, 0, 2, 3), now).rotation;
    let moved = answered(&set, Answer::Done, head(1, 0, 2, 3), now).rotation;
    // They wrote version 3, with the same user's next password.
    let over = answered(&moved, Answer::LoginRefused, head(3, 2, 0, 4), now);
    assert_eq!(
        (over.effect, over.news, over.rotation.act()),
        (Effect::Nothing, Some(News::Succeeded { version: 2 }), Act::Rest)
    );
}
