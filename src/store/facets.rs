//! Facets: the state, the numbers and the id of a call as terms, and whether its transcript is checked, which are indexed
//! beside the words said in it. A search that is filtered by them costs no more than one for another word, however many
//! calls there are.

use super::filter::{Filter, Number};

/// Begins each facet, and replaces its punctuation. It is neither a letter nor a digit, so no spoken word has it, and not
/// ASCII, so no index splits a term at it.
const MARK: char = '§';

/// Characters of the longest facet of a number: every phone number fits with its plus. Of a longer address only the end is
/// indexed.
const LONGEST_END: usize = 16;

/// The facets of a call, each followed by a space: first its state, then the ends of its numbers, then its id.
pub(super) fn of_call(state: &str, numbers: [Option<&str>; 2], id: &str) -> String {
    let ends = numbers.into_iter().flatten().flat_map(ends).map(term);
    std::iter::once(term(state)).chain(ends).chain([of_id(id)]).map(|facet| facet + " ").collect()
}

/// The facet of a call's id. No end of a number is as long.
pub(super) fn of_id(id: &str) -> String {
    term(&format!("id:{id}"))
}

/// The facet of a transcript that is checked by ear.
pub(super) fn of_checked() -> String {
    term("is:checked")
}

/// The facet of the filter's state.
pub(super) fn of_state(filter: &Filter) -> Option<String> {
    filter.state_word().map(term)
}

/// The facet of the filter's number.
pub(super) fn of_number(filter: &Filter) -> Option<String> {
    let (Number::Whole(text) | Number::Ending(text)) = filter.number.as_ref()?;
    ends(text).last().map(term)
}

/// The facet of a whole number.
pub(super) fn of_whole(number: &str) -> Option<String> {
    ends(number).last().map(term)
}

/// The facets of a number: each of its ends that is all digits, then its longest end.
fn ends(number: &str) -> impl Iterator<Item = &str> {
    let ends = || number.char_indices().rev().take(LONGEST_END).map(|(at, _)| &number[at..]);
    ends().take_while(|end| end.starts_with(|c: char| c.is_ascii_digit())).chain(ends().last())
}

fn term(facet: &str) -> String {
    let of_term = |c: char| if c.is_ascii() && !c.is_ascii_alphanumeric() { MARK } else { c.to_ascii_lowercase() };
    std::iter::once(MARK).chain(facet.chars().map(of_term)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::CallState;
    use crate::model::search::folded;

    #[test]
    fn the_facets_of_a_call_are_its_state_the_ends_of_its_numbers_and_its_id() {
        let of_call = |state, numbers| of_call(state, numbers, "0a-1b");
        assert_eq!(of_call("no-answer", [None, Some("+4178")]), "§no§answer §8 §78 §178 §4178 §§4178 §id§0a§1b ");
        assert_eq!(of_call("busy", [Some("sip:Al@b.com"), None]), "§busy §sip§al§b§com §id§0a§1b ");
        assert_eq!(of_call("busy", [Some("sip:alice@example.com"), Some("")]), "§busy §lice§example§com §id§0a§1b ");
    }

    #[test]
    fn no_facet_is_a_term_of_a_spoken_text() {
        let facets = of_call("busy", [Some("+14155551234"), Some("sip:alice@example.com")], "0a");
        assert!(
            folded(&facets).split(' ').all(|said| facets.split(' ').all(|facet| facet != said || facet.is_empty()))
        );
    }

    #[test]
    fn the_facets_of_a_filter_are_those_of_the_calls_that_match() {
        for (number, asked) in [
            ("+14155551234", &["+1 (415) 555-1234", "4155551234", "5551234", "51234", "1234", "34", "4"][..]),
            ("sip:alice@example.com", &["sip:alice@example.com", "SIP:Alice@Example.com"]),
            ("sip:44@example.com;user=12345678901234567890", &["345678901234567890", "90"]),
            ("+1415 (x) 'é'\u{a0}\\", &["+1415 (x) 'é'\u{a0}\\"]),
        ] {
            let facets = of_call("in-progress", [Some(number), None], "0a");
            for text in asked {
                let filter =
                    Filter { state: CallState::named("in-progress"), number: Number::parse(text), ..Filter::default() };
                for wanted in [of_state(&filter), of_number(&filter)] {
                    assert!(facets.split(' ').any(|facet| Some(facet) == wanted.as_deref()), "{wanted:?} in {facets}");
                }
            }
        }
    }
}
