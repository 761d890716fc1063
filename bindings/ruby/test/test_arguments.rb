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
    "opened(deadline_ms: -5)" => "Plexindex::Error deadline_ms is -5: give milliseconds, or -1 for none",
    "opened(retry_ms: -5)" => "Plexindex::Error retry_ms is -5: give milliseconds, 0 for 30 s, or -1 for never",
    "opened(library_ttl_ms: -5)" => "Plexindex::Error library_ttl_ms is -5: give milliseconds, 0 for one hour, -1 for none or -2 for ever",
    "opened(log_level: 9)" => "Plexindex::Error log_level is 9: give 1 to 4, -1, or a name",
    'movies.match("/x", full: true)' => "Plexindex::Error the call has full: true, which this function does not know: call refresh with it first",
    'movies.refresh(at_once: true)' => "Plexindex::Error the call has at_once: true, which this function does not know: match, match_paths and folder do",
    "opened(renew_token: 5)" => "TypeError renew_token",
    'opened(offline: "no")' => "TypeError offline",
    "opened(mappings: [1])" => "TypeError mappings",
    'opened(mappings: { from: "/a", to: "/b" })' => "TypeError mappings",
    "opened(log_level: :loud)" => "ArgumentError log_level",
    'opened(log_level: "loud")' => 'ArgumentError log_level is :off, :error, :warn, :info or :debug, not "loud"',
    "movies.record_matches(nil)" => "TypeError pairs must be an Array",
    'movies.record_matches(["x"])' => "TypeError pairs must be an Array",
    "opened(cache_dir: 5)" => "TypeError cache_dir",
    'movies.match("/x", offline: "no")' => "TypeError offline",
    'movies.match("/x", deadline_ms: 1.5)' => "TypeError deadline_ms",
    "movies.lookup_key(nil)" => "TypeError path",
    'movies.match_paths("x")' => "TypeError paths",
    'movies.match_paths(["x", nil])' => "TypeError paths[1]",
    'movies.edit_items("x", {})' => "TypeError keys",
    'movies.edit_items(["1"], { title: "x" }, lock: :foo)' => "ArgumentError lock",
    "movies.changes(limit: -1)" => "RangeError limit is -1: it must be 1 or more",
    "movies.changes(limit: 20_000)" => "RangeError limit is 20000: it must be 10000 or less",
    "opened(page_size: 1 << 32)" => "RangeError page_size is 4294967296: it must be 4294967295 or less",
    "index.library([])" => "TypeError the name of a library",
    'opened(mappings: [{ "form" => "/a", "to" => "/b" }])' => "ArgumentError missing keyword: :from",
    'movies.record_match("/x", 5)' => "TypeError key",
    'movies.record_match("/x", "no key")' => "Plexindex::Error 'no key' is not the key of an item",
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
    refute_match(/plexindex_|PLEXINDEX_/, said)
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
    index = opened(cache_dir: Pathname.new(@folder), log_level: "warn")
    movies = index.library("Movies")
    assert_equal :ok, movies.match(Pathname.new(path)).status
    assert_equal :ok, movies.match(path.encode("UTF-16LE")).status
    assert_equal MOVIES[0]["key"], movies.lookup_key(path.encode("UTF-16LE"))
    assert_equal movies.inspect, index.library(:Movies).inspect
    mapped = opened(mappings: [{ "from" => "/mnt/films", "to" => "/data/movies", "side" => "host" }]).library("Movies")
    assert_equal :mapped, mapped.match(path.sub("/data/movies", "/mnt/films")).match_kind
    assert_nil movies.item(MOVIES[0]["key"])["season"]
    assert_equal "#<Plexindex::Library of #<Plexindex::Index open>>", movies.inspect
    answer = movies.match(path)
    assert_equal [path, :exact], answer.to_h.then { |hash| [hash[:item][:path], hash[:match_kind]] }
    assert_equal [path, "exact"], JSON.parse(answer.to_json).then { |hash| [hash["item"]["path"], hash["match_kind"]] }
    page = movies.changes("", full: true, limit: 1)
    assert_equal page.changes[0].path, JSON.parse(JSON.generate(page))["changes"][0]["path"]
    count = movies.changes("", full: true, limit: 10_000).changes.size
    refute_includes movies.change_pages("", full: true, limit: count).map { |page| page.changes.size }, 0
  end
end
