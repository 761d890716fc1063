# frozen_string_literal: true

# Tells which Plex item a file is, without asking the server: a thin layer over the C library, whose plexindex.h says in
# full what a call does.
module Plexindex
  # An error of the library: `status` is its number, `code` its name, such as :library_not_found.
  class Error < StandardError
    attr_reader :status, :code
    # What the method gives also where it fails: of `edit_items` how far it came.
    attr_accessor :answer

    def initialize(status, message)
      super(message)
      @status = status
      @code = Native::STATUSES.fetch(status, :unknown)
    end
  end

  # The index was closed: the code :closed, which has no status.
  class ClosedError < Error
    def initialize(message = "the index is closed: open it again")
      super(nil, message)
      @code = :closed
    end
  end
end

require_relative "plexindex/native"
require_relative "plexindex/answers"
require_relative "plexindex/call"
require_relative "plexindex/index"
require_relative "plexindex/library"

module Plexindex
  private_constant :Native, :Blocks
end

# The functions of the module.
module Plexindex
  Progress = ::Struct.new(:library, :items, :total, :elapsed_ms, keyword_init: true)

  FLAGS = {
    offline: "OPEN_OFFLINE", accept_invalid_certs: "OPEN_ACCEPT_INVALID_CERTS", no_mmap: "OPEN_NO_MMAP",
    obfuscate_paths: "OPEN_OBFUSCATE_PATHS", shared_durable: "OPEN_SHARED_DURABLE"
  }.freeze
  MAPPINGS = {
    [:host, false] => "MAPPING_HOST_PREFIX", [:host, true] => "MAPPING_HOST_PATTERN",
    [:server, false] => "MAPPING_SERVER_PREFIX", [:server, true] => "MAPPING_SERVER_PATTERN"
  }.freeze
  private_constant :FLAGS, :MAPPINGS

  # Opens an index; with a block it is closed behind that. The options are the fields of plexindex_options, its flags
  # by name (`offline: true`), and `mappings`: hashes with `from`, `to`, `side` (:host or :server) and `pattern`.
  #
  # `renew_token` is a proc that gives a new token, or nil for none now, when the server refuses the one that there is
  # or it expired. It runs in the thread of the refused call, which is then made again; only what Ruby raises there ends
  # it. If it raises there is no new token, and what it raised is the `cause` of the call's Error. After nil, or a
  # token that is refused, it is not called for 15 s; `token=` goes on at once. It must not close the index, and may ask
  # that only with `offline` or `at_once`: other questions raise :unauthorized.
  def self.open(cache_dir:, mappings: [], renew_token: nil, **options)
    flags, fields = options.partition { |name, _| FLAGS.key?(name) }
    filled = Native::Struct.new("options", cache_dir: cache_dir)
    known = Native.fields("options").keys - %i[size flags reserved mappings mappings_count renew_token renew_token_user]
    fields.each do |name, value|
      raise ArgumentError, "there is no option #{name}" unless known.include?(name)

      filled[name] = name == :log_level ? log_level(value) : value
    end
    filled[:flags] = flags.sum { |name, on| Native.flag(name, on) ? Native::CONSTANTS[FLAGS[name]] : 0 }
    unless mappings.is_a?(Array) && mappings.all?(Hash)
      raise TypeError, "mappings must be an Array of Hashes, such as [{ from: \"/mnt\", to: \"/data\" }]"
    end
    unless renew_token.nil? || renew_token.respond_to?(:call)
      raise TypeError, "renew_token must be a proc, not #{renew_token.class}"
    end

    rules = mappings.map { |rule| mapping(**rule.transform_keys { |field| field.to_s.to_sym }) }
    filled[:mappings] = rules.map { |rule| rule.memory[0, rule.memory.size] }.join unless rules.empty?
    filled[:mappings_count] = rules.size
    renewal = renew_token && Callbacks.renewal(renew_token)
    filled[:renew_token] = renewal
    out = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
    index = Call.new.run do
      Native.call(:open, filled.memory, out)
      Index.new(out.ptr.to_i, renewal)
    end
    return index unless block_given?

    begin
      yield index
    ensure
      index.close
    end
  end

  def self.mapping(from:, to:, side: :host, pattern: false)
    kind = MAPPINGS.fetch([side.to_s.to_sym, pattern]) { raise ArgumentError, "the side of a mapping is :host or :server, its pattern true or false" }
    Native::Struct.new("mapping", kind: Native::CONSTANTS[kind], from: from, to: to)
  end
  private_class_method :mapping

  # A number of plexindex.h, or its name: :off, :error, :warn, :info or :debug.
  def self.log_level(level)
    return level unless level.is_a?(Symbol) || level.is_a?(String)

    Native.words("LOG_").key(level.to_sym) || raise(ArgumentError, "log_level is :off, :error, :warn, :info or :debug, not #{level.inspect}")
  end
  private_class_method :log_level

  # How a path compares with each of others: hashes with "equal", "under", and "common" components from the end.
  def self.compare_paths(path, others)
    request = { path: path, others: others }
    Native.method(nil, "paths.compare", request, Native::Struct.new("call_options"))[1]["relations"]
  end

  # The log lines that wait, oldest first: pairs of a level and a message. The ring holds 256 for the whole process.
  def self.drain_log
    levels = Native.words("LOG_")
    lines = []
    types = [Fiddle::TYPE_VOIDP, Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T]
    receive = Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_VOID, types) do |_, level, message, length|
      lines << [levels.fetch(level, :unknown), message[0, length].force_encoding("UTF-8")]
    end
    Call.new.run { Native.call(:drain_log, receive, nil) }
    lines
  end

  # The version of the library.
  def self.version
    Native::FUNCTIONS[:get_version].call.to_s
  end
end
