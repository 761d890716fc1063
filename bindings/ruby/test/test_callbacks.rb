# frozen_string_literal: true

require_relative "helper"

# A block of progress, or a proc for a token, that does not simply return.
class TestCallbacks < Minitest::Test
  include Helper

  def test_a_progress_block_may_be_left_in_any_way
    index = opened(**SLOWLY)
    movies = index.library("Movies")
    assert_equal 7, movies.refresh { break 7 }
    assert_equal 8, catch(:out) { movies.refresh { throw :out, 8 } }
    thread = Thread.new { movies.refresh { Thread.current.kill } }
    assert thread.join(20)
    assert_raises(SystemExit) { movies.refresh { exit 3 } }
    assert_raises(Timeout::Error) { Timeout.timeout(0.3) { movies.refresh { sleep } } }
    assert_equal :kept, Thread.new { Thread.current[:own] = :kept; movies.refresh { break Thread.current[:own] } }.value
    index.close
  end

  def test_a_progress_block_need_not_be_gone_on_with
    index = opened(**SLOWLY)
    pages = index.library("Movies").enum_for(:refresh)
    assert_instance_of Plexindex::Progress, pages.next
    assert_instance_of Plexindex::Progress, pages.next
    Timeout.timeout(20) { index.close }
  end

  def test_a_process_ends_with_a_block_that_is_not_gone_on_with
    script = 'require "plexindex"; index = Plexindex.open(cache_dir: ARGV[0], server_url: ARGV[1], token: ARGV[2], ' \
             'page_size: 25); pages = index.library("Movies").enum_for(:refresh); pages.next; pages = nil; GC.start'
    said, ended = Timeout.timeout(30) { Open3.capture2e("ruby", "-I#{LIB}", "-e", script, @folder, SLOW_URL, TOKEN) }
    assert ended.success?, said
    assert_empty said
  end

  def test_a_forked_child_of_a_progress_block_ends
    movies = opened(**SLOWLY).library("Movies")
    child = nil
    assert(movies.refresh do
      child ||= fork { exit!(0) }
    end)
    assert Process.wait2(child)[1].success?
  end

  def test_a_text_that_is_no_token_is_the_cause
    { "a line break" => "#{TOKEN}\n", "70000 bytes: 65536 at most" => "t" * 70_000 }.each do |wanted, token|
      index = opened(cache_dir: Dir.mktmpdir("none", @folder), token: "refused", renew_token: -> { token })
      assert_includes assert_raises(Plexindex::Error) { index.library.refresh }.cause&.message.to_s, wanted
    end
  end

  def test_a_proc_for_a_token_may_be_left_in_any_way
    procs = [-> { throw :out, "x" }, -> { Fiber.yield "x" }, -> { exit 3 }, -> { Thread.current.kill }, proc { break "x" }]
    procs.each_with_index do |renew, place|
      index = opened(cache_dir: File.join(@folder, place.to_s), token: "refused", renew_token: renew)
      thread = Thread.new do
        catch(:out) { index.library("Movies").match(MOVIES[0]["path"]) }
      rescue Plexindex::Error => e
        e.code
      end
      assert thread.join(20)
      assert_includes [:unauthorized, nil], thread.value
      index.token = TOKEN
      assert_equal MOVIES[0]["key"], index.library("Movies").match(MOVIES[0]["path"]).item.key
    end
  end
end
