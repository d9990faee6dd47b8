//! `/items` with thousands of calls: whatever the filter and the order, its pages together list each call that matches once.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::World;

/// More than one page reads, so that pages end where no call of theirs matches.
const CALLS: i64 = 5_000;

/// Calls of which the n-th has a kind, a direction and so on by a remainder of n, with some at the same moment. Every other
/// one is with a number that ends as one of the others does, and some of these are between these two numbers.
fn filling(is_postgres: bool) -> String {
    let each = if is_postgres {
        format!("SELECT CAST(n AS bigint) AS n FROM generate_series(1, {CALLS}) AS each (n)")
    } else {
        format!(
            "WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < {CALLS}) SELECT n FROM each"
        )
    };
    let id =
        if is_postgres { "lpad(CAST(n * 7919 % 99991 AS text), 32, '0')" } else { "printf('%032d', n * 7919 % 99991)" };
    let seventh =
        if is_postgres { "'+1415' || lpad(CAST(n % 700 AS text), 7, '0')" } else { "printf('+1415%07d', n % 700)" };
    let number = format!("CASE WHEN n % 2 = 0 THEN '+19990000017' ELSE {seventh} END");
    format!(
        "INSERT INTO calls (id, direction, to_number, from_number, keyterms, state, rank, holds_number, created_at, ended_at,
         updated_at, kind, tag, checked_at, deletion, progress, recorded_seconds, cost_microusd)
         SELECT {id}, CASE WHEN n % 300 = 7 THEN 'inbound' ELSE 'outbound' END,
         CASE WHEN n % 300 = 7 THEN '+15005550006' ELSE {number} END,
         CASE WHEN n % 300 = 7 THEN {number} WHEN n % 60 = 4 THEN '+14150000017' ELSE '+15005550006' END, '[]',
         CASE WHEN n % 5 = 0 THEN 'busy' ELSE 'completed' END, 6, 0, 1700000000000 + n / 3 * 1000, NULL, 0,
         CASE WHEN n % 4 = 0 THEN 'upload' WHEN n % 40 = 1 THEN 'conversation' ELSE 'message' END,
         CASE WHEN n % 2 = 0 THEN 'spring' WHEN n % 500 = 1 THEN 'autumn' END, CASE WHEN n % 3 = 0 THEN 1 END,
         CASE WHEN n % 50 = 0 THEN 'done' END, CASE WHEN n % 7 = 0 THEN 'failed' ELSE 'done' END,
         CASE WHEN n % 11 = 0 THEN -1 ELSE n % 900 END, CASE WHEN n % 3 = 0 THEN n % 100 * 1000 ELSE -1 END FROM ({each}) AS numbers"
    )
}

/// The ids of all pages of a list.
async fn walk(world: &World, query: &str) -> Vec<String> {
    let (mut cursor, mut all) = (String::new(), Vec::new());
    loop {
        let answer = world.get(&format!("/items?limit=200&{query}&cursor={cursor}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let page = answer.json();
        let ids =
            page["items"].as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id").to_owned());
        all.extend(ids);
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

/// The ids of an export.
async fn exported(world: &World, query: &str) -> Vec<String> {
    let answer = world.get(&format!("/export?format=csv&{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.text().lines().skip(1).map(|row| row[..row.find(',').expect("an id")].to_owned()).collect()
}

#[tokio::test]
async fn the_pages_of_a_list_have_each_call_that_matches_once_and_in_order() {
    let world = World::new().await;
    world.store.execute(&filling(world.store.is_postgres())).await.expect("calls");
    let contacts = [
        ("%2B14150000017", "Nurse+Okafor"),
        ("%2B14150000019", "Doctor+Okafor"),
        ("%2B14150000021", "Ward+East"),
        ("%2B14150000023", "Ward+West"),
        ("%2B19990000017", "Ward+North"),
        // Nearly all calls are from this number, and none is with it.
        ("%2B15005550006", "Office"),
    ];
    for (number, name) in contacts {
        assert_eq!(world.post_form(&format!("/contacts/{number}"), &format!("name={name}")).await.status, 201);
    }
    let party = "CASE WHEN direction = 'outbound' THEN to_number ELSE from_number END";
    let orders = [
        ("newest", "created_at DESC, id DESC"),
        ("oldest", "created_at, id"),
        ("longest", "recorded_seconds DESC, id DESC"),
        ("shortest", "recorded_seconds, id"),
        // Most have no cost, so that many have the same place.
        ("costliest", "cost_microusd DESC, id DESC"),
    ];
    let filters = [
        ("", "TRUE".to_owned()),
        ("tag=spring", "tag = 'spring'".to_owned()),
        ("tag=autumn", "tag = 'autumn'".to_owned()),
        ("tag=spring&progress=failed", "tag = 'spring' AND progress = 'failed'".to_owned()),
        ("progress=failed", "progress = 'failed'".to_owned()),
        ("kind=upload", "kind = 'upload'".to_owned()),
        ("kind=call", "kind <> 'upload'".to_owned()),
        ("kind=conversation", "kind = 'conversation'".to_owned()),
        ("direction=inbound", "direction = 'inbound'".to_owned()),
        (
            "direction=outbound&tag=spring&progress=done",
            "direction = 'outbound' AND tag = 'spring' AND progress = 'done'".to_owned(),
        ),
        ("state=busy", "state = 'busy' AND kind <> 'upload'".to_owned()),
        ("checked=true", "checked_at IS NOT NULL".to_owned()),
        ("checked=false", "checked_at IS NULL".to_owned()),
        ("checked=true&progress=failed", "checked_at IS NOT NULL AND progress = 'failed'".to_owned()),
        ("min_seconds=890", "recorded_seconds >= 890".to_owned()),
        ("max_seconds=800", "recorded_seconds BETWEEN 0 AND 800".to_owned()),
        (
            "min_seconds=100&max_seconds=700&kind=call",
            "recorded_seconds BETWEEN 100 AND 700 AND kind <> 'upload'".to_owned(),
        ),
        ("min_cost=0.05&max_cost=0.09", "cost_microusd BETWEEN 50000 AND 90000".to_owned()),
        ("number=0017", "(to_number LIKE '%0017' OR from_number LIKE '%0017')".to_owned()),
        ("number=17", "(to_number LIKE '%17' OR from_number LIKE '%17')".to_owned()),
        (
            "number=%2B15005550006&progress=failed",
            "progress = 'failed' AND '+15005550006' IN (to_number, from_number)".to_owned(),
        ),
        ("number=%2B15005550006", "'+15005550006' IN (to_number, from_number)".to_owned()),
        ("number=%2B14150000017", "'+14150000017' IN (to_number, from_number)".to_owned()),
        ("number=4150000017", "'+14150000017' IN (to_number, from_number)".to_owned()),
        ("contact=%2B14150000017", format!("{party} = '+14150000017'")),
        ("contact=%2B19990000017", format!("{party} = '+19990000017'")),
        ("contact=%2B14150000017&number=0006", format!("{party} = '+14150000017' AND from_number LIKE '%0006'")),
        ("contact=okafor", format!("{party} IN ('+14150000017', '+14150000019')")),
        ("contact=ward", format!("{party} IN ('+14150000021', '+14150000023', '+19990000017')")),
        ("contact=ward&kind=upload", format!("kind = 'upload' AND {party} = '+19990000017'")),
        (
            "since=2023-11-14T22:14:20Z&until=2023-11-14T22:14:39Z",
            "created_at BETWEEN 1700000060000 AND 1700000079000".to_owned(),
        ),
        ("since=2023-11-14T22:20:00Z&kind=upload", "created_at >= 1700000400000 AND kind = 'upload'".to_owned()),
        ("until=2023-11-14T22:30:00Z&progress=done", "created_at <= 1700001000000 AND progress = 'done'".to_owned()),
    ];
    for (query, condition) in &filters {
        for (sort, order) in orders {
            let expected = world
                .store
                .texts(&format!(
                    "SELECT id FROM calls WHERE deletion IS DISTINCT FROM 'done' AND {condition} ORDER BY {order}"
                ))
                .await;
            let query = format!("{query}&sort={sort}");
            let found = walk(&world, &query).await;
            assert!(!expected.is_empty(), "{query} finds nothing");
            assert_eq!(found.len(), found.iter().collect::<BTreeSet<_>>().len(), "{query} lists a call twice");
            assert!(found == expected, "{query}: {} of {}", found.len(), expected.len());
            // An export has the same, and reads as many pages. The order is that of the list.
            if sort == "newest" || condition == "TRUE" && sort == "oldest" {
                assert!(exported(&world, &query).await == expected, "{query}: the export has others");
            }
        }
    }
    assert_eq!(walk(&world, "contact=office").await, Vec::<String>::new());
    // Nothing matches both, and the pages say so at the end.
    assert_eq!(walk(&world, "state=busy&kind=call&min_seconds=5000").await, Vec::<String>::new());
    let page: Value = world.get("/items?sort=longest&limit=1").await.json();
    let next = page["next"].as_str().expect("a cursor");
    assert!(next.starts_with("longest.899."), "{next}");
    // A cursor names its order, which need not be repeated, and no other.
    let (with, without) =
        (format!("/items?limit=1&sort=longest&cursor={next}"), format!("/items?limit=1&cursor={next}"));
    assert_eq!(world.get(&with).await.json()["items"], world.get(&without).await.json()["items"]);
    for other in [next, "1700000000000.00000000000000000000000000000000"] {
        world.get(&format!("/items?sort=oldest&cursor={other}")).await.problem(400, "bad-request");
    }
}
