"""Uploads the files of a release to one registry: what the job `publish` of .github/workflows/release.yml runs.

publish.py npm|rubygems|crates FOLDER       uploads what the registry lacks
publish.py npm FOLDER --dry-run             asks npm alone what it says of the files; `make try-release` runs this
publish.py pypi FOLDER TARGET               copies the files for PyPI into TARGET, from where its own action uploads

A second run finishes what a first one began: a file that the registry has with the same content is left out. A file
that it has with other content is an error, and nothing more is uploaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import build_dist
from environment import ROOT, target_folder
from install import version

# The address at which the registry tells what it has, with `{version}` or `{name}` in it: docs/releasing.md says which.
ADDRESS = "REGISTRY_ADDRESS"


class PublishError(Exception):
    """Nothing more is uploaded. The text says why."""


def fetch(registry: str, **values: str) -> str:
    """What a registry says of a package. Empty if it has none of this name."""
    address = os.environ.get(ADDRESS, "")
    if not address.startswith("https://"):
        raise PublishError(f"set {ADDRESS} to the address at which {registry} tells what it has: docs/releasing.md")
    # Rust's registry refuses requests without a name.
    headers = {"User-Agent": "plexindex-release"}
    request = urllib.request.Request(address.format(**values), headers=headers)  # noqa: S310 - https, as was checked
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return ""
        raise PublishError(f"{request.full_url}: {error}") from error
    except OSError as error:
        raise PublishError(f"{request.full_url}: {error}") from error
    return text


def is_published(file: Path, digest: str, published: str | None) -> bool:
    """Whether the registry has this file. Raises an error if it has another one under this name."""
    if published is None:
        return False
    if published != digest:
        raise PublishError(f"{file.name}: the registry has other content: {published}, not {digest}")
    print(f"{file.name}: the registry has it", flush=True)
    return True


def sha256(file: Path) -> str:
    """The check sum of most registries."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run(folder: Path, *command: str) -> None:
    """Runs a tool in a folder; ends this program if it fails."""
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise PublishError(f"failed with exit code {done.returncode}: {' '.join(command)}")


def npm_files(folder: Path) -> list[Path]:
    """The packages in their order: the main one is last, since it names those of the platforms."""
    main = f"plexindex-{version()}.tgz"
    return sorted(folder.glob("*.tgz"), key=lambda file: (file.name == main, file.name))


def npm_manifest(file: Path) -> dict[str, str]:
    """What is in package.json."""
    with tarfile.open(file) as archive:
        entry = archive.extractfile("package/package.json")
        assert entry is not None
        found: dict[str, str] = json.load(entry)
    return found


def npm(folder: Path, dry_run: bool) -> None:
    """The packages of npm. npm takes `all/x.tgz` for a repository of GitHub: a path begins with a point."""
    for file in npm_files(folder):
        command = ["npm", "publish", *(["--dry-run"] if dry_run else []), "--access", "public", f"./{file.name}"]
        if not dry_run:
            manifest = npm_manifest(file)
            said = fetch("npm", name=manifest["name"].replace("/", "%2f"))
            versions = json.loads(said)["versions"] if said else {}
            digest = "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
            published = versions.get(manifest["version"], {}).get("dist", {}).get("integrity")
            if is_published(file, digest, published):
                continue
        run(folder, *command)


def rubygems(folder: Path) -> None:
    """The gems."""
    said = json.loads(fetch("rubygems") or "[]")
    published = {f"plexindex-{one['number']}-{one['platform']}.gem": one["sha"] for one in said}
    for file in sorted(folder.glob("*.gem")):
        if not is_published(file, sha256(file), published.get(file.name)):
            run(folder, "gem", "push", f"./{file.name}")


def check_crate(drafted: Path) -> None:
    """Raises an error if cargo makes another crate of this checkout than the drafted one: cargo uploads its own."""
    run(ROOT, build_dist.find_cargo(), "package", "--locked", "--no-verify", "--package=plexindex")
    made = target_folder() / "package" / drafted.name
    if made.read_bytes() == drafted.read_bytes():
        print(f"{drafted.name}: cargo makes the same bytes", flush=True)
        return
    contents = []
    for crate in (made, drafted):
        with tarfile.open(crate) as archive:
            contents.append({one.name: hash_entry(archive, one) for one in archive})
    names = contents[0].keys() | contents[1].keys()
    differ = sorted(name for name in names if contents[0].get(name) != contents[1].get(name))
    said = subprocess.run([build_dist.find_cargo(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    what = ", ".join(differ) or "only its compression"
    raise PublishError(f"{drafted.name}: {said.strip()} makes another one here; different: {what}")


def hash_entry(archive: tarfile.TarFile, one: tarfile.TarInfo) -> str:
    """The check sum of a file in an archive."""
    entry = archive.extractfile(one)
    return hashlib.sha256(entry.read()).hexdigest() if entry else one.linkname


def crates(folder: Path) -> None:
    """The crate."""
    drafted = folder / f"plexindex-{version()}.crate"
    lines = [json.loads(line) for line in fetch("crates").splitlines()]
    published = {one["vers"]: one["cksum"] for one in lines}
    if is_published(drafted, sha256(drafted), published.get(version())):
        return
    check_crate(drafted)
    run(ROOT, build_dist.find_cargo(), "publish", "--locked", "--no-verify", "--package=plexindex")


def pypi(folder: Path, target: Path) -> None:
    """Collects the wheels and the sources. The action leaves out names that PyPI has, without a look at the content."""
    said = fetch("pypi", version=version())
    published = {one["filename"]: one["digests"]["sha256"] for one in json.loads(said)["urls"]} if said else {}
    target.mkdir(parents=True, exist_ok=True)
    for file in [*sorted(folder.glob("*.whl")), folder / f"plexindex-{version()}.tar.gz"]:
        is_published(file, sha256(file), published.get(file.name))
        shutil.copy(file, target)


def main() -> int:
    """Uploads to one registry."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--dry-run"]
    dry_run = len(arguments) < len(sys.argv) - 1
    if arguments[:1] not in (["pypi"], ["npm"], ["rubygems"], ["crates"]) or len(arguments) < 2:
        sys.exit(__doc__)
    if (arguments[0] == "pypi") != (len(arguments) == 3) or (dry_run and arguments[0] != "npm"):
        sys.exit(__doc__)
    folder = Path(os.path.abspath(arguments[1]))
    try:
        if arguments[0] == "pypi":
            pypi(folder, Path(os.path.abspath(arguments[2])))
        elif arguments[0] == "npm":
            npm(folder, dry_run)
        else:
            {"rubygems": rubygems, "crates": crates}[arguments[0]](folder)
    except PublishError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
