# frozen_string_literal: true

require_relative "helper"

# What a caller gives that is wrong is refused by name. In a process without the gem rbs, which would refuse it first.
class TestArguments < Minitest::Test
  include Helper

  CASES = {
    "opened(page_size: 1 << 40)" => "RangeError page_size",
    "opened(page_size: -1)" => "RangeError page_size",
    "opened(deadline_ms: 1 << 80)" => "RangeError deadline_ms",
    'opened(deadline_ms: "5")' => "TypeError deadline_ms",
    "opened(deadline_ms: -5)" => "Plexindex::Error options.deadline_ms",
    "opened(renew_token: 5)" => "TypeError renew_token",
    'opened(offline: "no")' => "TypeError offline",
    "opened(mappings: [1])" => "TypeError mappings",
    'opened(mappings: { from: "/a", to: "/b" })' => "TypeError mappings",
    "opened(log_level: :loud)" => "ArgumentError log_level",
    "opened(cache_dir: 5)" => "TypeError cache_dir",
    'movies.match("/x", offline: "no")' => "TypeError offline",
    'movies.match("/x", deadline_ms: 1.5)' => "TypeError deadline_ms",
    "movies.lookup_key(nil)" => "TypeError path",
    'movies.match_paths("x")' => "TypeError paths",
    'movies.match_paths(["x", nil])' => "TypeError paths[1]",
    'movies.edit_items("x", {})' => "TypeError keys",
    'movies.edit_items(["1"], { title: "x" }, lock: :foo)' => "ArgumentError lock",
    "movies.changes(limit: -1)" => "RangeError limit",
    'movies.record_match("/x", 5)' => "TypeError key",
    'movies.record_match("/x", "1", deadline_ms: "5")' => "TypeError deadline_ms",
    'index.table("t").put("a", "b", ttl_ms: 1.5)' => "TypeError ttl_ms",
    'movies.match("/a.mkv".encode("UTF-16LE").force_encoding("UTF-16LE") + "\xD8".b.force_encoding("UTF-16LE"))' => "ArgumentError path"
  }.freeze

  def test_wrong_values_are_refused_by_name
    script = <<~RUBY
      require "plexindex"
      define_method(:opened) { |**more| Plexindex.open(**{ cache_dir: ARGV[0], server_url: ARGV[1] }, **more) }
      index = opened
      movies = index.library("Movies")
      #{CASES.keys.map { |one| "begin; #{one}; puts 'nothing'; rescue StandardError => e; puts \"\#{e.class} \#{e.message}\"; end" }.join("\n")}
    RUBY
    said, ended = Open3.capture2e("ruby", "-I#{LIB}", "-e", script, @folder, URL)
    assert ended.success?, said
    lines = said.lines
    CASES.each_with_index { |(given, wanted), place| assert lines[place]&.start_with?(wanted), "#{given}: #{lines[place]}" }
  end

  def test_a_path_with_a_nul_is_its_own_error
    movies = opened.library("Movies")
    path = MOVIES[0]["path"]
    alone = assert_raises(Plexindex::Error) { movies.match("a\0b") }.code
    answers = movies.match_paths([path, "a\0b", path])
    assert_equal [:ok, alone, :ok], answers.map(&:status)
    assert_match(/paths\[1\] cannot hold a NUL/, answers[1].message)
    assert_equal [MOVIES[0]["key"], nil], movies.lookup_keys([path, "a\0b"])
  end

  def test_what_ruby_has_words_for_is_taken
    require "pathname"
    path = MOVIES[0]["path"]
    index = opened(cache_dir: Pathname.new(@folder), log_level: :warn)
    movies = index.library("Movies")
    assert_equal :ok, movies.match(Pathname.new(path)).status
    assert_equal :ok, movies.match(path.encode("UTF-16LE")).status
    assert_equal MOVIES[0]["key"], movies.lookup_key(path.encode("UTF-16LE"))
    assert_nil movies.item(MOVIES[0]["key"])["season"]
    assert_equal "#<Plexindex::Library of #<Plexindex::Index open>>", movies.inspect
    count = movies.changes("", full: true, limit: 10_000).changes.size
    refute_includes movies.change_pages("", full: true, limit: count).map { |page| page.changes.size }, 0
  end
end
