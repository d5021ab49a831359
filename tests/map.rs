//! src/README.md, the map of src, names each file and no other.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below, as the map writes it: from `src` on.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let file = path.strip_prefix(root().join("src")).unwrap();
            found.push(file.to_str().unwrap().to_owned());
        }
    }
}

fn named() -> Vec<String> {
    let map = std::fs::read_to_string(root().join("src/README.md")).unwrap();
    map.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)))
        .map(|word| word.trim_end_matches('.').to_owned())
        .filter(|word| word.contains(".rs") || word.contains(".md") || word.ends_with('/'))
        .collect()
}

#[test]
fn what_the_map_names_is_there() {
    for name in named() {
        let there = root().join("src").join(&name).exists() || root().join(&name).exists();
        assert!(there, "src/README.md names {name}");
    }
}

#[test]
fn every_file_is_on_the_map() {
    let (mut found, named) = (Vec::new(), named());
    files(&root().join("src"), &mut found);
    for file in found {
        // A folder that is named stands for the files in it.
        let is = |name: &String| *name == file || name.ends_with('/') && file.starts_with(name);
        assert!(named.iter().any(is), "src/README.md leaves out {file}");
    }
}
