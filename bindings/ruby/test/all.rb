# frozen_string_literal: true

Dir[File.join(__dir__, "test_*.rb")].sort.each { |file| require file }
# How the gem is built and installed: for `make check-deep`.
require_relative "packages" if ENV["PLEXINDEX_TEST_DEEP"]
