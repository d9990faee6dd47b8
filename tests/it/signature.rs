//! `X-Twilio-Signature`: Twilio's published test vectors, mutations of them that must fail, and the same over HTTP.

use std::time::Duration;

use callscribe::internals::signature::{self, Algorithm, Param, SETTINGS_HEADER, SignatureSettings, body_matches};
use callscribe::sandbox::twilio::{ACCOUNT_SID, AUTH_TOKEN, SharedKey};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use crate::support::callbacks::{CALL, CALL_PARAMS, FORM, encode, owned, sign};
use crate::support::{Answer, World, log};

/// The key of all published vectors.
const KEY: &str = "12345";

/// A request and its published signature.
struct Vector {
    url: &'static str,
    params: &'static [(&'static str, &'static str)],
    algorithm: Algorithm,
    signature: &'static str,
}

const PHP: &[(&str, &str)] = &[
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
];

const COMPANY: &[(&str, &str)] = &[
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
];

const REPEATED: &[(&str, &str)] =
    &[("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")];

const SIGNED_BODY: &str = r#"{"property": "value", "boolean": true}"#;

use Algorithm::{HmacSha1, HmacSha256};

/// Twilio's own test vectors, plus a last one with non-ASCII letters and an empty value, which they lack.
const VECTORS: [Vector; 10] = [
    Vector {
        url: "https://example.com/myapp.php?foo=1&bar=2",
        params: PHP,
        algorithm: HmacSha1,
        signature: "L/OH5YylLD5NRKLltdqwSvS0BnU=",
    },
    Vector {
        url: "https://example.com/myapp.php?foo=1&bar=2",
        params: PHP,
        algorithm: HmacSha256,
        signature: "qMztBq0IANMH/q0K9sCfKQJLylezvRdRzRS647SAVow=",
    },
    Vector {
        url: "https://mycompany.com/myapp.php?foo=1&bar=2",
        params: COMPANY,
        algorithm: HmacSha1,
        signature: "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    },
    Vector {
        url: "https://mycompany.com/myapp.php?foo=1&bar=2",
        params: COMPANY,
        algorithm: HmacSha256,
        signature: "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=",
    },
    Vector {
        url: "https://mycompany.com:443/myapp.php?foo=1&bar=2",
        params: COMPANY,
        algorithm: HmacSha1,
        signature: "kvajT1Ptam85bY51eRf/AJRuM3w=",
    },
    Vector {
        url: "http://mycompany.com:80/myapp.php?foo=1&bar=2",
        params: COMPANY,
        algorithm: HmacSha1,
        signature: "0ZXoZLH/DfblKGATFgpif+LLRf4=",
    },
    Vector {
        url: "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
        params: COMPANY,
        algorithm: HmacSha1,
        signature: "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    },
    Vector {
        url: "https://mycompany.com/myapp.php?foo=1&bar=2",
        params: REPEATED,
        algorithm: HmacSha1,
        signature: "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    },
    Vector {
        url: "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
        params: &[],
        algorithm: HmacSha1,
        signature: "a9nBmqA0ju/hNViExpshrM61xv4=",
    },
    Vector {
        url: "https://example.com/record/?t=abc_-1",
        params: &[("CallSid", "CA1"), ("Empty", ""), ("Note", "héllo ☎ 日本")],
        algorithm: HmacSha1,
        signature: "9jwOKogy3dO1Qus6uIedO1/B3cQ=",
    },
];

/// A request that differs from the signed one.
struct Mutation {
    what: &'static str,
    algorithm: Algorithm,
    key: String,
    url: String,
    params: Vec<Param>,
    signature: String,
}

/// All single changes to a vector's request, key or signature that must make it invalid.
fn mutations(vector: &Vector) -> Vec<Mutation> {
    let mut found = Vec::new();
    let (url, signature) = (vector.url, vector.signature);
    let mut add = |what, key: &str, url: String, params: Vec<Param>, signature: String| {
        let key = key.to_owned();
        found.push(Mutation { what, algorithm: vector.algorithm, key, url, params, signature });
    };

    let flipped = |at: usize| {
        let mut bytes = signature.as_bytes().to_vec();
        // The lowest bit, which stays within printable ASCII.
        bytes[at] ^= 1;
        String::from_utf8(bytes).expect("ASCII")
    };
    let signatures = [
        ("a bit of its first character flipped", flipped(0)),
        ("a bit of its middle flipped", flipped(signature.len() / 2)),
        ("a bit of its last character flipped", flipped(signature.len() - 2)),
        ("its padding flipped", flipped(signature.len() - 1)),
        ("without its padding", signature.trim_end_matches('=').to_owned()),
        ("cut in half", signature[..signature.len() / 2].to_owned()),
        ("with an extra =", format!("{signature}=")),
        ("with a trailing space", format!("{signature} ")),
        ("with a leading space", format!(" {signature}")),
        ("empty", String::new()),
        ("in lower case", signature.to_lowercase()),
        ("twice", format!("{signature}{signature}")),
        ("twice, with a comma", format!("{signature}, {signature}")),
        ("with its algorithm", format!("sha1={signature}")),
        ("reversed", signature.chars().rev().collect()),
    ];
    for (what, signature) in signatures {
        add(what, KEY, url.to_owned(), owned(vector.params), signature);
    }
    let web = signature.replace('+', "-").replace('/', "_");
    if web != signature {
        add("in base64url", KEY, url.to_owned(), owned(vector.params), web);
    }

    for key in ["12346", "1234", "123456", "", " 12345", "54321"] {
        add("under another key", key, url.to_owned(), owned(vector.params), signature.to_owned());
    }

    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let other = if scheme == "https" { "http" } else { "https" };
    let urls = [
        ("with the other scheme", format!("{other}://{rest}")),
        ("to another host", url.replacen(".com", ".org", 1)),
        ("to a host in upper case", url.replacen(".com", ".COM", 1)),
        ("to a path in upper case", url.replacen("/myapp.php", "/Myapp.php", 1).replacen("/record/", "/Record/", 1)),
        ("to a path with an extra slash", url.replacen('?', "/?", 1)),
        ("to a path with a doubled slash", url.replacen(".com", ".com/", 1)),
        ("to an escaped path", url.replacen("/myapp", "/%6dyapp", 1).replacen("/record", "/%72ecord", 1)),
        ("without its query", url.split('?').next().expect("a path").to_owned()),
        ("with its query reordered", reordered(url)),
        ("with an extra query parameter", format!("{url}&baz=3")),
        ("with an extra empty query parameter", format!("{url}&")),
        ("with another query value", url.replacen("=1", "=2", 1).replacen("_-1", "_-2", 1)),
        ("with an escaped query value", url.replacen("=1", "=%31", 1).replacen("_-1", "_%2D1", 1)),
        ("with a fragment", format!("{url}#rc=5")),
        ("with a user", format!("{scheme}://twilio@{rest}")),
        ("to nowhere", String::new()),
        ("to only a path", format!("/{}", rest.split_once('/').expect("a path").1)),
    ];
    for (what, changed) in urls {
        if changed != url {
            add(what, KEY, changed, owned(vector.params), signature.to_owned());
        }
    }

    let mut with = |what, change: &dyn Fn(&mut Vec<Param>)| {
        let mut params = owned(vector.params);
        change(&mut params);
        add(what, KEY, url.to_owned(), params, signature.to_owned());
    };
    with("with an extra parameter", &|params| params.push(("Z".to_owned(), "1".to_owned())));
    with("with an extra empty parameter", &|params| params.push(("Z".to_owned(), String::new())));
    if vector.params.is_empty() {
        return found;
    }
    with("without its first parameter", &|params| _ = params.remove(0));
    with("without its parameters", &Vec::clear);
    with("with a parameter renamed", &|params| params[0].0 += "2");
    with("with a parameter's name in lower case", &|params| params[0].0 = params[0].0.to_lowercase());
    with("with a value changed", &|params| params[0].1 += "0");
    with("with a trailing space in a value", &|params| params[0].1 += " ");
    with("with a value emptied", &|params| params[0].1.clear());
    with("with a parameter repeated with another value", &|params| {
        params.push((params[0].0.clone(), "other".to_owned()))
    });
    with("with two values swapped", &|params| {
        let last = params.len() - 1;
        let first = std::mem::take(&mut params[0].1);
        params[0].1 = std::mem::replace(&mut params[last].1, first);
    });
    found
}

/// The URL with its query parameters in reverse order.
fn reordered(url: &str) -> String {
    let (path, query) = url.split_once('?').expect("a query");
    let reversed: Vec<&str> = query.split('&').rev().collect();
    format!("{path}?{}", reversed.join("&"))
}

fn is_valid(vector: &Vector, params: &[Param]) -> bool {
    signature::verify(vector.algorithm, KEY, vector.url, params, vector.signature)
}

#[test]
fn every_published_signature_is_valid() {
    for vector in &VECTORS {
        assert!(is_valid(vector, &owned(vector.params)), "{} {}", vector.url, vector.signature);
        assert_eq!(
            signature::sign(vector.algorithm, KEY, vector.url, &owned(vector.params)),
            vector.signature,
            "signing gives the published signature"
        );
    }
}

#[test]
fn no_mutation_of_a_published_vector_is_valid() {
    let mut refused = 0;
    for vector in &VECTORS {
        for Mutation { what, algorithm, key, url, params, signature } in mutations(vector) {
            assert!(
                !signature::verify(algorithm, &key, &url, &params, &signature),
                "{}, {what}: {url} {signature}",
                vector.signature
            );
            refused += 1;
        }
    }
    assert!(refused >= 450, "{refused} were tried");
}

#[test]
fn a_signature_by_one_algorithm_is_invalid_for_the_other() {
    for vector in &VECTORS {
        let other = if vector.algorithm == HmacSha1 { HmacSha256 } else { HmacSha1 };
        assert!(!signature::verify(other, KEY, vector.url, &owned(vector.params), vector.signature));
    }
}

#[test]
fn the_signature_of_one_published_request_is_invalid_for_the_others() {
    for vector in &VECTORS {
        for other in VECTORS.iter().filter(|other| other.signature != vector.signature) {
            // Only the default port of https makes no difference.
            let same = |url: &str| url.replace(":443", "");
            let is_same = same(vector.url) == same(other.url)
                && vector.params == other.params
                && vector.algorithm == other.algorithm;
            let is_valid = signature::verify(vector.algorithm, KEY, vector.url, &owned(vector.params), other.signature);
            assert_eq!(is_valid, is_same, "{} with {}", vector.url, other.signature);
        }
    }
}

#[test]
fn the_order_of_parameters_does_not_matter() {
    for vector in VECTORS.iter().filter(|vector| vector.params.len() > 1) {
        let mut params = owned(vector.params);
        for _ in 0..params.len() {
            params.rotate_left(1);
            assert!(is_valid(vector, &params), "{params:?}");
        }
        params.reverse();
        assert!(is_valid(vector, &params), "{params:?}");
    }
}

#[test]
fn a_value_that_is_repeated_counts_once() {
    for vector in VECTORS.iter().filter(|vector| !vector.params.is_empty()) {
        let mut params = owned(vector.params);
        params.extend(owned(vector.params));
        assert!(is_valid(vector, &params));
    }
}

#[test]
fn spaces_in_values_are_signed() {
    let url = "https://example.com/record/";
    for value in ["Ahoy ", " Ahoy", "Ahoy\t", "A hoy", "  "] {
        let kept = owned(&[("CallSid", CALL), ("Note", value)]);
        let trimmed = owned(&[("CallSid", CALL), ("Note", value.trim())]);
        let signature = signature::sign(HmacSha1, KEY, url, &kept);
        assert!(signature::verify(HmacSha1, KEY, url, &kept, &signature));
        assert_eq!(signature::verify(HmacSha1, KEY, url, &trimmed, &signature), value.trim() == value);
    }
}

#[test]
fn the_default_port_of_a_scheme_may_be_given_or_omitted() {
    let pairs = [
        ("https://example.com/record/?a=1", "https://example.com:443/record/?a=1"),
        ("http://example.com/record/", "http://example.com:80/record/"),
        ("https://[2001:db8::1]/record/", "https://[2001:db8::1]:443/record/"),
        ("https://example.com?a=:1", "https://example.com:443?a=:1"),
    ];
    for (without, with) in pairs {
        for (signed, requested) in [(without, with), (with, without), (with, with), (without, without)] {
            let signature = signature::sign(HmacSha1, KEY, signed, &owned(PHP));
            assert!(signature::verify(HmacSha1, KEY, requested, &owned(PHP), &signature), "{signed} {requested}");
        }
    }
    // For voice requests over HTTPS, Twilio signs the URL without its port.
    let signature = signature::sign(HmacSha1, KEY, "https://example.com/record/", &owned(&[]));
    assert!(signature::verify(HmacSha1, KEY, "https://example.com:8443/record/", &owned(&[]), &signature));
    for (signed, requested) in [
        ("https://example.com:80/record/", "https://example.com/record/"),
        ("http://example.com:443/record/", "http://example.com/record/"),
        ("https://example.com:8443/record/", "https://example.com/record/"),
        ("https://example.com:8443/record/", "https://example.com:8444/record/"),
    ] {
        let signature = signature::sign(HmacSha1, KEY, signed, &owned(&[]));
        assert!(!signature::verify(HmacSha1, KEY, requested, &owned(&[]), &signature), "{signed} {requested}");
    }
}

#[test]
fn a_signed_body_must_match_the_hash_in_the_url() {
    let promised = signature::promised_body_hash(VECTORS[8].url).expect("a hash");
    assert!(body_matches(&promised, SIGNED_BODY.as_bytes()));
    for body in ["", "{}", &SIGNED_BODY[1..], &SIGNED_BODY.replace("true", "false"), &format!("{SIGNED_BODY}\n")] {
        assert!(!body_matches(&promised, body.as_bytes()), "{body}");
    }
    assert!(!body_matches(&promised.to_uppercase(), SIGNED_BODY.as_bytes()));
    assert!(!body_matches(&promised[1..], SIGNED_BODY.as_bytes()));
    assert!(!body_matches("", SIGNED_BODY.as_bytes()));
    assert_eq!(signature::promised_body_hash("https://example.com/?bodysha256=00"), None);
    assert_eq!(signature::promised_body_hash("https://example.com/"), None);
}

#[test]
fn a_thousand_parameters_are_signed_like_five() {
    let params: Vec<Param> = (0..1_000).map(|n| (format!("P{n}"), format!("value {n}"))).collect();
    let signature = signature::sign(HmacSha1, KEY, VECTORS[0].url, &params);
    assert!(signature::verify(HmacSha1, KEY, VECTORS[0].url, &params, &signature));
    for dropped in [0, 500, 999] {
        let mut fewer = params.clone();
        fewer.remove(dropped);
        assert!(!signature::verify(HmacSha1, KEY, VECTORS[0].url, &fewer, &signature));
    }
}

#[tokio::test]
async fn a_signed_form_is_accepted() {
    let world = World::new().await;
    for path in ["/record/", "/record", "/record/?t=abc_-1", "/record/?a=1&b=%20+%2B"] {
        let answer = world.callback(path, &CALL_PARAMS).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let mut params = CALL_PARAMS.to_vec();
    params.extend([
        ("Colors", "5678"),
        ("Colors", "1234"),
        ("Colors", "1234"),
        ("Empty", ""),
        ("Note", "héllo ☎ 日本 "),
    ]);
    assert_eq!(world.callback("/record/", &params).await.status, 200, "repeated, empty and non-ASCII values");
}

#[tokio::test]
async fn a_signed_get_has_its_parameters_in_the_query() {
    let world = World::new().await;
    let mut params = CALL_PARAMS.to_vec();
    params.extend([("Colors", "5678"), ("Colors", "1234"), ("Colors", "1234")]);
    let path = format!("/record/?{}", encode(&params));
    let signature = sign(&format!("{}{path}", world.base), &[]);
    let answer = world.get_with(&path, &[(signature::HEADER, &signature)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let with_posts = sign(&format!("{}/record/", world.base), &params);
    assert_refused(&world.get_with(&path, &[(signature::HEADER, &with_posts)]).await);
    let with_both = sign(&format!("{}{path}", world.base), &params);
    assert_refused(&world.get_with(&path, &[(signature::HEADER, &with_both)]).await);
    assert_refused(&world.signed(Method::POST, "/record/", &signature, &encode(&params)).await);
}

/// Asserts the refusal, whose text is the same for every fault.
fn assert_refused(answer: &Answer) {
    let detail = answer.problem(403, "forbidden");
    assert_eq!(detail, "the request does not carry a valid X-Twilio-Signature");
}

#[tokio::test]
async fn every_invalid_signature_gets_the_same_refusal() {
    let world = World::new().await;
    let url = format!("{}/record/", world.base);
    let form = encode(&CALL_PARAMS);
    let good = sign(&url, &CALL_PARAMS);
    let fewer = sign(&url, &CALL_PARAMS[1..]);
    let under_other_key = signature::sign(HmacSha1, "another token", &url, &owned(&CALL_PARAMS));
    let longer_hash = signature::sign(HmacSha256, AUTH_TOKEN, &url, &owned(&CALL_PARAMS));
    let elsewhere = sign(&format!("{}/record/done/", world.base), &CALL_PARAMS);
    let wrong = ["", "x", "====", "null", &good[1..], &fewer, &under_other_key, &longer_hash, &elsewhere];
    for signature in wrong {
        assert_refused(&world.signed(Method::POST, "/record/", signature, &form).await);
    }
    assert_refused(&world.post_form("/record/", &form).await);
    assert_refused(&world.get("/record/").await);
    assert_refused(&world.signed(Method::POST, "/record/", &good, &form.replacen("in-progress", "completed", 1)).await);
    assert_refused(&world.signed(Method::POST, "/record/?x=1", &good, &form).await);
    assert_refused(&world.signed(Method::POST, "/record", &good, &form).await);
    assert_eq!(world.signed(Method::POST, "/record/", &good, &form).await.status, 200);
    assert_eq!(world.vendor_requests(), 0);
}

#[tokio::test]
async fn a_form_without_its_content_type_is_refused() {
    let world = World::new().await;
    let signature = sign(&format!("{}/record/", world.base), &CALL_PARAMS);
    for kind in
        ["text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded2"]
    {
        // The signature of the URL alone, as for a GET, does not cover a body either.
        for signature in [&signature, &sign(&format!("{}/record/", world.base), &[])] {
            let headers = [("content-type", kind), (signature::HEADER, signature)];
            assert_refused(&world.send(Method::POST, "/record/", &headers, &encode(&CALL_PARAMS)).await);
        }
    }
    let kind = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
    let headers = [("content-type", kind), (signature::HEADER, &signature)];
    assert_eq!(world.send(Method::POST, "/record/", &headers, &encode(&CALL_PARAMS)).await.status, 200);
}

#[tokio::test]
async fn a_body_must_match_the_hash_in_the_signed_url() {
    let world = World::new().await;
    let query = VECTORS[8].url.rsplit_once('&').expect("a query").1;
    let path = format!("/record/?{query}");
    let signature = sign(&format!("{}{path}", world.base), &[]);
    let json = [("content-type", "application/json"), (signature::HEADER, &*signature)];
    // The signature is valid, but JSON has no AccountSid.
    assert_eq!(
        world.send(Method::POST, &path, &json, SIGNED_BODY).await.problem(400, "bad-request"),
        "AccountSid: expected once"
    );
    for body in ["{}", "", &SIGNED_BODY.replace("true", "false")] {
        assert_refused(&world.send(Method::POST, &path, &json, body).await);
    }
    // A form is refused too under a signature that covers another body.
    assert_refused(&world.signed(Method::POST, &path, &signature, &encode(&CALL_PARAMS)).await);
}

#[tokio::test]
async fn a_secondary_auth_token_is_accepted_too() {
    let world = World::with(&[("TWILIO_SECONDARY_AUTH_TOKEN", "the-next-token")]).await;
    let url = format!("{}/record/", world.base);
    for (token, status) in [(AUTH_TOKEN, 200), ("the-next-token", 200), ("the-last-token", 403), ("", 403)] {
        let signature = signature::sign(HmacSha1, token, &url, &owned(&CALL_PARAMS));
        let answer = world.signed(Method::POST, "/record/", &signature, &encode(&CALL_PARAMS)).await;
        assert_eq!(answer.status, status, "{token}");
    }
}

#[tokio::test]
async fn signatures_are_checked_against_base_url_and_never_against_the_host_header() {
    let world = World::with(&[("BASE_URL", "https://example.com")]).await;
    let form = encode(&CALL_PARAMS);
    let good = sign("https://example.com/record/", &CALL_PARAMS);
    let own = sign(&format!("{}/record/", world.base), &CALL_PARAMS);
    let evil = sign("https://evil.example/record/", &CALL_PARAMS);
    let plain = sign("http://example.com/record/", &CALL_PARAMS);
    for host in ["example.com", "evil.example", "localhost", "127.0.0.1:1"] {
        let send = async |signature: &str| {
            let forwarded =
                [("x-forwarded-host", host), ("x-forwarded-proto", "http"), ("forwarded", "host=evil.example")];
            let mut headers = vec![FORM, ("host", host), (signature::HEADER, signature)];
            headers.extend(forwarded);
            world.send(Method::POST, "/record/", &headers, &form).await
        };
        assert_eq!(send(&good).await.status, 200, "{host}");
        for wrong in [&own, &evil, &plain] {
            assert_refused(&send(wrong).await);
        }
    }
}

#[tokio::test]
async fn base_url_may_have_a_port_and_a_path() {
    let form = encode(&CALL_PARAMS);
    for (base, signed, status) in [
        ("https://example.com:8443", "https://example.com:8443/record/", 200),
        ("https://example.com:8443", "https://example.com/record/", 200),
        ("https://example.com:8443", "https://example.com:443/record/", 403),
        ("https://example.com:8443", "https://example.com:8444/record/", 403),
        ("https://example.com/", "https://example.com:443/record/", 200),
        ("https://example.com", "https://example.com:8443/record/", 403),
        ("https://example.com/in/here/", "https://example.com/in/here/record/", 200),
        ("https://example.com/in/here", "https://example.com/record/", 403),
        ("https://Example.com", "https://Example.com/record/", 200),
    ] {
        let world = World::with(&[("BASE_URL", base)]).await;
        let answer = world.signed(Method::POST, "/record/", &sign(signed, &CALL_PARAMS), &form).await;
        assert_eq!(answer.status, status, "{signed} at {base}");
    }
}

#[tokio::test]
async fn an_unsigned_request_is_refused_before_its_body_arrives() {
    let world = World::new().await;
    for path in ["/record/", "/record/done/", "/hooks/twilio/call", "/hooks/twilio/recording"] {
        let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
        let answer = world.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
    }
    let request = "POST /hooks/assemblyai?job=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n";
    let answer = world.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn two_signature_headers_are_refused() {
    let world = World::new().await;
    let url = format!("{}/record/", world.base);
    let good = sign(&url, &CALL_PARAMS);
    for second in [good.as_str(), "x", ""] {
        for pair in [[good.as_str(), second], [second, good.as_str()]] {
            let mut request = world.http.post(&url).header(FORM.0, FORM.1).body(encode(&CALL_PARAMS));
            for value in pair {
                request =
                    request.header(HeaderName::from_static(signature::HEADER), HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(request.send().await.expect("an answer").status(), 403, "{pair:?}");
        }
    }
}

#[test]
fn the_settings_header_names_one_key_and_an_algorithm() {
    for (header, expected) in [
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1", Some(("webhooks_sharedkey_1", HmacSha1))),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", Some(("webhooks_sharedkey_1", HmacSha256))),
        (" algorithm = hmac_sha256 , key = k , later=1", Some(("k", HmacSha256))),
        ("key=k", Some(("k", HmacSha1))),
        ("key=k,algorithm=", None),
        ("key=k,algorithm=none", None),
        ("key=k,algorithm=HMAC_SHA512", None),
        ("key=k,key=k", None),
        ("key=k,algorithm=HMAC_SHA1,algorithm=HMAC_SHA256", None),
        ("key=,algorithm=HMAC_SHA1", None),
        ("KEY=k,algorithm=HMAC_SHA1", None),
        ("algorithm=HMAC_SHA1", None),
        ("k", None),
        ("", None),
    ] {
        let read = SignatureSettings::parse(header).map(|settings| (settings.key_id, settings.algorithm));
        assert_eq!(read, expected, "{header}");
    }
}

/// Two shared keys, as while one replaces the other. A secret may contain `=`.
const SHARED_KEYS: [(&str, &str); 2] =
    [("webhooks_sharedkey_old", "old-shared-secret"), ("webhooks_sharedkey_new", "new=shared=secret==")];

async fn world_with_shared_keys() -> World {
    let [old, new] = SHARED_KEYS.map(|(id, secret)| format!("{id}={secret}"));
    World::with(&[("TWILIO_SHARED_KEYS", &format!("{old}, {new}"))]).await
}

fn shared_key((id, secret): (&str, &str), algorithm: Algorithm) -> SharedKey {
    SharedKey { id: id.to_owned(), secret: secret.to_owned(), algorithm }
}

#[tokio::test]
async fn calls_are_recorded_whichever_of_its_keys_twilio_signs_with() {
    let world = world_with_shared_keys().await;
    let [old, new] = SHARED_KEYS;
    let keys = [old, new].map(|key| [HmacSha1, HmacSha256].map(|algorithm| shared_key(key, algorithm)));
    // While rules send a part of the callbacks, the others are signed with the auth token.
    for key in keys.into_iter().flatten().map(Some).chain([None]) {
        world.twilio.sign_with(key.clone());
        let (call, recording) = world.recorded_call().await;
        let sent = world.twilio.deliveries();
        assert!(sent.iter().all(|sent| sent.status.is_some_and(|status| status < 300)), "{key:?}: {sent:?}");
        world.settle().await;
        let call = world.call(&call).await;
        assert_eq!((&call["progress"], &call["recordings"][0]["sid"]), (&"done".into(), &recording.into()), "{key:?}");
    }
}

#[tokio::test]
async fn a_callback_is_checked_with_the_key_and_the_algorithm_that_it_names_and_no_other() {
    let world = world_with_shared_keys().await;
    let url = format!("{}/record/", world.base);
    let [(old, old_secret), (new, new_secret)] = SHARED_KEYS;
    let send = async |settings: &str, secret: &str, algorithm| {
        let signature = signature::sign(algorithm, secret, &url, &owned(&CALL_PARAMS));
        let headers = [FORM, (signature::HEADER, &signature), (SETTINGS_HEADER, settings)];
        world.send(Method::POST, "/record/", &headers, &encode(&CALL_PARAMS)).await
    };
    let (sha1, sha256) = (format!("key={old},algorithm=HMAC_SHA1"), format!("key={old},algorithm=HMAC_SHA256"));
    assert_eq!(send(&sha1, old_secret, HmacSha1).await.status, 200);
    assert_eq!(send(&sha256, old_secret, HmacSha256).await.status, 200);
    for (settings, secret, algorithm) in [
        (&*sha1, old_secret, HmacSha256),
        (&sha256, old_secret, HmacSha1),
        (&sha1, new_secret, HmacSha1),
        (&sha1, AUTH_TOKEN, HmacSha1),
        (&sha1, "", HmacSha1),
        (&format!("key={old}2,algorithm=HMAC_SHA1"), old_secret, HmacSha1),
        (&format!("key={},algorithm=HMAC_SHA1", old.to_uppercase()), old_secret, HmacSha1),
        (&format!("key={old},key={new},algorithm=HMAC_SHA1"), old_secret, HmacSha1),
        (&format!("key={old},algorithm=none"), old_secret, HmacSha1),
        ("key=1,algorithm=HMAC_SHA1", AUTH_TOKEN, HmacSha1),
        ("algorithm=HMAC_SHA1", AUTH_TOKEN, HmacSha1),
        ("algorithm=none", AUTH_TOKEN, HmacSha1),
        ("", AUTH_TOKEN, HmacSha1),
    ] {
        assert_refused(&send(settings, secret, algorithm).await);
    }
    // Without the header, a signature is by an auth token.
    let by_shared_key = signature::sign(HmacSha1, old_secret, &url, &owned(&CALL_PARAMS));
    assert_refused(&world.signed(Method::POST, "/record/", &by_shared_key, &encode(&CALL_PARAMS)).await);
}

#[tokio::test]
async fn a_callback_with_an_unknown_shared_key_is_told_in_the_log_and_for_a_day_on_the_pages() {
    let is_told = async |world: &World| {
        let page = world.get_with("/", &[("accept", "text/html")]).await.text();
        page.contains("TWILIO_SHARED_KEYS")
    };
    let id = "webhooks_sharedkey_that_nobody_has_set";
    for (key, line) in
        [((id, "any"), id), ((SHARED_KEYS[0].0, "another secret"), "does not fit its key in TWILIO_SHARED_KEYS")]
    {
        let world = world_with_shared_keys().await;
        assert!(!is_told(&world).await);
        world.twilio.sign_with(Some(shared_key(key, HmacSha256)));
        let sid = world.dial("14155551234").await;
        world.twilio.settled().await;
        let sent = world.twilio.deliveries();
        assert!(sent.iter().all(|sent| sent.status == Some(403)), "{sent:?}");
        assert_eq!(world.twilio.recordings_of(&sid), [""; 0]);
        assert!(log::lines_with(line).iter().any(|line| line.contains("TWILIO_SHARED_KEYS")));
        assert!(is_told(&world).await, "{line}");
        world.clock.advance(Duration::from_hours(23));
        assert!(is_told(&world).await, "{line}");
        world.clock.advance(Duration::from_hours(2));
        assert!(!is_told(&world).await, "{line}");
    }
}

#[tokio::test]
async fn the_log_has_no_shared_key_that_is_none() {
    let world = world_with_shared_keys().await;
    for id in ["forged-key \u{1b}[31m", &"k".repeat(1_000)] {
        let settings = format!("key={id},algorithm=HMAC_SHA1");
        let settings =
            HeaderValue::from_bytes(settings.as_bytes()).unwrap_or(HeaderValue::from_static("key=forged-key!"));
        let request = world.http.post(format!("{}/record/", world.base)).header(SETTINGS_HEADER, settings);
        let answer = request.header(signature::HEADER, "x").send().await.expect("an answer");
        assert_eq!(answer.status(), 403);
    }
    assert_eq!(log::lines_with("forged-key"), [""; 0]);
    assert_eq!(log::lines_with(&"k".repeat(101)), [""; 0]);
}

#[tokio::test]
async fn a_callback_of_another_account_is_refused() {
    let world = World::new().await;
    for other in ["ACffffffffffffffffffffffffffffffff", "", &ACCOUNT_SID.to_lowercase(), &ACCOUNT_SID[..33]] {
        let params = [("AccountSid", other), ("CallSid", CALL), ("CallStatus", "ringing")];
        for path in ["/record/", "/record/done/", "/hooks/twilio/call", "/hooks/twilio/recording"] {
            let detail = world.callback(path, &params).await.problem(403, "forbidden");
            assert_eq!(detail, "this callback belongs to another Twilio account");
        }
    }
}

#[tokio::test]
async fn a_callback_must_name_its_account_exactly_once() {
    let world = World::new().await;
    let twice = [("AccountSid", ACCOUNT_SID), ("AccountSid", ACCOUNT_SID), ("CallSid", CALL)];
    let with_another = [("AccountSid", ACCOUNT_SID), ("AccountSid", "AC1"), ("CallSid", CALL)];
    let wrong_case = [("accountsid", ACCOUNT_SID), ("CallSid", CALL)];
    for params in [&CALL_PARAMS[1..], &twice, &with_another, &wrong_case] {
        let detail = world.callback("/record/", params).await.problem(400, "bad-request");
        assert_eq!(detail, "AccountSid: expected once");
    }
    // A POST must have it in the body, not in the query.
    let path = format!("/record/?AccountSid={ACCOUNT_SID}");
    assert_eq!(world.callback(&path, &CALL_PARAMS[1..]).await.status, 400);
}

#[tokio::test]
async fn a_callback_may_have_at_most_64_kib() {
    let world = World::new().await;
    let send = async |length: usize| {
        let start = encode(&CALL_PARAMS) + "&Padding=";
        let form = start.clone() + &"x".repeat(length - start.len());
        let params: Vec<Param> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let signature = signature::sign(HmacSha1, AUTH_TOKEN, &format!("{}/record/", world.base), &params);
        world.signed(Method::POST, "/record/", &signature, &form).await
    };
    for length in [(64 << 10) - 1, 64 << 10] {
        assert_eq!(send(length).await.status, 200, "{length}");
    }
    for length in [(64 << 10) + 1, 80 << 10] {
        send(length).await.problem(413, "too-large");
    }
}
