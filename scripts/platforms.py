"""The platforms that a release is made for, and what others call them."""

from __future__ import annotations

from dataclasses import dataclass

import frameworks


@dataclass(frozen=True)
class Platform:
    """A platform by the names that Rust, PyPI, npm, Java and .NET give it. An empty name: no package is made there."""

    target: str
    """Rust's name; behind the dot the oldest glibc."""
    tags: str = ""
    """The wheel's."""
    npm: str = ""
    description: str = ""
    jar: str = ""
    rid: str = ""
    oldest: str = ""
    """The oldest macOS. rustls-platform-verifier needs 10.14, and arm64 began with 11.0."""
    parts: tuple[str, ...] = ()
    """The platforms whose libraries are joined in one file."""

    @property
    def triple(self) -> str:
        """What rustup calls it."""
        return self.target.partition(".")[0]

    @property
    def has_64_bits(self) -> bool:
        """Whether an address has 64 bits; else it has 32."""
        return not self.target.startswith("armv7")

    @property
    def is_musl(self) -> bool:
        """Whether its C library is musl; else it is glibc."""
        return "-musl" in self.target

    @property
    def is_windows(self) -> bool:
        """Whether MinGW links it, and not zig."""
        return "-windows-" in self.target

    @property
    def is_macos(self) -> bool:
        """Whether it is macOS, which needs stubs of Apple's frameworks."""
        return "-apple-" in self.target

    @property
    def is_linux(self) -> bool:
        """Whether it is Linux, which has packages in all languages."""
        return "-linux-" in self.target

    @property
    def library(self) -> str:
        """What the shared library is called in packages."""
        return "plexindex.dll" if self.is_windows else "libplexindex.dylib" if self.is_macos else "libplexindex.so"

    @property
    def binutils(self) -> str:
        """What stands before the names of its binutils, which know no C library."""
        if self.is_windows:
            return "x86_64-w64-mingw32-"
        return {"armv7": "arm-linux-gnueabihf"}.get(cpu := self.target.split("-")[0], f"{cpu}-linux-gnu") + "-"

    @property
    def zig(self) -> list[str]:
        """Arguments for zig as its C compiler."""
        cpu, _, rest = self.target.replace("unknown-", "").partition("-")
        if cpu == "armv7":
            return ["-target", f"arm-{rest}", "-mcpu=generic+v7a+vfp3-d32+thumb2-neon"]
        return ["-target", f"{cpu}-{rest}"]

    @property
    def flags(self) -> list[str]:
        """Flags for rustc: by default musl's targets link the C library statically, and make no shared library.

        MinGW's linker writes the time into a DLL. Of Apple's frameworks there are stubs.
        """
        if self.is_windows:
            return ["-Clink-arg=-Wl,--no-insert-timestamp"]
        if self.is_macos:
            return frameworks.FLAGS
        return ["-Ctarget-feature=-crt-static"] if self.is_musl else []


# By the names of wheels. glibc 2.17 is the oldest that Rust's standard library runs with. Older versions of pip know
# the second tag only. bindings/node/package.json lists the names of npm.
PLATFORMS = {
    "manylinux_x86_64": Platform(
        "x86_64-unknown-linux-gnu.2.17",
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "linux-x64-gnu",
        "Linux on x86-64 with glibc",
        "linux-x86_64",
        "linux-x64",
    ),
    "musllinux_x86_64": Platform(
        "x86_64-unknown-linux-musl",
        "musllinux_1_2_x86_64",
        "linux-x64-musl",
        "Linux on x86-64 with musl",
        "linux-x86_64-musl",
        "linux-musl-x64",
    ),
    "manylinux_aarch64": Platform(
        "aarch64-unknown-linux-gnu.2.17",
        "manylinux_2_17_aarch64.manylinux2014_aarch64",
        "linux-arm64-gnu",
        "Linux on aarch64 with glibc",
        "linux-aarch64",
        "linux-arm64",
    ),
    "musllinux_aarch64": Platform(
        "aarch64-unknown-linux-musl",
        "musllinux_1_2_aarch64",
        "linux-arm64-musl",
        "Linux on aarch64 with musl",
        "linux-aarch64-musl",
        "linux-musl-arm64",
    ),
    "manylinux_armv7l": Platform("armv7-unknown-linux-gnueabihf.2.17", "manylinux_2_17_armv7l.manylinux2014_armv7l"),
    "musllinux_armv7l": Platform("armv7-unknown-linux-musleabihf", "musllinux_1_2_armv7l"),
    "win_amd64": Platform(
        "x86_64-pc-windows-gnu", "win_amd64", npm="win32-x64", description="Windows on x86-64, tested under wine only"
    ),
    "macosx_x86_64": Platform(
        "x86_64-apple-darwin", npm="darwin-x64", description="macOS on x86-64, never run by us", oldest="10.14"
    ),
    "macosx_arm64": Platform(
        "aarch64-apple-darwin", npm="darwin-arm64", description="macOS on arm64, never run by us", oldest="11.0"
    ),
    # The licences of both are the same.
    "macosx_universal2": Platform(
        "aarch64-apple-darwin", "macosx_10_14_universal2", parts=("macosx_x86_64", "macosx_arm64")
    ),
}
