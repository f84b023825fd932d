#!/usr/bin/env python3
"""A real nginx behind the sandbox's API Gateway: the example self-signed-backend, step by step.

    system_s.py MTLSGW

nginx shows a certificate of a private CA, a self-signed one, and one for another host. API Gateway's verification
refuses the first two until `insecure_skip_verification` is set, and the last one whatever is set. curl and `verify`
ask; in the end everything is destroyed.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from example import Example, free_port

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "self-signed-backend"
PLACE = "172.31.0.10:443"
HOST = "pets.backend.internal"
REGION = "ap-northeast-1"
SKIP = "  insecure_skip_verification: true"
PAGE = "pets from nginx"

CONFIGURATION = """\
daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {work}/client_body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {work}/{name}.pem;
        ssl_certificate_key {work}/keys/{name}.key;
        location = /pets {{ return 200 "{page} to $ssl_server_name\\n"; }}
    }}
}}
"""


class Nginx:
    """nginx with one of the certificates, for as long as the block lasts."""

    def __init__(self, work, name):
        self.port = free_port()
        text = CONFIGURATION.format(work=work, port=self.port, name=name, page=PAGE)
        self.configuration = work / f"{name}.conf"
        self.configuration.write_text(text)
        self.errors = work / "error.log"

    def __enter__(self):
        command = ["nginx", "-c", str(self.configuration), "-e", str(self.errors)]
        self.process = subprocess.Popen(command)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        self.process.terminate()
        sys.exit(f"nginx does not listen: {self.errors.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Backend(Example):
    """The example in a directory of its own, and what is asked of it."""

    def __init__(self, binary, work):
        super().__init__(binary, work)
        # Where what stands for the backend listens.
        self.port = None
        self.stack = (work / "stack.yaml").read_text()
        if SKIP not in self.stack:
            sys.exit(f"the example does not say `{SKIP.strip()}`")

    def write(self, skips):
        """Writes the stack file with the flag or without it, and without the file that would be judged beforehand."""
        kept = (
            line
            for line in self.stack.splitlines()
            if not line.startswith("  backend_certificate:") and (skips or not line.startswith(SKIP))
        )
        (self.work / "stack.yaml").write_text("\n".join(kept) + "\n")

    def apply(self, skips):
        """Applies the stack with the flag or without it; nothing is left to do."""
        self.write(skips)
        self.run("apply", "--yes")
        self.run("plan", "--detailed-exitcode")

    def curl(self):
        """The status and the body that a client gets from outside."""
        api = json.loads(self.run("output", "--json"))["outputs"]["api"]
        name = f"{api}.execute-api.{REGION}.amazonaws.com"
        with subprocess.Popen(
            [self.binary, "sandbox", "serve", "--port", "0", "--sandbox"],
            cwd=self.work,
            stdout=subprocess.PIPE,
            text=True,
        ) as served:
            try:
                control = served.stdout.readline().split()[-1] + "/_sandbox"
                where = fetch(f"{control}/connect?host={name}&port=443")
                (self.work / "ca.pem").write_text(fetch(f"{control}/ca"))
                done = subprocess.run(
                    [
                        "curl", "-s", "-w", "\n%{http_code}", "--cacert", "ca.pem",
                        "--connect-to", f"{name}:443:{json.loads(where)['address']}",
                        f"https://{name}/dev/pets",
                    ],
                    cwd=self.work, capture_output=True, text=True, check=True,
                )
            finally:
                served.terminate()
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body.strip()

    def expect(self, what, status, code=None):
        """curl gets this status, `verify` says so too, and `doctor` names the rule that fails through a tunnel."""
        found, body = self.curl()
        if found != status or (status == 200) != (body == f"{PAGE} to {HOST}"):
            sys.exit(f"{what}: {found} {body!r}, not {status}")
        self.run("verify", code=0 if status == 200 else 4)
        tunnel = ["--connect-to", f"{PLACE}:127.0.0.1:{self.port}"]
        for options, named in [([], code and "backend-certificate-refused"), (tunnel, code)]:
            told = self.run("doctor", "--json", *options, code=0 if code is None else 4)
            cause = json.loads(told)["cause"] or {}
            if cause.get("code") != named:
                sys.exit(f"{what}: the doctor says {cause}, not {named}")
        print(f"{what}: {status}" + (f", {code}" if code else ""))


def fetch(url):
    """Gets a page of the sandbox's control endpoint."""
    return subprocess.run(["curl", "-sf", url], capture_output=True, text=True, check=True).stdout


def openssl(work, *arguments):
    """Runs openssl."""
    subprocess.run(["openssl", *arguments], cwd=work, capture_output=True, check=True)


def make_certificates(work):
    """What the example's script makes; and one for another host by it, and a self-signed one."""
    script = ["sh", "make-certificates.sh"]
    for host, kept in [("other.internal", "other"), (HOST, "private")]:
        subprocess.run([*script, host], cwd=work, check=True, capture_output=True)
        shutil.copy(work / "backend.pem", work / f"{kept}.pem")
        shutil.copy(work / "keys" / "backend.key", work / "keys" / f"{kept}.key")
    openssl(
        work, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={HOST}",
        "-addext", f"subjectAltName=DNS:{HOST}", "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,digitalSignature,keyEncipherment",
        "-keyout", "keys/self.key", "-out", "self.pem",
    )


def walk(example, work):
    """Every certificate with the flag and without it."""
    with Nginx(work, "private") as private, Nginx(work, "self") as own, Nginx(work, "other") as other:
        def stands(nginx):
            example.run("sandbox", "host", PLACE, f"127.0.0.1:{nginx.port}")
            example.port = nginx.port

        stands(private)
        example.apply(skips=False)
        example.expect("private CA, verified", 500, "backend-private-ca")
        stands(own)
        example.expect("self-signed, verified", 500, "backend-private-ca")
        stands(other)
        example.expect("other host, verified", 500, "backend-name-not-covered")
        example.apply(skips=True)
        example.expect("other host, skipped", 500, "backend-name-not-covered")
        stands(own)
        example.expect("self-signed, skipped", 200)
        stands(private)
        example.expect("private CA, skipped", 200)
    # As it is in the repository: what the script made is what nginx has shown.
    (work / "stack.yaml").write_text(example.stack)
    example.run("plan", "--detailed-exitcode")
    example.run("destroy", "--yes")
    stacks = json.loads(example.run("list", "--region", REGION, "--json"))["stacks"]
    if stacks or "mtlsgw:stack" in example.run("sandbox", "show"):
        sys.exit(f"left behind: {stacks}")


def main():
    """Makes certificates, serves, walks."""
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory) / "example"
        shutil.copytree(EXAMPLE, work)
        make_certificates(work)
        walk(Backend(binary, work), work)


if __name__ == "__main__":
    main()
