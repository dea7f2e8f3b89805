//! `examples/secure-trunk` for `bench signalling`: the policies and settings that ship,
//! with the listener, PBX and trunk of the other subjects. Their legs are plain UDP on
//! 127.0.0.1, and one PBX with a password calls all the time; [`changed`] says what has to
//! differ for it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sipward_bench::secure_trunk::{self, entries};

use crate::load::{PASSWORD, USER};
use crate::ports::Ports;

/// Writes the configuration and what it names into the folder.
pub(crate) fn configure(
    plugins: &str,
    isolation: &str,
    ports: &Ports,
    folder: &Path,
    cache: &Path,
) -> Result<()> {
    let example = secure_trunk::config()?;
    let list = |name: &str| secure_trunk::folder().join(name);
    fs::write(folder.join("country.mmdb"), secure_trunk::countries())?;
    fs::write(folder.join("password"), format!("{PASSWORD}\n"))?;
    let mut config = json!({
        "server": {
            "workers": 2,
            "admin_socket": folder.join("admin.sock"),
            "state_dir": folder.join("state"),
            "cache_dir": cache,
            "log_level": "warn",
            "watch": false,
            "domains": ["127.0.0.1"],
        },
        // Kamailio writes none either.
        "records": { "enabled": false },
        "signatures": { "required": false },
        "listener": [{
            "name": "inside",
            "transport": "udp",
            "bind": format!("127.0.0.1:{}", ports.inside),
            "zone": "inside",
        }],
        "pbx": [{ "name": "office", "sources": ["127.0.0.1/32"], "route_to": "carrier" }],
        // It answers on 127.0.0.1 as well; it sends responses only.
        "trunk": [{
            "name": "carrier",
            "targets": [format!("sip:127.0.0.1:{}", ports.trunk)],
        }],
        "credential": [{
            "user": USER,
            "realm": "sipward",
            "password_file": folder.join("password"),
        }],
        "geo": { "country": folder.join("country.mmdb") },
        "list": [
            { "name": "barred", "file": list("barred.txt") },
            { "name": "rates", "file": list("rates.txt") },
        ],
        "groups": example.get("groups").context("the example has no groups")?,
        "plugin": example.get("plugin").context("the example has no plugins")?,
        "pipeline": [],
    });
    for plugin in entries(&mut config, "plugin") {
        plugin["isolation"] = json!(isolation);
        changed(plugin, plugins)?;
    }
    let pipelines = example.get("pipeline").and_then(Value::as_array);
    let ours = pipelines
        .and_then(|all| all.iter().find(|it| it["name"] == "from-us"))
        .context("the example has no pipeline from-us")?;
    if let Some(table) = config.as_object_mut() {
        table.insert("pipeline".to_owned(), json!([ours]));
    }
    let text = toml_edit::ser::to_string(&config).context("failed to write TOML")?;
    fs::write(folder.join("sipward.toml"), text)?;
    Ok(())
}

/// What differs from the example, beside the amounts that are out of reach.
fn changed(plugin: &mut Value, plugins: &str) -> Result<()> {
    let name = plugin["name"].as_str().unwrap_or_default().to_owned();
    let path = Path::new(plugin["path"].as_str().unwrap_or_default());
    let file = path.file_name().context("a plugin without a file")?;
    plugin["path"] = json!(Path::new(plugins).join(file));
    let settings = &mut plugin["settings"];
    match name.as_str() {
        // The PBX is looked at like a stranger. OPTIONS tells when the subject is ready.
        "scanner-guard" => {
            settings["exempt"] = json!({ "configured_peers": false });
            settings["options"] = json!("allow");
        }
        "ip-acl" => settings["inside"] = json!({ "default": "deny", "allow": ["127.0.0.1/32"] }),
        "rate-limit" => settings["exempt"] = json!({}),
        // There is neither TLS nor SRTP; who used them before is looked up all the same.
        "encryption-required" => {
            settings["inside"] = json!({ "signalling": "any", "media": "any" });
        }
        // There is no certificate.
        "tls-identity" => settings["required"] = json!({}),
        // As the other subjects ask. The PBX has a password here.
        "digest-auth" => {
            settings["realm"] = json!("sipward");
            settings["algorithms"] = json!(["MD5"]);
            settings["exempt"] = json!({});
        }
        // 127.0.0.1 is looked up, and no database knows it.
        "geo-fence" => {
            settings["zones"] = json!(["inside", "outside"]);
            settings["private_exempt"] = json!(false);
            settings["unknown"] = json!("allow");
        }
        "caller-identity" => {
            settings["callers"] = json!([{ "users": [USER], "numbers": [USER] }]);
        }
        "call-limits" => {
            for limit in entries(settings, "limits") {
                if limit["name"] == "person" {
                    limit["of"] = json!([USER]);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The lists of the example as tables of Kamailio's `mtree`.
pub(crate) fn tables(folder: &Path) -> Result<()> {
    for (list, table) in [("barred.txt", "barred"), ("rates.txt", "rates")] {
        let path = secure_trunk::folder().join(list);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        fs::write(folder.join(table), table_of(&text))?;
    }
    fs::write(folder.join("../country.mmdb"), secure_trunk::countries())?;
    Ok(())
}

fn table_of(list: &str) -> String {
    let entries = list.lines().filter(|line| !line.starts_with('#'));
    let rows = entries.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.split_whitespace().next()?;
        Some(format!("{}:{value}\n", key.trim()))
    });
    let mut table = "tprefix(string) tvalue(string)\n".to_owned();
    table.extend(rows);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_tables() {
        let table = table_of("# prices\n+49 = 0.01\n\n+49900 = 1.99 0.50\n");
        assert_eq!(
            table,
            "tprefix(string) tvalue(string)\n+49:0.01\n+49900:1.99\n"
        );
    }

    #[test]
    fn every_policy_is_there_without_tls() {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports {
            inside: 5060,
            pbx: 5061,
            trunk: 5062,
        };
        configure("/plugins", "reuse", &ports, folder.path(), folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("sipward.toml")).unwrap();
        let config: Value = toml_edit::de::from_str(&text).unwrap();
        let asked = config["pipeline"][0]["plugins"].as_array().unwrap();
        assert_eq!(asked.len(), config["plugin"].as_array().unwrap().len());
        assert_eq!(config["plugin"][0]["path"], "/plugins/call-code.wasm");
        assert_eq!(config["plugin"][0]["isolation"], "reuse");
        assert!(!text.contains("example.pem") && !text.contains("transport=tls"));
    }
}
