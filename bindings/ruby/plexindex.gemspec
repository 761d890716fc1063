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
  spec.files = Dir["lib/**/*.{rb,json}", "sig/**/*", "examples/*.rb", "README.md", "LICENSE-*"]
  # With the library in lib/plexindex it is the gem of one platform, and has the licences of what the library holds.
  if (library = Dir["lib/plexindex/libplexindex.{so,dylib}"]).any?
    spec.platform = ENV.fetch("PLEXINDEX_GEM_PLATFORM", Gem::Platform.local.to_s)
    raise "THIRD-PARTY is missing: make it with scripts/licences.py" unless File.file?("THIRD-PARTY")

    spec.files += [*library, "THIRD-PARTY"]
  end
end
