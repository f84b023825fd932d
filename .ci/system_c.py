#!/usr/bin/env python3
"""A real web server behind the sandbox's load balancer: the example client-certificates, step by step.

    system_c.py MTLSGW nginx|apache2

Makes the certificates, applies the stack, has the server's header page checked by `verify`, sees that the server itself
refuses clients of another organisation and the load balancer a revoked one, and destroys it all.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from example import Example, free_port

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "client-certificates"
PLACES = ["i-0a1b2c3d4e5f60001:8080", "i-0a1b2c3d4e5f60002:8080"]
NAME = "login.example.com"
MODULES = ["mpm_event", "authz_core", "rewrite", "include", "mime", "dir"]


def nginx(work, port):
    """Configures nginx with the example's file; gives the command that serves."""
    site = (work / "nginx.conf").read_text().replace("listen 8080", f"listen 127.0.0.1:{port}")
    paths = "".join(
        f"{kind}_temp_path {work}/{kind};\n"
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    whole = (
        f"daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{site}}}\n"
    )
    (work / "whole.conf").write_text(whole)
    return ["nginx", "-c", str(work / "whole.conf"), "-e", str(work / "error.log")]


def apache2(work, port):
    """Configures Apache httpd with the example's file; gives the command that serves."""
    root = work / "www"
    root.mkdir()
    shutil.copy(work / "headers.shtml", root)
    (root / "index.html").write_text("Hello\n")
    site = (work / "httpd.conf").read_text()
    site = site.replace("/srv/client-certificates", str(root))
    site = site.replace("Listen 8080", f"Listen 127.0.0.1:{port}").replace("*:8080", f"*:{port}")
    loaded = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in MODULES
    )
    user = "User www-data\nGroup www-data\n" if os.getuid() == 0 else ""
    whole = (
        f"ServerRoot {work}\nServerName localhost\nPidFile {work}/pid\nErrorLog {work}/error.log\n"
        f"{loaded}TypesConfig /etc/mime.types\n{user}{site}"
    )
    (work / "whole.conf").write_text(whole)
    # The server's user is another one.
    for path in [work, *root.rglob("*"), root]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return ["apache2", "-f", str(work / "whole.conf"), "-X"]


def wait_for(port):
    """Waits until a server listens."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on {port}")


class Clients(Example):
    """The example in a directory of its own, and what is asked of it."""

    def status(self, client, path="/"):
        """The status that a client of the example gets from outside; 0 where it is refused."""
        with subprocess.Popen(
            [self.binary, "sandbox", "serve", "--port", "0", "--sandbox"],
            cwd=self.work,
            stdout=subprocess.PIPE,
            text=True,
        ) as served:
            try:
                for line in served.stdout:
                    if f"https://{NAME}:443 at " in line:
                        address = line.split(" at ")[1].strip()
                        break
                else:
                    sys.exit("no listener is served")
                curl = [
                    "curl", "-s", "-o", os.devnull, "-w", "%{http_code}",
                    "--connect-to", f"{NAME}:443:{address}", "--cacert", "server_chain.pem",
                    "--cert", f"{client}_cert.pem", "--key", f"{client}_key.pem",
                    f"https://{NAME}{path}",
                ]
                done = subprocess.run(
                    curl, cwd=self.work, capture_output=True, text=True, check=False
                )
                return int(done.stdout or 0)
            finally:
                served.terminate()


def walk(example, port):
    """Goes through the example's README with a server that listens on a port."""
    for place in PLACES:
        example.run("sandbox", "host", place, f"127.0.0.1:{port}")
    example.run("apply", "--yes")
    example.run("plan", "--detailed-exitcode")
    report = json.loads(example.run("verify", "--json"))
    results = {probe["name"]: probe for probe in report["probes"]}
    for name in ["good_certificate", "client_headers", "forged_headers", "revoked", "http_redirect"]:
        if results[name]["result"] != "passed":
            sys.exit(f"{name}: {results[name]}")
    told = {client: example.status(client) for client in ["alice", "mallory", "revoked"]}
    if told != {"alice": 200, "mallory": 403, "revoked": 0}:
        sys.exit(f"clients get {told}")
    example.run("destroy", "--yes", "--delete-logs")
    stacks = json.loads(example.run("list", "--region", "ap-northeast-1", "--json"))["stacks"]
    if stacks:
        sys.exit(f"left behind: {stacks}")


def main():
    """Serves, walks, stops."""
    binary, kind = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory) / "example"
        shutil.copytree(EXAMPLE, work)
        pathlib.Path(directory).chmod(0o755)
        subprocess.run(["./make-certificates.sh"], cwd=work, check=True, capture_output=True)
        port = free_port()
        command = {"nginx": nginx, "apache2": apache2}[kind](work, port)
        with subprocess.Popen(command, cwd=work) as server:
            try:
                wait_for(port)
                walk(Clients(binary, work), port)
            finally:
                server.terminate()
    print(f"{kind}: headers arrive, organisation checked, revoked client refused")


if __name__ == "__main__":
    main()
