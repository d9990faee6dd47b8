//! `/cost`: what calls and transcripts cost, by month, model and contact, and how much of the budget is taken. A page, and the
//! same as JSON.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::extract::{Query, wants_page};
use super::pages::Notices;
use super::response::page;
use super::zone::Zone;
use crate::context::Shared;
use crate::model::dollars::Dollars;
use crate::pipeline::budget::{self, Budget};
use crate::pipeline::costs::{Month, report, this_month};
use crate::store::{CallCosts, PartyCosts, TranscriptCosts};

/// The query.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The time zone of the months: a name such as `Europe/Berlin`, or an offset.
    #[param(example = "Europe/Berlin")]
    zone: String,
    /// The month of models and contacts, such as `2026-11`, or `all`.
    #[param(example = "2026-11")]
    month: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CostView {
    zone: String,
    /// `None` for all time.
    month: Option<String>,
    months: Vec<MonthView>,
    models: Vec<ModelView>,
    contacts: Vec<ContactView>,
    budget: Option<BudgetView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct MonthView {
    month: String,
    cost_usd: Dollars,
    transcripts: i64,
    transcripts_usd: Dollars,
    /// Of how many of these transcripts it is not known.
    unknown: i64,
    /// Those of which Twilio has said what they cost, in US dollars.
    calls: i64,
    calls_usd: Dollars,
    /// What is in no sum.
    other_currencies: Vec<OtherView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtherCurrency)]
struct OtherView {
    price: f64,
    price_unit: String,
    calls: i64,
    /// For people.
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelCost)]
struct ModelView {
    model: Option<String>,
    transcripts: i64,
    unknown: i64,
    cost_usd: Dollars,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactCost)]
struct ContactView {
    number: Option<String>,
    name: Option<String>,
    cost_usd: Dollars,
}

#[derive(Debug, Serialize, ToSchema)]
struct BudgetView {
    per_day_usd: Dollars,
    ordered_usd: Dollars,
    left_usd: Dollars,
    is_reached: bool,
}

#[derive(Template)]
#[template(path = "cost.html", config = "src/web/pages/askama.toml")]
struct CostPage {
    notices: Notices,
    view: CostView,
    /// Whether the browser has told its zone.
    has_zone: bool,
}

pub(super) async fn show(
    State(context): State<Shared>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let is_page = wants_page(&headers);
    let Zone { zone, name } = Zone::named(&asked.zone, is_page)?;
    let of = match asked.month.trim() {
        "" => Some(this_month(&context, &zone)),
        "all" => None,
        month => Some(month_named(month)?),
    };
    let found = report(&context, &zone, of).await?;
    let view = CostView {
        zone: name,
        month: of.map(written),
        months: found.months.iter().map(MonthView::of).collect(),
        models: found.models.into_iter().map(ModelView::of).collect(),
        contacts: found.contacts.into_iter().map(ContactView::of).collect(),
        budget: budget::state(&context).await?.map(BudgetView::of),
    };
    if !is_page {
        return Ok(Json(view).into_response());
    }
    let has_zone = !asked.zone.trim().is_empty();
    Ok(page(CostPage { notices: Notices::of_list(&context).await?, view, has_zone }.render()))
}

fn month_named(month: &str) -> Result<Date, ApiError> {
    let day = format!("{month}-01").parse::<Date>();
    day.map_err(|_| ApiError::BadRequest("month: expected a month such as 2026-11, or all".to_owned()))
}

fn written(first: Date) -> String {
    first.strftime("%Y-%m").to_string()
}

impl CostView {
    /// The address of the same for another month.
    fn of_month(&self, month: &str) -> String {
        format!("/cost?month={month}&zone={}", self.zone.replace('+', "%2B"))
    }
}

impl MonthView {
    fn of(Month { first, transcripts, calls }: &Month) -> Self {
        let in_dollars = calls.iter().find_map(|one| Some((one.calls, one.price.in_dollars()?)));
        let (calls_in_dollars, calls_usd) = in_dollars.unwrap_or_default();
        let others = calls.iter().filter(|one| one.price.in_dollars().is_none());
        Self {
            month: written(*first),
            cost_usd: transcripts.cost + calls_usd,
            transcripts: transcripts.transcripts,
            transcripts_usd: transcripts.cost,
            unknown: transcripts.unknown,
            calls: calls_in_dollars,
            calls_usd,
            other_currencies: others.map(OtherView::of).collect(),
        }
    }
}

impl OtherView {
    fn of(CallCosts { calls, price }: &CallCosts) -> Self {
        let shown = price.to_string();
        Self { price: price.amount(), price_unit: price.unit.clone(), calls: *calls, shown }
    }
}

impl ModelView {
    fn of((model, costs): (Option<String>, TranscriptCosts)) -> Self {
        Self { model, transcripts: costs.transcripts, unknown: costs.unknown, cost_usd: costs.cost }
    }
}

impl ContactView {
    fn of(PartyCosts { number, name, cost }: PartyCosts) -> Self {
        Self { number, name, cost_usd: cost }
    }
}

impl BudgetView {
    fn of(Budget { per_day, ordered, is_reached }: Budget) -> Self {
        let left_usd = (per_day - ordered).max(Dollars::default());
        Self { per_day_usd: per_day, ordered_usd: ordered, left_usd, is_reached }
    }
}
