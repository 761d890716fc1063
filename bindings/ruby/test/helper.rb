# frozen_string_literal: true

require "json"
require "minitest/autorun"
require "open3"
require "pathname"
require "set"
require "tmpdir"
require "timeout"
# Each call's arguments and results are held against sig, where Ruby has its gem for that.
begin
  ENV.update("RBS_TEST_TARGET" => "Plexindex::*", "RBS_TEST_OPT" => "-I #{File.expand_path('../sig', __dir__)}",
             "RBS_TEST_LOGLEVEL" => "error", "RBS_TEST_RAISE" => "true")
  verbose = $VERBOSE
  $VERBOSE = nil
  require "rbs/test/setup"
rescue LoadError
  warn "the gem rbs is not installed: types are not tested"
ensure
  $VERBOSE = verbose
end
require "plexindex"

# The stand-in server, and a folder of its own for each test.
module Helper
  URL = ENV.fetch("PLEXINDEX_TEST_URL")
  # Sixty pages of 20 ms: a fetch that is still under way when its progress is told of.
  SLOW_URL = ENV.fetch("PLEXINDEX_TEST_SLOW_URL")
  SLOWLY = { server_url: SLOW_URL, page_size: 25 }.freeze
  TOKEN = ENV.fetch("PLEXINDEX_TEST_TOKEN")
  FACTS = File.readlines(ENV.fetch("PLEXINDEX_TEST_FACTS"), chomp: true, encoding: "UTF-8").map { |line| line.split("\t") }.group_by(&:shift)
  MOVIES = FACTS["movie"].map { |row| %w[key title path].zip(row).to_h }
  REPEATED = { name: FACTS["repeated"][0][0], paths: FACTS["repeated"].map(&:last) }.freeze
  SHOW = { folder: FACTS["show"][0][0], title: FACTS["show"][0][1], paths: FACTS["show"].map(&:last) }.freeze
  LIB = File.expand_path("../lib", __dir__)

  def setup
    @folder = Dir.mktmpdir("plexindex-ruby-")
    @indexes = []
  end

  def teardown
    @indexes.each(&:close)
    FileUtils.remove_entry(@folder)
  end

  def opened(**options)
    @indexes << Plexindex.open(**{ cache_dir: @folder, server_url: URL, token: TOKEN, retry_ms: -1 }, **options)
    @indexes.last
  end
end
