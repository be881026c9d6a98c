//! A user and a password that are never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::InvalidHeaderValue;

/// User and password. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// Holds both as given.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }

    /// The user's name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password, in clear text: never to be logged.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Both as the value of an `Authorization` header, marked so that it is not printed.
    ///
    /// # Errors
    /// Never: base64 is made of what a header may hold.
    pub fn basic(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let pair = format!("{}:{}", self.username, self.password);
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(***)")
    }
}
