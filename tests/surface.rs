//! What a user sees of the crate without features: the names in `surface.txt` and no other.

use std::path::Path;

use crate::examples::cargo;

/// rustdoc's own list. Whoever adds a name to the root adds it to `surface.txt`, and keeps it until a major version.
#[test]
fn the_root_has_the_names_of_surface_txt() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let made = cargo("doc").args(["--lib", "--no-deps"]).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let all = std::fs::read_to_string(target.join("doc/exosend/all.html")).unwrap();
    // `href="struct.Account.html"`: an item of the root; those of modules have their path before them.
    let mut names: Vec<_> = all
        .split("href=\"")
        .filter_map(|link| link.split_once(".html\"")?.0.split_once('.'))
        .map(|(_, name)| name)
        .filter(|name| !name.contains(['.', '/']))
        .collect();
    names.sort_unstable();
    names.dedup();
    let expected: Vec<_> = include_str!("surface.txt").lines().collect();
    assert_eq!(names, expected);
}
