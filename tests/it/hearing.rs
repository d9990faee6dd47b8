//! Key terms, seen to work: the numbers of the sandbox's phone book at which hard words are said.

use callscribe::sandbox::twilio::PHONE_BOOK;
use serde_json::Value;

use crate::support::World;

/// What is hard to hear at each number.
const TERMS: [(&str, &str); 3] = [
    ("+14155550131", "Siobhan Kowalczyk,tacrolimus,creatinine,ondansetron,rivaroxaban,metoprolol,echocardiogram"),
    ("+14155550132", "Dvorak,etcd,kubectl,pgbouncer,nginx,PostgreSQL,Istio,HAProxy,eBPF,RabbitMQ,Wojciechowski"),
    (
        "+14155550133",
        "Okonkwo,Meyers and Quigley,usufruct,Schuylkill,Nguyen,tortfeasor,voir dire,subpoena,Poughkeepsie",
    ),
];

/// Returns how many of the terms stand in the call's text.
fn right(call: &Value, terms: &str) -> usize {
    let text = call["transcripts"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {call}"));
    terms.split(',').filter(|term| text.contains(term)).count()
}

#[tokio::test]
async fn the_terms_said_at_a_number_are_wrong_without_and_right_with_key_terms() {
    let world = World::new().await;
    let (mut without, mut with, mut all) = (0, 0, 0);
    for (number, terms) in TERMS {
        assert!(PHONE_BOOK.iter().any(|entry| entry.number == number), "{number}");
        let number = number.trim_start_matches('+');
        let plain = world.dial(number).await;
        world.settle().await;
        let helped = world.dial(&format!("{number}?keyterms={}", terms.replace(' ', "+"))).await;
        world.settle().await;
        without += right(&world.call(&plain).await, terms);
        with += right(&world.call(&helped).await, terms);
        all += terms.split(',').count();
    }
    assert_eq!(all, 27);
    // By chance: on average 5 and 21, and a chance of less than one in a million that they are not apart.
    assert!(without < with, "{without} and {with} of {all}");
}
