"""A web server on this machine, in a thread, that misbehaves as it is told: for the tests of downloading."""

import contextlib
import http.server
import re
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        server.ranges.append(int(asked[1]) if asked else None)
        content, start = server.content, 0
        if server.status != 200:
            self.send_error(server.status)
            return
        if asked and server.understands_range:
            start = int(asked[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            first = start + server.range_error
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = len(content) if server.cut_after is None else start + server.cut_after
        self.wfile.write(content[start:stop])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content, understands_range=True, cut_after=None, says_length=True, status=200, range_error=0):
    """Yields the server; its .url has `content`, its .ranges is the list of first bytes it was asked for.

    cut_after    close the connection after so many bytes
    range_error  how far the bytes it claims to send are from those it was asked for
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.understands_range, server.cut_after = content, understands_range, cut_after
        server.says_length, server.status, server.range_error = says_length, status, range_error
        server.ranges = []
        server.url = f"http://127.0.0.1:{server.server_port}/cifar-10-binary.tar.gz"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
