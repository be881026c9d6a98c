//! Names that several rooms write or select on: group, labels, annotations, Secret types, field managers.

/// API group of every kind.
pub const GROUP: &str = "marsad.dev";
/// The version served and stored.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every kind.
pub const API_VERSION: &str = "marsad.dev/v1alpha1";

/// Annotation: `"true"` stops work on an object, never its deletion (contracts.md 2).
pub const PAUSED: &str = "marsad.dev/paused";
/// Annotation: any new value asks for a reconcile now.
pub const RECONCILE_REQUESTED_AT: &str = "marsad.dev/reconcile-requested-at";

/// Annotation of an IngestPool: `"true"` lets shards go at once that `spec.replicas` wants no more, with the cameras that they have.
pub const FORCE_SCALE_DOWN: &str = "marsad.dev/force-scale-down";

/// Label of an ingest pod and of all that belongs to a pool: the IngestPool's name.
pub const INGEST_POOL: &str = "marsad.dev/ingest-pool";
/// Label of a Valkey pod: `primary` or `replica`.
pub const VALKEY_ROLE: &str = "marsad.dev/valkey-role";

/// Recommended label: the application, always [`APP`].
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Value of [`APP_NAME`].
pub const APP: &str = "marsad";
/// Recommended label: which part of the application (contracts.md 14).
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Value of [`COMPONENT`] on ingest pods.
pub const COMPONENT_MEDIAMTX: &str = "mediamtx";
/// Recommended label: the Helm release.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Recommended label: who applies the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] on what the operator makes.
pub const MANAGER: &str = "marsad-operator";

/// The only type of Secret that a camera's credentials are read from (contracts.md 9).
pub const CAMERA_CREDENTIALS_TYPE: &str = "marsad.dev/camera-credentials";
/// Key of the user name in a credentials Secret.
pub const USERNAME_KEY: &str = "username";
/// Key of the password in a credentials Secret.
pub const PASSWORD_KEY: &str = "password";
/// Key of the certificate bundle in a CA Secret.
pub const CA_KEY: &str = "ca.crt";

/// Field manager of the Camera controller: a Camera's whole status but `Publishing`.
pub const MANAGER_CAMERA: &str = "marsad/camera";
/// Field manager of the CameraSource controller.
pub const MANAGER_CAMERA_SOURCE: &str = "marsad/camerasource";
/// Field manager of the IngestPool controller.
pub const MANAGER_INGEST_POOL: &str = "marsad/ingestpool";
/// Field manager of the `streams` role: a Camera's condition `Publishing`.
pub const MANAGER_STREAMS: &str = "marsad/streams";
