"""Renews include/plexindex.h and .json from the output of build.rs, then the bindings' declarations.

Run by `make header`.
"""

import json
import os
import shutil
import subprocess
import sys

import make_bindings
from environment import ROOT


def main() -> None:
    """Builds as far as the header, and copies it even where the crate itself does not compile yet."""
    command = [os.environ.get("CARGO", "cargo"), "check", "--lib", "--package=plexindex"]
    command.append("--message-format=json-render-diagnostics")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    for message in map(json.loads, done.stdout.splitlines()):
        # Only our build script writes a header of this name.
        if message["reason"] == "build-script-executed":
            generated = os.path.join(message["out_dir"], "plexindex.h")
            if os.path.isfile(generated):
                shutil.copyfile(generated, ROOT / "include" / "plexindex.h")
                description = os.path.join(message["out_dir"], "plexindex.json")
                shutil.copyfile(description, ROOT / "include" / "plexindex.json")
                print("include/plexindex.h and plexindex.json are up to date")
                make_bindings.renew()
                return
    sys.exit("no header was generated: the messages above say why")


if __name__ == "__main__":
    main()
