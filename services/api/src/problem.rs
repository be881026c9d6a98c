//! Errors as people and programs read them: RFC 9457 with a stable code and both languages (contracts.md 16).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

/// Stable codes. Never renamed, only added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    Unauthenticated,
    TokenInvalid,
    TokenExpired,
    BadCredentials,
    TicketInvalid,
    CsrfHeaderMissing,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    UpgradeRequired,
    TooManyAttempts,
    Internal,
    Busy,
    KeysNotReady,
    UsersUnavailable,
    CamerasNotReady,
    PageMissing,
    StreamsUnavailable,
    StreamsTimeout,
    LiveKitUnavailable,
}

impl Code {
    /// The code as it is sent, its status, and what people read.
    #[rustfmt::skip]
    fn entry(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidRequest => ("InvalidRequest", S::BAD_REQUEST, "The request is not understood.", "الطلب غير مفهوم."),
            Self::Unauthenticated => ("Unauthenticated", S::UNAUTHORIZED, "Sign in first.", "يرجى تسجيل الدخول أولاً."),
            Self::TokenInvalid => ("TokenInvalid", S::UNAUTHORIZED, "The session is not valid. Sign in again.", "الجلسة غير صالحة. يرجى تسجيل الدخول من جديد."),
            Self::TokenExpired => ("TokenExpired", S::UNAUTHORIZED, "The session has ended. Sign in again.", "انتهت الجلسة. يرجى تسجيل الدخول من جديد."),
            Self::BadCredentials => ("BadCredentials", S::UNAUTHORIZED, "The user name or the password is wrong.", "اسم المستخدم أو كلمة المرور غير صحيحة."),
            Self::TicketInvalid => ("TicketInvalid", S::UNAUTHORIZED, "The ticket is unknown, used or too old. Ask for a new one.", "التذكرة غير معروفة أو مستخدمة أو منتهية. اطلب تذكرة جديدة."),
            Self::CsrfHeaderMissing => ("CsrfHeaderMissing", S::FORBIDDEN, "The header X-Marsad-Request is missing.", "الترويسة X-Marsad-Request مفقودة."),
            Self::NotFound => ("NotFound", S::NOT_FOUND, "There is nothing at this address.", "لا يوجد شيء على هذا العنوان."),
            Self::MethodNotAllowed => ("MethodNotAllowed", S::METHOD_NOT_ALLOWED, "This address does not take that method.", "هذا العنوان لا يقبل هذه الطريقة."),
            Self::RequestTimeout => ("RequestTimeout", S::REQUEST_TIMEOUT, "The request took too long.", "استغرق الطلب وقتاً أطول من المسموح."),
            Self::PayloadTooLarge => ("PayloadTooLarge", S::PAYLOAD_TOO_LARGE, "The request is too large.", "الطلب أكبر من المسموح."),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", S::UNSUPPORTED_MEDIA_TYPE, "Send JSON (Content-Type: application/json).", "أرسل البيانات بصيغة JSON (Content-Type: application/json)."),
            Self::UpgradeRequired => ("UpgradeRequired", S::UPGRADE_REQUIRED, "This address speaks WebSocket only.", "هذا العنوان لاتصالات WebSocket فقط."),
            Self::TooManyAttempts => ("TooManyAttempts", S::TOO_MANY_REQUESTS, "Too many failed attempts. Wait a moment, then try again.", "محاولات فاشلة كثيرة. انتظر قليلاً ثم حاول من جديد."),
            Self::Internal => ("Internal", S::INTERNAL_SERVER_ERROR, "Something went wrong on our side.", "حدث خطأ من جانبنا."),
            Self::Busy => ("Busy", S::SERVICE_UNAVAILABLE, "Too many people are signing in at once. Try again.", "عدد كبير يسجل الدخول في الوقت نفسه. حاول من جديد."),
            Self::KeysNotReady => ("KeysNotReady", S::SERVICE_UNAVAILABLE, "The system is starting: its signing key is not there yet.", "النظام قيد التشغيل: مفتاح التوقيع غير متوفر بعد."),
            Self::UsersUnavailable => ("UsersUnavailable", S::SERVICE_UNAVAILABLE, "The list of users can't be read.", "تعذرت قراءة قائمة المستخدمين."),
            Self::CamerasNotReady => ("CamerasNotReady", S::SERVICE_UNAVAILABLE, "The system is starting: the cameras are not known yet.", "النظام قيد التشغيل: الكاميرات غير معروفة بعد."),
            Self::PageMissing => ("PageMissing", S::SERVICE_UNAVAILABLE, "The page is not installed on this server.", "الصفحة غير مثبتة على هذا الخادم."),
            Self::StreamsUnavailable => ("StreamsUnavailable", S::SERVICE_UNAVAILABLE, "Live viewing is not available at the moment.", "المشاهدة المباشرة غير متاحة حالياً."),
            Self::StreamsTimeout => ("StreamsTimeout", S::GATEWAY_TIMEOUT, "Live viewing did not answer in time.", "لم تستجب خدمة المشاهدة المباشرة في الوقت المحدد."),
            Self::LiveKitUnavailable => ("LiveKitUnavailable", S::SERVICE_UNAVAILABLE, "The media server is not available at the moment.", "خادم الوسائط غير متاح حالياً."),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().0
    }

    pub(crate) fn status(self) -> StatusCode {
        self.entry().1
    }
}

/// An error answer before it knows which request it answers: [`crate::request::frame`] writes the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    detail: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    /// What went wrong in this case, for developers; never a secret.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Seconds after which to try again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The whole answer.
    pub(crate) fn render(&self, path: &str, request_id: &str) -> Response<Body> {
        let (code, status, english, arabic) = self.code.entry();
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("type", json!(format!("urn:marsad:problem:{code}")));
        put("title", json!(status.canonical_reason().unwrap_or_default()));
        put("status", json!(status.as_u16()));
        put("detail", json!(self.detail.as_deref().unwrap_or(english)));
        put("instance", json!(path));
        put("code", json!(code));
        put("message_en", json!(english));
        put("message_ar", json!(arabic));
        put("request_id", json!(request_id));
        if let Some(seconds) = self.retry_after {
            put("retry_after", json!(seconds));
        }
        let mut response = Response::new(Body::from(Value::Object(document).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"marsad\""),
            );
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self {
            code,
            detail: None,
            retry_after: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Code {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_2_04_every_code_speaks_both_languages_under_its_own_name() {
        use Code::*;
        for code in [
            InvalidRequest,
            Unauthenticated,
            TokenInvalid,
            TokenExpired,
            BadCredentials,
            TicketInvalid,
            CsrfHeaderMissing,
            NotFound,
            MethodNotAllowed,
            RequestTimeout,
            PayloadTooLarge,
            UnsupportedMediaType,
            UpgradeRequired,
            TooManyAttempts,
            Internal,
            Busy,
            KeysNotReady,
            UsersUnavailable,
            CamerasNotReady,
            PageMissing,
            StreamsUnavailable,
            StreamsTimeout,
            LiveKitUnavailable,
        ] {
            let (name, status, english, arabic) = code.entry();
            assert_eq!(name, format!("{code:?}"));
            assert!(status.is_client_error() || status.is_server_error());
            assert!(english.is_ascii() && english.ends_with('.'), "{english}");
            assert!(
                arabic.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c)),
                "{arabic}"
            );
        }
    }
}
