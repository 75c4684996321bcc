"""The Lambda Runtime API, and the real runtime client as a process in front of it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PREFIX = "/2018-06-01/runtime"
LONGEST_WAIT = 20.0
ARN = "arn:aws:lambda:eu-west-3:210987654321:function:unit"


class RuntimeApi:
    """Serves one runtime client: each ``invoke`` is one call of the function.

    Use as a context manager: the process is started on entry and ended on exit.
    """

    def __init__(self, handler):
        self._events = queue.Queue()
        self._results = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._server.daemon_threads = True
        self._handler = handler

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "unit",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/unit",
            "AWS_LAMBDA_LOG_STREAM_NAME": "unit",
            "AWS_REGION": "eu-west-3",
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_HANDLER": self._handler,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", self._handler],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.log = self.process.communicate(timeout=LONGEST_WAIT)[0]
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def invoke(self, event):
        """Hand an event to the function; (``response`` or ``error``, body) of what comes back."""
        self._events.put(event)
        return self._results.get(timeout=LONGEST_WAIT)

    def _handler_class(self):
        events, results = self._events, self._results

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without both each answer waits for a delayed acknowledgement.
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self):
                event = events.get()
                if event is None:
                    self.close_connection = True
                    return
                self._reply(200, json.dumps(event).encode(), call=True)

            def do_POST(self):
                results.put((self.path.rpartition("/")[2], json.loads(self._body() or b"null")))
                self._reply(202, b"")

            def _body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def _reply(self, status, body, call=False):
                self.send_response(status)
                if call:
                    self.send_header("Lambda-Runtime-Aws-Request-Id", "8f5d6f0e-2c64-4b1c-9d9a-3a1f2f0f7e55")
                    self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30_000))
                    self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN)
                    self.send_header("Lambda-Runtime-Trace-Id", "Root=1-6719b1c2-0a1b2c3d4e5f60718293a4b5")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        return Handler
