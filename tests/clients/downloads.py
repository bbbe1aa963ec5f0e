#!/usr/bin/env python3
"""Downloads an artifact with curl, wget and aria2, whole, resumed and in parallel parts.

usage: downloads.py SLIPWAY
"""

import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from drive import PROCESSES, TENANT, Server

LENGTH = 24_000_000
COMMANDS = {
    "curl": ["curl", "-sSf", "-o", "{file}", "{url}"],
    "curl -C -": ["curl", "-sSf", "-C", "-", "-o", "{file}", "{url}"],
    "wget -c": ["wget", "-q", "-c", "-O", "{file}", "{url}"],
    "aria2c -x8": ["aria2c", "-q", "-x8", "-s8", "-k1M", "-c", "-d", "{directory}", "-o", "{name}", "{url}"],
}
# The file before the download: absent, a part of the content, or all of it.
BEGINNINGS = {"from nothing": None, "from a half": LENGTH // 2, "from all but a byte": LENGTH - 1}


def upload(server, content):
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/octet-stream"}
    url = f"{server.url}/api/v1/tenants/{TENANT}/artifacts?filename=app.bin"
    with urllib.request.urlopen(urllib.request.Request(url, content, headers)) as response:
        digest = response.read().decode().split('"sha256":"')[1][:64]
    return server.in_tenant(f"/artifacts/{digest}")["download_url"]


def download(directory, url, content, name, beginning):
    file = Path(directory) / f"{name} {beginning}".replace(" ", "-")
    length = BEGINNINGS[beginning]
    if length is not None:
        file.write_bytes(content[:length])
    values = {"file": file, "url": url, "directory": directory, "name": file.name}
    command = [part.format(**values) for part in COMMANDS[name]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    is_equal = file.exists() and file.read_bytes() == content
    print(f"{name:18} {beginning:20} exit code {run.returncode} {'equal' if is_equal else 'different'}")
    if run.returncode or not is_equal:
        sys.exit(f"{command}: {run.stdout}{run.stderr}")


def main(program):
    content = os.urandom(LENGTH)
    with tempfile.TemporaryDirectory() as directory:
        try:
            server = Server(program, directory)
            server.make_catalog()
            url = upload(server, content)
            for name in COMMANDS:
                for beginning in BEGINNINGS:
                    download(directory, url, content, name, beginning)
        finally:
            for process in PROCESSES:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
