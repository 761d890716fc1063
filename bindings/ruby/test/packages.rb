# frozen_string_literal: true

require_relative "helper"

# How the gem is built, and where it finds the library.
class TestPackages < Minitest::Test
  include Helper
  LIBRARY = ENV.fetch("PLEXINDEX_LIBRARY")
  SOURCE = File.expand_path("..", __dir__)

  # What a new process says that requires the gem of this folder, with a folder that the system looks into.
  def required(lib = LIB, **variables)
    given = { "PLEXINDEX_LIBRARY" => nil, "RUBYLIB" => nil, "RUBYOPT" => nil, "LD_LIBRARY_PATH" => @folder }.merge(variables.transform_keys(&:to_s))
    said, ended = Open3.capture2e(given, RbConfig.ruby, "-I#{lib}", "-rplexindex", "-e", "print Plexindex.version")
    assert_equal ended.success?, said.match?(/\A\d+\.\d+\.\d+\z/)
    said
  end

  def test_the_library_is_found_or_the_error_says_what_to_do
    platform = "plexindex-#{Plexindex::VERSION}-#{Gem::Platform.local}.gem"
    [required, required(PLEXINDEX_LIBRARY: "libc.so.6")].each do |said|
      ["LoadError", "install the gem #{platform}", "make install", "PLEXINDEX_LIBRARY"].each { |part| assert_includes said, part }
    end
    %w[libplexindex.so libplexindex.so.0].each do |name|
      File.symlink(LIBRARY, File.join(@folder, name))
      assert_equal Plexindex.version, required
      File.unlink(File.join(@folder, name)) if name.end_with?(".so")
    end
    # One that is named or in the gem is not hidden by the system's.
    FileUtils.cp_r(File.join(SOURCE, "lib"), @folder)
    FileUtils.cp(File.expand_path("../../include/plexindex.json", SOURCE), File.join(@folder, "lib", "plexindex", "abi.json"))
    broken = File.join(@folder, "lib", "plexindex", "libplexindex.so")
    File.write(broken, "no library")
    [required("#{@folder}/lib"), required(PLEXINDEX_LIBRARY: broken)].each { |said| assert_includes said, "#{broken}: " }
  end

  # As README says.
  def test_the_gem_is_built_with_the_description
    copy = File.join(@folder, "copy")
    FileUtils.cp_r(SOURCE, copy)
    FileUtils.cp(File.expand_path("../../include/plexindex.json", SOURCE), File.join(copy, "lib", "plexindex", "abi.json"))
    %w[LICENSE-APACHE LICENSE-MIT].each { |file| FileUtils.cp(File.expand_path("../../#{file}", SOURCE), copy) }
    said, ended = Open3.capture2e({ "RUBYOPT" => nil }, RbConfig.ruby, "-S", "gem", "build", "plexindex.gemspec", chdir: copy)
    assert ended.success?, said
    said, = Open3.capture2e({ "RUBYOPT" => nil }, RbConfig.ruby, "-S", "gem", "specification", Dir["#{copy}/*.gem"][0], "files")
    assert_includes said, "lib/plexindex/abi.json"
  end
end
