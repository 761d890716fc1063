# frozen_string_literal: true

module Plexindex
  # Hashes of all that a struct holds, and JSON.
  module Deep
    def to_h(&block)
      deep = ->(value) { value.is_a?(Deep) ? value.to_h : value }
      all = super() { |name, value| [name, value.is_a?(Array) ? value.map(&deep) : deep.call(value)] }
      block ? all.to_h(&block) : all
    end

    def to_json(*given)
      to_h.to_json(*given)
    end

    # What a method's answer has of a struct.
    def self.fields(struct, found)
      found.transform_keys(&:to_sym).slice(*struct.members)
    end
  end
  private_constant :Deep

  # An item as the index knows it. What it does not know is nil. Answers have no `guids` and `paths`.
  Item = ::Struct.new(
    :key, :rating_key, :title, :guid, :show_title, :show_rating_key, :show_guid, :path, :section, :library_title,
    :kind, :year, :season, :episode, :key_only, :guids, :paths, keyword_init: true
  ) do
    include Deep

    # Of a method's answer.
    def self.of(found)
      kind = found["kind"].to_sym if found && found["kind"] != "other"
      found && new(**Deep.fields(self, found), kind: kind, library_title: found["library"])
    end
  end

  # The answer for one path, folder, GUID or title. `status` is :ok, :not_found, :ambiguous, :not_yet or :needs_warm, in
  # a batch also the error of this one path. `items`, `files` and `kind` are about a folder.
  Answer = ::Struct.new(
    :status, :match_kind, :confidence, :reason, :stale, :item, :candidates, :candidates_total, :message, :age_ms,
    :items, :files, :kind, keyword_init: true
  ) do
    include Deep

    # Of a method's answer.
    def self.of(found, status)
      words = %i[match_kind confidence reason kind].to_h { |name| [name, found[name.name]&.to_sym] }
      candidates = found["candidates"].to_a.map { |item| Item.of(item) }
      new(**Deep.fields(self, found), **words, status: Native::STATUSES[status], candidates: candidates,
          candidates_total: found["total"], item: status.zero? ? candidates[0] : nil)
    end
  end

  # An entry of the feed. `change` is "added", "removed", "changed", "moved" or "list_again". What is absent is nil.
  Change = ::Struct.new(:change, :library, :section, :path, :from, :from_key, :item, keyword_init: true) do
    include Deep

    # Of a method's answer.
    def self.of(found) = new(**Deep.fields(self, found), item: Item.of(found["item"]))
  end

  # A page of the feed: give the cursor to the next call; `more` says that it has something now.
  Changes = ::Struct.new(:changes, :cursor, :more, keyword_init: true) { include Deep }

  # Reads a block of answers.
  module Blocks
    ANSWERS = Native.fields("answers")
    ANSWER = Native.fields("answer")
    ITEM = Native.fields("item")
    TEXTS = ITEM.select { |_, (_, _, type)| type == "plexindex_text" }.freeze
    MATCH_KINDS = Native.words("MATCH_")
    CONFIDENCES = Native.words("CONFIDENCE_")
    REASONS = Native.words("REASON_")
    KINDS = {
      1 => :movie, 2 => :show, 3 => :season, 4 => :episode, 8 => :artist, 9 => :album, 10 => :track, 12 => :clip, 13 => :photo
    }.freeze

    module_function

    def read(block)
      step, item_step, first, count = %i[answer_size item_size first count].map { |name| number(block, 0, ANSWERS[name]) }
      Array.new(count) { |place| answer(block, first + place * step, item_step) }
    end

    def number(block, at, field)
      block.unpack1(field[1], offset: at + field[0])
    end

    def text(block, at)
      offset, length = block.unpack("L<L<", offset: at)
      offset.zero? ? nil : block.byteslice(offset, length).force_encoding("UTF-8")
    end

    def answer(block, at, item_step)
      of = ANSWER.transform_values { |field| field[1] ? number(block, at, field) : nil }
      Answer.new(
        status: Native::STATUSES.fetch(of[:status], :unknown),
        match_kind: MATCH_KINDS.fetch(of[:match_kind], :unknown),
        confidence: CONFIDENCES.fetch(of[:confidence], :unknown), reason: REASONS.fetch(of[:reason], :unknown),
        stale: of[:flags].anybits?(Native::CONSTANTS["ANSWER_STALE"]),
        item: of[:item].zero? ? nil : item(block, of[:item]),
        candidates: Array.new(of[:candidates_count]) { |place| item(block, of[:candidates] + place * item_step) },
        candidates_total: of[:candidates_total], message: text(block, at + ANSWER[:message][0]),
        age_ms: of[:age_ms] == -1 ? nil : of[:age_ms]
      )
    end

    def item(block, at)
      kind, year, season, episode, flags = %i[kind year season episode flags].map { |name| number(block, at, ITEM[name]) }
      Item.new(
        **TEXTS.transform_values { |field| text(block, at + field[0]) },
        kind: KINDS[kind], year: year.zero? ? nil : year, season: season == -1 ? nil : season,
        episode: episode == -1 ? nil : episode, key_only: flags.anybits?(Native::CONSTANTS["ITEM_KEY_ONLY"])
      )
    end
  end
end
