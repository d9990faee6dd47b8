//! Tokens by name and right.

use serde_json::json;

use super::operation::{Group, Operation, delete, get, post};
use crate::web::tokens::{NewTokenView, Sent, TokenList, TokenView};

pub(super) fn group() -> Group {
    let gone = |operation: Operation| operation.nothing(204, "It is revoked.").page().refused(&["no-such-token"]);
    let operations = vec![
        get("/tokens", "list_tokens", "Lists the named tokens")
            .json::<TokenList>(200, "All of them: there can be only so few that no page ends.")
            .page(),
        post("/tokens", "make_token", "Makes a token")
            .body::<Sent>(json!({ "name": "the clinic's reports", "rights": ["read"] }))
            .json::<NewTokenView>(201, "The token, which no other answer has. Its address is in `Location`.")
            .answers(200, "To a browser: the page with the token.", "text/html", json!({ "type": "string" }))
            .refused(&["same-token", "too-many-tokens"]),
        get("/tokens/{id}", "get_token", "Returns a token, but for its text")
            .json::<TokenView>(200, "The token.")
            .nothing(303, "To a browser: the address of the page that shows it, in `Location`.")
            .refused(&["no-such-token"]),
        gone(delete("/tokens/{id}", "revoke_token", "Revokes a token")),
        gone(post("/tokens/{id}/delete", "revoke_token_by_form", "The same as `DELETE /tokens/{id}`, for forms")),
    ];
    Group {
        name: "Tokens",
        says: "What lets a program in, by name, with the rights `read`, `edit`, `dial` and `admin`.",
        operations,
    }
}
