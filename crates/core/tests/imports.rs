//! Checks that no two files of this crate import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The files that each file imports, by module path.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Adds the source of each file below a folder, by module path.
fn read(folder: &Path, module: &str, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
        if path.is_dir() {
            read(&path, &inner, sources);
        } else {
            let module = if matches!(name, "mod" | "lib") { module.to_owned() } else { inner };
            sources.insert(module, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The paths that a `use` statement names: `a::{b, c::d}` names `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, list)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let list = list.trim_end().strip_suffix('}').expect("a closed list");
    let (mut items, mut depth) = (vec![String::new()], 0);
    for character in list.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        match character {
            ',' if depth == 0 => items.push(String::new()),
            _ => items.last_mut().unwrap().push(character),
        }
    }
    let items = items.iter().filter(|item| !item.trim().is_empty());
    items.flat_map(|item| expand(&format!("{}{}", prefix.trim(), item.trim()))).collect()
}

/// The module path of a `use` path, or `None` for a path of another crate.
fn absolute(path: &str, module: &str) -> Option<String> {
    let mut inside: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    if parts.next_if_eq(&"crate").is_some() {
        inside.clear();
    } else if parts.peek() != Some(&"super") {
        return None;
    }
    while parts.next_if_eq(&"super").is_some() {
        inside.pop();
    }
    Some(inside.into_iter().chain(parts).collect::<Vec<_>>().join("::"))
}

fn imports() -> Imports {
    let mut sources = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    let of_file = |(module, source): (&String, &String)| {
        let source = source.split("mod tests {").next().unwrap();
        let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let statements = code.split("\nuse ").skip(1).map(|rest| rest.split(';').next().unwrap());
        let paths = statements.flat_map(expand).filter_map(|path| absolute(&path, module));
        // The longest part of the path that names a file.
        let file = |path: String| {
            let ends = path.rmatch_indices("::").map(|(end, _)| &path[..end]);
            [path.as_str()].into_iter().chain(ends).find(|part| sources.contains_key(*part)).map(str::to_owned)
        };
        (module.clone(), paths.filter_map(file).filter(|file| file != module).collect())
    };
    sources.iter().map(of_file).collect()
}

/// Follows the imports of a file. Fails if they lead back to a file on the way.
fn follow<'a>(module: &'a str, imports: &'a Imports, way: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) {
    assert!(!way.contains(&module), "files import each other: {} -> {module}", way.join(" -> "));
    if !done.contains(module) {
        way.push(module);
        imports[module].iter().for_each(|import| follow(import, imports, way, done));
        way.pop();
        done.insert(module);
    }
}

#[test]
fn no_two_files_import_each_other() {
    let imports = imports();
    assert!(imports["delta::encode::regions"].contains("delta::encode::planner"), "the imports are read");
    let mut done = BTreeSet::new();
    imports.keys().for_each(|module| follow(module, &imports, &mut Vec::new(), &mut done));
    assert_eq!(done.len(), imports.len());
}
