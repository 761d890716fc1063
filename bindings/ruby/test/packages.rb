# frozen_string_literal: true

require_relative "helper"

# How the gem is built, and where it finds the library.
class TestPackages < Minitest::Test
  LIBRARY = ENV.fetch("PLEXINDEX_LIBRARY")
  SOURCE = File.expand_path("..", __dir__)
  # Nothing of the tests' own environment names the library or the gem.
  NOTHING = { "PLEXINDEX_LIBRARY" => nil, "RUBYLIB" => nil, "RUBYOPT" => nil }.freeze

  def setup
    @folder = Dir.mktmpdir("plexindex-gem-")
  end

  def teardown
    FileUtils.remove_entry(@folder)
  end

  # What a new process says that requires the gem, with the library's names in a folder that the system looks into.
  def required(*names)
    names.each { |name| File.symlink(LIBRARY, File.join(@folder, name)) }
    variables = NOTHING.merge("LD_LIBRARY_PATH" => @folder)
    Open3.capture2e(variables, RbConfig.ruby, "-I#{File.join(SOURCE, 'lib')}", "-rplexindex", "-e", "print Plexindex.version")
  end

  def test_a_runtime_package_has_no_link_for_developers
    said, ended = required("libplexindex.so.0")
    assert ended.success?, said
    assert_match(/\A\d+\.\d+\.\d+/, said)
  end

  def test_the_link_for_developers_is_enough
    said, ended = required("libplexindex.so")
    assert ended.success?, said
  end

  def test_a_missing_library_names_what_to_install_on_this_platform
    said, ended = required
    refute ended.success?
    assert_match(/LoadError/, said)
    assert_includes said, "install the gem plexindex-#{Plexindex::VERSION}-#{Gem::Platform.local}.gem"
    assert_includes said, "make install"
    assert_includes said, "PLEXINDEX_LIBRARY"
  end

  # Of another platform, say. The system's would hide it.
  def test_a_library_that_is_named_or_in_the_gem_is_loaded_or_its_failure_shown
    FileUtils.cp_r(File.join(SOURCE, "lib"), @folder)
    FileUtils.cp(File.expand_path("../../include/plexindex.json", SOURCE), File.join(@folder, "lib", "plexindex", "abi.json"))
    File.symlink(LIBRARY, File.join(@folder, "libplexindex.so.0"))
    broken = File.join(@folder, "lib", "plexindex", "libplexindex.so")
    File.write(broken, "no library")
    variables = NOTHING.merge("LD_LIBRARY_PATH" => @folder)
    [variables, variables.merge("PLEXINDEX_LIBRARY" => broken)].each do |given|
      said, ended = Open3.capture2e(given, RbConfig.ruby, "-I#{File.join(@folder, 'lib')}", "-rplexindex", "-e", "0")
      refute ended.success?
      assert_includes said, "#{broken}: "
      refute_includes said, "libplexindex.so.0: "
    end
  end

  def test_another_library_is_named_with_what_to_do
    said, ended = Open3.capture2e(NOTHING.merge("PLEXINDEX_LIBRARY" => "libc.so.6"), RbConfig.ruby, "-I#{File.join(SOURCE, 'lib')}", "-rplexindex", "-e", "0")
    refute ended.success?
    ["libc.so.6 is not the plexindex library", "install the gem", "PLEXINDEX_LIBRARY"].each { |part| assert_includes said, part }
  end

  def gem(*arguments, folder: @folder, **variables)
    said, ended = Open3.capture2e(NOTHING.merge(variables.transform_keys(&:to_s)), RbConfig.ruby, "-S", "gem", *arguments, chdir: folder)
    assert ended.success?, said
    said
  end

  # As README says.
  def test_the_gem_is_built_with_the_description
    copy = File.join(@folder, "copy")
    FileUtils.cp_r(SOURCE, copy)
    FileUtils.cp(File.expand_path("../../include/plexindex.json", SOURCE), File.join(copy, "lib", "plexindex", "abi.json"))
    %w[LICENSE-APACHE LICENSE-MIT].each { |file| FileUtils.cp(File.expand_path("../../#{file}", SOURCE), copy) }
    gem("build", "plexindex.gemspec", folder: copy)
    made = File.join(copy, "plexindex-#{Plexindex::VERSION}.gem")
    # Go's module has the same address.
    assert_includes File.read(File.join(SOURCE, "..", "go", "go.mod")), "module #{gem('specification', made, 'homepage')[%r{//(\S+)}, 1]}/"
    assert_includes gem("specification", made, "files"), "lib/plexindex/abi.json"
  end
end
