# frozen_string_literal: true

require_relative "helper"

class TestPlexindex < Minitest::Test
  include Helper

  def test_one_path_many_paths_and_candidates
    movies = opened.library("Movies")
    assert_nil movies.lookup_key(MOVIES[0]["path"])
    one = movies.match(MOVIES[0]["path"])
    assert_equal [:ok, :exact, :high, false], [one.status, one.match_kind, one.confidence, one.stale]
    assert_equal [MOVIES[0]["key"], MOVIES[0]["title"], MOVIES[0]["path"], :movie], one.item.to_a.values_at(0, 2, 7, 10)
    paths = MOVIES.map { |movie| movie["path"] } + ["/nowhere/x.mkv"]
    keys = MOVIES.map { |movie| movie["key"] } + [nil]
    answers = movies.match_paths(paths)
    assert_equal keys, answers.map { |answer| answer.item&.key }
    assert_match(/no library has a folder above/, answers.last.message)
    assert_equal [keys, keys[1], nil], [movies.lookup_keys(paths), movies.lookup_key(paths[1]), movies.lookup_key("a\0b")]
    assert_equal [[], []], [movies.match_paths([]), movies.lookup_keys([])]
    several = movies.match("/somewhere/else/#{REPEATED[:name]}")
    assert_equal [:ambiguous, nil, REPEATED[:paths].size], [several.status, several.item, several.candidates_total]
    assert_equal REPEATED[:paths].sort, several.candidates.map(&:path).sort
  end

  def test_folders_and_the_items_below
    shows = opened.library("TV Shows")
    folder = shows.folder(SHOW[:folder])
    assert_equal [:ok, :show, SHOW[:title], SHOW[:paths].size], [folder.status, folder.kind, folder.item.title, folder.items]
    below = shows.items_below(SHOW[:folder]).map(&:path)
    assert_equal [folder.files, []], [below.size, SHOW[:paths] - below]
    assert_operator shows.items.count { |item| item.kind == :episode }, :>=, SHOW[:paths].size
  end

  def test_a_hundred_failing_calls_each_have_their_own_text
    index = opened
    threads = Array.new(100) do |number|
      Thread.new do
        index.library("None #{number}").match("/x.mkv")
      rescue Plexindex::Error => e
        e
      end
    end
    threads.map(&:value).each_with_index do |error, number|
      assert_equal :library_not_found, error.code
      assert_match(/'None #{number}'/, error.message)
    end
  end

  def test_a_long_call_lets_other_threads_run_and_close_waits_for_it
    index = opened(**SLOWLY)
    begun = Queue.new
    fetching = Thread.new do
      index.library("Movies").refresh { begun << true }
    rescue Plexindex::ClosedError => e
      e
    end
    begun.pop
    assert fetching.alive?
    index.close
    closed = fetching.value
    assert_instance_of Plexindex::ClosedError, closed
    assert_equal [:closed, nil, nil], [closed.code, closed.status, closed.cause]
    assert_kind_of Plexindex::Error, closed
    refute_match(/tap/, closed.backtrace.first)
    assert_raises(Plexindex::ClosedError) { index.stats }
    assert_raises(Plexindex::ClosedError) { index.library("Movies") }
    index.close
  end

  def test_a_process_ends_while_a_thread_is_in_a_call
    script = 'require "plexindex"; index = Plexindex.open(cache_dir: ARGV[0], server_url: ARGV[1], token: ARGV[2], ' \
             'page_size: 25); begun = Queue.new; Thread.new { index.library("Movies").refresh { begun << 1 } }; begun.pop'
    lib = File.join(__dir__, "..", "lib")
    said, ended = Open3.capture2e("ruby", "-I#{lib}", "-e", script, @folder, SLOW_URL, TOKEN)
    assert ended.success?, said
    assert_empty said
  end

  def test_a_token_is_renewed_in_the_thread_of_its_call
    given = [nil, -> { raise "mine" }, -> { 7 }, "t" * 70_000, TOKEN]
    said = []
    index = nil
    renew = lambda do
      GC.start
      [-> { index.close }, -> { index.library.refresh }].each do |call|
        call.call
      rescue ThreadError, Plexindex::Error => e
        said << [Thread.current, e.message]
      end
      index.library("Movies").match("/a", at_once: true)
      one = given.shift
      one.respond_to?(:call) ? one.call : one
    end
    [nil, "mine", /must be a String/, /70000 bytes: 65536 at most/].each do |cause|
      index = opened(cache_dir: Dir.mktmpdir("none", @folder), token: "refused", renew_token: renew)
      GC.start
      error = assert_raises(Plexindex::Error) { index.library("Movies").refresh }
      assert_equal :unauthorized, error.code
      assert cause ? cause === error.cause.message : error.cause.nil?, error.cause.inspect
    end
    index = opened(token: "refused", renew_token: renew)
    assert_equal MOVIES[0]["key"], index.library("Movies").match(MOVIES[0]["path"]).item.key
    assert_equal [[Thread.current] * 10, 5], [said.map(&:first), said.count { |_, text| text.include?("while it asks for a token") }]
    assert_match(/renew_token asks the index/, said.last.last)
    assert_equal(5, catch(:out) { opened(token: "bad", renew_token: -> { throw :out, 5 }).server })
  end

  def test_what_is_recorded_invalidated_and_counted
    index = opened(mappings: [{ "from" => "/mnt/films", "to" => "/data/movies", "side" => "host" }])
    movies = index.library("Movies")
    movies.record_match("/own/name.mkv", MOVIES[3]["key"])
    assert_equal :confirmed, movies.match("/own/name.mkv").match_kind
    movies.invalidate_path("/own/name.mkv")
    assert_equal :not_found, movies.match("/own/name.mkv").status
    assert_equal :mapped, movies.match(MOVIES[0]["path"].sub("/data/movies", "/mnt/films")).match_kind
    stats = index.stats
    assert_equal [1, nil], [stats["answers"]["confirmed"], stats["last_failure"]]
    assert movies.refresh(check: true)
    assert_equal stats["requests"]["probe"] + 1, index.stats["requests"]["probe"]
    movies.invalidate_item(MOVIES[4]["key"])
    movies.invalidate
    index.token = "refused"
    assert_equal :unauthorized, assert_raises(Plexindex::Error) { index.library.refresh }.code
    index.token = TOKEN
    index.invalidate_all
    assert_raises(Plexindex::Error) { index.notify("no event") }
    assert_equal [Array, 0], [Plexindex.drain_log.class, Plexindex.version =~ /\A\d+\.\d+\.\d+/]
    index.clear
  end

  def test_methods_by_their_names
    index = opened
    movies = index.library("Movies")
    movies.refresh
    assert_equal(["Movies", "TV Shows"], index.libraries.map { |library| library["title"] })
    assert_equal index.server["machine_identifier"], index.call("server.check", {}, deadline_ms: 9000)["machine_identifier"]
    assert_equal [@folder, []], [index.store["folder"], index.proposals(["/x"])]
    assert_includes movies.item(MOVIES[3]["key"]).paths, MOVIES[3]["path"]
    assert_nil movies.item("999999")
    refute_empty movies.search_title(MOVIES[3]["title"]).candidates
    assert_equal [:not_found, nil], movies.match_guid("imdb://tt0000000").to_a.values_at(0, 5)
    assert_equal "\xff/a".b, index.call("mappings.to_host", { path: "\xff/a".b })["path"]
    assert_equal [{ "equal" => true, "under" => false, "common" => 3 }], Plexindex.compare_paths("/a/b/c.mkv", ["/A/b/c.mkv"])
    assert_equal(7, index.watch { 7 })
    { ["no.method"] => /no method 'no.method'/, ["items.get", { kye: "1" }] => /unknown field `kye`/ }.each do |given, said|
      error = assert_raises(Plexindex::Error) { index.call(*given) }
      assert_equal :invalid_argument, error.code
      assert_match(said, error.message)
    end
    error = assert_raises(Plexindex::Error) { movies.edit_items([MOVIES[0]["key"], "999999"], { "title" => "A" }) }
    assert_equal [:not_on_server, %w[no missing]], [error.code, error.answer["states"]]
    report = movies.edit_items([MOVIES[9]["key"]], { "summary" => "A", "genre+" => "B" }, lock: :leave)
    assert_equal [1, 0, ["done"]], report.values_at("done", "failed", "states")
  end

  def test_the_feed_of_changes
    index = opened
    movies = index.library("Movies")
    movies.refresh
    cursor = movies.changes.cursor
    assert_equal false, movies.wait_for_changes(cursor, deadline_ms: 1, offline: true)
    assert_equal :aborted, assert_raises(Plexindex::Error) { movies.wait_for_changes(cursor, offline: true) { false } }.code
    all = movies.change_pages(full: true, limit: 700).flat_map(&:changes)
    assert_operator all.size, :>=, 1500
    assert_equal MOVIES[0]["title"], all.find { |change| change.path == MOVIES[0]["path"] && change.change == "added" }.item.title
    waiting = Thread.new do
      movies.wait_for_changes(cursor, offline: true)
    rescue Plexindex::ClosedError => e
      e
    end
    Thread.pass until waiting.stop?
    index.close
    assert_instance_of Plexindex::ClosedError, waiting.value
  end

  def test_what_ruby_has_words_for_is_taken_and_what_is_wrong_refused_by_name
    index = opened(cache_dir: Pathname.new(@folder), log_level: "warn")
    movies = index.library(:Movies)
    path, key = MOVIES[0].values_at("path", "key")
    [Pathname.new(path), path.encode("UTF-16LE")].each { |one| assert_equal :ok, movies.match(one).status }
    assert_equal [key, [key]], [movies.lookup_key(path.encode("UTF-16LE")), movies.lookup_keys([path].to_set)]
    assert_equal [path, "exact"], JSON.parse(movies.match(path).to_json).then { |hash| [hash["item"]["path"], hash["match_kind"]] }
    answers = movies.match_paths([path, "a\0b"].each)
    assert_equal [[:ok, :invalid_argument], "paths[1] cannot hold a NUL"], [answers.map(&:status), answers[1].message]
    {
      -> { opened(page_size: 1 << 40) } => "page_size is 1099511627776: it must be 4294967295 or less",
      -> { opened(retry_ms: -5) } => "retry_ms is -5: give milliseconds, 0 for 30 s, or -1 for never",
      -> { opened(log_level: "loud") } => "log_level is :off", -> { opened(mappings: [{ from: "/a", to: "/b", side: :moon }]) } => "the side of",
      -> { movies.record_matches([["/x", "no key"]]) } => "'no key' is not the key of an item", -> { movies.match("") } => "path is empty",
      -> { movies.match("\xD8".b.force_encoding("UTF-16LE")) } => "path cannot be made UTF-8",
      -> { index.dup } => "an index is not copied", -> { index.clone } => "an index is not copied"
    }.each do |call, said|
      assert_includes assert_raises(ArgumentError, RangeError, TypeError, Plexindex::Error, &call).message, said
    end
    assert_empty Plexindex.constants & %i[Native Blocks Session Call Callbacks Deep]
  end

  def test_tables
    table = opened.table("notes", fold_ascii: true)
    table.put("One", "first", ttl_ms: -2)
    table.put("ö", "ü")
    table.put("\xfe".b, "\0\xff".b)
    assert_equal ["first", "first", nil], [table.get("ONE"), table.lookup("one"), table.get("two")]
    assert_equal ["ü", "ü", "\0\xff".b], [table.get("ö"), table.lookup("ö"), table.get("\xfe".b)]
    assert_equal ["one", "ö", "\xfe".b], table.names.to_a
    table.remove("ö")
    assert_equal 2, table.count
    table.clear
    assert_nil table.get("one")
  end

  def held
    Dir.children("/proc/self/fd").count do |number|
      File.readlink("/proc/self/fd/#{number}").start_with?(@folder)
    rescue SystemCallError
      false
    end
  end

  def test_an_index_that_is_not_closed_is_collected
    forgotten = proc do
      index = Plexindex.open(cache_dir: @folder, server_url: URL, token: TOKEN)
      index.library("Movies").match(MOVIES[0]["path"])
    end
    forgotten.call
    assert_operator held, :>, 0
    500.times do
      break if held.zero?

      # Ruby looks for references on the stack: other calls write over what is left there.
      Array.new(1000) { Object.new }
      GC.start
      Thread.new { GC.start }.join
    end
    assert_equal 0, held
  end

  def test_the_example_finds_a_file
    example = File.join(__dir__, "..", "examples", "match.rb")
    lib = File.join(__dir__, "..", "lib")
    printed, ended = Open3.capture2("ruby", "-I#{lib}", example, URL, TOKEN, @folder, "Movies", MOVIES[0]["path"])
    assert ended.success?
    assert_equal "#{MOVIES[0]['key']}: #{MOVIES[0]['title']}\n", printed
  end
end
