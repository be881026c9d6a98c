//! The chart, rendered: what every installation gets, whatever its values.

mod chart {
    mod alerts;
    mod dashboards;
    mod metrics;
    pub(crate) mod objects;
    mod pods;
    mod policies;
    mod rights;
    mod runbooks;
    mod values;
    mod whole;
}
