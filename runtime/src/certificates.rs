//! Certificates that nobody has to renew: an authority of our own and one certificate for servers of ours, kept in a Secret.
//!
//! A step is a function of what is kept and of the time, so that it may be taken by any replica, twice, or late. A new authority is
//! trusted for [`OVERLAP`] before it vouches for anything, and an old one for as long after its last certificate was replaced: at no
//! time does a server show what its clients cannot know yet, or clients forget what a server still shows.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SerialNumber,
};
use time::OffsetDateTime;

/// An authority vouches for a year, as linkerd's does.
pub const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// A server's certificate holds for 90 days, as cert-manager's do.
pub const CERTIFICATE_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// From when something is written until everybody has it: kubelet takes up to two minutes for a file of a Secret.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// Clocks of other machines may be behind by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Certificates can't be made.
#[derive(Debug, thiserror::Error)]
#[error("can't make a certificate: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A certificate and its key, in PEM. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pair(***)")
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Certificates of the authorities that clients are to trust, in PEM, the newest last.
    pub authorities: String,
    /// Private key of the newest.
    pub authority_key: String,
    /// What servers show.
    pub server: Pair,
}

/// What is to be kept, and until when that is right.
#[derive(Debug)]
pub struct Step {
    /// The same as before when nothing was to be done.
    pub bundle: Bundle,
    /// When the next step is due.
    pub due: Timestamp,
}

/// Takes the step that is due at `now` with what is `kept`, for servers that are called `names`. What is missing, unreadable, expired
/// or for other names is made anew.
///
/// # Errors
/// When the names are no names, or there is no randomness.
pub fn step(kept: Option<&Bundle>, names: &[String], now: Timestamp) -> Result<Step, CertificateError> {
    step_with(kept, names, now, OVERLAP)
}

fn step_with(
    kept: Option<&Bundle>,
    names: &[String],
    now: Timestamp,
    overlap: SignedDuration,
) -> Result<Step, CertificateError> {
    let mut authorities = kept.map_or_else(Vec::new, |kept| Seen::all(&kept.authorities, now));
    let newest = authorities
        .last()
        .filter(|newest| now < newest.renewal())
        .zip(kept)
        .and_then(|(newest, kept)| Some((newest.clone(), newest.issuer(&kept.authority_key)?)));
    let (newest, issuer, authority_key) = match newest.zip(kept) {
        Some(((newest, issuer), kept)) => (newest, issuer, kept.authority_key.clone()),
        None => {
            let (made, issuer, key) = authority(now)?;
            authorities.push(made.clone());
            (made, issuer, key)
        }
    };

    let shown = kept.and_then(|kept| {
        let shown = Seen::all(&kept.server.certificate, now).pop()?;
        let key = KeyPair::from_pem(&kept.server.key).ok()?;
        (shown.is_for(names) && shown.has(&key)).then(|| (shown, kept.server.clone()))
    });
    let by_newest = |shown: &Seen| shown.is_by(&newest);
    let known = newest.made() + overlap;
    let (shown, server) = match shown {
        // Its renewal waits, if it must, for what is to vouch for it: a third of its life is left.
        Some((shown, server))
            if by_newest(&shown) && now < shown.renewal()
                || !by_newest(&shown)
                    && now < known
                    && authorities.iter().any(|authority| shown.is_by(authority)) =>
        {
            (shown, server)
        }
        _ => certificate(names, &issuer, now)?,
    };

    let due = if by_newest(&shown) {
        let forgotten = shown.made() + overlap;
        if authorities.len() > 1 && now >= forgotten {
            authorities = vec![newest.clone()];
        }
        let renewal = shown.renewal().min(newest.renewal());
        if authorities.len() > 1 {
            forgotten.min(renewal)
        } else {
            renewal
        }
    } else {
        known
    };
    let bundle = Bundle {
        authorities: authorities
            .iter()
            .map(|authority| authority.pem.as_str())
            .collect(),
        authority_key,
        server,
    };
    Ok(Step { bundle, due })
}

/// A certificate as it was read.
#[derive(Clone)]
struct Seen {
    pem: String,
    der: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
}

impl Seen {
    /// Those in `pem` that hold at `now`.
    fn all(pem: &str, now: Timestamp) -> Vec<Self> {
        pem::parse_many(pem)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|block| Self::new(block.into_contents()))
            .filter(|seen| now < seen.until)
            .collect()
    }

    fn new(der: Vec<u8>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        let validity = parsed.validity();
        let from = Timestamp::from_second(validity.not_before.timestamp()).ok()?;
        let until = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
        // Written anew, so that what is equal is equal letter by letter.
        let pem = pem_of(der.clone());
        Some(Self {
            pem,
            der,
            from,
            until,
        })
    }

    fn with<T>(&self, look: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T) -> Option<T> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&self.der).ok()?;
        Some(look(&parsed))
    }

    fn made(&self) -> Timestamp {
        self.from + SKEW
    }

    /// Two thirds of its life, as cert-manager has it.
    fn renewal(&self) -> Timestamp {
        let life = self.until.duration_since(self.made());
        self.made() + life * 2 / 3
    }

    fn is_by(&self, authority: &Self) -> bool {
        let verified = authority
            .with(|authority| self.with(|seen| seen.verify_signature(Some(authority.public_key())).is_ok()));
        verified.flatten().unwrap_or(false)
    }

    fn is_for(&self, names: &[String]) -> bool {
        let found = self.with(|seen| {
            let alternative = seen.subject_alternative_name().ok().flatten()?;
            let found = alternative.value.general_names.iter().map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => (*name).to_owned(),
                _ => String::new(),
            });
            Some(found.collect::<Vec<_>>())
        });
        found.flatten().is_some_and(|found| found == names)
    }

    fn has(&self, key: &KeyPair) -> bool {
        self.with(|seen| seen.public_key().raw == key.subject_public_key_info())
            .unwrap_or(false)
    }

    /// What signs in its name; none when `key` is not its key.
    fn issuer(&self, key: &str) -> Option<Issuer<'static, KeyPair>> {
        let key = KeyPair::from_pem(key).ok()?;
        self.has(&key).then_some(())?;
        Issuer::from_ca_cert_pem(&self.pem, key).ok()
    }
}

fn pem_of(der: Vec<u8>) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", der), lines)
}

fn params(names: &[String], now: Timestamp, life: SignedDuration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.not_before = offset(now - SKEW);
    params.not_after = offset(now + life);
    params.serial_number = Some(SerialNumber::from(rand::random::<[u8; 16]>().to_vec()));
    Ok(params)
}

fn offset(at: Timestamp) -> OffsetDateTime {
    // A jiff timestamp fits: both reach from year -9999 to 9999.
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn authority(now: Timestamp) -> Result<(Seen, Issuer<'static, KeyPair>, String), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = params(&[], now, AUTHORITY_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("marsad authority of {}", now.as_second()),
    );
    let made = params.self_signed(&key)?;
    let seen = Seen::new(made.der().to_vec()).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    let pem = key.serialize_pem();
    Ok((seen, Issuer::new(params, key), pem))
}

fn certificate(
    names: &[String],
    issuer: &Issuer<'static, KeyPair>,
    now: Timestamp,
) -> Result<(Seen, Pair), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = params(names, now, CERTIFICATE_LIFE)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name = DistinguishedName::new();
    let made = params.signed_by(&key, issuer)?;
    let seen = Seen::new(made.der().to_vec()).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    let pair = Pair {
        certificate: seen.pem.clone(),
        key: key.serialize_pem(),
    };
    Ok((seen, pair))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio_rustls::rustls::RootCertStore;
    use tokio_rustls::rustls::client::WebPkiServerVerifier;
    use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    const NAME: &str = "ingest-default.marsad.svc";

    fn names() -> Vec<String> {
        vec![NAME.to_owned(), format!("*.{NAME}")]
    }

    fn start() -> Timestamp {
        "2026-11-26T08:00:00Z".parse().unwrap()
    }

    /// Whether a client that trusts as `client` says believes a server that shows what `server` says, as rustls judges at `now`.
    fn believes(client: &Bundle, server: &Bundle, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(client.authorities.as_bytes()) {
            roots.add(authority.unwrap()).unwrap();
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let shown = CertificateDer::from_pem_slice(server.server.certificate.as_bytes()).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().cast_unsigned()));
        verifier
            .verify_server_cert(&shown, &[], &ServerName::try_from(NAME).unwrap(), &[], at)
            .is_ok()
    }

    /// Three years of steps, each taken `late` seconds after it was due; how often somebody who has read what is kept `lag` ago did not
    /// get on with somebody who reads it now.
    fn years(late: &[i64], lag: SignedDuration, overlap: SignedDuration) -> (usize, usize) {
        let mut now = start();
        let first = step_with(None, &names(), now, overlap).unwrap();
        let mut history = vec![(now, first.bundle)];
        let mut due = first.due;
        let (mut refused, mut late) = (0, late.iter().cycle());
        let end = start() + SignedDuration::from_hours(3 * 365 * 24);
        while now < end {
            now = due.max(now) + SignedDuration::from_secs(*late.next().unwrap());
            let kept = &history.last().unwrap().1;
            let next = step_with(Some(kept), &names(), now, overlap).unwrap();
            assert!(next.due > now, "{} is not after {now}", next.due);
            due = next.due;
            history.push((now, next.bundle));
            // Who lags reads, just before the lag is over, what was kept just before this step.
            let (_, new) = history.last().unwrap();
            let read = now + lag;
            let old = history.iter().rev().find(|(at, _)| *at + lag < read);
            if let Some((_, old)) = old {
                refused += usize::from(!believes(old, new, read)) + usize::from(!believes(new, old, read));
            }
        }
        let authorities = history.iter().map(|(_, kept)| &kept.authority_key);
        (
            refused,
            authorities.collect::<std::collections::BTreeSet<_>>().len(),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        /// However late steps are taken, within a day, clients and servers that see what is kept up to the overlap late get on.
        #[test]
        fn nobody_is_refused_over_two_rotations(late in prop::collection::vec(0_i64..86_400, 1..8)) {
            let (refused, authorities) = years(&late, OVERLAP - SignedDuration::from_secs(1), OVERLAP);
            prop_assert_eq!(refused, 0);
            prop_assert!(authorities >= 3, "{} authorities", authorities);
        }
    }

    /// The guard's own guard.
    #[test]
    fn without_the_overlap_somebody_is_refused() {
        let (refused, _) = years(&[60], OVERLAP, SignedDuration::from_secs(0));
        assert!(refused > 0);
    }

    #[test]
    fn nothing_is_made_anew_before_its_time() {
        let first = step(None, &names(), start()).unwrap();
        let again = step(Some(&first.bundle), &names(), start()).unwrap();
        assert_eq!(again.bundle, first.bundle);
        assert_eq!(first.due, start() + CERTIFICATE_LIFE * 2 / 3);
        let before = first.due - SignedDuration::from_secs(1);
        let again = step(Some(&first.bundle), &names(), before).unwrap();
        assert_eq!((again.bundle, again.due), (first.bundle, first.due));
    }

    #[test]
    fn what_is_spoilt_or_for_others_is_made_anew() {
        let first = step(None, &names(), start()).unwrap().bundle;
        let other = step(None, &names(), start()).unwrap().bundle;
        let spoilt = [
            Bundle {
                authorities: "no PEM".to_owned(),
                ..first.clone()
            },
            Bundle {
                authority_key: other.authority_key.clone(),
                ..first.clone()
            },
            Bundle {
                server: Pair {
                    key: other.server.key.clone(),
                    ..first.server.clone()
                },
                ..first.clone()
            },
            Bundle {
                server: other.server,
                ..first.clone()
            },
        ];
        for kept in spoilt {
            let next = step(Some(&kept), &names(), start()).unwrap().bundle;
            assert_ne!(next, kept);
            assert!(believes(&next, &next, start()));
        }
        let renamed = step(Some(&first), &["b.svc".to_owned()], start()).unwrap().bundle;
        assert_eq!(renamed.authorities, first.authorities);
        assert_ne!(renamed.server, first.server);
        // Away for two years.
        let late = start() + AUTHORITY_LIFE * 2;
        let next = step(Some(&first), &names(), late).unwrap().bundle;
        assert!(believes(&next, &next, late) && !believes(&next, &first, late));
    }
}
