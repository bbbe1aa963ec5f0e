#!/usr/bin/env python3
"""Runs the snippets of docs/integration.md as devices of a real server, directly and behind nginx.

usage: drive.py SLIPWAY INSTALLED

SLIPWAY is the program, INSTALLED the directory into which tests/clients/run installed and compiled. Each device checks
twice, receives a push, and another one after the server was restarted. The states in the admin API must agree.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
TENANT = 10000000
PROJECT = "stores"
APP = "com.freshmart.handheld"
LABELS = f"{APP}.labels"
PASSWORD = "correct horse battery staple"
WITHIN_S = 60
PROCESSES = []


def commands(installed):
    """The command of each language's check and of its event stream."""
    jars = f"{installed}/jars/*"
    java = HERE / "snippets/java"
    return {
        "java": (["java", java / "Check.java"], ["java", "-cp", jars, java / "Pushes.java"]),
        "kotlin": (
            ["java", "-cp", f"{installed}/kotlin-check:{jars}", "CheckKt"],
            ["java", "-cp", f"{installed}/kotlin-pushes:{jars}", "PushesKt"],
        ),
        "go": ([installed / "go/check"], [installed / "go/pushes"]),
        "javascript": (["node", installed / "javascript/check.mjs"], ["node", installed / "javascript/pushes.mjs"]),
    }


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def spawn(command, **options):
    """Starts a process that ends with this program."""
    process = subprocess.Popen(command, **options)
    PROCESSES.append(process)
    return process


def until(what, is_so):
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"not within {WITHIN_S} seconds: {what}")
        time.sleep(0.1)


class Server:
    """A server on a throw-away database that can be restarted."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = None
        self.start()
        login = {"username": "admin", "password": PASSWORD}
        self.token = self.call("/api/v1/auth/login", login)["access_token"]

    def start(self):
        settings = {
            "SLIPWAY_LISTEN": f"127.0.0.1:{self.port}",
            "SLIPWAY_DATA_DIR": f"{self.directory}/data",
            "SLIPWAY_ADMIN_PASSWORD": PASSWORD,
            "SLIPWAY_TRUSTED_PROXIES": "127.0.0.1/32",
            "SLIPWAY_FORWARDED_HEADER": "x-forwarded-for",
            "SLIPWAY_DRAIN_S": "2",
            "SLIPWAY_PUBLIC_URL": self.url,
        }
        with open(f"{self.directory}/server.log", "a", encoding="utf-8") as log:
            self.process = spawn([self.program, "serve"], env=os.environ | settings, stderr=log)
        until("the server is ready", self.is_ready)

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/readyz").status == 200
        except OSError:
            return False

    def restart(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.start()

    def call(self, path, body=None, token=None):
        headers = {"Content-Type": "application/json"}
        if token or self.token:
            headers["Authorization"] = f"Bearer {token or self.token}"
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers)) as response:
            return json.load(response)

    def in_tenant(self, path, body=None):
        return self.call(f"/api/v1/tenants/{TENANT}{path}", body)

    def make_catalog(self):
        self.call("/api/v1/tenants", {"id": TENANT, "name": "Freshmart"})
        self.in_tenant("/apps", {"package_name": APP, "app_name": "Handheld"})
        release = {
            "identifier": LABELS,
            "version_code": 8,
            "version_name": "8",
            "download_url": "https://files.freshmart.example/labels/8.bin",
            "size": 1000,
            "md5": "0cc175b9c0f1b6a831c399e269772661",
            "publish": True,
        }
        self.in_tenant(f"/apps/{APP}/releases", release)
        return self.in_tenant("/device-keys", {"name": "handhelds"})["device_key"]

    def push(self, devices, name):
        """Sends a push and waits until every device has applied it."""
        sent = self.in_tenant("/pushes", {
            "target_info": [{"hardware_id": device, "project_id": PROJECT} for device in devices],
            "package_push_info": {
                "pack_url": f"https://files.freshmart.example/{name}.zip", "app_type": "tinyApp", "app_id": "2021001",
            },
            "action": "preview",
        })
        applied = lambda target: target["state"] == "applied" and target["channel"] == "events"
        until(f"{name} is applied", lambda: all(
            applied(target) for target in self.in_tenant(f"/pushes/{sent['id']}")["targets"]))


class Device:
    """A device that runs the snippets of one language."""

    def __init__(self, language, way, url, server, device_key):
        self.name, self.server = f"{language}-{way}", server
        self.check, self.pushes = COMMANDS[language]
        enrolment = {"device_id": self.name, "project_id": PROJECT}
        token = server.call("/v1/devices", enrolment, device_key)["device_token"]
        self.env = os.environ | {"SLIPWAY_URL": url, "DEVICE_ID": self.name, "DEVICE_TOKEN": token}
        self.directory = Path(tempfile.mkdtemp(dir=server.directory))

    def check_twice(self):
        for expected in (rf'^200 .*"{re.escape(LABELS)}"', r"^304 the offers are unchanged$"):
            run = subprocess.run(self.check, env=self.env, cwd=self.directory, capture_output=True, text=True)
            self.show(run.stdout + run.stderr)
            if run.returncode or not re.search(expected, run.stdout):
                sys.exit(f"{self.name}: {run}")

    def listen(self):
        with open(self.directory / "output", "w", encoding="utf-8") as output:
            self.process = spawn(self.pushes, env=self.env, cwd=self.directory, stdout=output, stderr=output)
        is_connected = lambda: self.server.in_tenant(f"/devices/{self.name}")["connected"]
        until(f"{self.name} is connected", is_connected)

    def finish(self):
        self.process.terminate()
        self.process.wait()
        output = (self.directory / "output").read_text(encoding="utf-8")
        self.show(output)
        arrived = re.findall(r"^push (\d+) ", output, re.MULTILINE)
        if arrived != ["1", "2"]:
            sys.exit(f"{self.name} applied {arrived}")

    def show(self, output):
        for line in output.splitlines():
            print(f"{self.name:18} {line[:150]}")


class Nginx:
    """nginx with the documented configuration, without the cache and with it. Addresses and paths are replaced."""

    def __init__(self, directory, server):
        read = lambda name: (HERE / "nginx" / name).read_text(encoding="utf-8")
        text = re.sub(r"\n +(server 10\.|ssl_certificate).*", "", read("slipway.conf"))
        text = text.replace("zone slipway 64k;", f"zone slipway 64k; server 127.0.0.1:{server.port};")
        upstream, proxy = re.split(r"\n(?=server {)", text)
        cached = proxy.replace("    location / {", read("cache-location.conf") + "    location / {")
        ports = [free_port(), free_port()]
        servers = [
            text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};") for port, text in zip(ports, (proxy, cached))
        ]
        self.plain, self.caching = (f"http://127.0.0.1:{port}" for port in ports)
        zone = read("cache-zone.conf").replace("/var/cache/nginx/slipway", f"{directory}/nginx-cache")
        config = Path(directory) / "nginx.conf"
        config.write_text(f"""
            daemon off;
            pid {directory}/nginx.pid;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {directory}/nginx-body;
                proxy_temp_path {directory}/nginx-proxy;
                {zone} {upstream} {"".join(servers)}
            }}
        """, encoding="utf-8")
        # Workers run as another user.
        os.chmod(directory, 0o711)
        self.process = spawn(["nginx", "-p", directory, "-e", f"{directory}/nginx.log", "-c", config])
        until("nginx listens", lambda: all(listens(port) for port in ports))


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def check_through(url, device, credential, etag=None):
    """Sends a check through nginx. Returns the status, the entity tag and the state of the cache."""
    query = urllib.parse.urlencode({"package_name": APP, "version_code": 121, "device_id": device})
    headers = {"Authorization": f"Bearer {credential}"} | ({"If-None-Match": etag} if etag else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(f"{url}/v1/check?{query}", headers=headers))
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return response.status, response.headers["ETag"], response.headers["X-Cache-Status"]


def verify_nginx(nginx, device_key, token):
    """Makes the checks that docs/nginx.md describes."""
    _, etag, _ = check_through(nginx.plain, "one", device_key)
    expected = [
        (nginx.plain, "one", device_key, None, (200, None)),
        (nginx.plain, "one", device_key, etag, (304, None)),
        (nginx.caching, "one", device_key, None, (200, "MISS")),
        (nginx.caching, "one", device_key, None, (200, "HIT")),
        (nginx.caching, "one", device_key, etag, (304, "HIT")),
        (nginx.caching, "two", device_key, None, (200, "MISS")),
        (nginx.caching, "one", device_key + "0", None, (401, None)),
        (nginx.caching, "java-direct", token, None, (200, "BYPASS")),
        (nginx.caching, "java-direct", token, etag, (304, "BYPASS")),
    ]
    for url, device, credential, tag, answer in expected:
        status, _, cache = check_through(url, device, credential, tag)
        print(f"{'nginx':18} {'with cache' if url == nginx.caching else 'no cache':10} {device:11} "
              f"{'If-None-Match' if tag else '':13} {status} {cache or ''}")
        if (status, cache) != answer:
            sys.exit(f"expected {answer}")


def run_devices(directory, program):
    server = Server(program, directory)
    device_key = server.make_catalog()
    nginx = Nginx(directory, server)
    ways = (("direct", server.url), ("nginx", nginx.plain))
    devices = [Device(language, way, url, server, device_key) for language in COMMANDS for way, url in ways]
    verify_nginx(nginx, device_key, devices[0].env["DEVICE_TOKEN"])
    for device in devices:
        device.check_twice()
        device.listen()
    names = [device.name for device in devices]
    server.push(names, "shelf-labels-1")
    server.restart()
    server.push(names, "shelf-labels-2")
    for device in devices:
        device.finish()
    print(f"{len(devices)} passed, 0 failed")


def main(program):
    with tempfile.TemporaryDirectory() as directory:
        try:
            run_devices(directory, program)
        finally:
            for process in PROCESSES:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    COMMANDS = commands(Path(sys.argv[2]).resolve())
    main(sys.argv[1])
