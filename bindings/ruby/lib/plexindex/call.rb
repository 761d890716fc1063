# frozen_string_literal: true

module Plexindex
  # A call in a thread of its own, for each call that may wait or that C answers by a callback. What Ruby raises in the
  # caller's thread then leaves no frames of C: by the handler of a signal, which runs in the main thread, by Timeout,
  # Thread#raise and Thread#kill, or by a block that is left. In the call's own thread none of these can be raised.
  # Blocks and procs run in the caller's thread.
  class Call
    # How long, in seconds: until a wait looks again whether the call is to end; for the end of a call that was ended.
    STEP = 0.1
    LAST = 1
    # The exception of the proc for a token.
    attr_accessor :raised

    # The call whose thread this is.
    def self.current = Thread.current.thread_variable_get(:plexindex_call)

    def initialize(session = nil)
      @session = session
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @ended = false
    end

    # Runs the block in a thread of its own, and what C asks for in this one. A caller that is interrupted, or leaves a
    # block in any way (break, throw, an exception, a Fiber that is not resumed), waits for LAST at most.
    def run(&work)
      thread = Thread.handle_interrupt(Object => :never) { start(&work) }
      while (asked = take(thread))
        given = asked.call
        tell { @asked, @given = nil, given }
      end
      thread.join
      raise @failed.tap { |failed| failed.set_backtrace(caller) } if @failed
      raise ThreadError, "the thread of the call was ended, or goes on in the process that was forked" unless @returned

      @result
    ensure
      Thread.handle_interrupt(Object => :never) do
        tell { @ended = true }
        thread&.join(LAST)
      end
    end

    # Has the caller's thread run the block: what that gives; nil if the call is to end. For the call's thread, within C.
    def ask(&work)
      @mutex.synchronize do
        @asked, @given = work, nil
        @changed.broadcast
        @changed.wait(@mutex, STEP) until @asked.nil? || ending?
        @asked = nil
        @given unless ending?
      end
    end

    def ending? = @ended || @session&.closed? || Thread.pending_interrupt?

    private

    def start
      Thread.new do
        Thread.current.thread_variable_set(:plexindex_call, self)
        @result = yield
        @returned = true
      rescue Exception => e # rubocop:disable Lint/RescueException
        @failed = e
      ensure
        tell { @ended = true }
      end
    end

    def tell
      @mutex.synchronize do
        yield
        @changed.broadcast
      end
    end

    # What C asks for next; nil when the call is over. A child of a fork has no such thread.
    def take(thread)
      @mutex.synchronize do
        @changed.wait(@mutex, STEP) until @asked || @ended || !thread.alive?
        @asked unless @ended
      end
    end
  end

  # Functions of Ruby that C calls, within the thread of a Call. Nothing that is raised may go through C.
  module Callbacks
    FIELDS = Native.fields("progress")
    TOKEN = Native.fields("buffer")
    private_constant :FIELDS, :TOKEN

    module_function

    # A plexindex_progress_fn.
    def progress(call, block)
      made do |_, at|
        told = read(at)
        goes_on = block.nil? || call.ask { reported { block.call(told) != false } }
        goes_on && !call.ending? ? 0 : 1
      end
    end

    # A plexindex_renew_token_fn.
    def renewal(renew_token)
      made do |_, at|
        call = Call.current
        token = call.ask do
          reported(:plexindex_renewing) { checked(renew_token.call) }
        rescue StandardError => e
          call.raised = e
          nil
        end
        token ? write(token, at) : 1
      end
    end

    def made
      Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_INT, [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP]) do |*given|
        yield(*given)
      rescue Exception # rubocop:disable Lint/RescueException
        1
      end
    end

    # No index is closed within the block.
    def reported(also = nil)
      names = [:plexindex_reporting, *also]
      before = names.map { |name| Thread.current[name] }
      names.each { |name| Thread.current[name] = true }
      yield
    ensure
      names.zip(before) { |name, value| Thread.current[name] = value }
    end

    def read(at)
      data, length = at[FIELDS[:library][0], 16].unpack("Q<Q<")
      title = length.zero? ? "" : Fiddle::Pointer.new(data)[0, length].force_encoding("UTF-8")
      items, total, elapsed_ms = %i[items total elapsed_ms].map { |name| at[FIELDS[name][0], 8].unpack1("Q<") }
      Progress.new(library: title, items: items, total: total, elapsed_ms: elapsed_ms)
    end

    def checked(token)
      bytes = token ? Native.bytes(token, "the new token") : ""
      raise ArgumentError, "the new token has #{bytes.bytesize} bytes: 65536 at most" if bytes.bytesize > 65_536

      bytes unless bytes.empty?
    end

    def write(token, at)
      Fiddle::Pointer.new(at[TOKEN[:data][0], 8].unpack1("Q<"))[0, token.bytesize] = token
      at[TOKEN[:length][0], 8] = [token.bytesize].pack("Q<")
      0
    end
  end
  private_constant :Call, :Callbacks
end
