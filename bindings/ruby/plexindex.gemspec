# frozen_string_literal: true

require_relative "lib/plexindex/version"

Gem::Specification.new do |spec|
  spec.name = "plexindex"
  spec.version = Plexindex::VERSION
  spec.summary = "Tells which Plex item a file is, without asking the server"
  spec.authors = ["The plexindex authors"]
  spec.homepage = "https://github.com/plexindex/plexindex"
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.required_ruby_version = ">= 3.0"
  spec.metadata["rubygems_mfa_required"] = "true"
  # From Ruby 3.5 on it is no part of Ruby.
  spec.add_dependency "fiddle", "~> 1.0"
  # scripts/pack.py builds the gem of a platform: it puts the library, abi.json and the licences there.
  spec.platform = ENV.fetch("PLEXINDEX_GEM_PLATFORM", Gem::Platform.local.to_s)
  spec.files = Dir["lib/**/*.rb", "sig/**/*", "examples/*.rb", "README.md"] +
               %w[lib/plexindex/abi.json lib/plexindex/libplexindex.so LICENSE-APACHE LICENSE-MIT THIRD-PARTY]
end
