# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "plexindex"
  spec.version = "0.1.0"
  spec.summary = "Tells which Plex item a file is, without asking the server"
  spec.authors = ["The plexindex authors"]
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.required_ruby_version = ">= 3.0"
  spec.files = Dir["lib/**/*", "README.md"]
end
