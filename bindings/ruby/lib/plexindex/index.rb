# frozen_string_literal: true

module Plexindex
  # The handle, and the calls that are in flight on it: apart from the index, so that this can be collected.
  class Session
    # How long, in seconds, a close waits until it looks again whether calls are in flight.
    STEP = 0.1
    attr_reader :handle

    # `renewal`: what the library calls for a token, kept as long as the handle. `deadline_ms`: of calls without their own.
    def initialize(handle, renewal, deadline_ms)
      @handle = handle
      @renewal = renewal
      renewal&.session = self
      @deadline_ms = deadline_ms
      # By process: in a forked child the calls of the parent's other threads do not exist.
      @flying = Hash.new(0)
      @closed = false
      @mutex = Mutex.new
      @idle = ConditionVariable.new
    end

    # A call that may ask the server, in a thread of its own; `deadline_ms` as C takes it.
    def worker(deadline_ms, offline: false, &work)
      if !offline && @renewal&.here?
        raise Error.new(Native::CONSTANTS["UNAUTHORIZED"], "renew_token asks the index that it has to give a token: this call would wait for itself")
      end

      Worker.new([deadline_ms, @deadline_ms].find { |ms| ms && ms != 0 }, &work)
    end

    # Work that a close waits for. The handler of a signal may raise wherever Ruby looks for one, as in a lock: the count
    # is changed where it does not, and where no other thread runs.
    def during
      process = Process.pid
      @flying[process] += 1
      begin
        raise ClosedError if @closed

        yield
      ensure
        @flying[process] -= 1
        @mutex.synchronize { @idle.broadcast } if @closed
      end
    end

    def idle?
      @flying[Process.pid].zero?
    end

    # Without a lock: the interpreter's own is held from the question whether it is open to the answer.
    def closed?
      @closed
    end

    def close
      handle = nil
      @mutex.synchronize do
        @closed = true
        Native.call(:wake_waiting, @handle) unless idle?
        @idle.wait(@mutex, STEP) until idle?
        handle, @handle = @handle, nil
      end
    ensure
      Native.call(:close, handle) if handle
    end

    # In a finaliser: no call is in flight, and no lock may be taken.
    def self.finaliser(session)
      proc do
        handle = session.handle
        session.forget
      ensure # of what a signal's handler raises
        Native.call(:close, handle) if handle
      end
    end

    def forget
      @closed = true
      @handle = nil
    end
  end
  private_constant :Session

  # An open index. Any number of threads may use it at once. One that is collected without `close` is closed then.
  class Index
    FLAGS = { offline: "QUERY_OFFLINE", at_once: "QUERY_AT_ONCE", full: "QUERY_FULL", check: "QUERY_PROBE" }.freeze
    private_constant :FLAGS

    def initialize(handle, renewal = nil, deadline_ms = nil)
      @session = Session.new(handle, renewal, deadline_ms)
      ObjectSpace.define_finalizer(self, Session.finaliser(@session))
    end

    # Each copy would close it. Its finaliser is copied before `initialize_copy` could raise.
    def dup
      raise TypeError, "an index is not copied: any number of threads may use one"
    end

    def clone(**)
      dup
    end

    # Closes the index, after the calls that other threads have in flight; fetches are cut short. These and later calls
    # raise ClosedError.
    def close
      raise ThreadError, "an index cannot be closed from its progress block, or while it asks for a token" if Thread.current[:plexindex_reporting]

      Native.outside_trap { @session.close }
      nil
    end

    def closed?
      @session.closed?
    end

    def inspect
      "#<#{self.class} #{closed? ? 'closed' : 'open'}>"
    end

    # A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
    # library that does not exist raises :library_not_found.
    def library(name = nil)
      name = name.to_s if name.is_a?(Symbol) || name.is_a?(Integer)
      selector = name.nil? ? "" : Native.bytes(name, "the name of a library")
      kind = Native::CONSTANTS[name.nil? ? "SELECT_ALL" : "SELECT_ANY"]
      out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      call(:get_library) { |handle| [handle, kind, selector, selector.bytesize, out] }
      Library.new(self, out.ptr.to_i)
    end

    # A table of the host's own values.
    def table(name, fold_ascii: false)
      bytes = Native.bytes(name, "name")
      flags = fold_ascii ? Native::CONSTANTS["TABLE_FOLD_ASCII"] : 0
      out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      call(:get_table) { |handle| [handle, bytes, bytes.bytesize, flags, out] }
      Table.new(self, out.ptr.to_i)
    end

    # Statistics as a hash: counts by name, "answers" by match kind, "requests" by kind.
    def stats
      filled = Native::Struct.new("stats")
      call(:get_stats) { |handle| [handle, filled.memory] }
      stats = filled.to_h.except("size")
      { "answers" => "MATCH_", "requests" => "REQUEST_" }.each do |name, prefix|
        stats[name] = Native.words(prefix).to_h { |number, word| [word.to_s, stats[name][number]] }
      end
      stats["last_failure"] = nil if stats["last_failure"].empty?
      stats
    end

    # The kind of place that the store is in.
    def store
      json(:get_store_json)
    end

    # Mappings that seem to be missing, the best first; with paths those that would have these listed.
    def proposals(paths = [])
      text, count = Native.joined(paths, "paths")
      json(:propose_mappings_json) { |handle| [handle, text, text.bytesize, count] }
    end

    # The libraries that are known.
    def libraries(**ask)
      JSON.parse(query(:list_libraries_json, nil, nil, **ask))
    end

    # Asks the server who it is and which libraries it shows.
    def server(**ask)
      JSON.parse(query(:check_server_json, nil, nil, **ask))
    end

    # Begins to listen to the server's events; with a block until that ends.
    def watch
      call(:watch_start) { |handle| [handle] }
      return unless block_given?

      begin
        yield
      ensure
        unwatch
      end
    end

    # Ends what `watch` began.
    def unwatch
      call(:watch_stop) { |handle| [handle] }
      nil
    end

    # Tells the index of an event that the host received, such as a webhook.
    def notify(body)
      bytes = Native.bytes(body, "body")
      call(:notify) { |handle| [handle, bytes, bytes.bytesize] }
      nil
    end

    # Replaces the token; nil is none. Sends no request, and calls under way go on as they began. Without the option `user`
    # nothing of the earlier token's is answered before the server has accepted this one. After :unauthorized (401, or 498:
    # the token expired), set a new one and call again.
    def token=(token)
      bytes = token.nil? ? "" : Native.bytes(token, "token")
      call(:set_token) { |handle| [handle, bytes, bytes.bytesize] }
    end

    # Invalidates all libraries.
    def invalidate_all
      library.invalidate
    end

    # Removes all that the store holds of this server and user.
    def clear
      call(:clear) { |handle| [handle] }
      nil
    end

    # The rest is for the gem's own classes.

    # @api private
    def call(name)
      @session.during { Native.call(name, *yield(@session.handle)) }
    end

    # @api private
    # A call that may wait, and that nothing but a deadline ends in C.
    def call_apart(name, deadline_ms, &given)
      @session.worker(deadline_ms) { call(name, &given) }.run
    end

    # @api private
    def fill(name, reserve: 16_384)
      @session.during { Native.fill(name, *yield(@session.handle), reserve: reserve) }
    end

    # @api private
    def json(name, &given)
      given ||= ->(handle) { [handle] }
      status, bytes = fill(name, &given)
      status == Native::CONSTANTS["OK"] ? JSON.parse(bytes.force_encoding("UTF-8")) : nil
    end

    # @api private
    # A call that takes a plexindex_query: its bytes, or its status when it has none.
    def query(name, library, text, *more, deadline_ms: nil, offline: false, at_once: false, full: false, check: false, progress: nil)
      asked = Native::Struct.new("query", library: library, text: text, deadline_ms: deadline_ms)
      flags = { offline: offline, at_once: at_once, full: full, check: check }
      asked[:flags] = flags.sum { |flag, set| Native.flag(flag, set) ? Native::CONSTANTS[FLAGS[flag]] : 0 }
      # What waits for nothing calls nothing of Ruby's: it needs no thread.
      return ask(name, asked, text, *more) if name == :list_changes || at_once && !progress

      watch = Watch.new(@session, progress)
      asked[:progress] = watch.closure
      Native.outside_trap { watch.run(deadline_ms, offline: offline) { ask(name, asked, text, *more) } }
    end

    private

    def ask(name, asked, text, *more)
      @session.during do
        given = [@session.handle, asked.memory, *more]
        next Native.call(name, *given) if %i[refresh wait_for_changes].include?(name)

        Native.fill(name, *given, reserve: 16_384 + (text ? text.bytesize * 4 : 0))[1]
      end
    rescue Error => e
      raise e unless e.code == :aborted && @session.closed?

      raise ClosedError.new, cause: nil
    end
  end
end
