//! The identity of a camera outside Kubernetes.

use uuid::Uuid;

/// Namespace of camera ids. Never changed: ids in layouts, rooms and leases are derived from it.
pub const CAMERA_ID_NAMESPACE: Uuid = Uuid::from_u128(0x8c5d_3f0a_6b1e_5e57_9a41_1f2d_7c60_b9e4);

/// The id of a camera everywhere in REST, Valkey and LiveKit: UUIDv5 of `namespace/name` (contracts.md 4). It survives
/// delete and re-apply; neither part can hold a slash, so two cameras never share one.
pub fn camera_id(namespace: &str, name: &str) -> Uuid {
    Uuid::new_v5(&CAMERA_ID_NAMESPACE, format!("{namespace}/{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// contracts.md 4: ids are stored outside, so the derivation may never move.
    #[test]
    fn the_id_of_a_camera_never_changes() {
        assert_eq!(
            camera_id("police", "szr-12").to_string(),
            "2085def1-dfbe-5a06-9ed0-ab7fe462f7ae"
        );
        assert_ne!(camera_id("a", "b-c"), camera_id("a-b", "c"));
    }
}
