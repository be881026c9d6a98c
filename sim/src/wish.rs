//! Reading what the control API is asked for; every refusal names the field.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::auth::Credentials;
use crate::camera::{Fault, Spec, Video};

/// A request that can't be met as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field}: {error}")]
pub struct Refusal {
    /// Which field of the body, or `name` for the one in the path, or `body`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub error: String,
}

impl Refusal {
    /// A refusal of a field.
    pub fn new(field: &str, error: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            error: error.into(),
        }
    }
}

/// A camera's name: a DNS label, so that it can be a host name or an object's name elsewhere.
///
/// # Errors
/// When it is not one.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
    if ends && name.len() <= 63 && name.bytes().all(|byte| inner(byte) || byte == b'-') {
        return Ok(());
    }
    Err(Refusal::new(
        "name",
        "must be 1 to 63 of a-z, 0-9 and '-', with no '-' at an end",
    ))
}

/// Reads the body of `PUT /cameras/{name}`.
///
/// # Errors
/// Names the first field that is missing, unknown or wrong.
pub fn camera(body: &[u8]) -> Result<Spec, Refusal> {
    let mut fields = Fields::parse(body)?;
    let video = fields
        .text("video")?
        .ok_or_else(|| Refusal::new("video", one_of(&Video::NAMES)))?;
    let video = named("video", &Video::NAMES, &video)?;
    let credentials = match (fields.text("username")?, fields.text("password")?) {
        (None, None) => None,
        (Some(username), Some(password)) => {
            if username.is_empty() || username.contains(':') {
                return Err(Refusal::new("username", "must not be empty or hold ':'"));
            }
            Some(Credentials { username, password })
        }
        (Some(_), None) => return Err(Refusal::new("password", "is needed with username")),
        (None, Some(_)) => return Err(Refusal::new("username", "is needed with password")),
    };
    let port = fields
        .number("port", 0, u64::from(u16::MAX))?
        .and_then(|port| u16::try_from(port).ok());
    fields.finish()?;
    Ok(Spec {
        video,
        credentials,
        port,
    })
}

/// Reads the body of `PUT /cameras/{name}/fault`.
///
/// # Errors
/// Names the first field that is missing, unknown or wrong.
pub fn fault(body: &[u8]) -> Result<Fault, Refusal> {
    let mut fields = Fields::parse(body)?;
    let names = format!("{}, bandwidth", one_of(&Fault::NAMES));
    let name = fields
        .text("fault")?
        .ok_or_else(|| Refusal::new("fault", names.clone()))?;
    let kbps = fields.number("kbps", 1, 1_000_000)?;
    fields.finish()?;
    if name == "bandwidth" {
        let kbps = kbps.and_then(|kbps| u32::try_from(kbps).ok());
        return kbps.map(|kbps| Fault::Bandwidth { kbps }).ok_or_else(|| {
            Refusal::new(
                "kbps",
                "is needed with fault bandwidth, a whole number of 1 to 1000000",
            )
        });
    }
    if kbps.is_some() {
        return Err(Refusal::new("kbps", "goes with fault bandwidth only"));
    }
    named("fault", &Fault::NAMES, &name).map_err(|refusal| Refusal {
        error: names,
        ..refusal
    })
}

fn named<T: Copy>(field: &str, names: &[(&str, T)], given: &str) -> Result<T, Refusal> {
    let found = names.iter().find(|(name, _)| *name == given);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| Refusal::new(field, one_of(names)))
}

fn one_of<T>(names: &[(&str, T)]) -> String {
    let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    format!("must be one of {}", names.join(", "))
}

/// The fields of a JSON object, taken out one by one.
struct Fields(Map<String, Value>);

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::new("body", "must be a JSON object")),
            Err(error) => Err(Refusal::new("body", format!("must be a JSON object: {error}"))),
        }
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::new(field, "must be a string")),
        }
    }

    fn number(&mut self, field: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.0.remove(field).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        let wrong = || Refusal::new(field, format!("must be a whole number of {least} to {most}"));
        number.map(Some).ok_or_else(wrong)
    }

    fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Refusal::new(unknown, "is not known here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_field() {
        let camera_cases = [
            ("{}", "video"),
            (r#"{"video":"mjpeg"}"#, "video"),
            (r#"{"video":7}"#, "video"),
            (r#"{"video":"clip","username":"a"}"#, "password"),
            (r#"{"video":"clip","password":"a"}"#, "username"),
            (r#"{"video":"clip","username":"a:b","password":"c"}"#, "username"),
            (r#"{"video":"clip","port":65536}"#, "port"),
            (r#"{"video":"clip","port":-1}"#, "port"),
            (r#"{"video":"clip","port":"80"}"#, "port"),
            (r#"{"video":"clip","vidoe":"clock"}"#, "vidoe"),
            ("[]", "body"),
            ("{", "body"),
            ("", "body"),
        ];
        for (body, field) in camera_cases {
            assert_eq!(camera(body.as_bytes()).unwrap_err().field, field, "{body}");
        }
        let fault_cases = [
            ("{}", "fault"),
            (r#"{"fault":"fire"}"#, "fault"),
            (r#"{"fault":"bandwidth"}"#, "kbps"),
            (r#"{"fault":"bandwidth","kbps":0}"#, "kbps"),
            (r#"{"fault":"bandwidth","kbps":1.5}"#, "kbps"),
            (r#"{"fault":"hang","kbps":5}"#, "kbps"),
            (r#"{"fault":"hang","for":5}"#, "for"),
        ];
        for (body, field) in fault_cases {
            assert_eq!(fault(body.as_bytes()).unwrap_err().field, field, "{body}");
        }
    }

    #[test]
    fn every_video_and_fault_has_its_name() {
        for (name, video) in Video::NAMES {
            assert_eq!(
                camera(format!(r#"{{"video":"{name}"}}"#).as_bytes())
                    .unwrap()
                    .video,
                video
            );
            assert_eq!(serde_json::to_value(video).unwrap(), name);
        }
        for (name, expected) in Fault::NAMES {
            assert_eq!(
                fault(format!(r#"{{"fault":"{name}"}}"#).as_bytes()).unwrap(),
                expected
            );
            assert_eq!(serde_json::to_value(expected).unwrap()["fault"], name);
        }
        assert_eq!(
            fault(br#"{"fault":"bandwidth","kbps":64}"#).unwrap(),
            Fault::Bandwidth { kbps: 64 }
        );
    }

    #[test]
    fn names_are_dns_labels() {
        for good in ["cam-0", "a", "0", &"x".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Cam", "a.b", "a/b", "كاميرا", &"x".repeat(64)] {
            assert_eq!(check_name(bad).unwrap_err().field, "name", "{bad}");
        }
    }
}
