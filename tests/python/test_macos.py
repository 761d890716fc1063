"""What is made for macOS is what a Mac loads: it is checked here, as no Mac is."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import abi
import frameworks
import macho
import make_wheels
from platforms import PLATFORMS

pytestmark = pytest.mark.packaging

ARM, X86 = 0x0100000C, 0x01000007
FOR = {"aarch64": "11.0", "x86_64": "10.14"}
SYSTEM = "/usr/lib/libSystem.B.dylib"
CRATE = """
/// Not `fn SecComment`.
#[cfg_attr(target_vendor = "apple", link(name = "Security", kind = "framework"))]
extern "C" {}
extern "C" {
    // fn SecOld();
    pub fn SecTrust(name: &'static str, call: unsafe extern "C" fn(u8)) -> i32;
    pub static kSecClass: u8;
    #[link_name = "SecKey$NEW"]
    pub fn SecKey();
}
fn inner() {
    extern "C-unwind" {
        fn SecInner();
    }
}
"""


def text(command: int, name: str, head: int) -> bytes:
    """A load command that names a library."""
    size = (head + len(name) + 8) // 8 * 8
    return struct.pack("<3I", command, size, head).ljust(head, b"\0") + name.encode().ljust(size - head, b"\0")


def image(
    cpu: int,
    oldest: tuple[int, int],
    names: list[str],
    *needed: str,
    signed: bool = True,
) -> bytes:
    """A library as small as `macho` reads it."""
    where = 4096
    leaf = 2 + sum(len(name) + 4 for name in names)
    tree = bytes([0, len(names)])
    for name in names:
        tree += b"_" + name.encode() + b"\0" + bytes([leaf & 127 | 128, leaf >> 7])
    tree += bytes([2, 0, 0, 0])
    commands = [
        text(13, "@rpath/libplexindex.dylib", 24),
        *(text(12, path, 24) for path in needed or [SYSTEM]),
        struct.pack("<6I", 50, 24, 1, oldest[0] << 16 | oldest[1] << 8, 0, 0),
        struct.pack("<4I", 0x80000033, 16, where, len(tree)),
    ]
    end = where + len(tree)
    pages = -(-end // 4096)
    if signed:
        commands.append(struct.pack("<4I", 29, 16, end, 20 + 44 + 32 * pages))
    body = b"".join(commands)
    data = (struct.pack("<8I", 0xFEEDFACF, cpu, 0, 6, len(commands), len(body), 0, 0) + body).ljust(where, b"\0") + tree
    if not signed:
        return data
    sums = b"".join(hashlib.sha256(data[at : at + 4096]).digest() for at in range(0, end, 4096))
    code = struct.pack(">9I4BI", 0xFADE0C02, 44 + len(sums), 0x20400, 2, 44, 44, 0, pages, end, 32, 2, 0, 12, 0) + sums
    return data + struct.pack(">5I", 0xFADE0CC0, 20 + len(code), 1, 0, 20) + code


def both(folder: Path, arm: bytes, x86: bytes) -> bytes:
    """A file for both processors."""
    (folder / "arm").write_bytes(arm)
    (folder / "x86").write_bytes(x86)
    return macho.join([folder / "arm", folder / "x86"], folder / "both").read_bytes()


def test_a_stub_has_the_names_that_a_crate_declares() -> None:
    names = {"SecTrust", "kSecClass", "SecKey$NEW", "SecKey", "SecInner"}
    assert frameworks.declared([CRATE]) == {"Security": names}
    # One framework of one function says nothing about other blocks.
    assert not frameworks.declared([CRATE.replace('extern "C" {}', 'extern "C" { fn SMJob(); }')])


def test_a_file_for_two_processors_has_both(tmp_path: Path) -> None:
    arm, x86 = image(ARM, (11, 0), ["a"]), image(X86, (10, 14), ["a"])
    data = both(tmp_path, arm, x86)
    assert macho.slices(data) == {"aarch64": arm, "x86_64": x86}
    # The kernel maps whole pages of 16 KiB.
    assert data.index(arm) % (1 << 14) == data.index(x86) % (1 << 14) == 0
    macho.check(data, FOR, ["a"])


@pytest.mark.parametrize(
    ("arm", "why"),
    [
        (image(ARM, (11, 0), ["a"], "/opt/homebrew/lib/libssl.dylib"), "needs /opt/homebrew/lib/libssl.dylib"),
        (image(ARM, (11, 0), ["a"], "@rpath/libiconv.dylib"), "needs @rpath/libiconv.dylib"),
        # zig's linker does so.
        (image(ARM, (11, 0), ["a"], SYSTEM, SYSTEM), "needs a library twice"),
        (image(ARM, (15, 0), ["a"]), "asks for macOS 15.0, not for 11.0"),
        (image(ARM, (11, 0), ["a", "sqlite3_open"]), "exports other functions .*: _sqlite3_open$"),
        (image(ARM, (11, 0), []), "exports other functions .*: _a$"),
        (image(ARM, (11, 0), ["a"], signed=False), "lacks a signature"),
        # As a tool leaves it that changes a file and does not sign it again.
        (
            image(ARM, (11, 0), ["a"])[:4000] + b"x" + image(ARM, (11, 0), ["a"])[4001:],
            "lacks a signature, or has one of another file",
        ),
    ],
)
def test_what_a_mac_would_not_load_is_refused(tmp_path: Path, arm: bytes, why: str) -> None:
    data = both(tmp_path, arm, image(X86, (10, 14), ["a"]))
    with pytest.raises(macho.MachError, match=f"for aarch64 it {why}"):
        macho.check(data, FOR, ["a"])


def test_a_file_for_one_processor_is_refused() -> None:
    with pytest.raises(macho.MachError, match="for aarch64 only"):
        macho.check(image(ARM, (11, 0), ["a"]), FOR, ["a"])
    with pytest.raises(macho.MachError, match="no library for macOS"):
        macho.check(b"\x7fELF", FOR, ["a"])


def test_a_wheel_has_both_processors_and_all_functions(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    library, accelerator = tmp_path / "libplexindex.dylib", tmp_path / "libplexindex_accelerator.dylib"
    for file, names in ((library, abi.functions()), (accelerator, ["PyInit__fast"])):
        file.write_bytes(both(tmp_path, image(ARM, (11, 0), names), image(X86, (10, 14), names)))
    one, built = PLATFORMS["macosx_universal2"], {"cdylib": library, "accelerator": accelerator}
    wheel = make_wheels.pack(Path(sys.executable), one, built, tmp_path / "wheels")
    assert wheel.name.endswith("-py3-none-macosx_10_14_universal2.whl")
    make_wheels.check(Path(sys.executable), wheel)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("plexindex/libplexindex.dylib") == library.read_bytes()
    library.write_bytes(accelerator.read_bytes())
    shutil.rmtree(tmp_path / "wheels")
    wheel = make_wheels.pack(Path(sys.executable), one, built, tmp_path / "wheels")
    with pytest.raises(make_wheels.WheelError, match="for aarch64 it exports other functions"):
        make_wheels.check(Path(sys.executable), wheel)


@pytest.mark.parametrize(
    ("platform", "is_taken"),
    [
        ("macosx_10_14_x86_64", True),
        ("macosx_15_0_x86_64", True),
        ("macosx_11_0_arm64", True),
        ("macosx_10_13_x86_64", False),
    ],
)
def test_pip_takes_the_wheel_on_macs_that_are_new_enough(tmp_path: Path, platform: str, is_taken: bool) -> None:
    (tmp_path / f"plexindex-0.1.0-py3-none-{PLATFORMS['macosx_universal2'].tags}.whl").touch()
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--only-binary=:all:"]
    options = [f"--find-links={tmp_path}", f"--platform={platform}", f"--target={tmp_path}", "plexindex"]
    done = subprocess.run([*pip, *options], check=False, capture_output=True, text=True)
    # The file is empty: pip names what it takes, or says that there is none.
    assert ("from versions: none" in done.stdout + done.stderr) is not is_taken, done.stdout + done.stderr
