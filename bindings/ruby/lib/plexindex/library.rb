# frozen_string_literal: true

module Plexindex
  # A library of an index, or all of them. The questions take `deadline_ms`, `offline`, and a block that gets a Progress
  # while the call waits for the server, and ends the call by false or by what it raises. `match` and `match_paths` take
  # `at_once`, too: the answer waits for nothing, and is :not_yet where it would have to, so always for a file below a
  # library's folder that is not listed. With `offline` that is :not_found at once, from the store and without a request.
  class Library
    PAGE = 1000

    def initialize(index, handle)
      @index = index
      @handle = handle
    end

    def inspect
      "#<#{self.class} of #{@index.inspect}>"
    end

    # The full answer for one path. Asks the server where that is needed.
    def match(path, **ask, &progress)
      ask_one(:match_path, Native.bytes(path, "path"), ask, progress)
    end

    # `match` for many paths in one call: an answer for each, in order.
    def match_paths(paths, **ask, &progress)
      refused = []
      text, count = Native.joined(paths, "paths") { |place| refused << place }
      return [] if count.zero?

      answers = Blocks.read(@index.query(:match_paths, @handle, text, count, progress: progress, **ask))
      refused.each { |place| answers[place].message = "paths[#{place}] cannot hold a NUL" }
      answers
    end

    # Which show, season, artist, album or item a folder is.
    def folder(path, **ask, &progress)
      ask_one(:match_folder, Native.bytes(path, "path"), ask, progress)
    end

    # The items with this GUID.
    def match_guid(guid, **ask, &progress)
      ask_one(:match_guid, Native.bytes(guid, "guid"), ask, progress)
    end

    # The items with this title.
    def search_title(title, **ask, &progress)
      ask_one(:search_title, Native.bytes(title, "title"), ask, progress)
    end

    # The key of the item with this path, where the index has it at hand; else nil. Never waits.
    def lookup_key(path)
      raise ClosedError if @index.closed?
      path = Native.bytes(path, "path") unless path.is_a?(String) && path.encoding.ascii_compatible?
      return if path.include?("\0")

      # Under the interpreter's lock, as a close is until no call is in flight.
      key = LOOKUP.call(@handle, path)
      key.null? ? nil : key.to_s
    end

    # `lookup_key` for many paths: a key or nil for each, in order.
    def lookup_keys(paths)
      text, count = Native.joined(paths, "paths") { nil }
      _, keys = @index.fill(:lookup_keys, reserve: 64 + count * 40) { [@handle, text, text.bytesize, count] }
      keys.split("\0", -1).first(count).map { |key| key.empty? ? nil : key }
    end

    # The items with files below a folder, in the order of their paths. Sends no request.
    def items_below(folder, &block)
      return enum_for(:items_below, folder) unless block

      path = Native.bytes(folder, "folder")
      after = nil
      until (page = page(:list_items_below) { [@handle, path, path.bytesize, after, after ? after.bytesize : 0, PAGE] }).empty?
        page.each(&block)
        after = page.last.path.b
      end
    end

    # The items of the library as the store has them. Sends no request.
    def items(&block)
      return enum_for(:items) unless block

      cursor = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      cursor[0, 8] = "\0" * 8
      until (page = page(:list_items) { [@handle, cursor, PAGE] }).empty?
        page.each(&block)
      end
    end

    # One item with all its files and ids; nil when no listing holds it.
    def item(key)
      bytes = Native.bytes(key, "key")
      details(@index.json(:get_item_json) { [@handle, bytes, bytes.bytesize] })
    end

    # Brings the library up to date; with `check` the server is asked once while it is fresh, too, and with `full` all is listed.
    # False when the deadline came first: the next call goes on behind the server's last answer. Before the first one, which
    # names the libraries, that is the code :timeout.
    def refresh(**ask, &progress)
      @index.query(:refresh, @handle, nil, progress: progress, **ask) == Native::CONSTANTS["OK"]
    end

    # What was added, removed, changed and moved since a cursor, in the order in which the index learned it: a page. Without
    # a cursor no changes, and the cursor of now; with `full` all items come first. Sends no request. The code :list_again
    # says to begin anew with `full`.
    def changes(cursor = "", full: false, limit: PAGE)
      page = @index.query(:list_changes, @handle, Native.bytes(cursor, "cursor"), Native.integer("limit", limit, 1..10_000), full: full).force_encoding("UTF-8")
      cursor, more, *texts = page.split("\0").map { |text| text unless text.empty? }
      changes = texts.each_slice(8).map do |change, library, section, path, from, _, from_key, item|
        Change.new(change: change, library: library, section: section, path: path, from: from, from_key: from_key,
                   item: item && details(JSON.parse(item)))
      end
      Changes.new(changes: changes, cursor: cursor, more: !more.nil?)
    end

    # The pages of `changes`, until there is no more now.
    def change_pages(cursor = "", full: false, limit: PAGE)
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
    def wait_for_changes(cursor, **ask, &progress)
      @index.query(:wait_for_changes, @handle, Native.bytes(cursor, "cursor"), progress: progress, **ask) == Native::CONSTANTS["OK"]
    end

    # Records that the item with this key has this path. The server is asked only for a library that the store does not
    # know yet: the code :timeout says that the deadline passed first, and nothing is recorded.
    def record_match(path, key, deadline_ms: nil)
      Native.integer("deadline_ms", deadline_ms || 0)
      given = [[path, "path"], [key, "key"]].map { |text, what| Native.bytes(text, what) }.flat_map { |bytes| [bytes, bytes.bytesize] }
      @index.call_apart(:record_match, deadline_ms) { [@handle, *given, deadline_ms || 0] }
      nil
    end

    # `record_match` for many pairs of a path and a key: all, or none.
    def record_matches(pairs, deadline_ms: nil)
      raise TypeError, "pairs must be an Array of a path and a key each" unless pairs.is_a?(Array) && pairs.all?(Array)

      paths, count = Native.joined(pairs.map { |path, _| path }, "paths")
      keys, = Native.joined(pairs.map { |_, key| key }, "keys")
      Native.integer("deadline_ms", deadline_ms || 0)
      @index.call_apart(:record_matches, deadline_ms) { [@handle, paths, paths.bytesize, keys, keys.bytesize, count, 0, deadline_ms || 0] }
      nil
    end

    # Invalidates a path.
    def invalidate_path(path)
      tell(:invalidate_path, path: path)
    end

    # Invalidates an item by its key or rating key.
    def invalidate_item(key)
      tell(:invalidate_item, key: key)
    end

    # Invalidates the library.
    def invalidate
      tell(:invalidate_library)
    end

    # Gives many items the same values, as Plex names them: { "title" => "A", "genre+" => "Drama" }. A hash says how far it
    # came, and is the `report` of an Error. `lock`: :lock, :unlock or :leave.
    def edit_items(keys, changes, lock: :lock, deadline_ms: nil)
      items, items_count = Native.joined(keys, "keys")
      raise TypeError, "changes must be a Hash, not #{changes.class}" unless changes.is_a?(Hash)

      lock = Native::CONSTANTS.fetch("EDIT_#{lock.to_s.upcase}") { raise ArgumentError, "lock is :lock, :unlock or :leave" }
      values = changes.flat_map { |name, value| [name.is_a?(Symbol) ? name.name : name, value] }
      pairs, = Native.joined(values, "changes")
      states = Fiddle::Pointer.malloc([items_count, 1].max, Fiddle::RUBY_FREE)
      report = Native::Struct.new("edit_report", states: states, states_capacity: items_count)
      edit = Native::Struct.new(
        "edit", library: @handle, keys: items, keys_count: items_count, changes: pairs, changes_count: changes.size,
                deadline_ms: deadline_ms, lock: lock
      )
      @index.call_apart(:edit_items, deadline_ms) { [edit.memory, report.memory] }
      told(report, states[0, items_count])
    rescue Error => e
      e.report = told(report, states[0, items_count])
      raise
    end

    LOOKUP = Native::FAST[:lookup_key]
    private_constant :LOOKUP

    NONE = { "year" => 0, "season" => -1, "episode" => -1 }.freeze
    private_constant :NONE

    EDITED = Native.words("EDITED_")
    private_constant :EDITED

    private

    def told(report, states)
      { done: report[:done], failed: report[:failed], requests: report[:requests],
        states: states.unpack("C*").map { |state| EDITED.fetch(state, :unknown) } }
    end

    def ask_one(name, text, ask, progress)
      Blocks.read(@index.query(name, @handle, text, progress: progress, **ask))[0]
    end

    def page(name, &given)
      status, block = @index.fill(name, reserve: PAGE * 400, &given)
      status == Native::CONSTANTS["OK"] ? Blocks.read(block)[0].candidates : []
    end

    # A hash of Plex's facts; what there is none of is nil, as in an Item.
    def details(item)
      item&.to_h { |name, value| [name, NONE[name] == value ? nil : value] }
    end

    def tell(name, **texts)
      given = texts.map { |what, text| Native.bytes(text, what) }.flat_map { |bytes| [bytes, bytes.bytesize] }
      @index.call(name) { [@handle, *given] }
      nil
    end
  end
end
