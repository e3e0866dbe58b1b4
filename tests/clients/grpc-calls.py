"""Calls of every kind from a gRPC client through the gateway to a gRPC server, both of others (grpcio).

    grpc-calls.py serve                    prints the server's address, and serves until its standard input closes
    grpc-calls.py call ADDRESS KEY STRANGER   calls by the gateway at ADDRESS; prints what it saw, a line each
"""

import sys
import threading
import time
from concurrent import futures

import grpc

IDENTITY = {"request_deserializer": None, "response_serializer": None}
CANCELLED = threading.Event()


def unary(request, context):
    context.set_trailing_metadata((("x-length", str(len(request))),))
    return request


def fails(request, context):
    context.set_trailing_metadata((("x-why", "test"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: ä")


def counts(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def adds(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def echoes(requests, context):
    yield from requests


def sleeps(request, context):
    context.add_callback(CANCELLED.set)
    # As long as anybody waits.
    while context.is_active():
        time.sleep(0.02)
    return b""


def was_cancelled(request, context):
    return b"yes" if CANCELLED.wait(10) else b"no"


def told(request, context):
    return ",".join(sorted(key for key, _ in context.invocation_metadata() if key.startswith("x-"))).encode()


def serve():
    handlers = grpc.method_handlers_generic_handler(
        "test.Calls",
        {
            "Unary": grpc.unary_unary_rpc_method_handler(unary, **IDENTITY),
            "Fails": grpc.unary_unary_rpc_method_handler(fails, **IDENTITY),
            "Counts": grpc.unary_stream_rpc_method_handler(counts, **IDENTITY),
            "Adds": grpc.stream_unary_rpc_method_handler(adds, **IDENTITY),
            "Echoes": grpc.stream_stream_rpc_method_handler(echoes, **IDENTITY),
            "Sleeps": grpc.unary_unary_rpc_method_handler(sleeps, **IDENTITY),
            "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled, **IDENTITY),
            "Told": grpc.unary_unary_rpc_method_handler(told, **IDENTITY),
        },
    )
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0)


def call(address, key, stranger):
    channel = grpc.insecure_channel(address)
    ours = (("x-api-key", key),)

    def method(kind, name):
        return getattr(channel, kind)(f"/test.Calls/{name}", request_serializer=None, response_deserializer=None)

    def status(name, metadata, **more):
        try:
            method("unary_unary", name)(b"x", metadata=metadata, timeout=more.get("timeout", 10))
            return "OK"
        except grpc.RpcError as error:
            return error.code().name, error.details(), dict(error.trailing_metadata() or ()).get("x-why")

    answer, done = method("unary_unary", "Unary").with_call(b"hello", metadata=ours, timeout=10)
    print("unary", answer, dict(done.trailing_metadata()).get("x-length"))
    large = b"x" * 3_000_000
    print("large", method("unary_unary", "Unary")(large, metadata=ours, timeout=20) == large)
    print("counts", list(method("unary_stream", "Counts")(b"500", metadata=ours, timeout=20))[-1])
    print("adds", method("stream_unary", "Adds")(iter([b"1", b"2", b"3"]), metadata=ours, timeout=10))

    def speak():
        # Each is said when the one before it has come back.
        for number in range(20):
            heard.acquire(timeout=10)
            yield b"%d" % number

    heard = threading.Semaphore(1)
    said = []
    for message in method("stream_stream", "Echoes")(speak(), metadata=ours, timeout=20):
        said.append(message)
        heard.release()
    print("echoes", len(said), said[-1])
    print("fails", status("Fails", ours))
    print("deadline", status("Sleeps", ours, timeout=0.5)[0])
    print("noticed", method("unary_unary", "WasCancelled")(b"", metadata=ours, timeout=20))
    print("told", method("unary_unary", "Told")(b"", metadata=ours, timeout=10))
    print("no key", status("Unary", ())[0])
    print("stranger", status("Unary", (("x-api-key", stranger),))[0])
    print("unknown", status("Nothing", ours)[0])


if sys.argv[1:2] == ["serve"]:
    serve()
else:
    call(*sys.argv[2:])
