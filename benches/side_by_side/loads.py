"""The loads that a proxy is put under, and what is read off it meanwhile."""

import pathlib
import re
import resource
import socket
import statistics
import subprocess
import tempfile
import time

from peers import HERE, LOAD_CPU, Proxy

# Requests a second at which times are taken: a third of what the slowest of the usual peers can do here.
RATE = 5_000
IDLE = 10_000


def generator(command: list[str], seconds: float) -> str:
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CPU), *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 60, check=False,
    )
    return done.stdout


def wrk(proxy: Proxy, requests: pathlib.Path, target: str, connections: int, seconds: float) -> tuple[int, int, int]:
    """Requests answered, requests failed, and the longest time in microseconds."""
    said = generator(
        ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s", "--timeout", "30s", "-s", str(HERE / "cycle.lua"),
         f"http{'s' if proxy.tls else ''}://127.0.0.1:{proxy.port}/", "--", str(requests), target],
        seconds,
    )
    result = [line.split() for line in said.splitlines() if line.startswith("RESULT ")]
    if not result:
        raise RuntimeError(f"wrk against {proxy.name} said nothing of use:\n{said}")
    answered, failed, longest = (int(field) for field in result[0][1:])
    return answered, failed, longest


def h2load(proxy: Proxy, requests: pathlib.Path, seconds: float) -> tuple[int, int]:
    """One key and address, for h2load has no more than one set of fields."""
    key, address = requests.read_text().split("\n", 1)[0].split()
    said = generator(
        ["h2load", "-t", "1", "-c", "16", "-m", "8", "-D", f"{max(1, round(seconds))}", "-H", f"X-Api-Key: {key}", "-H", f"X-Forwarded-For: {address}",
         f"https://127.0.0.1:{proxy.port}/"],
        seconds,
    )
    answered = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    protocol = re.search(r"Application protocol: (\S+)", said)
    if not answered or not protocol or protocol[1] != "h2":
        raise RuntimeError(f"h2load against {proxy.name} said nothing of use:\n{said}")
    good, *bad = (int(count) for count in answered.groups())
    return good, sum(bad)


def handshakes(proxy: Proxy, seconds: float) -> int:
    said = generator(
        ["openssl", "s_time", "-connect", f"127.0.0.1:{proxy.port}", "-new", "-tls1_3", "-time", f"{max(1, round(seconds))}"], seconds,
    )
    made = re.search(r"(\d+) connections in \d+ real seconds", said)
    if not made or not int(made[1]):
        raise RuntimeError(f"openssl against {proxy.name} said nothing of use:\n{said}")
    return int(made[1])


def load(proxy: Proxy, requests: pathlib.Path, job: str, seconds: float) -> float:
    """CPU microseconds a request."""
    before = proxy.cpu_ns()
    failed = 0
    if job == "tls-h2":
        answered, failed = h2load(proxy, requests, seconds)
    elif job == "handshake":
        answered = handshakes(proxy, seconds)
    else:
        target, connections = ("/large", 8) if job == "large" else ("/", 64)
        answered, failed, _ = wrk(proxy, requests, target, connections, seconds)
    spent = proxy.cpu_ns() - before
    if failed or not answered:
        raise RuntimeError(f"{failed} of {answered} requests failed at {proxy.name}")
    return spent / 1_000 / answered


def times(proxy: Proxy, requests: pathlib.Path, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds, of requests at a fixed rate over 50 kept connections."""
    key, address = requests.read_text().split("\n", 1)[0].split()
    with tempfile.NamedTemporaryFile(mode="r") as log:
        generator(
            ["h2load", "--h1", "-t", "1", "-c", "50", "--rps", str(RATE // 50), "-D", f"{max(1, round(seconds))}",
             "-H", f"X-Api-Key: {key}", "-H", f"X-Forwarded-For: {address}", "--log-file", log.name, f"http://127.0.0.1:{proxy.port}/"],
            seconds,
        )
        lines = [line.split("\t") for line in log.read().splitlines()]
    taken = sorted(int(micros) / 1_000 for _, status, micros in lines if status == "200")
    if len(taken) < RATE * seconds * 0.8 or len(taken) < len(lines):
        raise RuntimeError(f"{len(taken)} of {len(lines)} requests were answered by {proxy.name}, {RATE * seconds:.0f} were to be asked")
    return statistics.median(taken), taken[len(taken) * 99 // 100]


def resident(proxy: Proxy) -> float:
    """MiB, of the process and what it has started."""
    processes, total = [proxy.process.pid], 0
    while processes:
        pid = processes.pop()
        folder = pathlib.Path(f"/proc/{pid}")
        total += int(re.search(r"^VmRSS:\s+(\d+) kB", (folder / "status").read_text(), re.MULTILINE)[1])
        processes += (int(child) for child in (folder / f"task/{pid}/children").read_text().split())
    return total / 1_024


def idle(proxy: Proxy, requests: pathlib.Path) -> float:
    """MiB with ten thousand connections on each of which one request was answered, and nothing more is asked."""
    pairs = [line.split() for line in requests.read_text().splitlines()]
    open_ones = []
    try:
        for number in range(IDLE):
            key, address = pairs[number % len(pairs)]
            one = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
            one.sendall(f"GET / HTTP/1.1\r\nHost: api.test\r\nX-Api-Key: {key}\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"x"):
                more = one.recv(65_536)
                if not more:
                    raise RuntimeError(f"{proxy.name} closed connection {number + 1} after {answer[:200]!r}")
                answer += more
                if answer.count(b"x") >= 1_024:
                    break
            open_ones.append(one)
        time.sleep(3)  # whatever is let go of after a while
        return resident(proxy)
    finally:
        for one in open_ones:
            one.close()


def many_descriptors() -> None:
    """For this process and all that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE + 2_000:
        raise RuntimeError(f"the limit on open files is {hard}: raise it (ulimit -Hn {IDLE + 2_000})")
