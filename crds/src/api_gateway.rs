//! ApiGateway: what the Kong pods in front of us should do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{SecretRef, yes};
use crate::{condition, grammar};

/// What the gateway should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "ApiGateway",
    plural = "apigateways",
    namespaced,
    status = "ApiGatewayStatus",
    derive = "PartialEq",
    shortname = "apigw",
    category = "marsad",
    cel,
    doc = "Configuration of the Kong pods in front of the API. Counts in the release's namespace only.",
    validation = grammar::name(63),
    printcolumn(name = "Programmed", type_ = "string", json_path = ".status.conditions[?(@.type==\"Programmed\")].status", description = "Whether every Kong pod has the configuration."),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.pods.current", description = "Kong pods that have it."),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.pods.total", description = "Kong pods."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the control plane has done its part."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.issuer.issuer", priority = 1, description = "Whose tokens are taken."),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.configHash", priority = 1, description = "Of the configuration."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
pub struct ApiGatewaySpec {
    /// Where Kong is.
    pub kong: KongSpec,
    /// Whose tokens are taken.
    pub issuer: TokenIssuer,
    /// How often somebody may ask.
    #[serde(default)]
    pub limits: RequestLimits,
    /// Pages of other origins that may call; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Routes besides the built-in ones, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub routes: Vec<GatewayRoute>,
}

/// Where Kong is: its pods by labels, or one admin address.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = grammar::http_shape("spec.kong.adminUrl"),
    validation = grammar::no_userinfo("spec.kong.adminUrl", grammar::GATEWAY_SECRET),
    validation = grammar::no_credential_parameter("spec.kong.adminUrl", grammar::GATEWAY_SECRET),
    validation = grammar::port("spec.kong.adminUrl"),
    validation = Rule::new("has(self.selector) != has(self.adminUrl)").message("spec.kong needs exactly one of selector and adminUrl: selector for pods in the release's namespace, adminUrl for a Kong elsewhere"))]
pub struct KongSpec {
    /// Labels of the Kong pods in the release's namespace; every one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Address of the admin API of one Kong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::address")]
    pub admin_url: Option<String>,
    /// Port of the admin API on selected pods.
    #[serde(default = "admin_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub admin_port: i32,
    /// Secret with the token of the admin API under the key token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretRef>,
    /// Secret with the certificate authority of the admin API under the key ca.crt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
}

const fn admin_port() -> i32 {
    8001
}

/// Whose tokens are taken.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = grammar::http_shape("spec.issuer.jwksUrl"),
    validation = grammar::no_userinfo("spec.issuer.jwksUrl", grammar::PUBLIC),
    validation = grammar::no_credential_parameter("spec.issuer.jwksUrl", grammar::PUBLIC),
    validation = grammar::port("spec.issuer.jwksUrl"),
)]
pub struct TokenIssuer {
    /// Address of the keys.
    #[schemars(schema_with = "grammar::address")]
    pub jwks_url: String,
    /// Claim iss of a token.
    #[schemars(length(min = 1, max = 256))]
    pub issuer: String,
    /// Claim aud of a token.
    #[schemars(length(min = 1, max = 256))]
    pub audience: String,
}

/// How often somebody may ask.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RequestLimits {
    /// Requests a minute of one user.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_user_per_minute: i32,
    /// Requests a second of one address.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 100_000))]
    pub per_ip_per_second: i32,
}

const fn thousand() -> i32 {
    1000
}

const fn fifty() -> i32 {
    50
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            per_user_per_minute: thousand(),
            per_ip_per_second: fifty(),
        }
    }
}

/// Pages of other origins that may call.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.allowCredentials || !self.origins.exists(o, o == '*')").message("spec.cors.origins must be named when allowCredentials is true: browsers refuse '*' then; list the origins or set allowCredentials: false").field_path(".origins"))]
pub struct Cors {
    /// Origins, as https://wall.example; '*' for every one.
    #[schemars(length(min = 1, max = 64), inner(length(max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub origins: Vec<String>,
    /// Whether cookies are taken from them.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a browser may remember the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::duration")]
    pub max_age: Option<String>,
}

/// A route besides the built-in ones.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRoute {
    /// Its name, a DNS label.
    #[schemars(schema_with = "grammar::label")]
    pub name: String,
    /// Prefixes of paths that it takes.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(p, p.startsWith('/'))").message("spec.routes[].paths must each begin with '/'"))]
    pub paths: Vec<String>,
    /// Methods that it takes; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub methods: Vec<HttpMethod>,
    /// The Service in the release's namespace behind it.
    pub service: RouteService,
    /// False lets requests in without a token.
    #[serde(default = "yes")]
    pub authenticated: bool,
    /// Prefix is removed before the request goes on.
    #[serde(default)]
    pub strip_path: bool,
}

/// An HTTP method: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// A Service behind a route.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RouteService {
    /// Its name.
    #[schemars(schema_with = "grammar::label")]
    pub name: String,
    /// Its port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// What the gateway is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiGatewayStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Number of the configuration that was last made; it grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Hash of that configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub config_hash: Option<String>,
    /// Kong pods, and how many have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<GatewayPods>,
    /// What Kong refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub rejected: Vec<RejectedObject>,
    /// Ready, Programmed; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}

/// Kong pods, and how many have the configuration.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPods {
    /// Pods.
    pub total: i32,
    /// Pods that have the configuration.
    pub current: i32,
}

/// What Kong refused.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RejectedObject {
    /// The object, as IamGroup/police.
    #[schemars(length(max = 320))]
    pub object: String,
    /// The field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub field: Option<String>,
    /// What Kong said.
    #[schemars(length(max = 1024))]
    pub message: String,
}
