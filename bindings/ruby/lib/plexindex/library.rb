# frozen_string_literal: true

module Plexindex
  # A library of an index, or all of them. The questions take `deadline_ms`, `offline`, and a block that gets a Progress
  # while the call waits for the server, and ends the call by false or by what it raises. `match`, `match_paths` and
  # `folder` take `at_once`, too: the answer waits for nothing, and is :not_yet where it would have to, so always for a file
  # below a library's folder that is not listed. With `offline` that is :not_found at once, from the store.
  class Library
    FLAGS = { offline: "QUERY_OFFLINE", at_once: "QUERY_AT_ONCE", full: "QUERY_FULL", check: "QUERY_PROBE" }.freeze
    LOOKUP = Native::FAST[:lookup_key]
    private_constant :FLAGS, :LOOKUP

    def initialize(index, session, handle, name)
      @index = index
      @session = session
      @handle = handle
      @name = name
    end

    def inspect = "#<#{self.class} of #{@index.inspect}>"

    # The full answer for one path. Asks the server where that is needed.
    def match(path, **ask, &progress)
      query(Native.bytes(path, "path"), progress, **ask) { |given| Blocks.read(Native.fill(:match_path, *given)[1])[0] }
    end

    # `match` for many paths in one call: an answer for each, in order.
    def match_paths(paths, **ask, &progress)
      refused = []
      text, count = Native.joined(paths, "paths") { |place| refused << place }
      return [] if count.zero?

      answers = query(text, progress, **ask) do |given|
        Blocks.read(Native.fill(:match_paths, *given, count, reserve: 16_384 + text.bytesize * 4)[1])
      end
      refused.each { |place| answers[place].message = "paths[#{place}] cannot hold a NUL" }
      answers
    end

    # Which show, season, artist, album or item a folder is.
    def folder(path, **ask, &progress) = answer("match.folder", progress, path: path, **ask)

    # The items with this GUID.
    def match_guid(guid, **ask, &progress) = answer("match.guid", progress, guid: guid, **ask)

    # The items with this title.
    def search_title(title, **ask, &progress) = answer("match.title", progress, title: title, **ask)

    # The key of the item with this path, where the index has it at hand; else nil. Never waits.
    def lookup_key(path)
      raise ClosedError if @session.closed?
      path = Native.bytes(path, "path") unless path.is_a?(String) && path.encoding.ascii_compatible?
      return if path.include?("\0")

      # Under the interpreter's lock, as a close is until no call is in flight.
      key = LOOKUP.call(@handle, path)
      key.null? ? nil : key.to_s
    end

    # `lookup_key` for many paths: a key or nil for each, in order.
    def lookup_keys(paths)
      text, count = Native.joined(paths, "paths") { nil }
      reserve = 64 + count * 40
      _, keys = @session.during { Native.fill(:lookup_keys, @handle, text, text.bytesize, count, reserve: reserve) }
      keys.split("\0", -1).first(count).map { |key| key.empty? ? nil : key }
    end

    # The items with files below a folder, in the order of their paths. Sends no request.
    def items_below(path, &block) = block ? pages("items.below", path: path, &block) : enum_for(:items_below, path)

    # The items of the library as the store has them, with all their files and ids. Sends no request.
    def items(&block) = block ? pages("items.list", &block) : enum_for(:items)

    # One item with all its files and ids; nil when no listing holds it.
    def item(key) = Item.of(ask("items.get", key: key)[1]["item"])

    # Brings the library up to date; with `check` the server is asked once while it is fresh, too, and with `full` all is
    # listed. False when the deadline came first: the next call goes on behind the server's last answer. Before the first
    # one, which names the libraries, that is the code :timeout.
    def refresh(**ask, &progress) = query(nil, progress, **ask) { |given| Native.call(:refresh, *given) }.zero?

    # What was added, removed, changed and moved since a cursor, in the order in which the index learned it: a page.
    # Without a cursor no changes, and the cursor of now; with `full` all items come first. Sends no request. The code
    # :list_again says to begin anew with `full`.
    def changes(cursor = "", full: false, limit: 1000)
      page = ask("changes.list", cursor: (cursor unless cursor == ""), full: full, limit: limit)[1]
      Changes.new(changes: page["changes"].map { |one| Change.of(one) }, cursor: page["cursor"], more: page["more"])
    end

    # The pages of `changes`, until there is no more now.
    def change_pages(cursor = "", full: false, limit: 1000)
      return enum_for(:change_pages, cursor, full: full, limit: limit) unless block_given?

      (1..).each do |number|
        page = changes(cursor, full: full, limit: limit)
        # The first one has a cursor, at least.
        yield page unless number > 1 && page.changes.empty?
        break unless page.more

        cursor = page.cursor
        full = false
      end
    end

    # Waits until `changes` has something since the cursor, or until `refresh` has to ask the server before that is
    # known. False when the deadline came first; the block ends it by false.
    def wait_for_changes(cursor, **ask, &progress) = ask("changes.wait", progress, cursor: cursor, **ask)[0].zero?

    # Records that the item with this key has this path. The server is asked only for a library that the store does not
    # know yet: the code :timeout says that the deadline passed first, and nothing is recorded.
    def record_match(path, key, deadline_ms: nil) = record_matches([[path, key]], deadline_ms: deadline_ms)

    # `record_match` for many pairs of a path and a key: all, or none.
    def record_matches(pairs, deadline_ms: nil)
      raise TypeError, "pairs must be an Array of a path and a key each" unless pairs.is_a?(Array) && pairs.all?(Array)

      paths, count = Native.joined(pairs.map { |path, _| path }, "paths")
      keys, = Native.joined(pairs.map { |_, key| key }, "keys")
      Native.integer("deadline_ms", deadline_ms || 0)
      given = [paths, paths.bytesize, keys, keys.bytesize, count, 0, deadline_ms || 0]
      @session.apart { Native.call(:record_matches, @handle, *given) }
      nil
    end

    # Invalidates a path; an item, by its key or rating key; the library.
    def invalidate_path(path) = tell(:invalidate_path, *Native.sized(path, "path"))
    def invalidate_item(key) = tell(:invalidate_item, *Native.sized(key, "key"))
    def invalidate = tell(:invalidate_library)

    # Gives many items the same values, as Plex names them: { "title" => "A", "genre+" => "Drama" }. A hash says how far
    # it came, and is the `answer` of an Error. `lock`: :lock, :unlock or :leave.
    def edit_items(keys, changes, lock: :lock, deadline_ms: nil)
      raise TypeError, "changes must be a Hash, not #{changes.class}" unless changes.is_a?(Hash)

      edits = changes.map do |name, value|
        field, kind = name.to_s.match(/\A(.*?)([+\-!]?)\z/m).captures
        kind == "!" ? { field: field } : { field: field, { "" => :set, "+" => :add, "-" => :remove }[kind] => value }
      end
      ask("edit", keys: keys, changes: edits, lock: lock, deadline_ms: deadline_ms)[1]
    end

    private

    # The status and the answer of a method for this library.
    def ask(method, progress = nil, deadline_ms: nil, **request)
      @index.exchange(method, { library: @name, **request }.compact, deadline_ms, progress)
    end

    def answer(...)
      status, found = ask(...)
      Answer.of(found, status)
    end

    def pages(method, **request)
      loop do
        page = ask(method, **request)[1]
        page["items"].each { |item| yield Item.of(item) }
        break unless (request[:cursor] = page["cursor"])
      end
    end

    # A call that takes a plexindex_query, which goes to the block behind the handle.
    def query(text, progress, deadline_ms: nil, **flags)
      asked = Native::Struct.new("query", library: @handle, text: text, deadline_ms: deadline_ms)
      asked[:flags] = flags.sum do |flag, set|
        number = Native::CONSTANTS[FLAGS.fetch(flag) { raise ArgumentError, "unknown keyword: :#{flag}" }]
        Native.flag(flag, set) ? number : 0
      end
      # What waits for nothing calls nothing of Ruby's: it needs no thread.
      return @session.during { |handle| yield [handle, asked.memory] } if flags[:at_once] && !progress

      @session.apart(asked, progress, offline: flags[:offline]) { |handle| yield [handle, asked.memory] }
    end

    def tell(name, *given)
      @session.during { Native.call(name, @handle, *given) }
      nil
    end
  end

  # The host's own values by name. A name or a value that is valid UTF-8 comes back as that, another one as binary.
  class Table
    LOOKUP = Native::FAST[:table_lookup]
    private_constant :LOOKUP

    def initialize(index, session, handle, name)
      @index = index
      @session = session
      @handle = handle
      @name = name
    end

    def inspect = "#<#{self.class} of #{@index.inspect}>"

    # The value of this name, where the index has it at hand; else nil. Never waits.
    def lookup(name)
      raise ClosedError if @session.closed?
      name = Native.bytes(name, "name") unless name.is_a?(String) && name.encoding.ascii_compatible?
      return if name.include?("\0")

      value = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      Native.text(value.ptr.to_s) if LOOKUP.call(@handle, name, value).zero?
    end

    # The value of this name; nil when there is none.
    def get(name) = read(:table_get, *Native.sized(name, "name"))

    # Stores a value. `limit`: how many bytes all tables may take; 0: no limit.
    def put(name, value, ttl_ms: 0, limit: 100_000_000)
      Native.integer("ttl_ms", ttl_ms)
      Native.integer("limit", limit, Native::RANGES["Q<"])
      tell(:table_put, *Native.sized(name, "name"), *Native.sized(value, "value"), ttl_ms, limit)
    end

    # Removes an entry.
    def remove(name) = tell(:table_remove, *Native.sized(name, "name"))

    # The names of its entries, in the order of their bytes.
    def names
      return enum_for(:names) unless block_given?

      after = [nil, 0]
      while (name = read(:table_get_next, *after))
        after = Native.sized(name, "name")
        yield name
      end
    end

    # How many entries it has.
    def count = @index.call("tables.count", { table: @name })["count"]

    # Removes all entries.
    def clear = @index.call("tables.clear", { table: @name }) && nil

    private

    def tell(name, *given)
      @session.during { Native.call(name, @handle, *given) }
      nil
    end

    def read(name, *given)
      status, value = @session.during { Native.fill(name, @handle, *given) }
      Native.text(value) if status.zero?
    end
  end
end
