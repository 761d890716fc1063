# frozen_string_literal: true

module Plexindex
  # The handle, and the calls that are in flight on it: apart from the index, so that this can be collected.
  class Session
    # How long, in seconds, a close waits until it looks again whether calls are in flight.
    STEP = 0.1
    attr_reader :handle

    # `renewal`: what the library calls for a token, kept as long as the handle.
    def initialize(handle, renewal)
      @handle = handle
      @renewal = renewal
      # By process: in a forked child the calls of the parent's other threads do not exist.
      @flying = Hash.new(0)
      @closed = false
      @mutex = Mutex.new
      @idle = ConditionVariable.new
    end

    # Work that a close waits for. The handler of a signal may raise wherever Ruby looks for one, as in a lock: the
    # count is changed where it does not, and where no other thread runs.
    def during
      process = Process.pid
      @flying[process] += 1
      begin
        raise ClosedError if @closed

        yield @handle
      ensure
        @flying[process] -= 1
        @mutex.synchronize { @idle.broadcast } if @closed
      end
    end

    # Work that may wait, in a thread of its own: it ends when its caller goes, or its block says false.
    def apart(limits = nil, progress = nil, offline: false)
      if !offline && Thread.current[:plexindex_renewing]
        raise Error.new(Native::CONSTANTS["UNAUTHORIZED"],
                        "renew_token asks the index that it has to give a token: this call would wait for itself")
      end

      call = Call.new(self)
      limits[:progress] = Callbacks.progress(call, progress) if limits
      Native.outside_trap { call.run { during { |handle| yield handle } } }
    rescue Error => e
      raise e unless e.code == :aborted && @closed

      raise ClosedError.new, cause: nil
    end

    def idle? = @flying[Process.pid].zero?

    # Without a lock: the interpreter's own is held from the question whether it is open to the answer.
    def closed? = @closed

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
    def initialize(handle, renewal = nil)
      @session = Session.new(handle, renewal)
      ObjectSpace.define_finalizer(self, Session.finaliser(@session))
    end

    # Each copy would close it. Its finaliser is copied before `initialize_copy` could raise.
    def dup = raise(TypeError, "an index is not copied: any number of threads may use one")
    def clone(**) = dup

    # Closes the index, after the calls that other threads have in flight; fetches are cut short. These and later calls
    # raise ClosedError.
    def close
      if Thread.current[:plexindex_reporting]
        raise ThreadError, "an index cannot be closed from its progress block, or while it asks for a token"
      end

      Native.outside_trap { @session.close }
      nil
    end

    def closed? = @session.closed?
    def inspect = "#<#{self.class} #{closed? ? 'closed' : 'open'}>"

    # A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
    # library that does not exist raises :library_not_found.
    def library(name = nil)
      name = name.to_s if name.is_a?(Symbol) || name.is_a?(Integer)
      selector = name.nil? ? "" : Native.bytes(name, "the name of a library")
      kind = Native::CONSTANTS[name.nil? ? "SELECT_ALL" : "SELECT_ANY"]
      handle = made(:get_library, kind, selector, selector.bytesize)
      Library.new(self, @session, handle, name && Native.text(selector))
    end

    # A table of the host's own values.
    def table(name, fold_ascii: false)
      bytes = Native.bytes(name, "name")
      flags = fold_ascii ? Native::CONSTANTS["TABLE_FOLD_ASCII"] : 0
      Table.new(self, @session, made(:get_table, bytes, bytes.bytesize, flags), bytes)
    end

    # Calls a method by its name: docs/methods.md describes each. The request is a Hash, and so is the answer, with texts
    # as its keys; what is no UTF-8 is a binary String in both. The block gets a Progress, as that of a question.
    def call(method, request = {}, deadline_ms: nil, &progress) = exchange(method, request, deadline_ms, progress)[1]

    # The kind of place that the store is in.
    def store = call("store.get")

    # Mappings that seem to be missing, the best first; with paths those that would have these listed.
    def proposals(paths = []) = call("mappings.propose", { paths: paths })["proposals"]

    # The libraries that are known.
    def libraries(offline: false, **ask, &progress)
      call("libraries.list", { offline: offline }, **ask, &progress)["libraries"]
    end

    # Asks the server who it is and which libraries it shows.
    def server(**ask, &progress) = call("server.check", **ask, &progress)

    # Begins to listen to the server's events; with a block until that ends.
    def watch
      call("watch.start")
      return unless block_given?

      begin
        yield
      ensure
        unwatch
      end
    end

    # Ends what `watch` began.
    def unwatch = call("watch.stop") && nil

    # Statistics as a hash: counts by name, "answers" by match kind, "requests" by kind.
    def stats
      filled = Native::Struct.new("stats")
      tell(:get_stats, filled.memory)
      stats = filled.to_h.except("size")
      { "answers" => "MATCH_", "requests" => "REQUEST_" }.each do |name, prefix|
        stats[name] = Native.words(prefix).to_h { |number, word| [word.to_s, stats[name][number]] }
      end
      stats["last_failure"] = nil if stats["last_failure"].empty?
      stats
    end

    # Tells the index of an event that the host received, such as a webhook.
    def notify(body) = tell(:notify, *Native.sized(body, "body"))

    # Replaces the token; nil is none. Sends no request, and calls under way go on as they began. Without the option
    # `user` nothing of the earlier token's is answered before the server has accepted this one.
    def token=(token)
      tell(:set_token, *Native.sized(token || "", "token"))
    end

    # Invalidates all libraries.
    def invalidate_all = library.invalidate

    # Removes all that the store holds of this server and user.
    def clear = tell(:clear)

    # @api private
    # The status and the answer of a method.
    def exchange(method, request, deadline_ms = nil, progress = nil)
      raise TypeError, "a request must be a Hash, not #{request.class}" unless request.is_a?(Hash)

      options = Native::Struct.new("call_options", deadline_ms: deadline_ms)
      offline = %i[offline at_once].any? { |name| request[name] || request[name.name] }
      @session.apart(options, progress, offline: offline) { |handle| Native.method(handle, method, request, options) }
    end

    private

    def tell(name, *given)
      @session.during { |handle| Native.call(name, handle, *given) }
      nil
    end

    # The handle that a function gives.
    def made(name, *given)
      out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      tell(name, *given, out)
      out.ptr.to_i
    end
  end
end
