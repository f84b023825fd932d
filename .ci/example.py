"""What the walks through the examples share: a directory with an example, and mtlsgw in it."""

import socket
import subprocess
import sys


def free_port():
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Example:
    """The example in a directory of its own."""

    def __init__(self, binary, work):
        self.binary, self.work = binary, work

    def run(self, *arguments, code=0):
        """Runs a command in the sandbox and gives what it prints."""
        done = subprocess.run(
            [self.binary, *arguments, "--sandbox"],
            cwd=self.work,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            sys.exit(f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout
