//! Pages that belong to nothing else, the manual, logging in, and what machines ask.

use serde_json::json;

use super::operation::{Caller, FORM, Group, get, post};
use crate::web::ready::Detail;

pub(super) fn group() -> Group {
    let form = json!({
        "schema": {
            "type": "object", "required": ["token"],
            "properties": {
                "token": { "type": "string" },
                "next": { "type": "string", "description": "Where to go on to." },
                "form": { "type": "string", "description": "A form that was sent before." },
            },
        },
    });
    let rpc = json!({
        "type": "object", "required": ["jsonrpc", "method"],
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "type": ["integer", "string"], "description": "Notifications have none." },
            "method": { "type": "string" },
            "params": { "type": "object" },
        },
    });
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let markdown = "The same for clients that do not ask for HTML.";
    let operations = vec![
        get("/", "show_home", "A page with a form to dial, and the newest calls").page(),
        get("/help", "get_manual", "The manual")
            .answers(200, markdown, "text/markdown", json!({ "type": "string" }))
            .page(),
        get("/help/{file}", "get_manual_page", "A page of the manual, or a picture in it")
            .answers(200, markdown, "text/markdown", json!({ "type": "string" }))
            .file(200, "image/png", "")
            .page()
            .refused(&["no-such-path"]),
        get("/openapi.json", "get_description", "This description of the API").answers(
            200,
            "OpenAPI 3.1.",
            "application/json",
            json!({ "type": "object" }),
        ),
        get("/login", "show_login", "A page to log in, or the printed link that logs a browser in")
            .of(Caller::Anyone)
            .page()
            .nothing(303, "Logged in, or being here is enough: the address to go on to, in `Location`.")
            .refused(&["database", "forbidden", "speculative", "token-needed", "used-link"]),
        post("/login", "log_in", "Opens a session of a browser")
            .of(Caller::Anyone)
            .body_of(FORM, form)
            .nothing(303, "The cookie is in `Set-Cookie`, and the address to go on to in `Location`.")
            .refused(&["database", "forbidden", "speculative", "token-needed", "too-many-guesses", "wrong-token"]),
        post("/logout", "log_out", "Ends the session of a browser")
            .nothing(303, "The address of the log-in page is in `Location`."),
        get("/assets/{file}", "get_asset", "A file that pages need")
            .of(Caller::Anyone)
            .file(200, "text/css", "The file.")
            .file(200, "text/javascript", "")
            .file(200, "image/svg+xml", "")
            .refused(&["forbidden", "no-such-path", "token-needed"]),
        get("/metrics", "get_metrics", "What was counted and what waits, for Prometheus").answers(
            200,
            "OpenMetrics.",
            "application/openmetrics-text",
            json!({ "type": "string" }),
        ),
        post("/mcp", "use_tools", "The Model Context Protocol, for agents")
            .says("A request of JSON-RPC 2.0. `Accept` must have `application/json` and `text/event-stream`. See [Agents](/help/agents).")
            .body_of("application/json", json!({ "schema": rpc, "example": list }))
            .answers(200, "The response of JSON-RPC.", "application/json", json!({ "type": "object" }))
            .nothing(202, "A notification was read."),
        get("/healthz", "is_alive", "Says that the program runs").of(Caller::Anyone).text("`ok`."),
        get("/readyz", "is_ready", "Says whether the database can be written")
            .of(Caller::Anyone)
            .query::<Detail>()
            .text("`ok`, and with `verbose` a line for each warning.")
            .refused(&["database"]),
        get("/_probe/{nonce}", "arrive", "callscribe's own check of `BASE_URL`")
            .of(Caller::Anyone)
            .text("How the probe looks.")
            .refused(&["forbidden", "token-needed"]),
    ];
    Group { name: "The program", says: "Pages, the manual, logging in, and what machines ask.", operations }
}
