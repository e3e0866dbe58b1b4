//! `deploy/` through promtool, Prometheus, kubernetes-validate, buildah and podman.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_yaml::Value;
use tempfile::TempDir;

use super::{configmap, documents, file};
use crate::programs::{Running, curl, eventually, package, program, succeed};

const KEY: &str = "x-api-key: sidecar-example-key-b7f1e2d3c4a5968778695a4b3c2d1e0f";

#[test]
fn promtool_accepts_the_rules_and_they_do_what_they_say() {
    let folder = package().join("deploy/prometheus");
    let promtool = || {
        let mut command = Command::new(program("promtool"));
        command.current_dir(&folder);
        command
    };
    succeed(promtool().args(["check", "config", "scrape.yaml"]));
    succeed(promtool().args(["check", "rules", "alerts.yaml"]));
    succeed(promtool().args(["test", "rules", "alerts_test.yaml"]));
}

#[test]
fn kubernetes_accepts_the_manifest() {
    let manifest = package().join("deploy/kubernetes/sidecar.yaml");
    succeed(Command::new(program("kubernetes-validate")).arg("--strict").arg(manifest));
}

/// Images and containers of one test, in a folder of their own.
struct Containers {
    folder: TempDir,
}

impl Containers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The defaults of podman may be above what the caller is allowed; runc then refuses to start anything.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(folder.path().join("containers.conf"), limits).unwrap();
        // `play kube` takes a folder named as the image for something to build.
        fs::create_dir(folder.path().join("empty")).unwrap();
        Containers { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where both programs keep images.
    fn storage(&self) -> Vec<String> {
        let path = |name: &str| self.at(name).to_str().unwrap().to_owned();
        ["--root", &path("images"), "--runroot", &path("run"), "--storage-driver", "vfs"].map(str::to_owned).to_vec()
    }

    fn podman(&self) -> Command {
        let mut command = Command::new(program("podman"));
        command.current_dir(self.at("empty")).env("CONTAINERS_CONF", self.at("containers.conf")).args(self.storage());
        command.arg("--runtime").arg(program("runc")).args(["--cgroup-manager", "cgroupfs"]);
        command.args(["--events-backend", "file", "--tmpdir"]).arg(self.at("libpod"));
        command
    }

    fn logs(&self, container: &str) -> String {
        let output = self.podman().args(["logs", container]).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let _ = self.podman().args(["pod", "rm", "--all", "--force", "--time", "2"]).output();
        let _ = self.podman().args(["volume", "rm", "--all", "--force"]).output();
    }
}

/// The shipped manifest, with our own echo upstream in the place of the API and loopback in the place of the ingress.
fn manifest(tag: &str) -> String {
    let ours = "trusted_proxies: [10.0.0.0/8]";
    let text = file("kubernetes/sidecar.yaml");
    assert!(text.contains(ours));
    let mut documents = documents(&text.replace(ours, "trusted_proxies: [127.0.0.1]"));
    for document in &mut documents {
        if document["kind"] == "ConfigMap" {
            document["data"]["api.yaml"] = Value::from(
                "gateway:\n  listen: [{ address: 127.0.0.1:3000 }]\n  credentials: { headers: [x-api-key] }\n  \
                 routes: [{ path: /, upstream: api, access: public }]\n  upstreams: { api: { endpoints: [\"echo:\"] } }\n\
                 directory: { file: /etc/portcullis/directory.yaml }\ntelemetry: { listen: 127.0.0.1:3002 }\n",
            );
        } else {
            let containers = &mut document["spec"]["containers"];
            let sidecar = containers[1].clone();
            let api = &mut containers[0];
            api["image"] = Value::from(tag);
            api["args"] = serde_yaml::from_str("[serve, --config, /etc/portcullis/api.yaml]").unwrap();
            api["securityContext"] = sidecar["securityContext"].clone();
            api["volumeMounts"] = sidecar["volumeMounts"].clone();
            containers[1]["image"] = Value::from(tag);
            // Without a network podman has nothing to map ports on.
            containers[1].as_mapping_mut().unwrap().remove("ports").unwrap();
        }
    }
    documents.iter().map(|document| format!("---\n{}", serde_yaml::to_string(document).unwrap())).collect()
}

/// Runs a command in the Pod's network, where the manifest's own ports are free.
struct Inside(String);

impl Inside {
    fn command(&self) -> Command {
        let mut command = Command::new(program("nsenter"));
        command.arg(format!("--net=/proc/{}/ns/net", self.0)).arg("--");
        command
    }

    fn curl(&self, arguments: &[&str]) -> Result<(u16, String), String> {
        curl(Some(&mut self.command()), arguments)
    }

    fn status(&self, client: &str) -> Result<u16, String> {
        let forwarded = format!("x-forwarded-for: {client}");
        self.curl(&["-H", KEY, "-H", &forwarded, "http://127.0.0.1:8080/orders"]).map(|(status, _)| status)
    }
}

/// As the kubelet does it: the reader sees the old file or the new one, never half of one.
fn swap(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, file).unwrap();
}

#[test]
fn the_image_runs_as_the_sidecar_and_follows_its_configmap() {
    let containers = Containers::new();
    let tag = "localhost/portcullis:test";
    let image = package().join("deploy/image");
    let mut build = Command::new(&image);
    build.args(["--tag", tag, "--profile", "dev", "--"]).args(containers.storage());
    succeed(&mut build);

    let path = containers.at("sidecar.yaml");
    fs::write(&path, manifest(tag)).unwrap();
    succeed(containers.podman().args(["play", "kube", "--network", "none"]).arg(&path));
    let pid = succeed(containers.podman().args(["inspect", "--format", "{{.State.Pid}}", "api-portcullis"]));
    let inside = Inside(pid.trim().to_owned());

    let ready = || match inside.curl(&["http://127.0.0.1:8082/readyz"]) {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}\n{}", containers.logs("api-portcullis"))),
    };
    eventually("the sidecar is ready", Duration::from_secs(20), ready);
    let allowed = || match inside.status("203.0.113.9") {
        Ok(200) => Ok(()),
        other => Err(format!("{other:?}\n{}{}", containers.logs("api-portcullis"), containers.logs("api-api"))),
    };
    eventually("a listed address is let in", Duration::from_secs(10), allowed);
    assert_eq!(inside.status("198.51.100.7"), Ok(403));
    assert_eq!(inside.curl(&["http://127.0.0.1:8080/orders"]).map(|(status, _)| status), Ok(401));

    let mounted = succeed(containers.podman().args(["volume", "inspect", "--format", "{{.Mountpoint}}", "portcullis"]));
    let directory = Path::new(mounted.trim()).join("directory.yaml");
    swap(&directory, &configmap("directory.yaml").replace("203.0.113.0/24", "198.51.100.0/24"));
    let swapped = || match (inside.status("198.51.100.7"), inside.status("203.0.113.9")) {
        (Ok(200), Ok(403)) => Ok(()),
        other => Err(format!("{other:?}\n{}", containers.logs("api-portcullis"))),
    };
    eventually("the new list decides", Duration::from_secs(40), swapped);

    scraped(&containers, &inside);
}

/// A Prometheus with the configuration that is shipped scrapes the Pod, loads the rules and knows our metrics.
fn scraped(containers: &Containers, inside: &Inside) {
    let shipped = package().join("deploy/prometheus");
    let folder = containers.at("prometheus");
    fs::create_dir(&folder).unwrap();
    fs::copy(shipped.join("alerts.yaml"), folder.join("alerts.yaml")).unwrap();
    let faster = file("prometheus/scrape.yaml").replace("_interval: 15s", "_interval: 1s");
    fs::write(folder.join("scrape.yaml"), faster).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut command = inside.command();
    command.arg(program("prometheus")).arg(format!("--config.file={}", folder.join("scrape.yaml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.args(["--web.listen-address=127.0.0.1:9090"]).stderr(log);
    let _prometheus = Running::start(&mut command);

    let query = |expression: &str, wanted: &str| {
        let url = "http://127.0.0.1:9090/api/v1/query";
        let value = format!("query={expression}");
        eventually(expression, Duration::from_secs(30), || {
            match inside.curl(&["-G", url, "--data-urlencode", &value]) {
                Ok((200, body)) if body.contains(wanted) => Ok(()),
                other => Err(format!("{other:?}\n{}", fs::read_to_string(folder.join("log")).unwrap_or_default())),
            }
        });
    };
    query("up{job=\"portcullis\"}", "\"1\"]");
    query("sum(portcullis_requests_total{outcome=\"deny\",code=\"IP_ADDRESS_NOT_ON_ACCESS_LIST\"}) > bool 0", "\"1\"]");
    query("portcullis_directory_current", "\"1\"]");
    let (_, metrics) = inside.curl(&["http://127.0.0.1:8082/metrics"]).unwrap();
    promtool_accepts(&metrics);
    let (_, rules) = inside.curl(&["http://127.0.0.1:9090/api/v1/rules"]).unwrap();
    assert!(rules.contains("PortcullisDirectoryRefused"), "{rules}");
}

fn promtool_accepts(metrics: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    fs::write(&path, metrics).unwrap();
    succeed(Command::new(program("promtool")).args(["check", "metrics"]).stdin(fs::File::open(&path).unwrap()));
}
