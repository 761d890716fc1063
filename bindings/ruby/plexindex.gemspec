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
  # It loads the library of the system. README says where abi.json and the licences come from.
  spec.files = Dir["lib/**/*.rb", "sig/**/*", "examples/*.rb", "README.md"] +
               %w[lib/plexindex/abi.json LICENSE-APACHE LICENSE-MIT]
end
