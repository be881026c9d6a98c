//! Basic and Digest authentication (RFC 2617), as RTSP cameras have it: both are offered, the
//! client takes one.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

const REALM: &str = "marsad-sim";

/// Who may play a camera.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The values of the `WWW-Authenticate` headers of a 401, a header each.
#[must_use]
pub fn challenges(nonce: &str) -> [String; 2] {
    [
        format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=\"MD5\""),
        format!("Basic realm=\"{REALM}\""),
    ]
}

/// Whether an `Authorization` header proves the credentials for a request with this method.
#[must_use]
pub fn proves(credentials: &Credentials, header: &str, method: &str, nonce: &str) -> bool {
    let Some((scheme, rest)) = header.trim().split_once(' ') else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("basic") {
        let expected = format!("{}:{}", credentials.username, credentials.password);
        return STANDARD
            .decode(rest.trim())
            .is_ok_and(|given| given == expected.as_bytes());
    }
    scheme.eq_ignore_ascii_case("digest") && proves_digest(credentials, &parameters(rest), method, nonce)
}

fn proves_digest(
    credentials: &Credentials,
    given: &BTreeMap<String, String>,
    method: &str,
    nonce: &str,
) -> bool {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    if field("username") != credentials.username || field("realm") != REALM || field("nonce") != nonce {
        return false;
    }
    let who = hash(&format!(
        "{}:{REALM}:{}",
        credentials.username, credentials.password
    ));
    let what = hash(&format!("{method}:{}", field("uri")));
    let expected = match field("qop") {
        "" => hash(&format!("{who}:{nonce}:{what}")),
        qop => hash(&format!(
            "{who}:{nonce}:{}:{}:{qop}:{what}",
            field("nc"),
            field("cnonce")
        )),
    };
    field("response").eq_ignore_ascii_case(&expected)
}

fn hash(text: &str) -> String {
    use fmt::Write;
    Md5::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String can't fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// `name="value", name=value, …`; names in lower case.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(
            name.trim_matches([',', ' ']).to_ascii_lowercase(),
            value.trim().to_owned(),
        );
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            username: "admin".to_owned(),
            password: "a:b c".to_owned(),
        }
    }

    #[test]
    fn basic_takes_the_right_password_only() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(proves(&credentials(), &header("admin:a:b c"), "DESCRIBE", "n"));
        for wrong in ["admin:a:b", "root:a:b c", "admin", ""] {
            assert!(
                !proves(&credentials(), &header(wrong), "DESCRIBE", "n"),
                "{wrong}"
            );
        }
        assert!(!proves(&credentials(), "Basic !!!", "DESCRIBE", "n"));
        assert!(!proves(&credentials(), "Basic", "DESCRIBE", "n"));
    }

    #[test]
    fn digest_is_bound_to_method_nonce_and_user() {
        let response = {
            let who = hash("admin:marsad-sim:a:b c");
            let what = hash("DESCRIBE:rtsp://host/cam-0");
            hash(&format!("{who}:abc:{what}"))
        };
        let header = format!(
            "Digest username=\"admin\", realm=\"marsad-sim\", nonce=\"abc\",uri=\"rtsp://host/cam-0\", response={response}"
        );
        assert!(proves(&credentials(), &header, "DESCRIBE", "abc"));
        assert!(!proves(&credentials(), &header, "SETUP", "abc"));
        assert!(!proves(&credentials(), &header, "DESCRIBE", "abd"));
        assert!(!proves(
            &credentials(),
            &header.replace("admin", "root"),
            "DESCRIBE",
            "abc"
        ));
    }

    #[test]
    fn the_digest_of_the_rfc() {
        // RFC 2617 3.5: HA1 and HA2 of its example.
        assert_eq!(
            hash("Mufasa:testrealm@host.com:Circle Of Life"),
            "939e7578ed9e3c518a452acee763bce9"
        );
        assert_eq!(hash("GET:/dir/index.html"), "39aff3a2bab6126f332b942af96d3366");
    }

    #[test]
    fn a_password_is_not_printed() {
        assert!(!format!("{:?}", credentials()).contains("a:b c"));
    }
}
