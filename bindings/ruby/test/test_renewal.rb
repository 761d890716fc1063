# frozen_string_literal: true

require_relative "helper"

# A proc for a token that takes its time, or asks the index itself.
class TestRenewal < Minitest::Test
  include Helper

  # An index whose proc waits until the queue `gate` has what it gives; `asked` says that it runs.
  def gated(**options)
    asked = Queue.new
    gate = Queue.new
    renew = lambda do
      asked << true
      gate.pop
    end
    [opened(token: "refused", renew_token: renew, **options), asked, gate]
  end

  def seconds
    begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun
  end

  def test_a_timeout_ends_a_call_whose_proc_hangs
    index, = gated
    assert_operator(seconds { assert_raises(Timeout::Error) { Timeout.timeout(0.3) { index.library.refresh } } }, :<, 5)
  end

  def test_a_deadline_ends_a_call_whose_proc_hangs
    index, = gated
    error = nil
    took = seconds { error = assert_raises(Plexindex::Error) { index.library.refresh(deadline_ms: 300) } }
    assert_operator took, :<, 5
    assert_equal :unauthorized, error.code
    assert_match(/renew_token/, error.cause.message)
  end

  def test_close_ends_a_call_whose_proc_hangs
    index, asked, = gated
    call = Thread.new do
      index.library.refresh
    rescue Plexindex::Error => e
      e
    end
    asked.pop
    assert_operator(seconds { index.close }, :<, 5)
    assert call.join(5)
    assert_kind_of Plexindex::Error, call.value
  end

  # The proc runs once, and what it gives is used, though no call waits for it any more.
  def test_a_token_that_comes_late_is_used
    index, asked, gate = gated
    assert_raises(Plexindex::Error) { index.library.refresh(deadline_ms: 300) }
    gate << TOKEN
    Timeout.timeout(20) do
      index.library("Movies").refresh
    rescue Plexindex::Error => e
      raise unless e.code == :unauthorized

      retry
    end
    assert_equal 1, asked.size
  end

  def test_a_proc_that_asks_its_own_index_is_refused_at_once
    raised = []
    index = opened(token: "refused", renew_token: lambda do
      movies = index.library("Movies")
      [-> { movies.match("/a") }, -> { movies.refresh }, -> { index.server }, -> { movies.record_match("/a", "1") }].each do |call|
        call.call
      rescue Plexindex::Error => e
        raised << "#{e.code}: #{e.message}"
      end
      index.stats
      index.table("own").put("a", "b")
      movies.match("/a", at_once: true)
      TOKEN
    end)
    took = seconds { assert index.library("Movies").refresh }
    assert_operator took, :<, 10
    assert_equal 4, raised.size
    raised.each { |text| assert_match(/\Aunauthorized: .*renew_token/, text) }
  end

  def test_signals_end_a_program_whose_proc_hangs
    script = <<~'RUBY'
      require "plexindex"
      index = Plexindex.open(cache_dir: ARGV[0], server_url: ARGV[1], token: "refused", renew_token: -> { puts "asked"; $stdout.flush; sleep })
      trap("USR1") { raise "mine" }
      begin
        index.library.refresh
      ensure
        index.close
      end
    RUBY
    %i[INT USR1].each do |signal|
      Open3.popen2e("ruby", "-I#{LIB}", "-e", script, Dir.mktmpdir("own", @folder), URL) do |_, said, process|
        assert_equal "asked\n", said.gets
        Process.kill(signal, process.pid)
        ended = process.join(10)
        Process.kill(:KILL, process.pid) unless ended
        assert ended, "the program goes on after #{signal}"
      end
    end
  end
end
