//! What is known of a call, as terms that are indexed beside those that were said in it: a search among some of the calls
//! then costs no more than one for a further word, however many others there are.

use super::search::{Filter, Number};

/// Begins each, and stands for what would part it. It is neither letter nor digit, so that nobody says such a term, and not
/// ASCII, so that no index parts terms at it.
const MARK: char = '§';

/// Characters of the longest end of a number: those of all numbers with their plus. Of a longer address, an index has the
/// end alone.
const LONGEST_END: usize = 16;

/// The facts of a call, with a space behind each.
pub(super) fn of_call(state: &str, numbers: [Option<&str>; 2]) -> String {
    let ends = numbers.into_iter().flatten().flat_map(ends);
    std::iter::once(state).chain(ends).map(|fact| term(fact) + " ").collect()
}

/// The fact of every call that is in the state which a filter asks for.
pub(super) fn of_state(filter: &Filter) -> Option<String> {
    filter.state().map(term)
}

/// The fact of every call to or from the number which a filter asks for.
pub(super) fn of_number(filter: &Filter) -> Option<String> {
    let (Number::Whole(text) | Number::Ending(text)) = filter.number.as_ref()?;
    ends(text).last().map(term)
}

/// What a number is looked for by: each of its ends of digits, and the longest of all at last.
fn ends(number: &str) -> impl Iterator<Item = &str> {
    let ends = || number.char_indices().rev().take(LONGEST_END).map(|(at, _)| &number[at..]);
    ends().take_while(|end| end.starts_with(|c: char| c.is_ascii_digit())).chain(ends().last())
}

fn term(fact: &str) -> String {
    let of_term = |c: char| if c.is_ascii() && !c.is_ascii_alphanumeric() { MARK } else { c.to_ascii_lowercase() };
    std::iter::once(MARK).chain(fact.chars().map(of_term)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::CallState;
    use crate::model::search::folded;

    #[test]
    fn the_facts_of_a_call_are_its_state_and_how_its_numbers_end() {
        assert_eq!(of_call("no-answer", [None, Some("+4178")]), "§no§answer §8 §78 §178 §4178 §§4178 ");
        assert_eq!(of_call("busy", [Some("sip:Al@b.com"), None]), "§busy §sip§al§b§com ");
        assert_eq!(of_call("busy", [Some("sip:alice@example.com"), Some("")]), "§busy §lice§example§com ");
    }

    #[test]
    fn no_fact_is_a_term_that_somebody_says() {
        let facts = of_call("busy", [Some("+14155551234"), Some("sip:alice@example.com")]);
        assert!(folded(&facts).split(' ').all(|said| facts.split(' ').all(|fact| fact != said || fact.is_empty())));
    }

    #[test]
    fn a_filter_asks_for_facts_that_the_calls_have_which_it_lets_through() {
        for (number, asked) in [
            ("+14155551234", &["+1 (415) 555-1234", "4155551234", "5551234", "51234", "1234", "34", "4"][..]),
            ("sip:alice@example.com", &["sip:alice@example.com", "SIP:Alice@Example.com"]),
            ("sip:44@example.com;user=12345678901234567890", &["345678901234567890", "90"]),
            ("+1415 (x) 'é'\u{a0}\\", &["+1415 (x) 'é'\u{a0}\\"]),
        ] {
            let facts = of_call("in-progress", [Some(number), None]);
            for text in asked {
                let filter =
                    Filter { state: CallState::named("in-progress"), number: Number::parse(text), ..Filter::default() };
                for wanted in [of_state(&filter), of_number(&filter)] {
                    assert!(facts.split(' ').any(|fact| Some(fact) == wanted.as_deref()), "{wanted:?} in {facts}");
                }
            }
        }
    }
}
