# frozen_string_literal: true

module Plexindex
  # A call in a thread of its own, for each call that may wait or that C answers by a callback. What Ruby raises in the
  # caller's thread then leaves no frames of C: by the handler of a signal, which runs in the main thread, by Timeout,
  # Thread#raise and Thread#kill, or by a block that is left. In the call's own thread none of these can be raised.
  class Worker
    # Runs the block, and gives what it gives or raises what it raises. A caller that is interrupted does not wait for it.
    def self.run(&work)
      new(&work).run
    end

    # The one whose thread this is.
    def self.current
      Thread.current.thread_variable_get(:plexindex_worker)
    end

    # `deadline_ms`: when its call is to be over; nil or below zero: never.
    def initialize(deadline_ms = nil)
      @until = deadline_ms&.positive? ? now + deadline_ms / 1000.0 : nil
      @left = false
      @thread = Thread.handle_interrupt(Object => :never) do
        Thread.new do
          Thread.current.thread_variable_set(:plexindex_worker, self)
          @result = yield
          @returned = true
        rescue Exception => e # rubocop:disable Lint/RescueException
          @failed = e
        end
      end
    end

    # False also in a child of a fork, which has no such thread.
    def alive?
      @thread.alive?
    end

    # Waits for its end, at most this long.
    def join(seconds)
      @thread.join(seconds)
    end

    # Its caller goes.
    def leave
      @left = true
    end

    # Whether the proc for a token is not to be waited for any longer.
    def over?
      @left || !@until.nil? && now >= @until
    end

    def run
      value
    ensure
      leave
    end

    def value
      @thread.join
      if @failed
        @failed.set_backtrace(caller)
        raise @failed
      end
      raise ThreadError, "the thread of the call was ended, or goes on in the process that was forked" unless @returned

      @result
    end

    private

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end

  # A call that takes a plexindex_query: it ends when its caller goes, or its block says false.
  class Watch
    FIELDS = Native.fields("progress")
    # How long a word of the caller's is waited for, until it is asked whether the call is to end: in seconds.
    STEP = 0.1
    # How long the end of a call is waited for that was ended: in seconds. One that waits for another call's token takes longer.
    LAST = 1
    attr_reader :closure

    # `progress`: the caller's block, or nil.
    def initialize(session, progress)
      @session = session
      @progress = progress
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      # What the block has not seen yet; whether the call is to end.
      @told = nil
      @ended = false
      types = [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP]
      @closure = Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_INT, types) { |_, at| report(at) }
    end

    # The block runs outside of C: it may be left in any way (break, throw, an exception, Thread#kill), and need not be gone
    # on with, as in the Fiber of an Enumerator.
    def run(deadline_ms, offline: false, &work)
      worker = @session.worker(deadline_ms, offline: offline) do
        work.call
      ensure
        tell { @ended = true }
      end
      while @progress && (told = take(worker))
        go_on = asked(told)
        tell do
          @told = nil
          @ended ||= go_on == false
        end
      end
      worker.value
    ensure
      Thread.handle_interrupt(Object => :never) do
        tell { @ended = true }
        worker&.leave
        worker&.join(LAST)
      end
    end

    private

    def tell
      @mutex.synchronize do
        yield
        @changed.broadcast
      end
    end

    # What the block is to be told next; nil when the call is over.
    def take(worker)
      @mutex.synchronize do
        @changed.wait(@mutex, STEP) until @told || @ended || !worker.alive?
        @told unless @ended
      end
    end

    def asked(told)
      before = Thread.current[:plexindex_reporting]
      Thread.current[:plexindex_reporting] = true
      @progress.call(told)
    ensure
      Thread.current[:plexindex_reporting] = before
    end

    # C calls it, and nothing that is raised may go through C.
    def report(at)
      return 1 if ending?
      return 0 unless @progress

      told = read(at)
      @mutex.synchronize do
        @told = told
        @changed.broadcast
        @changed.wait(@mutex, STEP) until @told.nil? || ending?
        @told = nil
        ending? ? 1 : 0
      end
    rescue Exception # rubocop:disable Lint/RescueException
      1
    end

    def ending?
      @ended || @session.closed? || Thread.pending_interrupt?
    end

    def read(at)
      data, length = at[FIELDS[:library][0], 16].unpack("Q<Q<")
      title = length.zero? ? "" : Fiddle::Pointer.new(data)[0, length].force_encoding("UTF-8")
      counts = %i[items total elapsed_ms].to_h { |name| [name, at[FIELDS[name][0], 8].unpack1("Q<")] }
      Progress.new(library: title, **counts)
    end
  end
  private_constant :Worker, :Watch
end
