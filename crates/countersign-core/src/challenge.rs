//! One `WWW-Authenticate` value (RFC 9110 11.6.1), one field line each.

use http::HeaderValue;

/// Ready to send. Built once per route, not per request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    value: HeaderValue,
    to_browsers: bool,
}

impl Challenge {
    /// `realm` is always a quoted-string; `"` and `\` are escaped (RFC 9110 5.6.4). `None` where a parameter holds
    /// what no header may carry.
    pub fn new(scheme: &str, parameters: &[(&str, &str)]) -> Option<Self> {
        let mut text = String::from(scheme);
        for (n, (name, value)) in parameters.iter().enumerate() {
            text.push_str(if n == 0 { " " } else { ", " });
            text.push_str(name);
            text.push_str("=\"");
            for c in value.chars() {
                if matches!(c, '"' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('"');
        }
        HeaderValue::try_from(text).ok().map(|value| Self { value, to_browsers: true })
    }

    /// Not for a browser that navigates: it would ask the person for a password in a window of its own.
    pub fn not_to_browsers(self) -> Self {
        Self { to_browsers: false, ..self }
    }

    pub(crate) fn is_for_browsers(&self) -> bool {
        self.to_browsers
    }

    pub fn value(&self) -> &HeaderValue {
        &self.value
    }
}
