# Untried: checked with ruby -c only. SOURCE and SHA256 are those of the archive of `make dist` in a release.
class Plexindex < Formula
  desc "Tells which Plex item a file is, without asking the server"
  homepage "SOURCE"
  url "SOURCE/plexindex-0.1.0.tar.xz"
  sha256 "SHA256"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    # `make install` needs Linux and its binutils.
    if OS.linux?
      system "make", "install", "PREFIX=#{prefix}"
    else
      system "cargo", "build", "--release", "--frozen", "--package", "plexindex-capi"
      lib.install "target/release/libplexindex.dylib"
      include.install Dir["include/*.h"], "bindings/cpp/plexindex.hpp"
    end
  end

  test do
    (testpath/"test.c").write <<~C
      #include <plexindex.h>
      int main(void) { return plexindex_get_abi_version() == PLEXINDEX_ABI_VERSION ? 0 : 1; }
    C
    system ENV.cc, "test.c", "-I#{include}", "-L#{lib}", "-lplexindex", "-o", "test"
    system "./test"
  end
end
