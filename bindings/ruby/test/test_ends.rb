# frozen_string_literal: true

require "socket"
require_relative "helper"

# What ends a call, an index or a process. C's frames must not be left by what Ruby raises.
class TestEnds < Minitest::Test
  include Helper

  # `silent` takes connections and never answers; `signalled` gives what the block raises, once the server is asked.
  BEFORE = <<~'RUBY'
    require "plexindex"
    require "socket"
    FOLDER, URL, TOKEN, PATH, KEY, SLOW_URL = ARGV
    SILENT = TCPServer.new("127.0.0.1", 0)
    def silent(number, **more)
      url = "http://127.0.0.1:#{SILENT.addr[1]}"
      Plexindex.open(cache_dir: "#{FOLDER}/#{number}", server_url: url, token: TOKEN, read_timeout_ms: 2000, retry_ms: -1, **more)
    end

    def signalled(signal = :INT)
      asked = Thread.new { SILENT.accept.tap { Process.kill(signal, Process.pid) } }
      yield
    rescue Exception => e
      e.class
    ensure
      asked.value.close
    end
  RUBY
  AFTER = <<~'RUBY'
    def deep(count) = count.zero? ? Array.new(9) { |one| one.to_s * 9 }.join : deep(count - 1)
    deep(300)
    3.times do |number|
      index = Plexindex.open(cache_dir: "#{FOLDER}/after", server_url: URL, token: TOKEN)
      raise "another answer" unless index.library("Movies").match(PATH).item.key == KEY
      index.close
    end
    puts "whole"
  RUBY

  def assert_whole(wanted, script)
    arguments = [@folder, URL, TOKEN, MOVIES[0]["path"], MOVIES[0]["key"], SLOW_URL]
    said, ended = Timeout.timeout(60) { Open3.capture2e("ruby", "-I#{LIB}", "-e", BEFORE + script + AFTER, *arguments) }
    assert ended.success?, said
    assert_equal "#{wanted}whole\n", said
  end

  # Each kind of call that may wait.
  CALLS = ['library.match("/a")', 'library.match("/a") { true }', "library.refresh", "index.server", 'library.record_match("/a", "1")'].freeze

  def test_a_handler_that_raises_or_exits_leaves_the_index_whole
    assert_whole("#{(['Interrupt'] * CALLS.size).join("\n")}\nRuntimeError\nSystemExit\n", <<~RUBY)
      trap("USR1") { raise "mine" }
      trap("USR2") { exit }
      calls = [#{CALLS.map { |call| "[:INT, ->(index, library) { #{call} }]" }.join(', ')}]
      calls += %i[USR1 USR2].map { |signal| [signal, ->(_, library) { library.match("/a") }] }
      calls.each_with_index do |(signal, call), number|
        index = silent(number)
        puts signalled(signal) { call.call(index, index.library("Movies")) }
        index.close
      end
    RUBY
  end

  # The call that it came in need not be known to have ended, but `close` has to know.
  def test_exceptions_at_any_moment_leave_the_index_whole
    skip "for make check-deep" unless ENV["PLEXINDEX_TEST_DEEP"]
    assert_whole("60\n", <<~'RUBY')
      index = Plexindex.open(cache_dir: "#{FOLDER}/own", server_url: SLOW_URL, token: TOKEN)
      library = index.library("Movies")
      library.refresh
      calls = [-> { library.match(PATH) }, -> { library.refresh(full: true) }, -> { index.stats }, -> { library.items.first(2) }, -> { library.lookup_keys([PATH]) },
               -> { library.record_match("/a", KEY) }, -> { index.table("own").put("a", "b") }, -> { Plexindex.drain_log }]
      armed = false
      raised = 0
      trap("USR1") { armed = false or raise "mine" if armed }
      sender = Thread.new { loop { sleep(rand * 0.02); Process.kill(:USR1, Process.pid) } }
      while raised < 60
        begin
          armed = true
          loop { calls.each(&:call) }
        rescue RuntimeError => e
          raise unless e.message == "mine"

          raised += 1
        end
      end
      sender.kill.join
      index.close
      puts raised
    RUBY
  end

  # `exit` in a handler, and `close` in an ensure. No lock is taken in a handler.
  def test_a_child_that_a_signal_ends_closes_its_index_and_a_handler_is_told_what_to_do
    assert_whole("0\ntrue true\n", <<~'RUBY')
      index = silent(0)
      child = fork do
        trap("TERM") { exit }
        Thread.new { SILENT.accept; Process.kill(:TERM, Process.pid); sleep }
        index.library("Movies").match("/a")
      ensure
        index.close
      end
      puts Process.wait2(child)[1].to_i
      said = []
      trap("USR1") do
        [-> { index.library("Movies").match("/a") }, -> { index.close }].each do |call|
          call.call
        rescue ThreadError => e
          said << e.message.include?("set a flag there, or call it in Thread.new")
        end
      end
      Process.kill(:USR1, Process.pid)
      sleep 0.01 until said.size == 2
      puts said.join(" ")
      index.close
    RUBY
  end

  def test_a_progress_block_may_be_left_in_any_way
    index = opened(**SLOWLY)
    movies = index.library("Movies")
    seen = nil
    error = assert_raises(Plexindex::Error) { movies.refresh { |progress| GC.start || (seen = progress).items < 50 } }
    assert_equal [:aborted, "Movies", true], [error.code, seen.library, seen.items >= 50]
    assert_equal 7, movies.refresh { break 7 }
    assert_equal 8, catch(:out) { movies.refresh { throw :out, 8 } }
    assert Thread.new { movies.refresh { Thread.current.kill } }.join(20)
    assert_raises(SystemExit) { movies.refresh { exit 3 } }
    assert_raises(ThreadError) { movies.refresh { index.close } }
    2.times { assert_raises(Timeout::Error) { Timeout.timeout(0.1) { movies.refresh { sleep } } } }
    assert_instance_of Plexindex::Progress, movies.enum_for(:refresh).next # and not gone on with
    child = nil
    assert(movies.refresh { child ||= fork { exit!(0) } })
    assert Process.wait2(child)[1].success?
  end

  def test_a_proc_for_a_token_that_hangs_is_ended_and_an_index_closed_meanwhile
    asked = Queue.new
    index = opened(token: "refused", renew_token: -> { asked << true; sleep })
    assert_raises(Timeout::Error) { Timeout.timeout(0.3) { index.library.refresh } }
    other = opened(token: "refused", cache_dir: "#{@folder}/other", renew_token: -> { asked << true; sleep })
    call = Thread.new { other.library.refresh }
    2.times { asked.pop }
    Timeout.timeout(5) { [index, other].each(&:close) }
    call.kill.join
  end

  # The exit code of a child that runs the block; it ends without the tests of its parent.
  def child
    process = fork do
      yield
      exit!(0)
    rescue Exception => e # rubocop:disable Lint/RescueException
      warn e.full_message
      exit!(1)
    end
    Timeout.timeout(30) { Process.wait2(process)[1].exitstatus }
  end

  # Of the threads that are in calls, and of one that closes, a child has none.
  def test_children_answer_and_close_whatever_the_parent_s_threads_do
    index = opened(**SLOWLY)
    movies = index.library("Movies")
    movies.match(MOVIES[0]["path"])
    begun = Queue.new
    go_on = Queue.new
    fetching = Thread.new do
      movies.refresh(full: true) { begun << true; go_on.pop }
    rescue Plexindex::ClosedError => e
      e
    end
    begun.pop
    assert_equal(0, child do
      raise "another answer" unless movies.match(MOVIES[0]["path"], offline: true).item.key == MOVIES[0]["key"]

      movies.record_match("/child.mkv", MOVIES[0]["key"])
      2.times { index.close }
    end)
    assert_equal :confirmed, movies.match("/child.mkv").match_kind
    closing = Thread.new { index.close }
    Thread.pass until index.closed? && closing.stop?
    assert_equal(0, child { index.close })
    go_on.close
    assert_instance_of Plexindex::ClosedError, fetching.value
    closing.value
  end

  # What a new process says that requires the gem of this folder, with a folder that the system looks into.
  def required(lib = LIB, **variables)
    given = { "PLEXINDEX_LIBRARY" => nil, "RUBYLIB" => nil, "RUBYOPT" => nil, "LD_LIBRARY_PATH" => @folder }.merge(variables.transform_keys(&:to_s))
    Open3.capture2e(given, RbConfig.ruby, "-I#{lib}", "-rplexindex", "-e", "print Plexindex.version")[0]
  end

  def test_the_library_is_found_or_the_error_says_what_to_do
    gem = "plexindex-#{Plexindex::VERSION}-#{Gem::Platform.local}.gem"
    [required, required(PLEXINDEX_LIBRARY: "libc.so.6")].each do |said|
      ["LoadError", "install the gem #{gem}", "make install", "PLEXINDEX_LIBRARY"].each { |part| assert_includes said, part }
    end
    assert_includes required(PLEXINDEX_LIBRARY: "libc.so.6"), "libc.so.6 is not the plexindex library"
    File.symlink(ENV.fetch("PLEXINDEX_LIBRARY"), File.join(@folder, "libplexindex.so.0"))
    assert_equal Plexindex.version, required
    # One that is named or in the gem is not hidden by the system's.
    FileUtils.cp_r(LIB, @folder)
    FileUtils.cp(File.expand_path("../../../include/plexindex.json", LIB), File.join(@folder, "lib", "plexindex", "abi.json"))
    broken = File.join(@folder, "lib", "plexindex", "libplexindex.so")
    File.write(broken, "no library")
    [required("#{@folder}/lib"), required(PLEXINDEX_LIBRARY: broken)].each { |said| assert_includes said, "#{broken}: " }
  end

  def test_the_example_answers_from_its_children
    command = [RbConfig.ruby, "-I#{LIB}", File.join(__dir__, "..", "examples", "forking_server.rb"), URL, TOKEN, @folder, "Movies", "0"]
    IO.popen(command) do |server|
      client = TCPSocket.new("127.0.0.1", server.gets[/\d+/])
      client.puts MOVIES[0]["path"], "/nowhere/x.mkv"
      assert_equal MOVIES[0]["key"], client.gets(chomp: true)
      assert_match(/\Anot_found: no library has a folder above/, client.gets)
      Process.kill(:TERM, server.pid)
      assert_equal "", Timeout.timeout(30) { server.read }
    end
    assert $?.success?, $?.inspect
  end
end
