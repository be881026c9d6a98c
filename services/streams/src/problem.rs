//! Refusals as `application/problem+json` (RFC 9457, contracts.md 16), in English and Arabic.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use marsad_ledger::Source;
use serde::Serialize;
use uuid::Uuid;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is not what the call takes.
    #[error("the request is not understood: {0}")]
    InvalidRequest(String),
    /// No token, or a bad one.
    #[error("sign in first: {0}")]
    Unauthorized(String),
    /// For somebody else.
    #[error("you may reserve for yourself only")]
    Forbidden,
    /// No such camera.
    #[error("there is no camera with this id")]
    CameraNotFound,
    /// No picture comes from it.
    #[error("the camera is not online ({reason}): {message}")]
    CameraOffline {
        /// Reason of condition Online.
        reason: String,
        /// Its message.
        message: String,
    },
    /// `live.mode` is Off.
    #[error("live view of this camera is switched off (spec.live.mode)")]
    LiveOff,
    /// No such lease of the caller.
    #[error("there is no such reservation: it ended or never was; reserve again")]
    ReservationUnknown,
    /// The last picture of the camera is asked for, and there is none.
    #[error("there is no picture of this camera yet: one is taken within a minute of its being online")]
    StillNotAvailable,
    /// LiveKit is away.
    #[error("live view is not available at the moment: LiveKit does not answer; try again in a few seconds")]
    LiveKitUnavailable,
    /// All slots are taken.
    #[error(
        "{current} of {limit} live streams of {agency} are in use: close one, or try again when one ends"
    )]
    LimitReached {
        /// Its code, or `total` for all together: `source` of the answer.
        agency: String,
        /// Streams in use.
        current: u64,
        /// Most of them.
        limit: u64,
    },
    /// The camera's agency is not in the quota.
    #[error(
        "the agency {0} is not in the StreamQuota, so that none of its cameras may be watched: add it there"
    )]
    AgencyUnknown(String),
    /// The source that was named is not the camera's.
    #[error("the camera belongs to {theirs}, not to {given}")]
    SourceMismatch {
        /// What was named.
        given: String,
        /// The camera's.
        theirs: Source,
    },
    /// The operator has not put limits in force yet.
    #[error("no limit on live streams is in force yet; try again in a few seconds")]
    LimitsNotInForce,
    /// The ledger has another server, and holders say again what they hold.
    #[error(
        "the stream ledger is recovering: nothing new is granted for {seconds} s at most; streams that run go on"
    )]
    Recovering {
        /// How long at most.
        seconds: u64,
    },
    /// Valkey is away, or too few of its replicas have what was granted.
    #[error("the stream ledger does not answer; try again in a few seconds; streams that run go on")]
    LedgerUnavailable,
    /// This process has not seen the cameras yet.
    #[error("the service has just started; try again in a few seconds")]
    NotReady,
}

impl Refusal {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::CameraNotFound => "CameraNotFound",
            Self::CameraOffline { .. } => "CameraOffline",
            Self::LiveOff => "LiveOff",
            Self::ReservationUnknown => "ReservationUnknown",
            Self::StillNotAvailable => "StillNotAvailable",
            Self::LiveKitUnavailable => "LiveKitUnavailable",
            Self::LimitReached { .. } => "LimitReached",
            Self::AgencyUnknown(_) => "AgencyUnknown",
            Self::SourceMismatch { .. } => "SourceMismatch",
            Self::LimitsNotInForce => "LimitsNotInForce",
            Self::Recovering { .. } => "LedgerRecovering",
            Self::LedgerUnavailable => "LedgerUnavailable",
            Self::NotReady => "NotReady",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::CameraNotFound | Self::ReservationUnknown | Self::StillNotAvailable => {
                StatusCode::NOT_FOUND
            }
            Self::CameraOffline { .. }
            | Self::LiveOff
            | Self::AgencyUnknown(_)
            | Self::SourceMismatch { .. } => StatusCode::CONFLICT,
            Self::LimitReached { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::LiveKitUnavailable
            | Self::NotReady
            | Self::LimitsNotInForce
            | Self::Recovering { .. }
            | Self::LedgerUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds after which another try may succeed.
    fn retry_after(&self) -> Option<u64> {
        match self {
            // Half a lease: by then a viewer that is gone may have been noticed.
            Self::LimitReached { .. } => Some(30),
            // A grace ends early, as soon as every holder has reported.
            Self::Recovering { seconds } => Some((*seconds).min(5)),
            _ => (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(2),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "Invalid request",
            Self::Unauthorized(_) => "Not signed in",
            Self::Forbidden => "Not allowed",
            Self::CameraNotFound => "Camera not found",
            Self::CameraOffline { .. } => "Camera offline",
            Self::LiveOff => "Live view off",
            Self::ReservationUnknown => "Reservation unknown",
            Self::StillNotAvailable => "No last picture",
            Self::LiveKitUnavailable => "LiveKit unavailable",
            Self::LimitReached { .. } => "Limit reached",
            Self::AgencyUnknown(_) => "Agency unknown",
            Self::SourceMismatch { .. } => "Source mismatch",
            Self::LimitsNotInForce => "Limits not in force",
            Self::Recovering { .. } => "Ledger recovering",
            Self::LedgerUnavailable => "Ledger unavailable",
            Self::NotReady => "Not ready",
        }
    }

    fn arabic(&self) -> String {
        match self {
            Self::InvalidRequest(_) => "الطلب غير مفهوم".to_owned(),
            Self::Unauthorized(_) => "سجّل الدخول أولاً".to_owned(),
            Self::Forbidden => "يمكنك الحجز لنفسك فقط".to_owned(),
            Self::CameraNotFound => "لا توجد كاميرا بهذا المعرّف".to_owned(),
            Self::CameraOffline { reason, .. } => format!("الكاميرا غير متصلة ({reason})"),
            Self::LiveOff => "البث المباشر لهذه الكاميرا موقوف".to_owned(),
            Self::ReservationUnknown => "لا يوجد حجز بهذا المعرّف؛ انتهى أو لم يكن. احجز من جديد".to_owned(),
            Self::StillNotAvailable => {
                "لا توجد صورة لهذه الكاميرا بعد؛ تُلتقط صورة خلال دقيقة من اتصالها".to_owned()
            }
            Self::LiveKitUnavailable => "البث المباشر غير متاح حالياً؛ حاول بعد ثوانٍ".to_owned(),
            Self::LimitReached {
                agency,
                current,
                limit,
            } => {
                format!("{current} من {limit} بثّاً مباشراً لجهة {agency} قيد الاستخدام؛ أغلق أحدها أو حاول لاحقاً")
            }
            Self::AgencyUnknown(agency) => {
                format!("الجهة {agency} غير مذكورة في حصص البث؛ أضفها إلى StreamQuota")
            }
            Self::SourceMismatch { theirs, .. } => format!("الكاميرا تتبع {theirs}"),
            Self::LimitsNotInForce => "لم تُفعَّل حدود البث بعد؛ حاول بعد ثوانٍ".to_owned(),
            Self::Recovering { seconds } => {
                format!("سجلّ البث يستعيد حالته؛ لا بث جديد خلال {seconds} ثانية على الأكثر، والبث القائم مستمر")
            }
            Self::LedgerUnavailable => "سجلّ البث لا يجيب؛ حاول بعد ثوانٍ، والبث القائم مستمر".to_owned(),
            Self::NotReady => "بدأت الخدمة للتو؛ حاول بعد ثوانٍ".to_owned(),
        }
    }
}

/// The document.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    type_: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'static str,
    message_en: &'a str,
    message_ar: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// As Block 1.3-B has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The request's id: what came in `X-Request-ID`, when it is fit to be repeated, else a new one.
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let fit = |id: &&str| !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_graphic());
    given
        .filter(fit)
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// The answer that says so.
pub fn respond(refusal: &Refusal, instance: &str, request_id: &str) -> Response {
    let text = refusal.to_string();
    let retry_after = refusal.retry_after();
    let full = match refusal {
        Refusal::LimitReached {
            agency,
            current,
            limit,
        } => Some((agency.as_str(), *current, *limit)),
        _ => None,
    };
    let problem = Problem {
        type_: format!("urn:marsad:problem:{}", refusal.code()),
        title: refusal.title(),
        status: refusal.status().as_u16(),
        detail: &text,
        instance,
        code: refusal.code(),
        message_en: &text,
        message_ar: refusal.arabic(),
        request_id,
        reason: match refusal {
            Refusal::CameraOffline { reason, .. } => Some(reason),
            _ => None,
        },
        error: full.map(|_| "LIMIT_REACHED"),
        source: full.map(|(source, _, _)| source),
        current: full.map(|(_, current, _)| current),
        limit: full.map(|(_, _, limit)| limit),
        retry_after,
    };
    let mut response = (refusal.status(), Json(problem)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(refusal, Refusal::Unauthorized(_)) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_fit_is_not_repeated() {
        let id = |value: &'static str| {
            request_id(&HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("x-request-id"),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(id("abc-1"), "abc-1");
        assert_ne!(id("a b"), "a b");
        assert_ne!(id(""), "");
    }

    /// R1.3-14: the answer of Block 1.3-B, beside the members that every problem has.
    #[tokio::test]
    async fn r1_3_14_a_full_source_answers_as_asked_for() {
        let refusal = Refusal::LimitReached {
            agency: "DUBAI_POLICE".to_owned(),
            current: 50,
            limit: 50,
        };
        let response = respond(&refusal, "/api/v1/stream/reserve", "r1");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "30");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!(
            {"error": "LIMIT_REACHED", "source": "DUBAI_POLICE", "current": 50, "limit": 50, "retry_after": 30});
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&body[member], value, "{member}");
        }
        assert_eq!(body["code"], "LimitReached");
    }

    #[tokio::test]
    async fn c16_the_document_is_whole() {
        let refusal = Refusal::CameraOffline {
            reason: "ConnectionRefused".into(),
            message: "refused".into(),
        };
        let response = respond(&refusal, "/api/v1/stream/live", "r1");
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for member in [
            "type",
            "title",
            "status",
            "detail",
            "instance",
            "code",
            "message_en",
            "message_ar",
            "request_id",
        ] {
            assert!(!body[member].is_null(), "{member}");
        }
        assert_eq!(body["reason"], "ConnectionRefused");
        assert_eq!(body["code"], "CameraOffline");
    }
}
