//! Every file of `deploy/` is read here, and in [`third_party`] by the programs that it is for.

mod third_party;

use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde_yaml::Value;

use crate::programs::{PORTCULLIS, output, package};

/// The documents of a YAML file.
pub fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn file(name: &str) -> String {
    fs::read_to_string(package().join("deploy").join(name)).unwrap()
}

/// `data` of the ConfigMap in the sidecar's manifest.
pub fn configmap(name: &str) -> String {
    let documents = documents(&file("kubernetes/sidecar.yaml"));
    let found = documents.iter().find(|document| document["kind"] == "ConfigMap").unwrap();
    found["data"][name].as_str().unwrap().to_owned()
}

#[test]
fn every_manifest_is_yaml() {
    let mut count = 0;
    for folder in ["kubernetes", "prometheus", "container"] {
        for entry in fs::read_dir(package().join("deploy").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert!(!documents(&text).is_empty(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

#[track_caller]
fn check(configuration: &str, directory: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.yaml");
    let at = folder.path().join("directory.yaml");
    assert!(configuration.contains("/etc/portcullis/directory.yaml"), "{configuration}");
    fs::write(&path, configuration.replace("/etc/portcullis/directory.yaml", at.to_str().unwrap())).unwrap();
    fs::write(&at, directory).unwrap();
    let output = output(Command::new(PORTCULLIS).arg("check").arg("--config").arg(&path));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn configurations_that_are_shipped_pass_the_check() {
    check(&configmap("portcullis.yaml"), &configmap("directory.yaml"));
    check(&file("container/portcullis.yaml"), &configmap("directory.yaml"));
}

/// Probes and scraping come from outside the container.
#[test]
fn containers_listen_on_all_addresses() {
    for text in [configmap("portcullis.yaml"), file("container/portcullis.yaml")] {
        let configuration = &documents(&text)[0];
        assert_eq!(configuration["gateway"]["listen"][0]["address"], "0.0.0.0:8080");
        assert_eq!(configuration["telemetry"]["listen"], "0.0.0.0:8082");
    }
}

#[test]
fn the_sidecar_has_no_rights() {
    let documents = documents(&file("kubernetes/sidecar.yaml"));
    let pod = documents.iter().find(|document| document["kind"] == "Pod").unwrap();
    let sidecar = &pod["spec"]["containers"][1];
    assert_eq!(sidecar["name"], "portcullis");
    let rights = &sidecar["securityContext"];
    assert_eq!(rights["runAsNonRoot"], true);
    assert_eq!(rights["readOnlyRootFilesystem"], true);
    assert_eq!(rights["allowPrivilegeEscalation"], false);
    assert_eq!(rights["capabilities"]["drop"][0], "ALL");
    assert_eq!(rights["seccompProfile"]["type"], "RuntimeDefault");
    assert!(sidecar["resources"]["limits"]["memory"].is_string());
    // A `subPath` never follows its ConfigMap.
    assert!(sidecar["volumeMounts"][0]["subPath"].is_null());
}

#[test]
fn the_image_holds_two_files_and_no_user_of_weight() {
    let text = file("Containerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "FROM scratch");
    assert_eq!(lines.iter().filter(|line| line.starts_with("COPY ")).count(), 2);
    assert!(lines.contains(&"USER 65532:65532"));
    assert!(lines.iter().all(|line| !line.starts_with("RUN ")));
}

#[test]
fn the_unit_checks_starts_and_stops_at_a_wrong_configuration() {
    let text = file("systemd/portcullis.service");
    let has = |line: &str| assert!(text.lines().any(|each| each == line), "{line}");
    has("ExecStartPre=/usr/local/bin/portcullis check --config /etc/portcullis/portcullis.yaml");
    has("ExecStart=/usr/local/bin/portcullis serve --config /etc/portcullis/portcullis.yaml");
    has("RestartPreventExitStatus=64 78");
    has("Type=notify");
    has("NotifyAccess=all");
    has("NoNewPrivileges=yes");
    has("ProtectSystem=strict");
    for line in text.lines() {
        assert!(line.is_empty() || line.starts_with(['#', '[']) || line.contains('='), "{line}");
    }
}
