"""The proxies that are measured, each set up for the same job by the configuration beside this file."""

import argparse
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent
NETWORKS = 10
PAIRS = 2_000
LARGE = 10 * 1024 * 1024
PROXY_CPU, LOAD_CPU = 0, 1


@dataclasses.dataclass
class Caller:
    key: str
    id: str
    networks: list[str]  # the first three octets of a /24


def callers(count: int) -> list[Caller]:
    """The same keys and networks in every run."""
    chance = random.Random(count)
    made = []
    for number in range(count):
        key = f"{chance.getrandbits(32):08x}.{chance.getrandbits(144):036x}"
        networks = [f"{chance.randint(11, 126)}.{chance.randint(0, 255)}.{chance.randint(0, 255)}" for _ in range(NETWORKS)]
        made.append(Caller(key, f"{number + 1:024x}", sorted(set(networks))))
    return made


def pairs(of: list[Caller]) -> list[tuple[str, str]]:
    chance = random.Random(1)
    order = [of[number % len(of)] for number in range(PAIRS)] if len(of) < PAIRS else chance.sample(of, PAIRS)
    chance.shuffle(order)
    return [(caller.key, f"{chance.choice(caller.networks)}.{chance.randint(1, 254)}") for caller in order]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def write(folder: pathlib.Path, name: str, /, **values: object) -> pathlib.Path:
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    path = folder / name
    path.write_text(text)
    return path


class Program:
    """A server that was started here and ends with this run."""

    tls = False

    def __init__(self, name: str, cpu: int | str, command: list[str], port: int, stdout: object = subprocess.DEVNULL) -> None:
        self.name, self.port = name, port
        pinned = ["taskset", "-c", str(cpu), *command]
        self.words = tempfile.TemporaryFile()
        self.process = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=stdout, stderr=self.words)
        deadline = time.monotonic() + 120
        while True:
            if self.process.poll() is not None:
                self.words.seek(0)
                sys.exit(f"{name} ended at once:\n{self.words.read().decode(errors='replace')}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.end()
                    sys.exit(f"{name} does not listen on port {port}")
                time.sleep(0.05)

    def status(self, headers: dict[str, str]) -> int:
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def cpu_ns(self) -> int:
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Proxy(Program):
    # Has it decide by another directory; what cannot be measured so has none.
    reload: Callable[[list[Caller]], None] | None = None

    def prove(self, caller: Caller) -> None:
        """What is measured has to be the whole job."""
        inside = f"{caller.networks[0]}.7"
        cases = [
            ({"X-Api-Key": caller.key, "X-Forwarded-For": inside}, (200,)),
            ({"X-Api-Key": caller.key, "X-Forwarded-For": f"{inside}, 192.0.2.1"}, (403,)),
            ({"X-Api-Key": caller.key, "X-Forwarded-For": "192.0.2.1"}, (403,)),
            ({"X-Api-Key": f"{caller.key}@{inside}", "X-Forwarded-For": "192.0.2.1"}, (401, 403)),
            ({"X-Api-Key": f"{caller.key} {caller.networks[0]}", "X-Forwarded-For": "192.0.2.1"}, (400, 401, 403)),
            ({"X-Forwarded-For": inside}, (401, 403)),
        ]
        deadline = time.monotonic() + 120
        while self.status(cases[0][0]) != 200 and time.monotonic() < deadline:
            time.sleep(0.1)  # a large directory is still being read
        for headers, expected in cases:
            status = self.status(headers)
            if status not in expected:
                self.end()
                sys.exit(f"{self.name} answers {status} and not {expected} to {headers}")


def replace(path: pathlib.Path, text: str) -> None:
    """Whole or not at all, as a reader sees it."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def directory(of: list[Caller]) -> str:
    lines = ["organizations:", "- id: 5f0000000000000000000001", "  name: bench", "  require_access_list: true", "  api_keys:"]
    for caller in of:
        digest = hashlib.sha256(caller.key.encode()).hexdigest()
        networks = ", ".join(f"{network}.0/24" for network in caller.networks)
        lines.append(f"  - {{ id: '{caller.id}', description: bench, secret_sha256: '{digest}', access_list: [{networks}] }}")
    return "\n".join(lines) + "\n"


def haproxy_map(of: list[Caller]) -> str:
    return "".join(f"{caller.key}@{network}. {caller.id}\n" for caller in of for network in caller.networks)


def certificate(folder: pathlib.Path) -> pathlib.Path:
    """An ECDSA certificate and its key, in one file, as each of the peers can read it."""
    path = folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=gateway.test", "-addext", "subjectAltName=DNS:gateway.test", "-keyout", folder / "key", "-out", folder / "crt"],
        check=True, stderr=subprocess.DEVNULL,
    )
    path.write_text((folder / "crt").read_text() + (folder / "key").read_text())
    return path


def portcullis(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace, workers: int = 1) -> Proxy:
    replace(folder / "directory.yaml", directory(of))
    # The folder of the directory is watched for changes: what is written there all the time does not belong into it.
    (folder / "log").mkdir()
    sink = "{ to: file, file: log/access.log }" if log else "{ to: off }"
    port = free_port()
    identity = "true" if options.identity else "false"
    tls = f", tls: {{ certificate: {options.tls}, private_key: {options.tls} }}" if options.tls else ""
    path = write(folder, "portcullis.yaml", port=port, upstream=upstream, log=sink, identity=identity, tls=tls, workers=workers)
    proxy = Proxy("portcullis", f"{PROXY_CPU},{LOAD_CPU}" if workers == 2 else PROXY_CPU, [str(options.program), "serve", "--config", str(path)], port)
    proxy.reload = lambda of: replace(folder / "directory.yaml", directory(of))
    return proxy


def nginx(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    entries = (f'"{caller.key} {network}" {caller.id};\n' for caller in of for network in caller.networks)
    (folder / "map").write_text("".join(entries))
    port = free_port()
    sink = f"{folder}/access.log line buffer=32k flush=1s" if log else "off"
    # nginx looks for the smallest table that fits, from below: near the number of entries it finds one in time.
    buckets = max(2_048, 2 * NETWORKS * len(of))
    tls = f"ssl http2 reuseport backlog=1024; ssl_certificate {options.tls}; ssl_certificate_key {options.tls}; ssl_protocols TLSv1.2 TLSv1.3" if options.tls else "reuseport backlog=1024"
    path = write(folder, "nginx.conf", port=port, upstream=upstream, log=sink, folder=folder, buckets=buckets, listen=tls)
    return Proxy("nginx", PROXY_CPU, ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(path)], port)


def haproxy(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    (folder / "map").write_text(haproxy_map(of))
    port = free_port()
    sink = "log stdout format raw local0 info" if log else "no log"
    logged = "{ always_true }" if log else "{ always_false }"
    tls = f"ssl crt {options.tls} alpn h2,http/1.1" if options.tls else ""
    path = write(folder, "haproxy.cfg", port=port, upstream=upstream, log=sink, logged=logged, folder=folder, tls=tls)
    # A master process is needed where a new map is to be read, and then the CPU time is that of a child.
    mode = ["-W", "-S", str(folder / "master")] if options.reload else []
    with (folder / "access.log").open("wb") as output:
        proxy = Proxy("haproxy", PROXY_CPU, ["haproxy", "-db", *mode, "-f", str(path)], port, output)

    def reload(of: list[Caller]) -> None:
        replace(folder / "map", haproxy_map(of))
        proxy.process.send_signal(signal.SIGUSR2)

    proxy.reload = reload
    return proxy


def envoy(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    def entry(caller: Caller) -> str:
        ranges = ", ".join(f"{{ address_prefix: {network}.0, prefix_len: 24 }}" for network in caller.networks)
        action = '{ "@type": type.googleapis.com/envoy.config.rbac.v3.Action, name: "%s", action: ALLOW }' % caller.id
        trie = (
            '{ "@type": type.googleapis.com/xds.type.matcher.v3.IPMatcher, range_matchers: '
            f"[{{ ranges: [{ranges}], on_match: {{ action: {{ name: action, typed_config: {action} }} }} }}] }}"
        )
        source = '{ "@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput }'
        return (
            f'"{caller.key}": {{ matcher: {{ matcher_tree: {{ input: {{ name: address, typed_config: {source} }}, '
            f"custom_match: {{ name: ip, typed_config: {trie} }} }} }} }}"
        )

    fields = {
        "time": "%START_TIME%", "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "host": "%REQ(:AUTHORITY)%",
        "path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%", "outcome": "%RESPONSE_CODE_DETAILS%", "duration_ms": "%DURATION%",
        "peer.address": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
        "client.address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "client.source": "header",
        "credential.type": "API_KEY", "org.id": "5f0000000000000000000001", "upstream": "%UPSTREAM_CLUSTER%",
        "bytes_in": "%BYTES_RECEIVED%", "bytes_out": "%BYTES_SENT%",
    }
    sink = json.dumps([{
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(folder / "access.log"), "log_format": {"json_format": fields},
        },
    }] if log else [])
    port = free_port()
    path = write(folder, "envoy.yaml", port=port, upstream=upstream, log=sink, map=", ".join(map(entry, of)))
    command = [str(PACKAGE / "target/tools/envoy"), "--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c", str(path)]
    return Proxy("envoy", PROXY_CPU, command, port)


def traefik(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    """A router and a list for each key; a request is held against them in turn, as Traefik has it."""
    port = free_port()
    routers: dict[str, object] = {
        "nobody": {"rule": "PathPrefix(`/`)", "priority": 1, "service": "api", "middlewares": ["nobody"]},
    }
    middlewares: dict[str, object] = {
        "nobody": {"ipAllowList": {"sourceRange": ["255.255.255.255/32"]}},
        "own": {"headers": {"customRequestHeaders": {"X-Api-Key": ""}}},
    }
    for caller in of:
        name = f"k{caller.id}"
        rule = f"Header(`X-Api-Key`, `{caller.key}`)"
        routers[name] = {"rule": rule, "priority": 2, "service": "api", "middlewares": [name, "own"]}
        ranges = [f"{network}.0/24" for network in caller.networks]
        middlewares[name] = {"ipAllowList": {"sourceRange": ranges, "ipStrategy": {"depth": 1}}}
    service = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}"}]}}
    dynamic = {"http": {"routers": routers, "middlewares": middlewares, "services": {"api": service}}}
    (folder / "dynamic.json").write_text(json.dumps(dynamic))
    static = {
        "entryPoints": {"gateway": {"address": f"127.0.0.1:{port}", "forwardedHeaders": {"trustedIPs": ["127.0.0.0/8"]}}},
        "providers": {"file": {"filename": str(folder / "dynamic.json"), "watch": False}},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
    }
    if log:
        static["accessLog"] = {"filePath": str(folder / "access.log"), "format": "json", "bufferingSize": 1000}
    (folder / "static.yaml").write_text(json.dumps(static))
    command = ["env", "GOMAXPROCS=1", str(PACKAGE / "target/tools/traefik"), f"--configfile={folder}/static.yaml"]
    return Proxy("traefik", PROXY_CPU, command, port)


def caddy(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    """A matcher of header and address for each key; a request is held against them in turn, as Caddy has it."""
    port = free_port()
    forward = {
        "handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{upstream}"}],
        "headers": {"request": {"delete": ["X-Api-Key"]}},
    }
    routes: list[object] = [
        {
            "match": [{"header": {"X-Api-Key": [caller.key]}, "client_ip": {"ranges": [f"{net}.0/24" for net in caller.networks]}}],
            "handle": [forward], "terminal": True,
        }
        for caller in of
    ]
    routes.append({"handle": [{"handler": "static_response", "status_code": 403}]})
    server = {
        "listen": [f"127.0.0.1:{port}"], "routes": routes, "automatic_https": {"disable": True},
        "trusted_proxies": {"source": "static", "ranges": ["127.0.0.0/8"]}, "trusted_proxies_strict": 1,
    }
    configuration: dict[str, object] = {"admin": {"disabled": True, "config": {"persist": False}}, "apps": {"http": {"servers": {"gateway": server}}}}
    if log:
        server["logs"] = {}
        sink = {"writer": {"output": "file", "filename": str(folder / "access.log"), "roll": False}, "include": ["http.log.access"]}
        quiet = {"writer": {"output": "discard"}, "exclude": ["http.log.access"]}
        configuration["logging"] = {"logs": {"default": quiet, "access": sink}}
    (folder / "caddy.json").write_text(json.dumps(configuration))
    command = ["env", "GOMAXPROCS=1", f"HOME={folder}", str(PACKAGE / "target/tools/caddy"), "run", "--config", str(folder / "caddy.json")]
    return Proxy("caddy", PROXY_CPU, command, port)


def pingora(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    """A minimal program, without limits, metrics and log: the reference in Rust."""
    port = free_port()
    (folder / "lists").write_text("".join(f"{caller.key} {network}\n" for caller in of for network in caller.networks))
    program = PACKAGE / "target/pingora/release/pingora-minimal"
    return Proxy("pingora", PROXY_CPU, [str(program), str(port), str(upstream), str(folder / "lists")], port)


def two_workers(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    return portcullis(folder, of, upstream, log, options, 2)


def stored(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace, records: bool) -> Proxy:
    """The same directory in a store, which counts each use, and by choice records where from."""
    (folder / "log").mkdir()
    replace(folder / "import.yaml", directory(of))
    subprocess.run([options.program, "import", folder / "import.yaml", "--store", folder / "store.db"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = free_port()
    sink = "{ to: file, file: log/access.log }" if log else "{ to: off }"
    path = write(folder, "portcullis.yaml", port=port, upstream=upstream, log=sink, identity="false", tls="", workers=1)
    admin = f"{{ sqlite: store.db }}\nadmin: {{ listen: '127.0.0.1:{free_port()}', record_traffic: {str(records).lower()} }}"
    path.write_text(path.read_text().replace("{ file: directory.yaml }", admin))
    return Proxy("stored", PROXY_CPU, [str(options.program), "serve", "--config", str(path)], port)


def recording(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    return stored(folder, of, upstream, log, options, True)


def forgetting(folder: pathlib.Path, of: list[Caller], upstream: int, log: bool, options: argparse.Namespace) -> Proxy:
    return stored(folder, of, upstream, log, options, False)


PEERS = {
    "recording": recording, "forgetting": forgetting,
    "portcullis": portcullis, "nginx": nginx, "haproxy": haproxy, "envoy": envoy, "traefik": traefik, "caddy": caddy, "pingora": pingora,
    "two-workers": two_workers,
}
USUAL = ["portcullis", "nginx", "haproxy"]


def start_upstream(folder: pathlib.Path) -> Program:
    with (folder / "large").open("wb") as large:
        large.write(os.urandom(LARGE))
    port = free_port()
    path = write(folder, "upstream.conf", port=port, folder=folder, answer="x" * 1024)
    return Program("upstream", LOAD_CPU, ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(path)], port)
