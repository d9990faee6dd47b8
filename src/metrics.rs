//! What `/metrics` tells: every name, help text and label. The rooms count in what is defined here; what waits in the database
//! is read when somebody asks. A label has few values, and is never a number, a name or an id.
//!
//! Counting takes a read lock of a family and the lock of one histogram: a quarter of a microsecond.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The media type of what [`Metrics::write`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Of jobs, calls and deliveries at most this many are counted, so that a scrape stays short.
pub const MOST_COUNTED: i64 = 10_000;

/// Upper bounds of the buckets, in seconds.
const OF_RESPONSES: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const OF_REQUESTS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0];
const OF_TRANSACTIONS: [f64; 9] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Durations, by labels.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// A gauge of what is no whole number.
type Amount = Gauge<f64, AtomicU64>;

/// Responses of ours.
#[derive(Debug, Clone)]
pub struct Responses(Durations<[(&'static str, Cow<'static, str>); 3]>);

/// Requests to others. A retry is a request of its own.
#[derive(Debug, Clone)]
pub struct Requests(Durations<Labels<3>>);

/// Transactions, and what they have added to the history.
#[derive(Debug, Clone)]
pub struct Transactions {
    all: Durations<Labels<1>>,
    commits: Histogram,
    events: Family<Labels<2>, Counter>,
}

/// The connections of the listener.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    open: Family<Labels<1>, Gauge>,
    most: Family<Labels<1>, Gauge>,
    /// Connections for which there was no slot.
    pub refused: Counter,
    /// Connections that were closed for another one.
    pub evicted: Counter,
}

/// What this process counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub responses: Responses,
    pub requests: Requests,
    pub connections: Connections,
    /// Open streams of `/events`.
    pub streams: Gauge,
}

/// What is so at the moment of a scrape.
#[derive(Debug)]
pub struct Moment {
    /// Whether each vendor has refused our credentials at the last request.
    pub refusals: Vec<(&'static str, bool)>,
    /// Whether the last check could write to the database.
    pub is_writable: bool,
    /// `None` if the database could not be read.
    pub waiting: Option<Waiting>,
    /// What was ordered of the budget of the day and the budget, in dollars.
    pub budget: Option<[f64; 2]>,
}

/// What waits in the database, which all instances share.
#[derive(Debug, Default)]
pub struct Waiting {
    pub jobs: Vec<Jobs>,
    /// How many calls there are of each progress.
    pub calls: Vec<(&'static str, i64)>,
    pub deliveries: Vec<Deliveries>,
}

/// The jobs of one kind that stand alike.
#[derive(Debug)]
pub struct Jobs {
    pub kind: &'static str,
    pub state: &'static str,
    pub count: i64,
    /// For how many seconds the first of them has been due.
    pub oldest: f64,
}

/// The deliveries that wait for receivers of one state.
#[derive(Debug)]
pub struct Deliveries {
    pub receivers: &'static str,
    pub count: i64,
    /// The age, in seconds, of the event that the oldest of them reports.
    pub oldest: f64,
}

impl Default for Responses {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(OF_RESPONSES)))
    }
}

impl Responses {
    /// `route` is the pattern of the path, without the slash at its end.
    pub fn note(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let status = status.to_string().into();
        let labels = [("method", method.into()), ("route", route.into()), ("status", status)];
        self.0.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(OF_REQUESTS)))
    }
}

impl Requests {
    pub fn note(&self, service: &'static str, operation: &'static str, outcome: &'static str, took: Duration) {
        let labels = [("service", service), ("operation", operation), ("outcome", outcome)];
        self.0.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            all: Family::new_with_constructor(|| Histogram::new(OF_TRANSACTIONS)),
            commits: Histogram::new(OF_TRANSACTIONS),
            events: Family::default(),
        }
    }
}

impl Transactions {
    /// A transaction has ended; it waited this long for its commit, unless it failed before.
    pub fn note(&self, outcome: &'static str, took: Duration, commit: Option<Duration>) {
        self.all.get_or_create(&[("outcome", outcome)]).observe(took.as_secs_f64());
        if let Some(commit) = commit {
            self.commits.observe(commit.as_secs_f64());
        }
    }

    /// Something came to a state.
    pub fn note_event(&self, subject: &'static str, state: &'static str) {
        self.events.get_or_create(&[("subject", subject), ("state", state)]).inc();
    }
}

impl Connections {
    /// How many are open, in reserved slots or in all others.
    pub fn open(&self, is_reserved: bool) -> Gauge {
        self.open.get_or_create_owned(&[("slots", slots(is_reserved))])
    }

    /// Sets how many there may be.
    pub fn limit(&self, is_reserved: bool, most: usize) {
        self.most.get_or_create(&[("slots", slots(is_reserved))]).set(most.try_into().unwrap_or(i64::MAX));
    }
}

fn slots(is_reserved: bool) -> &'static str {
    if is_reserved { "reserved" } else { "general" }
}

impl Metrics {
    /// `started_at` is in seconds since 1970.
    pub fn new(started_at: f64, transactions: &Transactions) -> Self {
        let mut registry = Registry::default();
        let (responses, requests, connections, streams) =
            (Responses::default(), Requests::default(), Connections::default(), Gauge::default());
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("callscribe_build", "The version of the program", version);
        registry.register_with_unit(
            "process_start_time",
            "When the program was started, since 1970",
            Unit::Seconds,
            amount(started_at),
        );
        registry.register_with_unit(
            "callscribe_http_request_duration",
            "Time until a response began, by the pattern of the route",
            Unit::Seconds,
            responses.0.clone(),
        );
        registry.register("callscribe_event_streams", "Open streams of server-sent events", streams.clone());
        registry.register("callscribe_connections", "Open connections", connections.open.clone());
        registry.register("callscribe_connections_limit", "How many there may be", connections.most.clone());
        registry.register(
            "callscribe_connections_refused",
            "Connections that were refused because no slot was free",
            connections.refused.clone(),
        );
        registry.register(
            "callscribe_connections_evicted",
            "Connections that were closed for a new one because they waited for their client",
            connections.evicted.clone(),
        );
        registry.register_with_unit(
            "callscribe_vendor_request_duration",
            "Time of each request to a vendor, the archive or a receiver of webhooks",
            Unit::Seconds,
            requests.0.clone(),
        );
        registry.register_with_unit(
            "callscribe_database_transaction_duration",
            "Time of each transaction, with its wait for others and for its commit",
            Unit::Seconds,
            transactions.all.clone(),
        );
        registry.register_with_unit(
            "callscribe_database_commit_duration",
            "Time that a transaction waited for its commit, which others may share",
            Unit::Seconds,
            transactions.commits.clone(),
        );
        registry.register(
            "callscribe_events",
            "How often a call, a leg, a recording or a transcript came to a state",
            transactions.events.clone(),
        );
        Self { registry, responses, requests, connections, streams }
    }

    /// Writes all of it in the text format of OpenMetrics.
    pub fn write(&self, moment: &Moment) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(64 << 10);
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &moment.registry())?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Moment {
    fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let is = |fact: bool| f64::from(u8::from(fact));
        registry.register(
            "callscribe_vendor_credentials_refused",
            "Whether the vendor refused our credentials at the last request",
            family(self.refusals.iter().map(|(service, refuses)| ([("service", *service)], is(*refuses)))),
        );
        registry.register(
            "callscribe_database_writable",
            "Whether the last check could write to the database",
            amount(is(self.is_writable)),
        );
        registry.register(
            "callscribe_database_readable",
            "Whether this scrape could read the database; if not, what waits there is left out",
            amount(is(self.waiting.is_some())),
        );
        if let Some(Waiting { jobs, calls, deliveries }) = &self.waiting {
            registry.register(
                "callscribe_jobs",
                "Jobs that are due, waiting for their time, running or failed",
                family(jobs.iter().map(|of| ([("kind", of.kind), ("state", of.state)], of.count as f64))),
            );
            let due = jobs.iter().filter(|of| of.state == DUE);
            registry.register_with_unit(
                "callscribe_jobs_oldest_due_age",
                "How long the first due job of the kind has been due",
                Unit::Seconds,
                family(due.map(|of| ([("kind", of.kind)], of.oldest))),
            );
            registry.register(
                "callscribe_calls",
                "Calls that something is still done for",
                family(calls.iter().map(|(progress, count)| ([("progress", *progress)], *count as f64))),
            );
            registry.register(
                "callscribe_deliveries_waiting",
                "Deliveries that wait, by the state of their receivers",
                family(deliveries.iter().map(|of| ([("receivers", of.receivers)], of.count as f64))),
            );
            registry.register_with_unit(
                "callscribe_deliveries_oldest_age",
                "Age of the event that the oldest waiting delivery reports",
                Unit::Seconds,
                family(deliveries.iter().map(|of| ([("receivers", of.receivers)], of.oldest))),
            );
        }
        if let Some([ordered, budget]) = self.budget {
            let dollars = || Unit::Other("dollars".to_owned());
            registry.register_with_unit("callscribe_budget", "BUDGET_PER_DAY", dollars(), amount(budget));
            registry.register_with_unit(
                "callscribe_budget_ordered",
                "What was ordered of it within 24 hours",
                dollars(),
                amount(ordered),
            );
        }
        registry
    }
}

/// The state of a job that runs as soon as somebody is free.
pub const DUE: &str = "due";

fn amount(value: f64) -> Amount {
    let amount = Amount::default();
    amount.set(value);
    amount
}

fn family<const N: usize>(values: impl Iterator<Item = (Labels<N>, f64)>) -> Family<Labels<N>, Amount> {
    let family = Family::<Labels<N>, Amount>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    family
}
