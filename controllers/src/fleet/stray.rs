//! Paths that nobody wants any more: Camera has no finalizer, so a shard's list is compared with what should
//! be there (contracts.md 9a). Pure.

use super::camera_of;

/// The paths of `configured` that the shard named `shard` should not have: their camera is gone, or lives on
/// another shard that has taken it. Paths that are not of our making are left alone.
pub(crate) fn strays<'a>(
    shard: &str,
    configured: impl Iterator<Item = &'a str>,
    place_of: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    configured
        .filter(|path| {
            camera_of(path).is_some_and(|(namespace, name)| {
                place_of(&super::camera_key(namespace, name)).is_none_or(|place| place != shard)
            })
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_cameras_that_are_gone_or_elsewhere_are_strays() {
        let configured = [
            "police/here/main",
            "police/moved/main",
            "police/gone/sub",
            "somebody-s-own",
            "all_others",
        ];
        let place = |camera: &str| match camera {
            "police/here" => Some("shard-0".to_owned()),
            "police/moved" => Some("shard-1".to_owned()),
            _ => None,
        };
        assert_eq!(
            strays("shard-0", configured.into_iter(), place),
            ["police/moved/main", "police/gone/sub"]
        );
    }
}
