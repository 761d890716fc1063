# frozen_string_literal: true

require_relative "helper"

# A signal's handler that raises while the main thread is in a call: C's frames must not be left by it. What is left of
# a call that was, shows when an index is closed. The gem rbs is not in these processes.
class TestSignals < Minitest::Test
  include Helper

  # `silent` takes connections and never answers; `signalled` gives what the block raises, once the server is asked.
  BEFORE = <<~'RUBY'
    require "plexindex"
    require "socket"
    require "timeout"
    FOLDER, URL, TOKEN, PATH, KEY = ARGV
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
    arguments = [@folder, URL, TOKEN, MOVIES[0]["path"], MOVIES[0]["key"]]
    said, ended = Timeout.timeout(60) { Open3.capture2e("ruby", "-I#{LIB}", "-e", BEFORE + script + AFTER, *arguments) }
    assert ended.success?, said
    assert_equal "#{wanted}\nwhole\n", said
  end

  # Each call that may wait.
  CALLS = [
    'library.match("/a")', 'library.match("/a") { true }', 'library.match_paths(["/a"])', 'library.folder("/a")',
    "library.refresh", "index.libraries", "index.server", 'library.record_match("/a", "1")',
    'library.edit_items(["1"], { "title" => "A" })'
  ].freeze

  def test_a_rescued_interrupt_leaves_the_index_whole
    assert_whole((["Interrupt"] * CALLS.size).join(" "), <<~RUBY)
      calls = [#{CALLS.map { |call| "->(index, library) { #{call} }" }.join(', ')}]
      puts(calls.each_with_index.map do |call, number|
        index = silent(number)
        signalled { call.call(index, index.library("Movies")) }.tap { index.close }
      end.join(" "))
    RUBY
  end

  def test_a_handler_that_raises_or_exits_leaves_the_index_whole
    assert_whole("RuntimeError SystemExit", <<~'RUBY')
      trap("USR1") { raise "mine" }
      trap("USR2") { exit }
      puts(%i[USR1 USR2].map do |signal|
        index = silent(signal)
        signalled(signal) { index.library("Movies").match("/a") }.tap { index.close }
      end.join(" "))
    RUBY
  end

  # The call that it came in need not be known to have ended, but `close` has to know.
  def test_exceptions_at_any_moment_leave_the_index_whole
    deep
    assert_whole("60", <<~'RUBY')
      index = Plexindex.open(cache_dir: "#{FOLDER}/own", server_url: ENV.fetch("PLEXINDEX_TEST_SLOW_URL"), token: TOKEN)
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

  # As a server's children: `exit` in a handler, and `close` in an ensure.
  def test_a_child_that_a_signal_ends_closes_its_index
    assert_whole("0 0 0", <<~'RUBY')
      puts(Array.new(3) do |number|
        index = silent(number)
        child = fork do
          trap("TERM") { exit }
          Thread.new { SILENT.accept; Process.kill(:TERM, Process.pid); sleep }
          index.library("Movies").match("/a")
        ensure
          index.close
        end
        Process.wait2(child)[1].to_i.tap { index.close }
      end.join(" "))
    RUBY
  end

  def test_a_process_forks_after_a_call_that_a_signal_ended
    assert_whole("Interrupt 0", <<~'RUBY')
      index = silent(0)
      ended = signalled { index.library("Movies").refresh }
      child = fork { index.close; exit!(index.closed? ? 0 : 3) }
      puts "#{ended} #{Process.wait2(child)[1].to_i}"
      index.close
    RUBY
  end

  def test_a_call_in_a_handler_says_what_to_do
    assert_whole("true true closed", <<~'RUBY')
      index = silent(0)
      said = []
      trap("USR1") do
        [-> { index.library("Movies").match("/a") }, -> { index.close }].each do |call|
          call.call
        rescue ThreadError => e
          said << e.message.include?("set a flag there, or call it in Thread.new")
        end
        Thread.new { index.close; said << "closed" }
      end
      Process.kill(:USR1, Process.pid)
      sleep 0.01 until said.size == 3
      puts said.join(" ")
    RUBY
  end

  # In C nothing ends these calls: their caller need not wait for them.
  def test_a_timeout_ends_the_wait_for_a_call_that_nothing_ends
    deep
    assert_whole("Timeout::Error true", <<~'RUBY')
      index = silent(0, read_timeout_ms: 3000)
      begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      raised = begin
        Timeout.timeout(0.3) { index.library("Movies").record_match("/a", "1") }
      rescue Timeout::Error => e
        e.class
      end
      puts "#{raised} #{Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun < 2}"
      index.close
    RUBY
  end
end
