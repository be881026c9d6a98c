//! The grammar of values (contracts.md 4, 5, 7): schema fragments with CEL rules whose messages say the way out, and
//! the parsers that read what the rules let through.
//!
//! A rule, and not a `pattern`: the API server answers a failed pattern with the bare expression. The schemas for offline
//! checks turn such rules into patterns (`schema::offline`).

use std::time::Duration;

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A DNS label of RFC 1123.
const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const LABEL_MESSAGE: &str = "must be a DNS label: lower-case ASCII letters, digits and '-', beginning and ending with a letter or digit, at most 63 characters; for example dubai-police";
/// RTSP addresses: R1.1-13 with the query and dots that real cameras need.
const RTSP_URL: &str = "^rtsps?://[A-Za-z0-9.-]+:[0-9]{1,5}/[A-Za-z0-9/_.~?&=%-]*$";
/// Parameters that carry a credential, in a query or, as some recorders want it, in the path.
const CREDENTIAL_KEY: &str = "(?i)[/?&](user|username|password|pwd|pass|token|auth)=";
/// The way out for credentials in the address of a camera or a Milestone server.
pub(crate) const CAMERA_SECRET: &str =
    "put credentials into a Secret of type marsad.dev/camera-credentials and name it in credentialsSecretRef";
/// The way out for credentials in the address of a gateway's admin API.
pub(crate) const GATEWAY_SECRET: &str = "put the token into a Secret and name it in tokenSecretRef";
/// The way out for credentials in the address of public keys.
pub(crate) const PUBLIC: &str = "remove it; these keys are public";
const HTTP_URL: &str = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9/_.~?&=%-]*)?$";
const DURATION: &str = "^([0-9]+(h|m|s))+$";
const BITRATE: &str = "^[0-9]+(k|M)$";
const SIZE: &str = "^[1-9][0-9]{0,14}(Mi|Gi|Ti|Pi)$";
const GUID: &str = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$";
const CODE: &str = "^[A-Z0-9]([A-Z0-9_]*[A-Z0-9])?$";
const CIDR_LENGTH: u32 = 43;

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

fn matches(pattern: &str, message: &str) -> Value {
    rule(&format!("self.matches('{pattern}')"), message)
}

fn text(max: u32, rules: &[Value]) -> Schema {
    let mut schema = json_schema!({"type": "string", "minLength": 1, "maxLength": max});
    // An empty list is dropped by the API server, and would be drift for ever.
    if !rules.is_empty() {
        schema.insert("x-kubernetes-validations".to_owned(), rules.into());
    }
    schema
}

/// Rule on the root of a kind: `metadata.name` is a DNS label of at most `max` characters (contracts.md 4). The API
/// server has checked that it is a subdomain already, and takes no `fieldPath` into metadata.
pub(crate) fn name(max: u32) -> Rule {
    Rule::new(format!(
        "size(self.metadata.name) <= {max} && !self.metadata.name.contains('.')"
    ))
    .message(
        format!("metadata.name must be a DNS label of at most {max} characters, without dots: shorten it and use '-' for '.'").as_str(),
    )
}

/// Rule on a field: it stays as it was made.
pub(crate) fn immutable(field: &str, way_out: &str) -> Rule {
    Rule::new("self == oldSelf").message(format!("{field} is immutable: {way_out}").as_str())
}

/// A DNS label.
pub(crate) fn label(_: &mut SchemaGenerator) -> Schema {
    text(63, &[matches(LABEL, LABEL_MESSAGE)])
}

/// A list of agency names without repetition.
pub(crate) fn labels(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "x-kubernetes-list-type": "set", "items": label(generator)})
}

/// The name of a Secret or StorageClass: a DNS subdomain.
pub(crate) fn subdomain(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        &[matches(
            "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "must be the name of an object: lower-case ASCII letters, digits, '-' and '.', at most 253 characters",
        )],
    )
}

/// The code of an agency in REST, Valkey and metrics.
pub(crate) fn code(_: &mut SchemaGenerator) -> Schema {
    text(
        63,
        &[matches(
            CODE,
            "must be upper-case ASCII letters, digits and '_', beginning and ending with a letter or digit, at most 63 characters; for example DUBAI_POLICE; leave it out to have it made from the name",
        )],
    )
}

/// An address; its rules stand on the struct around it ([`rtsp_shape`] says why).
pub(crate) fn address(_: &mut SchemaGenerator) -> Schema {
    text(2048, &[])
}

/// Rule on the struct that holds an RTSP address: its shape. The API server prints the value of a text whose own rule
/// fails, and what is refused here may hold a password; of a struct it prints nothing.
pub(crate) fn rtsp_shape(field: &str) -> Rule {
    address_rule(
        field,
        |value| format!("{value}.matches('{RTSP_URL}')"),
        "must be rtsp://HOST:PORT/PATH or rtsps://HOST:PORT/PATH, port written out, with only ASCII letters, digits and / _ . ~ ? & = % - after the port (percent-encode the rest); for example rtsp://10.1.2.3:554/main",
    )
}

/// Rule on the struct that holds an HTTP address: its shape.
pub(crate) fn http_shape(field: &str) -> Rule {
    address_rule(
        field,
        |value| format!("{value}.matches('{HTTP_URL}')"),
        "must be http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH] in ASCII; for example https://milestone.police.example:443",
    )
}

/// Rule on the struct that holds an address: no user or password before the host.
pub(crate) fn no_userinfo(field: &str, way_out: &str) -> Rule {
    address_rule(
        field,
        |value| format!("!{value}.contains('@')"),
        &format!("must not hold a user or password: {way_out}"),
    )
}

/// Rule on the struct that holds an address: no parameter named like a credential.
pub(crate) fn no_credential_parameter(field: &str, way_out: &str) -> Rule {
    address_rule(
        field,
        |value| format!("!{value}.matches('{CREDENTIAL_KEY}')"),
        &format!("must not hold a parameter user, username, password, pwd, pass, token or auth: {way_out}"),
    )
}

/// Rule on the struct that holds an address: a port that exists.
pub(crate) fn port(field: &str) -> Rule {
    address_rule(
        field,
        |value| {
            let port = format!("int({value}.split('/')[2].split(':')[1])");
            format!(
                "!{value}.matches('^[a-z]+://[A-Za-z0-9.-]+:[0-9]{{1,5}}(/|$)') || ({port} >= 1 && {port} <= 65535)"
            )
        },
        "must have a port from 1 to 65535; RTSP is usually at 554, HTTPS at 443",
    )
}

/// `field` is the whole path, as spec.stream.url; its last part is the field of `self`.
fn address_rule(field: &str, rule: impl Fn(&str) -> String, message: &str) -> Rule {
    let name = field.rsplit('.').next().unwrap_or(field);
    let value = format!("self.{name}");
    Rule::new(format!("!has({value}) || {}", rule(&value)))
        .message(format!("{field} {message}").as_str())
        .field_path(format!(".{name}"))
}

/// A duration of hours, minutes and seconds.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    text(
        32,
        &[matches(
            DURATION,
            "must be a duration of whole hours, minutes and seconds, each with its unit; for example 72h, 10m or 1h30m",
        )],
    )
}

/// A bit rate in bits per second.
pub(crate) fn bitrate(_: &mut SchemaGenerator) -> Schema {
    text(
        16,
        &[matches(
            BITRATE,
            "must be a whole number of kilobits (k) or megabits (M) a second; for example 800k or 2M",
        )],
    )
}

/// Room on a volume: of the forms of a Kubernetes quantity those that nobody misreads.
pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    text(
        20,
        &[matches(
            SIZE,
            "must be a whole number of Mi, Gi, Ti or Pi; for example 500Gi",
        )],
    )
}

/// A GUID of Milestone.
pub(crate) fn guid(_: &mut SchemaGenerator) -> Schema {
    // Room for braces, so that the rule, which knows the way out, answers instead of the limit.
    text(
        40,
        &[matches(
            GUID,
            "must be the GUID of the device in Milestone, without braces; for example 6f1c1d2e-8a3b-4c5d-9e7f-0123456789ab",
        )],
    )
}

/// A list of address ranges.
pub(crate) fn cidrs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": text(CIDR_LENGTH, &[rule("isCIDR(self)", "must be a range of addresses ADDRESS/LENGTH; for example 10.1.0.0/16 or fd00::/8")])
    })
}

/// A duration of the grammar `^([0-9]+(h|m|s))+$`; none when it is not one, or too long to count.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit = match tail.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = tail.get(1..)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

/// Bits per second of the grammar `^[0-9]+(k|M)$`; none when it is not one, or too large to count.
pub fn parse_bitrate(text: &str) -> Option<u64> {
    let (number, unit) = if let Some(number) = text.strip_suffix('k') {
        (number, 1_000)
    } else {
        (text.strip_suffix('M')?, 1_000_000)
    };
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Bytes of the grammar `^[1-9][0-9]*(Mi|Gi|Ti|Pi)$`; none when it is not one, or too large to count.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, power) = [("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50)]
        .into_iter()
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?, power)))?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_bit_rates_are_read() {
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("10m"), Some(Duration::from_secs(600)));
        for bad in [
            "",
            "h",
            "10",
            "3 days",
            "1.5h",
            "-1h",
            "10m ",
            "٣h",
            "99999999999999999999h",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_bitrate("800k"), Some(800_000));
        assert_eq!(parse_bitrate("2M"), Some(2_000_000));
        for bad in ["", "k", "2", "2m", "+2M", "2.5M", "2MM"] {
            assert_eq!(parse_bitrate(bad), None, "{bad}");
        }
        assert_eq!(parse_size("2Gi"), parse_size("2048Mi"));
        assert_eq!(parse_size("1Ti"), Some(1 << 40));
        for bad in ["", "Gi", "2", "2G", "+2Gi", "2.5Gi", "99999999999999999999Pi"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_the_grammar_takes_is_read(parts in prop::collection::vec((0_u64..100_000, prop::sample::select(vec!["h", "m", "s"])), 1..5)) {
            let text: String = parts.iter().map(|(number, unit)| format!("{number}{unit}")).collect();
            let seconds: u64 = parts.iter().map(|(number, unit)| number * match *unit { "h" => 3600, "m" => 60, _ => 1 }).sum();
            prop_assert_eq!(parse_duration(&text), Some(Duration::from_secs(seconds)));
        }
    }
}
