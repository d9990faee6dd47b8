//! The vendors' callbacks, from signature to store: a callback without valid proof is never accepted, and one with proof
//! never gets a 5xx.

#![no_main]

mod program;

use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use callscribe::internals::signature::{self, Algorithm, Param};
use callscribe::internals::{SECRET_HEADER, WebhookSecrets};
use callscribe::sandbox::{assemblyai, twilio};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::{Corpus, fuzz_target};
use program::{BASE, Program};
use url::form_urlencoded;

static PROGRAM: LazyLock<Program> = LazyLock::new(Program::start);

static SECRETS: LazyLock<WebhookSecrets> = LazyLock::new(|| WebhookSecrets::new(assemblyai::API_KEY.into()));

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    route: Route,
    /// Whether the sender has the key.
    is_proved: bool,
    /// The start of a form.
    begin: Begin,
    query: &'a str,
    body: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Route {
    RecordDone,
    Call,
    Recording,
    Transcript,
}

#[derive(Debug, Arbitrary)]
enum Begin {
    Nothing,
    Account,
    Call,
    Recording,
}

impl Begin {
    fn form(&self) -> String {
        const CALL: &str = "CallSid=CA0123456789abcdef0123456789abcdef&";
        const RECORDING: &str = "RecordingSid=RE0123456789abcdef0123456789abcdef&";
        let ours = format!("AccountSid={}&", twilio::ACCOUNT_SID);
        match self {
            Self::Nothing => String::new(),
            Self::Account => ours,
            Self::Call => ours + CALL,
            Self::Recording => ours + CALL + RECORDING,
        }
    }
}

fuzz_target!(|input: Input| -> Corpus {
    let sent = match input.route {
        Route::RecordDone => send_as_twilio("/record/done/", &input),
        Route::Call => send_as_twilio("/hooks/twilio/call", &input),
        Route::Recording => send_as_twilio("/hooks/twilio/recording", &input),
        Route::Transcript => send_as_assemblyai(&input),
    };
    if sent.is_some() { Corpus::Keep } else { Corpus::Reject }
});

/// Returns `None` if the input is not a valid HTTP request.
fn send_as_twilio(path: &str, input: &Input) -> Option<()> {
    let body = [input.begin.form().as_bytes(), input.body].concat();
    let params: Vec<Param> = form_urlencoded::parse(&body).into_owned().collect();
    let request = Request::post(format!("{path}?{}", input.query)).body(Body::from(body)).ok()?;
    let url = format!("{BASE}{}", request.uri().path_and_query()?);
    let key = if input.is_proved { twilio::AUTH_TOKEN } else { "another" };
    let signed = signature::sign(Algorithm::HmacSha1, key, &url, &params);
    let status = send(request, &[(header::CONTENT_TYPE.as_str(), FORM), (signature::HEADER, &signed)])?;

    let accounts: Vec<&str> =
        params.iter().filter(|(name, _)| name == "AccountSid").map(|(_, account)| account.as_str()).collect();
    // A URL that promises a body hash requires that body, which a form is not.
    let is_proved = input.is_proved && signature::promised_body_hash(&url).is_none();
    match (is_proved, &accounts[..]) {
        (true, [account]) if *account == twilio::ACCOUNT_SID => {
            assert!(status.is_success() || status == StatusCode::BAD_REQUEST, "{status}");
        }
        (true, [_]) => assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN), "{status}"),
        (true, _) => assert_eq!(status, StatusCode::BAD_REQUEST),
        // The program parses the query before it checks the signature.
        (false, _) => assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN), "{status}"),
    }
    Some(())
}

/// Returns `None` if the input is not a valid HTTP request.
fn send_as_assemblyai(input: &Input) -> Option<()> {
    let request = Request::post(format!("/hooks/assemblyai?{}", input.query));
    let request = request.body(Body::from(input.body.to_vec())).ok()?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let job = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "job");
    let job = job.map(|(_, job)| job.into_owned()).unwrap_or_default();
    let secret = SECRETS.secret(&if input.is_proved { job.clone() } else { "another".to_owned() }.into());
    let status = send(request, &[(SECRET_HEADER, &secret)])?;
    if input.is_proved || job == "another" {
        assert!(status.is_success() || status == StatusCode::BAD_REQUEST, "{status}");
    } else {
        assert!(status.is_client_error(), "{status}");
    }
    Some(())
}

fn send(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Option<StatusCode> {
    for (name, value) in headers {
        let name = name.parse::<header::HeaderName>().ok()?;
        request.headers_mut().insert(name, value.parse().ok()?);
    }
    Some(PROGRAM.handle(request, SocketAddr::from(([192, 0, 2, 1], 50_000))))
}
