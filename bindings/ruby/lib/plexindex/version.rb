# frozen_string_literal: true

module Plexindex
  VERSION = "0.1.0"
end
