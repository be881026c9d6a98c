//! Logs: one JSON object a line on stdout, in the shape of requirements 1.1-C
//! (`timestamp`, `level`, `event`, `trace_id`, then the fields of the call).

use std::fmt;
use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::trace::{self, Traces};

/// The filter given is not one that `tracing` can read.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `--log-level` (`LOG_LEVEL`) is malformed.
    #[error(
        "log level {given:?} is not understood: use error, warn, info, debug or trace, or module=level pairs"
    )]
    Filter {
        /// What was given.
        given: String,
        /// Why it was refused.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// `--otlp-endpoint` (`OTEL_EXPORTER_OTLP_ENDPOINT`) can't be used.
    #[error(
        "spans can't be sent to {given:?}: {source}; give the collector's address, such as http://collector:4318"
    )]
    Endpoint {
        /// What was given.
        given: String,
        /// Why it was refused.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else in the process installed a subscriber first.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Starts logging and tracing for the whole process, which plays `role`. Lines are JSON unless stdout is a terminal; spans go to the
/// collector at `otlp`, if one is given.
///
/// # Errors
/// When `level` or `otlp` can't be read, or logging is set up already.
pub fn init(role: &'static str, level: &str, otlp: Option<&str>) -> Result<Traces, TelemetryError> {
    let filter = EnvFilter::try_new(level).map_err(|source| TelemetryError::Filter {
        given: level.to_owned(),
        source,
    })?;
    let traces = Traces::new(role, otlp).map_err(|source| TelemetryError::Endpoint {
        given: otlp.unwrap_or_default().to_owned(),
        source: Box::new(source),
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stdout);
    let lines = if std::io::stdout().is_terminal() {
        lines.boxed()
    } else {
        lines.event_format(JsonLine).boxed()
    };
    // A line is written within its span: the layer of spans comes first.
    tracing_subscriber::registry()
        .with(filter)
        .with(tracing_opentelemetry::layer().with_tracer(traces.tracer()))
        .with(lines)
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    Ok(traces)
}

/// Formats an event as one JSON line. The message is the field `event`: a stable phrase, with
/// what varies beside it in fields.
#[derive(Debug, Clone, Copy)]
pub struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert(
            "timestamp".into(),
            Value::String(jiff::Timestamp::now().to_string()),
        );
        line.insert(
            "level".into(),
            Value::String(event.metadata().level().as_str().to_ascii_lowercase()),
        );
        line.insert("event".into(), Value::Null);
        line.insert(
            "target".into(),
            Value::String(event.metadata().target().to_owned()),
        );
        if let Some(id) = trace::id() {
            line.insert("trace_id".into(), Value::String(id));
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" {
            "event"
        } else {
            field.name()
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors already quote their source: said once is enough.
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        self.put(field, Value::String(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn r1_1_30_a_line_is_one_json_object_with_event_and_fields() {
        let sink = Sink::default();
        let writer = sink.clone();
        let traces = Traces::new("test", None).unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(traces.tracer()))
            .with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let reconcile = tracing::info_span!("reconcile");
            let _entered = reconcile.enter();
            tracing::warn!(camera_id = "c1", latency_ms = 7_u64, "stream_connected");
            drop(_entered);
            tracing::warn!("outside");
        });
        let bytes = sink.0.lock().unwrap().clone();
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let line: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
        let outside: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert!(outside.get("trace_id").is_none(), "{outside}");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["event"], "stream_connected");
        assert_eq!(line["camera_id"], "c1");
        assert_eq!(line["latency_ms"], 7);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_bad_level_names_what_was_given() {
        let error = init("test", "marsad=loud", None).unwrap_err();
        assert!(error.to_string().contains("marsad=loud"), "{error}");
    }
}
