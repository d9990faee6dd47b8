//! Parses the settings of webhooks.

use super::WebhookConfig;
use super::env::Env;
use crate::clients::webhook::Reach;
use crate::model::receiver::MOST_RECEIVERS;
use crate::model::signing_secret::SigningSecret;

/// What stands between the URL of a receiver and the rest of its secret.
const SECRET: &str = "=whsec_";

pub(super) fn read_webhooks(env: &mut Env, sandbox: bool) -> Option<WebhookConfig> {
    let to_private = env.read("WEBHOOKS_TO_PRIVATE_ADDRESSES", |text| {
        text.parse::<bool>().map_err(|_| "expected true or false".to_owned())
    });
    let reach = match to_private? {
        true => Reach::Anywhere,
        false if sandbox => Reach::ThisComputer,
        false => Reach::Internet,
    };
    let receivers = env.read_if_set("WEBHOOKS", |text| receivers(text, reach))?;
    Some(WebhookConfig { receivers: receivers.unwrap_or_default(), reach })
}

/// Parses `https://…=whsec_…,https://…=whsec_…`. A URL may contain commas and `=`.
fn receivers(text: &str, reach: Reach) -> Result<Vec<(String, SigningSecret)>, String> {
    let expected = || "expected receivers as https://…=whsec_…, separated by commas".to_owned();
    let (mut receivers, mut open) = (Vec::new(), String::new());
    for part in text.split(',') {
        open += part;
        let Some((url, secret)) = open.rsplit_once(SECRET) else {
            open.push(',');
            continue;
        };
        let secret = format!("whsec_{}", secret.trim()).parse::<SigningSecret>().map_err(|bad| bad.to_string())?;
        let url = reach.parse(url.trim()).map_err(|bad| bad.to_string())?.to_string();
        if receivers.iter().any(|(known, _)| *known == url) {
            return Err("expected each URL once".to_owned());
        }
        receivers.push((url, secret));
        open.clear();
    }
    if receivers.len() > MOST_RECEIVERS {
        return Err(format!("expected at most {MOST_RECEIVERS} receivers"));
    }
    if open.is_empty() && !receivers.is_empty() { Ok(receivers) } else { Err(expected()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_contain_what_separates_receivers() {
        const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let urls = |text: &str| {
            let read = receivers(text, Reach::Internet);
            read.map(|all| all.into_iter().map(|(url, _)| url).collect::<Vec<_>>())
        };
        let text = format!("https://a.example/?b=c,d={KEY}, https://b.example={KEY}");
        assert_eq!(urls(&text).unwrap(), ["https://a.example/?b=c,d", "https://b.example/"]);
        assert_eq!(urls(&format!("https://a.example/={KEY}=whsec_x={KEY}")).unwrap().len(), 1);
        for text in ["https://a.example/", "", ",", &format!("https://a.example={KEY},"), &format!("={KEY}")] {
            assert!(urls(text).is_err(), "{text}");
        }
    }
}
