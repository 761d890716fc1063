use super::*;

#[test]
fn a_replaced_token_lives_while_it_is_used() {
    let text = |session: Option<Arc<Session>>| session?.token.as_ref().map(|token| token.reveal().to_owned());
    let tokens = Tokens::new(Token::new("the-first-one"));
    let first = tokens.current();
    tokens.replace(Token::new("the-second-one"), TokenOwner::Unknown, false);
    assert_eq!(text(tokens.get(first.number())).as_deref(), Some("the-first-one"));
    assert_eq!(text(tokens.get(0)).as_deref(), Some("the-second-one"));
    let echo = "the-first-one or the-second-one".to_owned();
    assert_eq!(tokens.scrub(&echo), "*** or ***");
    assert!(tokens.current_if_same_view(first.number()).is_none(), "of another view");
    let number = first.number();
    drop(first);
    assert!(tokens.get(number).is_none());
    assert_eq!(
        tokens.scrub(&echo),
        "the-first-one or ***",
        "nothing can echo it any more"
    );
    let second = tokens.current();
    tokens.replace(None, TokenOwner::Unknown, true);
    let third = tokens.current_if_same_view(second.number()).expect("of the same view");
    assert!(third.token.is_none());
}

#[test]
fn a_renewed_token_belongs_to_the_user_of_the_earlier_one() {
    let tokens = Tokens::new(Token::new("one"));
    let set = |text: &str, owner| {
        tokens.replace(Token::new(text), owner, false);
        tokens.current().number()
    };
    assert_eq!(tokens.compare_current(1), (1, true));
    assert_eq!(set("two", TokenOwner::SameAs(1)), 2);
    assert_eq!(set("three", TokenOwner::SameAs(2)), 3);
    assert_eq!([1, 2, 3].map(|number| tokens.compare_current(number).1), [true; 3]);
    assert_eq!(set("another thread's", TokenOwner::Unknown), 4);
    assert_eq!(set("renewed in the meantime", TokenOwner::SameAs(3)), 5);
    assert_eq!(
        [3, 4, 5].map(|number| tokens.compare_current(number).1),
        [false, false, true]
    );
    assert_eq!(set("renewed", TokenOwner::SameAs(5)), 6);
    assert_eq!([4, 5].map(|number| tokens.compare_current(number).1), [false, true]);
    tokens.replace(None, TokenOwner::Unknown, true);
    assert_eq!(
        [5, 6].map(|number| tokens.compare_current(number)),
        [(7, false), (7, true)]
    );
}
