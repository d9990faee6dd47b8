//! The headers by which browsers say why they ask for a page.

/// The user typed the address, or opened a bookmark, in Chromium or Firefox.
pub(crate) const TYPED: [(&str, &str); 5] = [
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-user", "?1"),
];

/// The same in a browser that does not say whether its user acted: Safari, or one that opens its last pages again.
pub(crate) const OPENED: [(&str, &str); 4] = [TYPED[0], TYPED[1], TYPED[2], TYPED[3]];

/// The user pressed a button of a page of ours, which sends a form.
pub(crate) const PRESSED: [(&str, &str); 5] =
    [TYPED[0], super::callbacks::FORM, ("sec-fetch-site", "same-origin"), TYPED[2], TYPED[3]];
