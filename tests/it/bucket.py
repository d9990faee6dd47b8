"""An S3 server with a bucket named `recordings`. Prints its port, and ends with its standard input."""

import sys
import urllib.request

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/recordings", method="PUT"))
print(port, flush=True)
sys.stdin.read()
server.stop()
