# frozen_string_literal: true

require "set"
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
    assert_equal :not_found, answers.last.status
    assert_match(/no library has a folder above/, answers.last.message)
    assert_equal keys, movies.lookup_keys(paths)
    assert_equal keys[1], movies.lookup_key(paths[1])
    assert_nil movies.lookup_key("a\0b")
    assert_equal [], movies.match_paths([])
    assert_equal [], movies.lookup_keys([])

    several = movies.match("/somewhere/else/#{REPEATED[:name]}")
    assert_equal [:ambiguous, nil, REPEATED[:paths].size], [several.status, several.item, several.candidates_total]
    assert_equal REPEATED[:paths].sort, several.candidates.map(&:path).sort
  end

  def test_folders_and_the_items_below
    shows = opened.library("TV Shows")
    folder = shows.folder(SHOW[:folder])
    assert_equal [:ok, :show, SHOW[:title]], [folder.status, folder.kind, folder.item.title]
    assert_equal SHOW[:paths].size, folder.items
    below = shows.items_below(SHOW[:folder]).map(&:path)
    assert_equal folder.files, below.size
    assert_empty SHOW[:paths] - below
    assert_operator shows.items.count { |item| item.kind == :episode }, :>=, SHOW[:paths].size
  end

  def test_an_error_is_of_the_library
    index = opened
    error = assert_raises(Plexindex::Error) { index.library("Movies").match("") }
    assert_equal [:invalid_argument, 100], [error.code, error.status]
    assert_match(/path is empty/, error.message)
    assert_raises(WRONG_TYPE) { index.library("Movies").match(3) }
    assert_match(/cache_dir/, assert_raises(Plexindex::Error) { Plexindex.open(cache_dir: "") }.message)
    refused = assert_raises(ArgumentError, WRONG_TYPE) { opened(tokens: "") }
    assert_match(/no option tokens/, (refused.cause || refused).message)
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

  def test_progress_is_reported_and_can_end_a_call
    movies = opened(**SLOWLY).library("Movies")
    seen = []
    error = assert_raises(Plexindex::Error) do
      movies.refresh do |progress|
        seen << progress
        GC.start
        progress.items < 50
      end
    end
    assert_equal :aborted, error.code
    assert_operator seen.last.items, :>=, 50
    assert_equal "Movies", seen.last.library
    assert_raises(RangeError) { movies.refresh(full: true) { raise RangeError, "mine" } }
    assert movies.refresh
  end

  # A quick fetch tells of its progress once, when all is fetched.
  def test_the_last_word_of_a_progress_block_counts
    movies = opened.library("Movies")
    assert_raises(RangeError) { movies.match(MOVIES[0]["path"]) { raise RangeError, "mine" } }
    20.times do
      assert_raises(RangeError) { movies.refresh(full: true) { raise RangeError, "mine" } }
    end
    assert_equal :aborted, assert_raises(Plexindex::Error) { movies.refresh(full: true) { false } }.code
    assert_equal MOVIES[0]["key"], movies.match(MOVIES[0]["path"], offline: true).item.key
  end

  # The thread and its call do not exist in the child.
  def test_a_closing_child_waits_for_no_thread_of_its_parent
    index = opened(**SLOWLY)
    begun = Queue.new
    fetching = Thread.new { index.library("Movies").refresh { begun << true } }
    begun.pop
    child = fork do
      index.close
      exit!(index.closed? ? 0 : 3)
    end
    Timeout.timeout(30) { Process.wait(child) }
    assert_equal 0, $?.exitstatus
    assert fetching.value, "the parent's call goes on"
  ensure
    Process.kill(:KILL, child) unless $?&.pid == child
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

  def test_a_timeout_ends_a_call
    movies = opened(**SLOWLY).library("Movies")
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { movies.refresh } }
    assert movies.refresh
    assert movies.match(MOVIES[0]["path"], offline: true).item
  end

  def test_a_process_ends_while_a_thread_is_in_a_call
    script = 'require "plexindex"; index = Plexindex.open(cache_dir: ARGV[0], server_url: ARGV[1], token: ARGV[2], ' \
             'page_size: 25); begun = Queue.new; Thread.new { index.library("Movies").refresh { begun << 1 } }; begun.pop'
    lib = File.join(__dir__, "..", "lib")
    said, ended = Open3.capture2e("ruby", "-I#{lib}", "-e", script, @folder, SLOW_URL, TOKEN)
    assert ended.success?, said
    assert_empty said
  end

  def test_an_index_is_not_closed_from_its_progress
    index = opened(**SLOWLY)
    assert_raises(ThreadError) { index.library("Movies").refresh { index.close } }
    assert_equal 0, index.stats["listings"]
  end

  def test_a_token_is_renewed_in_a_thread_of_its_own
    given = [nil, "", -> { raise "mine" }, -> { 7 }, TOKEN]
    threads = []
    renew = lambda do
      threads << Thread.current
      GC.start
      one = given.shift
      one.respond_to?(:call) ? one.call : one
    end
    causes = [nil, nil, "mine", /must be a String/]
    causes.each do |cause|
      index = opened(cache_dir: Dir.mktmpdir("none", @folder), token: "refused", renew_token: renew)
      GC.start
      error = assert_raises(Plexindex::Error) { index.library("Movies").refresh }
      assert_equal :unauthorized, error.code
      assert cause ? cause === error.cause.message : error.cause.nil?, error.cause.inspect
    end
    movies = opened(token: "refused", renew_token: renew).library("Movies")
    found = Array.new(4) { Thread.new { movies.match(MOVIES[0]["path"]).item.key } }.map(&:value)
    assert_equal [MOVIES[0]["key"]] * 4, found
    assert_equal 5, threads.size
    refute_includes threads, Thread.current
    assert_raises(ArgumentError, WRONG_TYPE) { opened(renew_token_user: 1) }
  end

  def test_an_index_is_not_closed_while_it_asks_for_a_token
    raised = nil
    index = opened(token: "refused", renew_token: lambda do
      index.close
    rescue ThreadError => e
      raised = e
      TOKEN
    end)
    assert index.library("Movies").refresh
    assert_match(/while it asks for a token/, raised.message)
  end

  def test_statistics_facts_and_what_is_recorded
    index = opened
    movies = index.library("Movies")
    movies.record_match("/own/name.mkv", MOVIES[3]["key"])
    movies.record_matches([["/own/a.mkv", MOVIES[4]["key"]], ["/own/b.mkv", MOVIES[5]["key"]]])
    refused = ->(&call) { assert_match(/deadline_ms is -7/, assert_raises(Plexindex::Error, &call).message) }
    refused.call { movies.record_match("/own/c.mkv", MOVIES[3]["key"], deadline_ms: -7) }
    refused.call { movies.record_matches([["/own/c.mkv", MOVIES[3]["key"]]], deadline_ms: -7) }
    assert_equal :confirmed, movies.match("/own/name.mkv").match_kind
    movies.invalidate_path("/own/name.mkv")
    assert_equal :not_found, movies.match("/own/name.mkv").status
    stats = index.stats
    assert_equal 1, stats["answers"]["confirmed"]
    assert_operator stats["requests"]["page"], :>=, 1
    assert movies.refresh
    assert_equal stats["requests"]["probe"], index.stats["requests"]["probe"]
    assert movies.refresh(check: true)
    assert_equal stats["requests"]["probe"] + 1, index.stats["requests"]["probe"]
    assert_equal(["Movies", "TV Shows"], index.libraries.map { |library| library["title"] })
    assert index.server["machine_identifier"]
    assert index.store["file_system"]
    assert_equal [], index.proposals
    assert_includes movies.item(MOVIES[3]["key"])["paths"], MOVIES[3]["path"]
    assert_nil movies.item("999999")
    refute_empty movies.search_title(MOVIES[3]["title"]).candidates
    assert_equal :not_found, movies.match_guid("imdb://tt0000000").status
    movies.invalidate_item(MOVIES[4]["key"])
    movies.invalidate
    index.token = "refused"
    assert_equal :unauthorized, assert_raises(Plexindex::Error) { index.library.refresh }.code
    index.token = TOKEN
    index.invalidate_all
    index.watch { nil }
    assert_raises(Plexindex::Error) { index.notify("no event") }
    assert_equal [{ equal: true, under: false, common: 3 }, { equal: false, under: true, common: 0 }],
                 Plexindex.compare_paths("/a/b/c.mkv", ["/A/b/c.mkv", "/a"])
    assert_instance_of Array, Plexindex.drain_log
    assert_match(/\A\d+\.\d+\.\d+/, Plexindex.version)
    index.clear
  end

  def test_the_feed_of_changes
    index = opened
    movies = index.library("Movies")
    movies.refresh
    cursor = movies.changes.cursor
    assert_equal false, movies.wait_for_changes(cursor, deadline_ms: 1, offline: true)
    error = assert_raises(Plexindex::Error) { movies.wait_for_changes(cursor, offline: true) { false } }
    assert_equal :aborted, error.code
    pages = movies.change_pages(full: true, limit: 700)
    assert_instance_of Enumerator, pages
    assert pages.first.more
    all = pages.flat_map(&:changes)
    assert_operator all.size, :>=, 1500
    found = all.find { |change| change.path == MOVIES[0]["path"] }
    assert_equal ["added", MOVIES[0]["title"]], [found.change, found.item["title"]]
    assert_empty movies.change_pages(cursor).to_a.flat_map(&:changes)
    waiting = Thread.new do
      movies.wait_for_changes(cursor, offline: true)
    rescue Plexindex::ClosedError => e
      e
    end
    Thread.pass until waiting.stop?
    index.close
    assert_instance_of Plexindex::ClosedError, waiting.value
  end

  def test_an_index_is_not_copied
    index = opened
    assert_match(/any number of threads/, assert_raises(TypeError) { index.dup }.message)
    assert_raises(TypeError) { index.clone }
    GC.start
    refute index.closed?
    assert_kind_of Hash, index.stats
  end

  def test_paths_are_anything_that_can_be_listed
    movies = opened.library("Movies")
    paths = MOVIES.first(3).map { |movie| movie["path"] }
    keys = MOVIES.first(3).map { |movie| movie["key"] }
    [paths.to_set, paths.each, paths.lazy.map(&:itself)].each do |given|
      assert_equal keys, movies.match_paths(given).map { |answer| answer.item.key }
      assert_equal keys, movies.lookup_keys(given)
    end
  end

  def test_what_is_for_the_gem_alone_is_private
    assert_empty Plexindex.constants & %i[Native Blocks Session Worker Watch Renewal Deep]
    assert_equal [:PAGE], Plexindex::Library.constants
    assert_empty Plexindex::Table.constants
  end

  def test_mappings
    rules = [{ from: "/mnt/films", to: "/data/movies" }]
    movies = opened(mappings: rules).library("Movies")
    found = movies.match(MOVIES[0]["path"].sub("/data/movies", "/mnt/films"))
    assert_equal [:mapped, MOVIES[0]["key"]], [found.match_kind, found.item.key]
    assert_raises(ArgumentError) { opened(mappings: [{ from: "/a", to: "/b", side: :moon }]) }
  end

  def test_tables
    table = opened.table("notes", fold_ascii: true)
    table.put("One", "first", ttl_ms: -2)
    table.put("", "\0\xff".b)
    assert_equal "first", table.get("ONE")
    assert_equal "first", table.lookup("one")
    assert_nil table.get("two")
    table.put("ö", "ü")
    table.put("\xfe".b, "\xff".b)
    assert_equal ["ü", "ü", "\xff".b], [table.get("ö"), table.lookup("ö"), table.get("\xfe".b)]
    assert_equal ["", "one", "ö", "\xfe".b], table.names.to_a
    table.remove("ö")
    table.remove("\xfe".b)
    assert_equal ["", "one"], table.names.to_a
    assert_equal 2, table.count
    table.remove("one")
    table.clear
    assert_nil table.get("")
  end

  def test_an_edit
    movies = opened.library("Movies")
    error = assert_raises(Plexindex::Error) { movies.edit_items([MOVIES[0]["key"], "999999"], { "title" => "A" }) }
    assert_equal :not_on_server, error.code
    assert_equal %i[no missing], error.report[:states]
    report = movies.edit_items([MOVIES[9]["key"]], { "summary" => "A" }, lock: :leave)
    assert_equal [1, 0, [:done]], report.values_at(:done, :failed, :states)
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
