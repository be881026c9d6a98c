//! The table and the Dockerfiles in `deploy/images` say the same.
#![cfg(test)]

use super::{ALL, Image, Origin, USER};

/// The instructions of an image's Dockerfile.
fn instructions(image: &Image) -> Vec<String> {
    let mut lines = vec!["FROM scratch".to_owned()];
    for item in image.items {
        let chmod = if matches!(item.origin, Origin::Tmp) {
            "--chmod=1777 "
        } else {
            ""
        };
        lines.push(if item.origin.is_folder() {
            format!(
                "COPY {chmod}{}/ {}/",
                item.source,
                item.target.trim_end_matches('/')
            )
        } else {
            format!("COPY {} {}", item.source, item.target)
        });
    }
    let words: Vec<String> = image.entrypoint.iter().map(|word| format!("{word:?}")).collect();
    lines.push("ENV PATH=/usr/local/bin:/usr/bin:/bin:/".to_owned());
    lines.push(format!("USER {USER}"));
    lines.push(format!("ENTRYPOINT [{}]", words.join(", ")));
    lines
}

#[test]
fn every_image_has_its_dockerfile_and_no_other_is_there() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/images");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".Dockerfile"))
        .collect();
    there.sort();
    let mut wanted: Vec<String> = ALL
        .iter()
        .map(|image| format!("{}.Dockerfile", image.name))
        .collect();
    wanted.sort();
    assert_eq!(there, wanted);
    for image in ALL {
        let text = std::fs::read_to_string(format!("{folder}/{}.Dockerfile", image.name)).unwrap();
        let said: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert_eq!(said, instructions(&image), "{}.Dockerfile", image.name);
    }
}
