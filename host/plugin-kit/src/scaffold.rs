//! `sipward plugin new`: a folder that builds, tests and can be shipped as it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::KitError;
use crate::project::Language;

/// Bytes of a plugin's name. 64: the longest that a folder and a log line take well.
const NAME_BYTES: usize = 64;

/// A template: where it goes in the new folder, and its text.
type Template = (&'static str, &'static str);

macro_rules! template {
    ($language:literal, $file:literal) => {
        (
            $file,
            include_str!(concat!("../templates/", $language, "/", $file, ".in")),
        )
    };
}

/// A crate.
const RUST: &[Template] = &[
    template!("rust", "Cargo.toml"),
    (".gitignore", include_str!("../templates/rust/gitignore.in")),
    template!("rust", "README.md"),
    template!("rust", "src/lib.rs"),
    template!("rust", "src/settings.rs"),
    template!("rust", "tests/policy.rs"),
];

/// A component by componentize-js.
const JS: &[Template] = &[
    template!("js", "sipward-plugin.toml"),
    (".gitignore", include_str!("../templates/js/gitignore.in")),
    template!("js", "README.md"),
    template!("js", "package.json"),
    template!("js", "build.sh"),
    template!("js", "build.mjs"),
    template!("js", "policy.js"),
    template!("js", "wit/world.wit"),
    INTERFACE,
];

/// A component by componentize-py.
const PYTHON: &[Template] = &[
    template!("python", "sipward-plugin.toml"),
    (
        ".gitignore",
        include_str!("../templates/python/gitignore.in"),
    ),
    template!("python", "README.md"),
    template!("python", "requirements.txt"),
    template!("python", "build.sh"),
    template!("python", "app.py"),
    template!("python", "wit/world.wit"),
    INTERFACE,
];

/// The interface, which the SDK has within.
const INTERFACE: Template = (
    "wit/deps/policy.wit",
    include_str!("../../../wit/policy.wit"),
);

/// Golden messages. The policy is the same in every language.
const GOLDEN: &[Template] = &[
    template!("rust", "golden/settings.toml"),
    template!("rust", "golden/calls.sip"),
    template!("rust", "golden/calls.expected"),
    template!("rust", "golden/hostile.sip"),
    template!("rust", "golden/hostile.expected"),
];

/// What is begun.
#[derive(Clone, Copy, Debug)]
pub struct NewPlugin<'a> {
    /// Its name, which is that of the folder and the crate.
    pub name: &'a str,
    /// What it is written in.
    pub language: Language,
    /// The SDK's folder; its published version without it. Only Rust has one.
    pub sdk: Option<&'a Path>,
}

/// Writes a new plugin into a folder of its name in `parent`.
///
/// # Errors
/// The name cannot be used, there is something already, or the system refuses.
pub fn create(parent: &Path, plugin: NewPlugin<'_>) -> Result<PathBuf, KitError> {
    check_name(plugin.name)?;
    let folder = parent.join(plugin.name);
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(KitError::Unusable(format!(
            "{} is there already; choose another name or remove it",
            folder.display()
        )));
    }
    let sdk = sdk(plugin.sdk)?;
    for (file, text) in templates(plugin.language).iter().chain(GOLDEN) {
        let path = folder.join(filled(file, plugin.name, &sdk));
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(KitError::file("create", above))?;
        }
        fs::write(&path, filled(text, plugin.name, &sdk))
            .map_err(KitError::file("write", &path))?;
    }
    Ok(folder)
}

const fn templates(language: Language) -> &'static [Template] {
    match language {
        Language::Rust => RUST,
        Language::JavaScript => JS,
        Language::Python => PYTHON,
    }
}

/// The SDK as `Cargo.toml` names it.
fn sdk(folder: Option<&Path>) -> Result<String, KitError> {
    let Some(folder) = folder else {
        return Ok(format!("\"{}\"", env!("CARGO_PKG_VERSION")));
    };
    let whole = folder
        .canonicalize()
        .map_err(KitError::file("find the SDK in", folder))?;
    if !whole.join("Cargo.toml").is_file() {
        return Err(KitError::Unusable(format!(
            "{} is not the SDK: it has no Cargo.toml; name the folder `plugin-sdk`",
            folder.display()
        )));
    }
    let path = whole.to_str().filter(|path| !path.contains(['"', '\\']));
    let path = path.ok_or_else(|| {
        KitError::Unusable(format!(
            "{} cannot be written into a Cargo.toml",
            whole.display()
        ))
    })?;
    Ok(format!("{{ path = \"{path}\" }}"))
}

fn check_name(name: &str) -> Result<(), KitError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_lowercase());
    if begins && name.len() <= NAME_BYTES && name.bytes().all(fits) && !name.ends_with('-') {
        return Ok(());
    }
    Err(KitError::Unusable(format!(
        "`{name}` is no name for a plugin; write lower-case letters, digits and hyphens, such as `night-calls`"
    )))
}

/// The text with the plugin's names in their places.
fn filled(text: &str, name: &str, sdk: &str) -> String {
    let type_name: String = name.split('-').map(capitalised).collect();
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{type}}", &type_name)
        .replace("{{sdk}}", sdk)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str) -> NewPlugin<'_> {
        NewPlugin {
            name,
            language: Language::Rust,
            sdk: None,
        }
    }

    #[test]
    fn each_language_has_a_project_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        for (name, language) in [
            ("in-js", Language::JavaScript),
            ("in-python", Language::Python),
        ] {
            let plugin = NewPlugin {
                name,
                language,
                sdk: None,
            };
            let folder = create(parent.path(), plugin).unwrap();
            for (file, _) in templates(language).iter().chain(GOLDEN) {
                let text = fs::read_to_string(folder.join(file)).unwrap();
                assert!(!text.contains("{{"), "{name}: {file}");
            }
            let project = crate::Project::find(&folder).unwrap();
            assert_eq!(project.name, name);
            let golden = crate::golden::Golden::read(&project.golden()).unwrap();
            assert_eq!(golden.cases.len(), 2);
        }
    }

    #[test]
    fn every_place_is_filled() {
        let parent = tempfile::tempdir().unwrap();
        let folder = create(parent.path(), plugin("night-calls2")).unwrap();
        for (file, _) in RUST.iter().chain(GOLDEN) {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(!text.contains("{{"), "{file}: {text}");
        }
        let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        assert!(library.contains("pub struct NightCalls2 {"), "{library}");
        let tests = fs::read_to_string(folder.join("tests/policy.rs")).unwrap();
        assert!(tests.contains("use night_calls2::NightCalls2;"), "{tests}");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("sipward-plugin-sdk = \"0.1.0\""),
            "{manifest}"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        create(parent.path(), plugin("mine")).unwrap();
        let error = create(parent.path(), plugin("mine")).unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
        // An empty folder is as good as none.
        fs::create_dir(parent.path().join("empty")).unwrap();
        create(parent.path(), plugin("empty")).unwrap();
    }

    #[test]
    fn names_are_those_of_crates() {
        let long = "a".repeat(NAME_BYTES + 1);
        for name in ["", "-a", "a-", "1a", "Mine", "a_b", "../a", "a b", &long] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["a", "ip-acl", "a1-b2", &long[1..]] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_sdk_is_a_folder_with_a_manifest() {
        let parent = tempfile::tempdir().unwrap();
        assert!(sdk(Some(parent.path())).is_err());
        fs::write(parent.path().join("Cargo.toml"), "").unwrap();
        let written = sdk(Some(parent.path())).unwrap();
        assert!(written.starts_with("{ path = \"/"), "{written}");
        assert!(sdk(Some(&parent.path().join("none"))).is_err());
    }
}
