//! A WebSocket server and client of others: everything is through the gateway as it is without it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::programs::{Running, program, succeed};
use crate::stage::{KEY, Setting, directory};

/// Echoes what it gets, and chooses a protocol.
const SERVER: &str = "
import asyncio
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        await socket.send(message)

def choose(socket, offered):
    return 'chat' if 'chat' in offered else None

async def main():
    async with serve(echo, '127.0.0.1', 0, max_size=None, select_subprotocol=choose) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
";

/// Runs every case against an address and prints what came of each. The raw ones are what a peer must refuse
/// (RFC 6455 §5, §7.4), by the status that the server closes with.
const CLIENT: &str = r#"
import hashlib, os, struct, sys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

url, key = sys.argv[1:]

def open(**more):
    return connect(url, additional_headers={'X-API-Key': key}, max_size=None, open_timeout=20, close_timeout=20, **more)

def digest(message):
    data = message.encode() if isinstance(message, str) else message
    return type(message).__name__, len(data), hashlib.sha256(data).hexdigest()[:8]

def case(name, run):
    try:
        print(name, run(), flush=True)
    except Exception as fault:
        print(name, 'failed:', type(fault).__name__, fault, flush=True)

def echo(message, **more):
    def run():
        with open(**more) as socket:
            socket.send(message)
            return digest(socket.recv(timeout=20))
    return run

sizes = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1000000, 8388608]
for size in sizes:
    case(f'text {size}', echo('*' * size))
    case(f'binary {size}', echo(b'\xfe' * size))
    case(f'plain {size}', echo(b'\x01' * size, compression=None))
case('unicode', echo('h\u00e9llo \U0001f600 \u4e16\u754c'))
case('fragments', echo(['a', 'b' * 70000, '', 'c']))
case('many fragments', echo([b'x'] * 1000))

def handshake():
    with open(subprotocols=['other', 'chat']) as socket:
        headers = socket.response.headers
        return socket.subprotocol, headers.get('Sec-WebSocket-Extensions'), headers['Upgrade'].lower()
case('handshake', handshake)

def pings():
    with open() as socket:
        return [socket.ping(b'p' * size).wait(20) for size in (0, 1, 125)]
case('pings', pings)

def in_order():
    with open() as socket:
        for number in range(500):
            socket.send(str(number))
        return [int(socket.recv(timeout=20)) for _ in range(500)] == list(range(500))
case('in order', in_order)

def closing(code):
    def run():
        socket = open()
        socket.close(code, 'bye')
        return socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason
    return run
for code in (1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
    case(f'close {code}', closing(code))

def frame(first, payload, mask=True, length=None):
    length = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    head = bytes([first]) + (bytes([bit | length]) if length < 126 else bytes([bit | 126]) + struct.pack('!H', length))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))

def raw(data, pieces=1, messages=0):
    def run():
        socket = open(compression=None)
        step = max(1, len(data) // pieces)
        for at in range(0, len(data), step):
            socket.socket.sendall(data[at:at + step])
        got = [digest(socket.recv(timeout=20)) for _ in range(messages)]
        if messages:
            socket.socket.sendall(frame(0x88, struct.pack('!H', 1000)))
        try:
            socket.recv(timeout=20)
        except ConnectionClosed:
            return got, socket.protocol.close_rcvd.code if socket.protocol.close_rcvd else None
    return run
case('one byte at a time', raw(frame(0x81, b'hello'), pieces=11, messages=1))
case('ping within fragments', raw(frame(0x01, b'a') + frame(0x89, b'p') + frame(0x80, b'b'), messages=1))
case('frames at once', raw(frame(0x81, b'a') * 300, messages=300))
for name, data in {
    'reserved opcode 3': frame(0x83, b''),
    'reserved opcode 11': frame(0x8b, b''),
    'rsv1': frame(0xc1, b'x'),
    'rsv3': frame(0x91, b'x'),
    'not masked': frame(0x81, b'x', mask=False),
    'long ping': frame(0x89, b'x' * 126),
    'fragmented ping': frame(0x09, b'x'),
    'continuation of nothing': frame(0x80, b'x'),
    'text within fragments': frame(0x01, b'a') + frame(0x81, b'b'),
    'not utf-8': frame(0x81, b'\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited'),
    'not utf-8 in fragments': frame(0x01, b'\xf0\x90') + frame(0x80, b'\xff'),
    'close of one byte': frame(0x88, b'x'),
    'close by a reserved code': frame(0x88, struct.pack('!H', 1005)),
    'close with bad text': frame(0x88, struct.pack('!H', 1000) + b'\xff'),
    'data after close': frame(0x88, struct.pack('!H', 1000)) + frame(0x81, b'x'),
}.items():
    case(name, raw(data))
"#;

#[test]
fn f3_websockets_of_others_are_through_the_gateway_as_they_are_without_it() {
    let mut command = Command::new(program("http-clients-python"));
    let mut server = Running::start(command.args(["-c", SERVER]).stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut port = String::new();
    BufReader::new(server.child().stdout.take().unwrap()).read_line(&mut port).unwrap();
    let server_at = format!("127.0.0.1:{}", port.trim());
    let upstreams = format!("upstreams: {{ api: {{ endpoints: [\"http://{server_at}\"] }} }}");
    let stage = Setting::new().directory(&directory()).gateway(&upstreams).set();

    let run = |at: &str| {
        let mut command = Command::new(program("http-clients-python"));
        succeed(command.args(["-c", CLIENT, &format!("ws://{at}/"), KEY]))
    };
    let direct = run(&server_at);
    assert!(direct.lines().count() >= 65, "{direct}");
    assert!(!direct.contains("failed"), "{direct}");
    let through = run(&stage.gateway().to_string());
    for (one, other) in direct.lines().zip(through.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(direct.lines().count(), through.lines().count());
    let tunnels = stage.log_of(direct.lines().count()).iter().filter(|line| line["status"] == 101).count();
    assert_eq!(tunnels, direct.lines().count());
}
