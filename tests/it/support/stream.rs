//! A client of server-sent events: opens the stream of `/events` and reads it. It knows the format of the events, not
//! their meaning.

use reqwest::StatusCode;
use serde_json::Value;

use super::Answer;
use super::front::GIVEN_UP;

/// A stream. Closed when it is dropped.
pub(crate) struct Stream {
    response: reqwest::Response,
    unread: String,
}

/// An event.
#[derive(Debug)]
pub(crate) struct Told {
    /// The id to resume after.
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Stream {
    /// Opens a stream at the program at `base`. Returns the response if no stream is opened.
    pub(crate) async fn open(
        http: &reqwest::Client,
        base: &str,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        let mut request = http.get(format!("{base}/events{query}")).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        if response.status() != StatusCode::OK {
            return Err(Answer::of(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Ok(Self { response, unread: String::new() })
    }

    /// Reads until the stream ends. Returns whether it was cut off.
    pub(crate) async fn is_cut_off(&mut self) -> bool {
        loop {
            match tokio::time::timeout(GIVEN_UP, self.response.chunk()).await.expect("the end of the stream") {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    /// The next event that is not a mere sign of life. `None` if the stream ended properly; fails if it was cut off.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let told = field("data:").map(|data| Told {
                    id: field("id:").unwrap_or_default().to_owned(),
                    data: serde_json::from_str(data).expect("JSON"),
                });
                let is_sign_of_life = field("event:") == Some("alive");
                self.unread = rest.to_owned();
                if told.is_some() && !is_sign_of_life {
                    return told;
                }
            }
            let piece = tokio::time::timeout(GIVEN_UP, self.response.chunk()).await.expect("an event");
            let piece = piece.expect("a stream that is not cut off")?;
            self.unread += std::str::from_utf8(&piece).expect("UTF-8");
        }
    }

    /// Reads until an event says that `id` changed. Returns the id of that event.
    pub(crate) async fn until_changed(&mut self, id: &str) -> String {
        loop {
            let told = self.next().await.expect("a stream that goes on");
            if told.data["changed"].as_array().expect("ids").iter().any(|changed| changed == id) {
                return told.id;
            }
        }
    }
}
