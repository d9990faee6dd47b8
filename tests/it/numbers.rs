//! Which numbers may be dialed, and how the others are refused.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use crate::support::World;
use crate::support::navigation::TYPED;

/// Columns: `DIAL_COUNTRIES` (`-` if unset), path, status of the response, words in it.
const NUMBERS: &str = include_str!("fixtures/numbers.tsv");

#[tokio::test]
async fn a_number_that_may_not_be_dialed_is_refused_before_any_vendor_request() {
    let mut by_setting: BTreeMap<&str, Vec<[&str; 3]>> = BTreeMap::new();
    for line in NUMBERS.lines().skip(1) {
        let [countries, path, status, words] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("expected four columns: {line:?}")
        };
        by_setting.entry(countries).or_default().push([path, status, words]);
    }
    for (countries, rows) in by_setting {
        let settings = [("DIAL_COUNTRIES", countries)];
        let world = World::with(if countries == "-" { &[] } else { &settings }).await;
        let mut dialed = 0;
        for [path, status, words] in rows {
            let row = format!("DIAL_COUNTRIES={countries} {path}");
            let asked = world.vendor_requests();
            let answer = world.get(&path.replace("{10000 digits}", &"1".repeat(10_000))).await;
            assert_eq!(answer.status.as_str(), status, "{row}: {}", answer.text());
            if status == "200" {
                dialed += 1;
                assert!(answer.text().contains(words), "{row}: {}", answer.text());
                assert_eq!(world.calls_placed(), dialed, "{row}");
            } else {
                let kind = BTreeMap::from([("400", "bad-request"), ("403", "not-allowed"), ("404", "no-such-path")]);
                let detail = answer.problem(answer.status.as_u16(), kind[status]);
                assert!(detail.contains(words), "{row}: {detail}");
                assert_eq!(world.vendor_requests(), asked, "{row}");
            }
            assert_eq!(world.get("/healthz").await.text().trim(), "ok", "{row}");
        }
        let stored = world.get_with("/calls", &[("accept", "application/json")]).await.json();
        assert_eq!(stored["calls"].as_array().map(Vec::len), Some(dialed), "{countries}: {stored}");
    }
}

#[tokio::test]
async fn the_confirmation_page_dials_no_number_that_the_address_bar_does_not() {
    let world = World::new().await;
    for (number, words) in [("18095551234", "belongs to DO"), ("%2B19005551234", "premium-rate")] {
        let answer = world.post_form("/calls", &format!("number={number}")).await;
        assert!(answer.problem(403, "not-allowed").contains(words));
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_form_accepts_numbers_as_people_write_them_and_a_path_does_not() {
    for number in ["+1 415 555 1234", " 14155551234", "1-415-555-1234", "1 (415) 555.1234", "1/415/5551234"] {
        let world = World::new().await;
        let encoded: String = url::form_urlencoded::byte_serialize(number.as_bytes()).collect();
        let said = world.post_form("/calls", &format!("number={encoded}")).await;
        assert!(said.text().starts_with("dialing +14155551234."), "{number}: {}", said.text());
        let path = format!("/dial/{}", encoded.replace('+', "%20"));
        world.get(&path).await.problem(400, "bad-request");
    }
    let world = World::new().await;
    for number in ["%2B%2B14155551234", "1415555x1234", "0014155551234", "415-1234", "(415) 555-1234"] {
        let refused = world.post_form("/calls", &format!("number={number}")).await;
        assert!(refused.status.is_client_error(), "{number}: {}", refused.text());
    }
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_browser_gets_a_page_that_names_the_setting_that_refuses_a_number() {
    let world = World::new().await;
    let page = world.get_with("/dial/442079460000", &TYPED).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (403, "text/html; charset=utf-8"));
    assert!(page.text().contains("this number belongs to GB, but DIAL_COUNTRIES allows only US"), "{}", page.text());
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_page_asks_which_number_digits_without_country_code_mean() {
    let world = World::with(&[("DIAL_COUNTRIES", "*")]).await;
    for (path, numbers) in
        [("/dial/9175551234", &["+9175551234\"", "+19175551234\""][..]), ("/dial/4155551212", &["+14155551212\""])]
    {
        let page = world.get_with(path, &TYPED).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        let offered: Vec<_> = page.text().split("name=\"number\" value=\"").skip(1).map(str::to_owned).collect();
        assert_eq!(offered.len(), numbers.len(), "{path}");
        assert!(offered.iter().zip(numbers).all(|(form, number)| form.starts_with(number)), "{path}: {offered:?}");
    }
    let submit = async |form: &str| {
        let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        world.send(Method::POST, "/calls", &headers, form).await
    };
    let form = submit("number=(917) 555-1234").await;
    assert!(form.text().contains("Dial +19175551234 (US)"), "{}", form.text());
    let foreign = submit("number=447911123456").await;
    assert!(foreign.status == 400 && foreign.text().contains("this is no number of US"), "{}", foreign.text());
    assert_eq!(world.vendor_requests(), 0);
    let rings = submit("number=%2B19175551234").await;
    assert_eq!((rings.status.as_u16(), world.calls_placed()), (303, 1));
}

#[tokio::test]
async fn by_default_only_the_country_of_our_own_number_may_be_dialed() {
    let world = World::with(&[("TWILIO_PHONE_NUMBER", "+442079460001")]).await;
    world.get("/dial/14155551234").await.problem(403, "not-allowed");
    assert_eq!(world.vendor_requests(), 0);
    // The request reaches the sandbox, which rejects a caller number that is not its own.
    world.get("/dial/442079460000").await.problem(502, "vendor-rejected");
    assert_eq!(world.calls_placed(), 1);
    let refused = world.get("/dial/442079460001").await.problem(403, "not-allowed");
    assert!(refused.starts_with("this is your own Twilio number"), "{refused}");
    assert_eq!(world.get("/calls").await.json()["calls"][0]["state"], json!("failed"));
}
