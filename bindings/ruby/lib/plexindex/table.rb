# frozen_string_literal: true

module Plexindex
  # The host's own values by name. A name or a value that is valid UTF-8 comes back as that, another one as binary.
  class Table
    def initialize(index, handle)
      @index = index
      @handle = handle
    end

    def inspect
      "#<#{self.class} of #{@index.inspect}>"
    end

    # The value of this name, where the index has it at hand; else nil. Never waits.
    def lookup(name)
      raise ClosedError if @index.closed?
      name = Native.bytes(name, "name") unless name.is_a?(String) && name.encoding.ascii_compatible?
      return if name.include?("\0")

      value = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      Native.text(value.ptr.to_s) if LOOKUP.call(@handle, name, value).zero?
    end

    # The value of this name; nil when there is none.
    def get(name)
      bytes = Native.bytes(name, "name")
      status, value = @index.fill(:table_get) { [@handle, bytes, bytes.bytesize] }
      Native.text(value) if status == Native::CONSTANTS["OK"]
    end

    # Stores a value. `limit`: how many bytes all tables may take; 0: no limit.
    def put(name, value, ttl_ms: 0, limit: 100_000_000)
      name = Native.bytes(name, "name")
      value = Native.bytes(value, "value")
      Native.integer("ttl_ms", ttl_ms)
      Native.integer("limit", limit, Native::RANGES["Q<"])
      @index.call(:table_put) { [@handle, name, name.bytesize, value, value.bytesize, ttl_ms, limit] }
      nil
    end

    # Removes an entry.
    def remove(name)
      bytes = Native.bytes(name, "name")
      @index.call(:table_remove) { [@handle, bytes, bytes.bytesize] }
      nil
    end

    # The names of its entries, in the order of their bytes.
    def names
      return enum_for(:names) unless block_given?

      after = nil
      loop do
        status, name = @index.fill(:table_get_next) { [@handle, after, after ? after.bytesize : 0] }
        break unless status == Native::CONSTANTS["OK"]

        after = name.b
        yield Native.text(name)
      end
    end

    # How many entries it has.
    def count
      out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
      @index.call(:table_count) { [@handle, out] }
      out[0, 8].unpack1("Q<")
    end

    # Removes all entries.
    def clear
      @index.call(:table_clear) { [@handle] }
      nil
    end

    LOOKUP = Native::FAST[:table_lookup]
    private_constant :LOOKUP
  end
end
