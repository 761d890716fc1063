# frozen_string_literal: true

module Plexindex
  # The proc `renew_token`, as a plexindex_renew_token_fn. It runs in a thread of its own, so that neither it leaves C's frames
  # nor the call that waits for it has to wait for its end.
  class Renewal
    # How long the proc is waited for, until it is asked whether its call is to end: in seconds.
    STEP = 0.1
    FIELDS = Native.fields("buffer")
    LONGEST = 65_536
    # `waited`: a call waits. `over`: the proc has ended.
    Attempt = ::Struct.new(:thread, :waited, :over, :token, :raised)
    private_constant :STEP, :FIELDS, :LONGEST, :Attempt

    attr_reader :closure
    attr_writer :session

    def initialize(renew_token)
      @renew_token = renew_token
      @mutex = Mutex.new
      @attempt = nil
      @closure = Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_INT, [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP]) { |_, at| give(at) }
    end

    # Whether this thread runs the proc.
    def here?
      Thread.current.thread_variable_get(:plexindex_renewal).equal?(self)
    end

    private

    # C calls it, and nothing that is raised may go through C.
    def give(at)
      attempt = @mutex.synchronize { begin_or_go_on }
      attempt.thread.join(STEP) until attempt.over || !attempt.thread.alive? || over?
      token = @mutex.synchronize do
        attempt.waited = false
        @attempt = nil if attempt.over
        attempt.token
      end
      why = attempt.over ? attempt.raised : unfinished
      Thread.current.thread_variable_set(:plexindex_renewal_raised, why)
      token ? write(token, at) : 1
    rescue Exception # rubocop:disable Lint/RescueException
      1
    end

    # The proc runs once at a time, also when no call waits for it any more. In a child of a fork the parent's does not.
    def begin_or_go_on
      @attempt = start(Attempt.new) unless @attempt&.thread&.alive?
      @attempt.waited = true
      @attempt
    end

    def start(attempt)
      attempt.thread = Thread.new do
        # The thread of a call has these off.
        Thread.handle_interrupt(Object => :immediate) { run(attempt) }
      end
      attempt
    end

    def run(attempt)
      Thread.current.thread_variable_set(:plexindex_renewal, self)
      Thread.current[:plexindex_reporting] = true
      attempt.token = checked(@renew_token.call)
    rescue Exception => e # rubocop:disable Lint/RescueException
      attempt.raised = e
    ensure
      late = @mutex.synchronize do
        attempt.over = true
        attempt.token unless attempt.waited
      end
      use(late) if late
    end

    def checked(token)
      bytes = token ? Native.bytes(token, "the new token") : ""
      raise ArgumentError, "the new token has #{bytes.bytesize} bytes: #{LONGEST} at most" if bytes.bytesize > LONGEST
      raise ArgumentError, "the new token has a NUL, a line break or another control character" if bytes.match?(/[\x00-\x1f\x7f]/n)

      bytes unless bytes.empty?
    end

    # No call waits for it: the next one has it.
    def use(token)
      @session.during { Native.call(:set_token, @session.handle, token, token.bytesize) }
    rescue Error
      nil # the index is closed
    end

    def over?
      @session.closed? || Thread.pending_interrupt? || Worker.current&.over?
    end

    def unfinished
      Error.new(Native::CONSTANTS["TIMEOUT"], "renew_token had not returned when the call's time was over: a token that it gives is used then")
    end

    def write(token, at)
      Fiddle::Pointer.new(at[FIELDS[:data][0], 8].unpack1("Q<"))[0, token.bytesize] = token
      at[FIELDS[:length][0], 8] = [token.bytesize].pack("Q<")
      0
    end
  end
  private_constant :Renewal
end
