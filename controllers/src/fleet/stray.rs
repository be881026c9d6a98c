//! Paths that nobody wants any more: Camera has no finalizer, so a shard's list is compared with what should
//! be there (contracts.md 9a). Pure.

use super::camera_of;

/// The paths of those `configured` on a shard that it should not have: their camera is gone, or lives on another shard, and does not
/// belong here. Paths that are not of our making are left alone.
pub(crate) fn strays<'a>(
    configured: impl Iterator<Item = &'a str>,
    belongs: impl Fn(&str) -> bool,
) -> Vec<String> {
    configured
        .filter(|path| {
            camera_of(path).is_some_and(|(namespace, name)| !belongs(&super::camera_key(namespace, name)))
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
        assert_eq!(
            strays(configured.into_iter(), |camera| camera == "police/here"),
            ["police/moved/main", "police/gone/sub"]
        );
    }
}
