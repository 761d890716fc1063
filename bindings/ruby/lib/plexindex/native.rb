# frozen_string_literal: true

require "fiddle"
require "json"
require_relative "version"

module Plexindex
  raise LoadError, "plexindex needs a Ruby of 64 bits: abi.json describes no other structs" if Fiddle::SIZEOF_VOIDP != 8

  # The shared library: where it is, its functions and its structs, as abi.json describes them.
  module Native
    # A gem has abi.json, a copy of the repository's include/plexindex.json.
    COPY = File.join(__dir__, "abi.json")
    ABI = JSON.parse(File.read(File.file?(COPY) ? COPY : File.expand_path("../../../../include/plexindex.json", __dir__))).freeze
    # Numbers without their prefix.
    CONSTANTS = ABI["constants"].merge(ABI["statuses"]).transform_keys { |name| name.delete_prefix("PLEXINDEX_") }.freeze
    STATUSES = ABI["statuses"].to_h { |name, number| [number, name.delete_prefix("PLEXINDEX_").downcase.to_sym] }.freeze

    SCALARS = {
      "uint8_t" => [Fiddle::TYPE_CHAR, "C"], "int32_t" => [Fiddle::TYPE_INT, "l<"],
      "uint32_t" => [-Fiddle::TYPE_INT, "L<"], "int64_t" => [Fiddle::TYPE_LONG_LONG, "q<"],
      "uint64_t" => [-Fiddle::TYPE_LONG_LONG, "Q<"], "size_t" => [Fiddle::TYPE_SIZE_T, "Q<"],
      "void" => [Fiddle::TYPE_VOID, nil]
    }.freeze

    def self.type(name) = SCALARS.key?(name) ? SCALARS[name][0] : Fiddle::TYPE_VOIDP

    # Where the library may be: what PLEXINDEX_LIBRARY names; else in a gem for this platform, beside this file; else
    # installed, under the name that programs load, then under the one that compilers link. One that is named or part of
    # the gem is loaded, or its failure shown: another one would hide it.
    def self.places
      named = ENV.fetch("PLEXINDEX_LIBRARY", "")
      return [named] unless named.empty?

      names = %w[libplexindex.so.0 libplexindex.so]
      names = %w[libplexindex.0.dylib libplexindex.dylib] if RUBY_PLATFORM.include?("darwin")
      beside = names.map { |name| File.join(__dir__, name) }.select { |file| File.exist?(file) }
      beside.empty? ? names : beside
    end

    def self.load
      failed = places.map do |place|
        library = Fiddle.dlopen(place)
        return place, library if library["plexindex_get_abi_version"]
      rescue Fiddle::DLError => e
        library ? "#{place} is not the plexindex library" : "#{place}: #{e.message}"
      end
      platform = defined?(Gem::Platform) ? Gem::Platform.local.to_s : RUBY_PLATFORM
      raise LoadError, "the plexindex library cannot be loaded. For #{platform} install the gem plexindex-#{VERSION}-#{platform}.gem, " \
                       "or the library with `make install` and ldconfig; or name its file in PLEXINDEX_LIBRARY (#{failed.join('; ')})"
    end

    private_class_method :places, :load

    PATH, LIBRARY = load
    # Of one call that may wait, so that other threads run meanwhile: fiddle lets go of the interpreter's lock.
    FUNCTIONS = ABI["functions"].to_h do |name, function|
      types = function["arguments"].map { |argument| type(argument["type"]) }
      [name.delete_prefix("plexindex_").to_sym, Fiddle::Function.new(LIBRARY[name], types, type(function["result"]), name: name)]
    end.freeze
    # Those that wait for nothing keep it: letting go costs more than they do, and their result is read under it.
    FAST = { lookup_key: [2, Fiddle::TYPE_VOIDP], table_lookup: [3, Fiddle::TYPE_INT] }.to_h do |name, (count, result)|
      types = [Fiddle::TYPE_VOIDP] * count
      [name, Fiddle::Function.new(LIBRARY["plexindex_#{name}"], types, result, need_gvl: true)]
    end.freeze

    found = FUNCTIONS[:get_abi_version].call
    wanted = CONSTANTS["ABI_VERSION"]
    if found != wanted
      number = FUNCTIONS[:get_version].call.to_s
      raise LoadError, "#{PATH} (plexindex #{number}) has ABI version #{found}, this gem was written for #{wanted}: " \
                       "install matching versions"
    end

    # The words for the numbers with this prefix, by number.
    def self.words(prefix)
      names = CONSTANTS.select { |name, _| name.start_with?(prefix) }
      names.to_h { |name, number| [number, name.delete_prefix(prefix).downcase.to_sym] }.freeze
    end

    # The fields of each struct by name: offset, how to unpack it, type, and the count of an array.
    FIELDS = ABI["structs"].to_h do |struct, is|
      fields = is["fields"].to_h do |field|
        [field["name"].to_sym, [field["offset"], SCALARS.dig(field["type"], 1), field["type"], field["count"]]]
      end
      [struct.delete_prefix("plexindex_"), fields.freeze]
    end.freeze

    def self.fields(name) = FIELDS.fetch(name)

    # A struct of the library, in C's memory, filled by the names of its fields.
    class Struct
      attr_reader :memory

      def initialize(name, **values)
        @fields = Native.fields(name)
        size = ABI["structs"]["plexindex_#{name}"]["size"]
        @memory = Fiddle::Pointer.malloc(size, Fiddle::RUBY_FREE)
        @memory[0, size] = "\0" * size
        @kept = []
        self[:size] = size if @fields.key?(:size)
        values.each { |field, value| self[field] = value }
      end

      def []=(name, value)
        return if value.nil?

        offset, code, type = @fields.fetch(name)
        if type == "plexindex_bytes"
          bytes = Native.bytes(value, name)
          point(offset, bytes)
          @memory[offset + 8, 8] = [bytes.bytesize].pack("Q<")
        elsif code
          Native.integer(name, value, RANGES.fetch(code))
          @memory[offset, [value].pack(code).bytesize] = [value].pack(code)
        else
          point(offset, value)
        end
      end

      def [](name)
        offset, code, type, count = @fields.fetch(name)
        return @memory[offset, count].unpack1("Z*").force_encoding("UTF-8") if type == "char"

        values = @memory[offset, 8 * (count || 1)].unpack("#{code}#{count}")
        count ? values : values.first
      end

      def to_h = @fields.to_h { |name, _| [name.to_s, self[name]] }

      private

      # What is pointed to is kept as long as the struct is.
      def point(offset, value)
        value = Native.pinned(value) if value.is_a?(String)
        @kept << value
        @memory[offset, 8] = [value.to_i].pack("Q<")
      end
    end

    # The bytes of a text or a path, `what` being its name. An encoding that C cannot take becomes UTF-8.
    def self.bytes(value, what = "a text")
      value = value.to_path if value.respond_to?(:to_path)
      raise TypeError, "#{what} must be a String, not #{shown(value)}" unless value.respond_to?(:to_str)

      text = value.to_str
      text.encoding.ascii_compatible? ? text.b : text.encode("UTF-8").b
    rescue EncodingError => e
      raise ArgumentError, "#{what} cannot be made UTF-8: #{e.message}"
    end

    # The bytes, and their count.
    def self.sized(value, what)
      one = bytes(value, what)
      [one, one.bytesize]
    end

    RANGES = {
      "l<" => -(1 << 31)..(1 << 31) - 1, "L<" => 0..(1 << 32) - 1, "q<" => -(1 << 63)..(1 << 63) - 1, "Q<" => 0..(1 << 64) - 1
    }.freeze

    # An Integer within a range; without one that C's int64_t holds.
    def self.integer(what, value, range = RANGES["q<"])
      raise TypeError, "#{what} must be an Integer, not #{shown(value)}" unless value.is_a?(Integer)
      return value if range.cover?(value)

      raise RangeError, "#{what} is #{value}: it must be #{value < range.begin ? "#{range.begin} or more" : "#{range.end} or less"}"
    end

    # One of true and false; nil is false.
    def self.flag(what, value)
      return value if [true, false, nil].include?(value)

      raise TypeError, "#{what} must be true or false, not #{shown(value)}"
    end

    def self.shown(value) = value.nil? ? "nil" : value.class
    private_class_method :shown

    # A copy in C's memory: Ruby may move its own while a call has let go of the interpreter's lock.
    def self.pinned(text)
      copy = Fiddle::Pointer.malloc([text.bytesize, 1].max, Fiddle::RUBY_FREE)
      copy[0, text.bytesize] = text unless text.empty?
      copy
    end

    # Texts with a NUL behind each, and their count. One with a NUL in it goes to the block, as its place, and is left empty.
    def self.joined(values, what = "the texts")
      unless values.respond_to?(:each) && values.respond_to?(:to_a)
        raise TypeError, "#{what} must be an Array, a Set or the like, not #{shown(values)}"
      end

      all = values.to_a.each_with_index.map do |value, place|
        one = bytes(value, "#{what}[#{place}]")
        next one unless one.include?("\0")
        raise ArgumentError, "#{what}[#{place}] cannot hold a NUL" unless block_given?

        yield place
        ""
      end
      [all.map { |one| "#{one}\0" }.join.b, all.size]
    end

    # What C's texts name, in words of this gem.
    WORDS = {
      "PLEXINDEX_NO_DEADLINE" => "-1 for none", "PLEXINDEX_NO_RETRY" => "-1 for never", "PLEXINDEX_NEVER_SLOW" => "-1 for never",
      "PLEXINDEX_TTL_AT_ONCE" => "-1 for none", "PLEXINDEX_TTL_NEVER" => "-2 for ever", "one of PLEXINDEX_LOG_*" => "1 to 4, -1, or a name",
      "query.flags has PLEXINDEX_QUERY_FULL" => "the call has full: true",
      "query.flags has PLEXINDEX_QUERY_PROBE" => "the call has check: true",
      "query.flags has PLEXINDEX_QUERY_AT_ONCE" => "the call has at_once: true", "PLEXINDEX_QUERY_OFFLINE" => "offline: true",
      "plexindex_refresh()" => "refresh", "plexindex_match_path()" => "match", "plexindex_match_paths()" => "match_paths"
    }.freeze
    IN_C = Regexp.union(WORDS.keys).freeze
    ERROR_TEXT = 2048

    # Makes a call with a buffer of its own for the error's text; gives the status, or raises.
    def self.call(name, *given)
      text = Fiddle::Pointer.malloc(ERROR_TEXT, Fiddle::RUBY_FREE)
      error = Struct.new("buffer", data: text, capacity: ERROR_TEXT)
      given = given.map { |one| one.is_a?(String) ? pinned(one) : one }
      status = FUNCTIONS.fetch(name).call(*given, error.memory)
      return status if status < CONSTANTS["INVALID_ARGUMENT"] || status == CONSTANTS["BUFFER_TOO_SMALL"]

      message = text[0, [error[:length], ERROR_TEXT - 1].min].force_encoding("UTF-8")
      message = message.gsub(IN_C, WORDS).sub(/\A(?:query|options)\./, "") if status == CONSTANTS["INVALID_ARGUMENT"]
      raise Error.new(status, message),
            cause: Call.current&.raised
    end

    # Calls a method: its status and its answer. An error has the answer, too, where the method gives one.
    def self.method(handle, name, request, options)
      out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      out[0, 8] = "\0" * 8
      request = JSON.generate(packed(request))
      [call(:call, handle, "#{name}\0", request, request.bytesize, options.memory, out), answer(out.ptr)]
    rescue Error => e
      e.answer = answer(out.ptr)
      raise
    ensure
      FUNCTIONS[:free].call(out.ptr) if out
    end

    def self.answer(json)
      text = json.null? ? nil : json.to_s.force_encoding("UTF-8")
      text && unpacked(JSON.parse(text), text.include?('{"bytes":"'))
    end
    private_class_method :answer

    # A value for JSON: what is no UTF-8 goes as its bytes.
    def self.packed(value)
      case value
      when Hash then value.transform_values { |one| packed(one) }
      when String, ->(one) { one.respond_to?(:to_path) }
        text = text(bytes(value))
        text.encoding == Encoding::UTF_8 ? text : { "bytes" => [text].pack("m0") }
      when Enumerable then value.map { |one| packed(one) }
      else value
      end
    end

    # A value of JSON, of which something `is_packed`.
    def self.unpacked(value, is_packed)
      return value unless is_packed

      case value
      when Hash
        bytes = value["bytes"] if value.size == 1
        bytes.is_a?(String) ? bytes.unpack1("m") : value.transform_values { |one| unpacked(one, true) }
      when Array then value.map { |one| unpacked(one, true) }
      else value
      end
    end
    private_class_method :packed, :unpacked

    # Ruby takes no lock in the handler of a signal.
    def self.outside_trap
      yield
    rescue ThreadError => e
      raise unless e.message.include?("trap context")

      raise ThreadError, "this call waits, which Ruby forbids in a `trap` block: set a flag there, or call it in Thread.new { }"
    end

    # What a table holds: UTF-8 where it is valid, else binary.
    def self.text(bytes)
      bytes.force_encoding("UTF-8")
      bytes.valid_encoding? ? bytes : bytes.b
    end

    # A call that fills a buffer, made again with a larger one where it must: its status and the bytes.
    def self.fill(name, *given, reserve: 16_384)
      capacity = reserve
      loop do
        memory = Fiddle::Pointer.malloc(capacity, Fiddle::RUBY_FREE)
        buffer = Struct.new("buffer", data: memory, capacity: capacity)
        status = call(name, *given, buffer.memory)
        return [status, memory[0, buffer[:length]]] unless status == CONSTANTS["BUFFER_TOO_SMALL"]

        capacity = buffer[:length] * 5 / 4
      end
    end
  end
end
