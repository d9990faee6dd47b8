//! Which right each route asks of a named token. The operator has all of them.

use axum::http::Method;

use crate::model::named_token::Right;

/// Returns the right that a request needs, by its method and its route as the list of routes writes it. Whatever is not named
/// here needs `read` if its method changes nothing, and `edit` otherwise.
pub(super) fn right_of(method: &Method, route: &str) -> Right {
    let route = route.strip_suffix('/').unwrap_or(route);
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match route {
        "/tokens" | "/tokens/{id}" | "/tokens/{id}/delete" => Right::Admin,
        route if route == "/webhooks" || route.starts_with("/webhooks/") => Right::Admin,
        // To dial by GET is what the address is for. Who sends a file in pieces also asks how far it is.
        "/dial/{number}" | "/uploads" | "/uploads/{id}" => Right::Dial,
        // The program checks the right of each tool.
        "/mcp" | "/logout" => Right::Read,
        _ if is_safe => Right::Read,
        "/calls" | "/calls/{call}/retry" | "/transcribe" => Right::Dial,
        "/trials/{id}/choose" | "/trials/{id}/choose/undo" => Right::Edit,
        route if route == "/trials" || route.starts_with("/trials/") => Right::Dial,
        route if route == "/imports" || route.starts_with("/imports/") => Right::Dial,
        "/items/delete" | "/items/{call}/delete" | "/calls/{call}/delete" | "/contacts/{number}/delete-calls" => {
            Right::Admin
        }
        "/items/{call}" if *method == Method::DELETE => Right::Admin,
        _ => Right::Edit,
    }
}
