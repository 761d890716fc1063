# frozen_string_literal: true

require "socket"
require_relative "helper"

# What a parent and its forked children do with one index.
class TestProcesses < Minitest::Test
  include Helper

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
  rescue Timeout::Error
    Process.kill(:KILL, process)
    raise
  end

  def test_children_answer_and_close_and_the_parent_goes_on
    index = opened
    movies = index.library("Movies")
    movies.refresh
    ended = Array.new(3) do |number|
      Thread.new do
        child do
          raise "another answer" unless movies.match(MOVIES[number]["path"]).item.key == MOVIES[number]["key"]
          # While another child commits it need not be at hand.
          Thread.pass until movies.lookup_key(MOVIES[number]["path"]) == MOVIES[number]["key"]

          movies.record_match("/child/#{number}.mkv", MOVIES[number]["key"])
          index.close
          index.close
          raise "open" unless index.closed?
        end
      end
    end
    assert_equal [0, 0, 0], ended.map(&:value)
    refute index.closed?
    assert_equal MOVIES[2]["key"], movies.match("/child/2.mkv").item.key
  end

  def test_a_child_of_a_closed_parent_and_one_that_ends_without_closing
    index = opened
    movies = index.library("Movies")
    movies.refresh
    ended = fork { movies.match(MOVIES[0]["path"]) } # at its end finalisers run
    assert_equal 0, Timeout.timeout(30) { Process.wait2(ended)[1].exitstatus }
    reader, writer = IO.pipe
    late = Thread.new do
      child do
        writer.close
        reader.read # until the parent has closed the index
        raise "another answer" unless movies.match(MOVIES[1]["path"]).item.key == MOVIES[1]["key"]

        index.close
      end
    end
    Thread.pass until late.stop?
    index.close
    reader.close
    writer.close
    assert_equal 0, late.value
    assert_equal(0, child { index.close })
  end

  # Of the threads that are in calls, and of one that closes, a child has none.
  def test_a_child_closes_while_a_thread_of_the_parent_closes
    index = opened(**SLOWLY)
    begun = Queue.new
    go_on = Queue.new
    fetching = Thread.new do
      index.library("Movies").refresh do
        begun << true
        go_on.pop
        true
      end
    rescue Plexindex::ClosedError => e
      e
    end
    begun.pop
    closing = Thread.new { index.close }
    Thread.pass until index.closed? && closing.stop?
    assert_equal(0, child { index.close })
    go_on << true
    go_on.close
    assert_instance_of Plexindex::ClosedError, fetching.value
    closing.value
  end

  def test_the_example_answers_from_its_children
    command = [RbConfig.ruby, "-I#{LIB}", File.join(__dir__, "..", "examples", "forking_server.rb"), URL, TOKEN, @folder, "Movies", "0"]
    IO.popen(command) do |server|
      port = server.gets[/\d+/]
      clients = Array.new(3) { TCPSocket.new("127.0.0.1", port) } # one for each child
      clients.each_with_index { |client, number| client.puts MOVIES[number]["path"], "/nowhere/x.mkv" }
      clients.each_with_index do |client, number|
        assert_equal MOVIES[number]["key"], client.gets(chomp: true)
        assert_match(/\Anot_found: no library has a folder above/, client.gets)
        client.close
      end
      Process.kill(:TERM, server.pid)
      assert_equal "", Timeout.timeout(30) { server.read }
    end
    assert $?.success?, $?.inspect
  end
end
